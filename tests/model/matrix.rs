//! The cases of `cel_matrix.yaml`. The e2e tests include this file to ask a real API server the same.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// One object, and whether it is admitted.
pub struct Case {
    pub name: String,
    /// What is there before; the case is then an update.
    pub before: Option<Value>,
    pub object: Value,
    /// Part of the answer, if it is refused.
    pub refused: Option<String>,
}

#[derive(Deserialize)]
struct Matrix {
    bases: BTreeMap<String, Value>,
    cases: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    base: String,
    given: Option<Value>,
    patch: Value,
    refused: Option<String>,
}

/// All cases, in the order of the file.
pub fn cases() -> Vec<Case> {
    let Matrix { bases, cases } = serde_saphyr::from_str(include_str!("cel_matrix.yaml")).unwrap();
    let case = |Written { name, base, given, patch, refused }: Written| {
        let base = &bases[&base];
        let before = given.map(|given| merged(base, &given));
        let object = merged(before.as_ref().unwrap_or(base), &patch);
        Case { name, before, object, refused }
    };
    cases.into_iter().map(case).collect()
}

/// `target` after a JSON merge patch.
fn merged(target: &Value, patch: &Value) -> Value {
    let mut result = target.clone();
    json_patch::merge(&mut result, patch);
    result
}
