//! The way to the cluster: a kubeconfig's or a pod's own, and the proxy before it.
//!
//! A pod asks its own API server straight. From a kubeconfig the way is as kubectl's: through the cluster's `proxy-url`, or
//! through what HTTPS_PROXY names, unless NO_PROXY excepts the server.

use anyhow::{Context, bail};
use clap::Args;
use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Api, Client, Config};

use crate::api::{Tenant, TenantClass};

/// The port of a SOCKS proxy that names none, as curl has it.
const SOCKS_PORT: u16 = 1080;

/// Which cluster.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct InCluster {
    /// The kubeconfig's context. Default: its current one, or, without a kubeconfig, the cluster of this pod.
    #[arg(long, value_name = "CONTEXT")]
    context: Option<String>,
}

/// A cluster, and where it is asked.
pub(super) struct Cluster {
    pub(super) client: Client,
    address: String,
}

impl InCluster {
    /// The way there.
    pub(super) async fn config(&self) -> anyhow::Result<Config> {
        let variable = |name: &str| std::env::var(name).ok();
        let is_meant = self.context.is_some() || variable("KUBECONFIG").is_some_and(|path| !path.is_empty());
        let mut config = match (self.of_kubeconfig(&variable).await, is_meant) {
            (Ok(config), _) => config,
            (Err(error), true) => return Err(error),
            (Err(error), false) => Config::incluster().or(Err(error))?,
        };
        config.apply_debug_overrides();
        Ok(config)
    }

    /// Somewhere to ask.
    pub(super) async fn connect(&self) -> anyhow::Result<Cluster> {
        let config = self.config().await?;
        let by = config.proxy_url.as_ref().map(|url| format!(", by the proxy {}", without_user(url)));
        let address = format!("{}{}", config.cluster_url, by.unwrap_or_default());
        Ok(Cluster { client: Client::try_from(config)?, address })
    }

    async fn of_kubeconfig(
        &self,
        variable: &(dyn Fn(&str) -> Option<String> + Sync),
    ) -> anyhow::Result<Config> {
        const NONE: &str = "no cluster is known: set KUBECONFIG, or run in a pod";
        let kubeconfig = Kubeconfig::read().context(NONE)?;
        let named = self.proxy_url(&kubeconfig);
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let mut config = config.map_err(|error| {
            let why = unusable(&error);
            anyhow::Error::new(error).context(why)
        })?;
        // kube holds NO_PROXY against the proxy's own address, and knows HTTPS_PROXY alone.
        config.proxy_url = proxy(&config.cluster_url, named.as_deref(), variable)?;
        Ok(config)
    }

    fn proxy_url(&self, kubeconfig: &Kubeconfig) -> Option<String> {
        let name = self.context.as_ref().or(kubeconfig.current_context.as_ref())?;
        let context = kubeconfig.contexts.iter().find(|it| it.name == *name)?.context.as_ref()?;
        let cluster = kubeconfig.clusters.iter().find(|it| it.name == context.cluster)?;
        cluster.cluster.as_ref()?.proxy_url.clone()
    }
}

impl Cluster {
    /// Where it is asked.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// A Tenant.
    pub(super) async fn tenant(&self, name: &str, namespace: &str) -> anyhow::Result<Tenant> {
        let api: Api<Tenant> = Api::namespaced(self.client.clone(), namespace);
        let tenant = api.get_opt(name).await.with_context(|| {
            format!("Tenant {namespace}/{name} cannot be read from the API server {}", self.address)
        })?;
        let tenant = tenant.with_context(|| {
            format!("there is no Tenant '{name}' in namespace '{namespace}': --namespace names another")
        })?;
        Ok(self.placed(tenant).await)
    }

    /// The same, with what its class says of where it is to be, if nothing else says it yet. Whoever may not read classes
    /// learns less.
    async fn placed(&self, mut tenant: Tenant) -> Tenant {
        if tenant.standing().is_none()
            && let Some(class) = tenant.spec.class_ref.clone()
            && let Ok(class) = Api::<TenantClass>::all(self.client.clone()).get(&class.name).await
            && let Some(placement) = class.spec.placement
        {
            placement.write_into(&mut tenant.spec);
        }
        tenant
    }
}

/// A proxy's URL as it may be shown.
fn without_user(url: &Uri) -> String {
    let authority = url.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{}://{host}", url.scheme_str().unwrap_or_default())
}

/// Why a kubeconfig that is there leads nowhere.
fn unusable(error: &KubeconfigError) -> &'static str {
    match error {
        KubeconfigError::ParseNoProxy(_) => {
            "NO_PROXY must have hosts, addresses and networks, with one comma between each two and none at the end"
        }
        KubeconfigError::ParseProxyUrl(_) => "proxy-url in the kubeconfig, or HTTPS_PROXY, is no URL",
        _ => "the kubeconfig cannot be used",
    }
}

/// The proxy before a server: the one that the kubeconfig has `named`, whatever NO_PROXY says, or what the environment's
/// variables do, read as by the clients of AWS: in capitals or not, in capitals first. It is never repeated: it may have a
/// password.
fn proxy(
    server: &Uri,
    named: Option<&str>,
    variable: &(dyn Fn(&str) -> Option<String> + Sync),
) -> anyhow::Result<Option<Uri>> {
    let is_said = |value: &String| !value.trim().is_empty();
    let set = |name: &str| {
        let both = [name.to_owned(), name.to_ascii_lowercase()];
        both.iter().find_map(|name| variable(name).filter(is_said))
    };
    if let Some(named) = named.map(str::to_owned).filter(is_said) {
        return url(&named, "proxy-url of the kubeconfig").map(Some);
    }
    let of_scheme = if server.scheme_str() == Some("http") { "HTTP_PROXY" } else { "HTTPS_PROXY" };
    let mut names = [of_scheme, "ALL_PROXY"].into_iter();
    let Some((name, value)) = names.find_map(|name| Some((name, set(name)?))) else { return Ok(None) };
    let everywhere =
        Matcher::builder().all("http://anywhere").no(set("NO_PROXY").unwrap_or_default()).build();
    match everywhere.intercept(server) {
        None => Ok(None),
        Some(_) => url(&value, name).map(Some),
    }
}

/// A proxy's URL, as kube takes it: http where no scheme is named. Names are looked up by a SOCKS proxy either way.
fn url(text: &str, source: &str) -> anyhow::Result<Uri> {
    let text = text.trim();
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let scheme = if scheme == "socks5h" { "socks5" } else { scheme };
    let form = || format!("{source} is no URL of a proxy, such as http://<host>:<port>");
    let url: Uri = format!("{scheme}://{rest}").parse().with_context(form)?;
    let Some(authority) = url.authority().filter(|authority| !authority.host().is_empty()) else {
        bail!(form());
    };
    match scheme {
        "http" | "https" => Ok(url),
        "socks5" if authority.as_str().contains('@') => {
            bail!("{source} has a user for a socks5 proxy: only http and https proxies can be told who asks")
        }
        "socks5" if url.port().is_none() => Ok(format!("socks5://{authority}:{SOCKS_PORT}").parse()?),
        "socks5" => Ok(url),
        _ => bail!(
            "{source} has the scheme '{scheme}', and a proxy before the API server is http, https or socks5"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables<'a> = &'a [(&'a str, &'a str)];

    /// The proxy before a server in an environment of pairs.
    fn before(
        server: &str,
        named: Option<&str>,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Option<String>> {
        let variable =
            |name: &str| environment.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
        let found = proxy(&server.parse().unwrap(), named, &variable)?;
        Ok(found.map(|url| url.to_string().trim_end_matches('/').to_owned()))
    }

    const SERVER: &str = "https://api.corp.example:6443";
    const PROXY: &str = "http://proxy.corp.example:3128";

    #[test]
    fn no_variable_that_names_a_proxy_is_overlooked() {
        let cases: &[(Variables, Option<&str>)] = &[
            (&[], None),
            (&[("HTTPS_PROXY", PROXY)], Some(PROXY)),
            (&[("https_proxy", PROXY)], Some(PROXY)),
            (&[("HTTPS_PROXY", ""), ("https_proxy", PROXY)], Some(PROXY)),
            (&[("HTTPS_PROXY", PROXY), ("https_proxy", "http://other")], Some(PROXY)),
            (&[("ALL_PROXY", PROXY)], Some(PROXY)),
            (&[("HTTPS_PROXY", PROXY), ("ALL_PROXY", "http://other")], Some(PROXY)),
            (&[("HTTP_PROXY", PROXY)], None),
            (&[("HTTPS_PROXY", "proxy.corp.example:3128")], Some(PROXY)),
            (&[("HTTPS_PROXY", "https://proxy:8443")], Some("https://proxy:8443")),
            (&[("HTTPS_PROXY", "http://u:p%40ss@proxy:1")], Some("http://u:p%40ss@proxy:1")),
            (&[("ALL_PROXY", "socks5://127.0.0.1:1081")], Some("socks5://127.0.0.1:1081")),
            (&[("ALL_PROXY", "socks5h://127.0.0.1")], Some("socks5://127.0.0.1:1080")),
        ];
        for (environment, expected) in cases {
            assert_eq!(before(SERVER, None, environment).unwrap().as_deref(), *expected, "{environment:?}");
        }
        let plain = [("HTTP_PROXY", PROXY), ("HTTPS_PROXY", "http://other")];
        assert_eq!(before("http://127.0.0.1:8001", None, &plain).unwrap().as_deref(), Some(PROXY));
    }

    #[test]
    fn no_server_that_no_proxy_excepts_is_asked_through_it() {
        let address = "https://10.1.2.3:443";
        for (server, excepted) in [
            (SERVER, "api.corp.example"),
            (SERVER, "corp.example"),
            (SERVER, ".corp.example"),
            (SERVER, "localhost, corp.example"),
            (SERVER, "localhost,corp.example,"),
            (SERVER, "*"),
            (address, "10.1.2.3"),
            (address, "10.0.0.0/8"),
            ("https://[fd00::1]:443", "fd00::/8"),
        ] {
            for name in ["NO_PROXY", "no_proxy"] {
                let environment = [("HTTPS_PROXY", PROXY), (name, excepted)];
                assert_eq!(before(server, None, &environment).unwrap(), None, "{server} {name}={excepted}");
            }
        }
        // Also where the proxy itself is what is excepted.
        for others in ["localhost", "127.0.0.0/8", "proxy.corp.example", "otherapi.corp.example", ""] {
            let environment = [("HTTPS_PROXY", PROXY), ("NO_PROXY", others)];
            assert_eq!(before(SERVER, None, &environment).unwrap().as_deref(), Some(PROXY), "{others}");
        }
    }

    #[test]
    fn what_the_kubeconfig_names_is_not_overruled() {
        let environment = [("HTTPS_PROXY", "http://other:1"), ("NO_PROXY", "*")];
        let through = before(SERVER, Some("socks5://jump:1080"), &environment).unwrap();
        assert_eq!(through.as_deref(), Some("socks5://jump:1080"));
        assert_eq!(before(SERVER, Some(""), &environment).unwrap(), None);
    }

    #[test]
    fn what_is_no_proxy_is_refused_with_its_source_and_without_its_password() {
        for (value, says) in [
            ("http://u:secret@", "no URL"),
            ("http://", "no URL"),
            ("http://u:secret@a b:1", "no URL"),
            ("socks4://u:secret@proxy:1", "http, https or socks5"),
            ("ftp://u:secret@proxy", "http, https or socks5"),
            ("socks5://u:secret@proxy:1", "user"),
        ] {
            for (named, environment, source) in
                [(Some(value), vec![], "kubeconfig"), (None, vec![("HTTPS_PROXY", value)], "HTTPS_PROXY")]
            {
                let refused = format!("{:#}", before(SERVER, named, &environment).unwrap_err());
                assert!(refused.contains(says) && refused.contains(source), "{value}: {refused}");
                assert!(!refused.contains("secret"), "{refused}");
            }
        }
    }
}
