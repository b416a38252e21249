//! What tenants have retained in a SharedStack, if somebody has approved that it goes too. What lies in the bucket and in the
//! vector store goes with them. A Bridge tenant has left more: a knowledge base, an index, a role. Its marker says whose they
//! are, and is gone with the bucket; so they go first.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};

use crate::api::{Column, Pattern, Status, VectorStore};
use crate::documents::marker::{Left, Marker};
use crate::reconcile::engine::{self, World};
use crate::reconcile::memory::{Memory, TakenAlong};
use crate::stack::fault::Fault;
use crate::stack::identity::{Identity, Owner};
use crate::stack::model::progress::{Cadence, Progress};
use crate::stack::model::teardown_order::OnDelete;
use crate::stack::offer::Offer;

/// How many names a message lists before it counts.
const LISTED: usize = 10;
/// How many tenants are taken apart side by side: an account may have a hundred, and AWS counts calls by the second.
const SIDE_BY_SIDE: usize = 5;

/// What a tenant has left besides what lies in the SharedStack's bucket and vector store.
#[derive(Debug, PartialEq)]
pub(super) enum Besides {
    /// Nothing.
    Nothing,
    /// A Bridge tenant's own layers.
    Layers(Identity),
    /// Nobody can tell: its marker does not say whose it is.
    Unknown,
}

/// What a tenant has left besides, as the marker under its tenantId says. A marker is a file in a bucket: one that speaks of
/// another tenantId, or of a Tenant that is there (`alive`, by uid), takes nothing of theirs along.
pub(super) fn besides(
    stack: &Identity,
    tenant_id: &str,
    marker: &Marker,
    alive: &BTreeSet<String>,
) -> Besides {
    let Owner::Stack { name } = &stack.owner else { return Besides::Unknown };
    if marker.left == Left::Documents {
        return Besides::Nothing;
    }
    let owner = Owner::of_tags(&marker.tags(Some(name)));
    let is_gone = !marker.owner_uid.is_empty() && !alive.contains(&marker.owner_uid);
    match owner {
        Some(Owner::Tenant { tenant_id: its, .. }) if its != tenant_id => Besides::Unknown,
        Some(Owner::Tenant { pattern: Pattern::Pool, .. }) => Besides::Nothing,
        Some(owner @ Owner::Tenant { pattern: Pattern::Bridge, .. })
            if is_gone && marker.installation == stack.scope.installation =>
        {
            Besides::Layers(Identity::new(stack.scope.clone(), owner, &marker.owner_uid))
        }
        _ => Besides::Unknown,
    }
}

/// Takes apart what these tenants have left besides, a step further and several side by side: one that is stuck holds up
/// none of the others, but the SharedStack. `store` is which vector store they borrow, and `documents` are what goes of each in
/// the bucket if that stays.
pub(super) async fn take_along<'a>(
    world: &World<'_>,
    store: VectorStore,
    offer: Option<&Offer>,
    leavers: &[(&str, &Besides)],
    on_delete: OnDelete,
    memory: &mut Memory,
    documents: impl Fn(&Identity) -> BoxFuture<'a, Result<Progress, Fault>>,
) -> Result<Progress, Fault> {
    let mut steps = Vec::new();
    for (tenant_id, besides) in leavers {
        let before = match memory.taken_along.get(*tenant_id) {
            Some(TakenAlong::Gone(_)) => continue,
            Some(TakenAlong::Leaving(memory)) => Memory::clone(memory),
            None => Memory::default(),
        };
        match besides {
            Besides::Nothing => {
                memory.taken_along.insert(tenant_id.to_string(), TakenAlong::Gone(Vec::new()));
            }
            Besides::Unknown => {
                let left =
                    format!("whatever tenantId {tenant_id} had, whose marker does not say whose it is");
                memory.taken_along.insert(tenant_id.to_string(), TakenAlong::Gone(vec![left]));
            }
            Besides::Layers(id) => {
                let step = step(world, store, offer, tenant_id, id, on_delete, before, documents(id));
                steps.push(step.boxed());
            }
        }
    }
    let stepped: Vec<_> = stream::iter(steps).buffered(SIDE_BY_SIDE).collect().await;
    let (mut waits, mut fault) = (Vec::new(), None);
    for (tenant_id, after, progress) in stepped {
        let taken = match progress {
            Ok(Progress::Done) => {
                let foreign = after.observed.foreign();
                let left =
                    foreign.iter().map(|foreign| format!("{} (tenantId {tenant_id})", foreign.resource));
                TakenAlong::Gone(left.collect())
            }
            progress => {
                match progress {
                    Ok(progress) => waits.push((tenant_id, progress)),
                    Err(failed) => fault = fault.or(Some(failed)),
                }
                TakenAlong::Leaving(Box::new(after))
            }
        };
        memory.taken_along.insert(tenant_id.into(), taken);
    }
    match fault {
        Some(fault) => Err(fault),
        None => Ok(together(waits)),
    }
}

/// One tenant's step back, with what is remembered of it.
#[allow(clippy::too_many_arguments)] // It is `take_along` of one.
async fn step<'a>(
    world: &World<'_>,
    store: VectorStore,
    offer: Option<&Offer>,
    tenant_id: &'a str,
    id: &Identity,
    on_delete: OnDelete,
    mut memory: Memory,
    documents: BoxFuture<'_, Result<Progress, Fault>>,
) -> (&'a str, Memory, Result<Progress, Fault>) {
    let status = Status::default();
    let case = engine::nothing_wanted(id, Column::Bridge, offer, &status, false, Some(store));
    let progress = engine::teardown(world, &case, on_delete, &mut memory, documents).await;
    (tenant_id, memory, progress)
}

/// What all of them wait for, as one: those that need a person are named first.
fn together(mut waits: Vec<(&str, Progress)>) -> Progress {
    waits.retain(|(_, progress)| !progress.is_done());
    let severity = |progress: &Progress| match progress {
        Progress::Waiting { reason, .. } => Some(reason.severity()),
        Progress::Done => None,
    };
    waits.sort_by_key(|(_, progress)| Reverse(severity(progress)));
    let Some((_, Progress::Waiting { reason, .. })) = waits.first() else { return Progress::Done };
    let reason = *reason;
    let (mut said, mut soonest) = (Vec::new(), Cadence::Woken);
    for (tenant_id, progress) in &waits {
        if let Progress::Waiting { message, cadence, .. } = progress {
            said.push(format!("{tenant_id}: {message}"));
            soonest = soonest.min(*cadence);
        }
    }
    let message = format!("What {} tenants had retained goes first. {}", said.len(), listed(&said, "; "));
    Progress::Waiting { reason, message, cadence: soonest }
}

/// Whether of all these tenants nothing is left but what was left alone.
pub(super) fn are_gone(memory: &Memory, leavers: &[(&str, &Besides)]) -> bool {
    let is_gone = |tenant_id| matches!(memory.taken_along.get(tenant_id), Some(TakenAlong::Gone(_)));
    leavers.iter().all(|(tenant_id, _)| is_gone(*tenant_id))
}

/// What was left alone of what tenants had retained: the end of a sentence, empty if nothing was.
pub(super) fn left_alone(memory: &Memory) -> String {
    let left = memory.taken_along.values().flat_map(|taken| match taken {
        TakenAlong::Gone(left) => left.as_slice(),
        TakenAlong::Leaving(_) => &[],
    });
    let left: Vec<_> = left.cloned().collect();
    if left.is_empty() {
        return String::new();
    }
    let left = listed(&left, ", ");
    format!("of what tenants had retained this was left alone, because it is not provably theirs: {left}")
}

/// The first of them, and how many more there are.
pub(super) fn listed(names: &[String], between: &str) -> String {
    let count = names.len();
    let more = if count > LISTED { format!(" and {} more", count - LISTED) } else { String::new() };
    names[..count.min(LISTED)].join(between) + &more
}

#[cfg(test)]
mod tests;
