//! When documents are looked for: by five fields of cron in a time zone, or every so often. When that was due last, and when
//! it will be next. Pure.
//!
//! A fixed hour that the clocks leave out in spring is due when they go on, and one that they repeat in autumn is due
//! once; what is due every so many minutes or hours goes by the clock on the wall.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use crate::api::IngestionSettings;

/// A schedule that can be read.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// As a user says.
    Cron {
        /// The five fields.
        cron: Box<Cron>,
        /// Where they are read.
        zone: TimeZone,
    },
    /// Every so many seconds.
    Every {
        /// How many.
        period: i64,
        /// The first moment after the beginning of time.
        offset: i64,
    },
}

impl Schedule {
    /// What a user says, or else every so often, at moments that are `whose` own: so that not all are due at once. `None`
    /// while it rests, or cannot be read.
    pub fn of(settings: &IngestionSettings, every: Duration, whose: &str) -> Option<Self> {
        let said = Self::parse(settings).ok().filter(|_| !settings.suspend)?;
        Some(said.unwrap_or_else(|| Self::every(every, whose)))
    }

    fn every(period: Duration, whose: &str) -> Self {
        let period = i64::try_from(period.as_secs()).unwrap_or(i64::MAX).max(1);
        let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(whose).into();
        Self::Every { period, offset: i64::from(u32::from_be_bytes([a, b, c, d])) % period }
    }

    /// Whether a moment that passed while nobody looked is caught up with. Every so often the next one comes soon enough, and
    /// all that a process finds at its start would be due at once.
    pub fn catches_up(&self) -> bool {
        matches!(self, Self::Cron { .. })
    }

    /// What a user says, if anything. Five fields of cron and an IANA time zone, and not a 30th of February. Others' sixth field, seconds first, would change the meaning of a copied
    /// line, and a zone within the line would contradict the one beside it.
    pub fn parse(settings: &IngestionSettings) -> Result<Option<Self>, String> {
        let IngestionSettings { schedule, time_zone, .. } = settings;
        let zone = TimeZone::get(time_zone).map_err(|_| {
            format!("`timeZone` '{time_zone}' is no IANA time zone, such as 'Etc/UTC' or 'Europe/Vienna'")
        })?;
        let Some(schedule) = schedule else { return Ok(None) };
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(schedule).map_err(|error| {
            format!(
                "`schedule` '{schedule}' cannot be read ({error}); it must have five fields: minute, hour, day of month, \
                 month, day of week"
            )
        })?;
        let parsed = Self::Cron { cron: Box::new(cron), zone };
        match parsed.next(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(Some(parsed)),
            None => Err(format!("`schedule` '{schedule}' is never due")),
        }
    }

    /// The last moment at or before `now` at which it was due.
    pub fn last(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron { cron, zone } => {
                let second = Timestamp::from_second(now.as_second()).ok()?.to_zoned(zone.clone());
                Some(cron.find_previous_occurrence(&second, true).ok()?.timestamp())
            }
            Self::Every { period, offset } => {
                let now = now.as_second();
                Timestamp::from_second(now - (now - offset).rem_euclid(*period)).ok()
            }
        }
    }

    /// The first moment after `now` at which it will be due.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron { cron, zone } => {
                let second = Timestamp::from_second(now.as_second()).ok()?.to_zoned(zone.clone());
                Some(cron.find_next_occurrence(&second, false).ok()?.timestamp())
            }
            Self::Every { period, .. } => {
                Timestamp::from_second(self.last(now)?.as_second().checked_add(*period)?).ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(line: &str, zone: &str) -> Schedule {
        let settings =
            IngestionSettings { schedule: Some(line.into()), time_zone: zone.into(), suspend: false };
        Schedule::parse(&settings).unwrap().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// When it is due in a stretch of time, told forwards; backwards it must be the same.
    fn moments(line: &str, zone: &str, from: &str, to: &str) -> Vec<String> {
        let schedule = schedule(line, zone);
        let (mut forwards, mut backwards) = (Vec::new(), Vec::new());
        let mut now = at(from);
        while let Some(next) = schedule.next(now).filter(|next| *next <= at(to)) {
            assert_eq!(schedule.last(next), Some(next), "a moment is due itself");
            forwards.push(next);
            now = next;
        }
        now = at(to);
        while let Some(last) = schedule.last(now).filter(|last| *last > at(from)) {
            backwards.push(last);
            now = last - jiff::SignedDuration::from_secs(1);
        }
        backwards.reverse();
        assert_eq!(forwards, backwards, "{line} {zone}");
        forwards.iter().map(Timestamp::to_string).collect()
    }

    #[test]
    fn an_hour_that_spring_leaves_out_is_due_when_the_clocks_go_on() {
        let due = moments("30 2 * * *", "Europe/Vienna", "2026-03-27T12:00:00Z", "2026-03-30T12:00:00Z");
        assert_eq!(due, ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
        let due = moments("0 */2 * * *", "Europe/Vienna", "2026-03-28T22:30:00Z", "2026-03-29T04:30:00Z");
        assert_eq!(due, ["2026-03-28T23:00:00Z", "2026-03-29T02:00:00Z", "2026-03-29T04:00:00Z"]);
    }

    #[test]
    fn an_hour_that_autumn_repeats_is_due_once() {
        let due = moments("30 2 * * *", "Europe/Vienna", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z");
        assert_eq!(due, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        let due = moments("*/30 * * * *", "Europe/Vienna", "2026-10-24T23:45:00Z", "2026-10-25T02:00:00Z");
        assert_eq!(due.len(), 5, "and what is due by the half hour at each of them: {due:?}");
    }

    #[test]
    fn without_a_schedule_each_is_due_every_hour_at_a_moment_of_its_own_and_never_while_it_rests() {
        const HOUR: i64 = 3600;
        let unsaid = |suspend| IngestionSettings { schedule: None, time_zone: "Etc/UTC".into(), suspend };
        let hourly = |whose: &str| {
            Schedule::of(&unsaid(false), Duration::from_secs(HOUR.unsigned_abs()), whose).unwrap()
        };
        let now = at("2026-01-02T09:10:11Z");
        let mut moments = std::collections::BTreeSet::new();
        for n in 0..100 {
            let schedule = hourly(&format!("uid-{n}"));
            let (last, next) = (schedule.last(now).unwrap(), schedule.next(now).unwrap());
            assert!(last <= now && now < next);
            assert_eq!(next.as_second() - last.as_second(), HOUR);
            assert_eq!((schedule.last(last), schedule.next(last)), (Some(last), Some(next)));
            assert_eq!(hourly(&format!("uid-{n}")).last(now), Some(last), "the same after a restart");
            assert!(!schedule.catches_up());
            moments.insert(last.as_second() % HOUR / 60);
        }
        assert!(moments.len() > 40, "a hundred are due in {} different minutes", moments.len());
        assert!(Schedule::of(&unsaid(true), Duration::from_secs(3600), "uid").is_none());
        let said = IngestionSettings { schedule: Some("0 4 * * *".into()), ..unsaid(false) };
        let said = Schedule::of(&said, Duration::from_secs(3600), "uid").unwrap();
        assert!(said.catches_up() && said.last(now) == Some(at("2026-01-02T04:00:00Z")));
    }

    #[test]
    fn leap_days_and_ends_of_months() {
        let due = moments("0 0 29 2 *", "Etc/UTC", "2026-01-01T00:00:00Z", "2033-01-01T00:00:00Z");
        assert_eq!(due, ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
        let due = moments("0 4 31 * *", "Etc/UTC", "2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z");
        assert_eq!(due, ["2026-01-31T04:00:00Z", "2026-03-31T04:00:00Z", "2026-05-31T04:00:00Z"]);
    }

    #[test]
    fn a_moment_is_due_from_its_first_instant_on() {
        let daily = schedule("0 4 * * *", "America/New_York");
        assert_eq!(daily.last(at("2026-01-02T08:59:59.999Z")), Some(at("2026-01-01T09:00:00Z")));
        assert_eq!(daily.last(at("2026-01-02T09:00:00.001Z")), Some(at("2026-01-02T09:00:00Z")));
        assert_eq!(daily.next(at("2026-01-02T09:00:00.001Z")), Some(at("2026-01-03T09:00:00Z")));
    }
}
