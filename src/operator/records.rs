//! The start of the records. Before the lease they are only read. With the lease the bucket and the lock are made. What was
//! there before there were records gets its record, before a new Tenant gets an id.

mod complete;
mod holders;
mod listing;
mod recognise;

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use kube::api::ListParams;
use kube::{Client, ResourceExt};

use self::holders::{Holder, lost};
use self::listing::page;
use self::recognise::Recognition;
use super::installation_owner::{Grant, Taken};
use super::wait_for_aws::answered;
use super::watches::TenantWatch;
use crate::api::{SharedStack, Status, Tenant, finalizer_name};
use crate::aws::{Aws, Protection};
use crate::clock::Clock;
use crate::reconcile::context::Context;
use crate::reconcile::finalizer;
use crate::reconcile::ids::Ids;
use crate::reconcile::unparsed::field;
use crate::records::bucket::InstallationBucket;
use crate::records::lock::{Lock, Place, Verdict};
use crate::records::{Kept, Records, S3, Trouble, Wrote};
use crate::settings::Settings;
use crate::stack::identity::Scope;
use crate::stack::record::Terms;

/// How long the watch of Tenants may take until it has listed all. It tries for ever if the API server refuses it.
const LISTED: Duration = Duration::from_secs(120);

/// How many objects of a kind tell where an installation is.
const FEW: u32 = 10;

/// What is there of the records.
struct Found {
    bucket: Option<Protection>,
    lock: Result<Option<Kept<Lock>>, Trouble>,
    /// All tenantIds that have a record, with its ETag, if that is known.
    listed: Option<Vec<(String, String)>>,
    /// Whether the right to indexes in collections was taken, if that was tried.
    taken: Option<Taken>,
}

/// The records, open.
pub struct Opened {
    /// What is known of all ids.
    pub ids: Ids,
    /// The lock, if something is still to be recorded.
    pub unrecorded: Option<Kept<Lock>>,
    /// The operator's own right to indexes in collections.
    pub taken: Taken,
}

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
        let records = Records::new(Arc::new(S3::new(&aws.objects, &bucket.name)));
        Self { grant, bucket, place, records }
    }

    /// Before anything is asked of AWS: whether the cluster's objects are of this account and region. What our selector shows
    /// us is ours alone: an operator elsewhere that works on it would build it twice. A few objects tell, for all would.
    pub async fn is_here(&self, client: &Client, settings: &Settings) -> anyhow::Result<()> {
        let scope = &self.grant.scope;
        let finalizer = finalizer_name(&scope.installation);
        let params = ListParams { label_selector: settings.selector.clone(), ..ListParams::default() };
        let params = params.limit(FEW);
        let (stacks, tenants) =
            futures::try_join!(page::<SharedStack>(client, &params), page::<Tenant>(client, &params))?;
        let seen = stacks.items.iter().chain(&tenants.items);
        for object in seen.filter(|object| finalizer::has_finalizer(*object, &finalizer)) {
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
    /// ready, and a release before it goes on. For the same reason the bucket is made now, if it never was: a process that
    /// may not make it must not be elected. `maker` may make it; none where nothing is to be changed.
    pub async fn may_lead(
        &self,
        aws: &Aws,
        maker: Option<&Aws>,
        client: &Client,
        settings: &Settings,
    ) -> anyhow::Result<()> {
        let (scope, take_over) = (&self.grant.scope, settings.take_over.as_deref());
        // Most often there are both.
        let (bucket, lock) = tokio::join!(self.bucket.look(aws, scope), self.records.lock());
        if bucket?.is_some() {
            return match lock {
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
        let holders = holders::listed(client, scope).await?;
        if self.had_records(aws, &holders, settings).await? {
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

    /// Whether there were records once. Where they are to be made anew, that does not count.
    async fn had_records(&self, aws: &Aws, holders: &[Holder], settings: &Settings) -> anyhow::Result<bool> {
        Ok(!settings.rebuild_records
            && (holders.iter().any(|holder| holder.id_record.is_some())
                || self.grant.had_records(aws).await?))
    }

    /// With the lease: the bucket, the lock, what is known of all ids, and the operator's own right.
    pub async fn open(
        &self,
        aws: &Aws,
        client: &Client,
        settings: &Settings,
        watch: &TenantWatch,
    ) -> anyhow::Result<Opened> {
        let (holders, found) =
            futures::try_join!(self.holders(client, settings, watch), self.found(aws, settings))?;
        let taken = found.taken;
        let (ids, unrecorded) = self.known(aws, client, settings, &holders, found).await?;
        let taken = match taken {
            Some(taken) => taken,
            None => self.take(aws, settings).await?,
        };
        Ok(Opened { ids, unrecorded, taken })
    }

    /// Takes the right to indexes in collections, which a process that only reads does not need.
    async fn take(&self, aws: &Aws, settings: &Settings) -> anyhow::Result<Taken> {
        if settings.read_only {
            return Ok(Taken::Yes);
        }
        self.grant.take(aws, settings.take_over.as_deref()).await
    }

    /// What is known of all ids. Answers whether something is still to be recorded, with the lock as it is then.
    async fn known(
        &self,
        aws: &Aws,
        client: &Client,
        settings: &Settings,
        holders: &[Holder],
        found: Found,
    ) -> anyhow::Result<(Ids, Option<Kept<Lock>>)> {
        let scope = &self.grant.scope;
        let ids = |took_over| {
            let terms = Terms { cluster: self.place.cluster.clone(), took_over, policy: settings.id_policy };
            Ids::new(self.records.clone(), terms, scope, settings.read_only)
        };
        let Found { bucket, lock, listed, .. } = found;
        let had_records = self.had_records(aws, holders, settings).await?;
        let without = |trouble: &Trouble| {
            let ids = ids(Vec::new());
            lost(&ids, holders, trouble);
            Ok((ids, None))
        };
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
        let lock = match lock {
            Err(unreadable @ Trouble::Unreadable { .. }) => return without(&unreadable),
            Ok(None) if had_records => {
                return without(&Trouble::Lost(format!("lock.json in the bucket '{}'", self.bucket.name)));
            }
            lock => self.lock(answered(lock)?, settings).await?,
        };
        let ids = ids(lock.as_ref().map(|lock| lock.says.took_over.clone()).unwrap_or_default());
        let listed = match listed {
            Some(listed) => listed,
            None => answered(self.records.list().await)?,
        };
        for (tenant_id, etag) in listed {
            ids.listed(tenant_id, etag);
        }
        let cluster = &self.place.cluster;
        Recognition { ids: &ids, client, settings, cluster }.of(holders).await?;
        // A process that only reads records nothing, so it has nothing to wait for.
        let unrecorded = lock.filter(|lock| !lock.says.complete && !settings.read_only);
        if unrecorded.is_none() {
            ids.are_complete();
        }
        Ok((ids, unrecorded))
    }

    /// The Tenants that have an id.
    async fn holders(
        &self,
        client: &Client,
        settings: &Settings,
        watch: &TenantWatch,
    ) -> anyhow::Result<Vec<Holder>> {
        let scope = &self.grant.scope;
        match &settings.selector {
            None => {
                let at_most = Clock::new(settings.clock).outside(LISTED);
                holders::watched(client, scope, watch, at_most).await
            }
            // Labels do not count: a Tenant that has lost its label keeps its id.
            Some(_) => holders::listed(client, scope).await,
        }
    }

    /// What is there of the records. The ids are listed under a lock that is ours and stays as it is: nobody else writes
    /// records then. Nor is the operator's right anybody else's then.
    async fn found(&self, aws: &Aws, settings: &Settings) -> anyhow::Result<Found> {
        let (mut listed, mut taken) = (None, None);
        let bucket = self.bucket.look(aws, &self.grant.scope).await?;
        let lock = if bucket.is_some() { self.records.lock().await } else { Ok(None) };
        if matches!(&lock, Ok(Some(lock)) if self.stays(lock, settings)) {
            let list = async { answered(self.records.list().await) };
            let (ids, right) = futures::try_join!(list, self.take(aws, settings))?;
            (listed, taken) = (Some(ids), Some(right));
        }
        Ok(Found { bucket, lock, listed, taken })
    }

    /// Whether a lock is ours, and need not be written anew.
    fn stays(&self, lock: &Kept<Lock>, settings: &Settings) -> bool {
        let verdict = self.place.judge(&lock.says.place, settings.take_over.as_deref());
        matches!(verdict, Verdict::Ours) && !settings.rebuild_records
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

    /// Records what was retained before there were records.
    pub async fn complete(&self, cx: &Context, lock: Kept<Lock>) {
        complete::complete(&self.records, cx, lock).await;
    }
}

/// Which account and region a status speaks of, if it is not ours.
fn elsewhere(scope: &Scope, status: &Status) -> Option<String> {
    let account = status.arns().find_map(|arn| arn.split(':').nth(4)).unwrap_or(&scope.account);
    let region = status.region.as_ref().unwrap_or(&scope.region);
    let here = *account == scope.account && *region == scope.region;
    (!here).then(|| format!("account {account} and region {region}"))
}
