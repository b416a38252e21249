//! JSON as it must be when it decides something: no member twice, no more levels than there are uses for, and each member
//! either taken or refused by its name. What reads a member last and what reads it first can then not differ.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use super::refusal::Refusal;

/// How many levels a request may have. AWS's own deepest has twelve.
const DEPTH: usize = 16;

/// A value. An object keeps the order of its members, and has each once.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any number.
    Number(Number),
    /// A text.
    Text(String),
    /// An array.
    List(Vec<Node>),
    /// An object.
    Object(Vec<(String, Node)>),
}

impl From<Node> for Value {
    fn from(node: Node) -> Self {
        match node {
            Node::Null => Self::Null,
            Node::Bool(truth) => Self::Bool(truth),
            Node::Number(number) => Self::Number(number),
            Node::Text(text) => Self::String(text),
            Node::List(list) => list.into_iter().map(Self::from).collect(),
            Node::Object(members) => {
                members.into_iter().map(|(name, node)| (name, Self::from(node))).collect()
            }
        }
    }
}

/// Reads a whole request.
pub fn read(bytes: &[u8]) -> Result<Node, Refusal> {
    let wrong = Cell::new(None);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let node = Seed { left: DEPTH, wrong: &wrong }.deserialize(&mut reader);
    match (node.and_then(|node| reader.end().map(|()| node)), wrong.into_inner()) {
        (Ok(node), _) => Ok(node),
        (Err(_), Some(refusal)) => Err(refusal),
        (Err(_), None) => Err(Refusal::invalid("", "The body is not JSON")),
    }
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    left: usize,
    /// Serde's errors are texts; what is told to the client is kept here.
    wrong: &'a Cell<Option<Refusal>>,
}

impl Seed<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let Some(left) = self.left.checked_sub(1) else {
            self.wrong.set(Some(Refusal::invalid("", format!("The body has more than {DEPTH} levels"))));
            return Err(E::custom("too deep"));
        };
        Ok(Self { left, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Number::from_f64(value).map(Node::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.into()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let inner = self.deeper()?;
        let mut object: Vec<(String, Node)> = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            // No type of ours has more members than a few, so that a look through all of them is quick; an object with very
            // many is refused by its first unknown one, and until then must not cost the square of its size.
            if object.len() >= MEMBERS {
                self.wrong.set(Some(Refusal::invalid(name, "is one member too many")));
                return Err(A::Error::custom("too many members"));
            }
            if object.iter().any(|(other, _)| *other == name) {
                self.wrong.set(Some(Refusal::invalid(name, "is there twice")));
                return Err(A::Error::custom("duplicate member"));
            }
            object.push((name, members.next_value_seed(inner)?));
        }
        Ok(Node::Object(object))
    }
}

/// How many members an object may have.
const MEMBERS: usize = 64;

/// The members of an object, of which each is taken by its name; what nobody has taken at the end is refused.
#[derive(Debug)]
pub struct Members {
    path: String,
    left: Vec<(String, Node)>,
}

impl Members {
    /// Those of `node`, which stands at `path`.
    pub fn of(node: Node, path: &str) -> Result<Self, Refusal> {
        match node {
            Node::Object(left) => Ok(Self { path: path.into(), left }),
            _ => Err(Refusal::invalid(path, "must be an object")),
        }
    }

    /// Where a member stands.
    pub fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.into() } else { format!("{}.{name}", self.path) }
    }

    /// A member by its name. `null` is the same as none, as it is for AWS.
    pub fn take(&mut self, name: &str) -> Option<Node> {
        let at = self.left.iter().position(|(member, _)| member == name)?;
        match self.left.swap_remove(at).1 {
            Node::Null => None,
            node => Some(node),
        }
    }

    /// The only member that there is, and its name.
    pub fn only(mut self) -> Option<(String, Node)> {
        if self.left.len() == 1 { self.left.pop() } else { None }
    }

    /// A text, if it is there.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Node::Text(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::invalid(self.path(name), "must be a text")),
        }
    }

    /// Another object in this one, if it is there.
    pub fn members(&mut self, name: &str) -> Result<Option<Self>, Refusal> {
        let path = self.path(name);
        self.take(name).map(|node| Self::of(node, &path)).transpose()
    }

    /// Refuses what is left: whatever AWS may come to do with it, nobody here knows.
    pub fn done(self) -> Result<(), Refusal> {
        match self.left.iter().find(|(_, node)| *node != Node::Null) {
            None => Ok(()),
            Some((name, _)) => Err(Refusal::invalid(self.path(name), "is not taken by this gateway")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: &str) -> String {
        read(bytes.as_bytes()).unwrap_err().message()
    }

    #[test]
    fn what_two_readers_could_take_otherwise_is_refused() {
        for (body, why) in [
            (r#"{"a": 1, "a": 2}"#, "a: is there twice"),
            (r#"{"a": {"b": 1, "b": 1}}"#, "b: is there twice"),
            (r#"[{"\u0061": 1, "a": 2}]"#, "a: is there twice"),
            (r#"{"a": 1} {"a": 2}"#, "The body is not JSON"),
            (r#"{"a": 1,}"#, "The body is not JSON"),
            (r#"{"a": NaN}"#, "The body is not JSON"),
            (r#"{"a": 1e999}"#, "The body is not JSON"),
            ("{'a': 1}", "The body is not JSON"),
            ("", "The body is not JSON"),
            ("\u{feff}{}", "The body is not JSON"),
            (r#""\ud800""#, "The body is not JSON"),
        ] {
            assert_eq!(message(body), why, "{body}");
        }
        assert!(read(b"{\"a\": \"\xff\"}").is_err(), "not UTF-8");
    }

    #[test]
    fn depth_and_width_are_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(nested(DEPTH).as_bytes()).is_ok());
        for depth in [DEPTH + 1, 30_000] {
            assert_eq!(message(&nested(depth)), "The body has more than 16 levels");
        }
        let wide = |count: usize| {
            format!("{{{}}}", (0..count).map(|n| format!("\"m{n}\":1")).collect::<Vec<_>>().join(","))
        };
        assert!(read(wide(MEMBERS).as_bytes()).is_ok());
        assert_eq!(message(&wide(MEMBERS + 1)), "m64: is one member too many");
    }

    #[test]
    fn a_member_is_taken_once_and_what_is_left_is_named() {
        let node = read(br#"{"a": {"b": "x", "c": 7, "d": null}, "n": null}"#).unwrap();
        let mut all = Members::of(node, "").unwrap();
        let mut inner = all.members("a").unwrap().unwrap();
        assert_eq!(inner.text("b"), Ok(Some("x".into())));
        assert_eq!(inner.text("b"), Ok(None));
        assert_eq!(inner.text("c").unwrap_err().message(), "a.c: must be a text");
        assert_eq!(all.done(), Ok(()));
        let mut again = Members::of(read(br#"{"a": {"x": 1}}"#).unwrap(), "").unwrap();
        let left = again.members("a").unwrap().unwrap().done().unwrap_err();
        assert_eq!(left.message(), "a.x: is not taken by this gateway");
        assert_eq!(Members::of(Node::Null, "a").unwrap_err().message(), "a: must be an object");
    }
}
