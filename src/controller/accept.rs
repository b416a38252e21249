//! May this object be acted upon? Decided before anything is built, from the spec and the caches.

use kube::core::SelectorExt;

use super::Error;
use super::context::Context;
use crate::api::{
    IngestionSettings, Invalid, Isolation, Reason, Shared, SharedStack, SharedStackSpec, Tenant,
};
use crate::documents::cron::Schedule;
use crate::stack::diff;
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::Scope;
use crate::stack::plan::Blocked;

impl From<Invalid> for Blocked {
    fn from(invalid: Invalid) -> Self {
        Blocked { reason: Reason::SpecInvalid, message: invalid.to_string() }
    }
}

fn refused<T>(reason: Reason, message: impl Into<String>) -> Result<T, Blocked> {
    Err(Blocked { reason, message: message.into() })
}

/// A Tenant's spec, parsed once, if nothing in it is invalid or not yet built.
pub fn tenant(tenant: &Tenant) -> Result<Isolation, Blocked> {
    let isolation = tenant.isolation()?;
    schedule(match &isolation {
        Isolation::Silo(silo) => silo.ingestion.as_ref(),
        Isolation::Bridge(bridge) => bridge.ingestion.as_ref(),
        Isolation::Pool(_) => None,
    })?;
    Ok(isolation)
}

/// A SharedStack's spec, likewise.
pub fn shared_stack(spec: &SharedStackSpec) -> Result<Shared, Blocked> {
    let shared = spec.shared()?;
    schedule(shared.pool.as_ref().and_then(|pool| pool.ingestion.as_ref()))?;
    Ok(shared)
}

/// A schedule that can be read, if there is one.
fn schedule(ingestion: Option<&IngestionSettings>) -> Result<(), Blocked> {
    match ingestion.map(Schedule::parse) {
        Some(Err(unreadable)) => refused(Reason::ScheduleInvalid, unreadable),
        _ => Ok(()),
    }
}

/// The tag by which a key's owner lets us use it; its value is our installation, or the namespace of one Tenant.
const ALLOW: &str = "tenantry.dev/allow";

/// May the stack be encrypted with this existing key? Asked before anything is written. A Tenant may use keys that
/// name its namespace; a SharedStack only keys that name the installation.
pub async fn existing_key(
    cx: &Context,
    arn: &str,
    namespace: Option<&str>,
) -> Result<Result<(), Blocked>, Error> {
    let scope = &cx.scope;
    if let elsewhere @ Err(_) = key_is_here(scope, arn) {
        return Ok(elsewhere);
    }
    let found = match cx.aws.keys.describe(arn).await {
        Ok(found) => found,
        Err(fault) if fault.class == Class::Denied => return Ok(not_allowed(arn, &fault.to_string())),
        Err(fault) => return Ok(Err(Blocked::try_from(fault)?)),
    };
    let Some((key, tags)) = found else { return Ok(not_allowed(arn, "there is no such key")) };
    let allowed = tags.get(ALLOW).map(String::as_str);
    let by_installation = allowed == Some(scope.installation.as_str());
    let by_namespace = namespace.is_some() && allowed == namespace;
    let why = if !key.symmetric {
        "it is not symmetric".to_string()
    } else if key.multi_region {
        "it is a multi-Region key, which OpenSearch Serverless does not take".to_string()
    } else if key.state != "Enabled" {
        format!("it is {}, not Enabled", key.state)
    } else if !(by_installation || by_namespace) {
        let or_namespace = namespace.map(|namespace| format!(" or '{namespace}'")).unwrap_or_default();
        format!("it must be tagged {ALLOW} = '{}'{or_namespace} by whoever owns it", scope.installation)
    } else {
        return Ok(Ok(()));
    };
    Ok(not_allowed(arn, &why))
}

/// Is this key where the stack is? The only thing about it that needs no question to AWS.
pub fn key_is_here(scope: &Scope, arn: &str) -> Result<(), Blocked> {
    match arn.starts_with(&scope.arn("kms", "key/")) {
        true => Ok(()),
        false => {
            let place = format!("{} in account {}", scope.region, scope.account);
            not_allowed(arn, &format!("it is not in region {place}, where the stack is"))
        }
    }
}

/// Can this existing key still be used? Whoever owns it may switch it off at any time.
pub async fn usable_key(cx: &Context, arn: &str) -> Result<Result<(), Blocked>, Fault> {
    let unusable = match cx.aws.keys.describe(arn).await {
        Ok(Some((key, _))) => diff::unusable(&key.arn, &key.state),
        Ok(None) => Some(format!("KMS key {arn} is gone, and with it all that it has encrypted")),
        Err(fault) => return Ok(Err(Blocked::try_from(fault)?)),
    };
    Ok(match unusable {
        Some(why) => refused(Reason::KeyNotAllowed, format!("{why}. Nothing is changed until then")),
        None => Ok(()),
    })
}

fn not_allowed(arn: &str, why: &str) -> Result<(), Blocked> {
    refused(Reason::KeyNotAllowed, format!("KMS key {arn} may not be used: {why}. Nothing was built"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_schedule_of_five_fields_in_a_real_time_zone_is_accepted() {
        let reason = |line: &str, zone: &str| {
            let settings =
                IngestionSettings { schedule: line.into(), time_zone: zone.into(), suspend: false };
            schedule(Some(&settings)).err().map(|blocked| blocked.reason)
        };
        for line in ["0 */2 * * *", "15 4 * * 1-5", "*/30 8-18 1 * *"] {
            assert_eq!(reason(line, "Europe/Vienna"), None, "{line}");
        }
        for line in [
            "",
            "0 0",
            "0 0 */2 * * *",
            "61 * * * *",
            "TZ=UTC 0 * * * *",
            "CRON_TZ=UTC 0 * * * *",
            "often",
            "0 0 30 2 *",
        ] {
            assert_eq!(reason(line, "Etc/UTC"), Some(Reason::ScheduleInvalid), "{line}");
        }
        assert_eq!(reason("0 * * * *", "Mars/Olympus"), Some(Reason::ScheduleInvalid));
    }
}
