//! The tests of Argo CD's scripts are made from the table and from its statuses. `readers test` runs them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tenantry::api::{PAUSED, SYNC_REQUESTED_AT};

use super::{Row, customizations, health, kept, refreshes, table};

fn assert_holds(file: &Path, text: &str) {
    if refreshes() {
        fs::write(file, text).unwrap();
    }
    let found = fs::read_to_string(file).unwrap_or_default();
    assert_eq!(
        found,
        text,
        "{} is to be refreshed, as tests/e2e/operating/readers/mod.rs says",
        file.display()
    );
}

#[test]
fn the_tests_of_the_health_script_are_those_of_the_table() {
    let tests: Vec<_> = table().iter().filter_map(health_test).collect();
    let text = format!(
        "# Written by a test of Tenantry: statuses and healths are those of its docs/status.md.\n{}",
        serde_saphyr::to_string(&json!({"tests": tests})).unwrap()
    );
    assert_holds(&health().join("health_test.yaml"), &text);
}

/// A test in Argo CD's format. It has none for what is being deleted: it asks no script then.
fn health_test(row: &Row) -> Option<Value> {
    let object = kept(&row.name);
    if object["metadata"]["deletionTimestamp"].is_string() {
        return None;
    }
    let message = |kind: &str| {
        let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        conditions.filter(|c| c["type"] == kind).find_map(|c| c["message"].as_str())
    };
    let message = match row.argo.as_str() {
        "Suspended" => Some("Paused by the annotation tenantry.dev/paused"),
        "Degraded" => message("Stalled"),
        "Healthy" => message("Ready"),
        _ if object["status"]["observedGeneration"] != object["metadata"]["generation"] => {
            Some("The operator has not seen the latest spec yet")
        }
        _ => message("Reconciling"),
    };
    let health = json!({"status": row.argo, "message": message});
    Some(json!({"inputPath": format!("testdata/{}.yaml", row.name), "healthStatus": health}))
}

/// An action is tested on a real object; what it makes of it differs in one annotation.
#[test]
fn actions_are_tested_on_real_objects() {
    for (kind, status) in [("Tenant", "ready"), ("SharedStack", "shared-stack")] {
        let annotated = |annotation: &str, value: &str| {
            let mut object = kept(status);
            object["metadata"]["annotations"][annotation] = value.into();
            object
        };
        for (name, object) in [
            ("ready", kept(status)),
            ("paused", annotated(PAUSED, "true")),
            ("sync-requested", annotated(SYNC_REQUESTED_AT, "2026-01-01T00:00:00Z")),
        ] {
            let file = customizations().join(format!("tenantry.dev/{kind}/actions/testdata/{name}.yaml"));
            assert_holds(&file, &serde_saphyr::to_string(&object).unwrap());
        }
    }
}
