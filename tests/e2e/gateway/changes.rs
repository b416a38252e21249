//! What changes in the cluster is so for the gateway: at once where somebody comes or goes, within a minute where rights do.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::gateway::Answer;
use crate::support::gateway::process::until_answered;
use crate::support::gateway::tenants::{POOL, QUESTION};
use crate::support::world::world;

const LATER: &str = "
    {kind: Tenant, metadata: {name: pool3}, spec: {tenantId: pool3, pattern: Pool, stackRef: {name: standard}}}";

/// A minute, as this world's clock has it, and what two busy processors take beside.
const A_MINUTE: Duration = Duration::from_secs(6 + 3);
/// For how long the API server itself goes on to know a token of an account that is gone.
const ITS_OWN_CACHE: Duration = Duration::from_secs(10);
/// What is told by a watch: milliseconds, and what two busy processors take beside.
const AT_ONCE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn who_comes_is_answered_at_once_and_who_leaves_or_may_no_more_is_not() {
    world(|w| async move {
        w.apply(POOL).await;
        w.with_documents(&["pool1", "pool2"]).await;
        let tokens = w.askers(&["pool1", "pool2", "pool3"]).await;
        let gateway = w.gateway(&["--retrieve-rate", "1000"]).await;
        let ask = |tenant: &'static str| gateway.ask(&tokens[tenant], tenant, QUESTION);
        for tenant in ["pool1", "pool2"] {
            assert_eq!(ask(tenant).await.passages().len(), 1, "{tenant}");
        }

        // Nobody can tell a tenant that is not there from one that they may not ask.
        let nobody = ask("pool3").await;
        let anothers = gateway.ask(&tokens["pool1"], "pool2", QUESTION).await;
        assert_eq!((nobody.refusal(), nobody.message()), (anothers.refusal(), anothers.message()));
        assert_eq!(nobody.refusal(), (403, "AccessDeniedException".into()));
        w.apply(LATER).await;
        w.ready("pool3").await;
        let taken = until_answered("a new tenant is answered", || ask("pool3"), |it| it.status == 200).await;
        assert!(taken < AT_ONCE, "a new tenant waits {taken:?}");

        w.let_ask_no_more("pool1", "pool1").await;
        let taken =
            until_answered("who may no more is refused", || ask("pool1"), |it| it.status == 403).await;
        assert!(taken < A_MINUTE, "who may no more is refused after {taken:?}");
        assert_eq!(ask("pool1").await.refusal(), (403, "AccessDeniedException".into()));
        // Allowed again, within the same time.
        w.let_ask("pool1", "pool1").await;
        let taken = until_answered("who may again is answered", || ask("pool1"), |it| it.status == 200).await;
        assert!(taken < A_MINUTE, "who may again is answered after {taken:?}");

        w.patch("pool2", json!({"spec": {"deletionPolicy": "Delete"}})).await;
        let begun = Instant::now();
        w.delete("pool2").await;
        let taken = until_answered("who leaves is refused", || ask("pool2"), |it| it.status != 200).await;
        assert!(taken < AT_ONCE && begun.elapsed() < 2 * AT_ONCE, "who leaves is refused after {taken:?}");
        let leaving = ask("pool2").await;
        assert!(
            [(404, "ResourceNotFoundException".into()), (403, "AccessDeniedException".into())]
                .contains(&leaving.refusal()),
            "{leaving:?}"
        );
        // Who may not ask is not told that it leaves.
        assert_eq!(gateway.ask(&tokens["pool1"], "pool2", QUESTION).await.refusal(), anothers.refusal());
        w.gone("pool2").await;
        // The gateway has a watch of its own, and may be told after the test.
        let is_not_there = |it: &Answer| it.refusal() == (403, "AccessDeniedException".into());
        let taken = until_answered("who is gone is not there", || ask("pool2"), is_not_there).await;
        assert!(taken < AT_ONCE, "who is gone is not there after {taken:?}");
        assert_eq!(ask("pool1").await.passages().len(), 1, "the others do not notice");

        // Its token is good for an hour, and it still may ask: only whoever issued it knows that it is gone.
        w.delete_account("pool1").await;
        let taken = until_answered("who is gone is refused", || ask("pool1"), |it| it.status == 403).await;
        assert!(taken < A_MINUTE + ITS_OWN_CACHE, "who is gone is refused after {taken:?}");
        assert_eq!(ask("pool1").await.refusal(), (403, "UnrecognizedClientException".into()));
    })
    .await;
}
