//! `tenantry iam-policy writer` and `reader`: an uploader and the example client work under exactly what is printed, and
//! reach nothing beside it.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_bedrockagentruntime::types::KnowledgeBaseQuery;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use serde_json::{Value, json};

use crate::isolation::permissions::without;
use crate::operating::registry::{SPEED, TABLE, registered};
use crate::support::aws::{Role, Sdk, session};
use crate::support::kubectl::printed;
use crate::support::world::{World, world_with};

const TENANTS: &str = "
    {kind: SharedStack, metadata: {name: standard}, spec: {encryption: {key: Create}, pool: {}}}
    ---
    {kind: Tenant, metadata: {name: silo}, spec: {tenantId: silo, pattern: Silo}}
    ---
    {kind: Tenant, metadata: {name: bridge}, spec: {tenantId: bridge, pattern: Bridge, stackRef: {name: standard}}}
    ---
    kind: Tenant
    metadata: {name: pool}
    spec: {tenantId: pool, pattern: Pool, stackRef: {name: standard}, answers: {model: 'amazon.nova-pro-v1:0'}}";

impl World {
    /// What `tenantry iam-policy` prints for somebody around a tenant.
    pub async fn policy_of(&self, who: &str, tenant: &str, options: &[&str]) -> Value {
        let namespace = self.namespace_name("");
        let arguments = [&["iam-policy", who, "-n", &namespace, tenant][..], options].concat();
        // The cluster is all that it is asked about.
        let cluster = BTreeMap::from([("KUBECONFIG".into(), self.bed.kubeconfig.clone())]);
        serde_json::from_str(&printed(env!("CARGO_BIN_EXE_tenantry"), &arguments, cluster).await).unwrap()
    }

    /// A session of a role that has this policy and no other.
    pub async fn session_under(&self, role: &str, policy: Value) -> SdkConfig {
        session(&self.bed.aws_endpoint, &self.account, Role { name: role, policy }, role).await
    }
}

/// Whether S3 takes an object, or why not.
async fn put(s3: &aws_sdk_s3::Client, bucket: &str, key: &str) -> Result<(), String> {
    let put = s3.put_object().bucket(bucket).key(key).body(b"The office opens at nine.".to_vec().into());
    put.send().await.map(drop).map_err(|error| error.code().unwrap_or_default().to_owned())
}

/// What is large goes up in parts, and what was begun in vain is given up.
pub async fn in_parts(s3: &aws_sdk_s3::Client, bucket: &str, key: &str) {
    for finish in [true, false] {
        let begun = s3.create_multipart_upload().bucket(bucket).key(key).send().await.unwrap();
        let id = begun.upload_id().unwrap();
        let part = s3.upload_part().bucket(bucket).key(key).upload_id(id).part_number(1);
        let sent = part.body(b"The plan of the office.".to_vec().into()).send().await.unwrap();
        s3.list_parts().bucket(bucket).key(key).upload_id(id).send().await.unwrap();
        if finish {
            let part = CompletedPart::builder().part_number(1).set_e_tag(sent.e_tag).build();
            let parts = CompletedMultipartUpload::builder().parts(part).build();
            let end = s3.complete_multipart_upload().bucket(bucket).key(key).upload_id(id);
            end.multipart_upload(parts).send().await.unwrap();
        } else {
            s3.abort_multipart_upload().bucket(bucket).key(key).upload_id(id).send().await.unwrap();
        }
    }
}

/// All actions of a policy.
fn actions(policy: &Value) -> Vec<String> {
    let statements = policy["Statement"].as_array().unwrap().iter();
    let listed = statements.flat_map(|it| match &it["Action"] {
        Value::Array(actions) => actions.clone(),
        one => vec![one.clone()],
    });
    listed.map(|action| action.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_uploader_writes_under_its_tenants_prefix_and_nowhere_else() {
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        w.table().await;
        w.apply(TENANTS).await;
        let mut places = Vec::new();
        for tenant in ["silo", "bridge", "pool"] {
            let status = w.ready(tenant).await.status;
            places.push((tenant, status.bucket.unwrap(), status.prefix.unwrap()));
        }
        for (tenant, bucket, prefix) in &places {
            let policy = w.policy_of("writer", tenant, &[]).await;
            let session = w.session_under(&format!("writer-{tenant}"), policy).await;
            let s3 = Sdk::new(&session).s3;
            let key = format!("{prefix}office/hours.md");
            assert_eq!(put(&s3, bucket, &key).await, Ok(()), "{tenant}");
            let listed = s3.list_objects_v2().bucket(bucket).prefix(prefix).send().await.unwrap();
            assert!(listed.contents().iter().any(|object| object.key() == Some(&key)), "{tenant}");
            s3.get_object().bucket(bucket).key(&key).send().await.unwrap();
            in_parts(&s3, bucket, &format!("{prefix}office/plan.md")).await;
            // What it may not read is said, and the rest told all the same.
            let namespace = w.namespace_name("");
            let arguments = ["documents", "-n", &namespace, tenant, "-o", "json"];
            let printed = w.tenantry_under(&session, &arguments).await;
            let report: Value = serde_json::from_str(&printed).unwrap();
            assert_eq!(report["documents"], 2, "{report:#}");
            let unknown = report["unknown"].as_array().unwrap();
            assert!(
                !unknown.is_empty() && unknown.iter().all(|it| !it.as_str().unwrap().contains("quarantine")),
                "{report:#}"
            );
            s3.delete_object().bucket(bucket).key(&key).send().await.unwrap();

            let denied = Err("AccessDenied".to_string());
            for (other, bucket, prefix) in places.iter().filter(|(other, ..)| other != tenant) {
                assert_eq!(
                    put(&s3, bucket, &format!("{prefix}mine.md")).await,
                    denied,
                    "{tenant} on {other}"
                );
                let listed = s3.list_objects_v2().bucket(bucket).prefix(prefix).send().await;
                assert_eq!(listed.unwrap_err().code(), Some("AccessDenied"), "{tenant} on {other}");
            }
            for elsewhere in
                ["tenantry/ledger/x", "beside.md", &format!("{}x/y.md", prefix.trim_end_matches('/'))]
            {
                assert_eq!(put(&s3, bucket, elsewhere).await, denied, "{tenant}: {elsewhere}");
            }
            let sidecar = put(&s3, bucket, &format!("{key}.metadata.json")).await;
            assert_eq!(sidecar.is_err(), *tenant == "pool", "the operator writes a pool's metadata files");
        }
    };
    world_with(registered, test).await;
}

#[tokio::test]
async fn a_client_asks_its_tenants_knowledge_base_and_no_other() {
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        w.table().await;
        w.apply(TENANTS).await;
        let mut knowledge_bases = Vec::new();
        for tenant in ["silo", "bridge", "pool"] {
            let status = w.ready(tenant).await.status;
            w.condition(tenant, "Registered=True/Registered").await;
            w.upload(
                tenant,
                &[("handbook.md", &format!("Employees of {tenant} get 21 days of annual leave."))],
            )
            .await;
            knowledge_bases.push((tenant, status.knowledge_base_id.unwrap()));
        }
        let registry = format!("dynamodb:{TABLE}");
        for (tenant, _) in &knowledge_bases {
            let (role, options): (_, &[&str]) =
                (format!("reader-{tenant}"), if *tenant == "pool" { &["--generate"] } else { &[] });
            let policy = w.policy_of("reader", tenant, &["--registry", &registry]).await;
            let session = w.session_under(&role, policy.clone()).await;
            let environment = w.environment_under(&session).await;
            let answered = async || {
                let answer = w.client_under(environment.clone(), tenant, options).await.unwrap();
                answer.contains("21 days").then_some(())
            };
            w.eventually(&format!("{tenant} is answered"), answered).await;

            // Nobody else's knowledge base, nobody else's item.
            let runtime = aws_sdk_bedrockagentruntime::Client::new(&session);
            for (other, knowledge_base) in knowledge_bases.iter().filter(|(other, _)| other != tenant) {
                let query = KnowledgeBaseQuery::builder().text("annual leave").build();
                let asked = runtime.retrieve().knowledge_base_id(knowledge_base).retrieval_query(query);
                let refused = asked.send().await.unwrap_err();
                assert_eq!(refused.code(), Some("AccessDeniedException"), "{tenant} on {other}");
                assert!(
                    w.client_under(environment.clone(), other, options).await.is_err(),
                    "{tenant} on {other}"
                );
            }

            // And each action is needed.
            assert_eq!(actions(&policy).len(), if *tenant == "pool" { 4 } else { 2 });
            for action in &actions(&policy) {
                w.role_may(&role, without(&policy, &[action])).await;
                let refused = w.client_under(environment.clone(), tenant, options).await.unwrap_err();
                assert!(refused.contains(action), "{tenant} without {action}: {refused}");
            }
        }
    };
    world_with(registered, test).await;
}
