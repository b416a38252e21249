//! Tags of one's own on what a stack owns in AWS.

use std::collections::BTreeMap;

use kube::core::Rule;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::rules::rule;

/// Tags as users write them.
pub type Tags = BTreeMap<String, String>;

pub(super) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 40,
        // Bedrock would take any white space; IAM takes no tab and no line break.
        "additionalProperties": { "type": "string", "maxLength": 256, "pattern": "^[a-zA-Z0-9 ._:/=+@-]*$" },
    })
}

/// AWS keeps `aws:` for itself in any case; what begins with `tenantry` says whose a thing is, or who may read it, and must not be
/// forged, nor seem to be.
pub(super) fn keys_are_free() -> Rule {
    rule(
        "self.all(key, size(key) <= 128 && key.matches('^[a-zA-Z0-9 _.:/=+@-]+$') \
         && !key.lowerAscii().startsWith('aws:') && !key.lowerAscii().startsWith('tenantry'))",
        "keys of `tags` must have 1 to 128 letters, digits, spaces or _.:/=+@- and must not begin with 'aws:' or \
         'tenantry', in whatever case",
    )
}

/// For IAM two such keys are one, and it refuses both when all before the role is built.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html>
pub(super) fn keys_differ() -> Rule {
    rule(
        "self.all(key, self.exists_one(other, other.lowerAscii() == key.lowerAscii()))",
        "keys of `tags` must differ in more than upper and lower case: for IAM they are the same",
    )
}
