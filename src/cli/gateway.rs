//! `tenantry gateway`

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;

use super::args::{bucket, installation, percent, role};
use super::cluster::InCluster;
use super::help;
use super::process;
use crate::api::annotations::yes_or_no;
use crate::aws;
use crate::gateway::{self, settings};

#[derive(Debug, Args)]
#[command(after_help = help::after(EXAMPLE, &[&[help::LOG][..], &help::both()].concat()))]
pub(super) struct Gateway {
    /// The operator's --installation: only its Tenants are asked for.
    #[arg(long, env = "TENANTRY_INSTALLATION", value_name = "NAME", value_parser = installation)]
    installation: String,

    /// See only Tenants and SharedStacks with these labels, as the operator does. Default: all.
    #[arg(long, env = "TENANTRY_SELECTOR", value_name = "SELECTOR")]
    selector: Option<String>,

    /// The ARN of the IAM role in whose sessions AWS is asked, one session a tenant. `tenantry iam-policy ask` prints what it
    /// must allow.
    #[arg(long, env = "TENANTRY_ASK_ROLE", value_name = "ARN", value_parser = role)]
    ask_role: String,

    /// The audience that a ServiceAccount's token must have.
    #[arg(long, env = "TENANTRY_AUDIENCE", value_name = "AUDIENCE", default_value = "tenantry-gateway")]
    audience: String,

    /// Take tokens of this issuer of OpenID Connect, too, if they have the audience, and a claim that is the tenantId:
    /// 'URL,audience=A,claim=C', and ',ca=FILE' if the authorities that vouch for it are not the system's. Again for each
    /// further one; in the environment with spaces between.
    #[arg(long, env = "TENANTRY_OIDC_ISSUER", value_name = "ISSUER", value_delimiter = ' ', value_parser = issuer)]
    oidc_issuer: Vec<settings::Issuer>,

    /// Where questions are answered.
    #[arg(long, env = "TENANTRY_BIND_ADDRESS", value_name = "IP:PORT", default_value = "0.0.0.0:8443")]
    bind_address: SocketAddr,

    /// The folder with the certificate, tls.crt, and its key, tls.key. They are read again when they change.
    #[arg(long, env = "TENANTRY_TLS_CERT_DIR", value_name = "DIR")]
    tls_cert_dir: Option<PathBuf>,

    /// Answer without TLS. Whoever can listen can then ask as every caller: for where something else encrypts.
    #[arg(long, env = "TENANTRY_PLAINTEXT", value_parser = yes_or_no)]
    plaintext: bool,

    /// How many questions a second AWS grants to the account and region: all replicas and all others together.
    #[arg(long, env = "TENANTRY_RETRIEVE_RATE", value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    retrieve_rate: u32,

    /// How much of that is used: 1% to 100%. The rest is for others.
    #[arg(long, env = "TENANTRY_PACE", value_name = "PERCENT", default_value = "80%", value_parser = percent)]
    pace: u32,

    /// How many requests may be under way before more are refused.
    #[arg(long, env = "TENANTRY_MAX_IN_FLIGHT", value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    max_in_flight: u32,

    /// The gateway's own Service: its ready endpoints share the rate. Default: this process is alone.
    #[arg(long, env = "TENANTRY_SERVICE", value_name = "NAMESPACE/NAME", value_parser = service)]
    service: Option<(String, String)>,

    /// Where the access log is written, a line of JSON for each request: '-' is the standard output, 'none' nowhere.
    #[arg(long, env = "TENANTRY_ACCESS_LOG", value_name = "FILE", default_value = "-", value_parser = lines)]
    access_log: settings::Lines,

    /// The operator's --installation-bucket. Default: the bucket that it makes itself.
    #[arg(long, env = "TENANTRY_INSTALLATION_BUCKET", value_name = "BUCKET", value_parser = bucket)]
    installation_bucket: Option<String>,

    #[command(flatten)]
    watched: process::Watched,

    /// Divides all waits but those of questions; for tests.
    #[arg(long, env = "TENANTRY_CLOCK", value_name = "N", default_value_t = 1, hide = true)]
    clock: u32,

    #[command(flatten)]
    within: InCluster,
}

const EXAMPLE: &str = "tenantry gateway --installation prod --ask-role arn:aws:iam::111122223333:role/prod-ask --tls-cert-dir \
                       /tls --service tenantry/tenantry-gateway";

/// Such as `https://idp.example.com,audience=shop,claim=tenant`.
fn issuer(text: &str) -> Result<settings::Issuer, String> {
    const FORM: &str =
        "an issuer is of the form https://<host>,audience=<audience>,claim=<claim>, or with ,ca=<file>";
    let mut parts = text.split(',');
    let url = parts.next().unwrap_or_default();
    let (mut audience, mut claim, mut ca) = (None, None, None);
    for part in parts {
        let (name, value) = part.split_once('=').filter(|(_, value)| !value.is_empty()).ok_or(FORM)?;
        let before = match name {
            "audience" => audience.replace(value),
            "claim" => claim.replace(value),
            "ca" => ca.replace(value),
            _ => return Err(FORM.into()),
        };
        if before.is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    let parsed: http::Uri = url.parse().map_err(|_| FORM)?;
    let is_near = matches!(parsed.host(), Some("127.0.0.1" | "localhost" | "[::1]"));
    if parsed.scheme_str() != Some("https") && !(parsed.scheme_str() == Some("http") && is_near) {
        return Err("keys of an issuer are read over https".into());
    }
    let (audience, claim) = (audience.ok_or(FORM)?.into(), claim.ok_or(FORM)?.into());
    Ok(settings::Issuer { url: url.into(), audience, claim, ca: ca.map(PathBuf::from) })
}

fn service(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok((namespace.into(), name.into()))
        }
        _ => Err("a Service is of the form <namespace>/<name>".into()),
    }
}

fn lines(text: &str) -> Result<settings::Lines, String> {
    Ok(match text {
        "" => return Err("a file, '-' or 'none'".into()),
        "-" => settings::Lines::Stdout,
        "none" => settings::Lines::Nowhere,
        file => settings::Lines::File(file.into()),
    })
}

impl Gateway {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        process::log(self.watched.log_format);
        ensure!(
            self.plaintext != self.tls_cert_dir.is_some(),
            "either --tls-cert-dir says where the certificate is, or --plaintext says that there is none"
        );
        let client = kube::Client::try_from(process::patient(self.within.config().await?, gateway::SILENCE))?;
        let settings = gateway::Settings {
            selector: self.selector,
            audience: self.audience,
            issuers: self.oidc_issuer,
            bind_address: self.bind_address,
            tls_cert_dir: self.tls_cert_dir,
            retrieve_rate: self.retrieve_rate,
            pace: self.pace,
            max_in_flight: usize::try_from(self.max_in_flight)?,
            service: self.service,
            access_log: self.access_log,
            installation_bucket: self.installation_bucket,
            health_probe_bind_address: self.watched.health_probe_bind_address,
            metrics_bind_address: self.watched.metrics_bind_address,
            clock: self.clock,
            ..gateway::Settings::new(&self.installation, &self.ask_role)
        };
        gateway::run(settings, client, &aws::load().await?, process::stop_on_signal()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_has_an_audience_and_a_claim() {
        let issuer = |text: &str| super::issuer(text);
        let found = issuer("https://idp.example.com/realm,audience=shop,claim=tenant,ca=/ca.crt").unwrap();
        assert_eq!((found.url.as_str(), found.audience.as_str()), ("https://idp.example.com/realm", "shop"));
        assert_eq!((found.claim.as_str(), found.ca), ("tenant", Some(PathBuf::from("/ca.crt"))));
        assert!(issuer("http://127.0.0.1:8080,audience=a,claim=c").is_ok());
        for bad in [
            "",
            "https://idp",
            "https://idp,audience=a",
            "https://idp,claim=c",
            "https://idp,audience=,claim=c",
            "https://idp,audience=a,claim=c,claim=d",
            "https://idp,audience=a,claim=c,x=y",
            "http://idp.example.com,audience=a,claim=c",
            "idp,audience=a,claim=c",
        ] {
            assert!(issuer(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_service_has_a_namespace() {
        assert_eq!(service("a/b"), Ok(("a".into(), "b".into())));
        for bad in ["", "a", "a/", "/b", "a/b/c"] {
            assert!(service(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lines_go_to_a_file_or_out_or_nowhere() {
        assert_eq!(lines("-"), Ok(settings::Lines::Stdout));
        assert_eq!(lines("none"), Ok(settings::Lines::Nowhere));
        assert_eq!(lines("/log"), Ok(settings::Lines::File("/log".into())));
        assert!(lines("").is_err());
    }
}
