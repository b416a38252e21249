//! The rules: every one refuses something, with its message, and what is legal is admitted.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tenantry::api::placement::PLACEMENTS;
use tenantry::api::{Invalid, Isolation, Named, Pattern, SharedStack, Tenant, TenantClass, long_form};

use crate::{admission::refusal, crds, matrix};

#[test]
fn the_matrix_is_answered_as_it_says() {
    for case in matrix::cases() {
        if let Some(before) = &case.before {
            assert_eq!(refusal(before, None), None, "{}: what was there before", case.name);
        }
        match (refusal(&case.object, case.before.as_ref()), case.refused) {
            (None, None) => {}
            (Some(said), Some(part)) => assert!(said.contains(&part), "{}: {said}", case.name),
            (Some(said), None) => panic!("{} should be admitted: {said}", case.name),
            (None, Some(part)) => panic!("{} should be refused: {part}", case.name),
        }
    }
}

/// A rule that nobody has seen refuse anything may refuse nothing.
#[test]
fn every_rule_refuses_something() {
    let said: Vec<(Value, String)> = matrix::cases()
        .iter()
        .filter_map(|case| Some((case.object["kind"].clone(), refusal(&case.object, case.before.as_ref())?)))
        .collect();
    // A rule on a type that both kinds contain needs a case in one of them.
    let mut rules: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (kind, schema) in &*crds::SCHEMAS {
        crds::walk(kind, schema, &mut |_, schema| {
            for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
                rules
                    .entry(rule["message"].as_str().expect("every rule has a message").to_owned())
                    .or_default()
                    .push(kind);
            }
        });
    }
    assert!(rules.len() > 40);
    for (message, kinds) in rules {
        let heard =
            said.iter().any(|(kind, said)| kinds.iter().any(|k| kind == k) && said.contains(&message));
        assert!(heard, "no case is refused by the rule of {kinds:?}: {message}");
    }
}

/// What the API server admits the operator understands; what it refuses for its pattern, so does the operator.
#[test]
fn the_operator_reads_specs_as_the_api_server_does() {
    for case in matrix::cases().into_iter().filter(|case| case.before.is_none()) {
        let understood = match case.object["kind"].as_str() {
            Some("Tenant") => serde_json::from_value::<Tenant>(case.object.clone())
                .map_err(|error| error.to_string())
                .and_then(|tenant| by_class(&tenant).map(drop).map_err(|error| error.to_string())),
            Some("TenantClass") => serde_json::from_value::<TenantClass>(case.object.clone())
                .map_err(|error| error.to_string())
                .and_then(|class| of_class(&class)),
            _ => serde_json::from_value::<SharedStack>(case.object.clone())
                .map_err(|error| error.to_string())
                .and_then(|stack| stack.spec.shared().map(drop).map_err(|error| error.to_string())),
        };
        if case.refused.is_none() {
            assert_eq!(understood, Ok(()), "{}", case.name);
        }
        // An empty map of tags is the one thing that only the API server can tell from none.
        let is_default = !case.object["spec"]["defaults"].is_null();
        if let Some(part) = case
            .refused
            .filter(|part| !is_default && PLACEMENTS.iter().any(|placement| placement.instead.contains(part)))
        {
            let said = understood.expect_err(&case.name);
            assert!(said.contains(&part), "{}: {said}", case.name);
        }
    }
}

/// What a Tenant asks for. One that leaves its pattern to its class is of one here that places it.
fn by_class(tenant: &Tenant) -> Result<Isolation, Invalid> {
    let mut spec = tenant.spec.clone();
    if spec.pattern.is_none() && spec.class_ref.is_some() {
        spec.pattern = Some(Pattern::Silo);
    }
    spec.isolation()
}

/// Whether a Tenant of a class can be read that says nothing itself.
fn of_class(class: &TenantClass) -> Result<(), String> {
    let mut tenant = json!({"tenantId": "acme", "classRef": {"name": "class"}});
    if class.spec.placement.is_none() {
        tenant["pattern"] = json!("Silo");
    }
    let tenant = serde_json::from_value(tenant).unwrap();
    let long = long_form(&tenant, Some(Named { name: "class", spec: &class.spec }));
    let long = long.map_err(|error| error.to_string())?;
    long.isolation().map(drop).map_err(|error| error.to_string())
}

#[test]
fn every_example_is_admitted() {
    for name in [
        "shared-stack",
        "silo",
        "bridge",
        "pool",
        "leaving",
        "silo-s3-vectors",
        "shared-stack-s3-vectors",
        "tiers",
    ] {
        let path = format!("{}/examples/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let ours = objects.iter().filter(|object| object["apiVersion"] == json!("tenantry.dev/v1alpha1"));
        let answers: Vec<_> = ours.map(|object| refusal(object, None)).collect();
        assert!(!answers.is_empty() && answers.iter().all(Option::is_none), "{path}: {answers:?}");
    }
}
