//! Who has which tenantId, as far as this process knows; the records say so, and every change goes through them.
//!
//! What is known is filled at the start, by one listing. After that nobody else writes records but `tenantry release`, so
//! a Tenant at rest asks nothing, and whoever is new asks once.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::records::{Kept, Records, Trouble, Wrote};
use crate::stack::hash::fingerprint;
use crate::stack::identity::{Identity, Owner, Scope};
use crate::stack::model::progress::{Cadence, Progress};
use crate::stack::record::{Claimant, IdPolicy, Record, Ruling, State, Terms, may_live, rule};

/// How soon to ask again where the records do not answer.
pub const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// So many times somebody else may be faster, before it is tried another time.
const TRIES: usize = 3;

/// See the module.
pub struct Ids {
    /// Where the records are.
    pub records: Records,
    /// Under which terms ids are given.
    pub terms: Terms,
    /// The account and region of the installation, as they stand in a status.
    place: String,
    read_only: bool,
    known: Mutex<HashMap<String, Known>>,
    phase: Mutex<Phase>,
    now: fn() -> Timestamp,
}

/// What is known of a record that is there.
#[derive(Clone, Debug, Default)]
struct Known {
    etag: String,
    /// The uid of the Tenant that has it, if one does and it is known.
    holder: Option<String>,
    /// Whether it is known to be anybody's.
    is_free: bool,
}

/// How far the records are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// What was there before there were records is being recorded: nobody new gets an id. What holds that up, if anything
    /// does.
    Reading(String),
    /// All that is there has a record.
    Complete,
    /// Something that must be there is gone.
    Lost(Trouble),
}

/// How a Tenant stands to its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The record names it.
    Ours,
    /// It names it no more: its way back is over, but for the hold.
    Over,
    /// It names another, or nobody.
    NotOurs,
}

impl Ids {
    /// Nothing is known yet.
    pub fn new(records: Records, terms: Terms, scope: &Scope, read_only: bool) -> Self {
        Self {
            records,
            terms,
            place: scope.place(),
            read_only,
            known: Mutex::default(),
            phase: Mutex::new(Phase::Reading(String::new())),
            now: Timestamp::now,
        }
    }

    /// The same by another clock.
    #[cfg(test)]
    pub fn by(self, now: fn() -> Timestamp) -> Self {
        Self { now, ..self }
    }

    /// How far the records are.
    pub fn phase(&self) -> Phase {
        self.phase.lock().clone()
    }

    /// All that is there has a record, unless something was found missing before.
    pub fn are_complete(&self) {
        let mut phase = self.phase.lock();
        if matches!(*phase, Phase::Reading(_)) {
            *phase = Phase::Complete;
        }
    }

    /// Not all can be recorded, and why.
    pub fn are_held_up(&self, why: String) {
        let mut phase = self.phase.lock();
        if let Phase::Reading(before) = &mut *phase {
            *before = format!(". {why}");
        }
    }

    /// Something that must be there is gone. It stays so until the process starts anew.
    pub fn are_lost(&self, trouble: &Trouble) {
        let mut phase = self.phase.lock();
        if !matches!(*phase, Phase::Lost(_)) {
            tracing::error!("{trouble}");
            *phase = Phase::Lost(trouble.clone());
        }
    }

    /// Notes trouble that stays, and gives it on.
    fn note<T>(&self, result: Result<T, Trouble>) -> Result<T, Trouble> {
        if let Err(trouble @ Trouble::Lost(_)) = &result {
            self.are_lost(trouble);
        }
        result
    }

    /// A record that a listing shows.
    pub fn listed(&self, tenant_id: String, etag: String) {
        self.known.lock().insert(tenant_id, Known { etag, holder: None, is_free: false });
    }

    /// A Tenant whose record was lost is known to have had it: what it has goes on.
    pub fn trusted(&self, tenant_id: &str, uid: &str) {
        let mut all = self.known.lock();
        let known = all.entry(tenant_id.into()).or_default();
        known.holder.get_or_insert_with(|| uid.into());
    }

    /// Whether the status of a Tenant says that the record as it is listed names it; if so that is known from now on.
    pub fn recognises(&self, tenant_id: &str, uid: &str, id_record: Option<&str>) -> bool {
        let mut known = self.known.lock();
        let Some(known) = known.get_mut(tenant_id) else { return false };
        let says_so = id_record == Some(self.word_of(uid, &known.etag).as_str());
        if says_so {
            known.holder = Some(uid.into());
        }
        says_so
    }

    /// What was read or written.
    fn learn(&self, kept: &Kept<Record>) {
        let holder = (kept.says.state == State::Held).then(|| kept.says.holder.uid.clone());
        let is_free = kept.says.state == State::Free;
        let known = Known { etag: kept.etag.clone(), holder, is_free };
        self.known.lock().insert(kept.says.tenant_id.clone(), known);
    }

    /// Whether an id has a record: what lies under it is somebody's. While not all have one, or some are lost, all might.
    pub fn has_record(&self, tenant_id: &str) -> bool {
        self.phase() != Phase::Complete
            || self.known.lock().get(tenant_id).is_some_and(|known| !known.is_free)
    }

    /// All ids that have a record. `None`: all might.
    pub fn recorded(&self) -> Option<Vec<String>> {
        if self.phase() != Phase::Complete {
            return None;
        }
        let known = self.known.lock();
        Some(known.iter().filter(|(_, known)| !known.is_free).map(|(id, _)| id.to_string()).collect())
    }

    /// Whether a listing, or what was read since, showed a record of this id.
    pub fn is_listed(&self, tenant_id: &str) -> bool {
        self.known.lock().contains_key(tenant_id)
    }

    /// Whether the record of an id names this Tenant.
    pub fn is_holder(&self, tenant_id: &str, uid: &str) -> bool {
        let known = self.known.lock();
        known.get(tenant_id).is_some_and(|known| known.holder.as_deref() == Some(uid))
    }

    /// All Tenants that are known to have an id, by uid.
    pub fn holders(&self) -> HashMap<String, String> {
        let known = self.known.lock();
        known.iter().filter_map(|(id, known)| Some((id.clone(), known.holder.clone()?))).collect()
    }

    /// What a status says of a record that names its object, so that the next process need not read it.
    pub fn word(&self, tenant_id: &str, uid: &str) -> Option<String> {
        let known = self.known.lock();
        let known = known.get(tenant_id).filter(|it| it.holder.as_deref() == Some(uid))?;
        (!known.etag.is_empty()).then(|| self.word_of(uid, &known.etag))
    }

    /// Which record it is, where it is, and that it was its own object's.
    fn word_of(&self, uid: &str, etag: &str) -> String {
        format!("{}{}", self.place, fingerprint(&format!("{uid}\n{etag}")))
    }

    /// Reads a record, unless it is known that there is none.
    pub async fn read(&self, tenant_id: &str) -> Result<Option<Kept<Record>>, Trouble> {
        if self.phase() == Phase::Complete && !self.is_listed(tenant_id) {
            return Ok(None);
        }
        let kept = self.note(self.records.get(tenant_id).await)?;
        match &kept {
            Some(kept) => self.learn(kept),
            None => {
                let missed = self.known.lock().get(tenant_id).is_some();
                if missed {
                    let what = format!("The record of tenantId '{tenant_id}'");
                    return self.note(Err(Trouble::Lost(what)));
                }
            }
        }
        Ok(kept)
    }

    /// Nobody new gets an id while this says why not.
    pub fn closed(&self) -> Option<Trouble> {
        match self.phase() {
            Phase::Lost(trouble) => Some(trouble),
            Phase::Reading(why) => Some(Trouble::Incomplete(why)),
            Phase::Complete => None,
        }
    }

    /// Whether it is worth a look at the cluster if the Tenant that a record names is still there.
    pub fn may_live(&self, record: &Record, claimant: &Claimant<'_>) -> bool {
        may_live(record, claimant, &self.terms)
    }

    /// What an asker is told. Nothing is written.
    pub fn rule(&self, record: Option<&Record>, claimant: &Claimant<'_>, lives: bool) -> Ruling {
        rule(record, claimant, &self.terms, lives, (self.now)())
    }

    /// Gives an id to whoever was told that it may have it, over the record that was read then; `false` if somebody else
    /// has written one meanwhile, and all is to be decided anew.
    pub async fn give(&self, claimant: &Claimant<'_>, over: Option<&str>) -> Result<bool, Trouble> {
        let namespace = Some(claimant.namespace_uid.to_owned());
        let Some(record) = self.of(claimant, namespace, State::Held) else { return Ok(false) };
        self.write(record, over).await
    }

    /// What a record says of a Tenant from now on.
    fn of(&self, claimant: &Claimant<'_>, namespace: Option<String>, state: State) -> Option<Record> {
        let record = Record::of(claimant.id, &self.terms.cluster, namespace, state, (self.now)());
        record.map(|record| record.in_store(claimant.store))
    }

    async fn write(&self, record: Record, over: Option<&str>) -> Result<bool, Trouble> {
        let tenant_id = record.tenant_id.clone();
        match self.note(self.records.put(record, over).await)? {
            Wrote::Done(kept) => {
                self.learn(&kept);
                Ok(true)
            }
            Wrote::Other(Some(there)) => {
                self.learn(&there);
                Ok(false)
            }
            Wrote::Other(None) => {
                self.known.lock().remove(&tenant_id);
                Ok(false)
            }
        }
    }

    /// How a Tenant that leaves stands to its id. One that was never given it writes that the id is anybody's, or whose it
    /// was, so that an earlier leader's late write is refused.
    pub async fn claimed(&self, id: &Identity) -> Result<Claimed, Trouble> {
        let tenant_id = id.tenant_id().unwrap_or_default();
        match self.closed() {
            // What is borrowed is deleted by nobody: whose it is cannot be told any more.
            Some(trouble @ Trouble::Lost(_)) => return Err(trouble),
            _ if self.is_holder(tenant_id, &id.uid) => return Ok(Claimed::Ours),
            Some(trouble) => return Err(trouble),
            None => {}
        }
        for _ in 0..TRIES {
            let Some(kept) = self.read(tenant_id).await? else {
                // Nobody ever had it.
                let free = Record::of(&id.nobodys(), "", None, State::Free, (self.now)());
                let Some(free) = free.filter(|_| !self.read_only) else { return Ok(Claimed::NotOurs) };
                if self.write(free, None).await? {
                    return Ok(Claimed::NotOurs);
                }
                continue;
            };
            return Ok(match (kept.says.holder.uid == id.uid, kept.says.state) {
                (true, State::Held | State::Retained) => Claimed::Ours,
                (true, State::Gone | State::Free) => Claimed::Over,
                (false, State::Held) => Claimed::NotOurs,
                (false, _) if self.read_only || !may_have_been_given(&kept.says, id, self.terms.policy) => {
                    Claimed::NotOurs
                }
                // It may have been given over this, which is written anew to the same end.
                (false, _) if self.write(kept.says, Some(&kept.etag)).await? => Claimed::NotOurs,
                (false, _) => continue,
            });
        }
        Err(Trouble::Contended)
    }

    /// Says what became of the id of a Tenant that leaves, once all else is done; `false` if it was not its own any more.
    pub async fn leave(&self, claimant: &Claimant<'_>, state: State, empty: bool) -> Result<bool, Trouble> {
        let id = claimant.id;
        let tenant_id = id.tenant_id().unwrap_or_default();
        let namespace = Some(claimant.namespace_uid).filter(|uid| !uid.is_empty());
        for _ in 0..TRIES {
            let known = self.known.lock().get(tenant_id).cloned();
            let settled = known.filter(|known| {
                known.holder.as_deref() == Some(id.uid.as_str())
                    && !known.etag.is_empty()
                    && namespace.is_some()
            });
            let (etag, namespace) = match settled {
                Some(known) => (known.etag, namespace.map(str::to_owned)),
                None => match self.read(tenant_id).await? {
                    Some(kept) if kept.says.holder.uid == id.uid => {
                        if kept.says.state == state {
                            return Ok(true);
                        }
                        (kept.etag, kept.says.holder.namespace_uid)
                    }
                    _ => return Ok(false),
                },
            };
            let Some(record) = self.of(claimant, namespace, state) else { return Ok(false) };
            if self.write(Record { empty, ..record }, Some(&etag)).await? {
                return Ok(true);
            }
        }
        Err(Trouble::Contended)
    }

    /// What is said of a record that was written before there were records, or for what is no Tenant any more: only where
    /// there is none.
    pub async fn record(&self, record: Record) -> Result<bool, Trouble> {
        if self.known.lock().contains_key(&record.tenant_id) {
            return Ok(false);
        }
        self.write(record, None).await
    }

    /// What was retained goes with the bucket that it lay in: its id is gone, if the record still speaks of it.
    pub async fn gone_with_bucket(&self, tenant_id: &str, owner_uid: &str) -> Result<(), Trouble> {
        for _ in 0..TRIES {
            let Some(kept) = self.note(self.records.get(tenant_id).await)? else { return Ok(()) };
            let Record { state, holder, .. } = &kept.says;
            if *state != State::Retained || holder.uid != owner_uid {
                return Ok(());
            }
            let gone = Record { state: State::Gone, since: (self.now)(), ..kept.says };
            if self.write(gone, Some(&kept.etag)).await? {
                return Ok(());
            }
        }
        Err(Trouble::Contended)
    }
}

/// Whether an object may have been told that it has the id that this record speaks of: only then can a write that gives it
/// be on its way. Nobody else's records are touched.
fn may_have_been_given(record: &Record, id: &Identity, policy: IdPolicy) -> bool {
    let namespace = match &id.owner {
        Owner::Tenant { namespace, .. } => namespace,
        Owner::Stack { .. } => return false,
    };
    record.state == State::Free
        || record.holder.namespace == *namespace
        || record.state == State::Gone && (record.empty || policy == IdPolicy::Reuse)
}

/// What a way back says while the records do not answer.
pub fn waits(trouble: &Trouble) -> Progress {
    Progress::Waiting {
        reason: trouble.reason(),
        message: trouble.to_string(),
        cadence: Cadence::After(LOOK_AGAIN),
    }
}

#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod tests;
