//! Lists of what is in the cluster.

use std::collections::HashMap;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, ListParams, ObjectList};
use kube::core::ApiResource;
use kube::{Api, Client, ResourceExt};

use crate::reconcile::retry;

/// How many objects a page of a list has.
const PAGE: u32 = 500;
/// How often a list is asked for again while the API server refuses it: about a minute.
const TRIES: u32 = 6;

/// All objects of a kind, unparsed. An object that cannot be read as its kind counts too.
pub async fn objects<K>(client: &Client) -> anyhow::Result<Vec<DynamicObject>>
where
    K: kube::Resource<DynamicType = ()>,
{
    let mut all = Vec::new();
    each::<K>(client, |object| all.push(object)).await?;
    Ok(all)
}

/// The same, one after the other: of very many, only a page is there at a time.
pub async fn each<K>(client: &Client, mut take: impl FnMut(DynamicObject)) -> anyhow::Result<()>
where
    K: kube::Resource<DynamicType = ()>,
{
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = page::<K>(client, &params).await?;
        page.items.into_iter().for_each(&mut take);
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            return Ok(());
        }
    }
}

/// One page of them.
pub async fn page<K>(client: &Client, params: &ListParams) -> anyhow::Result<ObjectList<DynamicObject>>
where
    K: kube::Resource<DynamicType = ()>,
{
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::erase::<K>(&()));
    listed(&K::kind(&()), || api.list(params)).await
}

/// The uids of all namespaces, by name.
pub async fn namespace_uids(client: &Client) -> anyhow::Result<HashMap<String, String>> {
    let api: Api<Namespace> = Api::all(client.clone());
    let params = ListParams::default();
    let all = listed("Namespace", || api.list_metadata(&params)).await?;
    Ok(all.items.iter().filter_map(|it| Some((it.name_any(), it.uid()?))).collect())
}

/// A list. It is asked for again while the API server refuses it for now, as it does while the storage of a kind begins that
/// has just been defined.
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
