//! The index of a ledger: it says which part counts for which keys.
//!
//! A ledger is kept in parts. So a change costs one part, and a review that is interrupted keeps what it has written. No part is
//! written over: a new part gets a new number, and the index, which is one object, says which parts count.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::tally::Tally;
use crate::stack::job::JobSummary;

/// The first line of an index. An index with another first line does not count, and everything is reviewed again.
const HEADER: &str = "tenantry ledger 2";

/// The keys after one key, up to another one, which is included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The key before the first; empty from the beginning.
    pub after: String,
    /// The last key; `None` to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl Span {
    /// All keys in a folder, whose name ends with a slash. The last key is the first one after the folder: the character after the
    /// slash is a zero.
    pub fn under(folder: &str) -> Self {
        Self { after: folder.into(), until: Some(format!("{}0", folder.trim_end_matches('/'))) }
    }

    /// Whether a key is in it.
    pub fn has(&self, key: &str) -> bool {
        key > self.after.as_str() && !self.is_before(key)
    }

    /// Whether the whole span comes before a key.
    pub fn is_before(&self, key: &str) -> bool {
        self.until.as_deref().is_some_and(|until| until < key)
    }

    /// The keys in both.
    pub fn and(&self, other: &Span) -> Option<Span> {
        let until = match (&self.until, &other.until) {
            (Some(one), Some(other)) => Some(one.min(other).clone()),
            (one, other) => one.clone().or(other.clone()),
        };
        let after = self.after.clone().max(other.after.clone());
        let is_empty = until.as_ref().is_some_and(|until| *until <= after);
        (!is_empty).then_some(Span { after, until })
    }

    /// The keys that are in none of the others.
    pub fn without<'a>(self, others: impl IntoIterator<Item = &'a Span>) -> Vec<Span> {
        others.into_iter().fold(vec![self], |rests, other| {
            let rest = |span: Span| {
                let before = Span { after: String::new(), until: Some(other.after.clone()) };
                let behind = other.until.clone().map(|after| Span { after, until: None });
                let before = (!other.after.is_empty()).then_some(before);
                [before, behind].into_iter().flatten().filter_map(move |it| it.and(&span)).collect::<Vec<_>>()
            };
            rests.into_iter().flat_map(rest).collect()
        })
    }
}

/// A part of a ledger, and the keys for which it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The keys.
    #[serde(flatten)]
    pub span: Span,
    /// The number of the part.
    pub part: u64,
    /// The description of the job that was started after it was written. `None`: none was yet.
    pub job: Option<String>,
}

impl Piece {
    /// Whether that job did start. It forgets what the part says to be gone.
    pub fn has_begun(&self, jobs: &[JobSummary]) -> bool {
        self.job.as_ref().is_some_and(|its| jobs.iter().any(|job| job.description == *its))
    }

    /// Whether that job, or a later one, has served what the part says.
    fn is_done(&self, newest_first: &[JobSummary]) -> bool {
        let its = |its: &String| newest_first.iter().position(|job| job.description == *its);
        let since = self.job.as_ref().and_then(its).map(|at| &newest_first[..=at]);
        since.is_some_and(|since| since.iter().any(|job| job.status == "COMPLETE"))
    }
}

/// What there was when a job was to start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The description of the job.
    job: String,
    /// How many documents,
    documents: u64,
    /// and how many bytes.
    bytes: u64,
}

/// See the [module](self). The pieces are in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    pieces: Vec<Piece>,
    /// What there was before the last job that came to an end, and before the one that was to follow.
    counted: Vec<Counted>,
    /// The number of the next part.
    next: u64,
    /// Whether tenants could write metadata files themselves when the last job began, and not everything was reviewed since.
    pub may_name_others: bool,
}

/// What an index has before its pieces.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    next: u64,
    may_name_others: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    counted: Vec<Counted>,
}

impl Index {
    /// Reads an index. One that cannot be read counts as empty.
    pub fn parse(text: &str) -> Self {
        let index = || {
            let mut lines = text.lines();
            lines.next().filter(|header| *header == HEADER)?;
            let Head { next, may_name_others, counted } = serde_json::from_str(lines.next()?).ok()?;
            let pieces = lines.map(serde_json::from_str).collect::<Result<_, _>>().ok()?;
            Some(Self { pieces, counted, next, may_name_others })
        };
        index().unwrap_or_default()
    }

    /// The index as text.
    pub fn text(&self) -> String {
        let line = |piece: &Piece| serde_json::json!(piece).to_string() + "\n";
        let Self { next, may_name_others, .. } = *self;
        let head = serde_json::json!(Head { next, may_name_others, counted: self.counted.clone() });
        format!("{HEADER}\n{head}\n{}", self.pieces.iter().map(line).collect::<String>())
    }

    /// The pieces that count for keys of a span, each with those keys.
    pub fn over(&self, span: &Span) -> Vec<Piece> {
        let pieces = self.pieces.iter();
        pieces.filter_map(|piece| Some(Piece { span: piece.span.and(span)?, ..piece.clone() })).collect()
    }

    /// A number that no part has had.
    pub fn take_number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// Lets another part count for a span's keys. Answers the numbers of the parts that do not count any more.
    pub fn replace(&mut self, span: &Span, part: u64) -> Vec<u64> {
        let before: Vec<_> = self.pieces.iter().map(|piece| piece.part).collect();
        let rests = |piece: &Piece| {
            let (piece, rests) = (piece.clone(), piece.span.clone().without([span]));
            rests.into_iter().map(move |span| Piece { span, ..piece.clone() })
        };
        let mut pieces: Vec<_> = self.pieces.iter().flat_map(rests).collect();
        pieces.push(Piece { span: span.clone(), part, job: None });
        pieces.sort_by(|one, other| one.span.after.cmp(&other.span.after));
        self.pieces = pieces;
        let counts: BTreeSet<_> = self.pieces.iter().map(|piece| piece.part).collect();
        before.into_iter().filter(|part| !counts.contains(part)).collect()
    }

    /// Whether no job has served something that it says.
    pub fn is_open(&self, newest_first: &[JobSummary]) -> bool {
        self.pieces.iter().any(|piece| !piece.is_done(newest_first))
    }

    /// Notes that a job is to start for everything that no job has served. Answers whether that changes the index.
    pub fn claim(&mut self, description: &str, jobs: &[JobSummary]) -> bool {
        let mut open: Vec<_> = self.pieces.iter_mut().filter(|piece| !piece.has_begun(jobs)).collect();
        open.iter_mut().for_each(|piece| piece.job = Some(description.into()));
        !open.is_empty()
    }

    /// Notes how much there is before a job that is to start.
    pub fn count(&mut self, description: &str, tally: Tally, newest_first: &[JobSummary]) {
        let last = self.last_counted(newest_first).cloned();
        let Tally { documents, bytes } = tally;
        let next = Counted { job: description.into(), documents, bytes };
        self.counted = last.into_iter().filter(|last| last.job != next.job).chain([next.clone()]).collect();
    }

    /// How much there was before the last job that came to an end, as far as that was noted.
    pub fn counted(&self, newest_first: &[JobSummary]) -> Option<Tally> {
        let Counted { documents, bytes, .. } = self.last_counted(newest_first)?;
        Some(Tally { documents: *documents, bytes: *bytes })
    }

    fn last_counted(&self, newest_first: &[JobSummary]) -> Option<&Counted> {
        let last = newest_first.iter().find(|job| job.status == "COMPLETE")?;
        self.counted.iter().find(|counted| counted.job == last.description)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn span(after: &str, until: &str) -> Span {
        Span { after: after.into(), until: (!until.is_empty()).then(|| until.into()) }
    }

    #[test]
    fn what_lies_beside_other_spans_is_found() {
        assert_eq!(span("b", "f").without([]), [span("b", "f")]);
        assert_eq!(span("b", "f").without([&span("c", "d")]), [span("b", "c"), span("d", "f")]);
        assert_eq!(span("b", "f").without([&span("a", "c"), &span("e", "")]), [span("c", "e")]);
        assert_eq!(span("b", "f").without([&span("", "")]), []);
        assert_eq!(Span::default().without([&span("c", "d")]), [span("", "c"), span("d", "")]);
    }

    #[test]
    fn an_index_comes_back_and_what_is_none_is_empty() {
        let mut index = Index { may_name_others: true, ..Index::default() };
        index.replace(&span("", "pool/a\n\"ü\""), 0);
        index.replace(&span("pool/a\n\"ü\"", ""), 1);
        index.claim("first", &[]);
        index.count("first", Tally { documents: 3, bytes: 7 }, &[]);
        assert_eq!(Index::parse(&index.text()), index);
        for none in
            ["", "tenantry ledger 1\n\"first\"\n", "tenantry ledger 2\n", "tenantry ledger 2\n7\nwhat?\n"]
        {
            assert_eq!(Index::parse(none), Index::default());
        }
    }

    fn job(description: &str, status: &str) -> JobSummary {
        JobSummary {
            id: "J".into(),
            status: status.into(),
            description: description.into(),
            started: Timestamp::UNIX_EPOCH,
            updated: Timestamp::UNIX_EPOCH,
            statistics: Default::default(),
        }
    }

    #[test]
    fn how_much_there_was_is_that_of_the_last_job_that_came_to_an_end() {
        let (mut index, some) = (Index::default(), |bytes| Tally { documents: 1, bytes });
        index.count("one", some(1), &[]);
        assert_eq!(index.counted(&[]), None, "it never started");
        let mut jobs = vec![job("one", "COMPLETE")];
        assert_eq!(index.counted(&jobs), Some(some(1)));
        for (n, status) in [(2, "FAILED"), (3, "IN_PROGRESS")] {
            let description = n.to_string();
            index.count(&description, some(n), &jobs);
            jobs.insert(0, job(&description, status));
            assert_eq!((index.counted(&jobs), index.counted.len()), (Some(some(1)), 2), "{status}");
        }
        jobs[0].status = "COMPLETE".into();
        assert_eq!(Index::parse(&index.text()).counted(&jobs), Some(some(3)));
    }

    #[test]
    fn what_no_job_has_made_true_is_open_and_the_next_one_is_for_it() {
        let mut index = Index::default();
        assert!(!index.is_open(&[]));
        index.replace(&span("", "m"), 0);
        assert!(index.is_open(&[]));
        assert!(index.claim("one", &[]));
        assert!(index.is_open(&[]), "it did not come");
        let (mut failed, complete) = (vec![job("one", "FAILED")], job("two", "COMPLETE"));
        assert!(index.is_open(&failed));
        index.replace(&span("m", ""), 1);
        assert!(index.claim("two", &failed), "the second part has had none");
        assert_eq!(index.pieces[0].job.as_deref(), Some("one"), "it was started");
        failed.insert(0, complete);
        assert!(!index.is_open(&failed), "one after it has done all");
        assert!(!index.claim("three", &failed));
    }

    proptest! {
        /// Whatever is replaced in whatever order, each key is spoken for by the last part that was written for it.
        #[test]
        fn for_each_key_the_last_part_counts(spans in prop::collection::vec((0..9_u8, 0..10_u8), 0..12)) {
            let key = |n: u8| char::from(b'a' + n).to_string();
            let (mut index, mut last) = (Index::default(), [None; 9]);
            for (after, length) in spans {
                let until = (after + length < 9).then(|| key(after + length));
                let span = Span { after: if after == 0 { String::new() } else { key(after - 1) }, until };
                let part = index.take_number();
                index.replace(&span, part);
                for n in 0..9 {
                    if span.has(&key(n)) {
                        last[usize::from(n)] = Some(part);
                    }
                }
                prop_assert_eq!(&Index::parse(&index.text()), &index);
            }
            for n in 0..9 {
                let counts: Vec<_> = index.over(&Span::default());
                let of_it: Vec<_> = counts.iter().filter(|piece| piece.span.has(&key(n))).collect();
                prop_assert!(of_it.len() <= 1);
                prop_assert_eq!(of_it.first().map(|piece| piece.part), last[usize::from(n)]);
            }
        }
    }
}
