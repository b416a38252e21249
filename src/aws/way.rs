//! The way to AWS: through the proxies that the environment names, and by which certificate authorities a server is known.
//!
//! Credentials that a machine hands out are fetched straight, from an address that no proxy can reach: who answers for it
//! elsewhere could give us anybody's.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use aws_config::SdkConfig;
use aws_smithy_async::rt::sleep::SharedAsyncSleep;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::stack::identity::{domain, partition_of};

/// The environment variable with a file of authorities, in place of the system's.
/// <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html>
const BUNDLE: &str = "AWS_CA_BUNDLE";

/// What names an address that hands out credentials.
const CREDENTIALS: [&str; 2] = ["AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT"];

/// Why there is no way to AWS.
#[derive(Debug, thiserror::Error)]
pub enum NoWay {
    /// The authorities of AWS_CA_BUNDLE cannot be used.
    #[error(
        "AWS_CA_BUNDLE names {path}, and {why}: it must be a file with certificates of authorities in PEM"
    )]
    Bundle { path: String, why: String },
    /// The authorities of a file cannot be used.
    #[error(
        "{path} cannot be used, because {why}: it must be a file with certificates of authorities in PEM"
    )]
    Authorities { path: String, why: String },
    /// A proxy that cannot be used.
    #[error(
        "the environment names a SOCKS proxy before AWS, which is reached by http and https proxies only: set HTTPS_PROXY to \
         one, or except AWS with NO_PROXY"
    )]
    Socks,
}

/// Both ways: who asks does not know which is taken.
#[derive(Debug)]
struct Ways<T> {
    straight: T,
    by_proxy: T,
    /// Hosts that are asked straight besides the link-local ones.
    hosts: Vec<String>,
}

impl<T> Ways<T> {
    /// Both of the environment.
    fn of(way: impl Fn(ProxyConfig) -> T) -> Self {
        Self {
            straight: way(ProxyConfig::disabled()),
            by_proxy: way(ProxyConfig::from_env()),
            hosts: hosts(),
        }
    }
}

/// A client of all services.
pub(super) fn client() -> Result<SharedHttpClient, NoWay> {
    let context = trusted()?;
    Ok(SharedHttpClient::new(Ways::of(|proxy| {
        let context = context.clone();
        Builder::new().build_with_connector_fn(move |settings, components| {
            let sleep = components.and_then(RuntimeComponents::sleep_impl);
            one_way(&context, proxy.clone(), settings, sleep)
        })
    })))
}

/// The same for requests that no SDK makes.
pub(super) fn connector(
    settings: &HttpConnectorSettings,
    sleep: Option<SharedAsyncSleep>,
) -> Result<SharedHttpConnector, NoWay> {
    let context = trusted()?;
    Ok(SharedHttpConnector::new(Ways::of(|proxy| one_way(&context, proxy, Some(settings), sleep.clone()))))
}

/// The same to a server that the authorities of a file vouch for, if one is named.
pub(super) fn connector_to(
    settings: &HttpConnectorSettings,
    sleep: Option<SharedAsyncSleep>,
    authorities: Option<&Path>,
) -> Result<SharedHttpConnector, NoWay> {
    let Some(path) = authorities else { return connector(settings, sleep) };
    let named = path.display().to_string();
    let context = context(bundle(path).map_err(|why| NoWay::Authorities { path: named, why })?);
    Ok(SharedHttpConnector::new(Ways::of(|proxy| one_way(&context, proxy, Some(settings), sleep.clone()))))
}

fn one_way(
    context: &TlsContext,
    proxy: ProxyConfig,
    settings: Option<&HttpConnectorSettings>,
    sleep: Option<SharedAsyncSleep>,
) -> Connector {
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
    let mut builder = Connector::builder().proxy_config(proxy);
    builder.set_connector_settings(settings.cloned()).set_sleep_impl(sleep);
    builder.tls_provider(provider).tls_context(context.clone()).build()
}

impl<T: HttpConnector> HttpConnector for Ways<T> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if is_asked_straight(request.uri(), &self.hosts) {
            self.straight.call(request)
        } else {
            self.by_proxy.call(request)
        }
    }
}

impl HttpClient for Ways<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Ways {
            straight: self.straight.http_connector(settings, components),
            by_proxy: self.by_proxy.http_connector(settings, components),
            hosts: self.hosts.clone(),
        })
    }
}

/// Refuses proxies that the SDK would take for others, and wait for in vain.
pub(super) fn is_open(config: &SdkConfig) -> Result<(), NoWay> {
    let region = config.region().map(AsRef::as_ref);
    let asked = asked_first(config.endpoint_url(), region, config.use_dual_stack().unwrap_or_default());
    if is_by_socks(&Matcher::from_env(), &asked) { Err(NoWay::Socks) } else { Ok(()) }
}

/// What is asked before anything else: whose the credentials are. Proxies may be excepted for a partition, or a region, alone.
fn asked_first(endpoint: Option<&str>, region: Option<&str>, dual_stack: bool) -> String {
    match (endpoint, region) {
        (Some(endpoint), _) => endpoint.into(),
        (None, Some(region)) => {
            format!("https://sts.{region}.{}", domain(partition_of(region), dual_stack))
        }
        // Nothing is asked without a region; whoever starts says so.
        (None, None) => "https://sts.amazonaws.com".into(),
    }
}

fn is_by_socks(proxies: &Matcher, asked: &str) -> bool {
    let proxy = asked.parse().ok().and_then(|asked| proxies.intercept(&asked));
    proxy.is_some_and(|proxy| proxy.uri().scheme_str().is_some_and(|scheme| scheme.starts_with("socks")))
}

/// The hosts that the environment names for credentials.
fn hosts() -> Vec<String> {
    let named = CREDENTIALS.iter().filter_map(|name| std::env::var(name).ok());
    named.filter_map(|url| url.parse::<Uri>().ok()?.host().map(str::to_owned)).collect()
}

/// Whether a host hands out credentials: of a pod, a task or an instance, by an address that leads no further than its
/// machine, or the one that the environment names.
fn is_asked_straight(uri: &str, hosts: &[String]) -> bool {
    let uri: Option<Uri> = uri.parse().ok();
    let Some(host) = uri.as_ref().and_then(Uri::host) else { return false };
    let link_local = match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        // Where instances and pods have IPv6 alone: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
        Ok(IpAddr::V6(address)) => address.segments()[..2] == [0xfd00, 0xec2],
        Err(_) => false,
    };
    link_local || hosts.iter().any(|it| it == host)
}

/// By whom a server must be vouched for: the environment's bundle, or the system's authorities.
fn trusted() -> Result<TlsContext, NoWay> {
    match std::env::var(BUNDLE).ok().filter(|path| !path.is_empty()) {
        None => Ok(context(TrustStore::default())),
        Some(path) => {
            let usable = bundle(Path::new(&path)).map_err(|why| NoWay::Bundle { path, why })?;
            Ok(context(usable))
        }
    }
}

/// The authorities of a file.
fn bundle(path: &Path) -> Result<TrustStore, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string());
    let usable = text.and_then(|text| authorities(&text))?;
    Ok(usable.into_iter().fold(TrustStore::empty(), TrustStore::with_pem_certificate))
}

fn context(store: TrustStore) -> TlsContext {
    // Its builder never fails.
    TlsContext::builder().with_trust_store(store).build().unwrap_or_default()
}

/// The certificates of a bundle that can be used, each as it stands there. One that nobody could use is passed over, as
/// the system's are; the SDK would panic at it.
fn authorities(bundle: &str) -> Result<Vec<String>, String> {
    const END: &str = "-----END CERTIFICATE-----";
    let blocks = bundle
        .split_inclusive(END)
        .filter_map(|text| text.find("-----BEGIN CERTIFICATE-----").map(|at| &text[at..]));
    let is_usable = |block: &&str| {
        let certificate = CertificateDer::from_pem_slice(block.as_bytes());
        certificate.is_ok_and(|certificate| RootCertStore::empty().add(certificate).is_ok())
    };
    let usable: Vec<_> = blocks.filter(is_usable).map(str::to_owned).collect();
    if usable.is_empty() { Err("there is none in it".into()) } else { Ok(usable) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever answers for such an address behind a proxy could hand out anybody's credentials.
    #[test]
    fn no_proxy_is_asked_for_the_credentials_of_a_machine() {
        let named = ["localhost".to_owned(), "127.0.0.2".to_owned()];
        for straight in [
            "http://169.254.170.23/v1/credentials",
            "http://169.254.170.2/v2/credentials/x",
            "http://169.254.169.254/latest/api/token",
            "http://[fd00:ec2::23]/v1/credentials",
            "http://[fd00:ec2::254]:80/latest",
            "http://localhost:9911/role",
            "http://127.0.0.2/",
        ] {
            assert!(is_asked_straight(straight, &named), "{straight}");
        }
        for by_proxy in [
            "https://sts.eu-central-1.amazonaws.com/",
            "http://127.0.0.1:4566/bucket/key",
            "https://[fd00::1]/",
            "https://169.254.170.23.example.com/",
            "/no/host",
            "",
        ] {
            assert!(!is_asked_straight(by_proxy, &named), "{by_proxy}");
        }
    }

    #[test]
    fn no_socks_proxy_is_taken_for_one_that_speaks_http() {
        let of = |all: &str, https: &str, no: &str, endpoint| {
            let asked = asked_first(endpoint, Some("eu-central-1"), false);
            is_by_socks(&Matcher::builder().all(all).https(https).no(no).build(), &asked)
        };
        let local = Some("http://127.0.0.1:4566");
        for scheme in ["socks4", "socks5", "socks5h"] {
            let socks = format!("{scheme}://127.0.0.1:1080");
            assert!(
                of(&socks, "", "", None) && of("", &socks, "localhost", None) && of(&socks, "", "", local)
            );
            assert!(!of(&socks, "", "amazonaws.com", None) && !of("", &socks, "*", None));
            assert!(!of(&socks, "http://proxy", "", None) && !of(&socks, "", "127.0.0.1", local));
        }
        assert!(!of("", "", "", None) && !of("http://proxy", "https://proxy", "", None));
    }

    /// It was asked about `amazonaws.com`, wherever the region is.
    #[test]
    fn no_way_is_refused_that_does_not_lead_by_the_proxy() {
        for (region, dual_stack, asked, excepted) in [
            ("eu-central-1", false, "https://sts.eu-central-1.amazonaws.com", ".eu-central-1.amazonaws.com"),
            ("eu-central-1", true, "https://sts.eu-central-1.api.aws", "api.aws"),
            ("us-gov-west-1", false, "https://sts.us-gov-west-1.amazonaws.com", "amazonaws.com"),
            ("cn-north-1", false, "https://sts.cn-north-1.amazonaws.com.cn", ".amazonaws.com.cn"),
            ("cn-north-1", true, "https://sts.cn-north-1.api.amazonwebservices.com.cn", "com.cn"),
            ("eusc-de-east-1", false, "https://sts.eusc-de-east-1.amazonaws.eu", "amazonaws.eu"),
        ] {
            assert_eq!(asked_first(None, Some(region), dual_stack), asked);
            let but = |no: &str| Matcher::builder().all("socks5://127.0.0.1:1080").no(no).build();
            assert!(!is_by_socks(&but(excepted), asked), "{asked}, but for {excepted}");
            assert!(is_by_socks(&but("example.com"), asked), "{asked}");
        }
        let elsewhere = asked_first(None, Some("eusc-de-east-1"), false);
        let proxies = Matcher::builder().all("socks5://127.0.0.1:1080").no("amazonaws.com").build();
        assert!(is_by_socks(&proxies, &elsewhere), "another partition is excepted");
    }

    #[test]
    fn a_bundle_that_nobody_can_use_is_refused_and_breaks_nothing() {
        let good = include_str!("../../tests/assets/authority.pem");
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for empty in ["", "no certificate", junk, "-----BEGIN CERTIFICATE-----\n"] {
            assert!(authorities(empty).is_err(), "{empty}");
        }
        for (bundle, count) in [
            (good.to_owned(), 1),
            (format!("# a remark\r\n{good}"), 1),
            (format!("{junk}{good}{junk}\n{good}"), 2),
        ] {
            assert_eq!(authorities(&bundle).unwrap().len(), count);
        }
    }
}
