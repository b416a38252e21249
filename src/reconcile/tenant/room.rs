//! Is there room for a Tenant's knowledge base, in its namespace and in the account?

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};

use crate::api::{Isolation, Tenant};
use crate::layers::existing_key;
use crate::reconcile::Error;
use crate::reconcile::context::Context;
use crate::reconcile::places::Applicant;
use crate::reconcile::stop::PassStop;
use crate::stack::accept;
use crate::stack::max_knowledge_bases::MAX_KNOWLEDGE_BASES;
use crate::stack::model::blocked::Blocked;
use crate::stack::model::desired::Blueprint;

/// What is known without asking anybody, before a Tenant is let in.
pub(super) fn is_not_full(
    cx: &Context,
    applicant: &Applicant,
    namespace: &ObjectMeta,
    isolation: &Isolation,
) -> Result<(), Blocked> {
    if matches!(isolation, Isolation::Pool(_)) {
        return Ok(());
    }
    let limit = limit(namespace)?;
    cx.is_full(applicant, limit).map_or(Ok(()), Err)
}

/// What only AWS, and the namespace as it is now, can say before anything is built. Not asked again of a Tenant that was let
/// in, unless it has lost its promise since: if there is no room any more, what is built is looked after, and the knowledge
/// base waits.
pub(super) async fn ask(
    cx: &Context,
    tenant: &Tenant,
    applicant: &Applicant,
    isolation: &Isolation,
) -> Result<Option<Blocked>, PassStop> {
    if matches!(isolation, Isolation::Pool(_)) {
        return Ok(None);
    }
    let id = &applicant.id;
    if applicant.begun {
        let has_one = tenant.status.as_ref().is_some_and(|status| status.knowledge_base_id.is_some());
        if has_one || cx.reservations.is_promised(&id.uid) {
            cx.reservations.promise(id);
            return Ok(None);
        }
        let namespace = namespace(cx, tenant).await?;
        let limit = match limit(&namespace.metadata) {
            Ok(limit) => limit,
            Err(unreadable) => return Ok(Some(unreadable)),
        };
        return PassStop::if_let_in(cx.reserve(applicant, limit).await);
    }
    let limit = limit(&live_namespace(cx.client.clone(), tenant).await?.metadata)?;
    let blueprint = Blueprint::Tenant { isolation, tags: &tenant.spec.tags };
    if let Some(key) = blueprint.existing_key() {
        let (namespace, store) = (tenant.namespace(), blueprint.store_kind().unwrap_or_default());
        existing_key::may_be_used(&cx.aws.keys, &cx.scope, key, namespace.as_deref(), store).await?;
    }
    cx.reserve(applicant, limit).await?;
    Ok(None)
}

/// How many knowledge bases a namespace may have.
fn limit(namespace: &ObjectMeta) -> Result<Option<usize>, Blocked> {
    let annotation = namespace.annotations.as_ref().and_then(|all| all.get(MAX_KNOWLEDGE_BASES));
    accept::knowledge_bases(namespace.name.as_deref().unwrap_or_default(), annotation.map(String::as_str))
}

/// The namespace as the cache has it, or, if that has not seen it, as it is now.
pub(super) async fn namespace(cx: &Context, tenant: &Tenant) -> Result<PartialObjectMeta<Namespace>, Error> {
    match cx.namespace(&tenant.namespace().unwrap_or_default()) {
        Some(seen) => Ok((*seen).clone()),
        None => live_namespace(cx.client.clone(), tenant).await,
    }
}

/// The namespace as the API server has it now.
pub(super) async fn live_namespace(
    client: Client,
    tenant: &Tenant,
) -> Result<PartialObjectMeta<Namespace>, Error> {
    let name = tenant.namespace().unwrap_or_default();
    Ok(Api::all(client).get_metadata(&name).await?)
}
