//! A paused object. Pausing stops a teardown too.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::grace;
use crate::api::Status;
use crate::reconcile::context::Context;
use crate::reconcile::{Action, Error, conditions_writer};

/// Says that it is paused, and does nothing else.
pub async fn paused<K: DeserializeOwned + Resource>(
    cx: &Context,
    api: &Api<K>,
    object: &ObjectReference,
    meta: &ObjectMeta,
    before: &Status,
) -> Result<Action, Error> {
    let mut memory = cx.memories.lend(meta.uid.as_deref().unwrap_or_default());
    let mut after = before.clone();
    grace::begin_anew(&mut after, &mut memory);
    memory.leaving_since = None;
    conditions_writer::pause(&mut after, meta);
    conditions_writer::write(cx, api, object, before, &after, true).await?;
    Ok(Action::await_change())
}
