//! The marker: an object in a bucket that says who left what there.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::purge;
use crate::api::{GROUP, Pattern};
use crate::aws::{Aws, Tags};
use crate::stack::fault::Fault;
use crate::stack::identity::{Identity, Owner, OwnershipClaim};
use crate::stack::layout::{MARKERS, marker_key, retained_prefix};
use crate::stack::model::progress::Progress;
use crate::stack::names;
use crate::stack::record::{Record, State};

/// A longer object is no marker: a marker has a few hundred bytes.
const MAX_MARKER: u64 = 16 * 1024;

/// What was left behind, and by whom. No document text, no secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Marker {
    /// `Tenant/<namespace>/<name>` or `SharedStack/<name>`.
    pub owner: String,
    /// Its uid.
    pub owner_uid: String,
    /// Its installation.
    pub installation: String,
    /// The tenant id and the pattern, if a tenant left it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
    /// Where its documents are.
    pub prefix: String,
    /// What was left.
    #[serde(default)]
    pub left: Left,
    /// When it was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// How much of a stack was left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Left {
    /// All of it. So it is too if a marker does not say, or cannot be read.
    #[default]
    Everything,
    /// The documents only.
    Documents,
}

impl Marker {
    /// What the owner of `id` leaves behind.
    pub fn of(id: &Identity, left: Left, since: Timestamp) -> Self {
        let (prefix, pattern) = match &id.owner {
            Owner::Tenant { tenant_id, pattern: Pattern::Pool, .. } if left == Left::Documents => {
                (retained_prefix(tenant_id), Some(Pattern::Pool))
            }
            Owner::Tenant { pattern, .. } => (id.prefix(), Some(*pattern)),
            Owner::Stack { .. } => (id.prefix(), None),
        };
        Self {
            owner: id.owner_tag(),
            owner_uid: id.uid.clone(),
            installation: id.scope.installation.clone(),
            tenant_id: id.tenant_id().map(Into::into),
            pattern,
            prefix,
            left,
            since: Some(since),
        }
    }

    /// Whether what was left is `id`'s. The marker says the same as tags, and is compared like them. It lies in the bucket of the
    /// stack that `id` names.
    pub fn claim(&self, id: &Identity) -> OwnershipClaim {
        let stack = id.tags().remove(&format!("{GROUP}/stack"));
        id.claim(&self.tags(stack.as_deref()))
    }

    /// The record of what was left in the bucket of this SharedStack. The key of the marker names the tenantId. If the marker says
    /// too little, the record names no owner, and only an administrator can give the id to anybody.
    pub fn record(&self, stack: &Identity, tenant_id: &str) -> Option<Record> {
        let Owner::Stack { name } = &stack.owner else { return None };
        if !names::is_tenant_id(tenant_id) {
            return None;
        }
        let tags = self.tags(Some(name));
        let owner = Owner::of_tags(&tags)
            .filter(|owner| matches!(owner, Owner::Tenant { tenant_id: said, .. } if said == tenant_id));
        let unknown = || Owner::nobody(tenant_id, Pattern::Pool, Some(name));
        let id = Identity::new(stack.scope.clone(), owner.unwrap_or_else(unknown), &self.owner_uid);
        Record::of(&id, "", None, State::Retained, self.since.unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// The tags of what was left. `stack` is the SharedStack in whose bucket the marker lies, if it lies in one.
    pub fn tags(&self, stack: Option<&str>) -> Tags {
        let pairs = [
            ("installation", Some(self.installation.clone())),
            ("owner", Some(self.owner.clone())),
            ("owner-uid", Some(self.owner_uid.clone())),
            ("tenant-id", self.tenant_id.clone()),
            ("pattern", self.pattern.map(|pattern| pattern.to_string())),
            ("stack", stack.map(Into::into)),
        ];
        let tags = pairs.into_iter().filter_map(|(key, value)| Some((format!("{GROUP}/{key}"), value?)));
        tags.collect()
    }
}

/// Removes the marker with all its versions, because an object looks after the stack again.
pub async fn remove(aws: &Aws, bucket: &str, id: &Identity) -> Result<Progress, Fault> {
    purge::all_versions(aws, bucket, &marker_key(id)).await
}

/// Writes the marker. Idempotent.
pub async fn leave(aws: &Aws, bucket: &str, id: &Identity, marker: &Marker) -> Result<(), Fault> {
    let content = serde_json::to_vec_pretty(marker).unwrap_or_default();
    aws.objects.put(bucket, &marker_key(id), content, "application/json").await.map(drop)
}

/// The marker that the owner of `id` has left, if there is one that can be read.
pub async fn find(aws: &Aws, bucket: &str, id: &Identity) -> Result<Option<Marker>, Fault> {
    let content = aws.objects.get(bucket, &marker_key(id), MAX_MARKER).await?;
    Ok(content.and_then(|content| serde_json::from_slice(&content).ok()))
}

/// The marker of a tenantId. A marker that cannot be read retains the id of its key all the same.
pub async fn of(aws: &Aws, bucket: &str, tenant_id: &str) -> Result<Marker, Fault> {
    let content = aws.objects.get(bucket, &format!("{MARKERS}{tenant_id}.json"), MAX_MARKER).await?;
    Ok(serde_json::from_slice(&content.unwrap_or_default()).unwrap_or_default())
}

/// All tenantIds that are retained in a bucket, with their markers. A marker that cannot be read retains the id of its key all the
/// same: a broken file gives nobody an id.
pub async fn retained(aws: &Aws, bucket: &str) -> Result<BTreeMap<String, Marker>, Fault> {
    let mut retained = BTreeMap::new();
    let note = |id: &str, content: Result<Vec<u8>, Fault>| {
        retained.insert(id.to_string(), serde_json::from_slice(&content?).unwrap_or_default());
        Ok(())
    };
    each(aws, bucket, note).await?;
    Ok(retained)
}

/// Calls `note` with each tenantId that is retained in a bucket and its marker, until `note` fails.
pub async fn each(
    aws: &Aws,
    bucket: &str,
    mut note: impl FnMut(&str, Result<Vec<u8>, Fault>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut next: Option<String> = None;
    loop {
        let page = aws.objects.list_folder(bucket, MARKERS, next.as_deref()).await?;
        for object in page.objects {
            let Some(id) = object.key.strip_prefix(MARKERS).and_then(|name| name.strip_suffix(".json"))
            else {
                continue;
            };
            let content = aws.objects.get(bucket, &object.key, MAX_MARKER).await;
            note(id, content.map(Option::unwrap_or_default))?;
        }
        next = page.next;
        if next.is_none() {
            return Ok(());
        }
    }
}
