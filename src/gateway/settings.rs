//! What a gateway is told at its start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The gateway's settings; see `tenantry gateway --help`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The operator's `--installation`.
    pub installation: String,
    /// Which Tenants and SharedStacks are seen; `None` = all.
    pub selector: Option<String>,
    /// The role, by ARN, in whose sessions AWS is asked.
    pub ask_role: String,
    /// The audience that a ServiceAccount's token must have.
    pub audience: String,
    /// Whose tokens are taken besides the cluster's.
    pub issuers: Vec<Issuer>,
    /// Where it answers.
    pub bind_address: SocketAddr,
    /// The folder with `tls.crt` and `tls.key`; `None` = no TLS.
    pub tls_cert_dir: Option<PathBuf>,
    /// How many questions a second AWS grants to the account.
    pub retrieve_rate: u32,
    /// How much of that is used, in percent.
    pub pace: u32,
    /// How many requests may be under way.
    pub max_in_flight: usize,
    /// The Service, by namespace and name, whose ready endpoints share the rate; `None` = this one has it all.
    pub service: Option<(String, String)>,
    /// Where the access log is written.
    pub access_log: Lines,
    /// A bucket that an administrator has made for the records of tenantIds; `None` = the operator's own.
    pub installation_bucket: Option<String>,
    /// Where `/healthz` and `/readyz` are served, if anywhere.
    pub health_probe_bind_address: Option<SocketAddr>,
    /// Where `/metrics` is served, if anywhere.
    pub metrics_bind_address: Option<SocketAddr>,
    /// How long requests under way have, and new connections are taken, after the process was told to end.
    pub drain: Duration,
    /// Divides all waits but those before AWS.
    pub clock: u32,
}

/// Whose tokens are taken, and who is meant by them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// As the claim `iss` has it.
    pub url: String,
    /// The audience that a token must have.
    pub audience: String,
    /// The claim that names the tenant.
    pub claim: String,
    /// A file with the authorities that vouch for it, in PEM; `None` = the system's.
    pub ca: Option<PathBuf>,
}

/// Where lines are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lines {
    /// To the standard output.
    Stdout,
    /// To the end of a file.
    File(PathBuf),
    /// Nowhere.
    Nowhere,
}

impl Settings {
    /// The defaults of `tenantry gateway`, without TLS.
    pub fn new(installation: &str, ask_role: &str) -> Self {
        Self {
            installation: installation.into(),
            selector: None,
            ask_role: ask_role.into(),
            audience: "tenantry-gateway".into(),
            issuers: Vec::new(),
            bind_address: ([0, 0, 0, 0], 8443).into(),
            tls_cert_dir: None,
            retrieve_rate: 20,
            pace: 80,
            max_in_flight: 4096,
            service: None,
            access_log: Lines::Stdout,
            installation_bucket: None,
            health_probe_bind_address: None,
            metrics_bind_address: None,
            drain: Duration::from_secs(30),
            clock: 1,
        }
    }
}
