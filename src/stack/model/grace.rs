//! The grace of a deletion: for how long nothing is deleted yet, although somebody has asked for it.
//!
//! It is there so that somebody can still say no. So it counts from when the operator could have acted and has told of it, not
//! from when the deletion was asked for: a pause and an operator that was down are no time to think. The status keeps when it
//! began, and so it outlives a process that ends meanwhile. If it ran out while no process was there that could have been
//! told to stop, it begins anew.

use std::time::Duration;

use jiff::Timestamp;

/// What is known of a deletion.
#[derive(Clone, Copy, Debug)]
pub struct Deletion {
    /// When it was asked for.
    pub asked: Timestamp,
    /// When its grace began.
    pub grace_started: Option<Timestamp>,
    /// When the grace was over and something may have been deleted.
    pub started: Option<Timestamp>,
    /// Since when this process acts.
    pub acts_since: Timestamp,
}

/// How far the grace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grace {
    /// It begins, at this moment.
    Begins(Timestamp),
    /// It goes on until then.
    Runs(Timestamp),
    /// It is over, and nothing has been deleted yet.
    Ends,
    /// The deletion has begun.
    Over,
}

impl Deletion {
    /// How far the grace is, which takes `grace` by the clock on the wall.
    pub fn grace(&self, grace: Duration, now: Timestamp) -> Grace {
        // A status that came back with a backup speaks of another deletion.
        let of_this = |at: &Timestamp| *at >= self.asked;
        if self.started.as_ref().is_some_and(of_this) {
            return Grace::Over;
        }
        if grace.is_zero() {
            return Grace::Ends;
        }
        let until = self.grace_started.filter(of_this).map(|began| ends(began, grace));
        match until.filter(|until| *until > self.acts_since) {
            // A clock that is behind the API server's must not make it another deletion's.
            None => Grace::Begins(now.max(self.asked)),
            Some(until) if until > now => Grace::Runs(until),
            Some(_) => Grace::Ends,
        }
    }
}

/// When a grace that began then is over.
pub fn ends(began: Timestamp, grace: Duration) -> Timestamp {
    began.checked_add(grace).unwrap_or(Timestamp::MAX)
}

/// What is said while it goes on.
pub fn says(until: Timestamp) -> String {
    format!("Deletion begins at {until:.0}; set deletionPolicy to Retain before that to keep everything")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(600);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn deletion(grace_started: Option<i64>, started: Option<i64>, acts_since: i64) -> Deletion {
        let moment = |second: Option<i64>| second.map(at);
        Deletion {
            asked: at(1000),
            grace_started: moment(grace_started),
            started: moment(started),
            acts_since: at(acts_since),
        }
    }

    #[test]
    fn the_grace_does_not_run_out_before_the_operator_could_act() {
        for (why, known, now, expected) in [
            ("it sees the deletion at once", deletion(None, None, 0), 1000, Grace::Begins(at(1000))),
            (
                "it was paused, or down, for an hour",
                deletion(None, None, 4000),
                4600,
                Grace::Begins(at(4600)),
            ),
            ("its clock is behind", deletion(None, None, 0), 990, Grace::Begins(at(1000))),
            ("it goes on", deletion(Some(1000), None, 0), 1599, Grace::Runs(at(1600))),
            ("it is over", deletion(Some(1000), None, 0), 1600, Grace::Ends),
            ("it is long over", deletion(Some(1000), None, 0), 9000, Grace::Ends),
            ("a process took over meanwhile", deletion(Some(1000), None, 1300), 1400, Grace::Runs(at(1600))),
            ("and is there when it ends", deletion(Some(1000), None, 1300), 1700, Grace::Ends),
            (
                "it ended while nobody was there",
                deletion(Some(1000), None, 1600),
                1700,
                Grace::Begins(at(1700)),
            ),
            ("long ago", deletion(Some(1000), None, 90_000), 90_001, Grace::Begins(at(90_001))),
            ("the deletion has begun", deletion(Some(1000), Some(1600), 0), 1601, Grace::Over),
            ("and is gone on with by another", deletion(Some(1000), Some(1600), 5000), 5001, Grace::Over),
            ("a status from a backup", deletion(Some(10), Some(700), 0), 1001, Grace::Begins(at(1001))),
            ("the same, half of it", deletion(Some(1000), Some(700), 0), 1001, Grace::Runs(at(1600))),
        ] {
            assert_eq!(known.grace(GRACE, at(now)), expected, "{why}");
        }
    }

    /// A grace that cannot begin would never end.
    #[test]
    fn what_was_stamped_is_of_this_deletion_whatever_the_clock_says() {
        for now in [0, 990, 1000, 2000] {
            let Grace::Begins(began) = deletion(None, None, 0).grace(GRACE, at(now)) else { panic!("{now}") };
            let known = Deletion { grace_started: Some(began), ..deletion(None, None, 0) };
            assert_eq!(known.grace(GRACE, at(now)), Grace::Runs(ends(began, GRACE)), "{now}");
            assert_eq!(known.grace(GRACE, ends(began, GRACE)), Grace::Ends, "{now}");
            let begun = Deletion { started: Some(at(now).max(known.asked)), ..known };
            assert_eq!(begun.grace(GRACE, at(now)), Grace::Over, "{now}");
        }
    }

    #[test]
    fn without_a_grace_the_deletion_begins_at_once_and_is_told_first() {
        assert_eq!(deletion(None, None, 0).grace(Duration::ZERO, at(1000)), Grace::Ends);
        assert_eq!(deletion(None, Some(1000), 0).grace(Duration::ZERO, at(1000)), Grace::Over);
    }
}
