//! The class of every error code of the operator's calls: those in botocore's models, those of all AWS services, and those that
//! users of AWS have reported.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::api::{ConditionType, Layer, PerLayer, Reason, Severity, condition};
use crate::stack::fault::Fault;
use crate::stack::iam::operation::Operation;
use crate::stack::model::outcome::{LayerStatus, Outcome, Report};
use crate::stack::model::progress::{QUIET, deadline};

/// Codes as they come, by what is made of them whatever was asked for.
const CODES: &[(Class, &[&str])] = &[
    (
        Class::Throttled,
        &[
            "BandwidthLimitExceeded",
            "PriorRequestNotComplete",
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "SlowDown",
            "ThrottledException",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
            "429",
            "509",
        ],
    ),
    (
        Class::Transient,
        &[
            "BadDigest",
            "BadGatewayException",
            "Connection",
            "DependencyFailedException",
            "DependencyTimeoutException",
            "EmptyAnswer",
            "IDPCommunicationError",
            "IncompleteBody",
            "InternalError",
            "InternalFailure",
            "InternalServerError",
            "InternalServerException",
            "KMSInternalException",
            "RequestAbortedException",
            "RequestTimeout",
            "RequestTimeoutException",
            "ServiceFailure",
            "ServiceUnavailable",
            "ServiceUnavailableException",
            "TemporaryRedirect",
            "Timeout",
            "TransactionInProgressException",
            "500",
            "502",
            "503",
            "504",
        ],
    ),
    (
        Class::NotYet,
        &[
            "DisabledException",
            "EntityTemporarilyUnmodifiable",
            "KMS.DisabledException",
            "KMS.KMSInvalidStateException",
            "KMS.NotFoundException",
            "KMSInvalidStateException",
            "KeyUnavailableException",
            "OperationAborted",
            "authorization_exception",
            "security_exception",
        ],
    ),
    (
        Class::NotFound,
        &[
            "CustomKeyStoreNotFoundException",
            "NoSuchBucket",
            "NoSuchBucketPolicy",
            "NoSuchEntity",
            "NoSuchKey",
            "NoSuchLifecycleConfiguration",
            "NoSuchPublicAccessBlockConfiguration",
            "NoSuchTagSet",
            "NoSuchUpload",
            "NoSuchVersion",
            "NotFound",
            "NotFoundException",
            "OwnershipControlsNotFoundError",
            "ResourceNotFoundException",
            "ServerSideEncryptionConfigurationNotFoundError",
            "XksKeyNotFoundException",
            "index_not_found_exception",
            "404",
        ],
    ),
    (
        Class::Conflict,
        &[
            "AlreadyExistsException",
            "BucketAlreadyExists",
            "BucketAlreadyOwnedByYou",
            "BucketNotEmpty",
            "ConcurrentModification",
            "ConcurrentModificationException",
            "ConditionalCheckFailedException",
            "ConditionalRequestConflict",
            "ConflictException",
            "DeleteConflict",
            "DeleteConflictException",
            "EntityAlreadyExists",
            "EntityAlreadyExistsException",
            "PreconditionFailed",
            "ReplicatedWriteConflictException",
            "TransactionConflictException",
            "resource_already_exists_exception",
            "409",
            "412",
        ],
    ),
    (
        Class::Denied,
        &[
            "AccessDenied",
            "AccessDeniedException",
            "AccountProblem",
            "AllAccessDisabled",
            "AuthFailure",
            "AuthorizationError",
            "ExpiredToken",
            "ExpiredTokenException",
            "Forbidden",
            "IDPRejectedClaim",
            "IncompleteSignature",
            "IncompleteSignatureException",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidIdentityToken",
            "InvalidSignatureException",
            "InvalidToken",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "NotAuthorized",
            "NotSignedUp",
            "OptInRequired",
            "RegionDisabledException",
            "RequestExpired",
            "RequestInTheFuture",
            "RequestTimeTooSkewed",
            "SignatureDoesNotMatch",
            "SubscriptionRequiredException",
            "TokenRefreshRequired",
            "UnauthorizedOperation",
            "UnrecognizedClientException",
            "403",
        ],
    ),
    (
        Class::Quota,
        &[
            "LimitExceeded",
            "LimitExceededException",
            "OcuLimitExceededException",
            "ServiceQuotaExceededException",
            "TooManyBuckets",
        ],
    ),
    (
        Class::Invalid,
        &[
            "AuthorizationHeaderMalformed",
            "EncryptionTypeMismatch",
            "EntityTooLarge",
            "IllegalLocationConstraintException",
            "InvalidAliasNameException",
            "InvalidArgument",
            "InvalidArnException",
            "InvalidBucketName",
            "InvalidBucketState",
            "InvalidInput",
            "InvalidMarkerException",
            "InvalidObjectState",
            "InvalidParameterCombination",
            "InvalidParameterValue",
            "InvalidRequest",
            "InvalidTag",
            "ItemCollectionSizeLimitExceededException",
            "KeyTooLongError",
            "MalformedPolicy",
            "MalformedPolicyDocument",
            "MalformedPolicyDocumentException",
            "MalformedQueryString",
            "MalformedXML",
            "MethodNotAllowed",
            "MissingParameter",
            "NotImplemented",
            "ObjectNotInActiveTierError",
            "PackedPolicyTooLarge",
            "PermanentRedirect",
            "PolicyNotAttachable",
            "RequestEntityTooLarge",
            "RequestEntityTooLargeException",
            "SerializationException",
            "TagException",
            "TooManyTagsException",
            "UnknownOperationException",
            "UnmodifiableEntity",
            "UnsupportedOperation",
            "UnsupportedOperationException",
            "ValidationError",
            "ValidationException",
            "illegal_argument_exception",
            "mapper_parsing_exception",
            "301",
            "405",
            "501",
        ],
    ),
    // The models name these for what we never ask for in that way, and nobody knows any of the last.
    (
        Class::Unnamed,
        &[
            "CloudHsmClusterInvalidConfigurationException",
            "CustomKeyStoreInvalidStateException",
            "InvalidWriteOffset",
            "NobodyHasSeenThisBefore",
            "TooManyParts",
            "XksKeyAlreadyInUseException",
            "XksKeyInvalidConfigurationException",
            "",
            "400",
            "418",
        ],
    ),
];

fn fault(class: Class, code: &str) -> Fault {
    Fault {
        class,
        service: "iam",
        operation: "PutRolePolicy",
        resource: "a role".into(),
        code: code.into(),
        message: "AWS says so".into(),
        request_id: Some("R1".into()),
    }
}

/// What is told of an object of which one layer's calls are refused so, after a while. The layer was ready before, or never.
fn told(fault: &Fault, was_ready: bool, after: Duration) -> Vec<(&'static str, String, String)> {
    let at = |second| Time(jiff::Timestamp::from_second(second).unwrap());
    let report = |role, transient| Report {
        outcome: Outcome::of_layers(transient),
        layers: PerLayer { role: Some(role), ..PerLayer::default() },
        ..Report::default()
    };
    let mut before =
        if was_ready { report(LayerStatus::Ready, None).conditions(&[], 1, &at(0)) } else { vec![] };
    let lasts = (after > QUIET).then_some(after);
    let standing = LayerStatus::after_failure(fault, Layer::Role, lasts, was_ready);
    let since = (!was_ready || matches!(standing, LayerStatus::Serving(..))).then_some(after);
    let transient = lasts.filter(|_| fault.class.needs_person().is_none() && fault.class != Class::NotYet);
    let transient = transient.map(|_| (fault.class.lasting(), fault.to_string()));
    before = report(standing.by_deadline(Layer::Role, since), transient).conditions(&before, 1, &at(1));
    let summary = [ConditionType::Ready, ConditionType::Reconciling, ConditionType::Stalled];
    let said = |kind: &ConditionType| {
        let said = condition::find(&before, *kind).unwrap();
        assert!(
            !said.message.contains("Looking at what exists in AWS") || lasts.is_none(),
            "{fault}: {said:?}"
        );
        let says_why = said.message.contains("AWS says so") || lasts.is_none();
        assert!(says_why || said.status == "False" || *kind == ConditionType::Ready, "{fault}: {said:?}");
        (kind.as_str(), said.status.clone(), said.reason.clone())
    };
    summary.iter().map(said).collect()
}

/// `Ready`, `Reconciling` and `Stalled`, with one reason.
fn summary(
    ready: &str,
    reconciling: &str,
    stalled: &str,
    reason: Reason,
) -> Vec<(&'static str, String, String)> {
    [("Ready", ready), ("Reconciling", reconciling), ("Stalled", stalled)]
        .map(|(kind, status)| (kind, status.to_owned(), reason.to_string()))
        .into()
}

#[test]
fn no_code_that_aws_is_known_to_give_is_without_its_class_its_conditions_and_its_severity() {
    for (class, codes) in CODES {
        for code in *codes {
            assert_eq!(classify("iam", "PutRolePolicy", code, ""), *class, "{code}");
            assert_is_told(*class, code);
        }
    }
}

/// What an operation that we call is documented to answer has a row; all else is told in the end, whatever it means.
#[test]
fn no_code_that_botocore_names_for_what_we_call_is_unnamed_and_none_goes_untold() {
    let named = |code: &str| CODES.iter().find(|(_, codes)| codes.contains(&code)).map(|(class, _)| *class);
    let lines = include_str!("../../../tests/botocore.txt").lines().filter(|line| !line.starts_with('#'));
    let mut services = std::collections::BTreeSet::new();
    for line in lines {
        let mut words = line.split(' ');
        let (service, code) = (words.next().unwrap(), words.next().unwrap());
        services.insert(service);
        let class = classify("iam", "PutRolePolicy", code, "");
        if words.next() == Some("called") {
            assert_eq!(named(code), Some(class), "{line}");
        }
        assert_is_told(class, code);
    }
    let ours = Operation::all().map(Operation::service).filter(|service| !service.starts_with("aoss"));
    for service in ours.chain(["opensearchserverless", "bedrock-agent", "bedrock-agent-runtime"]) {
        assert!(services.contains(service), "{service} has no codes");
    }
}

/// Of what is being built and of what stands, at once, after a while and after its deadline.
fn assert_is_told(class: Class, code: &str) {
    let late = deadline(Layer::Role) + Duration::from_secs(1);
    let soon = QUIET + Duration::from_secs(1);
    let fault = fault(class, code);
    for was_ready in [false, true] {
        let at_once = told(&fault, was_ready, Duration::ZERO);
        let lasting = told(&fault, was_ready, soon);
        let too_long = told(&fault, was_ready, late);
        if let Some(reason) = class.needs_person() {
            assert_eq!(reason.severity(), Severity::Stalled, "{code}");
            let stalled = summary("False", "False", "True", reason);
            assert_eq!((at_once, lasting, too_long), (stalled.clone(), stalled.clone(), stalled), "{code}");
            continue;
        }
        let reason = if class == Class::NotYet { Reason::NotYet } else { class.lasting() };
        assert_eq!(reason.severity(), Severity::Blocked, "{code}");
        let stalls = summary("False", "False", "True", Reason::DeadlineExceeded);
        match (class, was_ready) {
            (Class::NotYet, false) => {
                assert_eq!(lasting, summary("False", "True", "False", reason), "{code}");
                assert_eq!(too_long, stalls, "{code}");
            }
            (Class::NotYet, true) => {
                let mut waits = summary("True", "True", "False", Reason::Ready);
                waits[1].2 = reason.to_string();
                assert_eq!((at_once, lasting), (waits.clone(), waits), "{code}");
                assert_eq!(too_long, stalls, "{code}");
            }
            (_, false) => {
                assert_eq!(at_once[0].2, "Progressing", "nobody's news yet: {code}");
                assert_eq!(lasting, summary("False", "True", "False", reason), "{code}");
                assert_eq!(too_long, stalls, "{code}");
            }
            (_, true) => {
                let all_is_well = |it: &[(&str, String, String)]| it[0].1 == "True" && it[2].1 == "False";
                assert!(all_is_well(&at_once) && at_once[1].1 == "False", "{code}: {at_once:?}");
                assert!(all_is_well(&lasting), "{code}: {lasting:?}");
                assert_eq!(lasting[1], ("Reconciling", "True".into(), reason.to_string()), "{code}");
                if class == Class::Unnamed {
                    assert_eq!(too_long, stalls, "{code}");
                } else {
                    assert_eq!(too_long, lasting, "{code}");
                }
            }
        }
    }
}

/// What a row names is in the table above, and so is told from what nobody names.
#[test]
fn every_row_has_its_codes_among_those_that_are_known() {
    let known: Vec<_> = CODES.iter().flat_map(|(_, codes)| *codes).collect();
    let rare = ["Busy", "ModelNotReadyException", "TagPolicyException", "InvalidKeyUsageException"];
    let rare =
        [&rare[..], &["AuthorizationException", "NotFoundError", "NotSignedUpException", "307"]].concat();
    let rare = [&rare[..], &["invalid_index_name_exception", "parse_exception"]].concat();
    for code in TABLE.iter().flat_map(|row| row.codes) {
        let is_known = |known: &&str| match code.trim_matches('*') {
            part if part.len() < code.len() => known.contains(part),
            whole => **known == *whole,
        };
        assert!(known.iter().any(|it| is_known(it)) || rare.contains(code), "{code}");
    }
}

#[test]
fn what_s3_says_of_a_key_is_waited_for() {
    for code in ["KMS.DisabledException", "KMS.KMSInvalidStateException", "KMS.NotFoundException"] {
        assert_eq!(classify("s3", "PutObject", code, ""), Class::NotYet, "{code}");
    }
}

#[test]
fn bedrock_races_are_told_from_mistakes_by_their_message() {
    let create = |message| classify("bedrock", "CreateKnowledgeBase", "ValidationException", message);
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
    for (service, operation, code, class) in [
        ("bedrock", "StartIngestionJob", "ServiceQuotaExceededException", Class::NotYet),
        ("bedrock", "CreateKnowledgeBase", "ServiceQuotaExceededException", Class::Quota),
        ("aoss", "CreateCollection", "OcuLimitExceededException", Class::Quota),
        ("aoss", "CreateIndex", "AccessDeniedException", Class::NotYet),
        ("iam", "CreateRole", "AccessDenied", Class::Denied),
        ("s3", "CreateBucket", "BucketAlreadyOwnedByYou", Class::Conflict),
        ("s3", "CreateBucket", "OperationAborted", Class::NotYet),
        ("iam", "GetRole", "NoSuchEntity", Class::NotFound),
        ("bedrock", "GetDataSource", "ResourceNotFoundException", Class::NotFound),
        ("s3", "GetBucketPolicy", "NoSuchBucketPolicy", Class::NotFound),
        ("s3", "HeadBucket", "NotFound", Class::NotFound),
        ("dynamodb", "UpdateItem", "ConditionalCheckFailedException", Class::Conflict),
        ("dynamodb", "UpdateItem", "ProvisionedThroughputExceededException", Class::Throttled),
        ("dynamodb", "UpdateItem", "ResourceNotFoundException", Class::NotFound),
        ("kms", "ListAliases", "ThrottlingException", Class::Throttled),
        ("kms", "ListAliases", "InternalServerException", Class::Transient),
        // Two services have an operation of this name.
        ("s3vectors", "CreateIndex", "AccessDeniedException", Class::Denied),
        ("s3vectors", "GetIndex", "AccessDeniedException", Class::Denied),
        ("s3vectors", "GetIndex", "NotFoundException", Class::NotFound),
        ("s3vectors", "CreateIndex", "ConflictException", Class::Conflict),
        ("s3vectors", "DeleteVectorBucket", "ConflictException", Class::NotYet),
        ("s3vectors", "CreateVectorBucket", "TooManyRequestsException", Class::Throttled),
        ("s3vectors", "CreateIndex", "ServiceQuotaExceededException", Class::Quota),
    ] {
        assert_eq!(classify(service, operation, code, ""), class, "{service} {operation} {code}");
    }
}

#[test]
fn whichever_action_is_missing_is_named() {
    for operation in Operation::all() {
        for (action, _) in operation.needs() {
            let message = format!("User: u is not authorized to perform: {action} on resource: r");
            let code = "AccessDeniedException";
            let fault = Fault {
                class: classify(operation.service(), operation.name(), code, &message),
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
