//! Every operator here runs under the policy that `tenantry iam-policy operator` prints. With an action taken away the
//! condition names it; given back, the work goes on.

use serde_json::{Value, json};

use crate::support::aws::Role;
use crate::support::double::Call;
use crate::support::inventory::names;
use crate::support::objects::Object;
use crate::support::world::{World, world_without_operator};
use tenantry::settings::Settings;

/// The policy without these actions.
pub fn without(policy: &Value, actions: &[&str]) -> Value {
    let mut policy = policy.clone();
    let mut found = 0;
    let statements = policy["Statement"].as_array_mut().unwrap();
    for statement in statements.iter_mut() {
        let listed = match statement["Action"].take() {
            Value::Array(listed) => listed,
            one => vec![one],
        };
        let (taken, left): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|action| actions.contains(&action.as_str().unwrap()));
        found += taken.len();
        statement["Action"] = left.into();
    }
    statements.retain(|statement| statement["Action"] != json!([]));
    assert!(found >= actions.len(), "the policy does not list all of {actions:?}: {policy:#}");
    policy
}

#[tokio::test]
async fn an_action_that_is_taken_away_is_named() {
    // AWS and the operator are equally much faster than they are.
    const SPEED: u32 = 50;
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        w.start_operator().await;
        w.granted().await;
        let role = Role::of_operator(&w.settings, &w.account);
        let allow = async |policy: Value| w.role_may(role.name, policy).await;
        // One of each service, in the order in which they are missed.
        let steps: [&[(&str, &str)]; 4] = [
            &[("bedrock:ListKnowledgeBases", "Accepted")],
            &[("kms:CreateKey", "KeyReady")],
            &[
                ("s3:CreateBucket", "BucketReady"),
                ("iam:CreateRole", "RoleReady"),
                ("aoss:CreateCollection", "VectorStoreReady"),
            ],
            &[("bedrock:CreateKnowledgeBase", "KnowledgeBaseReady")],
        ];
        let mut missing: Vec<&str> =
            steps.iter().flat_map(|step| step.iter().map(|(action, _)| *action)).collect();
        allow(without(&role.policy, &missing)).await;
        w.apply(
            "{kind: Tenant, metadata: {name: acme},
              spec: {tenantId: acme, pattern: Silo, encryption: {key: Create}, deletionPolicy: Delete}}",
        )
        .await;
        for step in steps {
            for (action, condition) in step {
                let told = w.condition("acme", &format!("{condition}=False/Denied")).await;
                assert!(told.is("Stalled=True/Denied"), "{}", told.describe());
                let message = told.message(condition);
                for wanted in [*action, "Allow "] {
                    assert!(message.contains(wanted), "'{wanted}' is not in: {message}");
                }
                missing.retain(|left| left != action);
            }
            allow(without(&role.policy, &missing)).await;
        }
        w.ready("acme").await;

        // And on the way back, where a bucket that cannot be looked at is not taken for somebody else's.
        for (n, action) in ["s3:ListBucket", "bedrock:DeleteKnowledgeBase"].into_iter().enumerate() {
            allow(without(&role.policy, &[action])).await;
            if n == 0 {
                w.delete("acme").await;
            }
            let named =
                |found: &Object| found.is("Stalled=True/Denied") && found.message("Ready").contains(action);
            w.until("acme", &format!("is told to allow {action}"), named).await;
        }
        allow(role.policy.clone()).await;
        w.gone("acme").await;
    };
    world_without_operator(|settings| settings.clock = SPEED, test).await;
}

/// An index that may not be looked at looks like one whose policy has not propagated yet: after its deadline the
/// condition says what may be missing.
#[tokio::test]
async fn a_right_to_look_that_is_missing_is_named_when_waiting_was_in_vain() {
    const SPEED: u32 = 100;
    let test = async |w: World| {
        w.double.settings(json!({"speedup": SPEED})).await;
        w.start_operator().await;
        w.granted().await;
        let role = Role::of_operator(&w.settings, &w.account);
        let allow = async |policy: Value| w.role_may(role.name, policy).await;
        allow(without(&role.policy, &["aoss:GetIndex"])).await;
        w.apply("{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo}}").await;
        let told = w.condition("acme", "IndexReady=False/DeadlineExceeded").await;
        assert!(told.is("Stalled=True/DeadlineExceeded"), "{}", told.describe());
        assert!(told.message("IndexReady").contains("allow aoss:GetIndex"), "{}", told.describe());
        allow(role.policy.clone()).await;
        w.ready("acme").await;
    };
    world_without_operator(|settings| settings.clock = SPEED, test).await;
}

/// A boundary that the operator is given reaches the roles that are there already.
#[tokio::test]
async fn roles_are_put_within_the_permissions_boundary() {
    let test = async |w: World| {
        let document = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
        let create = w.sdk.iam.create_policy().policy_name("boundary").policy_document(document.to_string());
        let arn = create.send().await.unwrap().policy.unwrap().arn.unwrap();
        assert_eq!(arn, format!("arn:aws:iam::{}:policy/boundary", w.account));
        let boundary_of = async |tenant: &str| {
            let (_, role) = w
                .get(tenant)
                .await
                .status
                .role_arn
                .unwrap()
                .rsplit_once('/')
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .unwrap();
            let role = w.sdk.iam.get_role().role_name(role).send().await.unwrap().role.unwrap();
            role.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn)
        };
        let tenant = |name: &str| {
            format!("{{kind: Tenant, metadata: {{name: {name}}}, spec: {{tenantId: {name}, pattern: Silo}}}}")
        };
        let before = w.another_operator(|_| {}).await;
        w.apply(&tenant("old")).await;
        w.ready("old").await;
        assert_eq!(boundary_of("old").await, None);
        before.stop().await;

        let role = Role::of_operator(
            &Settings { permissions_boundary: Some(arn.clone()), ..w.settings.clone() },
            &w.account,
        );
        w.role_may(role.name, role.policy).await;
        let within = w.another_operator(|settings| settings.permissions_boundary = Some(arn.clone())).await;
        w.apply(&tenant("new")).await;
        w.ready("new").await;
        let reached = async || (boundary_of("old").await.as_ref() == Some(&arn)).then_some(());
        w.eventually("the old role is within the boundary", reached).await;
        assert_eq!(boundary_of("new").await, Some(arn));
        within.stop().await;
    };
    world_without_operator(|_| {}, test).await;
}

#[tokio::test]
async fn where_deleting_is_withheld_nothing_goes_and_the_rest_goes_on() {
    let test = async |w: World| {
        // An account's first collection also makes AOSS's own role.
        w.double.settings(json!({"speedup": 50, "switches": {"service_linked_role": "absent"}})).await;
        let _ = w.operator_session().await;
        let role = Role::of_operator(&w.settings, &w.account);
        let statements = role.policy["Statement"].as_array().unwrap().iter();
        let deletes = |it: &&Value| it["Sid"].as_str().unwrap().starts_with("Delete");
        let builds: Vec<_> = statements.filter(|it| !deletes(it)).collect();
        w.role_may(role.name, json!({"Version": "2012-10-17", "Statement": builds})).await;
        w.start_operator().await;
        let tenant = |name: &str, pattern: &str, policy: &str| {
            format!(
                "{{kind: Tenant, metadata: {{name: {name}}}, spec: {{tenantId: {name}, deletionPolicy: {policy}, pattern: {pattern}}}}}"
            )
        };
        let borrows = |pattern: &str| format!("{pattern}, stackRef: {{name: standard}}");
        let stack =
            "{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}, deletionPolicy: Delete}}";
        let tenants = [
            tenant("silo", "Silo", "Delete"),
            tenant("bridge", &borrows("Bridge"), "RetainDocuments"),
            tenant("pool", &borrows("Pool"), "Delete"),
        ];
        w.apply(&[&[stack.to_owned()][..], &tenants].concat().join("\n---\n")).await;
        for tenant in ["silo", "bridge", "pool"] {
            w.ready(tenant).await;
            w.upload(tenant, &[("handbook.md", "Employees get 21 days of annual leave.")]).await;
        }
        // What belongs to nobody still leaves the pool.
        let bucket = w.get("pool").await.status.bucket.unwrap();
        w.sdk.upload(&bucket, "pool/nobodys.md", "Whose is this?").await;
        w.event("SharedStack/standard", "DocumentsQuarantined").await;
        for object in ["SharedStack/standard", "silo", "bridge"] {
            w.condition(object, "DocumentsCurrent=True/Synced").await;
        }

        let before = names(&w.inventory().await);
        let mark = w.double.mark().await;
        let withheld = [
            ("silo", "bedrock:DeleteDataSource"),
            ("bridge", "bedrock:DeleteDataSource"),
            ("pool", "s3:DeleteObjectVersion"),
        ];
        for (tenant, action) in withheld {
            w.delete(tenant).await;
            let blocked = w.condition(tenant, "DeletionBlocked=True/Denied").await;
            assert!(blocked.message("DeletionBlocked").contains(action), "{}", blocked.describe());
            assert!(blocked.is("Stalled=True/Denied"), "{}", blocked.describe());
        }
        assert_eq!(before, names(&w.inventory().await), "nothing went");
        assert!(w.retrieve("pool", "annual leave").await.iter().any(|(_, text)| text.contains("21 days")));

        // Whoever decides to keep it needs no such right, a SharedStack's owner neither.
        for tenant in ["silo", "bridge", "pool"] {
            w.patch(tenant, json!({"spec": {"deletionPolicy": "Retain"}})).await;
            w.gone(tenant).await;
        }
        w.patch("SharedStack/standard", json!({"spec": {"deletionPolicy": "Retain"}})).await;
        w.delete("SharedStack/standard").await;
        w.gone("SharedStack/standard").await;
        // DeleteObjects answers for each of its keys.
        let deletes = |call: &Call| call.operation.starts_with("Delete") && call.operation != "DeleteObjects";
        let deleted = w.double.journal(mark).await.only(|call| call.succeeded() && deletes(call));
        assert!(deleted.is_empty(), "{deleted}");
        let left = names(&w.inventory().await);
        assert!(before.is_subset(&left), "{:?}", before.difference(&left).collect::<Vec<_>>());
    };
    world_without_operator(|settings| settings.clock = 50, test).await;
}
