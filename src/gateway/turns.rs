//! Questions wait for their turn: the queue of [`fair`](crate::ask::fair), with a clock.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::metrics::Metrics;
use crate::ask::fair::{Limits, Next, Queue, Ticket};
use crate::ask::limits::{Terms, decimal};
use crate::ask::refusal::Refusal;

/// How many questions of a tenant may wait.
const WAITING: usize = 32;
/// How long a question may wait for its first turn, where no class says so.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// How a question waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its tenant's share.
    pub weight: u32,
    /// How long it may wait for its first turn.
    pub at_most: Duration,
}

impl Default for Turn {
    /// Of a tenant without a class.
    fn default() -> Self {
        Self { weight: 1, at_most: MAX_WAIT }
    }
}

impl From<&Terms> for Turn {
    /// What a shadow would refuse waits as it does without a class.
    fn from(terms: &Terms) -> Self {
        let said = terms.max_wait.unwrap_or(MAX_WAIT);
        let at_most = if terms.is_shadow { said.max(MAX_WAIT) } else { said };
        Self { weight: terms.weight, at_most }
    }
}

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

    /// Waits for a tenant's turn. Answers how long it was.
    pub async fn wait(&self, tenant_id: &str, turn: Turn) -> Result<Duration, Refusal> {
        let Turn { weight, at_most } = turn;
        let shared = &self.0;
        let (sender, receiver) = oneshot::channel();
        let (ticket, deadline, next) = {
            let now = shared.now();
            let deadline = now + at_most;
            let mut queue = shared.queue.lock();
            let ticket = queue.push(tenant_id, weight, sender, deadline, now);
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
    let per_second = decimal(queue.per_second());
    Refusal::Throttled { per_second, wait: wait.max(Duration::from_millis(100)) }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use serde_json::json;
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
        let all = join_all((0..20).map(|_| turns.wait("acme", Turn::default()))).await;
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
        let loud = join_all((0..32).map(|_| turns.wait("loud", Turn::default())));
        let quiet = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            turns.wait("quiet", Turn::default()).await
        };
        let (_, quiet) = tokio::join!(loud, quiet);
        assert!(quiet.unwrap() <= Duration::from_millis(130));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_of_a_tenant_wait() {
        let (turns, _follows) = turns(1.0);
        let waiting: Vec<_> = (0..40).map(|_| turns.wait("acme", Turn::default())).collect();
        let all = tokio::time::timeout(Duration::from_millis(1), join_all(waiting)).await;
        assert!(all.is_err(), "they wait");
        assert_eq!(turns.0.queue.lock().len(), 0, "whoever goes away waits no longer");
        let mut waiting: Vec<_> =
            (0..WAITING + 2).map(|_| Box::pin(turns.wait("acme", Turn::default()))).collect();
        let mut refused = 0;
        for turn in &mut waiting {
            if let Some(Err(Refusal::Throttled { .. })) = futures::FutureExt::now_or_never(turn) {
                refused += 1;
            }
        }
        assert!(refused >= 1);
    }

    fn terms(gateway: serde_json::Value) -> Terms {
        Terms::of("basic", &serde_json::from_value(json!({"gateway": gateway})).unwrap())
    }

    /// How many of very many that come at once have their turn, and after how long the last of the others is refused.
    async fn of_many(turn: Turn) -> (usize, Duration) {
        let ((turns, _follows), begun) = (turns(10.0), Instant::now());
        let all = join_all((0..32).map(|_| turns.wait("acme", turn))).await;
        (all.iter().filter(|turn| turn.is_ok()).count(), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_class_says_how_long_a_question_waits() {
        for (gateway, gone, lasted) in [
            (json!({}), 11..=13, MAX_WAIT),
            (json!({"maxWait": "200ms"}), 3..=5, MAX_WAIT / 5),
            (json!({"maxWait": "2s"}), 21..=23, 2 * MAX_WAIT),
            // A shadow refuses nothing.
            (json!({"maxWait": "200ms", "enforcement": "Shadow"}), 11..=13, MAX_WAIT),
            (json!({"maxWait": "2s", "enforcement": "Shadow"}), 21..=23, 2 * MAX_WAIT),
        ] {
            let (had, took) = of_many(Turn::from(&terms(gateway.clone()))).await;
            assert!(
                gone.contains(&had) && took.abs_diff(lasted) < Duration::from_millis(5),
                "{gateway}: {had}, {took:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_both_insist_one_of_weight_four_has_four_times_the_turns() {
        let (turns, _follows) = turns(16.0);
        let [four, one] =
            [terms(json!({"weight": 4})), terms(json!({"weight": 1}))].map(|terms| Turn::from(&terms));
        let ends = Instant::now() + Duration::from_secs(120);
        let insists = async |tenant: &'static str, turn| {
            let one = async || {
                let mut had = 0;
                while Instant::now() < ends {
                    had += usize::from(turns.wait(tenant, turn).await.is_ok());
                }
                had
            };
            join_all((0..24).map(|_| one())).await.into_iter().sum::<usize>()
        };
        let (four, one) = tokio::join!(insists("four", four), insists("one", one));
        let ratio = four as f64 / one as f64;
        assert!((3.8..=4.2).contains(&ratio) && four + one > 1900, "{four} and {one}");
    }

    #[tokio::test(start_paused = true)]
    async fn when_aws_asks_to_go_slower_nobody_goes_for_a_while() {
        let (turns, _follows) = turns(100.0);
        assert_eq!(turns.wait("acme", Turn::default()).await, Ok(Duration::ZERO));
        turns.slow_down(Duration::from_millis(500));
        let waited = turns.wait("acme", Turn::default()).await.unwrap();
        assert!(waited >= Duration::from_millis(500), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn another_rate_counts_at_once() {
        let (turns, _follows) = turns(1.0);
        assert!(turns.wait("acme", Turn::default()).await.is_ok());
        let begun = Instant::now();
        let waiting = join_all((0..20).map(|_| turns.wait("acme", Turn::default())));
        let faster = async { turns.set_rate(100.0) };
        let (all, ()) = tokio::join!(waiting, faster);
        assert!(all.iter().all(Result::is_ok));
        assert!(begun.elapsed() <= Duration::from_millis(300), "{:?}", begun.elapsed());
    }
}
