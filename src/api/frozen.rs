//! What may never change of a Tenant that was accepted: its placement. What the API server cannot see, because a class says
//! it, is compared here.

use std::fmt;

use super::{
    Collection, Encryption, Hnsw, Index, KnowledgeBase, KnowledgeBaseSettings, Placement, StandbyReplicas,
    TenantSpec, VectorStore,
};

/// A part of a placement that would change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Move {
    /// The field.
    pub field: &'static str,
    /// What it was accepted with,
    pub from: String,
    /// and what it would be.
    pub to: String,
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, from, to } = self;
        write!(f, "`{field}` from {from} to {to}")
    }
}

impl Placement {
    /// The placement that a spec in its long form asks for, as it is written. None: it has no pattern.
    pub fn of(long: &TenantSpec) -> Option<Self> {
        let TenantSpec {
            pattern,
            stack_ref,
            vector_store,
            encryption,
            collection,
            knowledge_base,
            index,
            ..
        } = long;
        Some(Self {
            pattern: (*pattern)?,
            stack_ref: stack_ref.clone(),
            vector_store: *vector_store,
            encryption: encryption.clone(),
            standby_replicas: collection.as_ref().and_then(|it| it.standby_replicas),
            knowledge_base: knowledge_base.clone(),
            index: index.clone(),
        })
    }

    /// Writes all of it into a spec, and nothing else of a placement stays there.
    pub fn write_into(&self, spec: &mut TenantSpec) {
        let Self { pattern, stack_ref, vector_store, encryption, standby_replicas, knowledge_base, index } =
            self;
        spec.pattern = Some(*pattern);
        spec.stack_ref.clone_from(stack_ref);
        spec.vector_store = *vector_store;
        spec.encryption.clone_from(encryption);
        spec.knowledge_base.clone_from(knowledge_base);
        spec.index.clone_from(index);
        match (&mut spec.collection, standby_replicas) {
            (None, None) => {}
            (Some(collection), replicas) => collection.standby_replicas = *replicas,
            (none, replicas) => {
                *none = Some(Collection { standby_replicas: *replicas, network: None });
            }
        }
    }

    /// What would have to be built anew to come from this one to another. A field that is left out is its default, on both
    /// sides by the same release: a default that has changed since moves nobody. Attributes may be added.
    pub fn moves(&self, to: &Self) -> Vec<Move> {
        let mut moves = Vec::new();
        let mut compare = |field, from: String, to: String| {
            if from != to {
                moves.push(Move { field, from, to });
            }
        };
        let stack = |it: &Self| it.stack().map_or_else(|| "none".into(), |name| format!("'{name}'"));
        compare("pattern", self.pattern.to_string(), to.pattern.to_string());
        compare("stackRef", stack(self), stack(to));
        if self.pattern != to.pattern {
            // The rest is another pattern's.
            return moves;
        }
        let store = |it: &Self| it.vector_store.unwrap_or_default();
        compare("vectorStore", store(self).to_string(), store(to).to_string());
        compare("encryption", key(self.encryption.as_ref()), key(to.encryption.as_ref()));
        let replicas = |it: &Self| format!("{:?}", it.standby_replicas.unwrap_or(StandbyReplicas::Enabled));
        compare("collection.standbyReplicas", replicas(self), replicas(to));
        let (before, after) = (base(self), base(to));
        compare("knowledgeBase.embeddingModel", before.0, after.0);
        compare("knowledgeBase.dimensions", before.1, after.1);
        compare("knowledgeBase.chunking", before.2, after.2);
        for (field, of) in INDEX {
            compare(field, of(self), of(to));
        }
        compare("index.attributes", attributes(self), attributes(&self.with_attributes_of(to)));
        moves
    }

    /// The same with the attributes that another one adds, if it has all of this one's.
    pub fn grown(self, to: &Self) -> Self {
        let added = to.index.as_ref().map(|it| it.attributes.clone()).unwrap_or_default();
        if added.len() > self.index.as_ref().map_or(0, |it| it.attributes.len()) {
            let index = Index { attributes: added, ..self.index.unwrap_or_default() };
            return Self { index: Some(index), ..self };
        }
        self
    }

    /// The same without the attributes that the store which is borrowed cannot have: they were refused, and may be taken out
    /// again.
    pub fn lent_by(mut self, store: VectorStore) -> Self {
        if let Some(index) = &mut self.index {
            index.attributes = store.attributes(&index.attributes);
        }
        self
    }

    /// Those of this one's attributes that another one has too.
    fn with_attributes_of(&self, other: &Self) -> Self {
        let theirs = other.index.as_ref().map(|it| &it.attributes[..]).unwrap_or_default();
        let mut kept = self.clone();
        if let Some(index) = &mut kept.index {
            index.attributes.retain(|it| theirs.contains(it));
        }
        kept
    }
}

type Leaf = (&'static str, fn(&Placement) -> String);

const INDEX: [Leaf; 4] = [
    ("index.distance", |it| {
        let usual = it.vector_store.unwrap_or_default().usual_distance();
        format!("{:?}", it.index.as_ref().and_then(|index| index.distance).unwrap_or(usual))
    }),
    ("index.hnsw.m", |it| hnsw(it, |hnsw| hnsw.m, 16)),
    ("index.hnsw.efConstruction", |it| hnsw(it, |hnsw| hnsw.ef_construction, 512)),
    ("index.hnsw.efSearch", |it| hnsw(it, |hnsw| hnsw.ef_search, 512)),
];

fn hnsw(placement: &Placement, leaf: impl Fn(&Hnsw) -> Option<i32>, default: i32) -> String {
    let written = placement.index.as_ref().and_then(|index| index.hnsw.as_ref());
    written.and_then(leaf).unwrap_or(default).to_string()
}

fn attributes(placement: &Placement) -> String {
    let all = placement.index.as_ref().map(|it| &it.attributes[..]).unwrap_or_default();
    let mut named: Vec<_> = all.iter().map(|it| format!("{} {:?}", it.name, it.type_)).collect();
    named.sort();
    if named.is_empty() { "none".into() } else { named.join(", ") }
}

fn key(written: Option<&Encryption>) -> String {
    let Some(Encryption { key, kms_key_arn }) = written else { return "AWSOwned".into() };
    match kms_key_arn {
        Some(arn) => format!("{key:?} {arn}"),
        None => format!("{key:?}"),
    }
}

/// Model, dimensions and chunking. What cannot be worked out is as it is written.
fn base(placement: &Placement) -> (String, String, String) {
    let written = placement.knowledge_base.as_ref();
    match KnowledgeBase::resolve(written) {
        Ok(KnowledgeBaseSettings { embedding_model, dimensions, chunking, .. }) => {
            (embedding_model, dimensions.to_string(), format!("{chunking:?}"))
        }
        Err(_) => {
            let KnowledgeBase { dimensions, chunking, .. } = written.cloned().unwrap_or_default();
            (KnowledgeBase::model_of(written).into(), format!("{dimensions:?}"), format!("{chunking:?}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn placement(value: Value) -> Placement {
        serde_json::from_value(value).unwrap()
    }

    fn moved(from: Value, to: Value) -> Vec<&'static str> {
        placement(from).moves(&placement(to)).into_iter().map(|it| it.field).collect()
    }

    #[test]
    fn a_default_that_is_written_down_moves_nobody() {
        let silo = json!({"pattern": "Silo"});
        let written = json!({"pattern": "Silo", "vectorStore": "OpenSearchServerless", "encryption": {"key": "AWSOwned"},
            "standbyReplicas": "Enabled",
            "knowledgeBase": {"embeddingModel": "amazon.titan-embed-text-v2:0", "dimensions": 1024,
                "chunking": {"strategy": "FixedSize", "maxTokens": 300, "overlapPercentage": 20}},
            "index": {"distance": "Euclidean", "hnsw": {"m": 16, "efConstruction": 512, "efSearch": 512}}});
        assert_eq!(moved(silo.clone(), written.clone()), [""; 0]);
        assert_eq!(moved(written, silo), [""; 0]);
    }

    #[test]
    fn whatever_would_be_built_anew_is_a_move() {
        let silo = || json!({"pattern": "Silo"});
        let bridge = |stack: &str| json!({"pattern": "Bridge", "stackRef": {"name": stack}});
        for (from, to, fields) in [
            (silo(), bridge("standard"), &["pattern", "stackRef"][..]),
            (bridge("standard"), bridge("other"), &["stackRef"]),
            (
                silo(),
                json!({"pattern": "Silo", "vectorStore": "S3Vectors"}),
                &["vectorStore", "index.distance"],
            ),
            (silo(), json!({"pattern": "Silo", "encryption": {"key": "Create"}}), &["encryption"]),
            (
                silo(),
                json!({"pattern": "Silo", "standbyReplicas": "Disabled"}),
                &["collection.standbyReplicas"],
            ),
            (
                silo(),
                json!({"pattern": "Silo", "knowledgeBase": {"embeddingModel": "amazon.titan-embed-text-v1"}}),
                &["knowledgeBase.embeddingModel", "knowledgeBase.dimensions"],
            ),
            (
                silo(),
                json!({"pattern": "Silo", "knowledgeBase": {"chunking": {"strategy": "None"}}}),
                &["knowledgeBase.chunking"],
            ),
            (silo(), json!({"pattern": "Silo", "index": {"hnsw": {"m": 8}}}), &["index.hnsw.m"]),
        ] {
            assert_eq!(moved(from.clone(), to.clone()), fields, "{from} → {to}");
            assert_eq!(moved(to, from).len(), fields.len(), "and back");
        }
    }

    #[test]
    fn attributes_may_be_added_and_nothing_else() {
        let with = |names: &[&str]| {
            let all: Vec<_> = names.iter().map(|name| json!({"name": name, "type": "String"})).collect();
            json!({"pattern": "Silo", "index": {"attributes": all}})
        };
        assert_eq!(moved(json!({"pattern": "Silo"}), with(&["a"])), [""; 0]);
        assert_eq!(moved(with(&["a"]), with(&["b", "a"])), [""; 0]);
        assert_eq!(moved(with(&["a", "b"]), with(&["a"])), ["index.attributes"]);
        let grown = placement(with(&["a"])).grown(&placement(with(&["b", "a"])));
        assert_eq!(moved(with(&["b", "a"]), serde_json::to_value(&grown).unwrap()), [""; 0]);
        let other = json!({"pattern": "Silo", "index": {"attributes": [{"name": "a", "type": "Number"}]}});
        assert_eq!(moved(with(&["a"]), other), ["index.attributes"]);
    }

    #[test]
    fn a_placement_is_what_is_written_into_a_spec_and_read_from_it() {
        let whole = placement(
            json!({"pattern": "Silo", "standbyReplicas": "Disabled", "encryption": {"key": "Create"},
            "index": {"distance": "InnerProduct"}}),
        );
        let mut spec: TenantSpec = serde_json::from_value(json!({"tenantId": "acme", "pattern": "Pool",
            "stackRef": {"name": "standard"}}))
        .unwrap();
        whole.write_into(&mut spec);
        assert_eq!(Placement::of(&spec), Some(whole));
        assert_eq!(spec.stack_ref, None);
    }
}
