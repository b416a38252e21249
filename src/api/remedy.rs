//! What a person does about a reason: one table, which docs/status.md prints.

use super::Reason;

impl Reason {
    /// What to do when a condition has this reason. "Nothing" and "Wait" are for those that end by themselves.
    pub const fn remedy(self) -> &'static str {
        use Reason::*;
        match self {
            Ready | Accepted | Lent | Synced | ModelStays | Registered => "Nothing.",
            Progressing | Creating | Updating | Deleting => "Wait. The message says what is under way.",
            WaitingForKey
            | WaitingForBucket
            | WaitingForVectorStore
            | WaitingForIndex
            | WaitingForRole
            | WaitingForKnowledgeBase => "Wait. The condition of that layer says how far it is.",

            TenantIdTaken => {
                "Choose another tenantId in a new Tenant. If the id should be this Tenant's, an administrator gives it with \
                 `tenantry release`."
            }
            TenantIdRetained => {
                "Apply the manifest of the earlier Tenant again, or set the annotation that the message gives to take over \
                 what it left, or choose another tenantId."
            }
            TenantIdNotAllowed => {
                "Ask an administrator to add the id to the annotation `tenantry.dev/tenant-ids` of the Namespace, or choose \
                 an id that it names."
            }
            NamespaceNotAllowed => {
                "Ask an administrator to let the namespace in: by its labels, or by `allowedNamespaces` of the SharedStack."
            }
            SiloNotAllowed => {
                "Choose Bridge or Pool in a new Tenant, or ask an administrator to let the namespace have Silos \
                 (`--silo-namespaces`)."
            }
            StackHasNoPool => {
                "Add `pool` to the SharedStack, or name a SharedStack that has one in a new Tenant."
            }
            QuotaReserved => {
                "Delete a knowledge base, or raise the limit that the message names: the namespace's annotation, or \
                 `--max-knowledge-bases` and AWS's quota. It continues by itself."
            }
            TooManyTenants => {
                "Delete a Tenant of the namespace, or raise `--max-tenants-per-namespace`. The oldest that waits goes on \
                 by itself."
            }
            KeyNotAllowed => {
                "Do with the key what the message says: tag it, enable it, cancel its deletion, or add to its policy. It continues by itself."
            }
            ScheduleInvalid => "Correct `schedule` or `timeZone` as the message says.",
            SpecInvalid => "Correct the field that the message names, or run the release that knows it.",
            ClassNotFound => {
                "Wait until an administrator creates the TenantClass, or correct `classRef`: `kubectl get tenantclasses` lists those that \
                 there are."
            }
            ClassNotAllowed => {
                "Name a class that admits the namespace, or ask an administrator to let the namespace in: by its labels, or by \
                 `allowedNamespaces` of the TenantClass."
            }
            ClassConflict => {
                "Remove the fields that the message names, or name another class; if nobody places the Tenant, set `pattern`."
            }
            OverrideForbidden => {
                "Remove the fields that the message names, or ask an administrator to add them to `mayOverride` of the class."
            }
            LimitExceeded => {
                "Do with less than the limit that the message names, or name another class, or ask an administrator to raise the limit."
            }
            Immutable => {
                "Set `classRef`, or `pattern` and the rest, back to what `status.placement` says; to move, do as the message says."
            }
            WaitingForRecords => {
                "Wait. If it lasts, see to it that the operator reaches the bucket of the records, and may read and write it."
            }
            RecordsLost => "Restore the records as docs/disaster-recovery.md says.",

            StackNotFound => {
                "Create the SharedStack. If its name is misspelt here, delete this Tenant and apply it again with the right \
                 name: nothing was built."
            }
            StackNotReady => "Look at the conditions of the SharedStack. The Tenant continues by itself.",
            StackLeaving => {
                "Name another SharedStack in a new Tenant. docs/troubleshooting.md says how to take back the deletion of a \
                 SharedStack."
            }

            Throttled => "Wait. If it lasts, lower `--pace`, or find out who else uses the account's limits.",
            Transient => "Wait. If it lasts, mend the cause that the message names.",
            NotYet => "Wait.",
            Denied => {
                "Allow the action that the message names, or change the policy that it names. Set \
                 `tenantry.dev/retry-requested-at` to go on at once."
            }
            Quota => "Raise the quota that the message names in Service Quotas, or free some of it.",
            Invalid => {
                "Change what the message says that AWS refuses, or take out what the SharedStack's vector store does not have."
            }
            DeadlineExceeded => {
                "Mend what the message has of AWS. Then set `tenantry.dev/retry-requested-at`. It continues by itself once AWS answers."
            }
            Failed => {
                "Read what AWS says in the message, and mend that. Then set `tenantry.dev/retry-requested-at`."
            }
            OwnedByAnother => {
                "Remove or rename the thing that the message names, if it is yours to remove; or choose another tenantId or \
                 name."
            }
            RetainedDiffers => {
                "Apply the settings that the message names in a new object, or approve with its code if it gives one, or \
                 remove what was left."
            }
            DataLost => {
                "Restore the bucket or vector store if you can. Otherwise approve with the code of the message: what was in it \
                 is given up."
            }
            EndpointUnreachable => {
                "Give the collection a VPC endpoint that the operator reaches, in `collection.network.vpcEndpointIds`, or \
                 make it Public."
            }

            NoDocuments => "Nothing. Upload documents under `status.bucket` and `status.prefix`.",
            SyncRequested => "Wait.",
            SyncFailed => {
                "Wait: the job is tried again after ten minutes. If it fails again, mend the cause that the message names."
            }
            DocumentsFailed => {
                "Run `tenantry documents` for the list with reasons. Correct those documents and upload them again."
            }
            LargeDeletion => {
                "If the documents should be gone, approve with the code of the message. If not, put them back and ask for a \
                 job."
            }

            ModelLegacy => {
                "Move to another model before the date of the message: a new Tenant, or a new SharedStack, with a copy of \
                 the documents."
            }

            RegistryNotFound => {
                "Make the table, with the string `tenantId` as its only key, or correct `--registry`."
            }
            RegistryConflict => {
                "Find out who wrote the item that the message names. Delete the item if nobody needs it: the operator writes it again."
            }

            GracePeriod => {
                "Wait, or keep the stack: set `deletionPolicy: Retain` before the time in the message."
            }
            Borrowed => {
                "Delete the Tenants that the message names; first look at their `deletionPolicy`. docs/troubleshooting.md says \
                 how to take the deletion back."
            }
            RetainedTenants => {
                "If what the message lists may go, approve with its code. If not, set `deletionPolicy: Retain` on the \
                 SharedStack."
            }
            DocumentsRemain => "Stop the uploads under the prefix that the message names.",
            ObjectsLocked => {
                "Wait until the locks run out, or lift them. Or set `deletionPolicy: Retain`: then all that is left stays."
            }
            DocumentsStuck => {
                "Make the documents that the message names readable: restore what is archived, or give back the key. It continues by itself."
            }

            Paused => "Remove the annotation `tenantry.dev/paused` to go on.",
            AnnotationInvalid => "Write `true` or `false`, or remove the annotation.",
            ReadOnly => "Run the operator without `--read-only` to go on.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Severity;

    /// Who is told to wait for what needs a person waits for ever.
    #[test]
    fn nobody_is_told_to_wait_for_what_needs_a_person() {
        for reason in Reason::ALL {
            let remedy = reason.remedy();
            let (waits, sits) = (remedy.starts_with("Wait"), remedy.starts_with("Nothing"));
            match reason.severity() {
                Severity::UnderWay => assert!(waits || sits, "{reason}: {remedy}"),
                Severity::Blocked => assert!(!sits, "{reason}: {remedy}"),
                Severity::Stalled => assert!(!waits && !sits, "{reason}: {remedy}"),
            }
        }
    }

    /// They are cells of a table.
    #[test]
    fn a_remedy_is_whole_sentences_on_one_line() {
        for reason in Reason::ALL {
            let remedy = reason.remedy();
            assert!(remedy.ends_with('.') && !remedy.contains(['\n', '|']), "{reason}: {remedy}");
            assert!(!remedy.contains("  "), "{reason}: {remedy}");
        }
    }
}
