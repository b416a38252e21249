//! The two definitions as the API server gets them.

use std::{fs, io, path::Path};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use super::{SharedStack, Tenant};

/// Both definitions. Use these rather than `Tenant::crd()`, whose schema keeps the nulls of `Option`.
pub fn crds() -> Vec<CustomResourceDefinition> {
    [Tenant::crd(), SharedStack::crd()]
        .into_iter()
        .map(without_nulls)
        .collect()
}

/// Both definitions as one YAML stream.
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
    files()
        .into_iter()
        .try_for_each(|(name, yaml)| fs::write(dir.join(name), yaml))
}

fn document(crd: &CustomResourceDefinition) -> String {
    // Nothing in a definition can fail to serialise: it is maps, lists, strings and numbers.
    serde_saphyr::to_string(crd).unwrap_or_default()
}

/// An optional field of Rust takes null, and then `has()` finds it there. Without `nullable` the API server
/// treats a null as absent, which is what whoever wrote it meant.
fn without_nulls(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(schema) = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
        {
            strip_nullable(schema);
        }
    }
    crd
}

fn strip_nullable(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut())
        .for_each(strip_nullable);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        strip_nullable(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        strip_nullable(values);
    }
}
