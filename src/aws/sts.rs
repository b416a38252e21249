//! STS: who we are.

use aws_config::SdkConfig;

use super::config::patient;
use super::gate::Gate;
use super::iam::Roles;
use crate::stack::fault::Fault;
use crate::stack::iam::operation::sts;

/// The identity that the credentials belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The twelve-digit account id.
    pub account: String,
    /// The ARN as STS has it; for a role, that of one session.
    pub arn: String,
}

/// Asks STS whose credentials these are. IAM cannot forbid the question.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>
pub async fn caller(config: &SdkConfig) -> Result<Caller, Fault> {
    let gate = Gate::open();
    let call = gate.call(sts::GetCallerIdentity, "the credentials");
    let client = aws_sdk_sts::Client::new(&patient(config));
    let answer = call.send(client.get_caller_identity().send()).await?;
    match (answer.account, answer.arn) {
        (Some(account), Some(arn)) => Ok(Caller { account, arn }),
        _ => Err(call.empty()),
    }
}

impl Caller {
    /// The ARN that a policy must name to mean us. A session belongs to its role, and the session's ARN has lost the
    /// role's path: IAM is asked for it.
    pub async fn principal_arn(&self, roles: &Roles) -> Result<String, Fault> {
        match self.role_name() {
            Some(name) => roles.arn(name).await,
            None => Ok(self.arn.clone()),
        }
    }

    /// The role behind `arn:aws:sts::<account>:assumed-role/<role>/<session>`; `None` for a user.
    fn role_name(&self) -> Option<&str> {
        let resource = self.arn.splitn(6, ':').nth(5)?;
        resource.strip_prefix("assumed-role/")?.split('/').next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_belongs_to_its_role() {
        let role = |arn: &str| {
            let caller = Caller { account: "1".into(), arn: arn.into() };
            caller.role_name().map(str::to_owned)
        };
        assert_eq!(role("arn:aws:sts::1:assumed-role/operator/pod-7").as_deref(), Some("operator"));
        assert_eq!(role("arn:aws-cn:sts::1:assumed-role/operator/a").as_deref(), Some("operator"));
        assert_eq!(role("arn:aws:iam::1:user/assumed-role/x"), None);
        assert_eq!(role("arn:aws:iam::1:root"), None);
    }
}
