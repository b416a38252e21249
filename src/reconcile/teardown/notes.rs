//! The last event of an object: what became of its stack. Nobody looks after what is left of it any more, so it names that.

use crate::api::Layer;
use crate::stack::forecast::price::Prices;
use crate::stack::identity::Identity;
use crate::stack::layout::marker_key;
use crate::stack::model::observed::Observation;
use crate::stack::model::teardown_order::OnDelete;

/// The event's reason and its note. `kind` is the object's.
pub fn of(kind: &str, id: &Identity, on_delete: OnDelete, observed: &Observation) -> (&'static str, String) {
    let prices = &Prices::LIST;
    match on_delete {
        OnDelete::Keep => {
            let cost = prices.key_of(observed) + prices.store_of(observed);
            ("Retain", retained("Retain", "everything stays in AWS", cost, id))
        }
        OnDelete::KeepDocuments => {
            let what = "the documents stay in AWS and everything else is deleted";
            ("RetainDocuments", retained("RetainDocuments", what, prices.key_of(observed), id))
        }
        OnDelete::Delete => ("Delete", deleted(kind, observed)),
    }
}

/// What stays, what it costs, and where it is listed.
fn retained(policy: &str, what: &str, cost: f64, id: &Identity) -> String {
    format!(
        "deletionPolicy {policy}: {what}. It continues to cost money: at list prices about ${cost:.0} a month while nobody \
         uses it, and what the documents cost. The marker {} in its bucket says whose it was, and `tenantry retained` \
         lists it",
        marker_key(id)
    )
}

/// What had our name and was left alone.
fn deleted(kind: &str, observed: &Observation) -> String {
    let foreign: Vec<_> = observed.foreign().iter().map(|foreign| foreign.resource.as_str()).collect();
    if foreign.is_empty() {
        return format!("Everything of this {kind} in AWS is deleted");
    }
    let key = observed.key.ours().filter(|_| observed.stays(Layer::Key));
    let key =
        key.map(|key| format!("; and KMS key {}, which may have encrypted it", key.arn)).unwrap_or_default();
    format!(
        "Everything of this {kind} in AWS is deleted; left alone, because it is not provably its own: {}{key}",
        foreign.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::identity::OwnershipClaim;
    use crate::stack::model::ideal;
    use crate::stack::model::observed::{Foreign, Observed};

    #[test]
    fn the_last_event_names_what_stays_and_what_it_costs() {
        let silo = ideal::samples().into_iter().find(|sample| sample.name == "silo with a key").unwrap();
        let observed = silo.built();
        let of = |on_delete, observed: &Observation| notes_of(on_delete, &silo.id, observed);
        let marker = marker_key(&silo.id);
        let stays = |policy: &str, what: &str, cost: u32| {
            format!(
                "deletionPolicy {policy}: {what}. It continues to cost money: at list prices about ${cost} a month while \
                 nobody uses it, and what the documents cost. The marker {marker} in its bucket says whose it was, and \
                 `tenantry retained` lists it"
            )
        };
        let all = Prices::LIST.key_of(&observed) + Prices::LIST.store_of(&observed);
        let kept = stays("Retain", "everything stays in AWS", all.round() as u32);
        assert_eq!(of(OnDelete::Keep, &observed), ("Retain", kept));
        let documents = "the documents stay in AWS and everything else is deleted";
        let kept = stays("RetainDocuments", documents, 1);
        assert_eq!(of(OnDelete::KeepDocuments, &observed), ("RetainDocuments", kept));
    }

    #[test]
    fn the_last_event_names_what_was_left_alone() {
        let silo = ideal::samples().into_iter().find(|sample| sample.name == "silo with a key").unwrap();
        let deleted = |observed: &Observation| notes_of(OnDelete::Delete, &silo.id, observed).1;
        assert_eq!(deleted(&Observation::default()), "Everything of this Tenant in AWS is deleted");
        let mut observed = silo.built();
        let (resource, claim) = ("bucket prod-ta-acme".into(), OwnershipClaim::Foreign);
        observed.bucket = Observed::Foreign(Foreign { resource, claim });
        let note = deleted(&observed);
        assert!(
            note.contains("; left alone, because it is not provably its own: bucket prod-ta-acme"),
            "{note}"
        );
        assert!(note.ends_with(", which may have encrypted it"), "{note}");
    }

    fn notes_of(on_delete: OnDelete, id: &Identity, observed: &Observation) -> (&'static str, String) {
        super::of("Tenant", id, on_delete, observed)
    }
}
