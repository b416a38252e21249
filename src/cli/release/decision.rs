//! What becomes of a tenantId that an administrator gives away. Pure: what is known comes in, and what is to be written goes out.

use jiff::Timestamp;
use serde::Serialize;

use crate::records::lock::Lock;
use crate::stack::record::{Record, State};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing, because it is so already.
    Nothing(String),
    /// Nothing, because it must not be.
    Refused(String),
    /// This is to be written over what was read.
    Write(Box<Record>),
}

/// Whether the Tenant that a record names is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// It is, or its namesake that will take its place.
    Lives,
    /// It is not.
    Gone,
    /// Nobody can tell from here, and why.
    OutOfSight(String),
}

/// Something that is left under a tenantId.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Left {
    /// What it is.
    pub(super) what: &'static str,
    /// Where it is.
    pub(super) name: String,
}

/// Why it cannot be told from the cluster `here` whether the holder of this record lives.
pub(super) fn out_of_sight(record: &Record, lock: &Lock, here: &str) -> Option<String> {
    let (cluster, works) = (&record.holder.cluster, &lock.place.cluster);
    if works != here {
        return Some(format!(
            "the installation works in the cluster with the uid {works}, and your kubeconfig leads to the one with the uid \
             {here}. Set KUBECONFIG to the other"
        ));
    }
    let is_known = cluster.is_empty() || cluster == here || lock.took_over.contains(cluster);
    (!is_known).then(|| {
        format!(
            "its holder, {}, is in the cluster with the uid {cluster}, which this one, {here}, has not taken over: whether \
             it lives cannot be seen from here",
            record.holder.tag()
        )
    })
}

/// What becomes of an id that shall be anybody's.
pub(super) fn release(
    tenant_id: &str,
    record: Option<&Record>,
    holder: &Holder,
    left: &[Left],
    now: Timestamp,
) -> Decision {
    let Some(record) = record else {
        let nobodys =
            format!("tenantId '{tenant_id}' has no record: anybody may have it. Nothing was changed");
        return Decision::Nothing(nobodys);
    };
    if record.state == State::Free {
        return Decision::Nothing(format!(
            "tenantId '{tenant_id}' is anybody's already. Nothing was changed"
        ));
    }
    if let Some(refused) = held(tenant_id, record, holder) {
        return refused;
    }
    if !left.is_empty() {
        return Decision::Refused(left_over(tenant_id, record, left));
    }
    let free = Record { state: State::Free, since: now, empty: false, ..record.clone() };
    Decision::Write(Box::new(free))
}

/// What becomes of an id that shall be this Tenant's, whose record is `wanted`.
pub(super) fn give(record: Option<&Record>, holder: &Holder, wanted: Record) -> Decision {
    let Some(record) = record else { return Decision::Write(Box::new(wanted)) };
    if record.state == State::Held && record.holder.uid == wanted.holder.uid {
        return Decision::Nothing(format!(
            "tenantId '{}' is that of {} already. Nothing was changed",
            wanted.tenant_id,
            wanted.holder.tag()
        ));
    }
    held(&wanted.tenant_id, record, holder).unwrap_or_else(|| Decision::Write(Box::new(wanted)))
}

/// The refusal to take an id from whoever has it.
fn held(tenant_id: &str, record: &Record, holder: &Holder) -> Option<Decision> {
    if record.state != State::Held {
        return None;
    }
    let whose = record.holder.tag();
    let why = match holder {
        Holder::Gone => return None,
        Holder::Lives => format!(
            "{whose} has it and is there. Delete it first, with deletionPolicy: Delete if nothing of it shall stay"
        ),
        Holder::OutOfSight(why) => why.clone(),
    };
    Some(Decision::Refused(format!("tenantId '{tenant_id}' was not released: {why}")))
}

/// What is left, and how it goes.
fn left_over(tenant_id: &str, record: &Record, left: &[Left]) -> String {
    let mut text = format!(
        "tenantId '{tenant_id}' was not released: whoever got it would find what is left under it.\n"
    );
    for Left { what, name } in left {
        text += &format!("  {what:<20} {name}\n");
    }
    text += &match record.state {
        // Its finalizer was taken off, so nothing says that it was left on purpose.
        State::Held => format!(
            "To purge it, apply {} once more with the same spec and deletionPolicy: Delete, wait until it is Ready, and \
             delete it.",
            record.holder.tag()
        ),
        _ => "To purge it, apply the manifest that `tenantry retained` prints for it, wait until it is Ready, and delete it. \
              What `tenantry retained` does not list goes with the tools of AWS."
            .to_owned(),
    };
    text + " To give all of it to a Tenant that is there: --to <namespace>/<name>."
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::Pattern;
    use crate::records::lock::Place;
    use crate::stack::identity::{Identity, Owner, Scope};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn record(state: State, name: &str) -> Record {
        let owner = Owner::Tenant {
            namespace: "tenants".into(),
            name: name.into(),
            tenant_id: "acme".into(),
            pattern: Pattern::Pool,
            stack: Some("standard".into()),
        };
        let scope = Arc::new(Scope::new("prod", "111122223333", "eu-central-1"));
        let id = Identity::new(scope, owner, &format!("uid-of-{name}"));
        Record::of(&id, "here", Some("uid-of-tenants".into()), state, NOW).unwrap()
    }

    fn something() -> Vec<Left> {
        vec![Left { what: "documents", name: "s3://bucket/pool/acme/ (3 versions)".into() }]
    }

    fn refusal(decision: Decision) -> String {
        match decision {
            Decision::Refused(why) => why,
            other => panic!("{other:?} is no refusal"),
        }
    }

    #[test]
    fn an_id_without_a_holder_and_without_remains_is_released() {
        for state in [State::Held, State::Retained, State::Gone] {
            let record = Record { empty: true, ..record(state, "first") };
            let later = Timestamp::from_second(7).unwrap();
            let freed = release("acme", Some(&record), &Holder::Gone, &[], later);
            let free = Record { state: State::Free, since: later, empty: false, ..record };
            assert_eq!(freed, Decision::Write(Box::new(free)), "{state:?}");
        }
    }

    #[test]
    fn what_is_free_stays_so() {
        let free = record(State::Free, "first");
        for record in [None, Some(&free)] {
            let nothing = release("acme", record, &Holder::Gone, &something(), NOW);
            assert!(matches!(nothing, Decision::Nothing(_)), "{nothing:?}");
        }
    }

    #[test]
    fn nobody_loses_an_id_who_is_there_or_may_be() {
        let held = record(State::Held, "first");
        let elsewhere = Holder::OutOfSight("it is far away".into());
        for (holder, says) in [(Holder::Lives, "Tenant/tenants/first has it"), (elsewhere, "far away")] {
            let released = refusal(release("acme", Some(&held), &holder, &[], NOW));
            let given = refusal(give(Some(&held), &holder, record(State::Held, "second")));
            assert!(released.contains(says) && given.contains(says), "{released}\n{given}");
        }
        // Whoever left is asked of nobody.
        for state in [State::Retained, State::Gone] {
            let left = record(state, "first");
            assert!(matches!(release("acme", Some(&left), &Holder::Lives, &[], NOW), Decision::Write(_)));
        }
    }

    #[test]
    fn what_is_left_is_named_with_how_to_purge_it() {
        for (state, how) in [
            (State::Held, "apply Tenant/tenants/first once more"),
            (State::Retained, "`tenantry retained`"),
            (State::Gone, "`tenantry retained`"),
        ] {
            let record = record(state, "first");
            let why = refusal(release("acme", Some(&record), &Holder::Gone, &something(), NOW));
            assert!(why.contains("documents            s3://bucket/pool/acme/ (3 versions)\n"), "{why}");
            assert!(why.contains(how) && why.contains("--to <namespace>/<name>"), "{why}");
        }
    }

    #[test]
    fn an_id_is_given_over_all_but_a_holder_that_lives() {
        let wanted = record(State::Held, "second");
        for state in [State::Held, State::Retained, State::Gone, State::Free] {
            let before = record(state, "first");
            let given = give(Some(&before), &Holder::Gone, wanted.clone());
            assert_eq!(given, Decision::Write(Box::new(wanted.clone())), "{state:?}");
        }
        assert_eq!(give(None, &Holder::Gone, wanted.clone()), Decision::Write(Box::new(wanted.clone())));
        // To whoever has it already nothing is given, lives or not.
        let given = give(Some(&wanted.clone()), &Holder::Lives, wanted);
        assert!(matches!(given, Decision::Nothing(_)), "{given:?}");
    }

    #[test]
    fn a_holder_is_looked_for_where_the_installation_works() {
        let lock = |cluster: &str, took_over: &[&str]| Lock {
            place: Place { cluster: cluster.into(), ..Place::default() },
            took_over: took_over.iter().map(|it| it.to_string()).collect(),
            complete: true,
            nonce: String::new(),
        };
        let of = |cluster: &str| {
            let mut record = record(State::Held, "first");
            record.holder.cluster = cluster.into();
            record
        };
        for (cluster, lock, is_seen, says) in [
            ("here", lock("here", &[]), true, ""),
            ("", lock("here", &[]), true, ""),
            ("old", lock("here", &["old"]), true, ""),
            ("old", lock("here", &[]), false, "has not taken over"),
            ("here", lock("new", &["here"]), false, "Set KUBECONFIG"),
            ("new", lock("new", &[]), false, "Set KUBECONFIG"),
        ] {
            let why = out_of_sight(&of(cluster), &lock, "here");
            assert_eq!(why.is_none(), is_seen, "{cluster} {lock:?}");
            assert!(why.unwrap_or_default().contains(says), "{cluster} {lock:?}");
        }
    }
}
