//! JSON in which everybody reads the same: no object has a key twice. Of two, some readers take the first and some the last.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A value in which, however deep, no key comes twice.
struct Unequivocal(Value);

/// What a text says, if all readers agree. A byte order mark says nothing: readers pass over it.
pub(super) fn read(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(unmarked(bytes)).ok().map(|Unequivocal(value)| value)
}

/// Without the byte order mark.
pub(super) fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

impl<'de> Deserialize<'de> for Unequivocal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any).map(Self)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without doubled keys")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Unequivocal(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(all.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some((key, Unequivocal(value))) = members.next_entry::<String, _>()? {
            if all.insert(key, value).is_some() {
                return Err(Error::custom("a key comes twice"));
            }
        }
        Ok(all.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_that_all_read_alike_is_read_and_no_other() {
        let all = json!({"a": [1, -2, 2.5, 1e30, true, null, "\u{fc}"], "b": {"c": {}}});
        for text in [all.to_string(), format!("\u{feff}\n{all:#}\r\n")] {
            assert_eq!(read(text.as_bytes()), Some(all.clone()), "{text}");
        }
        for other in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"b":[{"c":{"d":1,"d":2}}]}"#,
            "",
            "{",
            "{} {}",
            r#"{"a":NaN}"#,
            r#"{"a":1e999}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":1,}"#,
            "\u{feff}\u{feff}{}",
        ] {
            assert_eq!(read(other.as_bytes()), None, "{other}");
        }
        assert_eq!(read(b"\xFF\xFE{\0}\0"), None, "another encoding");
        assert_eq!(read("[".repeat(500).as_bytes()), None, "deeper than anybody reads");
    }
}
