//! Which knowledge bases the account has: one answer for all who want to know at about the same time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::stack::fault::Fault;

/// The names of knowledge bases.
pub type Names = Arc<BTreeSet<String>>;

/// What AWS said last.
#[derive(Default)]
pub struct Listing {
    last: tokio::sync::Mutex<Option<Answer>>,
    /// When something went that an answer from before still names.
    spoilt: Mutex<Option<Instant>>,
}

struct Answer {
    /// It says nothing of what came after this.
    began: Instant,
    ended: Instant,
    names: Result<Names, Fault>,
}

impl Listing {
    /// The names as they were at most this long ago. Of those that come while AWS is asked, none asks again, and a failure
    /// is the failure of all of them.
    pub async fn names<F>(&self, clock: Clock, age: Duration, ask: impl FnOnce() -> F) -> Result<Names, Fault>
    where
        F: Future<Output = Result<Vec<String>, Fault>>,
    {
        let came = Instant::now();
        let mut last = self.last.lock().await;
        if let Some(answer) = last.as_ref().filter(|answer| self.serves(answer, clock, age, came)) {
            return answer.names.clone();
        }
        let began = Instant::now();
        let names = ask().await.map(|names| Arc::new(names.into_iter().collect()));
        *last = Some(Answer { began, ended: Instant::now(), names: names.clone() });
        names
    }

    /// The names as they were at most this long ago, if that is known without asking.
    pub fn known(&self, clock: Clock, age: Duration) -> Option<Names> {
        let last = self.last.try_lock().ok()?;
        let answer = last.as_ref().filter(|answer| self.serves(answer, clock, age, Instant::now()))?;
        answer.names.as_ref().ok().cloned()
    }

    /// Something went, or may have: what AWS said before is not said again.
    pub fn spoil(&self) {
        *self.spoilt.lock() = Some(Instant::now());
    }

    fn serves(&self, answer: &Answer, clock: Clock, age: Duration, came: Instant) -> bool {
        let is_spoilt = self.spoilt.lock().is_some_and(|spoilt| answer.began <= spoilt);
        let is_fresh = answer.names.is_ok() && clock.since(answer.began) < age;
        !is_spoilt && (answer.ended >= came || is_fresh)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::stack::fault::Class;

    const AGE: Duration = Duration::from_secs(30);

    /// AWS, which answers when it is let.
    struct Aws {
        asked: AtomicUsize,
        lets: Semaphore,
    }

    impl Aws {
        fn new(lets: usize) -> Self {
            Self { asked: AtomicUsize::new(0), lets: Semaphore::new(lets) }
        }

        async fn list(&self) -> Result<Vec<String>, Fault> {
            let nth = self.asked.fetch_add(1, Ordering::SeqCst);
            self.lets.acquire().await.unwrap().forget();
            Ok(vec![format!("answer-{nth}")])
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    fn fault() -> Fault {
        Fault {
            class: Class::Throttled,
            service: "bedrock",
            operation: "ListKnowledgeBases",
            resource: "all".into(),
            code: "ThrottlingException".into(),
            message: "slower".into(),
            request_id: None,
        }
    }

    #[tokio::test]
    async fn fifty_who_ask_at_once_do_not_cost_fifty_calls() {
        let (listing, aws) = (Listing::default(), Aws::new(0));
        let asks = join_all((0..50).map(|_| listing.names(Clock::new(1), AGE, || aws.list())));
        let (answers, ()) = tokio::join!(asks, async {
            tokio::task::yield_now().await;
            aws.lets.add_permits(1);
        });
        assert_eq!(aws.asked(), 1);
        let first = Arc::new(BTreeSet::from(["answer-0".to_owned()]));
        assert!(answers.into_iter().all(|answer| answer == Ok(first.clone())));
    }

    #[tokio::test]
    async fn an_answer_serves_for_its_time_and_no_longer() {
        let (listing, aws) = (Listing::default(), Aws::new(9));
        // By the clock ÷1,000, 30 seconds are over in 30 milliseconds.
        let (now, later) = (Clock::new(1), Clock::new(1000));
        assert_eq!(listing.known(now, AGE), None);
        let first = listing.names(now, AGE, || aws.list()).await.unwrap();
        assert_eq!(listing.names(now, AGE, || aws.list()).await.as_ref(), Ok(&first));
        assert_eq!(listing.known(now, AGE), Some(first.clone()));
        assert_eq!(aws.asked(), 1);
        while listing.known(later, AGE).is_some() {
            tokio::task::yield_now().await;
        }
        assert_ne!(listing.names(later, AGE, || aws.list()).await.unwrap(), first);
        assert_eq!(aws.asked(), 2);
    }

    #[tokio::test]
    async fn what_was_said_before_something_went_is_not_said_again() {
        let (listing, aws) = (Listing::default(), Aws::new(0));
        let asks = || listing.names(Clock::new(1), AGE, || aws.list());
        // It goes while AWS is asked: the answer may still name it, and whoever came after must not hear it.
        let (_, second) = tokio::join!(asks(), async {
            listing.spoil();
            aws.lets.add_permits(2);
            asks().await.unwrap()
        });
        assert_eq!(second.first().map(String::as_str), Some("answer-1"));
        listing.spoil();
        assert_eq!(listing.known(Clock::new(1), AGE), None);
    }

    #[tokio::test]
    async fn a_failure_is_told_to_those_who_waited_for_it_and_to_nobody_else() {
        let (listing, asked) = (Listing::default(), AtomicUsize::new(0));
        let fails = || async {
            asked.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Err(fault())
        };
        let answers = join_all((0..50).map(|_| listing.names(Clock::new(1), AGE, fails))).await;
        assert!(answers.into_iter().all(|answer| answer == Err(fault())));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert_eq!(listing.known(Clock::new(1), AGE), None);
        let aws = Aws::new(1);
        assert!(listing.names(Clock::new(1), AGE, || aws.list()).await.is_ok());
    }
}
