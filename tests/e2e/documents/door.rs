//! What nobody but its writer could read is refused at the door, by the bucket's policy: it never becomes a document that
//! every job skips. What came in by another way keeps nobody else waiting.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{ServerSideEncryption, StorageClass};
use serde_json::{Value, json};

use crate::isolation::client_policies::in_parts;
use crate::isolation::pool_isolation::{assert_own, pool_of_two};
use crate::support::aws::Sdk;
use crate::support::world::{World, world};

/// What a write says of its object beside what is in it.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// Under a key that the writer sends along and S3 forgets (SSE-C).
    pub own_key: bool,
    /// Under a KMS key that it names.
    pub kms_key: Option<String>,
    /// In a storage class that it names.
    pub class: Option<StorageClass>,
}

/// The requests have these setters in common, and no trait.
macro_rules! with {
    ($request:expr, $manner:expr) => {{
        let Manner { own_key, kms_key, class } = $manner.clone();
        let own = |what: &str| own_key.then(|| what.to_owned());
        $request
            .set_sse_customer_algorithm(own("AES256"))
            .set_sse_customer_key(own("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="))
            .set_sse_customer_key_md5(own("KYvwGXoFFJ42a2u2GDWhwQ=="))
            .set_server_side_encryption(kms_key.as_ref().map(|_| ServerSideEncryption::AwsKms))
            .set_ssekms_key_id(kms_key)
            .set_storage_class(class)
    }};
}

/// Why S3 refuses a request, in its own words.
fn refusal<E: ProvideErrorMetadata>(error: &E) -> String {
    format!("{}: {}", error.code().unwrap_or_default(), error.message().unwrap_or_default())
}

impl Manner {
    pub fn own_key() -> Self {
        Self { own_key: true, ..Self::default() }
    }

    pub fn kms_key(key: &str) -> Self {
        Self { kms_key: Some(key.to_owned()), ..Self::default() }
    }

    pub fn class(class: StorageClass) -> Self {
        Self { class: Some(class), ..Self::default() }
    }

    /// Whether S3 takes an object in this manner, or why not.
    pub async fn put(&self, s3: &Client, bucket: &str, key: &str, text: &str) -> Result<(), String> {
        let request = s3.put_object().bucket(bucket).key(key).body(text.as_bytes().to_vec().into());
        with!(request, self).send().await.map(drop).map_err(|error| refusal(&error))
    }

    async fn copy(&self, s3: &Client, bucket: &str, from: &str, to: &str) -> Result<(), String> {
        let request = s3.copy_object().bucket(bucket).key(to).copy_source(format!("{bucket}/{from}"));
        with!(request, self).send().await.map(drop).map_err(|error| refusal(&error))
    }

    /// Begins an upload in parts, and gives it up.
    async fn begin(&self, s3: &Client, bucket: &str, key: &str) -> Result<(), String> {
        let begun = with!(s3.create_multipart_upload().bucket(bucket).key(key), self).send().await;
        let id = begun.map_err(|error| refusal(&error))?.upload_id.unwrap();
        s3.abort_multipart_upload().bucket(bucket).key(key).upload_id(id).send().await.unwrap();
        Ok(())
    }
}

/// The names of all objects of a tenant, without the metadata files.
async fn names(w: &World, bucket: &str, tenant: &str) -> Vec<String> {
    let prefix = format!("pool/{tenant}/");
    let listed = w.sdk.s3.list_objects_v2().bucket(bucket).prefix(&prefix).send().await.unwrap();
    let keys = listed.contents().iter().filter_map(|object| object.key());
    let documents = keys.filter(|key| !key.ends_with(".metadata.json"));
    documents.filter_map(|key| key.strip_prefix(&prefix)).map(str::to_owned).collect()
}

async fn nothing_unreadable_comes_in(w: World, key: &str) {
    w.apply(&format!(
        "
        {{kind: SharedStack, metadata: {{name: standard}}, spec: {{encryption: {{key: {key}}}, pool: {{}}}}}}
        ---
        {{kind: Tenant, metadata: {{name: acme}}, spec: {{tenantId: acme, pattern: Pool, stackRef: {{name: standard}}}}}}
        ---
        kind: Tenant
        metadata: {{name: umbrella}}
        spec: {{tenantId: umbrella, pattern: Pool, stackRef: {{name: standard}}}}"
    ))
    .await;
    let bucket = w.ready("acme").await.status.bucket.unwrap();
    w.ready("umbrella").await;
    let ours = w.get("SharedStack/standard").await.status.kms_key_arn;
    // Its own policy lets everybody use it: that the writer may not is not the reason.
    let anybody = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}]});
    let foreign = w.sdk.kms.create_key().policy(anybody.to_string()).send().await.unwrap();
    let foreign = foreign.key_metadata.unwrap().arn.unwrap();

    let policy = w.policy_of("writer", "acme", &[]).await;
    let s3 = Sdk::new(&w.session_under("writer-acme", policy).await).s3;
    let text = "Employees of Acme get 25 days of annual leave.";
    let mut passing = vec![
        ("plain", Manner::default()),
        // Dear to read, and readable at once.
        ("instant", Manner::class(StorageClass::GlacierIr)),
        ("seldom", Manner::class(StorageClass::StandardIa)),
    ];
    passing.extend(ours.iter().map(|ours| ("ours", Manner::kms_key(ours))));
    for (name, manner) in &passing {
        let key = format!("pool/acme/{name}.md");
        assert_eq!(manner.put(&s3, &bucket, &key, text).await, Ok(()), "{name}");
        assert_eq!(
            manner.copy(&s3, &bucket, &key, &format!("pool/acme/{name}-copied.md")).await,
            Ok(()),
            "{name}"
        );
        assert_eq!(manner.begin(&s3, &bucket, &key).await, Ok(()), "{name}");
    }
    in_parts(&s3, &bucket, "pool/acme/in-parts.md").await;
    let before = names(&w, &bucket, "acme").await;

    let mut refused = vec![
        ("own key", Manner::own_key()),
        ("foreign key", Manner::kms_key(&foreign)),
        ("archived", Manner::class(StorageClass::Glacier)),
        ("archived deep", Manner::class(StorageClass::DeepArchive)),
    ];
    // A key is compared as it was sent.
    let ids = ours.iter().map(|ours| ours.rsplit_once('/').unwrap().1);
    refused.extend(ids.map(|id| ("our key by its id", Manner::kms_key(id))));
    for (name, manner) in &refused {
        let key = format!("pool/acme/{name}.md");
        for (way, answer) in [
            ("put", manner.put(&s3, &bucket, &key, text).await),
            ("copied", manner.copy(&s3, &bucket, "pool/acme/plain.md", &key).await),
            ("in parts", manner.begin(&s3, &bucket, &key).await),
        ] {
            let why = answer.expect_err(&format!("{name}, {way}"));
            assert!(why.starts_with("AccessDenied: "), "{name}, {way}: {why}");
            assert!(
                why.contains("s3:PutObject") && why.contains("explicit deny in a resource-based policy"),
                "{name}, {way}: {why}"
            );
        }
    }
    assert_eq!(names(&w, &bucket, "acme").await, before, "and nothing of it is there");
    let uploads = w.sdk.s3.list_multipart_uploads().bucket(&bucket).send().await.unwrap();
    assert!(uploads.uploads().is_empty(), "{uploads:?}");

    w.upload("umbrella", &[("handbook.md", "Employees of Umbrella get 31 days of annual leave.")]).await;
    // Nobody's: the operator copies it aside, under the same policy.
    w.sdk.upload(&bucket, "pool/stray.md", "Acme grants 99 days of annual leave to employees.").await;
    w.request_sync("umbrella").await;
    assert_own(&w, &bucket, "umbrella", "31 days").await;
    assert_own(&w, &bucket, "acme", "25 days").await;
    assert!(!w.get("acme").await.is("DocumentsCurrent=False"));
    let kept = w.sdk.s3.get_object().bucket(&bucket).key("tenantry/quarantine/pool/stray.md").send().await;
    assert!(kept.is_ok(), "{kept:?}");
}

#[tokio::test]
async fn nothing_that_only_its_writer_could_read_comes_into_a_bucket_under_a_key() {
    world(|w| nothing_unreadable_comes_in(w, "Create")).await;
}

#[tokio::test]
async fn nothing_that_only_its_writer_could_read_comes_into_a_bucket_under_s3s_own_key() {
    world(|w| nothing_unreadable_comes_in(w, "AWSOwned")).await;
}

impl World {
    /// Puts objects that the bucket's policy refuses, as they are there from before it, or from somebody who took it off.
    pub async fn smuggle(&self, bucket: &str, objects: &[(&str, Manner, &str)]) {
        self.eventually("they are in, before the operator has put the policy back", || async {
            self.sdk.s3.delete_bucket_policy().bucket(bucket).send().await.unwrap();
            for (key, manner, text) in objects {
                match manner.put(&self.sdk.s3, bucket, key, text).await {
                    Ok(()) => {}
                    Err(why) if why.starts_with("AccessDenied: ") => return None,
                    Err(why) => panic!("{key}: {why}"),
                }
            }
            Some(())
        })
        .await;
    }
}

#[tokio::test]
async fn what_came_in_before_the_door_was_shut_keeps_nobody_from_being_indexed() {
    world(|w| async move {
        let bucket = pool_of_two(&w, "OperatorOnly").await;
        let foreign = w.sdk.kms.create_key().send().await.unwrap().key_metadata.unwrap().arn.unwrap();
        let keys = ["own-key", "foreign-key", "archived", "archived-deep"]
            .map(|name| format!("pool/acme/{name}.md"));
        let [own_key, foreign_key, archived, deep] = &keys;
        let text = "Acme grants 99 days of annual leave to employees.";
        w.smuggle(
            &bucket,
            &[
                (own_key, Manner::own_key(), text),
                (foreign_key, Manner::kms_key(&foreign), text),
                (archived, Manner::class(StorageClass::Glacier), text),
                (deep, Manner::class(StorageClass::DeepArchive), text),
            ],
        )
        .await;
        w.sdk.upload(&bucket, "pool/umbrella/new.md", "Umbrella now grants 32 days of annual leave.").await;
        w.request_sync("umbrella").await;
        assert_own(&w, &bucket, "umbrella", "32 days").await;
        let own = assert_own(&w, &bucket, "acme", "25 days").await;
        assert!(!own.iter().any(|(_, text)| text.contains("99 days")), "{own:?}");
        w.condition("acme", "DocumentsCurrent=False/DocumentsFailed").await;
        assert!(!w.get("umbrella").await.is("DocumentsCurrent=False"));
        let printed = w.tenantry(&["documents", "-n", &w.namespace_name(""), "acme", "-o", "json"]).await;
        let report: Value = serde_json::from_str(&printed).unwrap();
        for key in &keys {
            let failed = report["failed"].as_array().unwrap().iter();
            assert!(failed.clone().any(|it| it["key"] == key.as_str()), "{key}: {report:#}");
        }
    })
    .await;
}
