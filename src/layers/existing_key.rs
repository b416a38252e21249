//! A key that is somebody's own: whether a stack may be encrypted with it, and whether it still can be.

use crate::api::{Reason, VectorStore};
use crate::aws::Keys;
use crate::stack::accept::{key_is_here, not_allowed, refused};
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::Scope;
use crate::stack::lent;
use crate::stack::model::blocked::Blocked;
use crate::stack::model::diff;
use crate::stack::model::policy::lets_in;
use crate::stack::store::{NO_SUCH_KEY, features};

/// A tag that the next release will not read any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldTag {
    /// The key that bears it.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// Why an existing key is not used.
#[derive(Clone, Debug)]
pub enum Unusable {
    /// It may not be, until a person acts.
    Blocked(Blocked),
    /// Nobody can say at the moment.
    Unknown(Fault),
}

impl From<Blocked> for Unusable {
    fn from(blocked: Blocked) -> Self {
        Unusable::Blocked(blocked)
    }
}

impl From<Fault> for Unusable {
    /// A failure that needs a person blocks.
    fn from(fault: Fault) -> Self {
        Blocked::try_from(fault).map_or_else(Unusable::Unknown, Unusable::Blocked)
    }
}

/// May the stack be encrypted with this existing key? Asked before anything is written. A Tenant may use keys that
/// name its namespace; a SharedStack keys that name the installation.
///
/// Whoever asks for a key that is not lent to them learns nothing of it, not even whether there is one; the log has it for the
/// administrator.
pub async fn may_be_used(
    keys: &Keys,
    scope: &Scope,
    arn: &str,
    namespace: Option<&str>,
    store: VectorStore,
) -> Result<(), Unusable> {
    key_is_here(scope, arn)?;
    let not_lent = |why: &str| {
        tracing::info!(key = arn, namespace, why, "a key that is not lent was asked for");
        let wanted = lent::wanted(&scope.installation, namespace);
        let who = "whoever owns it lends it by the tag";
        Ok(not_allowed(arn, &format!("no key of this ARN is lent; {who} {} = '{wanted}'", lent::TAG))?)
    };
    let found = match keys.describe(arn).await {
        Ok(found) => found,
        // Whoever makes SharedStacks is an administrator, and is told what is missing.
        Err(fault) if fault.class == Class::Denied && namespace.is_some() => {
            return not_lent(&fault.to_string());
        }
        Err(fault) => return Err(fault.into()),
    };
    let Some((key, tags)) = found else { return not_lent("there is no such key") };
    let tag = tags.get(lent::TAG).map(String::as_str);
    if !lent::is_lent(tag, &scope.installation, namespace) {
        return not_lent(&format!("its tag {} is {tag:?}", lent::TAG));
    }
    let why = if !key.symmetric {
        "it is not symmetric".to_string()
    } else if key.multi_region {
        NO_SUCH_KEY.to_string()
    } else if key.state != "Enabled" {
        format!("it is {}, not Enabled", key.state)
    } else {
        match features(store).decrypts {
            Some(service) if !lets_store_in(keys, arn, store).await? => {
                format!(
                    "its policy does not let {service} do kms:Decrypt, without which no index is made under it"
                )
            }
            _ => return Ok(()),
        }
    };
    Ok(not_allowed(arn, &why)?)
}

/// A vector store may have a service of its own that decrypts by itself: only the key's policy can let it in. Where that cannot be
/// read, the store is asked.
pub async fn lets_store_in(keys: &Keys, arn: &str, store: VectorStore) -> Result<bool, Fault> {
    let Some(service) = features(store).decrypts else { return Ok(true) };
    let policy = match keys.policy(arn).await {
        Err(fault) if fault.class == Class::Denied => return Ok(true),
        policy => policy?,
    };
    Ok(policy.is_none_or(|policy| lets_in(&policy, service)))
}

/// Can this existing key still be used? Whoever owns it may switch it off at any time. Answers with its tag, if that is one of
/// which the next release knows nothing.
pub async fn can_be_used(keys: &Keys, arn: &str) -> Result<Option<OldTag>, Unusable> {
    let unusable = match keys.describe(arn).await? {
        Some((key, tags)) => match diff::unusable(&key.arn, &key.state) {
            None => {
                let value = tags.get(lent::TAG).filter(|value| lent::is_old(value)).cloned();
                return Ok(value.map(|value| OldTag { key: key.arn, value }));
            }
            Some(why) => why,
        },
        None => format!("KMS key {arn} is gone, and with it all that it has encrypted"),
    };
    Ok(refused(Reason::KeyNotAllowed, format!("{unusable}. Nothing is changed until then"))?)
}
