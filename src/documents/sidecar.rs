//! Whose a pool's document is: a pure function of its key, and the file beside it that says so to Bedrock.
//!
//! A file is right only if its bytes are exactly those that we would write. So nobody's reading of doubled keys, of lists
//! where a string belongs, or of another encoding can differ from ours.

use serde_json::{Map, Value, json};

use crate::api::{Attribute, AttributeType};
pub(crate) use crate::stack::layout::{POOL, SUFFIX};
use crate::stack::names;

/// A metadata file that is longer is not read by Bedrock.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/s3-data-source-connector.html>
pub(crate) const MAX_SIDECAR: usize = 10 * 1024;
/// Bytes that S3 allows a key.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
pub(crate) const MAX_KEY: usize = 1024;

/// A metadata file that names nobody: no filter finds the document beside it.
pub(crate) const SAYS_NOTHING: &str = r#"{"metadataAttributes":{}}"#;

/// Whether a key names a metadata file.
pub(crate) fn is_sidecar(key: &str) -> bool {
    key.ends_with(SUFFIX)
}

/// Whether a key names a document. Keys with a closing slash are the folders that consoles make.
pub(crate) fn is_document(key: &str) -> bool {
    !is_sidecar(key) && !key.ends_with('/')
}

/// The key of a document's metadata file; `None` where there is no room for one.
pub(crate) fn key_of(document: &str) -> Option<String> {
    (document.len() + SUFFIX.len() <= MAX_KEY).then(|| format!("{document}{SUFFIX}"))
}

/// The tenant a pool document belongs to, by its key alone. Whether that id is anybody's a [`Pool`] knows.
pub(crate) fn tenant_of(key: &str) -> Option<&str> {
    let (id, rest) = key.strip_prefix(POOL)?.split_once('/')?;
    (names::is_tenant_id(id) && !rest.is_empty()).then_some(id)
}

/// A pool, as far as its documents are concerned.
#[derive(Clone, Copy)]
pub struct Pool<'a> {
    /// What stands beside them.
    pub rules: &'a Rules,
    /// Whether a tenantId is somebody's. It is asked for each document, so it looks up and does not search.
    pub is_somebodys: &'a (dyn Fn(&str) -> bool + Send + Sync),
}

/// What may stand in a pool's metadata files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The key of the filter, `pool.tenantIdKey`.
    pub tenant_id_key: String,
    /// What the index declares, `pool.index.attributes`.
    pub attributes: Vec<Attribute>,
}

/// A metadata file as it must be, and what was made of the one that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecar {
    /// Its content.
    pub content: Vec<u8>,
    /// The other tenant that the one that is there names, if it names one.
    pub named: Option<String>,
    /// Attributes of the one that is there that are not kept, because nobody declared them or their value is of another
    /// type.
    pub dropped: usize,
}

impl Rules {
    /// The metadata file of a tenant's document: its tenant, and what the file that is there, if any, says of declared
    /// attributes. What cannot be read says nothing.
    /// <https://docs.aws.amazon.com/bedrock/latest/userguide/kb-metadata.html>
    pub fn sidecar(&self, tenant: &str, there: Option<&[u8]>) -> Sidecar {
        let there = there.and_then(read).unwrap_or_default();
        let named = there.attributes.get(&self.tenant_id_key).and_then(|value| other_than(tenant, value));
        let mut kept: Vec<(&str, Value)> = self
            .attributes
            .iter()
            .filter(|declared| declared.name != self.tenant_id_key)
            .filter_map(|declared| {
                let value = there.attributes.get(&declared.name)?;
                Some((declared.name.as_str(), typed(value, declared.type_)?))
            })
            .collect();
        let own = usize::from(there.attributes.contains_key(&self.tenant_id_key));
        let mut dropped = there.attributes.len() - own - kept.len();
        let mut content = self.written(tenant, &kept, self.records(there.records.as_ref()));
        if content.len() > MAX_SIDECAR {
            dropped += kept.len();
            kept.clear();
            content = self.written(tenant, &kept, None);
        }
        Sidecar { content, named, dropped }
    }

    /// The one way in which we write it: keys in the order of their bytes, no white space.
    fn written(&self, tenant: &str, kept: &[(&str, Value)], records: Option<Value>) -> Vec<u8> {
        let mut attributes: Vec<_> = kept.to_vec();
        attributes.push((&self.tenant_id_key, tenant.into()));
        attributes.sort_by_key(|(name, _)| *name);
        let attributes: Map<_, _> =
            attributes.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let mut file = Map::new();
        if let Some(records) = records {
            file.insert(STRUCTURE.into(), records);
        }
        file.insert(ATTRIBUTES.into(), attributes.into());
        Value::Object(file).to_string().into_bytes()
    }

    /// How a file of records is to be read, as far as that gives no row a tenant of its own: without a list of columns
    /// every column would become an attribute.
    fn records(&self, there: Option<&Value>) -> Option<Value> {
        let names = |at: &str| -> Option<Vec<String>> {
            let fields = there?.pointer(at)?.as_array()?;
            fields.iter().map(|field| Some(field.get("fieldName")?.as_str()?.to_owned())).collect()
        };
        let base = "/recordBasedStructureMetadata";
        let content = names(&format!("{base}/contentFields"))?;
        let include = names(&format!("{base}/metadataFieldsSpecification/fieldsToInclude"))?;
        let declared = |name: &String| {
            self.attributes.iter().any(|it| it.name == *name && it.type_ == AttributeType::String)
                && *name != self.tenant_id_key
        };
        let include: Vec<_> = include.into_iter().filter(declared).collect();
        let [content] = &content[..] else { return None };
        if include.is_empty() || *content == self.tenant_id_key {
            return None;
        }
        let fields = |names: &[String]| -> Vec<Value> {
            names.iter().map(|name| json!({"fieldName": name})).collect()
        };
        Some(json!({
            "recordBasedStructureMetadata": {
                "contentFields": fields(std::slice::from_ref(content)),
                "metadataFieldsSpecification": {"fieldsToInclude": fields(&include)},
            },
            "type": "RECORD_BASED_STRUCTURE_METADATA",
        }))
    }
}

/// Whether everybody reads the same in a file: it is JSON as we write it, without doubled keys or another encoding.
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Value>(bytes).is_ok_and(|value| value.to_string().as_bytes() == bytes)
}

const ATTRIBUTES: &str = "metadataAttributes";
const STRUCTURE: &str = "documentStructureConfiguration";

/// What a metadata file says.
#[derive(Default)]
struct There {
    attributes: Map<String, Value>,
    records: Option<Value>,
}

fn read(bytes: &[u8]) -> Option<There> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut file: Map<String, Value> = serde_json::from_slice(bytes).ok()?;
    let Some(Value::Object(attributes)) = file.remove(ATTRIBUTES) else { return None };
    Some(There { attributes, records: file.remove(STRUCTURE) })
}

/// The value behind Bedrock's long form, and whether it is to be embedded with the text.
fn plain(value: &Value) -> (&Value, bool) {
    let Some(inner) = value.get("value").filter(|inner| inner.is_object()) else { return (value, false) };
    let members = ["stringValue", "numberValue", "booleanValue", "stringListValue"];
    let embedded = value.get("includeForEmbedding") == Some(&Value::Bool(true));
    (members.iter().find_map(|member| inner.get(member)).unwrap_or(&Value::Null), embedded)
}

/// A value of the declared type, in the form in which we write it; the long one only where it says more.
fn typed(value: &Value, type_: AttributeType) -> Option<Value> {
    let (plain, embedded) = plain(value);
    let strings = || plain.as_array().is_some_and(|items| items.iter().all(Value::is_string));
    let (fits, name, member) = match type_ {
        AttributeType::String => (plain.is_string(), "STRING", "stringValue"),
        AttributeType::Number => (plain.is_number(), "NUMBER", "numberValue"),
        AttributeType::Boolean => (plain.is_boolean(), "BOOLEAN", "booleanValue"),
        AttributeType::StringList => (strings(), "STRING_LIST", "stringListValue"),
    };
    fits.then(|| match embedded {
        false => plain.clone(),
        true => json!({"includeForEmbedding": true, "value": {member: plain, "type": name}}),
    })
}

/// Whom a value names, if not this tenant alone.
fn other_than(tenant: &str, value: &Value) -> Option<String> {
    let named = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match plain(value).0 {
        Value::String(text) if text == tenant => None,
        Value::Array(items) => items.iter().map(named).find(|text| text != tenant),
        other => Some(named(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let declared = [
            ("year", AttributeType::Number),
            ("final", AttributeType::Boolean),
            ("kind", AttributeType::String),
            ("topics", AttributeType::StringList),
        ];
        let attributes = declared.map(|(name, type_)| Attribute { name: name.into(), type_ }).to_vec();
        Rules { tenant_id_key: "tenantId".into(), attributes }
    }

    fn of(there: &str) -> (String, Option<String>, usize) {
        let Sidecar { content, named, dropped } = rules().sidecar("acme", Some(there.as_bytes()));
        let content = String::from_utf8(content).unwrap();
        let again = rules().sidecar("acme", Some(content.as_bytes()));
        assert_eq!(String::from_utf8(again.content).unwrap(), content, "what we write stays as it is");
        assert_eq!((again.named, again.dropped), (None, 0));
        (content, named, dropped)
    }

    const BARE: &str = r#"{"metadataAttributes":{"tenantId":"acme"}}"#;

    #[test]
    fn the_key_alone_says_whose_a_document_is() {
        for (key, tenant) in [
            ("pool/acme/handbook.md", Some("acme")),
            ("pool/acme/deep/er/x", Some("acme")),
            ("pool/2024-01-01/x", Some("2024-01-01")),
            ("pool/acme/", None),
            ("pool/x.md", None),
            ("pool//x.md", None),
            ("pool/Acme/x.md", None),
            ("pool/-acme/x.md", None),
            ("pool/a--b/x.md", None),
            ("pool/acme\"/x.md", None),
            ("bridge/acme/x.md", None),
        ] {
            assert_eq!(tenant_of(key), tenant, "{key}");
        }
    }

    #[test]
    fn a_file_that_is_missing_or_unreadable_says_nothing() {
        assert_eq!(rules().sidecar("acme", None).content, BARE.as_bytes());
        for there in
            ["", "{", "[]", "null", "{}", r#"{"metadataAttributes":[]}"#, r#"{"metadataAttributes":null}"#]
        {
            assert_eq!(of(there), (BARE.into(), None, 0), "{there}");
        }
        let invalid = b"{\"metadataAttributes\":{\"tenantId\":\"\xFF\"}}";
        assert_eq!(rules().sidecar("acme", Some(invalid)).content, BARE.as_bytes());
        assert_eq!(of(&format!("\u{feff}{BARE}")), (BARE.into(), None, 0), "a byte order mark is not ours");
    }

    #[test]
    fn declared_attributes_of_their_type_are_kept_and_all_others_dropped() {
        let (content, named, dropped) = of(
            r#"{ "metadataAttributes": {"year": 2026, "kind": "leave", "final": true, "topics": ["a", "b"],
                "tenantId": "acme", "colour": "red", "x-amz-bedrock-kb-source-uri": "s3://elsewhere"} }"#,
        );
        assert_eq!(
            content,
            r#"{"metadataAttributes":{"final":true,"kind":"leave","tenantId":"acme","topics":["a","b"],"year":2026}}"#
        );
        assert_eq!((named, dropped), (None, 2));
        let (content, _, dropped) =
            of(r#"{"metadataAttributes":{"year":"2026","final":1,"topics":["a",1]}}"#);
        assert_eq!((content.as_str(), dropped), (BARE, 3), "of another type");
        let (content, _, dropped) = of(r#"{"metadataAttributes":{
                "kind":{"value":{"type":"STRING","stringValue":"leave"},"includeForEmbedding":true},
                "year":{"value":{"type":"NUMBER","numberValue":2026.5},"includeForEmbedding":false}}}"#);
        let kind = r#"{"includeForEmbedding":true,"value":{"stringValue":"leave","type":"STRING"}}"#;
        assert_eq!(
            content,
            format!(r#"{{"metadataAttributes":{{"kind":{kind},"tenantId":"acme","year":2026.5}}}}"#)
        );
        assert_eq!(dropped, 0);
    }

    #[test]
    fn whoever_names_another_is_found_out() {
        for (value, other) in [
            (r#""umbrella""#, "umbrella"),
            (r#"["acme","umbrella"]"#, "umbrella"),
            (r#"{"value":{"type":"STRING","stringValue":"umbrella"}}"#, "umbrella"),
            (r#"{"value":{"type":"STRING_LIST","stringListValue":["umbrella"]}}"#, "umbrella"),
            ("7", "7"),
            ("null", "null"),
        ] {
            let (content, named, _) = of(&format!(r#"{{"metadataAttributes":{{"tenantId":{value}}}}}"#));
            assert_eq!((content.as_str(), named.as_deref()), (BARE, Some(other)), "{value}");
        }
        // Of two, some readers take the first.
        let doubled = r#"{"metadataAttributes":{"tenantId":"umbrella","tenantId":"acme"}}"#;
        assert_eq!(of(doubled).0, BARE);
    }

    #[test]
    fn records_are_read_as_one_wishes_but_for_the_tenant() {
        let file = |content: &str, include: &str| {
            format!(
                r#"{{"documentStructureConfiguration":{{"type":"RECORD_BASED_STRUCTURE_METADATA",
                "recordBasedStructureMetadata":{{"contentFields":[{content}],
                "metadataFieldsSpecification":{{"fieldsToInclude":[{include}]}}}}}},"metadataAttributes":{{}}}}"#
            )
        };
        let (text, kind, tenant) =
            (r#"{"fieldName":"text"}"#, r#"{"fieldName":"kind"}"#, r#"{"fieldName":"tenantId"}"#);
        let (content, _, _) = of(&file(text, &format!("{kind},{tenant}")));
        assert!(content.contains(r#""fieldsToInclude":[{"fieldName":"kind"}]"#), "{content}");
        assert!(!content.contains(tenant), "{content}");
        for (content, include) in [(text, ""), (text, tenant), (tenant, kind), ("", kind)] {
            assert_eq!(of(&file(content, include)).0, BARE, "{content} {include}");
        }
        let both = format!("{text},{kind}");
        assert_eq!(of(&file(&both, kind)).0, BARE, "Bedrock wants exactly one");
    }

    #[test]
    fn what_would_be_too_long_keeps_its_tenant_alone() {
        let long = format!(r#"{{"metadataAttributes":{{"kind":"{}","year":1}}}}"#, "x".repeat(MAX_SIDECAR));
        assert_eq!(of(&long), (BARE.into(), None, 2));
    }

    #[test]
    fn a_key_may_leave_no_room_for_a_sidecar() {
        assert_eq!(key_of(&"k".repeat(1010)).map(|key| key.len()), Some(1024));
        assert_eq!(key_of(&"k".repeat(1011)), None);
        assert!(is_document("pool/a/x") && !is_document("pool/a/") && !is_document("pool/a/x.metadata.json"));
    }
}
