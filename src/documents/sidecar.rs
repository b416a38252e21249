//! The key of a pool's document says whose it is. The metadata file beside it, the sidecar, says so to Bedrock.
//!
//! A sidecar is right only if it says what ours would say, and every reader reads the same in it ([`unequivocal`]). Doubled keys,
//! a list in place of a string, or another encoding are read differently by different programs, and one reading may name
//! another tenant. White space and the order of keys do not count. So uploading the same files again changes nothing.

#[cfg(test)]
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::tally::Bounds;
use super::unequivocal;
use crate::api::{Attribute, AttributeType, VectorStore};
pub(crate) use crate::stack::layout::{POOL, SUFFIX};
use crate::stack::names;
use crate::stack::store::features;

/// Bedrock does not read a longer metadata file.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/s3-data-source-connector.html>
pub(crate) const MAX_SIDECAR: usize = 10 * 1024;
/// How many characters the text of an attribute may have. Bedrock refuses a whole file in which one has more, and the
/// tenant's tag with it.
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent_MetadataAttributeValue.html>
const TEXT: std::ops::RangeInclusive<usize> = 1..=2048;
/// How many texts a list may have.
const TEXTS: std::ops::RangeInclusive<usize> = 1..=10;
/// A column that no row has. It stands where Bedrock wants a column and none may be named.
const NO_COLUMN: &str = "tenantry-no-column";
/// How many bytes a key in S3 may have.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
pub(crate) const MAX_KEY: usize = 1024;

/// A metadata file without a tenant: no filter finds the document beside it.
pub(crate) const SAYS_NOTHING: &str = r#"{"metadataAttributes":{}}"#;

/// Whether a key names a metadata file.
pub(crate) fn is_sidecar(key: &str) -> bool {
    key.ends_with(SUFFIX)
}

/// Whether a key names a document. A key that ends with a slash is a folder that a console has made.
pub(crate) fn is_document(key: &str) -> bool {
    !is_sidecar(key) && !key.ends_with('/')
}

/// The key of a document's metadata file. `None`: it would be too long.
pub(crate) fn key_of(document: &str) -> Option<String> {
    (document.len() + SUFFIX.len() <= MAX_KEY).then(|| format!("{document}{SUFFIX}"))
}

/// The tenantId in the key of a pool's document. A [`Pool`] knows whether any tenant has that id.
pub(crate) fn tenant_of(key: &str) -> Option<&str> {
    let (id, rest) = key.strip_prefix(POOL)?.split_once('/')?;
    (names::is_tenant_id(id) && !rest.is_empty()).then_some(id)
}

/// What a review must know of a pool.
#[derive(Clone, Copy)]
pub struct Pool<'a> {
    /// What its metadata files may say.
    pub rules: &'a Rules,
    /// How many documents tenants may have.
    pub bounds: &'a Bounds,
    /// Whether a tenant has this tenantId. It is called for each document, so it must be fast.
    pub is_somebodys: &'a (dyn Fn(&str) -> bool + Send + Sync),
}

/// No limit binds anybody.
#[cfg(test)]
pub static NO_BOUNDS: LazyLock<Bounds> = LazyLock::new(Bounds::default);

/// What a pool's metadata files may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `pool.tenantIdKey`, the attribute by which queries filter.
    pub tenant_id_key: String,
    /// `pool.index.attributes`, which the index declares.
    pub attributes: Vec<Attribute>,
    /// How many bytes a metadata file may have. The vector store may take less than Bedrock reads.
    pub max_bytes: usize,
}

/// How many bytes a metadata file may have whose attributes go into such a store.
pub(crate) fn max_bytes(store: VectorStore) -> usize {
    features(store).metadata.map_or(MAX_SIDECAR, |it| it.bytes.min(MAX_SIDECAR))
}

/// A metadata file as it must be, compared with the one that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecar {
    /// What must be written.
    pub content: Vec<u8>,
    /// Whether the file that is there says exactly this to every reader.
    pub is_there: bool,
    /// Another tenant that the file that is there names.
    pub named: Option<String>,
    /// How many attributes of the file that is there are not kept: they are not declared, have a value of another type, or one
    /// that Bedrock refuses.
    pub dropped: usize,
    /// Whether something that the file that is there says is not kept: attributes, columns, or what cannot be read.
    pub is_lost: bool,
}

impl Rules {
    /// The metadata file of a tenant's document. It has the tenant, and the declared attributes of the file that is there.
    /// <https://docs.aws.amazon.com/bedrock/latest/userguide/kb-metadata.html>
    pub fn sidecar(&self, tenant: &str, there: Option<&[u8]>) -> Sidecar {
        let read = there.and_then(read);
        let is_readable = read.is_some();
        let there_is = there.is_some();
        let There { attributes, records, is_all, is_unequivocal } = read.unwrap_or_default();
        let named = attributes.get(&self.tenant_id_key).and_then(|value| other_than(tenant, value));
        let mut kept: Vec<(&str, Value)> = self
            .attributes
            .iter()
            .filter(|declared| declared.name != self.tenant_id_key)
            .filter_map(|declared| {
                let value = attributes.get(&declared.name)?;
                Some((declared.name.as_str(), typed(value, declared.type_)?))
            })
            .collect();
        let own = usize::from(attributes.contains_key(&self.tenant_id_key));
        let mut dropped = attributes.len() - own - kept.len();
        let mut structure = records.as_ref().and_then(|records| self.records(records));
        let mut content = self.written(tenant, &kept, structure.as_ref());
        // If it is too long, attributes go first. The text column is named last: without it, all columns would be text.
        for shorter in [structure.clone(), Some(fields(NO_COLUMN, &[])).filter(|_| structure.is_some())] {
            if content.len() > self.max_bytes {
                dropped += kept.len();
                kept.clear();
                structure = shorter;
                content = self.written(tenant, &kept, structure.as_ref());
            }
        }
        let says_tenant =
            attributes.get(&self.tenant_id_key).and_then(|own| typed(own, AttributeType::String));
        let are_clear = attributes.values().all(is_clear);
        let keeps_all =
            is_readable && is_all && is_unequivocal && are_clear && dropped == 0 && records == structure;
        Sidecar {
            content,
            is_there: keeps_all && says_tenant == Some(tenant.into()),
            named,
            dropped,
            is_lost: there_is && !keeps_all,
        }
    }

    /// The content in the one form in which we write it: keys sorted, no white space.
    fn written(&self, tenant: &str, kept: &[(&str, Value)], records: Option<&Value>) -> Vec<u8> {
        let mut attributes: Vec<_> = kept.to_vec();
        attributes.push((&self.tenant_id_key, tenant.into()));
        attributes.sort_by_key(|(name, _)| *name);
        let attributes: Map<_, _> =
            attributes.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let mut file = Map::new();
        if let Some(records) = records {
            file.insert(STRUCTURE.into(), records.clone());
        }
        file.insert(ATTRIBUTES.into(), attributes.into());
        Value::Object(file).to_string().into_bytes()
    }

    /// How Bedrock is to read a file of records: the wished columns, without the one that would name a tenant, and without
    /// those that the index does not declare. `None`: the file that is there names no column.
    ///
    /// Bedrock takes all columns as text if no structure says otherwise, and all as attributes if none are listed.
    fn records(&self, there: &Value) -> Option<Value> {
        // A field without a name may be any field.
        let names = |at: &str| -> Option<Vec<Option<&str>>> {
            let fields = there.pointer(&format!("/recordBasedStructureMetadata{at}"))?.as_array()?;
            Some(fields.iter().map(|field| field.get("fieldName")?.as_str()).collect())
        };
        let content = names("/contentFields");
        let include = names("/metadataFieldsSpecification/fieldsToInclude");
        let exclude = names("/metadataFieldsSpecification/fieldsToExclude");
        if content.is_none() && include.is_none() && exclude.is_none() {
            return None;
        }
        let is_own = |name: &str| name != self.tenant_id_key;
        let content = content.into_iter().flatten().flatten().find(|name| is_own(name)).unwrap_or(NO_COLUMN);
        let declared = self.attributes.iter().filter(|it| it.type_ == AttributeType::String);
        let declared: Vec<_> = declared.map(|it| it.name.as_str()).filter(|name| is_own(name)).collect();
        let exclude = exclude.unwrap_or_default();
        let wished = include.map_or_else(|| declared.clone(), |names| names.into_iter().flatten().collect());
        let mut kept: Vec<&str> = Vec::new();
        for name in wished {
            let is_excluded = exclude.iter().any(|it| it.is_none_or(|excluded| excluded == name));
            if declared.contains(&name) && name != content && !is_excluded && !kept.contains(&name) {
                kept.push(name);
            }
        }
        Some(fields(content, &kept))
    }
}

/// Which column is the text, and which are attributes.
fn fields(content: &str, include: &[&str]) -> Value {
    let field = |name: &&str| json!({"fieldName": name});
    let include: Vec<_> =
        if include.is_empty() { &[NO_COLUMN][..] } else { include }.iter().map(field).collect();
    json!({
        "recordBasedStructureMetadata": {
            "contentFields": [field(&content)],
            "metadataFieldsSpecification": {"fieldsToInclude": include},
        },
        "type": "RECORD_BASED_STRUCTURE_METADATA",
    })
}

const ATTRIBUTES: &str = "metadataAttributes";
const STRUCTURE: &str = "documentStructureConfiguration";

/// What a metadata file says.
#[derive(Default)]
struct There {
    attributes: Map<String, Value>,
    records: Option<Value>,
    /// Whether it says nothing else.
    is_all: bool,
    /// Whether every reader reads the same in it.
    is_unequivocal: bool,
}

fn read(bytes: &[u8]) -> Option<There> {
    let value = unequivocal::read(bytes);
    let is_unequivocal = value.is_some();
    let value = value.or_else(|| serde_json::from_slice(unequivocal::unmarked(bytes)).ok())?;
    let Value::Object(mut file) = value else { return None };
    let Some(Value::Object(attributes)) = file.remove(ATTRIBUTES) else { return None };
    let records = file.remove(STRUCTURE);
    Some(There { attributes, records, is_all: file.is_empty(), is_unequivocal })
}

/// Whether every reader reads the same in a file.
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    unequivocal::read(bytes).is_some()
}

/// The members of Bedrock's long form of a value, each with its type.
const MEMBERS: [(AttributeType, &str, &str); 4] = [
    (AttributeType::String, "STRING", "stringValue"),
    (AttributeType::Number, "NUMBER", "numberValue"),
    (AttributeType::Boolean, "BOOLEAN", "booleanValue"),
    (AttributeType::StringList, "STRING_LIST", "stringListValue"),
];

/// The value in Bedrock's long form, and whether it is embedded with the text.
fn plain(value: &Value) -> (&Value, bool) {
    let Some(inner) = value.get("value").filter(|inner| inner.is_object()) else { return (value, false) };
    let embedded = value.get("includeForEmbedding") == Some(&Value::Bool(true));
    let found = MEMBERS.iter().find_map(|(_, _, member)| inner.get(member));
    (found.unwrap_or(&Value::Null), embedded)
}

/// Whether every reader reads the same in a value: it is a plain one, or a long form with one member and its type.
fn is_clear(value: &Value) -> bool {
    let Some(long) = value.as_object() else { return true };
    let inner = value.get("value").and_then(Value::as_object);
    let says_one = |inner: &Map<String, Value>| {
        let is_member = |(_, name, member): &(_, &str, &str)| {
            inner.contains_key(*member) && inner.get("type").and_then(Value::as_str) == Some(name)
        };
        inner.len() == 2 && MEMBERS.iter().any(is_member)
    };
    let embedding = long.get("includeForEmbedding");
    inner.is_some_and(says_one)
        && embedding.is_none_or(Value::is_boolean)
        && long.len() == 1 + usize::from(embedding.is_some())
}

/// A value of the declared type, in the form in which we write it. The long form is used only where it says more.
fn typed(value: &Value, type_: AttributeType) -> Option<Value> {
    let (plain, embedded) = plain(value);
    let fits = |text: &Value| text.as_str().is_some_and(|text| TEXT.contains(&text.chars().count()));
    let is_taken = match type_ {
        AttributeType::String => fits(plain),
        AttributeType::Number => plain.as_f64().is_some_and(f64::is_finite),
        AttributeType::Boolean => plain.is_boolean(),
        AttributeType::StringList => {
            plain.as_array().is_some_and(|items| TEXTS.contains(&items.len()) && items.iter().all(fits))
        }
    };
    let (_, name, member) = MEMBERS.into_iter().find(|(of, ..)| *of == type_)?;
    is_taken.then(|| {
        if embedded {
            json!({"includeForEmbedding": true, "value": {member: plain, "type": name}})
        } else {
            plain.clone()
        }
    })
}

/// Another tenant that a value names.
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
        Rules { tenant_id_key: "tenantId".into(), attributes, max_bytes: MAX_SIDECAR }
    }

    fn of(there: &str) -> (String, Option<String>, usize) {
        let Sidecar { content, named, dropped, .. } = rules().sidecar("acme", Some(there.as_bytes()));
        let content = String::from_utf8(content).unwrap();
        let again = rules().sidecar("acme", Some(content.as_bytes()));
        assert_eq!(String::from_utf8(again.content).unwrap(), content, "what we write stays as it is");
        assert_eq!((again.named, again.dropped, again.is_there, again.is_lost), (None, 0, true, false));
        (content, named, dropped)
    }

    const BARE: &str = r#"{"metadataAttributes":{"tenantId":"acme"}}"#;

    /// A longer one would be left aside in silence there, and its document with it.
    #[test]
    fn where_the_vector_store_takes_less_attributes_are_dropped_sooner() {
        let of = |store, text: usize| {
            let there = format!(r#"{{"metadataAttributes":{{"kind":"{}"}}}}"#, "x".repeat(text));
            let rules = Rules { max_bytes: max_bytes(store), ..rules() };
            let Sidecar { content, dropped, is_lost, .. } = rules.sidecar("acme", Some(there.as_bytes()));
            assert!(content.len() <= rules.max_bytes, "{store}: {} bytes", content.len());
            (dropped, is_lost)
        };
        assert_eq!(
            (max_bytes(VectorStore::OpenSearchServerless), max_bytes(VectorStore::S3Vectors)),
            (MAX_SIDECAR, 1_024)
        );
        assert_eq!(of(VectorStore::OpenSearchServerless, 1_500), (0, false));
        assert_eq!(of(VectorStore::S3Vectors, 900), (0, false));
        assert_eq!(of(VectorStore::S3Vectors, 1_500), (1, true));
    }

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
    }

    /// Which column is the text and which are attributes, of what is there; `None` where all columns are text.
    fn columns(structure: Value) -> Option<(String, Vec<String>)> {
        let there = json!({"documentStructureConfiguration": structure, "metadataAttributes": {}});
        let (content, ..) = of(&there.to_string());
        let content: Value = serde_json::from_str(&content).unwrap();
        let based = &content.get(STRUCTURE)?["recordBasedStructureMetadata"];
        let names = |fields: &Value| -> Vec<String> {
            let name = |field: &Value| field["fieldName"].as_str().unwrap().to_owned();
            fields.as_array().unwrap().iter().map(name).collect()
        };
        let [text] = <[String; 1]>::try_from(names(&based["contentFields"])).unwrap();
        Some((text, names(&based["metadataFieldsSpecification"]["fieldsToInclude"])))
    }

    /// Excluded columns were embedded, found and answered, and rows could become other tenants'.
    #[test]
    fn columns_that_cannot_be_kept_as_wished_become_fewer_and_never_all() {
        let list = |names: &[&str]| names.iter().map(|name| json!({"fieldName": name})).collect::<Vec<_>>();
        let file = |content: Value, fields: Value| {
            json!({"type": "RECORD_BASED_STRUCTURE_METADATA",
                "recordBasedStructureMetadata": {"contentFields": content, "metadataFieldsSpecification": fields}})
        };
        let none = NO_COLUMN;
        for (content, fields, text, attributes) in [
            (&["text"][..], json!({"fieldsToInclude": list(&["kind"])}), "text", &["kind"][..]),
            (&["text"], json!({"fieldsToInclude": list(&["kind", "kind", "tenantId"])}), "text", &["kind"]),
            (&["text"], json!({"fieldsToExclude": list(&["secret"])}), "text", &["kind"]),
            (&["text"], json!({"fieldsToExclude": list(&["secret", "kind"])}), "text", &[none]),
            (&["text"], json!({}), "text", &["kind"]),
            (&["text"], json!({"fieldsToInclude": list(&["undeclared", "year"])}), "text", &[none]),
            (&["text"], json!({"fieldsToInclude": []}), "text", &[none]),
            (&["text"], json!({"fieldsToInclude": list(&["tenantId"])}), "text", &[none]),
            (&["kind"], json!({"fieldsToInclude": list(&["kind"])}), "kind", &[none]),
            (&["text", "more"], json!({"fieldsToInclude": list(&["kind"])}), "text", &["kind"]),
            (&["tenantId"], json!({"fieldsToInclude": list(&["kind"])}), none, &["kind"]),
            (&[], json!({"fieldsToExclude": list(&["secret"])}), none, &["kind"]),
        ] {
            let expected = (text.to_owned(), attributes.iter().map(|it| (*it).to_owned()).collect());
            let structure = file(list(content).into(), fields);
            assert_eq!(columns(structure.clone()), Some(expected), "{structure}");
        }
        let both = json!({"fieldsToInclude": list(&["kind"]), "fieldsToExclude": list(&["kind"])});
        assert_eq!(columns(file(list(&["text"]).into(), both)).unwrap().1, [none]);
        let unreadable = json!({"fieldsToExclude": [{"fieldname": "kind"}]});
        assert_eq!(columns(file(list(&["text"]).into(), unreadable)).unwrap().1, [none], "who knows which");
        for nothing in [json!({}), json!(7), json!({"type": "RECORD_BASED_STRUCTURE_METADATA"})] {
            assert_eq!(columns(nothing), None, "it names no column");
        }
        let long = "x".repeat(MAX_SIDECAR);
        let too_long = file(list(&["text"]).into(), json!({"fieldsToExclude": list(&["secret"])}));
        let too_long = json!({"documentStructureConfiguration": too_long, "metadataAttributes": {"topics": [&long[..2048], &long[..2048], &long[..2048], &long[..2048], &long[..2048]]}});
        let (content, _, dropped) = of(&too_long.to_string());
        assert!(content.contains(r#""contentFields":[{"fieldName":"text"}]"#) && dropped == 1, "{content}");
        let long = columns(file(list(&[&long]).into(), json!({"fieldsToInclude": list(&["kind"])})));
        assert_eq!(long, Some((none.into(), vec![none.into()])));
    }

    /// It would be refused with all that is in it: nobody would find the document.
    #[test]
    fn what_bedrock_does_not_take_does_not_travel_with_the_tenants_tag() {
        let text = |length: usize| "\u{fc}".repeat(length);
        let all = |attributes: Value| {
            let there = json!({"metadataAttributes": attributes}).to_string();
            let sidecar = rules().sidecar("acme", Some(there.as_bytes()));
            (sidecar.dropped, sidecar.is_lost, of(&there).0)
        };
        for (name, taken) in [
            ("kind", json!("x")),
            ("kind", json!(text(2048))),
            ("topics", json!(["a"])),
            ("topics", json!(vec!["a"; 10])),
            ("topics", json!([text(2048)])),
            ("year", json!(1.797e308)),
            ("year", json!(0)),
            ("final", json!(false)),
        ] {
            let (dropped, is_lost, content) = all(json!({name: taken}));
            assert!(dropped == 0 && !is_lost && content.contains(name), "{name}: {content}");
        }
        for (name, refused) in [
            ("kind", json!("")),
            ("kind", json!(text(2049))),
            ("topics", json!([])),
            ("topics", json!(vec!["a"; 11])),
            ("topics", json!(["a", ""])),
            ("topics", json!([text(2049)])),
            ("year", json!(null)),
        ] {
            let (type_, member) = match name {
                "kind" => ("STRING", "stringValue"),
                "topics" => ("STRING_LIST", "stringListValue"),
                _ => ("NUMBER", "numberValue"),
            };
            for value in [refused.clone(), json!({"value": {"type": type_, member: refused}})] {
                assert_eq!(
                    all(json!({name: value, "tenantId": "acme"})),
                    (1, true, BARE.into()),
                    "{name}: {value}"
                );
            }
        }
    }

    /// `aws s3 sync` would upload it again each time, and each time it would be processed again.
    #[test]
    fn a_file_that_only_looks_different_is_not_replaced_and_one_that_may_be_read_otherwise_is() {
        let kind = r#"{"value":{"type":"STRING","stringValue":"leave"},"includeForEmbedding":false}"#;
        let tag = r#"{"includeForEmbedding":false,"value":{"stringValue":"acme","type":"STRING"}}"#;
        for there in [
            r#"{"metadataAttributes":{"year":2026,"kind":"leave","tenantId":"acme"}}"#.to_owned(),
            "{\r\n  \"metadataAttributes\": {\r\n\t\"tenantId\": \"acme\", \"year\": 2026\r\n  }\r\n}\r\n"
                .into(),
            format!("\u{feff}{BARE}"),
            format!(r#"{{"metadataAttributes":{{"kind":{kind},"tenantId":{tag}}}}}"#),
            r#"{"metadataAttributes":{"tenantId":"\u0061cme"}}"#.into(),
        ] {
            let sidecar = rules().sidecar("acme", Some(there.as_bytes()));
            assert!(sidecar.is_there && !sidecar.is_lost && sidecar.named.is_none(), "{there}");
            assert!(!rules().sidecar("umbrella", Some(there.as_bytes())).is_there, "{there}");
        }
        // Nothing of it is lost, and yet it must be replaced.
        for there in [r#"{"metadataAttributes":{}}"#, r#"{"metadataAttributes":{"year":2026}}"#] {
            let sidecar = rules().sidecar("acme", Some(there.as_bytes()));
            assert!(!sidecar.is_there && !sidecar.is_lost, "{there}");
        }
        let long = |inner: &str| format!(r#"{{"metadataAttributes":{{"tenantId":{{"value":{inner}}}}}}}"#);
        for there in [
            r#"{"metadataAttributes":{"tenantId":"umbrella","tenantId":"acme"}}"#.to_owned(),
            r#"{"metadataAttributes":{"tenantId":"umbrella"},"metadataAttributes":{"tenantId":"acme"}}"#
                .into(),
            r#"{"metadataAttributes":{"tenantId":"acme","colour":"red"}}"#.into(),
            r#"{"metadataAttributes":{"tenantId":"acme"},"more":1}"#.into(),
            long(r#"{"type":"STRING","stringValue":"acme","stringListValue":["umbrella"]}"#),
            long(r#"{"type":"STRING_LIST","stringValue":"acme"}"#),
            long(r#"{"stringValue":"acme"}"#),
            "not JSON".into(),
            String::new(),
        ] {
            let sidecar = rules().sidecar("acme", Some(there.as_bytes()));
            assert!(!sidecar.is_there && sidecar.is_lost, "{there}");
        }
        for embedded in ["true", "\"false\""] {
            let there = long(r#"{"type":"STRING","stringValue":"acme"}"#);
            let there = there.replace("}}}}", &format!(r#"}},"includeForEmbedding":{embedded}}}}}}}"#));
            assert!(serde_json::from_str::<Value>(&there).is_ok(), "{there}");
            assert!(!rules().sidecar("acme", Some(there.as_bytes())).is_there, "{there}");
        }
        assert!(!rules().sidecar("acme", None).is_lost, "nothing was there");
    }

    #[test]
    fn what_would_be_too_long_keeps_its_tenant_alone() {
        let topics = vec!["x".repeat(2048); 5];
        let long = json!({"metadataAttributes": {"topics": topics, "year": 1}}).to_string();
        assert_eq!(of(&long), (BARE.into(), None, 2));
    }

    #[test]
    fn a_key_may_leave_no_room_for_a_sidecar() {
        assert_eq!(key_of(&"k".repeat(1010)).map(|key| key.len()), Some(1024));
        assert_eq!(key_of(&"k".repeat(1011)), None);
        assert!(is_document("pool/a/x") && !is_document("pool/a/") && !is_document("pool/a/x.metadata.json"));
    }
}
