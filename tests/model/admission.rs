//! What the API server would say of an object, in one line; the e2e tests hold it against a real API server.

use serde_json::Value;
use tenantry::api::admission;

/// Nothing if `object` would be admitted in place of `before`, or what would be said.
pub fn refusal(object: &Value, before: Option<&Value>) -> Option<String> {
    let complaints = admission::refusals(object, before);
    (!complaints.is_empty()).then(|| complaints.join("; "))
}

/// Where a pattern cannot be read, nothing would be refused.
#[test]
fn every_pattern_is_one() {
    for (kind, schema) in &*admission::SCHEMAS {
        crate::crds::walk(kind, schema, &mut |path, schema| {
            if let Some(pattern) = schema["pattern"].as_str() {
                regex::Regex::new(pattern).unwrap_or_else(|error| panic!("{path}: {error}"));
            }
        });
    }
}
