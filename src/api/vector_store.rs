//! The stores that can hold vectors, and what each cannot do: settings that a store does not have are refused before anything
//! is built.

use std::fmt;

use kube::core::Rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{fixed_where, present, rule};
use super::{Attribute, AttributeType, Distance, Index, Invalid, KnowledgeBase};

/// The kind of store that holds the index.
// It stands in records, which outlive a release: no word may change.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum VectorStore {
    // An index in a collection of Amazon OpenSearch Serverless. What a value is like, the fields say that may have it.
    #[default]
    OpenSearchServerless,
    // An index in a vector bucket of Amazon S3 Vectors.
    S3Vectors,
}

impl VectorStore {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::OpenSearchServerless, Self::S3Vectors];

    /// The distance between vectors where none is asked for by whoever chooses this store. A Bridge tenant does not, and has
    /// the usual one of the usual store.
    pub const fn usual_distance(self) -> Distance {
        match self {
            VectorStore::OpenSearchServerless => Distance::Euclidean,
            VectorStore::S3Vectors => Distance::Cosine,
        }
    }

    /// Whether it is a collection, with a network of its own.
    pub const fn has_network(self) -> bool {
        match self {
            VectorStore::OpenSearchServerless => true,
            VectorStore::S3Vectors => false,
        }
    }

    /// Whether it can do what is asked of an index, and of what goes into it. Who borrows a store may learn only now which it
    /// is.
    pub fn serves(self, index: Option<&Index>, base: Option<&KnowledgeBase>) -> Result<(), Invalid> {
        let (index, base) = (index.cloned().unwrap_or_default(), base.cloned().unwrap_or_default());
        let lacking = LACKING.into_iter().find(|it| it.store == self && (it.is_asked)(&index, &base));
        lacking.map_or(Ok(()), |it| Err(Invalid::new(it.field, it.message)))
    }

    /// The attributes that an index in it can have, of those that are asked for.
    pub(super) fn attributes(self, asked: &[Attribute]) -> Vec<Attribute> {
        let lists = |it: &Attribute| it.type_ == AttributeType::StringList;
        asked.iter().filter(|it| self != LISTS.store || !lists(it)).cloned().collect()
    }
}

impl fmt::Display for VectorStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Something that a store lacks.
pub(super) struct Lack {
    store: VectorStore,
    /// The field that asks for it,
    field: &'static str,
    /// where it has a value like this: the end of an expression. Empty: whatever it is set to.
    value: &'static str,
    /// The same, for the operator.
    is_asked: fn(&Index, &KnowledgeBase) -> bool,
    message: &'static str,
}

/// A search in S3 Vectors has no parameters.
pub(super) const GRAPH: Lack = Lack {
    store: VectorStore::S3Vectors,
    field: "index.hnsw",
    value: "",
    is_asked: |index, _| index.hnsw.is_some(),
    message: "`index.hnsw` must not be set with `vectorStore` 'S3Vectors', which has no graph to set",
};

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors-indexes.html>
pub(super) const INNER_PRODUCT: Lack = Lack {
    store: VectorStore::S3Vectors,
    field: "index.distance",
    value: " == 'InnerProduct'",
    is_asked: |index, _| index.distance == Some(Distance::InnerProduct),
    message: "`index.distance` must not be 'InnerProduct' with `vectorStore` 'S3Vectors', which has 'Cosine' and 'Euclidean'",
};

/// Bedrock's guide has no other two for it.
pub(super) const COSINE: Lack = Lack {
    store: VectorStore::OpenSearchServerless,
    field: "index.distance",
    value: " == 'Cosine'",
    is_asked: |index, _| index.distance == Some(Distance::Cosine),
    message: "`index.distance` must not be 'Cosine' with `vectorStore` 'OpenSearchServerless', which has 'Euclidean' and \
              'InnerProduct'",
};

/// <https://docs.aws.amazon.com/bedrock/latest/userguide/knowledge-base-setup.html>
pub(super) const LISTS: Lack = Lack {
    store: VectorStore::S3Vectors,
    field: "index.attributes",
    value: ".exists(it, it.type == 'StringList')",
    is_asked: |index, _| index.attributes.iter().any(|it| it.type_ == AttributeType::StringList),
    message: "an attribute must not be of the type 'StringList' with `vectorStore` 'S3Vectors', where Bedrock filters by strings, \
              numbers and booleans",
};

/// The most tokens that a parent chunk may have in S3 Vectors. Its text goes with each of its children, and all that goes with a
/// vector has 40 KB; a token may have a dozen bytes.
const PARENT_TOKENS: i32 = 3_000;

/// See [`PARENT_TOKENS`].
pub(super) const LARGE_PARENTS: Lack = Lack {
    store: VectorStore::S3Vectors,
    field: "knowledgeBase.chunking.parentMaxTokens",
    value: " > 3000",
    is_asked: |_, base| {
        let parents = base.chunking.as_ref().and_then(|it| it.parent_max_tokens);
        parents.is_some_and(|tokens| tokens > PARENT_TOKENS)
    },
    message: "`parentMaxTokens` must not be more than 3000 with `vectorStore` 'S3Vectors': a large chunk goes with each of its small \
              ones, and there are 40 KB for it",
};

const LACKING: [Lack; 5] = [GRAPH, INNER_PRODUCT, COSINE, LISTS, LARGE_PARENTS];

/// Said of what only a collection has.
pub(super) const NO_COLLECTION: &str = "`collection` must not be set with `vectorStore` 'S3Vectors': a vector bucket has no \
                                        standby replicas and no network of its own";

const NO_STANDBY_REPLICAS: &str =
    "`standbyReplicas` must not be set with `vectorStore` 'S3Vectors': a vector bucket has none";

const IS_S3_VECTORS: &str = "has(self.vectorStore) && self.vectorStore == 'S3Vectors'";

/// No collection where there is none.
pub(super) fn no_collection() -> Rule {
    rule(format!("!has(self.collection) || !({IS_S3_VECTORS})"), NO_COLLECTION)
}

/// The same of a class's placement.
pub(super) fn no_standby_replicas() -> Rule {
    rule(format!("!has(self.standbyReplicas) || !({IS_S3_VECTORS})"), NO_STANDBY_REPLICAS)
}

/// The same of a class's defaults, where it places its tenants.
pub(super) fn no_default_collection() -> Rule {
    let is_s3_vectors = IS_S3_VECTORS.replace("self", "self.placement");
    rule(
        format!(
            "!has(self.defaults) || !has(self.defaults.collection) || !has(self.placement) || !({is_s3_vectors})"
        ),
        NO_COLLECTION,
    )
}

/// What a Tenant's own store lacks. Which store a borrower has, only the operator can see.
pub(super) fn lacks(lack: &Lack) -> Rule {
    lacking(lack, "", &format!("!has(self.pattern) || self.pattern != 'Silo' || ({IS_S3_VECTORS})"))
}

/// What the store of a SharedStack's pool lacks.
pub(super) fn pool_lacks(lack: &Lack) -> Rule {
    lacking(lack, "pool.", IS_S3_VECTORS)
}

/// `within` is where a spec has `index` and `knowledgeBase`; `not_opensearch` says that nobody knows of OpenSearch.
fn lacking(lack: &Lack, within: &str, not_opensearch: &str) -> Rule {
    let path = format!("{within}{}", lack.field);
    let value = if lack.value.is_empty() { String::new() } else { format!(" && self.{path}{}", lack.value) };
    let is_other = match lack.store {
        VectorStore::OpenSearchServerless => not_opensearch.to_owned(),
        VectorStore::S3Vectors => format!("!({IS_S3_VECTORS})"),
    };
    rule(format!("!({}{value}) || {is_other}", present("self", &path)), lack.message)
}

/// The distance between vectors is decided at creation; left out, it is the usual one of the store that is chosen with it.
pub(super) fn distance_stays(instead: &str) -> Rule {
    fixed_where("index.distance", |root| is_usual(root, "index.distance"), USUALLY, instead)
}

/// The same of a SharedStack's pool, which may be added later.
pub(super) fn pools_distance_stays(instead: &str) -> Rule {
    const PATH: &str = "pool.index.distance";
    let stays = fixed_where(PATH, |root| is_usual(root, PATH), USUALLY, instead);
    Rule { rule: format!("!has(self.pool) || !has(oldSelf.pool) || ({})", stays.rule), ..stays }
}

const USUALLY: &str = " (left out, it is 'Euclidean', or 'Cosine' with `vectorStore` 'S3Vectors')";

fn is_usual(root: &str, path: &str) -> String {
    let is_s3_vectors = IS_S3_VECTORS.replace("self", root);
    format!("{root}.{path} == (({is_s3_vectors}) ? 'Cosine' : 'Euclidean')")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn each_store_refuses_what_it_lacks_and_nothing_else() {
        const NOTHING: &[VectorStore] = &[];
        const S3_VECTORS: &[VectorStore] = &[VectorStore::S3Vectors];
        const OPENSEARCH: &[VectorStore] = &[VectorStore::OpenSearchServerless];
        let attribute = |kind: &str| json!({"attributes": [{"name": "a", "type": "String"}, {"name": "b", "type": kind}]});
        let parents = |tokens: i32| {
            json!({"chunking": {"strategy": "Hierarchical", "parentMaxTokens": tokens, "childMaxTokens": 300,
                "overlapTokens": 60}})
        };
        for (index, base, refused_by) in [
            (json!({}), json!({}), NOTHING),
            (json!({"hnsw": {}}), json!({}), S3_VECTORS),
            (json!({"hnsw": {"m": 8}}), json!({}), S3_VECTORS),
            (json!({"distance": "InnerProduct"}), json!({}), S3_VECTORS),
            (json!({"distance": "Cosine"}), json!({}), OPENSEARCH),
            (json!({"distance": "Euclidean"}), json!({}), NOTHING),
            (attribute("StringList"), json!({}), S3_VECTORS),
            (attribute("Number"), json!({}), NOTHING),
            (json!({}), parents(3_000), NOTHING),
            (json!({}), parents(3_001), S3_VECTORS),
        ] {
            let of = |value: &Value| (!value.as_object().unwrap().is_empty()).then(|| value.clone());
            let read_index = of(&index).map(|it| serde_json::from_value::<Index>(it).unwrap());
            let read_base = of(&base).map(|it| serde_json::from_value::<KnowledgeBase>(it).unwrap());
            for store in VectorStore::ALL {
                let served = store.serves(read_index.as_ref(), read_base.as_ref());
                assert_eq!(served.is_err(), refused_by.contains(&store), "{store}: {index}, {base}");
            }
        }
    }

    /// The usual distance is one that the store has.
    #[test]
    fn what_is_usual_is_not_lacking() {
        for store in VectorStore::ALL {
            let usual = Index { distance: Some(store.usual_distance()), ..Index::default() };
            assert_eq!(store.serves(Some(&usual), None), Ok(()));
        }
    }
}
