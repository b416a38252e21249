//! Who owns a stack, and what everything of it is called in AWS.
//!
//! Every name is a pure function of (installation, account, region, owner, pattern, layer, slot). That is what makes
//! creates idempotent: a process that died after a create finds the resource again by computing the same name.

use std::collections::BTreeMap;
use std::sync::Arc;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use super::{approval, names};
use crate::api::{GROUP, Layer, Pattern, Reason};

/// The state of what somebody looks after.
const OWNED: &str = "owned";
/// The state of what was left behind on purpose.
pub const RETAINED: &str = "retained";

/// How names in AWS tell a tenant's things,
const TENANTS: char = 't';
/// and a SharedStack's.
const STACKS: char = 's';

/// How many characters of an id a name has at most,
const HEAD: usize = 5;
/// and of its hash.
const HASH: usize = 10;

/// The partitions that Tenantry knows, with the domains of their services: over IPv4 alone, and over both.
/// <https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html>
const PARTITIONS: [(&str, &str, &str); 4] = [
    ("aws", "amazonaws.com", "api.aws"),
    ("aws-us-gov", "amazonaws.com", "api.aws"),
    ("aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    ("aws-eusc", "amazonaws.eu", "api.amazonwebservices.eu"),
];

/// A partition of AWS that Tenantry does not know: names, endpoints and services there are guesswork.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the partition '{0}' is not one that Tenantry knows: aws, aws-us-gov, aws-cn, aws-eusc")]
pub struct UnknownPartition(String);

/// The partition that a region is in, by its name.
pub fn partition_of(region: &str) -> &'static str {
    const BY_PREFIX: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("eusc-", "aws-eusc"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
    ];
    BY_PREFIX.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

/// A partition, if Tenantry knows it.
pub fn known_partition(name: &str) -> Result<&'static str, UnknownPartition> {
    let known = PARTITIONS.iter().find(|(known, ..)| *known == name);
    known.map(|(known, ..)| *known).ok_or_else(|| UnknownPartition(name.into()))
}

/// The domain of a partition's services.
pub fn domain(partition: &str, dual_stack: bool) -> &'static str {
    let (_, domain, dual) =
        PARTITIONS.iter().find(|(known, ..)| *known == partition).unwrap_or(&PARTITIONS[0]);
    if dual_stack { dual } else { domain }
}

/// Where one operator process acts: its installation name and the AWS account and region.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// `--installation`, `^[a-z][a-z0-9]{0,7}$`: no installation's prefix covers another's names.
    pub installation: String,
    /// The twelve-digit account id.
    pub account: String,
    /// The region, such as `eu-central-1`.
    pub region: String,
    /// Such as `aws` or `aws-us-gov`: the second field of every ARN.
    pub partition: String,
    /// The policy that bounds what any role made here may ever do, if there is one.
    pub permissions_boundary: Option<String>,
    /// The role that the operator runs as, by ARN, where that is known.
    pub operator: Option<String>,
}

impl Scope {
    /// The partition follows from the region's name.
    pub fn new(installation: &str, account: &str, region: &str) -> Self {
        Self {
            installation: installation.into(),
            account: account.into(),
            region: region.into(),
            partition: partition_of(region).into(),
            permissions_boundary: None,
            operator: None,
        }
    }

    /// The same in the partition of an ARN, which knows better than the region's name; an error if it is none that we know.
    pub fn in_partition_of(self, arn: &str) -> Result<Self, UnknownPartition> {
        let partition = arn.split(':').nth(1).unwrap_or_default();
        known_partition(partition).map(|partition| Self { partition: partition.into(), ..self })
    }

    /// Whether `name` can serve as an installation: one to eight characters, `^[a-z][a-z0-9]{0,7}$`.
    pub fn is_valid_installation(name: &str) -> bool {
        let mut bytes = name.bytes();
        name.len() <= 8
            && bytes.next().is_some_and(|b| b.is_ascii_lowercase())
            && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    }

    /// Whether something of this installation can be called so: [`Identity::name`] makes such names. Anybody of the account may
    /// call a thing after an installation, and `prod-…` is what many are called.
    pub fn may_have_named(&self, name: &str) -> bool {
        let rest = name.strip_prefix(&self.installation).and_then(|rest| rest.strip_prefix('-'));
        let [kind, generation, b'-', head @ ..] = rest.unwrap_or_default().as_bytes() else { return false };
        let Some((head, hash)) = head.split_last_chunk::<HASH>() else { return false };
        matches!(kind, b't' | b's')
            && generation.is_ascii_lowercase()
            && head.ends_with(b"-")
            && (2..=HEAD + 1).contains(&head.len())
            && hash.iter().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(b))
    }

    /// What the names of this installation's things begin with: a SharedStack's, and a tenant's. No shorter beginning is ours
    /// alone: `prod-…` is what many things of an account are called.
    pub fn prefixes(&self) -> [String; 2] {
        [STACKS, TENANTS].map(|kind| format!("{}-{kind}{}-", self.installation, Generation::A.letter()))
    }

    /// Patterns of IAM's of all names that begin so, one for each length: a `*` in the middle would go over the slash that ends a
    /// bucket's name, and so would mean objects of other buckets too.
    pub fn of_each_length(prefix: &str) -> impl Iterator<Item = String> {
        (1..=HEAD).map(move |head| format!("{prefix}{}-{}", "?".repeat(head), "?".repeat(HASH)))
    }

    /// A pattern of IAM's of all these names, and of few others, where there is no room for two.
    pub fn either(&self) -> String {
        format!("{}-?{}-*", self.installation, Generation::A.letter())
    }

    /// An ARN in this account and region.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition, self.region, self.account)
    }

    /// The data access policy that lets the operator itself manage indexes: one per installation.
    pub fn grant_name(&self) -> String {
        format!("{}-operator", self.installation)
    }

    /// The bucket with the records of this installation's tenantIds, in the account's own namespace of bucket names.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/gpbucketnamespaces.html>
    pub fn installation_bucket(&self) -> String {
        let Self { installation, account, region, .. } = self;
        format!("{installation}-records-{account}-{region}-an")
    }

    /// The account and region, as a status begins that speaks of a record.
    pub fn place(&self) -> String {
        format!("{}/{}/", self.account, self.region)
    }

    /// The path under which all service roles of this installation live.
    pub fn role_path(&self) -> String {
        format!("/tenantry/{}/", self.installation)
    }

    /// The ARN of a service role, which its path and name decide.
    pub fn role_arn(&self, role: &str) -> String {
        format!("arn:{}:iam::{}:role{}{role}", self.partition, self.account, self.role_path())
    }

    /// The ARN by which Bedrock knows a foundation model; what already is an ARN stays as it is.
    pub fn model_arn(&self, model: &str) -> String {
        if model.starts_with("arn:") {
            return model.into();
        }
        format!("{}{model}", self.foundation_models())
    }

    /// A model as one names it: the way back from [`Scope::model_arn`].
    pub fn model_of<'a>(&self, arn: &'a str) -> &'a str {
        arn.strip_prefix(&self.foundation_models()).unwrap_or(arn)
    }

    fn foundation_models(&self) -> String {
        format!("arn:{}:bedrock:{}::foundation-model/", self.partition, self.region)
    }
}

/// Room for a replacement of the same stack to be built beside it one day; `a` until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Generation {
    /// The only slot in use today.
    #[default]
    A,
}

impl Generation {
    const fn letter(self) -> char {
        match self {
            Generation::A => 'a',
        }
    }
}

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

/// Who a resource's tags say it belongs to, compared with an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnershipClaim {
    /// Installation, owner and uid are ours.
    Ours,
    /// Everything but the uid is ours: what an earlier object of this name left behind. That object is gone: two of
    /// one name cannot be.
    Adoptable,
    /// Everything but the name and the uid is ours: what another Tenant of this namespace left behind. Whoever may write
    /// Tenants in the namespace may take it over, and has to say so.
    Neighbour {
        /// Who that was, as `Tenant/<namespace>/<name>`.
        owner: String,
        /// The uid that it had.
        uid: String,
    },
    /// What another object of this name, or this tenantId, left behind.
    Earlier,
    /// Anybody else's, or nobody's.
    Foreign,
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

    /// Reads back whose tags these are: what [`Identity::tags`] wrote. Names that cannot be are nobody's.
    pub fn of_tags(tags: &BTreeMap<String, String>) -> Option<Self> {
        let tag = |key: &str| tags.get(&format!("{GROUP}/{key}")).cloned();
        let owner = tag("owner")?;
        if let Some(name) = owner.strip_prefix("SharedStack/") {
            return names::is_tenant_id(name).then(|| Owner::Stack { name: name.into() });
        }
        let (namespace, name) = owner.strip_prefix("Tenant/")?.split_once('/')?;
        let (tenant_id, stack) = (tag("tenant-id")?, tag("stack"));
        let pattern = Pattern::ALL.into_iter().find(|it| Some(it.to_string()) == tag("pattern"))?;
        let can_be = names::is_label(namespace)
            && names::is_object_name(name)
            && names::is_tenant_id(&tenant_id)
            && stack.as_deref().is_none_or(names::is_tenant_id);
        can_be.then(|| Owner::Tenant {
            namespace: namespace.into(),
            name: name.into(),
            tenant_id,
            pattern,
            stack,
        })
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
        match &self.owner {
            Owner::Tenant { pattern: Pattern::Silo, .. } => "documents/".into(),
            Owner::Tenant { pattern: Pattern::Bridge, tenant_id, .. } => format!("bridge/{tenant_id}/"),
            Owner::Tenant { pattern: Pattern::Pool, tenant_id, .. } => format!("pool/{tenant_id}/"),
            Owner::Stack { .. } => "pool/".into(),
        }
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

    /// The tags every created resource carries from its first moment, without the user's own.
    pub fn tags(&self) -> BTreeMap<String, String> {
        self.tags_of_state(OWNED)
    }

    /// The tags of what its owner has left behind on purpose.
    pub fn retained_tags(&self) -> BTreeMap<String, String> {
        self.tags_of_state(RETAINED)
    }

    fn tags_of_state(&self, state: &str) -> BTreeMap<String, String> {
        let mut tags = vec![
            ("installation", self.scope.installation.clone()),
            ("owner", self.owner_tag()),
            ("owner-uid", self.uid.clone()),
            ("state", state.into()),
        ];
        if let Owner::Tenant { tenant_id, pattern, stack, .. } = &self.owner {
            tags.push(("tenant-id", tenant_id.clone()));
            tags.push(("pattern", pattern.to_string()));
            tags.extend(stack.clone().map(|stack| ("stack", stack)));
        }
        tags.into_iter().map(|(key, value)| (format!("{GROUP}/{key}"), value)).collect()
    }

    /// The same facts as [`tags`](Self::tags), for AOSS policies, which have a description and no tags: what is ours
    /// among `tags`, without the user's own. At most 1,000 characters; `installation=…,owner=…,owner-uid=…,state=owned`.
    pub fn description(tags: &BTreeMap<String, String>) -> String {
        let ours =
            tags.iter().filter_map(|(key, value)| Some((key.strip_prefix(GROUP)?.strip_prefix('/')?, value)));
        ours.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
    }

    /// Reads back what [`description`](Self::description) wrote.
    pub fn parse_description(description: &str) -> BTreeMap<String, String> {
        let pairs = description.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (format!("{GROUP}/{key}"), value.to_string())).collect()
    }

    /// Whose a resource with these tags is. Ours is only what proves it: installation, owner and uid.
    pub fn claim(&self, tags: &BTreeMap<String, String>) -> OwnershipClaim {
        let ours = self.tags();
        let same = |key: &str| {
            let key = format!("{GROUP}/{key}");
            tags.get(&key) == ours.get(&key)
        };
        let has = |key: &str| tags.contains_key(&format!("{GROUP}/{key}"));
        let like_ours = ["tenant-id", "pattern", "stack"].into_iter().all(same);
        match (same("installation"), same("owner"), same("owner-uid")) {
            (true, true, true) => OwnershipClaim::Ours,
            (true, true, false) if has("owner-uid") && like_ours => OwnershipClaim::Adoptable,
            (true, true, false) => OwnershipClaim::Earlier,
            (true, false, false) if has("owner-uid") && like_ours && self.is_neighbour(tags) => {
                let tag = |key: &str| tags.get(&format!("{GROUP}/{key}")).cloned().unwrap_or_default();
                OwnershipClaim::Neighbour { owner: tag("owner"), uid: tag("owner-uid") }
            }
            (true, false, _) if has("tenant-id") && same("tenant-id") => OwnershipClaim::Earlier,
            _ => OwnershipClaim::Foreign,
        }
    }

    /// Whether these are the tags of a Tenant of our namespace.
    fn is_neighbour(&self, tags: &BTreeMap<String, String>) -> bool {
        let Owner::Tenant { namespace, .. } = &self.owner else { return false };
        let owner = tags.get(&format!("{GROUP}/owner"));
        owner
            .and_then(|owner| owner.strip_prefix("Tenant/")?.split_once('/'))
            .is_some_and(|it| it.0 == namespace)
    }

    /// Whether a resource with these tags may be treated as our own.
    pub fn owns(&self, claim: &OwnershipClaim) -> bool {
        match (claim, &self.adopts) {
            (OwnershipClaim::Ours, _) | (OwnershipClaim::Adoptable, Adopts::Left { .. }) => true,
            (OwnershipClaim::Neighbour { owner, uid }, Adopts::Left { approved: Some(approved) }) => {
                *approved == self.takeover_code(owner, uid)
            }
            _ => false,
        }
    }

    /// The approval with which this owner takes over what a neighbour left.
    pub fn takeover_code(&self, owner: &str, uid: &str) -> String {
        approval::code(&self.uid, Reason::TenantIdRetained, &[owner, uid])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Column;

    fn identity(tenant_id: &str, pattern: Pattern) -> Identity {
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
    fn what_others_call_after_an_installation_is_not_taken_for_its_own() {
        let scope = Scope::new("prod", "123456789012", "eu-central-1");
        assert!(scope.may_have_named("prod-sa-stand-gxt44wxbqg"));
        assert!(
            scope.may_have_named("prod-ta-a-2bx6vvlzwt") && scope.may_have_named("prod-tb-ab-c-2bx6vvlzwt")
        );
        for other in [
            "prod-logs",
            "prod-ta-logs",
            "prod-sa-stand-gxt44wxbq1",
            "prod-sa-standard-gxt44wxbqg",
            "prod-xa-stand-gxt44wxbqg",
            "prod-s1-stand-gxt44wxbqg",
            "prod-sa--gxt44wxbqg",
            "prod2-sa-stand-gxt44wxbqg",
            "prod-records-123456789012-eu-central-1-an",
            "prod-operator",
            "prod-",
            "",
        ] {
            assert!(!scope.may_have_named(other), "{other}");
        }
    }

    #[test]
    fn only_installation_owner_and_uid_prove_that_it_is_ours() {
        let id = identity("acme", Pattern::Silo);
        let with = |key: &str, value: &str| {
            let mut tags = id.tags();
            tags.insert(format!("{GROUP}/{key}"), value.into());
            tags
        };
        assert_eq!(id.claim(&id.tags()), OwnershipClaim::Ours);
        assert_eq!(id.claim(&with("state", "retained")), OwnershipClaim::Ours);
        assert_eq!(id.claim(&with("owner-uid", "u-0")), OwnershipClaim::Adoptable);
        assert!(
            !id.owns(&OwnershipClaim::Adoptable)
                && id.clone().adopting(None).owns(&OwnershipClaim::Adoptable)
        );
        let mut changed = with("owner-uid", "u-0");
        changed.insert(format!("{GROUP}/pattern"), "Pool".into());
        assert_eq!(id.claim(&changed), OwnershipClaim::Earlier, "another pattern is another stack");
        assert_eq!(id.claim(&with("owner", "Tenant/elsewhere/acme")), OwnershipClaim::Earlier);
        let mut neighbours = with("owner-uid", "u-0");
        for elsewhere in ["Tenant/tenants-2/old", "Tenant/tenant/old", "SharedStack/tenants"] {
            neighbours.insert(format!("{GROUP}/owner"), elsewhere.into());
            assert_eq!(id.claim(&neighbours), OwnershipClaim::Earlier, "{elsewhere} is another namespace");
        }
        neighbours.insert(format!("{GROUP}/owner"), "Tenant/tenants/old".into());
        let neighbour = id.claim(&neighbours);
        assert!(
            matches!(&neighbour, OwnershipClaim::Neighbour { owner, .. } if owner == "Tenant/tenants/old")
        );
        let code = id.takeover_code("Tenant/tenants/old", "u-0");
        assert!(id.clone().adopting(Some(&code)).owns(&neighbour));
        for approved in [None, Some("TenantIdRetained-000000")] {
            assert!(!id.clone().adopting(approved).owns(&neighbour), "{approved:?}");
        }
        assert_eq!(id.claim(&with("installation", "other")), OwnershipClaim::Foreign);
        assert_eq!(id.claim(&BTreeMap::new()), OwnershipClaim::Foreign);
        let with_the_users = id.tags().into_iter().chain([("costCenter".into(), "42".into())]).collect();
        assert_eq!(Identity::parse_description(&Identity::description(&with_the_users)), id.tags());
        assert_eq!(Owner::of_tags(&id.tags()), Some(id.owner.clone()));
        let stack = Identity::of_stack(id.scope.clone(), "standard", "u-9");
        assert_eq!(Owner::of_tags(&stack.tags()), Some(stack.owner));
        assert_eq!(Owner::of_tags(&BTreeMap::new()), None);
    }

    #[test]
    fn an_installation_name_cannot_cover_another() {
        for good in ["a", "prod", "prod1234"] {
            assert!(Scope::is_valid_installation(good), "{good}");
        }
        for bad in ["", "1a", "prod-1", "prod12345", "Prod", "ü"] {
            assert!(!Scope::is_valid_installation(bad), "{bad}");
        }
    }

    #[test]
    fn models_and_roles_have_arns() {
        let scope = || Scope::new("prod", "123456789012", "eu-central-1");
        let in_china = || Scope::new("prod", "123456789012", "cn-north-1");
        for (scope, model, arn) in [
            (scope(), "m", "arn:aws:bedrock:eu-central-1::foundation-model/m"),
            (in_china(), "m", "arn:aws-cn:bedrock:cn-north-1::foundation-model/m"),
            (scope(), "arn:aws:bedrock:us-east-1::custom/m", "arn:aws:bedrock:us-east-1::custom/m"),
            (scope(), "x.arn:", "arn:aws:bedrock:eu-central-1::foundation-model/x.arn:"),
        ] {
            assert_eq!(scope.model_arn(model), arn);
            assert_eq!(scope.model_of(arn), model);
        }
        assert_eq!(scope().role_arn("r"), "arn:aws:iam::123456789012:role/tenantry/prod/r");
        assert_eq!(in_china().role_arn("r"), "arn:aws-cn:iam::123456789012:role/tenantry/prod/r");
    }

    #[test]
    fn documents_lie_under_the_owners_prefix() {
        let prefixes = Pattern::ALL.map(|pattern| identity("acme", pattern).prefix());
        assert_eq!(prefixes, ["documents/", "bridge/acme/", "pool/acme/"]);
        let stack = Identity::of_stack(identity("acme", Pattern::Silo).scope, "standard", "");
        assert_eq!(stack.prefix(), "pool/");
        assert_eq!((stack.tenant_id(), identity("acme", Pattern::Pool).tenant_id()), (None, Some("acme")));
    }

    #[test]
    fn the_region_says_which_partition_it_is_in() {
        for (region, partition) in [
            ("eu-central-1", "aws"),
            ("us-east-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            assert_eq!(known_partition(partition_of(region)), Ok(partition));
            let scope = Scope::new("prod", "123456789012", region);
            let arn = format!("arn:{partition}:kms:{region}:123456789012:key/k");
            assert_eq!(scope.arn("kms", "key/k"), arn);
            assert_eq!((scope.permissions_boundary, scope.operator), (None, None));
        }
    }

    #[test]
    fn no_partition_is_taken_for_another() {
        for region in ["us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1"] {
            let partition = partition_of(region);
            assert_eq!(known_partition(partition), Err(UnknownPartition(partition.into())), "{region}");
        }
        let in_partition_of = |arn| Scope::new("prod", "123456789012", "xx-north-1").in_partition_of(arn);
        let sovereign = in_partition_of("arn:aws-eusc:sts::123456789012:assumed-role/r/s").unwrap();
        assert_eq!(sovereign.role_arn("r"), "arn:aws-eusc:iam::123456789012:role/tenantry/prod/r");
        for arn in ["arn:aws-iso:iam::1:root", "arn:aws-new:iam::1:root", "", "nonsense"] {
            in_partition_of(arn).unwrap_err();
        }
        assert_eq!(domain("aws-eusc", false), "amazonaws.eu");
        assert_eq!((domain("aws", false), domain("aws", true)), ("amazonaws.com", "api.aws"));
    }

    /// The identity of a Bridge tenant, which has all the tags that there are.
    fn bridge() -> Identity {
        let id = identity("acme", Pattern::Bridge);
        let Owner::Tenant { namespace, name, tenant_id, pattern, .. } = id.owner else { unreachable!() };
        let stack = Some("standard".into());
        Identity { owner: Owner::Tenant { namespace, name, tenant_id, pattern, stack }, ..id }
    }

    fn with(id: &Identity, changes: &[(&str, Option<&str>)]) -> BTreeMap<String, String> {
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

    #[test]
    fn tags_say_whose_it_is_and_whether_anybody_looks_after_it() {
        let tags = |state: &str| {
            let tags = [
                ("installation", "prod1234"),
                ("owner", "Tenant/tenants/acme"),
                ("owner-uid", "u-1"),
                ("pattern", "Bridge"),
                ("stack", "standard"),
                ("state", state),
                ("tenant-id", "acme"),
            ];
            tags.map(|(key, value)| (format!("tenantry.dev/{key}"), value.to_owned())).into()
        };
        assert_eq!(bridge().tags(), tags("owned"));
        assert_eq!(bridge().retained_tags(), tags("retained"));
        let stack = Identity::of_stack(bridge().scope, "standard", "u-9");
        assert_eq!(stack.tags().len(), 4, "{:?}", stack.tags());
        assert_eq!(stack.owner_tag(), "SharedStack/standard");
    }

    /// Whose it is, by who the owner is and by its uid: of an installation of ours, and with what else is unlike ours.
    #[test]
    fn a_claim_is_told_from_all_that_the_tags_say() {
        let id = bridge();
        let unlike: [&[(&str, Option<&str>)]; 9] = [
            &[],
            &[("state", Some("retained"))],
            &[("tenant-id", Some("other"))],
            &[("tenant-id", None)],
            &[("pattern", Some("Pool"))],
            &[("pattern", None)],
            &[("stack", Some("other"))],
            &[("stack", None)],
            &[("pattern", Some("Silo")), ("stack", None)],
        ];
        let (same, before, none) = (Some("u-1"), Some("u-0"), None);
        let (ours, neighbour) = (Some("Tenant/tenants/acme"), Some("Tenant/tenants/old"));
        // O ours, A adoptable, N a neighbour's, E an earlier one's, F anybody's.
        let table = [
            (ours, same, "OOOOOOOOO"),
            (ours, before, "AAEEEEEEE"),
            (ours, none, "EEEEEEEEE"),
            (neighbour, same, "EEFFEEEEE"),
            (neighbour, before, "NNFFEEEEE"),
            (neighbour, none, "EEFFEEEEE"),
            (Some("Tenant/elsewhere/acme"), same, "EEFFEEEEE"),
            (Some("Tenant/elsewhere/acme"), before, "EEFFEEEEE"),
            (Some("Tenant/tenants"), before, "EEFFEEEEE"),
            (Some("tenants/old"), before, "EEFFEEEEE"),
            (Some("SharedStack/tenants/old"), before, "EEFFEEEEE"),
            (Some("SharedStack/standard"), none, "EEFFEEEEE"),
            (none, same, "EEFFEEEEE"),
            (none, before, "EEFFEEEEE"),
            (none, none, "EEFFEEEEE"),
        ];
        for (owner, uid, claims) in table {
            for (unlike, expected) in unlike.into_iter().zip(claims.chars()) {
                let mut tags = with(&id, &[unlike, &[("owner", owner), ("owner-uid", uid)]].concat());
                let claim = id.claim(&tags);
                let letter = match &claim {
                    OwnershipClaim::Ours => 'O',
                    OwnershipClaim::Adoptable => 'A',
                    OwnershipClaim::Neighbour { owner: theirs, uid: had } => {
                        assert_eq!((Some(theirs.as_str()), Some(had.as_str())), (owner, uid));
                        'N'
                    }
                    OwnershipClaim::Earlier => 'E',
                    OwnershipClaim::Foreign => 'F',
                };
                assert_eq!(letter, expected, "{tags:?}");
                for installation in [None, Some("prod"), Some("")] {
                    let key = format!("{GROUP}/installation");
                    tags.remove(&key);
                    tags.extend(installation.map(|it| (key, it.to_owned())));
                    assert_eq!(id.claim(&tags), OwnershipClaim::Foreign, "{tags:?}");
                }
            }
        }
    }

    #[test]
    fn a_stack_has_no_neighbours_and_takes_no_tenants_things() {
        let id = Identity::of_stack(bridge().scope, "standard", "u-1");
        for (changes, claim) in [
            (&[][..], OwnershipClaim::Ours),
            (&[("owner-uid", Some("u-0"))], OwnershipClaim::Adoptable),
            (&[("owner-uid", None)], OwnershipClaim::Earlier),
            (&[("owner-uid", Some("u-0")), ("tenant-id", Some("acme"))], OwnershipClaim::Earlier),
            (&[("owner-uid", Some("u-0")), ("owner", Some("SharedStack/other"))], OwnershipClaim::Foreign),
            (&[("owner-uid", Some("u-0")), ("owner", Some("Tenant/tenants/acme"))], OwnershipClaim::Foreign),
            (&[("owner", Some("Tenant/tenants/acme"))], OwnershipClaim::Foreign),
        ] {
            assert_eq!(id.claim(&with(&id, changes)), claim, "{changes:?}");
        }
    }

    #[test]
    fn only_what_is_ours_or_was_given_to_us_is_treated_so() {
        let id = bridge();
        let code = id.takeover_code("Tenant/tenants/old", "u-0");
        let later = Identity { uid: "u-2".into(), ..id.clone() };
        let others = [
            later.takeover_code("Tenant/tenants/old", "u-0"),
            id.takeover_code("Tenant/tenants/older", "u-0"),
            id.takeover_code("Tenant/tenants/old", "u-00"),
        ];
        let neighbour = OwnershipClaim::Neighbour { owner: "Tenant/tenants/old".into(), uid: "u-0".into() };
        let claims = [
            OwnershipClaim::Ours,
            OwnershipClaim::Adoptable,
            neighbour,
            OwnershipClaim::Earlier,
            OwnershipClaim::Foreign,
        ];
        let owned = |id: &Identity| claims.clone().map(|claim| id.owns(&claim));
        assert_eq!(owned(&id), [true, false, false, false, false], "on the way back");
        assert_eq!(owned(&id.clone().adopting(None)), [true, true, false, false, false]);
        assert_eq!(owned(&id.clone().adopting(Some(&code))), [true, true, true, false, false]);
        for other in others {
            assert_ne!(other, code);
            assert_eq!(owned(&id.clone().adopting(Some(&other))), [true, true, false, false, false]);
        }
    }

    #[test]
    fn an_owner_is_read_back_from_its_tags() {
        for pattern in Pattern::ALL {
            let id = identity("acme", pattern);
            assert_eq!(Owner::of_tags(&id.tags()), Some(id.owner));
        }
        let id = bridge();
        assert_eq!(Owner::of_tags(&id.tags()).as_ref(), Some(&id.owner));
        let unreadable: [&[(&str, Option<&str>)]; 6] = [
            &[("owner", None)],
            &[("owner", Some("Tenant/acme"))],
            &[("owner", Some("Namespace/tenants/acme"))],
            &[("pattern", None)],
            &[("pattern", Some("Moat"))],
            &[("tenant-id", None)],
        ];
        for changes in unreadable {
            assert_eq!(Owner::of_tags(&with(&id, changes)), None, "{changes:?}");
        }
    }

    #[test]
    fn a_description_says_our_tags_and_nothing_else() {
        let id = bridge();
        let mut tags = id.tags();
        let others = [("costCenter", "42"), ("tenantry.dev", "x"), ("tenantry.developer/name", "x")];
        tags.extend(others.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let description = Identity::description(&tags);
        assert_eq!(
            description,
            "installation=prod1234,owner=Tenant/tenants/acme,owner-uid=u-1,pattern=Bridge,stack=standard,state=owned,\
             tenant-id=acme"
        );
        assert_eq!(Identity::parse_description(&description), id.tags());
        let others = Identity::parse_description("somebody's own words, with=an=equals sign,");
        assert_eq!(others, [("tenantry.dev/ with".to_owned(), "an=equals sign".to_owned())].into());
        assert_eq!(Identity::parse_description(""), BTreeMap::new());
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
