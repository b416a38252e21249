//! Makes passes over the objects of one kind. An object has one pass at a time, the number of passes is limited, and namespaces
//! take turns.
//!
//! kube's scheduler knows when an object is due. Objects that are due wait in our [`Queue`] and not in kube's `Controller`, for
//! two reasons. The `Controller` takes them in the order of a hash set, so some may wait for ever while new ones come. Without a
//! limit it begins them all, but then it polls every pass that waits whenever one ends, and begins none meanwhile.

use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{Stream, StreamExt, stream};
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::scheduler::{ScheduleRequest, scheduler};
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::queue::Queue;
use crate::aws::{self, with_place};

/// Passes that only time causes begin together: each waking of the process costs as much as a pass that finds nothing.
const TOGETHER: Duration = Duration::from_millis(500);
/// An object that waits for less than that waits for something, and begins when it is time.
const IMPATIENT: Duration = Duration::from_secs(30);

/// A pass. It answers after how long the next one is due, if nothing happens before.
pub(super) type Pass = BoxFuture<'static, Option<Duration>>;

/// How passes are made.
pub(super) struct Work {
    /// How many passes may work at a time.
    pub(super) places: u16,
    /// On which threads.
    pub(super) threads: Handle,
    /// The metric of how many objects wait.
    pub(super) depth: Gauge,
    /// Once cancelled, no pass begins any more.
    pub(super) stop: CancellationToken,
}

impl Work {
    /// Makes passes over objects that are `due`, once all stores are `ready`. It ends after `stop`, when no pass is under way.
    /// `pass` is called when the object has a place, so the pass begins with the object as it is then. It answers `None` if the
    /// object is gone.
    pub(super) async fn run<K: Resource<DynamicType = ()> + 'static>(
        self,
        due: impl Stream<Item = ObjectRef<K>>,
        ready: impl Future<Output = ()>,
        pass: impl Fn(&ObjectRef<K>) -> Option<Pass>,
    ) {
        let begun = Instant::now();
        let (again, put_off) = mpsc::unbounded_channel();
        // What is scheduled, waits and works is the same one.
        let now = due.map(|object| ScheduleRequest { message: Arc::new(object), run_at: Instant::now() });
        let mut due = pin!(scheduler(stream::select(now, received(put_off))));
        let places =
            Arc::new(Places { queue: Mutex::new(Queue::new(self.places.into())), freed: Notify::new() });
        let mut passes = JoinSet::new();
        let (mut ready, mut is_ready) = (pin!(ready), false);
        loop {
            tokio::select! {
                // All objects that are due must be in the queue before one of them is chosen.
                biased;
                () = self.stop.cancelled() => break,
                Some(object) = due.next() => places.queue.lock().due(namespace(&object), object.clone()),
                Some(over) = passes.join_next() => {
                    let (object, after): (Arc<ObjectRef<K>>, Option<Duration>) = over.unwrap_or_else(broken);
                    places.queue.lock().end(namespace(&object), object.clone());
                    if let Some(run_at) = after.and_then(|after| when(begun, after)) {
                        // The receiver is not dropped before this function ends.
                        let _ = again.send(ScheduleRequest { message: object, run_at });
                    }
                }
                () = places.freed.notified() => {}
                () = &mut ready, if !is_ready => is_ready = true,
            }
            while is_ready && let Some((_, object)) = places.next() {
                let Some(pass) = pass(&object) else {
                    places.queue.lock().end(namespace(&object), object.clone());
                    continue;
                };
                let place = Arc::new(Place { places: places.clone(), waits: Mutex::new(0) });
                passes.spawn_on(async move { (object, with_place(place, pass).await) }, &self.threads);
            }
            self.depth.set(i64::try_from(places.queue.lock().waiting()).unwrap_or(i64::MAX));
        }
        self.depth.set(0);
        while let Some(over) = passes.join_next().await {
            over.unwrap_or_else(broken);
        }
    }
}

/// When a pass begins that is due after a while.
fn when(begun: Instant, after: Duration) -> Option<Instant> {
    let run_at = Instant::now().checked_add(after)?;
    if after < IMPATIENT {
        return Some(run_at);
    }
    let rounds = (run_at - begun).as_millis().div_ceil(TOGETHER.as_millis());
    begun.checked_add(TOGETHER.checked_mul(u32::try_from(rounds).ok()?)?)
}

fn namespace<K: Resource>(object: &ObjectRef<K>) -> &str {
    object.namespace.as_deref().unwrap_or_default()
}

/// A channel as a stream.
pub(super) fn received<T>(mut receiver: mpsc::UnboundedReceiver<T>) -> impl Stream<Item = T> {
    stream::poll_fn(move |context| receiver.poll_recv(context))
}

/// The places of all passes.
struct Places<K: Resource> {
    queue: Mutex<Queue<Arc<ObjectRef<K>>>>,
    /// Notified when a pass begins to wait for AWS, so that another may begin.
    freed: Notify,
}

/// The place of one pass.
struct Place<K: Resource> {
    places: Arc<Places<K>>,
    /// How many of its calls wait for their turn at AWS.
    waits: Mutex<usize>,
}

impl<K: Resource<DynamicType = ()>> Places<K> {
    fn next(&self) -> Option<(String, Arc<ObjectRef<K>>)> {
        self.queue.lock().next()
    }
}

impl<K: Resource<DynamicType = ()>> aws::Place for Place<K> {
    fn leave(&self) {
        let mut waits = self.waits.lock();
        *waits += 1;
        if *waits == 1 {
            self.places.queue.lock().step_aside();
            self.places.freed.notify_one();
        }
    }

    fn come_back(&self) {
        let mut waits = self.waits.lock();
        *waits -= 1;
        if *waits == 0 {
            self.places.queue.lock().step_back();
        }
    }
}

/// A pass that panicked is a fault of the program, and ends it.
fn broken<T>(error: tokio::task::JoinError) -> T {
    match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        // Nobody cancels a pass.
        Err(error) => panic!("a pass ended without an end: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{future, thread};

    use futures::FutureExt;
    use k8s_openapi::api::core::v1::ConfigMap;
    use tokio::runtime::Builder;

    use super::*;
    use crate::aws::Away;

    type Object = ObjectRef<ConfigMap>;

    fn object(namespace: &str, name: usize) -> Object {
        ObjectRef::new(&name.to_string()).within(namespace)
    }

    fn work(places: u16) -> Work {
        Work { places, threads: Handle::current(), depth: Gauge::default(), stop: CancellationToken::new() }
    }

    /// What is due at once, and nothing after it.
    fn at_once(objects: impl IntoIterator<Item = Object>) -> impl Stream<Item = Object> {
        stream::iter(objects.into_iter().collect::<Vec<_>>()).chain(stream::pending())
    }

    /// The objects whose passes began, in their order.
    #[derive(Clone, Default)]
    struct Begun(Arc<Mutex<Vec<(String, String)>>>);

    impl Begun {
        fn begins(&self, object: &Object) {
            self.0.lock().push((namespace(object).into(), object.name.clone()));
        }

        fn of(&self, namespace: &str) -> Vec<usize> {
            let begun = self.0.lock();
            (0..begun.len()).filter(|at| begun[*at].0 == namespace).collect()
        }
    }

    #[tokio::test]
    async fn twelve_objects_of_one_namespace_do_not_wait_for_three_thousand_of_another() {
        let (many, few) = (3000, 12);
        let objects =
            (0..many).map(|name| object("many", name)).chain((0..few).map(|name| object("few", name)));
        let (work, begun) = (work(32), Begun::default());
        // All are due before the first begins.
        let (is_due, depth) = (work.depth.clone(), work.depth.clone());
        let ready = future::poll_fn(move |context| {
            context.waker().wake_by_ref();
            if is_due.get() == many as i64 + few as i64 {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        });
        let stop = work.stop.clone();
        let pass = |object: &Object| {
            begun.begins(object);
            let (stop, over) = (stop.clone(), begun.0.lock().len() == many + few);
            Some(
                async move {
                    tokio::task::yield_now().await;
                    if over {
                        stop.cancel();
                    }
                    None
                }
                .boxed(),
            )
        };
        work.run(at_once(objects), ready, pass).await;
        let of_few = begun.of("few");
        let first = of_few[0];
        assert!(first <= 1, "{of_few:?}");
        assert_eq!(of_few, (0..few).map(|turn| first + 2 * turn).collect::<Vec<_>>());
        assert_eq!((begun.of("many").len(), depth.get()), (many, 0));
    }

    #[test]
    fn passes_are_made_on_the_threads_that_they_are_given() {
        let theirs = Builder::new_multi_thread().worker_threads(1).thread_name("theirs").build().unwrap();
        let work = |threads: &Handle| Work { threads: threads.clone(), ..work(1) };
        let ours = Builder::new_current_thread().enable_all().build().unwrap();
        for (threads, is_theirs) in [(theirs.handle(), true), (ours.handle(), false)] {
            let begun = Arc::new(Mutex::new(None));
            ours.block_on(async {
                let work = work(threads);
                let (stop, begun) = (work.stop.clone(), begun.clone());
                let pass = move |_: &Object| {
                    let (stop, begun) = (stop.clone(), begun.clone());
                    let pass = async move {
                        *begun.lock() = Some(thread::current().name() == Some("theirs"));
                        stop.cancel();
                        None
                    };
                    Some(pass.boxed())
                };
                work.run(at_once([object("a", 0)]), future::ready(()), pass).await;
            });
            assert_eq!(*begun.lock(), Some(is_theirs));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_is_made_again_when_it_says_so_and_what_happens_during_it_is_not_lost() {
        let work = work(1);
        let (stop, begun) = (work.stop.clone(), Begun::default());
        let (sender, due) = mpsc::unbounded_channel();
        sender.send(object("a", 0)).unwrap();
        let times = Mutex::new(Vec::new());
        let start = Instant::now();
        let pass = |object: &Object| {
            begun.begins(object);
            let mut times = times.lock();
            times.push(start.elapsed().as_secs());
            let (count, stop, sender, object) = (times.len(), stop.clone(), sender.clone(), object.clone());
            Some(
                async move {
                    if count == 1 {
                        let _ = sender.send(object);
                    }
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    if count == 4 {
                        stop.cancel();
                    }
                    Some(Duration::from_secs(100))
                }
                .boxed(),
            )
        };
        work.run(received(due), async {}, pass).await;
        // The second because something happened during the first; it has set the time for the third anew.
        assert_eq!(*times.lock(), [0, 5, 105, 210]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_only_time_causes_begins_together_and_never_early() {
        let begun = Instant::now();
        tokio::time::advance(Duration::from_millis(130)).await;
        for (after, at) in [(0, 130), (29_999, 30_129), (30_000, 30_500), (30_370, 30_500), (30_371, 31_000)]
        {
            let when = when(begun, Duration::from_millis(after)).unwrap();
            assert_eq!((when - begun).as_millis(), at, "{after}");
        }
        assert_eq!(when(begun, Duration::MAX), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_gone_holds_no_place() {
        let (work, begun) = (work(1), Begun::default());
        let stop = work.stop.clone();
        let pass = |object: &Object| {
            if object.namespace.as_deref() == Some("gone") {
                return None;
            }
            begun.begins(object);
            let stop = stop.clone();
            Some(async move { stop.cancel() }.map(|()| None).boxed())
        };
        work.run(at_once([object("gone", 0), object("gone", 1), object("there", 0)]), async {}, pass).await;
        assert_eq!(begun.of("there").len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_process_ends_what_works_goes_on_and_what_waits_does_not_begin() {
        let (work, begun) = (work(2), Begun::default());
        let (stop, depth) = (work.stop.clone(), work.depth.clone());
        let over = Arc::new(Mutex::new(0));
        let pass = |object: &Object| {
            begun.begins(object);
            let (over, stop, depth) = (over.clone(), stop.clone(), depth.clone());
            Some(
                async move {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    assert_eq!(depth.get(), 7);
                    stop.cancel();
                    tokio::time::sleep(Duration::from_secs(9)).await;
                    *over.lock() += 1;
                    None
                }
                .boxed(),
            )
        };
        let start = Instant::now();
        work.run(at_once((0..9).map(|name| object("a", name))), async {}, pass).await;
        assert_eq!((*over.lock(), begun.of("a").len(), start.elapsed().as_secs()), (2, 2, 10));
    }

    #[tokio::test]
    async fn a_pass_that_waits_for_aws_does_not_hold_up_one_that_does_not() {
        let (work, begun) = (work(1), Begun::default());
        let stop = work.stop.clone();
        let pass = |object: &Object| {
            begun.begins(object);
            let (stop, asks_aws) = (stop.clone(), object.namespace.as_deref() == Some("asks"));
            Some(
                async move {
                    if asks_aws {
                        let _away = Away::now();
                        stop.cancelled().await;
                    } else {
                        stop.cancel();
                    }
                    None
                }
                .boxed(),
            )
        };
        let objects = (0..4).map(|name| object("asks", name)).chain([object("asks-nothing", 0)]);
        work.run(at_once(objects), async {}, pass).await;
        assert_eq!(begun.of("asks-nothing").len(), 1);
    }
}
