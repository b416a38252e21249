//! An account has room for so many knowledge bases. A tenant that would be one too many is told so before anything of
//! it is built.

use serde_json::json;
use tenantry::api::{Layer, Pattern};

use crate::support::world::{World, world_without_operator};

#[tokio::test]
async fn a_stack_without_room_for_its_knowledge_base_is_not_begun() {
    // AWS and the operator are equally much faster than they are.
    const SPEED: u32 = 50;
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        // More than a page of other people's.
        let store = w.others_store().await;
        let mut others = Vec::new();
        for n in 1..=3 {
            others.push(w.others_knowledge_base(&store, &format!("somebodys-{n}")).await);
        }
        let listed = || async {
            let pages = w.sdk.bedrock.list_knowledge_bases().into_paginator().items().send();
            (pages.try_collect().await.unwrap().len() == others.len()).then_some(())
        };
        w.eventually("AWS lists them", listed).await;
        w.start_operator().await;
        w.granted().await;

        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
        w.ready("SharedStack/standard").await;
        let mark = w.double.mark().await;
        w.apply(
            "
            {kind: Tenant, metadata: {name: silo}, spec: {tenantId: silo, pattern: Silo}}
            ---
            kind: Tenant
            metadata: {name: bridge}
            spec: {tenantId: bridge, pattern: Bridge, stackRef: {name: standard}}
            ---
            {kind: SharedStack, metadata: {name: second}, spec: {pool: {}}}
            ---
            kind: Tenant
            metadata: {name: pool}
            spec: {tenantId: pool, pattern: Pool, stackRef: {name: standard}}",
        )
        .await;
        for object in ["silo", "bridge", "SharedStack/second"] {
            let told = w.condition(object, "Accepted=False/QuotaReserved").await;
            assert!(
                told.is("Stalled=True/QuotaReserved") && told.meta.finalizers.is_none(),
                "{}",
                told.describe()
            );
            let message = told.message("Accepted");
            for wanted in ["4 knowledge bases", "--max-knowledge-bases is 4", "Pool pattern"] {
                assert!(message.contains(wanted), "'{wanted}' is not in: {message}");
            }
        }
        // Who needs none of its own is welcome.
        w.ready("pool").await;
        let journal = w.double.journal(mark).await;
        assert!(journal.mutating().is_empty(), "nothing was to be built:\n{}", journal.mutating());
        let pages = journal.of("ListKnowledgeBases");
        assert!(
            pages.iter().any(|call| call.params.to_string().contains("nextToken")),
            "one page only:\n{pages}"
        );

        // Room for one: one of the three goes on, and the others wait on.
        w.sdk.bedrock.delete_knowledge_base().knowledge_base_id(&others[0]).send().await.unwrap();
        let waiting = ["silo", "bridge", "SharedStack/second"];
        let accepted = || async {
            let mut accepted = Vec::new();
            for object in waiting {
                if w.get(object).await.is("Ready=True") {
                    accepted.push(object);
                }
            }
            accepted.pop()
        };
        let accepted = w.eventually("one of them is Ready", accepted).await;
        for object in waiting.iter().filter(|object| **object != accepted) {
            assert!(w.get(object).await.is("Accepted=False/QuotaReserved"), "{object}");
        }
        let silo = w.tenant_identity("silo", Pattern::Silo, None, "").name(Layer::KnowledgeBase);
        let made = w.double.journal(mark).await.of("CreateKnowledgeBase").only(|call| call.succeeded());
        assert_eq!(made.len(), 1, "{silo} or another:\n{made}");
    };
    let tell = |settings: &mut tenantry::settings::Settings| {
        settings.clock = SPEED;
        settings.max_knowledge_bases = 4;
    };
    world_without_operator(tell, test).await;
}

/// Each asked for itself: as many as wait are so many calls, and who must ask AWS for something else stands behind them.
#[tokio::test]
async fn thirty_for_whom_there_is_no_room_ask_aws_no_more_often_than_one() {
    const SPEED: u32 = 30;
    // In the terms in which waits are written down: how old an answer may be, and how often who waits asks again.
    const ANSWER: f64 = 30.0;
    const AGAIN: f64 = 300.0;
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        w.start_operator().await;
        w.granted().await;
        w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}").await;
        w.ready("SharedStack/standard").await;
        let mark = w.double.mark().await;
        let names: Vec<_> = (0..30).map(|n| format!("bridge-{n:02}")).collect();
        for name in &names {
            w.apply(&format!(
                "{{kind: Tenant, metadata: {{name: {name}}},
                   spec: {{tenantId: {name}, pattern: Bridge, stackRef: {{name: standard}}}}}}"
            ))
            .await;
        }
        for name in &names {
            w.condition(name, "Accepted=False/QuotaReserved").await;
        }
        // Until all have asked three times.
        let times = || async {
            let asked =
                w.double.journal(mark).await.of("ListKnowledgeBases").only(|call| call.is_operators());
            let times: Vec<_> = asked.iter().map(|call| call.time).collect();
            let lasted = times.last()? - times.first()?;
            (lasted * f64::from(SPEED) > 2.0 * AGAIN).then_some(times)
        };
        let times = w.eventually("all have asked again, and once more", times).await;
        for two in times.windows(2) {
            let between = (two[1] - two[0]) * f64::from(SPEED);
            assert!(between > 0.8 * ANSWER, "asked again after {between} s: {times:?}");
        }
    };
    let tell = |settings: &mut tenantry::settings::Settings| {
        settings.clock = SPEED;
        settings.max_knowledge_bases = 1;
    };
    world_without_operator(tell, test).await;
}
