//! The SDK's values as plain ones.

use std::collections::BTreeMap;

/// Tags, by key.
pub type Tags = BTreeMap<String, String>;

/// Tags in whatever shape a service has them.
pub(super) fn tags<T>(tags: Option<Vec<T>>, pair: impl Fn(T) -> (String, String)) -> Tags {
    tags.unwrap_or_default().into_iter().map(pair).collect()
}

/// The SDK's time as ours; what lies outside of all calendars is the epoch.
pub(super) fn timestamp(time: &aws_smithy_types::DateTime) -> jiff::Timestamp {
    jiff::Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).unwrap_or(0)).unwrap_or_default()
}
