//! `tenantry delete --dry-run`: what `kubectl delete` of a Tenant would do in AWS, without touching anything.

use std::io::{ErrorKind, Write};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use kube::{Api, ResourceExt};

use crate::api::{Column, HOLD_PREFIX, Layer, Ownership, Tenant};
use crate::aws::{self, Aws, Pace};
use crate::layers::{self, Hints};
use crate::stack::farewell::{self, Line, Outcome};
use crate::stack::fault::Class;
use crate::stack::identity::{Identity, Owner, Scope, Slot};
use crate::stack::plan;
use crate::stack::seen::{IndexFacts, Seen, Sight};
use crate::stack::unwind::{Fate, fate};

/// How many documents are counted before it is enough to say that there are more.
const COUNTED: usize = 100_000;

#[derive(Debug, Args)]
pub(super) struct Delete {
    /// The Tenant's name.
    tenant: String,

    /// The Tenant's namespace.
    #[arg(short, long, value_name = "NAMESPACE", default_value = "default")]
    namespace: String,

    /// Say what would go, stay or be left alone, and why. Required: to delete a Tenant, use `kubectl delete`, and the
    /// operator does the rest.
    #[arg(long, required = true)]
    dry_run: bool,

    /// How to print it.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Text,
    Json,
}

impl Delete {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let client = kube::Client::try_default().await.context("no cluster: set KUBECONFIG")?;
        let api: Api<Tenant> = Api::namespaced(client, &self.namespace);
        let tenant = api.get_opt(&self.tenant).await?.with_context(|| {
            format!("there is no Tenant '{}' in namespace '{}'", self.tenant, self.namespace)
        })?;
        let holds = tenant.finalizers().iter().filter_map(|finalizer| finalizer.strip_prefix(HOLD_PREFIX));
        let installations: Vec<_> = holds.collect();
        let [installation] = installations[..] else {
            bail!("no operator holds this Tenant: it would be gone at once, and nothing in AWS with it");
        };
        let sdk = aws::load().await;
        let caller =
            aws::caller(&sdk).await.context("AWS does not know who we are; check the credentials")?;
        let region = sdk.region().context("no AWS region is set; set AWS_REGION")?.to_string();
        let scope = Arc::new(Scope::new(installation, &caller.account, &region));
        let aws = Aws::new(&sdk, &caller.account, Pace::FULL);
        let (id, lender) = identities(scope, &tenant);
        let column = Column::from(tenant.spec.pattern);
        let sight = look(&aws, &tenant, &id, lender.as_ref(), column).await?;
        let fate = fate(Some(&tenant.spec.deletion_policy));
        let mut lines = farewell::lines(&id, lender.as_ref(), column, fate, &sight);
        lines.extend(documents(&aws, &id, lender.as_ref(), fate).await?);
        let told = match self.output {
            Output::Json => serde_json::to_string_pretty(&lines)?,
            Output::Text => as_text(&tenant, &lines),
        };
        match writeln!(std::io::stdout(), "{told}") {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }
}

/// The Tenant's own identity, and that of the SharedStack that it borrows from.
fn identities(scope: Arc<Scope>, tenant: &Tenant) -> (Identity, Option<Identity>) {
    let stack = tenant.spec.stack_ref.as_ref().map(|reference| reference.name.clone());
    let lender = stack.as_deref().map(|stack| Identity::of_stack(scope.clone(), stack, ""));
    let owner = Owner::Tenant {
        namespace: tenant.namespace().unwrap_or_default(),
        name: tenant.name_any(),
        tenant_id: tenant.spec.tenant_id.clone(),
        pattern: tenant.spec.pattern,
        stack,
    };
    let uid = tenant.uid().unwrap_or_default();
    (Identity { scope, owner, uid, slot: Slot::A, adopts: false }, lender)
}

/// Looks at all that the Tenant owns.
async fn look(
    aws: &Aws,
    tenant: &Tenant,
    id: &Identity,
    lender: Option<&Identity>,
    column: Column,
) -> anyhow::Result<Sight> {
    let status = tenant.status.clone().unwrap_or_default();
    let index_name = status.index_name;
    let mut hints = Hints {
        knowledge_base_id: status.knowledge_base_id,
        bucket: status.bucket,
        creates_key: status.kms_key_arn.is_some(),
        ..Hints::default()
    };
    let mut sight = Sight::default();
    for layer in column.layers(Ownership::Owns).filter(|layer| *layer != Layer::Index) {
        sight.put(layers::look(aws, id, layer, &hints).await?);
    }
    if column.layers(Ownership::Owns).any(|layer| layer == Layer::Index) {
        let collection = match lender {
            Some(lender) => aws.collections.find(&lender.name(Layer::Collection)).await?,
            None => sight.collection.ours().and_then(|facts| facts.collection.clone()),
        };
        let active = collection.filter(|collection| collection.status == "ACTIVE");
        hints.index_by_endpoint = plan::index_by_endpoint(&sight);
        hints.index_on_record = plan::index_on_record(&sight);
        hints.collection_endpoint = active.as_ref().and_then(|collection| collection.endpoint.clone());
        hints.collection_id = active.map(|collection| collection.id);
        match layers::look(aws, id, Layer::Index, &hints).await {
            // A data access policy lets the operator see it, and nobody else need be in one. It belongs to the policy of
            // its name.
            Err(fault) if fault.class == Class::NotYet => {
                let policy = sight.role.ours().and_then(|facts| facts.data_access.as_ref());
                if policy.is_some() && index_name.is_some() {
                    sight.index = Seen::Ours(IndexFacts { schema: Default::default(), by_endpoint: false });
                }
            }
            seen => sight.put(seen?),
        }
    }
    Ok(sight)
}

/// The documents in a bucket that is borrowed; in one's own they go with the bucket.
async fn documents(
    aws: &Aws,
    id: &Identity,
    lender: Option<&Identity>,
    fate: Fate,
) -> anyhow::Result<Option<Line>> {
    let Some(bucket) = lender.map(|lender| lender.name(Layer::Bucket)) else { return Ok(None) };
    let (mut count, mut next) = (0, None);
    loop {
        let page = aws.objects.list(&bucket, &id.prefix(), next.as_deref(), None).await?;
        count += page.objects.len();
        next = page.next;
        if next.is_none() || count >= COUNTED {
            break;
        }
    }
    let more = if next.is_some() { " and more" } else { "" };
    let name = format!("{count}{more} under s3://{bucket}/{}", id.prefix());
    let (outcome, why) = match fate {
        Fate::Goes => {
            (Outcome::Goes, "they are this tenant's, with all versions; their vectors go with them")
        }
        Fate::Stays => (Outcome::Stays, "deletionPolicy Retain: a marker says who left them"),
    };
    Ok(Some(Line { outcome, what: "documents", name, why }))
}

fn as_text(tenant: &Tenant, lines: &[Line]) -> String {
    let spec = &tenant.spec;
    let mut text = format!(
        "Tenant {}/{}, tenantId {}, {:?}, deletionPolicy {:?}. Nothing was touched.\n",
        tenant.namespace().unwrap_or_default(),
        tenant.name_any(),
        spec.tenant_id,
        spec.pattern,
        spec.deletion_policy
    );
    for (outcome, title) in [
        (Outcome::Goes, "would go, in this order, once the operator's --deletion-grace is over"),
        (Outcome::Stays, "would stay"),
        (Outcome::LeftAlone, "would be left alone"),
    ] {
        let of_it: Vec<_> = lines.iter().filter(|line| line.outcome == outcome).collect();
        if !of_it.is_empty() {
            text += &format!("\n{title}:\n");
        }
        for Line { what, name, why, .. } in of_it {
            text += &format!("  {what:<24} {name}\n  {:<24} ({why})\n", "");
        }
    }
    text.trim_end().to_owned()
}
