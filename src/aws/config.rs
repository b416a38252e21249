//! How AWS is asked: credentials and region from the environment, our own timeouts, no retries.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

use super::way::{self, NoWay};
use crate::stack::names;

/// Why there is no region to work in.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoRegion {
    /// Nothing names one.
    #[error("no AWS region is set; set AWS_REGION")]
    Unset,
    /// What names one names none.
    #[error("the AWS region is '{0}', and a region is of the form eu-central-1; set AWS_REGION")]
    Malformed(String),
}

/// The region of a configuration.
pub fn region(config: &SdkConfig) -> Result<String, NoRegion> {
    let region = config.region().ok_or(NoRegion::Unset)?.to_string();
    if names::is_region(&region) { Ok(region) } else { Err(NoRegion::Malformed(region)) }
}

/// How long one call may take, its answer's body not counted.
pub(super) const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may take to stand.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The configuration that the environment gives: credentials, region, proxies, authorities, and `AWS_ENDPOINT_URL` where it
/// is set.
pub async fn load() -> Result<SdkConfig, NoWay> {
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(way::client()?).load().await;
    way::is_open(&config)?;
    Ok(config)
}

/// Without retries and with our timeouts: backoff is the controller's, and it has to see every refusal.
pub(super) fn patient(config: &SdkConfig) -> SdkConfig {
    let timeouts =
        TimeoutConfig::builder().operation_timeout(OPERATION_TIMEOUT).connect_timeout(CONNECT_TIMEOUT);
    let mut builder = config.to_builder();
    builder.set_retry_config(Some(RetryConfig::disabled())).set_timeout_config(Some(timeouts.build()));
    builder.set_behavior_version(config.behavior_version().or(Some(BehaviorVersion::latest())));
    builder.build()
}
