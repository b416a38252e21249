//! What only a person may decide: it is refused with a code in the message, and goes on once an annotation has the code.
//!
//! The code is a fingerprint of the object, the reason and the facts. If the facts change it no longer opens, and one
//! that was left in Git is inert.

use super::hash::fingerprint;
use crate::api::{APPROVE, Reason};

/// How much of the fingerprint a person has to copy.
const LENGTH: usize = 6;

/// The value that the annotation must have, such as `DataLost-3f9a21`.
pub fn code(uid: &str, reason: Reason, facts: &[&str]) -> String {
    let whole = fingerprint(&format!("{uid}\n{reason}\n{}", facts.join("\n")));
    format!("{reason}-{}", &whole[..LENGTH])
}

/// How a message asks for approval. One that was `given` to the same question, and does not open any more or never did, is
/// named.
pub fn ask(code: &str, given: Option<&str>) -> String {
    let asked = format!("To go on all the same, set the annotation {APPROVE}={code}");
    let reason = |code: &str| code.trim().split('-').next().map(str::to_owned);
    match given.filter(|given| *given != code && reason(given) == reason(code)) {
        Some(given) => format!("The annotation has '{}', which does not open this. {asked}", given.trim()),
        None => asked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_good_for_one_object_one_reason_and_these_facts() {
        let one = code("u-1", Reason::DataLost, &["bucket b", "1970-01-01T00:00:01Z"]);
        assert!(one.starts_with("DataLost-") && one.len() == "DataLost-".len() + LENGTH, "{one}");
        for other in [
            code("u-2", Reason::DataLost, &["bucket b", "1970-01-01T00:00:01Z"]),
            code("u-1", Reason::RetainedTenants, &["bucket b", "1970-01-01T00:00:01Z"]),
            code("u-1", Reason::DataLost, &["bucket b", "1970-01-01T00:00:02Z"]),
        ] {
            assert_ne!(one, other);
        }
    }

    /// A misspelt or outdated code is not passed over in silence.
    #[test]
    fn a_code_that_does_not_open_is_named_beside_the_one_that_does() {
        let asked = ask("DataLost-178e51", None);
        for (given, is_named) in [
            (Some("DataLost-000000"), true),
            (Some("DataLost"), true),
            (Some(" DataLost-178e51\n"), true),
            (Some("DataLost-178e51"), false),
            (Some("LargeDeletion-178e51"), false),
            (None, false),
        ] {
            let told = ask("DataLost-178e51", given);
            assert!(told.ends_with(&asked) && (told != asked) == is_named, "{given:?}: {told}");
            assert!(!is_named || told.contains(given.unwrap().trim()), "{told}");
        }
    }

    /// People have copied codes into annotations: they must still open after an upgrade.
    #[test]
    fn a_code_stays_what_it_was() {
        let code = code("u-1", Reason::DataLost, &["bucket b", "1970-01-01T00:00:01Z"]);
        assert_eq!(code, "DataLost-178e51");
        let asked = "To go on all the same, set the annotation tenantry.dev/approve=DataLost-178e51";
        assert_eq!(ask(&code, None), asked);
    }
}
