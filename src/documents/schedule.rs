//! When a job is due, and what it serves. Pure: the list of earlier jobs is the only memory, so a restart forgets
//! nothing and asks for nothing twice.

use jiff::Timestamp;

use crate::stack::job::JobSummary;

/// Why a job is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    /// The prefix is not empty for the first time.
    First,
    /// Somebody set a new `sync-requested-at`: the fingerprint of the object's uid and the value.
    Request(String),
    /// The operator itself has deleted or moved documents, because a Pool tenant leaves or is back: when it had done so.
    /// One job serves all who leave, however many.
    Moved(Timestamp),
    /// A metadata file that named another tenant was corrected while or after this job ran.
    Corrected(String),
}

/// What a job says it serves may have 200 characters.
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent_StartIngestionJob.html>
const MAX_DESCRIPTION: usize = 200;
const SEPARATOR: &str = "; ";
const MOVED: &str = "moved ";

impl Ask {
    /// As it stands in a job's description.
    pub fn words(&self) -> String {
        match self {
            Ask::First => "first".into(),
            Ask::Request(hash) => format!("request {hash}"),
            Ask::Moved(at) => format!("{MOVED}{at:.6}"),
            Ask::Corrected(job) => format!("corrected {job}"),
        }
    }

    /// Whether only a job will do, even if nothing seems to have changed since the last: who asks for one gets one.
    pub fn needs_a_job(&self) -> bool {
        match self {
            Ask::First | Ask::Request(_) | Ask::Moved(_) | Ask::Corrected(_) => true,
        }
    }

    /// Whether a job serves this. One that was asked for later began later, and finds what had been done before.
    pub fn is_served_by(&self, job: &JobSummary) -> bool {
        if let Ask::Moved(at) = self {
            return moved(job).is_some_and(|served| served >= *at);
        }
        let words = self.words();
        job.description.split(SEPARATOR).any(|served| served == words)
    }
}

/// The last move of documents that a job was started for.
pub fn moved(job: &JobSummary) -> Option<Timestamp> {
    job.description.split(SEPARATOR).find_map(|served| served.strip_prefix(MOVED)?.parse().ok())
}

/// What no job has served or is serving. One that failed has served nothing. One that somebody stopped was not wanted,
/// except that who has left must be forgotten all the same.
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

/// The description of the next job: as many asks as fit, the others wait for the job after it. A repetition says which
/// it is, because Bedrock silently ignores a job it believes to have seen.
pub fn description(asks: &[&Ask], jobs: &[JobSummary]) -> String {
    let mut words = Vec::new();
    let mut length = "; attempt 9999".len();
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
    words.join(SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(description(&[&asks[1]], &jobs), "request aa; attempt 2");
        assert_eq!(open(&asks, &[]), asks.iter().collect::<Vec<_>>());
    }

    #[test]
    fn one_job_serves_all_who_left_before_it() {
        let job = job(&description(&[&Ask::First, &Ask::Moved(at(5))], &[]), "COMPLETE");
        assert_eq!(moved(&job), Some(at(5)));
        for (left, served) in [(4, true), (5, true), (6, false)] {
            assert_eq!(Ask::Moved(at(left)).is_served_by(&job), served, "{left}");
        }
    }

    #[test]
    fn a_description_fits_and_the_rest_waits() {
        let asks: Vec<_> = (0..50).map(|n| Ask::Request(format!("{n:012}"))).collect();
        let all: Vec<_> = asks.iter().collect();
        let first = description(&all, &[]);
        assert!(first.len() <= MAX_DESCRIPTION);
        let left = open(&asks, &[job(&first, "COMPLETE")]).len();
        assert!(left > 0 && left < asks.len());
    }
}
