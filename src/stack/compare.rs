//! Whether AWS has what was asked for: tags, and documents as parsed JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// A value on one line, as one writes it in a manifest.
pub(crate) fn in_yaml(value: &impl Serialize) -> String {
    serde_saphyr::to_string(value).unwrap_or_default().trim_end().to_owned()
}

/// Whether what is there carries every tag that it should. Others' tags beside ours are theirs.
pub fn carries(found: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| found.get(key) == Some(value))
}

/// The changes, in their order, of whose subject it is not said that it is as it should be.
pub fn differing<C>(all: impl IntoIterator<Item = (C, bool)>) -> Vec<C> {
    all.into_iter().filter_map(|(change, is_right)| (!is_right).then_some(change)).collect()
}

/// Whether two policy documents say the same. AWS may answer a one-element list as its element.
pub fn same(a: &Value, b: &Value) -> bool {
    fn unwrapped(value: &Value) -> &Value {
        match value {
            Value::Array(items) if items.len() == 1 => unwrapped(&items[0]),
            other => other,
        }
    }
    match (unwrapped(a), unwrapped(b)) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        // Both ways, or a list that names one thing twice would pass for one that names two.
        (Value::Array(a), Value::Array(b)) => {
            let within = |a: &[Value], b: &[Value]| a.iter().all(|x| b.iter().any(|y| same(x, y)));
            a.len() == b.len() && within(a, b) && within(b, a)
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_are_compared_by_what_they_say() {
        for (a, b) in [
            (json!({"a": ["x", "y"], "b": "z"}), json!({"b": ["z"], "a": ["y", "x"]})),
            (json!([{"a": [[1]]}]), json!({"a": 1})),
            (json!([{"a": 1}, {"b": ["x"]}]), json!([{"b": "x"}, {"a": 1}])),
            (json!([]), json!([])),
            (json!({}), json!({})),
            (json!(null), json!(null)),
        ] {
            assert!(same(&a, &b), "{a} says the same as {b}");
            assert!(same(&b, &a), "{b} says the same as {a}");
        }
        for (a, b) in [
            (json!({"a": ["x", "y"]}), json!({"a": ["x"]})),
            (json!({"a": ["x", "y"]}), json!({"a": ["x", "z"]})),
            (json!({"a": ["x", "y"]}), json!({"a": ["x", "y", "z"]})),
            (json!({"a": 1}), json!({"a": 1, "b": 2})),
            (json!({"a": 1}), json!({"b": 1})),
            (json!({"a": 1}), json!({"a": 2})),
            (json!({"a": 1}), json!({"a": "1"})),
            (json!({"a": null}), json!({})),
            (json!([]), json!(null)),
            (json!([]), json!({})),
            (json!([1]), json!([])),
            (json!({}), json!(null)),
        ] {
            assert!(!same(&a, &b), "{a} does not say the same as {b}");
            assert!(!same(&b, &a), "{b} does not say the same as {a}");
        }
    }

    /// A list that says one thing twice lacks another: what somebody has done to a list so is not undone now.
    #[test]
    fn a_list_with_a_repetition_is_not_a_longer_one() {
        let (twice, both) = (json!(["x", "x"]), json!(["x", "y"]));
        assert!(!same(&both, &twice));
        assert!(!same(&twice, &both));
    }
}
