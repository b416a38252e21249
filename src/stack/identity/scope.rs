//! Where an installation acts, and how its things are told from others' by their names and ARNs.

use super::partition::{UnknownPartition, known_partition, partition_of};

/// The letter by which a name in AWS tells a tenant's thing.
pub(super) const TENANTS: char = 't';
/// The letter by which it tells a SharedStack's thing.
pub(super) const STACKS: char = 's';

/// How many characters of an id a name has at most.
pub(super) const HEAD: usize = 5;
/// How many characters of its hash a name has.
pub(super) const HASH: usize = 10;

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

/// Which of an owner's stacks: a replacement may one day be built beside the first, and needs other names. `a` until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Generation {
    /// The only one today.
    #[default]
    A,
}

impl Generation {
    pub(super) const fn letter(self) -> char {
        match self {
            Generation::A => 'a',
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
