//! What the commands share: the Tenant, AWS as whoever runs them sees it, and what an owner has there.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::sync::Arc;

use anyhow::Context;
use kube::{Api, ResourceExt};

use crate::api::{Column, HOLD_PREFIX, Layer, Ownership, Tenant};
use crate::aws;
use crate::aws::{Aws, Gate, Pace};
use crate::layers::{Hints, Layers};
use crate::stack::fault::{Class, Fault};
use crate::stack::identity::{Identity, Owner, Scope};
use crate::stack::model::observed::{IndexFacts, Seen, Sight};
use crate::stack::model::plan;

/// How many documents are counted before it is enough to say that there are more.
const COUNTED: usize = 100_000;

/// A Tenant, in the cluster of the kubeconfig.
pub(super) async fn tenant(name: &str, namespace: &str) -> anyhow::Result<Tenant> {
    let client = kube::Client::try_default().await.context("no cluster: set KUBECONFIG")?;
    let api: Api<Tenant> = Api::namespaced(client, namespace);
    let tenant = api.get_opt(name).await?;
    tenant.with_context(|| format!("there is no Tenant '{name}' in namespace '{namespace}'"))
}

/// The installation that holds a Tenant, if one does.
pub(super) fn installation(tenant: &Tenant) -> Option<&str> {
    let mut holds = tenant.finalizers().iter().filter_map(|finalizer| finalizer.strip_prefix(HOLD_PREFIX));
    holds.next().filter(|_| holds.next().is_none())
}

/// AWS, as the credentials of whoever runs the command see it, and where an installation's things are in it.
pub(super) async fn aws(installation: &str) -> anyhow::Result<(Aws, Arc<Scope>)> {
    let sdk = aws::load().await;
    let caller = aws::caller(&sdk).await.context("AWS does not know who we are; check the credentials")?;
    let region = sdk.region().context("no AWS region is set; set AWS_REGION")?.to_string();
    let scope = Arc::new(Scope::new(installation, &caller.account, &region));
    Ok((Aws::new(&sdk, &caller.account, &Gate::new(Pace::FULL)), scope))
}

/// What a Tenant's own parts are called.
pub(super) fn identity(scope: Arc<Scope>, tenant: &Tenant) -> Identity {
    let owner = Owner::Tenant {
        namespace: tenant.namespace().unwrap_or_default(),
        name: tenant.name_any(),
        tenant_id: tenant.spec.tenant_id.clone(),
        pattern: tenant.spec.pattern,
        stack: tenant.spec.stack_ref.as_ref().map(|reference| reference.name.clone()),
    };
    Identity::new(scope, owner, &tenant.uid().unwrap_or_default())
}

/// Prints an answer. Whoever read as much as they wanted, as `head` does, is no trouble.
pub(super) fn print(told: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{told}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// All that the owner has, layer by layer.
pub(super) async fn look(
    aws: &Aws,
    id: &Identity,
    lender: Option<&Identity>,
    column: Column,
    mut hints: Hints,
) -> Result<Sight, Fault> {
    let mut sight = Sight::default();
    let owned = || column.layers(Ownership::Owns);
    for layer in owned().filter(|layer| *layer != Layer::Index) {
        sight.put(aws.look(id, layer, &hints).await?);
    }
    if owned().any(|layer| layer == Layer::Index) {
        let collection = match lender {
            Some(lender) => aws.collections.find(&lender.name(Layer::Collection)).await?,
            None => sight.collection.ours().and_then(|facts| facts.collection.clone()),
        };
        let active = collection.filter(|collection| collection.status == "ACTIVE");
        hints.index_by_endpoint = plan::index_by_endpoint(&sight);
        hints.index_on_record = plan::index_on_record(&sight);
        hints.collection_endpoint = active.as_ref().and_then(|collection| collection.endpoint.clone());
        hints.collection_id = active.map(|collection| collection.id);
        match aws.look(id, Layer::Index, &hints).await {
            // A data access policy lets the operator see it, and nobody else need be in one. It belongs to the policy of
            // its name, and a knowledge base would not stand without it.
            Err(fault) if matches!(fault.class, Class::NotYet | Class::Denied) => {
                let policy = sight.role.ours().and_then(|facts| facts.data_access.as_ref());
                if policy.is_some() && sight.knowledge_base.ours().is_some() {
                    sight.index = Seen::Ours(IndexFacts { schema: Default::default(), by_endpoint: false });
                }
            }
            seen => sight.put(seen?),
        }
    }
    Ok(sight)
}

/// Objects under a prefix, their current versions alone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub(super) objects: usize,
    pub(super) bytes: u64,
    more: bool,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.objects, if self.more { " and more" } else { "" })
    }
}

/// Counts the objects under a prefix.
pub(super) async fn count(aws: &Aws, bucket: &str, prefix: &str) -> Result<Counted, Fault> {
    let (mut counted, mut next) = (Counted::default(), None);
    loop {
        let page = aws.objects.list(bucket, prefix, next.as_deref(), None).await?;
        counted.objects += page.objects.len();
        counted.bytes += page.objects.iter().map(|it| u64::try_from(it.size).unwrap_or(0)).sum::<u64>();
        next = page.next;
        counted.more = next.is_some();
        if next.is_none() || counted.objects >= COUNTED {
            return Ok(counted);
        }
    }
}
