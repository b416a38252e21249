//! Existing keys: whoever owns one says with a tag who may use it, and nobody else does.

use aws_sdk_kms::types::Tag;
use serde_json::json;
use tenantry::api::{Layer, Pattern};

use crate::inventory;
use crate::world::{INSTALLATION, World, world, world_without_operator};

/// Somebody's key, which allows its use by these; its ARN.
async fn key(w: &World, allowed: Option<&str>) -> String {
    let tag = |value| Tag::builder().tag_key("tenantry.dev/allow").tag_value(value).build().unwrap();
    let create = w.sdk.kms.create_key().set_tags(allowed.map(|value| vec![tag(value)]));
    create.send().await.unwrap().key_metadata.unwrap().arn.unwrap()
}

fn encrypted(kind: &str, name: &str, key: &str) -> String {
    let spec =
        if kind == "Tenant" { format!("tenantId: {name}, pattern: Silo, ") } else { "pool: {}, ".into() };
    format!(
        "{{kind: {kind}, metadata: {{name: {name}}},
          spec: {{{spec}deletionPolicy: Delete, encryption: {{key: Existing, kmsKeyArn: '{key}'}}}}}}"
    )
}

#[tokio::test]
async fn a_key_that_may_not_be_used_is_refused_before_anything_is_written() {
    const SPEED: u32 = 50;
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        w.start_operator().await;
        w.granted().await;
        w.namespace("elsewhere", &[]).await;
        let (namespace, elsewhere) = (w.namespace_name(""), w.namespace_name("elsewhere"));
        let (for_tenants, for_stacks) =
            (format!("namespace/{namespace}"), format!("installation/{INSTALLATION}"));
        let good = key(&w, Some(&for_tenants)).await;
        let (untagged, theirs) =
            (key(&w, None).await, key(&w, Some(&format!("namespace/{elsewhere}"))).await);
        let (of_namespace, disabled) = (key(&w, Some(&for_tenants)).await, key(&w, Some(&for_tenants)).await);
        let (of_stacks, of_others) =
            (key(&w, Some(&for_stacks)).await, key(&w, Some("installation/other")).await);
        w.sdk.kms.disable_key().key_id(&disabled).send().await.unwrap();
        let id = good.rsplit_once('/').unwrap().1;
        let missing = good.replace(id, "01234567-89ab-cdef-0123-456789abcdef");

        let not_lent = format!(
            "no key of this ARN is lent; whoever owns it lends it by the tag tenantry.dev/allow = '{for_tenants}'"
        );
        let not_lent = not_lent.as_str();
        let cases = [
            ("Tenant", "region", good.replace("us-east-1", "eu-west-1"), "it is not in region us-east-1"),
            ("Tenant", "account", good.replace(&w.account, "999999999999"), "it is not in region us-east-1"),
            ("Tenant", "disabled", disabled.clone(), "it is Disabled"),
            // Whose it is not learns nothing of it, not even whether there is one.
            ("Tenant", "missing", missing, not_lent),
            ("Tenant", "untagged", untagged.clone(), not_lent),
            ("Tenant", "theirs", theirs, not_lent),
            ("Tenant", "stacks", of_stacks, not_lent),
            // A SharedStack is no namespace's.
            ("SharedStack", "stack", of_namespace, "tenantry.dev/allow = 'installation/e2e'"),
            ("SharedStack", "others", of_others, "tenantry.dev/allow = 'installation/e2e'"),
        ];
        let mark = w.double.mark().await;
        for (kind, name, arn, _) in &cases {
            w.apply(&encrypted(kind, name, arn)).await;
        }
        for (kind, name, arn, why) in &cases {
            let object = if *kind == "Tenant" { name.to_string() } else { format!("SharedStack/{name}") };
            let told = w.condition(&object, "Accepted=False/KeyNotAllowed").await;
            assert!(
                told.is("Stalled=True/KeyNotAllowed") && told.meta.finalizers.is_none(),
                "{}",
                told.describe()
            );
            let message = told.message("Accepted");
            assert!(message.contains(arn) && message.contains(why), "'{why}' is not in: {message}");
        }
        let writes = w.double.journal(mark).await.mutating();
        assert!(writes.is_empty(), "all were refused, and yet:\n{writes}");

        // Whoever owns a key changes their mind, and the tenant goes on by itself.
        let tag = Tag::builder().tag_key("tenantry.dev/allow").tag_value(&for_tenants).build().unwrap();
        w.sdk.kms.tag_resource().key_id(&untagged).tags(tag).send().await.unwrap();
        w.sdk.kms.enable_key().key_id(&disabled).send().await.unwrap();
        for name in ["untagged", "disabled"] {
            w.ready(name).await;
        }
    };
    world_without_operator(|settings| settings.clock = SPEED, test).await;
}

#[tokio::test]
async fn a_key_that_is_allowed_encrypts_everything_and_stays() {
    world(|w| async move {
        let installations = key(&w, Some(&format!("installation/{INSTALLATION}"))).await;
        let namespaces = key(&w, Some(&format!("namespace/{}", w.namespace_name("")))).await;
        w.apply(&encrypted("Tenant", "acme", &namespaces)).await;
        w.apply(&encrypted("Tenant", "umbrella", &namespaces)).await;
        w.apply(&encrypted("SharedStack", "standard", &installations)).await;
        w.apply(
            "{kind: Tenant, metadata: {name: initech},
              spec: {tenantId: initech, pattern: Bridge, stackRef: {name: standard}, deletionPolicy: Delete}}",
        )
        .await;
        for (object, key) in [
            ("acme", &namespaces),
            ("umbrella", &namespaces),
            ("SharedStack/standard", &installations),
            ("initech", &installations),
        ] {
            let status = w.ready(object).await.status;
            assert_eq!(status.kms_key_arn.as_ref(), Some(key), "{object}");
            let bucket = status.bucket.unwrap();
            let found = w.sdk.s3.get_bucket_encryption().bucket(bucket).send().await.unwrap();
            let rules = found.server_side_encryption_configuration.unwrap().rules;
            let found = rules[0].apply_server_side_encryption_by_default.as_ref().unwrap();
            assert_eq!(found.kms_master_key_id.as_ref(), Some(key), "{object}'s bucket");
            let (_, collection) = status.store_arn.as_ref().unwrap().rsplit_once('/').unwrap();
            let found = w.sdk.aoss.batch_get_collection().ids(collection).send().await.unwrap();
            let found = found.collection_details.unwrap_or_default()[0].kms_key_arn.clone();
            assert_eq!(found.as_ref(), Some(key), "{object}'s collection");
            let source = w.sdk.bedrock.get_data_source().knowledge_base_id(status.knowledge_base_id.unwrap());
            let source = source.data_source_id(status.data_source_id.unwrap()).send().await.unwrap();
            let found = source.data_source.unwrap().server_side_encryption_configuration.unwrap().kms_key_arn;
            assert_eq!(found.as_ref(), Some(key), "{object}'s transient data");
        }
        // The role may decrypt with it: a job reads the documents.
        w.upload("acme", &[("handbook.md", "Our office opens at nine.")]).await;
        w.condition("acme", "DocumentsCurrent=True/Synced").await;
        // And the operator, which reads what it wrote down for that job.
        w.upload("acme", &[("hours.md", "It closes at five.")]).await;
        w.request_sync("acme").await;
        w.condition("acme", "DocumentsCurrent=True/Synced").await;

        for object in ["acme", "umbrella", "initech"] {
            w.delete(object).await;
        }
        for object in ["acme", "umbrella", "initech"] {
            w.gone(object).await;
        }
        w.delete("SharedStack/standard").await;
        w.gone("SharedStack/standard").await;
        let left = inventory::resources(&w.inventory().await);
        let key = |arn: &String| format!("key {} Enabled", arn.rsplit_once('/').unwrap().1);
        assert_eq!(left, [w.grant(), key(&installations), key(&namespaces)].into());
        let own = w.tenant_identity("acme", Pattern::Silo, None, "").name(Layer::Key);
        let calls = w.double.journal(0).await.mutating().only(|call| call.service == "kms" || call.resource.contains(&own));
        assert!(calls.is_empty(), "no key is the operator's here:\n{calls}");
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_switched_off_is_named_with_what_to_do_about_it() {
    const SPEED: u32 = 50;
    let tell = |settings: &mut tenantry::settings::Settings| {
        // Looks at everything every two seconds.
        (settings.clock, settings.resync) = (SPEED, std::time::Duration::from_secs(100));
    };
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        w.start_operator().await;
        // Tagged as for an older release, which this one still reads, and says so.
        let existing = key(&w, Some(INSTALLATION)).await;
        w.apply(&encrypted("Tenant", "existing", &existing)).await;
        w.apply(&encrypted("SharedStack", "existing", &existing)).await;
        for object in ["existing", "SharedStack/existing"] {
            let note = w.event(object, "KeyTagOld").await;
            assert!(note.contains(&existing) && note.contains("installation/e2e"), "{note}");
        }
        w.apply(
            "
            {kind: SharedStack, metadata: {name: created}, spec: {pool: {}, encryption: {key: Create}}}
            ---
            kind: Tenant
            metadata: {name: created}
            spec: {tenantId: created, pattern: Silo, encryption: {key: Create}}",
        )
        .await;
        let objects = ["existing", "SharedStack/existing", "created", "SharedStack/created"];
        let mut keys = std::collections::BTreeSet::new();
        for object in objects {
            keys.insert(w.ready(object).await.status.kms_key_arn.unwrap());
        }
        let kms = &w.sdk.kms;
        for (state, remedy) in [("Disabled", "enable it"), ("PendingDeletion", "cancel its deletion")] {
            let mark = w.double.mark().await;
            for key in &keys {
                match state {
                    "Disabled" => drop(kms.disable_key().key_id(key).send().await.unwrap()),
                    _ => drop(kms.schedule_key_deletion().key_id(key).send().await.unwrap()),
                }
            }
            for object in objects {
                let told = w.condition(object, "Stalled=True/KeyNotAllowed").await;
                let (message, key) = (told.message("Ready"), told.status.kms_key_arn.as_deref().unwrap());
                for part in [key, state, remedy] {
                    assert!(message.contains(part), "no '{part}' in {}", told.describe());
                }
            }
            let writes = w.double.journal(mark).await.mutating();
            assert!(writes.is_empty(), "nothing is changed until then:\n{writes}");
            for key in &keys {
                if state == "PendingDeletion" {
                    kms.cancel_key_deletion().key_id(key).send().await.unwrap();
                }
                kms.enable_key().key_id(key).send().await.unwrap();
            }
            for object in objects {
                w.ready(object).await;
            }
        }
    };
    world_without_operator(tell, test).await;
}
