//! What the API server would say of an object: its schema first, then its rules. Enough of both for our kinds;
//! the e2e tests hold it against a real API server.

use kube::core::cel::Validator;
use regex::Regex;
use serde_json::Value;

use crate::crds::SCHEMAS;

/// Nothing if `object` would be admitted in place of `before`, or what would be said.
pub fn refusal(object: &Value, before: Option<&Value>) -> Option<String> {
    let schema = &SCHEMAS[object["kind"].as_str()?];
    let mut complaints = Vec::new();
    check("", schema, object, &mut complaints);
    if complaints.is_empty() {
        let answer = Validator::new().validate_with_defaults(schema, object, before);
        let errors = answer.err().map(|errors| errors.into_vec()).unwrap_or_default();
        complaints.extend(errors.iter().map(|error| format!("{}: {}", error.field_path, error.message)));
    }
    (!complaints.is_empty()).then(|| complaints.join("; "))
}

fn check(path: &str, schema: &Value, value: &Value, complaints: &mut Vec<String>) {
    let mut complain = |what: String| complaints.push(format!("{}: {what}", path.trim_start_matches('.')));
    let bound = |name: &str| schema[name].as_f64();
    let (size, at_least, at_most) = match value {
        Value::String(text) => (text.chars().count() as f64, "minLength", "maxLength"),
        Value::Array(items) => (items.len() as f64, "minItems", "maxItems"),
        Value::Object(fields) => (fields.len() as f64, "minProperties", "maxProperties"),
        _ => (value.as_f64().unwrap_or_default(), "minimum", "maximum"),
    };
    let right_type = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        _ => value.is_object(),
    };
    if !right_type {
        return complain(format!("must be of type {}", schema["type"]));
    }
    if bound(at_least).is_some_and(|least| size < least) || bound(at_most).is_some_and(|most| size > most) {
        complain(format!("must be between {} and {}", schema[at_least], schema[at_most]));
    }
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str())
        && !Regex::new(pattern).unwrap().is_match(text)
    {
        complain(format!("must match {pattern}"));
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        complain(format!("must be one of {}", schema["enum"]));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check(&format!("{path}[{index}]"), &schema["items"], item, complaints);
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for field in required.filter(|field| value.get(field).is_none()) {
        complaints.push(format!("{}.{field}: is required", path.trim_start_matches('.')));
    }
    let typed = ["apiVersion", "kind", "metadata"];
    for (field, value) in value.as_object().into_iter().flatten() {
        let inner = format!("{path}.{field}");
        match (&schema["properties"][field], &schema["additionalProperties"]) {
            (Value::Null, Value::Null) if path.is_empty() && typed.contains(&field.as_str()) => {}
            (Value::Null, Value::Null) => complaints.push(format!("{inner}: is unknown")),
            (Value::Null, values) => check(&inner, values, value, complaints),
            (property, _) => check(&inner, property, value, complaints),
        }
    }
}
