//! All Tenants that we see. There may be very many, and those of a pool differ in little but their names: what they have in
//! common is kept once.
//!
//! kube's own store keeps each object whole, and while it lists anew it keeps all of them twice.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Weak};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, Time};
use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use parking_lot::{Mutex, RwLock};

use super::{Guarded, Unread};
use crate::api::{DocumentsStatus, Pattern, Standing, Status, Tenant, TenantSpec, standing};

/// How many different statuses, or specs, of a pool's Tenants are compared with a new one.
const ALIKE: usize = 16;
/// How many pools are remembered before those are forgotten that have no Tenants any more.
const POOLS: usize = 64;

/// A cache of all Tenants.
#[derive(Default)]
pub struct Tenants {
    all: RwLock<HashMap<Box<str>, Entry>>,
    pools: Mutex<Pools>,
    /// Counts listings: what the last one did not show is gone.
    listing: Mutex<u32>,
}

struct Entry {
    kept: Arc<Kept>,
    listing: u32,
}

/// A Tenant as it is kept.
pub enum Kept {
    /// As it came.
    Whole(Box<Guarded<Tenant>>),
    /// One of a pool.
    OfPool(Box<Apart>),
}

/// A Tenant taken apart.
pub struct Apart {
    meta: ObjectMeta,
    spec: Arc<TenantSpec>,
    status: Option<Arc<Status>>,
    own: Own,
}

/// What no two Tenants have in common, in the order of its places.
#[derive(Default)]
struct Own {
    tenant_id: Box<str>,
    prefix: Option<Box<str>>,
    filter: Option<Box<str>>,
    id_record: Option<Box<str>>,
    moved: Option<MicroTime>,
    documents: Option<DocumentsStatus>,
    /// When each of the conditions last changed.
    since: Box<[Timestamp]>,
}

impl Tenants {
    /// A Tenant.
    pub fn get(&self, object: &ObjectRef<Guarded<Tenant>>) -> Option<Arc<Guarded<Tenant>>> {
        let key = key(object.namespace.as_deref(), Some(&object.name));
        let kept = self.all.read().get(&key).map(|entry| entry.kept.clone());
        kept.map(|kept| Arc::new(kept.whole()))
    }

    /// All of them, as they are kept.
    pub fn kept(&self) -> Vec<Arc<Kept>> {
        self.all.read().values().map(|entry| entry.kept.clone()).collect()
    }

    /// All that can be read, one after the other.
    pub fn readable(&self) -> impl Iterator<Item = Tenant> + use<> {
        read(self.kept())
    }

    /// Those of a SharedStack's pool, as they are kept.
    pub fn of_pool(&self, stack: &str) -> Vec<Arc<Kept>> {
        self.standing(|it| *it == Standing { pattern: Pattern::Pool, stack: Some(stack) })
    }

    /// Those that have knowledge bases of their own.
    pub fn with_knowledge_bases(&self) -> impl Iterator<Item = Tenant> + use<> {
        read(self.standing(|it| it.pattern != Pattern::Pool))
    }

    /// Those that stand where it is asked for. Who leaves that to its class stands nowhere until it was accepted.
    fn standing(&self, which: impl Fn(&Standing<'_>) -> bool) -> Vec<Arc<Kept>> {
        let mut all = self.kept();
        all.retain(|kept| kept.standing().is_some_and(|it| which(&it)));
        all
    }

    /// Takes in what a watch tells. Answers a Tenant of which that is news, which its status and its finalizer are not: the
    /// operator writes them.
    pub fn take(&self, event: Event<Unread<Tenant>>) -> Option<ObjectRef<Guarded<Tenant>>> {
        let mut listing = self.listing.lock();
        match event {
            Event::Init => *listing = listing.wrapping_add(1),
            Event::InitDone => self.all.write().retain(|_, entry| entry.listing == *listing),
            Event::Apply(tenant) | Event::InitApply(tenant) => return self.put(tenant, *listing),
            Event::Delete(tenant) => drop(self.all.write().remove(&key_of(tenant.meta()))),
        }
        None
    }

    fn put(&self, tenant: Unread<Tenant>, listing: u32) -> Option<ObjectRef<Guarded<Tenant>>> {
        let meta = tenant.meta();
        let key = key_of(meta);
        let before = self.all.read().get(&key).map(|entry| entry.kept.clone());
        let is_news = before.as_ref().is_none_or(|before| news(before.meta()) != news(meta));
        let reference = is_news.then(|| {
            let name = ObjectRef::new(meta.name.as_deref().unwrap_or_default());
            name.within(meta.namespace.as_deref().unwrap_or_default())
        });
        let version = |meta: &ObjectMeta| (meta.uid.clone(), meta.resource_version.clone());
        let kept = match before {
            Some(before) if version(before.meta()) == version(meta) => before,
            _ => Arc::new(self.pools.lock().keep(tenant.read())),
        };
        self.all.write().insert(key, Entry { kept, listing });
        reference
    }
}

/// Puts together one after the other: all at once would be many.
fn read(kept: Vec<Arc<Kept>>) -> impl Iterator<Item = Tenant> {
    kept.into_iter().filter_map(|kept| kept.whole().0.ok())
}

fn key_of(meta: &ObjectMeta) -> Box<str> {
    key(meta.namespace.as_deref(), meta.name.as_deref())
}

fn key(namespace: Option<&str>, name: Option<&str>) -> Box<str> {
    format!("{}/{}", namespace.unwrap_or_default(), name.unwrap_or_default()).into()
}

/// What of an object is news.
pub fn news(meta: &ObjectMeta) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&meta.uid, meta.generation, &meta.labels, &meta.annotations, meta.deletion_timestamp.is_some())
        .hash(&mut hasher);
    hasher.finish()
}

impl Kept {
    /// Its metadata.
    pub fn meta(&self) -> &ObjectMeta {
        match self {
            Kept::Whole(tenant) => tenant.meta(),
            Kept::OfPool(apart) => &apart.meta,
        }
    }

    /// Its spec and its status, if it can be read, but for what is its own alone: what other methods answer, and when its
    /// conditions last changed.
    pub fn common(&self) -> Option<(&TenantSpec, Option<&Status>)> {
        match self {
            Kept::Whole(tenant) => {
                tenant.0.as_ref().ok().map(|tenant| (&tenant.spec, tenant.status.as_ref()))
            }
            Kept::OfPool(apart) => Some((&apart.spec, apart.status.as_deref())),
        }
    }

    /// Where it stands, if it can be read and stands anywhere yet.
    pub fn standing(&self) -> Option<Standing<'_>> {
        let (spec, status) = self.common()?;
        standing(spec, status)
    }

    /// Whether it names a class, or stands under it.
    pub fn is_of_class(&self, class: &str) -> bool {
        let Some((spec, status)) = self.common() else { return false };
        let names = spec.class_ref.as_ref().is_some_and(|it| it.name == class);
        names || status.is_some_and(|it| it.class.as_deref() == Some(class))
    }

    /// Its tenantId, if it can be read.
    pub fn tenant_id(&self) -> Option<&str> {
        match self {
            Kept::Whole(tenant) => tenant.0.as_ref().ok().map(|tenant| tenant.spec.tenant_id.as_str()),
            Kept::OfPool(apart) => Some(&apart.own.tenant_id),
        }
    }

    /// The prefix of its documents.
    pub fn prefix(&self) -> Option<&str> {
        match self {
            Kept::Whole(_) => self.common()?.1?.prefix.as_deref(),
            Kept::OfPool(apart) => apart.own.prefix.as_deref(),
        }
    }

    /// The record that its status names.
    pub fn id_record(&self) -> Option<&str> {
        match self {
            Kept::Whole(_) => self.common()?.1?.id_record.as_deref(),
            Kept::OfPool(apart) => apart.own.id_record.as_deref(),
        }
    }

    /// How many documents its status says that it has.
    pub fn documents(&self) -> Option<DocumentsStatus> {
        match self {
            Kept::Whole(_) => self.common()?.1?.documents,
            Kept::OfPool(apart) => apart.own.documents,
        }
    }

    /// When the operator last moved or deleted its documents.
    pub fn moved(&self) -> Option<Timestamp> {
        let moved = match self {
            Kept::Whole(_) => self.common()?.1?.documents_moved_time.as_ref(),
            Kept::OfPool(apart) => apart.own.moved.as_ref(),
        };
        moved.map(|at| at.0)
    }

    /// The Tenant as it was taken in. Whoever wants few of many asks first what needs no copy.
    pub fn whole(&self) -> Guarded<Tenant> {
        match self {
            Kept::Whole(tenant) => Guarded::clone(tenant),
            Kept::OfPool(apart) => Guarded(Ok(apart.whole())),
        }
    }
}

impl Apart {
    fn whole(&self) -> Tenant {
        let Self { meta, spec, status, own } = self;
        let mut spec = TenantSpec::clone(spec);
        spec.tenant_id = own.tenant_id.to_string();
        let status = status.as_ref().map(|status| own.put_back(Status::clone(status)));
        Tenant { metadata: meta.clone(), spec, status }
    }
}

impl Own {
    /// Takes out of a spec and a status what is of this Tenant alone.
    fn taken_out(spec: &mut TenantSpec, status: Option<&mut Status>) -> Self {
        let tenant_id = std::mem::take(&mut spec.tenant_id).into();
        let Some(status) = status else { return Self { tenant_id, ..Self::default() } };
        // What stays in its place says that there was something.
        let taken = |from: &mut Option<String>| from.as_mut().map(|it| std::mem::take(it).into());
        let since = status.conditions.iter_mut();
        Self {
            tenant_id,
            prefix: taken(&mut status.prefix),
            filter: status.retrieval_filter.as_mut().map(|it| std::mem::take(&mut it.equals.value).into()),
            id_record: taken(&mut status.id_record),
            moved: status.documents_moved_time.take(),
            documents: status.documents.take(),
            since: since.map(|it| std::mem::replace(&mut it.last_transition_time, NEVER).0).collect(),
        }
    }

    fn put_back(&self, mut status: Status) -> Status {
        let string = |own: &Option<Box<str>>| own.as_deref().map(str::to_owned);
        status.prefix = string(&self.prefix);
        status.id_record = string(&self.id_record);
        if let (Some(filter), Some(own)) = (&mut status.retrieval_filter, &self.filter) {
            filter.equals.value = own.to_string();
        }
        status.documents_moved_time = self.moved.clone();
        status.documents = self.documents;
        for (condition, since) in status.conditions.iter_mut().zip(&self.since) {
            condition.last_transition_time = Time(*since);
        }
        status
    }
}

const NEVER: Time = Time(Timestamp::UNIX_EPOCH);

/// What the Tenants of a pool have in common.
#[derive(Default)]
struct Pool {
    specs: Alike<TenantSpec>,
    statuses: Alike<Status>,
}

impl Pool {
    fn is_empty(&self) -> bool {
        self.specs.0.iter().all(|spec| spec.strong_count() == 0)
    }
}

/// All pools, by the names of their SharedStacks.
#[derive(Default)]
struct Pools(HashMap<String, Pool>);

impl Pools {
    fn keep(&mut self, tenant: Guarded<Tenant>) -> Kept {
        let tenant = match tenant.0 {
            Ok(tenant) if tenant.pattern() == Some(Pattern::Pool) => tenant,
            tenant => return Kept::Whole(Box::new(Guarded(tenant))),
        };
        let stack = tenant.stack().unwrap_or_default().to_owned();
        let Tenant { metadata: meta, mut spec, mut status } = tenant;
        let own = Own::taken_out(&mut spec, status.as_mut());
        if self.0.len() >= POOLS {
            self.0.retain(|_, pool| !pool.is_empty());
        }
        let pool = self.0.entry(stack).or_default();
        let status = status.map(|status| pool.statuses.one_of(status));
        Kept::OfPool(Box::new(Apart { meta, spec: pool.specs.one_of(spec), status, own }))
    }
}

/// Some of those that differ.
struct Alike<T>(Vec<Weak<T>>);

impl<T> Default for Alike<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: PartialEq> Alike<T> {
    /// The one that is there already, if there is one.
    fn one_of(&mut self, new: T) -> Arc<T> {
        if let Some(there) = self.0.iter().filter_map(Weak::upgrade).find(|there| **there == new) {
            return there;
        }
        self.0.retain(|other| other.strong_count() > 0);
        if self.0.len() >= ALIKE {
            // Whoever has it keeps it.
            self.0.remove(0);
        }
        let new = Arc::new(new);
        self.0.push(Arc::downgrade(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::reconcile::mocked::{read, tenant, with};

    /// A Tenant of a pool at a version, with a status that has all that is its own.
    fn of_pool(name: &str, version: &str) -> Value {
        let said = |kind: &str, second: u32| {
            json!({"type": kind, "status": "True", "reason": "Ready", "message": "", "observedGeneration": 3,
                "lastTransitionTime": format!("2026-01-01T00:00:{second:02}Z")})
        };
        let since = name.len() as u32;
        with(
            tenant(json!({"name": name, "uid": name, "resourceVersion": version})),
            json!({
                "spec": {"tenantId": name, "pattern": "Pool", "stackRef": {"name": "standard"}},
                "status": {
                    "conditions": [said("Ready", since), said("Accepted", since + 1)],
                    "prefix": format!("pool/{name}/"), "idRecord": format!("record of {name}"), "bucket": "docs",
                    "retrievalFilter": {"equals": {"key": "tenantId", "value": name}},
                    "documentsMovedTime": format!("2026-01-01T00:01:{since:02}.000001Z"),
                    "knowledgeBaseId": "KB1", "observedGeneration": 3,
                },
            }),
        )
    }

    fn apply(tenants: &Tenants, tenant: &Value) -> bool {
        tenants.take(Event::Apply(read(tenant.clone()))).is_some()
    }

    fn get(tenants: &Tenants, name: &str) -> Option<Arc<Guarded<Tenant>>> {
        tenants.get(&ObjectRef::new(name).within("tenants"))
    }

    #[test]
    fn a_tenant_is_given_as_it_was_taken_in() {
        let tenants = Tenants::default();
        let silo = tenant(json!({"name": "silo", "labels": {"team": "a"}, "annotations": {"a": "b"}}));
        let new = with(of_pool("new", "7"), json!({"status": null}));
        let empty = with(
            of_pool("empty", "7"),
            json!({"status": {
                "prefix": null, "idRecord": "", "retrievalFilter": null, "documentsMovedTime": null, "conditions": [],
            }}),
        );
        for object in [silo, new, empty, of_pool("acme", "7"), of_pool("globex", "7")] {
            apply(&tenants, &object);
            let expected: Tenant = read(object);
            let name = expected.metadata.name.clone().unwrap();
            assert_eq!(get(&tenants, &name).unwrap().0.as_ref().unwrap(), &expected);
        }
        assert!(get(&tenants, "initech").is_none());
        assert_eq!(tenants.readable().count(), 5);
        assert_eq!(tenants.of_pool("standard").len(), 4);
        assert!(tenants.of_pool("other").is_empty());
        assert_eq!(tenants.with_knowledge_bases().count(), 1);
    }

    #[test]
    fn what_is_its_own_is_told_without_a_copy_of_the_whole() {
        let tenants = Tenants::default();
        let silo = with(of_pool("silo", "7"), json!({"spec": {"tenantId": "silo", "pattern": "Silo"}}));
        let unreadable = with(of_pool("none", "7"), json!({"spec": {"tenantId": 5}}));
        for object in
            [of_pool("acme", "7"), silo, with(of_pool("new", "7"), json!({"status": null})), unreadable]
        {
            apply(&tenants, &object);
        }
        for kept in tenants.kept() {
            let whole = kept.whole().0.ok();
            let status = whole.as_ref().and_then(|tenant| tenant.status.clone()).unwrap_or_default();
            assert_eq!(kept.tenant_id(), whole.as_ref().map(|tenant| tenant.spec.tenant_id.as_str()));
            assert_eq!(kept.prefix(), status.prefix.as_deref());
            assert_eq!(kept.id_record(), status.id_record.as_deref());
            assert_eq!(kept.moved(), status.documents_moved_time.map(|at| at.0));
        }
    }

    #[test]
    fn what_tenants_of_a_pool_have_in_common_is_kept_once() {
        let tenants = Tenants::default();
        for name in ["acme", "globex"] {
            apply(&tenants, &of_pool(name, "7"));
        }
        let kept = tenants.kept();
        let [one, other] = [0, 1].map(|n| kept[n].common().unwrap());
        assert!(std::ptr::eq(one.0, other.0) && std::ptr::eq(one.1.unwrap(), other.1.unwrap()));
        let otherwise = with(of_pool("acme", "8"), json!({"status": {"bucket": "others"}}));
        apply(&tenants, &otherwise);
        assert_eq!(get(&tenants, "acme").unwrap().0.as_ref().unwrap(), &read::<Tenant>(otherwise));
        assert_eq!(
            get(&tenants, "globex").unwrap().0.as_ref().unwrap(),
            &read::<Tenant>(of_pool("globex", "7"))
        );
    }

    #[test]
    fn what_cannot_be_read_is_there_all_the_same() {
        let tenants = Tenants::default();
        assert!(apply(&tenants, &with(tenant(json!({})), json!({"spec": {"tenantId": 5}}))));
        let found = get(&tenants, "acme").unwrap();
        assert!(found.0.is_err() && found.meta().uid.as_deref() == Some("uid-acme"));
        assert!(tenants.kept()[0].common().is_none());
        assert_eq!(tenants.readable().count(), 0);
    }

    #[test]
    fn neither_a_status_nor_a_finalizer_is_news() {
        let tenants = Tenants::default();
        let acme = of_pool("acme", "7");
        assert!(apply(&tenants, &acme));
        assert!(!apply(&tenants, &acme));
        for (metadata, is_news) in [
            (json!({"finalizers": ["a/b"], "resourceVersion": "8"}), false),
            (json!({"generation": 9, "resourceVersion": "9"}), true),
            (json!({"generation": 9, "labels": {"a": "b"}, "resourceVersion": "10"}), true),
            (json!({"generation": 9, "uid": "another", "resourceVersion": "11"}), true),
        ] {
            let metadata = with(acme["metadata"].clone(), metadata);
            let changed = with(acme.clone(), json!({"metadata": metadata}));
            assert_eq!(apply(&tenants, &changed), is_news, "{metadata}");
        }
    }

    #[test]
    fn a_listing_forgets_what_it_does_not_show_and_keeps_what_it_shows_unchanged() {
        let tenants = Tenants::default();
        for name in ["acme", "gone"] {
            apply(&tenants, &of_pool(name, "7"));
        }
        let before = tenants.all.read()["tenants/acme"].kept.clone();
        assert!(tenants.take(Event::Init).is_none());
        assert!(tenants.take(Event::InitApply(read(of_pool("acme", "7")))).is_none());
        assert!(tenants.take(Event::InitApply(read(of_pool("new", "8")))).is_some());
        assert!(get(&tenants, "gone").is_some(), "until the listing is complete");
        assert!(tenants.take(Event::InitDone).is_none());
        assert!(get(&tenants, "gone").is_none() && get(&tenants, "new").is_some());
        assert!(Arc::ptr_eq(&before, &tenants.all.read()["tenants/acme"].kept));
        tenants.take(Event::Delete(read(of_pool("acme", "9"))));
        assert!(get(&tenants, "acme").is_none());
    }
}
