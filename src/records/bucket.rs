//! The installation's bucket: in the account's own namespace, versioned, TLS only, and closed to whoever writes records
//! without saying over what.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::api::GROUP;
use crate::aws::{Aws, Protection, Tags};
use crate::stack::fault::Class;
use crate::stack::identity::Scope;
use crate::stack::layout::{LOCK, RECORDS};

/// What the installation's bucket is.
#[derive(Clone, Debug)]
pub struct InstallationBucket {
    /// Its name.
    pub name: String,
    /// Whether an administrator has made it: then it is not made here.
    pub is_given: bool,
}

impl InstallationBucket {
    /// The one that an administrator has named, or the installation's own.
    pub fn of(scope: &Scope, given: Option<&str>) -> Self {
        match given {
            Some(name) => Self { name: name.into(), is_given: true },
            None => Self { name: scope.installation_bucket(), is_given: false },
        }
    }

    /// How it is, if it is there. One that is not this installation's is an error.
    pub async fn look(&self, aws: &Aws, scope: &Scope) -> anyhow::Result<Option<Protection>> {
        let found = aws.buckets.protection(&self.name).await?;
        if let Some(found) = &found {
            self.must_be_ours(&found.tags, scope)?;
        }
        Ok(found)
    }

    /// Finishes what was found, or makes it.
    pub async fn ensure(&self, aws: &Aws, scope: &Scope, found: Option<Protection>) -> anyhow::Result<()> {
        let found = match found {
            Some(found) => found,
            None if self.is_given => anyhow::bail!(self.missing(scope)),
            None => {
                self.make(aws, scope).await?;
                let made = self.look(aws, scope).await?;
                made.with_context(|| format!("the installation's bucket '{}' was deleted again", self.name))?
            }
        };
        if !found.versioned {
            aws.buckets.put_versioning(&self.name, true).await?;
        }
        let wanted = policy(scope, &self.name);
        if !found.policy.as_ref().is_some_and(|there| holds(there, &wanted)) {
            aws.buckets.put_policy(&self.name, &merged(found.policy, &wanted)).await?;
        }
        Ok(())
    }

    /// Makes it, with its tags. It says nothing yet: what makes an installation is the lock in it.
    pub async fn make(&self, aws: &Aws, scope: &Scope) -> anyhow::Result<()> {
        match aws.buckets.create_regional(&self.name, &scope.region, &tags(scope)).await {
            Ok(()) => tracing::info!(bucket = self.name, "made the installation's bucket"),
            // Another process was faster.
            Err(fault) if fault.class == Class::Conflict => {}
            Err(fault) if fault.class.needs_person().is_none() => return Err(fault.into()),
            Err(fault) => {
                let why = format!(
                    "the installation's bucket cannot be made; allow it, or make one with the tag {GROUP}/installation={} and \
                     name it with --installation-bucket",
                    scope.installation
                );
                return Err(anyhow::Error::new(fault).context(why));
            }
        }
        Ok(())
    }

    /// What is said of a bucket that was named and is not there.
    pub fn missing(&self, scope: &Scope) -> String {
        let Scope { installation, account, region, .. } = scope;
        format!(
            "there is no bucket '{}' in account {account}: make it in {region} with the tag {GROUP}/installation=\
             {installation}, or leave out --installation-bucket",
            self.name
        )
    }

    fn must_be_ours(&self, tags: &Tags, scope: &Scope) -> anyhow::Result<()> {
        let said = tags.get(&format!("{GROUP}/installation"));
        if said == Some(&scope.installation) {
            return Ok(());
        }
        anyhow::bail!(
            "the bucket '{}' does not say that it is this installation's: its tag {GROUP}/installation is {}. Tag it with \
             {GROUP}/installation={}, if it is, or name another with --installation-bucket",
            self.name,
            said.map_or("missing".to_owned(), |said| format!("'{said}'")),
            scope.installation,
        )
    }
}

fn tags(scope: &Scope) -> Tags {
    BTreeMap::from([
        (format!("{GROUP}/installation"), scope.installation.clone()),
        (format!("{GROUP}/owner"), "operator".to_owned()),
    ])
}

/// Refuses plain HTTP to everybody, and to everybody a record that goes over whatever is there.
fn policy(scope: &Scope, bucket: &str) -> Value {
    let arn = format!("arn:{}:s3:::{bucket}", scope.partition);
    let records = [LOCK.to_owned(), format!("{RECORDS}*")].map(|key| format!("{arn}/{key}"));
    json!({"Version": "2012-10-17", "Statement": [
        {
            "Sid": "TenantryTlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
            "Resource": [arn, format!("{arn}/*")],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
        {
            "Sid": "TenantryRecordsOverWhatWasRead", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
            "Resource": records,
            "Condition": {"Null": {"s3:if-match": "true", "s3:if-none-match": "true"}},
        },
    ]})
}

/// The statements that a policy has, by their names.
fn statements(policy: &Value) -> Vec<Value> {
    policy["Statement"].as_array().cloned().unwrap_or_default()
}

/// Whether a policy has all statements that are wanted. An administrator's bucket may have others.
fn holds(there: &Value, wanted: &Value) -> bool {
    let there = statements(there);
    statements(wanted).iter().all(|statement| there.contains(statement))
}

/// What is wanted, beside what others have written there.
fn merged(there: Option<Value>, wanted: &Value) -> Value {
    let wanted = statements(wanted);
    let ours = |statement: &Value| wanted.iter().any(|it| it["Sid"] == statement["Sid"]);
    let others = there.iter().flat_map(statements).filter(|statement| !ours(statement));
    let all: Vec<_> = others.chain(wanted.clone()).collect();
    json!({"Version": "2012-10-17", "Statement": all})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Value {
        policy(&Scope::new("prod", "111122223333", "cn-north-1"), "records")
    }

    #[test]
    fn the_bucket_is_closed_to_who_does_not_say_over_what_a_record_goes() {
        let wanted = wanted();
        let statement = &wanted["Statement"][1];
        assert_eq!(statement["Effect"], "Deny");
        assert_eq!(statement["Principal"], "*");
        assert_eq!(statement["Action"], "s3:PutObject");
        assert_eq!(
            statement["Resource"],
            json!(["arn:aws-cn:s3:::records/lock.json", "arn:aws-cn:s3:::records/tenants/*"])
        );
        // A condition holds where all its keys do: whoever says either is let in.
        assert_eq!(
            statement["Condition"],
            json!({"Null": {"s3:if-match": "true", "s3:if-none-match": "true"}})
        );
    }

    #[test]
    fn what_an_administrator_wrote_stays_beside_what_is_wanted() {
        let theirs = json!({"Sid": "Theirs", "Effect": "Deny", "Action": "s3:DeleteObject"});
        let nameless = json!({"Effect": "Allow", "Action": "s3:GetObject"});
        let wanted = wanted();
        let mut old = wanted["Statement"][1].clone();
        old["Action"] = "s3:Put*".into();
        let there = json!({"Version": "2012-10-17", "Statement": [theirs, old, nameless]});
        assert!(!holds(&there, &wanted));
        let merged = merged(Some(there), &wanted);
        assert!(holds(&merged, &wanted));
        let all = [&theirs, &nameless, &wanted["Statement"][0], &wanted["Statement"][1]];
        assert_eq!(merged["Statement"], json!(all));
        assert_eq!(super::merged(None, &wanted), wanted);
        assert_eq!(super::merged(Some(merged.clone()), &wanted), merged, "once more changes nothing");
    }

    #[test]
    fn a_policy_holds_what_is_wanted_only_to_the_letter() {
        let wanted = wanted();
        assert!(holds(&wanted, &wanted));
        assert!(!holds(&json!({}), &wanted) && !holds(&Value::Null, &wanted));
        for (statement, field) in
            [(0, "Sid"), (0, "Effect"), (1, "Action"), (1, "Resource"), (1, "Condition"), (1, "Principal")]
        {
            let mut weaker = wanted.clone();
            weaker["Statement"][statement][field] = "something else".into();
            assert!(!holds(&weaker, &wanted), "{statement} {field}");
        }
    }
}
