//! Whose a tenantId is, as the installation's own bucket says it: one record an id, and a lock that says which cluster
//! works with them.
//!
//! S3 decides who writes: each write goes over nothing, or over the version that was read. Each body has a nonce of its
//! own, so whoever is refused, or has no answer, reads what is there and knows whether it was its own write.

pub(crate) mod bucket;
#[cfg(test)]
pub(crate) mod in_memory;
pub(crate) mod lock;
mod shelf;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::shelf::{S3, Shelf};
use crate::api::Reason;
use crate::aws::{Over, Put};
use crate::stack::fault::Fault;
use crate::stack::layout::{RECORDS, record_key, recorded_id};
use crate::stack::record::Record;

/// Why the records do not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// S3 does not let us at the moment.
    #[error("The records of tenantIds do not answer: {0}")]
    Away(Fault),
    /// What was there is gone.
    #[error(
        "{0} is gone, and with it whose tenantIds are. Nobody new gets an id, and nothing that is borrowed is deleted. \
         Restore it from a backup or an earlier version, or start the operator once with --rebuild-records"
    )]
    Lost(String),
    /// What was there before there were records has none yet.
    #[error("Existing tenantIds are being recorded; this continues when that is done{0}")]
    Incomplete(String),
    /// Others write it as often as we do.
    #[error("The record of this tenantId is being written by others at the same moment")]
    Contended,
    /// What is there is no record.
    #[error("{key} in the installation's bucket cannot be read: {why}. Restore an earlier version of it")]
    Unreadable {
        /// Its key.
        key: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Trouble {
    /// What a condition gives as its reason.
    pub fn reason(&self) -> Reason {
        match self {
            Trouble::Away(fault) => fault.class.needs_person().unwrap_or(Reason::WaitingForRecords),
            Trouble::Incomplete(_) | Trouble::Contended => Reason::WaitingForRecords,
            Trouble::Lost(_) | Trouble::Unreadable { .. } => Reason::RecordsLost,
        }
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        match fault.code.as_str() {
            "NoSuchBucket" => Trouble::Lost("The installation's bucket".into()),
            _ => Trouble::Away(fault),
        }
    }
}

/// Something that lies in the bucket, and which version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<T> {
    /// What it says.
    pub says: T,
    /// Its ETag.
    pub etag: String,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrote<T> {
    /// It is there.
    Done(Kept<T>),
    /// Something else is there, or nothing.
    Other(Option<Kept<T>>),
}

/// Something with a nonce.
pub trait Unique: Serialize + DeserializeOwned {
    /// The nonce.
    fn nonce(&self) -> &str;
    /// The same with another.
    fn with_nonce(self, nonce: String) -> Self;
}

impl Unique for Record {
    fn nonce(&self) -> &str {
        &self.nonce
    }

    fn with_nonce(self, nonce: String) -> Self {
        Self { nonce, ..self }
    }
}

/// The records of an installation. Clones are the same ones.
#[derive(Clone)]
pub struct Records(Arc<dyn Shelf>);

impl Records {
    /// Those that lie there.
    pub fn new(shelf: Arc<dyn Shelf>) -> Self {
        Self(shelf)
    }

    /// The record of a tenantId.
    pub async fn get(&self, tenant_id: &str) -> Result<Option<Kept<Record>>, Trouble> {
        let kept: Option<Kept<Record>> = self.read(&record_key(tenant_id)).await?;
        kept.map(|kept| speaks_of(tenant_id, kept)).transpose()
    }

    /// Writes a record over nothing, or over a version of it.
    pub async fn put(&self, record: Record, over: Option<&str>) -> Result<Wrote<Record>, Trouble> {
        let tenant_id = record.tenant_id.clone();
        match self.write(&record_key(&tenant_id), record, over).await? {
            Wrote::Other(Some(there)) => Ok(Wrote::Other(Some(speaks_of(&tenant_id, there)?))),
            wrote => Ok(wrote),
        }
    }

    /// All tenantIds that have a record, with its ETag. A thousand cost one call.
    pub async fn list(&self) -> Result<Vec<(String, String)>, Trouble> {
        let all = self.0.list(RECORDS).await?;
        Ok(all.into_iter().filter_map(|(key, etag)| Some((recorded_id(&key)?.to_owned(), etag))).collect())
    }

    async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<Kept<T>>, Trouble> {
        let Some(content) = self.0.get(key).await? else { return Ok(None) };
        match serde_json::from_slice(&content.bytes) {
            Ok(says) => Ok(Some(Kept { says, etag: content.etag })),
            Err(error) => Err(Trouble::Unreadable { key: key.into(), why: error.to_string() }),
        }
    }

    async fn write<T: Unique>(&self, key: &str, says: T, over: Option<&str>) -> Result<Wrote<T>, Trouble> {
        let nonce = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let says = says.with_nonce(nonce.clone());
        let content = serde_json::to_vec_pretty(&says).unwrap_or_default();
        let put = self.0.put(key, content, over.map_or(Over::Nothing, Over::Version)).await;
        let unanswered = match put {
            Ok(Put::Written(etag)) => return Ok(Wrote::Done(Kept { says, etag })),
            Ok(Put::Missing) => return Err(Trouble::Lost(format!("{key} in the installation's bucket"))),
            Ok(Put::Refused) => None,
            // It may have been written all the same.
            Err(fault) if fault.class.may_have_happened() => Some(fault),
            Err(fault) => return Err(fault.into()),
        };
        let there: Option<Kept<T>> = self.read(key).await?;
        match (there, unanswered) {
            (Some(there), _) if there.says.nonce() == nonce => Ok(Wrote::Done(there)),
            (_, Some(fault)) => Err(Trouble::Away(fault)),
            // What was refused has since gone again.
            (None, None) if over.is_some() => {
                Err(Trouble::Lost(format!("{key} in the installation's bucket")))
            }
            (there, None) => Ok(Wrote::Other(there)),
        }
    }
}

/// A record that lies where that of another id should tells nothing of either.
fn speaks_of(tenant_id: &str, kept: Kept<Record>) -> Result<Kept<Record>, Trouble> {
    if kept.says.tenant_id == tenant_id {
        return Ok(kept);
    }
    let why = format!("it speaks of tenantId '{}'", kept.says.tenant_id);
    Err(Trouble::Unreadable { key: record_key(tenant_id), why })
}
