//! The annotations of a Tenant or SharedStack, read as people write them: one reader for whoever asks.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{APPROVE, PAUSED};

/// How much of a value that is not understood is repeated.
const REPEATED: usize = 40;

/// Whether a text says yes or no: what Go's `ParseBool` takes, and yes, no, on and off; in any case, and with blanks around it.
pub fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "y" | "yes" | "on" => Ok(true),
        "0" | "f" | "false" | "n" | "no" | "off" => Ok(false),
        _ => {
            let cut: String = text.chars().take(REPEATED).collect();
            Err(format!("'{}' says neither yes nor no: write 'true' or 'false'", cut.escape_debug()))
        }
    }
}

/// Why all work on an object rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Somebody wants it so.
    Asked,
    /// Nobody can tell what is wanted, and why not. Work that might destroy something does not go on upon a guess.
    Unclear(String),
}

/// Whether, and why, all work on this object rests.
pub fn pause(meta: &ObjectMeta) -> Option<Pause> {
    match yes_or_no(value(meta, PAUSED)?) {
        Ok(false) => None,
        Ok(true) => Some(Pause::Asked),
        Err(why) => Some(Pause::Unclear(why)),
    }
}

/// What somebody has approved.
pub fn approved(meta: &ObjectMeta) -> Option<&str> {
    value(meta, APPROVE).map(str::trim).filter(|code| !code.is_empty())
}

fn value<'a>(meta: &'a ObjectMeta, annotation: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(annotation).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(annotation: &str, value: &str) -> ObjectMeta {
        let annotations = Some([(annotation.to_owned(), value.to_owned())].into());
        ObjectMeta { annotations, ..ObjectMeta::default() }
    }

    #[test]
    fn yes_and_no_are_read_as_people_write_them() {
        for yes in ["true", "True", "TRUE", "t", "1", "yes", "Yes", "y", "on", " true", "true\n", "\tYES "] {
            assert_eq!(yes_or_no(yes), Ok(true), "{yes:?}");
        }
        for no in ["false", "False", "f", "0", "no", "n", "off", " Off\n"] {
            assert_eq!(yes_or_no(no), Ok(false), "{no:?}");
        }
    }

    #[test]
    fn what_says_neither_is_no_answer_and_is_not_repeated_at_length() {
        let long = "y".repeat(100_000);
        for unclear in ["", " ", "ja", "treu", "2", "-1", "'true'", "true false", "tru\u{0}e", long.as_str()]
        {
            let why = yes_or_no(unclear).unwrap_err();
            assert!(why.contains("'true' or 'false'") && why.len() < 200, "{why}");
            assert!(!why.contains('\u{0}'), "{why:?}");
        }
    }

    #[test]
    fn work_never_goes_on_for_a_pause_that_is_not_understood() {
        assert_eq!(pause(&ObjectMeta::default()), None);
        for (value, expected) in [
            ("true", Some(Pause::Asked)),
            ("True", Some(Pause::Asked)),
            ("yes", Some(Pause::Asked)),
            ("1", Some(Pause::Asked)),
            (" on\n", Some(Pause::Asked)),
            ("false", None),
            ("No", None),
            ("0", None),
        ] {
            assert_eq!(pause(&with(PAUSED, value)), expected, "{value:?}");
        }
        for value in ["", "ja", "paused", "until Monday"] {
            assert!(matches!(pause(&with(PAUSED, value)), Some(Pause::Unclear(_))), "{value:?}");
        }
    }

    #[test]
    fn blanks_around_a_code_do_not_keep_it_from_opening() {
        for value in ["DataLost-178e51", " DataLost-178e51", "DataLost-178e51\n", "\tDataLost-178e51 \r\n"] {
            assert_eq!(approved(&with(APPROVE, value)), Some("DataLost-178e51"), "{value:?}");
        }
        for nothing in [ObjectMeta::default(), with(APPROVE, " \n"), with(PAUSED, "DataLost-178e51")] {
            assert_eq!(approved(&nothing), None);
        }
    }
}
