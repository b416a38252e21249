//! Every refusal of the gateway, as data: its status, its code in each of the two protocols that it speaks, its words, and
//! the label by which it is counted. Codes are AWS's, so that an SDK does with ours what it does with AWS's.

use std::time::Duration;

use serde_json::json;

use super::limits::Beyond;

/// What the name of a field may have at most in a message: it is the client's own.
const NAME: usize = 120;

/// Why a caller gets no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no token.
    NoToken,
    /// The token is none that anybody here has issued, or whoever should know it does not.
    TokenInvalid,
    /// The token was good once.
    TokenExpired,
    /// Whoever must say whether a token is good does not answer, and nobody remembers.
    IssuerAway,
    /// There is no such tenant, or the caller may not ask it: the words are the same.
    NotAllowed,
    /// A knowledge base that is not the tenant's.
    KnowledgeBase,
    /// The tenant is being deleted. Said to whoever may ask it alone.
    Leaving,
    /// The tenant cannot be asked yet, and why. Said to whoever may ask it alone.
    NotReady(String),
    /// Something in the request is not as it must be.
    Invalid {
        /// Where, such as `retrievalConfiguration.vectorSearchConfiguration.filter`. Empty: the whole.
        field: String,
        /// What must be so instead.
        why: String,
    },
    /// The request has more bytes than one may have.
    TooLarge {
        /// How many it may have.
        limit: usize,
    },
    /// What the gateway does not do.
    UnknownOperation,
    /// The tenant has more questions waiting than it may, or one of them has waited for too long.
    Throttled {
        /// What the gateway may ask of AWS, each second, for all tenants.
        per_second: String,
        /// How long to wait at least before the next try.
        wait: Duration,
    },
    /// It is beyond a limit of its tenant's class.
    Limit(Beyond),
    /// The tenant has as many requests under way in this process as one may.
    InFlight {
        /// How many.
        allowed: usize,
    },
    /// AWS asked to go slower, and did so again until the question had no time left.
    AwsThrottled {
        /// In AWS's words.
        message: String,
        /// How long to wait at least before the next try.
        wait: Duration,
    },
    /// The process has all that it can carry, or is about to end.
    Overloaded,
    /// It is still finding out about as many callers as it may, from everywhere or from this one's address.
    Strangers,
    /// No session for the tenant can be had from AWS.
    NoSession,
    /// AWS does not let the tenant's session ask: what the administrator has to mend, and not the caller.
    AwsDenied,
    /// AWS did not answer, or not in time.
    AwsAway,
    /// AWS's answer is not one.
    AwsUnreadable,
    /// AWS refuses the question itself, in its own words.
    Aws {
        /// The status of its answer.
        status: u16,
        /// The name of its exception.
        code: String,
        /// What it says.
        message: String,
    },
}

/// What stays the same of one kind of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The status of Bedrock's answer.
    pub status: u16,
    /// The name of Bedrock's exception.
    pub code: &'static str,
    /// The status of the answer of STS,
    pub sts_status: u16,
    /// and its code.
    pub sts_code: &'static str,
    /// How it is counted.
    pub reason: &'static str,
}

const fn row(
    status: u16,
    code: &'static str,
    sts_status: u16,
    sts_code: &'static str,
    reason: &'static str,
) -> Row {
    Row { status, code, sts_status, sts_code, reason }
}

/// What every kind of refusal is counted as: a metric has a series of each from the start.
pub const REASONS: [&str; 23] = [
    "no_token",
    "token_invalid",
    "token_expired",
    "issuer_away",
    "not_allowed",
    "knowledge_base",
    "leaving",
    "not_ready",
    "invalid",
    "too_large",
    "unknown_operation",
    "throttled",
    "requests_per_minute",
    "concurrent",
    "in_flight",
    "aws_throttled",
    "overloaded",
    "strangers",
    "no_session",
    "aws_denied",
    "aws_away",
    "aws_unreadable",
    "aws",
];

impl Refusal {
    /// What must be so of a field.
    pub fn invalid(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), why: why.into() }
    }

    /// What AWS's refusal of a question becomes: what is the caller's business in AWS's own words, and what is the
    /// administrator's in ours, which name no role and no account.
    pub fn of_aws(status: u16, code: &str, message: &str) -> Self {
        const DENIED: [&str; 6] = [
            "AccessDeniedException",
            "UnrecognizedClientException",
            "ExpiredTokenException",
            "InvalidSignatureException",
            "IncompleteSignatureException",
            "MissingAuthenticationTokenException",
        ];
        match code {
            code if DENIED.contains(&code) || matches!(status, 401 | 403) => Self::AwsDenied,
            "ThrottlingException" => {
                Self::AwsThrottled { message: message.into(), wait: Duration::from_secs(1) }
            }
            _ if !(400..600).contains(&status) => Self::AwsUnreadable,
            _ => Self::Aws { status, code: code.into(), message: message.into() },
        }
    }

    /// What stays the same of its kind. AWS's own refusals have the status and the code that AWS gave them, in place of these.
    pub const fn row(&self) -> Row {
        const AWAY: &str = "ServiceUnavailableException";
        match self {
            Self::NoToken => {
                row(403, "MissingAuthenticationTokenException", 400, "ValidationError", "no_token")
            }
            Self::TokenInvalid => {
                row(403, "UnrecognizedClientException", 400, "InvalidIdentityToken", "token_invalid")
            }
            Self::TokenExpired => {
                row(403, "ExpiredTokenException", 400, "ExpiredTokenException", "token_expired")
            }
            Self::IssuerAway => row(503, AWAY, 400, "IDPCommunicationError", "issuer_away"),
            Self::NotAllowed => row(403, "AccessDeniedException", 403, "AccessDenied", "not_allowed"),
            Self::KnowledgeBase => row(403, "AccessDeniedException", 403, "AccessDenied", "knowledge_base"),
            Self::Leaving => row(404, "ResourceNotFoundException", 403, "AccessDenied", "leaving"),
            Self::NotReady(_) => row(409, "ConflictException", 403, "AccessDenied", "not_ready"),
            Self::Invalid { .. } => row(400, "ValidationException", 400, "ValidationError", "invalid"),
            Self::TooLarge { .. } => row(413, "ValidationException", 413, "ValidationError", "too_large"),
            Self::UnknownOperation => {
                row(404, "UnknownOperationException", 400, "InvalidAction", "unknown_operation")
            }
            Self::Throttled { .. } => row(429, "ThrottlingException", 429, "Throttling", "throttled"),
            Self::Limit(Beyond { limit, .. }) => {
                row(429, "ThrottlingException", 429, "Throttling", limit.reason())
            }
            Self::InFlight { .. } => row(429, "ThrottlingException", 429, "Throttling", "in_flight"),
            Self::AwsThrottled { .. } => row(429, "ThrottlingException", 429, "Throttling", "aws_throttled"),
            Self::Overloaded => row(503, AWAY, 503, "ServiceUnavailable", "overloaded"),
            Self::Strangers => row(503, AWAY, 503, "ServiceUnavailable", "strangers"),
            Self::NoSession => row(503, AWAY, 503, "ServiceUnavailable", "no_session"),
            Self::AwsDenied => row(403, "AccessDeniedException", 403, "AccessDenied", "aws_denied"),
            Self::AwsAway => row(503, AWAY, 503, "ServiceUnavailable", "aws_away"),
            Self::AwsUnreadable => {
                row(502, "BadGatewayException", 502, "ServiceUnavailable", "aws_unreadable")
            }
            Self::Aws { .. } => row(502, "BadGatewayException", 502, "ServiceUnavailable", "aws"),
        }
    }

    /// The status of Bedrock's answer.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Aws { status, .. } => *status,
            _ => self.row().status,
        }
    }

    /// The name of Bedrock's exception.
    pub fn code(&self) -> &str {
        match self {
            Self::Aws { code, .. } => code,
            _ => self.row().code,
        }
    }

    /// In words. None names another tenant, and none repeats a question or a token.
    pub fn message(&self) -> String {
        match self {
            Self::NoToken => {
                "The request has no token: it belongs in X-Amz-Security-Token or WebIdentityToken".into()
            }
            Self::TokenInvalid => "The security token included in the request is invalid".into(),
            Self::TokenExpired => "The security token included in the request is expired".into(),
            Self::IssuerAway => "Whether the token is good cannot be found out now; try again".into(),
            Self::NotAllowed => "There is no such tenant, or you may not ask it".into(),
            Self::KnowledgeBase => {
                "You may not ask this knowledge base; TENANTRYKB is always your own".into()
            }
            Self::Leaving => "This tenant is being deleted and is not asked any more".into(),
            Self::NotReady(why) => format!("This tenant cannot be asked yet: {why}"),
            Self::Invalid { field, why } => match visible(field) {
                field if field.is_empty() => why.clone(),
                field => format!("{field}: {why}"),
            },
            Self::TooLarge { limit } => format!("The request has more than {limit} bytes"),
            Self::UnknownOperation => "This gateway has no such operation".into(),
            Self::Throttled { per_second, wait } => format!(
                "This tenant's share of {per_second} questions a second is used up; try again in {:.1} s",
                wait.as_secs_f64()
            ),
            Self::Limit(beyond) => beyond.message(),
            Self::InFlight { allowed } => format!(
                "This tenant has {allowed} requests under way at this replica, and may have no more; wait for one of the answers"
            ),
            Self::AwsThrottled { message, .. } | Self::Aws { message, .. } => message.clone(),
            Self::Overloaded => "The gateway has no room for this request; try again".into(),
            Self::Strangers => {
                "The gateway is still finding out about too many callers that it does not know; try again"
                    .into()
            }
            Self::NoSession => "The gateway gets no session from AWS for this tenant now; try again".into(),
            Self::AwsDenied => {
                "AWS does not let the gateway ask this knowledge base; an administrator must look at its role"
                    .into()
            }
            Self::AwsAway => "AWS does not answer; try again".into(),
            Self::AwsUnreadable => "What AWS answered cannot be read, and is not passed on".into(),
        }
    }

    /// The seconds of the header `Retry-After`.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Throttled { wait, .. }
            | Self::AwsThrottled { wait, .. }
            | Self::Limit(Beyond { wait, .. }) => Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
            Self::InFlight { .. }
            | Self::Overloaded
            | Self::Strangers
            | Self::NoSession
            | Self::IssuerAway => Some(1),
            _ => None,
        }
    }

    /// The body of Bedrock's answer. The code stands in the header `x-amzn-errortype`.
    pub fn json(&self) -> Vec<u8> {
        json!({"message": self.message()}).to_string().into_bytes()
    }

    /// The body of the answer of STS.
    pub fn xml(&self, request_id: &str) -> Vec<u8> {
        let Row { sts_status, sts_code, .. } = self.row();
        let whose = if sts_status < 500 { "Sender" } else { "Receiver" };
        format!(
            "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{whose}</Type><Code>{sts_code}</Code><Message>{}</Message>\
             </Error><RequestId>{}</RequestId></ErrorResponse>",
            escaped(&self.message()),
            escaped(request_id)
        )
        .into_bytes()
    }
}

/// The namespace of all answers of STS.
pub(super) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// A name of the client's, fit for a message.
fn visible(name: &str) -> String {
    name.chars().filter(|it| !it.is_control()).take(NAME).collect()
}

/// A text as it may stand in XML, without the characters that XML has no way to write.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' => out.push(' '),
            control if control.is_control() || matches!(control, '\u{fffe}' | '\u{ffff}') => {}
            plain => out.push(plain),
        }
    }
    out
}

#[cfg(test)]
mod tests;
