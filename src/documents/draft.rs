//! The next ledger, which a review writes part by part. A part that says the same as the last ledger is not written. So a review
//! that finds no change writes nothing.

use std::collections::VecDeque;

use super::index::{Index, Span};
use super::known::part_key;
use super::ledger::Entry;
use crate::aws::Aws;
use crate::stack::fault::Fault;

/// A part with fewer lines that must be written takes the next part's lines too.
const FEW: usize = 10_000;
/// The most lines of a part.
const MANY: usize = 20_000;

/// See the [module](self).
pub struct Draft {
    /// The key after which the lines begin.
    after: String,
    /// The last key that it may have.
    until: Option<String>,
    lines: String,
    count: usize,
    /// What the last ledger says of these keys: lines that were read and are not compared yet.
    last: VecDeque<Entry>,
    differs: bool,
    /// Where parts of the last ledger end.
    ends: VecDeque<String>,
}

/// Where parts are written, and which of them count.
pub struct Store<'a> {
    pub aws: &'a Aws,
    pub bucket: &'a str,
    pub ledger: &'a str,
    pub index: &'a mut Index,
    /// Parts that do not count any more, or never have.
    pub superseded: &'a mut Vec<u64>,
}

impl Draft {
    /// Begins a span. `ends` are the last keys of the last ledger's parts.
    pub fn new(span: &Span, ends: impl IntoIterator<Item = String>) -> Self {
        let (Span { after, until }, ends) = (span.clone(), ends.into_iter().collect());
        Self { after, until, lines: String::new(), count: 0, last: VecDeque::new(), differs: false, ends }
    }

    /// What the last ledger says next.
    pub fn last(&mut self, entry: Entry) {
        self.last.push_back(entry);
    }

    /// Adds the next line. A line outside of the span is left out.
    pub async fn line(&mut self, store: &mut Store<'_>, entry: &Entry) -> Result<(), Fault> {
        if self.until.as_ref().is_some_and(|until| *until < entry.key) {
            return Ok(());
        }
        while let Some(end) = self.ends.pop_front_if(|end| end.as_str() < entry.key.as_str()) {
            self.cut(store, end, FEW).await?;
        }
        self.until(&entry.key);
        let last = self.last.pop_front_if(|last| last.key == entry.key);
        self.differs |= last.as_ref() != Some(entry);
        self.lines.push_str(&entry.line());
        self.count += 1;
        if self.count >= MANY {
            self.cut(store, entry.key.clone(), 0).await?;
        }
        Ok(())
    }

    /// The lines of the last ledger before a key that are not in this one.
    fn until(&mut self, key: &str) {
        while self.last.pop_front_if(|last| last.key.as_str() < key).is_some() {
            self.differs = true;
        }
    }

    /// Nothing is added any more up to this key. Lines that differ are written if there are so many, and else kept for the next
    /// part.
    async fn cut(&mut self, store: &mut Store<'_>, key: String, at_least: usize) -> Result<(), Fault> {
        self.until(&key);
        self.differs |= self.last.pop_front_if(|last| last.key == key).is_some();
        if self.differs && self.count < at_least {
            return Ok(());
        }
        self.end(store, Some(key.clone())).await?;
        self.after = key;
        Ok(())
    }

    /// Ends the span with this key. Lines that differ are written.
    pub async fn end(&mut self, store: &mut Store<'_>, until: Option<String>) -> Result<(), Fault> {
        match &until {
            Some(until) => {
                let key = until.clone();
                self.until(&key);
                self.differs |= self.last.pop_front_if(|last| last.key == key).is_some();
            }
            None => self.differs |= !std::mem::take(&mut self.last).is_empty(),
        }
        let lines = std::mem::take(&mut self.lines);
        self.count = 0;
        if std::mem::take(&mut self.differs) {
            let part = store.index.take_number();
            let key = part_key(store.ledger, part);
            store
                .aws
                .objects
                .put(store.bucket, &key, lines.into_bytes(), "text/plain; charset=utf-8")
                .await?;
            let span = Span { after: self.after.clone(), until };
            store.superseded.extend(store.index.replace(&span, part));
        }
        Ok(())
    }

    /// Goes on behind a key.
    pub fn skip(&mut self, key: &str) {
        self.after = key.into();
        while self.ends.pop_front_if(|end| end.as_str() <= key).is_some() {}
    }
}
