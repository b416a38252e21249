//! The index of a ledger while a review changes it, and the index that is in the bucket.

use super::draft::Store;
use super::index::Index;
use super::known::{self, index_key, part_key};
use super::scope::Scope;
use crate::aws::Aws;
use crate::stack::fault::Fault;

/// See the [module](self).
#[derive(Debug)]
pub struct LedgerIndex {
    /// What counts once it is saved.
    pub index: Index,
    /// What is in the bucket.
    saved: Index,
    /// Parts that do not count any more once the index is saved.
    superseded: Vec<u64>,
}

impl LedgerIndex {
    /// As it is in the bucket.
    pub async fn read(aws: &Aws, scope: &Scope<'_>) -> Result<Self, Fault> {
        let index = known::index(aws, scope.bucket, scope.ledger).await?;
        Ok(Self { saved: index.clone(), index, superseded: Vec::new() })
    }

    /// Where parts of the next ledger are written.
    pub fn store<'a>(&'a mut self, aws: &'a Aws, scope: &'a Scope<'_>) -> Store<'a> {
        let Self { index, superseded, .. } = self;
        Store { aws, bucket: scope.bucket, ledger: scope.ledger, index, superseded }
    }

    /// Saves it, if it has changed. What has been gone over counts from then on, also for another process.
    pub async fn save(&mut self, aws: &Aws, scope: &Scope<'_>) -> Result<(), Fault> {
        if self.index == self.saved {
            return Ok(());
        }
        let (key, text) = (index_key(scope.ledger), self.index.text().into_bytes());
        aws.objects.put(scope.bucket, &key, text, "text/plain; charset=utf-8").await?;
        self.saved = self.index.clone();
        let keys: Vec<_> = self.superseded.drain(..).map(|part| part_key(scope.ledger, part)).collect();
        for keys in keys.chunks(1_000) {
            // Nothing reads a part that stays. It goes with its owner.
            if let Err(fault) = aws.objects.delete(scope.bucket, keys).await {
                tracing::debug!(%fault, "parts of a ledger that do not count stay");
            }
        }
        Ok(())
    }
}
