//! Unmodified clients: whoever has a token of its own asks as it would ask AWS, and is answered from its tenant's documents.

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::support::gateway::Gateway;
use crate::support::gateway::clients::{Program, Said, Told};
use crate::support::gateway::tenants::{QUESTION, TENANTS, text_of};
use crate::support::world::{World, world};

/// Asks in every way, and is answered from the tenant's own document.
async fn is_answered(w: &World, gateway: &Gateway, program: Program, told: Told, tenant: &str, token: &str) {
    let said = gateway.pod(told, tenant, token).runs(program, QUESTION).await;
    let Said::Passages(passages) = said else { panic!("{program:?} {told:?} for {tenant}: {said:?}") };
    let home = w.home(tenant).await;
    let own = vec![(format!("{home}handbook.md"), text_of(tenant))];
    assert_eq!(passages, own, "{program:?} {told:?} for {tenant}");
}

#[tokio::test]
async fn programs_that_know_nothing_of_it_are_answered_from_their_own_documents() {
    world(|w| async move {
        w.tenants_of_every_pattern().await;
        let tokens = w.askers(&TENANTS).await;
        let gateway = w.gateway(&["--retrieve-rate", "1000"]).await;
        let programs = [Program::Boto3, Program::AwsCli, Program::JavaScript, Program::LangChain];
        let here = programs.into_iter().filter(|program| program.is_here());
        join_all(here.map(|program| asks(&w, &gateway, program, &tokens))).await;
        // Credentials end with the token that they are made of.
        let short = w.token_for("pool1", "tenantry-gateway", 600).await;
        let given = gateway.assume(&short, "arn:aws:iam::111122223333:role/pool1").await;
        let (_, ends) = given.body.split_once("<Expiration>").unwrap_or_else(|| panic!("{given:?}"));
        let ends: jiff::Timestamp = ends.split_once('<').unwrap().0.parse().unwrap();
        let lasts = ends.as_second() - jiff::Timestamp::now().as_second();
        assert!((500..=600).contains(&lasts), "they last {lasts} s");

        let asked = w.double.asked("tenantry-ask").await;
        assert!(asked.0 >= 12 && asked.1.is_empty(), "{asked:?}");
        says_nothing_of_what_was_asked(&gateway, &tokens["pool1"]);
    })
    .await;
}

/// Asks for tenants of its own, and of others.
async fn asks(w: &World, gateway: &Gateway, program: Program, tokens: &BTreeMap<String, String>) {
    use Told::{ByEnvironment, ByProfile};
    let every =
        [ByEnvironment, ByProfile].map(|told| ["silo1", "bridge1", "pool1"].map(|tenant| (tenant, told)));
    let (own, others) = match program {
        Program::Boto3 => (every.concat(), vec![("pool1", "pool2"), ("silo1", "silo2"), ("nobody", "pool1")]),
        Program::AwsCli => (every.concat(), vec![("pool1", "pool2")]),
        Program::JavaScript => (
            vec![("silo1", ByEnvironment), ("bridge1", ByProfile), ("pool1", ByEnvironment)],
            vec![("pool1", "pool2")],
        ),
        // It takes seconds to start.
        Program::LangChain => (vec![("pool1", ByEnvironment), ("pool2", ByProfile)], vec![]),
    };
    for (tenant, told) in own {
        is_answered(w, gateway, program, told, tenant, &tokens[tenant]).await;
    }
    // A token names no tenant: the role does, and whether one may ask for it the API server says.
    for (tenant, asker) in others {
        let said = gateway.pod(ByEnvironment, tenant, &tokens[asker]).runs(program, QUESTION).await;
        assert!(matches!(&said, Said::Refused(code) if code == "AccessDenied"), "{program:?}: {said:?}");
    }
}

/// One line a question, with who, for whom and what became of it; and no word of what was said.
fn says_nothing_of_what_was_asked(gateway: &Gateway, token: &str) {
    let lines = gateway.access_log();
    let of = |tenant: &str| lines.iter().filter(|line| line["tenant"] == tenant).count();
    for tenant in ["silo1", "bridge1", "pool1"] {
        assert!(
            of(tenant) >= 2,
            "{tenant} has a line for its credentials and one for its question: {lines:#?}"
        );
    }
    let answered = |line: &&serde_json::Value| line["operation"] == "Retrieve" && line["status"] == 200;
    let line = lines.iter().find(answered).expect("a line of a question that was answered");
    for member in ["time", "installation", "tenant", "namespace", "pattern", "subject", "status"] {
        assert!(!line[member].is_null(), "{member} is not in {line:#}");
    }
    assert_eq!(line["passages"], 1, "{line:#}");
    let all = format!("{lines:?}{}", gateway.log());
    for secret in ["annual leave", "handbook", &token[token.len() - 40..]] {
        assert!(!all.contains(secret), "{secret} is written down in {all}");
    }
}
