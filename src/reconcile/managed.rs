//! What tells one kind of object from another in a pass: what it asks for, and the steps that only it takes.

use std::borrow::Cow;
use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::conditions_writer;
use super::context::Context;
use super::engine::Passed;
use super::ingestion::LastStep;
use super::memory::Memory;
use super::resolved::Resolved;
use super::stop::PassStop;
use super::{Action, Error};
use crate::api::{PerLayer, Reason, Status};
use crate::clock;
use crate::stack::identity::Identity;
use crate::stack::model::outcome::{Documents, LayerStatus, Outcome, Report};

/// What a pass has found out so far, and what follows from it.
pub struct Pass<'a> {
    /// The status as it stands.
    pub before: &'a Status,
    /// The generation of the object as the pass began.
    pub generation: i64,
    /// What is to be told in conditions.
    pub report: Report,
    /// The status as it is to be, but for them.
    pub status: Status,
    /// When to look again.
    pub look_again: Option<Duration>,
    /// A passing failure: backoff decides when to look again.
    pub error: Option<Error>,
}

impl<'a> Pass<'a> {
    /// Nothing is known yet: the last word stands.
    pub fn begins(object: &impl Managed, before: &'a Status) -> Self {
        let documents = Documents::last(&before.conditions);
        let report = Report { layers: object.untouched(), documents, ..Report::default() };
        let generation = object.meta().generation.unwrap_or(0);
        Self { before, generation, report, status: before.clone(), look_again: None, error: None }
    }

    /// What a pass over its layers came to.
    pub fn built(&mut self, passed: Passed) {
        let Passed { layers, outcome, look_again, fault, .. } = passed;
        (self.report.layers, self.report.outcome) = (layers, outcome);
        self.look_again(look_again);
        self.fails(fault);
    }

    /// Whether everything that is owned is as it should be.
    pub fn is_whole(&self) -> bool {
        let is_ready = |layer: &Option<LayerStatus>| matches!(layer, None | Some(LayerStatus::Ready));
        let Report { outcome, layers, .. } = &self.report;
        !matches!(outcome, Outcome::Blocked { .. }) && layers.iter().all(|(_, it)| is_ready(it))
    }

    /// Looks again after a while, if not before.
    pub fn look_again(&mut self, again: Option<Duration>) {
        self.look_again = clock::earliest(self.look_again, again);
    }

    /// The first failure is the one that is told.
    pub fn fails(&mut self, error: Option<impl Into<Error>>) {
        self.error = self.error.take().or(error.map(Into::into));
    }
}

/// A kind of object that owns layers.
pub trait Managed:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
    /// Where objects of the kind are.
    fn api(client: Client, namespace: &str) -> Api<Self>;

    /// Where its status and its events are written: to the object as it was read.
    fn address(&self, client: &Client) -> (Api<Self>, ObjectReference) {
        let namespace = self.meta().namespace.as_deref().unwrap_or_default();
        (Self::api(client.clone(), namespace), conditions_writer::subject(self))
    }

    /// Its status.
    fn status(&self) -> Option<&Status>;

    /// Which layers it owns, whatever is known of them.
    fn untouched(&self) -> PerLayer<Option<LayerStatus>>;

    /// Whether it borrows layers.
    fn borrows(&self) -> bool;

    /// Whether its readiness is nobody's news.
    fn is_quiet(&self) -> bool {
        false
    }

    /// What it asks for, and whether it may be acted upon. Ends with our finalizer on it.
    fn resolve(
        object: &mut Cow<'_, Self>,
        cx: &Context,
    ) -> impl Future<Output = Result<Resolved, PassStop>> + Send;

    /// It does not go on: gives back what others may wait for. `why` is the reason for which it was refused, if it was.
    fn step_back(&self, _cx: &Context, _why: Option<Reason>) {}

    /// What is done after a first look at the stack, and before anything of it is changed.
    fn begin(
        &self,
        _cx: &Context,
        _resolved: &Resolved,
        _pass: &mut Pass<'_>,
        _memory: &mut Memory,
    ) -> impl Future<Output = Result<(), PassStop>> + Send {
        async { Ok(()) }
    }

    /// What must be right before others rely on what was built.
    fn inspect(
        &self,
        _cx: &Context,
        _resolved: &Resolved,
        _pass: &Pass<'_>,
        _passed: &mut Passed,
    ) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// The last step: its documents, once the stack is whole. None if it has none of its own.
    fn documents(
        &self,
        cx: &Context,
        resolved: &Resolved,
        pass: &Pass<'_>,
        memory: &mut Memory,
    ) -> impl Future<Output = Option<LastStep>> + Send;

    /// Tells clients where to ask. `id` is none if it may not be acted upon.
    fn register(
        &self,
        _cx: &Context,
        _id: Option<&Identity>,
        _pass: &mut Pass<'_>,
        _memory: &mut Memory,
    ) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// What it keeps from others without need, once it is known how the pass ended, is given back.
    fn settle(&self, _cx: &Context) {}

    /// One pass of an object that is being deleted, whether it can be read or not.
    fn teardown(cx: &Context, seen: &ObjectMeta) -> impl Future<Output = Result<Action, Error>> + Send;
}
