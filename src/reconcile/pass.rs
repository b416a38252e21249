//! One pass over an object, the same for all kinds.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use kube::{Resource, ResourceExt};
use tokio::time::Instant;

use super::context::Context;
use super::engine::{self, News, Passed, Stack, Survey};
use super::ingestion::LastStep;
use super::managed::{Managed, Pass};
use super::memory::Memory;
use super::resolved::Resolved;
use super::stop::PassStop;
use super::{
    Action, Error, Guarded, PASS_TIMEOUT, conditions_writer, failed, finalizer, ids, ingestion, offer_status,
    teardown, unparsed, unreadable,
};
use crate::api::{ConditionType, Reason, Status, annotations};
use crate::stack::model::blocked::Blocked;
use crate::stack::model::outcome::{LayerStatus, Outcome};
use crate::stack::model::progress::STALLED;

/// One pass over an object, whatever has become of it.
pub async fn reconcile<M: Managed>(object: Arc<Guarded<M>>, cx: Arc<Context>) -> Result<Action, Error> {
    cx.caches().await;
    let meta = object.meta();
    cx.heed(meta);
    match &object.0 {
        _ if meta.deletion_timestamp.is_some() => match in_time(M::teardown(&cx, meta).boxed()).await {
            Err(error) => {
                Err(failed::tell_leaver(&cx, &unparsed::api::<M>(cx.client.clone(), meta), meta, error).await)
            }
            done => done,
        },
        Ok(object) => match in_time(pass(&cx, object).boxed()).await {
            Err(error) => Err(failed::tell(&cx, object, error).await),
            done => done,
        },
        Err(invalid) => {
            cx.stops_waiting(&meta.uid.clone().unwrap_or_default());
            unreadable::tell(&cx, &unparsed::api::<M>(cx.client.clone(), meta), meta, &invalid.error).await
        }
    }
}

/// Boxed, because a pass is large and the compiler cannot otherwise tell that it is `Send`.
async fn in_time(pass: BoxFuture<'_, Result<Action, Error>>) -> Result<Action, Error> {
    tokio::time::timeout(PASS_TIMEOUT, pass).await.unwrap_or(Err(Error::Timeout))
}

/// One pass over an object that lives: resolve → observe → plan → act → report.
pub(super) async fn pass<M: Managed>(cx: &Context, seen: &M) -> Result<Action, Error> {
    let nothing = Status::default();
    let before = seen.status().unwrap_or(&nothing);
    if let Some(action) = preflight(cx, seen, before).await? {
        return Ok(action);
    }
    // An object that has our finalizer already is not copied: there may be very many.
    let (mut object, mut pass) = (Cow::Borrowed(seen), Pass::begins(seen, before));
    // It is written back however the pass ends.
    let mut memory = cx.memories.lend(&seen.uid().unwrap_or_default());
    let world = cx.world();
    let mut id = None;
    let end = async {
        // Resolve: what it asks for, and whether it may, by the API server, caches, records and quotas.
        let resolved = M::resolve(&mut object, cx).await;
        let resolved = resolved.inspect_err(|stop| stand_back(cx, &*object, stop))?;
        id = Some(resolved.id.clone());
        // Observe and plan: what AWS has, and what is to be done about it.
        let stack = resolved.stack(before);
        let plan = observe(cx, &resolved, stack.as_ref(), pass.generation, &mut memory).await?;
        object.begin(cx, &resolved, &mut pass, &mut memory).await?;
        pass.status.region = Some(cx.scope.region.clone());
        pass.status.prefix = resolved.prefix();
        // Act: a step of each layer that can take one, and then the documents.
        let (stack, mut passed) = match plan {
            Plan::Nothing => return Ok(()),
            Plan::Ends(stack, passed) => (stack, *passed),
            Plan::Steps(stack, survey) => {
                let carried = engine::carry_on(&world, stack, &mut memory, pass.generation, *survey);
                (stack, carried.boxed().await)
            }
        };
        tell(cx, &*object, &passed.news, &mut memory).await;
        object.inspect(cx, &resolved, &pass, &mut passed).await;
        note(cx, stack, &passed, &mut pass, &memory).await;
        pass.built(passed);
        let step = object.documents(cx, &resolved, &pass, &mut memory).await;
        look_after(&mut pass, step);
        Ok(())
    };
    let end = end.await;
    // Report: why it ended early, if it did; the registry; the status.
    stop(&mut pass, end)?;
    if pass.error.is_none() {
        memory.failing_since = None;
    }
    object.register(cx, id.as_ref(), &mut pass, &mut memory).await;
    report(cx, &*object, pass, &mut memory).await
}

/// What follows at once, before anything is asked: nothing is done for an object that another installation holds, that is
/// paused, or that was looked at just now.
async fn preflight<M: Managed>(cx: &Context, object: &M, before: &Status) -> Result<Option<Action>, Error> {
    let (api, subject) = object.address(&cx.client);
    let uid = object.uid().unwrap_or_default();
    if let Some(holder) = finalizer::held_by_another(object, &cx.finalizer()) {
        cx.stops_waiting(&uid);
        conditions_writer::held_by_another(cx, &subject, &holder).await;
        return Ok(Some(Action::await_change()));
    }
    if annotations::pause(object.meta()).is_some() {
        object.step_back(cx, None);
        cx.no_further(&uid, before);
        return teardown::paused(cx, &api, &subject, object.meta(), before).boxed().await.map(Some);
    }
    Ok(cx.too_early(object.meta()).map(|wait| Action::requeue(cx.clock.outside(wait))))
}

/// Who may not be acted upon keeps nothing from others. It goes on waiting for what it was refused, if that is a place.
fn stand_back<M: Managed>(cx: &Context, object: &M, stop: &PassStop) {
    let why = match stop {
        PassStop::Failed(_) => return,
        PassStop::Refused(refused) => Some(refused.reason),
        _ => None,
    };
    object.step_back(cx, why);
    if !matches!(why, Some(Reason::QuotaReserved | Reason::TooManyTenants)) {
        cx.stops_waiting(&object.uid().unwrap_or_default());
    }
}

/// What a look at the stack came to.
enum Plan<'a> {
    /// The object owns no layers.
    Nothing,
    /// Nothing can be done now, as when something is not ours.
    Ends(&'a Stack<'a>, Box<Passed>),
    /// What is to be done.
    Steps(&'a Stack<'a>, Box<Survey>),
}

/// Looks at the stack, and says what is to be done. Whoever is refused by what is there takes over nothing: neither its
/// tenantId, nor documents, nor a marker.
async fn observe<'a>(
    cx: &Context,
    resolved: &Resolved,
    stack: Option<&'a Stack<'a>>,
    generation: i64,
    memory: &mut Memory,
) -> Result<Plan<'a>, PassStop> {
    let Some(stack) = stack else { return Ok(Plan::Nothing) };
    match engine::survey(&cx.world(), stack, memory, generation).await {
        Ok(survey) => Ok(Plan::Steps(stack, Box::new(survey))),
        Err(passed) if resolved.grant.is_some() => Err(PassStop::NotBegun(Box::new(passed))),
        Err(passed) => Ok(Plan::Ends(stack, Box::new(passed))),
    }
}

/// Events of what was done.
async fn tell<M: Managed>(cx: &Context, object: &M, news: &News, memory: &mut Memory) {
    let subject = conditions_writer::subject(object);
    if news.adopts {
        conditions_writer::adopted(cx, &subject).await;
    }
    conditions_writer::drift_repaired(cx, &subject, &news.drift).await;
    conditions_writer::tag_is_old(cx, &subject, memory).await;
}

/// Writes into the status what the layers are called, and what is known of the model.
async fn note(cx: &Context, stack: &Stack<'_>, passed: &Passed, pass: &mut Pass<'_>, memory: &Memory) {
    offer_status::approve_loss(&mut pass.status, &passed.news.approved_loss);
    let desired = stack.desired(&memory.observed);
    offer_status::owned(&mut pass.status, &desired, &memory.observed, &passed.layers);
    pass.report.model = cx.models.word(cx.clock, &cx.scope, &cx.aws.models, &desired, pass.before).await;
}

/// What the last step came to. What an object without documents said of them once is not said again.
fn look_after(pass: &mut Pass<'_>, step: Option<LastStep>) {
    pass.report.documents = None;
    let Some(step) = step else { return };
    let reindexing = ingestion::reindexing(pass.before, &mut pass.status, &step);
    pass.report.outcome = std::mem::take(&mut pass.report.outcome).while_reindexing(reindexing);
    if let Some(unclaimed) = step.synced.unclaimed {
        pass.status.unclaimed_documents = i64::try_from(unclaimed).ok().filter(|count| *count > 0);
    }
    if let Some(tally) = step.synced.tally {
        pass.status.documents = Some(tally.into());
    }
    pass.look_again(step.look_again);
    pass.fails(step.fault);
    pass.report.documents = Some(step.synced.documents);
}

/// How a pass ended that did not take all of its steps.
fn stop(pass: &mut Pass<'_>, end: Result<(), PassStop>) -> Result<(), Error> {
    let Err(stop) = end else { return Ok(()) };
    match stop {
        PassStop::Failed(error) => return Err(error),
        PassStop::Refused(why) => {
            pass.report.outcome = Outcome::Refused(why);
            pass.look_again = Some(STALLED);
        }
        PassStop::Withheld(why) => {
            let passes = why.reason == Reason::WaitingForRecords;
            pass.look_again = Some(if passes { ids::LOOK_AGAIN } else { STALLED });
            pass.report.outcome = Outcome::Withheld(why);
        }
        PassStop::Stands(why) => {
            pass.report.change = Some(why);
            pass.report.borrowed =
                pass.before.condition(ConditionType::StackReady).map(|_| LayerStatus::Unchanged);
            pass.look_again = Some(STALLED);
        }
        PassStop::WaitsForStack(stack) => {
            let undecided = !pass.before.is_accepted();
            pass.report.change = Blocked::of_change(pass.before);
            pass.report.outcome = Outcome::default().while_undecided(undecided);
            pass.report.borrowed = Some(stack);
        }
        PassStop::Restores(documents) => {
            pass.report.borrowed = Some(documents);
            pass.look_again = Some(Duration::from_secs(1));
        }
        PassStop::NotBegun(passed) => {
            pass.built(*passed);
            pass.report.outcome = match std::mem::take(&mut pass.report.outcome) {
                Outcome::Blocked { why, .. } => Outcome::Refused(why),
                other => other.while_undecided(true),
            };
        }
    }
    Ok(())
}

/// Writes what was found out into the status, and says when to look again.
async fn report<M: Managed>(
    cx: &Context,
    object: &M,
    pass: Pass<'_>,
    memory: &mut Memory,
) -> Result<Action, Error> {
    let Pass { before, generation, report, mut status, look_again, error } = pass;
    let uid = object.uid().unwrap_or_default();
    conditions_writer::set_conditions(&mut status, &report, generation);
    cx.settle(&uid, &status, memory.observed.knowledge_base.ours().is_some());
    object.settle(cx);
    let (api, subject) = object.address(&cx.client);
    // What is waited for goes on while the status is written.
    let begun = Instant::now();
    conditions_writer::write(cx, &api, &subject, before, &status, object.is_quiet()).await?;
    if let Some(error) = error {
        return Err(Error::Told(Box::new(error)));
    }
    memory.failures = 0;
    let resync = cx.resync(&uid);
    let after = cx.clock.outside(look_again.map_or(resync, |again| again.min(resync)));
    Ok(Action::requeue(after.saturating_sub(begun.elapsed())))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response};
    use kube::Client;
    use kube::client::Body;
    use serde_json::json;

    use super::*;
    use crate::api::{PerLayer, Tenant};
    use crate::clock;
    use crate::reconcile::mocked::{TENANT, api_server, context, merge_patch, read, tenant};
    use crate::stack::model::blocked::Blocked;
    use crate::stack::model::outcome::LayerStatus;

    fn no(reason: Reason) -> Blocked {
        Blocked { reason, message: "no".into() }
    }

    /// Whatever ends a pass, the last word on what it did not come to stands.
    #[test]
    fn a_pass_that_ends_early_says_why_and_when_it_looks_again() {
        let undecided = Outcome::default().while_undecided(true);
        let waits = || LayerStatus::Waiting(Reason::StackNotReady, "soon".into());
        let not_begun = |outcome| {
            let layers = PerLayer { role: Some(LayerStatus::Ready), ..PerLayer::default() };
            PassStop::NotBegun(Box::new(Passed {
                layers,
                outcome,
                look_again: Some(STALLED),
                ..Passed::default()
            }))
        };
        let second = Duration::from_secs(1);
        for (end, outcome, borrowed, again) in [
            (
                PassStop::from(no(Reason::SpecInvalid)),
                Outcome::Refused(no(Reason::SpecInvalid)),
                None,
                Some(STALLED),
            ),
            (
                PassStop::Withheld(no(Reason::RecordsLost)),
                Outcome::Withheld(no(Reason::RecordsLost)),
                None,
                Some(STALLED),
            ),
            (
                PassStop::Withheld(no(Reason::WaitingForRecords)),
                Outcome::Withheld(no(Reason::WaitingForRecords)),
                None,
                Some(ids::LOOK_AGAIN),
            ),
            (PassStop::WaitsForStack(waits()), undecided.clone(), Some(waits()), None),
            (PassStop::Restores(waits()), Outcome::default(), Some(waits()), Some(second)),
            (not_begun(Outcome::default()), undecided, None, Some(STALLED)),
            (
                not_begun(Outcome::blocked(no(Reason::OwnedByAnother))),
                Outcome::Refused(no(Reason::OwnedByAnother)),
                None,
                Some(STALLED),
            ),
        ] {
            let before = Status::default();
            let object = read::<Tenant>(tenant(json!({})));
            let mut pass = Pass::begins(&object, &before);
            let looked = matches!(end, PassStop::NotBegun(_));
            stop(&mut pass, Err(end)).unwrap();
            assert_eq!((&pass.report.outcome, &pass.report.borrowed), (&outcome, &borrowed));
            assert_eq!((pass.look_again, &pass.status), (again, &before), "{outcome:?}");
            let role = if looked { LayerStatus::Ready } else { LayerStatus::Unchanged };
            assert_eq!(pass.report.layers.role, Some(role), "{outcome:?}");
        }
    }

    /// A patch of ours may answer with a spec that was written meanwhile, of which nothing is known yet.
    #[tokio::test]
    async fn a_status_speaks_of_the_spec_that_the_pass_began_with() {
        let newer = json!({"generation": 4, "resourceVersion": "8"});
        let patch = merge_patch(format!("{TENANT}/status"), json!("*"));
        let server = api_server([patch.answered(tenant(json!({"generation": 4, "resourceVersion": "9"})))]);
        let (cx, before) = (context(server.client()), Status::default());
        let pass = Pass::begins(&read::<Tenant>(tenant(json!({}))), &before);
        report(&cx, &read::<Tenant>(tenant(newer)), pass, &mut Memory::default()).await.unwrap();
        let written = &server.seen()[0].body;
        assert_eq!(written["metadata"]["resourceVersion"], "8");
        assert_eq!(written["status"]["observedGeneration"], 3);
        let conditions = written["status"]["conditions"].as_array().unwrap();
        assert!(conditions.iter().all(|it| it["observedGeneration"] == 3), "{conditions:#?}");
    }

    /// What AWS makes does not wait for the API server.
    #[tokio::test(start_paused = true)]
    async fn a_status_that_is_written_slowly_puts_the_next_look_off_no_further() {
        let slowly = tower::service_fn(|_: Request<Body>| async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok::<_, Infallible>(Response::new(Body::from(tenant(json!({})).to_string().into_bytes())))
        });
        let (cx, before) = (context(Client::new(slowly, "tenants")), Status::default());
        let object = read::<Tenant>(tenant(json!({})));
        for (look_again, after) in [(5, 3), (1, 0)] {
            let mut pass = Pass::begins(&object, &before);
            pass.look_again(Some(Duration::from_secs(look_again)));
            let action = report(&cx, &object, pass, &mut Memory::default()).await.unwrap();
            assert_eq!(action, Action::requeue(Duration::from_secs(after)), "of {look_again} seconds");
        }
    }

    #[test]
    fn who_was_accepted_stays_so_while_it_waits_for_its_stack_and_a_failure_is_no_answer() {
        let mut before = Status::default();
        before.set(ConditionType::Accepted, "True", Reason::Accepted, "", None, clock::now());
        let object = read::<Tenant>(tenant(json!({})));
        let mut pass = Pass::begins(&object, &before);
        stop(&mut pass, Err(PassStop::WaitsForStack(LayerStatus::Unchanged))).unwrap();
        assert_eq!(pass.report.outcome, Outcome::default());
        let failed = stop(&mut pass, Err(Error::Timeout.into()));
        assert!(matches!(failed, Err(Error::Timeout)));
    }
}
