//! How a command says what went wrong: in one sentence, and each cause once.

use anyhow::Error;

use crate::stack::fault::Fault;

/// Who reads of a failed AWS call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// Whoever looks after the operator, whose role made the call.
    Operators,
    /// Whoever made it, with their own credentials.
    Caller,
}

/// An error and its causes. Many repeat those below them; what was said is not said again.
pub(super) fn of(error: &Error, reader: Reader) -> String {
    let mut sentence = String::new();
    for cause in error.chain() {
        let mut said = cause.to_string();
        if let Some(fault) = cause.downcast_ref::<Fault>().filter(|_| reader == Reader::Caller) {
            let to_caller = fault.to_caller().to_string();
            sentence = sentence.replace(&said, &to_caller);
            said = to_caller;
        }
        let said = said.trim().trim_end_matches([':', '.']);
        if said.is_empty() || sentence.contains(said) {
            continue;
        }
        if !sentence.is_empty() {
            sentence += ": ";
        }
        sentence += said;
    }
    sentence
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::io;

    use anyhow::Context;

    use super::*;
    use crate::stack::fault::Class;

    fn denied() -> Fault {
        Fault {
            class: Class::Denied,
            service: "s3",
            operation: "GetObject",
            resource: "tenantry/ledger/x".into(),
            code: "AccessDenied".into(),
            message: "no".into(),
            request_id: None,
        }
    }

    /// As kube and others do: it prints its cause, and names it too.
    #[derive(Debug)]
    struct Wraps(io::Error);

    impl fmt::Display for Wraps {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "ServiceError: {}", self.0)
        }
    }

    impl std::error::Error for Wraps {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn no_cause_is_said_twice() {
        let refused = || io::Error::other("Connection refused (os error 111)");
        let plain = Err::<(), _>(refused()).context("the cluster does not answer").unwrap_err();
        let whole = "the cluster does not answer: Connection refused (os error 111)";
        assert_eq!(of(&plain, Reader::Caller), whole);
        let wrapped = Err::<(), _>(Wraps(refused())).context("the cluster does not answer").unwrap_err();
        let whole = "the cluster does not answer: ServiceError: Connection refused (os error 111)";
        assert_eq!(of(&wrapped, Reader::Caller), whole);
        assert_eq!(of(&Error::msg("it is so."), Reader::Caller), "it is so");
    }

    #[test]
    fn whoever_lacks_a_right_is_not_told_to_change_the_operators() {
        let bare = of(&denied().into(), Reader::Caller);
        let wrapped = Error::msg(format!("the records: {}", denied()));
        let wrapped = of(&Error::from(denied()).context(wrapped.to_string()), Reader::Caller);
        for said in [&bare, &wrapped] {
            assert!(said.contains("s3:GetObject") && !said.contains("the operator's role"), "{said}");
            assert_eq!(said.matches("AccessDenied").count(), 1, "{said}");
        }
        assert!(of(&denied().into(), Reader::Operators).contains("the operator's role"));
    }
}
