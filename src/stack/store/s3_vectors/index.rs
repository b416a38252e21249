//! An index of S3 Vectors. But for its tags and its mode all of it is fixed when it is made.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::found_index::FoundIndex;
use super::super::opensearch::METADATA_FIELD;
use crate::api::{Distance, IndexSettings};

/// A chunk's text.
const TEXT_FIELD: &str = "AMAZON_BEDROCK_TEXT";

/// What may go along with a vector, and cannot be searched by: it may be larger than what can.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/knowledge-base-setup.html>
pub(crate) const NOT_FILTERABLE: [&str; 2] = [TEXT_FIELD, METADATA_FIELD];

/// Filters before it searches. In the other mode a question with a filter may find less than there is.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors-index-mode.html>
pub(crate) const MODE: &str = "ENHANCED";

/// What GetIndex says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexDetail {
    /// Its ARN.
    pub arn: String,
    /// The length of its vectors.
    pub dimension: i32,
    /// The distance between them, in AWS's words.
    pub metric: String,
    /// The keys that cannot be filtered by.
    pub not_filterable: Vec<String>,
    /// The mode in which it is asked.
    pub mode: Option<String>,
    /// The key that encrypts it, where that is a customer's.
    pub key_arn: Option<String>,
    /// All tags.
    pub tags: BTreeMap<String, String>,
}

const DIMENSION: &str = "dimension";
const METRIC: &str = "distanceMetric";
const KEYS: &str = "nonFilterableMetadataKeys";
const INDEX_MODE: &str = "indexMode";

/// What an index is made from.
pub(crate) fn schema(dimensions: i32, settings: &IndexSettings) -> Value {
    json!({DIMENSION: dimensions, METRIC: metric(settings.distance), KEYS: NOT_FILTERABLE, INDEX_MODE: MODE})
}

/// The same of one that is there. One that does not say its mode is not changed.
pub fn found_index(detail: &IndexDetail) -> Value {
    let mode = detail.mode.as_deref().unwrap_or(MODE);
    json!({DIMENSION: detail.dimension, METRIC: detail.metric, KEYS: detail.not_filterable, INDEX_MODE: mode})
}

/// Whether an index is asked in the mode in which it should be.
pub(crate) fn has_mode(found: &Value) -> bool {
    found.get(INDEX_MODE).is_none_or(|it| it == MODE)
}

/// The way back. Attributes are not declared here, so that nobody knows of any.
pub(crate) fn read_back(schema: &Value) -> FoundIndex {
    let said = schema.get(METRIC).and_then(Value::as_str);
    let distance = [Distance::Cosine, Distance::Euclidean].into_iter().find(|it| Some(metric(*it)) == said);
    FoundIndex {
        dimensions: schema.get(DIMENSION).and_then(Value::as_i64).and_then(|it| it.try_into().ok()),
        distance,
        other_distance: said.filter(|_| distance.is_none()).map(Into::into),
        ..FoundIndex::default()
    }
}

/// What a distance is called there. It has no inner product; whoever asks for one is refused before.
pub(crate) const fn metric(distance: Distance) -> &'static str {
    match distance {
        Distance::Euclidean => "euclidean",
        Distance::Cosine | Distance::InnerProduct => "cosine",
    }
}
