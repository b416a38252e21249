//! A cluster and its documents, as far as ids are concerned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::Pattern;
use crate::stack::identity::{Identity, Owner, Scope};
use crate::stack::record::{Record, State};

/// The ids that everybody wants.
pub const IDS: [&str; 2] = ["one", "two"];
/// The namespaces that want them.
pub const NAMESPACES: [&str; 3] = ["a", "b", "c"];
const NAMES: [&str; 2] = ["x", "y"];

pub fn scope() -> Scope {
    Scope::new("prod", "111122223333", "eu-central-1")
}

/// A Tenant.
#[derive(Clone, Debug)]
pub struct Object {
    pub uid: String,
    pub namespace: String,
    pub namespace_uid: String,
    /// Whether its namespace names all ids.
    pub named: bool,
    pub name: String,
    pub tenant_id: String,
    pub pattern: Pattern,
    /// What becomes of its documents.
    pub retains: bool,
    pub hold: bool,
    /// `status.idRecord`.
    pub word: Option<String>,
    /// It was there, with its id, before there were records.
    pub old: bool,
    /// Its status says that its way back has begun.
    pub begun: bool,
    pub deleting: bool,
    pub approved: Option<String>,
    pub version: u64,
}

impl Object {
    pub fn id(&self) -> Identity {
        let owner = Owner::Tenant {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            tenant_id: self.tenant_id.clone(),
            pattern: self.pattern,
            stack: (self.pattern == Pattern::Pool).then(|| "standard".into()),
        };
        Identity::new(Arc::new(scope()), owner, &self.uid)
    }

    /// Where its documents are.
    pub fn place(&self) -> (Pattern, String) {
        (self.pattern, self.tenant_id.clone())
    }

    /// Whether these documents may be its own: of its namespace, or of an earlier one of that name where an administrator
    /// says so. What a release before this one left says no more than the name.
    fn may_have(&self, document: &Document) -> bool {
        let same = document.namespace_uid.as_ref().is_none_or(|uid| *uid == self.namespace_uid);
        document.namespace == self.namespace && (same || self.named)
    }
}

/// A document, and who wrote it.
#[derive(Clone, Debug)]
pub struct Document {
    pub number: u64,
    pub place: (Pattern, String),
    pub namespace: String,
    pub namespace_uid: Option<String>,
}

/// A namespace.
#[derive(Clone, Debug)]
pub struct Namespace {
    pub uid: String,
    pub named: bool,
    pub leaving: bool,
}

/// All of it.
#[derive(Default)]
pub struct Cluster {
    pub namespaces: BTreeMap<String, Namespace>,
    pub objects: BTreeMap<String, Object>,
    pub documents: Vec<Document>,
    /// Whether the lock says that all that was there has a record.
    pub complete: bool,
    /// Those whose hold somebody else took off.
    pub stripped: BTreeSet<String>,
    /// By id: who was told that it has it, and has not left it since.
    pub told: BTreeMap<String, BTreeSet<String>>,
    /// Ids that ever had a document.
    pub used: BTreeSet<String>,
    /// Those whose way back had begun when the process ended: nobody could tell any more whether they had documents.
    pub doubtful: BTreeSet<String>,
    /// Who is gone, and what it wanted: the watch has not said so yet.
    pub gone: Vec<(String, String)>,
    /// What happened, for whoever must understand it.
    pub story: Vec<String>,
    next: u64,
}

impl Cluster {
    pub fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub fn tell(&mut self, what: String) {
        self.story.push(what);
    }

    pub fn make_namespace(&mut self, name: &str, named: bool) {
        if !self.namespaces.contains_key(name) {
            let uid = format!("n{}", self.next());
            self.tell(format!("namespace {name} is made, {uid}, named: {named}"));
            self.namespaces.insert(name.into(), Namespace { uid, named, leaving: false });
        }
    }

    /// Somebody makes a Tenant, if it can be made.
    pub fn make(
        &mut self,
        namespace: &str,
        name: &str,
        tenant_id: &str,
        pattern: Pattern,
        retains: bool,
    ) -> Option<String> {
        let there = self.namespaces.get(namespace).filter(|there| !there.leaving)?.clone();
        if self.objects.values().any(|it| it.namespace == namespace && it.name == name) {
            return None;
        }
        let version = self.next();
        let uid = format!("u{version}");
        self.tell(format!(
            "{uid} is made: {namespace}/{name} wants {tenant_id} as {pattern}, retains: {retains}"
        ));
        let object = Object {
            uid: uid.clone(),
            namespace: namespace.into(),
            namespace_uid: there.uid,
            named: there.named,
            name: name.into(),
            tenant_id: tenant_id.into(),
            pattern,
            retains,
            hold: false,
            word: None,
            old: false,
            begun: false,
            deleting: false,
            approved: None,
            version,
        };
        self.objects.insert(uid.clone(), object);
        Some(uid)
    }

    pub fn make_any(&mut self, rng: &mut fastrand::Rng) {
        let (namespace, name) = (NAMESPACES[rng.usize(..3)], NAMES[rng.usize(..2)]);
        let pattern = if rng.u8(..4) == 0 { Pattern::Silo } else { Pattern::Pool };
        self.make(namespace, name, IDS[rng.usize(..2)], pattern, rng.bool());
    }

    /// Changes an object, if it is there.
    pub fn change(&mut self, uid: &str, change: impl FnOnce(&mut Object)) -> bool {
        let version = self.next();
        let Some(object) = self.objects.get_mut(uid) else { return false };
        change(object);
        object.version = version;
        self.sweep();
        true
    }

    pub fn delete(&mut self, uid: &str) {
        self.tell(format!("{uid} is deleted"));
        self.change(uid, |object| object.deleting = true);
    }

    pub fn delete_namespace(&mut self, name: &str) {
        let Some(namespace) = self.namespaces.get_mut(name) else { return };
        namespace.leaving = true;
        self.tell(format!("namespace {name} is deleted"));
        let inside: Vec<_> =
            self.objects.values().filter(|it| it.namespace == name).map(|it| it.uid.clone()).collect();
        for uid in inside {
            self.change(&uid, |object| object.deleting = true);
        }
        self.sweep();
    }

    /// What is deleted and held by nobody goes; so does a namespace in which nothing is left.
    fn sweep(&mut self) {
        let gone: Vec<_> = self.objects.values().filter(|it| it.deleting && !it.hold).cloned().collect();
        for object in gone {
            self.tell(format!("{} is gone", object.uid));
            self.objects.remove(&object.uid);
            self.leaves(&object.tenant_id, &object.uid);
            self.gone.push((object.tenant_id, object.uid));
        }
        let objects = &self.objects;
        self.namespaces
            .retain(|name, namespace| !namespace.leaving || objects.values().any(|it| it.namespace == *name));
    }

    /// A user puts a document where a Tenant's status says.
    pub fn write_document(&mut self, uid: &str) {
        let Some(object) = self.objects.get(uid).filter(|it| it.word.is_some() && it.hold && !it.deleting)
        else {
            return;
        };
        let (namespace, namespace_uid) = (object.namespace.clone(), Some(object.namespace_uid.clone()));
        let (tenant_id, place) = (object.tenant_id.clone(), object.place());
        let number = self.next();
        self.tell(format!("{uid} gets document {number}"));
        self.used.insert(tenant_id);
        self.documents.push(Document { number, place, namespace, namespace_uid });
    }

    /// The documents in a Tenant's place.
    pub fn documents_of(&self, object: &Object) -> Vec<Document> {
        self.documents.iter().filter(|it| it.place == object.place()).cloned().collect()
    }

    /// A Tenant uses, or takes away, what is in its place: it must be its own.
    pub fn acts_on_documents(&self, object: &Object) {
        for document in self.documents_of(object) {
            assert!(object.may_have(&document), "{} acts on a stranger's {document:?}", object.uid);
        }
    }

    /// A Tenant was told that it has its id: nobody else may be, but one that is on its way back.
    pub fn told(&mut self, object: &Object) {
        if !self.objects.contains_key(&object.uid) {
            return;
        }
        let told = self.told.entry(object.tenant_id.clone()).or_default();
        told.insert(object.uid.clone());
        let live: Vec<_> =
            told.iter().filter(|uid| self.objects.get(*uid).is_some_and(|it| !it.deleting)).collect();
        let others = live.into_iter().filter(|uid| **uid != object.uid).count();
        assert_eq!(others, 0, "{} and another hold '{}': {told:?}", object.uid, object.tenant_id);
    }

    pub fn leaves(&mut self, tenant_id: &str, uid: &str) {
        if let Some(told) = self.told.get_mut(tenant_id) {
            told.remove(uid);
        }
    }

    /// What a release before this one has left: a Tenant with documents, and documents of one that was deleted.
    pub fn before_there_were_records(&mut self) -> Record {
        self.make_namespace("a", false);
        if let Some(uid) = self.make("a", "x", "one", Pattern::Pool, false) {
            self.change(&uid, |object| (object.hold, object.old) = (true, true));
            let namespace_uid = self.objects[&uid].namespace_uid.clone();
            let number = self.next();
            let place = (Pattern::Pool, "one".into());
            let document =
                Document { number, place, namespace: "a".into(), namespace_uid: Some(namespace_uid) };
            self.documents.push(document);
            self.used.extend(["one".into(), "two".into()]);
            self.told.entry("one".into()).or_default().insert(uid);
        }
        let number = self.next();
        let place = (Pattern::Pool, "two".into());
        self.documents.push(Document { number, place, namespace: "b".into(), namespace_uid: None });
        record_before("two", State::Retained)
    }
}

/// The record of a Tenant that was there long ago.
pub fn record_before(tenant_id: &str, state: State) -> Record {
    let owner = Owner::Tenant {
        namespace: "b".into(),
        name: "x".into(),
        tenant_id: tenant_id.into(),
        pattern: Pattern::Pool,
        stack: Some("standard".into()),
    };
    let id = Identity::new(Arc::new(scope()), owner, "u-before");
    Record::of(&id, "", None, state, jiff::Timestamp::UNIX_EPOCH).expect("a Tenant's")
}
