//! How much a job would have to index, and which documents must wait for a later job. AWS limits what a job takes. The documents
//! of a pool are one job: if it is too large, it fails for all tenants.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{AddAssign, Sub};

use jiff::Timestamp;

use crate::stack::job::JobSummary;

/// A number of files and of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// How many files, metadata files included.
    pub files: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Size {
    /// AWS's limits for one job: 5,000,000 files and 100 GB are added or changed.
    /// <https://docs.aws.amazon.com/general/latest/gr/bedrock.html>
    pub const OF_A_JOB: Self = Self { files: 5_000_000, bytes: 100_000_000_000 };

    fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

impl AddAssign for Size {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

impl Sub for Size {
    type Output = Self;

    /// What is above the other size, if anything is.
    fn sub(self, other: Self) -> Self {
        Self { files: self.files.saturating_sub(other.files), bytes: self.bytes.saturating_sub(other.bytes) }
    }
}

/// For each tenant so many minutes are counted apart: a week.
const MINUTES: usize = 7 * 24 * 60;

/// What the next job has to index, by tenant and by the minute in which it was written. Memory grows with the number of minutes,
/// and not with that of files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added(BTreeMap<String, BTreeMap<i64, Size>>);

/// By tenant: the next job takes documents that were written until then. Of other tenants it takes all.
pub type Cuts = BTreeMap<String, Timestamp>;

impl Added {
    /// Adds a tenant's document with its metadata file.
    pub fn add(&mut self, tenant: &str, written: Timestamp, bytes: u64) {
        let minutes = match self.0.get_mut(tenant) {
            Some(minutes) => minutes,
            None => self.0.entry(tenant.into()).or_default(),
        };
        *minutes.entry(minute_of(written)).or_default() += Size { files: 2, bytes };
        // The oldest minutes are counted together.
        if minutes.len() > MINUTES
            && let Some((_, oldest)) = minutes.pop_first()
            && let Some(mut next) = minutes.first_entry()
        {
            *next.get_mut() += oldest;
        }
    }

    /// Takes out a document that waits for a later job.
    pub fn take(&mut self, tenant: &str, written: Timestamp, bytes: u64) {
        if let Some(size) = self.0.get_mut(tenant).and_then(|it| it.get_mut(&minute_of(written))) {
            *size = *size - Size { files: 2, bytes };
        }
    }

    /// Which documents must wait: the newest of the largest tenant, and then of the next one, until a job takes the rest.
    pub fn cuts(&self, limit: Size) -> Cuts {
        let of = |minutes: &BTreeMap<i64, Size>| {
            minutes.values().fold(Size::default(), |mut all, it| {
                all += *it;
                all
            })
        };
        let sizes: Vec<_> = self.0.iter().map(|(tenant, minutes)| (tenant, minutes, of(minutes))).collect();
        let mut all = Size::default();
        sizes.iter().for_each(|(_, _, size)| all += *size);
        let (mut cuts, mut cut, mut left) = (Cuts::new(), BTreeSet::new(), all);
        while !(left - limit).is_nothing() {
            let over = left - limit;
            let largest = |size: &Size| if over.files > 0 { size.files } else { size.bytes };
            let rest = sizes.iter().filter(|(tenant, ..)| !cut.contains(tenant));
            let Some((tenant, minutes, _)) =
                rest.max_by_key(|(tenant, _, size)| (largest(size), Reverse(*tenant)))
            else {
                break;
            };
            cut.insert(tenant);
            for (minute, size) in minutes.iter().rev() {
                left = left - *size;
                let since = Timestamp::from_second(minute * 60).unwrap_or(Timestamp::MIN);
                cuts.insert((*tenant).clone(), since);
                if (left - limit).is_nothing() {
                    break;
                }
            }
        }
        cuts
    }
}

fn minute_of(written: Timestamp) -> i64 {
    written.as_second().div_euclid(60)
}

/// When the last job began that came to its end. It has indexed what was written before.
pub fn since(newest_first: &[JobSummary]) -> Timestamp {
    let last = newest_first.iter().find(|job| job.status == "COMPLETE");
    last.map_or(Timestamp::MIN, |last| last.started)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60 + 59).unwrap()
    }

    fn start(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    /// Documents of a byte by tenant, each with the minute in which it was written.
    fn added(of: &[(&str, &[i64])]) -> Added {
        let mut added = Added::default();
        for (tenant, minutes) in of {
            minutes.iter().for_each(|it| added.add(tenant, minute(*it), 1));
        }
        added
    }

    fn documents(documents: u64) -> Size {
        Size { files: 2 * documents, ..Size::OF_A_JOB }
    }

    #[test]
    fn the_newest_of_the_largest_wait() {
        let added = added(&[("acme", &[1, 2, 3, 4, 4]), ("globex", &[9, 9, 9]), ("umbrella", &[])]);
        assert_eq!(added.cuts(documents(8)), Cuts::new());
        assert_eq!(added.cuts(documents(7)), Cuts::from([("acme".into(), start(4))]), "a minute is a whole");
        assert_eq!(added.cuts(documents(5)), Cuts::from([("acme".into(), start(3))]));
        // All of the largest is not enough.
        let all = Cuts::from([("acme".into(), start(1)), ("globex".into(), start(9))]);
        assert_eq!(added.cuts(documents(2)), all);
        assert_eq!(added.cuts(documents(0)), all);
    }

    #[test]
    fn what_waits_is_in_no_job_and_memory_has_an_end() {
        let mut added = added(&[("acme", &[1, 2, 3])]);
        added.take("acme", minute(3), 1);
        assert_eq!(added.cuts(documents(2)), Cuts::new());
        let last = i64::try_from(MINUTES).unwrap() + 9;
        (4..=last).for_each(|it| added.add("acme", minute(it), 1));
        assert_eq!(added.0["acme"].len(), MINUTES);
        assert_eq!(added.cuts(documents(u64::try_from(last).unwrap() - 1)), Cuts::new(), "none is lost");
    }

    #[test]
    fn bytes_count_as_files_do() {
        let mut added = added(&[("acme", &[1, 2, 3])]);
        added.add("globex", minute(1), 70);
        added.add("globex", minute(2), 50);
        let bytes = |bytes| Size { bytes, ..Size::OF_A_JOB };
        assert_eq!(added.cuts(bytes(123)), Cuts::new());
        assert_eq!(added.cuts(bytes(122)), Cuts::from([("globex".into(), start(2))]));
        assert_eq!(added.cuts(bytes(72)), Cuts::from([("globex".into(), start(1))]));
    }
}
