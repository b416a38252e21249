//! An object that is being deleted, as the API server has it now.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::DynamicObject;
use kube::{Api, ResourceExt};

use super::last_spec::LastSpec;
use crate::api::{Column, Layer, Ownership, Status, ownership};
use crate::reconcile::context::Context;
use crate::reconcile::engine;
use crate::reconcile::engine::Stack;
use crate::reconcile::{finalizer, unparsed};
use crate::stack::identity::Identity;
use crate::stack::offer::Offer;

/// What is read once, at the beginning of a pass.
pub struct Deletion<'a> {
    /// What every pass needs.
    pub cx: &'a Context,
    /// Where the object is.
    pub api: Api<DynamicObject>,
    /// The object, unparsed.
    pub object: DynamicObject,
    /// Its uid.
    pub uid: String,
    /// When it was deleted.
    pub since: Time,
    /// What a teardown needs of its spec.
    pub last: LastSpec,
    /// Its status before this pass.
    pub before: Status,
}

impl<'a> Deletion<'a> {
    /// Reads the object. There is nothing to do for one that is gone, that another of its name has replaced, that is not
    /// being deleted, or that does not carry our finalizer.
    pub async fn live(
        cx: &'a Context,
        api: &Api<DynamicObject>,
        seen: &ObjectMeta,
    ) -> Result<Option<Self>, kube::Error> {
        let found = api.get_opt(seen.name.as_deref().unwrap_or_default()).await?;
        let Some(object) = found.filter(|live| live.uid() == seen.uid) else { return Ok(None) };
        let Some(since) = object.metadata.deletion_timestamp.clone() else { return Ok(None) };
        if !finalizer::has_finalizer(&object, &cx.finalizer()) {
            return Ok(None);
        }
        let mut last = LastSpec::of(&object, &|class| cx.placed_by(class));
        if last.pattern.is_none() && last.leaves_it_to_a_class {
            last.as_recorded(&cx.ids, &object.uid().unwrap_or_default()).await;
        }
        Ok(Some(Self {
            cx,
            api: api.clone(),
            uid: object.uid().unwrap_or_default(),
            since,
            last,
            before: unparsed::field(&object, "/status").unwrap_or_default(),
            object,
        }))
    }

    /// Where events and patches go.
    pub fn reference(&self) -> ObjectReference {
        unparsed::reference(&self.object)
    }

    /// Its stack, as the engine takes it apart.
    pub fn stack<'b>(&'b self, id: &'b Identity, column: Column, offer: Option<&'b Offer>) -> Stack<'b> {
        let own = || self.last.vector_store.unwrap_or_default();
        let store = (ownership(column, Layer::VectorStore) == Ownership::Owns).then(own);
        engine::nothing_wanted(id, column, offer, &self.before, self.last.creates_key, store)
    }
}
