//! Keys that are there already are borrowed: only if their owner allows it, and never taken apart.

use crate::world::{World, world};

/// A key of somebody's own, with the tag that lets an installation or a namespace use it.
async fn key(w: &World, allow: Option<&str>) -> String {
    let mut request = w.sdk.kms.create_key();
    if let Some(allow) = allow {
        let tag = aws_sdk_kms::types::Tag::builder()
            .tag_key("tenantry.dev/allow")
            .tag_value(allow)
            .build()
            .unwrap();
        request = request.tags(tag);
    }
    request.send().await.unwrap().key_metadata.unwrap().arn.unwrap()
}

fn silo(name: &str, key: &str) -> String {
    format!(
        "{{kind: Tenant, metadata: {{name: {name}}},
           spec: {{tenantId: {name}, pattern: Silo, encryption: {{key: Existing, kmsKeyArn: '{key}'}},
                   deletionPolicy: Delete}}}}"
    )
}

#[tokio::test]
async fn a_key_that_is_not_allowed_is_refused_before_anything_is_built() {
    world(|w| async move {
        let disabled = key(&w, Some("e2e")).await;
        w.sdk.kms.disable_key().key_id(&disabled).send().await.unwrap();
        let elsewhere = key(&w, Some("e2e")).await.replace("us-east-1", "eu-central-1");
        let nowhere = format!("arn:aws:kms:us-east-1:{}:key/01234567-89ab-cdef-0123-456789abcdef", w.account);
        let cases = [
            ("untagged", key(&w, None).await, "must be tagged"),
            ("others", key(&w, Some("somebody")).await, "must be tagged"),
            ("disabled", disabled, "not Enabled"),
            ("elsewhere", elsewhere, "not in region"),
            ("nowhere", nowhere, "no such key"),
        ];
        let mark = w.double.mark().await;
        for (name, key, why) in cases {
            w.apply(&silo(name, &key)).await;
            let told = w.condition(name, "Accepted=False/KeyNotAllowed").await;
            assert!(
                told.is("Stalled=True/KeyNotAllowed") && told.meta.finalizers.is_none(),
                "{}",
                told.describe()
            );
            assert!(told.message("Accepted").contains(why), "{}", told.describe());
        }
        // What one namespace may use is not for a stack that many share.
        let namespaced = key(&w, Some(&w.namespace_name(""))).await;
        w.apply(&format!(
            "{{kind: SharedStack, metadata: {{name: standard}},
               spec: {{encryption: {{key: Existing, kmsKeyArn: '{namespaced}'}}}}}}"
        ))
        .await;
        w.condition("SharedStack/standard", "Accepted=False/KeyNotAllowed").await;
        let writes = w.double.journal(mark).await.mutating();
        assert!(writes.is_empty(), "it was refused, and yet:\n{writes}");
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_allowed_encrypts_and_outlives_its_tenant() {
    world(|w| async move {
        for (name, allow) in [("installation", "e2e"), ("namespace", &w.namespace_name(""))] {
            let key = key(&w, Some(allow)).await;
            let before = w.inventory().await;
            w.apply(&silo(name, &key)).await;
            let ready = w.ready(name).await;
            assert_eq!(ready.status.kms_key_arn.as_deref(), Some(key.as_str()));
            assert!(ready.condition("KeyReady").is_none(), "it is borrowed: {}", ready.describe());
            let bucket = ready.status.bucket.unwrap();
            let encryption = w.sdk.s3.get_bucket_encryption().bucket(&bucket).send().await.unwrap();
            let rule = encryption.server_side_encryption_configuration.unwrap().rules.remove(0);
            assert_eq!(rule.apply_server_side_encryption_by_default.unwrap().kms_master_key_id, Some(key));
            w.delete(name).await;
            w.gone(name).await;
            assert_eq!(w.inventory().await, before, "the key, its state and its tags included");
        }
        let touched = w.double.journal(0).await.only(|call| call.mutating && call.text().contains("KeyId"));
        assert!(touched.is_empty(), "{touched}");
    })
    .await;
}
