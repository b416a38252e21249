//! What the classes say of questions at this moment, and what their tenants have used of it. A question of a tenant without a
//! class never comes here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use kube::Resource;
use kube::runtime::watcher::Event;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::metrics::Metrics;
use crate::api::TenantClass;
use crate::api::guarded::Guarded;
use crate::ask::limits::{Beyond, Limits, Part, Terms};

type Known = HashMap<Box<str>, Arc<Terms>>;

/// All classes of the cluster.
pub struct Classes {
    known: ArcSwap<Known>,
    writer: Mutex<Writer>,
    limits: Mutex<Limits>,
    /// When the process began: limits count from then on.
    begun: Instant,
    metrics: Arc<Metrics>,
}

/// What only whoever takes in changes needs.
#[derive(Default)]
struct Writer {
    /// Which listing has shown a class last.
    shown: HashMap<Box<str>, u32>,
    listing: u32,
}

impl Classes {
    /// None yet. A minute takes so long.
    pub fn new(minute: Duration, metrics: Arc<Metrics>) -> Self {
        let (known, writer) = (ArcSwap::default(), Mutex::default());
        Self { known, writer, limits: Mutex::new(Limits::new(minute)), begun: Instant::now(), metrics }
    }

    /// What a class says, if there is one of that name.
    pub fn get(&self, class: &str) -> Option<Arc<Terms>> {
        self.known.load().get(class).cloned()
    }

    /// From now on this is the replica's part of all limits.
    pub fn set_part(&self, part: Part) {
        self.limits.lock().set_part(part);
    }

    /// Lets in a question, for as long as the answer is kept.
    pub fn enter<'a>(&'a self, tenant_id: &'a str, terms: &Terms) -> Result<Option<UnderWay<'a>>, Beyond> {
        if !terms.has_limits() {
            return Ok(None);
        }
        self.limits.lock().enter(tenant_id, terms, self.begun.elapsed())?;
        Ok(Some(UnderWay { limits: &self.limits, tenant_id }))
    }

    /// Takes in what the watch of TenantClasses tells.
    pub fn take(&self, event: Event<Guarded<TenantClass>>) {
        let mut writer = self.writer.lock();
        let mut known = Known::clone(&self.known.load());
        match event {
            Event::Init => writer.listing = writer.listing.wrapping_add(1),
            Event::InitApply(class) | Event::Apply(class) => {
                let name = class.meta().name.as_deref().unwrap_or_default();
                let listing = writer.listing;
                writer.shown.insert(name.into(), listing);
                match &class.0 {
                    Ok(class) => {
                        self.metrics.class_is_there(name);
                        known.insert(name.into(), Arc::new(Terms::of(name, &class.spec)));
                    }
                    // What it said before goes on: no limit ends because this release cannot read the next one.
                    Err(error) => tracing::warn!(class = name, %error, "a TenantClass cannot be read"),
                }
            }
            Event::Delete(class) => {
                self.forget(&mut writer, &mut known, class.meta().name.as_deref().unwrap_or_default());
            }
            Event::InitDone => {
                let listing = writer.listing;
                let gone = writer.shown.iter().filter(|(_, shown)| **shown != listing);
                let gone: Vec<_> = gone.map(|(name, _)| name.clone()).collect();
                for name in gone {
                    self.forget(&mut writer, &mut known, &name);
                }
            }
        }
        self.known.store(Arc::new(known));
    }

    fn forget(&self, writer: &mut Writer, known: &mut Known, name: &str) {
        writer.shown.remove(name);
        known.remove(name);
        self.metrics.class_is_gone(name);
    }
}

/// A question that is under way, as long as this is kept.
pub struct UnderWay<'a> {
    limits: &'a Mutex<Limits>,
    tenant_id: &'a str,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.limits.lock().leave(self.tenant_id);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A class as the API server shows it.
    pub fn class(name: &str, gateway: &Value) -> Guarded<TenantClass> {
        serde_json::from_value(json!({
            "apiVersion": "tenantry.dev/v1alpha1", "kind": "TenantClass", "metadata": {"name": name},
            "spec": {"gateway": gateway},
        }))
        .unwrap()
    }

    fn classes() -> Classes {
        Classes::new(Duration::from_secs(60), Arc::default())
    }

    #[test]
    fn an_edit_counts_at_once() {
        let classes = classes();
        assert!(classes.get("basic").is_none());
        for weight in [1, 7] {
            classes.take(Event::Apply(class("basic", &json!({"weight": weight}))));
            assert_eq!(classes.get("basic").unwrap().weight, weight);
        }
        classes.take(Event::Delete(class("basic", &json!({}))));
        assert!(classes.get("basic").is_none());
    }

    #[test]
    fn a_listing_forgets_what_it_does_not_show_and_its_series() {
        let classes = classes();
        for name in ["basic", "gone"] {
            classes.take(Event::Apply(class(name, &json!({}))));
        }
        classes.take(Event::Init);
        classes.take(Event::InitApply(class("basic", &json!({}))));
        assert!(classes.get("gone").is_some(), "until the listing is complete");
        classes.take(Event::InitDone);
        assert!(classes.get("gone").is_none() && classes.get("basic").is_some());
        let text = classes.metrics.text().unwrap();
        assert!(text.contains("class=\"basic\"") && !text.contains("class=\"gone\""), "{text}");
    }

    #[test]
    fn what_cannot_be_read_leaves_what_was_said_before() {
        let classes = classes();
        classes.take(Event::Apply(class("basic", &json!({"weight": 3}))));
        let unreadable = class("basic", &json!({"enforcement": "Perhaps"}));
        assert!(unreadable.0.is_err());
        classes.take(Event::Init);
        classes.take(Event::InitApply(unreadable));
        classes.take(Event::InitDone);
        assert_eq!(classes.get("basic").unwrap().weight, 3);
    }

    #[test]
    fn what_is_over_makes_room() {
        let classes = classes();
        classes.take(Event::Apply(class("basic", &json!({"concurrent": 1}))));
        let terms = classes.get("basic").unwrap();
        let first = classes.enter("acme", &terms).unwrap();
        assert!(first.is_some() && classes.enter("acme", &terms).is_err());
        drop(first);
        assert!(classes.enter("acme", &terms).is_ok());
    }
}
