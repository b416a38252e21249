//! Questions wait for their turn: the queue of [`fair`](crate::ask::fair), with a clock.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::metrics::Metrics;
use crate::ask::fair::{Limits, Next, Queue, Ticket};
use crate::ask::refusal::Refusal;

/// How many questions of a tenant may wait.
const WAITING: usize = 32;
/// How long a question may wait for its first turn.
pub const MAX_WAIT: Duration = Duration::from_secs(1);
/// Every tenant's, until there are classes.
const WEIGHT: u32 = 1;

/// Whoever waits learns here how long it has waited.
type Waiter = oneshot::Sender<Duration>;

/// The turns of one replica. Clones are the same ones.
#[derive(Clone)]
pub struct Turns(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue<Waiter>>,
    /// When the process began: the queue's time runs from then on.
    begun: Instant,
    /// Something has changed for whoever sleeps.
    changed: Notify,
    metrics: Arc<Metrics>,
}

impl Turns {
    /// At so many a second.
    pub fn new(per_second: f64, metrics: Arc<Metrics>) -> Self {
        let limits = Limits { per_second, waiting: WAITING };
        let queue = Mutex::new(Queue::new(limits, Duration::ZERO));
        metrics.rate.set(per_second);
        Self(Arc::new(Shared { queue, begun: Instant::now(), changed: Notify::new(), metrics }))
    }

    /// At another rate from now on.
    pub fn set_rate(&self, per_second: f64) {
        self.0.queue.lock().set_rate(per_second, self.0.now());
        self.0.metrics.rate.set(per_second);
        self.0.changed.notify_one();
    }

    /// AWS asks to go slower: nobody goes for so long.
    pub fn slow_down(&self, pause: Duration) {
        let now = self.0.now();
        self.0.queue.lock().slow_down(now + pause, now);
        self.0.changed.notify_one();
    }

    /// Waits for a tenant's turn, at most so long. Answers how long it was.
    pub async fn wait(&self, tenant_id: &str, at_most: Duration) -> Result<Duration, Refusal> {
        let shared = &self.0;
        let (sender, receiver) = oneshot::channel();
        let (ticket, deadline, next) = {
            let now = shared.now();
            let deadline = now + at_most;
            let mut queue = shared.queue.lock();
            let ticket = queue.push(tenant_id, WEIGHT, sender, deadline, now);
            let ticket = ticket.map_err(|full| throttled(&queue, full.wait))?;
            (ticket, deadline, shared.go(&mut queue))
        };
        // Whoever went at once leaves nobody behind who must be woken later.
        if next.is_some() {
            shared.changed.notify_one();
        }
        let place = Place { shared, ticket, deadline, left: false };
        let waited = receiver.await;
        place.leave();
        match waited {
            Ok(waited) => {
                shared.metrics.waited(waited);
                Ok(waited)
            }
            Err(_) => {
                shared.metrics.waited(at_most);
                let queue = shared.queue.lock();
                Err(throttled(&queue, queue.wait_of(tenant_id)))
            }
        }
    }

    /// Lets whoever is next go, for as long as this is polled.
    pub async fn follow(self) {
        loop {
            let next = {
                let mut queue = self.0.queue.lock();
                self.0.go(&mut queue)
            };
            match next {
                None => self.0.changed.notified().await,
                Some(at) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(self.0.begun + at) => {}
                        () = self.0.changed.notified() => {}
                    }
                }
            }
        }
    }
}

impl Shared {
    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Lets all go whose turn it is. Answers when to look again.
    fn go(&self, queue: &mut Queue<Waiter>) -> Option<Duration> {
        let next = loop {
            match queue.next(self.now()) {
                // Whoever is gone has taken its place along, but for a moment.
                Next::Go(waiter, waited) => drop(waiter.send(waited)),
                Next::Late(waiter) => drop(waiter),
                Next::At(at) => break Some(at),
                Next::Nobody => break None,
            }
        };
        self.metrics.queued.set(i64::try_from(queue.len()).unwrap_or(i64::MAX));
        next
    }
}

/// A place in the queue, which whoever goes away gives back.
struct Place<'a> {
    shared: &'a Shared,
    ticket: Ticket,
    deadline: Duration,
    left: bool,
}

impl Place<'_> {
    fn leave(mut self) {
        self.left = true;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.left {
            self.shared.queue.lock().remove(self.ticket, self.deadline);
        }
    }
}

fn throttled(queue: &Queue<Waiter>, wait: Duration) -> Refusal {
    let per_second = format!("{:.1}", queue.per_second());
    let per_second = per_second.strip_suffix(".0").unwrap_or(&per_second).to_owned();
    Refusal::Throttled { per_second, wait: wait.max(Duration::from_millis(100)) }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use tokio_util::task::AbortOnDropHandle;

    use super::*;

    fn turns(per_second: f64) -> (Turns, AbortOnDropHandle<()>) {
        let turns = Turns::new(per_second, Arc::default());
        let follows = AbortOnDropHandle::new(tokio::spawn(turns.clone().follow()));
        (turns, follows)
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_spread_over_time_and_what_waits_for_too_long_is_refused() {
        let (turns, _follows) = turns(10.0);
        let all = join_all((0..20).map(|_| turns.wait("acme", MAX_WAIT))).await;
        let gone = all.iter().filter(|turn| turn.is_ok()).count();
        assert!((11..=13).contains(&gone), "{gone} of 20 in the first second");
        let Err(refused) = all.last().unwrap() else { panic!("the last waited for too long") };
        assert!(
            matches!(refused, Refusal::Throttled { per_second, .. } if per_second == "10"),
            "{refused:?}"
        );
        assert_eq!(turns.0.queue.lock().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_quiet_does_not_wait_behind_whoever_is_loud() {
        let (turns, _follows) = turns(16.0);
        let loud = join_all((0..32).map(|_| turns.wait("loud", MAX_WAIT)));
        let quiet = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            turns.wait("quiet", MAX_WAIT).await
        };
        let (_, quiet) = tokio::join!(loud, quiet);
        assert!(quiet.unwrap() <= Duration::from_millis(130));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_of_a_tenant_wait() {
        let (turns, _follows) = turns(1.0);
        let waiting: Vec<_> = (0..40).map(|_| turns.wait("acme", MAX_WAIT)).collect();
        let all = tokio::time::timeout(Duration::from_millis(1), join_all(waiting)).await;
        assert!(all.is_err(), "they wait");
        assert_eq!(turns.0.queue.lock().len(), 0, "whoever goes away waits no longer");
        let mut waiting: Vec<_> = (0..WAITING + 2).map(|_| Box::pin(turns.wait("acme", MAX_WAIT))).collect();
        let mut refused = 0;
        for turn in &mut waiting {
            if let Some(Err(Refusal::Throttled { .. })) = futures::FutureExt::now_or_never(turn) {
                refused += 1;
            }
        }
        assert!(refused >= 1);
    }

    #[tokio::test(start_paused = true)]
    async fn when_aws_asks_to_go_slower_nobody_goes_for_a_while() {
        let (turns, _follows) = turns(100.0);
        assert_eq!(turns.wait("acme", MAX_WAIT).await, Ok(Duration::ZERO));
        turns.slow_down(Duration::from_millis(500));
        let waited = turns.wait("acme", MAX_WAIT).await.unwrap();
        assert!(waited >= Duration::from_millis(500), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn another_rate_counts_at_once() {
        let (turns, _follows) = turns(1.0);
        assert!(turns.wait("acme", MAX_WAIT).await.is_ok());
        let begun = Instant::now();
        let waiting = join_all((0..20).map(|_| turns.wait("acme", MAX_WAIT)));
        let faster = async { turns.set_rate(100.0) };
        let (all, ()) = tokio::join!(waiting, faster);
        assert!(all.iter().all(Result::is_ok));
        assert!(begun.elapsed() <= Duration::from_millis(300), "{:?}", begun.elapsed());
    }
}
