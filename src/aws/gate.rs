//! The gate that every call to AWS passes: at the pace that AWS grants to the account, whoever else uses it; and, if it
//! changes anything, only while the [`Fence`] is open.
//!
//! A pass cannot forget it: a request is sent by [`Call::send`] or not at all. Waiting here is short, because only what
//! AWS grants many times a second is waited for. What it grants more rarely is refused with `NotYet`, so that the pass
//! ends and comes back.

use std::collections::HashMap;
use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_smithy_async::future::pagination_stream::PaginationStream;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures::FutureExt;
use futures::future::BoxFuture;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::fault::Call;
use super::fence::Fence;
use super::requests::Requests;
use crate::stack::fault::{Class, Fault};
use crate::stack::operation::Operation;

/// What AWS grants less often than this is not waited for.
const SELDOM: Duration = Duration::from_secs(2);

/// How much of what AWS grants is used.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Percent of AWS's own limits, 1 to 100.
    pub percent: u32,
    /// How many times faster than in production time goes by.
    pub clock: u32,
}

impl Pace {
    /// All that AWS grants, for a program that makes a few calls.
    pub const FULL: Pace = Pace { percent: 100, clock: 1 };
}

/// The gate. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    turnstiles: Arc<HashMap<Operation, Turnstile>>,
    fence: Fence,
    requests: Requests,
}

#[derive(Debug)]
struct Turnstile {
    /// Between two calls, in AWS's time.
    period: Duration,
    limiter: DefaultDirectRateLimiter,
}

impl Turnstile {
    fn new(per_second: f64, pace: Pace) -> Option<Self> {
        let rate = per_second * f64::from(pace.percent.clamp(1, 100)) / 100.0;
        let period = Duration::from_secs_f64(1.0 / rate);
        // A second's worth may come at once, as AWS counts by the second.
        let burst = NonZeroU32::new(rate as u32).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(period / pace.clock.max(1))?.allow_burst(burst);
        Some(Self { period, limiter: RateLimiter::direct(quota) })
    }
}

impl Gate {
    /// A gate for one account and region.
    pub fn new(pace: Pace) -> Self {
        let limited = Operation::all().filter_map(|operation| Some((operation, operation.per_second()?)));
        let turnstiles =
            limited.filter_map(|(operation, rate)| Some((*operation, Turnstile::new(rate, pace)?))).collect();
        Self { turnstiles: Arc::new(turnstiles), ..Self::default() }
    }

    /// The same, which lets what changes something pass only while the fence is open, and counts what passes.
    pub fn guarded(self, fence: Fence, requests: Requests) -> Self {
        Self { fence, requests, ..self }
    }

    /// A gate that stands open, for a single call.
    pub(super) fn open() -> Self {
        Self::default()
    }

    /// A call, by what it is about. Every call of every adapter begins here, so that none lacks its row.
    pub(super) fn call<'a>(&'a self, operation: Operation, resource: &'a str) -> Call<'a> {
        Call { gate: self, operation, resource }
    }
}

impl<'a> Call<'a> {
    /// Sends a request when it is this call's turn. The SDK's futures are large, and a pass holds many of them: on the
    /// heap, so that its own future stays small.
    pub(super) fn send<T, E>(
        self,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, Fault>>
    where
        T: Send + 'a,
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
    {
        let request = request.boxed();
        async move { self.pass(async { request.await.map_err(self.failed()) }).await }.boxed()
    }

    /// All pages of a list, each in its turn. `goes_on` says whether another page follows.
    pub(super) async fn pages<T, E>(
        self,
        mut pages: PaginationStream<Result<T, SdkError<E, HttpResponse>>>,
        mut goes_on: impl FnMut(&T) -> bool,
    ) -> Result<Vec<T>, Fault>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let mut all = Vec::new();
        loop {
            let begun = self.admitted().await?;
            let Some(page) = pages.next().await else { return Ok(all) };
            let page = self.ended(begun, page.map_err(self.failed()))?;
            let last = !goes_on(&page);
            all.push(page);
            if last {
                return Ok(all);
            }
        }
    }

    /// Makes the call when it is its turn.
    pub(super) async fn pass<T>(self, call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let begun = self.admitted().await?;
        self.ended(begun, call.await)
    }

    /// Waits for this call's turn, and refuses it if it would change something and we may not. The fence is asked last:
    /// a turn may be long in coming. Answers when the call begins.
    async fn admitted(self) -> Result<Instant, Fault> {
        self.turn().await?;
        if self.operation.changes() && !self.gate.fence.is_open() {
            let message = "this process does not hold the lease at the moment, and changes nothing";
            let fault = Fault { class: Class::Transient, ..self.refused("Fenced", message) };
            tracing::warn!(%fault, "a call was not made");
            return Err(fault);
        }
        Ok(Instant::now())
    }

    /// Counts the call.
    fn ended<T>(self, begun: Instant, answer: Result<T, Fault>) -> Result<T, Fault> {
        let code = answer.as_ref().err().map(|fault| fault.code.as_str());
        self.gate.requests.ended(self.operation, begun.elapsed(), code);
        answer
    }

    /// Waits for this call's turn.
    async fn turn(self) -> Result<(), Fault> {
        let Some(turnstile) = self.gate.turnstiles.get(&self.operation) else { return Ok(()) };
        if turnstile.period < SELDOM {
            turnstile.limiter.until_ready().await;
            return Ok(());
        }
        turnstile.limiter.check().map_err(|_| {
            let seconds = turnstile.period.as_secs_f64();
            let message =
                format!("it is another's turn: the operator makes this call once in {seconds:.1} seconds");
            Fault { class: Class::NotYet, ..self.refused("Paced", &message) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::metric::AWS_REQUESTS;
    use crate::aws::Moment;
    use crate::stack::operation::{bedrock, s3};

    fn calls(gate: &Gate, operation: Operation) -> usize {
        let turnstile = gate.turnstiles.get(&operation).expect("a limit");
        (0..100).filter(|_| turnstile.limiter.check().is_ok()).count()
    }

    #[test]
    fn a_second_of_the_pace_may_come_at_once_and_no_more() {
        let gate = |percent| Gate::new(Pace { percent, clock: 1 });
        assert_eq!(calls(&gate(80), bedrock::GetKnowledgeBase), 8);
        assert_eq!(calls(&gate(100), bedrock::CreateKnowledgeBase), 2);
        assert_eq!(calls(&gate(80), bedrock::CreateKnowledgeBase), 1);
        assert_eq!(calls(&gate(1), bedrock::GetKnowledgeBase), 1);
    }

    #[tokio::test]
    async fn what_aws_seldom_grants_is_not_waited_for() {
        let gate = Gate::new(Pace { percent: 80, clock: 1 });
        let start = gate.call(bedrock::StartIngestionJob, "source");
        assert!(start.turn().await.is_ok());
        let fault = start.turn().await.expect_err("not yet");
        assert_eq!((fault.class, fault.code.as_str()), (Class::NotYet, "Paced"));
        assert!(fault.message.contains("12.5 seconds"), "{fault}");
        assert!(gate.call(s3::PutObject, "key").turn().await.is_ok(), "S3 is not limited by account");
    }
    #[tokio::test]
    async fn behind_a_closed_fence_calls_only_read() {
        let (fence, requests) = (Fence::closed(), Requests::default());
        let gate = Gate::open().guarded(fence.clone(), requests.clone());
        let delete = || gate.call(s3::DeleteBucket, "b").pass(async { Ok(()) });
        assert!(gate.call(s3::HeadBucket, "b").pass(async { Ok(()) }).await.is_ok());
        assert_eq!(delete().await.expect_err("not ours to change").code, "Fenced");
        fence.set(Some(Moment::now().after(Duration::from_secs(3600))));
        assert!(delete().await.is_ok());
        let made =
            requests.answered.get(&AWS_REQUESTS.of(["s3", "DeleteBucket", "OK"])).map(|made| made.get());
        assert_eq!(made, Some(1), "what was not made is not counted");
    }
}
