//! The lock: which cluster works with the installation's records, and from where.

use serde::{Deserialize, Serialize};

use super::{Kept, Records, Trouble, Unique, Wrote};
use crate::stack::layout::LOCK;

/// What the lock says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lock {
    /// The place that works with the records.
    #[serde(flatten)]
    pub place: Place,
    /// The clusters that had it before, by the uids of their kube-system namespaces.
    #[serde(default)]
    pub took_over: Vec<String>,
    /// Whether all that was there before there were records has one.
    #[serde(default)]
    pub complete: bool,
    /// See [`super::Unique`].
    pub nonce: String,
}

/// Where an operator works.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The installation.
    pub installation: String,
    /// The AWS account,
    pub account: String,
    /// and region.
    pub region: String,
    /// The uid of the cluster's kube-system namespace.
    pub cluster: String,
    /// The namespace of the Lease by which its processes elect a leader; absent where none is elected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_namespace: Option<String>,
}

impl Unique for Lock {
    fn nonce(&self) -> &str {
        &self.nonce
    }

    fn with_nonce(self, nonce: String) -> Self {
        Self { nonce, ..self }
    }
}

/// What follows from a lock for an operator elsewhere or here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is ours.
    Ours,
    /// Ours to take over, as somebody has said.
    TakeOver,
    /// Another's.
    Refused(String),
}

impl Place {
    /// Whether an operator that works here may work with records that are locked so. `take_over` names the cluster whose
    /// place it may take.
    pub fn judge(&self, lock: &Place, take_over: Option<&str>) -> Verdict {
        if lock == self {
            return Verdict::Ours;
        }
        let (installation, cluster) = (&self.installation, &lock.cluster);
        if (&lock.installation, &lock.account, &lock.region) != (installation, &self.account, &self.region) {
            return Verdict::Refused(format!(
                "the bucket for records is that of installation '{}' of account {} in {}, and this is installation \
                 '{installation}' of account {} in {}. Set AWS_REGION, credentials and --installation-bucket to what belongs \
                 together",
                lock.installation, lock.account, lock.region, self.account, self.region,
            ));
        }
        if take_over == Some(cluster) {
            return Verdict::TakeOver;
        }
        if lock.cluster != self.cluster {
            return Verdict::Refused(format!(
                "installation '{installation}' of account {} in {} belongs to the cluster with the uid {cluster}. If that \
                 cluster is gone, start with --take-over {cluster}; if not, choose another --installation",
                self.account, self.region,
            ));
        }
        // Whoever elects no leader has said that this is the only process.
        let (Some(theirs), Some(ours)) = (&lock.lease_namespace, &self.lease_namespace) else {
            return Verdict::TakeOver;
        };
        Verdict::Refused(format!(
            "installation '{installation}' elects its leader in the namespace '{theirs}', and this process in '{ours}': both \
             would work at once. Set --leader-elect-resource-namespace to the same for all processes; or, if the other is gone \
             for good, start with --take-over {cluster}"
        ))
    }
}

impl Records {
    /// The lock, if there is one.
    pub async fn lock(&self) -> Result<Option<Kept<Lock>>, Trouble> {
        self.read(LOCK).await
    }

    /// Writes the lock over nothing, or over a version of it.
    pub async fn put_lock(&self, lock: Lock, over: Option<&str>) -> Result<Wrote<Lock>, Trouble> {
        self.write(LOCK, lock, over).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(changes: &[(&str, &str)]) -> Place {
        let mut place = serde_json::json!({
            "installation": "prod", "account": "111122223333", "region": "eu-central-1", "cluster": "here",
            "leaseNamespace": "tenantry",
        });
        for (field, value) in changes {
            place[*field] = if value.is_empty() { serde_json::Value::Null } else { (*value).into() };
        }
        serde_json::from_value(place).unwrap()
    }

    #[test]
    fn a_lock_lets_in_who_is_at_its_place_or_was_told_to_take_it() {
        let (region, account) = (("region", "eu-west-1"), ("account", "999999999999"));
        let elsewhere = Some("Set AWS_REGION, credentials and --installation-bucket");
        let two_leaders = Some("Set --leader-elect-resource-namespace to the same");
        let says_how = Some("start with --take-over there");
        let rows: [(&[_], Option<&str>, Option<&str>, Verdict); 14] = [
            // What is another here than in the lock, what --take-over names, what is said, and what follows if nothing is.
            (&[], None, None, Verdict::Ours),
            (&[], Some("here"), None, Verdict::Ours),
            (&[("cluster", "there")], None, says_how, Verdict::Ours),
            (&[("cluster", "there")], Some("there"), None, Verdict::TakeOver),
            (&[("cluster", "there")], Some("elsewhere"), says_how, Verdict::Ours),
            (&[("cluster", "there")], Some("here"), says_how, Verdict::Ours),
            (&[("cluster", "there"), ("leaseNamespace", "")], None, says_how, Verdict::Ours),
            (&[region], None, elsewhere, Verdict::Ours),
            (&[region], Some("here"), elsewhere, Verdict::Ours),
            (&[account, ("cluster", "there")], Some("there"), elsewhere, Verdict::Ours),
            (&[("installation", "test")], None, elsewhere, Verdict::Ours),
            (&[("leaseNamespace", "other")], None, two_leaders, Verdict::Ours),
            (&[("leaseNamespace", "other")], Some("here"), None, Verdict::TakeOver),
            (&[("leaseNamespace", "")], None, None, Verdict::TakeOver),
        ];
        for (changes, take_over, said, verdict) in rows {
            match (place(&[]).judge(&place(changes), take_over), said) {
                (Verdict::Refused(why), Some(said)) => assert!(why.contains(said), "{changes:?}: {why}"),
                (found, _) => assert_eq!((found, said), (verdict, None), "{changes:?} {take_over:?}"),
            }
        }
        let elects_none = place(&[("leaseNamespace", "")]);
        assert_eq!(elects_none.judge(&place(&[]), None), Verdict::TakeOver, "this is the only process");
        assert_eq!(elects_none.judge(&elects_none, None), Verdict::Ours);
    }
}
