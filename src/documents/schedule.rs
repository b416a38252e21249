//! When a job is due, and why. It is pure. The list of earlier jobs is the only memory, so a restart forgets nothing and asks for
//! nothing twice.

use std::time::Duration;

use jiff::Timestamp;

use crate::stack::cron::Schedule;
use crate::stack::job::JobSummary;

/// Why a job is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    /// The schedule was due at this moment.
    Due(Timestamp),
    /// The prefix is not empty for the first time.
    First,
    /// Somebody set a new `sync-requested-at`: the fingerprint of the object's uid and the value.
    Request(String),
    /// The operator has deleted or moved documents, because a Pool tenant leaves or is back. The moment is when it was done. One
    /// job serves all tenants that leave.
    Moved(Timestamp),
    /// A metadata file that named another tenant was corrected while or after this job ran.
    Corrected(String),
    /// Some documents were not reviewed when this job began.
    Rest(String),
}

/// The description of a job may have 200 characters.
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent_StartIngestionJob.html>
const MAX_DESCRIPTION: usize = 200;
const SEPARATOR: &str = "; ";
const MOVED: &str = "moved ";
const DUE: &str = "due ";
/// Stands in the description of a job before which not everything was reviewed.
const PARTLY: &str = "partly";

impl Ask {
    /// The ask as a job's description has it.
    pub fn words(&self) -> String {
        match self {
            Ask::Due(at) => format!("{DUE}{at}"),
            Ask::First => "first".into(),
            Ask::Request(hash) => format!("request {hash}"),
            Ask::Moved(at) => format!("{MOVED}{at:.6}"),
            Ask::Corrected(job) => format!("corrected {job}"),
            Ask::Rest(job) => format!("rest {job}"),
        }
    }

    /// Whether a job starts even if nothing has changed since the last.
    pub fn needs_a_job(&self) -> bool {
        match self {
            Ask::First | Ask::Request(_) | Ask::Moved(_) | Ask::Corrected(_) => true,
            Ask::Due(_) | Ask::Rest(_) => false,
        }
    }

    /// Whether the job must forget or correct something. It goes before others of the same age.
    pub fn is_urgent(&self) -> bool {
        matches!(self, Ask::Moved(_) | Ask::Corrected(_))
    }

    /// Whether a job serves this. A job for a later moment serves the earlier ones too.
    pub fn is_served_by(&self, job: &JobSummary) -> bool {
        match self {
            Ask::Moved(at) => return moved(job).is_some_and(|served| served >= *at),
            Ask::Due(at) => return latest(job, DUE).is_some_and(|served| served >= *at),
            Ask::First | Ask::Request(_) | Ask::Corrected(_) | Ask::Rest(_) => {}
        }
        let words = self.words();
        job.description.split(SEPARATOR).any(|served| served == words)
    }
}

/// The last move of documents that a job was started for.
pub fn moved(job: &JobSummary) -> Option<Timestamp> {
    latest(job, MOVED)
}

fn latest(job: &JobSummary, kind: &str) -> Option<Timestamp> {
    job.description.split(SEPARATOR).find_map(|served| served.strip_prefix(kind)?.parse().ok())
}

/// The ask that the last job leaves, if not everything was reviewed before it. A job that somebody stopped leaves none.
pub fn rest(newest_first: &[JobSummary]) -> Option<Ask> {
    let last = newest_first.first().filter(|last| !matches!(last.status.as_str(), "STOPPING" | "STOPPED"))?;
    let is_partly = last.description.split(SEPARATOR).any(|word| word == PARTLY);
    is_partly.then(|| Ask::Rest(last.id.clone()))
}

/// What a process remembers of a schedule.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// When the process first saw it. Only a schedule that catches up asks for a moment before that.
    pub since: Timestamp,
    /// When documents were last looked for because of it, in vain. Without this a new process would review everything at its
    /// start.
    pub looked: Option<Timestamp>,
}

/// What a schedule asks for now: its last moment, if the data source had a job before it. A data source without a job waits for
/// its first document. `calendar` says what the schedule sees at a moment.
pub fn due(
    schedule: &Schedule,
    jobs: &[JobSummary],
    seen: Seen,
    calendar: impl Fn(Timestamp) -> Timestamp,
    now: Timestamp,
) -> Option<Ask> {
    let first = jobs.iter().filter(|job| job.status != "FAILED").map(|job| calendar(job.started)).min()?;
    let due = schedule.last(now).filter(|due| *due > first)?;
    let is_missed = !schedule.catches_up() && due < calendar(seen.since);
    let was_looked_for = seen.looked.is_some_and(|looked| calendar(looked) >= due);
    (!is_missed && !was_looked_for).then_some(Ask::Due(due))
}

/// How long it is until a schedule asks for a later moment than the one that it `asked` for. It is zero if that moment came while
/// a review ran.
pub fn due_in(schedule: &Schedule, asked: Timestamp, now: Timestamp) -> Option<Duration> {
    let next = schedule.next(asked)?;
    Some(Duration::try_from(next.duration_since(now)).unwrap_or_default())
}

/// The asks that no job has served or is serving. A job that failed has served none. The asks of a job that somebody stopped count
/// as served, except those for what must be forgotten or corrected.
pub fn open<'a>(asks: &'a [Ask], jobs: &[JobSummary]) -> Vec<&'a Ask> {
    asks.iter()
        .filter(|ask| {
            let in_vain = |job: &JobSummary| match job.status.as_str() {
                "FAILED" => true,
                "STOPPING" | "STOPPED" => matches!(ask, Ask::Moved(_) | Ask::Corrected(_)),
                _ => false,
            };
            !jobs.iter().any(|job| ask.is_served_by(job) && !in_vain(job))
        })
        .collect()
}

/// The description of the next job. It has as many asks as fit; the others wait for the job after it. A repetition has a number,
/// because Bedrock silently ignores a job that it has seen. `is_partly`: not everything was reviewed.
pub fn description(asks: &[&Ask], jobs: &[JobSummary], is_partly: bool) -> String {
    let mut words = Vec::new();
    let mut length = "; attempt 9999; partly".len();
    for ask in asks {
        let next = ask.words();
        if length + next.len() + SEPARATOR.len() > MAX_DESCRIPTION {
            break;
        }
        length += next.len() + SEPARATOR.len();
        words.push(next);
    }
    let failed = jobs.iter().filter(|job| asks.iter().any(|ask| ask.is_served_by(job))).count();
    if failed > 0 {
        words.push(format!("attempt {}", failed + 1));
    }
    if is_partly {
        words.push(PARTLY.into());
    }
    words.join(SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::IngestionSettings;

    fn job(description: &str, status: &str) -> JobSummary {
        JobSummary {
            id: "J".into(),
            status: status.into(),
            description: description.into(),
            started: jiff::Timestamp::UNIX_EPOCH,
            updated: jiff::Timestamp::UNIX_EPOCH,
            statistics: Default::default(),
        }
    }

    fn every_ten_minutes() -> Schedule {
        let settings = IngestionSettings {
            schedule: Some("*/10 * * * *".into()),
            time_zone: "Etc/UTC".into(),
            suspend: false,
        };
        Schedule::parse(&settings).unwrap().unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_a_job_serves_is_not_asked_for_again_unless_it_failed() {
        let asks = [Ask::First, Ask::Request("aa".into()), Ask::Moved(at(5))];
        let jobs = [
            job("first", "COMPLETE"),
            job("moved 1970-01-01T00:00:05.000000Z; request cc", "IN_PROGRESS"),
            job("request aa", "FAILED"),
        ];
        assert_eq!(open(&asks, &jobs), [&asks[1]]);
        assert!(open(&asks[..1], &[job("first", "STOPPED")]).is_empty(), "somebody did not want it");
        assert_eq!(open(&asks[2..], &[job(&asks[2].words(), "STOPPED")]), [&asks[2]]);
        assert_eq!(description(&[&asks[1]], &jobs, false), "request aa; attempt 2");
        assert_eq!(open(&asks, &[]), asks.iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_job_before_which_not_all_was_looked_at_asks_for_another_and_the_next_for_none() {
        let first = job(&description(&[&Ask::First], &[], true), "COMPLETE");
        let rest = rest(std::slice::from_ref(&first)).unwrap();
        assert_eq!((rest.clone(), first.description.as_str()), (Ask::Rest("J".into()), "first; partly"));
        assert_eq!(open(std::slice::from_ref(&rest), std::slice::from_ref(&first)), [&rest]);
        let second = job(&description(&[&rest], &[], false), "COMPLETE");
        assert!(open(&[rest], &[second.clone(), first.clone()]).is_empty());
        assert_eq!(super::rest(&[second, first]), None);
    }

    #[test]
    fn one_job_serves_all_who_left_before_it() {
        let job = job(&description(&[&Ask::First, &Ask::Moved(at(5))], &[], false), "COMPLETE");
        assert_eq!(moved(&job), Some(at(5)));
        for (left, served) in [(4, true), (5, true), (6, false)] {
            assert_eq!(Ask::Moved(at(left)).is_served_by(&job), served, "{left}");
        }
    }

    #[test]
    fn a_schedule_asks_for_its_last_moment_after_the_first_job() {
        let schedule = every_ten_minutes();
        let seen = Seen { since: at(1900), looked: None };
        let ask = |jobs: &[JobSummary], now| due(&schedule, jobs, seen, |at| at, at(now));
        assert_eq!(ask(&[], 1000), None, "its first document comes first");
        assert_eq!(ask(&[job("first", "FAILED")], 1000), None);
        let first = job("first", "COMPLETE");
        assert_eq!(ask(std::slice::from_ref(&first), 599), None, "not due since its first job");
        assert_eq!(
            ask(std::slice::from_ref(&first), 1900),
            Some(Ask::Due(at(1800))),
            "all that it missed is one"
        );
    }

    /// All knowledge bases would be reviewed at once.
    #[test]
    fn a_restart_does_not_look_for_what_was_looked_for_and_the_hourly_look_is_not_caught_up_with() {
        const HOUR: Duration = Duration::from_secs(3600);
        let settings = |line: Option<&str>| IngestionSettings {
            schedule: line.map(Into::into),
            time_zone: "Etc/UTC".into(),
            suspend: false,
        };
        let first = [job("first", "COMPLETE")];
        for line in [None, Some("0 * * * *")] {
            let schedule = Schedule::of(&settings(line), HOUR, "uid").unwrap();
            let last = schedule.last(at(10_000)).unwrap();
            let ask = |since: i64, looked: Option<i64>, now: i64| {
                let looked = looked.map(|after| last + jiff::SignedDuration::from_secs(after));
                let [since, now] = [since, now].map(|after| last + jiff::SignedDuration::from_secs(after));
                due(&schedule, &first, Seen { since, looked }, |at| at, now)
            };
            let caught_up = line.map(|_| Ask::Due(last));
            assert_eq!(ask(1, None, 2), caught_up, "it came while no process was there");
            assert_eq!(ask(1, Some(0), 2), None, "an earlier process has looked");
            assert_eq!(ask(1, Some(-1), 2), caught_up, "before it was due");
            assert_eq!(ask(-60, Some(-1), 2), Some(Ask::Due(last)), "it came while this process was there");
            let next = Ask::Due(last + jiff::SignedDuration::from_secs(3600));
            assert_eq!(ask(1, Some(2), 3600), Some(next), "and the next one comes");
        }
    }

    #[test]
    fn what_is_due_while_a_pass_runs_is_looked_for_at_once() {
        let schedule = every_ten_minutes();
        for (asked, now, wait) in [(600, 600, 600), (600, 1199, 1), (1199, 1200, 0), (1190, 1500, 0)] {
            let wait = Some(Duration::from_secs(wait));
            assert_eq!(due_in(&schedule, at(asked), at(now)), wait, "asked at {asked}, answered at {now}");
        }
    }

    #[test]
    fn a_due_moment_is_served_by_a_job_for_it_or_a_later_one() {
        let ask = Ask::Due(at(600));
        assert_eq!(ask.words(), "due 1970-01-01T00:10:00Z");
        for (served, serves) in [(599, false), (600, true), (1200, true)] {
            let words = Ask::Due(at(served)).words();
            let [done, failed] =
                ["COMPLETE", "FAILED"].map(|status| job(&format!("{words}; request aa"), status));
            assert_eq!(open(std::slice::from_ref(&ask), &[done]).is_empty(), serves, "{served}");
            assert_eq!(open(std::slice::from_ref(&ask), &[failed]).len(), 1, "a failed one serves nothing");
        }
        assert!(open(&[ask], &[job(&Ask::Moved(at(700)).words(), "COMPLETE")]).len() == 1);
    }

    #[test]
    fn what_was_not_looked_at_is_asked_for_unless_somebody_stopped_the_job() {
        for (status, asks) in [("COMPLETE", true), ("FAILED", true), ("STOPPING", false), ("STOPPED", false)]
        {
            let partly = job(&description(&[&Ask::First], &[], true), status);
            assert_eq!(rest(std::slice::from_ref(&partly)).is_some(), asks, "{status}");
            assert_eq!(rest(&[job("first", status), partly]), None, "one came after it");
        }
    }

    #[test]
    fn a_description_fits_and_the_rest_waits() {
        let asks: Vec<_> = (0..50).map(|n| Ask::Request(format!("{n:012}"))).collect();
        let all: Vec<_> = asks.iter().collect();
        let first = description(&all, &[], true);
        assert!(first.len() <= MAX_DESCRIPTION);
        let left = open(&asks, &[job(&first, "COMPLETE")]).len();
        assert!(left > 0 && left < asks.len());
    }
}
