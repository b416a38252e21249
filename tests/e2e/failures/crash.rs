//! The operator may die at any moment: whoever comes after finds what is there by its name, and finishes it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fastrand::Rng;

use crate::support::fleet::Fleet;
use crate::support::operators::kill;
use crate::support::world::{World, world_without_operator};

const FLEET: Fleet = Fleet { each: 4 };
const MOMENTS: usize = 30;
/// The operator dies when it has made so many calls that change something, at the most,
const CALLS: u64 = 2;
/// and so many milliseconds later, at the most: before, while or after it makes the next.
const DELAY: u64 = 40;
/// One that is to make no call dies within so many milliseconds of its start: while it starts, or while it looks.
const START: u64 = 600;

async fn all_ready(w: &World) -> bool {
    w.all().await.iter().all(|object| object.is_done())
}

#[tokio::test]
async fn killed_thirty_times_it_still_builds_everything_once() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seed = std::env::var("TENANTRY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(now);
    println!("The moments follow from TENANTRY_SEED={seed}");
    let test = async |w: World| {
        let store = w.others_store().await;
        w.others_knowledge_base(&store, "somebodys-knowledge").await;
        w.sdk.s3.create_bucket().bucket(format!("somebodys-{}", w.suffix)).send().await.unwrap();
        w.sdk.kms.create_key().description("somebody's").send().await.unwrap();
        let others = w.inventory().await;

        w.apply(&Fleet { each: 0 }.yaml()).await;
        let (mut dice, mut come) = (Rng::with_seed(seed), 0);
        for moment in 1..=MOMENTS {
            // A tenant of each pattern comes a quarter of the way, or earlier if nobody is left to be killed at.
            if come < FLEET.each && (moment > come * MOMENTS / FLEET.each || all_ready(&w).await) {
                come += 1;
                w.apply(&Fleet::tenants(come)).await;
            }
            let calls = dice.u64(..=CALLS);
            let delay = if calls == 0 { START } else { DELAY };
            let delay = dice.u64(..delay);
            let mark = w.double.mark().await;
            // One at a time, so that there is something left to build until the last moment.
            let operator = w.program(&["--concurrency", "1"]).await.spawn().unwrap();
            let made = async || w.double.journal(mark).await.mutating().len() as u64;
            let enough = || async { (made().await >= calls || all_ready(&w).await).then_some(()) };
            w.eventually(&format!("it makes {calls} calls before moment {moment}"), enough).await;
            tokio::time::sleep(Duration::from_millis(delay)).await;
            kill(operator).await;
            let made = made().await;
            println!("moment {moment}: {delay} ms after {calls} calls; {made} were made");
        }
        assert!(come == FLEET.each && !all_ready(&w).await, "everything was built before the last moment");

        let operator = w.program(&[]).await.spawn().unwrap();
        FLEET.ready(&w).await;
        kill(operator).await;
        FLEET.assert_as_if_undisturbed_beside(&w, &others).await;
        let touched = w.double.journal(0).await.mutating().only(|call| call.text().contains("somebodys"));
        assert!(touched.is_empty(), "this is somebody else's:\n{touched}");
    };
    world_without_operator(|_| {}, test).await;
}
