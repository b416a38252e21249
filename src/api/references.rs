//! What one object says of another, or of a model: by name.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Names a SharedStack.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StackRef {
    /// The name of the SharedStack. It must admit this Tenant's namespace in `allowedNamespaces`.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"))]
    pub name: String,
}

/// Which model answers.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answers {
    /// The model, by id, inference profile or ARN (also a custom model's), for example 'amazon.nova-pro-v1:0'.
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^[a-zA-Z0-9][a-zA-Z0-9._:/-]*$"))]
    pub model: String,
}

/// Names a TenantClass.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassRef {
    /// The name of the TenantClass. It must admit this Tenant's namespace in `allowedNamespaces`.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"))]
    pub name: String,
}
