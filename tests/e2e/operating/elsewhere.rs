//! Whoever is in the wrong account, region or namespace is told so, in one sentence, and not that there is nothing.

use std::fs;

use kube::config::Kubeconfig;

use crate::support::aws::REGION;
use crate::support::world::{World, world};

const FAR: &str = "eu-west-1";
const SOMEBODY: &str = "999999999999";

/// A Pool tenant with a document.
async fn acme(w: &World) {
    w.apply(
        "
        {kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}
        ---
        kind: Tenant
        metadata: {name: acme}
        spec: {tenantId: acme, pattern: Pool, stackRef: {name: standard}, deletionPolicy: Delete}",
    )
    .await;
    w.ready("acme").await;
    w.upload("acme", &[("hours.md", "The office opens at nine.")]).await;
}

/// What a command complains of, which prints nothing besides. Whatever the environment asks for, it is one line.
async fn refusal(w: &World, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let environment = [&[("RUST_BACKTRACE", "1")][..], environment].concat();
    let (succeeded, out, error) = w.tenantry_tried_with(arguments, &environment).await;
    assert!(!succeeded && out.is_empty(), "{arguments:?} is not refused: {out}{error}");
    let mut lines = error.lines().filter(|line| !line.starts_with("warning:"));
    let said = lines.next().unwrap_or_default().to_owned();
    assert!(
        said.starts_with("Error: ") && lines.next().is_none(),
        "{arguments:?} says more than a line: {error}"
    );
    said
}

#[tokio::test]
async fn what_is_elsewhere_is_not_called_gone() {
    world(|w| async move {
        acme(&w).await;
        let namespace = w.namespace_name("");
        let commands: [&[&str]; 3] = [
            &["delete", "--dry-run", "-n", &namespace, "acme"],
            &["documents", "-n", &namespace, "acme"],
            &["retrieve", "-n", &namespace, "acme", "When does it open?"],
        ];
        for command in commands {
            let region = refusal(&w, command, &[("AWS_REGION", FAR)]).await;
            for part in [FAR, REGION, &format!("AWS_REGION={REGION}")] {
                assert!(region.contains(part), "no '{part}' in: {region}");
            }
            let account = refusal(&w, command, &[("AWS_ACCESS_KEY_ID", SOMEBODY)]).await;
            for part in [SOMEBODY, &w.account, "credentials"] {
                assert!(account.contains(part), "no '{part}' in: {account}");
            }
            let none = refusal(&w, command, &[("AWS_REGION", "eu-west-1a")]).await;
            assert!(none.contains("eu-west-1a") && none.contains("AWS_REGION"), "{none}");
        }
        // Where the installation never worked, nothing that is found means nothing.
        let retained = ["retained", "--installation", &w.settings.installation];
        for elsewhere in [("AWS_REGION", FAR), ("AWS_ACCESS_KEY_ID", SOMEBODY)] {
            let said = refusal(&w, &retained, &[elsewhere]).await;
            assert!(said.contains(elsewhere.1) && said.contains("--installation"), "{said}");
        }
        let said = refusal(&w, &["retained", "--installation", "nobody"], &[]).await;
        assert!(said.contains("'nobody'"), "{said}");
        // A policy is about the Tenant's place, whoever prints it.
        let policy = ["iam-policy", "writer", "-n", &namespace, "acme"];
        let (_, here, _) = w.tenantry_tried(&policy).await;
        let there =
            w.tenantry_tried_with(&policy, &[("AWS_REGION", FAR), ("AWS_ACCESS_KEY_ID", SOMEBODY)]).await;
        assert_eq!(there.1, here);
        assert!(here.contains("s3:PutObject"), "{here}");
    })
    .await;
}

#[tokio::test]
async fn the_namespace_of_the_kubeconfig_is_not_overlooked() {
    world(|w| async move {
        acme(&w).await;
        let mut kubeconfig = Kubeconfig::read_from(&w.bed.kubeconfig).unwrap();
        let context = kubeconfig.contexts[0].context.as_mut().unwrap();
        context.namespace = Some(w.namespace_name(""));
        let mut other = kubeconfig.contexts[0].clone();
        other.name = "other".into();
        other.context.as_mut().unwrap().namespace = Some("kube-public".into());
        kubeconfig.contexts.push(other);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, serde_saphyr::to_string(&kubeconfig).unwrap()).unwrap();
        let environment = [("KUBECONFIG", file.path().to_str().unwrap())];
        for command in
            [&["delete", "--dry-run", "acme"][..], &["documents", "acme"], &["iam-policy", "writer", "acme"]]
        {
            let (succeeded, out, error) = w.tenantry_tried_with(command, &environment).await;
            assert!(succeeded && out.contains("acme"), "{command:?}: {out}{error}");
            assert!(refusal(&w, command, &[]).await.contains("'default'"));
            let elsewhere = [command, &["--context", "other"]].concat();
            assert!(refusal(&w, &elsewhere, &environment).await.contains("'kube-public'"));
            let nowhere = [command, &["--context", "nowhere"]].concat();
            assert!(refusal(&w, &nowhere, &environment).await.contains("the kubeconfig cannot be used"));
        }
    })
    .await;
}

/// An operator that was meant to change nothing, and is told so in other words.
#[tokio::test]
async fn no_brake_of_the_operator_is_off_because_it_is_spelt_otherwise() {
    world(|w| async move {
        let run = ["run", "--installation", "e2e"];
        for brake in ["TENANTRY_READ_ONLY", "TENANTRY_REQUIRE_TENANT_IDS", "TENANTRY_LEADER_ELECT"] {
            for (value, says) in [
                ("True", "no cluster"),
                ("yes", "no cluster"),
                ("1", "no cluster"),
                ("ja", "neither yes nor no"),
                ("", "neither yes nor no"),
            ] {
                let environment = [(brake, value), ("KUBECONFIG", "/nowhere")];
                let (succeeded, _, error) = w.tenantry_tried_with(&run, &environment).await;
                assert!(!succeeded && error.contains(says), "{brake}='{value}': {error}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn no_error_of_the_command_line_hides_its_cause() {
    world(|w| async move {
        let documents = ["documents", "-n", "tenants", "acme"];
        let closed = "https://127.0.0.1:1";
        let mut kubeconfig = Kubeconfig::read_from(&w.bed.kubeconfig).unwrap();
        kubeconfig.clusters[0].cluster.as_mut().unwrap().server = Some(closed.into());
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, serde_saphyr::to_string(&kubeconfig).unwrap()).unwrap();
        let away = refusal(&w, &documents, &[("KUBECONFIG", file.path().to_str().unwrap())]).await;
        assert!(away.contains(closed) && away.contains("refused"), "{away}");
        assert_eq!(away.matches("refused").count(), 1, "{away}");

        let retained = ["retained", "--installation", &w.settings.installation];
        for (environment, remedy) in [
            (("AWS_REGION", ""), "AWS_REGION"),
            (("AWS_ENDPOINT_URL", "http://127.0.0.1:1"), "AWS_ENDPOINT_URL"),
        ] {
            let alone =
                [environment, ("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_CONFIG_FILE", "/dev/null")];
            let said = refusal(&w, &retained, &alone).await;
            assert!(said.contains(remedy), "{said}");
        }
        for bad in ["", "eu-central-1a", "EU-Central-1"] {
            let policy = ["iam-policy", "destructive", "--installation", "prod", "--region", bad];
            let (succeeded, out, error) = w.tenantry_tried(&policy).await;
            assert!(
                !succeeded && out.is_empty() && error.contains("of the form eu-central-1"),
                "'{bad}': {out}{error}"
            );
        }
    })
    .await;
}
