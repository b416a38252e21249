//! A process that AWS does not answer, or does not let in, waits: it neither dies nor needs a restart.

use std::process::Stdio;
use std::time::Instant;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::support::operators::kill;
use crate::support::replicas::{Replica, seconds};
use crate::support::world::{PATIENCE, World, world_without_operator};

/// As if the machine had no credentials and no region of its own.
fn bare(program: &mut Command) -> &mut Command {
    program
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .stderr(Stdio::piped())
}

async fn asked_to_end(mut replica: Replica) {
    let begun = Instant::now();
    replica.signal("TERM").await;
    assert!(replica.ended().await.success(), "{}", replica.log());
    // Less than a call may take.
    assert!(begun.elapsed() < seconds(20), "it took {:?}", begun.elapsed());
}

#[tokio::test]
async fn what_aws_refuses_at_the_start_is_waited_for() {
    let test = async |w: World| {
        // Whoever may not read the records is not ready, so that a release that needs none goes on.
        for (asked, operation, fault, is_ready) in [
            ("s3:CreateBucket", "CreateBucket", "denied", false),
            ("sts:GetCallerIdentity", "GetCallerIdentity", "failed", true),
            ("iam:GetRole", "GetRole", "denied", true),
            ("s3:ListBucket", "HeadBucket", "denied", false),
            ("s3:GetObject", "GetObject", "denied", false),
        ] {
            let rule = json!({"operation": operation, "caller": "*/operator-first", "fault": fault, "count": 1_000_000});
            let refused = w.double.fault(rule).await;
            let mark = w.double.mark().await;
            let operator = w.replica("first", &[]).await;
            let why = match operation {
                "HeadBucket" => "waiting for AWS: s3:HeadBucket on ".to_owned(),
                "CreateBucket" => "waiting for AWS: the installation's bucket cannot be made".to_owned(),
                _ => format!("waiting for AWS: {asked} on "),
            };
            operator.says(&w, &why).await;
            let tried = || async { (refused.hits().await.len() >= 3).then_some(()) };
            w.eventually("it has tried again and again", tried).await;
            let (ready, how) = operator.ready().await;
            let begins = if is_ready { format!("ok; {why}") } else { why.clone() };
            assert!(ready == is_ready && how.starts_with(&begins), "{how}");
            assert!(fault != "denied" || how.contains(&format!("Allow {asked}")), "{how}");
            assert_eq!(operator.log().matches(&why).count(), 1, "it is said once:\n{}", operator.log());
            assert!(w.double.journal(mark).await.mutating().is_empty());
            let (_, metrics) = operator.get("/metrics").await;
            let status = "leader_election_master_status{name=\"tenantry-e2e\"} 0\n";
            assert!(metrics.contains(status), "not {status}:\n{metrics}");

            w.double.heal().await;
            operator.says(&w, "lead: starting").await;
            let ready = || async { (operator.ready().await == (true, "ok\n".into())).then_some(()) };
            w.eventually("it is ready", ready).await;
            asked_to_end(operator).await;
        }
        // Without a right to policies of collections there is none, and stacks with other stores go on.
        let rule = json!({"operation": "GetAccessPolicy", "caller": "*/operator-first", "fault": "denied", "count": 1_000_000});
        w.double.fault(rule).await;
        let operator = w.replica("first", &[]).await;
        operator.says(&w, "no stack can have a collection").await;
        operator.says(&w, "lead: starting").await;
        let ready = || async { (operator.ready().await == (true, "ok\n".into())).then_some(()) };
        w.eventually("it is ready", ready).await;
        asked_to_end(operator).await;
    };
    world_without_operator(|_| {}, test).await;
}

#[tokio::test]
async fn one_that_waits_ends_when_it_is_asked_to() {
    let test = async |w: World| {
        // The first is in the middle of a call, the second leads and lies between two.
        for rule in [
            json!({"operation": "GetCallerIdentity", "delay": 25}),
            json!({"operation": "GetAccessPolicy", "fault": "denied", "count": 1_000_000}),
        ] {
            let struck = w.double.fault(rule).await;
            let operator = w.replica("first", &[]).await;
            let asked = || async { (!struck.hits().await.is_empty()).then_some(()) };
            w.eventually("AWS is asked", asked).await;
            asked_to_end(operator).await;
        }
        w.double.heal().await;
    };
    world_without_operator(|_| {}, test).await;
}

#[tokio::test]
async fn credentials_may_come_later_and_a_region_may_not() {
    let test = async |w: World| {
        let mut program = w.program(&[]).await;
        for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            program.env_remove(variable);
        }
        let mut operator = bare(&mut program).spawn().unwrap();
        let mut lines = BufReader::new(operator.stderr.take().unwrap()).lines();
        let waits = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                println!("{line}");
                if line.contains("waiting for AWS: sts:GetCallerIdentity") {
                    return;
                }
            }
            panic!("it ended");
        };
        tokio::time::timeout(PATIENCE, waits).await.expect("it does not say what it waits for");
        kill(operator).await;

        let mut program = w.program(&[]).await;
        let refused = tokio::time::timeout(PATIENCE, bare(program.env_remove("AWS_REGION")).output());
        let refused = refused.await.expect("it did not end").unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains("set AWS_REGION"), "{said}");
    };
    world_without_operator(|_| {}, test).await;
}
