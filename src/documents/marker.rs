//! The marker: the object in a bucket that says who left what behind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::purge;
use crate::aws::Aws;
use crate::stack::fault::Fault;
use crate::stack::identity::Identity;
use crate::stack::policy::{MARKERS, marker_key};
use crate::stack::progress::Progress;

/// A marker is a few hundred bytes; what is much longer is none.
const MAX_MARKER: u64 = 16 * 1024;

/// What was left behind, and by whom. No document text, no secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Marker {
    /// `Tenant/<namespace>/<name>` or `SharedStack/<name>`.
    pub owner: String,
    /// The uid that it had.
    pub owner_uid: String,
    /// Its installation.
    pub installation: String,
    /// The tenant id, if a tenant left it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// Where its documents are.
    pub prefix: String,
}

impl Marker {
    /// What the owner of `id` leaves behind.
    pub fn of(id: &Identity) -> Self {
        Self {
            owner: id.owner_tag(),
            owner_uid: id.uid.clone(),
            installation: id.scope.installation.clone(),
            tenant_id: id.tenant_id().map(Into::into),
            prefix: id.prefix(),
        }
    }
}

impl Marker {
    /// Whether `id` is an object of the same name, tenantId, pattern and stack as who left it: what was left is its to
    /// take over.
    pub fn is_adoptable_by(&self, id: &Identity) -> bool {
        let same = (&self.owner, &self.installation, &self.prefix)
            == (&id.owner_tag(), &id.scope.installation, &id.prefix());
        same && self.tenant_id.as_deref() == id.tenant_id()
    }
}

/// Removes the marker, with all versions of it: somebody looks after it again.
pub async fn remove(aws: &Aws, bucket: &str, id: &Identity) -> Result<Progress, Fault> {
    purge::all_versions(aws, bucket, &marker_key(id)).await
}

/// Writes the marker; once more is once.
pub async fn leave(aws: &Aws, bucket: &str, id: &Identity) -> Result<(), Fault> {
    let content = serde_json::to_vec_pretty(&Marker::of(id)).unwrap_or_default();
    aws.objects.put(bucket, &marker_key(id), content, "application/json").await
}

/// All tenant ids retained in a bucket, with their markers. A marker that cannot be read still retains the
/// id that its key names: nobody gets in because a file is broken.
pub async fn retained(aws: &Aws, bucket: &str) -> Result<BTreeMap<String, Marker>, Fault> {
    let mut retained = BTreeMap::new();
    let mut next: Option<String> = None;
    loop {
        let page = aws.objects.list(bucket, MARKERS, next.as_deref(), None).await?;
        for object in page.objects {
            let Some(id) = object.key.strip_prefix(MARKERS).and_then(|name| name.strip_suffix(".json"))
            else {
                continue;
            };
            let content = aws.objects.get(bucket, &object.key, MAX_MARKER).await?.unwrap_or_default();
            retained.insert(id.to_string(), serde_json::from_slice(&content).unwrap_or_default());
        }
        next = page.next;
        if next.is_none() {
            return Ok(retained);
        }
    }
}
