//! `tenantry retained`: what was left behind on purpose, and continues to cost money.
//!
//! Who left something is found by what says so itself. All else that belongs to an owner is found by its name. What cannot
//! be looked at hides nothing else: the rest is printed, and the exit code says that it may not be all.

mod estate;
mod leavers;
mod unseen;

use anyhow::{bail, ensure};
use clap::Args;

use self::estate::{Estate, Place, Thing};
use self::unseen::Unseen;
use super::args::{OfInstallation, OfStores, Output};
use super::help;
use super::inspect;
use super::price::Priced;
use crate::aws::Aws;
use crate::documents::marker::Left;
use crate::stack::fault::Class;
use crate::stack::forecast::price::Prices;
use crate::stack::identity::Scope;

#[derive(Debug, Args)]
#[command(after_help = help::after("AWS_REGION=eu-central-1 tenantry retained --installation prod", &help::AWS))]
pub(super) struct Retained {
    #[command(flatten)]
    of: OfInstallation,

    #[command(flatten)]
    stores: OfStores,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    prices: Priced,
}

impl Retained {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (aws, scope) = inspect::aws(&self.of.installation).await?;
        let prices = Prices::from(self.prices);
        let mut unseen = Unseen::default();
        let mut estates = Vec::new();
        let stores = self.stores.stores();
        for leaver in leavers::leavers(&aws, &scope, &stores, &mut unseen).await {
            let place = Place { aws: &aws, scope: &scope, stores: &stores };
            estates.extend(estate::estate(place, &prices, leaver, &mut unseen).await);
        }
        if estates.is_empty() {
            let bucket = self.of.bucket(&scope);
            has_worked_here(&aws, &scope, &bucket.name, &mut unseen).await?;
        }
        let text = || as_text(&scope, &prices, &estates, unseen.count());
        inspect::print(&self.output.of(&estates, text)?)?;
        ensure!(
            unseen.count() == 0,
            "this may not be all: {} could not be looked at, see above",
            unseen.count()
        );
        Ok(())
    }
}

/// Refuses to say that nothing was left behind where the installation never was.
async fn has_worked_here(aws: &Aws, scope: &Scope, bucket: &str, unseen: &mut Unseen) -> anyhow::Result<()> {
    let Scope { installation, account, region, .. } = scope;
    match aws.buckets.tags(bucket).await {
        Ok(_) => Ok(()),
        Err(fault) if fault.class == Class::NotFound => bail!(
            "nothing is known of an installation '{installation}' in {region} of account {account}, where there is no bucket \
             '{bucket}' with its records: check --installation, AWS_REGION and the credentials; a bucket of yours is named \
             with --installation-bucket"
        ),
        Err(fault) => {
            unseen.note(format!("bucket {bucket}"), &fault);
            Ok(())
        }
    }
}

fn as_text(scope: &Scope, prices: &Prices, estates: &[Estate], unseen: usize) -> String {
    let Scope { installation, account, region, .. } = scope;
    match (estates.is_empty(), unseen) {
        (true, 0) => {
            return format!("Nothing of installation {installation} was left behind in {account}, {region}.");
        }
        (true, _) => {
            return format!(
                "Nothing was found that installation {installation} left behind in {account}, {region}, but not \
                 everything could be looked at."
            );
        }
        (false, _) => {}
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
        for note in &estate.notes {
            text += &format!("  note: {note}\n");
        }
        let indented: String = estate.manifest.lines().map(|line| format!("    {line}\n")).collect();
        text += &format!("  to purge it, apply this, wait until it is Ready, and delete it:\n{indented}\n");
    }
    let total: f64 = estates.iter().map(|estate| estate.monthly_usd).sum();
    text + &format!(
        "About ${total:.2} a month in all, at {}; older versions of documents come on top, and collections under one key \
         share what is counted for each here. The manifests have the settings that are not the default, as AWS has them; \
         it keeps no ingestion schedules, allowedNamespaces and answers, and tags stay as they are. A tenant's SharedStack \
         must be there first. To take something over and keep it, apply the same with deletionPolicy: Retain.",
        prices.words()
    )
}
