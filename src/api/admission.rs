//! What the API server says of an object when it is created, or replaces another: its schema first, then its rules. For
//! whoever has no API server at hand. Enough of both for our kinds; the end-to-end tests hold it against a real one.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::cel::Validator;
use regex::Regex;
use serde_json::{Value, json};

use super::crds;

/// The schema of each kind.
pub static SCHEMAS: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    let schema =
        |crd: &CustomResourceDefinition| json!(crd.spec.versions[0].schema)["openAPIV3Schema"].clone();
    crds::crds().iter().map(|crd| (crd.spec.names.kind.clone(), schema(crd))).collect()
});

/// The fields that any object may have.
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// All that is wrong with `object`, in place of `before` if there is one. Nothing for a kind that is not ours.
pub fn refusals(object: &Value, before: Option<&Value>) -> Vec<String> {
    let Some(schema) = object["kind"].as_str().and_then(|kind| SCHEMAS.get(kind)) else {
        return Vec::new();
    };
    let object = &without_nulls(object);
    let mut complaints = Vec::new();
    metadata(&object["metadata"], &mut complaints);
    check("", schema, object, &mut complaints);
    if complaints.is_empty() {
        let answer = Validator::new().validate_with_defaults(schema, object, before);
        let errors = answer.err().map(|errors| errors.into_vec()).unwrap_or_default();
        complaints.extend(errors.iter().map(|error| {
            let path = if error.field_path.is_empty() { "<nil>" } else { &error.field_path };
            // What is no object and no list is said along.
            let value = object.pointer(&pointer(path)).filter(|it| !it.is_object() && !it.is_array());
            let value = value.map(|value| format!("{value}: ")).unwrap_or_default();
            format!("{path}: Invalid value: {value}{}", error.message)
        }));
    }
    complaints
}

/// `spec.list[0].field` as a JSON pointer.
fn pointer(path: &str) -> String {
    format!("/{}", path.replace('[', "/").replace(']', "").replace('.', "/"))
}

/// Fields that are null are not there: none of ours is nullable.
pub fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(fields.map(|(name, value)| (name.clone(), without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

fn metadata(metadata: &Value, complaints: &mut Vec<String>) {
    let fields = metadata.as_object().into_iter().flatten();
    let unknown = fields.filter(|(field, _)| !METADATA.contains(&field.as_str()));
    complaints.extend(unknown.map(|(field, _)| format!("unknown field \"metadata.{field}\"")));
    let Some(name) = metadata["name"].as_str().filter(|name| !name.is_empty()) else {
        return complaints.push("metadata.name: Required value: name or generateName is required".into());
    };
    for (field, name) in [("name", Some(name)), ("namespace", metadata["namespace"].as_str())] {
        let legal = |name: &&str| {
            let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
            let labels = name.split('.').all(|label| {
                let label = label.as_bytes();
                label.iter().all(|c| plain(*c) || *c == b'-')
                    && label.first().is_some_and(|c| plain(*c))
                    && label.last().is_some_and(|c| plain(*c))
            });
            labels && name.len() <= 253
        };
        if let Some(name) = name.filter(|name| !legal(name)) {
            complaints.push(format!(
                "metadata.{field}: Invalid value: {name:?}: a lowercase RFC 1123 subdomain must consist of lower case \
                 alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
            ));
        }
    }
}

fn check(path: &str, schema: &Value, value: &Value, complaints: &mut Vec<String>) {
    let here = path.trim_start_matches('.');
    let mut complain = |what: String| complaints.push(format!("{here}: {what}"));
    let wanted = schema["type"].as_str().unwrap_or("object");
    let (found, right) = match value {
        Value::String(_) => ("string", wanted == "string"),
        Value::Number(number) if number.is_i64() => ("integer", matches!(wanted, "integer" | "number")),
        Value::Number(_) => ("number", wanted == "number"),
        Value::Bool(_) => ("boolean", wanted == "boolean"),
        Value::Array(_) => ("array", wanted == "array"),
        _ => ("object", wanted == "object"),
    };
    if !right {
        return complain(format!(
            "Invalid value: \"{found}\": {here} in body must be of type {wanted}: \"{found}\""
        ));
    }
    bounds(here, schema, value, &mut complain);
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str())
        // A pattern of ours that is none would refuse nothing; a test compiles them all.
        && Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text))
    {
        complain(format!("Invalid value: {text:?}: {here} in body should match '{pattern}'"));
    }
    if let Some(words) = schema["enum"].as_array().filter(|words| !words.contains(value)) {
        let words = words.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
        complain(format!("Unsupported value: {value}: supported values: {words}"));
    }
    duplicates(here, schema, value, complaints);
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(&format!("{path}[{index}]"), &schema["items"], item, complaints);
    }
    fields(path, schema, value, complaints);
}

fn bounds(here: &str, schema: &Value, value: &Value, complain: &mut impl FnMut(String)) {
    let bound = |name: &str| schema[name].as_f64();
    let below = |name: &str, size: f64| bound(name).filter(|least| size < *least);
    let above = |name: &str, size: f64| bound(name).filter(|most| size > *most);
    match value {
        Value::String(text) => {
            let size = text.chars().count() as f64;
            if let Some(least) = below("minLength", size) {
                complain(format!(
                    "Invalid value: {text:?}: {here} in body should be at least {least} chars long"
                ));
            }
            if let Some(most) = above("maxLength", size) {
                complain(format!("Too long: may not be more than {most} bytes"));
            }
        }
        Value::Number(number) => {
            let size = number.as_f64().unwrap_or_default();
            if let Some(least) = below("minimum", size) {
                complain(format!(
                    "Invalid value: {number}: {here} in body should be greater than or equal to {least}"
                ));
            }
            if let Some(most) = above("maximum", size) {
                complain(format!(
                    "Invalid value: {number}: {here} in body should be less than or equal to {most}"
                ));
            }
        }
        Value::Array(_) | Value::Object(_) => {
            let (size, at_least, at_most) = match value {
                Value::Array(items) => (items.len(), "minItems", "maxItems"),
                _ => (value.as_object().map_or(0, |fields| fields.len()), "minProperties", "maxProperties"),
            };
            if let Some(least) = below(at_least, size as f64) {
                complain(format!("Invalid value: {size}: {here} in body should have at least {least} items"));
            }
            if let Some(most) = above(at_most, size as f64) {
                complain(format!("Too many: {size}: must have at most {most} items"));
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// A list that is a set, or a map by some of its items' fields.
fn duplicates(here: &str, schema: &Value, value: &Value, complaints: &mut Vec<String>) {
    let keys = schema["x-kubernetes-list-map-keys"].as_array();
    let identity = |item: &Value| match (schema["x-kubernetes-list-type"].as_str(), keys) {
        (Some("set"), _) => Some(item.clone()),
        (Some("map"), Some(keys)) => {
            let keys = keys.iter().filter_map(Value::as_str);
            Some(keys.map(|key| (key.to_owned(), item[key].clone())).collect())
        }
        _ => None,
    };
    let mut seen = Vec::new();
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        let Some(identity) = identity(item) else { return };
        if seen.contains(&identity) {
            complaints.push(format!("{here}[{index}]: Duplicate value: {identity}"))
        } else {
            seen.push(identity)
        }
    }
}

fn fields(path: &str, schema: &Value, value: &Value, complaints: &mut Vec<String>) {
    let inner = |field: &str| format!("{path}.{field}");
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for field in required.filter(|field| value.get(field).is_none()) {
        complaints.push(format!("{}: Required value", inner(field).trim_start_matches('.')));
    }
    let of_every_object = ["apiVersion", "kind", "metadata"];
    for (field, value) in value.as_object().into_iter().flatten() {
        match (&schema["properties"][field], &schema["additionalProperties"]) {
            _ if path.is_empty() && of_every_object.contains(&field.as_str()) => {}
            (Value::Null, Value::Null) => {
                complaints.push(format!("unknown field \"{}\"", inner(field).trim_start_matches('.')));
            }
            (Value::Null, values) => check(&inner(field), values, value, complaints),
            (property, _) => check(&inner(field), property, value, complaints),
        }
    }
}
