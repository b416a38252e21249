//! When a job is due, and what it serves. Pure: the list of earlier jobs is the only memory, so a restart forgets
//! nothing and asks for nothing twice.

use crate::stack::job::JobSummary;

/// Why a job is wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    /// The prefix is not empty for the first time.
    First,
    /// Somebody set a new `sync-requested-at`: the fingerprint of the object's uid and the value.
    Request(String),
    /// A Pool tenant has left and its documents are deleted: the fingerprint of its uid.
    Leaving(String),
}

/// What a job says it serves may have 200 characters.
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent_StartIngestionJob.html>
const MAX_DESCRIPTION: usize = 200;
const SEPARATOR: &str = "; ";

impl Ask {
    /// As it stands in a job's description.
    pub fn words(&self) -> String {
        match self {
            Ask::First => "first".into(),
            Ask::Request(hash) => format!("request {hash}"),
            Ask::Leaving(hash) => format!("leaving {hash}"),
        }
    }

    /// Whether a job serves this.
    pub fn is_served_by(&self, job: &JobSummary) -> bool {
        let words = self.words();
        job.description.split(SEPARATOR).any(|served| served == words)
    }
}

/// What no job has served or is serving. One that failed has served nothing. One that somebody stopped was not wanted,
/// except that who has left must be forgotten all the same.
pub fn open<'a>(asks: &'a [Ask], jobs: &[JobSummary]) -> Vec<&'a Ask> {
    asks.iter()
        .filter(|ask| {
            let in_vain = |job: &JobSummary| match job.status.as_str() {
                "FAILED" => true,
                "STOPPING" | "STOPPED" => matches!(ask, Ask::Leaving(_)),
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

    #[test]
    fn what_a_job_serves_is_not_asked_for_again_unless_it_failed() {
        let asks = [Ask::First, Ask::Request("aa".into()), Ask::Leaving("bb".into())];
        let jobs = [
            job("first", "COMPLETE"),
            job("leaving bb; request cc", "IN_PROGRESS"),
            job("request aa", "FAILED"),
        ];
        assert_eq!(open(&asks, &jobs), [&asks[1]]);
        assert!(open(&asks[..1], &[job("first", "STOPPED")]).is_empty(), "somebody did not want it");
        assert_eq!(open(&asks[2..], &[job("leaving bb", "STOPPED")]), [&asks[2]]);
        assert_eq!(description(&[&asks[1]], &jobs), "request aa; attempt 2");
        assert_eq!(open(&asks, &[]), asks.iter().collect::<Vec<_>>());
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
