//! One question to AWS, in the tenant's session: it waits for its turn, and is put again where AWS did not answer it and there
//! is time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::sessions::Sessions;
use super::turns::{Turn, Turns};
use crate::ask::refusal::Refusal;
use crate::ask::whose::Asked;
use crate::aws::{self, Answer, NoAnswer, Passages, Questions, Session};

/// How long a question has, after its first turn.
const ALL: Duration = Duration::from_secs(10);
/// How long it has to be put again: whoever asks has a patience of its own, and tries again by itself.
const AGAIN: Duration = Duration::from_secs(4);
/// How often one is put again that was not answered.
const UNANSWERED: u32 = 2;
/// How long nobody goes when AWS asks to go slower.
const SLOWER: Duration = Duration::from_millis(200);
/// How long one waits before it is put again; twice as long each time.
const PAUSE: Duration = Duration::from_millis(100);

/// Whom a question is put to.
pub trait Puts: Send + Sync {
    /// Puts it once.
    fn put<'a>(
        &'a self,
        session: &'a Session,
        knowledge_base: &'a str,
        body: Vec<u8>,
        patience: Duration,
    ) -> BoxFuture<'a, Result<Answer, NoAnswer>>;
}

impl Puts for Questions {
    fn put<'a>(
        &'a self,
        session: &'a Session,
        knowledge_base: &'a str,
        body: Vec<u8>,
        patience: Duration,
    ) -> BoxFuture<'a, Result<Answer, NoAnswer>> {
        self.retrieve(session, knowledge_base, body, patience).boxed()
    }
}

/// AWS, for questions.
pub struct Upstream {
    /// Whom they are put to.
    pub questions: Arc<dyn Puts>,
    /// In whose sessions.
    pub sessions: Sessions,
    /// When.
    pub turns: Turns,
}

/// What is known of a question's way, whether or not it was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// How long it waited for its turns.
    pub queued: Option<Duration>,
    /// How long AWS took.
    pub aws: Option<Duration>,
    /// AWS's ids of its requests, where it said something.
    pub request_ids: Vec<String>,
}

impl Upstream {
    /// AWS's answer, as AWS wrote it.
    pub async fn ask(
        &self,
        asked: &Arc<Asked>,
        body: &[u8],
        first: Turn,
        way: &mut Way,
    ) -> Result<Bytes, Refusal> {
        let mut begun = Instant::now();
        let (mut tries, mut renewed, mut last) = (0, false, None);
        loop {
            // Before the turn: a question that cannot be put uses up none.
            let session = self.sessions.get(asked).await?;
            let turn = match way.queued {
                None => first,
                Some(_) => Turn { at_most: AGAIN.saturating_sub(begun.elapsed()), ..first },
            };
            let turn = self.turns.wait(&asked.tenant_id, turn).await;
            // What AWS has said already counts more than that there was no further turn.
            let waited = turn.map_err(|refusal| last.take().unwrap_or(refusal))?;
            if way.queued.is_none() {
                begun = Instant::now();
            }
            way.queued = Some(way.queued.unwrap_or_default() + waited);
            let put = Instant::now();
            let patience = ALL.saturating_sub(begun.elapsed());
            let answer = self.questions.put(&session, asked.knowledge_base(), body.to_vec(), patience).await;
            way.aws = Some(way.aws.unwrap_or_default() + put.elapsed());
            let (refusal, again) = match answer {
                Ok(Answer::Passages(Passages { body, request_id })) => {
                    way.request_ids.extend(request_id);
                    return Ok(body);
                }
                Ok(Answer::Refused(refused)) => {
                    way.request_ids.extend(refused.request_id.clone());
                    if is_expired(&refused) && !renewed {
                        self.sessions.forget(asked);
                        renewed = true;
                        continue;
                    }
                    self.refused(asked, &refused, tries)
                }
                Err(unanswered) => {
                    tracing::warn!(tenant_id = asked.tenant_id, error = %unanswered, "AWS did not answer a question");
                    let again = matches!(unanswered, NoAnswer::Connection(_)) && tries < UNANSWERED;
                    (unanswered_as(&unanswered), again)
                }
            };
            tries += 1;
            let pause = PAUSE * 2_u32.saturating_pow(tries.min(6)) / 2;
            let pause = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
            if !again || begun.elapsed() + pause >= AGAIN {
                return Err(refusal);
            }
            last = Some(refusal);
            tokio::time::sleep(pause).await;
        }
    }

    /// What a refusal of AWS's becomes, and whether the question is put again.
    fn refused(&self, asked: &Asked, refused: &aws::Refusal, tries: u32) -> (Refusal, bool) {
        let refusal = Refusal::of_aws(refused.status, &refused.code, &refused.message);
        let again = match &refusal {
            Refusal::AwsThrottled { .. } => {
                self.turns.slow_down(SLOWER);
                true
            }
            _ => refused.status >= 500 && tries < UNANSWERED,
        };
        if refusal == Refusal::AwsDenied {
            let aws::Refusal { code, message, request_id, .. } = refused;
            let tenant_id = &asked.tenant_id;
            tracing::error!(tenant_id, code, message, request_id, "AWS does not let a tenant's session ask");
        }
        (refusal, again)
    }
}

/// Whether AWS does not take the session any more.
fn is_expired(refused: &aws::Refusal) -> bool {
    matches!(&*refused.code, "ExpiredTokenException" | "ExpiredToken")
}

fn unanswered_as(unanswered: &NoAnswer) -> Refusal {
    match unanswered {
        NoAnswer::TooLarge => Refusal::AwsUnreadable,
        NoAnswer::Unsigned(_) => Refusal::NoSession,
        NoAnswer::Connection(_) | NoAnswer::Timeout => Refusal::AwsAway,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use parking_lot::Mutex;
    use tokio_util::task::AbortOnDropHandle;

    use super::*;
    use crate::api::Pattern;
    use crate::ask::whose::tests::asked;
    use crate::gateway::sessions::tests::{Sts, sessions};

    type Said = Result<Answer, NoAnswer>;

    /// Answers as is scripted, and the last over and over.
    struct Aws(Mutex<Vec<fn() -> Said>>, Mutex<usize>);

    impl Puts for Aws {
        fn put<'a>(&'a self, _: &'a Session, _: &'a str, _: Vec<u8>, _: Duration) -> BoxFuture<'a, Said> {
            *self.1.lock() += 1;
            let mut script = self.0.lock();
            let says = if script.len() > 1 { script.remove(0) } else { script[0] };
            async move { says() }.boxed()
        }
    }

    fn passages() -> Said {
        Ok(Answer::Passages(Passages { body: "{}".into(), request_id: Some("A1".into()) }))
    }

    fn refused(status: u16, code: &str) -> Said {
        let (code, message) = (code.into(), format!("AWS says {code}"));
        Ok(Answer::Refused(aws::Refusal { status, code, message, request_id: Some("R1".into()) }))
    }

    fn throttled() -> Said {
        refused(429, "ThrottlingException")
    }

    struct Bed {
        upstream: Upstream,
        aws: Arc<Aws>,
        sts: Arc<Sts>,
        _follows: AbortOnDropHandle<()>,
    }

    impl Bed {
        fn new(script: &[fn() -> Said]) -> Self {
            let turns = Turns::new(100.0, Arc::default());
            let _follows = AbortOnDropHandle::new(tokio::spawn(turns.clone().follow()));
            let aws = Arc::new(Aws(Mutex::new(script.to_vec()), Mutex::new(0)));
            let (sessions, sts) = sessions();
            Self { upstream: Upstream { questions: aws.clone(), sessions, turns }, aws, sts, _follows }
        }

        async fn ask(&self) -> (Result<Bytes, Refusal>, Way) {
            let mut way = Way::default();
            let answer = self.ask_in(Turn::default(), &mut way).await;
            (answer, way)
        }

        async fn ask_in(&self, turn: Turn, way: &mut Way) -> Result<Bytes, Refusal> {
            self.upstream.ask(&Arc::new(asked(Pattern::Pool)), b"{}", turn, way).await
        }

        fn put(&self) -> usize {
            *self.aws.1.lock()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_aws_throttles_is_put_again_and_then_refused_in_its_words() {
        let bed = Bed::new(&[throttled, throttled, passages]);
        let (answer, way) = bed.ask().await;
        assert_eq!((answer, bed.put()), (Ok("{}".into()), 3));
        assert_eq!(way.request_ids, ["R1", "R1", "A1"]);
        assert!(way.queued.unwrap() >= SLOWER / 2, "nobody goes while AWS asks to go slower: {way:?}");
        let (bed, begun) = (Bed::new(&[throttled]), Instant::now());
        let (answer, _) = bed.ask().await;
        let Err(Refusal::AwsThrottled { message, .. }) = answer else { panic!("{answer:?}") };
        assert_eq!(message, "AWS says ThrottlingException");
        assert!(bed.put() > 2 && begun.elapsed() <= AGAIN, "{} in {:?}", bed.put(), begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_for_long_still_has_time_to_be_answered() {
        let (bed, mut way) = (Bed::new(&[throttled, passages]), Way::default());
        bed.upstream.turns.slow_down(3 * ALL);
        let patient = Turn { at_most: 4 * ALL, ..Turn::default() };
        assert_eq!(bed.ask_in(patient, &mut way).await, Ok("{}".into()));
        assert!(way.queued.unwrap() >= 3 * ALL, "{way:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_answered_is_put_again_a_few_times() {
        let lost = || Err(NoAnswer::Connection("reset".into()));
        for (script, expected, put) in [
            (vec![lost as fn() -> Said, passages], Ok("{}".into()), 2),
            (vec![lost], Err(Refusal::AwsAway), 3),
            (vec![|| refused(503, "ServiceUnavailableException"), passages], Ok("{}".into()), 2),
            (vec![|| Err(NoAnswer::Timeout)], Err(Refusal::AwsAway), 1),
            (vec![|| Err(NoAnswer::TooLarge)], Err(Refusal::AwsUnreadable), 1),
        ] {
            let bed = Bed::new(&script);
            assert_eq!((bed.ask().await.0, bed.put()), (expected, put));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_aws_refuses_is_not_put_again() {
        let bed = Bed::new(&[|| refused(400, "ValidationException")]);
        let (answer, _) = bed.ask().await;
        let Err(Refusal::Aws { status: 400, code, .. }) = answer else { panic!("{answer:?}") };
        assert_eq!((code.as_str(), bed.put()), ("ValidationException", 1));
        let bed = Bed::new(&[|| refused(403, "AccessDeniedException")]);
        assert_eq!((bed.ask().await.0, bed.put()), (Err(Refusal::AwsDenied), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_without_a_session_uses_up_no_turn() {
        let bed = Bed::new(&[passages]);
        bed.sts.hangs.store(true, Ordering::SeqCst);
        let begun = Instant::now();
        let (answer, way) = bed.ask().await;
        assert_eq!((answer, way.queued, bed.put()), (Err(Refusal::NoSession), None, 0));
        assert!(begun.elapsed() < ALL, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_aws_does_not_take_any_more_is_made_anew_once() {
        let expired = || refused(403, "ExpiredTokenException");
        let bed = Bed::new(&[expired, passages]);
        assert_eq!(bed.ask().await.0, Ok("{}".into()));
        assert_eq!(bed.sts.made.lock().len(), 2);
        let bed = Bed::new(&[expired]);
        assert_eq!((bed.ask().await.0, bed.put()), (Err(Refusal::AwsDenied), 2));
    }
}
