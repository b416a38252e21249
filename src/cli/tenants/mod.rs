//! `tenantry tenants`: who is where, and near which limit. From the cluster alone.

mod group;
mod row;
mod table;

use anyhow::Context;
use clap::Args;
use kube::Api;
use kube::Resource;
use kube::api::ListParams;
use serde::de::DeserializeOwned;

use self::group::Group;
use self::row::{Classes, Row};
use super::args::Output;
use super::cluster::{Cluster, InCluster};
use super::{help, inspect, terminal};
use crate::api::guarded::Guarded;
use crate::api::{Tenant, TenantClass};

/// How many objects are asked for at once.
const PAGE: u32 = 500;

#[derive(Debug, Args)]
#[command(after_help = help::after(EXAMPLE, &help::CLUSTER))]
pub(super) struct Tenants {
    /// Only the Tenants of this namespace. Default: those of all namespaces.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// Only Tenants with these labels, as kubectl takes them. Default: all.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,

    /// Class by class, each with its limits, its sums and its tenants. Tenants without a class come last.
    #[arg(long)]
    by_class: bool,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    within: InCluster,
}

const EXAMPLE: &str = "tenantry tenants --by-class\n  \
                       tenantry tenants -n tenants -o json | jq '.[] | select(.usage[0].percent > 80) | .name'";

impl Tenants {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let cluster = self.within.connect().await?;
        let classes = classes(&cluster).await;
        let rows = row::sorted(self.tenants(&cluster).await?.iter().map(|tenant| Row::of(tenant, &classes)));
        let told = if self.by_class {
            let groups = group::by_class(rows, &classes);
            self.output.of(&groups, || groups.iter().map(Group::text).collect::<Vec<_>>().join("\n\n"))?
        } else {
            self.output.of(&rows, || table::of(&rows))?
        };
        inspect::print(told.trim_end())
    }

    async fn tenants(&self, cluster: &Cluster) -> anyhow::Result<Vec<Tenant>> {
        let (client, address) = (cluster.client.clone(), cluster.address());
        let (api, whose) = match &self.namespace {
            Some(namespace) => {
                (Api::namespaced(client, namespace), format!("Tenants of namespace '{namespace}'"))
            }
            None => (Api::all(client), "Tenants of all namespaces".into()),
        };
        let listed = list(&api, self.selector.as_deref()).await.with_context(|| {
            let other =
                if self.namespace.is_none() { "; --namespace names one that you may read" } else { "" };
            format!("the {whose} cannot be listed by the API server {address}{other}")
        })?;
        Ok(readable(listed, "Tenant"))
    }
}

/// The classes of the cluster. Who may not read them sees the Tenants all the same.
async fn classes(cluster: &Cluster) -> Classes {
    let api: Api<Guarded<TenantClass>> = Api::all(cluster.client.clone());
    match list(&api, None).await {
        Ok(listed) => Classes::Known(
            readable(listed, "TenantClass")
                .into_iter()
                .filter_map(|class| Some((class.metadata.name?, class.spec)))
                .collect(),
        ),
        Err(error) => {
            let why = crate::stack::causes::causes(&error);
            terminal::note(&format!("limits are not known, because TenantClasses cannot be listed: {why}"));
            Classes::Unknown
        }
    }
}

/// All objects, page by page.
async fn list<K>(api: &Api<Guarded<K>>, selector: Option<&str>) -> kube::Result<Vec<Guarded<K>>>
where
    K: Clone + std::fmt::Debug + DeserializeOwned + Resource<DynamicType = ()>,
{
    let mut page =
        ListParams { label_selector: selector.map(Into::into), ..ListParams::default().limit(PAGE) };
    let mut all = Vec::new();
    loop {
        let listed = api.list(&page).await?;
        all.extend(listed.items);
        page.continue_token = listed.metadata.continue_.filter(|token| !token.is_empty());
        if page.continue_token.is_none() {
            return Ok(all);
        }
    }
}

/// Those that this release can read. The others are named.
fn readable<K: Resource<DynamicType = ()>>(listed: Vec<Guarded<K>>, kind: &str) -> Vec<K> {
    let each = listed.into_iter().filter_map(|guarded| match guarded.0 {
        Ok(object) => Some(object),
        Err(unreadable) => {
            let meta = &unreadable.metadata;
            let namespace = meta.namespace.as_ref().map(|it| format!("{it}/")).unwrap_or_default();
            let name = meta.name.as_deref().unwrap_or_default();
            terminal::note(&format!(
                "{kind} {namespace}{name} is left out, because it cannot be read: {unreadable}"
            ));
            None
        }
    });
    each.collect()
}
