//! One tenantId, one tenant: who comes second waits, is told why, builds nothing, and goes on when the id is anybody's.

use tenantry::stack::record::IdPolicy;

use crate::support::world::{World, world, world_with};

const STACK: &str = "{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}";

/// A Tenant in a namespace, of the tenantId that all want here.
fn tenant(namespace: &str, pattern: &str, policy: &str) -> String {
    let stack = if pattern == "Silo" { "" } else { "stackRef: {name: standard}, " };
    format!(
        "{{kind: Tenant, metadata: {{name: {namespace}-tenant, namespace: {namespace}}},
           spec: {{tenantId: wanted, pattern: {pattern}, {stack}deletionPolicy: {policy}}}}}"
    )
}

async fn namespaces(w: &World) {
    w.namespace("crimson", &[]).await;
    w.namespace("azure", &[]).await;
}

/// Waits until the second is told that it waits; it has no hold, and AWS has heard nothing of it.
async fn assert_waits(w: &World, mark: u64, first: &str, second: &str) {
    let waiter = format!("{second}/{second}-tenant");
    let told = w.condition(&waiter, "Stalled=True/TenantIdTaken").await;
    assert!(
        told.is("Accepted=False/TenantIdTaken") && told.is("Ready=False/TenantIdTaken"),
        "{}",
        told.describe()
    );
    assert!(told.is("Reconciling=False"), "{}", told.describe());
    assert!(told.meta.finalizers.is_none(), "who waits has no hold");
    let said = told.describe();
    assert!(said.contains("'wanted'"), "{said}");
    assert!(!said.contains(first), "another namespace's names are nobody's business: {said}");
    let note = w.event(&waiter, "TenantIdTaken").await;
    assert!(!note.contains(first), "another namespace's names are nobody's business: {note}");
    let writes = w.double.journal(mark).await.mutating();
    assert!(writes.is_empty(), "the waiter built something:\n{writes}");
}

/// The one that waits is a Silo, which would build much if it went on. What is gone is anybody's here.
async fn in_order(first: &'static str, second: &'static str) {
    let test = async |w: World| {
        namespaces(&w).await;
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        w.apply(&tenant(first, "Pool", "Delete")).await;
        let holder = format!("{first}/{first}-tenant");
        w.ready(&holder).await;
        let mark = w.double.mark().await;
        w.apply(&tenant(second, "Silo", "Delete")).await;
        assert_waits(&w, mark, first, second).await;
        assert!(w.get(&holder).await.is("Ready=True"), "the holder does not notice");

        w.delete(&holder).await;
        w.gone(&holder).await;
        w.ready(&format!("{second}/{second}-tenant")).await;
    };
    world_with(|settings| settings.id_policy = IdPolicy::Reuse, test).await;
}

#[tokio::test]
async fn the_second_waits_until_the_first_is_deleted() {
    in_order("crimson", "azure").await;
}

#[tokio::test]
async fn it_is_the_same_the_other_way_round() {
    in_order("azure", "crimson").await;
}

/// Whoever goes on writing to a tenant that is gone must not write into a stranger's documents.
#[tokio::test]
async fn an_id_that_is_gone_stays_with_its_namespace() {
    world(|w| async move {
        namespaces(&w).await;
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        w.apply(&tenant("crimson", "Pool", "Delete")).await;
        w.ready("crimson/crimson-tenant").await;
        w.upload("crimson/crimson-tenant", &[("a.md", "what is crimson's")]).await;
        w.apply(&tenant("azure", "Pool", "Delete")).await;
        let taken = w.condition("azure/azure-tenant", "Stalled=True/TenantIdTaken").await;
        w.delete("crimson/crimson-tenant").await;
        w.gone("crimson/crimson-tenant").await;
        w.restart_operator().await;
        w.touch("azure/azure-tenant").await;
        // A Tenant of its own namespace gets it, whatever its name and pattern; only then is it sure that azure was asked.
        let again = tenant("crimson", "Bridge", "Delete").replace("crimson-tenant", "another-name");
        w.apply(&again).await;
        w.ready("crimson/another-name").await;
        let still = w.condition("azure/azure-tenant", "Stalled=True/TenantIdTaken").await;
        assert_eq!(still.message("Ready"), taken.message("Ready"), "one message, whatever became of the id");
    })
    .await;
}

#[tokio::test]
async fn of_two_that_ask_at_once_one_is_accepted() {
    world(|w| async move {
        namespaces(&w).await;
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        w.stop_operator().await;
        w.apply(&tenant("crimson", "Pool", "Delete")).await;
        w.apply(&tenant("azure", "Pool", "Delete")).await;
        w.start_operator().await;
        let decided = |namespace: &'static str| {
            let (w, name) = (w.clone(), format!("{namespace}/{namespace}-tenant"));
            async move {
                let tenant = w
                    .until(&name, "is decided upon", |t| {
                        t.is("Ready=True") || t.is("Accepted=False/TenantIdTaken")
                    })
                    .await;
                tenant.is("Ready=True")
            }
        };
        let (red, blue) = tokio::join!(decided("crimson"), decided("azure"));
        assert!(red != blue, "one of the two: red {red}, blue {blue}");
        // A new operator knows the holder by its record, whoever is older.
        let holder = if red { "crimson/crimson-tenant" } else { "azure/azure-tenant" };
        let waiter = if red { "azure/azure-tenant" } else { "crimson/crimson-tenant" };
        let before = w.get(holder).await.version().to_owned();
        w.restart_operator().await;
        w.touch(waiter).await;
        w.condition(waiter, "Accepted=False/TenantIdTaken").await;
        assert_eq!(w.get(holder).await.version(), before);
    })
    .await;
}

#[tokio::test]
async fn a_retained_id_in_a_shared_stack_is_not_free() {
    world(|w| async move {
        namespaces(&w).await;
        w.apply(STACK).await;
        w.ready("SharedStack/standard").await;
        w.apply(&tenant("crimson", "Pool", "Retain")).await;
        w.ready("crimson/crimson-tenant").await;
        w.apply(&tenant("azure", "Pool", "Retain")).await;
        w.condition("azure/azure-tenant", "Accepted=False/TenantIdTaken").await;
        w.upload("crimson/crimson-tenant", &[("a.md", "what is crimson's")]).await;
        w.delete("crimson/crimson-tenant").await;
        w.gone("crimson/crimson-tenant").await;
        assert_told_of_retention(&w).await;

        // The record says so to the next operator too.
        w.restart_operator().await;
        let mark = w.double.mark().await;
        w.delete("azure/azure-tenant").await;
        w.gone("azure/azure-tenant").await;
        w.apply(&tenant("azure", "Bridge", "Retain")).await;
        assert_told_of_retention(&w).await;
        let writes = w.double.journal(mark).await.mutating();
        assert!(writes.is_empty(), "{writes}");
    })
    .await;
}

#[tokio::test]
async fn a_retained_silo_is_not_free() {
    world(|w| async move {
        namespaces(&w).await;
        w.apply(&tenant("crimson", "Silo", "Retain")).await;
        w.ready("crimson/crimson-tenant").await;
        let mark = w.double.mark().await;
        w.apply(&tenant("azure", "Silo", "Retain")).await;
        assert_waits(&w, mark, "crimson", "azure").await;
        w.delete("crimson/crimson-tenant").await;
        w.gone("crimson/crimson-tenant").await;
        let mark = w.double.mark().await;
        assert_told_of_retention(&w).await;
        let writes = w.double.journal(mark).await.mutating();
        assert!(writes.is_empty(), "what is retained was touched:\n{writes}");
    })
    .await;
}

/// That it is retained is nobody's business but its own namespace's.
async fn assert_told_of_retention(w: &World) {
    w.touch("azure/azure-tenant").await;
    let told = w.condition("azure/azure-tenant", "Stalled=True/TenantIdTaken").await;
    assert!(told.is("Ready=False/TenantIdTaken"), "{}", told.describe());
    assert!(told.message("Ready").contains("'wanted'"), "{}", told.describe());
    let said = told.describe();
    assert!(!said.contains("crimson") && !said.contains("etain"), "another namespace's business: {said}");
}
