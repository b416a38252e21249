//! Owners of every pattern at once, and what they should have in AWS in the end.

use std::collections::{BTreeMap, BTreeSet};

use tenantry::api::{Column, Pattern};

use crate::support::double::{Call, Journal, is_of_records};
use crate::support::inventory::{self, Inventory, owned};
use crate::support::world::World;

/// A SharedStack with a pool, and so many tenants of each pattern. The first Silo has a key of its own.
#[derive(Clone, Copy)]
pub struct Fleet {
    pub each: usize,
}

impl Fleet {
    pub fn yaml(self) -> String {
        let tenants: String = (1..=self.each).map(|n| format!("\n---\n{}", Self::tenants(n))).collect();
        format!("{{kind: SharedStack, metadata: {{name: standard}}, spec: {{pool: {{}}}}}}{tenants}")
    }

    /// The n-th tenant of each pattern.
    pub fn tenants(n: usize) -> String {
        let encryption = if n == 1 { ", encryption: {key: Create}" } else { "" };
        let specs = [
            ("silo", format!("pattern: Silo{encryption}")),
            ("bridge", "pattern: Bridge, stackRef: {name: standard}".into()),
            ("pool", "pattern: Pool, stackRef: {name: standard}".into()),
        ];
        let tenant = |(kind, spec)| {
            let name = format!("{kind}{n}");
            format!("{{kind: Tenant, metadata: {{name: {name}}}, spec: {{tenantId: {name}, {spec}}}}}")
        };
        specs.map(tenant).join("\n---\n")
    }

    /// All of them, by name.
    pub fn objects(self) -> Vec<String> {
        let tenants =
            (1..=self.each).flat_map(|n| ["silo", "bridge", "pool"].map(|kind| format!("{kind}{n}")));
        tenants.chain(["SharedStack/standard".into()]).collect()
    }

    /// Waits until all of them are Ready.
    pub async fn ready(self, w: &World) {
        for object in self.objects() {
            w.ready(&object).await;
        }
    }

    /// What is in AWS when all of them are Ready, and nothing else is.
    pub async fn expected(self, w: &World) -> BTreeSet<String> {
        let stack = w.get("SharedStack/standard").await;
        let mut all = owned(&w.stack_identity("standard", stack.uid()), Column::SharedStackWithPool, false);
        for n in 1..=self.each {
            let silo = w.tenant_identity(&format!("silo{n}"), Pattern::Silo, None, "");
            all.extend(owned(&silo, Column::Silo, n == 1));
            let bridge = w.tenant_identity(&format!("bridge{n}"), Pattern::Bridge, Some("standard"), "");
            all.extend(owned(&bridge, Column::Bridge, false));
        }
        all.insert(w.grant());
        all
    }

    /// Everything is there, was made once, and nothing else is there or was made: the end of an undisturbed run.
    pub async fn assert_as_if_undisturbed(self, w: &World) {
        self.assert_as_if_undisturbed_beside(w, &Inventory::new()).await;
    }

    /// The same, beside what others had there before and still have.
    pub async fn assert_as_if_undisturbed_beside(self, w: &World, others: &Inventory) {
        let (expected, mut found) = (self.expected(w).await, w.inventory().await);
        for (name, tags) in others {
            assert_eq!(found.remove(name).as_ref(), Some(tags), "{name} is somebody else's");
        }
        assert_eq!(inventory::resources(&found), expected, "what is in AWS");
        let made = creates(&w.double.journal_of_all(0).await.only(|call| call.caller.contains("/operator")));
        assert_eq!(made, creates_of(&expected), "how often each kind of resource was made");
    }
}

/// How many resources of each kind were really made, whether the answer arrived or not.
pub fn creates(journal: &Journal) -> BTreeMap<String, usize> {
    let mut made = BTreeMap::new();
    let creates = |call: &&Call| call.operation.starts_with("Create") && call.took_effect();
    for call in journal.iter().filter(creates).filter(|call| !is_of_records(&call.resource)) {
        *made.entry(call.operation.clone()).or_default() += 1;
    }
    made
}

/// How many creates of each kind an undisturbed run needs for these resources.
fn creates_of(resources: &BTreeSet<String>) -> BTreeMap<String, usize> {
    let operations = [
        ("alias ", "CreateAlias"),
        ("bucket ", "CreateBucket"),
        ("collection ", "CreateCollection"),
        ("data policy ", "CreateAccessPolicy"),
        ("data source ", "CreateDataSource"),
        ("encryption policy ", "CreateSecurityPolicy"),
        ("index ", "CreateIndex"),
        ("key ", "CreateKey"),
        ("knowledge base ", "CreateKnowledgeBase"),
        ("network policy ", "CreateSecurityPolicy"),
        ("role ", "CreateRole"),
    ];
    let mut needed = BTreeMap::new();
    for resource in resources {
        let row = operations.iter().find(|(kind, _)| resource.starts_with(kind));
        let (_, operation) = row.unwrap_or_else(|| panic!("{resource} is made by no known operation"));
        *needed.entry(operation.to_string()).or_default() += 1;
    }
    needed
}
