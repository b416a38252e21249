//! The registry: an outside table that says which knowledge base answers for which tenant, for clients that do not read
//! the cluster.
//!
//! The table is its administrator's. An item is written when its tenant becomes Ready and whenever what it mirrors
//! changes; when the tenant leaves, all that a client could ask with is taken out of it, and what remains is a tombstone.
//! An item that somebody else wrote is never overwritten: the condition of each write says whose it may be.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::hash::fingerprint;
use super::identity::Identity;
use crate::api::{Equals, Pattern, RetrievalFilter, Status};

/// Where the registry is: `dynamodb:<table>`, in the operator's own account and region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table(String);

impl Table {
    /// The table's name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl FromStr for Table {
    type Err = &'static str;

    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |name: &&str| {
            (3..=255).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        };
        let name = text.strip_prefix("dynamodb:").filter(fits);
        name.map(|name| Self(name.into())).ok_or(
            "must be dynamodb:<table>, with the name of a table: 3 to 255 letters, digits, '_', '.' and '-'",
        )
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dynamodb:{}", self.0)
    }
}

/// What an item says of its tenant.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It can be asked.
    Ready,
    /// A tombstone: it was deleted, and what it had stays in AWS for whoever takes it over.
    Retained,
    /// A tombstone: it was deleted, and what answers for it goes.
    Deleted,
}

impl State {
    /// The word in the item.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Ready => "ready",
            State::Retained => "retained",
            State::Deleted => "deleted",
        }
    }
}

/// An item of the registry, as far as it is ours: other attributes are their writers'.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The key.
    pub tenant_id: String,
    /// What it says.
    pub state: State,
    /// The knowledge base to ask; a tombstone has none.
    pub knowledge_base_id: Option<String>,
    /// The filter that every question of a Pool tenant must carry.
    pub filter: Option<RetrievalFilter>,
    /// The bucket of its documents; a tombstone has none,
    pub bucket: Option<String>,
    /// nor the prefix in it.
    pub prefix: Option<String>,
    /// The model that answers: `spec.answers.model`.
    pub model_arn: Option<String>,
    /// The pattern.
    pub pattern: Pattern,
    /// When the tenant was deleted, on a tombstone.
    pub deleted_time: Option<String>,
    /// Whose it is: the installation that wrote it,
    pub installation: String,
    /// in this region, as a global table is seen in several,
    pub region: String,
    /// for this object, `Tenant/<namespace>/<name>`,
    pub owner: String,
    /// with this uid.
    pub uid: String,
}

impl Entry {
    /// A tenant that can be asked; `None` as long as that is not so.
    pub fn ready(id: &Identity, pattern: Pattern, status: &Status, model: Option<&str>) -> Option<Self> {
        let filter = status.retrieval_filter.clone();
        let own = |Equals { value, .. }: &Equals| Some(value.as_str()) == id.tenant_id();
        if pattern == Pattern::Pool && !filter.as_ref().is_some_and(|filter| own(&filter.equals)) {
            return None;
        }
        let knowledge_base_id = Some(status.knowledge_base_id.clone()?);
        let model_arn = model.map(Into::into);
        let (bucket, prefix) = (status.bucket.clone(), status.prefix.clone());
        let bare = Self::bare(id, pattern, State::Ready)?;
        Some(Self { knowledge_base_id, filter, bucket, prefix, model_arn, ..bare })
    }

    /// A tenant that nobody shall ask any more. The same each time, so that writing it twice changes nothing.
    pub fn tombstone(id: &Identity, pattern: Pattern, state: State, deleted_time: String) -> Option<Self> {
        Some(Self { deleted_time: Some(deleted_time), ..Self::bare(id, pattern, state)? })
    }

    fn bare(id: &Identity, pattern: Pattern, state: State) -> Option<Self> {
        Some(Self {
            tenant_id: id.tenant_id()?.into(),
            state,
            knowledge_base_id: None,
            filter: None,
            bucket: None,
            prefix: None,
            model_arn: None,
            pattern,
            deleted_time: None,
            installation: id.scope.installation.clone(),
            region: id.scope.region.clone(),
            owner: id.owner_tag(),
            uid: id.uid.clone(),
        })
    }

    /// A short hash of all that it says.
    pub fn hash(&self) -> String {
        fingerprint(&serde_json::to_string(self).unwrap_or_default())
    }

    /// Under which condition DynamoDB may write it, in its names for our attributes.
    ///
    /// Ours are our own, by uid, and those of an earlier object of our namespace and name, which is gone by
    /// construction. A tenant that becomes Ready has its id by the installation's record, so it may also follow on a
    /// tombstone of the installation: on any that is `deleted`; on one that is `retained` only where it is our own
    /// namespace's, because to nobody else does a record give what is retained. Other installations, and this one in
    /// another region, have records of their own. A tombstone makes no item where there was none.
    pub const fn condition(&self) -> &'static str {
        match self.state {
            State::Ready => {
                "attribute_not_exists(#tenantId) OR #uid = :uid OR (#installation = :installation AND #region = :region \
                 AND (#owner = :owner OR #state = :deleted OR (#state = :retained AND begins_with(#owner, :neighbours))))"
            }
            State::Retained | State::Deleted => {
                "#uid = :uid OR (#installation = :installation AND #region = :region AND #owner = :owner)"
            }
        }
    }

    /// How the owners of our namespace begin.
    pub fn neighbours(&self) -> &str {
        self.owner.rfind('/').map_or(&self.owner, |end| &self.owner[..=end])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::stack::identity::{Owner, Scope};

    fn id(pattern: Pattern) -> Identity {
        let owner = Owner::Tenant {
            namespace: "tenants".into(),
            name: "acme".into(),
            tenant_id: "acme".into(),
            pattern,
            stack: None,
        };
        let scope = Arc::new(Scope::new("prod", "123456789012", "eu-central-1"));
        Identity::new(scope, owner, "u-1")
    }

    fn status(filter: Option<&str>) -> Status {
        let equals = |value: &str| Equals { key: "tenantId".into(), value: value.into() };
        Status {
            knowledge_base_id: Some("KB1".into()),
            retrieval_filter: filter.map(|value| RetrievalFilter { equals: equals(value) }),
            ..Status::default()
        }
    }

    #[test]
    fn a_registry_is_a_table_of_dynamodb() {
        let named = |text: &str| text.parse::<Table>().map(|table| table.name().to_owned());
        assert_eq!(named("dynamodb:tenantKbConfig"), Ok("tenantKbConfig".into()));
        assert_eq!(named("dynamodb:a_b.c-9"), Ok("a_b.c-9".into()));
        assert!(named(&format!("dynamodb:{}", "x".repeat(255))).is_ok());
        for bad in ["", "tenants", "dynamodb:", "dynamodb:ab", "dynamodb:a b c", "dynamodb:a/b", "s3:tenants"]
        {
            assert!(named(bad).is_err(), "{bad}");
        }
        assert!(named(&format!("dynamodb:{}", "x".repeat(256))).is_err());
        assert!(named("dynamodb:arn:aws:dynamodb:us-east-1:1:table/t").is_err(), "a name, not an ARN");
        assert_eq!("dynamodb:tenants".parse::<Table>().unwrap().to_string(), "dynamodb:tenants");
    }

    #[test]
    fn a_pool_tenant_is_never_told_without_its_own_filter() {
        let ready = |pattern, filter| Entry::ready(&id(pattern), pattern, &status(filter), None);
        assert!(ready(Pattern::Pool, Some("acme")).is_some());
        assert_eq!(ready(Pattern::Pool, None), None);
        assert_eq!(ready(Pattern::Pool, Some("umbrella")), None);
        assert!(ready(Pattern::Bridge, None).is_some());
        let unbuilt = Entry::ready(&id(Pattern::Bridge), Pattern::Bridge, &Status::default(), None);
        assert_eq!(unbuilt, None);
    }

    #[test]
    fn a_tombstone_has_nothing_to_ask_with() {
        let pattern = Pattern::Pool;
        let tombstone =
            Entry::tombstone(&id(pattern), pattern, State::Deleted, "2026-01-01T00:00:00Z".into()).unwrap();
        assert_eq!(
            (&tombstone.knowledge_base_id, &tombstone.filter, &tombstone.model_arn),
            (&None, &None, &None)
        );
        assert_eq!((&tombstone.bucket, &tombstone.prefix), (&None, &None));
        assert_eq!(tombstone.owner, "Tenant/tenants/acme");
        assert_eq!(tombstone.neighbours(), "Tenant/tenants/");
    }

    #[test]
    fn whatever_is_told_changes_the_hash() {
        let told = |model| Entry::ready(&id(Pattern::Bridge), Pattern::Bridge, &status(None), model).unwrap();
        assert_eq!(told(None).hash(), told(None).hash());
        assert_ne!(told(None).hash(), told(Some("amazon.nova-pro-v1:0")).hash());
    }
}
