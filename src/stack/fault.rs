//! A failed AWS call: its class, which decides what follows, and what a person can do about it.

use std::fmt;

use super::iam::grant::Grant;
use super::iam::operation::Operation;
use crate::api::Reason;

/// The class of a fault. The crate's documentation has what follows from each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// AWS asks for fewer calls: backoff.
    Throttled,
    /// AWS, or the network, fails for a while: backoff.
    Transient,
    /// AWS will accept it once something has propagated, or a name or a slot is free: waiting.
    NotYet,
    /// The resource does not exist.
    NotFound,
    /// Somebody else, or an earlier call of ours, was faster: look again.
    Conflict,
    /// A right is missing: a person must allow it.
    Denied,
    /// A limit of the account is reached: a person must raise it or make room.
    Quota,
    /// It cannot be reached from where the operator runs: a person must open a way.
    Unreachable,
    /// AWS will never accept this: a person must change what is asked for.
    Invalid,
    /// No row of the table names it. Most such failures pass, so: backoff. A person must look if it lasts.
    Unnamed,
}

// A new class does not compile before it is decided here what follows from it.
#[deny(clippy::wildcard_enum_match_arm)]
impl Class {
    /// The reason of the condition, if a person must act.
    pub const fn needs_person(self) -> Option<Reason> {
        match self {
            Class::Denied => Some(Reason::Denied),
            Class::Quota => Some(Reason::Quota),
            Class::Unreachable => Some(Reason::EndpointUnreachable),
            Class::Invalid => Some(Reason::Invalid),
            Class::Throttled | Class::Transient | Class::NotYet | Class::NotFound | Class::Conflict => None,
            Class::Unnamed => None,
        }
    }

    /// The reason of the condition, if a failure that should pass by itself has lasted.
    pub const fn lasting(self) -> Reason {
        match self {
            Class::Throttled => Reason::Throttled,
            Class::Transient | Class::NotYet | Class::NotFound | Class::Conflict | Class::Unnamed => {
                Reason::Transient
            }
            Class::Denied | Class::Quota | Class::Unreachable | Class::Invalid => Reason::Transient,
        }
    }

    /// Whether the call may have taken effect all the same, because only its answer was lost.
    pub const fn may_have_happened(self) -> bool {
        match self {
            Class::Transient | Class::Throttled | Class::Unnamed => true,
            Class::NotYet | Class::NotFound | Class::Conflict => false,
            Class::Denied | Class::Quota | Class::Unreachable | Class::Invalid => false,
        }
    }
}

/// One failed AWS call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Fault {
    /// Its class.
    pub class: Class,
    /// The IAM prefix of the service, such as `aoss`.
    pub service: &'static str,
    /// The operation, such as `CreateCollection`.
    pub operation: &'static str,
    /// The resource, such as the name of a bucket or the key of an object.
    pub resource: String,
    /// AWS's error code; `Timeout` or `Connection` if there was no answer.
    pub code: String,
    /// AWS's message.
    pub message: String,
    /// AWS's request id, if there was an answer.
    pub request_id: Option<String>,
}

/// A fault as statuses and events tell it. The request id is left out: it is another at each try, and the rest says whether a
/// failure is a new one. The key of an object is left out: it may name a tenant and a document, and a SharedStack's readers
/// may know neither. The log has both.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, operation, resource, code, .. } = self;
        let resource = if self.is_about_object() { "an object" } else { resource };
        write!(f, "{service}:{operation} on {resource}: {code}")?;
        let words = self.message.trim_end_matches('.');
        if !self.quotes_key() {
            write!(f, ": {words}")?;
        }
        self.advice(self.caller()).map_or(Ok(()), |advice| write!(f, ". {advice}"))
    }
}

/// A fault with all that is known of it, told to whoever made the call.
#[derive(Clone, Copy, Debug)]
pub struct ToCaller<'a>(&'a Fault);

impl fmt::Display for ToCaller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { service, operation, resource, code, message, request_id, .. } = self.0;
        write!(f, "{service}:{operation} on {resource}: {code}: {}", message.trim_end_matches('.'))?;
        if let Some(id) = request_id {
            write!(f, " (request {id})")?;
        }
        self.0.advice(YOU).map_or(Ok(()), |advice| write!(f, ". {advice}"))
    }
}

/// How the caller is named to themselves.
const YOU: &str = "the identity that your credentials are of";

impl Fault {
    /// The fault, told to somebody who made the call with their own credentials. They may change neither the operator's rights
    /// nor a spec, and have no log with the request id.
    pub fn to_caller(&self) -> ToCaller<'_> {
        ToCaller(self)
    }

    /// Whether the call was about one object of a bucket, so that the resource is a key.
    fn is_about_object(&self) -> bool {
        let needs = Operation::find(self.service, self.operation).map_or(&[][..], Operation::needs);
        let inside = |grant: &Grant| matches!(grant, Grant::Objects | Grant::OwnObjects | Grant::Records);
        needs.iter().any(|(_, grant)| inside(grant))
    }

    /// Whether AWS's words may have the key in them. It may be written otherwise there, but not each part of it.
    fn quotes_key(&self) -> bool {
        let mut parts = self.resource.split('/').filter(|part| !part.is_empty());
        self.is_about_object() && parts.any(|part| self.message.contains(part))
    }
}

impl Fault {
    /// The fault, told to the author of the spec that led to the call.
    pub fn of_spec(&self) -> String {
        let changes = || Operation::find(self.service, self.operation).is_none_or(Operation::changes);
        match self.class {
            Class::Unreachable if self.lacks_index_api() => {
                format!("{self}. The control plane of this region has no API for indexes. {ENDPOINT}")
            }
            Class::Unreachable => format!("{self}. {ENDPOINT}"),
            Class::Invalid if self.advice(self.caller()).is_none() && changes() => {
                format!("{self}. Change the spec")
            }
            _ => self.to_string(),
        }
    }

    /// The fault, told of an object that is being deleted. To change its spec would not help any more.
    pub fn of_leaver(&self) -> String {
        let away = "set deletionPolicy to Retain, and it stays";
        match self.class {
            Class::Unreachable => {
                format!("{self}. Run the operator where a VPC endpoint of the collection leads; or {away}")
            }
            Class::Invalid if self.advice(self.caller()).is_none() => {
                format!("{self}. Put right in AWS what is in the way, or delete it there; or {away}")
            }
            _ => self.to_string(),
        }
    }

    /// Whether it passes by itself: AWS asks for fewer calls, or AWS or the network fails for a while.
    pub fn passes(&self) -> bool {
        matches!(self.class, Class::Throttled | Class::Transient)
    }

    /// Whether an object was written or deleted since we looked at it, so that the condition of our call did not hold.
    pub fn is_overtaken(&self) -> bool {
        ["PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"].contains(&self.code.as_str())
    }

    /// Whether the control plane of this region has no API for indexes. Only a collection's endpoint has one then.
    pub fn lacks_index_api(&self) -> bool {
        let is_asked = OPENSEARCH.contains(&self.service) && INDEX_API.contains(&self.operation);
        is_asked && self.message.to_lowercase().contains(NO_INDEX_API)
    }

    /// Whether AWS refuses without a reason: it names neither the caller nor a policy.
    pub fn is_mere_denial(&self) -> bool {
        let is_denial = matches!(self.code.as_str(), "AccessDenied" | "AccessDeniedException" | "403");
        is_denial && !self.message.contains("is not authorized to perform")
    }

    /// What a person can do, whoever reads it. `caller` is who made the call.
    fn advice(&self, caller: &str) -> Option<String> {
        let is_of = |of: &Option<&str>| of.is_none_or(|service| service == self.service);
        let by_code =
            BY_CODE.iter().find(|(service, codes, _)| is_of(service) && codes.contains(&self.code.as_str()));
        if let Some((.., advice)) = by_code.filter(|_| self.class != Class::Unreachable) {
            return Some((*advice).into());
        }
        let text = self.message.to_lowercase();
        if MARKETPLACE.iter().chain(MAY_BE_MARKETPLACE).any(|words| text.contains(words)) {
            return Some(
                "If the model is sold in the AWS Marketplace, somebody who may do aws-marketplace:Subscribe and \
                 aws-marketplace:ViewSubscriptions must invoke it once in this account"
                    .into(),
            );
        }
        let action = self.action();
        match self.class {
            Class::Denied if self.code == "403" => Some(format!(
                "AWS gives no reason. Allow {action} for {caller}; if that is allowed, look at the policies of the \
                 bucket, of a VPC endpoint and of the organization, and at the clock of the machine"
            )),
            Class::Denied => {
                let by = BY_POLICY.iter().find(|(words, _)| text.contains(words));
                let advice = by.map_or("Allow {action} for {caller}", |(_, advice)| *advice);
                Some(advice.replace("{action}", &action).replace("{caller}", caller))
            }
            // AWS answers the same while the data access policy propagates, and if the right is missing.
            Class::NotYet if self.code.starts_with("AccessDenied") => {
                Some(format!("If it stays so, allow {action} for {caller}"))
            }
            Class::Quota => Some("Raise the quota or make room".into()),
            Class::Invalid if self.service == "dynamodb" => {
                Some("Give --registry a table whose only key is tenantId, a string".into())
            }
            _ => None,
        }
    }

    /// Whose rights the call needs.
    fn caller(&self) -> &'static str {
        let needs =
            Operation::find(self.service, self.operation).map_or(&[][..], |operation| operation.needs());
        if needs.iter().any(|(_, grant)| *grant == Grant::NotTheOperators) {
            "whoever asks"
        } else {
            "the operator's role"
        }
    }

    /// What IAM must allow for the call, such as `s3:ListBucket` for HeadBucket. If AWS's message names one of several actions,
    /// it is that one.
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

/// What to do where the control plane has no API for indexes.
const ENDPOINT: &str = "Give the collection a VPC endpoint (collection.network.vpcEndpointIds) and run the operator where it \
                        leads, or set collection.network.access to Public";

/// OpenSearch Serverless, by its control plane and by the endpoints of collections.
pub const OPENSEARCH: &[&str] = &["aoss", "aoss_endpoint"];

/// The control plane's operations on indexes.
pub const INDEX_API: &[&str] = &["CreateIndex", "GetIndex", "UpdateIndex", "DeleteIndex"];

/// The message of their AccessDeniedException in regions that do not have them, in lower case.
/// <https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-semantic-enrichment.html>
pub const NO_INDEX_API: &str = "api is not supported";

/// Messages about a model to which the account has not subscribed, in lower case. Bedrock subscribes by itself when somebody
/// invokes the model who has the right to subscribe. A knowledge base's role has not.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/model-access.html>
pub const MARKETPLACE: &[&str] = &["aws-marketplace", "don't have access to the model"];
/// Messages with the same meaning, or that IAM has not propagated yet.
pub const MAY_BE_MARKETPLACE: &[&str] = &["is not able to call specified"];

/// AWS does not accept the credentials, or the time of the signature.
pub const CREDENTIALS: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidToken",
    "InvalidIdentityToken",
    "IDPRejectedClaim",
    "TokenRefreshRequired",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "AuthFailure",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
];

/// The account has not enabled the region, or the service in it.
pub const NOT_ENABLED: &[&str] = &["OptInRequired", "RegionDisabledException"];

/// The account may not use the service at all.
pub const NOT_SIGNED_UP: &[&str] = &[
    "SubscriptionRequiredException",
    "NotSignedUp",
    "NotSignedUpException",
    "AccountProblem",
    "AllAccessDisabled",
];

/// The bucket is in another region.
pub const ELSEWHERE: &[&str] =
    &["PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"];

/// What to do about a code, of one service or of whatever call. The first row that fits decides.
const BY_CODE: &[(Option<&str>, &[&str], &str)] = &[
    // Of a service that a region does not have, no name resolves there.
    (
        Some("s3vectors"),
        &["Connection"],
        "If it stays so, this region may not have S3 Vectors: choose another vectorStore; else check the way to AWS: names, proxy, \
         firewall, a VPC endpoint for the service",
    ),
    (
        None,
        CREDENTIALS,
        "Renew the credentials, and check the clock of the machine and whether the account has enabled the region",
    ),
    (None, NOT_ENABLED, "Enable the region for the account, and the service in it"),
    (
        None,
        NOT_SIGNED_UP,
        "Whoever owns the account must sign it up for the service, or ask AWS why it is suspended",
    ),
    (None, ELSEWHERE, "A bucket of this name is in another region: check which region this is"),
    (
        None,
        &["Connection", "Timeout"],
        "If it stays so, check the way to AWS: names, proxy, firewall, a VPC endpoint for the service",
    ),
];

/// What to do about a policy that AWS's message names. The first row that fits decides.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html>
const BY_POLICY: &[(&str, &str)] = &[
    (
        "service control policy",
        "No right of {caller} helps: the organization's service control policy must let {action} through",
    ),
    (
        "resource control policy",
        "No right of {caller} helps: the organization's resource control policy must let {action} through",
    ),
    ("permissions boundary", "Allow {action} in the permissions boundary of {caller} too"),
    ("session policy", "Allow {action} in the policy of the session of {caller} too"),
    ("vpc endpoint policy", "Allow {action} in the policy of the VPC endpoint"),
    ("explicit deny in an identity-based policy", "Take out what denies {action} to {caller}"),
    (
        "explicit deny in a resource-based policy",
        "Take what denies {action} out of the policy of the resource",
    ),
    ("asynchronous indexing", "Let indexing.s3vectors.amazonaws.com do kms:Decrypt in the policy of the key"),
    ("no resource-based policy allows", "Allow {action} for {caller} in the policy of the resource"),
];

#[cfg(test)]
mod tests {
    use super::*;

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
    fn said(class: Class, operation: (&'static str, &'static str), code: &str, message: &str) -> Fault {
        Fault {
            class,
            service: operation.0,
            operation: operation.1,
            resource: "x".into(),
            code: code.into(),
            message: message.into(),
            request_id: None,
        }
    }

    /// A retry of the same call is no news. Whoever made the call needs the id for AWS's support.
    #[test]
    fn a_request_id_is_told_to_the_caller_alone() {
        let denied = |id: &str| Fault {
            request_id: Some(id.into()),
            ..said(Class::Denied, ("s3", "CreateBucket"), "AccessDenied", "no")
        };
        let (one, other) = (denied("R1"), denied("R2"));
        assert_eq!(one.to_string(), other.to_string());
        assert_eq!((one.of_spec(), one.of_leaver()), (other.of_spec(), other.of_leaver()));
        assert!(one.to_caller().to_string().contains(": no (request R1). Allow"), "{}", one.to_caller());
    }

    #[test]
    fn no_key_of_an_object_is_told_but_to_the_caller() {
        let key = "pool/acme/salaries 2026.md";
        let policy = "with an explicit deny in a service control policy";
        let quotes = format!(
            "User: u is not authorized to perform: s3:GetObject on resource: \
             \"arn:aws:s3:::prod-sa-x/pool/acme/salaries%202026.md\" {policy}"
        );
        for operation in Operation::all().filter(|it| it.service() == "s3") {
            let name = operation.name();
            let denied = |message: &str| Fault {
                resource: key.into(),
                ..said(Class::Denied, ("s3", name), "AccessDenied", message)
            };
            let is_about_bucket = name.contains("Bucket")
                || name.starts_with("List")
                || ["PutPublicAccessBlock", "GetPublicAccessBlock"].contains(&name);
            let fault = denied(&quotes);
            for told in [fault.to_string(), fault.of_spec(), fault.of_leaver()] {
                assert_eq!(told.contains("acme") || told.contains("salaries"), is_about_bucket, "{told}");
                assert!(told.contains("service control policy must let s3:"), "{told}");
            }
            let to_caller = fault.to_caller().to_string();
            assert!(to_caller.contains(key) && to_caller.contains(&quotes), "{to_caller}");
            assert!(denied("the key is disabled").to_string().contains("the key is disabled"));
        }
    }

    /// As AWS says which policy refuses.
    #[test]
    fn nobody_is_told_to_allow_what_another_policy_refuses() {
        let create = ("s3", "CreateBucket");
        for (by, wanted, is_the_roles) in [
            ("with an explicit deny in a service control policy", "service control policy must let", false),
            ("because no service control policy allows the s3:CreateBucket action", "organization's", false),
            ("with an explicit deny in a resource control policy", "resource control policy must let", false),
            ("with an explicit deny in a permissions boundary", "in the permissions boundary of", true),
            ("because no permissions boundary allows the s3:CreateBucket action", "boundary", true),
            ("because no session policy allows the s3:CreateBucket action", "policy of the session", true),
            ("because no VPC endpoint policy allows the s3:CreateBucket action", "policy of the VPC", false),
            ("with an explicit deny in an identity-based policy", "Take out what denies", true),
            ("with an explicit deny in a resource-based policy", "out of the policy of the resource", false),
            (
                "because no resource-based policy allows the s3:CreateBucket action",
                "for the operator's",
                true,
            ),
            ("because no identity-based policy allows the s3:CreateBucket action", "Allow s3:", true),
        ] {
            let message =
                format!("User: u is not authorized to perform: s3:CreateBucket on resource: r {by}");
            let text = said(Class::Denied, create, "AccessDenied", &message).to_string();
            assert!(text.contains(wanted) && text.contains("s3:CreateBucket"), "{text}");
            let plain = "Allow s3:CreateBucket for the operator's role";
            let is_plain = text.ends_with(plain);
            assert_eq!(is_plain, by.contains("no identity-based policy"), "{text}");
            assert!(is_the_roles || !text.ends_with("for the operator's role"), "{text}");
        }
        let retrieve = said(Class::Denied, ("bedrock", "Retrieve"), "AccessDeniedException", "no");
        assert!(retrieve.to_string().contains("for whoever asks"), "a person's own right: {retrieve}");
    }

    #[test]
    fn a_code_that_says_who_calls_or_where_asks_for_no_action_to_be_allowed() {
        let codes = [CREDENTIALS, NOT_ENABLED, NOT_SIGNED_UP].concat();
        for code in codes {
            let text = said(Class::Denied, ("iam", "GetRole"), code, "no").to_string();
            assert!(!text.contains("llow iam:GetRole"), "{text}");
        }
        for code in ELSEWHERE {
            let text = said(Class::Invalid, ("s3", "CreateBucket"), code, "no").of_spec();
            assert!(text.contains("region") && !text.contains("spec"), "{text}");
        }
    }

    #[test]
    fn who_leaves_is_not_told_to_change_the_spec_and_who_is_built_is() {
        let all = [Class::Throttled, Class::Transient, Class::NotYet, Class::NotFound, Class::Conflict];
        let all =
            [&all[..], &[Class::Denied, Class::Quota, Class::Unreachable, Class::Invalid, Class::Unnamed]];
        for class in all.concat() {
            for operation in [("iam", "DeleteRole"), ("iam", "GetRole"), ("dynamodb", "UpdateItem")] {
                let text = said(class, operation, "Code", "no").of_leaver();
                assert!(!text.contains("Change the spec") && !text.contains("collection.network"), "{text}");
            }
        }
        let invalid = |operation| said(Class::Invalid, ("iam", operation), "ValidationError", "no");
        assert!(invalid("CreateRole").of_spec().ends_with("Change the spec"));
        assert_eq!(invalid("GetRole").of_spec(), invalid("GetRole").to_string(), "a look changes nothing");
        assert!(invalid("DeleteRole").of_leaver().contains("deletionPolicy to Retain"));
    }

    #[test]
    fn a_refusal_without_a_word_says_what_it_may_be() {
        let text =
            said(Class::Denied, ("s3", "HeadBucket"), "403", "AWS answers HTTP 403 and no more").to_string();
        for wanted in ["Allow s3:ListBucket", "VPC endpoint", "organization", "clock"] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
    }

    /// As AWS and those who met it have written them.
    #[test]
    fn what_bedrock_says_in_the_field_is_told_apart() {
        let forbidden = "The knowledge base storage configuration provided is invalid... Request failed: [security_exception] \
                         all shards failed";
        let engine = "The knowledge base storage configuration provided is invalid... The OpenSearch Serverless engine type \
                      associated with your vector index is invalid. Recreate your vector index with one of the following \
                      valid engine types: FAISS. Then retry your request.";
        let unsubscribed = "Model access is denied due to IAM user or service role is not authorized to perform the required \
                            AWS Marketplace actions (aws-marketplace:ViewSubscriptions, aws-marketplace:Subscribe) to enable \
                            access to this model.";
        let no_access = "Knowledge base role arn:aws:iam::1:role/x is not able to call specified embedding model m: You don't \
                         have access to the model with the specified model ID. (Service: BedrockRuntime, Status Code: 403)";
        let unable = "Knowledge base role arn:aws:iam::1:role/x is not able to call specified bedrock embedding model m";
        let marketplace = "aws-marketplace:Subscribe";
        for (code, message, class, advice) in [
            ("ValidationException", forbidden, Class::NotYet, ""),
            ("ValidationException", engine, Class::Invalid, "Change the spec"),
            ("ValidationException", unsubscribed, Class::Denied, marketplace),
            ("AccessDeniedException", unsubscribed, Class::Denied, marketplace),
            ("ValidationException", no_access, Class::Denied, marketplace),
            ("ValidationException", unable, Class::NotYet, marketplace),
        ] {
            for operation in ["CreateKnowledgeBase", "StartIngestionJob"] {
                let class_of = crate::stack::classify::classify("bedrock", operation, code, message);
                assert_eq!(class_of, class, "{operation}: {message}");
                let fault = Fault {
                    class,
                    service: "bedrock",
                    operation,
                    resource: "x".into(),
                    code: code.into(),
                    message: message.into(),
                    request_id: None,
                };
                assert!(fault.of_spec().contains(advice), "{fault}");
            }
        }
    }

    /// The operator may do all that it needs; the key's own policy lacks a statement.
    #[test]
    fn what_a_key_lacks_is_not_asked_of_the_operators_role() {
        let message = "Insufficient access to perform asynchronous indexing";
        let (service, operation, code) = ("s3vectors", "CreateIndex", "AccessDeniedException");
        let class = crate::stack::classify::classify(service, operation, code, message);
        let fault = said(class, (service, operation), code, message);
        assert_eq!(fault.class, Class::Denied);
        assert!(fault.to_string().ends_with("do kms:Decrypt in the policy of the key"), "{fault}");
        let nobody = said(Class::Transient, (service, operation), "Connection", "dns error");
        assert!(nobody.to_string().contains("this region may not have S3 Vectors"), "{nobody}");
    }

    /// It is no right that is missing, nor a policy that has not propagated.
    #[test]
    fn a_region_without_an_api_for_indexes_is_not_waited_for() {
        for operation in INDEX_API.iter().copied() {
            for (message, class) in [
                ("API is not supported", Class::Unreachable),
                ("The API is NOT supported in this region.", Class::Unreachable),
                ("User: u is not authorized to perform: aoss:CreateIndex", Class::NotYet),
            ] {
                let fault = Fault {
                    class: crate::stack::classify::classify(
                        "aoss",
                        operation,
                        "AccessDeniedException",
                        message,
                    ),
                    service: "aoss",
                    operation,
                    resource: "x".into(),
                    code: "AccessDeniedException".into(),
                    message: message.into(),
                    request_id: None,
                };
                assert_eq!(fault.class, class, "{operation}: {message}");
                let lacks = class == Class::Unreachable;
                assert_eq!(fault.lacks_index_api(), lacks);
                let said = fault.of_spec();
                assert_eq!(said.contains("vpcEndpointIds"), lacks, "{said}");
                assert_eq!(said.contains("allow aoss:"), !lacks, "{said}");
            }
        }
        assert_eq!(
            crate::stack::classify::classify(
                "aoss",
                "CreateCollection",
                "AccessDeniedException",
                "API is not supported"
            ),
            Class::Denied
        );
    }
}
