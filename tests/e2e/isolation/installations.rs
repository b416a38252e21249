//! Exactly one process acts for an installation, and an installation touches nothing of another's.

use std::process::Stdio;
use std::time::Duration;

use aws_sdk_opensearchserverless::types::AccessPolicyType;
use serde_json::{Value, json};
use tenantry::api::Layer;

use crate::support::fleet::Fleet;
use crate::support::world::{LABEL, PATIENCE, World, world, world_with, world_without_operator};

const FLEET: Fleet = Fleet { each: 1 };
const GRANT: &str = "e2e-operator";

/// What the grant says of itself.
async fn grant(w: &World) -> (String, String) {
    let get = w.sdk.aoss.get_access_policy().r#type(AccessPolicyType::Data).name(GRANT);
    let found = get.send().await.unwrap().access_policy_detail.unwrap();
    (found.description.unwrap_or_default(), found.policy_version.unwrap())
}

impl World {
    /// The installation is another cluster's from now on, as if its operator had taken it over. All that has a record was
    /// held there, in namespaces of the same names.
    pub async fn belongs_to_cluster(&self, uid: &str) {
        let mut keys = self.keys(&self.records(), "tenants/").await;
        keys.push("lock.json".into());
        for key in keys {
            let rewritten = |record: &mut Value| match key.as_str() {
                "lock.json" => record["cluster"] = json!(uid),
                _ => {
                    record["holder"]["cluster"] = json!(uid);
                    record["holder"]["namespaceUid"] = json!("of-a-namespace-over-there");
                }
            };
            self.rewrite(&key, rewritten).await;
        }
        let (description, version) = grant(self).await;
        let (before, _) = description.split_once("cluster=").unwrap();
        let update = self.sdk.aoss.update_access_policy().r#type(AccessPolicyType::Data).name(GRANT);
        let update = update.description(format!("{before}cluster={uid}"));
        update.policy_version(version).send().await.unwrap();
    }
}

#[tokio::test]
async fn another_cluster_does_not_start_before_it_takes_over() {
    let test = async |w: World| {
        let role = w.own_role();
        let policy = json!([{"Rules": [{"ResourceType": "index", "Resource": ["index/e2e-sa-*/*", "index/e2e-ta-*/*"],
            "Permission": ["aoss:CreateIndex"]}], "Principal": [role]}]);
        let create = w.sdk.aoss.create_access_policy().r#type(AccessPolicyType::Data).name(GRANT);
        let create = create.description("installation=e2e,owner=operator,cluster=over-there");
        create.policy(policy.to_string()).send().await.unwrap();

        for arguments in [&[][..], &["--take-over", "yet-another"]] {
            let mut program = w.program(arguments).await;
            let refused = tokio::time::timeout(PATIENCE, program.stderr(Stdio::piped()).output());
            let refused = refused.await.expect("it did not end").unwrap();
            let said = String::from_utf8_lossy(&refused.stderr);
            assert!(!refused.status.success() && said.contains("--take-over over-there"), "{said}");
        }
        let writes = w.double.journal(0).await.mutating();
        assert!(writes.is_empty(), "it was refused, and yet:\n{writes}");

        let operator = w.program(&["--take-over", "over-there"]).await.spawn().unwrap();
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo}}").await;
        w.ready("acme").await;
        crate::support::operators::kill(operator).await;
        let (description, _) = grant(&w).await;
        assert!(!description.contains("over-there"), "{description}");
        // It is this cluster's now: nothing needs to be said any more.
        w.start_operator().await;
        w.apply("{kind: Tenant, metadata: {name: next}, spec: {tenantId: next, pattern: Silo}}").await;
        w.condition("next", "Accepted=True").await;
    };
    world_without_operator(|_| {}, test).await;
}

#[tokio::test]
async fn an_operator_that_is_taken_over_ends() {
    let test = async |w: World| {
        w.belongs_to_cluster("over-there").await;
        let ended = async {
            loop {
                if let Some(trouble) = w.operator_trouble().await {
                    return trouble;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let trouble = tokio::time::timeout(PATIENCE, ended).await.expect("it goes on");
        assert!(trouble.contains("over-there has taken this installation over"), "{trouble}");
        let (description, _) = grant(&w).await;
        assert!(description.contains("over-there"), "and leaves the grant as it is: {description}");
    };
    world_with(|settings| settings.resync = Duration::from_secs(20), test).await;
}

#[tokio::test]
async fn what_another_installation_holds_is_left_alone() {
    let test = async |first: World| {
        let second = async |second: World| {
            let acme = "{kind: Tenant, metadata: {name: acme}, spec: {tenantId: same, pattern: Silo}}";
            for (w, installation) in [(&first, "e2e"), (&second, "second")] {
                w.apply(acme).await;
                let acme = w.ready("acme").await;
                assert_eq!(acme.meta.finalizers, Some(vec![format!("tenantry.dev/{installation}")]));
                assert!(acme.status.bucket.unwrap().starts_with(&format!("{installation}-ta-same-")));
            }
            let (mark, before) = (second.double.mark().await, first.get("acme").await);
            // The label moves the object out of the first one's sight, and into the second one's.
            let moved = |suffix: &str| json!({"metadata": {"labels": {LABEL: suffix}}});
            let version = first.patch("acme", moved(&second.suffix)).await.version().to_owned();
            let told = || async {
                let events = first.events("acme").await;
                events
                    .iter()
                    .any(|(reason, note)| reason == "HeldByAnother" && note.contains("'e2e'"))
                    .then_some(())
            };
            first.eventually("an event says who holds it", told).await;
            assert_eq!(first.get("acme").await.version(), version, "nothing was written to it");
            let calls = second.double.journal(mark).await.only(|call| call.text().contains(before.uid()));
            assert!(calls.is_empty(), "nothing was asked of AWS about it:\n{calls}");
            first.patch("acme", moved(&first.suffix)).await;
            first.delete("acme").await;
            first.gone("acme").await;
        };
        world_with(|settings| settings.installation = "second".into(), second).await;
    };
    world(test).await;
}

#[tokio::test]
async fn read_only_plans_and_reports() {
    let test = async |w: World| {
        w.apply(&FLEET.yaml()).await;
        let silo = w.condition("silo1", "Ready=False/ReadOnly").await;
        w.condition("SharedStack/standard", "Ready=False/ReadOnly").await;
        for wanted in
            ["Accepted=True", "Stalled=False", "KeyReady=False/ReadOnly", "BucketReady=Unknown/WaitingForKey"]
        {
            assert!(silo.is(wanted), "not {wanted}: {}", silo.describe());
        }
        assert!(silo.message("KeyReady").contains("--read-only"), "{}", silo.describe());
        for tenant in ["bridge1", "pool1"] {
            w.condition(tenant, "StackReady=False/StackNotReady").await;
        }
        assert!(w.all().await.iter().all(|object| object.meta.finalizers.is_none()));
        let calls = w.double.journal(0).await;
        assert!(!calls.is_empty() && calls.mutating().is_empty(), "it only reads:\n{}", calls.mutating());
        w.delete("silo1").await;
        w.gone("silo1").await;
    };
    world_with(|settings| settings.read_only = true, test).await;
}

/// What was built before is looked at, and whatever somebody did to it stays as it is.
#[tokio::test]
async fn read_only_repairs_builds_and_deletes_nothing() {
    world(|w| async move {
        w.apply(&FLEET.yaml()).await;
        FLEET.ready(&w).await;
        w.stop_operator().await;
        let bucket = w.get("silo1").await.status.bucket.unwrap();
        w.sdk.s3.delete_bucket_policy().bucket(&bucket).send().await.unwrap();
        let role = w
            .tenant_identity("bridge1", tenantry::api::Pattern::Bridge, Some("standard"), "")
            .name(Layer::Role);
        w.sdk.iam.delete_role_policy().role_name(role).policy_name("knowledge-base").send().await.unwrap();
        w.upload("silo1", &[("handbook.md", "Our office opens at nine.")]).await;
        w.upload("pool1", &[("handbook.md", "Our office opens at ten.")]).await;
        w.patch("pool1", json!({"spec": {"deletionPolicy": "Delete"}})).await;
        w.delete("pool1").await;
        w.apply("{kind: Tenant, metadata: {name: late}, spec: {tenantId: late, pattern: Silo}}").await;
        let (before, mark) = (w.inventory().await, w.double.mark().await);

        let operator = w.another_operator(|settings| settings.read_only = true).await;
        for (object, wanted) in [
            ("silo1", "BucketReady=True/ReadOnly"),
            ("silo1", "Ready=True"),
            ("bridge1", "RoleReady=False/ReadOnly"),
            ("late", "Ready=False/ReadOnly"),
            ("pool1", "Ready=False/ReadOnly"),
        ] {
            w.condition(object, wanted).await;
        }
        assert!(w.get("late").await.meta.finalizers.is_none());
        assert!(w.get("pool1").await.meta.finalizers.is_some());
        operator.stop().await;
        let writes = w.double.journal(mark).await.mutating();
        assert!(writes.is_empty(), "it may only read:\n{writes}");
        assert_eq!(w.inventory().await, before);
    })
    .await;
}

/// An older release's grant covers whatever begins with the installation's name, and what the operator may do ends before that.
#[tokio::test]
async fn a_grant_that_may_not_be_narrowed_keeps_no_operator_from_working() {
    let test = async |w: World| {
        let covers = async |what: &str| {
            let get = w.sdk.aoss.get_access_policy().r#type(AccessPolicyType::Data).name(GRANT);
            let found = get.send().await.ok()?.access_policy_detail?;
            format!("{:?}", found.policy?).contains(what).then_some(())
        };
        w.start_operator().await;
        w.granted().await;
        w.stop_operator().await;
        let (_, version) = grant(&w).await;
        let principal = crate::support::aws::role_arn(&w.account, "tenantry-operator");
        let wide = json!([{"Rules": [{"ResourceType": "index", "Resource": ["index/e2e-*/*"],
            "Permission": ["aoss:CreateIndex", "aoss:DescribeIndex", "aoss:UpdateIndex", "aoss:DeleteIndex"]}],
            "Principal": [principal]}]);
        let update = w.sdk.aoss.update_access_policy().r#type(AccessPolicyType::Data).name(GRANT);
        update.policy(wide.to_string()).policy_version(version).send().await.unwrap();
        w.start_operator().await;
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo}}").await;
        w.ready("acme").await;
        assert!(covers("index/e2e-*/*").await.is_some(), "it may not be narrowed");
        // What a person does about it.
        w.stop_operator().await;
        let delete = w.sdk.aoss.delete_access_policy().r#type(AccessPolicyType::Data).name(GRANT);
        delete.send().await.unwrap();
        w.start_operator().await;
        w.eventually("the grant is made anew", async || covers("index/e2e-ta-*/*").await).await;
    };
    world_without_operator(|_| {}, test).await;
}
