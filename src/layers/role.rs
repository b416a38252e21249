//! Who may touch the index: the knowledge base's service role, and the data access policy that names it.

use super::data_access;
use crate::api::{Layer, Reason, VectorStore};
use crate::aws::{Aws, Tags};
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::Identity;
use crate::stack::model::desired::DesiredRole;
use crate::stack::model::diff::{self, ROLE_POLICY, RoleChange};
use crate::stack::model::observed::{Foreign, Observed, RoleFacts};
use crate::stack::model::policy;
use crate::stack::model::progress::Progress;
use crate::stack::store::features;

/// Reads the role and, for a store that knows such, the data access policy of its index; each must prove to be ours on its
/// own.
pub async fn look(aws: &Aws, id: &Identity, store: VectorStore) -> Result<Observed<RoleFacts>, Fault> {
    let name = id.name(Layer::Role);
    let data_access = async {
        match features(store).create_data_access {
            Some(_) => data_access::find(aws, id).await,
            None => Ok(None),
        }
    };
    let (role, data_access) = futures::try_join!(aws.roles.find(&name), data_access)?;
    if role.is_none() && data_access.is_none() {
        return Ok(Observed::Absent);
    }
    let mut foreign = None;
    let data_access = data_access::own(id, data_access, &mut foreign);
    let role = match role.as_ref().map(|role| id.claim(&role.tags)) {
        Some(claim) if !id.owns(&claim) => {
            foreign.get_or_insert(Foreign { resource: format!("role {name}"), claim });
            None
        }
        _ => role,
    };
    Ok(match foreign {
        Some(foreign) if role.is_none() && data_access.is_none() => Observed::Foreign(foreign),
        foreign => Observed::Ours(RoleFacts { role, data_access, foreign }),
    })
}

/// Makes the role and the data access policy, which need only names, at once, or works off what differs. The permissions
/// follow as soon as the vector store has an ARN.
pub async fn ensure(
    aws: &Aws,
    id: &Identity,
    want: &DesiredRole,
    seen: &Observed<RoleFacts>,
) -> Result<Progress, Fault> {
    let none = RoleFacts::default();
    let facts = seen.ours().unwrap_or(&none);
    let (scope, name) = (&id.scope, &want.name);
    let mut needs_store = false;
    let trust = || policy::trust(scope, want.trusted.as_deref());
    let boundary = scope.permissions_boundary.as_deref();
    for change in diff::role(scope, want, facts) {
        match change {
            RoleChange::Create => {
                let (path, owner) = (scope.role_path(), id.owner_tag());
                aws.roles.create(name, &path, &trust(), &owner, boundary, &want.tags).await?;
            }
            RoleChange::Trust => aws.roles.put_trust(name, &trust()).await?,
            RoleChange::Boundary => {
                if let Some(boundary) = boundary {
                    aws.roles.put_boundary(name, boundary).await?;
                }
            }
            RoleChange::Tags => tag_itself(aws, name, facts, &want.tags).await?,
            RoleChange::Permissions => match policy::permissions(scope, want) {
                Some(permissions) => aws.roles.put_policy(name, ROLE_POLICY, &permissions).await?,
                None => needs_store = true,
            },
            RoleChange::DataAccess => {
                let Some(document) = want.data_access(scope) else { continue };
                data_access::put(aws, &want.index, &document, &want.tags, facts.data_access.as_ref()).await?;
            }
        }
    }
    Ok(if needs_store {
        Progress::waiting(
            Reason::WaitingForVectorStore,
            format!("Role {name} gets its permissions with the {}'s id", features(want.store.kind).words),
        )
    } else {
        Progress::under_way(facts.role.is_some(), &format!("Role {name}"))
    })
}

/// Writes the tags on the role, and into the description of its data access policy, which has none.
pub async fn tag(aws: &Aws, id: &Identity, facts: &RoleFacts, tags: &Tags) -> Result<(), Fault> {
    if let Some(access) = &facts.data_access {
        data_access::tag(aws, id, access, tags).await?;
    }
    tag_itself(aws, &id.name(Layer::Role), facts, tags).await
}

async fn tag_itself(aws: &Aws, name: &str, facts: &RoleFacts, tags: &Tags) -> Result<(), Fault> {
    match &facts.role {
        Some(role) if !diff::carries(&role.tags, tags) => aws.roles.tag(name, tags).await,
        _ => Ok(()),
    }
}

/// The data access policy, the role's inline policies, the role.
pub async fn teardown(aws: &Aws, id: &Identity, seen: &Observed<RoleFacts>) -> Result<Progress, Fault> {
    let Some(facts) = seen.ours() else {
        return Ok(Progress::Done);
    };
    if facts.data_access.is_some() {
        data_access::delete(aws, id).await?;
    }
    if let Some(role) = &facts.role {
        let name = id.name(Layer::Role);
        tracing::info!(role = role.arn, owner = id.owner_tag(), uid = id.uid, "deleting the role");
        for policy in role.policies.keys() {
            aws.roles.delete_policy(&name, policy).await?;
        }
        match aws.roles.delete(&name).await {
            Err(fault) if fault.class == Class::NotFound => {}
            other => other?,
        }
    }
    Ok(Progress::Done)
}
