//! The table that gives each answer of AWS its class. Conditions and requeues look at the [`Class`] and at nothing else.

use super::fault::{
    CREDENTIALS, Class, ELSEWHERE, INDEX_API, MARKETPLACE, MAY_BE_MARKETPLACE, NO_INDEX_API, NOT_ENABLED,
    NOT_SIGNED_UP,
};

/// Which operations, error codes and messages a row is about. Nothing given is all; messages are compared in lower case.
/// A code may begin or end with `*`, which stands for anything.
pub struct Row {
    /// Which calls.
    pub operations: &'static [&'static str],
    /// Which codes.
    pub codes: &'static [&'static str],
    /// What of a message.
    pub words: &'static [&'static str],
    /// The class of such an answer.
    pub class: Class,
}

const fn row(codes: &'static [&'static str], class: Class) -> Row {
    Row { operations: &[], codes, words: &[], class }
}

impl Row {
    /// The same for these operations only.
    const fn of(self, operations: &'static [&'static str]) -> Self {
        Self { operations, ..self }
    }

    /// The same for messages that have one of these words only.
    const fn saying(self, words: &'static [&'static str]) -> Self {
        Self { words, ..self }
    }

    fn is_about(&self, operation: &str, code: &str, message: &str) -> bool {
        let is_of = |all: &[&str], matches: &dyn Fn(&str) -> bool| {
            all.is_empty() || all.iter().any(|one| matches(one))
        };
        is_of(self.operations, &|one| one == operation)
            && is_of(self.codes, &|one| match (one.strip_prefix('*'), one.strip_suffix('*')) {
                (Some(end), _) => code.ends_with(end),
                (_, Some(beginning)) => code.starts_with(beginning),
                (None, None) => one == code,
            })
            && is_of(self.words, &|one| message.contains(one))
    }
}

/// Calls in which Bedrock uses what has just been made elsewhere. It says ValidationException to races and to mistakes,
/// which only the message tells apart.
const OF_BEDROCK: &[&str] = &[
    "CreateKnowledgeBase",
    "UpdateKnowledgeBase",
    "CreateDataSource",
    "UpdateDataSource",
    "StartIngestionJob",
];

/// The first row that is about an answer decides. What each code means is in the pages of its service, and for all of
/// them in <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html> and
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html>.
pub const TABLE: &[Row] = &[
    // A knowledge base, or the account, has no free slot for another job.
    row(&["ConflictException", "ServiceQuotaExceededException", "ThrottlingException"], Class::NotYet)
        .of(&["StartIngestionJob"]),
    // A job still runs, or something below is still going away.
    row(&["ConflictException"], Class::NotYet).of(&[
        "DeleteDataSource",
        "DeleteKnowledgeBase",
        "DeleteCollection",
    ]),
    // Not a right is missing, but the API; otherwise the index is made under a data access policy that may not have
    // propagated.
    row(&["AccessDeniedException", "AuthorizationException"], Class::Unreachable)
        .of(INDEX_API)
        .saying(&[NO_INDEX_API]),
    row(&["AccessDeniedException", "AuthorizationException"], Class::NotYet).of(INDEX_API),
    row(&["ValidationException"], Class::Denied).of(OF_BEDROCK).saying(MARKETPLACE),
    row(&["ValidationException"], Class::NotYet).of(OF_BEDROCK).saying(MAY_BE_MARKETPLACE),
    // The engine can never become right by waiting.
    row(&["ValidationException"], Class::Invalid)
        .of(OF_BEDROCK)
        .saying(&["engine type", "invalid dimension"]),
    row(&["ValidationException"], Class::NotYet).of(OF_BEDROCK).saying(&[
        // IAM has not propagated the role or its trust.
        "cannot assume role",
        "unable to assume the given role",
        // IAM has propagated the role, but not its permissions.
        "not authorized to perform",
        // The data access policy, or aoss:APIAccessAll, has not propagated.
        "security_exception",
        "bad authorization",
        "403 forbidden",
        // The index is not visible yet.
        "no such index",
        "storage configuration provided is invalid",
    ]),
    // The same by the collection's endpoint, in OpenSearch's words.
    row(&["security_exception", "authorization_exception"], Class::NotYet),
    row(&["resource_already_exists_exception"], Class::Conflict),
    row(&["index_not_found_exception"], Class::NotFound),
    row(
        &[
            "mapper_parsing_exception",
            "illegal_argument_exception",
            "invalid_index_name_exception",
            "parse_exception",
        ],
        Class::Invalid,
    ),
    // A bucket of this name was deleted a moment ago, or a role is still being made.
    row(&["OperationAborted", "EntityTemporarilyUnmodifiable"], Class::NotYet),
    // A key that somebody has switched off: KMS says so itself, or S3 for it, in front of every write.
    row(
        &["KMSInvalidStateException", "DisabledException", "KeyUnavailableException", "KMS.*"],
        Class::NotYet,
    ),
    row(
        &[
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottled",
            "RequestThrottledException",
            "TooManyRequestsException",
            "SlowDown",
            "RequestLimitExceeded",
            "BandwidthLimitExceeded",
            "ProvisionedThroughputExceededException",
            "PriorRequestNotComplete",
            "429",
            "509",
        ],
        Class::Throttled,
    ),
    row(
        &[
            "ServiceQuotaExceededException",
            "OcuLimitExceededException",
            "LimitExceeded",
            "LimitExceededException",
            "TooManyBuckets",
        ],
        Class::Quota,
    ),
    row(
        &[
            "AccessDenied",
            "AccessDeniedException",
            "AuthorizationError",
            "Forbidden",
            "403",
            "UnauthorizedOperation",
            "NotAuthorized",
        ],
        Class::Denied,
    ),
    // Who calls, and where, is not as AWS wants it: a person's, whatever was asked for.
    row(CREDENTIALS, Class::Denied),
    row(NOT_ENABLED, Class::Denied),
    row(NOT_SIGNED_UP, Class::Denied),
    row(
        &[
            "ConflictException",
            "ConditionalCheckFailedException",
            "ConditionalRequestConflict",
            "PreconditionFailed",
            "412",
            "TransactionConflictException",
            "ReplicatedWriteConflictException",
            "BucketAlreadyExists",
            "BucketAlreadyOwnedByYou",
            "EntityAlreadyExists",
            "EntityAlreadyExistsException",
            "AlreadyExistsException",
            "ConcurrentModification",
            "ConcurrentModificationException",
            "DeleteConflict",
            "DeleteConflictException",
            "BucketNotEmpty",
            "409",
        ],
        Class::Conflict,
    ),
    row(
        &[
            "NoSuch*",
            "*NotFound",
            "*NotFoundException",
            "404",
            "NotFoundError",
            "ServerSideEncryptionConfigurationNotFoundError",
            "OwnershipControlsNotFoundError",
        ],
        Class::NotFound,
    ),
    row(ELSEWHERE, Class::Invalid),
    row(
        &[
            "ValidationException",
            "ValidationError",
            "MalformedPolicyDocument",
            "MalformedPolicyDocumentException",
            "MalformedPolicy",
            "MalformedXML",
            "MalformedQueryString",
            "InvalidInput",
            "InvalidRequest",
            "InvalidArgument",
            "InvalidTag",
            "TagException",
            "TagPolicyException",
            "TooManyTagsException",
            "PackedPolicyTooLarge",
            "InvalidArnException",
            "InvalidAliasNameException",
            "InvalidKeyUsageException",
            "InvalidMarkerException",
            "InvalidBucketName",
            "InvalidBucketState",
            "InvalidObjectState",
            "InvalidParameterValue",
            "InvalidParameterCombination",
            "MissingParameter",
            "ObjectNotInActiveTierError",
            "KeyTooLongError",
            "EntityTooLarge",
            "EncryptionTypeMismatch",
            "RequestEntityTooLarge",
            "RequestEntityTooLargeException",
            "ItemCollectionSizeLimitExceededException",
            "PolicyNotAttachable",
            "UnmodifiableEntity",
            "UnsupportedOperation",
            "UnsupportedOperationException",
            "UnknownOperationException",
            "SerializationException",
            "MethodNotAllowed",
            "NotImplemented",
            "405",
            "501",
        ],
        Class::Invalid,
    ),
    row(
        &[
            "Timeout",
            "Connection",
            "EmptyAnswer",
            "IDPCommunicationError",
            "RequestTimeout",
            "RequestTimeoutException",
            "RequestAbortedException",
            "TemporaryRedirect",
            "307",
            "BadDigest",
            "IncompleteBody",
            "InternalError",
            "InternalFailure",
            "InternalServerError",
            "InternalServerException",
            "ServiceFailure",
            "ServiceUnavailable",
            "ServiceUnavailableException",
            "ModelNotReadyException",
            "BadGatewayException",
            "DependencyFailedException",
            "DependencyTimeoutException",
            "KMSInternalException",
            "TransactionInProgressException",
            "Busy",
            "500",
            "502",
            "503",
            "504",
        ],
        Class::Transient,
    ),
];

/// The class of an answer. `code` is AWS's error code, or the HTTP status where it gives none; `message` its text.
pub fn classify(operation: &str, code: &str, message: &str) -> Class {
    let message = message.to_lowercase();
    let found = TABLE.iter().find(|row| row.is_about(operation, code, &message));
    found.map_or(Class::Unnamed, |row| row.class)
}

#[cfg(test)]
mod tests;
