//! What can never be changed: what was left behind is taken over only where all of it is as the spec has it. Told in the
//! words of the spec, since that is what one must then write.

use serde_saphyr::FlowMap;

use super::desired::Desired;
use super::observed::Observation;
use crate::api::{Chunking, ChunkingSettings, Distance, VectorStore};
use crate::stack::compare::in_yaml;
use crate::stack::identity::Scope;
use crate::stack::store::{Fixed, StoreFacts, StoreHandle, read_back};

/// What can never be changed and is not as wanted: the setting, what AWS has, what is wanted.
pub fn immutable(scope: &Scope, want: &Desired, observed: &Observation) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |setting: &str, has: Option<String>, wanted: String| {
        let has = has.unwrap_or_else(|| "unknown".into());
        if has != wanted {
            differences.push(format!("{setting} is {has} and should be {wanted}"));
        }
    };
    // Of a store of another kind nothing else can be compared.
    if let (Some(wanted), Some(has)) = (want.store_kind(), store_left(observed)) {
        let setting =
            if want.vector_store.is_some() { "vectorStore" } else { "`vectorStore` of the SharedStack" };
        compare(setting, Some(has.to_string()), wanted.to_string());
    }
    if let (Some(want), Some(facts)) = (&want.vector_store, observed.vector_store.ours()) {
        for Fixed { setting, has, wanted } in want.fixed(facts) {
            compare(setting, has, wanted);
        }
    }
    if let (Some(want), Some(found)) = (&want.knowledge_base, observed.knowledge_base.ours()) {
        let model = |arn: &String| scope.model_of(arn).to_owned();
        let has = found.embedding_model_arn.as_ref().map(model);
        compare("knowledgeBase.embeddingModel", has, model(&want.embedding_model_arn));
        if let Some(source) = &found.data_source {
            let chunking = |settings: ChunkingSettings| in_yaml(&FlowMap(Chunking::from(settings)));
            compare("knowledgeBase.chunking", source.chunking.map(chunking), chunking(want.chunking));
        }
    }
    if let (Some(want), Some(found)) = (&want.index, observed.index.ours()) {
        let found = read_back(want.store.kind, &found.schema);
        let text = |number: Option<i32>| number.map(|it| it.to_string());
        let hnsw = want.settings.hnsw;
        let distance = |distance: Distance| in_yaml(&distance);
        // What an index does not show is not known to differ: the store leaves defaults out.
        for (setting, has, wanted) in [
            ("knowledgeBase.dimensions", text(found.dimensions), want.dimensions.to_string()),
            (
                "index.distance",
                found.distance.map(distance).or(found.other_distance),
                distance(want.settings.distance),
            ),
            ("index.hnsw.m", text(found.m), hnsw.m.to_string()),
            ("index.hnsw.efConstruction", text(found.ef_construction), hnsw.ef_construction.to_string()),
        ] {
            if has.is_some() {
                compare(setting, has, wanted);
            }
        }
    }
    differences
}

/// Which kind of store was left behind: the one that the knowledge base uses, or that has our name.
fn store_left(observed: &Observation) -> Option<VectorStore> {
    let used = observed.knowledge_base.ours().and_then(|facts| facts.store.as_ref());
    used.map(StoreHandle::kind).or_else(|| observed.vector_store.ours().map(StoreFacts::kind))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_is_said_of_chunks_can_be_pasted_into_a_spec() {
        for (settings, said) in [
            (
                ChunkingSettings::Hierarchical {
                    parent_max_tokens: 1500,
                    child_max_tokens: 300,
                    overlap_tokens: 60,
                },
                "{strategy: Hierarchical, parentMaxTokens: 1500, childMaxTokens: 300, overlapTokens: 60}",
            ),
            (
                ChunkingSettings::Semantic {
                    max_tokens: 300,
                    buffer_size: 0,
                    breakpoint_percentile_threshold: 95,
                },
                "{strategy: Semantic, maxTokens: 300, bufferSize: 0, breakpointPercentileThreshold: 95}",
            ),
            (ChunkingSettings::default(), "{strategy: FixedSize, maxTokens: 300, overlapPercentage: 20}"),
            (ChunkingSettings::None, "{strategy: None}"),
        ] {
            assert_eq!(in_yaml(&FlowMap(Chunking::from(settings))), said);
            let pasted: Value = serde_saphyr::from_str(said).unwrap();
            let chunking: Chunking = serde_json::from_value(pasted).unwrap();
            assert_eq!(chunking.resolve().unwrap(), settings);
        }
    }
}
