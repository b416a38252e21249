//! Whose a tenantId is decides who is answered: not who says so in a Tenant, nor in a status that somebody has forged.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::support::gateway::process::until_answered;
use crate::support::gateway::roles::ASK;
use crate::support::gateway::tenants::{QUESTION, TENANTS, text_of};
use crate::support::gateway::{Answer, Gateway};
use crate::support::world::{World, world};

const SQUATTER: &str = "
    {kind: Tenant, metadata: {name: pool1, namespace: squat}, spec: {tenantId: pool1, pattern: Pool, stackRef: {name: standard}}}
    ---
    {kind: Tenant, metadata: {name: silo1, namespace: squat}, spec: {tenantId: silo1, pattern: Silo}}";

const GHOST: &str = "
    {kind: Tenant, metadata: {name: ghost}, spec: {tenantId: ghost, pattern: Silo}}";

/// Nothing of anybody's, whatever else it says.
fn assert_nothing(what: &str, answer: &Answer) {
    assert_ne!(answer.status, 200, "{what}: {answer:?}");
    for tenant in TENANTS {
        assert!(!answer.body.contains(&text_of(tenant)), "{what} is shown {tenant}'s: {answer:?}");
    }
}

#[tokio::test]
async fn who_claims_a_tenant_id_that_another_has_gets_nothing() {
    world(|w| async move {
        w.tenants_of_every_pattern().await;
        w.namespace("squat", &[]).await;
        let mut tokens = w.askers(&TENANTS).await;
        for (account, tenant) in
            [("squatter", "squat/pool1"), ("squatter", "squat/silo1"), ("ghost", "ghost")]
        {
            w.let_ask(account, tenant).await;
            tokens.insert(account.into(), w.token(account).await);
        }
        let gateway = w.gateway(&["--retrieve-rate", "1000"]).await;
        w.apply(SQUATTER).await;
        for squatter in ["squat/pool1", "squat/silo1"] {
            w.condition(squatter, "Accepted=False/TenantIdTaken").await;
        }
        for tenant in ["pool1", "silo1"] {
            let refused = gateway.ask(&tokens["squatter"], tenant, QUESTION).await;
            assert_eq!(refused.refusal(), (403, "AccessDeniedException".into()), "{refused:?}");
            let own = gateway.ask(&tokens[tenant], tenant, QUESTION).await;
            assert_eq!(own.passages()[0].1, text_of(tenant), "the holder does not notice");
        }
        // From here on somebody writes what only the operator should, who is not there to mend it.
        w.stop_operator().await;
        a_forged_squatter(&w, &gateway, &tokens["squatter"]).await;
        a_ghost(&w, &gateway, &tokens["ghost"]).await;
        a_status_that_points_elsewhere(&w, &gateway, &tokens["silo2"]).await;
        w.delete("ghost").await;
        // A status that names silo1's knowledge base has silo2's session ask it, and IAM has refused that. Nothing else is excused
        // before the check that follows every test.
        let of_silo_1 = |question: &str| question.ends_with(" by silo2: the knowledge base of silo1");
        assert!(w.double.excuse_refused(ASK, of_silo_1).await > 0, "IAM was not asked");
    })
    .await;
}

/// Finalizer, conditions and status of a Tenant that was accepted. The record in the installation's bucket names another.
async fn a_forged_squatter(w: &World, gateway: &Gateway, token: &str) {
    for (squatter, holder) in [("squat/pool1", "pool1"), ("squat/silo1", "silo1")] {
        forge(w, squatter, holder, None).await;
        for _ in 0..20 {
            assert_nothing("a forged squatter", &gateway.ask(token, holder, QUESTION).await);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        w.patch(squatter, json!({"metadata": {"finalizers": null}})).await;
        w.delete(squatter).await;
        w.gone(squatter).await;
    }
    // The holder is found again, whatever was thought of it while there were two.
    let token = w.token("pool1").await;
    let again = || gateway.ask(&token, "pool1", QUESTION);
    until_answered("the holder is answered again", again, |answer| answer.status == 200).await;
}

/// A Tenant of another installation, and one that nobody has accepted: each with all that a knowledge base needs.
async fn a_ghost(w: &World, gateway: &Gateway, token: &str) {
    w.apply(GHOST).await;
    for finalizer in [Some("tenantry.dev/another"), Some("tenantry.dev"), None] {
        forge(w, "ghost", "silo2", finalizer).await;
        for _ in 0..10 {
            assert_nothing("a ghost", &gateway.ask(token, "ghost", QUESTION).await);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

/// A status that somebody has written into: another's knowledge base, another's place.
async fn a_status_that_points_elsewhere(w: &World, gateway: &Gateway, token: &str) {
    let (own, other) = (w.get("silo2").await, w.get("silo1").await.status);
    let ask = || gateway.ask(token, "silo2", QUESTION);
    assert_eq!(ask().await.passages()[0].1, text_of("silo2"));
    for (what, changes) in [
        ("another's knowledge base", json!({"knowledgeBaseId": other.knowledge_base_id})),
        (
            "another's knowledge base and place",
            json!({"knowledgeBaseId": other.knowledge_base_id, "bucket": other.bucket, "prefix": other.prefix}),
        ),
        ("another's place", json!({"bucket": other.bucket})),
        ("no place", json!({"prefix": ""})),
        ("every place", json!({"prefix": "/"})),
    ] {
        status(w, "silo2", &changes).await;
        until_answered(what, ask, |answer| answer.status != 200 || answer.passages().is_empty()).await;
        for _ in 0..5 {
            let answer = ask().await;
            assert!(!answer.body.contains(&text_of("silo1")), "{what}: {answer:?}");
        }
        let whole = json!({"knowledgeBaseId": own.status.knowledge_base_id, "bucket": own.status.bucket,
            "prefix": own.status.prefix});
        status(w, "silo2", &whole).await;
        until_answered("as it was", ask, |answer| answer.status == 200 && !answer.passages().is_empty())
            .await;
    }
}

/// Gives an object another's finalizer (or this one), and its whole status.
async fn forge(w: &World, object: &str, holder: &str, finalizer: Option<&str>) {
    let theirs = w.get(holder).await;
    let mut finalizers = theirs.meta.finalizers.clone().unwrap_or_default();
    if let Some(finalizer) = finalizer {
        finalizers = vec![finalizer.into()];
    }
    let found = w.patch(object, json!({"metadata": {"finalizers": finalizers}})).await;
    let mut forged = theirs.as_it_is.data["status"].clone();
    let generation = found.meta.generation;
    forged["observedGeneration"] = json!(generation);
    let conditions: Vec<Condition> = theirs
        .status
        .conditions
        .iter()
        .map(|condition| Condition { observed_generation: generation, ..condition.clone() })
        .collect();
    forged["conditions"] = json!(conditions);
    status(w, object, &forged).await;
}

async fn status(w: &World, object: &str, changes: &Value) {
    let (api, name) = w.find(object);
    let patch = Patch::Merge(json!({"status": changes}));
    api.patch_status(&name, &PatchParams::default(), &patch).await.unwrap();
}
