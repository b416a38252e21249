//! From a release that knew no records, and back. What such a release leaves in the cluster and in AWS is made here by taking
//! away what is new.

use aws_sdk_opensearchserverless::types::AccessPolicyType;
use serde_json::json;

use super::{STACK, document_is_there, tenant, thief_is_refused};
use crate::support::world::{World, world};

impl World {
    /// All that an earlier release knew nothing of is gone: the bucket, what statuses say of it, and what the grant says.
    async fn becomes_what_an_earlier_release_left(&self, tenants: &[&str]) {
        self.lose_records().await;
        for tenant in tenants {
            self.forgets_its_record(tenant).await;
        }
        let name = "e2e-operator";
        let get = self.sdk.aoss.get_access_policy().r#type(AccessPolicyType::Data).name(name);
        let found = get.send().await.unwrap().access_policy_detail.unwrap();
        let description = found.description.unwrap();
        let (before, _) = description.split_once(",records=").unwrap();
        let update = self.sdk.aoss.update_access_policy().r#type(AccessPolicyType::Data).name(name);
        update.description(before).policy_version(found.policy_version.unwrap()).send().await.unwrap();
    }

    /// A definition without the field prunes it.
    async fn forgets_its_record(&self, tenant: &str) {
        let (api, name) = self.find(tenant);
        let patch = kube::api::Patch::Merge(json!({"status": {"idRecord": null}}));
        api.patch_status(&name, &kube::api::PatchParams::default(), &patch).await.unwrap();
    }
}

const HELD: [&str; 3] = ["ours/victim", "ours/bridge", "ours/silo"];

#[tokio::test]
async fn an_upgrade_records_all_that_is_there_before_anybody_new_gets_an_id() {
    world(|w| async move {
        super::victim(&w, "Retain").await;
        for (name, pattern) in
            [("bridge", "Bridge"), ("silo", "Silo"), ("left-pool", "Pool"), ("left-bridge", "Bridge")]
        {
            w.apply(&tenant("ours", name, name, pattern, "Retain")).await;
            w.ready(&format!("ours/{name}")).await;
        }
        w.upload("ours/left-pool", &[("a.md", "left")]).await;
        for left in ["ours/left-pool", "ours/left-bridge"] {
            w.delete(left).await;
            w.gone(left).await;
        }
        // Its Tenant was taken away by force, long ago: nothing says whose it is but the documents.
        let bucket = w.get("SharedStack/standard").await.status.bucket.unwrap();
        w.sdk.upload(&bucket, "pool/orphan/a.md", "somebody's").await;
        w.stop_operator().await;
        w.becomes_what_an_earlier_release_left(&HELD).await;
        w.apply(&tenant("theirs", "thief-orphan", "orphan", "Pool", "Delete")).await;
        for id in ["victim", "bridge", "silo", "left-pool", "left-bridge"] {
            w.apply(&tenant("theirs", &format!("thief-{id}"), id, "Silo", "Delete")).await;
        }
        w.apply(&tenant("theirs", "thief", "victim", "Pool", "Delete")).await;
        let mark = w.double.mark().await;
        w.start_operator().await;
        for id in ["victim", "bridge", "silo", "left-pool", "left-bridge"] {
            w.condition(&format!("theirs/thief-{id}"), "Stalled=True/TenantIdTaken").await;
        }
        w.condition("theirs/thief-orphan", "Stalled=True/TenantIdTaken").await;
        thief_is_refused(&w).await;
        for tenant in HELD {
            let told = w.until(tenant, "has its record", |it| it.status.id_record.is_some()).await;
            assert!(told.is("Ready=True"), "{}", told.describe());
        }
        for (id, state) in [
            ("victim", "held"),
            ("bridge", "held"),
            ("silo", "held"),
            ("left-pool", "retained"),
            ("left-bridge", "retained"),
        ] {
            assert_eq!(w.state_of(id).await, state, "{id}");
        }
        let built = w.double.journal(mark).await.mutating();
        let built = built.only(|it| it.operation.starts_with("Create") || it.operation.starts_with("Delete"));
        assert!(built.is_empty(), "{built}");
        document_is_there(&w).await;

        // Back and forth once more: an earlier release prunes the field, and leaves the records where they are.
        w.stop_operator().await;
        for tenant in HELD {
            w.forgets_its_record(tenant).await;
        }
        w.start_operator().await;
        for tenant in HELD {
            let told = w.until(tenant, "has its record", |it| it.status.id_record.is_some()).await;
            assert!(told.is("Ready=True"), "{}", told.describe());
        }
        thief_is_refused(&w).await;
        // What was retained before there were records is its namespace's, by name.
        w.apply(&tenant("ours", "left-pool", "left-pool", "Pool", "Retain")).await;
        w.ready("ours/left-pool").await;
        w.apply(&tenant("ours", "left-bridge", "left-bridge", "Bridge", "Retain")).await;
        w.ready("ours/left-bridge").await;
    })
    .await;
}

/// What an administrator's SharedStack retains in its bucket is recorded when the SharedStack is taken over again.
#[tokio::test]
async fn a_shared_stack_that_comes_back_brings_its_records() {
    world(|w| async move {
        super::victim(&w, "Retain").await;
        w.delete("ours/victim").await;
        w.gone("ours/victim").await;
        w.delete("SharedStack/standard").await;
        w.gone("SharedStack/standard").await;
        w.stop_operator().await;
        w.becomes_what_an_earlier_release_left(&[]).await;
        w.start_operator().await;
        w.apply(&tenant("theirs", "thief", "victim", "Pool", "Delete")).await;
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        w.condition("theirs/thief", "Stalled=True/TenantIdTaken").await;
        assert_eq!(w.state_of("victim").await, "retained");
    })
    .await;
}

/// A SharedStack that is being deleted and waits for its tenants does so over a start, whatever their statuses say.
#[tokio::test]
async fn a_shared_stack_that_leaves_waits_for_all_that_the_records_know() {
    world(|w| async move {
        super::victim(&w, "Delete").await;
        w.patch("SharedStack/standard", json!({"spec": {"deletionPolicy": "Delete"}})).await;
        w.delete("SharedStack/standard").await;
        w.condition("SharedStack/standard", "DeletionBlocked=True/Borrowed").await;
        w.stop_operator().await;
        w.forgets_its_record("ours/victim").await;
        let mark = w.double.mark().await;
        w.start_operator().await;
        w.until("ours/victim", "has its record", |it| it.status.id_record.is_some()).await;
        w.annotate("SharedStack/standard", "e2e/touched", Some("true")).await;
        w.condition("SharedStack/standard", "DeletionBlocked=True/Borrowed").await;
        document_is_there(&w).await;
        let deleted = w.double.journal(mark).await.mutating().only(|it| it.operation.starts_with("Delete"));
        assert!(deleted.is_empty(), "{deleted}");
        w.delete("ours/victim").await;
        w.gone("ours/victim").await;
        w.gone("SharedStack/standard").await;
    })
    .await;
}

/// A record says in which store it is, and with no right to another an id is kept or given away as well.
#[tokio::test]
async fn what_is_retained_on_s3_vectors_is_recorded_so_and_its_id_is_looked_after_there_alone() {
    world(|w| async move {
        w.apply(
            "
            {kind: SharedStack, metadata: {name: vectors}, spec: {vectorStore: S3Vectors}}
            ---
            {kind: Tenant, metadata: {name: silo}, spec: {tenantId: silo, pattern: Silo, vectorStore: S3Vectors}}
            ---
            {kind: Tenant, metadata: {name: bridge}, spec: {tenantId: bridge, pattern: Bridge, stackRef: {name: vectors}}}",
        )
        .await;
        for tenant in ["silo", "bridge"] {
            w.ready(tenant).await;
            w.delete(tenant).await;
            w.gone(tenant).await;
        }
        w.stop_operator().await;
        w.becomes_what_an_earlier_release_left(&[]).await;
        w.start_operator().await;
        w.granted().await;
        for tenant in ["silo", "bridge"] {
            let record = w.record_of(tenant).await.unwrap();
            assert_eq!((&record["state"], &record["store"]), (&"retained".into(), &"S3Vectors".into()), "{record}");
        }

        w.double.fault(json!({"service": "aoss", "caller": "*:root", "fault": "denied"})).await;
        let release = ["release", "bridge", "--installation", &w.settings.installation];
        let (_, _, denied) = w.tenantry_tried(&release).await;
        assert!(denied.contains("aoss:"), "both are looked at unless it is said that there is one: {denied}");
        let on_s3_vectors = [&release[..], &["--store", "S3Vectors"]].concat();
        let (succeeds, _, left) = w.tenantry_tried(&on_s3_vectors).await;
        assert!(!succeeds && left.contains("\n  index ") && left.contains("\n  knowledge base "), "{left}");
        w.double.heal().await;
    })
    .await;
}
