//! S3 Vectors as the vector store: from create to Ready in every pattern, what answers, who is kept from it, what is put right
//! and what goes.

use std::collections::BTreeSet;

use aws_sdk_s3vectors::types::{IndexMode, VectorData};
use serde_json::{Value, json};
use tenantry::api::{APPROVE, Column, Layer, Pattern, VectorStore};

use crate::support::aws::{Role, session};
use crate::support::inventory::{self, owned_on_s3_vectors};
use crate::support::objects::Object;
use crate::support::world::{World, world, world_with, world_without_operator};

const SILO: &str = "
    kind: Tenant
    metadata: {name: acme}
    spec: {tenantId: acme, pattern: Silo, vectorStore: S3Vectors, encryption: {key: Create}, tags: {costCenter: '42'},
        deletionPolicy: Delete}";

/// One tenant of each pattern, in one SharedStack or in none.
const ALL: &str = "
    kind: SharedStack
    metadata: {name: vectors}
    spec: {vectorStore: S3Vectors, pool: {}, deletionPolicy: Delete}
    ---
    kind: Tenant
    metadata: {name: acme}
    spec: {tenantId: acme, pattern: Silo, vectorStore: S3Vectors, deletionPolicy: Delete}
    ---
    kind: Tenant
    metadata: {name: globex}
    spec: {tenantId: globex, pattern: Bridge, stackRef: {name: vectors}, deletionPolicy: Delete}
    ---
    kind: Tenant
    metadata: {name: initech}
    spec: {tenantId: initech, pattern: Pool, stackRef: {name: vectors}, deletionPolicy: Delete}
    ---
    kind: Tenant
    metadata: {name: umbrella}
    spec: {tenantId: umbrella, pattern: Pool, stackRef: {name: vectors}, deletionPolicy: Delete}";

const TENANTS: [&str; 4] = ["acme", "globex", "initech", "umbrella"];

#[tokio::test]
async fn a_silo_owns_all_six_layers_and_answers() {
    world(|w| async move {
        w.apply(SILO).await;
        let acme = w.ready("acme").await;
        let id = w.tenant_identity("acme", Pattern::Silo, None, acme.uid());
        let found = w.inventory().await;
        let mut expected = owned_on_s3_vectors(&id, Column::Silo, true);
        expected.insert(w.grant());
        assert_eq!(inventory::names(&found), expected);
        let (bucket, name) = (id.name(Layer::VectorStore), id.name(Layer::Index));
        for what in [format!("vector bucket {bucket}"), format!("index {name}")] {
            for (tag, value) in id.tags() {
                assert_eq!(found[&what].get(&tag), Some(&value), "the tag {tag} of {what}");
            }
            assert_eq!(found[&what]["costCenter"], "42");
        }

        let status = &acme.status;
        let arn = format!("arn:aws:s3vectors:us-east-1:{}:bucket/{bucket}", w.account);
        let index_arn = format!("{arn}/index/{name}");
        assert_eq!(status.vector_store, Some(VectorStore::S3Vectors));
        assert_eq!((status.store_arn.as_ref(), status.index_arn.as_ref()), (Some(&arn), Some(&index_arn)));
        assert!(status.collection_arn.is_none() && status.collection_endpoint.is_none());
        let index = w.sdk.s3vectors.get_index().index_arn(&index_arn).send().await.unwrap().index.unwrap();
        let keys = index.metadata_configuration.unwrap().non_filterable_metadata_keys;
        assert_eq!(keys, ["AMAZON_BEDROCK_TEXT", "AMAZON_BEDROCK_METADATA"]);
        assert_eq!((index.dimension, index.distance_metric.as_str()), (1024, "cosine"));
        let key = index.encryption_configuration.and_then(|it| it.kms_key_arn);
        assert_eq!(key, status.kms_key_arn, "its own key");

        w.upload("acme", &[("leave.md", "Everybody has thirty days of annual leave.")]).await;
        w.condition("acme", "DocumentsCurrent=True/Synced").await;
        let answers = w.retrieve("acme", "How many days of annual leave?").await;
        assert!(answers.iter().any(|(uri, _)| uri.ends_with("/documents/leave.md")), "{answers:?}");

        w.delete("acme").await;
        w.gone("acme").await;
        let left = inventory::resources(&w.inventory().await);
        let key = acme.status.kms_key_arn.as_deref().unwrap().rsplit_once('/').unwrap().1;
        assert_eq!(left, BTreeSet::from([w.grant(), format!("key {key} PendingDeletion")]));
    })
    .await;
}

/// A tenant of every pattern in such a store, all of them Ready.
async fn of_every_pattern(w: &World, store: VectorStore) {
    w.apply(&ALL.replace("S3Vectors", &store.to_string())).await;
    for tenant in TENANTS {
        w.ready(tenant).await;
    }
}

/// And how all of that goes again: tenants first.
async fn all_leave(w: &World) {
    for tenant in TENANTS {
        w.delete(tenant).await;
    }
    for tenant in TENANTS {
        w.gone(tenant).await;
    }
    w.delete("SharedStack/vectors").await;
    w.gone("SharedStack/vectors").await;
}

#[tokio::test]
async fn every_pattern_answers_from_its_own_documents_and_leaves_nothing() {
    world(|w| async move {
        of_every_pattern(&w, VectorStore::S3Vectors).await;
        for tenant in TENANTS {
            let text = format!("The secret of {tenant} is in this file alone.");
            w.upload(tenant, &[("secret.md", &text)]).await;
        }
        w.annotate("SharedStack/vectors", "tenantry.dev/sync-requested-at", Some("now")).await;
        for object in ["acme", "globex", "SharedStack/vectors"] {
            w.condition(object, "DocumentsCurrent=True/Synced").await;
        }
        for tenant in TENANTS {
            let answers = w.retrieve(tenant, "What is the secret?").await;
            assert!(!answers.is_empty(), "{tenant} has an answer");
            for (uri, text) in answers {
                assert!(
                    text.contains(&format!("The secret of {tenant} ")),
                    "{tenant} was told {uri}: {text}"
                );
            }
        }
        let stack = w.get("SharedStack/vectors").await;
        let lender = w.stack_identity("vectors", stack.uid());
        let lent = owned_on_s3_vectors(&lender, Column::SharedStackWithPool, false);
        let found = inventory::names(&w.inventory().await);
        assert!(lent.is_subset(&found), "{:?}", lent.difference(&found).collect::<Vec<_>>());
        all_leave(&w).await;
        assert_eq!(inventory::names(&w.inventory().await), BTreeSet::from([w.grant()]));
    })
    .await;
}

/// Whoever may do anything in the account, by an IAM policy, and a role of another tenant that was given too much.
#[tokio::test]
async fn nobody_else_reads_an_index_whatever_iam_allows_them() {
    world(|w| async move {
        of_every_pattern(&w, VectorStore::S3Vectors).await;
        let globex = w.get("globex").await;
        let index = globex.status.index_arn.clone().unwrap();
        let all = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "s3vectors:*", "Resource": "*"}]});
        let stranger = Role { name: "stranger", policy: all.clone() };
        let stranger = session(&w.bed.aws_endpoint, &w.account, stranger, "stranger").await;
        let stranger = aws_sdk_s3vectors::Client::new(&stranger);
        assert!(stranger.get_index().index_arn(&index).send().await.is_ok(), "the index itself is no secret");
        let question = VectorData::Float32(vec![0.1; 1024]);
        for client in [&stranger, &w.sdk.s3vectors] {
            let asked = client.query_vectors().index_arn(&index).query_vector(question.clone()).top_k(1);
            let refused = asked.send().await.unwrap_err().into_service_error();
            assert!(refused.is_access_denied_exception(), "{refused:?}");
            let listed =
                client.list_vectors().index_arn(&index).send().await.unwrap_err().into_service_error();
            assert!(listed.is_access_denied_exception(), "{listed:?}");
        }

        // The role of the pool may read all indexes now, and its knowledge base is led to another's.
        let stack = w.get("SharedStack/vectors").await;
        let pools = w.stack_identity("vectors", stack.uid()).name(Layer::Role);
        w.stop_operator().await;
        let put = w.sdk.iam.put_role_policy().role_name(&pools).policy_name("too-much");
        put.policy_document(all.to_string()).send().await.unwrap();
        let denied = w.ask_as_role(&pools, &index).await;
        assert!(denied.contains("explicit deny"), "{denied}");
    })
    .await;
}

impl World {
    /// What Bedrock says when a knowledge base with this role is to be made over an index.
    async fn ask_as_role(&self, role: &str, index: &str) -> String {
        use aws_sdk_bedrockagent::types::{
            KnowledgeBaseConfiguration, KnowledgeBaseStorageType, KnowledgeBaseType, S3VectorsConfiguration,
            StorageConfiguration, VectorKnowledgeBaseConfiguration,
        };
        let role = self.sdk.iam.get_role().role_name(role).send().await.unwrap().role.unwrap();
        // Whoever may do that may change the trust of the role, too.
        let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"Service": "bedrock.amazonaws.com"}}]});
        let update = self.sdk.iam.update_assume_role_policy().role_name(&role.role_name);
        update.policy_document(trust.to_string()).send().await.unwrap();
        let model = "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-embed-text-v2:0";
        let vector = VectorKnowledgeBaseConfiguration::builder().embedding_model_arn(model).build().unwrap();
        let store = S3VectorsConfiguration::builder().index_arn(index).build();
        let storage = StorageConfiguration::builder().r#type(KnowledgeBaseStorageType::S3Vectors);
        let kind = KnowledgeBaseConfiguration::builder().r#type(KnowledgeBaseType::Vector);
        let create = self.sdk.bedrock.create_knowledge_base().name("forged").role_arn(role.arn);
        let create = create
            .knowledge_base_configuration(kind.vector_knowledge_base_configuration(vector).build().unwrap())
            .storage_configuration(storage.s3_vectors_configuration(store).build().unwrap());
        let refused = create.send().await.unwrap_err().into_service_error();
        refused.meta().message().unwrap_or_default().to_owned()
    }
}

#[tokio::test]
async fn what_somebody_changes_is_put_right() {
    world_with(
        |settings| settings.resync = std::time::Duration::from_secs(20),
        |w| async move {
            w.apply(SILO).await;
            let acme = w.ready("acme").await;
            let (bucket, index) =
                (acme.status.store_arn.clone().unwrap(), acme.status.index_arn.clone().unwrap());
            let wanted = policy(&w, &bucket).await;
            let s3vectors = &w.sdk.s3vectors;
            let open = json!({"Version": "2012-10-17", "Statement": [{"Sid": "Open", "Effect": "Allow",
                "Principal": "*", "Action": "s3vectors:*", "Resource": format!("{bucket}/index/*")}]});
            let put = s3vectors.put_vector_bucket_policy().vector_bucket_arn(&bucket);
            put.policy(open.to_string()).send().await.unwrap();
            for arn in [&bucket, &index] {
                let tag = "tenantry.dev/state";
                s3vectors.tag_resource().resource_arn(arn).tags(tag, "forgotten").send().await.unwrap();
            }
            w.eventually("the policy is as it was", || async {
                (policy(&w, &bucket).await == wanted).then_some(())
            })
            .await;
            for arn in [&bucket, &index] {
                w.eventually("the tags are as they were", || async {
                    let tags = w.sdk.s3vectors.list_tags_for_resource().resource_arn(arn).send().await;
                    (tags.unwrap().tags["tenantry.dev/state"] == "owned").then_some(())
                })
                .await;
            }
            w.ready("acme").await;
        },
    )
    .await;
}

async fn policy(w: &World, bucket: &str) -> Value {
    let found = w.sdk.s3vectors.get_vector_bucket_policy().vector_bucket_arn(bucket).send().await;
    serde_json::from_str(&found.unwrap().policy.unwrap()).unwrap()
}

#[tokio::test]
async fn an_index_that_is_gone_is_made_anew_and_a_vector_bucket_only_if_somebody_says_so() {
    world_with(
        |settings| settings.resync = std::time::Duration::from_secs(20),
        |w| async move {
            w.apply(SILO).await;
            let acme = w.ready("acme").await;
            w.upload("acme", &[("leave.md", "Everybody has thirty days of annual leave.")]).await;
            w.condition("acme", "DocumentsCurrent=True/Synced").await;
            let (bucket, index) =
                (acme.status.store_arn.clone().unwrap(), acme.status.index_arn.clone().unwrap());
            let answers = |w: &World| {
                let w = w.clone();
                async move {
                    let answers = w.retrieve("acme", "How many days of annual leave?").await;
                    answers.iter().any(|(uri, _)| uri.ends_with("/documents/leave.md"))
                }
            };
            let is_new = |before: &Object| {
                let before = before.status.data_source_id.clone();
                move |it: &Object| {
                    it.is_done() && it.status.data_source_id != before && it.status.reindexing.is_none()
                }
            };
            w.sdk.s3vectors.delete_index().index_arn(&index).send().await.unwrap();
            let after = w.until("acme", "is filled again", is_new(&acme)).await;
            assert!(answers(&w).await, "{}", after.describe());

            w.sdk.s3vectors.delete_index().index_arn(&index).send().await.unwrap();
            w.sdk.s3vectors.delete_vector_bucket().vector_bucket_arn(&bucket).send().await.unwrap();
            let asks = |it: &Object| {
                it.is("VectorStoreReady=False/DataLost") && it.message("VectorStoreReady").contains(APPROVE)
            };
            let told = w.until("acme", "asks for approval", asks).await;
            let message = told.message("VectorStoreReady").to_owned();
            assert!(message.contains(&bucket), "{message}");
            let code = message.split(&format!("{APPROVE}=")).nth(1).unwrap().split(':').next().unwrap();
            w.annotate("acme", APPROVE, Some(code)).await;
            w.until("acme", "is filled again", is_new(&after)).await;
            assert!(answers(&w).await);
        },
    )
    .await;
}

#[tokio::test]
async fn what_was_retained_is_taken_over_if_nothing_differs_that_cannot_change() {
    world(|w| async move {
        let spec = |distance: &str| {
            format!(
                "
                kind: Tenant
                metadata: {{name: acme}}
                spec: {{tenantId: acme, pattern: Silo, vectorStore: S3Vectors, index: {{distance: {distance}}}}}"
            )
        };
        w.apply(&spec("Cosine")).await;
        let first = w.ready("acme").await;
        let before = inventory::resources(&w.inventory().await);
        w.delete("acme").await;
        w.gone("acme").await;
        assert_eq!(inventory::resources(&w.inventory().await), before, "all of it stays");
        w.apply(&spec("Euclidean")).await;
        let differs = w.until("acme", "is told", |it| it.is("Stalled=True/RetainedDiffers")).await;
        assert!(
            differs.message("Ready").contains("index.distance is Cosine and should be Euclidean"),
            "{}",
            differs.describe()
        );
        w.delete("acme").await;
        w.gone("acme").await;
        w.apply(&spec("Cosine")).await;
        let second = w.ready("acme").await;
        assert_eq!(second.status.knowledge_base_id, first.status.knowledge_base_id);
        assert_eq!(inventory::resources(&w.inventory().await), before);
        let found = w.inventory().await;
        for (name, tags) in found.iter().filter(|(name, _)| name.contains("index ") || name.contains("vector ")) {
            assert_eq!(tags["tenantry.dev/owner-uid"], second.uid(), "{name}");
            assert_eq!(tags["tenantry.dev/state"], "owned", "{name}");
        }
    })
    .await;
}

/// Nothing of the other store is allowed, and nothing of it is needed.
async fn one_store_alone(store: VectorStore, actions_of_the_other: &str) {
    world_without_operator(
        |_| {},
        |w| async move {
            let policy = Role::of_operator_on(&w.settings, &w.account, &[store]).policy;
            assert!(!policy.to_string().contains(actions_of_the_other), "{policy:#}");
            w.operator_session().await;
            w.role_may("tenantry-operator", policy).await;
            w.start_operator().await;
            of_every_pattern(&w, store).await;
            all_leave(&w).await;
            let left = inventory::names(&w.inventory().await);
            assert!(left.iter().all(|name| *name == w.grant()), "{left:?}");
        },
    )
    .await;
}

#[tokio::test]
async fn an_installation_on_s3_vectors_alone_needs_no_right_to_collections() {
    one_store_alone(VectorStore::S3Vectors, "\"aoss:").await;
}

#[tokio::test]
async fn an_installation_on_collections_alone_needs_no_right_to_s3_vectors() {
    one_store_alone(VectorStore::OpenSearchServerless, "\"s3vectors:").await;
}

/// What of a metadata file Bedrock leaves aside in silence is told before a job does so, and after it is not taken for current.
#[tokio::test]
async fn a_metadata_file_that_is_too_long_is_told() {
    world(|w| async move {
        w.apply(SILO).await;
        w.ready("acme").await;
        let long = json!({"metadataAttributes": {"note": "x".repeat(1_100)}}).to_string();
        w.upload(
            "acme",
            &[("short.md", "a short one"), ("long.md", "a long one"), ("long.md.metadata.json", &long)],
        )
        .await;
        w.annotate("acme", "tenantry.dev/sync-requested-at", Some("now")).await;
        let names =
            |it: &Object| it.message("DocumentsCurrent").contains("documents/long.md.metadata.json: 11");
        let before = |it: &Object| it.is("DocumentsCurrent=False/SyncRequested") && names(it);
        w.until("acme", "is told before the job has ended", before).await;
        let after = |it: &Object| it.is("DocumentsCurrent=False/DocumentsFailed") && names(it);
        let told = w.until("acme", "is told after the job", after).await;
        let aside = "left documents aside, and no query finds them";
        assert!(told.message("DocumentsCurrent").contains(aside), "{}", told.describe());
        w.upload("acme", &[("long.md.metadata.json", r#"{"metadataAttributes": {"note": "x"}}"#)]).await;
        w.annotate("acme", "tenantry.dev/sync-requested-at", Some("again")).await;
        w.condition("acme", "DocumentsCurrent=True/Synced").await;
    })
    .await;
}

/// The operator may not read these files, and so counts no attributes: AWS does, and its words are told.
#[tokio::test]
async fn a_document_with_too_many_attributes_is_told_after_the_job_whatever_fails() {
    for (fails, reason) in [("document", "DocumentsFailed"), ("job", "SyncFailed")] {
        world(|w| async move {
            w.double.settings(json!({"switches": {"s3_vectors_refusal": fails}})).await;
            w.apply(SILO).await;
            w.ready("acme").await;
            let attributes: serde_json::Map<_, _> =
                (0..36).map(|n| (format!("attribute{n}"), json!("x"))).collect();
            let many = json!({"metadataAttributes": attributes}).to_string();
            w.upload("acme", &[("many.md.metadata.json", &many), ("many.md", "a document")]).await;
            let told = w.condition("acme", &format!("DocumentsCurrent=False/{reason}")).await;
            let message = told.message("DocumentsCurrent");
            assert!(message.contains("35 metadata attributes"), "{}", told.describe());
        })
        .await;
    }
}

/// In the vector bucket of a SharedStack somebody may have made an index of a tenant's name.
#[tokio::test]
async fn an_index_of_our_name_that_is_somebody_elses_is_left_alone() {
    world(|w| async move {
        w.apply("{kind: SharedStack, metadata: {name: vectors}, spec: {vectorStore: S3Vectors}}").await;
        let stack = w.ready("SharedStack/vectors").await;
        let name = w.tenant_identity("acme", Pattern::Bridge, Some("vectors"), "").name(Layer::Index);
        let bucket = stack.status.store_arn.clone().unwrap();
        let theirs = w.sdk.s3vectors.create_index().vector_bucket_arn(&bucket).index_name(&name);
        let theirs = theirs.data_type("float32".into()).dimension(4).distance_metric("cosine".into());
        theirs.send().await.unwrap();
        let mark = w.double.mark().await;
        w.apply(
            "{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Bridge, stackRef: {name: vectors}}}",
        )
        .await;
        let told = w.condition("acme", "Stalled=True/OwnedByAnother").await;
        assert!(told.message("Ready").contains(&name), "{}", told.describe());
        let writes = w.double.journal(mark).await.mutating();
        assert!(writes.is_empty(), "{writes}");
        let index = format!("{bucket}/index/{name}");
        w.sdk.s3vectors.delete_index().index_arn(&index).send().await.unwrap();
        w.annotate("acme", "tenantry.dev/retry-requested-at", Some("it is free")).await;
        let acme = w.ready("acme").await;
        assert_eq!(acme.status.index_arn.as_deref(), Some(index.as_str()));
    })
    .await;
}

/// Whatever nobody has said of AWS: each of these both ways, and all of them at their worst.
#[tokio::test]
async fn what_nobody_knows_of_the_service_may_be_either_way() {
    world_without_operator(|_| {}, |w| async move {
        w.double
            .settings(json!({
                "switches": {
                    "policy_variables": "slashless", "vector_bucket_mode": "CLASSIC", "vector_policy_shown": "normalised",
                    "vector_indexing_source": "bucket", "s3_vectors_check": "all", "s3_vectors_shown": "all",
                    "s3_vectors_keys": "checked", "s3_vectors_query": "CLASSIC", "vector_bucket_key": "unchecked",
                },
                "lag": {"vector_index_visible": 5, "vector_list": 5},
                "dwell": {"vector_index_name": 5, "vector_bucket_empty": 5, "vector_bucket_name": 5},
            }))
            .await;
        w.start_operator().await;
        w.apply(SILO).await;
        let acme = w.ready("acme").await;
        let index = acme.status.index_arn.clone().unwrap();
        let found = w.sdk.s3vectors.get_index().index_arn(&index).send().await.unwrap().index.unwrap();
        assert_eq!(found.index_mode.as_ref().unwrap().as_str(), "ENHANCED");

        // One that was made before buckets were in that mode, with all else as it is.
        w.stop_operator().await;
        let s3vectors = &w.sdk.s3vectors;
        let tags = s3vectors.list_tags_for_resource().resource_arn(&index).send().await.unwrap().tags;
        s3vectors.delete_index().index_arn(&index).send().await.unwrap();
        let bucket = acme.status.store_arn.as_ref().unwrap();
        let before = s3vectors.put_vector_bucket_default_index_mode().vector_bucket_arn(bucket);
        before.default_index_mode(IndexMode::Classic).send().await.unwrap();
        w.eventually("its name is free", || async {
            let anew = w.sdk.s3vectors.create_index().vector_bucket_arn(bucket).index_name(&found.index_name);
            let anew = anew.data_type(found.data_type.clone()).dimension(found.dimension);
            let anew = anew.distance_metric(found.distance_metric.clone()).set_tags(Some(tags.clone()));
            let anew = anew.set_metadata_configuration(found.metadata_configuration.clone());
            anew.set_encryption_configuration(found.encryption_configuration.clone()).send().await.ok()
        })
        .await;
        w.start_operator().await;
        w.eventually("it filters before it searches", || async {
            let found = w.sdk.s3vectors.get_index().index_arn(&index).send().await.unwrap().index.unwrap();
            (found.index_mode.unwrap() == IndexMode::Enhanced).then_some(())
        })
        .await;
        w.ready("acme").await;

        w.upload("acme", &[("leave.md", "Everybody has thirty days of annual leave.")]).await;
        w.condition("acme", "DocumentsCurrent=True/Synced").await;
        assert!(!w.retrieve("acme", "How many days of annual leave?").await.is_empty());
        w.delete("acme").await;
        w.gone("acme").await;
        let left = inventory::resources(&w.inventory().await);
        assert!(!left.iter().any(|name| name.starts_with("vector bucket ") || name.starts_with("index ")), "{left:?}");
    })
    .await;
}

/// A key of somebody's own that does not let the service index is refused before anything is made.
#[tokio::test]
async fn a_key_must_let_the_service_index() {
    use aws_sdk_kms::types::Tag;
    world(|w| async move {
        let lent = format!("namespace/{}", w.namespace_name(""));
        let tag = Tag::builder().tag_key("tenantry.dev/allow").tag_value(lent).build().unwrap();
        let key = w.sdk.kms.create_key().tags(tag).send().await.unwrap().key_metadata.unwrap().arn.unwrap();
        let spec = format!(
            "{{kind: Tenant, metadata: {{name: acme}}, spec: {{tenantId: acme, pattern: Silo, vectorStore: S3Vectors,
              encryption: {{key: Existing, kmsKeyArn: '{key}'}}}}}}"
        );
        w.apply(&spec).await;
        let told = w.condition("acme", "Accepted=False/KeyNotAllowed").await;
        let message = told.message("Accepted");
        assert!(message.contains("does not let indexing.s3vectors.amazonaws.com do kms:Decrypt"), "{message}");
        let root = format!("arn:aws:iam::{}:root", w.account);
        let policy = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"},
            {"Effect": "Allow", "Principal": {"Service": "indexing.s3vectors.amazonaws.com"},
                "Action": "kms:Decrypt", "Resource": "*"},
        ]});
        let put = w.sdk.kms.put_key_policy().key_id(&key).policy_name("default");
        put.policy(policy.to_string()).send().await.unwrap();
        w.annotate("acme", "tenantry.dev/retry-requested-at", Some("now")).await;
        w.ready("acme").await;
    })
    .await;
}

/// A vector bucket does not take along the index that a Bridge tenant has retained in it: it goes first, if somebody has said so.
#[tokio::test]
async fn a_stack_goes_after_what_its_tenants_have_retained_in_it() {
    world(|w| async move {
        w.apply(
            "
            kind: SharedStack
            metadata: {name: vectors}
            spec: {vectorStore: S3Vectors, deletionPolicy: Delete}
            ---
            kind: Tenant
            metadata: {name: globex}
            spec: {tenantId: globex, pattern: Bridge, stackRef: {name: vectors}}",
        )
        .await;
        w.ready("globex").await;
        w.delete("globex").await;
        w.gone("globex").await;
        let found = w.inventory().await;
        let index = found.iter().find(|(name, _)| name.starts_with("index ")).expect("it stays").1;
        assert_eq!(index["tenantry.dev/state"], "retained");
        w.delete("SharedStack/vectors").await;
        let asks = |it: &Object| it.message("DeletionBlocked").contains(APPROVE);
        let told = w.until("SharedStack/vectors", "asks for approval", asks).await;
        let message = told.message("DeletionBlocked").to_owned();
        let code = message
            .split(&format!("{APPROVE}="))
            .nth(1)
            .unwrap()
            .split([':', '\'', ' ', ','])
            .next()
            .unwrap();
        w.annotate("SharedStack/vectors", APPROVE, Some(code)).await;
        w.gone("SharedStack/vectors").await;
        assert_eq!(inventory::names(&w.inventory().await), BTreeSet::from([w.grant()]));
    })
    .await;
}
