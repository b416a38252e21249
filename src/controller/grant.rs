//! The operator's own right to manage indexes: one data access policy per installation, made before anything else.

use crate::aws::{Aws, PolicyKind};
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::{Identity, Scope};
use crate::stack::policy;

/// Makes the grant, or corrects it if the operator now runs as another role. A policy of that name that does not say
/// it is this installation's is left alone, and the operator does not start.
pub async fn ensure(aws: &Aws, scope: &Scope, operator_arn: &str) -> Result<(), Fault> {
    let name = scope.grant_name();
    let wanted = policy::operator_grant(scope, operator_arn);
    let description = format!("installation={},owner=operator", scope.installation);
    let found = match aws.policies.find(PolicyKind::DataAccess, &name).await? {
        Some(found) => found,
        None => match aws.policies.create(PolicyKind::DataAccess, &name, &wanted, &description).await {
            Err(fault) if fault.class == Class::Conflict => {
                match aws.policies.find(PolicyKind::DataAccess, &name).await? {
                    Some(found) => found,
                    None => return Err(fault),
                }
            }
            made => return made,
        },
    };
    let of = |text: &str| Identity::parse_description(text);
    if of(&found.description) != of(&description) {
        return Err(Fault {
            class: Class::Invalid,
            service: "aoss",
            operation: "GetAccessPolicy",
            resource: format!("data access policy {name}"),
            code: "OwnedByAnother".into(),
            message:
                "its description does not say that it is this installation's; remove it, or choose another \
                      --installation"
                    .into(),
            request_id: None,
        });
    }
    if policy::same(&found.document, &wanted) {
        return Ok(());
    }
    aws.policies.update(PolicyKind::DataAccess, &name, &wanted, &description, &found.version).await
}
