//! May this object be acted upon? Decided before anything is built, from the spec and the caches.

use kube::core::SelectorExt;

use super::context::Context;
use crate::api::{
    DeletionPolicy, EncryptionSettings, Invalid, Isolation, PoolSettings, Reason, Shared, SharedStack,
    SharedStackSpec, Sidecars, Tenant,
};
use crate::stack::plan::Blocked;

impl From<Invalid> for Blocked {
    fn from(invalid: Invalid) -> Self {
        Blocked { reason: Reason::SpecInvalid, message: invalid.to_string() }
    }
}

fn refused<T>(reason: Reason, message: impl Into<String>) -> Result<T, Blocked> {
    Err(Blocked { reason, message: message.into() })
}

fn not_yet_built(field: &str, instead: &str) -> Result<(), Blocked> {
    refused(Reason::NotYetBuilt, format!("`spec.{field}` is not built yet in this release; {instead}"))
}

/// A Tenant's spec, parsed once, if nothing in it is invalid or not yet built.
pub fn tenant(tenant: &Tenant) -> Result<Isolation, Blocked> {
    let isolation = tenant.isolation()?;
    deletion_policy(&tenant.spec.deletion_policy)?;
    if let Isolation::Silo(silo) = &isolation {
        encryption(&silo.encryption)?;
    }
    Ok(isolation)
}

/// A SharedStack's spec, likewise.
pub fn shared_stack(spec: &SharedStackSpec) -> Result<Shared, Blocked> {
    let shared = spec.shared()?;
    deletion_policy(&spec.deletion_policy)?;
    encryption(&shared.encryption)?;
    if let Some(PoolSettings { sidecars: Sidecars::Merge, .. }) = &shared.pool {
        not_yet_built("pool.sidecars: Merge", "use 'OperatorOnly'")?;
    }
    Ok(shared)
}

fn deletion_policy(policy: &DeletionPolicy) -> Result<(), Blocked> {
    match policy {
        DeletionPolicy::RetainDocuments => {
            not_yet_built("deletionPolicy: RetainDocuments", "use 'Retain' or 'Delete'")
        }
        DeletionPolicy::Retain | DeletionPolicy::Delete => Ok(()),
    }
}

fn encryption(settings: &EncryptionSettings) -> Result<(), Blocked> {
    match settings {
        EncryptionSettings::Existing { .. } => {
            not_yet_built("encryption.key: Existing", "use 'AWSOwned' or 'Create' in a new object")
        }
        EncryptionSettings::AwsOwned | EncryptionSettings::Create => Ok(()),
    }
}

/// May a tenant of this namespace do that? Asked until the tenant has its hold: what is narrowed later leaves who is
/// already there in peace.
pub fn namespace(
    cx: &Context,
    namespace: &str,
    isolation: &Isolation,
    stack: Option<&SharedStack>,
) -> Result<(), Blocked> {
    let labels = cx.namespace_labels(namespace);
    match (isolation, stack) {
        (Isolation::Silo(_), _) => match &cx.settings.silo_namespaces {
            Some(selector) if !selector.matches(&labels) => refused(
                Reason::SiloNotAllowed,
                format!(
                    "Namespace '{namespace}' may not have Silo tenants: its labels do not match the operator's \
                     --silo-namespaces ({selector}). Use another pattern, or ask an administrator"
                ),
            ),
            _ => Ok(()),
        },
        (_, Some(stack)) => match &stack.spec.allowed_namespaces {
            Some(allowed) if !allowed.matches(&labels) => refused(
                Reason::NamespaceNotAllowed,
                "The SharedStack does not allow tenants of this namespace: the namespace's labels do not match its \
                 `allowedNamespaces`. Ask an administrator, or name another SharedStack",
            ),
            _ => Ok(()),
        },
        (_, None) => Ok(()),
    }
}

/// Does this SharedStack serve that pattern?
pub fn stack_serves(isolation: &Isolation, stack: &SharedStack) -> Result<(), Blocked> {
    if matches!(isolation, Isolation::Pool(_)) && stack.spec.pool.is_none() {
        return refused(
            Reason::StackHasNoPool,
            "The SharedStack has no pool; set `pool` on it, or choose the Bridge pattern in a new Tenant",
        );
    }
    Ok(())
}
