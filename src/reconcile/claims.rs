//! One tenantId, one tenant: of those that ask at once, in this process, one goes on to the record; the others wait for it.
//!
//! The records say whose an id is. This is only the queue before them.

use std::collections::{BTreeMap, HashMap};

use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;

use super::Guarded;
use crate::api::Tenant;

/// Age decides among those that ask: the creation time, then the uid.
pub type Age = (Option<jiff::Timestamp>, String);

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// Its age.
    pub age: Age,
    /// What to wake when the id is free.
    pub object: ObjectRef<Guarded<Tenant>>,
}

/// The holders of all tenantIds.
#[derive(Default)]
pub struct TenantIdClaims(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// By tenantId, the uid of who has it or asks for it.
    holders: HashMap<String, String>,
    waiting: HashMap<String, BTreeMap<Age, ObjectRef<Guarded<Tenant>>>>,
}

impl Inner {
    fn stops_waiting(&mut self, tenant_id: &str, uid: &str) {
        if let Some(waiting) = self.waiting.get_mut(tenant_id) {
            waiting.retain(|(_, waiting), _| waiting != uid);
            if waiting.is_empty() {
                self.waiting.remove(tenant_id);
            }
        }
    }
}

impl TenantIdClaims {
    /// Notes who has an id, as the records say.
    pub fn found(&self, tenant_id: &str, uid: &str) {
        self.0.lock().holders.insert(tenant_id.into(), uid.into());
    }

    /// Whether an id is this object's.
    pub fn is_holder(&self, tenant_id: &str, uid: &str) -> bool {
        self.0.lock().holders.get(tenant_id).is_some_and(|holder| holder == uid)
    }

    /// Asks for an id: true if the asker has it now. Who does not get it waits, and is woken when it is free.
    pub fn ask(&self, tenant_id: &str, claimant: &Claimant) -> bool {
        let mut inner = self.0.lock();
        if let Some(holder) = inner.holders.get(tenant_id) {
            let holds = *holder == claimant.age.1;
            if !holds {
                inner
                    .waiting
                    .entry(tenant_id.into())
                    .or_default()
                    .insert(claimant.age.clone(), claimant.object.clone());
            }
            return holds;
        }
        // Whoever is alone needs no queue: most are, and an empty one takes room.
        let first = inner.waiting.get(tenant_id).and_then(|waiting| waiting.keys().next());
        let oldest = first.is_none_or(|first| *first >= claimant.age);
        if oldest {
            inner.stops_waiting(tenant_id, &claimant.age.1);
            inner.holders.insert(tenant_id.into(), claimant.age.1.clone());
        } else {
            let waiting = inner.waiting.entry(tenant_id.into()).or_default();
            waiting.insert(claimant.age.clone(), claimant.object.clone());
        }
        oldest
    }

    /// Gives up an id or a place in the queue; who is next wants to be woken. Whoever comes after it is woken by it, or a
    /// thousand would be woken for one to go on.
    pub fn release(&self, tenant_id: &str, uid: &str) -> Option<ObjectRef<Guarded<Tenant>>> {
        let mut inner = self.0.lock();
        inner.stops_waiting(tenant_id, uid);
        if inner.holders.get(tenant_id).is_some_and(|holder| holder == uid) {
            inner.holders.remove(tenant_id);
        }
        if inner.holders.contains_key(tenant_id) {
            return None;
        }
        inner.waiting.get(tenant_id)?.values().next().cloned()
    }

    /// Gives up what objects have that are there no more; who is next wants to be woken.
    pub fn keep(&self, is_there: impl Fn(&str) -> bool) -> Vec<ObjectRef<Guarded<Tenant>>> {
        let gone: Vec<_> = {
            let mut inner = self.0.lock();
            inner.waiting.values_mut().for_each(|queue| queue.retain(|(_, uid), _| is_there(uid)));
            inner.waiting.retain(|_, queue| !queue.is_empty());
            let gone = inner.holders.iter().filter(|(_, uid)| !is_there(uid));
            gone.map(|(tenant_id, uid)| (tenant_id.clone(), uid.clone())).collect()
        };
        gone.iter().filter_map(|(tenant_id, uid)| self.release(tenant_id, uid)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimant(second: i64, uid: &str) -> Claimant {
        let age = (jiff::Timestamp::from_second(second).ok(), uid.to_string());
        Claimant { age, object: ObjectRef::new(uid).within("ns") }
    }

    #[test]
    fn who_is_gone_while_nobody_watched_is_waited_for_by_nobody() {
        let claims = TenantIdClaims::default();
        let (holder, ghost, young) = (claimant(1, "holder"), claimant(2, "ghost"), claimant(3, "young"));
        assert!(claims.ask("acme", &holder));
        assert!(!claims.ask("acme", &ghost) && !claims.ask("acme", &young));
        assert_eq!(claims.keep(|uid| uid != "ghost"), []);
        assert_eq!(claims.release("acme", "holder"), Some(young.object.clone()));
        assert!(claims.ask("acme", &young));
    }

    #[test]
    fn the_first_to_ask_has_it_until_it_lets_go_and_then_the_oldest() {
        let claims = TenantIdClaims::default();
        let (young, old, oldest) = (claimant(3, "young"), claimant(2, "old"), claimant(1, "oldest"));
        assert!(claims.ask("acme", &young));
        assert!(claims.ask("acme", &young), "asking again changes nothing");
        assert!(!claims.ask("acme", &old) && !claims.ask("acme", &oldest));
        assert!(claims.ask("other", &old), "another id is another matter");
        assert_eq!(claims.0.lock().waiting.len(), 1, "who is alone has no queue");
        assert_eq!(claims.release("acme", "young"), Some(oldest.object.clone()));
        assert!(!claims.ask("acme", &old), "an older one waits");
        assert!(claims.ask("acme", &oldest));
        assert!(claims.release("acme", "old").is_none());
    }

    #[test]
    fn who_has_it_by_the_records_has_it() {
        let claims = TenantIdClaims::default();
        claims.found("acme", "a");
        assert!(claims.ask("acme", &claimant(3, "a")));
        assert!(!claims.ask("acme", &claimant(1, "c")));
        assert!(claims.is_holder("acme", "a") && !claims.is_holder("acme", "c"));
    }

    #[test]
    fn who_waits_and_cannot_go_on_stands_in_nobodys_way() {
        let claims = TenantIdClaims::default();
        let (holder, paused, next) = (claimant(1, "holder"), claimant(2, "paused"), claimant(3, "next"));
        assert!(claims.ask("acme", &holder) && !claims.ask("acme", &paused) && !claims.ask("acme", &next));
        claims.release("acme", "holder");
        assert!(!claims.ask("acme", &next), "an older one waits");
        assert_eq!(claims.release("acme", "paused"), Some(next.object.clone()));
        assert!(claims.ask("acme", &next));
    }

    #[test]
    fn what_the_watch_has_missed_is_given_up_too() {
        let claims = TenantIdClaims::default();
        let (gone, next) = (claimant(1, "gone"), claimant(2, "next"));
        assert!(claims.ask("acme", &gone) && !claims.ask("acme", &next));
        claims.found("other", "stays");
        assert_eq!(claims.keep(|uid| uid != "gone"), std::slice::from_ref(&next.object));
        assert!(claims.ask("acme", &next) && claims.is_holder("other", "stays"));
    }
}
