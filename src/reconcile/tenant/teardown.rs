//! The teardown of a Tenant. What it borrows is found by the SharedStack's name alone, because that may be gone.

use futures::FutureExt;
use kube::{Resource, ResourceExt};

use super::pool::{self, PoolTenant};
use crate::api::{Column, Layer, Pattern, Reason, Status, Tenant, VectorStore};
use crate::clock;
use crate::documents::marker::{self, Marker};
use crate::documents::purge;
use crate::layers;
use crate::reconcile::context::Context;
use crate::reconcile::engine;
use crate::reconcile::ids::Claimed;
use crate::reconcile::memory::Memory;
use crate::reconcile::registry;
use crate::reconcile::teardown::{Deletable, Deletion, Left, TeardownStop, done};
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::{Identity, OwnershipClaim};
use crate::stack::layout::{ledger_key, retained_prefix};
use crate::stack::model::observed::Observed;
use crate::stack::model::progress::{Cadence, Progress};
use crate::stack::model::teardown_order::OnDelete;
use crate::stack::offer::Offer;
use crate::stack::record::{Claimant, State};

/// A Tenant that is being deleted.
pub struct DeletedTenant {
    id: Identity,
    pattern: Pattern,
    /// The SharedStack that it borrows from,
    lender: Option<Identity>,
    /// and where its vectors are, if that is known.
    store: Option<VectorStore>,
    /// Whether the tenantId is its own, and with it what lies under that in a SharedStack. Our finalizer does not prove it:
    /// whoever makes an object can write it, and name another's tenantId.
    claimed: Claimed,
}

impl Deletable for DeletedTenant {
    type Kind = Tenant;

    fn read(deletion: &Deletion<'_>) -> Result<Self, Progress> {
        let Deletion { cx, object, last, .. } = deletion;
        let (Some(tenant_id), Some(pattern)) = (&last.tenant_id, last.pattern) else {
            let message = "A Tenant without a tenantId and a pattern that this release knows cannot be taken apart. Give it \
                           both, or run the release that let it in";
            let (reason, cadence) = (Reason::SpecInvalid, Cadence::Woken);
            return Err(Progress::Waiting { reason, message: message.into(), cadence });
        };
        let stack = last.stack.as_deref();
        Ok(Self {
            id: cx.tenant_identity(object, tenant_id, pattern, stack),
            pattern,
            lender: stack.map(|stack| stack_identity(cx, stack)),
            store: deletion.before.vector_store.or(last.vector_store).or_else(|| stacks_store(cx, stack?)),
            claimed: Claimed::NotOurs,
        })
    }

    fn id(&self) -> &Identity {
        &self.id
    }

    async fn claimed(&mut self, deletion: &Deletion<'_>) -> Result<Claimed, TeardownStop> {
        if !deletion.cx.settings.read_only {
            self.claimed = deletion.cx.ids.claimed(&self.id).await?;
        }
        Ok(self.claimed)
    }

    /// Clients stop asking before there is nothing to ask.
    async fn prepare(
        &mut self,
        deletion: &Deletion<'_>,
        on_delete: Option<OnDelete>,
        status: &mut Status,
        memory: &mut Memory,
    ) -> Result<(), TeardownStop> {
        let Some(on_delete) = on_delete.filter(|_| self.has_id()) else { return Ok(()) };
        done(registry::tombstone(deletion, &self.id, self.pattern, on_delete, status, memory).await?)?;
        if status.had_documents != Some(true) && self.has_documents(deletion).await? {
            status.had_documents = Some(true);
        }
        Ok(())
    }

    async fn retain(
        &self,
        deletion: &Deletion<'_>,
        status: &Status,
        memory: &mut Memory,
    ) -> Result<Left, TeardownStop> {
        Ok(self.leave_word(deletion, OnDelete::Keep, status, memory).await?)
    }

    /// What is its own goes in its order, and so do its documents in a borrowed bucket, as far as they are not to stay. Of what
    /// stays, the marker is the last thing that is written.
    async fn remove(
        &self,
        deletion: &Deletion<'_>,
        on_delete: OnDelete,
        status: &mut Status,
        memory: &mut Memory,
    ) -> Result<Left, TeardownStop> {
        if status.had_documents != deletion.before.had_documents && !memory.documents_noted {
            // It must be in the status before any of them is deleted. A definition that is older than the field drops it.
            memory.documents_noted = true;
            return Err(TeardownStop::Waits(Progress::waiting(Reason::Deleting, "The deletion begins")));
        }
        done(match self.pattern {
            Pattern::Pool => self.leave_pool(deletion, on_delete, status, memory).await?,
            Pattern::Silo | Pattern::Bridge => self.take_apart(deletion, on_delete, memory).await?,
        })?;
        Ok(match on_delete {
            OnDelete::KeepDocuments => self.leave_word(deletion, on_delete, status, memory).await?,
            OnDelete::Delete | OnDelete::Keep => Left::Nothing,
        })
    }

    async fn give_id_back(
        &self,
        deletion: &Deletion<'_>,
        left: Left,
        status: &Status,
    ) -> Result<(), TeardownStop> {
        if !self.has_id() {
            return Ok(());
        }
        let (cx, namespace) = (deletion.cx, deletion.object.namespace().unwrap_or_default());
        let namespace_uid = cx.namespace(&namespace).and_then(|it| it.uid()).unwrap_or_default();
        let (state, empty) = match left {
            Left::Something => (State::Retained, false),
            Left::Nothing => (State::Gone, status.had_documents != Some(true)),
        };
        let (id, store) = (&self.id, self.store.unwrap_or_default());
        let leaver = Claimant { id, store, namespace_uid: &namespace_uid, named: false, approved: None };
        cx.ids.leave(&leaver, state, empty).await?;
        Ok(())
    }

    fn note(&self, note: String, _: &Memory) -> String {
        match self.claimed {
            Claimed::Ours | Claimed::Over => note,
            Claimed::NotOurs => {
                format!("The tenantId was not this Tenant's: what lies under it was left alone. {note}")
            }
        }
    }

    fn forget(&self, deletion: &Deletion<'_>) {
        deletion.cx.release_claim(self.id.tenant_id().unwrap_or_default(), &self.id.uid);
        if let Some(stack) = &deletion.last.stack {
            deletion.cx.wake_stack(stack);
        }
    }
}

impl DeletedTenant {
    fn has_id(&self) -> bool {
        self.claimed == Claimed::Ours
    }

    /// Whose bucket its documents lie in.
    fn bucket_owner(&self) -> &Identity {
        self.lender.as_ref().unwrap_or(&self.id)
    }

    /// What it borrows, if that is there.
    async fn offer(&self, cx: &Context) -> Result<Option<Offer>, Fault> {
        let Some(lender) = &self.lender else { return Ok(None) };
        let (aws, name) = (&cx.aws, lender.name(Layer::VectorStore));
        let store = match self.store {
            Some(kind) => layers::store::find(aws, &name, kind).await?,
            None => layers::store::find_any(aws, &name).await?,
        };
        Ok(store.map(|store| Offer::of_store(lender, store.handle)))
    }

    /// Whether anything lies under its prefix, or aside. A bucket that stood once and is gone may have had it.
    async fn has_documents(&self, deletion: &Deletion<'_>) -> Result<bool, Fault> {
        let (objects, bucket) = (&deletion.cx.aws.objects, self.bucket_owner().name(Layer::Bucket));
        for prefix in [self.id.prefix(), retained_prefix(self.id.tenant_id().unwrap_or_default())] {
            let page = match objects.versions(&bucket, &prefix, None).await {
                Err(fault) if fault.class == Class::NotFound => return Ok(deletion.before.bucket.is_some()),
                page => page?,
            };
            if !page.versions.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Leaves word of what stays. Who was never given its id and built nothing leaves nothing; nor does a Pool tenant that
    /// never had a document.
    async fn leave_word(
        &self,
        deletion: &Deletion<'_>,
        on_delete: OnDelete,
        status: &Status,
        memory: &mut Memory,
    ) -> Result<Left, Fault> {
        let (cx, id, owner) = (deletion.cx, &self.id, self.bucket_owner());
        let offer = self.offer(cx).await?;
        let stack = deletion.stack(id, Column::from(self.pattern), offer.as_ref());
        let stays = match self.pattern {
            Pattern::Silo => true,
            Pattern::Bridge if on_delete == OnDelete::Keep => {
                self.has_id()
                    || matches!(layers::role::look(&cx.aws, id, stack.store_kind()).await?, Observed::Ours(_))
            }
            Pattern::Bridge => self.has_id(),
            Pattern::Pool => self.has_id() && status.had_documents == Some(true),
        };
        let bucket = layers::bucket::look(&cx.aws, owner, deletion.before.bucket.as_deref()).await?;
        engine::retain(&cx.world(), &stack, on_delete, memory).await?;
        let there = match &self.lender {
            Some(_) => is_stacks(&bucket),
            None => matches!(bucket, Observed::Ours(_)),
        };
        if stays && there && (self.has_id() || self.lender.is_none()) {
            let what = match on_delete {
                OnDelete::Keep => marker::Left::Everything,
                OnDelete::KeepDocuments | OnDelete::Delete => marker::Left::Documents,
            };
            let marker = Marker::of(id, what, clock::stamp_after(None).0);
            marker::leave(&cx.aws, &owner.name(Layer::Bucket), id, &marker).await?;
        }
        let is_left = stays && (there || self.pattern == Pattern::Bridge);
        Ok(if is_left { Left::Something } else { Left::Nothing })
    }

    /// The SharedStack whose bucket has its documents, unless they are another's or that bucket is.
    async fn lending_bucket(&self, deletion: &Deletion<'_>) -> Result<Option<&Identity>, Fault> {
        let Some(lender) = self.lender.as_ref().filter(|_| self.has_id()) else { return Ok(None) };
        let hint = deletion.before.bucket.as_deref();
        let bucket = layers::bucket::look(&deletion.cx.aws, lender, hint).await?;
        Ok(is_stacks(&bucket).then_some(lender))
    }

    async fn leave_pool(
        &self,
        deletion: &Deletion<'_>,
        on_delete: OnDelete,
        status: &mut Status,
        memory: &mut Memory,
    ) -> Result<Progress, Fault> {
        let Some(stack) = self.lending_bucket(deletion).await? else { return Ok(Progress::Done) };
        let tenant = PoolTenant { cx: deletion.cx, id: &self.id, stack, since: deletion.since.0, on_delete };
        pool::step(&tenant, status, memory).await
    }

    async fn take_apart(
        &self,
        deletion: &Deletion<'_>,
        on_delete: OnDelete,
        memory: &mut Memory,
    ) -> Result<Progress, Fault> {
        let cx = deletion.cx;
        let offer = self.offer(cx).await?;
        let stack = deletion.stack(&self.id, Column::from(self.pattern), offer.as_ref());
        let documents = self.remove_borrowed_documents(deletion, on_delete).boxed();
        engine::teardown(&cx.world(), &stack, on_delete, memory, documents).await
    }

    /// Deletes this Tenant's ledger, and, unless they stay, its documents in a bucket that it borrows.
    async fn remove_borrowed_documents(
        &self,
        deletion: &Deletion<'_>,
        on_delete: OnDelete,
    ) -> Result<Progress, Fault> {
        let Some(lender) = self.lending_bucket(deletion).await? else { return Ok(Progress::Done) };
        let mut prefixes = vec![ledger_key(&self.id)];
        if on_delete == OnDelete::Delete {
            prefixes.push(self.id.prefix());
        }
        purge::all_under(&deletion.cx.aws, &lender.name(Layer::Bucket), &prefixes).await
    }
}

/// The SharedStack by its name; its uid as the cache has it, or none if it is gone.
fn stack_identity(cx: &Context, stack: &str) -> Identity {
    let uid = cx.stack(stack).and_then(|stack| stack.meta().uid.clone()).unwrap_or_default();
    Identity::of_stack(cx.scope.clone(), stack, &uid)
}

/// The vector store of a SharedStack, as the cache has it.
fn stacks_store(cx: &Context, stack: &str) -> Option<VectorStore> {
    let stack = cx.stack(stack)?;
    let stack = stack.0.as_ref().ok()?;
    Some(stack.spec.vector_store.unwrap_or_default())
}

/// Whether what was seen is that SharedStack's, be it of today or of an earlier object of its name: a tenant's
/// documents in it are the tenant's either way.
fn is_stacks<T>(seen: &Observed<T>) -> bool {
    match seen {
        Observed::Ours(_) => true,
        Observed::Foreign(foreign) => {
            matches!(foreign.claim, OwnershipClaim::Adoptable | OwnershipClaim::Earlier)
        }
        Observed::Absent => false,
    }
}
