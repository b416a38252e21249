//! The teardown of a SharedStack: not while anybody borrows from it, and not with what tenants have retained in it, unless
//! somebody has approved that.

use futures::FutureExt;
use kube::ResourceExt;
use kube::api::DynamicObject;

use super::apply::pool_documents;
use super::borrowers;
use super::losses::Losses;
use super::retained;
use crate::api::{Column, ConditionType, Layer, SharedStack, Status};
use crate::clock;
use crate::documents::marker::{self, Marker};
use crate::reconcile::engine;
use crate::reconcile::memory::Memory;
use crate::reconcile::teardown::{Deletable, Deletion, Left, TeardownStop, begin_grace, done};
use crate::stack::fault::Fault;
use crate::stack::identity::Identity;
use crate::stack::model::observed::Observed;
use crate::stack::model::outcome::Documents;
use crate::stack::model::progress::Progress;
use crate::stack::model::teardown_order::OnDelete;

/// A SharedStack that is being deleted.
pub(super) struct DeletedStack {
    id: Identity,
    column: Column,
    /// All Tenants that there are.
    tenants: Vec<DynamicObject>,
}

impl Deletable for DeletedStack {
    type Kind = SharedStack;

    fn read(deletion: &Deletion<'_>) -> Result<Self, Progress> {
        let Deletion { cx, object, uid, last, .. } = deletion;
        let column = if last.has_pool { Column::SharedStackWithPool } else { Column::SharedStack };
        let id = Identity::of_stack(cx.scope.clone(), &object.name_any(), uid);
        Ok(Self { id, column, tenants: Vec::new() })
    }

    fn id(&self) -> &Identity {
        &self.id
    }

    /// Borrowers first. They can still say no meanwhile, and those of its pool that are being deleted still need its job.
    async fn prepare(
        &mut self,
        deletion: &Deletion<'_>,
        on_delete: Option<OnDelete>,
        status: &mut Status,
        memory: &mut Memory,
    ) -> Result<(), TeardownStop> {
        let cx = deletion.cx;
        self.tenants = borrowers::all_tenants(cx).await?;
        let waits = borrowers::wait_for(cx, &self.tenants, &deletion.object.name_any()).await;
        if waits.is_done() {
            return Ok(());
        }
        if on_delete.is_some_and(|it| it != OnDelete::Keep) && !cx.settings.read_only {
            begin_grace(deletion, status, memory);
        }
        self.serve_pool(deletion, status, memory)
            .await
            .map_err(|fault| TeardownStop::Failed(fault.into()))?;
        Err(TeardownStop::Waits(waits))
    }

    async fn retain(
        &self,
        deletion: &Deletion<'_>,
        _: &Status,
        memory: &mut Memory,
    ) -> Result<Left, TeardownStop> {
        Ok(self.leave_word(deletion, OnDelete::Keep, memory).await?)
    }

    /// First what tenants have left besides, then the word of it, then what is its own.
    async fn remove(
        &self,
        deletion: &Deletion<'_>,
        on_delete: OnDelete,
        _: &mut Status,
        memory: &mut Memory,
    ) -> Result<Left, TeardownStop> {
        let losses = Losses::find(deletion, &self.id, on_delete, &self.tenants).await?;
        losses.are_approved(deletion).await?;
        losses.take_apart(&deletion.reference(), memory).await?;
        losses.tell_records(memory).await?;
        let stack = deletion.stack(&self.id, self.column, None);
        let documents = async { Ok(Progress::Done) }.boxed();
        done(engine::teardown(&deletion.cx.world(), &stack, on_delete, memory, documents).await?)?;
        if on_delete == OnDelete::Delete {
            return Ok(Left::Nothing);
        }
        let left = self.leave_word(deletion, on_delete, memory).await?;
        losses.put_markers_right().await?;
        Ok(left)
    }

    fn note(&self, note: String, memory: &Memory) -> String {
        let left_alone = retained::left_alone(memory);
        if left_alone.is_empty() { note } else { format!("{note}; {left_alone}") }
    }

    fn forget(&self, deletion: &Deletion<'_>) {
        deletion.cx.failures.lock().remove(&deletion.object.name_any());
    }
}

impl DeletedStack {
    /// The pool's step for tenants that are being deleted, if the spec can be read.
    async fn serve_pool(
        &self,
        deletion: &Deletion<'_>,
        status: &mut Status,
        memory: &mut Memory,
    ) -> Result<(), Fault> {
        let Deletion { cx, object, before, .. } = deletion;
        let Ok(stack) = object.clone().try_parse::<SharedStack>() else { return Ok(()) };
        let Ok(shared) = stack.spec.shared() else { return Ok(()) };
        let Some(step) = pool_documents(cx, &stack, &shared, before, before, true, memory).await else {
            return Ok(());
        };
        let Documents { reason, message, .. } = &step.synced.documents;
        let (kind, said) = (ConditionType::DocumentsCurrent, step.synced.documents.status());
        status.set(kind, said, *reason, message, object.metadata.generation, clock::now());
        step.fault.map_or(Ok(()), Err)
    }

    /// Leaves word of what stays, in its tags and in a marker.
    async fn leave_word(
        &self,
        deletion: &Deletion<'_>,
        on_delete: OnDelete,
        memory: &mut Memory,
    ) -> Result<Left, Fault> {
        let (cx, id) = (deletion.cx, &self.id);
        engine::retain(&cx.world(), &deletion.stack(id, self.column, None), on_delete, memory).await?;
        if let Observed::Ours(_) = memory.observed.bucket {
            let left = match on_delete {
                OnDelete::Keep => marker::Left::Everything,
                OnDelete::KeepDocuments | OnDelete::Delete => marker::Left::Documents,
            };
            let marker = Marker::of(id, left, clock::stamp_after(None).0);
            marker::leave(&cx.aws, &id.name(Layer::Bucket), id, &marker).await?;
        }
        Ok(Left::Something)
    }
}
