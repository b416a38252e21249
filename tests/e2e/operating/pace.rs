//! The operator keeps within AWS's limits on the rate of calls, however much there is to do.

use serde_json::json;

use crate::support::fleet::Fleet;
use crate::support::world::{World, world_without_operator};

const CLOCK: u32 = 3;

#[tokio::test]
async fn a_fleet_is_onboarded_without_a_refused_call() {
    const FLEET: Fleet = Fleet { each: 4 };
    let test = async |w: World| {
        // Rates are by the second of AWS's time: the faster that goes by, the more a busy processor blurs them.
        let settings =
            json!({"speedup": CLOCK, "dwell": {"collection_create": 15}, "switches": {"rate_limits": true}});
        w.double.settings(settings).await;
        w.start_operator().await;
        w.granted().await;
        w.apply(&FLEET.yaml()).await;
        FLEET.ready(&w).await;
        let journal = w.double.journal(0).await;
        let refused = journal.only(|call| call.status == 429 || call.error.starts_with("Throttl"));
        assert!(refused.is_empty(), "{refused}");
        assert!(journal.of("CreateKnowledgeBase").len() >= 2 * FLEET.each);
    };
    world_without_operator(|settings| settings.clock = CLOCK, test).await;
}
