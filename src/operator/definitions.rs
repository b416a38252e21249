//! The definitions of our two kinds: without them there is nothing to watch. Whoever installs may start the operator
//! first, so they are waited for.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::CustomResourceExt;
use kube::runtime::wait::{Condition, conditions};
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;

use crate::api::{SharedStack, Tenant};
use crate::clock::Clock;

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What to do about a definition that is not there.
pub const ADVICE: &str = "install the chart, or run `tenantry crds | kubectl apply -f -`";

/// Waits until both kinds are served; false if it is stopped before. What is missing is `said`.
pub async fn wait(client: &Client, clock: Clock, stop: &CancellationToken, said: impl Fn(String)) -> bool {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut last = String::new();
    loop {
        let missing = match missing(&definitions).await {
            Ok(missing) if missing.is_empty() => return true,
            Ok(missing) => format!("waiting for the definitions {}: {ADVICE}", missing.join(" and ")),
            Err(error) => format!("the definitions cannot be read: {error}"),
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

/// Which of them are not served. One that we may not look at is taken to be there: its watch will say if it is not.
async fn missing(definitions: &Api<CustomResourceDefinition>) -> Result<Vec<&'static str>, kube::Error> {
    let mut missing = Vec::new();
    for name in [Tenant::crd_name(), SharedStack::crd_name()] {
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
