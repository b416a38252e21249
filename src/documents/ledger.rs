//! The ledger: what reviews have seen and put right. It has a line for each object, in the order of the listing, and is kept in
//! parts ([`index`](super::index)).
//!
//! A review compares the listing with the ledger page by page, so memory does not grow with the number of documents. An object
//! that is the same in both was right at the last review, and still is.

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use super::sidecar;
use crate::aws::Object;

/// Tells an object from an earlier one under its key: twelve characters for its ETag and its size. Under KMS each write has a new
/// ETag. Without, the same content has the same ETag.
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

    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.size).unwrap_or(0)
    }
}

/// An object in a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Its mark. It is [`ABSENT`] if the object should exist and does not, and [`GONE`] if it did exist. It begins with
    /// [`UNREAD`] if no review has read the object.
    pub mark: Mark,
    /// Why the review could not handle it. Each review tries again.
    pub skipped: Option<String>,
}

/// The mark of an object that does not exist.
pub const ABSENT: &str = "-";
/// The mark of an object that is gone, until a job starts that forgets it.
pub const GONE: &str = "gone";
/// The first character of the mark of a metadata file without a document. The file must be read when its document comes.
pub const UNREAD: char = '~';

impl Entry {
    /// An object that is as it should be.
    pub fn new(key: String, mark: Mark) -> Self {
        Self { key, mark, skipped: None }
    }

    /// The line, with its end. The key is quoted, because it may have any character.
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

    /// The same, for an object that no review has read.
    pub fn unread(self) -> Self {
        Self { mark: format!("{UNREAD}{}", self.mark), ..self }
    }

    /// An object that is gone.
    pub fn gone(key: String) -> Self {
        Self::new(key, GONE.into())
    }

    /// Whether the object exists.
    pub fn is_there(&self) -> bool {
        self.mark != ABSENT && self.mark != GONE
    }

    /// Whether another entry is of the same object, read or unread.
    pub fn is_same(&self, other: &Entry) -> bool {
        self.mark.trim_start_matches(UNREAD) == other.mark.trim_start_matches(UNREAD)
    }
}

/// An object of a listing, compared with the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The object.
    pub entry: Entry,
    /// Whether the ledger has the same object, and it was as it should be.
    pub same: bool,
    /// How many bytes it has.
    pub bytes: u64,
}

/// A document and its metadata file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The document.
    pub document: Listed,
    /// The metadata file, if it exists or may exist.
    pub sidecar: Option<Listed>,
}

impl Pair {
    /// Whether both are unchanged since both were right. An unchanged file is not enough: no review reads a file without a
    /// document.
    pub fn is_same(&self) -> bool {
        self.document.same && self.sidecar.as_ref().is_some_and(|sidecar| sidecar.same)
    }
}

/// Finds the metadata file of each document as a listing goes by.
///
/// A document's file comes after the document. Between them come other keys that begin with the document's key. So the documents
/// that wait for their file are a chain in which each key begins the next, and the chain is no longer than a key.
#[derive(Clone, Debug, Default)]
pub struct Pairing {
    waiting: Vec<Listed>,
}

impl Pairing {
    /// Takes the next object of the listing. Answers the documents before it whose file was found or cannot come any more, in the
    /// order of the files' keys. A metadata file without a document is left out.
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

    /// The listing is at its end: answers the documents that still wait.
    pub fn end(mut self) -> Vec<Pair> {
        self.without(|_| true)
    }

    /// The documents whose file would come before a key.
    pub fn before(&mut self, key: &str) -> Vec<Pair> {
        self.without(|file| file.as_str() < key)
    }

    /// The documents whose file would have come already.
    fn without(&mut self, passed: impl Fn(&String) -> bool) -> Vec<Pair> {
        let mut known: Vec<_> = self.waiting.extract_if(.., |document| passed(&document.file())).collect();
        known.sort_by_key(Listed::file);
        known.into_iter().map(|document| Pair { document, sidecar: None }).collect()
    }
}

impl Listed {
    /// The key of its metadata file, even if it is too long for a key.
    pub fn file(&self) -> String {
        format!("{}{}", self.entry.key, sidecar::SUFFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(key: &str, same: bool) -> Listed {
        Listed { entry: Entry::new(key.into(), mark("e", 1)), same, bytes: 1 }
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
