//! One tenantId, one tenant: who holds an id, and who waits for it.
//!
//! The hold in the cluster is the truth; this is its mirror in the process, filled from the holds before any
//! controller runs, so that of two Tenants asking at once only one is given the hold.

use std::collections::{BTreeMap, HashMap};

use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;

use super::Guarded;
use crate::api::Tenant;

/// Age decides among those that ask: the creation time, then the uid.
pub type Age = (Option<jiff::Timestamp>, String);

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Its age.
    pub age: Age,
    /// What to wake when the id is free.
    pub object: ObjectRef<Guarded<Tenant>>,
}

/// The holders of all tenantIds.
#[derive(Default)]
pub struct Claims(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    holders: HashMap<String, Asker>,
    waiting: HashMap<String, BTreeMap<Age, ObjectRef<Guarded<Tenant>>>>,
}

impl Claims {
    /// Records a hold found in the cluster; of two, the first that is recorded counts.
    pub fn found(&self, tenant_id: &str, holder: Asker) {
        self.0.lock().holders.entry(tenant_id.into()).or_insert(holder);
    }

    /// Whether an id is this object's.
    pub fn is_holder(&self, tenant_id: &str, uid: &str) -> bool {
        self.0.lock().holders.get(tenant_id).is_some_and(|holder| holder.age.1 == uid)
    }

    /// Whether an id is anybody's.
    pub fn is_held(&self, tenant_id: &str) -> bool {
        self.0.lock().holders.contains_key(tenant_id)
    }

    /// Asks for an id: true if the asker has it now. Who does not get it waits, and is woken when it is free.
    pub fn ask(&self, tenant_id: &str, asker: &Asker) -> bool {
        let mut inner = self.0.lock();
        if let Some(holder) = inner.holders.get(tenant_id) {
            let holds = holder.age.1 == asker.age.1;
            if !holds {
                inner
                    .waiting
                    .entry(tenant_id.into())
                    .or_default()
                    .insert(asker.age.clone(), asker.object.clone());
            }
            return holds;
        }
        let waiting = inner.waiting.entry(tenant_id.into()).or_default();
        waiting.insert(asker.age.clone(), asker.object.clone());
        let oldest = waiting.keys().next() == Some(&asker.age);
        if oldest {
            waiting.remove(&asker.age);
            inner.holders.insert(tenant_id.into(), asker.clone());
        }
        oldest
    }

    /// Gives up a hold or a place in the queue; what is returned wants to be woken.
    pub fn release(&self, tenant_id: &str, uid: &str) -> Vec<ObjectRef<Guarded<Tenant>>> {
        let mut inner = self.0.lock();
        if let Some(waiting) = inner.waiting.get_mut(tenant_id) {
            waiting.retain(|(_, waiting), _| waiting != uid);
        }
        if inner.holders.get(tenant_id).is_some_and(|holder| holder.age.1 == uid) {
            inner.holders.remove(tenant_id);
        }
        if inner.holders.contains_key(tenant_id) {
            return Vec::new();
        }
        inner.waiting.get(tenant_id).into_iter().flat_map(|waiting| waiting.values().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(second: i64, uid: &str) -> Asker {
        let age = (jiff::Timestamp::from_second(second).ok(), uid.to_string());
        Asker { age, object: ObjectRef::new(uid).within("ns") }
    }

    #[test]
    fn the_first_to_ask_has_it_until_it_lets_go_and_then_the_oldest() {
        let claims = Claims::default();
        let (young, old, oldest) = (asker(3, "young"), asker(2, "old"), asker(1, "oldest"));
        assert!(claims.ask("acme", &young));
        assert!(claims.ask("acme", &young), "asking again changes nothing");
        assert!(!claims.ask("acme", &old) && !claims.ask("acme", &oldest));
        assert!(!claims.is_held("other"));
        assert!(claims.ask("other", &old), "another id is another matter");
        assert!(claims.is_held("other"));
        assert_eq!(claims.release("acme", "young").len(), 2);
        assert!(!claims.ask("acme", &old), "an older one waits");
        assert!(claims.ask("acme", &oldest));
        assert!(claims.release("acme", "old").is_empty());
    }

    #[test]
    fn of_two_holds_the_first_counts() {
        let claims = Claims::default();
        claims.found("acme", asker(1, "a"));
        claims.found("acme", asker(3, "c"));
        assert!(claims.ask("acme", &asker(1, "a")));
        assert!(!claims.ask("acme", &asker(3, "c")));
        assert!(claims.is_holder("acme", "a") && !claims.is_holder("acme", "c"));
    }

    #[test]
    fn who_waits_and_cannot_go_on_stands_in_nobodys_way() {
        let claims = Claims::default();
        let (holder, paused, next) = (asker(1, "holder"), asker(2, "paused"), asker(3, "next"));
        assert!(claims.ask("acme", &holder) && !claims.ask("acme", &paused) && !claims.ask("acme", &next));
        claims.release("acme", "holder");
        assert!(!claims.ask("acme", &next), "an older one waits");
        assert_eq!(claims.release("acme", "paused"), std::slice::from_ref(&next.object));
        assert!(claims.ask("acme", &next));
    }
}
