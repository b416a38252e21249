//! `tenantry delete --dry-run`: what `kubectl delete` of a Tenant would do in AWS, without touching anything.

use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use kube::ResourceExt;

use super::args::{OfTenant, Output};
use super::help;
use super::inspect;
use super::place::Place;
use crate::api::{Column, ConditionType, Layer, PAUSED, Pattern, Reason, Tenant, annotations};
use crate::aws::Aws;
use crate::documents::sidecar::POOL;
use crate::layers::Hints;
use crate::stack::forecast::deletion_preview::{self, Lender, Line, Outcome};
use crate::stack::identity::{Identity, Scope};
use crate::stack::model::teardown_order::{OnDelete, on_delete};

#[derive(Debug, Args)]
#[command(after_help = help::after("tenantry delete --dry-run -n tenants acme", &help::both()))]
pub(super) struct Delete {
    #[command(flatten)]
    of: OfTenant,

    /// Say what would go, stay or be left alone, and why. Required: to delete a Tenant, use
    /// `kubectl delete tenants.tenantry.dev <name>`, and the operator does the rest.
    #[arg(long, required = true)]
    dry_run: bool,

    #[command(flatten)]
    output: Output,
}

impl Delete {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let tenant = self.of.find().await?;
        let Some(installation) = inspect::installation(&tenant)? else {
            bail!("no operator holds this Tenant: it would be gone at once, and nothing in AWS with it");
        };
        let (aws, scope) = inspect::aws(installation).await?;
        Place::must_be(&tenant, &scope)?;
        let here = format!("{} of account {}", scope.region, scope.account);
        let (id, lender, column) = identities(scope, &tenant)?;
        let status = tenant.status.clone().unwrap_or_default();
        // Asked only where there is a key at all; one that was not created is nobody's layer.
        let lent_key = match (&lender, &status.kms_key_arn) {
            (Some(lender), Some(_)) => aws.keys.find(&lender.name(Layer::Key)).await?.map(|key| key.arn),
            _ => None,
        };
        let hints = Hints {
            store_kind: status.vector_store.or(tenant.own_store()).unwrap_or_default(),
            knowledge_base_id: status.knowledge_base_id,
            data_source_id: status.data_source_id,
            bucket: status.bucket,
            creates_key: status.kms_key_arn.is_some(),
            ..Hints::default()
        };
        let observed = inspect::look(&aws, &id, lender.as_ref(), column, hints).await?;
        let on_delete = on_delete(Some(&tenant.spec.deletion_policy));
        let mut lines: Vec<_> = registered(&tenant, on_delete).into_iter().collect();
        let lent = lender.as_ref().map(|id| Lender { id, key_arn: lent_key.as_deref() });
        lines.extend(deletion_preview::lines(&id, lent, column, on_delete, &observed));
        lines.extend(documents(&aws, &id, lender.as_ref(), on_delete).await?);
        inspect::print(&self.output.of(&lines, || as_text(&tenant, &here, &lines))?)
    }
}

/// The Tenant's own identity, that of the SharedStack that it borrows from, and which layers are its own.
fn identities(scope: Arc<Scope>, tenant: &Tenant) -> anyhow::Result<(Identity, Option<Identity>, Column)> {
    let lender = tenant.stack().map(|stack| Identity::of_stack(scope.clone(), stack, ""));
    let id = inspect::identity(scope, tenant)?;
    let column = Column::from(tenant.pattern().unwrap_or(Pattern::Silo));
    Ok((id, lender, column))
}

/// The registry's item, if the operator has a registry: the Tenant's status says so, and whose the item is.
fn registered(tenant: &Tenant, on_delete: OnDelete) -> Option<Line> {
    let registered = tenant.status.as_ref()?.condition(ConditionType::Registered)?;
    let (outcome, why) = match on_delete {
        _ if registered.reason == Reason::RegistryNotFound.as_str() => return None,
        _ if registered.reason == Reason::RegistryConflict.as_str() => {
            (Outcome::LeftAlone, "somebody else has written it")
        }
        OnDelete::Keep => {
            (Outcome::Stays, "a tombstone, 'retained', from the first moment on: clients ask no more")
        }
        OnDelete::KeepDocuments | OnDelete::Delete => {
            (Outcome::Stays, "a tombstone, 'deleted', before anything else goes: clients ask no more")
        }
    };
    Some(Line { outcome, what: "registry item", name: format!("tenantId {}", tenant.spec.tenant_id), why })
}

/// The documents in a bucket that is borrowed; in one's own they go with the bucket.
async fn documents(
    aws: &Aws,
    id: &Identity,
    lender: Option<&Identity>,
    on_delete: OnDelete,
) -> anyhow::Result<Option<Line>> {
    let Some(bucket) = lender.map(|lender| lender.name(Layer::Bucket)) else { return Ok(None) };
    let counted = inspect::count(aws, &bucket, &id.prefix()).await?;
    let name = format!("{counted} under s3://{bucket}/{}", id.prefix());
    let (outcome, why) = match on_delete {
        OnDelete::Delete => {
            (Outcome::Goes, "they are this tenant's, with all versions; their vectors go with them")
        }
        OnDelete::KeepDocuments if id.prefix().starts_with(POOL) => (
            Outcome::Stays,
            "deletionPolicy RetainDocuments: they move to tenantry/retained/, and their vectors go",
        ),
        OnDelete::Keep | OnDelete::KeepDocuments => {
            (Outcome::Stays, "deletionPolicy keeps them: a marker says who left them")
        }
    };
    Ok(Some(Line { outcome, what: "documents", name, why }))
}

fn as_text(tenant: &Tenant, here: &str, lines: &[Line]) -> String {
    let spec = &tenant.spec;
    let pattern = tenant.pattern().map(|it| it.to_string()).unwrap_or_default();
    let mut text = format!(
        "Tenant {}/{}, tenantId {}, {}, deletionPolicy {}, in {here}. Nothing was touched.\n",
        tenant.namespace().unwrap_or_default(),
        tenant.name_any(),
        spec.tenant_id,
        pattern,
        spec.deletion_policy
    );
    if annotations::pause(&tenant.metadata).is_some() {
        text += &format!("Nothing of this happens while its annotation {PAUSED} stops all work on it.\n");
    }
    for (outcome, title) in [
        (Outcome::Goes, "would go, in this order, once the operator's --deletion-grace is over"),
        (Outcome::Stays, "would stay"),
        (Outcome::LeftAlone, "would be left alone"),
    ] {
        let of_it: Vec<_> = lines.iter().filter(|line| line.outcome == outcome).collect();
        if !of_it.is_empty() {
            text += &format!("\n{title}:\n");
        }
        let mut said = "";
        for Line { what, name, why, .. } in of_it {
            if *why != said {
                text += &format!("  ({why})\n");
                said = why;
            }
            text += &format!("  {what:<24} {name}\n");
        }
    }
    text.trim_end().to_owned()
}
