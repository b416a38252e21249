//! DynamoDB: the items of the registry, one by one. The table itself is its administrator's.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;

use super::gate::Gate;
use crate::api::{Equals, RetrievalFilter};
use crate::stack::fault::Fault;
use crate::stack::iam::operation::dynamodb;
use crate::stack::registry::{Entry, State};

/// The key of the table.
const KEY: &str = "tenantId";

/// Items of the registry.
#[derive(Clone, Debug)]
pub struct Registry {
    client: Client,
    gate: Gate,
}

/// Our attributes of an item.
type Attributes = HashMap<&'static str, AttributeValue>;

/// An item that somebody wrote.
#[derive(Clone, Debug)]
pub struct Item(HashMap<String, AttributeValue>);

impl Item {
    /// Whether it says what we would write.
    pub fn is(&self, entry: &Entry) -> bool {
        let (told, absent) = attributes(entry);
        told.iter().all(|(name, value)| self.0.get(*name) == Some(value))
            && !absent.iter().any(|name| self.0.contains_key(*name))
    }

    /// A text in it.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_s().ok().map(String::as_str)
    }
}

impl Registry {
    pub(super) fn new(client: Client, gate: &Gate) -> Self {
        Self { client, gate: gate.clone() }
    }

    /// The item of a tenant. A table that is not there is a fault, not an answer.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html>
    pub async fn get(&self, table: &str, tenant_id: &str) -> Result<Option<Item>, Fault> {
        let call = self.gate.call(dynamodb::GetItem, table);
        let request =
            self.client.get_item().table_name(table).key(KEY, text(tenant_id)).consistent_read(true);
        Ok(call.send(request.send()).await?.item.map(Item))
    }

    /// Writes an item, if it is ours to write: if not, that is a conflict, and it stays as it is. Attributes that are
    /// not ours stay too.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html>
    pub async fn put(&self, table: &str, entry: &Entry) -> Result<(), Fault> {
        let call = self.gate.call(dynamodb::UpdateItem, table);
        let (told, absent) = attributes(entry);
        let mut sets: Vec<_> = told.keys().map(|name| format!("#{name} = :{name}")).collect();
        sets.sort();
        let removes: Vec<_> = absent.iter().map(|name| format!("#{name}")).collect();
        let remove =
            if removes.is_empty() { String::new() } else { format!(" REMOVE {}", removes.join(", ")) };
        let condition = entry.condition();
        let mut request = self.client.update_item().table_name(table).key(KEY, text(&entry.tenant_id));
        request = request
            .update_expression(format!("SET {}{remove}", sets.join(", ")))
            .condition_expression(condition);
        if condition.contains("#tenantId") {
            request = request.expression_attribute_names("#tenantId", KEY);
        }
        for name in told.keys().chain(&absent) {
            request = request.expression_attribute_names(format!("#{name}"), *name);
        }
        for (name, value) in told {
            request = request.expression_attribute_values(format!(":{name}"), value);
        }
        for state in [State::Deleted, State::Retained].map(State::as_str) {
            if condition.contains(&format!(":{state}")) {
                request = request.expression_attribute_values(format!(":{state}"), text(state));
            }
        }
        if condition.contains(":neighbours") {
            request = request.expression_attribute_values(":neighbours", text(entry.neighbours()));
        }
        call.send(request.send()).await.map(drop)
    }
}

/// What an item has of our attributes besides its key, and which of them it has not.
fn attributes(entry: &Entry) -> (Attributes, Vec<&'static str>) {
    let maybe = |value: &Option<String>| value.as_deref().map(text);
    let all = [
        ("state", Some(text(entry.state.as_str()))),
        ("knowledgebaseId", maybe(&entry.knowledge_base_id)),
        ("filter", entry.filter.as_ref().map(filter)),
        ("bucket", maybe(&entry.bucket)),
        ("prefix", maybe(&entry.prefix)),
        ("modelArn", maybe(&entry.model_arn)),
        ("pattern", Some(text(&entry.pattern.to_string()))),
        ("deletedTime", maybe(&entry.deleted_time)),
        ("installation", Some(text(&entry.installation))),
        ("region", Some(text(&entry.region))),
        ("owner", Some(text(&entry.owner))),
        ("uid", Some(text(&entry.uid))),
    ];
    let absent = all.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
    (all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(), absent)
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// The filter as Bedrock takes it, so that a client can send it as it is.
fn filter(RetrievalFilter { equals: Equals { key, value } }: &RetrievalFilter) -> AttributeValue {
    let equals = HashMap::from([("key".into(), text(key)), ("value".into(), text(value))]);
    AttributeValue::M(HashMap::from([("equals".into(), AttributeValue::M(equals))]))
}
