//! What lies where in a bucket.

use super::identity::Identity;
use crate::api::Layer;

/// The folder of all pool documents.
pub const POOL: &str = "pool/";
/// The folder of all that the operator writes for itself.
pub const OPERATORS_OWN: &str = "tenantry/";
/// What a metadata file's name ends with.
pub const SUFFIX: &str = ".metadata.json";

/// Where a stack's owner leaves word of what it retained. A SharedStack's marker lies beside the folder of the
/// tenants', where no tenantId can have its name.
pub fn marker_key(identity: &Identity) -> String {
    match identity.tenant_id() {
        Some(tenant_id) => format!("{MARKERS}{tenant_id}.json"),
        None => "tenantry/retained-stack.json".into(),
    }
}

/// The folder of all markers in a bucket.
pub const MARKERS: &str = "tenantry/retained/";

/// Where the owner of a data source writes what its last job was started for.
pub fn ledger_key(owner: &Identity) -> String {
    format!("tenantry/ledger/{}", owner.name(Layer::KnowledgeBase))
}

/// Where a Pool tenant's documents lie once it has retained them: beside its marker, and in no data source.
pub fn retained_prefix(tenant_id: &str) -> String {
    format!("{MARKERS}{tenant_id}/")
}
