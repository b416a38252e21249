//! Filters, as `Retrieve` takes them, and how a client's is joined with its tenant's so that it can only narrow.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_RetrievalFilter.html>
//!
//! A filter is a condition, or a group of two to five; in a group of groups each inner one has conditions only. The types
//! say so: a third level cannot be written down.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::refusal::Refusal;
use super::strict::{Members, Node};
use crate::api::VectorStore;
use crate::stack::store::without_operators;

/// How many a group has at most.
pub const GROUP: usize = 5;
/// How long a key may be, in characters.
const KEY: usize = 100;

/// The comparisons, in AWS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The value is this.
    Equals,
    /// The value is another, or there is none.
    NotEquals,
    /// The number is greater.
    GreaterThan,
    /// The number is not less.
    GreaterThanOrEquals,
    /// The number is less.
    LessThan,
    /// The number is not greater.
    LessThanOrEquals,
    /// The value is one of these.
    In,
    /// The value is none of these, or there is none.
    NotIn,
    /// The text begins so.
    StartsWith,
    /// The list has this among its texts.
    ListContains,
    /// The text has this in it.
    StringContains,
}

/// What an operator compares with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operand {
    Scalar,
    Number,
    Text,
    List,
}

impl Operator {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Equals,
        Self::NotEquals,
        Self::GreaterThan,
        Self::GreaterThanOrEquals,
        Self::LessThan,
        Self::LessThanOrEquals,
        Self::In,
        Self::NotIn,
        Self::StartsWith,
        Self::ListContains,
        Self::StringContains,
    ];

    /// As AWS writes it.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    const fn row(self) -> (&'static str, Operand) {
        match self {
            Self::Equals => ("equals", Operand::Scalar),
            Self::NotEquals => ("notEquals", Operand::Scalar),
            Self::GreaterThan => ("greaterThan", Operand::Number),
            Self::GreaterThanOrEquals => ("greaterThanOrEquals", Operand::Number),
            Self::LessThan => ("lessThan", Operand::Number),
            Self::LessThanOrEquals => ("lessThanOrEquals", Operand::Number),
            Self::In => ("in", Operand::List),
            Self::NotIn => ("notIn", Operand::List),
            Self::StartsWith => ("startsWith", Operand::Text),
            Self::ListContains => ("listContains", Operand::Text),
            Self::StringContains => ("stringContains", Operand::Text),
        }
    }

    fn value(self, node: Node, path: &str) -> Result<Value, Refusal> {
        let scalar = |node: Node| match node {
            Node::Text(text) => Some(Value::String(text)),
            Node::Number(number) => Some(Value::Number(number)),
            Node::Bool(truth) => Some(Value::Bool(truth)),
            _ => None,
        };
        let (value, what) = match (self.row().1, node) {
            (Operand::Scalar, node) => (scalar(node), "a text, a number, true or false"),
            (Operand::Number, Node::Number(number)) => (Some(Value::Number(number)), ""),
            (Operand::Number, _) => (None, "a number"),
            (Operand::Text, Node::Text(text)) => (Some(Value::String(text)), ""),
            (Operand::Text, _) => (None, "a text"),
            (Operand::List, Node::List(list)) if !list.is_empty() => {
                let list = list.into_iter().map(scalar).collect::<Option<_>>();
                (list.map(Value::Array), "a list of texts, numbers, true or false")
            }
            (Operand::List, _) => (None, "a list that is not empty"),
        };
        value.ok_or_else(|| Refusal::invalid(path, format!("must be {what}")))
    }
}

/// One comparison of a document's metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    operator: Operator,
    key: String,
    value: Value,
}

impl Condition {
    /// That a key has this text.
    pub fn equals(key: &str, value: &str) -> Self {
        Self { operator: Operator::Equals, key: key.into(), value: value.into() }
    }

    /// The comparison,
    pub const fn operator(&self) -> Operator {
        self.operator
    }

    /// of what has this key,
    pub fn key(&self) -> &str {
        &self.key
    }

    /// with this.
    pub const fn value(&self) -> &Value {
        &self.value
    }
}

/// How the parts of a group are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// All of them must be so.
    And,
    /// One of them must be so.
    Or,
}

impl Join {
    const fn as_str(self) -> &'static str {
        match self {
            Self::And => "andAll",
            Self::Or => "orAll",
        }
    }
}

/// A condition, or a group of conditions.
#[derive(Clone, Debug, PartialEq)]
pub enum Inner {
    /// A condition.
    One(Condition),
    /// A group.
    Group(Join, Vec<Condition>),
}

/// A whole filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// A condition.
    One(Condition),
    /// A group, with one level below it at most.
    Group(Join, Vec<Inner>),
}

/// A part of a filter while it is read, before it is known where it may stand.
enum Part {
    One(Condition),
    Group(Join, String, Vec<Node>),
}

impl Filter {
    /// Reads a client's filter, which stands at `path`, for a store.
    pub fn read(node: Node, path: &str, store: VectorStore) -> Result<Self, Refusal> {
        match part(node, path, store)? {
            Part::One(one) => Ok(Self::One(one)),
            Part::Group(join, path, list) => {
                let inner = list.into_iter().enumerate();
                let inner = inner.map(|(n, node)| Inner::read(node, &format!("{path}[{n}]"), store));
                Ok(Self::Group(join, inner.collect::<Result<_, _>>()?))
            }
        }
    }
}

impl Inner {
    fn read(node: Node, path: &str, store: VectorStore) -> Result<Self, Refusal> {
        match part(node, path, store)? {
            Part::One(one) => Ok(Self::One(one)),
            Part::Group(join, path, list) => {
                let inner = list.into_iter().enumerate();
                let inner = inner.map(|(n, node)| match part(node, &format!("{path}[{n}]"), store)? {
                    Part::One(one) => Ok(one),
                    Part::Group(_, path, _) => {
                        Err(Refusal::invalid(path, "is one level too deep: AWS takes two"))
                    }
                });
                Ok(Self::Group(join, inner.collect::<Result<_, _>>()?))
            }
        }
    }
}

fn part(node: Node, path: &str, store: VectorStore) -> Result<Part, Refusal> {
    let one = Members::of(node, path)?.only();
    let Some((name, node)) = one else {
        return Err(Refusal::invalid(path, "must have one operator"));
    };
    let path = format!("{path}.{name}");
    if let Some(join) = [Join::And, Join::Or].into_iter().find(|join| join.as_str() == name) {
        return match node {
            Node::List(list) if (2..=GROUP).contains(&list.len()) => Ok(Part::Group(join, path, list)),
            _ => Err(Refusal::invalid(path, format!("must have two to {GROUP} filters"))),
        };
    }
    let Some(operator) = Operator::ALL.into_iter().find(|operator| operator.as_str() == name) else {
        return Err(Refusal::invalid(path, "is no operator of a filter"));
    };
    // A store that does not know an operator fails, or leaves it out and says nothing.
    if without_operators(store).contains(&operator.as_str()) {
        return Err(Refusal::invalid(path, format!("is not an operator of {store}")));
    }
    let mut members = Members::of(node, &path)?;
    let key = members.text("key")?.filter(|key| (1..=KEY).contains(&key.chars().count()));
    let key =
        key.ok_or_else(|| Refusal::invalid(members.path("key"), format!("must have 1 to {KEY} characters")))?;
    let at = members.path("value");
    let value = members.take("value").ok_or_else(|| Refusal::invalid(at.as_str(), "is needed"))?;
    members.done()?;
    Ok(Part::One(Condition { operator, key, value: operator.value(value, &at)? }))
}

/// The filter that finds what both find: the tenant's own condition and the client's filter. The tenant's stands first, and
/// in every alternative, so that a store that leaves out what it does not understand still finds none but the tenant's.
/// None: there is nothing to filter by. `path` is where the client's stands.
pub fn narrowed(
    own: Option<&Condition>,
    asked: Option<Filter>,
    path: &str,
) -> Result<Option<Filter>, Refusal> {
    let Some(own) = own else { return Ok(asked) };
    let both = match asked {
        None => Some(Filter::One(own.clone())),
        Some(Filter::One(one)) => all(own, vec![Inner::One(one)]),
        Some(Filter::Group(Join::And, parts)) if parts.len() < GROUP => all(own, parts),
        Some(Filter::Group(Join::And, parts)) => packed(parts).and_then(|parts| all(own, parts)),
        Some(Filter::Group(Join::Or, parts)) => any(own, parts),
    };
    both.map(Some).ok_or_else(|| {
        let why = format!(
            "has no room for the tenant's own condition: AWS takes {GROUP} filters in a group and two levels. Use {} at most in \
             each group",
            GROUP - 1
        );
        Refusal::invalid(path, why)
    })
}

/// The tenant's condition and all of these.
fn all(own: &Condition, mut parts: Vec<Inner>) -> Option<Filter> {
    parts.insert(0, Inner::One(own.clone()));
    (parts.len() <= GROUP).then_some(Filter::Group(Join::And, parts))
}

/// Parts that must all be so, in fewer: conditions go together into groups, for which there is one more level.
fn packed(parts: Vec<Inner>) -> Option<Vec<Inner>> {
    let (mut conditions, mut alternatives) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Inner::One(one) => conditions.push(one),
            Inner::Group(Join::And, group) => conditions.extend(group),
            Inner::Group(Join::Or, _) => alternatives.push(part),
        }
    }
    let groups = conditions.chunks(GROUP).map(|chunk| match chunk {
        [one] => Inner::One(one.clone()),
        more => Inner::Group(Join::And, more.to_vec()),
    });
    let fewer: Vec<_> = groups.chain(alternatives).collect();
    (fewer.len() < GROUP).then_some(fewer)
}

/// One of these, and in each the tenant's condition. An alternative that is a choice itself becomes several.
fn any(own: &Condition, parts: Vec<Inner>) -> Option<Filter> {
    let mut alternatives: Vec<Vec<Condition>> = Vec::new();
    for part in parts {
        match part {
            Inner::One(one) => alternatives.push(vec![one]),
            Inner::Group(Join::And, group) => alternatives.push(group),
            Inner::Group(Join::Or, group) => alternatives.extend(group.into_iter().map(|one| vec![one])),
        }
    }
    if alternatives.len() > GROUP || alternatives.iter().any(|it| it.len() >= GROUP) {
        return None;
    }
    if alternatives.iter().all(|it| it.len() == 1) {
        return all(own, vec![Inner::Group(Join::Or, alternatives.into_iter().flatten().collect())]);
    }
    let each = alternatives.into_iter().map(|mut conditions| {
        conditions.insert(0, own.clone());
        Inner::Group(Join::And, conditions)
    });
    Some(Filter::Group(Join::Or, each.collect()))
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.operator.as_str(), &Attribute { key: &self.key, value: &self.value })?;
        map.end()
    }
}

#[derive(serde::Serialize)]
struct Attribute<'a> {
    key: &'a str,
    value: &'a Value,
}

impl Serialize for Inner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(one) => one.serialize(serializer),
            Self::Group(join, parts) => group(*join, parts, serializer),
        }
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(one) => one.serialize(serializer),
            Self::Group(join, parts) => group(*join, parts, serializer),
        }
    }
}

fn group<S: Serializer>(join: Join, parts: &[impl Serialize], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(join.as_str(), parts)?;
    map.end()
}

#[cfg(test)]
mod tests;
