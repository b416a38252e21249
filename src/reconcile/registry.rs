//! Keeps a Tenant's item in the registry as it should be: one write for each change, none while nothing changes, and a
//! tombstone before anything of the tenant is taken apart.
//!
//! The stack can be asked whatever becomes of its item, so trouble here is told by the condition `Registered` and leaves
//! `Ready` alone.

use std::time::{Duration, Instant};

use kube::runtime::events::EventType;

use super::context::Context;
use super::memory::{Memory, Registered, lasts};
use super::teardown::{DEADLINE, Deletion};
use crate::api::{ConditionType, Pattern, Reason, Status, Tenant};
use crate::aws::Aws;
use crate::clock;
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::{Identity, Scope};
use crate::stack::model::outcome::LayerStatus;
use crate::stack::model::progress::{Cadence, Progress, STALLED};
use crate::stack::model::teardown_order::OnDelete;
use crate::stack::registry::{Entry, State, Table};

/// What a pass made of it.
#[derive(Default)]
pub struct Mirrored {
    /// How the item stands; none without a registry.
    pub status: Option<LayerStatus>,
    /// When to try again.
    pub look_again: Option<Duration>,
    /// A passing failure: backoff decides when to try again.
    pub fault: Option<Fault>,
}

impl Mirrored {
    fn stands(status: LayerStatus) -> Self {
        Self { status: Some(status), ..Self::default() }
    }
}

/// Mirrors a Tenant that is Ready, of which the `id` is given. While it is not, its item keeps its last word: it can be
/// asked, or will be again.
pub async fn mirror(
    cx: &Context,
    tenant: &Tenant,
    id: Option<&Identity>,
    now: &Status,
    memory: &mut Memory,
) -> Mirrored {
    let Some(table) = &cx.settings.registry else { return Mirrored::default() };
    let model = tenant.spec.answers.as_ref().map(|answers| answers.model.as_str());
    let entry = id.zip(tenant.pattern()).and_then(|(id, pattern)| Entry::ready(id, pattern, now, model));
    let Some(entry) = entry else { return Mirrored::stands(LayerStatus::Unchanged) };
    if cx.settings.read_only {
        return only_look(&cx.aws, &cx.scope, table, &entry).await;
    }
    let hash = entry.hash();
    let refused = memory.registry.refused.as_ref().filter(|(what, _)| *what == hash);
    if let Some(left) = refused.and_then(|(_, at)| STALLED.checked_sub(cx.clock.since(*at))) {
        return Mirrored { look_again: Some(left), ..Mirrored::stands(LayerStatus::Unchanged) };
    }
    let was_told = now.is_true(ConditionType::Registered);
    let due = memory.registry.said.as_ref().map_or(!was_told, |(said, _)| *said != hash);
    let fault = match tell(cx, table, &entry, due, memory).await {
        Ok(()) => {
            memory.registry_failing_since = None;
            return Mirrored::stands(LayerStatus::Ready);
        }
        Err(fault) => fault,
    };
    let passes = fault.class.may_have_happened();
    let is_news = lasts(&mut memory.registry_failing_since, cx.clock, passes).is_some() || due;
    let trouble = match fault.class {
        class if passes && is_news => LayerStatus::Waiting(class.lasting(), fault.to_string()),
        Class::NotFound => {
            LayerStatus::Stalled(Reason::RegistryNotFound, not_found(&cx.scope, table, &fault))
        }
        Class::Conflict => {
            LayerStatus::Stalled(Reason::RegistryConflict, conflict(&cx.aws, table, &entry).await)
        }
        _ => LayerStatus::from(&fault),
    };
    if passes {
        return Mirrored { fault: Some(fault), ..Mirrored::stands(trouble) };
    }
    memory.registry = Registered { said: None, refused: Some((hash, Instant::now())) };
    Mirrored { look_again: Some(STALLED), ..Mirrored::stands(trouble) }
}

/// With `--read-only` what an item says is all there is to know.
async fn only_look(aws: &Aws, scope: &Scope, table: &Table, entry: &Entry) -> Mirrored {
    match aws.registry.get(table.name(), &entry.tenant_id).await {
        Ok(Some(item)) if item.is(entry) => Mirrored::stands(LayerStatus::Ready),
        Ok(_) => {
            let message =
                "The operator runs with --read-only; without it, it would write the registry's item";
            Mirrored::stands(LayerStatus::Waiting(Reason::ReadOnly, message.into()))
        }
        Err(fault) if fault.class == Class::NotFound => {
            let message = not_found(scope, table, &fault);
            Mirrored::stands(LayerStatus::Stalled(Reason::RegistryNotFound, message))
        }
        Err(fault) => Mirrored::stands(LayerStatus::from(&fault)),
    }
}

/// Brings an item to what it should say. What this process knows it to say is left alone until the next resync; what an
/// earlier one said, or was said a while ago, is looked at first: a look costs less than a write.
async fn tell(
    cx: &Context,
    table: &Table,
    entry: &Entry,
    due: bool,
    memory: &mut Memory,
) -> Result<(), Fault> {
    let hash = entry.hash();
    let fresh = |(said, at): &(String, Instant)| *said == hash && cx.clock.since(*at) < cx.resync_after();
    if memory.registry.said.as_ref().is_some_and(fresh) {
        return Ok(());
    }
    let stands = !due && {
        let item = cx.aws.registry.get(table.name(), &entry.tenant_id).await?;
        item.is_some_and(|item| item.is(entry))
    };
    if !stands {
        cx.aws.registry.put(table.name(), entry).await?;
        tracing::info!(tenant = entry.tenant_id, state = entry.state.as_str(), %table, "registered");
    }
    memory.registry = Registered { said: Some((hash, Instant::now())), refused: None };
    Ok(())
}

fn not_found(scope: &Scope, table: &Table, fault: &Fault) -> String {
    let Scope { account, region, .. } = scope;
    format!(
        "There is no table '{}' in region {region} of account {account}: {fault}. Make it, with tenantId, a string, as its \
         only key; tried again every five minutes",
        table.name()
    )
}

/// Whose an item is that is not ours to write, as far as it says so. Nobody reads another namespace's names here.
async fn conflict(aws: &Aws, table: &Table, entry: &Entry) -> String {
    let item = aws.registry.get(table.name(), &entry.tenant_id).await.ok().flatten();
    let said = |name: &str| item.as_ref().and_then(|item| item.text(name));
    let whose = match (said("installation"), said("region")) {
        (Some(installation), Some(region)) if Scope::is_valid_installation(installation) => {
            match (installation == entry.installation, region == entry.region) {
                (true, true) => "another Tenant of this installation".into(),
                (true, false) => "this installation in another region".into(),
                (false, _) => format!("the installation '{installation}'"),
            }
        }
        _ => "somebody else than a Tenantry operator".to_string(),
    };
    format!(
        "The item of tenantId '{}' in table '{}' was written by {whose}, and is left alone. Delete it if nobody needs it, \
         or give this installation a table of its own; tried again every five minutes",
        entry.tenant_id,
        table.name()
    )
}

/// Tells the registry that a Tenant leaves, so that clients stop asking before there is nothing to ask. What cannot be
/// written is waited for, but not for ever: after half an hour a client that meets a knowledge base that is gone is the
/// lesser evil, and an event says which item is left to be deleted. An item that is not ours, or a table that is not
/// there, holds up nothing.
pub async fn tombstone(
    deletion: &Deletion<'_>,
    id: &Identity,
    pattern: Pattern,
    on_delete: OnDelete,
    status: &mut Status,
    memory: &mut Memory,
) -> Result<Progress, Fault> {
    let cx = deletion.cx;
    let Some(table) = &cx.settings.registry else { return Ok(Progress::Done) };
    let state = if on_delete == OnDelete::Keep { State::Retained } else { State::Deleted };
    let entry = Entry::tombstone(id, pattern, state, deletion.since.0.to_string());
    let Some(entry) = entry else { return Ok(Progress::Done) };
    let hash = entry.hash();
    if memory.registry.said.as_ref().is_some_and(|(said, _)| *said == hash) {
        return Ok(Progress::Done);
    }
    let message = format!("The registry says that this Tenant is {}", state.as_str());
    let was_told = status
        .condition(ConditionType::Registered)
        .is_some_and(|said| said.reason == Reason::Deleting.as_str() && said.message == message);
    match tell(cx, table, &entry, !was_told, memory).await {
        Ok(()) => {
            let registered = ConditionType::Registered;
            status.set(registered, "False", Reason::Deleting, &message, None, clock::now());
            return Ok(Progress::Done);
        }
        Err(fault) if matches!(fault.class, Class::Conflict | Class::NotFound) => {}
        // Neither a pause nor an operator that was down is time in which it was tried.
        Err(fault) if cx.clock.since(memory.leaves()) < DEADLINE => return waits(fault),
        Err(fault) => {
            let note = format!(
                "The registry could not be told that this Tenant leaves, and its deletion continues: {fault}. The item of \
                 tenantId '{}' in table '{}' still says that it can be asked; delete it",
                entry.tenant_id,
                table.name()
            );
            cx.event(&deletion.reference(), EventType::Warning, "RegistryStale", "Delete", note).await;
        }
    }
    // Settled, if not by us: it is not asked again at each step.
    memory.registry.said = Some((hash, Instant::now()));
    Ok(Progress::Done)
}

/// Waiting for the registry, unless the failure passes by itself.
fn waits(fault: Fault) -> Result<Progress, Fault> {
    match Progress::of_fault(&fault) {
        Some(Progress::Waiting { reason, message, .. }) => {
            let message = format!(
                "The registry cannot be told that this Tenant leaves: {message}. Nothing is taken apart until then, or \
                 until that has been tried for half an hour"
            );
            Ok(Progress::Waiting { reason, message, cadence: Cadence::After(STALLED) })
        }
        _ => Err(fault),
    }
}
