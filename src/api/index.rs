//! How vectors are found: the vector index.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::rule;

/// How vectors are found: the distance between them, the graph that is searched, and the attributes that one
/// may filter by.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// How near two vectors are: 'Euclidean', 'InnerProduct' (OpenSearch Serverless) or 'Cosine' (S3 Vectors; the default
    /// with `vectorStore` 'S3Vectors'). Default: 'Euclidean'. May be set at creation only.
    pub distance: Option<Distance>,

    /// The graph (HNSW) that is searched. OpenSearch Serverless. Default: what Amazon Bedrock's console uses. May be set
    /// at creation only.
    pub hnsw: Option<Hnsw>,

    /// Attributes of documents, from their `.metadata.json` files, that queries of one's own may filter by.
    /// They are given a type in the index before the first document could give them another. May be added to;
    /// what is there must stay as it is, but for a 'StringList' of a Bridge tenant, which may be taken out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 30))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub attributes: Vec<Attribute>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Distance {
    Euclidean,
    InnerProduct,
    Cosine,
}

/// The graph (HNSW) that is searched for near vectors.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hnsw {
    /// How many neighbours a vector has in the graph. More finds better and needs more memory. Default: 16.
    #[schemars(range(min = 2, max = 100))]
    pub m: Option<i32>,

    /// How many candidates are looked at when a vector is added. More finds better and ingests more slowly.
    /// Default: 512.
    #[schemars(range(min = 1, max = 10000))]
    pub ef_construction: Option<i32>,

    /// How many candidates are looked at in a query. More finds better and answers more slowly. Default: 512.
    #[schemars(range(min = 1, max = 10000))]
    pub ef_search: Option<i32>,
}

/// An attribute of documents that queries may filter by.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attribute {
    /// The key in `metadataAttributes`. Letters, digits and underscores, beginning with a letter.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z][A-Za-z0-9_]*$"))]
    #[x_kube(validation = not_reserved("an attribute's `name`"))]
    pub name: String,

    /// The type of its values: 'String', 'Number', 'Boolean' or, in OpenSearch Serverless, 'StringList'.
    #[serde(rename = "type")]
    pub type_: AttributeType,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum AttributeType {
    String,
    Number,
    Boolean,
    StringList,
}

/// Bedrock's own fields live in the same index.
pub(super) fn not_reserved(what: &str) -> kube::core::Rule {
    rule(
        "!self.startsWith('AMAZON_BEDROCK')",
        format!("{what} must not begin with 'AMAZON_BEDROCK': Bedrock keeps its own fields there"),
    )
}

/// Whether the attribute `old` is still there, and this holds of it as it is now.
fn still_there(and: &str) -> String {
    format!(
        "has(self.index) && has(self.index.attributes) && self.index.attributes.exists(new, new.name == old.name{and})"
    )
}

/// Attributes may be added; one that is there stays, with its type.
pub(super) fn attributes_only_grow(instead: &str) -> kube::core::Rule {
    only_grow("", instead)
}

/// The same of what may borrow a vector store. Which store that is the API server cannot see, and so it lets a list be added
/// where the store has none. The operator refuses it, and so it may be taken out again.
pub(super) fn attributes_only_grow_but_lists(instead: &str) -> kube::core::Rule {
    let may_go =
        format!(" || (self.pattern == 'Bridge' && old.type == 'StringList' && !({}))", still_there(""));
    only_grow(&may_go, instead)
}

fn only_grow(may_go: &str, instead: &str) -> kube::core::Rule {
    rule(
        format!(
            "!has(oldSelf.index) || !has(oldSelf.index.attributes) || oldSelf.index.attributes.all(old, {}{may_go})",
            still_there(" && new.type == old.type")
        ),
        format!(
            "`index.attributes` may be added to, but what is there must not be changed or removed; {instead}"
        ),
    )
}

/// An index with every default filled in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IndexSettings {
    pub distance: Distance,
    pub hnsw: HnswSettings,
    pub attributes: Vec<Attribute>,
}

/// The graph's parameters with every default filled in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HnswSettings {
    pub m: i32,
    pub ef_construction: i32,
    pub ef_search: i32,
}

impl Index {
    /// `usual` is the distance where none is asked for.
    pub fn resolve(written: Option<&Self>, usual: Distance) -> IndexSettings {
        let Index { distance, hnsw, attributes } = written.cloned().unwrap_or_default();
        let Hnsw { m, ef_construction, ef_search } = hnsw.unwrap_or_default();
        IndexSettings {
            distance: distance.unwrap_or(usual),
            hnsw: HnswSettings {
                m: m.unwrap_or(16),
                ef_construction: ef_construction.unwrap_or(512),
                ef_search: ef_search.unwrap_or(512),
            },
            attributes,
        }
    }
}
