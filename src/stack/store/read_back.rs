//! The way back: what an index and a network policy that are there were made from. Settings may come as they were sent,
//! or as OpenSearch shows them: nested, every number a string, without what is the default, and all of it under the name
//! of the index.

use serde_json::Value;

use super::facts::StoreFacts;
use super::found_index::FoundIndex;
use super::opensearch::{VECTOR_FIELD, space_type};
use crate::api::{
    Access, Attribute, AttributeType, Collection, Distance, Network, NetworkSettings, StandbyReplicas,
};

/// The schema of an index, whether it comes alone or under the index's name, as OpenSearch has it.
pub(crate) fn unwrapped(mut answer: Value) -> Value {
    let wrapped = match answer.as_object_mut() {
        Some(fields) if fields.len() == 1 && !fields.contains_key("mappings") => fields.values_mut().next(),
        _ => None,
    };
    match wrapped {
        Some(schema) if schema.get("mappings").is_some() => schema.take(),
        _ => answer,
    }
}

/// Reads the schema of an index.
pub(crate) fn index(schema: &Value) -> FoundIndex {
    let vector = |path: &str| schema.pointer(&format!("/mappings/properties/{VECTOR_FIELD}{path}"));
    // Since OpenSearch 2.17 it may stand on the field.
    let spaces = ["/method/space_type", "/space_type"];
    let space = spaces.iter().find_map(|path| vector(path).and_then(Value::as_str));
    let distance = [Distance::Euclidean, Distance::InnerProduct]
        .into_iter()
        .find(|distance| Some(space_type(*distance)) == space);
    let mut found = FoundIndex {
        dimensions: vector("/dimension").and_then(number),
        distance,
        other_distance: space.filter(|_| distance.is_none()).map(Into::into),
        m: vector("/method/parameters/m").and_then(number),
        ef_construction: vector("/method/parameters/ef_construction").and_then(number),
        ef_search: EF_SEARCH.iter().find_map(|path| schema.pointer(path)).and_then(number),
        ..FoundIndex::default()
    };
    let properties = schema.pointer("/mappings/properties").and_then(Value::as_object);
    for (name, mapping) in properties.into_iter().flatten().filter(|(name, _)| may_be_declared(name)) {
        let kind = mapping.get("type").and_then(Value::as_str);
        match kind {
            Some("double") => found.attributes.push(attribute(name, AttributeType::Number)),
            Some("boolean") => found.attributes.push(attribute(name, AttributeType::Boolean)),
            Some("text") if is_ours(mapping) => found.texts.push(name.clone()),
            _ => {}
        }
    }
    found
}

/// What a spec says of a collection that is there, where that is not the default.
pub(crate) fn collection(facts: &StoreFacts) -> Option<Collection> {
    let StoreFacts::OpenSearchServerless(facts) = facts else { return None };
    let replicas = facts.collection.as_ref().and_then(|it| StandbyReplicas::of_aws(&it.standby_replicas));
    let network = facts.network.as_ref().and_then(|policy| network(&policy.document));
    let is_usual = |network: &Network| {
        let written = Collection { network: Some(network.clone()), ..Collection::default() };
        let usual = NetworkSettings::Private { vpc_endpoint_ids: Vec::new() };
        Collection::resolve(Some(&written)).is_ok_and(|it| it.network == usual)
    };
    Some(Collection {
        standby_replicas: replicas.filter(|it| *it != StandbyReplicas::default()),
        network: network.filter(|it| !is_usual(it)),
    })
}

/// Reads a network policy.
fn network(document: &Value) -> Option<Network> {
    let policy = document.get(0).unwrap_or(document);
    let access = if policy.get("AllowFromPublic")?.as_bool()? { Access::Public } else { Access::Private };
    let ids = match policy.get("SourceVPCEs") {
        Some(Value::Array(ids)) => ids.iter().filter_map(Value::as_str).map(Into::into).collect(),
        Some(Value::String(id)) => vec![id.clone()],
        _ => Vec::new(),
    };
    Some(Network { access, vpc_endpoint_ids: ids })
}

/// Where the number of candidates may stand.
const EF_SEARCH: [&str; 4] = [
    "/settings/index/knn.algo_param.ef_search",
    "/settings/index/knn.algo_param/ef_search",
    "/settings/index/knn/algo_param/ef_search",
    "/settings/index.knn.algo_param.ef_search",
];

pub(crate) fn attribute(name: &str, type_: AttributeType) -> Attribute {
    Attribute { name: name.into(), type_ }
}

fn number(value: &Value) -> Option<i32> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_i64().and_then(|it| it.try_into().ok()),
    }
}

/// Text that a document brought along has a bound on its keyword; what we declare has none.
fn is_ours(mapping: &Value) -> bool {
    mapping.pointer("/fields/keyword/type").is_some_and(|kind| kind == "keyword")
        && mapping.pointer("/fields/keyword/ignore_above").is_none()
}

/// Bedrock's own fields are no attributes of anybody.
fn may_be_declared(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
        && !name.starts_with("AMAZON_BEDROCK")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::{HnswSettings, IndexSettings};
    use crate::stack::store::opensearch;

    #[test]
    fn a_schema_says_what_it_was_made_from() {
        for distance in [Distance::Euclidean, Distance::InnerProduct] {
            let attributes = vec![
                attribute("final", AttributeType::Boolean),
                attribute("kind", AttributeType::String),
                attribute("topics", AttributeType::StringList),
                attribute("year", AttributeType::Number),
            ];
            let hnsw = HnswSettings { m: 8, ef_construction: 100, ef_search: 256 };
            let settings = IndexSettings { distance, hnsw, attributes };
            let expected = FoundIndex {
                dimensions: Some(512),
                distance: Some(distance),
                other_distance: None,
                m: Some(8),
                ef_construction: Some(100),
                ef_search: Some(256),
                attributes: vec![
                    attribute("final", AttributeType::Boolean),
                    attribute("year", AttributeType::Number),
                ],
                texts: vec!["customer".into(), "kind".into(), "topics".into()],
            };
            let sent = opensearch::index_schema(512, &settings, Some("customer"));
            assert_eq!(index(&sent), expected);
            let mut shown = sent.clone();
            for settings in [
                json!({"index": {"knn": "true", "knn.algo_param": {"ef_search": "256"}}}),
                json!({"index": {"knn": {"algo_param": {"ef_search": "256"}}}}),
                json!({"index.knn.algo_param.ef_search": 256}),
            ] {
                shown["settings"] = settings;
                assert_eq!(index(&shown), expected, "{shown:#}");
            }
        }
        assert_eq!(index(&Value::Null), FoundIndex::default());
    }

    #[test]
    fn a_schema_under_the_name_of_its_index_is_no_empty_schema() {
        let schema = json!({"mappings": {"properties": {}}, "settings": {}});
        let only_mappings = json!({"mappings": {"properties": {}}});
        for (answer, expected) in [
            (schema.clone(), schema.clone()),
            (json!({"prod-ta-acme": schema}), schema.clone()),
            (only_mappings.clone(), only_mappings.clone()),
            (json!({"mappings": only_mappings}), json!({"mappings": only_mappings})),
            (json!({"a": schema, "b": schema}), json!({"a": schema, "b": schema})),
            (json!({"settings": {"index": {}}}), json!({"settings": {"index": {}}})),
            (json!({}), json!({})),
            (Value::Null, Value::Null),
        ] {
            assert_eq!(unwrapped(answer), expected);
        }
    }

    #[test]
    fn what_is_not_shown_is_unknown_and_what_is_shown_elsewhere_is_found() {
        let with = |vector: Value| index(&json!({"mappings": {"properties": {VECTOR_FIELD: vector}}}));
        let on_the_field =
            with(json!({"type": "knn_vector", "dimension": 512, "space_type": "innerproduct"}));
        assert_eq!(on_the_field.distance, Some(Distance::InnerProduct));
        let bare =
            json!({"type": "knn_vector", "dimension": 512, "method": {"space_type": null, "parameters": {}}});
        assert_eq!(with(bare), FoundIndex { dimensions: Some(512), ..FoundIndex::default() });
        let others = with(json!({"dimension": 512, "method": {"space_type": "cosinesimil"}}));
        assert_eq!((others.distance, others.other_distance.as_deref()), (None, Some("cosinesimil")));
    }

    #[test]
    fn what_documents_brought_along_is_not_taken_for_declared() {
        let brought =
            json!({"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}});
        let properties = json!({
            "note": brought, "pages": {"type": "long"}, "price": {"type": "float"},
            "x-amz-bedrock-kb-source-uri": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
            "AMAZON_BEDROCK_TEXT_CHUNK": {"type": "text"}, "AMAZON_BEDROCK_PAGE": {"type": "double"},
        });
        let schema = json!({"mappings": {"properties": properties}});
        assert_eq!(index(&schema), FoundIndex::default());
    }

    #[test]
    fn a_network_policy_says_who_gets_in() {
        let private = |ids: &[&str]| ids.iter().map(|id| id.to_string()).collect::<Vec<_>>();
        for ids in [private(&[]), private(&["vpce-1"]), private(&["vpce-1", "vpce-2"])] {
            let settings = NetworkSettings::Private { vpc_endpoint_ids: ids.clone() };
            let mut policy = opensearch::network("c", &settings);
            let expected = Some(Network { access: Access::Private, vpc_endpoint_ids: ids.clone() });
            assert_eq!(network(&policy), expected);
            // AWS may answer a list of one as its element.
            assert_eq!(network(&policy[0]), expected);
            if let [id] = &ids[..] {
                policy[0]["SourceVPCEs"] = json!(id);
                assert_eq!(network(&policy), expected);
            }
        }
        let public = Network { access: Access::Public, vpc_endpoint_ids: Vec::new() };
        assert_eq!(network(&opensearch::network("c", &NetworkSettings::Public)), Some(public));
        assert_eq!(network(&Value::Null), None);
    }
}
