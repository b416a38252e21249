//! The teardown of an object that is being deleted: one function for both kinds, a step further in each pass.
//!
//! read live → can it be read? → paused? → whose id? → what becomes of it? → prepare → grace → retain or remove → give the id
//! back → last event → take the finalizer off → forget.
//!
//! Nothing is deleted before the grace is over. The registry is told before anything is deleted. The finalizer goes only after
//! a pass that finds nothing left. What is not provably the object's own stays, and the last event names it.

mod decision;
mod deletion;
mod grace;
mod last_spec;
mod notes;
mod pause;
mod report;
mod stop;

pub use self::deletion::Deletion;
pub use self::grace::begin as begin_grace;
pub use self::last_spec::LastSpec;
pub use self::pause::paused;
pub use self::report::{DEADLINE, report};
pub use self::stop::{TeardownStop, done};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::events::EventType;
use kube::{CustomResourceExt, Resource};

use self::decision::Decision;
use super::context::Context;
use super::ids::Claimed;
use super::memory::Memory;
use super::{Action, Error, finalizer, unparsed};
use crate::api::{Status, annotations};
use crate::stack::identity::Identity;
use crate::stack::model::progress::Progress;
use crate::stack::model::teardown_order::OnDelete;

/// What the kinds do differently. A step that cannot be finished in this pass returns why; all of them are taken again in the
/// next.
pub trait Deletable: Sized {
    /// The kind.
    type Kind: CustomResourceExt + Resource<DynamicType = ()>;

    /// Reads what is needed of the object. An error says what its spec lacks.
    fn read(deletion: &Deletion<'_>) -> Result<Self, Progress>;

    /// Whose stack it is, and what its parts are called.
    fn id(&self) -> &Identity;

    /// How the object stands to the id under which others look for what is its own.
    async fn claimed(&mut self, _: &Deletion<'_>) -> Result<Claimed, TeardownStop> {
        Ok(Claimed::Ours)
    }

    /// What comes before everything else: whoever uses the stack stops using it, or is waited for.
    async fn prepare(
        &mut self,
        deletion: &Deletion<'_>,
        on_delete: Option<OnDelete>,
        status: &mut Status,
        memory: &mut Memory,
    ) -> Result<(), TeardownStop>;

    /// Leaves everything, and word of it.
    async fn retain(
        &self,
        deletion: &Deletion<'_>,
        status: &Status,
        memory: &mut Memory,
    ) -> Result<Left, TeardownStop>;

    /// Takes apart what does not stay. Ends only in a pass that finds nothing of it.
    async fn remove(
        &self,
        deletion: &Deletion<'_>,
        on_delete: OnDelete,
        status: &mut Status,
        memory: &mut Memory,
    ) -> Result<Left, TeardownStop>;

    /// The last step before the finalizer goes: the records say what became of its id.
    async fn give_id_back(&self, _: &Deletion<'_>, _: Left, _: &Status) -> Result<(), TeardownStop> {
        Ok(())
    }

    /// What the last event says besides.
    fn note(&self, note: String, memory: &Memory) -> String;

    /// The object is gone: what the process has kept for it goes too, and whoever has waited for that is woken.
    fn forget(&self, deletion: &Deletion<'_>);
}

/// Whether something of an object stays in AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing does.
    Nothing,
    /// Something does, with a marker that says whose it was.
    Something,
}

/// One pass over an object that is being deleted.
pub async fn teardown<D: Deletable>(cx: &Context, seen: &ObjectMeta) -> Result<Action, Error> {
    let api = unparsed::api::<D::Kind>(cx.client.clone(), seen);
    let Some(deletion) = Deletion::live(cx, &api, seen).await? else { return Ok(Action::await_change()) };
    let Deletion { object, uid, before, .. } = &deletion;
    let mut deleted = match D::read(&deletion) {
        Ok(deleted) => deleted,
        Err(lacks) => return report(&deletion, before.clone(), lacks, &mut cx.memories.lend(uid)).await,
    };
    if annotations::pause(&object.metadata).is_some() {
        return paused(cx, &api, &deletion.reference(), &object.metadata, before).await;
    }
    cx.no_further(uid, before);
    let (mut status, mut memory) = (before.clone(), cx.memories.lend(uid));
    match to_the_end(&deletion, &mut deleted, &mut status, &mut memory).await {
        Ok(()) => {
            drop(memory);
            cx.forget(uid);
            deleted.forget(&deletion);
            Ok(Action::await_change())
        }
        Err(stop) => {
            let waits = stop.waits(cx.clock, &mut memory)?;
            report(&deletion, status, waits, &mut memory).await
        }
    }
}

/// The way to the end, as far as it goes in this pass.
async fn to_the_end<D: Deletable>(
    deletion: &Deletion<'_>,
    deleted: &mut D,
    status: &mut Status,
    memory: &mut Memory,
) -> Result<(), TeardownStop> {
    let cx = deletion.cx;
    let claimed = deleted.claimed(deletion).await?;
    let decision = Decision::of(&cx.client, D::Kind::crd_name(), deletion.last.policy.as_ref()).await?;
    // A record that speaks of the end was written by a pass that found nothing left.
    if claimed != Claimed::Over {
        deleted.prepare(deletion, decision.known(), status, memory).await?;
        if cx.settings.read_only {
            return Err(TeardownStop::Waits(report::read_only()));
        }
        let left = match decision.or_wait()? {
            OnDelete::Keep => deleted.retain(deletion, status, memory).await?,
            on_delete => {
                grace::is_over(deletion, status, memory)?;
                deleted.remove(deletion, on_delete, status, memory).await?
            }
        };
        deleted.give_id_back(deletion, left, status).await?;
    }
    let on_delete = decision.known().unwrap_or(OnDelete::Keep);
    let kind = D::Kind::kind(&());
    let (reason, note) = notes::of(&kind, deleted.id(), on_delete, &memory.observed);
    let note = deleted.note(note, memory);
    cx.event(&deletion.reference(), EventType::Normal, reason, "Delete", note).await;
    finalizer::release(&deletion.api, &deletion.object, &cx.finalizer()).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
