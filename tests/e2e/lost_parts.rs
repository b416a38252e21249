//! Whatever part of a stack somebody deletes behind the operator's back, whoever owns it: it is put right by exactly
//! the calls that it takes, or waits for a person, and nothing else is touched.

use std::collections::BTreeSet;

use serde_json::json;
use tenantry::api::{APPROVE, Column, Ownership, ownership};

use crate::double::{Call, Journal};
use crate::objects::Object;
use crate::parts::{Owned, Part};
use crate::world::{World, world_without_operator};

/// AWS and the operator are equally much faster than they are.
const SPEED: u32 = 20;

/// What becomes of a stack that has lost a part.
enum Outcome {
    /// These operations put it right.
    Repaired(&'static [&'static str]),
    /// These make anew what vectors were in, and everything is embedded again.
    Rebuilt(&'static [&'static str]),
    /// A person must act, for this reason; nothing is changed.
    Waits(&'static str),
}

fn outcome(part: Part) -> Outcome {
    use Outcome::{Rebuilt, Repaired, Waits};
    match part {
        Part::Key => Waits("KeyNotAllowed"),
        Part::Alias => Repaired(&["CreateAlias"]),
        Part::Bucket | Part::Collection => Waits("DataLost"),
        Part::BucketPolicy => Repaired(&["PutBucketPolicy"]),
        Part::Encryption | Part::Network => Repaired(&["CreateSecurityPolicy"]),
        Part::Role => Repaired(&["CreateRole", "PutRolePolicy"]),
        Part::Trust => Repaired(&["UpdateAssumeRolePolicy"]),
        Part::Permissions => Repaired(&["PutRolePolicy"]),
        Part::Access => Repaired(&["CreateAccessPolicy"]),
        Part::DataSource => Rebuilt(&["CreateDataSource", "StartIngestionJob"]),
        Part::Index => Rebuilt(&[
            "CreateDataSource",
            "CreateIndex",
            "DeleteDataSource",
            "StartIngestionJob",
            "UpdateDataSource",
        ]),
        Part::KnowledgeBase => Rebuilt(&[
            "CreateDataSource",
            "CreateIndex",
            "CreateKnowledgeBase",
            "DeleteIndex",
            "StartIngestionJob",
            "UpdateAssumeRolePolicy",
        ]),
    }
}

/// An owner for each part, of the kinds that own it; each has a document that is indexed. The operator is stopped.
async fn owners(w: &World, parts: &[Part]) -> Vec<(Part, Owned)> {
    let settings = json!({"speedup": SPEED, "page_size": 50, "limits": {"jobs": 50}, "lag": {"list": 0}});
    w.double.settings(settings).await;
    w.start_operator().await;
    w.apply("{kind: SharedStack, metadata: {name: lender}, spec: {}}").await;
    let mut objects = Vec::new();
    for part in parts {
        let word = part.word();
        let encryption =
            if [Part::Key, Part::Alias].contains(part) { "encryption: {key: Create}" } else { "" };
        w.apply(&format!(
            "
            {{kind: SharedStack, metadata: {{name: {word}}}, spec: {{pool: {{}}, {encryption}}}}}
            ---
            kind: Tenant
            metadata: {{name: silo-{word}}}
            spec: {{tenantId: silo-{word}, pattern: Silo, {encryption}}}"
        ))
        .await;
        objects.extend([(*part, format!("SharedStack/{word}")), (*part, format!("silo-{word}"))]);
        if ownership(Column::Bridge, part.layer()) == Ownership::Owns {
            w.apply(&format!(
                "{{kind: Tenant, metadata: {{name: bridge-{word}}},
                   spec: {{tenantId: bridge-{word}, pattern: Bridge, stackRef: {{name: lender}}}}}}"
            ))
            .await;
            objects.push((*part, format!("bridge-{word}")));
        }
    }
    for (_, object) in &objects {
        let status = w.ready(object).await.status;
        let key = format!("{}acme/hours.md", status.prefix.unwrap());
        w.sdk.upload(&status.bucket.unwrap(), &key, "The office opens at nine.").await;
    }
    let mut owners = Vec::new();
    for (part, object) in objects {
        w.condition(&object, "DocumentsCurrent=True/Synced").await;
        owners.push((part, w.owned(&object).await));
    }
    w.stop_operator().await;
    owners
}

/// Calls that changed something of this owner, before or after it was put right.
fn of(journal: &Journal, before: &Owned, after: &Owned) -> Journal {
    let mut words: Vec<String> =
        tenantry::api::Layer::ALL.iter().map(|layer| before.id.name(*layer)).collect();
    for owned in [before, after] {
        words.extend(
            [&owned.status.knowledge_base_id, &owned.status.kms_key_arn].into_iter().flatten().cloned(),
        );
    }
    // A borrowed layer has the lender's name, and none of these.
    journal.mutating().only(|call| words.iter().any(|word| call.text().contains(word)))
}

fn operations(journal: &Journal) -> BTreeSet<String> {
    journal.only(Call::succeeded).iter().map(|call| call.operation.clone()).collect()
}

async fn assert_put_right(w: &World, parts: &[Part]) {
    let owners = owners(w, parts).await;
    for (part, owned) in &owners {
        owned.lose(w, *part).await;
    }
    let mark = w.double.mark().await;
    w.start_operator().await;
    let mut touched = 0;
    for (part, owned) in &owners {
        let what = format!("{} without its {part:?}", owned.object);
        let expected = match outcome(*part) {
            Outcome::Repaired(expected) | Outcome::Rebuilt(expected) => expected,
            Outcome::Waits(reason) => {
                let stalled = format!("Stalled=True/{reason}");
                // What is lost is looked for once more before anybody is asked to give it up.
                let asks = |told: &Object| {
                    reason != "DataLost" || told.message("Ready").contains(&format!("{APPROVE}=DataLost-"))
                };
                let told = w.until(&owned.object, &stalled, |told| told.is(&stalled) && asks(told)).await;
                let name = match part {
                    Part::Key => owned.status.kms_key_arn.clone().unwrap(),
                    Part::Collection => owned.status.store_arn.clone().unwrap(),
                    _ => owned.name(*part),
                };
                assert!(
                    told.is("Ready=False") && told.message("Ready").contains(&name),
                    "{}",
                    told.describe()
                );
                &[]
            }
        };
        let expected: BTreeSet<String> = expected.iter().map(|it| it.to_string()).collect();
        let done = || async {
            let after = w.owned(&owned.object).await;
            let done = operations(&of(&w.double.journal(mark).await, owned, &after));
            expected.is_subset(&done).then_some(())
        };
        w.eventually(&format!("{what} is put right"), done).await;
        if matches!(outcome(*part), Outcome::Waits(_)) {
            continue;
        }
        w.ready(&owned.object).await;
        w.condition(&owned.object, "DocumentsCurrent=True/Synced").await;
        let after = w.owned(&owned.object).await;
        let anew = after.status.knowledge_base_id != owned.status.knowledge_base_id;
        assert_eq!(anew, *part == Part::KnowledgeBase, "{what}");
        let found = w.retrieve_unfiltered(after.knowledge_base(), "When does the office open?").await;
        assert_eq!(found.len(), 1, "{what}: {found:?}");
        let calls = of(&w.double.journal(mark).await, owned, &after);
        assert_eq!(operations(&calls), expected, "{what}:\n{calls}");
        touched += calls.len();
    }
    let all = w.double.journal(mark).await.mutating();
    assert_eq!(all.len(), touched, "something else was touched:\n{all}");
}

#[tokio::test]
async fn documents_keys_and_who_may_read_them() {
    let parts = [Part::Key, Part::Alias, Part::Bucket, Part::BucketPolicy, Part::Role, Part::Trust];
    world_without_operator(
        |it| (it.clock, it.max_ingestion_jobs) = (SPEED, 50),
        |w| async move { assert_put_right(&w, &parts).await },
    )
    .await;
}

#[tokio::test]
async fn collections_and_who_may_reach_them() {
    let parts = [Part::Collection, Part::Encryption, Part::Network, Part::Permissions, Part::Access];
    world_without_operator(
        |it| (it.clock, it.max_ingestion_jobs) = (SPEED, 50),
        |w| async move { assert_put_right(&w, &parts).await },
    )
    .await;
}

#[tokio::test]
async fn what_vectors_are_in_and_what_fills_it() {
    let parts = [Part::Index, Part::KnowledgeBase, Part::DataSource];
    world_without_operator(
        |it| (it.clock, it.max_ingestion_jobs) = (SPEED, 50),
        |w| async move { assert_put_right(&w, &parts).await },
    )
    .await;
}
