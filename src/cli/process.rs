//! What verbs have in common that go on until they are told to stop.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::time::Duration;

use kube::Config;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::terminal::OneLineEach;

/// What is logged unless RUST_LOG says otherwise. Of a server that cannot be reached, and of credentials and a region that
/// are not there, we say more ourselves, and once.
const LOGGED: &str = "info,kube_client::client::builder=off,aws_config=error";

/// How logs are written.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

/// How such a process is watched.
#[derive(Debug, clap::Args)]
pub(super) struct Watched {
    /// How logs are written.
    #[arg(long, env = "TENANTRY_LOG_FORMAT", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(super) log_format: LogFormat,

    /// Where /healthz and /readyz are served, such as 0.0.0.0:8081. Port 0 takes a free one, and the log says which.
    /// Default: nowhere.
    #[arg(long, env = "TENANTRY_HEALTH_PROBE_BIND_ADDRESS", value_name = "IP:PORT")]
    pub(super) health_probe_bind_address: Option<SocketAddr>,

    /// Where /metrics is served, such as 0.0.0.0:8080. Default: nowhere.
    #[arg(long, env = "TENANTRY_METRICS_BIND_ADDRESS", value_name = "IP:PORT")]
    pub(super) metrics_bind_address: Option<SocketAddr>,
}

/// Begins the log.
pub(super) fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => logs.with_writer(|| OneLineEach(std::io::stderr())).init(),
        LogFormat::Json => logs.json().init(),
    }
}

/// The same way to the API server for whoever tries again by itself. Its watches are renewed before `silence` is over; whatever
/// else is silent for so long is lost.
pub(super) fn patient(mut config: Config, silence: Duration) -> Config {
    // Backoff is ours, by object and by class of failure.
    config.default_retry = false;
    config.read_timeout = Some(silence);
    // A connection that was kept has all of that time again for its next request.
    config.reset_reader_on_write = true;
    config
}

/// Is cancelled when the process is told to end, by either signal.
pub(super) fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    tokio::spawn(cancel_on_signal(stop.clone()));
    stop
}

async fn cancel_on_signal(stop: CancellationToken) {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    tracing::info!("stopping");
    stop.cancel();
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_api_server_that_says_nothing_is_given_up() {
        // The client wants a provider of TLS even where it uses none.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = Config::new(format!("http://{}", silent.local_addr().unwrap()).parse().unwrap());
        let client = kube::Client::try_from(patient(config, Duration::from_millis(50))).unwrap();
        let asked = tokio::time::timeout(Duration::from_secs(20), client.apiserver_version()).await;
        assert!(asked.expect("it is over").is_err());
    }
}
