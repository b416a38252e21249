//! The definitions as the API server gets them.

use std::{fs, io, path::Path};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::{SharedStack, Tenant, TenantClass};

/// All definitions. Use these rather than `Tenant::crd()`, whose schema keeps traces of Rust's types.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut crds = vec![Tenant::crd(), SharedStack::crd(), TenantClass::crd()];
    for version in crds.iter_mut().flat_map(|crd| &mut crd.spec.versions) {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            tidy(schema);
            // What the operator reports is no wish, and is not held to the rules of wishes.
            if let Some(status) =
                schema.properties.as_mut().and_then(|properties| properties.get_mut("status"))
            {
                without_rules(status);
            }
        }
    }
    crds
}

/// All definitions as one YAML stream.
pub fn yaml() -> String {
    crds().iter().map(document).collect::<Vec<_>>().join("---\n")
}

/// Each definition with the name of its file.
pub fn files() -> Vec<(String, String)> {
    let name = |crd: &CustomResourceDefinition| format!("{}_{}.yaml", crd.spec.group, crd.spec.names.plural);
    crds().iter().map(|crd| (name(crd), document(crd))).collect()
}

/// Writes one file for each definition into `dir`.
pub fn write(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    files().into_iter().try_for_each(|(name, yaml)| fs::write(dir.join(name), yaml))
}

fn document(crd: &CustomResourceDefinition) -> String {
    let mut document = json!(crd);
    whole_numbers(&mut document);
    // Maps, lists, strings and numbers: nothing here can fail to serialise.
    serde_saphyr::to_string(&document).unwrap_or_default()
}

/// Takes out what comes from Rust and says something else to Kubernetes.
fn tidy(schema: &mut JSONSchemaProps) {
    // An `Option` takes null, and then `has()` finds it there. Without `nullable` the API server treats a null
    // as absent, which is what whoever wrote it meant.
    schema.nullable = None;
    if let Some(words) = &mut schema.enum_ {
        words.retain(|word| !word.0.is_null());
    }
    // The source breaks lines where they are full; a reader's terminal is as wide as it is.
    if let Some(text) = &mut schema.description {
        let paragraphs = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
        *text = paragraphs.collect::<Vec<_>>().join("\n\n");
    }
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(tidy);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}

fn without_rules(schema: &mut JSONSchemaProps) {
    schema.x_kubernetes_validations = None;
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(without_rules);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        without_rules(items);
    }
}

/// Bounds are floats in the type, and integers in every field that has one.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0) {
                *value = json!(float as i64);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        _ => {}
    }
}
