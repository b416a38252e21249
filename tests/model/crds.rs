//! The definitions: what `crds/` holds is what the code says, and every field explains itself.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tenantry::api;

pub use tenantry::api::admission::SCHEMAS;

/// Calls `f` with the path and schema of everything below `schema`.
pub fn walk(path: &str, schema: &Value, f: &mut impl FnMut(&str, &Value)) {
    f(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, f);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            walk(&format!("{path}{suffix}"), &schema[key], f);
        }
    }
}

fn everywhere(mut f: impl FnMut(&str, &Value)) {
    for (kind, schema) in &*SCHEMAS {
        walk(kind, schema, &mut f);
    }
}

#[test]
fn the_files_are_what_the_code_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    for (name, wanted) in api::crds::files() {
        let found = fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert!(found == wanted, "crds/{name} is out of date; refresh it with: make crds");
    }
}

#[test]
fn every_field_has_a_description() {
    everywhere(|path, schema| {
        let is_element = path.ends_with("[]") || path.ends_with("{}");
        let text = schema["description"].as_str().unwrap_or_default();
        assert!(is_element || !text.trim().is_empty(), "{path} has no description");
        assert!(!text.contains("Rust") && !text.contains("kube::"), "{path} speaks of the code: {text}");
    });
}

/// Who looks after a hundred Tenants asks which of them has an id, or where documents of an id lie.
#[test]
fn no_column_that_an_administrator_looks_for_is_missing() {
    let crds = api::crds::crds();
    let tenant = crds.iter().find(|crd| crd.spec.names.kind == "Tenant").unwrap();
    let columns = tenant.spec.versions[0].additional_printer_columns.as_ref().unwrap();
    for (name, path) in
        [("Tenant Id", ".spec.tenantId"), ("Bucket", ".status.bucket"), ("Prefix", ".status.prefix")]
    {
        let column = columns.iter().find(|column| column.name == name).expect(name);
        assert_eq!(column.json_path, path);
    }
}

/// Without bounds the API server cannot estimate what a rule costs.
#[test]
fn everything_users_write_has_bounds() {
    everywhere(|path, schema| {
        if !path.contains(".spec") {
            return;
        }
        let bound = match schema["type"].as_str() {
            Some("string") if schema["enum"].is_null() => "maxLength",
            Some("array") => "maxItems",
            Some("integer") => "maximum",
            Some("object") if schema["properties"].is_null() => "maxProperties",
            _ => return,
        };
        assert!(schema[bound].is_number(), "{path} has no {bound}");
    });
}

#[test]
fn nothing_of_rust_shows() {
    everywhere(|path, schema| {
        assert!(schema["nullable"].is_null(), "{path} is nullable: `has()` would find a null there");
        let format = schema["format"].as_str().unwrap_or("int32");
        assert!(["int32", "int64", "date-time"].contains(&format), "{path} has the unknown format {format}");
        let words = schema["enum"].as_array().into_iter().flatten();
        for word in words.filter_map(Value::as_str) {
            assert!(word.starts_with(|c: char| c.is_ascii_uppercase()), "{path}: {word} is not PascalCase");
        }
        assert!(schema["enum"].as_array().is_none_or(|words| !words.contains(&Value::Null)), "{path}");
    });
}

/// A default is filled in before rules are checked: it must be legal in every pattern, model and strategy.
#[test]
fn only_these_fields_have_a_default_in_the_schema() {
    let mut defaults = Vec::new();
    everywhere(|path, schema| {
        if !schema["default"].is_null() && !path.contains(".status.") {
            defaults.push((path.to_owned(), schema["default"].clone()));
        }
    });
    let unseen = json!({"observedGeneration": -1});
    let expected = [
        ("SharedStack.spec.deletionPolicy", json!("Retain")),
        ("SharedStack.spec.pool.sidecars", json!("OperatorOnly")),
        ("SharedStack.spec.pool.tenantIdKey", json!("tenantId")),
        ("SharedStack.status", unseen.clone()),
        ("Tenant.spec.deletionPolicy", json!("Retain")),
        ("Tenant.status", unseen),
        ("TenantClass.spec.gateway.enforcement", json!("Enforce")),
    ];
    assert_eq!(defaults, expected.map(|(path, default)| (path.to_owned(), default)));
}

#[test]
fn the_kinds_are_named_as_the_constants_say() {
    for crd in api::crds::crds() {
        assert_eq!(crd.spec.group, api::GROUP);
        assert_eq!(crd.spec.versions[0].name, api::VERSION);
        assert_eq!(crd.spec.names.categories, Some(vec!["tenantry".to_owned()]));
        let is_class = crd.spec.names.kind == "TenantClass";
        let short = is_class.then(|| vec!["tclass".to_owned()]);
        assert_eq!(crd.spec.names.short_names, short, "short names collide with other projects'");
        let has_status = crd.spec.versions[0].subresources.as_ref().is_some_and(|s| s.status.is_some());
        assert_eq!(has_status, !is_class, "several installations would write the status of a class");
    }
}
