//! What is told as an event. kube's recorder counts two events as one if they differ in nothing but what they say, and the
//! second is read by nobody; here only those are counted on that say the same. It also looks at all that were told whenever
//! one is, and keeps each of them whole; here the sum of what an event says is enough to know it again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event as Written, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::events::{Event, EventType, Reporter};
use kube::{Api, Client};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// How long an event is counted on, as kube does it.
const REMEMBERED: Duration = Duration::from_secs(6 * 60);

/// Tells events.
pub struct Events {
    client: Client,
    reporter: Reporter,
    told: Mutex<Told>,
}

/// The sum of what makes an event the same as another.
type Sum = [u8; 16];

struct Told {
    events: HashMap<Sum, Known>,
    /// When those that are not counted on any more were last forgotten.
    swept: Instant,
}

/// An event that was told.
#[derive(Clone)]
struct Known {
    name: Box<str>,
    since: Timestamp,
    last: Instant,
    count: i32,
}

impl Told {
    /// An event that is counted on, if it is one.
    fn known(&mut self, sum: &Sum) -> Option<Known> {
        // Each look at all of them would cost the more, the more there are.
        if self.swept.elapsed() >= REMEMBERED / 6 {
            self.events.retain(|_, known| known.last.elapsed() < REMEMBERED);
            self.events.shrink_to_fit();
            self.swept = Instant::now();
        }
        self.events.get(sum).filter(|known| known.last.elapsed() < REMEMBERED).cloned()
    }
}

impl Events {
    /// Of this process.
    pub fn new(client: Client, reporter: Reporter) -> Self {
        let told = Told { events: HashMap::new(), swept: Instant::now() };
        Self { client, reporter, told: Mutex::new(told) }
    }

    /// Writes it, or counts it on. One that somebody has deleted meanwhile is written anew.
    pub async fn tell(&self, event: &Event, object: &ObjectReference) -> Result<(), kube::Error> {
        let sum = sum(event, object);
        let events = Api::namespaced(self.client.clone(), object.namespace.as_deref().unwrap_or("default"));
        let known = self.told.lock().known(&sum);
        if let Some(known) = known {
            let known = Known { count: known.count.saturating_add(1), last: Instant::now(), ..known };
            let written = self.counted(event, object, &known);
            match events.patch(&known.name, &PatchParams::default(), &Patch::Merge(&written)).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error),
                Ok(_) => {
                    self.told.lock().events.insert(sum, known);
                    return Ok(());
                }
            }
        }
        let since = Timestamp::now();
        let named = object.name.as_ref().unwrap_or(&self.reporter.controller);
        let name = format!("{named}.{:x}", since.as_nanosecond());
        let written = self.written(event, object, &name, since);
        events.create(&PostParams::default(), &written).await?;
        let known = Known { name: name.into(), since, last: Instant::now(), count: 1 };
        self.told.lock().events.insert(sum, known);
        Ok(())
    }

    /// The event that was told first, counted on.
    fn counted(&self, event: &Event, object: &ObjectReference, known: &Known) -> Written {
        let series = EventSeries { count: known.count, last_observed_time: MicroTime(Timestamp::now()) };
        Written { series: Some(series), ..self.written(event, object, &known.name, known.since) }
    }

    fn written(&self, event: &Event, object: &ObjectReference, name: &str, since: Timestamp) -> Written {
        let controller = &self.reporter.controller;
        Written {
            metadata: ObjectMeta {
                name: Some(name.into()),
                namespace: object.namespace.clone(),
                ..ObjectMeta::default()
            },
            type_: Some(type_of(event).into()),
            action: Some(event.action.clone()),
            reason: Some(event.reason.clone()),
            note: event.note.clone(),
            event_time: Some(MicroTime(since)),
            regarding: Some(object.clone()),
            related: event.secondary.clone(),
            reporting_controller: Some(controller.clone()),
            reporting_instance: Some(self.reporter.instance.as_ref().unwrap_or(controller).clone()),
            ..Written::default()
        }
    }
}

fn type_of(event: &Event) -> &'static str {
    match event.type_ {
        EventType::Normal => "Normal",
        EventType::Warning => "Warning",
    }
}

/// Two events are one if they say the same of the same object.
fn sum(event: &Event, object: &ObjectReference) -> Sum {
    let of = |field: &Option<String>| field.clone().unwrap_or_default();
    let related = event.secondary.as_ref().map(|it| format!("{it:?}")).unwrap_or_default();
    let all = [
        type_of(event),
        &event.action,
        &event.reason,
        &of(&object.kind),
        &of(&object.namespace),
        &of(&object.name),
        &of(&object.uid),
        &related,
        &of(&event.note),
    ];
    let digest = Sha256::digest(all.join("\n"));
    let mut sum = Sum::default();
    sum.copy_from_slice(&digest[..16]);
    sum
}
