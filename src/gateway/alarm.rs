//! What the namespace of a tenant is told when a passage came back that was not the tenant's: an event on the Tenant, at
//! most once in a while for each.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::api::{GROUP, VERSION};
use crate::ask::whose::Asked;
use crate::stack::causes::causes;

/// Of how many tenants it is remembered when they were told.
const MOST: NonZeroUsize = NonZeroUsize::MIN.saturating_add(65_535);

/// Tells it. Clones are the same one.
#[derive(Clone)]
pub struct Alarm {
    client: Client,
    replica: Arc<str>,
    every: Duration,
    told: Arc<Mutex<LruCache<String, Instant>>>,
}

impl Alarm {
    /// From this replica, of each tenant at most so often.
    pub fn new(client: Client, replica: &str, every: Duration) -> Self {
        Self { client, replica: replica.into(), every, told: Arc::new(Mutex::new(LruCache::new(MOST))) }
    }

    /// So many passages were not the tenant's. Nobody waits for what becomes of it.
    pub fn foreign(&self, asked: &Asked, count: usize) {
        tracing::error!(
            tenant_id = asked.tenant_id,
            count,
            "passages came back that are not the tenant's; they were dropped"
        );
        if !self.is_due(&asked.uid) {
            return;
        }
        let (events, event) = (self.events(&asked.namespace), self.event(asked, count));
        tokio::spawn(async move {
            if let Err(error) = events.create(&PostParams::default(), &event).await {
                tracing::warn!(error = causes(&error), "an event could not be written");
            }
        });
    }

    fn is_due(&self, uid: &str) -> bool {
        let (mut told, now) = (self.told.lock(), Instant::now());
        let is_due = told.get(uid).is_none_or(|last| now.duration_since(*last) >= self.every);
        if is_due {
            told.put(uid.into(), now);
        }
        is_due
    }

    fn events(&self, namespace: &str) -> Api<Event> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn event(&self, asked: &Asked, count: usize) -> Event {
        let now = Timestamp::now();
        let note = format!(
            "{count} passages that AWS returned to a question of this tenant are not the tenant's. They were dropped, and \
             nobody has seen them. Either the vector store did not apply a filter, or a metadata file names another tenant \
             than its folder does, or the knowledge base was mixed up: compare the documents and the knowledge base with \
             the Tenant's status"
        );
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{}.{:x}", asked.name, now.as_nanosecond())),
                namespace: Some(asked.namespace.clone()),
                ..ObjectMeta::default()
            },
            type_: Some("Warning".into()),
            action: Some("Retrieve".into()),
            reason: Some("ForeignPassages".into()),
            note: Some(note),
            event_time: Some(MicroTime(now)),
            regarding: Some(ObjectReference {
                api_version: Some(format!("{GROUP}/{VERSION}")),
                kind: Some("Tenant".into()),
                namespace: Some(asked.namespace.clone()),
                name: Some(asked.name.clone()),
                uid: Some(asked.uid.clone()),
                ..ObjectReference::default()
            }),
            reporting_controller: Some(format!("{GROUP}/gateway")),
            reporting_instance: Some(self.replica.to_string()),
            ..Event::default()
        }
    }
}
