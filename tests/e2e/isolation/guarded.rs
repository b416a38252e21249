//! What somebody can do who has stolen the operator's session, within the permissions boundary and the service control policy that
//! `tenantry iam-policy` prints: the operator works whole under both, and what was done in their absence is refused.

use aws_sdk_bedrockagent::error::SdkError;
use aws_sdk_iam::types::Tag as RoleTag;
use aws_sdk_kms::types::Tag as KeyTag;
use aws_sdk_opensearchserverless::types::Tag as CollectionTag;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, Delete, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleFilter, ObjectIdentifier,
};
use serde_json::{Value, json};
use tenantry::settings::Settings;

use crate::support::aws::{REGION, Role, Sdk, role_arn, session_at};
use crate::support::double::Call;
use crate::support::inventory;
use crate::support::operators::Another;
use crate::support::world::{INSTALLATION, World, world_without_operator};

const SPEED: u32 = 50;
/// The tag that says whose a thing is.
const TAG: &str = "tenantry.dev/installation";
const OPERATORS: &str = "tenantry-operator";

/// What is wrong with a policy, as AWS tells it.
const BY_GUARD: &str = "with an explicit deny in a service control policy";
const BY_DENIAL: &str = "with an explicit deny in an identity-based policy";
const BY_NOTHING: &str = "because no identity-based policy allows";
const BY_BOUNDARY: &str = "because no permissions boundary allows";

impl World {
    /// A policy of the installation, as the program prints it.
    async fn policy(&self, who: &str, options: &[&str]) -> Value {
        let scope = ["--installation", INSTALLATION, "--account", &self.account, "--region", REGION];
        serde_json::from_str(&self.tenantry(&[&["iam-policy", who][..], &scope, options].concat()).await)
            .unwrap()
    }

    /// Puts an operator to work within the printed boundary, in an account under the printed guard.
    async fn guarded_operator(&self) -> Another {
        let boundary = self.policy("boundary", &[]).await;
        let create = self.sdk.iam.create_policy().policy_name("tenantry-boundary");
        let made = create.policy_document(boundary.to_string()).send().await.unwrap();
        let arn = made.policy.unwrap().arn.unwrap();
        self.under_guard(true).await;
        let _ = self.operator_session().await;
        let settings = Settings { permissions_boundary: Some(arn.clone()), ..self.settings.clone() };
        let role = Role::of_operator(&settings, &self.account);
        self.role_may(role.name, role.policy).await;
        let operator = self.another_operator(|settings| settings.permissions_boundary = Some(arn)).await;
        self.granted().await;
        operator
    }

    /// Whether the organization has the guard on the account.
    async fn under_guard(&self, is: bool) {
        let operator = role_arn(&self.account, OPERATORS);
        let guard = self.policy("guard", &["--role-arn", &operator]).await;
        let of_resources = self.policy("guard", &["--kind", "resource", "--role-arn", &operator]).await;
        let own = if is { json!(["FullAWSAccess", guard]) } else { json!(["FullAWSAccess"]) };
        let resources = if is { json!([of_resources]) } else { json!([]) };
        let organization = json!({"levels": [["FullAWSAccess"], own], "resources": resources});
        self.double.settings(json!({"organization": organization})).await;
    }

    /// Somebody's key, lent to whom this says.
    async fn lent_key(&self, to: &str) -> String {
        let tag = KeyTag::builder().tag_key("tenantry.dev/allow").tag_value(to).build().unwrap();
        let made = self.sdk.kms.create_key().tags(tag).send().await.unwrap();
        made.key_metadata.unwrap().arn.unwrap()
    }
}

/// What was asked is refused, and for this reason.
#[track_caller]
fn is_refused<T, E, R>(what: &str, answer: Result<T, SdkError<E, R>>, why: &str)
where
    SdkError<E, R>: ProvideErrorMetadata,
{
    let Err(error) = answer else { panic!("{what}: it was done") };
    let (code, message) = (error.code().unwrap_or_default(), error.message().unwrap_or_default());
    assert!(code.starts_with("AccessDenied") && message.contains(why), "{what}: {code}: {message}");
}

#[tokio::test]
async fn an_operator_works_whole_within_boundary_and_guard() {
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED, "switches": {"service_linked_role": "absent"}})).await;
        let operator = w.guarded_operator().await;
        let of_stacks = w.lent_key(&format!("installation/{INSTALLATION}")).await;
        let of_tenants = w.lent_key(&format!("namespace/{}", w.namespace_name(""))).await;
        let before = inventory::resources(&w.inventory().await);
        let existing = |key: &str| format!("encryption: {{key: Existing, kmsKeyArn: '{key}'}}");
        let tenant = |name: &str, pattern: &str, more: &str| {
            format!(
                "{{kind: Tenant, metadata: {{name: {name}}},
                   spec: {{tenantId: {name}, pattern: {pattern}, deletionPolicy: Delete, {more}}}}}"
            )
        };
        let manifests = [
            format!(
                "{{kind: SharedStack, metadata: {{name: standard}},
                   spec: {{pool: {{}}, deletionPolicy: Delete, {}}}}}",
                existing(&of_stacks)
            ),
            tenant("silo", "Silo", "encryption: {key: Create}"),
            tenant("umbrella", "Silo", &existing(&of_tenants)),
            tenant("bridge", "Bridge", "stackRef: {name: standard}"),
            tenant("pool", "Pool", "stackRef: {name: standard}"),
        ];
        let tenants = ["silo", "umbrella", "bridge", "pool"];
        w.apply(&manifests.join("\n---\n")).await;
        for tenant in tenants {
            w.ready(tenant).await;
            w.upload(tenant, &[("handbook.md", "Employees get 21 days of annual leave.")]).await;
        }
        for object in ["SharedStack/standard", "silo", "umbrella", "bridge"] {
            w.condition(object, "DocumentsCurrent=True/Synced").await;
        }
        for tenant in tenants {
            let found = w.retrieve(tenant, "annual leave").await;
            assert!(found.iter().any(|(_, text)| text.contains("21 days")), "{tenant}: {found:?}");
        }
        // What stays is tagged anew, and again when it is taken over.
        w.patch("silo", json!({"spec": {"deletionPolicy": "Retain"}})).await;
        w.delete("silo").await;
        w.gone("silo").await;
        w.apply(&manifests[1]).await;
        w.ready("silo").await;

        for tenant in tenants {
            w.delete(tenant).await;
        }
        for tenant in tenants {
            w.gone(tenant).await;
        }
        w.delete("SharedStack/standard").await;
        w.gone("SharedStack/standard").await;
        let left = inventory::resources(&w.inventory().await);
        let left: Vec<_> = left.difference(&before).filter(|it| !it.contains("PendingDeletion")).collect();
        assert!(left.is_empty(), "{left:?}");
        let hindered =
            |call: &Call| [BY_GUARD, BY_DENIAL, BY_BOUNDARY].iter().any(|why| call.message.contains(why));
        let hindered = w.double.journal(0).await.only(hindered);
        assert!(hindered.is_empty(), "{hindered}");
        operator.stop().await;
    };
    world_without_operator(|settings| settings.clock = SPEED, test).await;
}

/// S13, S14: each step that was tried once, and what stops it.
#[tokio::test]
async fn a_stolen_session_reaches_nothing_of_others_and_no_silos_bucket() {
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        let store = w.others_store().await;
        let knowledge_base = w.others_knowledge_base(&store, "finance").await;
        let operator = w.guarded_operator().await;
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo, encryption: {key: Create}}}").await;
        let silo = w.ready("acme").await.status;
        w.upload("acme", &[("secret.md", "SILO SECRET")]).await;
        w.condition("acme", "DocumentsCurrent=True/Synced").await;
        operator.stop().await;

        let session = w.session_of_operator("thief").await;
        let (stolen, sts) = (Sdk::new(&session), aws_sdk_sts::Client::new(&session));
        let me = role_arn(&w.account, OPERATORS);
        let key_tag = || KeyTag::builder().tag_key(TAG).tag_value(INSTALLATION).build().unwrap();

        // Others' keys: our tag made them ours to delete.
        let bare = w.sdk.kms.create_key().send().await.unwrap().key_metadata.unwrap().arn.unwrap();
        let delete = || stolen.kms.schedule_key_deletion().key_id(&bare);
        is_refused("delete finance's key", delete().send().await, BY_NOTHING);
        is_refused("tag it", stolen.kms.tag_resource().key_id(&bare).tags(key_tag()).send().await, BY_GUARD);
        w.sdk.kms.tag_resource().key_id(&bare).tags(key_tag()).send().await.unwrap();
        is_refused(
            "delete what somebody has tagged, in a week",
            delete().pending_window_in_days(7).send().await,
            BY_NOTHING,
        );

        // Their knowledge bases, and collections.
        let arn = format!("arn:aws:bedrock:{REGION}:{}:knowledge-base/{knowledge_base}", w.account);
        let tag = stolen.bedrock.tag_resource().resource_arn(&arn).tags(TAG, INSTALLATION);
        is_refused("tag finance's knowledge base", tag.send().await, BY_GUARD);
        let delete = stolen.bedrock.delete_knowledge_base().knowledge_base_id(&knowledge_base);
        is_refused("delete it", delete.send().await, BY_NOTHING);
        let (id, arn) = w.others_collection(&format!("{INSTALLATION}-finance")).await;
        let tag = CollectionTag::builder().key(TAG).value(INSTALLATION).build().unwrap();
        stolen.aoss.tag_resource().resource_arn(&arn).tags(tag).send().await.unwrap();
        is_refused(
            "delete finance's collection",
            stolen.aoss.delete_collection().id(&id).send().await,
            BY_NOTHING,
        );

        // Buckets whose names begin like ours.
        let theirs = format!("{INSTALLATION}-customer-data");
        w.sdk.s3.create_bucket().bucket(&theirs).send().await.unwrap();
        w.sdk.upload(&theirs, "payroll/x.csv", "PAYROLL").await;
        let s3 = &stolen.s3;
        let everything = |bucket: &str| {
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Principal": {"AWS": me},
                "Resource": [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")]}]})
        };
        is_refused("list a customer's bucket", s3.list_objects_v2().bucket(&theirs).send().await, BY_NOTHING);
        let put = s3.put_bucket_policy().bucket(&theirs).policy(everything(&theirs).to_string());
        is_refused("write its policy", put.send().await, BY_NOTHING);
        is_refused("delete it", s3.delete_bucket().bucket(&theirs).send().await, BY_NOTHING);
        let object = ObjectIdentifier::builder().key("payroll/x.csv").version_id("null").build().unwrap();
        let objects = Delete::builder().objects(object).build().unwrap();
        let emptied = s3.delete_objects().bucket(&theirs).delete(objects).send().await;
        let emptied = emptied.map_or(0, |answer| answer.deleted.unwrap_or_default().len());
        assert_eq!(emptied, 0, "a customer's bucket was emptied");

        // A Silo's documents: by its bucket's policy,
        let (bucket, secret) = (silo.bucket.unwrap(), "documents/secret.md");
        s3.put_bucket_policy().bucket(&bucket).policy(everything(&bucket).to_string()).send().await.unwrap();
        is_refused("read a Silo", s3.get_object().bucket(&bucket).key(secret).send().await, BY_DENIAL);
        // and by its role's trust, in oneself or in somebody else of the account.
        let (role, test) = (silo.role_arn.unwrap(), role_arn(&w.account, Role::of_test().name));
        let name = role.rsplit_once('/').unwrap().1;
        let trust = |who: &str| {
            json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                "Principal": {"AWS": who}}]})
            .to_string()
        };
        let others = aws_sdk_sts::Client::new(&w.sdk_config);
        let assume =
            |sts: &aws_sdk_sts::Client, arn: &str| sts.assume_role().role_arn(arn).role_session_name("thief");
        for who in [&me, &test] {
            let update = stolen.iam.update_assume_role_policy().role_name(name).policy_document(trust(who));
            update.send().await.unwrap();
            let by = if who == &me { &sts } else { &others };
            is_refused("use a Silo's role", assume(by, &role).send().await, BY_GUARD);
        }

        // By an identity provider, where nobody signs what asks.
        let provider = format!("arn:aws:iam::{}:oidc-provider/thief.example.com", w.account);
        let federated = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": provider}}]});
        let update =
            stolen.iam.update_assume_role_policy().role_name(name).policy_document(federated.to_string());
        update.send().await.unwrap();
        let as_pod = || {
            let assume = others.assume_role_with_web_identity().role_arn(&role);
            assume.role_session_name("thief").web_identity_token("any").send()
        };
        assert!(as_pod().await.is_err(), "a Silo's role was used by an identity provider");
        w.under_guard(false).await;
        as_pod().await.unwrap();
        w.under_guard(true).await;

        // A role of one's own: within the boundary alone, and of use to nobody.
        let own = format!("{INSTALLATION}-ta-x-aaaaaaaaaa");
        let create = || {
            let tag = RoleTag::builder().key(TAG).value(INSTALLATION).build().unwrap();
            let path = format!("/tenantry/{INSTALLATION}/");
            stolen
                .iam
                .create_role()
                .role_name(&own)
                .path(path)
                .tags(tag)
                .assume_role_policy_document(trust(&test))
        };
        is_refused("make a role without a boundary", create().send().await, BY_NOTHING);
        let boundary = format!("arn:aws:iam::{}:policy/tenantry-boundary", w.account);
        let made = create().permissions_boundary(&boundary).send().await.unwrap().role.unwrap().arn;
        let all = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
        let put =
            stolen.iam.put_role_policy().role_name(&own).policy_name("all").policy_document(all.to_string());
        put.send().await.unwrap();
        is_refused("use a role of one's own", assume(&others, &made).send().await, BY_GUARD);
        // Without the guard the boundary is what is left.
        w.under_guard(false).await;
        let within = session_at(&w.bed.aws_endpoint, &w.sdk_config, &made, "thief").await;
        let within = Sdk::new(&within);
        let read = within.s3.get_object().bucket(&theirs).key("payroll/x.csv");
        is_refused("read another bucket", read.send().await, BY_BOUNDARY);
        is_refused("become an administrator", within.iam.list_roles().send().await, BY_BOUNDARY);
        w.under_guard(true).await;

        // And the records of tenantIds are not forgotten, whatever their bucket's policy says.
        let records = format!("{INSTALLATION}-records-{}-{REGION}-an", w.account);
        s3.put_bucket_policy()
            .bucket(&records)
            .policy(everything(&records).to_string())
            .send()
            .await
            .unwrap();
        let delete = s3.delete_object().bucket(&records).key("tenants/acme.json");
        is_refused("forget whose an id is", delete.send().await, BY_DENIAL);
        let days = LifecycleExpiration::builder().days(1).build();
        let rule = LifecycleRule::builder().id("all").status(ExpirationStatus::Enabled).expiration(days);
        let rule = rule.filter(LifecycleRuleFilter::builder().prefix("").build()).build().unwrap();
        let rules = BucketLifecycleConfiguration::builder().rules(rule).build().unwrap();
        let put = s3.put_bucket_lifecycle_configuration().bucket(&records).lifecycle_configuration(rules);
        is_refused("let all records expire", put.send().await, BY_DENIAL);
    };
    world_without_operator(|settings| settings.clock = SPEED, test).await;
}
