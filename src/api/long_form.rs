//! A Tenant and its class together: the long form, an ordinary spec in which everything is written that the class says. What
//! comes after knows no classes.

use super::placement::has_place;
use super::tags::Tags;
use super::{
    Answers, ClassDefaults, Collection, Documents, Ingestion, Overridable, Pattern, Placement, Reason,
    TenantClassSpec, TenantSpec, VectorStore,
};

/// Why a Tenant and its class do not go together.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Conflict {
    /// For the condition.
    pub reason: Reason,
    /// What is in the way, and what to do.
    pub message: String,
}

/// A class by its name.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// `metadata.name`.
    pub name: &'a str,
    /// What it says.
    pub spec: &'a TenantClassSpec,
}

/// How many tags one's own a stack may have; AWS takes 50, with the operator's.
const TAGS: usize = 40;

/// The long form of a Tenant's spec. It keeps its `classRef`.
pub fn long_form(spec: &TenantSpec, class: Option<Named<'_>>) -> Result<TenantSpec, Conflict> {
    let Some(class) = class else {
        return match (spec.pattern, &spec.class_ref) {
            (Some(_), _) => Ok(spec.clone()),
            (None, _) => conflict("`pattern` is required where no class places the Tenant; set it"),
        };
    };
    let mut long = place(spec, class)?;
    forbid(spec, class)?;
    fill_in(&mut long, class)?;
    bound(&long, class)?;
    Ok(long)
}

fn conflict<T>(message: impl Into<String>) -> Result<T, Conflict> {
    Err(Conflict { reason: Reason::ClassConflict, message: message.into() })
}

/// Either the class places the Tenant, or the Tenant says it all itself.
fn place(spec: &TenantSpec, class: Named<'_>) -> Result<TenantSpec, Conflict> {
    let name = class.name;
    let mut long = spec.clone();
    match (&class.spec.placement, spec.pattern) {
        (None, Some(_)) => {}
        (None, None) => {
            return conflict(format!(
                "TenantClass '{name}' places nobody: set `pattern`, with what belongs to it, or name a class that places its tenants"
            ));
        }
        (Some(placement), _) => {
            let said = said_of_placement(spec);
            if !said.is_empty() {
                return conflict(format!(
                    "TenantClass '{name}' says where its tenants are ({placement}), and the Tenant says so too: remove {} from \
                     it, or name a class that places nobody",
                    fields(&said)
                ));
            }
            placement.write_into(&mut long);
        }
    }
    Ok(long)
}

/// What a Tenant must leave to a class that places it.
fn said_of_placement(spec: &TenantSpec) -> Vec<&'static str> {
    let replicas = spec.collection.as_ref().is_some_and(|it| it.standby_replicas.is_some());
    let said = [
        ("pattern", spec.pattern.is_some()),
        ("stackRef", spec.stack_ref.is_some()),
        ("vectorStore", spec.vector_store.is_some()),
        ("encryption", spec.encryption.is_some()),
        ("knowledgeBase", spec.knowledge_base.is_some()),
        ("index", spec.index.is_some()),
        ("collection.standbyReplicas", replicas),
    ];
    said.into_iter().filter_map(|(field, is_said)| is_said.then_some(field)).collect()
}

/// A Tenant sets of what a class can fill in only what the class lets it set.
fn forbid(spec: &TenantSpec, class: Named<'_>) -> Result<(), Conflict> {
    let TenantSpec { documents, collection, ingestion, answers, tags, .. } = spec;
    let network = collection.as_ref().is_some_and(|it| it.network.is_some());
    let said = [
        (
            Overridable::Documents,
            "documents",
            documents.as_ref().is_some_and(|it| *it != Documents::default()),
        ),
        (Overridable::Collection, "collection.network", network),
        (
            Overridable::Ingestion,
            "ingestion",
            ingestion.as_ref().is_some_and(|it| *it != Ingestion::default()),
        ),
        (Overridable::Answers, "answers", answers.is_some()),
        (Overridable::Tags, "tags", !tags.is_empty()),
    ];
    let forbidden: Vec<_> = said
        .into_iter()
        .filter(|(which, _, is_said)| *is_said && !class.spec.may_override.contains(which))
        .map(|(_, field, _)| field)
        .collect();
    if forbidden.is_empty() {
        return Ok(());
    }
    Err(Conflict {
        reason: Reason::OverrideForbidden,
        message: format!(
            "TenantClass '{}' does not let its tenants set {}: remove that from the Tenant, or ask an administrator to add it to \
             `mayOverride` of the class",
            class.name,
            fields(&forbidden)
        ),
    })
}

/// Fills in what the Tenant leaves out, leaf by leaf, as far as its pattern has it.
fn fill_in(long: &mut TenantSpec, class: Named<'_>) -> Result<(), Conflict> {
    let Some(defaults) = &class.spec.defaults else { return Ok(()) };
    let ClassDefaults { documents, collection, ingestion, answers, tags } = defaults;
    let Some(pattern) = long.pattern else { return Ok(()) };
    if let Some(documents) = documents
        && has_place("documents", pattern)
    {
        long.documents = Some(documents_over(long.documents.take(), documents));
    }
    if let Some(ingestion) = ingestion
        && has_place("ingestion", pattern)
    {
        long.ingestion = Some(ingestion_over(long.ingestion.take(), ingestion));
    }
    if let Some(network) = collection.as_ref().and_then(|it| it.network.clone())
        && has_collection(pattern, long.vector_store)
    {
        let own = long.collection.get_or_insert_with(Collection::default);
        own.network.get_or_insert(network);
    }
    if long.answers.is_none() {
        long.answers.clone_from(answers);
    }
    if has_place("tags", pattern) {
        merge(&mut long.tags, tags, class.name)?;
    }
    Ok(())
}

fn has_collection(pattern: Pattern, store: Option<VectorStore>) -> bool {
    has_place("collection", pattern) && store.unwrap_or_default().has_network()
}

fn documents_over(own: Option<Documents>, class: &Documents) -> Documents {
    let own = own.unwrap_or_default();
    Documents {
        versioning: own.versioning.or(class.versioning),
        noncurrent_expiration_days: own.noncurrent_expiration_days.or(class.noncurrent_expiration_days),
        expiration_days: own.expiration_days.or(class.expiration_days),
    }
}

fn ingestion_over(own: Option<Ingestion>, class: &Ingestion) -> Ingestion {
    let own = own.unwrap_or_default();
    Ingestion {
        schedule: own.schedule.or_else(|| class.schedule.clone()),
        time_zone: own.time_zone.or_else(|| class.time_zone.clone()),
        suspend: own.suspend.or(class.suspend),
    }
}

/// Of a key that both have, the Tenant's value counts. For IAM two keys that differ in case alone are one.
fn merge(own: &mut Tags, class: &Tags, name: &str) -> Result<(), Conflict> {
    for (key, value) in class {
        own.entry(key.clone()).or_insert_with(|| value.clone());
    }
    let mut keys: Vec<_> = own.keys().map(|key| key.to_ascii_lowercase()).collect();
    keys.sort();
    if let Some(twice) = keys.windows(2).find(|two| two[0] == two[1]) {
        return conflict(format!(
            "`tags` of the Tenant and of TenantClass '{name}' have a key that differs in upper and lower case alone, '{}', and for IAM \
             that is the same: write it as the class does",
            twice[0]
        ));
    }
    if own.len() > TAGS {
        return conflict(format!(
            "`tags` of the Tenant and of TenantClass '{name}' are {} together, and {TAGS} is the most: remove some from the Tenant",
            own.len()
        ));
    }
    Ok(())
}

/// What only a limit can say no to before anything is built.
fn bound(long: &TenantSpec, class: Named<'_>) -> Result<(), Conflict> {
    let models = class.spec.limits.as_ref().and_then(|it| it.answers.as_ref()).map(|it| &it.models);
    match (&long.answers, models) {
        (Some(Answers { model }), Some(models)) if !models.contains(model) => Err(Conflict {
            reason: Reason::LimitExceeded,
            message: format!(
                "`answers.model` '{model}' is not one that TenantClass '{}' allows. Set one of these, or remove it: {}",
                class.name,
                models.join(", ")
            ),
        }),
        _ => Ok(()),
    }
}

/// The spec that goes on where a change was refused: where the Tenant stands, and of the rest what its class lets it set.
pub fn standing_form(
    spec: &TenantSpec,
    frozen: &Placement,
    class: Option<Named<'_>>,
    answers: Option<&Answers>,
) -> TenantSpec {
    let mut own = TenantSpec { class_ref: None, answers: None, ..spec.clone() };
    frozen.write_into(&mut own);
    let Some(class) = class else {
        keep_what_has_place(&mut own, frozen.pattern);
        return TenantSpec { answers: answers.cloned(), ..own };
    };
    let may = |which| class.spec.may_override.contains(&which);
    if !may(Overridable::Documents) {
        own.documents = own.documents.map(|own| if_longer(own, class.spec));
    }
    own.ingestion = own.ingestion.filter(|_| may(Overridable::Ingestion));
    if let Some(collection) = own.collection.as_mut().filter(|_| !may(Overridable::Collection)) {
        collection.network = None;
    }
    if !may(Overridable::Tags) {
        own.tags.clear();
    }
    keep_what_has_place(&mut own, frozen.pattern);
    let tags = own.tags.clone();
    if fill_in(&mut own, class).is_err() {
        // The class's own count, and the Tenant's do not.
        own.tags = class.spec.defaults.as_ref().map(|it| it.tags.clone()).unwrap_or(tags);
    }
    TenantSpec { answers: answers.cloned(), ..own }
}

/// Of a Tenant's own word on its documents that its class does not let it have any more: where they are kept longer. Taking an
/// override away deletes nobody's documents.
fn if_longer(own: Documents, class: &TenantClassSpec) -> Documents {
    let class = Documents::resolve(class.defaults.as_ref().and_then(|it| it.documents.as_ref()));
    let longer = |own: Option<i32>, class: i32| own.filter(|own| class != 0 && (*own == 0 || *own > class));
    Documents {
        versioning: None,
        noncurrent_expiration_days: longer(own.noncurrent_expiration_days, class.noncurrent_expiration_days),
        expiration_days: longer(own.expiration_days, class.expiration_days),
    }
}

/// What belongs to another pattern than the one that stands is left out.
fn keep_what_has_place(spec: &mut TenantSpec, pattern: Pattern) {
    let has = |field| has_place(field, pattern);
    spec.documents = spec.documents.take().filter(|_| has("documents"));
    spec.ingestion = spec.ingestion.take().filter(|_| has("ingestion"));
    spec.data_deletion_policy = spec.data_deletion_policy.take().filter(|_| has("dataDeletionPolicy"));
    spec.collection = spec.collection.take().filter(|_| has_collection(pattern, spec.vector_store));
    if !has("tags") {
        spec.tags.clear();
    }
}

/// Fields, as they stand in a sentence.
fn fields(all: &[&str]) -> String {
    let quoted: Vec<_> = all.iter().map(|field| format!("`{field}`")).collect();
    match &quoted[..] {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        other => other.concat(),
    }
}

#[cfg(test)]
mod tests;
