//! The words of the status: types of conditions and their reasons. Both are part of the API.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::Layer;

/// Declares an enum of PascalCase words, each with the line that documents it.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])+ $word:ident,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum $name { $($(#[doc = $doc])+ $word,)+ }

        impl $name {
            /// All of them, in the order of the documentation.
            pub const ALL: &[$name] = &[$($name::$word,)+];

            /// The word as it stands in a status.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$word => stringify!($word),)+ }
            }

            /// What it means, for the documentation.
            pub const fn meaning(self) -> &'static str {
                match self { $($name::$word => concat!($($doc),+),)+ }
            }

            /// The word that stands in a status, if it is one of ours.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What a condition speaks of, in the order in which conditions are listed.
    ConditionType {
        /// The stack is ready to query. Never True while the object is being deleted.
        Ready,
        /// True while the operator works on it and no person is needed.
        Reconciling,
        /// True while nothing goes on without a person; its reason says why.
        Stalled,
        /// The object may be acted upon.
        Accepted,
        /// The created key is there. On objects that own one.
        KeyReady,
        /// The bucket is there and as wanted. On objects that own one.
        BucketReady,
        /// The vector store is active and its policies are as wanted. On objects that own one.
        VectorStoreReady,
        /// The vector index is there. On objects that own one.
        IndexReady,
        /// The role and its permissions are as wanted. On objects that own one.
        RoleReady,
        /// The knowledge base and its data source are there. On objects that own one.
        KnowledgeBaseReady,
        /// The SharedStack provides all shared layers. On tenants that borrow.
        StackReady,
        /// The last documents are indexed.
        DocumentsCurrent,
        /// The embedding model stays on offer for as long as AWS has said. On objects that own a knowledge base.
        ModelCurrent,
        /// The registry's item is as wanted. On tenants, while the operator runs with --registry.
        Registered,
        /// Deletion waits for something; there only while it is True.
        DeletionBlocked,
        /// The annotation tenantry.dev/paused stops all work; there only while it is True.
        Paused,
    }
}

words! {
    /// Why a condition is as it is.
    Reason {
        /// All is well.
        Ready,
        /// The operator is at work.
        Progressing,
        /// It is being built.
        Creating,
        /// It is being changed to what the spec says.
        Updating,
        /// It is being deleted.
        Deleting,
        /// It waits for its key.
        WaitingForKey,
        /// It waits for its bucket.
        WaitingForBucket,
        /// It waits for its vector store.
        WaitingForVectorStore,
        /// It waits for its index.
        WaitingForIndex,
        /// It waits for its role.
        WaitingForRole,
        /// It waits for its knowledge base.
        WaitingForKnowledgeBase,

        /// The object may be acted upon.
        Accepted,
        /// The tenantId belongs to another Tenant, or did so once.
        TenantIdTaken,
        /// Something of an earlier tenant of this id was retained, and it is not this Tenant's to take over.
        TenantIdRetained,
        /// The namespace may not have this tenantId: its annotation tenantry.dev/tenant-ids does not name it.
        TenantIdNotAllowed,
        /// The SharedStack does not admit tenants of this namespace.
        NamespaceNotAllowed,
        /// Tenants of this namespace may not be Silos.
        SiloNotAllowed,
        /// The SharedStack has no pool, and so serves no Pool tenants.
        StackHasNoPool,
        /// There is no room for one more knowledge base: the operator's limit is reached, or the namespace's.
        QuotaReserved,
        /// The namespace has as many Tenants as the operator lets it have.
        TooManyTenants,
        /// The KMS key may not be used: it is not tagged for it, not of the right kind, switched off, or its policy lacks a statement.
        KeyNotAllowed,
        /// The schedule or its time zone cannot be read.
        ScheduleInvalid,
        /// The spec breaks a rule that is newer than the object, or this release cannot read it.
        SpecInvalid,
        /// There is no TenantClass of that name.
        ClassNotFound,
        /// The TenantClass does not admit Tenants of this namespace, or the operator requires a class and the Tenant is of none.
        ClassNotAllowed,
        /// The Tenant and its class both say where it is, or neither does.
        ClassConflict,
        /// The Tenant sets what its class does not let it set.
        OverrideForbidden,
        /// The class does not allow as much: a model, or so many documents; what is beyond is held back.
        LimitExceeded,
        /// The Tenant would have to move; it stays where it is.
        Immutable,
        /// The records of tenantIds cannot be read or written at the moment.
        WaitingForRecords,
        /// The bucket with the records of tenantIds, or one of them, is gone: nobody new gets an id.
        RecordsLost,

        /// The SharedStack provides all shared layers.
        Lent,
        /// There is no SharedStack of that name.
        StackNotFound,
        /// The SharedStack is not ready to lend.
        StackNotReady,
        /// The SharedStack is being deleted and lends to nobody new.
        StackLeaving,

        /// AWS asks to go slower.
        Throttled,
        /// AWS, or Kubernetes, failed in a way that mostly passes; the message has the cause.
        Transient,
        /// Something is not visible or not free yet in AWS.
        NotYet,
        /// AWS did not allow a call; the message names the action to allow.
        Denied,
        /// A quota of the AWS account is used up.
        Quota,
        /// AWS refuses what was asked for, or the vector store of the SharedStack does not have it.
        Invalid,
        /// It was not ready, or not gone, in time; the message has what AWS said last.
        DeadlineExceeded,
        /// AWS says that building it failed.
        Failed,
        /// Something in AWS has our name but is not provably ours; it is left alone.
        OwnedByAnother,
        /// What was retained has other immutable settings than the spec.
        RetainedDiffers,
        /// A bucket or vector store is gone, and data with it; rebuilding waits for approval.
        DataLost,
        /// The collection's endpoint cannot be reached from the operator.
        EndpointUnreachable,

        /// There is no document yet.
        NoDocuments,
        /// The last job indexed every document it found; in a pool, but for those of which their tenants are told.
        Synced,
        /// A job was asked for and has not ended yet, or not all documents had been looked at before the last one.
        SyncRequested,
        /// The last job failed.
        SyncFailed,
        /// The last job ended, but some documents could not be indexed.
        DocumentsFailed,
        /// A job would forget an unusually large part of the documents; it waits for approval.
        LargeDeletion,

        /// The embedding model is on offer, and its end is not near.
        ModelStays,
        /// The embedding model is on its way out, or gone; the message has the date of its end.
        ModelLegacy,

        /// The registry item is up to date.
        Registered,
        /// The table that should be the registry is not there.
        RegistryNotFound,
        /// Somebody else wrote the registry's item of this tenantId; it is left alone.
        RegistryConflict,

        /// Deletion begins when its grace is over, of which the operator has told when it began.
        GracePeriod,
        /// Tenants still borrow from the SharedStack.
        Borrowed,
        /// What tenants have retained would go too, a Bridge tenant's knowledge base included; it waits for approval.
        RetainedTenants,
        /// A pool forgets a tenant's documents, and somebody goes on writing more.
        DocumentsRemain,
        /// Versions of documents are locked and cannot be deleted yet.
        ObjectsLocked,
        /// S3 does not let documents be moved to what is retained; they stay, and are found by nobody.
        DocumentsStuck,

        /// The annotation tenantry.dev/paused is set.
        Paused,
        /// The annotation tenantry.dev/paused says neither yes nor no; until it does, all work stops.
        AnnotationInvalid,
        /// The operator runs with --read-only and changes nothing.
        ReadOnly,
    }
}

impl ConditionType {
    /// The condition of a layer that the object owns.
    pub const fn of(layer: Layer) -> Self {
        match layer {
            Layer::Key => ConditionType::KeyReady,
            Layer::Bucket => ConditionType::BucketReady,
            Layer::VectorStore => ConditionType::VectorStoreReady,
            Layer::Index => ConditionType::IndexReady,
            Layer::Role => ConditionType::RoleReady,
            Layer::KnowledgeBase => ConditionType::KnowledgeBaseReady,
        }
    }

    /// Whether something is amiss while the condition stands so: of most it is that they are not True.
    pub fn is_trouble(self, status: &str) -> bool {
        let abnormal = matches!(
            self,
            ConditionType::Reconciling
                | ConditionType::Stalled
                | ConditionType::DeletionBlocked
                | ConditionType::Paused
        );
        abnormal == (status == "True")
    }
}

/// A condition by its type.
pub fn find(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == kind.as_str())
}

/// Whether a condition is True.
pub fn is_true(conditions: &[Condition], kind: ConditionType) -> bool {
    find(conditions, kind).is_some_and(|condition| condition.status == "True")
}

/// Puts conditions into the order of the documentation.
pub fn sort(conditions: &mut [Condition]) {
    let rank = |it: &Condition| ConditionType::ALL.iter().position(|kind| kind.as_str() == it.type_);
    conditions.sort_by_key(rank);
}

impl Reason {
    /// Whether it refuses a Tenant because of its class, or of a move. Who was accepted before goes on as it was.
    pub const fn is_of_a_class(self) -> bool {
        use Reason::{
            ClassConflict, ClassNotAllowed, ClassNotFound, Immutable, LimitExceeded, OverrideForbidden,
        };
        matches!(
            self,
            ClassNotFound | ClassNotAllowed | ClassConflict | OverrideForbidden | LimitExceeded | Immutable
        )
    }

    /// Whether it refuses a change, and who was accepted before goes on as it was: because of a class or of a move, or because
    /// the vector store of its SharedStack lacks what a Bridge tenant asks for.
    pub const fn refuses_a_change(self) -> bool {
        self.is_of_a_class() || matches!(self, Reason::Invalid)
    }

    /// The reason of what cannot begin before `layer` is done.
    pub const fn waiting_for(layer: Layer) -> Self {
        match layer {
            Layer::Key => Reason::WaitingForKey,
            Layer::Bucket => Reason::WaitingForBucket,
            Layer::VectorStore => Reason::WaitingForVectorStore,
            Layer::Index => Reason::WaitingForIndex,
            Layer::Role => Reason::WaitingForRole,
            Layer::KnowledgeBase => Reason::WaitingForKnowledgeBase,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
            assert!(reason.meaning().ends_with('.') && !reason.meaning().contains('\n'), "{reason}");
        }
        assert_eq!(Reason::parse("SomebodyElses"), None);
    }

    #[test]
    fn each_layer_has_a_condition_and_a_reason_of_its_own() {
        for layer in Layer::ALL {
            assert_eq!(ConditionType::of(layer).as_str(), format!("{layer:?}Ready"));
            assert_eq!(Reason::waiting_for(layer).as_str(), format!("WaitingFor{layer:?}"));
        }
    }
}
