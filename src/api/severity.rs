//! What somebody should make of a reason: one table, on the way there and on the way back.

use super::Reason;

/// What somebody should make of it that something is not done, the least grave first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It goes on.
    UnderWay,
    /// It waits for something, and goes on by itself.
    Blocked,
    /// It waits for a person.
    Stalled,
}

impl Reason {
    /// What this reason means wherever something is waited for. There is no other place that decides it.
    #[deny(clippy::wildcard_enum_match_arm)]
    pub const fn severity(self) -> Severity {
        use Reason::*;
        match self {
            // All is well, or our own work goes on.
            Ready | Accepted | Lent | Registered | Synced | NoDocuments | ModelStays => Severity::UnderWay,
            Progressing | Creating | Updating | Deleting | GracePeriod | SyncRequested => Severity::UnderWay,
            WaitingForKey | WaitingForBucket | WaitingForVectorStore => Severity::UnderWay,
            WaitingForIndex | WaitingForRole | WaitingForKnowledgeBase => Severity::UnderWay,
            // Something else comes first, or AWS takes its time.
            Borrowed | ClassNotFound | StackNotFound | StackNotReady | StackLeaving => Severity::Blocked,
            NotYet | Throttled | Transient | SyncFailed | WaitingForRecords => Severity::Blocked,
            DocumentsRemain | DocumentsStuck | ObjectsLocked | Paused | ReadOnly => Severity::Blocked,
            // The spec, or whoever wrote it.
            SpecInvalid | ScheduleInvalid | TenantIdTaken | TenantIdRetained => Severity::Stalled,
            AnnotationInvalid => Severity::Stalled,
            NamespaceNotAllowed | SiloNotAllowed | StackHasNoPool | KeyNotAllowed => Severity::Stalled,
            TenantIdNotAllowed | TooManyTenants => Severity::Stalled,
            ClassNotAllowed | ClassConflict | OverrideForbidden | LimitExceeded | Immutable => {
                Severity::Stalled
            }
            // The account, or whoever looks after it.
            QuotaReserved | Quota | Denied | EndpointUnreachable | Invalid => Severity::Stalled,
            Failed | DeadlineExceeded | OwnedByAnother | ModelLegacy => Severity::Stalled,
            RegistryNotFound | RegistryConflict | DocumentsFailed => Severity::Stalled,
            // What only a person may decide.
            DataLost | RecordsLost | RetainedDiffers | RetainedTenants | LargeDeletion => Severity::Stalled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order decides which of two troubles is told.
    #[test]
    fn what_waits_for_a_person_is_the_gravest() {
        assert!(Severity::UnderWay < Severity::Blocked && Severity::Blocked < Severity::Stalled);
    }

    #[test]
    fn every_reason_has_its_place() {
        let with = |severity| -> Vec<&str> {
            let of = Reason::ALL.iter().filter(|reason| reason.severity() == severity);
            of.map(|reason| reason.as_str()).collect()
        };
        let under_way = [
            "Ready",
            "Progressing",
            "Creating",
            "Updating",
            "Deleting",
            "WaitingForKey",
            "WaitingForBucket",
            "WaitingForVectorStore",
            "WaitingForIndex",
            "WaitingForRole",
            "WaitingForKnowledgeBase",
            "Accepted",
            "Lent",
            "NoDocuments",
            "Synced",
            "SyncRequested",
            "ModelStays",
            "Registered",
            "GracePeriod",
        ];
        let blocked = [
            "ClassNotFound",
            "WaitingForRecords",
            "StackNotFound",
            "StackNotReady",
            "StackLeaving",
            "Throttled",
            "Transient",
            "NotYet",
            "SyncFailed",
            "Borrowed",
            "DocumentsRemain",
            "ObjectsLocked",
            "DocumentsStuck",
            "Paused",
            "ReadOnly",
        ];
        let stalled = [
            "TenantIdTaken",
            "TenantIdRetained",
            "TenantIdNotAllowed",
            "NamespaceNotAllowed",
            "SiloNotAllowed",
            "StackHasNoPool",
            "QuotaReserved",
            "TooManyTenants",
            "KeyNotAllowed",
            "ScheduleInvalid",
            "SpecInvalid",
            "ClassNotAllowed",
            "ClassConflict",
            "OverrideForbidden",
            "LimitExceeded",
            "Immutable",
            "RecordsLost",
            "Denied",
            "Quota",
            "Invalid",
            "DeadlineExceeded",
            "Failed",
            "OwnedByAnother",
            "RetainedDiffers",
            "DataLost",
            "EndpointUnreachable",
            "DocumentsFailed",
            "LargeDeletion",
            "ModelLegacy",
            "RegistryNotFound",
            "RegistryConflict",
            "RetainedTenants",
            "AnnotationInvalid",
        ];
        assert_eq!(with(Severity::UnderWay), under_way);
        assert_eq!(with(Severity::Blocked), blocked);
        assert_eq!(with(Severity::Stalled), stalled);
    }
}
