//! The ledger: what reviews have seen and put right, one line an object, in the listing's order. It is kept in parts
//! ([`index`](super::index)).
//!
//! A listing is compared with it as it comes, so that memory does not grow with the number of documents: what is the same
//! in both was right then and is right now.

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use super::sidecar;
use crate::aws::Object;

/// What tells an object from what its key named before: twelve characters for its ETag and its size. S3 gives a new ETag to
/// every write under KMS, and elsewhere the same one to the same content.
pub type Mark = String;

/// The mark of an object.
pub fn mark(etag: &str, size: u64) -> Mark {
    BASE64URL_NOPAD.encode(&Sha256::digest(format!("{}\n{size}", etag.trim_matches('"')))[..9])
}

impl Object {
    /// The mark of an object as a listing shows it.
    pub fn mark(&self) -> Mark {
        mark(&self.etag, self.bytes())
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.size).unwrap_or(0)
    }
}

/// An object in a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Which of all that the key may have named; [`ABSENT`] if there should be something, and nothing is, and [`GONE`]
    /// if there was. It begins with [`UNREAD`] if nobody has looked into it.
    pub mark: Mark,
    /// Why the review could not do with it what it had to. It is tried again by each review.
    pub skipped: Option<String>,
}

/// The mark of what is not there.
pub const ABSENT: &str = "-";
/// The mark of what was there, until a job is started that forgets it.
pub const GONE: &str = "gone";
/// The first character of the mark of a metadata file that has no document: a document that comes to lie beside it must not
/// find it trusted.
pub const UNREAD: char = '~';

impl Entry {
    /// One with which all is well.
    pub fn new(key: String, mark: Mark) -> Self {
        Self { key, mark, skipped: None }
    }

    /// As a line, with its end. The key is in quotes, because it may hold anything.
    pub fn line(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let skipped = self.skipped.as_ref().map(|why| format!(" {}", quoted(why))).unwrap_or_default();
        format!("{} {}{skipped}\n", self.mark, quoted(&self.key))
    }

    /// Reads a line.
    pub fn parse(line: &str) -> Option<Self> {
        let (mark, rest) = line.split_once(' ')?;
        let mut texts = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        let key = texts.next()?.ok()?;
        Some(Self { key, mark: mark.into(), skipped: texts.next().transpose().ok()? })
    }

    /// One that nobody has looked into.
    pub fn unread(self) -> Self {
        Self { mark: format!("{UNREAD}{}", self.mark), ..self }
    }

    /// One that is gone.
    pub fn gone(key: String) -> Self {
        Self::new(key, GONE.into())
    }

    /// Whether it stands for something that is there.
    pub fn is_there(&self) -> bool {
        self.mark != ABSENT && self.mark != GONE
    }

    /// Whether it stands for the same object as another, read or unread.
    pub fn is_same(&self, other: &Entry) -> bool {
        self.mark.trim_start_matches(UNREAD) == other.mark.trim_start_matches(UNREAD)
    }
}

/// An object of a listing, compared with the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The object.
    pub entry: Entry,
    /// Whether the ledger has the same, and all was well with it.
    pub same: bool,
}

/// A document and the metadata file beside it, found together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The document.
    pub document: Listed,
    /// The file beside it, if it is there, or may be.
    pub sidecar: Option<Listed>,
}

impl Pair {
    /// Whether both are as they were when both were right. The file alone may be one that nobody has looked into, because its
    /// document was not there.
    pub fn is_same(&self) -> bool {
        self.document.same && self.sidecar.as_ref().is_some_and(|sidecar| sidecar.same)
    }
}

/// Finds the metadata file of each document as a listing goes by.
///
/// A document's file comes after it, but not at once: what begins with the document's key may lie between. So what waits
/// is a chain of keys, each the beginning of the next, and never longer than a key.
#[derive(Clone, Debug, Default)]
pub struct Pairing {
    waiting: Vec<Listed>,
}

impl Pairing {
    /// The next object of the listing: what is now known of the documents before it, in the order of their metadata
    /// files' keys. A metadata file without a document is nobody's.
    pub fn next(&mut self, listed: Listed) -> Vec<Pair> {
        let key = listed.entry.key.clone();
        let mut known = self.before(&key);
        if sidecar::is_document(&key) {
            self.waiting.push(listed);
        } else if let Some(at) = self.waiting.iter().position(|document| document.file() == key) {
            known.push(Pair { document: self.waiting.remove(at), sidecar: Some(listed) });
        }
        known
    }

    /// The listing has come to its end.
    pub fn end(mut self) -> Vec<Pair> {
        self.without(|_| true)
    }

    /// The documents whose file would have come before a key.
    pub fn before(&mut self, key: &str) -> Vec<Pair> {
        self.without(|file| file.as_str() < key)
    }

    /// The documents whose file would have come by now.
    fn without(&mut self, passed: impl Fn(&String) -> bool) -> Vec<Pair> {
        let mut known: Vec<_> = self.waiting.extract_if(.., |document| passed(&document.file())).collect();
        known.sort_by_key(Listed::file);
        known.into_iter().map(|document| Pair { document, sidecar: None }).collect()
    }
}

impl Listed {
    /// The key of the metadata file beside it, whether or not a key can be so long.
    pub fn file(&self) -> String {
        format!("{}{}", self.entry.key, sidecar::SUFFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(key: &str, same: bool) -> Listed {
        Listed { entry: Entry::new(key.into(), mark("e", 1)), same }
    }

    #[test]
    fn a_line_comes_back_whatever_the_key() {
        for key in ["pool/a/x.md", "pool/a/two words\n\"ü\"\u{1}.txt", "", "documents/ "] {
            for skipped in [None, Some("s3:CopyObject: \"no\"\nway".to_string())] {
                let entry = Entry { skipped, ..Entry::new(key.into(), mark("\"9a\"", 7)) };
                let line = entry.line();
                assert_eq!(line.matches('\n').count(), 1, "{line:?}");
                assert_eq!(Entry::parse(line.trim_end_matches('\n')), Some(entry));
            }
        }
        assert_eq!(Entry::parse("tenantry ledger 1"), None);
        assert_eq!(mark("\"9a\"", 7), mark("9a", 7));
        assert_ne!(mark("9a", 7), mark("9a", 8));
        assert_eq!(mark("9a", 7).len(), 12);
    }

    /// What a simple map finds, for all small sets of keys that are made of the characters around a dot.
    #[test]
    fn every_document_finds_its_file_and_the_order_stays() {
        let mut keys: Vec<String> = Vec::new();
        for name in ["a", "a-", "a-b", "a.", "a.metadata", "a/b", "ab"] {
            keys.push(name.into());
            keys.push(format!("{name}{}", sidecar::SUFFIX));
        }
        for chosen in 0..1_u32 << keys.len() {
            let mut listing: Vec<&String> =
                keys.iter().enumerate().filter(|(n, _)| chosen & (1 << n) != 0).map(|(_, key)| key).collect();
            listing.sort();
            let mut pairing = Pairing::default();
            let mut found: Vec<Pair> =
                listing.iter().flat_map(|key| pairing.next(listed(key, true))).collect();
            found.extend(pairing.end());
            let files: Vec<_> = found.iter().map(|pair| pair.document.file()).collect();
            assert!(files.is_sorted(), "{files:?}");
            let documents = listing.iter().filter(|key| sidecar::is_document(key)).count();
            assert_eq!(found.len(), documents);
            for pair in &found {
                assert_eq!(pair.sidecar.is_some(), listing.contains(&&pair.document.file()), "{pair:?}");
            }
        }
    }
}
