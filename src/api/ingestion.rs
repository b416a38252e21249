//! When documents are read, and what may stand beside them.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When new documents are looked for: every hour unless a schedule says otherwise, and read if any have changed. In any case
/// they are read when the first arrives, and when the annotation 'tenantry.dev/sync-requested-at' is given a new value.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingestion {
    /// Five fields of cron: minute, hour, day of month, month, day of week; for example '0 */2 * * *'. What
    /// the operator cannot read it reports in the condition Accepted, with the reason ScheduleInvalid. AWS
    /// runs five jobs at a time in an account: the others wait their turn, the oldest first. Moments that were
    /// missed are caught up with once. Default: every hour, at a moment of each knowledge base's own; what is missed is
    /// made up for by the next.
    #[schemars(length(min = 1, max = 256))]
    pub schedule: Option<String>,

    /// The time zone of the schedule, by its IANA name, for example 'Europe/Vienna'. A fixed hour that the clocks
    /// leave out in spring is due when they go on; one that they repeat in autumn, once. Default: 'Etc/UTC'.
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,

    /// true lets the schedule rest, and the hourly look too. The first document, what is asked for by annotation, and what must be forgotten
    /// because a tenant leaves, still have their jobs. Default: false.
    pub suspend: Option<bool>,
}

/// What Bedrock does with the vectors when a data source is deleted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DataDeletionPolicy {
    #[default]
    Delete,
    Retain,
}

impl DataDeletionPolicy {
    /// The word that Bedrock uses.
    pub const fn in_aws(self) -> &'static str {
        match self {
            DataDeletionPolicy::Delete => "DELETE",
            DataDeletionPolicy::Retain => "RETAIN",
        }
    }
}

/// Who may write the `.metadata.json` files of a pool.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Sidecars {
    #[default]
    OperatorOnly,
    Merge,
}

/// When documents are looked for, with every default filled in. It is not yet known whether the schedule can be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IngestionSettings {
    /// `None` = every so often, as the operator is set.
    pub schedule: Option<String>,
    pub time_zone: String,
    pub suspend: bool,
}

impl Ingestion {
    /// What holds where nothing is said, too.
    pub fn resolve(given: Option<&Self>) -> IngestionSettings {
        let Ingestion { schedule, time_zone, suspend } = given.cloned().unwrap_or_default();
        IngestionSettings {
            schedule,
            time_zone: time_zone.unwrap_or_else(|| "Etc/UTC".to_owned()),
            suspend: suspend.unwrap_or(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_deletion_are_awss_own() {
        assert_eq!(DataDeletionPolicy::Delete.in_aws(), "DELETE");
        assert_eq!(DataDeletionPolicy::Retain.in_aws(), "RETAIN");
    }
}
