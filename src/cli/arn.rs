//! What options take as the ARN of a role, or of a policy.

use crate::stack::names;

/// A role, of which IAM's policies speak; they know no sessions.
pub(super) fn role(text: &str) -> Result<String, String> {
    match names::is_iam_arn(text, "role") {
        true => Ok(text.into()),
        false => Err("a role's ARN is of the form arn:aws:iam::<twelve digits>:role/<path and name>, without wildcards; that of a \
                      session (sts, assumed-role) names no role, `aws iam get-role` has the role's"
            .into()),
    }
}

/// A policy that can bound roles.
pub(super) fn bounding(text: &str) -> Result<String, String> {
    match names::is_iam_arn(text, "policy") {
        true => Ok(text.into()),
        false => Err("a policy's ARN is of the form arn:aws:iam::<twelve digits>:policy/<path and name>, without wildcards".into()),
    }
}
