//! The embedding models that Tenantry knows: how long their vectors are, and whether one may choose.

use kube::core::Rule;

use super::rules::{fixed, fixed_where, present, rule};

/// What is known of one embedding model.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Model {
    pub id: &'static str,
    /// The vector sizes that it offers.
    pub dimensions: &'static [i32],
    pub default: i32,
    /// Whether Bedrock may be told the size. Models with one size refuse the parameter.
    pub send_dimensions: bool,
}

const fn one_size(id: &'static str, dimensions: &'static [i32]) -> Model {
    Model { id, dimensions, default: dimensions[0], send_dimensions: false }
}

const fn sizes(id: &'static str, dimensions: &'static [i32], default: i32) -> Model {
    Model { id, dimensions, default, send_dimensions: true }
}

/// The model of a knowledge base that does not name one.
pub const DEFAULT_MODEL: &str = "amazon.titan-embed-text-v2:0";

/// Bedrock's models for knowledge bases. One that is missing here works as well: it needs `dimensions`.
pub const MODELS: &[Model] = &[
    sizes(DEFAULT_MODEL, &[256, 512, 1024], 1024),
    one_size("amazon.titan-embed-text-v1", &[1536]),
    one_size("amazon.titan-embed-image-v1", &[1024]),
    sizes("amazon.nova-2-multimodal-embeddings-v1:0", &[256, 384, 1024, 3072], 1024),
    one_size("cohere.embed-english-v3", &[1024]),
    one_size("cohere.embed-multilingual-v3", &[1024]),
];

/// The model of that id, if Tenantry knows it.
pub fn lookup(id: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.id == id)
}

/// A known model has the vector sizes that it has.
pub(super) fn known_dimensions() -> Rule {
    let table = MODELS.iter().map(|model| format!("'{}': {:?}", model.id, model.dimensions));
    let table = format!("{{{}}}", table.collect::<Vec<_>>().join(", "));
    let model = format!("(has(self.embeddingModel) ? self.embeddingModel : '{DEFAULT_MODEL}')");
    rule(
        format!("!has(self.dimensions) || !({model} in {table}) || self.dimensions in {table}[{model}]"),
        known_dimensions_message(),
    )
}

pub(super) fn known_dimensions_message() -> String {
    let sizes = MODELS.iter().map(|model| {
        let sizes = model.dimensions.iter().map(i32::to_string).collect::<Vec<_>>().join(" or ");
        format!("{sizes} for '{}'", model.id)
    });
    format!(
        "`dimensions` must be a vector size of the embedding model: {}",
        sizes.collect::<Vec<_>>().join(", ")
    )
}

/// The model that a spec under `root` has, written or not.
fn model_of(root: &str) -> String {
    let field = "knowledgeBase.embeddingModel";
    format!("(({}) ? {root}.{field} : '{DEFAULT_MODEL}')", present(root, field))
}

/// Vectors of two models cannot be compared.
pub(super) fn model_stays(instead: &str) -> Rule {
    fixed("knowledgeBase.embeddingModel", &format!("'{DEFAULT_MODEL}'"), instead)
}

/// Vectors of two lengths do not fit into one index. A model that nobody knows has no usual size, and always a written one.
pub(super) fn dimensions_stay(instead: &str) -> Rule {
    let table = MODELS.iter().map(|model| format!("'{}': {}", model.id, model.default));
    let table = format!("{{{}}}", table.collect::<Vec<_>>().join(", "));
    let is_usual = |root: &str| {
        let model = model_of(root);
        format!("{model} in {table} && {root}.knowledgeBase.dimensions == {table}[{model}]")
    };
    fixed_where("knowledgeBase.dimensions", is_usual, " (left out, it is the model's usual size)", instead)
}

/// Nothing is known of other models, and an index cannot be made without the size.
pub(super) fn unknown_needs_dimensions() -> Rule {
    let known = MODELS.iter().map(|model| format!("'{}'", model.id)).collect::<Vec<_>>().join(", ");
    rule(
        format!("has(self.dimensions) || !has(self.embeddingModel) || self.embeddingModel in [{known}]"),
        UNKNOWN_NEEDS_DIMENSIONS,
    )
}

pub(super) const UNKNOWN_NEEDS_DIMENSIONS: &str =
    "`dimensions` is required for an embedding model that Tenantry does not know";

/// What the id of an inference profile begins with that AWS defines: where it may send a request.
const PROFILES: [&str; 8] = ["us", "eu", "apac", "jp", "au", "ca", "us-gov", "global"];

pub(super) const NO_INFERENCE_PROFILE: &str = "`embeddingModel` must be a model: Bedrock's knowledge bases take no inference \
                                               profile for embeddings";

/// Whether a name is that of an inference profile: by such a name Bedrock has no foundation model, and no page of AWS
/// says that a knowledge base takes one.
pub(super) fn is_inference_profile(model: &str) -> bool {
    let by_region = model.split_once('.').is_some_and(|(first, _)| PROFILES.contains(&first));
    by_region || model.contains("inference-profile/")
}

pub(super) fn no_inference_profile() -> Rule {
    let prefixes = PROFILES.map(|prefix| format!("!self.embeddingModel.startsWith('{prefix}.')"));
    rule(
        format!(
            "!has(self.embeddingModel) || ({} && !self.embeddingModel.contains('inference-profile/'))",
            prefixes.join(" && ")
        ),
        NO_INFERENCE_PROFILE,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_on_offer() {
        for model in MODELS {
            assert!(model.dimensions.contains(&model.default), "{}", model.id);
            assert_eq!(model.send_dimensions, model.dimensions.len() > 1, "{}", model.id);
        }
        assert!(lookup(DEFAULT_MODEL).is_some());
        assert!(lookup("acme.embed-v9").is_none());
    }
}
