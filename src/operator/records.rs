//! The start of the records. Before the lease they are only read; with it the bucket and the lock are made; and whatever was
//! there before there were records gets its record, before anybody new gets an id.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use futures::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, ListParams, ObjectList};
use kube::core::ApiResource;
use kube::{Api, Client, ResourceExt};

use super::installation_owner::Grant;
use crate::api::{GROUP, Layer, SharedStack, Status, Tenant, finalizer_name};
use crate::aws::Aws;
use crate::clock;
use crate::reconcile::context::Context;
use crate::reconcile::finalizer;
use crate::reconcile::ids::Ids;
use crate::reconcile::leftovers::{self, Search};
use crate::reconcile::retry;
use crate::reconcile::teardown::field;
use crate::records::bucket::InstallationBucket;
use crate::records::lock::{Lock, Place, Verdict};
use crate::records::{Kept, Records, S3, Trouble, Wrote};
use crate::settings::Settings;
use crate::stack::identity::{Identity, Owner, Scope};
use crate::stack::record::{Record, State, Terms};

/// How many objects a page of a list has.
const PAGE: u32 = 500;
/// Records that are read side by side.
const CONCURRENCY: usize = 16;
/// So often a list is asked for again that the API server refuses for now: about a minute.
const TRIES: u32 = 6;
/// So many ids a message names before it counts.
const LISTED: usize = 10;

/// What an installation works with, and where.
pub struct Installation {
    /// The operator's own right to indexes.
    pub grant: Grant,
    bucket: InstallationBucket,
    place: Place,
    records: Records,
}

impl Installation {
    /// What the settings name. Nothing is asked.
    pub fn new(aws: &Aws, grant: Grant, bucket: InstallationBucket, settings: &Settings) -> Self {
        let Scope { installation, account, region, .. } = (*grant.scope).clone();
        let election = settings.leader_election.as_ref().filter(|_| !settings.read_only);
        let place = Place {
            installation,
            account,
            region,
            cluster: grant.cluster.clone(),
            lease_namespace: election.map(|election| election.namespace.clone()),
        };
        let records = Records::new(Arc::new(S3::new(aws, &bucket.name)));
        Self { grant, bucket, place, records }
    }

    /// Before anything is asked of AWS: whether the cluster's objects are of this account and region. What our selector shows
    /// us is ours alone: an operator elsewhere that works on it would build it twice. One page of Tenants tells.
    pub async fn is_here(&self, client: &Client, settings: &Settings) -> anyhow::Result<()> {
        let scope = &self.grant.scope;
        let finalizer = finalizer_name(&scope.installation);
        let params = ListParams { label_selector: settings.selector.clone(), ..ListParams::default() };
        let params = params.limit(PAGE);
        let mut seen = page::<SharedStack>(client, &params).await?.items;
        seen.extend(page::<Tenant>(client, &params).await?.items);
        for object in seen.iter().filter(|object| finalizer::has_finalizer(*object, &finalizer)) {
            let status: Status = field(object, "/status").unwrap_or_default();
            if let Some(elsewhere) = elsewhere(scope, &status) {
                let kind = object.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default();
                bail!(
                    "{kind} '{}' is that of installation '{}' in {elsewhere}, and this process would work in account {} and \
                     region {}. Set AWS_REGION and credentials to where the installation is; or give this process another \
                     --installation or another --selector",
                    object.name_any(),
                    scope.installation,
                    scope.account,
                    scope.region,
                );
            }
        }
        Ok(())
    }

    /// Before the lease: whether this process may work for the installation, as far as reading tells. Until it may, it is not
    /// ready, and a release before it goes on. For the same reason the bucket is made now, if it never was: whoever may not
    /// make it must not be elected. `maker` may make it; none where nothing is to be changed.
    pub async fn may_lead(
        &self,
        aws: &Aws,
        maker: Option<&Aws>,
        client: &Client,
        settings: &Settings,
    ) -> anyhow::Result<()> {
        let (scope, take_over) = (&self.grant.scope, settings.take_over.as_deref());
        if self.bucket.look(aws, scope).await?.is_some() {
            return match self.records.lock().await {
                // What follows from a lock that is lost is found out with the lease.
                Ok(None) | Err(Trouble::Unreadable { .. } | Trouble::Lost(_)) => {
                    self.grant.may_be_taken(aws, take_over).await
                }
                Err(trouble) => answered(Err(trouble)),
                Ok(Some(lock)) => match self.place.judge(&lock.says.place, take_over) {
                    Verdict::Ours | Verdict::TakeOver => Ok(()),
                    Verdict::Refused(why) => bail!(why),
                },
            };
        }
        self.grant.may_be_taken(aws, take_over).await?;
        // One that is lost is not made anew by itself: what has an id goes on without it.
        if self.had_records(aws, client, settings).await?.1 {
            return Ok(());
        }
        if self.bucket.is_given {
            bail!(self.bucket.missing(scope));
        }
        match maker {
            Some(maker) => self.bucket.make(maker, scope).await,
            None => Ok(()),
        }
    }

    /// The Tenants that have an id, and whether there were records once. Where they are to be made anew, that does not count.
    async fn had_records(
        &self,
        aws: &Aws,
        client: &Client,
        settings: &Settings,
    ) -> anyhow::Result<(Vec<Holder>, bool)> {
        let holders = self.holders(client).await?;
        let had = !settings.rebuild_records
            && (holders.iter().any(|holder| holder.id_record.is_some())
                || self.grant.had_records(aws).await?);
        Ok((holders, had))
    }

    /// With the lease: the bucket, the lock, and what is known of all ids. Answers whether something is still to be
    /// recorded, with the lock as it is then.
    pub async fn open(
        &self,
        aws: &Aws,
        client: &Client,
        settings: &Settings,
    ) -> anyhow::Result<(Ids, Option<Kept<Lock>>)> {
        let scope = &self.grant.scope;
        let ids = |took_over| {
            let terms = Terms { cluster: self.place.cluster.clone(), took_over, policy: settings.id_policy };
            Ids::new(self.records.clone(), terms, scope, settings.read_only)
        };
        let (holders, had_records) = self.had_records(aws, client, settings).await?;
        let without = |trouble: &Trouble| {
            let ids = ids(Vec::new());
            lost(&ids, &holders, trouble);
            Ok((ids, None))
        };
        let bucket = self.bucket.look(aws, scope).await?;
        if bucket.is_none() && had_records {
            return without(&Trouble::Lost(format!("The bucket '{}'", self.bucket.name)));
        }
        if bucket.is_none() && settings.read_only {
            let ids = ids(Vec::new());
            ids.are_complete();
            return Ok((ids, None));
        }
        if !settings.read_only {
            self.bucket.ensure(aws, scope, bucket).await?;
        }
        let lock = match self.records.lock().await {
            Err(unreadable @ Trouble::Unreadable { .. }) => return without(&unreadable),
            Ok(None) if had_records => {
                return without(&Trouble::Lost(format!("lock.json in the bucket '{}'", self.bucket.name)));
            }
            lock => self.lock(answered(lock)?, settings).await?,
        };
        let ids = ids(lock.as_ref().map(|lock| lock.says.took_over.clone()).unwrap_or_default());
        for (tenant_id, etag) in answered(self.records.list().await)? {
            ids.listed(tenant_id, etag);
        }
        self.recognise(&ids, client, holders, settings).await?;
        // Who only reads records nothing, and so has nothing to wait for.
        let unrecorded = lock.filter(|lock| !lock.says.complete && !settings.read_only);
        if unrecorded.is_none() {
            ids.are_complete();
        }
        Ok((ids, unrecorded))
    }

    /// Takes the lock, if it is not ours already. With --read-only it stays as it is.
    async fn lock(
        &self,
        found: Option<Kept<Lock>>,
        settings: &Settings,
    ) -> anyhow::Result<Option<Kept<Lock>>> {
        if settings.read_only {
            return Ok(found);
        }
        let over = found.as_ref().map(|found| found.etag.clone());
        let lock = match found {
            None => Lock {
                place: self.place.clone(),
                took_over: Vec::new(),
                complete: false,
                nonce: String::new(),
            },
            Some(found) => {
                let is_ours = match self.place.judge(&found.says.place, settings.take_over.as_deref()) {
                    Verdict::Refused(why) => bail!(why),
                    verdict => verdict == Verdict::Ours,
                };
                if is_ours && !settings.rebuild_records {
                    return Ok(Some(found));
                }
                let Lock { mut took_over, complete, place, nonce } = found.says;
                if place.cluster != self.place.cluster && !took_over.contains(&place.cluster) {
                    tracing::warn!(
                        cluster = place.cluster,
                        "this installation is taken over from another cluster"
                    );
                    took_over.push(place.cluster);
                }
                let complete = complete && !settings.rebuild_records;
                Lock { place: self.place.clone(), took_over, complete, nonce }
            }
        };
        match answered(self.records.put_lock(lock, over.as_deref()).await)? {
            Wrote::Done(lock) => Ok(Some(lock)),
            Wrote::Other(_) => bail!("another process has taken this installation at the same moment"),
        }
    }

    /// The Tenants of this place that bear our hold, whatever their labels are: one that has lost its label keeps its id.
    async fn holders(&self, client: &Client) -> anyhow::Result<Vec<Holder>> {
        let scope = &self.grant.scope;
        let finalizer = finalizer_name(&scope.installation);
        let mut holders = Vec::new();
        for object in objects::<Tenant>(client).await? {
            if finalizer::has_finalizer(&object, &finalizer)
                && let Some(holder) = Holder::of(scope, object)
            {
                holders.push(holder);
            }
        }
        holders.sort_by(|one, other| one.age.cmp(&other.age));
        Ok(holders)
    }

    /// Compares what Tenants say with the records. A Tenant of a release that knew no records gets its record.
    async fn recognise(
        &self,
        ids: &Ids,
        client: &Client,
        holders: Vec<Holder>,
        settings: &Settings,
    ) -> anyhow::Result<()> {
        let mut missing = Vec::new();
        let mut namespaces = None;
        let (mut unread, mut unlisted) = (Vec::new(), Vec::new());
        for holder in &holders {
            let tenant_id = holder.id.tenant_id().unwrap_or_default();
            if !ids.is_listed(tenant_id) {
                unlisted.push(holder);
            } else if !ids.recognises(tenant_id, &holder.id.uid, holder.id_record.as_deref()) {
                unread.push(tenant_id);
            }
        }
        // What a status does not say the record does: a SharedStack that leaves must know who borrows from it.
        let read: Vec<_> = unread.into_iter().map(|tenant_id| ids.read(tenant_id).boxed()).collect();
        for read in stream::iter(read).buffer_unordered(CONCURRENCY).collect::<Vec<_>>().await {
            match read {
                // Whoever asks for that id is told; all others go on.
                Err(trouble @ (Trouble::Unreadable { .. } | Trouble::Lost(_))) => {
                    tracing::error!("{trouble}")
                }
                read => drop(answered(read)?),
            }
        }
        for holder in unlisted {
            if ids.is_listed(holder.id.tenant_id().unwrap_or_default()) {
                // An older object that says so of itself, too, was here before.
                continue;
            }
            if holder.id_record.is_some() && !settings.rebuild_records {
                missing.push(holder.clone());
                continue;
            }
            if settings.read_only {
                continue;
            }
            let uids = match &mut namespaces {
                Some(uids) => uids,
                none => none.insert(namespace_uids(client).await?),
            };
            let Owner::Tenant { namespace, .. } = &holder.id.owner else { continue };
            let uid = uids.get(namespace).cloned();
            let record = Record::of(&holder.id, &self.place.cluster, uid, State::Held, Timestamp::now());
            if let Some(record) = record {
                answered(ids.record(record).await)?;
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = missing.iter().filter_map(|holder| holder.id.tenant_id()).take(LISTED).collect();
        let what = match missing.len() {
            1 => format!("The record of tenantId '{}'", names[0]),
            count => format!("A set of {count} records, among them those of tenantIds {},", names.join(", ")),
        };
        lost(ids, &missing, &Trouble::Lost(what));
        Ok(())
    }

    /// Ends with an error when the lock is another's.
    pub async fn watch(&self, cx: &Context) -> anyhow::Error {
        loop {
            tokio::time::sleep(cx.clock.outside(cx.settings.resync)).await;
            match self.records.lock().await {
                Ok(Some(lock)) if lock.says.place != self.place => {
                    let other = lock.says.place.cluster;
                    return anyhow::anyhow!(
                        "the cluster with the uid {other} has taken this installation over"
                    );
                }
                Ok(Some(_)) => {}
                Ok(None) => cx.ids.are_lost(&Trouble::Lost("lock.json in the installation's bucket".into())),
                Err(trouble @ Trouble::Lost(_)) => cx.ids.are_lost(&trouble),
                Err(trouble) => tracing::warn!("the lock cannot be read: {trouble}"),
            }
        }
    }

    /// Records what is in AWS without a Tenant: what was retained. Then the lock says that all is recorded, and who waits for
    /// that goes on. What fails is tried again.
    pub async fn complete(&self, cx: &Context, lock: Kept<Lock>) {
        let mut failures = 0;
        while let Err(error) = self.record_all(cx, &lock).await {
            failures += 1;
            tracing::warn!(error = format!("{error:#}"), "what is there cannot be recorded; trying again");
            cx.ids.are_held_up(format!("{error:#}"));
            tokio::time::sleep(cx.clock.outside(retry::distance(failures))).await;
        }
        cx.ids.are_complete();
        cx.wake_tenants(|tenant| {
            !cx.ids.is_holder(&tenant.spec.tenant_id, &tenant.uid().unwrap_or_default())
        });
    }

    async fn record_all(&self, cx: &Context, lock: &Kept<Lock>) -> anyhow::Result<()> {
        let (finalizer, mut recorded, mut held_up) = (cx.finalizer(), 0, None);
        for stack in objects::<SharedStack>(&cx.client).await? {
            let status: Status = field(&stack, "/status").unwrap_or_default();
            let id =
                Identity::of_stack(cx.scope.clone(), &stack.name_any(), &stack.uid().unwrap_or_default());
            if !finalizer::has_finalizer(&stack, &finalizer)
                || status.bucket.as_ref() != Some(&id.name(Layer::Bucket))
            {
                continue;
            }
            match leftovers::record(cx, &id, Search::Everything).await {
                Ok(more) => recorded += more,
                // The others first; then it is said which one holds this up.
                Err(error) => {
                    held_up = Some(
                        anyhow::Error::new(error).context(format!("SharedStack '{}'", stack.name_any())),
                    );
                }
            }
        }
        for record in retained_knowledge_bases(&cx.aws, &cx.scope).await? {
            recorded += usize::from(answered(cx.ids.record(record).await)?);
        }
        if let Some(error) = held_up {
            return Err(error);
        }
        if cx.settings.rebuild_records {
            tracing::warn!(
                "the records are created again; ids of which nothing is left in AWS or the cluster are forgotten"
            );
        }
        let complete = Lock { complete: true, ..lock.says.clone() };
        match answered(self.records.put_lock(complete, Some(&lock.etag)).await)? {
            Wrote::Done(_) => tracing::info!(recorded, "all that is retained has a record"),
            // A process before this one has written it, or another cluster has taken over, which is noticed elsewhere.
            Wrote::Other(_) => {}
        }
        Ok(())
    }
}

/// A Tenant that bears our hold.
#[derive(Clone)]
struct Holder {
    age: (Option<Timestamp>, String),
    id: Identity,
    id_record: Option<String>,
}

impl Holder {
    /// None if it was never acted upon, or elsewhere.
    fn of(scope: &Arc<Scope>, object: DynamicObject) -> Option<Self> {
        let owner = Owner::Tenant {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            tenant_id: field(&object, "/spec/tenantId")?,
            pattern: field(&object, "/spec/pattern")?,
            stack: field(&object, "/spec/stackRef/name"),
        };
        let uid = object.uid().unwrap_or_default();
        let id = Identity::new(scope.clone(), owner, &uid);
        let status: Status = field(&object, "/status").unwrap_or_default();
        // Another operator of the installation, in another account, may have Tenants of its own in the cluster. A Tenant of
        // a release that knew no records is known by its bucket's name; one that has none yet asks like anybody new.
        let is_ours = match &status.id_record {
            Some(word) => word.starts_with(&scope.place()),
            None => status.prefix.is_some() && status.bucket == Some(bucket_of(&id)),
        };
        if !is_ours {
            return None;
        }
        let born = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
        Some(Self { age: (born, uid), id, id_record: status.id_record })
    }
}

/// The bucket in which a Tenant has its documents.
fn bucket_of(id: &Identity) -> String {
    match &id.owner {
        Owner::Tenant { stack: Some(stack), .. } => {
            Identity::of_stack(id.scope.clone(), stack, "").name(Layer::Bucket)
        }
        _ => id.name(Layer::Bucket),
    }
}

/// Which account and region a status speaks of, if it is not ours.
fn elsewhere(scope: &Scope, status: &Status) -> Option<String> {
    let arns = [&status.knowledge_base_arn, &status.store_arn, &status.role_arn, &status.kms_key_arn];
    let account = arns.into_iter().flatten().find_map(|arn| arn.split(':').nth(4)).unwrap_or(&scope.account);
    let region = status.region.as_ref().unwrap_or(&scope.region);
    let here = *account == scope.account && *region == scope.region;
    (!here).then(|| format!("account {account} and region {region}"))
}

/// All objects of a kind, unparsed: one that cannot be read counts too.
async fn objects<K>(client: &Client) -> anyhow::Result<Vec<DynamicObject>>
where
    K: kube::Resource<DynamicType = ()>,
{
    let mut params = ListParams::default().limit(PAGE);
    let mut all = Vec::new();
    loop {
        let page = page::<K>(client, &params).await?;
        all.extend(page.items);
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            return Ok(all);
        }
    }
}

async fn page<K>(client: &Client, params: &ListParams) -> anyhow::Result<ObjectList<DynamicObject>>
where
    K: kube::Resource<DynamicType = ()>,
{
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::erase::<K>(&()));
    listed(&K::kind(&()), || api.list(params)).await
}

async fn namespace_uids(client: &Client) -> anyhow::Result<HashMap<String, String>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let params = ListParams::default();
    let all = listed("Namespace", || api.list_metadata(&params)).await?;
    Ok(all.items.iter().filter_map(|it| Some((it.name_any(), it.uid()?))).collect())
}

/// A list, asked for again while the API server refuses it for now. It says so while its storage begins, as that of a kind
/// does which has just been defined.
async fn listed<T, F: Future<Output = kube::Result<T>>>(
    kind: &str,
    list: impl Fn() -> F,
) -> anyhow::Result<T> {
    let mut failures = 0;
    loop {
        match list().await {
            Err(kube::Error::Api(status))
                if (status.code == 429 || status.code >= 500) && failures < TRIES =>
            {
                failures += 1;
                tracing::warn!(kind, %status, "a list is refused and is asked for again");
                tokio::time::sleep(retry::distance(failures)).await;
            }
            answer => return answer.with_context(|| format!("{kind}s cannot be listed")),
        }
    }
}

/// What is still there goes on: who has an id is taken from what the Tenants say, because nothing else knows.
fn lost(ids: &Ids, holders: &[Holder], trouble: &Trouble) {
    for holder in holders {
        ids.trusted(holder.id.tenant_id().unwrap_or_default(), &holder.id.uid);
    }
    ids.are_lost(trouble);
}

/// A failure of AWS is waited for; see [`super::wait_for_aws`].
fn answered<T>(result: Result<T, Trouble>) -> anyhow::Result<T> {
    result.map_err(|trouble| match trouble {
        Trouble::Away(fault) => fault.into(),
        other => other.into(),
    })
}

/// The records of tenants that left a knowledge base behind, in the words of its tags.
async fn retained_knowledge_bases(aws: &Aws, scope: &Arc<Scope>) -> anyhow::Result<Vec<Record>> {
    let mut records = Vec::new();
    for tags in aws.knowledge_bases.retained(scope).await? {
        let Some(owner @ Owner::Tenant { .. }) = Owner::of_tags(&tags) else { continue };
        let uid = tags.get(&format!("{}/owner-uid", GROUP)).cloned().unwrap_or_default();
        let id = Identity::new(scope.clone(), owner, &uid);
        records.extend(Record::of(&id, "", None, State::Retained, clock::now().0));
    }
    Ok(records)
}
