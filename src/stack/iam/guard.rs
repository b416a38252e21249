//! What an organization can refuse where no other policy can: a service control policy and a resource control policy for the
//! account that the operator works in. They only deny, so they go beside whatever allows, such as AWS's own `FullAWSAccess`.
//!
//! - The operator writes the trust of its roles, and IAM knows no condition on what a trust says. So nobody of the account
//!   assumes such a role. Bedrock does, which is a service, and whom no service control policy binds.
//! - The operator tells what is its own by tags, and must be allowed to write them. IAM cannot tell a thing that is being made
//!   from one that is there and has none of our tags; the ARN can, because what is being made has no id yet. So the operator
//!   puts its tags on nothing that is there and does not bear them already.
//! - A trust can also name an identity provider, or another account. Whoever comes by a provider signs nothing and is nobody of
//!   any account, so that no service control policy binds them: the resource control policy keeps the roles themselves.
//!
//! <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html>,
//! <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html>

use serde_json::{Value, json};

use super::permissions::{INSTALLATION, resource_tag};
use crate::stack::identity::Scope;

/// How long a service control policy, or a resource control policy, may be, in characters without white space outside of its strings.
/// <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html>
pub const MAX_GUARD_CHARS: usize = 5_120;

/// The service control policy; `operator_arn` is the role that the operator runs as.
pub fn guard(scope: &Scope, operator_arn: &str) -> Value {
    let installation = &scope.installation;
    json!({"Version": "2012-10-17", "Statement": [
        {
            "Sid": "OnlyServicesUseTheRoles", "Effect": "Deny", "Action": ["sts:AssumeRole"], "Resource": [roles(scope)],
        },
        {
            "Sid": "NoTagsOnWhatIsNotOurs", "Effect": "Deny",
            "Action": ["bedrock:TagResource", "kms:TagResource"],
            // An id: one key's has hyphens, and one knowledge base's ten characters. A pattern of all of them has neither.
            "Resource": [scope.arn("bedrock", "knowledge-base/??????????"), scope.arn("kms", "key/*-*")],
            "Condition": {
                "ArnEquals": {"aws:PrincipalArn": operator_arn},
                // Also where there is no such tag.
                "StringNotEquals": {resource_tag(INSTALLATION): installation},
            },
        },
    ]})
}

/// The resource control policy: no principal of whatever account, and no identity provider's, uses the roles. A service such as
/// Bedrock does; where AWS does not say what asks, nothing does.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalisawsservice>
pub fn resource_guard(scope: &Scope) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "OnlyServicesUseTheRoles", "Effect": "Deny", "Principal": "*",
        "Action": ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"],
        "Resource": [roles(scope)],
        "Condition": {"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}},
    }]})
}

/// The roles that the operator makes, and nobody else's.
fn roles(scope: &Scope) -> String {
    format!("arn:{}:iam::{}:role{}*", scope.partition, scope.account, scope.role_path())
}
