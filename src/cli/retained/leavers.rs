//! Who left something: found by what says so itself, the markers in buckets, and the tags of what costs most.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::unseen::Unseen;
use crate::api::{GROUP, VectorStore};
use crate::aws::{Aws, Tags};
use crate::cli::inspect;
use crate::cli::terminal;
use crate::documents::marker::{self, Marker};
use crate::layers::store;
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::{Identity, Owner, RETAINED, Scope};
use crate::stack::layout::marker_key;
use crate::stack::store::features;

/// A marker is a few hundred bytes.
const MAX_MARKER: u64 = 16 * 1024;

/// Who left something, and what is known of it so far.
pub(super) struct Leaver {
    pub(super) tags: Tags,
    pub(super) marker: Option<Marker>,
}

/// Everybody who left something, by owner and uid. Buckets are looked into only if they are this installation's: anybody of
/// the account may call one like ours.
pub(super) async fn leavers(
    aws: &Aws,
    scope: &Arc<Scope>,
    stores: &[VectorStore],
    unseen: &mut Unseen,
) -> Vec<Leaver> {
    let prefix = format!("{}-", scope.installation);
    let mut search = Search { scope, unseen, found: BTreeMap::new() };
    let named = |name: &String| scope.may_have_named(name);
    let buckets = search.unseen.or_note("the list of all buckets", aws.buckets.names(&prefix).await);
    for bucket in buckets.into_iter().filter(named) {
        search.bucket(aws, &bucket).await;
    }
    for kind in stores.iter().copied() {
        let words = features(kind).words;
        let stores = store::names(aws, kind, &prefix).await;
        let stores = search.unseen.or_note(format!("the list of all {words}s"), stores);
        for name in stores.into_iter().filter(named) {
            let found = store::find(aws, &name, kind).await.map(|found| found.map(|it| it.tags));
            search.note_retained(format!("{words} {name}"), found);
        }
    }
    let names = aws.knowledge_bases.names().await;
    let names = search.unseen.or_note("the list of all knowledge bases", names).into_iter();
    for name in names.filter(named) {
        let found = aws.knowledge_bases.find(&name, None).await.map(|found| found.map(|it| it.tags));
        search.note_retained(format!("knowledge base {name}"), found);
    }
    search.found.into_values().collect()
}

struct Search<'a> {
    scope: &'a Arc<Scope>,
    unseen: &'a mut Unseen,
    found: BTreeMap<(String, String), Leaver>,
}

impl Search<'_> {
    fn note(&mut self, tags: Tags, marker: Option<Marker>) {
        let tag = |key: &str| tags.get(&format!("{GROUP}/{key}")).cloned().unwrap_or_default();
        if tag("installation") != self.scope.installation {
            return;
        }
        let owner = (tag("owner"), tag("owner-uid"));
        let leaver = self.found.entry(owner).or_insert(Leaver { tags, marker: None });
        leaver.marker = marker.or(leaver.marker.take());
    }

    fn note_retained(&mut self, what: String, tags: Result<Option<Tags>, Fault>) {
        let tags = self.unseen.or_note(what, tags).unwrap_or_default();
        if is_retained(&tags) {
            self.note(tags, None);
        }
    }

    async fn bucket(&mut self, aws: &Aws, bucket: &str) {
        let tags = match aws.buckets.tags(bucket).await {
            Ok(tags) => tags,
            // Another region's, or gone meanwhile.
            Err(fault) if fault.class == Class::NotFound => return,
            Err(fault) => return self.unseen.note(format!("bucket {bucket}"), &fault),
        };
        let Some(id) = inspect::owner_of_bucket(self.scope, bucket, &tags) else {
            eprintln!("bucket {bucket} is not this installation's, and is left out");
            return;
        };
        eprintln!("looking into bucket {bucket}");
        // A Silo's marker lies in its own bucket.
        let stack = match &id.owner {
            Owner::Stack { name } => Some(name.as_str()),
            Owner::Tenant { .. } => None,
        };
        let markers = marker::each(aws, bucket, |id, content| {
            let which = format!("the marker of tenantId {id:?} in bucket {bucket}");
            match content {
                Err(fault) => self.unseen.note(which, &fault),
                Ok(content) => match read(&content, stack) {
                    Ok((tags, marker)) => self.note(tags, Some(marker)),
                    Err(why) => terminal::note(&format!("{which} is left out: {why}")),
                },
            }
            Ok(())
        });
        let markers = markers.await;
        self.unseen.or_note(format!("bucket {bucket}"), markers);
        if is_retained(&tags) {
            let marker = if stack.is_some() { self.own_marker(aws, bucket, &id).await } else { None };
            self.note(tags, marker);
        }
    }

    /// The marker that a SharedStack left of itself. One that cannot be read hides nothing else.
    async fn own_marker(&mut self, aws: &Aws, bucket: &str, id: &Identity) -> Option<Marker> {
        let which = format!("the marker of {} in bucket {bucket}", id.owner_tag());
        let content = aws.objects.get(bucket, &marker_key(id), MAX_MARKER).await;
        let content = self.unseen.or_note(&which, content)?;
        let marker = serde_json::from_slice(&content);
        marker.inspect_err(|why| terminal::note(&format!("{which} is left out: {why}"))).ok()
    }
}

fn is_retained(tags: &Tags) -> bool {
    tags.get(&format!("{GROUP}/state")).is_some_and(|it| it == RETAINED)
}

/// A marker's words, and as tags, if they can be what the operator wrote.
fn read(content: &[u8], stack: Option<&str>) -> Result<(Tags, Marker), String> {
    let marker: Marker = serde_json::from_slice(content).map_err(|error| error.to_string())?;
    let tags = marker.tags(stack);
    match Owner::of_tags(&tags) {
        Some(_) => Ok((tags, marker)),
        None => Err("its owner, tenantId or pattern cannot be one".into()),
    }
}
