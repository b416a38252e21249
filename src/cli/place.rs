//! In which account and region an object is. Whoever looks for it in another finds nothing, and nothing must not be taken for
//! what there is.

use anyhow::bail;
use kube::ResourceExt;

use crate::api::{Status, Tenant};
use crate::stack::identity::Scope;
use crate::stack::names;

/// What a status says of where its object is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The account's twelve digits.
    pub(super) account: Option<String>,
    /// The region.
    pub(super) region: Option<String>,
}

impl Place {
    /// Where the object with this status is: its ARNs say so, and its region, and what it says of its record, which is there
    /// from the moment on when the Tenant is accepted.
    pub(super) fn of(status: &Status) -> Self {
        let mut accounts = status.arns().filter_map(|arn| arn.split(':').nth(4));
        let (account, region) = match status.id_record.as_deref().map(|record| record.split('/')) {
            Some(mut record) => (record.next(), record.next()),
            None => (None, None),
        };
        let account =
            accounts.find(|it| names::is_account(it)).or(account.filter(|it| names::is_account(it)));
        let region = status.region.as_deref().or(region).filter(|it| names::is_region(it));
        Self { account: account.map(Into::into), region: region.map(Into::into) }
    }

    /// Refuses to look for `tenant` anywhere else than where it is. Where that is not known yet, it is said.
    pub(super) fn must_be(tenant: &Tenant, scope: &Scope) -> anyhow::Result<()> {
        let what = format!("Tenant {}/{}", tenant.namespace().unwrap_or_default(), tenant.name_any());
        let place = Self::of(&tenant.status.clone().unwrap_or_default());
        if let Some(why) = place.elsewhere(&what, scope) {
            bail!(why);
        }
        if place.account.is_none() || place.region.is_none() {
            let Scope { account, region, .. } = scope;
            eprintln!(
                "warning: the status of {what} does not say yet in which account and region it is: looking in {region} of \
                 account {account}"
            );
        }
        Ok(())
    }

    /// Why `what` is not to be looked for where the caller is, if that is somewhere else.
    fn elsewhere(&self, what: &str, scope: &Scope) -> Option<String> {
        let differs = |its: &Option<String>, here: &str| its.as_deref().filter(|its| *its != here).is_some();
        let other_account = differs(&self.account, &scope.account);
        let other_region = differs(&self.region, &scope.region);
        if !other_account && !other_region {
            return None;
        }
        let place = |account: &str, region: &str| format!("{region} of account {account}");
        let its = place(
            self.account.as_deref().unwrap_or("an unknown number"),
            self.region.as_deref().unwrap_or("an unknown region"),
        );
        let mut remedies = Vec::new();
        if let Some(account) = self.account.as_deref().filter(|_| other_account) {
            remedies.push(format!("use credentials of account {account}"));
        }
        if let Some(region) = self.region.as_deref().filter(|_| other_region) {
            remedies.push(format!("set AWS_REGION={region}"));
        }
        Some(format!(
            "{what} is in {its}, and you are in {}: {}",
            place(&scope.account, &scope.region),
            remedies.join(" and ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "111122223333";

    fn place(account: Option<&str>, region: Option<&str>) -> Place {
        Place { account: account.map(Into::into), region: region.map(Into::into) }
    }

    #[test]
    fn a_status_says_where_its_object_is() {
        let knowledge_base = "arn:aws:bedrock:us-east-1:111122223333:knowledge-base/KB1";
        let role = "arn:aws-us-gov:iam::111122223333:role/tenantry/prod/r";
        let region = || Some("us-east-1".to_owned());
        for (status, account, region) in [
            (Status::default(), None, None),
            (Status { region: region(), ..Status::default() }, None, Some("us-east-1")),
            (
                Status {
                    knowledge_base_arn: Some(knowledge_base.into()),
                    region: region(),
                    ..Status::default()
                },
                Some(ACCOUNT),
                Some("us-east-1"),
            ),
            (
                Status { role_arn: Some(role.into()), region: region(), ..Status::default() },
                Some(ACCOUNT),
                Some("us-east-1"),
            ),
            // What is accepted and not built yet.
            (
                Status { id_record: Some(format!("{ACCOUNT}/us-east-1/0f0f")), ..Status::default() },
                Some(ACCOUNT),
                Some("us-east-1"),
            ),
            (Status { id_record: Some("0f0f".into()), ..Status::default() }, None, None),
            (Status { role_arn: Some("role".into()), ..Status::default() }, None, None),
        ] {
            assert_eq!(Place::of(&status), place(account, region), "{status:?}");
        }
    }

    #[test]
    fn whoever_is_elsewhere_is_not_told_that_there_is_nothing() {
        let scope = Scope::new("prod", ACCOUNT, "us-east-1");
        let (other, far) = ("999999999999", "eu-west-1");
        for (account, region) in [
            (None, None),
            (Some(ACCOUNT), Some("us-east-1")),
            (Some(ACCOUNT), None),
            (None, Some("us-east-1")),
        ] {
            assert_eq!(place(account, region).elsewhere("It", &scope), None);
        }
        for (account, region, names) in [
            (Some(ACCOUNT), Some(far), &[far, "us-east-1", "AWS_REGION=eu-west-1"][..]),
            (Some(other), Some("us-east-1"), &[other, ACCOUNT, "credentials"]),
            (Some(other), Some(far), &[other, ACCOUNT, far, "us-east-1", "credentials", "AWS_REGION"]),
            (None, Some(far), &[far, "us-east-1"]),
            (Some(other), None, &[other, ACCOUNT]),
        ] {
            let why = place(account, region).elsewhere("It", &scope).expect("it is elsewhere");
            for name in names {
                assert!(why.contains(name), "no '{name}' in: {why}");
            }
        }
    }
}
