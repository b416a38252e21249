//! Records of what was retained before there were records.

use std::sync::Arc;

use kube::ResourceExt;

use super::listing::objects;
use crate::api::{GROUP, Layer, SharedStack, Status};
use crate::aws::Aws;
use crate::clock;
use crate::operator::wait_for_aws::answered;
use crate::reconcile::context::Context;
use crate::reconcile::leftovers::{self, Search};
use crate::reconcile::unparsed::field;
use crate::reconcile::{finalizer, retry};
use crate::records::lock::Lock;
use crate::records::{Kept, Records, Wrote};
use crate::stack::identity::{Identity, Owner, Scope};
use crate::stack::record::{Record, State};

/// Records what is in AWS without a Tenant: what was retained. Then the lock says that all is recorded, and the Tenants that
/// wait for that go on. What fails is tried again.
pub async fn complete(records: &Records, cx: &Context, lock: Kept<Lock>) {
    let mut failures = 0;
    while let Err(error) = record_all(records, cx, &lock).await {
        failures += 1;
        tracing::warn!(error = format!("{error:#}"), "what is there cannot be recorded; trying again");
        cx.ids.are_held_up(format!("{error:#}"));
        tokio::time::sleep(cx.clock.outside(retry::distance(failures))).await;
    }
    cx.ids.are_complete();
    cx.wake_tenants(|tenant| {
        let uid = tenant.meta().uid.as_deref().unwrap_or_default();
        !cx.ids.is_holder(tenant.tenant_id().unwrap_or_default(), uid)
    });
}

async fn record_all(records: &Records, cx: &Context, lock: &Kept<Lock>) -> anyhow::Result<()> {
    let (finalizer, mut recorded, mut held_up) = (cx.finalizer(), 0, None);
    for stack in objects::<SharedStack>(&cx.client).await? {
        let status: Status = field(&stack, "/status").unwrap_or_default();
        let id = Identity::of_stack(cx.scope.clone(), &stack.name_any(), &stack.uid().unwrap_or_default());
        if !finalizer::has_finalizer(&stack, &finalizer)
            || status.bucket.as_ref() != Some(&id.name(Layer::Bucket))
        {
            continue;
        }
        let store = status.vector_store.unwrap_or_default();
        match leftovers::record(cx, &id, store, Search::Everything).await {
            Ok(more) => recorded += more,
            // The others are recorded first. Then the operator says which one holds this up.
            Err(error) => {
                held_up =
                    Some(anyhow::Error::new(error).context(format!("SharedStack '{}'", stack.name_any())));
            }
        }
    }
    for record in retained_knowledge_bases(&cx.aws, &cx.scope).await? {
        recorded += usize::from(answered(cx.ids.record(record).await)?);
    }
    if let Some(error) = held_up {
        return Err(error);
    }
    if cx.settings.rebuild_records {
        tracing::warn!(
            "the records are created again; ids of which nothing is left in AWS or the cluster are forgotten"
        );
    }
    let complete = Lock { complete: true, ..lock.says.clone() };
    match answered(records.put_lock(complete, Some(&lock.etag)).await)? {
        Wrote::Done(_) => tracing::info!(recorded, "all that is retained has a record"),
        // A process before this one has written it, or another cluster has taken over. `Installation::watch` notices that.
        Wrote::Other(_) => {}
    }
    Ok(())
}

/// The records of tenants that left a knowledge base behind, in the words of its tags. Where its vectors are it says itself.
async fn retained_knowledge_bases(aws: &Aws, scope: &Arc<Scope>) -> anyhow::Result<Vec<Record>> {
    let mut records = Vec::new();
    for left in aws.knowledge_bases.retained(scope).await? {
        let Some(owner @ Owner::Tenant { .. }) = Owner::of_tags(&left.tags) else { continue };
        let uid = left.tags.get(&format!("{}/owner-uid", GROUP)).cloned().unwrap_or_default();
        let id = Identity::new(scope.clone(), owner, &uid);
        let store = left.store.map(|store| store.kind()).unwrap_or_default();
        let record = Record::of(&id, "", None, State::Retained, clock::now().0);
        records.extend(record.map(|record| record.in_store(store)));
    }
    Ok(records)
}
