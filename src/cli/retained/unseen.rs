//! What could not be looked at: told at once, and counted, because it may hide something that was left.

use std::fmt::Display;

use crate::cli::terminal;
use crate::stack::fault::{Class, Fault};

/// What could not be looked at so far.
#[derive(Debug, Default)]
pub(super) struct Unseen(usize);

impl Unseen {
    /// Nobody knows what is there.
    pub(super) fn note(&mut self, what: impl Display, why: &Fault) {
        terminal::note(&said(what, why));
        self.0 += 1;
    }

    /// What AWS answered, or nothing where it gave no answer. What is gone hides nothing.
    pub(super) fn or_note<T: Default>(&mut self, what: impl Display, answer: Result<T, Fault>) -> T {
        answer.unwrap_or_else(|fault| {
            match fault.class {
                Class::NotFound => terminal::note(&format!("{what} is gone")),
                _ => self.note(what, &fault),
            }
            T::default()
        })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0
    }
}

/// One that could not be looked at, and why.
pub(super) fn said(what: impl Display, why: &Fault) -> String {
    format!("{what} could not be looked at: {}", why.to_caller())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(class: Class) -> Fault {
        Fault {
            class,
            service: "s3",
            operation: "ListObjectsV2",
            resource: "b".into(),
            code: "C".into(),
            message: "m".into(),
            request_id: None,
        }
    }

    #[test]
    fn what_is_gone_hides_nothing_and_what_fails_may() {
        let mut unseen = Unseen::default();
        assert_eq!(unseen.or_note("it", Ok(7)), 7);
        assert_eq!(unseen.or_note::<i32>("it", Err(fault(Class::NotFound))), 0);
        assert_eq!(unseen.count(), 0);
        for class in [Class::Denied, Class::Throttled, Class::Transient, Class::Invalid] {
            assert_eq!(unseen.or_note::<i32>("it", Err(fault(class))), 0);
        }
        assert_eq!(unseen.count(), 4);
    }
}
