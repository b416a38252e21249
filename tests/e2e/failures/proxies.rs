//! Behind the proxies that an office has: Kubernetes and AWS are reached through what the environment or the kubeconfig
//! names, and only through that.

use std::fs;

use data_encoding::BASE64;
use kube::config::Kubeconfig;
use serde_json::json;

use crate::support::forward::Forward;
use crate::support::operators::kill;
use crate::support::world::{World, world, world_without_operator};

/// What is said besides in a command's environment.
type Variables<'a> = &'a [(&'a str, &'a str)];

const SILO: &str = "{kind: Tenant, metadata: {name: acme}, spec: {tenantId: acme, pattern: Silo, collection: {network: {access: Public}}}}";

fn server(w: &World) -> String {
    let kubeconfig = Kubeconfig::read_from(&w.bed.kubeconfig).unwrap();
    kubeconfig.clusters[0].cluster.as_ref().unwrap().server.clone().unwrap()
}

/// A kubeconfig that names a proxy.
fn naming(w: &World, proxy: &str) -> tempfile::NamedTempFile {
    let mut kubeconfig = Kubeconfig::read_from(&w.bed.kubeconfig).unwrap();
    kubeconfig.clusters[0].cluster.as_mut().unwrap().proxy_url = Some(proxy.into());
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, serde_saphyr::to_string(&kubeconfig).unwrap()).unwrap();
    file
}

/// Every way that the operator has: watches, signed requests of the SDK, and those of its own to a collection's endpoint.
#[tokio::test]
async fn an_operator_behind_a_proxy_asks_nobody_past_it() {
    let test = async |w: World| {
        let switches = json!({"create_index_knn": "refuse", "endpoint_indexes": "hidden"});
        w.double.settings(json!({"switches": switches})).await;
        let office = Forward::start(Some("me:p@ss")).await;
        let proxy = office.url("http://me:p%40ss@");
        let mut operator = w.program(&[]).await;
        operator
            .envs([("HTTPS_PROXY", &proxy), ("http_proxy", &proxy)])
            .env("NO_PROXY", "localhost,10.0.0.0/8");
        let operator = operator.spawn().unwrap();
        w.apply(SILO).await;
        w.ready("acme").await;
        kill(operator).await;
        assert!(office.to(&server(&w)) > 0, "the API server is not asked through it: {:?}", office.passed());
        let journal = w.double.journal(0).await;
        let asked = journal.only(|call| call.is_operators());
        assert!(asked.iter().any(|call| call.operation == "PutIndex" && call.succeeded()), "{journal}");
        let passed = office.passed().iter().filter(|it| it.starts_with("HTTP ")).count();
        assert!(passed >= asked.len(), "{} calls to AWS, and {passed} through the proxy", asked.len());

        // What NO_PROXY has is asked past it.
        let office = Forward::start(None).await;
        let proxy = office.url("http://");
        let mut operator = w.program(&[]).await;
        operator
            .envs([("HTTPS_PROXY", &proxy), ("HTTP_PROXY", &proxy)])
            .env("NO_PROXY", "localhost, 127.0.0.0/8");
        let operator = operator.spawn().unwrap();
        let mark = w.double.mark().await;
        w.apply(&SILO.replace("pattern: Silo", "pattern: Silo, tags: {team: rag}")).await;
        w.ready("acme").await;
        kill(operator).await;
        assert!(!w.double.journal(mark).await.mutating().is_empty());
        assert_eq!(office.passed(), [""; 0]);
    };
    world_without_operator(|_| {}, test).await;
}

#[tokio::test]
async fn no_command_overlooks_the_proxy_that_is_named() {
    world(|w| async move {
        w.apply(SILO).await;
        w.ready("acme").await;
        let documents = ["documents", "-n", &w.namespace_name(""), "acme"];
        let (aws, server) = (w.bed.aws_endpoint.clone(), server(&w));
        let through = async |office: &Forward, environment: &[(&str, &str)]| {
            let (succeeded, out, error) = w.tenantry_tried_with(&documents, environment).await;
            assert!(succeeded, "{environment:?}: {out}{error}");
            (office.to(&server) > 0, office.to(&aws) > 0)
        };
        // Which of both is asked through the proxy.
        for (names, scheme, expected) in [
            (&["HTTPS_PROXY"][..], "http://", (true, false)),
            (&["HTTP_PROXY"], "http://", (false, true)),
            (&["https_proxy", "http_proxy"], "", (true, true)),
            (&["ALL_PROXY"], "http://", (true, true)),
        ] {
            let office = Forward::start(None).await;
            let url = office.url(scheme);
            let environment: Vec<_> = names.iter().map(|name| (*name, url.as_str())).collect();
            assert_eq!(through(&office, &environment).await, expected, "{environment:?}");
            let office = Forward::start(None).await;
            let url = office.url(scheme);
            let mut environment: Vec<_> = names.iter().map(|name| (*name, url.as_str())).collect();
            environment.push(("no_proxy", "127.0.0.1"));
            assert_eq!(through(&office, &environment).await, (false, false), "{environment:?}");
        }
        // The kubeconfig's own is the cluster's way whatever the environment says, and nobody else's.
        for scheme in ["http://", "socks5://"] {
            let office = Forward::start(None).await;
            let kubeconfig = naming(&w, &office.url(scheme));
            let environment = [("KUBECONFIG", kubeconfig.path().to_str().unwrap()), ("NO_PROXY", "*")];
            assert_eq!(through(&office, &environment).await, (true, false), "{scheme}");
            assert!(office.passed().iter().all(|it| it.starts_with("SOCKS ") == (scheme == "socks5://")));
        }
    })
    .await;
}

#[tokio::test]
async fn whoever_cannot_get_through_a_proxy_is_told_which_and_not_its_password() {
    world(|w| async move {
        let documents = ["documents", "-n", "tenants", "acme"];
        let retained = ["retained", "--installation", &w.settings.installation];
        let office = Forward::start(Some("me:right")).await;
        let (wrong, port) = (office.url("http://me:wrong@"), office.url(""));
        let socks = office.url("socks5://");
        let bundle = tempfile::NamedTempFile::new().unwrap();
        let bundle = bundle.path().to_str().unwrap();
        let cases: &[(&[&str], Variables, &str)] = &[
            (&documents, &[("HTTPS_PROXY", "http://me:wrong@127.0.0.1:1")], "proxy http://127.0.0.1:1"),
            (&documents, &[("HTTPS_PROXY", &wrong)], &port),
            (&documents, &[("HTTPS_PROXY", "ftp://me:wrong@127.0.0.1")], "HTTPS_PROXY"),
            (&documents, &[("HTTPS_PROXY", &wrong), ("NO_PROXY", "localhost,,127.0.0.1")], "NO_PROXY"),
            (&retained, &[("HTTP_PROXY", &wrong)], "HTTPS_PROXY"),
            (&retained, &[("ALL_PROXY", &socks)], "SOCKS"),
            (&retained, &[("AWS_CA_BUNDLE", "/nowhere.pem")], "AWS_CA_BUNDLE names /nowhere.pem"),
            (&retained, &[("AWS_CA_BUNDLE", bundle)], "AWS_CA_BUNDLE names"),
        ];
        for (command, environment, says) in cases {
            let (succeeded, out, error) = w.tenantry_tried_with(command, environment).await;
            assert!(!succeeded && out.is_empty() && error.contains(says), "no '{says}' in {error}");
            assert!(!error.contains("wrong"), "{error}");
            assert_eq!(error.lines().filter(|line| !line.starts_with("warning:")).count(), 1, "{error}");
        }
    })
    .await;
}

/// The API server stands for an AWS whose certificate only a private authority vouches for: an answer of any kind means that
/// it was believed.
#[tokio::test]
async fn no_private_authority_is_overlooked_and_no_other_is_believed() {
    world(|w| async move {
        let kubeconfig = Kubeconfig::read_from(&w.bed.kubeconfig).unwrap();
        let authority = kubeconfig.clusters[0].cluster.as_ref().unwrap().certificate_authority_data.clone();
        let private = tempfile::NamedTempFile::new().unwrap();
        fs::write(&private, BASE64.decode(authority.unwrap().as_bytes()).unwrap()).unwrap();
        let private = private.path().to_str().unwrap();
        let another = format!("{}/tests/assets/authority.pem", env!("CARGO_MANIFEST_DIR"));
        let retained = ["retained", "--installation", &w.settings.installation];
        let (server, office) = (server(&w), Forward::start(None).await);
        let proxy = office.url("http://");
        for (bundle, by, is_believed) in
            [(private, "", true), (&another, "", false), (private, &proxy, true), (&another, &proxy, false)]
        {
            let environment =
                [("AWS_ENDPOINT_URL", server.as_str()), ("AWS_CA_BUNDLE", bundle), ("HTTPS_PROXY", by)];
            let (succeeded, _, error) = w.tenantry_tried_with(&retained, &environment).await;
            let is_reached = !error.contains("AWS cannot be reached");
            assert!(!succeeded && is_reached == is_believed, "{bundle} {by}: {error}");
            assert_eq!(error.contains("UnknownIssuer"), !is_believed, "{error}");
        }
        assert_eq!(office.to(&server), 2);
    })
    .await;
}
