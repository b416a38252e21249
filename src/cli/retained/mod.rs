//! `tenantry retained`: what was left behind on purpose, and goes on costing money.
//!
//! Found by what says so itself: the markers in buckets, and the tags of what costs most. All else that belongs to an
//! owner is found by its name.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::inspect;
use super::price::Priced;
use crate::api::{Column, GROUP, Layer, Pattern, VERSION};
use crate::aws::{Aws, Tags};
use crate::documents::marker::{self, Left, Marker};
use crate::layers::Hints;
use crate::stack::fault::{Class, Fault};
use crate::stack::forecast::deletion_preview::{self, Outcome};
use crate::stack::forecast::price::Prices;
use crate::stack::identity::{Identity, Owner, RETAINED, Scope};
use crate::stack::layout::{marker_key, retained_prefix};
use crate::stack::model::observed::Sight;
use crate::stack::model::teardown_order::Fate;

/// A marker is a few hundred bytes.
const MAX_MARKER: u64 = 16 * 1024;

#[derive(Debug, Args)]
pub(super) struct Retained {
    /// Whose: the operator's --installation.
    #[arg(long, value_name = "NAME")]
    installation: String,

    /// How to print it.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    output: Output,

    #[command(flatten)]
    prices: Priced,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// All that one owner left behind.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Estate {
    /// `Tenant/<namespace>/<name>` or `SharedStack/<name>`.
    owner: String,
    /// The uid that it had.
    owner_uid: String,
    tenant_id: Option<String>,
    pattern: Option<Pattern>,
    stack: Option<String>,
    left: Left,
    since: Option<Timestamp>,
    things: Vec<Thing>,
    #[serde(rename = "monthlyUSD")]
    monthly_usd: f64,
    /// What takes it over, applied as it is, and lets it be purged.
    manifest: String,
}

/// One thing that is left.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Thing {
    what: &'static str,
    name: String,
    #[serde(rename = "monthlyUSD")]
    monthly_usd: f64,
}

/// Who left something, and what is known of it so far.
struct Leaver {
    tags: Tags,
    marker: Option<Marker>,
}

impl Retained {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        ensure!(
            Scope::is_valid_installation(&self.installation),
            "--installation '{}' cannot be one: 1 to 8 characters, a letter first, then letters and digits",
            self.installation
        );
        let (aws, scope) = inspect::aws(&self.installation).await?;
        let prices = Prices::from(self.prices);
        let mut estates = Vec::new();
        for leaver in leavers(&aws, &scope).await?.into_values() {
            if let Some(estate) = estate(&aws, &scope, &prices, leaver).await? {
                estates.push(estate);
            }
        }
        let told = match self.output {
            Output::Json => serde_json::to_string_pretty(&estates)?,
            Output::Text => as_text(&scope, &prices, &estates),
        };
        inspect::print(&told)
    }
}

/// Everybody who left something, by owner and uid. Buckets are looked into only if they are this installation's: anybody of
/// the account may call one like ours.
async fn leavers(aws: &Aws, scope: &Arc<Scope>) -> Result<BTreeMap<(String, String), Leaver>, Fault> {
    let prefix = format!("{}-", scope.installation);
    let mut found: BTreeMap<(String, String), Leaver> = BTreeMap::new();
    let mut note = |tags: Tags, marker: Option<Marker>| {
        let tag = |key: &str| tags.get(&format!("{GROUP}/{key}")).cloned().unwrap_or_default();
        if tag("installation") != scope.installation {
            return;
        }
        let leaver = found.entry((tag("owner"), tag("owner-uid"))).or_insert(Leaver { tags, marker: None });
        leaver.marker = marker.or(leaver.marker.take());
    };
    let is_retained = |tags: &Tags| tags.get(&format!("{GROUP}/state")).is_some_and(|it| it == RETAINED);
    for bucket in aws.buckets.names(&prefix).await? {
        let tags = match aws.buckets.tags(&bucket).await {
            // Another region's, or gone meanwhile.
            Err(fault) if fault.class == Class::NotFound => continue,
            tags => tags?,
        };
        let Some(id) = owner_of(scope, &bucket, &tags) else {
            eprintln!("bucket {bucket} is not this installation's, and is left out");
            continue;
        };
        eprintln!("looking into bucket {bucket}");
        let stack = match &id.owner {
            Owner::Stack { name } => Some(name.as_str()),
            Owner::Tenant { .. } => None,
        };
        marker::each(aws, &bucket, |id, content| {
            // A Silo's marker lies in its own bucket.
            match content.map_err(|fault| fault.to_string()).and_then(|it| read(&it, stack)) {
                Ok((tags, marker)) => note(tags, Some(marker)),
                Err(why) => eprintln!("the marker of tenantId {id:?} in bucket {bucket} is left out: {why}"),
            }
            Ok(())
        })
        .await?;
        if is_retained(&tags) {
            let marker = if stack.is_some() { own_marker(aws, &bucket, &id).await } else { None };
            note(tags, marker);
        }
    }
    for name in aws.collections.names(&prefix).await? {
        let tags = aws.collections.find(&name).await?.map(|it| it.tags).unwrap_or_default();
        if is_retained(&tags) {
            note(tags, None);
        }
    }
    let names = aws.knowledge_bases.names().await?;
    for name in names.into_iter().filter(|name| name.starts_with(&prefix)) {
        let tags = aws.knowledge_bases.find(&name, None).await?.map(|it| it.tags).unwrap_or_default();
        if is_retained(&tags) {
            note(tags, None);
        }
    }
    Ok(found)
}

/// Whose bucket it is, if its tags are this installation's and its name is what their owner's bucket is called.
fn owner_of(scope: &Arc<Scope>, bucket: &str, tags: &Tags) -> Option<Identity> {
    let installation = tags.get(&format!("{GROUP}/installation"))?;
    let owner = Owner::of_tags(tags).filter(|_| *installation == scope.installation)?;
    let id = Identity::new(scope.clone(), owner, "");
    (id.name(Layer::Bucket) == bucket).then_some(id)
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

/// The marker that a SharedStack left of itself. One that cannot be read hides nothing else.
async fn own_marker(aws: &Aws, bucket: &str, id: &Identity) -> Option<Marker> {
    let content =
        aws.objects.get(bucket, &marker_key(id), MAX_MARKER).await.map_err(|fault| fault.to_string());
    let marker = content.and_then(|content| {
        let content = content.as_deref();
        content.map(serde_json::from_slice).transpose().map_err(|error| error.to_string())
    });
    marker.unwrap_or_else(|why| {
        eprintln!("the marker of {} in bucket {bucket} is left out: {why}", id.owner_tag());
        None
    })
}

/// What is there of an owner; `None` for tags that nobody here wrote.
async fn estate(
    aws: &Aws,
    scope: &Arc<Scope>,
    prices: &Prices,
    leaver: Leaver,
) -> Result<Option<Estate>, Fault> {
    let Leaver { tags, marker } = leaver;
    let Some(owner) = Owner::of_tags(&tags) else { return Ok(None) };
    let uid = tags.get(&format!("{GROUP}/owner-uid")).cloned().unwrap_or_default();
    let id = Identity::new(scope.clone(), owner, &uid);
    let (column, pattern, lender) = match &id.owner {
        Owner::Tenant { pattern, stack, .. } => {
            let lender = stack.as_deref().map(|stack| Identity::of_stack(scope.clone(), stack, ""));
            (Column::from(*pattern), Some(*pattern), lender)
        }
        Owner::Stack { .. } => (Column::SharedStackWithPool, None, None),
    };
    let hints = Hints { creates_key: true, ..Hints::default() };
    let sight = inspect::look(aws, &id, lender.as_ref(), column, hints).await?;
    let lines = deletion_preview::lines(&id, lender.as_ref(), column, Fate::Stays, &sight);
    let mut things: Vec<Thing> = lines
        .into_iter()
        .filter(|line| line.outcome == Outcome::Stays)
        .map(|line| Thing { what: line.what, name: line.name, monthly_usd: cost(prices, &sight, line.what) })
        .collect();
    let lent = lender.as_ref().map(|lender| lender.name(Layer::Bucket));
    let own = sight.bucket.ours().map(|_| id.name(Layer::Bucket));
    // Where the documents are is one of two places, whatever a marker says.
    let aside = id.tenant_id().map(retained_prefix);
    let is_aside = marker.as_ref().is_some_and(|marker| Some(&marker.prefix) == aside.as_ref());
    let prefix = aside.filter(|_| is_aside).unwrap_or_else(|| id.prefix());
    if let Some(bucket) = lent.or(own) {
        let counted = inspect::count(aws, &bucket, &prefix).await?;
        let name = format!("{counted} under s3://{bucket}/{prefix}");
        things.push(Thing { what: "documents", name, monthly_usd: prices.bytes(counted.bytes) });
    }
    Ok(Some(Estate {
        owner: id.owner_tag(),
        owner_uid: id.uid.clone(),
        tenant_id: id.tenant_id().map(Into::into),
        pattern,
        stack: tags.get(&format!("{GROUP}/stack")).cloned(),
        left: marker.as_ref().map(|marker| marker.left).unwrap_or_default(),
        since: marker.and_then(|marker| marker.since),
        monthly_usd: things.iter().map(|thing| thing.monthly_usd).sum(),
        things,
        manifest: manifest(&id, &sight),
    }))
}

/// What a thing costs a month while nobody uses it. All that is not here costs nothing by itself.
fn cost(prices: &Prices, sight: &Sight, what: &str) -> f64 {
    match what {
        "collection" => prices.collection_of(sight),
        what if what.starts_with("key") => prices.key_of(sight),
        _ => 0.0,
    }
}

/// The shortest manifest that takes it over. Settings that were not the default are named by the condition
/// `RetainedDiffers` when it is applied.
fn manifest(id: &Identity, sight: &Sight) -> String {
    let (kind, metadata, mut spec) = match &id.owner {
        Owner::Tenant { namespace, name, tenant_id, pattern, stack } => {
            let mut spec = json!({"tenantId": tenant_id, "pattern": pattern});
            if let Some(stack) = stack {
                spec["stackRef"] = json!({"name": stack});
            }
            ("Tenant", json!({"name": name, "namespace": namespace}), spec)
        }
        Owner::Stack { name } => {
            let has_pool = sight.role.ours().is_some();
            let spec = if has_pool { json!({"pool": {}}) } else { json!({}) };
            ("SharedStack", json!({"name": name}), spec)
        }
    };
    if sight.key.ours().is_some() {
        spec["encryption"] = json!({"key": "Create"});
    }
    spec["deletionPolicy"] = json!("Delete");
    let version = format!("{GROUP}/{VERSION}");
    let manifest = json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec});
    serde_saphyr::to_string(&manifest).unwrap_or_default().trim_end().to_owned()
}

fn as_text(scope: &Scope, prices: &Prices, estates: &[Estate]) -> String {
    let Scope { installation, account, region, .. } = scope;
    if estates.is_empty() {
        return format!("Nothing of installation {installation} was left behind in {account}, {region}.");
    }
    let mut text = String::new();
    for estate in estates {
        let left = match estate.left {
            Left::Everything => "everything",
            Left::Documents => "its documents",
        };
        let since = estate.since.map_or_else(|| "nobody knows when".into(), |at| format!("{at:.0}"));
        text += &format!(
            "{}{} left {left}, {since}; about ${:.2} a month\n",
            estate.owner,
            estate.tenant_id.as_ref().map(|id| format!(", tenantId {id},")).unwrap_or_default(),
            estate.monthly_usd
        );
        for Thing { what, name, monthly_usd } in &estate.things {
            let cost = if *monthly_usd > 0.0 { format!("  ${monthly_usd:.2}") } else { String::new() };
            text += &format!("  {what:<24} {name}{cost}\n");
        }
        let indented: String = estate.manifest.lines().map(|line| format!("    {line}\n")).collect();
        text += &format!("  to purge it, apply this, wait until it is Ready, and delete it:\n{indented}\n");
    }
    let total: f64 = estates.iter().map(|estate| estate.monthly_usd).sum();
    text + &format!(
        "About ${total:.2} a month in all, at {}; older versions of documents come on top, and collections under one key \
         share what is counted for each here. Where a manifest is refused with RetainedDiffers, the message has the \
         settings that it must have. To take something over and keep it, apply the same with deletionPolicy: Retain.",
        prices.words()
    )
}
