//! The merge against its meaning: what a filter finds is worked out document by document, as Bedrock's documentation says.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::ask::strict;

type Document = BTreeMap<String, Value>;

const STORE: VectorStore = VectorStore::OpenSearchServerless;

fn own() -> Condition {
    Condition::equals("tenantId", "acme")
}

/// Whether a document is found. Values of different kinds are never equal, and what denies finds also what has no such key.
fn finds_one(condition: &Condition, document: &Document) -> bool {
    let found = document.get(&condition.key);
    let is = |wanted: &Value| found == Some(wanted);
    let among = || condition.value.as_array().is_some_and(|list| list.iter().any(is));
    let text = || found.and_then(Value::as_str).zip(condition.value.as_str());
    let numbers = || found.and_then(Value::as_f64).zip(condition.value.as_f64());
    match condition.operator {
        Operator::Equals => is(&condition.value),
        Operator::NotEquals => !is(&condition.value),
        Operator::In => among(),
        Operator::NotIn => !among(),
        Operator::GreaterThan => numbers().is_some_and(|(found, wanted)| found > wanted),
        Operator::GreaterThanOrEquals => numbers().is_some_and(|(found, wanted)| found >= wanted),
        Operator::LessThan => numbers().is_some_and(|(found, wanted)| found < wanted),
        Operator::LessThanOrEquals => numbers().is_some_and(|(found, wanted)| found <= wanted),
        Operator::StartsWith => text().is_some_and(|(found, wanted)| found.starts_with(wanted)),
        Operator::StringContains => text().is_some_and(|(found, wanted)| found.contains(wanted)),
        Operator::ListContains => {
            found.and_then(Value::as_array).is_some_and(|list| list.contains(&condition.value))
        }
    }
}

/// What of a filter is left in a store that leaves these operators out. None: nothing, so that it finds everything.
fn heeded(filter: &Filter, ignored: &[Operator]) -> Option<Filter> {
    let keep = |one: &Condition| !ignored.contains(&one.operator);
    let inner = |part: &Inner| match part {
        Inner::One(one) => keep(one).then(|| part.clone()),
        Inner::Group(join, group) => {
            let kept: Vec<_> = group.iter().filter(|one| keep(one)).cloned().collect();
            (!kept.is_empty()).then_some(Inner::Group(*join, kept))
        }
    };
    match filter {
        Filter::One(one) => keep(one).then(|| filter.clone()),
        Filter::Group(join, parts) => {
            let kept: Vec<_> = parts.iter().filter_map(inner).collect();
            (!kept.is_empty()).then_some(Filter::Group(*join, kept))
        }
    }
}

fn joined(join: Join, mut each: impl Iterator<Item = bool>) -> bool {
    match join {
        Join::And => each.all(|it| it),
        Join::Or => each.any(|it| it),
    }
}

fn finds(filter: Option<&Filter>, document: &Document) -> bool {
    let inner = |part: &Inner| match part {
        Inner::One(one) => finds_one(one, document),
        Inner::Group(join, group) => joined(*join, group.iter().map(|one| finds_one(one, document))),
    };
    match filter {
        None => true,
        Some(Filter::One(one)) => finds_one(one, document),
        Some(Filter::Group(join, parts)) => joined(*join, parts.iter().map(inner)),
    }
}

/// Whether AWS takes it. That there are two levels the types say.
fn is_legal(filter: &Filter) -> bool {
    let fits = |count: usize| (2..=GROUP).contains(&count);
    match filter {
        Filter::One(_) => true,
        Filter::Group(_, parts) => {
            let inner = |part: &Inner| match part {
                Inner::One(_) => true,
                Inner::Group(_, group) => fits(group.len()),
            };
            fits(parts.len()) && parts.iter().all(inner)
        }
    }
}

/// Whether the tenant's condition stands first, in every alternative.
fn is_first_everywhere(filter: &Filter) -> bool {
    let is_own = |part: &Inner| matches!(part, Inner::One(one) if *one == own());
    match filter {
        Filter::One(one) => *one == own(),
        Filter::Group(Join::And, parts) => is_own(&parts[0]),
        Filter::Group(Join::Or, parts) => {
            parts.iter().all(|part| matches!(part, Inner::Group(Join::And, group) if group[0] == own()))
        }
    }
}

/// All that must be so of one filter. Whether there was room.
fn holds(asked: &Filter, documents: &[Document], ignored: &[Operator]) -> bool {
    assert!(is_legal(asked), "{asked:?}");
    let Ok(merged) = narrowed(Some(&own()), Some(asked.clone()), "filter") else { return false };
    let merged = merged.unwrap();
    assert!(is_legal(&merged) && is_first_everywhere(&merged), "{asked:?}\n{merged:?}");
    let heeded = heeded(&merged, ignored);
    for document in documents {
        let both = finds_one(&own(), document) && finds(Some(asked), document);
        assert_eq!(finds(Some(&merged), document), both, "{asked:?}\n{merged:?}\n{document:?}");
        // What a store leaves out makes it find more, and never another's.
        let more = finds(heeded.as_ref(), document);
        assert!(!more || finds_one(&own(), document), "{merged:?} without {ignored:?} finds {document:?}");
    }
    true
}

fn documents() -> Vec<Document> {
    let documents = json!([
        {}, {"tenantId": "acme"}, {"tenantId": "umbrella"}, {"tenantId": ["acme", "umbrella"]}, {"tenantId": 7},
        {"tenantId": "acme", "x": 1}, {"tenantId": "umbrella", "x": 1}, {"tenantId": "acme", "x": 2, "y": "ab"},
        {"tenantId": "acme", "y": "ab"}, {"tenantId": "acme", "y": "b", "x": true}, {"x": 1, "y": "ab"},
        {"tenantId": "acme", "y": ["ab", "b"]}, {"tenantId": "umbrella", "y": ["ab"], "x": 2}, {"tenantId": "acme2", "y": "b"},
    ]);
    serde_json::from_value(documents).unwrap()
}

/// Filters that AWS takes, by chance. A generator of its own: a hundred thousand must be a matter of seconds.
struct Chance(fastrand::Rng);

impl Chance {
    fn of<T: Clone>(&mut self, these: &[T]) -> T {
        these[self.0.usize(..these.len())].clone()
    }

    fn condition(&mut self) -> Condition {
        let scalars = [json!(1), json!(2), json!("ab"), json!("b"), json!(true), json!("umbrella")];
        let operator = self.of(&Operator::ALL);
        let value = match operator.row().1 {
            Operand::Scalar => self.of(&scalars),
            Operand::Number => self.of(&[json!(0), json!(1), json!(1.5)]),
            Operand::Text => self.of(&[json!("a"), json!("b"), json!("ab"), json!("umb")]),
            Operand::List => (0..self.0.usize(1..3)).map(|_| self.of(&scalars)).collect(),
        };
        Condition { operator, key: self.of(&["x", "y", "tenantId", "z"]).into(), value }
    }

    fn join(&mut self) -> Join {
        self.of(&[Join::And, Join::Or])
    }

    fn inner(&mut self) -> Inner {
        if self.0.usize(..3) > 0 {
            return Inner::One(self.condition());
        }
        let size = self.0.usize(2..=GROUP);
        Inner::Group(self.join(), (0..size).map(|_| self.condition()).collect())
    }

    fn filter(&mut self) -> Filter {
        if self.0.usize(..10) == 0 {
            return Filter::One(self.condition());
        }
        let size = self.0.usize(2..=GROUP);
        Filter::Group(self.join(), (0..size).map(|_| self.inner()).collect())
    }

    /// Operators that a store leaves out. The tenant's own is the one that every store has.
    fn ignored(&mut self) -> Vec<Operator> {
        (0..self.0.usize(..4)).map(|_| self.of(&Operator::ALL[1..])).collect()
    }
}

#[test]
fn a_merged_filter_finds_what_both_find() {
    let mut chance = Chance(fastrand::Rng::with_seed(18));
    let documents = documents();
    let (mut room, mut none) = (0, 0);
    for _ in 0..100_000 {
        let (asked, ignored) = (chance.filter(), chance.ignored());
        if holds(&asked, &documents, &ignored) { room += 1 } else { none += 1 }
    }
    assert!(room > 60_000 && none > 1_000, "{room} {none}");
}

/// All multisets of `size` out of these.
fn multisets<T: Clone>(of: &[T], size: usize) -> Vec<Vec<T>> {
    if size == 0 {
        return vec![Vec::new()];
    }
    let with = |(n, first): (usize, &T)| {
        let first = first.clone();
        multisets(&of[n..], size - 1)
            .into_iter()
            .map(move |rest| [vec![first.clone()], rest].concat())
            .collect::<Vec<_>>()
    };
    of.iter().enumerate().flat_map(with).collect()
}

/// Whether a filter has room for one more condition, as the documentation says it.
fn has_room(filter: &Filter) -> bool {
    let Filter::Group(join, parts) = filter else { return true };
    let sizes = |which: Join| {
        parts.iter().filter_map(move |part| match part {
            Inner::Group(join, group) if *join == which => Some(group.len()),
            _ => None,
        })
    };
    let ones = parts.iter().filter(|part| matches!(part, Inner::One(_))).count();
    match join {
        Join::And => {
            let conditions = ones + sizes(Join::And).sum::<usize>();
            parts.len() < GROUP || conditions.div_ceil(GROUP) + sizes(Join::Or).count() < GROUP
        }
        Join::Or => {
            let alternatives = ones + sizes(Join::And).count() + sizes(Join::Or).sum::<usize>();
            alternatives <= GROUP && sizes(Join::And).all(|size| size < GROUP)
        }
    }
}

#[test]
fn every_filter_of_two_conditions_is_merged_or_has_no_room() {
    let conditions = [
        Condition { operator: Operator::Equals, key: "x".into(), value: json!(1) },
        Condition { operator: Operator::NotEquals, key: "y".into(), value: json!("ab") },
    ];
    let mut parts: Vec<_> = conditions.iter().cloned().map(Inner::One).collect();
    for join in [Join::And, Join::Or] {
        let groups = (2..=GROUP).flat_map(|size| multisets(&conditions, size));
        parts.extend(groups.map(|group| Inner::Group(join, group)));
    }
    let by_size = |size: usize| {
        let seen = |part: &&Inner| match part {
            Inner::One(_) => true,
            Inner::Group(_, group) => [2, 4, 5].contains(&group.len()) && group[0] != group[group.len() - 1],
        };
        // With four and five parts what is in a group matters by its size alone, as it does in what is asked here.
        let mut few: Vec<Inner> = parts.iter().filter(seen).cloned().collect();
        few.dedup_by_key(|part| match part {
            Inner::One(one) => (None, 0, Some(one.operator)),
            Inner::Group(join, group) => (Some(*join), group.len(), None),
        });
        multisets(&few, size)
    };
    let (documents, mut seen) = (documents(), 0);
    for group in [multisets(&parts, 2), multisets(&parts, 3), by_size(4), by_size(5)].concat() {
        for join in [Join::And, Join::Or] {
            let filter = Filter::Group(join, group.clone());
            assert_eq!(holds(&filter, &documents, &[Operator::NotEquals]), has_room(&filter), "{filter:?}");
            seen += 1;
        }
    }
    for one in conditions {
        assert!(holds(&Filter::One(one), &documents, &[Operator::NotEquals]));
    }
    assert!(seen > 20_000, "{seen}");
}

fn read(filter: &Value) -> Result<Filter, Refusal> {
    Filter::read(strict::read(filter.to_string().as_bytes())?, "filter", STORE)
}

#[test]
fn a_filter_is_written_as_it_is_read() {
    let mut chance = Chance(fastrand::Rng::with_seed(19));
    for _ in 0..2_000 {
        let filter = chance.filter();
        assert_eq!(read(&serde_json::to_value(&filter).unwrap()), Ok(filter));
    }
}

#[test]
fn who_needs_no_filter_gets_the_clients_alone() {
    let asked = read(&json!({"equals": {"key": "x", "value": 1}})).unwrap();
    assert_eq!(narrowed(None, Some(asked.clone()), ""), Ok(Some(asked)));
    assert_eq!(narrowed(None, None, ""), Ok(None));
    assert_eq!(narrowed(Some(&own()), None, ""), Ok(Some(Filter::One(own()))));
}

#[test]
fn what_is_no_filter_is_refused_where_it_stands() {
    let one = || json!({"equals": {"key": "x", "value": 1}});
    let deep = json!({"orAll": [one(), {"andAll": [one(), {"orAll": [one(), one()]}]}]});
    for (filter, why) in [
        (json!({}), "filter: must have one operator"),
        (json!([]), "filter: must be an object"),
        (
            json!({"equals": {"key": "x", "value": 1}, "in": {"key": "x", "value": [1]}}),
            "filter: must have one operator",
        ),
        (json!({"matches": {"key": "x", "value": 1}}), "filter.matches: is no operator of a filter"),
        (json!({"equals": {"key": "x"}}), "filter.equals.value: is needed"),
        (json!({"equals": {"key": "x", "value": null}}), "filter.equals.value: is needed"),
        (json!({"equals": {"key": "", "value": 1}}), "filter.equals.key: must have 1 to 100 characters"),
        (
            json!({"equals": {"key": "x".repeat(101), "value": 1}}),
            "filter.equals.key: must have 1 to 100 characters",
        ),
        (json!({"equals": {"key": 1, "value": 1}}), "filter.equals.key: must be a text"),
        (
            json!({"equals": {"key": "x", "value": 1, "boost": 2}}),
            "filter.equals.boost: is not taken by this gateway",
        ),
        (
            json!({"equals": {"key": "x", "value": {"a": 1}}}),
            "filter.equals.value: must be a text, a number, true or false",
        ),
        (
            json!({"equals": {"key": "x", "value": [1]}}),
            "filter.equals.value: must be a text, a number, true or false",
        ),
        (json!({"greaterThan": {"key": "x", "value": "1"}}), "filter.greaterThan.value: must be a number"),
        (json!({"startsWith": {"key": "x", "value": 1}}), "filter.startsWith.value: must be a text"),
        (json!({"in": {"key": "x", "value": []}}), "filter.in.value: must be a list that is not empty"),
        (
            json!({"notIn": {"key": "x", "value": "a"}}),
            "filter.notIn.value: must be a list that is not empty",
        ),
        (
            json!({"in": {"key": "x", "value": [[1]]}}),
            "filter.in.value: must be a list of texts, numbers, true or false",
        ),
        (json!({"andAll": [one()]}), "filter.andAll: must have two to 5 filters"),
        (json!({"andAll": vec![one(); 6]}), "filter.andAll: must have two to 5 filters"),
        (json!({"orAll": {}}), "filter.orAll: must have two to 5 filters"),
        (json!({"orAll": [one(), {"not": one()}]}), "filter.orAll[1].not: is no operator of a filter"),
        (deep, "filter.orAll[1].andAll[1].orAll: is one level too deep: AWS takes two"),
    ] {
        assert_eq!(read(&filter).unwrap_err().message(), why, "{filter}");
    }
    let full = read(&json!({"andAll": vec![json!({"orAll": [one(), one()]}); 5]})).unwrap();
    let why = narrowed(Some(&own()), Some(full), "filter").unwrap_err();
    assert!(matches!(why, Refusal::Invalid { ref field, .. } if field == "filter"), "{why:?}");
}
