//! How long the embedding models in use are on offer: asked of Bedrock once a day for each of them, whoever uses it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::api::{ConditionType, Reason, Status};
use crate::aws::FoundationModels;
use crate::clock::Clock;
use crate::stack::fault::Fault;
use crate::stack::identity::Scope;
use crate::stack::lifecycle::{self, Lifecycle, Word};
use crate::stack::model::desired::Desired;
use crate::stack::model::outcome::Model;

/// How long an answer is good.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// When Bedrock is asked again that did not answer.
const AGAIN: Duration = Duration::from_secs(3600);

type Answer = Result<Option<Lifecycle>, Fault>;

/// What is known of each model.
#[derive(Default)]
pub struct Models {
    known: Mutex<HashMap<String, Known>>,
    /// Whoever has this asks, and the others wait for the answer: all passes of a start want to know at once.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Known {
    asked: Instant,
    good_for: Duration,
    answer: Answer,
}

impl Models {
    /// What Bedrock says of a model, at most a day ago. Where it does not answer, its last word stands.
    pub async fn lifecycle<F>(&self, clock: Clock, model: &str, ask: impl FnOnce() -> F) -> Answer
    where
        F: Future<Output = Answer>,
    {
        if let Some(answer) = self.fresh(clock, model) {
            return answer;
        }
        let _alone = self.asking.lock().await;
        if let Some(answer) = self.fresh(clock, model) {
            return answer;
        }
        let answer = ask().await;
        let good_for = if answer.is_ok() { DAY } else { AGAIN };
        let before = self.known.lock().get(model).map(|known| known.answer.clone());
        let answer = match (answer, before) {
            (Err(_), Some(Ok(before))) => Ok(before),
            (answer, _) => answer,
        };
        let known = Known { asked: Instant::now(), good_for, answer: answer.clone() };
        self.known.lock().insert(model.into(), known);
        answer
    }

    /// What is to be said of the model of a knowledge base that is wanted; `None` where the last word stands, or there is
    /// nothing to say.
    pub async fn word(
        &self,
        clock: Clock,
        scope: &Scope,
        bedrock: &FoundationModels,
        desired: &Desired,
        before: &Status,
    ) -> Option<Model> {
        let arn = &desired.knowledge_base.as_ref()?.embedding_model_arn;
        let Some(model) = of_bedrock(scope, arn) else { return Some(of_others(arn)) };
        match self.lifecycle(clock, model, || bedrock.lifecycle(model)).await {
            Ok(lifecycle) => {
                let Word { stays, message } = lifecycle::word(model, lifecycle.as_ref(), Timestamp::now());
                let reason = if stays { Reason::ModelStays } else { Reason::ModelLegacy };
                Some(Model { current: Some(stays), reason, message })
            }
            Err(fault) => {
                let said = before.condition(ConditionType::ModelCurrent).filter(|it| it.status != "Unknown");
                let reason = fault.class.needs_person().filter(|_| said.is_none())?;
                Some(Model { current: None, reason, message: fault.to_string() })
            }
        }
    }

    /// Somebody has mended a cause: Bedrock is asked again where it did not answer.
    pub fn ask_anew(&self) {
        for known in self.known.lock().values_mut().filter(|known| known.good_for == AGAIN) {
            known.good_for = Duration::ZERO;
        }
    }

    /// When a model ends, if that is known.
    pub fn ends(&self, model: &str) -> Option<Timestamp> {
        self.known.lock().get(model)?.answer.as_ref().ok()?.as_ref()?.ends
    }

    fn fresh(&self, clock: Clock, model: &str) -> Option<Answer> {
        let known = self.known.lock();
        let known = known.get(model)?;
        (clock.since(known.asked) < known.good_for).then(|| known.answer.clone())
    }
}

/// What is said of a model that is not Bedrock's own: a custom one, or one of another region.
fn of_others(arn: &str) -> Model {
    let message = format!(
        "{arn} is no model that Bedrock itself offers in this region: AWS gives it no end, and nobody tells when whoever provides \
         it ends it"
    );
    Model { current: Some(true), reason: Reason::ModelStays, message }
}

/// The id of a model that Bedrock itself offers in this region: others have no end that it knows.
pub fn of_bedrock<'a>(scope: &Scope, arn: &'a str) -> Option<&'a str> {
    Some(scope.model_of(arn)).filter(|model| !model.starts_with("arn:"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;
    use crate::stack::fault::Class;

    fn fault() -> Fault {
        Fault {
            class: Class::Denied,
            service: "bedrock",
            operation: "GetFoundationModel",
            resource: "m".into(),
            code: "AccessDeniedException".into(),
            message: "no".into(),
            request_id: None,
        }
    }

    const ACTIVE: Lifecycle = Lifecycle { is_legacy: false, ends: None };

    #[tokio::test]
    async fn five_hundred_tenants_of_one_model_ask_once_a_day() {
        let (models, asked) = (Models::default(), AtomicUsize::new(0));
        let ask = |clock| {
            models.lifecycle(clock, "m", || async {
                asked.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok(Some(ACTIVE))
            })
        };
        let answers = join_all((0..500).map(|_| ask(Clock::new(1)))).await;
        assert!(answers.iter().all(|answer| *answer == Ok(Some(ACTIVE))));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        ask(Clock::new(u32::MAX)).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 2, "a day later it is asked again");
    }

    #[tokio::test]
    async fn bedrock_that_does_not_answer_loses_no_word_and_is_asked_again_after_an_hour() {
        let models = Models::default();
        let (now, later) = (Clock::new(1), Clock::new(u32::MAX));
        let refused = || async { Err(fault()) };
        assert_eq!(models.lifecycle(now, "m", refused).await, Err(fault()));
        let unasked = || async { panic!("it was asked just now") };
        assert_eq!(models.lifecycle(now, "m", unasked).await, Err(fault()));
        assert_eq!(models.lifecycle(now, "o", refused).await, Err(fault()));
        models.ask_anew();
        assert_eq!(models.lifecycle(now, "o", || async { Ok(None) }).await, Ok(None), "its cause was mended");
        models.ask_anew();
        assert_eq!(
            models.lifecycle(now, "o", unasked).await,
            Ok(None),
            "what was answered is good for a day"
        );
        let ends = Timestamp::from_second(1_800_000_000).ok();
        let known = Some(Lifecycle { is_legacy: true, ends });
        let answers = || async { Ok(Some(Lifecycle { is_legacy: true, ends })) };
        assert_eq!(models.lifecycle(later, "m", answers).await, Ok(known.clone()));
        assert_eq!(models.lifecycle(later, "m", refused).await, Ok(known));
        assert_eq!((models.ends("m"), models.ends("n")), (ends, None));
    }

    #[test]
    fn only_bedrocks_own_models_of_the_region_have_an_end_to_ask_for() {
        let scope = Scope::new("prod", "123456789012", "eu-central-1");
        let titan = "amazon.titan-embed-text-v2:0";
        assert_eq!(of_bedrock(&scope, &scope.model_arn(titan)), Some(titan));
        for others in [
            "arn:aws:bedrock:eu-west-1::foundation-model/amazon.titan-embed-text-v2:0",
            "arn:aws:bedrock:eu-central-1:123456789012:custom-model/m",
            "arn:aws:bedrock:eu-central-1:123456789012:provisioned-model/m",
        ] {
            assert_eq!(of_bedrock(&scope, others), None, "{others}");
        }
    }

    #[tokio::test]
    async fn no_knowledge_base_with_a_custom_model_is_without_a_word_on_it() {
        use crate::reconcile::mocked::{api_server, context};
        use crate::stack::model::ideal;

        let sample = ideal::samples().remove(0);
        let mut desired = sample.want(&sample.built());
        let custom = "arn:aws:bedrock:eu-central-1:123456789012:custom-model/m";
        desired.knowledge_base.as_mut().unwrap().embedding_model_arn = custom.into();
        let cx = context(api_server([]).client());
        let word =
            cx.models.word(cx.clock, &cx.scope, &cx.aws.models, &desired, &Status::default()).await.unwrap();
        assert_eq!((word.current, word.reason), (Some(true), Reason::ModelStays));
        assert!(word.message.contains(custom), "{}", word.message);
        desired.knowledge_base = None;
        assert_eq!(
            cx.models.word(cx.clock, &cx.scope, &cx.aws.models, &desired, &Status::default()).await,
            None
        );
    }
}
