//! What a ledger says of a span of keys, read a part at a time.

use std::collections::VecDeque;

use super::index::{Index, Piece};
use super::ledger::{Entry, GONE};
use crate::aws::Aws;
use crate::stack::fault::Fault;
use crate::stack::job::JobSummary;

/// How long an index may be: some thousand parts, which are tens of millions of objects.
const MAX_INDEX: u64 = 16 << 20;

/// The key of an index, and where its parts lie.
pub fn index_key(ledger: &str) -> String {
    format!("{ledger}/index")
}

/// The key of a part.
pub fn part_key(ledger: &str, part: u64) -> String {
    format!("{ledger}/{part}")
}

/// The index of a ledger, which is empty where there is none.
pub async fn index(aws: &Aws, bucket: &str, ledger: &str) -> Result<Index, Fault> {
    let text = aws.objects.get(bucket, &index_key(ledger), MAX_INDEX).await?;
    Ok(text.map(|text| Index::parse(&String::from_utf8_lossy(&text))).unwrap_or_default())
}

/// See the [module](self).
pub struct Known<'a> {
    aws: &'a Aws,
    bucket: &'a str,
    ledger: &'a str,
    jobs: &'a [JobSummary],
    pieces: VecDeque<Piece>,
    entries: VecDeque<Entry>,
}

impl<'a> Known<'a> {
    /// All that it says of a span. What is gone is told again until a job was started that forgets it.
    pub fn new(
        aws: &'a Aws,
        bucket: &'a str,
        ledger: &'a str,
        jobs: &'a [JobSummary],
        pieces: Vec<Piece>,
    ) -> Self {
        Self { aws, bucket, ledger, jobs, pieces: pieces.into(), entries: VecDeque::new() }
    }

    /// The next entry, in the order of their keys.
    pub async fn next(&mut self) -> Result<Option<Entry>, Fault> {
        Ok(self.peek().await?.is_some().then(|| self.entries.pop_front()).flatten())
    }

    /// The same, and it stays the next.
    pub async fn peek(&mut self) -> Result<Option<&Entry>, Fault> {
        while self.entries.is_empty()
            && let Some(piece) = self.pieces.pop_front()
        {
            self.entries = self.read(&piece).await?;
        }
        Ok(self.entries.front())
    }

    /// Goes on behind a key.
    pub fn skip(&mut self, key: &str) {
        while self.entries.pop_front_if(|entry| entry.key.as_str() <= key).is_some() {}
        let is_over = |piece: &mut Piece| piece.span.until.as_deref().is_some_and(|until| until <= key);
        while self.pieces.pop_front_if(is_over).is_some() {}
        if let Some(Piece { span, .. }) = self.pieces.front_mut()
            && span.after.as_str() < key
        {
            span.after = key.into();
        }
    }

    /// A part's lines. One that cannot be read ends it: what follows counts as new.
    async fn read(&self, piece: &Piece) -> Result<VecDeque<Entry>, Fault> {
        let (mut entries, has_begun) = (VecDeque::new(), piece.has_begun(self.jobs));
        let Some(mut lines) = self.aws.objects.lines(self.bucket, &part_key(self.ledger, piece.part)).await?
        else {
            return Ok(entries);
        };
        while let Some(entry) = lines.next().await?.as_deref().and_then(Entry::parse) {
            let is_over = has_begun && entry.mark == GONE;
            if piece.span.has(&entry.key) && !is_over {
                entries.push_back(entry);
            }
        }
        Ok(entries)
    }
}
