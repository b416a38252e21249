//! Whose a tenantId is. The installation keeps a record of each id that it ever gave to a Tenant, in a bucket of its own:
//! it outlives objects, namespaces and clusters, as documents do. What it says decides, and nothing else does.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::approval;
use super::identity::{Identity, Owner};
use super::model::blocked::Blocked;
use super::model::plan;
use crate::api::{Pattern, Reason, VectorStore};

/// How long an id that nobody ever used stays with the namespace that had it.
const EMPTY_FOR: SignedDuration = SignedDuration::from_hours(24);

/// What became of a tenantId.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A Tenant has it.
    Held,
    /// Its Tenant is gone, and something of it stays in AWS.
    Retained,
    /// Its Tenant is gone with all that it had. The id still belongs to its namespace.
    Gone,
    /// Anybody may have it.
    Free,
}

/// The Tenant that has an id, or had it last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// The uid of its cluster's kube-system namespace. Empty if it was not known when the record was made.
    #[serde(default)]
    pub cluster: String,
    /// Its namespace,
    pub namespace: String,
    /// and the uid of that, which tells a namespace from an earlier one of its name. Absent where the record was made of
    /// what an older release had left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_uid: Option<String>,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Holder {
    /// As it stands in tags: `Tenant/<namespace>/<name>`.
    pub fn tag(&self) -> String {
        format!("Tenant/{}/{}", self.namespace, self.name)
    }
}

/// What is known of a tenantId.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The id.
    pub tenant_id: String,
    /// What became of it.
    pub state: State,
    /// Who has it, or had it last.
    pub holder: Holder,
    /// How isolated that is, or was.
    pub pattern: Pattern,
    /// The SharedStack that it borrows from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
    /// Where its vectors are.
    #[serde(default)]
    pub store: VectorStore,
    /// Since when this is so.
    pub since: Timestamp,
    /// Nothing was ever kept under its prefix: said of an id that is gone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty: bool,
    /// Another in each record that is written. Without it two records could be equal byte by byte, and S3 could not tell
    /// one from the other: its ETag is a hash of the content.
    pub nonce: String,
}

impl Record {
    /// Of an object, as it is named in AWS, whose vectors are in the usual store; `cluster` and `namespace_uid` say where it lives.
    pub fn of(
        id: &Identity,
        cluster: &str,
        namespace_uid: Option<String>,
        state: State,
        since: Timestamp,
    ) -> Option<Self> {
        let Owner::Tenant { namespace, name, tenant_id, pattern, stack } = &id.owner else { return None };
        let holder = Holder {
            cluster: cluster.into(),
            namespace: namespace.clone(),
            namespace_uid,
            name: name.clone(),
            uid: id.uid.clone(),
        };
        Some(Self {
            tenant_id: tenant_id.clone(),
            state,
            holder,
            pattern: *pattern,
            stack: stack.clone(),
            store: VectorStore::default(),
            since,
            empty: false,
            nonce: String::new(),
        })
    }
}

impl Record {
    /// The same of one whose vectors are in this store.
    pub fn in_store(self, store: VectorStore) -> Self {
        Self { store, ..self }
    }

    /// Whether a Tenant ever had the id.
    pub fn was_held(&self) -> bool {
        !self.holder.uid.is_empty()
    }
}

/// What becomes of an id whose Tenant is gone with all that it had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdPolicy {
    /// It stays with its namespace.
    #[default]
    PerNamespace,
    /// Anybody may have it.
    Reuse,
}

/// Under which terms this installation gives ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The uid of our cluster's kube-system namespace.
    pub cluster: String,
    /// The clusters that this one has taken the installation over from.
    pub took_over: Vec<String>,
    /// What becomes of ids that are gone.
    pub policy: IdPolicy,
}

/// Who asks for an id, or leaves.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    /// What it would be called in AWS, whose uid it has, and what somebody has approved.
    pub id: &'a Identity,
    /// Where its vectors are.
    pub store: VectorStore,
    /// The uid of its namespace. Empty if nobody knows it, as of one that is gone.
    pub namespace_uid: &'a str,
    /// Whether its namespace names the id, which is an administrator's word: what an earlier namespace of its name had is
    /// its own.
    pub named: bool,
    /// The value of the annotation `tenantry.dev/approve`.
    pub approved: Option<&'a str>,
}

/// What an asker is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It has the id already.
    Held,
    /// It may have it.
    Granted {
        /// An earlier holder may have left something, which this one takes up.
        inherits: bool,
    },
    /// It may not.
    Refused(Blocked),
}

impl Claimant<'_> {
    fn parts(&self) -> (&str, &str, &str, Pattern, Option<&str>) {
        match &self.id.owner {
            Owner::Tenant { namespace, name, tenant_id, pattern, stack } => {
                (namespace, name, tenant_id, *pattern, stack.as_deref())
            }
            Owner::Stack { name } => ("", name, "", Pattern::Silo, None),
        }
    }

    /// Whether what a record says of an earlier holder was this one's own: the same namespace; one that a restored cluster
    /// has under the same name; or one made again under its name, where an administrator says so.
    pub fn is_same_owner(&self, holder: &Holder, terms: &Terms) -> bool {
        if holder.namespace != self.parts().0 {
            return false;
        }
        if holder.cluster != terms.cluster && !holder.cluster.is_empty() {
            return terms.took_over.contains(&holder.cluster);
        }
        let same_namespace = |uid: &String| uid == self.namespace_uid;
        holder.namespace_uid.as_ref().is_none_or(same_namespace) || self.named
    }
}

/// Whether a record may be another object's that is alive: it is worth a look at the cluster.
pub fn may_live(record: &Record, claimant: &Claimant<'_>, terms: &Terms) -> bool {
    let Holder { cluster, uid, .. } = &record.holder;
    record.state == State::Held
        && *uid != claimant.id.uid
        && (*cluster == terms.cluster || cluster.is_empty())
        && claimant.is_same_owner(&record.holder, terms)
}

/// Who gets an id. `lives` says whether the holder that a `held` record names is still there.
pub fn rule(
    record: Option<&Record>,
    claimant: &Claimant<'_>,
    terms: &Terms,
    lives: bool,
    now: Timestamp,
) -> Ruling {
    const NOTHING_LEFT: Ruling = Ruling::Granted { inherits: false };
    let Some(record) = record else { return NOTHING_LEFT };
    let (_, name, tenant_id, pattern, stack) = claimant.parts();
    let holder = &record.holder;
    let never_used = record.empty && now.duration_since(record.since) >= EMPTY_FOR;
    match record.state {
        State::Held if holder.uid == claimant.id.uid => return Ruling::Held,
        State::Free => return NOTHING_LEFT,
        State::Gone if terms.policy == IdPolicy::Reuse || never_used => return NOTHING_LEFT,
        _ if !claimant.is_same_owner(holder, terms) => return Ruling::Refused(taken(tenant_id)),
        State::Gone => return NOTHING_LEFT,
        State::Held if lives => return Ruling::Refused(taken(tenant_id)),
        State::Held | State::Retained => {}
    }
    let approves = |code: &str| claimant.approved == Some(code);
    if (record.pattern, record.stack.as_deref()) != (pattern, stack) {
        let place = Place(record.pattern, record.stack.as_deref());
        let code = approval::code(
            &claimant.id.uid,
            Reason::RetainedDiffers,
            &[&holder.tag(), &holder.uid, &place.to_string()],
        );
        if approves(&code) {
            return NOTHING_LEFT;
        }
        let message = format!(
            "tenantId '{tenant_id}' is retained as {place}: {} left it there. Nothing was changed. Make it {place} in a new \
             object to take that over. {}: this Tenant then has the id, and what is retained stays in AWS and is forgotten",
            holder.tag(),
            approval::ask(&code, claimant.approved)
        );
        return Ruling::Refused(Blocked { reason: Reason::RetainedDiffers, message });
    }
    if holder.name == name || approves(&claimant.id.takeover_code(&holder.tag(), &holder.uid)) {
        return Ruling::Granted { inherits: true };
    }
    let what = "what it had";
    let message =
        plan::retained_by_neighbour(claimant.id, &holder.tag(), &holder.uid, what, claimant.approved);
    Ruling::Refused(Blocked { reason: Reason::TenantIdRetained, message })
}

/// What everybody is told whose id it is not, whatever became of it: nobody learns of another namespace's tenants.
pub fn taken(tenant_id: &str) -> Blocked {
    Blocked {
        reason: Reason::TenantIdTaken,
        message: format!(
            "tenantId '{tenant_id}' belongs to another Tenant, or did so once. This one continues by itself if the id is given \
             to anybody; or choose another tenantId in a new Tenant"
        ),
    }
}

/// Where a tenant is, in the words of its spec.
struct Place<'a>(Pattern, Option<&'a str>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(stack) => write!(f, "{} of SharedStack '{stack}'", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests;
