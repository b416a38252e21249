//! Tenants of every pattern, each with a document that all but repeats another's.

use futures::future::join_all;
use tenantry::api::SYNC_REQUESTED_AT;

use crate::support::fleet::Fleet;
use crate::support::world::World;

/// A SharedStack with two tenants in its pool.
pub const POOL: &str = "
    {kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}
    ---
    {kind: Tenant, metadata: {name: pool1}, spec: {tenantId: pool1, pattern: Pool, stackRef: {name: standard}}}
    ---
    {kind: Tenant, metadata: {name: pool2}, spec: {tenantId: pool2, pattern: Pool, stackRef: {name: standard}}}";

/// What is asked here.
pub const QUESTION: &str = "How many days of annual leave do employees get?";
/// Two tenants of each pattern.
pub const TWO: Fleet = Fleet { each: 2 };
/// Their tenantIds, which are their Tenants' names.
pub const TENANTS: [&str; 6] = ["bridge1", "bridge2", "pool1", "pool2", "silo1", "silo2"];

/// What a tenant's document says.
pub fn text_of(tenant: &str) -> String {
    let days = 20 + tenant.len() + usize::from(tenant.ends_with('2'));
    format!("Employees of {tenant} get {days} days of annual leave, and {tenant} pays for each.")
}

impl World {
    /// Two tenants of each pattern, Ready, with a document each that is found.
    pub async fn tenants_of_every_pattern(&self) {
        self.apply(&TWO.yaml()).await;
        self.with_documents(&TENANTS).await;
    }

    /// Waits until these are Ready, gives each its document, and waits until it is found.
    pub async fn with_documents(&self, tenants: &[&str]) {
        let ready = tenants.iter().map(|tenant| async move {
            self.ready(tenant).await;
            self.upload(tenant, &[("handbook.md", &text_of(tenant))]).await;
            self.annotate(tenant, SYNC_REQUESTED_AT, Some("now")).await;
        });
        join_all(ready).await;
        let found = tenants.iter().map(|tenant| {
            self.eventually("its document is found", move || async move {
                let found = self.retrieve(tenant, QUESTION).await;
                found.iter().any(|(_, text)| *text == text_of(tenant)).then_some(())
            })
        });
        join_all(found).await;
    }

    /// Where a tenant's documents are.
    pub async fn home(&self, tenant: &str) -> String {
        let status = self.get(tenant).await.status;
        format!("s3://{}/{}", status.bucket.unwrap(), status.prefix.unwrap())
    }
}
