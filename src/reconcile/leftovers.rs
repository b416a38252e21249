//! Records of what tenants left in a SharedStack's bucket before there were records: its markers, and what lies there
//! without one.

use futures::{StreamExt, TryStreamExt, stream};

use super::Error;
use super::context::Context;
use crate::api::{Layer, VectorStore};
use crate::aws::Objects;
use crate::documents::marker::{self, Marker};
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::Identity;
use crate::stack::layout::{BRIDGE, MARKERS, POOL};

/// Markers that are read side by side.
const CONCURRENCY: usize = 16;

/// How much is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// What markers speak of.
    Markers,
    /// Also documents that lie there without a word of whose they are: nobody gets their id but by an administrator's word.
    Everything,
}

/// Records what has no record; how many there were. `store` is where vectors are in this SharedStack. A bucket that is gone has
/// nothing.
pub async fn record(
    cx: &Context,
    stack: &Identity,
    store: VectorStore,
    search: Search,
) -> Result<usize, Error> {
    let bucket = &stack.name(Layer::Bucket);
    let (markers, mut folders) = match listed(&cx.aws.objects, bucket, MARKERS).await {
        Err(fault) if fault.class == Class::NotFound => return Ok(0),
        listed => listed?,
    };
    if search == Search::Everything {
        for folder in [POOL, BRIDGE] {
            folders.extend(listed(&cx.aws.objects, bucket, folder).await?.1);
        }
    }
    let unknown = markers.into_iter().filter(|tenant_id| !cx.ids.is_listed(tenant_id));
    let read = stream::iter(unknown)
        .map(|tenant_id| async move {
            let marker = marker::of(&cx.aws, bucket, &tenant_id).await?;
            Ok::<_, Fault>((tenant_id, marker))
        })
        .buffer_unordered(CONCURRENCY);
    let mut left: Vec<(String, Marker)> = read.try_collect().await?;
    if search == Search::Everything {
        left.extend(folders.into_iter().map(|tenant_id| (tenant_id, Marker::default())));
    }
    let records: Vec<_> =
        left.iter().filter_map(|(tenant_id, marker)| marker.record(stack, tenant_id)).collect();
    let mut recorded = 0;
    for record in records {
        recorded += usize::from(cx.ids.record(record.in_store(store)).await?);
    }
    Ok(recorded)
}

/// What a folder of a bucket has in it: the names of its `.json` files, and of its folders.
async fn listed(objects: &Objects, bucket: &str, folder: &str) -> Result<(Vec<String>, Vec<String>), Fault> {
    let (mut files, mut folders, mut next) = (Vec::new(), Vec::new(), None::<String>);
    loop {
        let page = objects.list_folder(bucket, folder, next.as_deref()).await?;
        let inner = |key: &str, end: &str| {
            key.strip_prefix(folder).and_then(|name| name.strip_suffix(end)).map(str::to_owned)
        };
        files.extend(page.objects.iter().filter_map(|object| inner(&object.key, ".json")));
        folders.extend(page.folders.iter().filter_map(|key| inner(key, "/")));
        next = page.next;
        if next.is_none() {
            return Ok((files, folders));
        }
    }
}
