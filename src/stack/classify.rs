//! The table that gives each failure of AWS its class. Conditions and retries depend on the [`Class`] alone.

use super::fault::{
    CREDENTIALS, Class, ELSEWHERE, INDEX_API, MARKETPLACE, MAY_BE_MARKETPLACE, NO_INDEX_API, NOT_ENABLED,
    NOT_SIGNED_UP, OPENSEARCH,
};

/// The failures of one class. An empty list fits every failure.
pub struct Row {
    /// The services. Some operations of two services have one name.
    pub services: &'static [&'static str],
    /// The calls.
    pub operations: &'static [&'static str],
    /// AWS's codes. A `*` at the beginning or the end stands for anything.
    pub codes: &'static [&'static str],
    /// What AWS's message contains, in lower case.
    pub words: &'static [&'static str],
    /// The class.
    pub class: Class,
}

const fn row(codes: &'static [&'static str], class: Class) -> Row {
    Row { services: &[], operations: &[], codes, words: &[], class }
}

impl Row {
    /// Only for these operations.
    const fn of(self, operations: &'static [&'static str]) -> Self {
        Self { operations, ..self }
    }

    /// Only of these services.
    const fn by(self, services: &'static [&'static str]) -> Self {
        Self { services, ..self }
    }

    /// Only if the message contains one of these.
    const fn saying(self, words: &'static [&'static str]) -> Self {
        Self { words, ..self }
    }

    fn is_about(&self, service: &str, operation: &str, code: &str, message: &str) -> bool {
        let is_of = |all: &[&str], matches: &dyn Fn(&str) -> bool| {
            all.is_empty() || all.iter().any(|one| matches(one))
        };
        is_of(self.services, &|one| one == service)
            && is_of(self.operations, &|one| one == operation)
            && is_of(self.codes, &|one| match (one.strip_prefix('*'), one.strip_suffix('*')) {
                (Some(end), _) => code.ends_with(end),
                (_, Some(beginning)) => code.starts_with(beginning),
                (None, None) => one == code,
            })
            && is_of(self.words, &|one| message.contains(one))
    }
}

/// Calls in which Bedrock uses what another service has just made. A resource that has not propagated is a ValidationException,
/// and so is a mistake. Only the message tells them apart.
const OF_BEDROCK: &[&str] = &[
    "CreateKnowledgeBase",
    "UpdateKnowledgeBase",
    "CreateDataSource",
    "UpdateDataSource",
    "StartIngestionJob",
];

/// The first row that fits decides. Each service documents its codes; those of all services are in
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html> and
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html>.
pub const TABLE: &[Row] = &[
    // The knowledge base, or the account, runs as many jobs as it may.
    row(&["ConflictException", "ServiceQuotaExceededException", "ThrottlingException"], Class::NotYet)
        .of(&["StartIngestionJob"]),
    // A job still runs, or something that depends on it is still being deleted.
    row(&["ConflictException"], Class::NotYet).of(&[
        "DeleteDataSource",
        "DeleteKnowledgeBase",
        "DeleteCollection",
        "DeleteVectorBucket",
    ]),
    // With these words the API is missing. Otherwise the data access policy may not have propagated.
    row(&["AccessDeniedException", "AuthorizationException"], Class::Unreachable)
        .by(OPENSEARCH)
        .of(INDEX_API)
        .saying(&[NO_INDEX_API]),
    row(&["AccessDeniedException", "AuthorizationException"], Class::NotYet).by(OPENSEARCH).of(INDEX_API),
    row(&["ValidationException"], Class::Denied).of(OF_BEDROCK).saying(MARKETPLACE),
    row(&["ValidationException"], Class::NotYet).of(OF_BEDROCK).saying(MAY_BE_MARKETPLACE),
    // An index of another engine never becomes right by itself.
    row(&["ValidationException"], Class::Invalid).of(OF_BEDROCK).saying(&[
        "engine type",
        "invalid dimension",
        "must have length",
    ]),
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
    // A collection's endpoint answers with OpenSearch's codes.
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
    // A bucket of this name was just deleted, or the role is still being made.
    row(&["OperationAborted", "EntityTemporarilyUnmodifiable"], Class::NotYet),
    // Somebody has disabled the key. KMS says so, or S3 when it reads or writes an object.
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
    // The credentials, the region or the account are not accepted, whatever the call.
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

/// The class of a failure. `code` is AWS's error code, or the HTTP status if there is none.
pub fn classify(service: &str, operation: &str, code: &str, message: &str) -> Class {
    let message = message.to_lowercase();
    let found = TABLE.iter().find(|row| row.is_about(service, operation, code, &message));
    found.map_or(Class::Unnamed, |row| row.class)
}

#[cfg(test)]
mod tests;
