//! An operator's process: its start, and its passes, with the calls of `operator::records` and `tenant::{resolve, apply,
//! teardown}` in their order.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;

use super::super::{Claimed, Ids, Phase};
use super::cluster::{Cluster, Document, Object, scope};
use crate::api::{APPROVE, Pattern, Reason, VectorStore};
use crate::aws::{Content, Over, Put};
use crate::reconcile::claims::{self, TenantIdClaims};
use crate::records::in_memory::InMemory;
use crate::records::{Records, Shelf, Trouble};
use crate::stack::fault::{Class, Fault};
use crate::stack::layout::record_key;
use crate::stack::record::{Claimant, Record, Ruling, State, Terms};

/// The bucket as a leader reaches it: once it is no leader any more it begins no write.
struct Fenced(Arc<InMemory>, Arc<AtomicBool>);

type Answer<'a, T> = futures::future::BoxFuture<'a, Result<T, Fault>>;

impl Shelf for Fenced {
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Content>> {
        self.0.get(key)
    }

    fn put<'a>(&'a self, key: &'a str, content: Vec<u8>, over: Over<'a>) -> Answer<'a, Put> {
        Box::pin(async move {
            if self.1.load(Ordering::Relaxed) {
                return Err(Fault {
                    class: Class::Transient,
                    service: "s3",
                    operation: "PutObject",
                    resource: key.into(),
                    code: "NotTheLeader".into(),
                    message: String::new(),
                    request_id: None,
                });
            }
            self.0.put(key, content, over).await
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Answer<'a, Vec<(String, String)>> {
        self.0.list(prefix)
    }
}

/// What all processes share.
pub struct World {
    pub cluster: RefCell<Cluster>,
    pub shelf: Arc<InMemory>,
    /// What goes wrong, while anything does.
    pub luck: RefCell<fastrand::Rng>,
    pub is_calm: Arc<Mutex<(fastrand::Rng, bool)>>,
    /// What is in AWS since before there were records.
    pub left: Vec<Record>,
}

/// A process.
pub struct Process {
    world: Rc<World>,
    pub ids: Ids,
    pub claims: TenantIdClaims,
    unused: RefCell<BTreeMap<String, bool>>,
    is_over: Arc<AtomicBool>,
    pub has_started: Cell<bool>,
}

/// The pass ends here; another will come.
struct Stop;

impl From<Trouble> for Stop {
    fn from(_: Trouble) -> Self {
        Self
    }
}

impl Process {
    pub fn new(world: &Rc<World>, policy: crate::stack::record::IdPolicy) -> Rc<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let records = Records::new(Arc::new(Fenced(world.shelf.clone(), is_over.clone())));
        let terms = Terms { cluster: "here".into(), policy, ..Terms::default() };
        Rc::new(Self {
            world: world.clone(),
            ids: Ids::new(records, terms, &scope(), false).by(super::now),
            claims: TenantIdClaims::default(),
            unused: RefCell::default(),
            is_over,
            has_started: Cell::new(false),
        })
    }

    /// Another leads now. What this one has begun may still arrive.
    pub fn ends(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn leads(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    /// A request to the API server, or to S3 for documents. It arrives later, and its answer may be lost.
    async fn request<T>(&self, work: impl FnOnce(&mut Cluster) -> T) -> Result<T, Stop> {
        if !self.leads() {
            return Err(Stop);
        }
        tokio::task::yield_now().await;
        let done = work(&mut self.world.cluster.borrow_mut());
        tokio::task::yield_now().await;
        let is_lost = !self.world.is_calm.lock().1 && self.world.luck.borrow_mut().u8(..30) == 0;
        if is_lost { Err(Stop) } else { Ok(done) }
    }

    /// With the lease: what is known of all ids.
    pub async fn start(self: Rc<Self>) {
        while self.leads() && self.try_start().await.is_err() {}
        for (tenant_id, uid) in self.ids.holders() {
            self.claims.found(&tenant_id, &uid);
        }
        self.has_started.set(true);
        while self.leads() && self.complete().await.is_err() {}
    }

    async fn try_start(&self) -> Result<(), Stop> {
        let holders = self.request(|cluster| {
            let had = |it: &&Object| it.hold && (it.word.is_some() || it.old);
            cluster.objects.values().filter(had).cloned().collect::<Vec<_>>()
        });
        let holders = holders.await?;
        for (tenant_id, etag) in self.ids.records.list().await? {
            self.ids.listed(tenant_id, etag);
        }
        for holder in holders {
            let tenant_id = &holder.tenant_id;
            if self.ids.recognises(tenant_id, &holder.uid, holder.word.as_deref())
                || self.ids.is_listed(tenant_id)
            {
                continue;
            }
            assert!(holder.word.is_none(), "the record of {holder:?} is missed");
            let uid = Some(holder.namespace_uid.clone());
            let record = Record::of(&holder.id(), "here", uid, State::Held, super::now());
            self.ids.record(record.expect("a Tenant's")).await?;
        }
        if self.world.cluster.borrow().complete {
            self.ids.are_complete();
        }
        Ok(())
    }

    /// What is in AWS without a Tenant gets its record.
    async fn complete(&self) -> Result<(), Stop> {
        if !matches!(self.ids.phase(), Phase::Reading(_)) {
            return Ok(());
        }
        for record in &self.world.left {
            self.ids.record(record.clone()).await?;
        }
        self.request(|cluster| cluster.complete = true).await?;
        self.ids.are_complete();
        Ok(())
    }

    /// A pass over a Tenant, as the cache shows it.
    pub async fn pass(self: Rc<Self>, seen: Object) {
        let _ = if seen.deleting { self.back(&seen).await } else { self.live(seen).await };
    }

    async fn live(&self, seen: Object) -> Result<(), Stop> {
        let id = seen.id();
        let has_id = seen.hold && self.ids.is_holder(&seen.tenant_id, &seen.uid);
        let object = ObjectRef::new(&seen.name).within(&seen.namespace);
        let age =
            (jiff::Timestamp::from_second(i64::try_from(seen.version).unwrap_or(0)).ok(), seen.uid.clone());
        if !has_id && !self.claims.ask(&seen.tenant_id, &claims::Claimant { age, object }) {
            return Ok(());
        }
        let grant = if has_id { None } else { self.ask(&seen).await? };
        if !seen.hold {
            let taken = self.request(|cluster| {
                let is_as_seen = cluster.objects.get(&seen.uid).is_some_and(|it| it.version == seen.version);
                is_as_seen && cluster.change(&seen.uid, |it| it.hold = true)
            });
            if !taken.await? {
                return Err(Stop);
            }
        }
        if let Some((over, namespace_uid)) = grant {
            self.survey(&seen).await?;
            let claimant = self.claimant(&id, &seen, &namespace_uid);
            let given = self.ids.give(&claimant, over.as_deref()).await?;
            if !given {
                return Err(Stop);
            }
        }
        self.acts(&seen);
        let word = self.ids.word(&seen.tenant_id, &seen.uid);
        self.request(|cluster| {
            cluster.change(&seen.uid, |it| {
                it.word = word.or(it.word.take());
                it.version = seen.version;
            })
        })
        .await?;
        Ok(())
    }

    fn claimant<'a>(
        &self,
        id: &'a crate::stack::identity::Identity,
        seen: &'a Object,
        namespace_uid: &'a str,
    ) -> Claimant<'a> {
        let (store, approved) = (VectorStore::default(), seen.approved.as_deref());
        Claimant { id, store, namespace_uid, named: seen.named, approved }
    }

    /// Asks for the id: over which record it may be given, if it is not its own already.
    async fn ask(&self, seen: &Object) -> Result<Option<(Option<String>, String)>, Stop> {
        if self.ids.closed().is_some() {
            return Err(Stop);
        }
        let namespace =
            self.request(|cluster| cluster.namespaces.get(&seen.namespace).cloned()).await?.ok_or(Stop)?;
        let id = seen.id();
        let claimant = Claimant { named: namespace.named, ..self.claimant(&id, seen, &namespace.uid) };
        let kept = self.ids.read(&seen.tenant_id).await?;
        let record = kept.as_ref().map(|kept| &kept.says);
        let lives = match record.filter(|record| self.ids.may_live(record, &claimant)) {
            Some(record) => self.request(|cluster| cluster.objects.contains_key(&record.holder.uid)).await?,
            None => false,
        };
        match self.ids.rule(record, &claimant, lives) {
            Ruling::Held => Ok(None),
            Ruling::Granted { .. } => Ok(Some((kept.map(|kept| kept.etag), namespace.uid))),
            Ruling::Refused(refused) => {
                self.claims.release(&seen.tenant_id, &seen.uid);
                // Somebody reads the message, and sometimes does what it says.
                let asks = refused.reason == Reason::TenantIdRetained;
                if asks && self.world.luck.borrow_mut().bool() {
                    let code = refused.message.split(&format!("{APPROVE}=")).nth(1);
                    let code = code.and_then(|rest| rest.split([',', ':']).next()).map(str::to_owned);
                    self.world.cluster.borrow_mut().change(&seen.uid, |it| it.approved = code);
                }
                Err(Stop)
            }
        }
    }

    /// A Silo finds its own bucket by its name, and takes it if its tags let it.
    async fn survey(&self, seen: &Object) -> Result<(), Stop> {
        let there = self.request(|cluster| cluster.documents_of(seen)).await?;
        let of_others = |it: &Document| it.namespace != seen.namespace;
        if seen.pattern == Pattern::Silo && there.iter().any(of_others) {
            return Err(Stop);
        }
        Ok(())
    }

    /// From here on it acts as one that has its id.
    fn acts(&self, seen: &Object) {
        let mut cluster = self.world.cluster.borrow_mut();
        if self.leads() && cluster.objects.contains_key(&seen.uid) {
            cluster.tell(format!("{} acts as holder of {}", seen.uid, seen.tenant_id));
            self.may_act(&cluster, seen, &["held"]);
            cluster.told(seen);
        }
    }

    /// Whoever acts does so because its record says so, and on nothing of others. What an earlier leader still reads leads to
    /// nothing.
    fn may_act(&self, cluster: &Cluster, object: &Object, states: &[&str]) {
        if !self.leads() {
            return;
        }
        let record = self.world.shelf.says(&record_key(&object.tenant_id)).unwrap_or_default();
        let is_so = states.iter().any(|state| record["state"] == *state);
        let names_it = is_so && record["holder"]["uid"] == object.uid.as_str();
        assert!(names_it, "{} acts, and the record says {record}", object.uid);
        cluster.acts_on_documents(object);
    }

    async fn back(&self, seen: &Object) -> Result<(), Stop> {
        let live = self.request(|cluster| cluster.objects.get(&seen.uid).cloned()).await?;
        let Some(object) = live.filter(|it| it.deleting && it.hold) else { return Ok(()) };
        let id = object.id();
        let claimed = self.ids.claimed(&id).await?;
        self.world.cluster.borrow_mut().tell(format!("{} leaves: {claimed:?}", object.uid));
        if claimed == Claimed::Ours {
            self.note_unused(&object).await?;
            let unused = self.unused.borrow().get(&object.uid) == Some(&true);
            let stays = object.retains && !(unused && object.pattern == Pattern::Pool);
            if !object.retains {
                self.purge(&object).await?;
            }
            let (state, empty) = if stays { (State::Retained, false) } else { (State::Gone, unused) };
            let is_seen = self.world.luck.borrow_mut().bool();
            let namespace_uid = if is_seen { object.namespace_uid.as_str() } else { "" };
            let leaver = self.claimant(&id, &object, namespace_uid);
            let left = self.ids.leave(&leaver, state, empty).await?;
            let mut cluster = self.world.cluster.borrow_mut();
            cluster.tell(format!(
                "{} has left {}: {state:?}, empty: {empty}, {left}",
                object.uid, object.tenant_id
            ));
            cluster.leaves(&object.tenant_id, &object.uid);
        }
        self.request(|cluster| cluster.change(&object.uid, |it| it.hold = false)).await?;
        self.claims.release(&object.tenant_id, &object.uid);
        Ok(())
    }

    async fn note_unused(&self, object: &Object) -> Result<(), Stop> {
        if self.unused.borrow().contains_key(&object.uid) {
            return Ok(());
        }
        if object.begun {
            self.world.cluster.borrow_mut().doubtful.insert(object.uid.clone());
        }
        let unused = !object.begun && self.request(|cluster| cluster.documents_of(object)).await?.is_empty();
        self.unused.borrow_mut().insert(object.uid.clone(), unused);
        Ok(())
    }

    /// Takes away the documents that are listed, and looks whether more have come.
    async fn purge(&self, object: &Object) -> Result<(), Stop> {
        self.request(|cluster| cluster.change(&object.uid, |it| it.begun = true)).await?;
        let listed = self.request(|cluster| {
            // The record may say already that it has left, if the answer was lost: then nobody has come since.
            self.may_act(cluster, object, &["held", "retained", "gone"]);
            cluster.documents_of(object)
        });
        let listed = listed.await?;
        self.request(|cluster| {
            cluster.documents.retain(|it| listed.iter().all(|gone| gone.number != it.number))
        })
        .await?;
        let left = self.request(|cluster| cluster.documents_of(object)).await?;
        if left.is_empty() { Ok(()) } else { Err(Stop) }
    }
}
