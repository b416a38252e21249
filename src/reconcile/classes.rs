//! TenantClasses: which there are, who stands under them, and our finalizer on those that are used. A class is several
//! installations', and an administrator's: nothing but the finalizer is written to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};
use parking_lot::Mutex as Lock;
use tokio::sync::{Mutex, Notify};

use super::context::Context;
use super::tenants::Kept;
use super::{Guarded, finalizer};
use crate::api::{Limits, Named, Reason, TenantClass, TenantClassSpec};
use crate::documents::tally::Bound;
use crate::stack::hash::fingerprint;
use crate::stack::model::blocked::Blocked;

/// What a process knows of the classes that its Tenants use.
#[derive(Default)]
pub struct Classes {
    /// Which classes carry our finalizer, as far as this process has seen or written it. Whoever holds the lock decides
    /// whether one is put on or taken off.
    held: Mutex<BTreeSet<String>>,
    /// By a Tenant's uid: the class that it is coming to, before its status says so.
    coming: Lock<BTreeMap<String, String>>,
    /// Notified when a class may not be used any more.
    pub unused: Notify,
}

/// A class as a Tenant stands, or would stand, under it.
#[derive(Clone, Debug)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// What it says.
    pub spec: Arc<TenantClassSpec>,
    /// Whether it is being deleted.
    pub leaves: bool,
}

impl Class {
    /// By its name.
    pub fn named(&self) -> Named<'_> {
        Named { name: &self.name, spec: &self.spec }
    }

    /// How much a tenant of it may have.
    pub fn limits(&self) -> Limits {
        self.spec.limits.clone().unwrap_or_default()
    }
}

/// What of a class concerns its Tenants. The gateway looks at its own part itself.
pub fn concerns(class: &TenantClass) -> String {
    let TenantClass { metadata, spec } = class;
    let spec = TenantClassSpec { gateway: None, ..spec.clone() };
    let leaves = metadata.deletion_timestamp.is_some();
    fingerprint(&serde_json::to_string(&(&metadata.uid, leaves, spec)).unwrap_or_default())
}

impl Context {
    /// A class, from the cache; or why it cannot be used.
    pub fn class(&self, name: &str) -> Result<Class, Blocked> {
        let not_found = |message: String| Blocked { reason: Reason::ClassNotFound, message };
        let Some(found) = self.tenant_classes.get(&ObjectRef::new(name)) else {
            return Err(not_found(format!(
                "There is no TenantClass '{name}': name another in `classRef`, or ask an administrator to create it"
            )));
        };
        match &found.0 {
            Ok(class) => Ok(Class {
                name: name.into(),
                spec: Arc::new(class.spec.clone()),
                leaves: class.metadata.deletion_timestamp.is_some(),
            }),
            Err(_) => Err(not_found(format!("This release cannot read TenantClass '{name}'"))),
        }
    }

    /// Wakes all Tenants that name a class, or stand under it.
    pub fn wake_class(&self, class: &str) {
        self.wake_tenants(|tenant| tenant.is_of_class(class));
    }

    /// A Tenant comes to a class: our finalizer is on it before the Tenant's status names it. Whether the class is there is
    /// decided by whoever writes.
    pub async fn hold_class(&self, class: &str, uid: &str) -> Result<Result<(), Blocked>, kube::Error> {
        let mut held = self.classes.held.lock().await;
        self.classes.coming.lock().insert(uid.into(), class.into());
        if held.contains(class) || self.settings.read_only {
            return Ok(Ok(()));
        }
        let found = self.class(class).and_then(|_| {
            let cached = self.tenant_classes.get(&ObjectRef::new(class));
            cached.ok_or_else(|| Blocked { reason: Reason::ClassNotFound, message: format!("There is no TenantClass '{class}'") })
        });
        let cached = match found {
            Ok(cached) => cached,
            Err(blocked) => return Ok(Err(blocked)),
        };
        if !finalizer::has_finalizer(&*cached, &self.finalizer()) {
            finalizer::take::<Guarded<TenantClass>>(&self.class_api(), &*cached, &self.finalizer()).await?;
        }
        held.insert(class.into());
        Ok(Ok(()))
    }

    /// A Tenant does not come to a class after all, or is gone.
    pub fn comes_to_no_class(&self, uid: &str) {
        if self.classes.coming.lock().remove(uid).is_some() {
            self.classes.unused.notify_one();
        }
    }

    /// Takes our finalizer off the classes that nobody uses. Answers whether one could not be released yet.
    pub async fn release_classes(&self) -> Result<bool, kube::Error> {
        if self.settings.read_only {
            return Ok(false);
        }
        let mut held = self.classes.held.lock().await;
        let used = self.used_classes();
        let mut waits = false;
        for class in self.tenant_classes.state() {
            let (name, has_it) = (class.name_any(), finalizer::has_finalizer(&*class, &self.finalizer()));
            if !has_it {
                continue;
            }
            if used.contains(&name) {
                waits |= class.metadata().deletion_timestamp.is_some();
                continue;
            }
            held.remove(&name);
            finalizer::release::<Guarded<TenantClass>>(&self.class_api(), &*class, &self.finalizer()).await?;
            tracing::info!(class = name, "no Tenant uses the TenantClass any more");
        }
        Ok(waits)
    }

    /// The classes under which somebody stands, or is about to. Who only names one, and was not let in, does not keep it.
    fn used_classes(&self) -> BTreeSet<String> {
        let tenants = self.tenants.kept();
        let stands = tenants.iter().filter_map(|tenant| tenant.common()?.1?.class.clone());
        let coming = self.classes.coming.lock();
        let alive: BTreeSet<&str> = tenants.iter().filter_map(|it| it.meta().uid.as_deref()).collect();
        let coming = coming.iter().filter(|(uid, _)| alive.contains(uid.as_str()));
        stands.chain(coming.map(|(_, class)| class.clone())).collect()
    }

    fn class_api(&self) -> Api<Guarded<TenantClass>> {
        Api::all(self.client.clone())
    }

    /// How many documents these tenants of a pool may have, by tenantId; only those whose class says so.
    pub fn document_bounds(&self, tenants: &[Arc<Kept>]) -> HashMap<String, Bound> {
        let mut by_class: BTreeMap<&str, Option<Bound>> = BTreeMap::new();
        let mut bounds = HashMap::new();
        for tenant in tenants {
            let Some(class) = tenant.common().and_then(|(_, status)| status?.class.as_deref()) else { continue };
            let its = by_class.entry(class).or_insert_with(|| {
                let limits = self.class(class).ok()?.limits();
                Bound::of(class, &limits)
            });
            if let (Some(its), Some(id)) = (its, tenant.tenant_id()) {
                bounds.insert(id.to_owned(), its.clone());
            }
        }
        bounds
    }
}
