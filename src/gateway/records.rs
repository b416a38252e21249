//! Whether a tenantId is the Tenant's that says so: the installation's records decide, as they do for the operator.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::kept::{Answer, Kept, Life, Not};
use super::patience::PATIENCE;
use super::tenants::Known;
use crate::ask::refusal::Refusal;
use crate::ask::whose;
use crate::records::{Records, Trouble};
use crate::stack::record::Record;

/// How many answers are kept.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(65_535);

/// How long a record counts: whoever has an id keeps it, and the cluster says at once who leaves.
pub const LIFE: Life = Life {
    young: Duration::from_secs(240),
    fresh: Duration::from_secs(300),
    usable: Duration::from_secs(900),
};

/// The records that were read. Clones are the same ones.
#[derive(Clone)]
pub struct Recorded {
    records: Records,
    life: Life,
    kept: Kept<Arc<str>, (), Refusal>,
}

impl Recorded {
    /// By these records. A refusal counts as long as `pause`, after which also S3 is asked again if it did not answer.
    pub fn new(records: Records, life: Life, pause: Duration) -> Self {
        Self { records, life, kept: Kept::new(MOST, pause) }
    }

    /// Refuses a Tenant that does not have its id by the records. It is told what everybody is told.
    pub async fn must_name(&self, tenant: &Arc<Known>) -> Result<(), Refusal> {
        self.kept.get(&tenant.uid, || self.clone().ask(tenant.clone())).await
    }

    async fn ask(self, tenant: Arc<Known>) -> Answer<(), Refusal> {
        let tenant_id = &*tenant.tenant_id;
        let Ok(answer) = tokio::time::timeout(PATIENCE, self.records.get(tenant_id)).await else {
            tracing::warn!(tenant_id, "the record of a tenantId is not read in time");
            return Err(Not::Away(Refusal::AwsAway));
        };
        match answer {
            Ok(Some(kept)) if is_its(&tenant, &kept.says) => Ok(((), self.life)),
            Ok(_) => {
                tracing::warn!(tenant_id, "no record says that this tenantId is the Tenant's that has it");
                Err(Not::Refused(Refusal::NotAllowed))
            }
            Err(Trouble::Away(fault)) => {
                tracing::warn!(tenant_id, %fault, "the record of a tenantId cannot be read");
                Err(Not::Away(Refusal::AwsAway))
            }
            Err(trouble) => {
                tracing::error!(tenant_id, %trouble, "the record of a tenantId cannot be read");
                Err(Not::Refused(Refusal::NotAllowed))
            }
        }
    }
}

fn is_its(tenant: &Known, record: &Record) -> bool {
    tenant.recorded().is_some_and(|tenant| whose::is_recorded(&tenant, record))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};

    use super::*;
    use crate::gateway::tenants::{Tenants, tests};
    use crate::records::in_memory::{InMemory, Mishap};

    const SECOND: Duration = Duration::from_secs(1);

    fn tenant(uid: &str) -> Arc<Known> {
        let tenants = Tenants::new("prod");
        let object = tests::tenant("a", "acme", &json!({"metadata": {"uid": uid}}));
        tenants.take(Event::Apply(object));
        tests::known(&tenants, "acme")
    }

    fn record(change: &Value) -> String {
        let mut record = json!({
            "tenantId": "acme", "state": "held", "pattern": "Pool", "stack": "standard",
            "holder": {"cluster": "c", "namespace": "tenants", "name": "a", "uid": "uid-a"},
            "since": "2026-01-01T00:00:00Z", "nonce": "n",
        });
        for (pointer, value) in change.as_object().unwrap() {
            *record.pointer_mut(pointer).unwrap() = value.clone();
        }
        record.to_string()
    }

    fn recorded(shelf: InMemory) -> Recorded {
        Recorded::new(Records::new(Arc::new(shelf)), LIFE, 5 * SECOND)
    }

    #[tokio::test(start_paused = true)]
    async fn only_whom_the_record_names_has_the_id() {
        for (change, expected) in [
            (json!({}), Ok(())),
            (json!({"/holder/uid": "another"}), Err(Refusal::NotAllowed)),
            (json!({"/holder/namespace": "another"}), Err(Refusal::NotAllowed)),
            (json!({"/state": "gone"}), Err(Refusal::NotAllowed)),
            (json!({"/pattern": "Silo"}), Err(Refusal::NotAllowed)),
            (json!({"/tenantId": "globex"}), Err(Refusal::NotAllowed)),
        ] {
            let shelf = InMemory::default();
            shelf.overwrite("tenants/acme.json", &record(&change));
            assert_eq!(recorded(shelf).must_name(&tenant("uid-a")).await, expected, "{change}");
        }
        assert_eq!(recorded(InMemory::default()).must_name(&tenant("uid-a")).await, Err(Refusal::NotAllowed));
    }

    #[tokio::test(start_paused = true)]
    async fn while_s3_is_away_what_was_read_counts_and_nothing_new() {
        let is_away = Arc::new(AtomicBool::new(false));
        let away = is_away.clone();
        let mishap = move |_: &str| if away.load(Ordering::SeqCst) { Mishap::Before } else { Mishap::None };
        let shelf = InMemory::with(mishap);
        shelf.overwrite("tenants/acme.json", &record(&json!({})));
        let recorded = recorded(shelf);
        assert_eq!(recorded.must_name(&tenant("uid-a")).await, Ok(()));
        is_away.store(true, Ordering::SeqCst);
        tokio::time::sleep(600 * SECOND).await;
        assert_eq!(recorded.must_name(&tenant("uid-a")).await, Ok(()));
        assert_eq!(recorded.must_name(&tenant("another")).await, Err(Refusal::AwsAway));
        tokio::time::sleep(301 * SECOND).await;
        assert_eq!(recorded.must_name(&tenant("uid-a")).await, Err(Refusal::AwsAway));
    }

    #[tokio::test(start_paused = true)]
    async fn an_s3_that_hangs_keeps_nobody_for_long() {
        let hangs = Arc::new(AtomicBool::new(false));
        let hang = hangs.clone();
        let mishap = move |_: &str| if hang.load(Ordering::SeqCst) { Mishap::Hangs } else { Mishap::None };
        let shelf = InMemory::with(mishap);
        shelf.overwrite("tenants/acme.json", &record(&json!({})));
        let (recorded, begun) = (recorded(shelf), tokio::time::Instant::now());
        assert_eq!(recorded.must_name(&tenant("uid-a")).await, Ok(()));
        hangs.store(true, Ordering::SeqCst);
        assert_eq!(recorded.must_name(&tenant("new")).await, Err(Refusal::AwsAway));
        assert_eq!(begun.elapsed(), PATIENCE);
        tokio::time::sleep(600 * SECOND).await;
        assert_eq!(recorded.must_name(&tenant("uid-a")).await, Ok(()));
        assert_eq!(begun.elapsed(), 600 * SECOND + 2 * PATIENCE);
        tokio::time::sleep(10 * SECOND).await;
        assert_eq!(recorded.must_name(&tenant("uid-a")).await, Ok(()));
        assert_eq!(begun.elapsed(), 610 * SECOND + 2 * PATIENCE, "it is known that nobody answers");
    }
}
