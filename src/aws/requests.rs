//! What is counted of the calls to AWS.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use crate::api::metric::{AWS_REQUESTS, AWS_SECONDS, Labels};
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

impl Requests {
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

    #[test]
    fn only_words_become_labels() {
        for code in ["ThrottlingException", "404", "resource_already_exists_exception"] {
            assert_eq!(label(code), code);
        }
        assert_eq!(label("<html>"), "Other");
        assert_eq!(label(&"x".repeat(65)), "Other");
    }
}
