//! AWS's request ids inside its messages, as in `(Service: S3, Status Code: 403, Request ID: 4KJ0, Extended Request ID: b2d=)`.
//! They are others at each try, and the rest of a message says whether a failure is a new one.

use std::ops::Range;

/// What stands before an id, in lower case.
const NAMES: [&str; 4] = ["request id", "requestid", "request-id", "request_id"];
/// What may stand before that.
const KINDS: [&str; 4] = ["extended ", "aws ", "x-amzn-", "x-amz-"];

/// A message without the request ids in it.
pub fn without_request_ids(message: &str) -> String {
    let (mut text, mut from) = (message.to_owned(), 0);
    while let Some((end_of_name, name)) = next_name(&text, from) {
        match around(&text, name) {
            Some(range) => {
                from = range.start;
                text.replace_range(range, "");
            }
            None => from = end_of_name,
        }
    }
    text
}

/// Where the next name is, and where it ends.
fn next_name(text: &str, from: usize) -> Option<(usize, Range<usize>)> {
    let lower = text.to_ascii_lowercase();
    let rest = lower.get(from..)?;
    let names = NAMES.iter().filter_map(|name| Some((from + rest.find(name)?, name.len())));
    names.min().map(|(start, length)| (start + length, start..start + length))
}

/// An id with its name and what joins it to the rest. None if no id follows the name.
fn around(text: &str, name: Range<usize>) -> Option<Range<usize>> {
    let (before, after) = (text.get(..name.start)?, text.get(name.end..)?);
    let id = after.trim_start_matches([' ', ':', '=', '"', '\'']);
    let is_named = after[..after.len() - id.len()].contains([':', '=']);
    let part_of_id = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    let rest = id.trim_start_matches(part_of_id);
    let id = &id[..id.len() - rest.len()];
    // `The request id is missing` names none.
    if id.is_empty() || !(is_named || id.bytes().any(|byte| byte.is_ascii_digit())) {
        return None;
    }
    let mut rest = rest.strip_prefix(['"', '\'']).unwrap_or(rest);
    let kind = KINDS.iter().find(|kind| {
        let at = before.len().checked_sub(kind.len()).and_then(|at| before.get(at..));
        at.is_some_and(|words| words.eq_ignore_ascii_case(kind))
    });
    let before = &before[..before.len() - kind.map_or(0, |kind| kind.len())];
    let before = before.strip_suffix(['"', '\'']).unwrap_or(before).trim_end();
    let before = match (before.strip_suffix('('), rest.strip_prefix(')')) {
        (Some(opened), Some(closed)) => {
            rest = closed;
            opened.trim_end()
        }
        _ => before.strip_suffix([',', ';']).unwrap_or(before),
    };
    if before.ends_with('.') {
        rest = rest.strip_prefix('.').unwrap_or(rest);
    }
    Some(before.len()..text.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_id_stays_in_a_message_and_all_else_does() {
        let id = "7b1c9a52-0f5e-4a3b-9d1e-3f2a5c6d7e8f";
        for (message, left) in [
            (
                "(Service: S3, Status Code: 403, Request ID: ~, Extended Request ID: b2+/d=)",
                "(Service: S3, Status Code: 403)",
            ),
            (
                "no (Service: Kms; Status Code: 400; Request ID: ~; Proxy: null)",
                "no (Service: Kms; Status Code: 400; Proxy: null)",
            ),
            ("no (Request ID: ~)", "no"),
            ("no (RequestId: ~) (SDK Attempt Count: 1)", "no (SDK Attempt Count: 1)"),
            ("Internal failure. Request ID: ~. Try again", "Internal failure. Try again"),
            ("AWS request id ~", ""),
            (r#"{"message":"no","requestId":"~"}"#, r#"{"message":"no"}"#),
            ("x-amzn-RequestId=~, x-amz-request-id=ABCDEF", ""),
            ("Größe, request_id: ~: zu groß", "Größe: zu groß"),
            ("The request id is missing", "The request id is missing"),
            ("A request is denied", "A request is denied"),
            ("ends with Request ID:", "ends with Request ID:"),
            ("", ""),
        ] {
            assert_eq!(without_request_ids(&message.replace('~', id)), left);
        }
    }
}
