//! Whose messages may name tenants: one table. The events of a SharedStack have more readers than its status.

use super::Reason;

impl Reason {
    /// Whether a message with this reason may name tenants, their namespaces or their documents. The event of a
    /// SharedStack then says the reason's meaning instead. A new reason does not compile before it is decided here.
    #[deny(clippy::wildcard_enum_match_arm)]
    pub const fn names_tenants(self) -> bool {
        use Reason::{
            Accepted, AnnotationInvalid, Borrowed, ClassConflict, ClassNotAllowed, ClassNotFound, Creating,
            DataLost, DeadlineExceeded, Deleting, Denied, DocumentsFailed, DocumentsRemain, DocumentsStuck,
            EndpointUnreachable, Failed, GracePeriod, Immutable, Invalid, KeyNotAllowed, LargeDeletion, Lent,
            LimitExceeded, ModelLegacy, ModelStays, NamespaceNotAllowed, NoDocuments, NotYet, ObjectsLocked,
            OverrideForbidden, OwnedByAnother, Paused, Progressing, Quota, QuotaReserved, ReadOnly, Ready,
            RecordsLost, Registered, RegistryConflict, RegistryNotFound, RetainedDiffers, RetainedTenants,
            ScheduleInvalid, SiloNotAllowed, SpecInvalid, StackHasNoPool, StackLeaving, StackNotFound,
            StackNotReady, SyncFailed, SyncRequested, Synced, TenantIdNotAllowed, TenantIdRetained,
            TenantIdTaken, Throttled, TooManyTenants, Transient, Updating, WaitingForBucket, WaitingForIndex,
            WaitingForKey, WaitingForKnowledgeBase, WaitingForRecords, WaitingForRole, WaitingForVectorStore,
        };
        match self {
            // They list Tenants, with their namespaces.
            Borrowed | RetainedTenants => true,
            // They quote keys of documents, or name those to whom the documents belong.
            LargeDeletion | SyncFailed => true,
            DocumentsRemain | DocumentsStuck | ObjectsLocked => true,
            // All is well, or the operator's own work goes on.
            Ready | Accepted | Lent | Registered | Synced | NoDocuments | ModelStays => false,
            Progressing | Creating | Updating | Deleting | GracePeriod | SyncRequested => false,
            WaitingForKey | WaitingForBucket | WaitingForVectorStore => false,
            WaitingForIndex | WaitingForRole | WaitingForKnowledgeBase | WaitingForRecords => false,
            // They speak of one Tenant, in its own namespace.
            TenantIdTaken | TenantIdRetained | TenantIdNotAllowed | TooManyTenants => false,
            NamespaceNotAllowed | SiloNotAllowed | StackHasNoPool => false,
            ClassNotFound | ClassNotAllowed | ClassConflict | OverrideForbidden => false,
            LimitExceeded | Immutable => false,
            StackNotFound | StackNotReady | StackLeaving | RegistryConflict => false,
            // They speak of the object's own spec and annotations.
            SpecInvalid | ScheduleInvalid | AnnotationInvalid | Paused | ReadOnly => false,
            // They speak of the account, or of what the SharedStack has in AWS.
            NotYet | Throttled | Transient | Denied | Quota | QuotaReserved | Invalid | Failed => false,
            EndpointUnreachable | DeadlineExceeded | KeyNotAllowed | OwnedByAnother => false,
            RegistryNotFound | ModelLegacy | DataLost | RecordsLost | RetainedDiffers => false,
            // In a pool each tenant is told of its own.
            DocumentsFailed => false,
        }
    }
}
