//! What tenants have retained in a SharedStack and would lose with it. Nothing of it goes before somebody has said yes.

use futures::FutureExt;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::runtime::events::EventType;

use super::retained::{self, Besides};
use crate::api::{Layer, Reason, VectorStore, annotations};
use crate::documents::marker::{self, Left, Marker};
use crate::documents::purge;
use crate::layers;
use crate::reconcile::context::Context;
use crate::reconcile::memory::Memory;
use crate::reconcile::teardown::{Deletion, TeardownStop, done};
use crate::stack::approval;
use crate::stack::fault::Fault;
use crate::stack::identity::Identity;
use crate::stack::layout::ledger_key;
use crate::stack::model::observed::Observed;
use crate::stack::model::progress::{Cadence, Progress};
use crate::stack::model::teardown_order::OnDelete;
use crate::stack::offer::Offer;

/// What goes with a SharedStack.
pub(super) struct Losses<'a> {
    cx: &'a Context,
    stack: &'a Identity,
    store: VectorStore,
    on_delete: OnDelete,
    tenants: Vec<Loss>,
}

/// What one tenant loses.
struct Loss {
    tenant_id: String,
    marker: Marker,
    besides: Besides,
}

impl<'a> Losses<'a> {
    /// What would go, as the markers in its bucket say. Without the bucket nothing is known of any.
    pub async fn find(
        deletion: &'a Deletion<'_>,
        stack: &'a Identity,
        on_delete: OnDelete,
        tenants: &[DynamicObject],
    ) -> Result<Self, Fault> {
        let cx = deletion.cx;
        let store = deletion.last.vector_store.unwrap_or_default();
        let mut losses = Self { cx, stack, store, on_delete, tenants: Vec::new() };
        let bucket = layers::bucket::look(&cx.aws, stack, deletion.before.bucket.as_deref()).await?;
        if !matches!(bucket, Observed::Ours(_)) {
            return Ok(losses);
        }
        let alive = tenants.iter().filter_map(ResourceExt::uid).collect();
        for (tenant_id, marker) in marker::retained(&cx.aws, &stack.name(Layer::Bucket)).await? {
            // Where the documents stay, who has retained nothing else loses nothing.
            if on_delete == OnDelete::Delete || marker.left == Left::Everything {
                let besides = retained::besides(stack, &tenant_id, &marker, &alive);
                losses.tenants.push(Loss { tenant_id, marker, besides });
            }
        }
        Ok(losses)
    }

    /// Goes on only if somebody has said yes to all of it.
    pub async fn are_approved(&self, deletion: &Deletion<'_>) -> Result<(), TeardownStop> {
        let tenants: Vec<_> = self.tenants.iter().map(|loss| loss.tenant_id.clone()).collect();
        let facts: Vec<_> = tenants.iter().map(String::as_str).collect();
        let code = approval::code(&self.stack.uid, Reason::RetainedTenants, &facts);
        let approved = annotations::approved(&deletion.object.metadata);
        if tenants.is_empty() || approved == Some(code.as_str()) || self.were_approved().await? {
            return Ok(());
        }
        let has_bridges = self.tenants.iter().any(|loss| matches!(loss.besides, Besides::Layers(_)));
        let too = if has_bridges {
            ", with the knowledge base, index and role of each Bridge tenant among them"
        } else {
            ""
        };
        let message = format!(
            "{} tenants have retained what would go with this SharedStack: {}. Set deletionPolicy to Retain to keep it. \
             {}, and it goes too{too}",
            tenants.len(),
            retained::listed(&tenants, ", "),
            approval::ask(&code, approved)
        );
        let (reason, cadence) = (Reason::RetainedTenants, Cadence::Steady);
        Err(TeardownStop::Waits(Progress::Waiting { reason, message, cadence }))
    }

    /// Whether its own marker is there, which is written when all but the documents is gone. Then only the tenants' are still
    /// to be put right, and those that are change the code.
    async fn were_approved(&self) -> Result<bool, Fault> {
        if self.on_delete != OnDelete::KeepDocuments {
            return Ok(false);
        }
        let own = marker::find(&self.cx.aws, &self.stack.name(Layer::Bucket), self.stack).await?;
        Ok(own.is_some_and(|own| own.owner_uid == self.stack.uid && own.left == Left::Documents))
    }

    /// Takes apart what tenants have left besides. What had to be left alone is told before the bucket goes: without the
    /// markers in it, another process could not name it at the end.
    pub async fn take_apart(
        &self,
        object: &ObjectReference,
        memory: &mut Memory,
    ) -> Result<(), TeardownStop> {
        let leavers: Vec<_> =
            self.tenants.iter().map(|loss| (loss.tenant_id.as_str(), &loss.besides)).collect();
        if retained::are_gone(memory, &leavers) {
            return Ok(());
        }
        let Self { cx, stack, on_delete, .. } = *self;
        // A store that is not active cannot be asked for an index; it takes it along.
        let store = layers::store::find(&cx.aws, &stack.name(Layer::VectorStore), self.store).await?;
        let offer = store.filter(|it| it.is_active).map(|it| Offer::of_store(stack, it.handle));
        let documents = |tenant: &Identity| {
            let (bucket, ledger) = (stack.name(Layer::Bucket), ledger_key(tenant));
            async move {
                match on_delete {
                    OnDelete::KeepDocuments => purge::all_under(&cx.aws, &bucket, &[ledger]).await,
                    // All of the bucket goes.
                    OnDelete::Delete | OnDelete::Keep => Ok(Progress::Done),
                }
            }
            .boxed()
        };
        let world = cx.world();
        let gone =
            retained::take_along(&world, self.store, offer.as_ref(), &leavers, on_delete, memory, documents)
                .await?;
        done(gone)?;
        let left_alone = retained::left_alone(memory);
        if !left_alone.is_empty() {
            let note = format!("The SharedStack goes; {left_alone}");
            cx.event(object, EventType::Warning, "LeftAlone", "Delete", note).await;
        }
        Ok(())
    }

    /// The records say that the ids of what goes along are gone, before the bucket is emptied: its markers are how this is
    /// known after a crash. Where the documents stay, so do the ids.
    pub async fn tell_records(&self, memory: &mut Memory) -> Result<(), TeardownStop> {
        if memory.records_told || self.on_delete != OnDelete::Delete {
            return Ok(());
        }
        for loss in &self.tenants {
            self.cx.ids.gone_with_bucket(&loss.tenant_id, &loss.marker.owner_uid).await?;
        }
        memory.records_told = true;
        Ok(())
    }

    /// The documents have stayed, and the tenants' markers speak of nothing else any more.
    pub async fn put_markers_right(self) -> Result<(), Fault> {
        for Loss { marker, besides, .. } in self.tenants {
            if let Besides::Layers(tenant) = besides {
                let marker = Marker { left: Left::Documents, ..marker };
                marker::leave(&self.cx.aws, &self.stack.name(Layer::Bucket), &tenant, &marker).await?;
            }
        }
        Ok(())
    }
}
