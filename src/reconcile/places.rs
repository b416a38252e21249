//! Places of which there are only so many: how many Tenants a namespace may have, and how many knowledge bases it and the
//! account may have. Who has one, and who waits.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::Layer;
use crate::stack::identity::{Identity, Owner};

/// What there is only so much of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Tenants in this namespace.
    Tenants(String),
    /// Knowledge bases of this namespace's Tenants.
    KnowledgeBases(String),
    /// Knowledge bases of the account, other people's included.
    Account,
}

/// No place is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full {
    /// Of what.
    pub bound: Bound,
    /// How many have one.
    pub taken: usize,
    /// How many older ones wait for what is free.
    pub ahead: usize,
    /// How many there are.
    pub limit: usize,
}

/// Who asks for a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applicant {
    /// Who.
    pub id: Identity,
    /// Since when it is there: of those that wait, the oldest comes first.
    pub born: Option<Timestamp>,
    /// Whether it was let in before, and something of its stack is built.
    pub begun: bool,
}

/// How many knowledge bases there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In the account.
    pub account: usize,
    /// Of the asker's namespace, if it is bounded.
    pub namespace: Option<usize>,
}

/// The creation time, then namespace and name.
type Age = (Option<Timestamp>, String, String);

/// Who has a place and who waits for one, by uid.
#[derive(Default)]
pub struct Places {
    tenants: BTreeMap<String, Owner>,
    knowledge_bases: BTreeMap<String, Identity>,
    waiting: BTreeMap<Age, (Bound, Identity)>,
    /// What somebody waited for who now waits for something else: it may have been woken for it, and the next must be.
    passed_on: Vec<Bound>,
}

impl Places {
    /// A Tenant that has its tenantId is in, however many there are.
    pub fn is_in(&mut self, id: &Identity) {
        self.tenants.insert(id.uid.clone(), id.owner.clone());
    }

    /// Asks for a Tenant's place in its namespace. `takes`, or only wants to know. What is free is for the oldest that wait: a
    /// younger one that happens to ask before they do must not have it.
    pub fn enter(&mut self, applicant: &Applicant, limit: usize, takes: bool) -> Result<(), Full> {
        let Applicant { id, .. } = applicant;
        let Some(namespace) = namespace(&id.owner) else { return Ok(()) };
        let neighbours = self.tenants.iter().filter(|(uid, _)| **uid != id.uid);
        let taken = neighbours.filter(|(_, owner)| self::namespace(owner) == Some(namespace)).count();
        let is_in = self.tenants.contains_key(&id.uid);
        let bound = Bound::Tenants(namespace.into());
        let older = self.waiting.range(..age(applicant)).filter(|(_, (waits_for, _))| *waits_for == bound);
        let ahead = older.count();
        if !is_in && taken + ahead >= limit {
            return Err(self.waits(applicant, Full { bound, taken, ahead, limit }));
        }
        if takes {
            self.is_in(id);
            // What else it waits for it goes on waiting for.
            self.waiting.retain(|_, (waits_for, waiting)| waiting.uid != id.uid || *waits_for != bound);
        }
        Ok(())
    }

    /// Promises a knowledge base whatever there is: it is there, or was promised before.
    pub fn promise(&mut self, id: &Identity) {
        self.knowledge_bases.insert(id.uid.clone(), id.clone());
        self.stops_waiting(&id.uid);
    }

    /// A Tenant waited for its place in its namespace before this process began.
    pub fn waited(&mut self, applicant: &Applicant) {
        if let Some(namespace) = namespace(&applicant.id.owner) {
            self.line_up(applicant, Bound::Tenants(namespace.into()));
        }
    }

    /// Asks for the promise of a knowledge base, given those that AWS has. `takes`, or only wants to know. One that is there
    /// already takes no room in the account, nor in the namespace of whoever made it.
    pub fn reserve(
        &mut self,
        applicant: &Applicant,
        listed: &BTreeSet<String>,
        limits: Limits,
        takes: bool,
    ) -> Result<(), Full> {
        let id = &applicant.id;
        let name = id.name(Layer::KnowledgeBase);
        let is_there = listed.contains(&name);
        let others = || self.knowledge_bases.values().filter(|other| other.uid != id.uid);
        if let (Some(limit), Some(namespace)) = (limits.namespace, namespace(&id.owner)) {
            let taken = others().filter(|other| self::namespace(&other.owner) == Some(namespace)).count();
            if taken >= limit && !(is_there && applicant.begun) {
                let bound = Bound::KnowledgeBases(namespace.into());
                return Err(self.waits(applicant, Full { bound, taken, ahead: 0, limit }));
            }
        }
        let promised: BTreeSet<_> = others().map(|other| other.name(Layer::KnowledgeBase)).collect();
        let taken = listed.union(&promised).filter(|taken| **taken != name).count();
        if taken >= limits.account && !is_there {
            let full = Full { bound: Bound::Account, taken, ahead: 0, limit: limits.account };
            return Err(self.waits(applicant, full));
        }
        if takes {
            self.promise(id);
        }
        Ok(())
    }

    /// Whether an object has the promise of a knowledge base.
    pub fn is_promised(&self, uid: &str) -> bool {
        self.knowledge_bases.contains_key(uid)
    }

    /// A Tenant has its place in its namespace no more: what is free by that.
    pub fn leave(&mut self, uid: &str) -> Vec<Bound> {
        let left = self.tenants.remove(uid);
        let namespace = left.as_ref().and_then(namespace);
        namespace.map(|namespace| Bound::Tenants(namespace.into())).into_iter().collect()
    }

    /// An object has the promise of a knowledge base no more: what is free by that.
    pub fn lapse(&mut self, uid: &str) -> Vec<Bound> {
        let Some(lapsed) = self.knowledge_bases.remove(uid) else { return Vec::new() };
        let namespace = namespace(&lapsed.owner).map(|namespace| Bound::KnowledgeBases(namespace.into()));
        [Bound::Account].into_iter().chain(namespace).collect()
    }

    /// An object waits no more: what the next may be woken for, if this one was.
    pub fn stops_waiting(&mut self, uid: &str) -> Vec<Bound> {
        let mut bounds = Vec::new();
        self.waiting.retain(|_, (bound, waiting)| {
            let stays = waiting.uid != uid;
            if !stays {
                bounds.push(bound.clone());
            }
            stays
        });
        bounds
    }

    /// What was passed on by those who were refused since this was last asked.
    pub fn passed_on(&mut self) -> Vec<Bound> {
        std::mem::take(&mut self.passed_on)
    }

    /// Whether an object waits for a knowledge base.
    pub fn waits_for_knowledge_base(&self, uid: &str) -> bool {
        let mut waiting = self.waiting.values();
        waiting.any(|(bound, waiting)| waiting.uid == uid && !matches!(bound, Bound::Tenants(_)))
    }

    /// The oldest that waits.
    pub fn next(&self, bound: &Bound) -> Option<&Identity> {
        self.waiting.values().find(|(waits_for, _)| waits_for == bound).map(|(_, id)| id)
    }

    /// Whoever is there no more has no place and does not wait. A watch that broke off does not say who went meanwhile.
    pub fn keep(&mut self, is_there: impl Fn(&Owner, &str) -> bool) {
        self.tenants.retain(|uid, owner| is_there(owner, uid));
        self.knowledge_bases.retain(|uid, id| is_there(&id.owner, uid));
        self.waiting.retain(|_, (_, id)| is_there(&id.owner, &id.uid));
    }

    /// The uids of all that have the promise of a knowledge base.
    #[cfg(test)]
    pub fn promised(&self) -> Vec<String> {
        self.knowledge_bases.keys().cloned().collect()
    }

    /// Puts one who was refused in line.
    fn waits(&mut self, applicant: &Applicant, full: Full) -> Full {
        self.line_up(applicant, full.bound.clone());
        full
    }

    fn line_up(&mut self, applicant: &Applicant, bound: Bound) {
        let before = self.stops_waiting(&applicant.id.uid);
        self.passed_on.extend(before.into_iter().filter(|before| *before != bound));
        self.waiting.insert(age(applicant), (bound, applicant.id.clone()));
    }
}

fn age(applicant: &Applicant) -> Age {
    let (namespace, name) = match &applicant.id.owner {
        Owner::Tenant { namespace, name, .. } => (namespace.clone(), name.clone()),
        Owner::Stack { name } => (String::new(), name.clone()),
    };
    (applicant.born, namespace, name)
}

fn namespace(owner: &Owner) -> Option<&str> {
    match owner {
        Owner::Tenant { namespace, .. } => Some(namespace),
        Owner::Stack { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use super::*;
    use crate::api::Pattern;
    use crate::stack::identity::Scope;

    static SCOPE: LazyLock<Arc<Scope>> =
        LazyLock::new(|| Arc::new(Scope::new("prod", "123456789012", "eu-central-1")));

    /// A Silo of this namespace, by the second in which it was made.
    fn silo(namespace: &str, name: &str, second: i64) -> Applicant {
        let (namespace, name, tenant_id) = (namespace.to_owned(), name.to_owned(), name.to_owned());
        let uid = format!("uid-{name}");
        let owner = Owner::Tenant { namespace, name, tenant_id, pattern: Pattern::Silo, stack: None };
        let id = Identity::new(SCOPE.clone(), owner, &uid);
        Applicant { id, born: Timestamp::from_second(second).ok(), begun: false }
    }

    fn stack(name: &str) -> Applicant {
        Applicant { id: Identity::of_stack(SCOPE.clone(), name, name), born: None, begun: false }
    }

    fn account(account: usize) -> Limits {
        Limits { account, namespace: None }
    }

    fn next(places: &Places, bound: &Bound) -> Option<String> {
        places.next(bound).map(|id| id.uid.clone())
    }

    #[test]
    fn what_is_listed_and_what_is_promised_count_once() {
        let mut places = Places::default();
        let mut listed = BTreeSet::from(["somebody-elses".to_string()]);
        let mut asks = |name: &str, listed: &_| {
            places.reserve(&stack(name), listed, account(3), true).map_err(|full| (full.bound, full.taken))
        };
        assert_eq!(asks("a", &listed), Ok(()));
        assert_eq!(asks("a", &listed), Ok(()), "asking again takes no more room");
        assert_eq!(asks("b", &listed), Ok(()));
        let full = Err((Bound::Account, 3));
        assert_eq!(asks("c", &listed), full);
        listed.insert(stack("a").id.name(Layer::KnowledgeBase));
        assert_eq!(asks("c", &listed), full, "a promise kept is not counted twice");
        assert_eq!(places.lapse("b"), [Bound::Account]);
        assert_eq!(places.reserve(&stack("c"), &listed, account(3), true), Ok(()));
    }

    #[test]
    fn a_knowledge_base_that_is_there_loses_its_place_to_nobody() {
        let mut places = Places::default();
        let there = stack("there").id.name(Layer::KnowledgeBase);
        let listed = BTreeSet::from(["somebody-elses".to_string(), there]);
        assert_eq!(places.reserve(&stack("there"), &listed, account(1), true), Ok(()));
        assert!(places.reserve(&stack("other"), &listed, account(2), true).is_err());

        let (bounded, mut there) = (Limits { account: 9, namespace: Some(0) }, silo("web", "there", 1));
        let listed = BTreeSet::from([there.id.name(Layer::KnowledgeBase)]);
        assert!(places.reserve(&there, &listed, bounded, true).is_err(), "what is taken over is one more");
        there.begun = true;
        assert_eq!(places.reserve(&there, &listed, bounded, true), Ok(()));
    }

    #[test]
    fn who_only_wants_to_know_takes_nothing() {
        let mut places = Places::default();
        assert_eq!(places.reserve(&stack("a"), &BTreeSet::new(), account(1), false), Ok(()));
        assert_eq!(places.enter(&silo("web", "a", 1), 1, false), Ok(()));
        assert_eq!(places.reserve(&stack("b"), &BTreeSet::new(), account(1), true), Ok(()));
        assert_eq!(places.enter(&silo("web", "b", 1), 1, true), Ok(()));
        assert_eq!(places.promised(), ["b"]);
    }

    #[test]
    fn a_namespace_has_as_many_knowledge_bases_as_it_may() {
        let none = BTreeSet::new();
        let mut places = Places::default();
        let of = |namespace| Limits { account: 9, namespace };
        for name in ["a", "b"] {
            assert_eq!(places.reserve(&silo("web", name, 1), &none, of(Some(2)), true), Ok(()));
        }
        let bound = Bound::KnowledgeBases("web".into());
        let full = Full { bound: bound.clone(), taken: 2, ahead: 0, limit: 2 };
        assert_eq!(places.reserve(&silo("web", "c", 3), &none, of(Some(2)), true), Err(full));
        assert_eq!(places.reserve(&silo("shop", "d", 1), &none, of(Some(2)), true), Ok(()));
        assert_eq!(places.reserve(&silo("web", "a", 1), &none, of(Some(1)), true).unwrap_err().taken, 1);
        assert!(places.is_promised("uid-a"), "a lower limit takes nothing away");
        assert!(places.reserve(&silo("web", "e", 1), &none, of(Some(0)), true).is_err());
        assert_eq!(next(&places, &bound).as_deref(), Some("uid-a"));
        assert_eq!(places.lapse("uid-b"), [Bound::Account, bound]);
        assert_eq!(places.lapse("uid-b"), []);
    }

    #[test]
    fn who_was_let_in_stays_and_of_those_that_wait_the_oldest_is_next() {
        let mut places = Places::default();
        let bound = Bound::Tenants("web".into());
        for name in ["a", "b"] {
            places.is_in(&silo("web", name, 1).id);
        }
        let full = |ahead| Err(Full { bound: bound.clone(), taken: 2, ahead, limit: 2 });
        assert_eq!(places.enter(&silo("web", "a", 1), 1, true), Ok(()), "the number was lowered");
        assert_eq!(places.enter(&silo("web", "young", 9), 2, true), full(0));
        assert_eq!(places.enter(&silo("web", "old", 3), 2, true), full(0));
        assert_eq!(places.enter(&silo("web", "its-twin", 3), 2, true), full(0));
        assert_eq!(places.enter(&silo("web", "young", 9), 2, true), full(2));
        assert_eq!(
            places.enter(&silo("shop", "c", 1), 1, true),
            Ok(()),
            "another namespace is another matter"
        );
        assert_eq!(next(&places, &bound).as_deref(), Some("uid-its-twin"), "the name decides between twins");
        assert_eq!(places.leave("uid-a"), std::slice::from_ref(&bound));
        assert_eq!(places.enter(&silo("web", "its-twin", 3), 2, true), Ok(()));
        assert_eq!(next(&places, &bound).as_deref(), Some("uid-old"));
        assert_eq!(places.stops_waiting("uid-old"), std::slice::from_ref(&bound));
        assert_eq!(next(&places, &bound).as_deref(), Some("uid-young"));
        assert_eq!(places.leave("uid-young"), [], "it only waited");
    }

    /// A place that is free for a moment is for whoever was woken, and not for whoever happens to ask.
    #[test]
    fn nobody_gets_in_before_an_older_one_that_waits() {
        let mut places = Places::default();
        for name in ["a", "b"] {
            places.is_in(&silo("web", name, 1).id);
        }
        for (name, second) in [("older", 3), ("old", 2)] {
            assert!(places.enter(&silo("web", name, second), 2, true).is_err());
        }
        places.leave("uid-a");
        assert!(places.enter(&silo("web", "young", 9), 2, true).is_err(), "one place, and two before it");
        assert!(places.enter(&silo("web", "older", 3), 2, true).is_err(), "one place, and one before it");
        assert_eq!(
            places.enter(&silo("shop", "c", 9), 2, true),
            Ok(()),
            "it is before nobody of its namespace"
        );
        places.leave("uid-b");
        assert_eq!(places.enter(&silo("web", "older", 3), 2, true), Ok(()), "two places, and one before it");
        assert!(places.enter(&silo("web", "young", 9), 2, true).is_err());
        // Who waited before the process began is in line before it asks.
        places.waited(&silo("web", "oldest", 1));
        assert!(places.enter(&silo("web", "old", 2), 2, true).is_err());
        assert_eq!(places.enter(&silo("web", "oldest", 1), 2, true), Ok(()));
        places.leave("uid-oldest");
        // Who waits for nothing any more is before nobody.
        places.stops_waiting("uid-old");
        assert_eq!(places.enter(&silo("web", "young", 9), 2, true), Ok(()));
    }

    #[test]
    fn who_went_unseen_has_no_place() {
        let mut places = Places::default();
        for name in ["gone", "stays"] {
            places.is_in(&silo("web", name, 1).id);
            places.promise(&silo("web", name, 1).id);
        }
        assert!(places.enter(&silo("web", "gone-too", 1), 2, true).is_err());
        assert!(places.enter(&silo("web", "waits", 2), 2, true).is_err());
        places.keep(|_, uid| !uid.contains("gone"));
        assert_eq!(places.promised(), ["uid-stays"]);
        assert_eq!(next(&places, &Bound::Tenants("web".into())).as_deref(), Some("uid-waits"));
        assert_eq!(places.enter(&silo("web", "waits", 2), 2, true), Ok(()));
    }
}
