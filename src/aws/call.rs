//! One call to AWS: it passes the [`Gate`], and an SDK error becomes a [`Fault`] here, by one translation for all services.

use std::error::Error;
use std::future::Future;
use std::time::{Duration, Instant};

use aws_sdk_s3::operation::RequestId;
use aws_smithy_async::future::pagination_stream::PaginationStream;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::error::operation::BuildError;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::gate::Gate;
use super::place::Away;
use crate::stack::causes::causes;
use crate::stack::classify::classify;
use crate::stack::fault::{Class, Fault};
use crate::stack::iam::operation::Operation;
use crate::stack::request_ids::without_request_ids;

/// What AWS grants less often than this is not waited for.
const SELDOM: Duration = Duration::from_secs(2);

impl Gate {
    /// A call, by what it is about. Every call of every adapter begins here, so that none lacks its row.
    pub(super) fn call<'a>(&'a self, operation: Operation, resource: &'a str) -> Call<'a> {
        Call { gate: self, operation, resource }
    }
}

/// One call, as its fault will name it; made by [`Gate::call`].
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) gate: &'a Gate,
    pub(super) operation: Operation,
    pub(super) resource: &'a str,
}

impl Call<'_> {
    /// What went wrong, from what the SDK says. An answer without an error code, as HEAD requests have it, goes by its
    /// HTTP status; what never became an answer is `Timeout` or `Connection`.
    pub(super) fn failed<E>(self) -> impl FnOnce(SdkError<E, HttpResponse>) -> Fault
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        move |error| {
            let mut status = 0;
            let (code, message) = match &error {
                SdkError::ConstructionFailure(_) => return self.unfit(causes(&error)),
                SdkError::TimeoutError(_) => ("Timeout".into(), causes(&error)),
                SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                    ("Timeout".into(), causes(&error))
                }
                SdkError::DispatchFailure(_) => ("Connection".into(), causes(&error)),
                answered => {
                    status = answered.raw_response().map_or(0, |response| response.status().as_u16());
                    let code = answered.code().map_or_else(|| status.to_string(), str::to_owned);
                    let message = match (answered.message(), answered) {
                        (Some(message), _) => message.to_owned(),
                        (None, SdkError::ServiceError(_)) => format!("AWS answers HTTP {status} and no more"),
                        (None, unreadable) => causes(unreadable),
                    };
                    (code, message)
                }
            };
            let fault = self.refused(&code, &message);
            // Whatever it is called, AWS says that it is its own fault.
            let class =
                if fault.class == Class::Unnamed && status >= 500 { Class::Transient } else { fault.class };
            Fault { class, request_id: error.request_id().map(Into::into), ..fault }
        }
    }

    /// A refusal that came inside an answer.
    pub(super) fn refused(self, code: &str, message: &str) -> Fault {
        let Self { operation, resource, .. } = self;
        Fault {
            class: classify(operation.service(), operation.name(), code, message),
            service: operation.service(),
            operation: operation.name(),
            resource: resource.into(),
            code: code.into(),
            message: without_request_ids(message),
            request_id: None,
        }
    }

    /// A request that the SDK would not even build.
    pub(super) fn unbuilt(self) -> impl FnOnce(BuildError) -> Fault {
        move |error| self.unfit(causes(&error))
    }

    /// An answer that lacks what it is there for.
    pub(super) fn empty(self) -> Fault {
        self.refused("EmptyAnswer", "AWS answered without the resource")
    }

    fn unfit(self, message: String) -> Fault {
        Fault { class: Class::Invalid, ..self.refused("InvalidRequest", &message) }
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

    /// Counts the call, and logs a failure to which AWS gave an id.
    fn ended<T>(self, begun: Instant, answer: Result<T, Fault>) -> Result<T, Fault> {
        let fault = answer.as_ref().err();
        self.gate.requests.ended(self.operation, begun.elapsed(), fault.map(|fault| fault.code.as_str()));
        if let Some(fault) = fault.filter(|fault| fault.request_id.is_some()) {
            log(fault);
        }
        answer
    }

    /// Waits for this call's turn.
    async fn turn(self) -> Result<(), Fault> {
        let Some(turnstile) = self.gate.turnstiles.get(&self.operation) else { return Ok(()) };
        // Who finds a line stands in it.
        if let Ok(_next) = turnstile.line.try_lock()
            && turnstile.limiter.check().is_ok()
        {
            return Ok(());
        }
        if turnstile.period < SELDOM {
            let _away = Away::now();
            let _next = turnstile.line.lock().await;
            turnstile.limiter.until_ready().await;
            return Ok(());
        }
        let seconds = turnstile.period.as_secs_f64();
        let message =
            format!("it is another's turn: the operator makes this call once in {seconds:.1} seconds");
        Err(Fault { class: Class::NotYet, ..self.refused("Paced", &message) })
    }
}

/// Logs what no status has of a failure: the key of an object, AWS's words where they quote it, and the request id, which AWS's
/// support asks for.
pub(super) fn log(fault: &Fault) {
    let Fault { operation, resource, code, message, .. } = fault;
    let request_id = fault.request_id.as_deref();
    match fault.class {
        // Both are common, and nobody asks AWS about them.
        Class::NotFound | Class::Throttled => {
            tracing::debug!(operation, resource, code, message, request_id, "AWS refused a call");
        }
        _ => tracing::info!(operation, resource, code, message, request_id, "AWS refused a call"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use aws_sdk_s3::operation::head_bucket::HeadBucketError;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    use crate::api::metric::AWS_REQUESTS;
    use crate::aws::fence::{Fence, Moment};
    use crate::aws::gate::Pace;
    use crate::aws::place::{Place, with_place};
    use crate::aws::requests::Requests;
    use crate::stack::iam::operation::{bedrock, s3};
    use parking_lot::Mutex;

    fn answered(status: u16, meta: ErrorMetadata) -> Fault {
        let status = StatusCode::try_from(status).expect("a status");
        let mut response = HttpResponse::new(status, SdkBody::empty());
        response.headers_mut().insert("x-amz-request-id", "R1");
        Gate::open().call(s3::HeadBucket, "b").failed()(SdkError::service_error(
            HeadBucketError::generic(meta),
            response,
        ))
    }

    #[test]
    fn an_answer_without_a_code_goes_by_its_status() {
        let fault = answered(403, ErrorMetadata::builder().build());
        assert_eq!((fault.class, fault.code.as_str()), (Class::Denied, "403"));
        assert_eq!(fault.request_id.as_deref(), Some("R1"));
        assert_eq!(answered(404, ErrorMetadata::builder().build()).class, Class::NotFound);
        assert_eq!(answered(429, ErrorMetadata::builder().build()).class, Class::Throttled);
        assert_eq!(answered(503, ErrorMetadata::builder().build()).class, Class::Transient);
    }

    #[test]
    fn a_code_goes_before_the_status() {
        let fault =
            answered(400, ErrorMetadata::builder().code("SlowDown").message("Reduce your rate").build());
        assert_eq!((fault.class, fault.message.as_str()), (Class::Throttled, "Reduce your rate"));
    }

    /// It is another at each try, and a condition is not to change because of that.
    #[test]
    fn a_request_id_in_the_words_of_aws_is_no_part_of_the_message() {
        let said = "Access Denied (Service: S3, Status Code: 403, Request ID: R1)";
        let fault = answered(403, ErrorMetadata::builder().code("AccessDenied").message(said).build());
        assert_eq!(fault.message, "Access Denied (Service: S3, Status Code: 403)");
        assert_eq!(fault.request_id.as_deref(), Some("R1"));
    }

    #[test]
    fn what_never_became_an_answer_passes_by_itself() {
        let timeout: SdkError<HeadBucketError, HttpResponse> = SdkError::timeout_error("30 s");
        let fault = Gate::open().call(s3::HeadBucket, "b").failed()(timeout);
        assert_eq!((fault.class, fault.code.as_str()), (Class::Transient, "Timeout"));
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

    /// How many waits of a pass are under way, and how many there were.
    #[derive(Default)]
    struct Counted(Mutex<(i32, i32)>);

    impl Place for Counted {
        fn leave(&self) {
            let mut counted = self.0.lock();
            *counted = (counted.0 + 1, counted.1 + 1);
        }

        fn come_back(&self) {
            self.0.lock().0 -= 1;
        }
    }

    #[tokio::test]
    async fn a_pass_that_waits_for_its_turn_has_no_place_meanwhile() {
        let gate = Gate::new(Pace { percent: 10, clock: 1 });
        let place = Arc::new(Counted::default());
        let counted = || *place.0.lock();
        let call = || with_place(place.clone(), gate.call(bedrock::GetKnowledgeBase, "KB").turn());
        let dear = || with_place(place.clone(), gate.call(bedrock::StartIngestionJob, "source").turn());
        assert!(call().now_or_never().expect("its turn").is_ok());
        assert!(dear().now_or_never().expect("its turn").is_ok());
        assert!(dear().now_or_never().expect("a refusal").is_err());
        assert_eq!(counted(), (0, 0), "who does not wait keeps its place");
        let (mut one, mut other) = (Box::pin(call()), Box::pin(call()));
        assert!((&mut one).now_or_never().is_none() && (&mut other).now_or_never().is_none());
        assert_eq!(counted(), (2, 2));
        drop(one);
        assert_eq!(counted(), (1, 2), "a wait that is given up is over");
        drop(other);
        let gate = Gate::new(Pace { percent: 100, clock: 1 });
        let calls: Vec<_> = (0..11).map(|_| gate.call(bedrock::GetKnowledgeBase, "KB").turn()).collect();
        let all = with_place(place.clone(), futures::future::join_all(calls)).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(counted(), (0, 3), "whose turn has come has its place again");
        assert!(gate.call(bedrock::GetKnowledgeBase, "KB").turn().await.is_ok(), "nobody needs a place");
    }

    #[tokio::test]
    async fn nobody_passes_another_who_waits_for_its_turn() {
        let gate = Gate::new(Pace { percent: 80, clock: 50 });
        let turns = Mutex::new(Vec::new());
        let (gate, turns) = (&gate, &turns);
        let calls = (0..60).map(|came| async move {
            gate.call(bedrock::GetKnowledgeBase, "KB").turn().await.expect("its turn");
            turns.lock().push(came);
        });
        futures::future::join_all(calls).await;
        assert_eq!(*turns.lock(), (0..60).collect::<Vec<_>>());
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
