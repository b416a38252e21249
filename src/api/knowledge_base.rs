//! How documents become vectors: the embedding model and the chunks.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Invalid;
use super::rules::rule;
use super::{models, rules};

/// How documents become vectors: the embedding model and the way they are cut into chunks.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = models::known_dimensions())]
#[x_kube(validation = models::unknown_needs_dimensions())]
#[x_kube(validation = models::no_inference_profile())]
pub struct KnowledgeBase {
    /// The embedding model: a Bedrock model id, such as 'cohere.embed-multilingual-v3', or the ARN of a model.
    /// Default: 'amazon.titan-embed-text-v2:0'. May be set at creation only: vectors of two models cannot be
    /// compared. An inference profile is no embedding model. Of 'amazon.nova-2-multimodal-embeddings-v1:0' and
    /// 'amazon.titan-embed-image-v1' only what they make of text is used. Amazon's own models can be used at
    /// once; those of others, such as Cohere, once somebody who may subscribe to them in the AWS Marketplace has
    /// invoked them in the account.
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^[a-zA-Z0-9][a-zA-Z0-9._:/-]*$"))]
    pub embedding_model: Option<String>,

    /// The length of a vector. Longer ones find better and cost more memory. Default: the model's usual size,
    /// 1024 for the default model. Required for a model that Tenantry does not know, and then told to Bedrock
    /// as it is. May be set at creation only.
    #[schemars(range(min = 1, max = 4096))]
    pub dimensions: Option<i32>,

    /// How documents are cut before they are embedded. Default: strategy 'FixedSize' with 300 tokens and an
    /// overlap of 20 percent. May be set at creation only: Bedrock cannot change it, and chunks of two kinds
    /// would mix in one index. Cohere's models of version 3 take at most 512 tokens and 2,048 characters of a
    /// chunk.
    pub chunking: Option<Chunking>,
}

/// How documents are cut before they are embedded. Each strategy has parameters of its own: all of them must
/// be set, and no other.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = parameters_of("FixedSize"))]
#[x_kube(validation = parameters_of("Hierarchical"))]
#[x_kube(validation = parameters_of("Semantic"))]
#[x_kube(validation = parameters_of("None"))]
#[x_kube(validation = child_fits_parent())]
pub struct Chunking {
    /// 'FixedSize' cuts after so many tokens. 'Hierarchical' finds small chunks and answers with the large
    /// ones around them. 'Semantic' cuts where the meaning changes, and calls a model to know where. 'None'
    /// takes each document as one chunk.
    pub strategy: ChunkingStrategy,

    /// FixedSize, Semantic: how many tokens a chunk has at most.
    #[schemars(range(min = 1, max = 8192))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<i32>,

    /// FixedSize: how much of a chunk is repeated in the next one, in percent.
    #[schemars(range(min = 1, max = 99))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap_percentage: Option<i32>,

    /// Hierarchical: how many tokens a large chunk has at most. They are what a query returns.
    #[schemars(range(min = 1, max = 8192))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_max_tokens: Option<i32>,

    /// Hierarchical: how many tokens a small chunk has at most, no more than `parentMaxTokens`. They are what
    /// is embedded and compared.
    #[schemars(range(min = 1, max = 8192))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child_max_tokens: Option<i32>,

    /// Hierarchical: how many tokens a chunk repeats from the one before.
    #[schemars(range(min = 1, max = 8192))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap_tokens: Option<i32>,

    /// Semantic: how many sentences on each side are compared together with a sentence, 0 or 1.
    #[schemars(range(min = 0, max = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer_size: Option<i32>,

    /// Semantic: how unlike its neighbour a sentence must be to begin a new chunk. Higher makes fewer, larger
    /// chunks.
    #[schemars(range(min = 50, max = 99))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breakpoint_percentile_threshold: Option<i32>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ChunkingStrategy {
    FixedSize,
    Hierarchical,
    Semantic,
    None,
}

/// The parameters of each strategy.
const PARAMETERS: [(&str, &[&str]); 4] = [
    ("FixedSize", &["maxTokens", "overlapPercentage"]),
    ("Hierarchical", &["parentMaxTokens", "childMaxTokens", "overlapTokens"]),
    ("Semantic", &["maxTokens", "bufferSize", "breakpointPercentileThreshold"]),
    ("None", &[]),
];

fn parameters_message(strategy: &str, own: &[&str]) -> String {
    match own {
        [] => format!("strategy '{strategy}' must have no parameters"),
        [first @ .., last] => {
            let first = first.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ");
            format!("strategy '{strategy}' must have {first} and `{last}`, and no other parameters")
        }
    }
}

fn parameters_of(strategy: &str) -> kube::core::Rule {
    let own = PARAMETERS.iter().find(|(name, _)| *name == strategy).map_or(&[][..], |(_, own)| own);
    let mut all: Vec<&str> = PARAMETERS.iter().flat_map(|(_, fields)| fields.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    let terms = all.iter().map(|field| {
        if own.contains(field) { format!("has(self.{field})") } else { format!("!has(self.{field})") }
    });
    rule(
        format!("self.strategy != '{strategy}' || ({})", terms.collect::<Vec<_>>().join(" && ")),
        parameters_message(strategy, own),
    )
}

const CHILD_FITS_PARENT: &str = "`childMaxTokens` must not be more than `parentMaxTokens`";

fn child_fits_parent() -> kube::core::Rule {
    rules::rule(
        "!has(self.childMaxTokens) || !has(self.parentMaxTokens) || self.childMaxTokens <= self.parentMaxTokens",
        CHILD_FITS_PARENT,
    )
}

/// Bedrock cannot change how documents are cut.
pub(super) fn chunking_stays(instead: &str) -> kube::core::Rule {
    let is_usual = |root: &str| {
        let chunking = format!("{root}.knowledgeBase.chunking");
        let has =
            |field: &str, value: i32| format!("has({chunking}.{field}) && {chunking}.{field} == {value}");
        format!(
            "{chunking}.strategy == 'FixedSize' && {} && {}",
            has("maxTokens", USUAL_TOKENS),
            has("overlapPercentage", USUAL_OVERLAP)
        )
    };
    let words = format!(
        " (left out, it is 'FixedSize' with {USUAL_TOKENS} tokens and an overlap of {USUAL_OVERLAP} percent)"
    );
    rules::fixed_where("knowledgeBase.chunking", is_usual, &words, instead)
}

/// A knowledge base with every default filled in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnowledgeBaseSettings {
    pub embedding_model: String,
    pub dimensions: i32,
    /// Whether Bedrock may be told the dimensions; a model with one size refuses to hear it.
    pub send_dimensions: bool,
    pub chunking: ChunkingSettings,
}

/// A chunking strategy with exactly its parameters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChunkingSettings {
    FixedSize { max_tokens: i32, overlap_percentage: i32 },
    Hierarchical { parent_max_tokens: i32, child_max_tokens: i32, overlap_tokens: i32 },
    Semantic { max_tokens: i32, buffer_size: i32, breakpoint_percentile_threshold: i32 },
    None,
}

/// How many tokens a chunk has where nothing is written.
const USUAL_TOKENS: i32 = 300;
/// And how much of it is repeated, in percent.
const USUAL_OVERLAP: i32 = 20;

impl Default for ChunkingSettings {
    fn default() -> Self {
        ChunkingSettings::FixedSize { max_tokens: USUAL_TOKENS, overlap_percentage: USUAL_OVERLAP }
    }
}

impl KnowledgeBase {
    /// The embedding model that is written, or the default.
    pub fn model_of(written: Option<&Self>) -> &str {
        written.and_then(|it| it.embedding_model.as_deref()).unwrap_or(models::DEFAULT_MODEL)
    }

    pub fn resolve(written: Option<&Self>) -> Result<KnowledgeBaseSettings, Invalid> {
        let KnowledgeBase { embedding_model, dimensions, chunking } = written.cloned().unwrap_or_default();
        let embedding_model = embedding_model.unwrap_or_else(|| models::DEFAULT_MODEL.to_owned());
        if models::is_inference_profile(&embedding_model) {
            return Err(Invalid::new("knowledgeBase.embeddingModel", models::NO_INFERENCE_PROFILE));
        }
        let (dimensions, send_dimensions) = match (models::lookup(&embedding_model), dimensions) {
            (Some(model), None) => (model.default, model.send_dimensions),
            (Some(model), Some(size)) if model.dimensions.contains(&size) => (size, model.send_dimensions),
            (Some(_), Some(_)) => {
                return Err(Invalid::new("knowledgeBase.dimensions", models::known_dimensions_message()));
            }
            (None, Some(size)) => (size, true),
            (None, None) => {
                return Err(Invalid::new("knowledgeBase.dimensions", models::UNKNOWN_NEEDS_DIMENSIONS));
            }
        };
        let chunking = chunking.as_ref().map(Chunking::resolve).transpose()?.unwrap_or_default();
        Ok(KnowledgeBaseSettings { embedding_model, dimensions, send_dimensions, chunking })
    }
}

impl Chunking {
    pub fn resolve(&self) -> Result<ChunkingSettings, Invalid> {
        let all = (
            self.max_tokens,
            self.overlap_percentage,
            self.parent_max_tokens,
            self.child_max_tokens,
            self.overlap_tokens,
            self.buffer_size,
            self.breakpoint_percentile_threshold,
        );
        let field = "knowledgeBase.chunking";
        match (self.strategy, all) {
            (
                ChunkingStrategy::FixedSize,
                (Some(max_tokens), Some(overlap_percentage), None, None, None, None, None),
            ) => Ok(ChunkingSettings::FixedSize { max_tokens, overlap_percentage }),
            (
                ChunkingStrategy::Hierarchical,
                (
                    None,
                    None,
                    Some(parent_max_tokens),
                    Some(child_max_tokens),
                    Some(overlap_tokens),
                    None,
                    None,
                ),
            ) => {
                if child_max_tokens <= parent_max_tokens {
                    Ok(ChunkingSettings::Hierarchical { parent_max_tokens, child_max_tokens, overlap_tokens })
                } else {
                    Err(Invalid::new(field, CHILD_FITS_PARENT))
                }
            }
            (
                ChunkingStrategy::Semantic,
                (
                    Some(max_tokens),
                    None,
                    None,
                    None,
                    None,
                    Some(buffer_size),
                    Some(breakpoint_percentile_threshold),
                ),
            ) => Ok(ChunkingSettings::Semantic { max_tokens, buffer_size, breakpoint_percentile_threshold }),
            (ChunkingStrategy::None, (None, None, None, None, None, None, None)) => {
                Ok(ChunkingSettings::None)
            }
            (strategy, _) => {
                let (name, own) = PARAMETERS[strategy as usize];
                Err(Invalid::new(field, parameters_message(name, own)))
            }
        }
    }
}

impl From<ChunkingSettings> for Chunking {
    /// As one writes it: the strategy with its own parameters.
    fn from(settings: ChunkingSettings) -> Self {
        let bare = |strategy| Chunking {
            strategy,
            max_tokens: None,
            overlap_percentage: None,
            parent_max_tokens: None,
            child_max_tokens: None,
            overlap_tokens: None,
            buffer_size: None,
            breakpoint_percentile_threshold: None,
        };
        match settings {
            ChunkingSettings::FixedSize { max_tokens, overlap_percentage } => Chunking {
                max_tokens: Some(max_tokens),
                overlap_percentage: Some(overlap_percentage),
                ..bare(ChunkingStrategy::FixedSize)
            },
            ChunkingSettings::Hierarchical { parent_max_tokens, child_max_tokens, overlap_tokens } => {
                Chunking {
                    parent_max_tokens: Some(parent_max_tokens),
                    child_max_tokens: Some(child_max_tokens),
                    overlap_tokens: Some(overlap_tokens),
                    ..bare(ChunkingStrategy::Hierarchical)
                }
            }
            ChunkingSettings::Semantic { max_tokens, buffer_size, breakpoint_percentile_threshold } => {
                Chunking {
                    max_tokens: Some(max_tokens),
                    buffer_size: Some(buffer_size),
                    breakpoint_percentile_threshold: Some(breakpoint_percentile_threshold),
                    ..bare(ChunkingStrategy::Semantic)
                }
            }
            ChunkingSettings::None => bare(ChunkingStrategy::None),
        }
    }
}
