//! The registry says, outside of the cluster, which knowledge base answers for which tenant; the example clients go by it.

use std::collections::{BTreeMap, HashMap};
use std::process::Stdio;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use serde_json::{Value, json};
use tenantry::api::{SYNC_REQUESTED_AT, Tenant};
use tenantry::settings::Settings;
use tenantry::stack::target::Target;

use crate::isolation::permissions::without;
use crate::support::aws::Role;
use crate::support::bed::root;
use crate::support::double::Journal;
use crate::support::world::{World, world_with};

pub const TABLE: &str = "tenantKbConfig";
const QUESTION: &str = "How many days of annual leave do employees get?";
pub const SPEED: u32 = 50;

/// An operator with a registry, in a hurry.
pub fn registered(settings: &mut Settings) {
    settings.registry = format!("dynamodb:{TABLE}").parse().ok();
    settings.clock = SPEED;
}

/// A SharedStack with a pool, and tenants in it.
fn pool(policy: &str, tenants: &[&str]) -> String {
    let tenant = |name: &&str| {
        format!(
            "{{kind: Tenant, metadata: {{name: {name}}}, spec: {{tenantId: {name}, pattern: Pool, \
             stackRef: {{name: standard}}, deletionPolicy: {policy}}}}}"
        )
    };
    let stack = "{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}".to_string();
    std::iter::once(stack).chain(tenants.iter().map(tenant)).collect::<Vec<_>>().join("\n---\n")
}

/// An item, as text where it is text and as JSON where it is a map.
pub type Item = HashMap<String, Value>;

fn plain(value: AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => text.into(),
        AttributeValue::M(map) => map.into_iter().map(|(name, value)| (name, plain(value))).collect(),
        other => panic!("{other:?}"),
    }
}

impl World {
    /// Makes the registry's table.
    pub async fn table(&self) {
        let key = KeySchemaElement::builder().attribute_name("tenantId").key_type(KeyType::Hash);
        let attribute =
            AttributeDefinition::builder().attribute_name("tenantId").attribute_type(ScalarAttributeType::S);
        let create = self.sdk.dynamodb.create_table().table_name(TABLE);
        let create =
            create.key_schema(key.build().unwrap()).attribute_definitions(attribute.build().unwrap());
        create.billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
    }

    pub async fn item(&self, tenant: &str) -> Item {
        let key = AttributeValue::S(tenant.into());
        let get = self.sdk.dynamodb.get_item().table_name(TABLE).key("tenantId", key);
        let item = get.send().await.unwrap().item.unwrap_or_default();
        item.into_iter().map(|(name, value)| (name, plain(value))).collect()
    }

    pub async fn put_item(&self, attributes: &[(&str, &str)]) {
        let mut put = self.sdk.dynamodb.put_item().table_name(TABLE);
        for (name, value) in attributes {
            put = put.item(*name, AttributeValue::S(value.to_string()));
        }
        put.send().await.unwrap();
    }

    async fn operator_may(&self, policy: Value) {
        let role = Role::of_operator(&self.settings, &self.account);
        self.role_may(role.name, policy).await;
    }

    /// The example client: what it prints, or what it says as it refuses.
    async fn client(&self, tenant: &str, options: &[&str]) -> Result<String, String> {
        self.client_under(self.environment(), tenant, options).await
    }

    /// The example client in an environment, which says whose credentials it has.
    pub async fn client_under(
        &self,
        environment: BTreeMap<String, String>,
        tenant: &str,
        options: &[&str],
    ) -> Result<String, String> {
        let output = tokio::process::Command::new(root().join(".cache/venv/bin/python"))
            .arg(root().join("examples/clients/ask.py"))
            .args([tenant, QUESTION])
            .args(options)
            .envs(environment)
            .env("TENANTRY_TABLE", TABLE)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// The example client is answered once a job has read them, and from this tenant's documents alone.
    async fn is_answered(&self, tenant: &str, options: &[&str], wanted: &str) {
        let status = self.get(tenant).await.status;
        let home = format!("s3://{}/{}", status.bucket.unwrap(), status.prefix.unwrap());
        let answered = async || {
            let answer = self.client(tenant, options).await.unwrap();
            let mut sources = answer.split_whitespace().filter(|word| word.starts_with("s3://"));
            assert!(sources.all(|uri| uri.starts_with(&home)), "{tenant}: {answer}");
            answer.contains(wanted).then_some(())
        };
        self.eventually(&format!("{tenant} is answered with {wanted}"), answered).await;
    }
}

fn asked(journal: &Journal) -> (usize, usize) {
    (journal.of("UpdateItem").len(), journal.of("GetItem").len())
}

#[tokio::test]
async fn example_clients_are_answered_in_every_pattern() {
    const MODEL: &str = "amazon.nova-pro-v1:0";
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        w.table().await;
        w.apply(&pool("Delete", &["pool", "other"])).await;
        w.apply(
            "
            kind: Tenant
            metadata: {name: silo}
            spec: {tenantId: silo, pattern: Silo, deletionPolicy: Delete}
            ---
            kind: Tenant
            metadata: {name: bridge}
            spec: {tenantId: bridge, pattern: Bridge, stackRef: {name: standard}, answers: {model: 'amazon.nova-pro-v1:0'}}",
        )
        .await;
        let days = [("silo", "21 days"), ("bridge", "22 days"), ("pool", "23 days"), ("other", "24 days")];
        for (tenant, days) in days {
            w.ready(tenant).await;
            w.condition(tenant, "Registered=True/Registered").await;
            let text = format!("Employees of {tenant} get {days} of annual leave.");
            w.upload(tenant, &[("handbook.md", &text)]).await;
        }
        // The pool's first job may have begun before the last of its tenants had a document.
        w.annotate("other", SYNC_REQUESTED_AT, Some("now")).await;
        for (tenant, days) in days {
            w.is_answered(tenant, &[], days).await;
        }
        w.is_answered("bridge", &["--generate"], "22 days").await;
        let refused = w.client("pool", &["--generate"]).await.unwrap_err();
        assert!(refused.contains("names no model"), "{refused}");
        let refused = w.client("nobody", &[]).await.unwrap_err();
        assert!(refused.contains("has no tenant 'nobody'"), "{refused}");

        // What the items say, and that each was written once.
        for (tenant, _) in days {
            let (item, found) = (w.item(tenant).await, w.get(tenant).await);
            let status = &found.status;
            assert_eq!(item["knowledgebaseId"], status.knowledge_base_id.clone().unwrap());
            assert_eq!(item.get("filter").cloned(), status.retrieval_filter.as_ref().map(|it| json!(it)));
            let by_item = Target::of_item(tenant, &json!(item));
            let as_tenant: Tenant = serde_json::from_value(json!(found.as_it_is)).unwrap();
            assert_eq!(by_item.unwrap(), Target::of(&as_tenant).unwrap(), "{item:?}");
            assert_eq!((&item["state"], &item["pattern"]), (&json!("ready"), &found.spec["pattern"]));
            assert_eq!((&item["uid"], &item["installation"]), (&json!(found.uid()), &json!("e2e")));
            assert_eq!(item.contains_key("modelArn"), tenant == "bridge", "{item:?}");
        }
        assert_eq!(w.item("bridge").await["modelArn"], MODEL);
        assert_eq!(asked(&w.double.journal(0).await), (days.len(), 0));

        // A restart looks, and writes nothing.
        let mark = w.double.mark().await;
        w.restart_operator().await;
        let looked = async || (asked(&w.double.journal(mark).await).1 == days.len()).then_some(());
        w.eventually("each item is looked at", looked).await;
        for (tenant, _) in days {
            w.condition(tenant, "Registered=True/Registered").await;
        }

        // Another model is one write, and nothing but that of its tenant.
        w.patch("pool", json!({"spec": {"answers": {"model": MODEL}}})).await;
        w.condition("pool", "Registered=True/Registered").await;
        assert_eq!(asked(&w.double.journal(mark).await), (1, days.len()));
        w.is_answered("pool", &["--generate"], "23 days").await;

        // Who leaves is not asked any more, before anything is taken apart.
        for (tenant, pattern) in [("pool", "Pool"), ("silo", "Silo")] {
            let mark = w.double.mark().await;
            w.delete(tenant).await;
            let told = async || (w.item(tenant).await["state"] == "deleted").then_some(());
            w.eventually("the item is a tombstone", told).await;
            let refused = w.client(tenant, &[]).await.unwrap_err();
            assert!(refused.contains("it is deleted"), "{refused}");
            w.gone(tenant).await;
            let of_it = w.double.journal(mark).await.mutating();
            assert_eq!(of_it[0].operation, "UpdateItem", "{of_it}");
            assert_eq!(of_it.of("UpdateItem").len(), 1, "{of_it}");
            let item = w.item(tenant).await;
            assert_eq!(item["pattern"], pattern);
            for gone in ["knowledgebaseId", "filter", "bucket", "prefix", "modelArn"] {
                assert!(!item.contains_key(gone), "{item:?}");
            }
        }
        w.is_answered("other", &[], "24 days").await;
    };
    world_with(registered, test).await;
}

#[tokio::test]
async fn a_tombstone_is_taken_over_by_who_comes_back() {
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        w.table().await;
        w.apply(&pool("Retain", &["acme"])).await;
        let first = w.condition("acme", "Registered=True/Registered").await;
        // A column of the administrator's own.
        let key = AttributeValue::S("acme".into());
        let update = w.sdk.dynamodb.update_item().table_name(TABLE).key("tenantId", key);
        let theirs = AttributeValue::S("gold".into());
        let update =
            update.update_expression("SET tier = :tier").expression_attribute_values(":tier", theirs);
        update.send().await.unwrap();
        w.delete("acme").await;
        w.gone("acme").await;
        assert_eq!(w.item("acme").await["state"], "retained");
        let refused = w.client("acme", &[]).await.unwrap_err();
        assert!(refused.contains("it is retained"), "{refused}");

        w.apply(&pool("Delete", &["acme"])).await;
        let second = w.condition("acme", "Registered=True/Registered").await;
        let item = w.item("acme").await;
        assert_ne!(first.uid(), second.uid());
        assert_eq!((&item["state"], &item["uid"]), (&json!("ready"), &json!(second.uid())));
        assert_eq!((item.get("deletedTime"), &item["tier"]), (None, &json!("gold")));

        // Gone for good, and another of the same id comes.
        w.delete("acme").await;
        w.gone("acme").await;
        assert_eq!(w.item("acme").await["state"], "deleted");
        w.apply(
            "{kind: Tenant, metadata: {name: again}, spec: {tenantId: acme, pattern: Pool, stackRef: {name: standard}}}",
        )
        .await;
        let third = w.condition("again", "Registered=True/Registered").await;
        assert_eq!(w.item("acme").await["uid"], third.uid());
    };
    world_with(registered, test).await;
}

#[tokio::test]
async fn an_item_of_somebody_else_is_left_alone() {
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        w.table().await;
        w.put_item(&[("tenantId", "acme"), ("knowledgebaseId", "BYHAND"), ("modelArn", "m")]).await;
        w.put_item(&[
            ("tenantId", "umbrella"),
            ("state", "ready"),
            ("installation", "staging"),
            ("region", "us-east-1"),
            ("owner", "Tenant/x/umbrella"),
            ("uid", "1"),
        ])
        .await;
        // Another installation's tombstones: whose an id is there, our records do not know.
        for (tenant, state) in [("initech", "retained"), ("hooli", "deleted")] {
            let theirs = [("installation", "staging"), ("region", "us-east-1"), ("uid", "2")];
            w.put_item(&[&[("tenantId", tenant), ("state", state)], &theirs[..]].concat()).await;
        }
        let before = [w.item("acme").await, w.item("umbrella").await];
        w.apply(&pool("Delete", &["acme", "umbrella", "initech", "hooli"])).await;
        for (tenant, state) in [("initech", "retained"), ("hooli", "deleted")] {
            w.condition(tenant, "Registered=False/RegistryConflict").await;
            assert_eq!(w.item(tenant).await["state"], state);
        }
        let whose =
            [("acme", "somebody else than a Tenantry operator"), ("umbrella", "the installation 'staging'")];
        for (tenant, whose) in whose {
            let told = w.condition(tenant, "Registered=False/RegistryConflict").await;
            assert!(told.message("Registered").contains(whose), "{}", told.describe());
            assert!(told.is("Ready=True") && told.is("Stalled=False"), "{}", told.describe());
            w.event(tenant, "RegistryConflict").await;
        }
        // Deleting one tenant touches neither, and waits for nobody.
        w.delete("acme").await;
        w.gone("acme").await;
        assert_eq!([w.item("acme").await, w.item("umbrella").await], before);

        let key = AttributeValue::S("umbrella".into());
        w.sdk.dynamodb.delete_item().table_name(TABLE).key("tenantId", key).send().await.unwrap();
        w.condition("umbrella", "Registered=True/Registered").await;
    };
    world_with(registered, test).await;
}

#[tokio::test]
async fn a_missing_table_or_right_is_a_condition() {
    let test = async |w: World| {
        w.double.settings(json!({"speedup": 2 * SPEED})).await;
        w.apply(&pool("Delete", &["acme", "umbrella", "initech"])).await;
        let told = w.condition("acme", "Registered=False/RegistryNotFound").await;
        assert!(told.is("Ready=True"), "{}", told.describe());
        assert!(told.message("Registered").contains("no table 'tenantKbConfig'"), "{}", told.describe());
        w.event("acme", "RegistryNotFound").await;
        // Where there is no table, nobody needs to be told.
        w.condition("initech", "Registered=False/RegistryNotFound").await;
        w.delete("initech").await;
        w.gone("initech").await;

        w.table().await;
        for tenant in ["acme", "umbrella"] {
            w.condition(tenant, "Registered=True/Registered").await;
        }

        let all = Role::of_operator(&w.settings, &w.account).policy;
        w.operator_may(without(&all, &["dynamodb:UpdateItem"])).await;
        w.patch("acme", json!({"spec": {"answers": {"model": "amazon.nova-pro-v1:0"}}})).await;
        let told = w.condition("acme", "Registered=False/Denied").await;
        assert!(told.message("Registered").contains("Allow dynamodb:UpdateItem"), "{}", told.describe());
        assert!(told.is("Ready=True"), "{}", told.describe());
        w.operator_may(all.clone()).await;
        w.condition("acme", "Registered=True/Registered").await;
        assert_eq!(w.item("acme").await["modelArn"], "amazon.nova-pro-v1:0");

        // On the way back it is waited for, and then not any more.
        w.operator_may(without(&all, &["dynamodb:UpdateItem"])).await;
        w.upload("acme", &[("a.md", "Somebody still reads this.")]).await;
        let mark = w.double.mark().await;
        w.delete("acme").await;
        let told = w.condition("acme", "DeletionBlocked=True/Denied").await;
        assert!(told.message("Ready").contains("Allow dynamodb:UpdateItem"), "{}", told.describe());
        let writes = w.double.journal(mark).await.mutating().only(|call| call.succeeded());
        assert!(writes.is_empty(), "{writes}");
        w.gone("acme").await;
        let note = w.last_word(&told, "RegistryStale").await;
        assert!(note.contains("'acme'") && note.contains("delete it"), "{note}");

        // Who is allowed in time goes at once.
        w.delete("umbrella").await;
        w.condition("umbrella", "DeletionBlocked=True/Denied").await;
        w.operator_may(all).await;
        w.gone("umbrella").await;
        assert_eq!(w.item("umbrella").await["state"], "deleted");
    };
    // Half an hour is long.
    let tell = |settings: &mut Settings| {
        registered(settings);
        settings.clock = 2 * SPEED;
    };
    world_with(tell, test).await;
}

#[tokio::test]
async fn throttling_passes_by_itself() {
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        w.table().await;
        let rule = json!({"operation": "UpdateItem", "first": 1, "count": 3, "fault": "throttled"});
        w.double.fault(rule).await;
        w.apply(&pool("Delete", &["acme"])).await;
        let told = w.condition("acme", "Registered=False/Throttled").await;
        assert!(told.is("Ready=True"), "{}", told.describe());
        w.condition("acme", "Registered=True/Registered").await;
        assert_eq!(w.double.struck().await, 3);
    };
    world_with(registered, test).await;
}

#[tokio::test]
async fn an_item_that_somebody_changes_is_put_right_at_the_next_resync() {
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        w.table().await;
        w.apply(&pool("Delete", &["acme", "umbrella"])).await;
        for tenant in ["acme", "umbrella"] {
            w.condition(tenant, "Registered=True/Registered").await;
        }
        let (acme, umbrella) = (w.item("acme").await, w.item("umbrella").await);
        let mark = w.double.mark().await;
        let key = |tenant: &str| AttributeValue::S(tenant.into());
        let delete = w.sdk.dynamodb.delete_item().table_name(TABLE).key("tenantId", key("acme"));
        delete.send().await.unwrap();
        let update = w.sdk.dynamodb.update_item().table_name(TABLE).key("tenantId", key("umbrella"));
        update.update_expression("REMOVE knowledgebaseId SET modelArn = uid").send().await.unwrap();
        let right =
            async || (w.item("acme").await == acme && w.item("umbrella").await == umbrella).then_some(());
        w.eventually("both items are as they were", right).await;
        // From then on each resync looks, and writes nothing.
        let looked = async || {
            let journal = w.double.journal(mark).await;
            (journal.of("GetItem").len() >= 8).then_some(journal)
        };
        let journal = w.eventually("both are looked at again", looked).await;
        assert_eq!(journal.of("UpdateItem").len(), 2, "{journal}");
    };
    let tell = |settings: &mut Settings| {
        registered(settings);
        settings.resync = Duration::from_secs(100);
    };
    world_with(tell, test).await;
}

#[tokio::test]
async fn an_item_is_a_tombstone_from_the_beginning_of_the_grace() {
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        w.table().await;
        w.apply(&pool("Delete", &["acme"])).await;
        w.condition("acme", "Registered=True/Registered").await;
        w.delete("acme").await;
        let told = w.condition("acme", "Ready=False/GracePeriod").await;
        assert!(told.is("Registered=False/Deleting"), "{}", told.describe());
        let item = w.item("acme").await;
        assert_eq!((&item["state"], item.contains_key("deletedTime")), (&json!("deleted"), true));

        // A restart knows, and whoever saves what is left is heard.
        let mark = w.double.mark().await;
        w.restart_operator().await;
        let looked = async || (asked(&w.double.journal(mark).await).1 > 0).then_some(());
        w.eventually("the item is looked at", looked).await;
        w.patch("acme", json!({"spec": {"deletionPolicy": "Retain"}})).await;
        w.gone("acme").await;
        assert_eq!(w.item("acme").await["state"], "retained");
        assert_eq!(asked(&w.double.journal(mark).await), (1, 1));
    };
    let tell = |settings: &mut Settings| {
        registered(settings);
        settings.deletion_grace = Duration::from_secs(36_000);
    };
    world_with(tell, test).await;
}
