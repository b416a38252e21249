//! deletionPolicy Delete: everything that is the tenant's own goes, and nothing else.

use std::collections::BTreeSet;

use tenantry::api::Column;
use tenantry::stack::layout::ledger_key;

use super::{LEAVE, STACK, STAY, assert_never_named, identity, six_tenants};
use crate::support::inventory::{self, owned};
use crate::support::world::world;

#[tokio::test]
async fn everything_of_its_own_goes_and_nothing_of_anybody_elses() {
    world(|w| async move {
        six_tenants(&w, "Delete").await;
        let (mut leave, mut stay) = (Vec::new(), Vec::new());
        for name in LEAVE {
            leave.push(w.get(name).await);
        }
        for name in STAY {
            stay.push(w.get(name).await);
        }
        let before = inventory::names(&w.inventory().await);
        let knowledge_base = stay[2].status.knowledge_base_id.as_deref().unwrap();
        let jobs_before = w.jobs(knowledge_base).await;
        let mark = w.double.mark().await;

        for name in LEAVE {
            w.delete(name).await;
        }
        for name in LEAVE {
            w.gone(name).await;
        }

        let mut expected = before.clone();
        for tenant in &leave {
            let name = tenant.meta.name.as_deref().unwrap();
            let column = Column::from(super::pattern(name));
            let gone = owned(&identity(&w, name, tenant.uid()), column, true);
            assert!(gone.is_subset(&before), "{name} had all of it");
            let bucket = tenant.status.bucket.as_deref().unwrap();
            let documents = match column {
                Column::Silo => format!("object {bucket}/"),
                _ => format!("object {bucket}/{}", tenant.status.prefix.as_deref().unwrap()),
            };
            assert!(before.iter().any(|thing| thing.starts_with(&documents)), "{name} had documents");
            let ledger = ledger_key(&identity(&w, name, tenant.uid()));
            expected.retain(|thing| {
                !gone.contains(thing) && !thing.starts_with(&documents) && !thing.ends_with(&ledger)
            });
        }
        // A key cannot be deleted at once.
        let key = leave[0].status.kms_key_arn.as_deref().unwrap().rsplit_once('/').unwrap().1;
        expected.insert(format!("key {key} PendingDeletion"));
        let after = inventory::names(&w.inventory().await);
        let difference =
            |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
        assert_eq!(difference(&after, &expected), Vec::<String>::new(), "these should have gone");
        assert_eq!(difference(&expected, &after), Vec::<String>::new(), "these should have stayed");

        let writes = w.double.journal(mark).await.mutating();
        assert_never_named(&w, &writes, &stay);

        // The pool forgets by one job of its own, which begins when the last document is gone.
        let jobs = w.jobs(knowledge_base).await;
        assert_eq!(jobs.len(), jobs_before.len() + 1, "{jobs:?}");
        assert!(jobs.last().unwrap().starts_with("moved "), "{jobs:?}");
        let deleted = writes
            .only(|call| call.operation.starts_with("Delete") && call.text().contains("pool/acme-pool/"));
        assert!(deleted.last().unwrap().seq < writes.first("StartIngestionJob").seq, "{writes}");
        let left = w.retrieve_unfiltered(knowledge_base, "When does the office open?").await;
        assert!(
            !left.is_empty() && left.iter().all(|(uri, _)| uri.contains("/pool/acme-pool-2/")),
            "{left:?}"
        );

        for name in STAY {
            assert!(w.get(name).await.is("Ready=True"), "{name} did not notice");
        }
        assert!(w.get(STACK).await.is("Ready=True"));
    })
    .await;
}
