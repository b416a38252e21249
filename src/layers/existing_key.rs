//! A key that is somebody's own: whether a stack may be encrypted with it, and whether it still can be.

use crate::api::Reason;
use crate::aws::Keys;
use crate::stack::accept::{key_is_here, not_allowed, refused};
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::Scope;
use crate::stack::model::blocked::Blocked;
use crate::stack::model::diff;

/// The tag by which a key's owner lets us use it; its value is our installation, or the namespace of one Tenant.
const ALLOW: &str = "tenantry.dev/allow";

/// May the stack be encrypted with this existing key? Asked before anything is written. A Tenant may use keys that
/// name its namespace; a SharedStack only keys that name the installation.
pub async fn may_be_used(
    keys: &Keys,
    scope: &Scope,
    arn: &str,
    namespace: Option<&str>,
) -> Result<Result<(), Blocked>, Fault> {
    if let elsewhere @ Err(_) = key_is_here(scope, arn) {
        return Ok(elsewhere);
    }
    let found = match keys.describe(arn).await {
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

/// Can this existing key still be used? Whoever owns it may switch it off at any time.
pub async fn can_be_used(keys: &Keys, arn: &str) -> Result<Result<(), Blocked>, Fault> {
    let unusable = match keys.describe(arn).await {
        Ok(Some((key, _))) => diff::unusable(&key.arn, &key.state),
        Ok(None) => Some(format!("KMS key {arn} is gone, and with it all that it has encrypted")),
        Err(fault) => return Ok(Err(Blocked::try_from(fault)?)),
    };
    Ok(match unusable {
        Some(why) => refused(Reason::KeyNotAllowed, format!("{why}. Nothing is changed until then")),
        None => Ok(()),
    })
}
