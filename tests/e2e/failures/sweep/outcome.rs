//! What a run comes to, in words that are the same in every world: what is there in the end, and what was made and
//! deleted on the way.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use regex::Regex;
use tenantry::api::Layer;

use super::scenario::Scenario;
use super::settings;
use crate::support::double::{Call, Journal};
use crate::support::objects::Object;
use crate::support::world::World;

/// Lines of text, each with how often it is there.
type Lines = BTreeMap<String, usize>;

/// See the [module](self).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Everything in the account, with its tags and settings.
    resources: Lines,
    /// Every object in the cluster, with its finalizers and conditions.
    objects: Lines,
    /// Every create and delete that took effect.
    effects: Lines,
}

/// This world's names and ids, and what stands for them.
pub struct Words {
    known: Vec<(String, String)>,
    patterns: Vec<(Regex, &'static str)>,
}

impl Words {
    /// `objects` are all that there ever were.
    pub fn new(w: &World, scenario: Scenario, objects: &[Object]) -> Self {
        let mut known = Vec::new();
        for (whose, id) in scenario.identities(w) {
            known.extend(Layer::ALL.map(|layer| (id.name(layer), format!("<{whose}'s {layer}>"))));
        }
        let mut uids = BTreeSet::new();
        for object in objects.iter().filter(|object| uids.insert(object.uid())) {
            let name = object.meta.name.as_deref().unwrap_or_default();
            let earlier =
                known.iter().filter(|(_, word)| word.starts_with(&format!("<uid of {name} "))).count();
            known.push((object.uid().into(), format!("<uid of {name} {earlier}>")));
        }
        known
            .extend([(w.account.clone(), "<account>".into()), (format!("-{}", w.suffix), "-<world>".into())]);
        known.push((format!("/{}/", w.suffix), "/<world>/".into()));
        let patterns = [
            (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>"),
            // Ids of Bedrock and of collections.
            (r"\b[0-9A-Z]{10}\b", "<id>"),
            (r"\b[0-9a-z]{20}\b", "<id>"),
        ];
        let patterns = patterns.map(|(pattern, word)| (Regex::new(pattern).unwrap(), word)).into();
        Self { known, patterns }
    }

    fn plain(&self, text: &str) -> String {
        let known = |text: String, (name, word): &(String, String)| text.replace(name, word);
        let text = self.known.iter().fold(text.to_owned(), known);
        let made_up =
            |text: String, (pattern, word): &(Regex, &str)| pattern.replace_all(&text, *word).into();
        self.patterns.iter().fold(text, made_up)
    }

    fn lines(&self, texts: impl IntoIterator<Item = String>) -> Lines {
        let mut lines = Lines::new();
        for text in texts {
            *lines.entry(self.plain(&text)).or_default() += 1;
        }
        lines
    }
}

/// The objects that a call deletes. How many calls they are divided into, and whether a call says something again, is no matter;
/// nor is a part of a ledger that nothing reads any more.
fn deleted(call: &Call) -> Vec<String> {
    let body = call.params["body"].as_str().unwrap_or_default();
    let keys = body.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
    let counts = |key: &&str| !key.starts_with("tenantry/ledger/");
    keys.map(|(key, _)| key).filter(counts).map(|key| format!("deleted {}/{key}", call.resource)).collect()
}

/// Whether a call makes something or deletes it. What else changes something may be done again.
fn makes_or_deletes(call: &Call) -> bool {
    ["Create", "Delete", "ScheduleKeyDeletion", "AbortMultipartUpload"]
        .iter()
        .any(|verb| call.operation.starts_with(verb))
}

impl Outcome {
    /// What stands now, and what `journal`, the operator's calls, did.
    pub async fn of(w: &World, words: &Words, journal: &Journal) -> Outcome {
        let inventory = w.inventory().await;
        let mut resources = settings::of(w, &inventory).await;
        resources.extend(inventory.into_iter().map(|(name, tags)| format!("{name} {tags:?}")));
        resources.extend(w.all_records().await);
        let (objects, others): (Vec<_>, Vec<_>) = journal
            .iter()
            .filter(|call| call.took_effect() && makes_or_deletes(call))
            .partition(|call| call.operation == "DeleteObjects");
        let effects = others.into_iter().map(|call| format!("{} {}", call.operation, call.resource));
        let deleted: BTreeSet<_> = objects.into_iter().flat_map(deleted).collect();
        Outcome {
            resources: words.lines(resources),
            objects: words.lines(w.all().await.iter().map(described)),
            effects: words.lines(effects.chain(deleted)),
        }
    }

    /// Where `self` is not as the reference has it, a line each.
    pub fn differences(&self, reference: &Outcome) -> Vec<String> {
        let parts = [
            ("in AWS", &self.resources, &reference.resources),
            ("in the cluster", &self.objects, &reference.objects),
            ("done", &self.effects, &reference.effects),
        ];
        let mut differences = Vec::new();
        for (part, found, wanted) in parts {
            let lines: BTreeSet<_> = found.keys().chain(wanted.keys()).collect();
            for line in lines {
                let times = |lines: &Lines| lines.get(line).copied().unwrap_or_default();
                if times(found) != times(wanted) {
                    differences.push(format!("{part} {} times, not {}: {line}", times(found), times(wanted)));
                }
            }
        }
        differences
    }
}

/// An object without what is new in every world: times, messages, ids; and without what is no bad news of something that is looked
/// up now and then, so that it is chance whether it has been: a Pool tenant notes its pool's jobs once an hour, and whether a
/// model stays is asked again with the next resync if AWS did not say.
fn described(object: &Object) -> String {
    let Object { meta, status, spec, .. } = object;
    let is_pool_tenant = spec["pattern"] == "Pool";
    let is_note = |it: &&Condition| match it.type_.as_str() {
        "DocumentsCurrent" => is_pool_tenant && it.status == "True",
        "ModelCurrent" => it.status != "False",
        _ => false,
    };
    let conditions = status.conditions.iter().filter(|it| !is_note(it));
    let conditions = conditions.map(|it| format!("{}={}/{}", it.type_, it.status, it.reason));
    let ingestion = status.ingestion.as_ref().filter(|_| !is_pool_tenant);
    let job = ingestion.and_then(|last| last.last_status.as_deref());
    format!(
        "{} finalizers {:?} leaving {} {} last job {job:?}",
        meta.name.as_deref().unwrap_or_default(),
        meta.finalizers,
        object.is_leaving(),
        conditions.collect::<Vec<_>>().join(" ")
    )
}
