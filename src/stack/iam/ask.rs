//! Who asks: the role in whose sessions the gateway puts questions to knowledge bases, and the tags of a session. The same words
//! stand in the role's policies and in what STS is asked for.

/// Which installation's knowledge bases a session may ask: its tag `tenantry.dev/installation`.
pub const INSTALLATION: &str = "tenantry-installation";
/// Whose knowledge base a session may ask: its tag `tenantry.dev/owner`.
pub const OWNER: &str = "tenantry-owner";
/// The tenant for which it asks: nothing depends on it but what the bill and the trail say.
pub const TENANT_ID: &str = "tenantry-tenant-id";
