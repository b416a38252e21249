//! What went wrong in an AWS call, and the class that decides what follows.
//!
//! The table below is the whole policy: conditions and requeues look at the [`Class`] and at nothing else.

use std::fmt;

use super::iam::grant::Grant;
use super::iam::operation::Operation;
use crate::api::Reason;

/// The class of a fault. What follows from each is in the crate's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// AWS asks for fewer calls: backoff.
    Throttled,
    /// A passing failure of AWS or of the way there: backoff.
    Transient,
    /// It will be accepted once something has propagated, or a name or slot is free: waiting.
    NotYet,
    /// It is not there.
    NotFound,
    /// Somebody, perhaps we, made it already: look again.
    Conflict,
    /// A right is missing: a person must allow it.
    Denied,
    /// A limit of the account is reached: a person must raise it or make room.
    Quota,
    /// There is no way to it from where we run: a person must open one.
    Unreachable,
    /// AWS will not take this as it is, ever: a person must change the spec.
    Invalid,
}

impl Class {
    /// What a condition gives as its reason, if nothing goes on without a person.
    pub const fn needs_person(self) -> Option<Reason> {
        match self {
            Class::Denied => Some(Reason::Denied),
            Class::Quota => Some(Reason::Quota),
            Class::Unreachable => Some(Reason::EndpointUnreachable),
            Class::Invalid => Some(Reason::Invalid),
            Class::Throttled | Class::Transient | Class::NotYet | Class::NotFound | Class::Conflict => None,
        }
    }
}

/// One failed AWS call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// What follows.
    pub class: Class,
    /// The IAM prefix of the service, such as `aoss`.
    pub service: &'static str,
    /// The operation, such as `CreateCollection`.
    pub operation: &'static str,
    /// What it was about, such as a bucket's name.
    pub resource: String,
    /// AWS's error code, or `Timeout`, `Connection`.
    pub code: String,
    /// AWS's message.
    pub message: String,
    /// AWS's request id, where there is one.
    pub request_id: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_for(f, self.caller())
    }
}

/// A fault, told to whoever made the call.
#[derive(Clone, Copy, Debug)]
pub struct ToCaller<'a>(&'a Fault);

impl fmt::Display for ToCaller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_for(f, YOU)
    }
}

/// Who made a call, to whoever made it.
const YOU: &str = "the identity that your credentials are of";

impl Fault {
    /// The fault, told to whoever made the call with their own credentials, and may neither change the operator's rights nor
    /// any spec.
    pub fn to_caller(&self) -> ToCaller<'_> {
        ToCaller(self)
    }

    /// `caller` is who made the call.
    fn fmt_for(&self, f: &mut fmt::Formatter<'_>, caller: &str) -> fmt::Result {
        let Self { service, operation, resource, code, message, .. } = self;
        write!(f, "{service}:{operation} on {resource}: {code}: {}", message.trim_end_matches('.'))?;
        if let Some(id) = &self.request_id {
            write!(f, " (request {id})")?;
        }
        match self.class {
            Class::Denied if CREDENTIALS.contains(&code.as_str()) => {
                write!(f, ". Renew the credentials, and check the clock of the machine")
            }
            Class::Denied => write!(f, ". Allow {} for {caller}", self.action()),
            // An index that the operator may not see looks the same as one whose policy has not propagated.
            Class::NotYet if code.starts_with("AccessDenied") => {
                write!(f, ". If it stays so, allow {} for {caller}", self.action())
            }
            Class::Quota => write!(f, ". Raise the quota or make room"),
            Class::Unreachable => write!(
                f,
                ". Give the collection a VPC endpoint (collection.network.vpcEndpointIds) and run the operator where \
                 it leads, or set collection.network.access to Public"
            ),
            Class::Invalid if *service == "dynamodb" => {
                write!(f, ". Give --registry a table whose only key is tenantId, a string")
            }
            Class::Invalid if caller == YOU => Ok(()),
            Class::Invalid => write!(f, ". Change the spec"),
            _ => Ok(()),
        }
    }
}

impl Fault {
    /// Who makes the call.
    fn caller(&self) -> &'static str {
        let needs =
            Operation::find(self.service, self.operation).map_or(&[][..], |operation| operation.needs());
        match needs.iter().any(|(_, grant)| *grant == Grant::NotTheOperators) {
            true => "whoever asks",
            false => "the operator's role",
        }
    }

    /// What IAM must allow for the call, such as `s3:ListBucket` for HeadBucket. Where AWS's message names one of
    /// several actions, it is that one.
    pub fn action(&self) -> String {
        let Some(operation) = Operation::find(self.service, self.operation) else {
            return format!("{}:{}", self.service, self.operation);
        };
        let mut actions: Vec<_> = operation.needs().iter().map(|(action, _)| *action).collect();
        actions.dedup();
        let words = || self.message.split(|c: char| !c.is_ascii_alphanumeric() && c != ':');
        match actions.iter().find(|action| words().any(|word| word == **action)) {
            Some(named) => (*named).into(),
            None => actions.join(" and "),
        }
    }
}

/// What AWS says of credentials that it does not take, whatever they may do.
const CREDENTIALS: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
];

/// Messages of CreateKnowledgeBase, UpdateKnowledgeBase and CreateDataSource that are all ValidationException and
/// tell races from mistakes; the first row that matches decides. Compared in lower case.
const BEDROCK_VALIDATION: &[(&str, Class)] = &[
    // The engine can never become right by waiting.
    ("engine type", Class::Invalid),
    ("invalid dimension", Class::Invalid),
    // IAM has not propagated the role or its trust.
    ("cannot assume role", Class::NotYet),
    ("unable to assume the given role", Class::NotYet),
    // IAM has propagated the role, but not its permissions.
    ("not authorized to perform", Class::NotYet),
    // The data access policy, or aoss:APIAccessAll, has not propagated.
    ("security_exception", Class::NotYet),
    ("bad authorization", Class::NotYet),
    ("403 forbidden", Class::NotYet),
    // The index is not visible yet.
    ("no such index", Class::NotYet),
    ("storage configuration provided is invalid", Class::NotYet),
];

/// The class of an answer. `code` is AWS's error code; `message` its text.
pub fn classify(operation: &str, code: &str, message: &str) -> Class {
    let text = message.to_lowercase();
    match (operation, code) {
        // A knowledge base, or the account, has no free slot for another job.
        (
            "StartIngestionJob",
            "ConflictException" | "ServiceQuotaExceededException" | "ThrottlingException",
        ) => Class::NotYet,
        // A job still runs, or something below is still going away.
        ("DeleteDataSource" | "DeleteKnowledgeBase" | "DeleteCollection", "ConflictException") => {
            Class::NotYet
        }
        // The index is made under a data access policy that may not have propagated.
        (
            "CreateIndex" | "GetIndex" | "UpdateIndex" | "DeleteIndex",
            "AccessDeniedException" | "AuthorizationException",
        ) => Class::NotYet,
        (
            "CreateKnowledgeBase"
            | "UpdateKnowledgeBase"
            | "CreateDataSource"
            | "UpdateDataSource"
            | "StartIngestionJob",
            "ValidationException",
        ) => BEDROCK_VALIDATION
            .iter()
            .find(|(fragment, _)| text.contains(fragment))
            .map_or(Class::Invalid, |(_, class)| *class),
        // The same by the collection's endpoint, in OpenSearch's words.
        (_, "security_exception" | "authorization_exception") => Class::NotYet,
        (_, "resource_already_exists_exception") => Class::Conflict,
        (_, "index_not_found_exception") => Class::NotFound,
        (
            _,
            "mapper_parsing_exception"
            | "illegal_argument_exception"
            | "invalid_index_name_exception"
            | "parse_exception",
        ) => Class::Invalid,
        // A bucket of this name was deleted a moment ago.
        (_, "OperationAborted") => Class::NotYet,
        // A key that somebody has switched off: KMS says so itself, or S3 for it, in front of every write.
        (_, "KMSInvalidStateException" | "DisabledException") => Class::NotYet,
        (_, code) if code.starts_with("KMS.") => Class::NotYet,
        (
            _,
            "ThrottlingException"
            | "Throttling"
            | "TooManyRequestsException"
            | "SlowDown"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "ProvisionedThroughputExceededException"
            | "429",
        ) => Class::Throttled,
        (
            _,
            "ServiceQuotaExceededException"
            | "OcuLimitExceededException"
            | "LimitExceeded"
            | "LimitExceededException"
            | "TooManyBuckets",
        ) => Class::Quota,
        (
            _,
            "AccessDenied"
            | "AccessDeniedException"
            | "Forbidden"
            | "403"
            | "UnauthorizedOperation"
            | "NotAuthorized",
        ) => Class::Denied,
        (_, code) if CREDENTIALS.contains(&code) => Class::Denied,
        (
            _,
            "ConflictException"
            | "ConditionalCheckFailedException"
            | "BucketAlreadyExists"
            | "BucketAlreadyOwnedByYou"
            | "EntityAlreadyExists"
            | "EntityAlreadyExistsException"
            | "AlreadyExistsException"
            | "ConcurrentModification"
            | "ConcurrentModificationException"
            | "DeleteConflict"
            | "DeleteConflictException"
            | "BucketNotEmpty",
        ) => Class::Conflict,
        (_, code)
            if code.starts_with("NoSuch")
                || code.ends_with("NotFound")
                || code.ends_with("NotFoundException") =>
        {
            Class::NotFound
        }
        (
            _,
            "ResourceNotFoundException"
            | "404"
            | "NotFoundError"
            | "ServerSideEncryptionConfigurationNotFoundError"
            | "OwnershipControlsNotFoundError",
        ) => Class::NotFound,
        (
            _,
            "ValidationException"
            | "MalformedPolicyDocument"
            | "MalformedPolicyDocumentException"
            | "InvalidInput"
            | "InvalidRequest"
            | "InvalidArgument"
            | "MalformedXML"
            | "MalformedPolicy"
            | "InvalidTag"
            | "TagException"
            | "InvalidArnException",
        ) => Class::Invalid,
        // What nobody has named yet passes by itself more often than not, and backoff is safe.
        _ => Class::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_s3_says_of_a_key_is_waited_for() {
        for code in ["KMS.DisabledException", "KMS.KMSInvalidStateException", "KMS.NotFoundException"] {
            assert_eq!(classify("PutObject", code, ""), Class::NotYet, "{code}");
        }
    }

    #[test]
    fn bedrock_races_are_told_from_mistakes_by_their_message() {
        let create = |message| classify("CreateKnowledgeBase", "ValidationException", message);
        for race in [
            "User: arn:aws:sts::1:assumed-role/x is not authorized to perform: bedrock:InvokeModel",
            "Bedrock cannot assume role arn:aws:iam::1:role/x",
            "The knowledge base storage configuration provided is invalid... Request failed: [security_exception] 403 Forbidden",
            "… Dependency error document status code: 404, error message: no such index [x]",
            "The knowledge base storage configuration provided is invalid... Bad Authorization",
        ] {
            assert_eq!(create(race), Class::NotYet, "{race}");
        }
        let engine = "The OpenSearch Serverless engine type associated with your vector index is invalid; use FAISS. \
                      The storage configuration provided is invalid";
        assert_eq!(create(engine), Class::Invalid);
        let dimension =
            "The storage configuration provided is invalid... Query vector has invalid dimension: 1024";
        assert_eq!(create(dimension), Class::Invalid);
        assert_eq!(create("name must match"), Class::Invalid);
    }

    #[test]
    fn codes_fall_into_their_classes() {
        for (operation, code, class) in [
            ("StartIngestionJob", "ServiceQuotaExceededException", Class::NotYet),
            ("CreateKnowledgeBase", "ServiceQuotaExceededException", Class::Quota),
            ("CreateCollection", "OcuLimitExceededException", Class::Quota),
            ("CreateIndex", "AccessDeniedException", Class::NotYet),
            ("CreateRole", "AccessDenied", Class::Denied),
            ("CreateBucket", "BucketAlreadyOwnedByYou", Class::Conflict),
            ("CreateBucket", "OperationAborted", Class::NotYet),
            ("GetRole", "NoSuchEntity", Class::NotFound),
            ("GetDataSource", "ResourceNotFoundException", Class::NotFound),
            ("GetBucketPolicy", "NoSuchBucketPolicy", Class::NotFound),
            ("HeadBucket", "NotFound", Class::NotFound),
            ("UpdateItem", "ConditionalCheckFailedException", Class::Conflict),
            ("UpdateItem", "ProvisionedThroughputExceededException", Class::Throttled),
            ("UpdateItem", "ResourceNotFoundException", Class::NotFound),
            ("ListAliases", "ThrottlingException", Class::Throttled),
            ("ListAliases", "InternalServerException", Class::Transient),
        ] {
            assert_eq!(classify(operation, code, ""), class, "{operation} {code}");
        }
    }

    #[test]
    fn whichever_action_is_missing_is_named() {
        for operation in Operation::all() {
            for (action, _) in operation.needs() {
                let message = format!("User: u is not authorized to perform: {action} on resource: r");
                let code = "AccessDeniedException";
                let fault = Fault {
                    class: classify(operation.name(), code, &message),
                    service: operation.service(),
                    operation: operation.name(),
                    resource: "x".into(),
                    code: code.into(),
                    message,
                    request_id: Some("R1".into()),
                };
                let said = fault.to_string().to_lowercase();
                let wanted = format!("allow {} for", action.to_lowercase());
                assert!(said.contains(&wanted), "{operation:?}: {fault}");
                assert!(matches!(fault.class, Class::Denied | Class::NotYet), "{operation:?}");
            }
        }
    }

    #[test]
    fn a_denied_call_names_the_action_to_allow() {
        let denied = |service, operation| Fault {
            class: Class::Denied,
            service,
            operation,
            resource: "x".into(),
            code: "AccessDenied".into(),
            message: "no.".into(),
            request_id: None,
        };
        assert_eq!(denied("s3", "HeadBucket").action(), "s3:ListBucket");
        let create = denied("iam", "CreateRole");
        let named =
            "User: arn:aws:sts::1:assumed-role/x/y is not authorized to perform: iam:TagRole on resource: r";
        assert_eq!(Fault { message: named.into(), ..create }.action(), "iam:TagRole");
        assert!(
            denied("iam", "CreateRole")
                .to_string()
                .ends_with("Allow iam:CreateRole and iam:TagRole for the operator's role")
        );
    }
}
