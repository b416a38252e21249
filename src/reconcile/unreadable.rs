//! An object that this release cannot read, such as one that a newer definition let in. The watch goes on for all others,
//! and nothing is done for this one; it says so itself, where the API server lets it.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use kube::runtime::events::EventType;
use kube::{Api, ResourceExt};

use super::context::Context;
use super::{Action, Error, conditions_writer, finalizer, unparsed};
use crate::api::{ConditionType, Reason, Status};
use crate::clock;

/// Tells it, once for each version of the object.
pub async fn tell(
    cx: &Context,
    api: &Api<DynamicObject>,
    meta: &ObjectMeta,
    why: &str,
) -> Result<Action, Error> {
    let found = api.get_opt(meta.name.as_deref().unwrap_or_default()).await?;
    let Some(object) = found.filter(|it| it.uid() == meta.uid) else { return Ok(Action::await_change()) };
    if let Some(holder) = finalizer::held_by_another(&object, &cx.finalizer()) {
        conditions_writer::held_by_another(cx, &unparsed::reference(&object), &holder).await;
        return Ok(Action::await_change());
    }
    tracing::error!(object = object.name_any(), why, "an object cannot be read");
    let message = format!(
        "This release cannot read the object: {why}. Nothing is done for it. Change the spec, or run the release that let \
         it in"
    );
    let before: Status = unparsed::field(&object, "/status").unwrap_or_default();
    let mut after = before.clone();
    for (kind, status) in [
        (ConditionType::Ready, "False"),
        (ConditionType::Reconciling, "False"),
        (ConditionType::Stalled, "True"),
        (ConditionType::Accepted, "False"),
    ] {
        after.set(kind, status, Reason::SpecInvalid, &message, meta.generation, clock::now());
    }
    after.observed_generation = meta.generation;
    let subject = unparsed::reference(&object);
    match conditions_writer::write(cx, api, &subject, &before, &after, true).await {
        Ok(()) => Ok(Action::await_change()),
        Err(refused) if refused.is_stale() => Err(refused),
        // It may refuse every change of what it would not let in any more.
        Err(refused) => {
            tracing::warn!(%refused, "the status of an object that cannot be read cannot be written");
            say(cx, &subject, message).await;
            Ok(Action::await_change())
        }
    }
}

async fn say(cx: &Context, object: &ObjectReference, message: String) {
    cx.event(object, EventType::Warning, Reason::SpecInvalid, "Reconcile", message).await;
}

#[cfg(test)]
mod tests {
    use kube::Resource;
    use kube::core::ApiResource;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::Tenant;
    use crate::reconcile::Guarded;
    use crate::reconcile::mocked::{
        ApiServer, TENANT, api_server, context, event, get_object, merge_patch, read, tenant, with,
    };

    /// Of a pattern that only a newer release knows.
    fn newer() -> Value {
        let said = json!({"type": "RoleReady", "status": "True", "reason": "Ready", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let spec = json!({"tenantId": "acme", "pattern": "Shared"});
        with(tenant(json!({})), json!({"spec": spec, "status": {"conditions": [said]}}))
    }

    async fn told(server: &ApiServer) -> Result<Action, Error> {
        let seen: Guarded<Tenant> = read(newer());
        let why = seen.0.as_ref().expect_err("nobody can read it").error.clone();
        let kind = ApiResource::erase::<Tenant>(&());
        let api = Api::namespaced_with(server.client(), "tenants", &kind);
        tell(&context(server.client()), &api, seen.meta(), &why).await
    }

    #[tokio::test]
    async fn an_object_that_cannot_be_read_says_so_itself_and_makes_an_event() {
        let written = merge_patch(format!("{TENANT}/status"), json!("*")).answered(newer());
        let note = "This release cannot read the object: *";
        let event = event("Warning", "SpecInvalid", "Reconcile", note);
        let server = api_server([get_object(TENANT).answered(newer()), written, event]);
        assert_eq!(told(&server).await.unwrap(), Action::await_change());
        let conditions = server.seen()[1].body["status"]["conditions"].as_array().unwrap().clone();
        let of = |kind: &str| {
            let found = conditions.iter().find(|it| it["type"] == kind).unwrap();
            (found["status"].as_str().unwrap().to_owned(), found["reason"].as_str().unwrap().to_owned())
        };
        for (kind, status) in
            [("Ready", "False"), ("Reconciling", "False"), ("Stalled", "True"), ("Accepted", "False")]
        {
            assert_eq!(of(kind), (status.into(), "SpecInvalid".into()), "{kind}");
        }
        assert_eq!(of("RoleReady").0, "True", "what stands in AWS is not looked at");
    }

    /// Its schema does not let the object be, and so no change of it either.
    #[tokio::test]
    async fn where_the_api_server_takes_no_status_the_event_tells_it() {
        let refused = merge_patch(format!("{TENANT}/status"), json!("*")).refused(422);
        let event = event("Warning", "SpecInvalid", "Reconcile", "This release cannot read the object: *");
        let server = api_server([get_object(TENANT).answered(newer()), refused, event]);
        assert_eq!(told(&server).await.unwrap(), Action::await_change());
        let stale = merge_patch(format!("{TENANT}/status"), json!("*")).refused(409);
        let server = api_server([get_object(TENANT).answered(newer()), stale]);
        assert!(told(&server).await.unwrap_err().is_stale(), "it is read again");
    }

    #[tokio::test]
    async fn nothing_is_said_of_what_is_anothers_or_gone() {
        let anothers = with(
            newer(),
            json!({"metadata": {"name": "acme", "namespace": "tenants", "uid": "uid-acme",
            "finalizers": ["tenantry.dev/test"]}}),
        );
        let held = event("Warning", "HeldByAnother", "Reconcile", "It is held by the installation 'test' *");
        let server = api_server([get_object(TENANT).answered(anothers), held]);
        told(&server).await.unwrap();
        let server = api_server([get_object(TENANT).refused(404)]);
        told(&server).await.unwrap();
        let successor = tenant(json!({"uid": "another"}));
        let server = api_server([get_object(TENANT).answered(successor)]);
        told(&server).await.unwrap();
    }
}
