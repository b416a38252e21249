//! The definitions of our kinds: without them there is nothing to watch. An administrator may start the
//! operator first, so they are waited for.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::CustomResourceExt;
use kube::runtime::wait::{Condition, conditions};
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;

use crate::api::{SharedStack, Tenant, TenantClass};
use crate::clock::Clock;
use crate::stack::causes::causes;

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What to do about a definition that is not there.
pub const ADVICE: &str = "install the chart, or run `tenantry crds | kubectl apply -f -`";

/// Waits until all kinds are served; false if it is stopped before. What is missing is `said`. `server` is where the API
/// server is.
pub async fn wait(
    client: &Client,
    server: &str,
    clock: Clock,
    stop: &CancellationToken,
    said: impl Fn(String),
) -> bool {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut last = String::new();
    loop {
        let missing = match missing(&definitions).await {
            Ok(missing) if missing.is_empty() => return true,
            Ok(missing) => format!("waiting for the definitions {}: {ADVICE}", missing.join(" and ")),
            Err(error) => unread(server, &error),
        };
        if missing != last {
            tracing::warn!("{missing}");
            said(missing.clone());
            last = missing;
        }
        tokio::select! {
            () = stop.cancelled() => return false,
            () = tokio::time::sleep(clock.outside(LOOK_AGAIN)) => {}
        }
    }
}

/// Why they cannot be read: the API server says no, or there is no way to it.
fn unread(server: &str, error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => {
            format!("the API server {server} does not let the definitions be read: {status}")
        }
        error => format!("the API server {server} cannot be reached: {}", causes(error)),
    }
}

/// Which of them are not served. One that we may not look at is taken to be there: its watch will say if it is not.
async fn missing(definitions: &Api<CustomResourceDefinition>) -> Result<Vec<&'static str>, kube::Error> {
    let mut missing = Vec::new();
    for name in [Tenant::crd_name(), SharedStack::crd_name(), TenantClass::crd_name()] {
        let found = match definitions.get_opt(name).await {
            Err(kube::Error::Api(status)) if status.code == 403 => continue,
            found => found?,
        };
        if !conditions::is_crd_established().matches_object(found.as_ref()) {
            missing.push(name);
        }
    }
    Ok(missing)
}

/// Whether a watch fails because the definition of its kind is gone.
pub fn is_gone(error: &watcher::Error) -> bool {
    let error = match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => error,
        _ => return false,
    };
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_cannot_be_reached_is_named_with_the_cause_and_one_that_refuses_with_its_words() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let server = format!("http://{closed}/");
        let mut config = kube::Config::new(server.parse().unwrap());
        config.default_retry = false;
        let definitions: Api<CustomResourceDefinition> = Api::all(Client::try_from(config).unwrap());
        let told = unread(&server, &missing(&definitions).await.unwrap_err());
        assert!(told.contains(&server) && told.contains("refused"), "{told}");
        assert_eq!(told.matches("client error").count(), 1, "each cause once: {told}");
        let no = kube::core::Status::failure("Unauthorized", "").with_code(401).boxed();
        let told = unread(&server, &kube::Error::Api(no));
        assert!(told.contains(&server) && told.contains("Unauthorized"), "{told}");
    }
}
