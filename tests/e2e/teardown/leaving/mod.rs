//! What a deletion leaves, and what holds it up.

mod brakes;
mod delete;
mod halfway;
mod locked;
mod matrix;
mod namespaces;
mod on_s3_vectors;
mod orphans;
mod pool;
mod retain;
mod retain_documents;
mod retain_pool;
mod running;
mod stack;
mod stuck;
mod uninstalled;

use std::collections::BTreeSet;

use tenantry::api::{Layer, Pattern};
use tenantry::stack::identity::Identity;

use crate::support::double::Journal;
use crate::support::objects::Object;
use crate::support::world::World;

/// The tenants that leave, and beside each one of its pattern that stays, with a name that begins alike.
const LEAVE: [&str; 3] = ["acme-silo", "acme-bridge", "acme-pool"];
const STAY: [&str; 3] = ["acme-silo-2", "acme-bridge-2", "acme-pool-2"];
const STACK: &str = "SharedStack/standard";

/// A SharedStack and two tenants of each pattern, all Ready and with documents that are indexed.
async fn six_tenants(w: &World, policy: &str) {
    w.apply("{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}, encryption: {key: Create}}}")
        .await;
    for tenant in [LEAVE, STAY].concat() {
        let spec = match pattern(tenant) {
            Pattern::Silo => "pattern: Silo, encryption: {key: Create}",
            Pattern::Bridge => "pattern: Bridge, stackRef: {name: standard}",
            Pattern::Pool => "pattern: Pool, stackRef: {name: standard}",
        };
        w.apply(&format!(
            "{{kind: Tenant, metadata: {{name: {tenant}}}, spec: {{tenantId: {tenant}, {spec}, deletionPolicy: {policy}}}}}"
        ))
        .await;
    }
    for tenant in [LEAVE, STAY].concat() {
        w.ready(tenant).await;
        let text = format!("The office of {tenant} opens at nine.");
        w.upload(tenant, &[("hours.md", &text), ("deep/er.md", &text)]).await;
    }
    // The pool's first job may have begun before the second tenant's documents were there.
    w.request_sync("acme-pool").await;
    for owner in ["acme-silo", "acme-bridge", "acme-silo-2", "acme-bridge-2", STACK] {
        w.condition(owner, "DocumentsCurrent=True/Synced").await;
    }
}

fn pattern(tenant: &str) -> Pattern {
    match tenant.split('-').nth(1) {
        Some("silo") => Pattern::Silo,
        Some("bridge") => Pattern::Bridge,
        _ => Pattern::Pool,
    }
}

fn identity(w: &World, tenant: &str, uid: &str) -> Identity {
    let stack = (pattern(tenant) != Pattern::Silo).then_some("standard");
    w.tenant_identity(tenant, pattern(tenant), stack, uid)
}

/// No call speaks of a tenant that stays: not by its name, its documents, its ids, or the names of its parts.
fn assert_never_named(w: &World, journal: &Journal, stays: &[Object]) {
    for tenant in stays {
        let name = tenant.meta.name.as_deref().unwrap();
        let id = identity(w, name, tenant.uid());
        let mut words: BTreeSet<String> = Layer::ALL.into_iter().map(|layer| id.name(layer)).collect();
        words.extend([name.to_owned(), tenant.uid().to_owned()]);
        if pattern(name) != Pattern::Pool {
            let ids = [&tenant.status.knowledge_base_id, &tenant.status.data_source_id];
            words.extend(ids.into_iter().flatten().cloned());
        }
        for call in journal.iter() {
            let text = call.text();
            let named = words.iter().find(|word| text.contains(*word));
            assert!(
                named.is_none(),
                "{name} stays, and yet {named:?} is in a call that changes something:\n{text}"
            );
        }
    }
}
