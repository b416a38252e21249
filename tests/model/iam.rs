//! As much of IAM's evaluation as the printed policies use: statements that allow and deny, resources with wildcards, and the
//! conditions they are made of.

use serde_json::Value;

/// What a call asks of IAM.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Such as `s3:GetObject`.
    pub action: &'a str,
    /// An ARN, or `*` where the action knows no resource.
    pub resource: &'a str,
    /// Condition keys and their values.
    pub context: &'a [(&'a str, &'a str)],
}

/// Whether a policy allows it: some statement does, and none denies it.
pub fn allows(policy: &Value, request: Request<'_>) -> bool {
    !denies(policy, request) && applies(policy, "Allow", request)
}

/// Whether a policy denies it, whatever else allows it.
pub fn denies(policy: &Value, request: Request<'_>) -> bool {
    applies(policy, "Deny", request)
}

fn applies(policy: &Value, effect: &str, request: Request<'_>) -> bool {
    let statements = policy["Statement"].as_array().unwrap();
    statements.iter().filter(|statement| statement["Effect"] == effect).any(|statement| {
        let named = |key: &str| list(&statement[key]).any(|pattern| like(pattern, request.resource));
        let about =
            if statement["NotResource"].is_null() { named("Resource") } else { !named("NotResource") };
        list(&statement["Action"]).any(|action| action == request.action)
            && about
            && holds(&statement["Condition"], request.context)
    })
}

/// A list, or the one entry that stands for it.
pub fn list(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().chain(Some(value)).filter_map(Value::as_str)
}

fn holds(condition: &Value, context: &[(&str, &str)]) -> bool {
    let comparisons = condition.as_object().into_iter().flatten();
    comparisons.flat_map(|(how, keys)| keys.as_object().unwrap().iter().map(move |it| (how, it))).all(
        |(how, (key, wanted))| {
            let mut values =
                context.iter().filter(|(name, _)| name == key).map(|(_, value)| *value).peekable();
            let any = |test: &dyn Fn(&str, &str) -> bool, value: &str| {
                list(wanted).filter_map(|wanted| filled(wanted, context)).any(|wanted| test(&wanted, value))
            };
            match how.as_str() {
                // Of many values one is enough, where nobody says for how many it must hold.
                "StringEquals" | "Bool" | "ArnEquals" | "NumericEquals" => {
                    values.any(|value| any(&|a, b| a == b, value))
                }
                "BoolIfExists" => values.peek().is_none() || values.any(|value| any(&|a, b| a == b, value)),
                "NumericEqualsIfExists" => values.next().is_none_or(|value| any(&|a, b| a == b, value)),
                "StringLike" => values.any(|value| any(&like, value)),
                // Also of no values.
                "ForAllValues:StringLike" => values.all(|value| any(&like, value)),
                // Also where the key is not there.
                "StringNotEquals" | "ArnNotEquals" => {
                    values.next().is_none_or(|value| !any(&|a, b| a == b, value))
                }
                "StringNotLike" => values.next().is_none_or(|value| !any(&like, value)),
                "Null" => values.peek().is_none() == (wanted == "true"),
                "ForAllValues:StringEquals" => values.all(|value| any(&|a, b| a == b, value)),
                other => panic!("{other} is not known here"),
            }
        },
    )
}

/// A value with its variable filled in. One that nobody has set fits nothing.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html>
fn filled(value: &str, context: &[(&str, &str)]) -> Option<String> {
    let Some((before, rest)) = value.split_once("${") else { return Some(value.into()) };
    let (key, after) = rest.split_once('}')?;
    let (_, set) = context.iter().find(|(name, _)| *name == key)?;
    Some(format!("{before}{set}{after}"))
}

/// Whether a pattern fits, in which `*` is anything and `?` any one character.
fn like(pattern: &str, text: &str) -> bool {
    let mut rest = text.chars();
    match (pattern.chars().next(), rest.next()) {
        (None, first) => first.is_none(),
        (Some('*'), _) => {
            let ends = text.char_indices().map(|(n, _)| n).chain([text.len()]);
            ends.into_iter().any(|n| like(&pattern[1..], &text[n..]))
        }
        (Some(wanted), Some(first)) => {
            (wanted == '?' || wanted == first) && like(&pattern[wanted.len_utf8()..], rest.as_str())
        }
        (Some(_), None) => false,
    }
}
