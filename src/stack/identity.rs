//! Who owns a stack, and what everything of it is called in AWS.
//!
//! Every name is a pure function of (installation, account, region, owner, pattern, layer, generation). That is what makes
//! creates idempotent: a process that died after a create finds the resource again by computing the same name.

mod claims;
mod partition;
mod scope;
mod tags;

pub use self::claims::OwnershipClaim;
pub use self::partition::{UnknownPartition, domain, known_partition, partition_of};
pub use self::scope::{Generation, Scope};
pub use self::tags::RETAINED;

use std::sync::Arc;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use self::scope::{HASH, HEAD, STACKS, TENANTS};
use crate::api::{Layer, Pattern};

/// The object that owns a stack's layers, in the terms that its AWS names and tags are made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A Tenant: named in AWS by its tenantId, tagged with its namespace and name.
    Tenant {
        /// The Tenant's namespace.
        namespace: String,
        /// The Tenant's name.
        name: String,
        /// `spec.tenantId`.
        tenant_id: String,
        /// `spec.pattern`.
        pattern: Pattern,
        /// `spec.stackRef.name`, for Bridge and Pool.
        stack: Option<String>,
    },
    /// A SharedStack.
    Stack {
        /// The SharedStack's name.
        name: String,
    },
}

/// What a stack is called, whose it is, and what proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Where it lives.
    pub scope: Arc<Scope>,
    /// Whose it is.
    pub owner: Owner,
    /// The owner's Kubernetes uid: what tells an object from its namesake of yesterday.
    pub uid: String,
    /// Which of the owner's stacks.
    pub generation: Generation,
    /// What of that which others left behind counts as ours.
    pub adopts: Adopts,
}

/// What an owner takes over of that which an earlier one left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Adopts {
    /// Nothing: on the way back only what is provably one's own goes.
    #[default]
    Nothing,
    /// What an earlier object of the same name left; and what another Tenant of the namespace left under the same tenantId,
    /// if somebody has approved just that.
    Left {
        /// The approval that somebody gave, if any.
        approved: Option<String>,
    },
}

impl Owner {
    /// Whoever has this tenant id, where nobody can say who that is.
    pub fn nobody(tenant_id: &str, pattern: Pattern, stack: Option<&str>) -> Self {
        Owner::Tenant {
            namespace: String::new(),
            name: String::new(),
            tenant_id: tenant_id.into(),
            pattern,
            stack: stack.map(Into::into),
        }
    }

    /// As it stands in tags: `Tenant/<namespace>/<name>` or `SharedStack/<name>`.
    pub fn tag(&self) -> String {
        match self {
            Owner::Tenant { namespace, name, .. } => format!("Tenant/{namespace}/{name}"),
            Owner::Stack { name } => format!("SharedStack/{name}"),
        }
    }

    /// The key prefix under which its documents live in the bucket it uses, with its closing slash.
    pub fn prefix(&self) -> String {
        match self {
            Owner::Tenant { pattern: Pattern::Silo, .. } => "documents/".into(),
            Owner::Tenant { pattern: Pattern::Bridge, tenant_id, .. } => format!("bridge/{tenant_id}/"),
            Owner::Tenant { pattern: Pattern::Pool, tenant_id, .. } => format!("pool/{tenant_id}/"),
            Owner::Stack { .. } => "pool/".into(),
        }
    }
}

impl Identity {
    /// The identity of a SharedStack in a scope; `uid` may be empty where only names are needed.
    pub fn of_stack(scope: Arc<Scope>, name: &str, uid: &str) -> Self {
        Self::new(scope, Owner::Stack { name: name.into() }, uid)
    }

    /// The identity of an owner in a scope, who takes over nothing; `uid` may be empty where only names are needed.
    pub fn new(scope: Arc<Scope>, owner: Owner, uid: &str) -> Self {
        Self { scope, owner, uid: uid.into(), generation: Generation::A, adopts: Adopts::Nothing }
    }

    /// The same owner, who takes over what was left behind, as far as it may.
    pub fn adopting(self, approved: Option<&str>) -> Self {
        Self { adopts: Adopts::Left { approved: approved.map(Into::into) }, ..self }
    }

    /// The resource's name in AWS: at most 28 characters of `[a-z0-9-]`, legal in every service.
    pub fn name(&self, layer: Layer) -> String {
        let (kind, pattern, id) = match &self.owner {
            Owner::Tenant { tenant_id, pattern, .. } => (TENANTS, pattern.to_string(), tenant_id),
            Owner::Stack { name } => (STACKS, "SharedStack".to_string(), name),
        };
        let scope = &self.scope;
        let generation = self.generation.letter();
        let Scope { installation, account, region, .. } = &**scope;
        let inputs = format!(
            "{installation}\n{account}\n{region}\n{kind}\n{id}\n{pattern}\n{}\n{generation}",
            layer.in_names()
        );
        let digest = Sha256::digest(inputs);
        let hash = &BASE32_NOPAD.encode(&digest)[..HASH].to_lowercase();
        let head: String = id.chars().take(HEAD).collect();
        format!("{installation}-{kind}{generation}-{}-{hash}", head.trim_end_matches('-'))
    }

    /// The key prefix under which this owner's documents live in the bucket it uses, with its closing slash.
    pub fn prefix(&self) -> String {
        self.owner.prefix()
    }

    /// The same tenant id in the same place, and nobody's.
    pub fn nobodys(&self) -> Self {
        let owner = match &self.owner {
            Owner::Tenant { tenant_id, pattern, stack, .. } => {
                Owner::nobody(tenant_id, *pattern, stack.as_deref())
            }
            stack => stack.clone(),
        };
        Self { owner, uid: String::new(), ..self.clone() }
    }

    /// The tenant id, where the owner is a tenant.
    pub fn tenant_id(&self) -> Option<&str> {
        match &self.owner {
            Owner::Tenant { tenant_id, .. } => Some(tenant_id),
            Owner::Stack { .. } => None,
        }
    }

    /// The owner as it stands in tags.
    pub fn owner_tag(&self) -> String {
        self.owner.tag()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::api::{Column, GROUP};

    pub(super) fn identity(tenant_id: &str, pattern: Pattern) -> Identity {
        Identity {
            scope: Arc::new(Scope::new("prod1234", "123456789012", "eu-central-1")),
            owner: Owner::Tenant {
                namespace: "tenants".into(),
                name: "acme".into(),
                tenant_id: tenant_id.into(),
                pattern,
                stack: None,
            },
            uid: "u-1".into(),
            generation: Generation::A,
            adopts: Adopts::Nothing,
        }
    }

    #[test]
    fn names_are_short_legal_and_differ_by_every_input() {
        let mut seen = std::collections::BTreeSet::new();
        for pattern in Pattern::ALL {
            for id in ["a", "acme", "abcd-efg", "2024-01-01", &"x".repeat(63)] {
                for layer in Layer::ALL {
                    let name = identity(id, pattern).name(layer);
                    assert!(name.len() <= 28, "{name}");
                    assert!(name.starts_with("prod1234-ta-"), "{name}");
                    assert!(!name.contains("--") && !name.ends_with('-'), "{name}");
                    assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
                    assert!(identity(id, pattern).scope.may_have_named(&name), "{name}");
                    assert!(seen.insert(name));
                }
            }
        }
        let mut other = identity("acme", Pattern::Silo);
        let here = other.name(Layer::Bucket);
        other.uid = "u-2".into();
        assert_eq!(here, other.name(Layer::Bucket), "the uid is proof, not part of the name");
        other.scope = Arc::new(Scope::new("prod1234", "123456789012", "us-east-1"));
        assert_ne!(here, other.name(Layer::Bucket));
    }

    #[test]
    fn documents_lie_under_the_owners_prefix() {
        let prefixes = Pattern::ALL.map(|pattern| identity("acme", pattern).prefix());
        assert_eq!(prefixes, ["documents/", "bridge/acme/", "pool/acme/"]);
        let stack = Identity::of_stack(identity("acme", Pattern::Silo).scope, "standard", "");
        assert_eq!(stack.prefix(), "pool/");
        assert_eq!((stack.tenant_id(), identity("acme", Pattern::Pool).tenant_id()), (None, Some("acme")));
    }

    /// The identity of a Bridge tenant, which has all the tags that there are.
    pub(super) fn bridge() -> Identity {
        let id = identity("acme", Pattern::Bridge);
        let Owner::Tenant { namespace, name, tenant_id, pattern, .. } = id.owner else { unreachable!() };
        let stack = Some("standard".into());
        Identity { owner: Owner::Tenant { namespace, name, tenant_id, pattern, stack }, ..id }
    }

    pub(super) fn with(id: &Identity, changes: &[(&str, Option<&str>)]) -> BTreeMap<String, String> {
        let mut tags = id.tags();
        for (key, value) in changes {
            let key = format!("{GROUP}/{key}");
            match value {
                Some(value) => tags.insert(key, (*value).into()),
                None => tags.remove(&key),
            };
        }
        tags
    }

    /// Changing any of these would make everybody's stacks look as if they were gone.
    #[test]
    fn no_name_ever_changes() {
        let scope = || Arc::new(Scope::new("prod", "123456789012", "eu-central-1"));
        let tenant = |pattern| Identity { scope: scope(), ..identity("acme", pattern) };
        let stack = || Identity::of_stack(scope(), "standard", "");
        let stacks = [
            "prod-sa-stand-d46j56jt7e",
            "prod-sa-stand-rrvgirbumg",
            "prod-sa-stand-2ghcmd7v23",
            "prod-sa-stand-5qrxftikbe",
            "prod-sa-stand-sxg2angqfr",
            "prod-sa-stand-il5qx3axqp",
        ];
        let named = |column| match column {
            Column::Silo => (
                tenant(Pattern::Silo),
                [
                    "prod-ta-acme-f43zkbv6n7",
                    "prod-ta-acme-t2uyzpyrpv",
                    "prod-ta-acme-iw6ll4u5fm",
                    "prod-ta-acme-4x4s5fawrr",
                    "prod-ta-acme-7pxvqctivv",
                    "prod-ta-acme-cxyhu2lop5",
                ],
            ),
            Column::Bridge => (
                tenant(Pattern::Bridge),
                [
                    "prod-ta-acme-e2xuo6cjks",
                    "prod-ta-acme-nqqh4imtbk",
                    "prod-ta-acme-7ubqlugfa5",
                    "prod-ta-acme-r222yp36ym",
                    "prod-ta-acme-i2nwdbhvdj",
                    "prod-ta-acme-rg5tu7kutv",
                ],
            ),
            Column::Pool => (
                tenant(Pattern::Pool),
                [
                    "prod-ta-acme-6mw4dw34eo",
                    "prod-ta-acme-c4fjz4xm6x",
                    "prod-ta-acme-t2nduc5a6p",
                    "prod-ta-acme-uf5pjfiwqt",
                    "prod-ta-acme-kmsyiubfzf",
                    "prod-ta-acme-wwcazxx6aw",
                ],
            ),
            // A pool may be added: nothing is called otherwise then.
            Column::SharedStack | Column::SharedStackWithPool => (stack(), stacks),
        };
        for column in Column::ALL {
            let (id, names) = named(column);
            assert_eq!(Layer::ALL.map(|layer| id.name(layer)), names, "{column:?}");
        }
        assert_eq!(scope().grant_name(), "prod-operator");
        assert_eq!(scope().role_path(), "/tenantry/prod/");
        let code = tenant(Pattern::Silo).takeover_code("Tenant/tenants/old", "u-0");
        assert_eq!(code, "TenantIdRetained-ab9188");
    }
}
