//! Five fields of cron in a time zone: when a schedule was due last, and when it will be next. Pure.
//!
//! A fixed hour that the clocks leave out in spring is due when they go on, and one that they repeat in autumn is due
//! once; what is due every so many minutes or hours goes by the clock on the wall.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::api::IngestionSettings;

/// A schedule that can be read.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// Five fields of cron and an IANA time zone, and not a 30th of February. Others' sixth field, seconds first, would change the meaning of a copied
    /// line, and a zone within the line would contradict the one beside it.
    pub fn parse(settings: &IngestionSettings) -> Result<Self, String> {
        let IngestionSettings { schedule, time_zone, .. } = settings;
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(schedule).map_err(|error| {
            format!(
                "`schedule` '{schedule}' cannot be read ({error}); it must have five fields: minute, hour, day of month, \
                 month, day of week"
            )
        })?;
        let zone = TimeZone::get(time_zone).map_err(|_| {
            format!("`timeZone` '{time_zone}' is no IANA time zone, such as 'Etc/UTC' or 'Europe/Vienna'")
        })?;
        let parsed = Self { cron, zone };
        match parsed.next(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(parsed),
            None => Err(format!("`schedule` '{schedule}' is never due")),
        }
    }

    /// The last moment at or before `now` at which it was due.
    pub fn last(&self, now: Timestamp) -> Option<Timestamp> {
        let second = Timestamp::from_second(now.as_second()).ok()?.to_zoned(self.zone.clone());
        Some(self.cron.find_previous_occurrence(&second, true).ok()?.timestamp())
    }

    /// The first moment after `now` at which it will be due.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let second = Timestamp::from_second(now.as_second()).ok()?.to_zoned(self.zone.clone());
        Some(self.cron.find_next_occurrence(&second, false).ok()?.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(line: &str, zone: &str) -> Schedule {
        let settings = IngestionSettings { schedule: line.into(), time_zone: zone.into(), suspend: false };
        Schedule::parse(&settings).unwrap()
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
