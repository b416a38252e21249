//! What is told as an event. kube counts two events as one if they differ in nothing but what they say, and the second is
//! read by nobody; here only those are counted on that say the same.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, Recorder, Reporter};
use parking_lot::Mutex;

/// How long an event is counted on, as kube does it.
const REMEMBERED: Duration = Duration::from_secs(6 * 60);

/// Tells events.
pub struct Events {
    client: Client,
    reporter: Reporter,
    /// By what they say: who told it, and when it was told last.
    told: Mutex<HashMap<String, (Instant, Recorder)>>,
}

impl Events {
    /// Of this process.
    pub fn new(client: Client, reporter: Reporter) -> Self {
        Self { client, reporter, told: Mutex::default() }
    }

    /// Writes it, or counts it on. One that somebody has deleted meanwhile is written anew.
    pub async fn tell(&self, event: &Event, object: &ObjectReference) -> Result<(), kube::Error> {
        let says = event.note.as_deref().unwrap_or_default();
        match self.recorder(says, false).publish(event, object).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {
                self.recorder(says, true).publish(event, object).await
            }
            told => told,
        }
    }

    fn recorder(&self, says: &str, anew: bool) -> Recorder {
        let mut told = self.told.lock();
        told.retain(|_, (last, _)| last.elapsed() < REMEMBERED);
        let recorder = match told.get(says).filter(|_| !anew) {
            Some((_, recorder)) => recorder.clone(),
            None => Recorder::new(self.client.clone(), self.reporter.clone()),
        };
        told.insert(says.into(), (Instant::now(), recorder.clone()));
        recorder
    }
}
