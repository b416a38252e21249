//! AWS's answer, held against whose it must be: each passage must lie in the tenant's own place, and in a pool it must bear
//! the tenant's tag. The place is the stronger of both: tags are derived from keys, and never the other way round. Nothing
//! else is relied upon, neither the filter nor the store.
//!
//! What nobody here knows passes inside a passage that was checked, as AWS wrote it; elsewhere it is left out and counted.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::page;
use super::whose::{Asked, Place};

/// What goes to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The body.
    pub body: Bytes,
    /// How many passages are in it.
    pub passages: usize,
    /// How many were another's, or nobody's, and are not in it.
    pub foreign: usize,
    /// How many members of the answer itself are not in it, because nobody here knows them.
    pub unknown: usize,
}

/// AWS's answer cannot be read, or can be read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// Checks the body of AWS's answer to a tenant's question.
pub fn check(body: Bytes, asked: &Asked) -> Result<Checked, Unreadable> {
    checked(body, &asked.tenant_id, &asked.place, asked.filter())
}

fn checked(
    body: Bytes,
    tenant_id: &str,
    place: &Place,
    tag: Option<(&str, &str)>,
) -> Result<Checked, Unreadable> {
    let text = std::str::from_utf8(&body).map_err(|_| Unreadable)?;
    // Most answers are the tenant's own, all of them, and pass as they came: they are read once, and not written again.
    if let Some(passages) = all_own(text, place, tag) {
        return Ok(Checked { body, passages, foreign: 0, unknown: 0 });
    }
    let answer: Answer<&RawValue> = serde_json::from_str(text).map_err(|_| Unreadable)?;
    let all = answer.passages.ok_or(Unreadable)?;
    let own: Vec<_> = all.iter().copied().filter(|passage| is_own_alone(passage, place, tag)).collect();
    let (passages, foreign) = (own.len(), all.len() - own.len());
    let written = Written {
        retrieval_results: own,
        next_token: answer.next_token.map(|token| page::leaving(tenant_id, &token)),
        guardrail_action: answer.guardrail_action,
    };
    // It is hardly longer than AWS's.
    let mut body_of_own = Vec::with_capacity(body.len() + body.len() / 8);
    serde_json::to_writer(&mut body_of_own, &written).map_err(|_| Unreadable)?;
    Ok(Checked { body: body_of_own.into(), passages, foreign, unknown: answer.unknown })
}

/// How many passages an answer has, if each of them is the tenant's and nothing else of it must be changed.
fn all_own(text: &str, place: &Place, tag: Option<(&str, &str)>) -> Option<usize> {
    let answer: Answer<Passage<'_>> = serde_json::from_str(text).ok()?;
    let all = answer.passages?;
    let is_as_it_must_be = answer.unknown == 0 && answer.next_token.is_none();
    (is_as_it_must_be && all.iter().all(|passage| is_own(passage, place, tag))).then_some(all.len())
}

/// Whether a passage is the tenant's. One that cannot be read, or in which what decides is there twice, is not.
fn is_own_alone(passage: &RawValue, place: &Place, tag: Option<(&str, &str)>) -> bool {
    serde_json::from_str(passage.get()).is_ok_and(|passage| is_own(&passage, place, tag))
}

fn is_own(passage: &Passage<'_>, place: &Place, tag: Option<(&str, &str)>) -> bool {
    let s3 = passage.location.as_ref().and_then(|location| location.s3_location.as_ref());
    let is_there = s3.and_then(|s3| s3.uri.as_ref()).is_some_and(|uri| place.has(&uri.0));
    let is_tagged =
        |(key, value): (&str, &str)| passage.metadata.is_some_and(|metadata| has_once(metadata, key, value));
    is_there && tag.is_none_or(is_tagged)
}

/// Whether an object has this member, once, and it is this text.
fn has_once(object: &RawValue, key: &str, value: &str) -> bool {
    let mut reader = serde_json::Deserializer::from_str(object.get());
    reader.deserialize_map(Once { key, value }).unwrap_or(false)
}

struct Once<'a> {
    key: &'a str,
    value: &'a str,
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        let mut found = None;
        while let Some(Text(name)) = members.next_key()? {
            if name != self.key {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            if found.is_some() {
                return Err(A::Error::custom("twice"));
            }
            found = Some(members.next_value::<Text<'de>>()?.0 == self.value);
        }
        Ok(found.unwrap_or(false))
    }
}

/// A text, borrowed where nothing in it is escaped.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Of a passage what decides. Each of it may be there once.
#[derive(Deserialize)]
struct Passage<'a> {
    #[serde(borrow)]
    location: Option<Location<'a>>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Location<'a> {
    #[serde(borrow)]
    s3_location: Option<S3Location<'a>>,
}

#[derive(Deserialize)]
struct S3Location<'a> {
    #[serde(borrow)]
    uri: Option<Text<'a>>,
}

/// Of an answer what is known. Its passages are read, or left as they are.
struct Answer<P> {
    passages: Option<Vec<P>>,
    next_token: Option<String>,
    guardrail_action: Option<String>,
    unknown: usize,
}

impl<'de, P: Deserialize<'de>> Deserialize<'de> for Answer<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData))
    }
}

struct Members<P>(PhantomData<P>);

impl<'de, P: Deserialize<'de>> Visitor<'de> for Members<P> {
    type Value = Answer<P>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Answer<P>, A::Error> {
        let mut answer = Answer { passages: None, next_token: None, guardrail_action: None, unknown: 0 };
        while let Some(Text(name)) = members.next_key()? {
            let again = match &*name {
                "retrievalResults" => answer.passages.replace(members.next_value()?).is_some(),
                "nextToken" => put(&mut answer.next_token, members.next_value()?),
                "guardrailAction" => put(&mut answer.guardrail_action, members.next_value()?),
                _ => {
                    members.next_value::<IgnoredAny>()?;
                    answer.unknown += 1;
                    false
                }
            };
            if again {
                return Err(A::Error::custom("twice"));
            }
        }
        Ok(answer)
    }
}

/// Puts down what is there. Whether something was there before.
fn put(into: &mut Option<String>, value: Option<String>) -> bool {
    let was = into.is_some();
    *into = value.or(into.take());
    was
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    retrieval_results: Vec<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guardrail_action: Option<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const TAG: Option<(&str, &str)> = Some(("tenantId", "acme"));

    fn place() -> Place {
        Place::new("bucket", "pool/acme/").unwrap()
    }

    fn passage(uri: &str, tag: &Value) -> Value {
        json!({"content": {"type": "TEXT", "text": "t"}, "location": {"type": "S3", "s3Location": {"uri": uri}},
            "metadata": {"tenantId": tag, "x": 1}, "score": 0.5})
    }

    fn answer(passages: &[Value]) -> String {
        json!({"retrievalResults": passages}).to_string()
    }

    /// Whether one passage passes.
    fn passes(passage: &str, tag: Option<(&str, &str)>) -> bool {
        let body = format!("{{\"retrievalResults\":[{passage}]}}");
        let checked = checked(body.to_owned().into(), "acme", &place(), tag).unwrap();
        assert_eq!((checked.passages + checked.foreign, checked.unknown), (1, 0));
        let shown = String::from_utf8(checked.body.into()).unwrap();
        let expected = if checked.passages == 1 { body } else { "{\"retrievalResults\":[]}".into() };
        assert_eq!(shown, expected, "a passage passes as it is, or not at all");
        checked.passages == 1
    }

    #[test]
    fn a_passage_passes_from_its_own_place_with_its_own_tag() {
        let own = passage("s3://bucket/pool/acme/a.md", &json!("acme"));
        assert!(passes(&own.to_string(), TAG));
        for uri in [
            "s3://bucket/pool/acme/",
            "s3://bucket/pool/acme",
            "s3://bucket/pool/acme2/a.md",
            "s3://bucket/pool/umbrella/a.md",
            "s3://bucket/pool/umbrella/../acme/a.md",
            "s3://bucket2/pool/acme/a.md",
            "S3://bucket/pool/acme/a.md",
            "s3://bucket/pool%2Facme/a.md",
            "s3://bucket/pool/acme%2Fa.md",
            "s3://bucket//pool/acme/a.md",
            " s3://bucket/pool/acme/a.md",
            "https://bucket.s3.amazonaws.com/pool/acme/a.md",
            "",
        ] {
            assert!(!passes(&passage(uri, &json!("acme")).to_string(), TAG), "{uri}");
            assert!(!passes(&passage(uri, &json!("acme")).to_string(), None), "{uri}");
        }
        for tag in [
            json!("umbrella"),
            json!(["acme"]),
            json!(["acme", "umbrella"]),
            json!(null),
            json!(1),
            json!("Acme"),
            json!("acme "),
        ] {
            let passage = passage("s3://bucket/pool/acme/a.md", &tag).to_string();
            assert!(!passes(&passage, TAG), "{tag}");
            assert!(passes(&passage, None), "{tag}: a knowledge base of one's own has no tags");
        }
    }

    #[test]
    fn a_passage_that_can_be_read_in_two_ways_is_nobodys() {
        let uri = r#""uri":"s3://bucket/pool/acme/a.md""#;
        let other = r#""uri":"s3://bucket/pool/umbrella/a.md""#;
        let tag = r#""metadata":{"tenantId":"acme"}"#;
        for (passage, passing) in [
            (format!(r#"{{"location":{{"s3Location":{{{uri}}}}},{tag}}}"#), true),
            (format!(r#"{{"new":{{"deep":[1,{{}}]}},"location":{{"new":1,"s3Location":{{{uri},"new":[]}}}},{tag}}}"#), true),
            (r#"{"location":{"s3Location":{"uri":"s3:\/\/bucket\/pool\/\u0061cme\/a.md"}},"metadata":{"tenant\u0049d":"acm\u0065"}}"#.into(), true),
            (format!(r#"{{"location":{{"s3Location":{{{uri},{other}}}}},{tag}}}"#), false),
            (format!(r#"{{"location":{{"s3Location":{{{other},{uri}}}}},{tag}}}"#), false),
            (format!(r#"{{"location":{{"s3Location":{{{other}}},"s3Location":{{{uri}}}}},{tag}}}"#), false),
            (format!(r#"{{"location":{{}},"location":{{"s3Location":{{{uri}}}}},{tag}}}"#), false),
            (format!(r#"{{"location":{{"s3Location":{{{uri}}}}},"metadata":{{"tenantId":"umbrella","tenantId":"acme"}}}}"#), false),
            (format!(r#"{{"location":{{"s3Location":{{{uri}}}}},"metadata":{{"tenantId":"acme","tenant\u0049d":"umbrella"}}}}"#), false),
            (format!(r#"{{"location":{{"s3Location":{{{uri}}}}},{tag},{tag}}}"#), false),
            (format!(r#"{{"location":{{"s3Location":{{{uri}}}}}}}"#), false),
            (format!(r#"{{"location":{{"s3Location":[{{{uri}}}]}},{tag}}}"#), false),
            (format!(r#"{{"location":null,{tag}}}"#), false),
            (format!("{{{tag}}}"), false),
            ("[]".into(), false),
            ("null".into(), false),
            (r#""s3://bucket/pool/acme/a.md""#.into(), false),
        ] {
            assert_eq!(passes(&passage, TAG), passing, "{passage}");
        }
    }

    #[test]
    fn an_answer_that_is_all_the_tenants_own_passes_as_it_came() {
        let own = passage("s3://bucket/pool/acme/a.md", &json!("acme"));
        for body in [
            format!("\n{{ \"guardrailAction\" : \"NONE\", \"retrievalResults\" : [ {own} ,\t{own} ] }} "),
            r#"{"retrievalResults":[]}"#.into(),
            format!(r#"{{"retrieval\u0052esults":[{own}],"nextToken":null}}"#),
        ] {
            let body = Bytes::from(body);
            let checked = checked(body.clone(), "acme", &place(), TAG).unwrap();
            assert_eq!((checked.foreign, checked.unknown), (0, 0));
            assert_eq!((&checked.body, checked.body.as_ptr()), (&body, body.as_ptr()), "it is not copied");
        }
    }

    #[test]
    fn what_nobody_knows_of_an_answer_is_left_out_and_counted() {
        let own = passage("s3://bucket/pool/acme/a.md", &json!("acme"));
        let body = json!({"retrievalResults": [own], "nextToken": "abc", "guardrailAction": "NONE", "citations": [1], "x": {"y": 1}});
        let checked = checked(body.to_string().into(), "acme", &place(), TAG).unwrap();
        assert_eq!((checked.passages, checked.foreign, checked.unknown), (1, 0, 2));
        let shown: Value = serde_json::from_slice(&checked.body).unwrap();
        assert_eq!(
            shown,
            json!({"retrievalResults": [own], "nextToken": "acme.abc", "guardrailAction": "NONE"})
        );
    }

    #[test]
    fn what_is_no_answer_is_not_passed_on() {
        for body in [
            "",
            "{}",
            "[]",
            "null",
            r#"{"retrievalResults":null}"#,
            r#"{"retrievalResults":{}}"#,
            r#"{"retrievalResults":[]"#,
            r#"{"retrievalResults":[]}x"#,
            r#"{"retrievalResults":[],"retrievalResults":[]}"#,
            r#"{"retrievalResults":[],"retrieval\u0052esults":[]}"#,
            r#"{"retrievalResults":[],"nextToken":"a","nextToken":"b"}"#,
            r#"{"retrievalResults":[],"nextToken":{}}"#,
            r#"{"message":"no"}"#,
        ] {
            assert_eq!(checked(body.to_owned().into(), "acme", &place(), TAG), Err(Unreadable), "{body}");
        }
        let mut no_text = answer(&[passage("s3://bucket/pool/acme/a.md", &json!("acme"))]).into_bytes();
        let at = no_text.windows(3).position(|it| it == b"\"t\"").unwrap() + 1;
        no_text[at] = 0xff;
        assert_eq!(checked(no_text.into(), "acme", &place(), TAG), Err(Unreadable));
        let deep = format!("{{\"retrievalResults\":[{}{}]}}", "[".repeat(200_000), "]".repeat(200_000));
        let checked = checked(deep.into(), "acme", &place(), TAG);
        assert!(checked.is_err() || checked.is_ok_and(|it| it.passages == 0));
    }

    proptest! {
        #[test]
        fn of_any_mixture_the_own_are_shown_in_their_order(whose in prop::collection::vec((0..4_usize, 0..3_usize), 0..12)) {
            let places = ["pool/acme", "pool/umbrella", "pool/acme2", "pool/acme/.."];
            let tags = ["acme", "umbrella", ""];
            let passages: Vec<_> = whose.iter().enumerate().map(|(n, (place, tag))| {
                passage(&format!("s3://bucket/{}/{n}.md", places[*place]), &json!(tags[*tag]))
            }).collect();
            let is_own = |(place, tag): &(usize, usize)| [0, 3].contains(place) && *tag == 0;
            let own = passages.iter().zip(&whose).filter(|(_, whose)| is_own(whose));
            let own: Vec<_> = own.map(|(passage, _)| passage.clone()).collect();
            let shown = checked(answer(&passages).into(), "acme", &place(), TAG).unwrap();
            prop_assert_eq!(String::from_utf8(shown.body.into()).unwrap(), answer(&own));
            prop_assert_eq!((shown.passages, shown.foreign), (own.len(), passages.len() - own.len()));
        }

        #[test]
        fn no_bytes_of_aws_bring_it_down(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = checked(bytes.into(), "acme", &place(), TAG);
        }
    }
}
