//! What is counted of the calls to AWS.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use crate::api::metric::{AWS_REQUESTS, AWS_SECONDS, Labels};
use crate::stack::iam::grant::Grant;
use crate::stack::iam::operation::Operation;

/// Upper bounds in seconds: most calls take some ten milliseconds, and none more than 30 s.
const BUCKETS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// All calls. Clones count together.
#[derive(Clone, Debug)]
pub struct Requests {
    /// By what AWS said.
    pub answered: Family<Labels<3>, Counter>,
    /// How long that took.
    pub seconds: Family<Labels<2>, Histogram>,
}

impl Default for Requests {
    fn default() -> Self {
        let seconds = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        Self { answered: Family::default(), seconds }
    }
}

/// The failures that alerts look for, in each service's own words: it refuses, asks for fewer calls, or fails.
const FAILURES: [(&str, [&str; 3]); 9] = [
    ("s3", ["AccessDenied", "SlowDown", "InternalError"]),
    ("kms", ["AccessDeniedException", "ThrottlingException", "KMSInternalException"]),
    ("iam", ["AccessDenied", "Throttling", "ServiceFailure"]),
    ("aoss", ["AccessDeniedException", "ThrottlingException", "InternalServerException"]),
    ("aoss_endpoint", ["403", "429", "503"]),
    ("s3vectors", ["AccessDeniedException", "TooManyRequestsException", "InternalServerException"]),
    ("bedrock", ["AccessDeniedException", "ThrottlingException", "InternalServerException"]),
    ("dynamodb", ["AccessDeniedException", "ThrottlingException", "InternalServerError"]),
    ("sts", ["AccessDenied", "Throttling", "InternalFailure"]),
];
/// What never became an answer, whatever the service.
const UNANSWERED: [&str; 2] = ["Timeout", "Connection"];

impl Requests {
    /// From now on the failures that alerts look for are counted, from 0: of a series that begins with a burst a rate does not
    /// see the burst. `has_registry` says whether DynamoDB is asked anything.
    pub fn begin(&self, has_registry: bool) {
        let asked = |operation: &&Operation| {
            let is_the_operators =
                !operation.needs().iter().any(|(_, grant)| *grant == Grant::NotTheOperators);
            is_the_operators && (has_registry || operation.service() != "dynamodb")
        };
        for operation in Operation::all().filter(asked) {
            let (service, name) = (operation.service(), operation.name());
            let codes = FAILURES.iter().find(|(it, _)| *it == service).map(|(_, codes)| codes);
            for code in codes.into_iter().flatten().chain(&UNANSWERED) {
                drop(self.answered.get_or_create(&AWS_REQUESTS.of([service, name, code])));
            }
        }
    }

    /// A call that has ended; `code` is AWS's error code.
    pub(super) fn ended(&self, operation: Operation, took: Duration, code: Option<&str>) {
        let (service, name) = (operation.service(), operation.name());
        self.answered.get_or_create(&AWS_REQUESTS.of([service, name, code.map_or("OK", label)])).inc();
        self.seconds.get_or_create(&AWS_SECONDS.of([service, name])).observe(took.as_secs_f64());
    }
}

/// A code as a label. AWS's are words and few; what answers at a collection's endpoint may send anything.
fn label(code: &str) -> &str {
    let is_word = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_word { code } else { "Other" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::classify::classify;
    use crate::stack::fault::Class;

    #[test]
    fn the_failures_that_alerts_look_for_are_counted_from_the_beginning() {
        let alerts = include_str!("../../charts/tenantry/files/alerts.yaml");
        let requests = Requests::default();
        requests.begin(true);
        for operation in Operation::all() {
            let (service, name) = (operation.service(), operation.name());
            let (_, codes) = FAILURES.iter().find(|(it, _)| *it == service).unwrap();
            let classes = [Class::Denied, Class::Throttled, Class::Transient];
            for (code, class) in
                codes.iter().chain(&UNANSWERED).zip(classes.iter().chain(&[Class::Transient; 2]))
            {
                // What an index refuses for now is refused in the same words.
                assert_eq!(classify("iam", "GetRole", code, ""), *class, "{code}");
                let is_number = code.starts_with('5') && alerts.contains("5..");
                assert!(
                    is_number
                        || alerts.contains(&format!("|{code}"))
                        || alerts.contains(&format!("\"{code}|")),
                    "{code}"
                );
                let series =
                    requests.answered.get(&AWS_REQUESTS.of([service, name, code])).map(|it| it.get());
                let is_the_operators =
                    !["ListBuckets", "ListCollections", "ListVectorBuckets", "Retrieve"].contains(&name);
                assert_eq!(series, is_the_operators.then_some(0), "{service}:{name} {code}");
            }
        }
        let without = Requests::default();
        without.begin(false);
        let item = ["dynamodb", "GetItem", "ThrottlingException"];
        assert!(without.answered.get(&AWS_REQUESTS.of(item)).is_none());
    }

    #[test]
    fn only_words_become_labels() {
        for code in ["ThrottlingException", "404", "resource_already_exists_exception"] {
            assert_eq!(label(code), code);
        }
        assert_eq!(label("<html>"), "Other");
        assert_eq!(label(&"x".repeat(65)), "Other");
    }
}
