//! A namespace that is deleted deletes the Tenants in it, as Kubernetes' own controller does, and ends when they have.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;

use super::{LEAVE, STACK, STAY, identity, pattern, six_tenants};
use crate::support::bed::another_with_namespaces;
use crate::support::inventory::{self, owned};
use crate::support::world::{World, world_in};
use tenantry::api::{Column, Pattern};
use tenantry::stack::layout::ledger_key;

#[tokio::test]
async fn a_namespace_goes_with_its_tenants_and_keeps_what_their_policies_keep() {
    let test = async |w: World| {
        w.start_operator().await;
        w.granted().await;
        // Half of them go, the other half leave everything behind.
        six_tenants(&w, "Delete").await;
        for name in STAY {
            w.patch(name, serde_json::json!({"spec": {"deletionPolicy": "Retain"}})).await;
            w.ready(name).await;
        }
        let mut gone = BTreeSet::new();
        for name in LEAVE {
            let tenant = w.owned(name).await;
            gone.extend(owned(&identity(&w, name, &tenant.id.uid), Column::from(pattern(name)), true));
            let bucket = tenant.status.bucket.unwrap();
            gone.insert(match pattern(name) {
                Pattern::Silo => format!("object {bucket}/"),
                _ => format!("object {bucket}/{}", tenant.status.prefix.unwrap()),
            });
            gone.insert(format!("object {bucket}/{}", ledger_key(&identity(&w, name, &tenant.id.uid))));
        }
        let goes = |name: &String| {
            gone.iter().any(|it| it == name || (it.starts_with("object ") && name.starts_with(it.as_str())))
        };
        let before = inventory::names(&w.inventory().await);
        let mut expected: BTreeSet<_> = before.into_iter().filter(|name| !goes(name)).collect();
        for name in STAY {
            let bucket = w.get(name).await.status.bucket.unwrap();
            expected.insert(format!("object {bucket}/tenantry/retained/{name}.json"));
        }

        let namespaces: Api<Namespace> = Api::all(w.client.clone());
        let namespace = w.namespace_name("");
        namespaces.delete(&namespace, &Default::default()).await.unwrap();
        let ended = async || namespaces.get_opt(&namespace).await.unwrap().is_none().then_some(());
        w.eventually("the namespace is gone", ended).await;

        let left = inventory::names(&w.inventory().await).into_iter();
        let left: BTreeSet<_> =
            left.filter(|name| !(name.starts_with("key ") && name.ends_with(" PendingDeletion"))).collect();
        assert_eq!(left, expected);
        assert!(w.get(STACK).await.is("Ready=True"), "it is in no namespace");
    };
    world_in(another_with_namespaces().await, |_| {}, test).await;
}
