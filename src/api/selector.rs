//! Which namespaces may borrow.

use std::collections::BTreeMap;

use kube::KubeSchema;
use kube::core::{Expression, Selector, SelectorExt};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Selects namespaces by their labels. All that is said must hold; an empty selector selects every namespace.
// The selector of Kubernetes itself has no bounds and takes any word for an operator.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels that a namespace must have, each with this value. A namespace's own name is the label
    /// 'kubernetes.io/metadata.name'.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels")]
    pub match_labels: BTreeMap<String, String>,

    /// Requirements on the labels of a namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub match_expressions: Vec<Requirement>,
}

/// A requirement on one label of a namespace.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
    "`values` is required for the operators 'In' and 'NotIn', and must not be set for any other",
))]
pub struct Requirement {
    /// The label.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,

    /// 'In' and 'NotIn' compare the label with `values`; 'Exists' and 'DoesNotExist' ask whether there is one.
    /// A namespace without the label is 'NotIn' whatever the values.
    pub operator: Operator,

    /// In, NotIn: the values to compare with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub values: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 20,
        "additionalProperties": { "type": "string", "maxLength": 63 },
    })
}

impl NamespaceSelector {
    /// Whether a namespace with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let NamespaceSelector { match_labels, match_expressions } = self;
        let equal = |(key, value): (&String, &String)| Expression::Equal(key.clone(), value.clone());
        let all = match_labels.iter().map(equal).chain(match_expressions.iter().map(Into::into));
        all.collect::<Selector>().matches(labels)
    }
}

impl From<&Requirement> for Expression {
    fn from(requirement: &Requirement) -> Self {
        let Requirement { key, operator, values } = requirement;
        let (key, values) = (key.clone(), values.iter().cloned().collect());
        match operator {
            Operator::In => Expression::In(key, values),
            Operator::NotIn => Expression::NotIn(key, values),
            Operator::Exists => Expression::Exists(key),
            Operator::DoesNotExist => Expression::DoesNotExist(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selects_as_kubernetes_does() {
        let rag = BTreeMap::from([("team".to_owned(), "rag".to_owned())]);
        let requirement = |operator, values| json!({"matchExpressions": [{"key": "team", "operator": operator, "values": values}]});
        let nothing: [&str; 0] = [];
        for (selector, labelled, bare) in [
            (json!({}), true, true),
            (json!({"matchLabels": {"team": "rag"}}), true, false),
            (json!({"matchLabels": {"team": "web"}}), false, false),
            (requirement("In", json!(["web", "rag"])), true, false),
            (requirement("NotIn", json!(["rag"])), false, true),
            (requirement("Exists", json!(nothing)), true, false),
            (requirement("DoesNotExist", json!(nothing)), false, true),
        ] {
            let parsed: NamespaceSelector = serde_json::from_value(selector.clone()).unwrap();
            assert_eq!(parsed.matches(&rag), labelled, "{selector} on a labelled namespace");
            assert_eq!(parsed.matches(&BTreeMap::new()), bare, "{selector} on a bare namespace");
        }
    }
}
