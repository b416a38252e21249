//! Classes: they come, change and go, and nobody moves because of it.

use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use tenantry::api::{Reason, Tenant};

use crate::support::objects::Object;
use crate::support::world::{World, world, world_with};

const STACK: &str = "{kind: SharedStack, metadata: {name: standard}, spec: {pool: {}}}";
const BASIC: &str = "
    kind: TenantClass
    metadata: {name: basic}
    spec: {placement: {pattern: Pool, stackRef: {name: standard}}}";
const PREMIUM: &str = "
    kind: TenantClass
    metadata: {name: premium}
    spec: {placement: {pattern: Silo, vectorStore: S3Vectors}}";

fn of_class(tenant: &str, class: &str) -> String {
    format!(
        "{{kind: Tenant, metadata: {{name: {tenant}}},
           spec: {{tenantId: {tenant}, classRef: {{name: {class}}}, deletionPolicy: Delete}}}}"
    )
}

impl World {
    /// Names another class in a Tenant.
    async fn change_class(&self, tenant: &str, class: &str) -> Object {
        self.patch(tenant, json!({"spec": {"classRef": {"name": self.stack_name(class)}}})).await
    }

    /// Waits until a Tenant stands under a class, and asks for nothing else.
    async fn stands_under(&self, tenant: &str, class: Option<&str>) -> Object {
        let class = class.map(|class| self.stack_name(class));
        let what = format!("stands under {class:?}");
        self.until(tenant, &what, |it| it.is("Accepted=True") && it.status.class == class && it.is_done())
            .await
    }

    /// A Tenant whose wish is refused, and which goes on as it is.
    async fn goes_on(&self, tenant: &str, reason: Reason, class: &str) -> Object {
        let refused = self.condition(tenant, &format!("Accepted=False/{reason}")).await;
        assert!(refused.is("Ready=True"), "{}", refused.describe());
        assert_eq!(refused.status.class, Some(self.stack_name(class)), "{}", refused.describe());
        refused
    }

    async fn finalizers(&self, class: &str) -> Vec<String> {
        self.get(class).await.meta.finalizers.unwrap_or_default()
    }
}

#[tokio::test]
async fn a_class_may_come_after_its_tenants_and_where_nothing_moves_another_follows_at_once() {
    world(|w| async move {
        w.apply(STACK).await;
        w.apply(&of_class("acme", "basic")).await;
        let waits = w.condition("acme", "Accepted=False/ClassNotFound").await;
        assert!(waits.is("Reconciling=True") && waits.meta.finalizers.is_none(), "{}", waits.describe());
        w.apply(BASIC).await;
        let acme = w.stands_under("acme", Some("basic")).await;
        let placement = acme.status.placement.clone().unwrap();
        assert_eq!(placement.stack(), Some(w.stack_name("standard").as_str()));
        assert!(acme.status.retrieval_filter.is_some(), "{}", acme.describe());
        assert_eq!(w.finalizers("TenantClass/basic").await, ["tenantry.dev/e2e"]);

        // The same placement: at once, and AWS is told nothing.
        w.apply(
            "
            kind: TenantClass
            metadata: {name: cheap}
            spec:
              placement: {pattern: Pool, stackRef: {name: standard}}
              defaults: {answers: {model: amazon.nova-lite-v1:0}}
            ---
            kind: TenantClass
            metadata: {name: premium}
            spec: {placement: {pattern: Silo, vectorStore: S3Vectors}}",
        )
        .await;
        let mark = w.double.mark().await;
        w.change_class("acme", "cheap").await;
        let cheap = w.stands_under("acme", Some("cheap")).await;
        assert_eq!(cheap.status.answers.unwrap().model, "amazon.nova-lite-v1:0");

        // Another placement: it stays where it is, and says so.
        w.change_class("acme", "premium").await;
        let refused = w.goes_on("acme", Reason::Immutable, "cheap").await;
        assert!(refused.is("Stalled=True/Immutable"), "{}", refused.describe());
        for part in ["Pool of SharedStack", "Silo on S3Vectors", "create a second Tenant"] {
            assert!(refused.message("Accepted").contains(part), "{}", refused.describe());
        }
        assert_eq!(refused.status.placement, Some(placement.clone()));
        assert_eq!(refused.status.answers.unwrap().model, "amazon.nova-lite-v1:0");
        w.restart_operator().await;
        w.touch_label("acme").await;
        w.goes_on("acme", Reason::Immutable, "cheap").await;
        w.change_class("acme", "nowhere").await;
        w.goes_on("acme", Reason::ClassNotFound, "cheap").await;

        // By way of its class to another pattern is no way either; the pattern that it has is.
        let silo = json!({"spec": {"classRef": null, "pattern": "Silo"}});
        w.patch("acme", silo).await;
        w.goes_on("acme", Reason::Immutable, "cheap").await;
        w.change_class("acme", "cheap").await;
        w.condition("acme", "Accepted=False/ClassConflict").await;
        let pool = json!({"pattern": null});
        w.patch("acme", json!({"spec": pool})).await;
        w.stands_under("acme", Some("cheap")).await;
        let own =
            json!({"classRef": null, "pattern": "Pool", "stackRef": {"name": w.stack_name("standard")}});
        w.patch("acme", json!({"spec": own})).await;
        let alone = w.stands_under("acme", None).await;
        assert_eq!(alone.status.placement, Some(placement));
        let writes = w.double.journal(mark).await.mutating();
        let writes =
            writes.only(|call| call.text().contains("acme") && !call.operation.contains("AccessPolicy"));
        assert!(writes.is_empty(), "nothing was to be changed:\n{writes}");
    })
    .await;
}

#[tokio::test]
async fn nobody_gives_itself_a_class_that_does_not_admit_it() {
    world(|w| async move {
        w.apply(STACK).await;
        w.apply(BASIC).await;
        w.apply(
            "
            kind: TenantClass
            metadata: {name: paid}
            spec:
              allowedNamespaces: {matchLabels: {plan: paid}}
              placement: {pattern: Pool, stackRef: {name: standard}}
              limits: {answers: {models: [amazon.nova-pro-v1:0]}}",
        )
        .await;
        w.apply(&of_class("acme", "basic")).await;
        w.stands_under("acme", Some("basic")).await;
        w.apply(&of_class("new", "paid")).await;
        let refused = w.condition("new", "Accepted=False/ClassNotAllowed").await;
        assert!(refused.meta.finalizers.is_none() && refused.is("Ready=False"), "{}", refused.describe());
        w.change_class("acme", "paid").await;
        w.goes_on("acme", Reason::ClassNotAllowed, "basic").await;
        assert!(w.finalizers("TenantClass/paid").await.is_empty(), "who was not let in holds nothing");

        // An administrator admits them, and narrowing it later throws nobody out.
        w.relabel("", "plan", "paid").await;
        for tenant in ["acme", "new"] {
            w.stands_under(tenant, Some("paid")).await;
        }
        w.relabel("", "plan", "free").await;
        let model = json!({"spec": {"tags": null, "deletionPolicy": "Retain"}});
        w.patch("acme", model).await;
        w.stands_under("acme", Some("paid")).await;

        // Nor does anybody set what the class does not let it set.
        w.patch("acme", json!({"spec": {"answers": {"model": "amazon.nova-pro-v1:0"}}})).await;
        w.goes_on("acme", Reason::OverrideForbidden, "paid").await;
        w.patch("TenantClass/paid", json!({"spec": {"mayOverride": ["Answers"]}})).await;
        let acme = w.stands_under("acme", Some("paid")).await;
        assert_eq!(acme.status.answers.unwrap().model, "amazon.nova-pro-v1:0");
        w.patch("acme", json!({"spec": {"answers": {"model": "amazon.huge-v1:0"}}})).await;
        let refused = w.goes_on("acme", Reason::LimitExceeded, "paid").await;
        assert_eq!(refused.status.answers.unwrap().model, "amazon.nova-pro-v1:0", "clients see the last");
    })
    .await;
}

/// Otherwise whoever may write Tenants leaves all limits of its class by removing its `classRef`.
#[tokio::test]
async fn where_a_class_is_required_nobody_leaves_its_own_for_none() {
    let test = async |w: World| {
        w.apply(STACK).await;
        w.apply(BASIC).await;
        w.apply(&of_class("acme", "basic")).await;
        w.stands_under("acme", Some("basic")).await;
        let own =
            json!({"classRef": null, "pattern": "Pool", "stackRef": {"name": w.stack_name("standard")}});
        w.patch("acme", json!({"spec": own})).await;
        w.goes_on("acme", Reason::ClassNotAllowed, "basic").await;
        let back = json!({"classRef": {"name": w.stack_name("basic")}, "pattern": null, "stackRef": null});
        w.patch("acme", json!({"spec": back})).await;
        w.stands_under("acme", Some("basic")).await;
        let new = "{kind: Tenant, metadata: {name: new}, spec: {tenantId: new, pattern: Pool, stackRef: {name: standard}}}";
        w.apply(new).await;
        let refused = w.condition("new", "Accepted=False/ClassNotAllowed").await;
        assert!(refused.message("Accepted").contains("--require-class"), "{}", refused.describe());
        assert!(refused.meta.finalizers.is_none() && refused.is("Ready=False"), "{}", refused.describe());
    };
    world_with(|settings| settings.require_class = true, test).await;
}

#[tokio::test]
async fn a_class_that_is_deleted_stays_for_its_tenants_and_takes_nobody_new() {
    world(|w| async move {
        w.apply(STACK).await;
        w.apply(BASIC).await;
        w.apply(&of_class("acme", "basic")).await;
        w.stands_under("acme", Some("basic")).await;
        w.eventually("the class is held", || async {
            (!w.finalizers("TenantClass/basic").await.is_empty()).then_some(())
        })
        .await;
        w.delete("TenantClass/basic").await;
        w.apply(&of_class("late", "basic")).await;
        let late = w.condition("late", "Accepted=False/ClassNotFound").await;
        assert!(late.message("Accepted").contains("is being deleted"), "{}", late.describe());
        w.restart_operator().await;
        w.touch_label("acme").await;
        w.stands_under("acme", Some("basic")).await;
        assert!(w.get("TenantClass/basic").await.is_leaving());
        // Who only names it does not keep it.
        w.delete("acme").await;
        w.gone("acme").await;
        w.gone("TenantClass/basic").await;
        // It comes back, and who waited comes in.
        w.apply(BASIC).await;
        w.stands_under("late", Some("basic")).await;
        // A class that nobody uses any more is nobody's to hold.
        w.apply(PREMIUM).await;
        w.delete("late").await;
        w.gone("late").await;
        w.eventually("the class is not held any more", || async {
            w.finalizers("TenantClass/basic").await.is_empty().then_some(())
        })
        .await;
    })
    .await;
}

/// A class is several installations': each holds it for its own Tenants.
#[tokio::test]
async fn two_installations_hold_one_class_each_for_itself() {
    const BOUNDS: &str = "{kind: TenantClass, metadata: {name: bounds}, spec: {limits: {documents: 9}}}";
    const SILO: &str = "
        kind: Tenant
        metadata: {name: acme}
        spec: {tenantId: acme, pattern: Silo, vectorStore: S3Vectors, classRef: {name: bounds}, deletionPolicy: Delete}";
    world(|one| async move {
        one.apply(BOUNDS).await;
        one.apply(SILO).await;
        one.stands_under("acme", Some("bounds")).await;
        let class = one.stack_name("bounds");
        let test = async |two: World| {
            let mut silo = two.objects(SILO).remove(0);
            silo["spec"]["classRef"]["name"] = class.clone().into();
            let api: Api<Tenant> = Api::namespaced(two.client.clone(), &two.namespace_name(""));
            api.create(&PostParams::default(), &serde_json::from_value(silo).unwrap()).await.unwrap();
            let stands = |it: &Object| it.is_done() && it.status.class.as_ref() == Some(&class);
            two.until("acme", "stands under the other world's class", stands).await;
            let mut held = one.finalizers("TenantClass/bounds").await;
            held.sort();
            assert_eq!(held, ["tenantry.dev/e2e", "tenantry.dev/other"]);
            one.delete("acme").await;
            one.gone("acme").await;
            one.eventually("one of them lets go", || async {
                (one.finalizers("TenantClass/bounds").await == ["tenantry.dev/other"]).then_some(())
            })
            .await;
            two.touch_label("acme").await;
            two.until("acme", "stands as before", stands).await;
            two.delete("acme").await;
            two.gone("acme").await;
            one.eventually("nobody holds it", || async {
                one.finalizers("TenantClass/bounds").await.is_empty().then_some(())
            })
            .await;
        };
        world_with(|settings| settings.installation = "other".into(), test).await;
    })
    .await;
}

/// Names of documents by which a question was answered.
fn names(answers: &[(String, String)]) -> Vec<&str> {
    let mut names: Vec<_> = answers.iter().filter_map(|(uri, _)| uri.rsplit('/').next()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[tokio::test]
async fn in_a_pool_documents_beyond_the_limit_are_found_by_nobody_until_there_is_room() {
    world(|w| async move {
        w.apply(STACK).await;
        w.apply("
            kind: TenantClass
            metadata: {name: basic}
            spec:
              placement: {pattern: Pool, stackRef: {name: standard}}
              limits: {documents: 2}").await;
        w.apply(&of_class("acme", "basic")).await;
        w.apply("{kind: Tenant, metadata: {name: free}, spec: {tenantId: free, pattern: Pool, stackRef: {name: standard}}}").await;
        w.stands_under("acme", Some("basic")).await;
        w.ready("free").await;
        w.annotate("SharedStack/standard", "tenantry.dev/paused", Some("true")).await;
        let texts = [("a.md", "The office opens at nine."), ("b.md", "The office shuts at five."), ("c.md", "The office has a cat.")];
        w.upload("acme", &texts).await;
        w.upload("free", &texts).await;
        w.annotate("SharedStack/standard", "tenantry.dev/paused", None).await;
        w.condition("SharedStack/standard", "DocumentsCurrent=True/Synced").await;
        let told = w.condition("acme", "DocumentsCurrent=False/LimitExceeded").await;
        assert!(told.is("Ready=True"), "{}", told.describe());
        for part in ["There are 3 documents", "2 documents by TenantClass", "1 is held back", "pool/acme/c.md"] {
            assert!(told.message("DocumentsCurrent").contains(part), "{}", told.describe());
        }
        let counted = |it: &Object| it.status.documents.is_some_and(|it| it.count == 3 && it.bytes > 60);
        w.until("acme", "is counted", counted).await;
        assert_eq!(names(&w.retrieve("acme", "office").await), ["a.md", "b.md"]);
        assert_eq!(names(&w.retrieve("free", "office").await), ["a.md", "b.md", "c.md"]);

        // A lower limit takes nothing away; a higher one lets in.
        w.patch("TenantClass/basic", json!({"spec": {"limits": {"documents": 1}}})).await;
        w.request_sync("SharedStack/standard").await;
        assert_eq!(names(&w.retrieve("acme", "office").await), ["a.md", "b.md"]);
        w.patch("TenantClass/basic", json!({"spec": {"limits": {"documents": 3}}})).await;
        w.request_sync("SharedStack/standard").await;
        w.condition("acme", "DocumentsCurrent=True/Synced").await;
        assert_eq!(names(&w.retrieve("acme", "office").await), ["a.md", "b.md", "c.md"]);
    })
    .await;
}

/// A Silo of a class with these limits, whose first document is indexed. Answers its knowledge base.
async fn a_silo_within(w: &World, limits: &str) -> String {
    w.apply(&format!(
        "
        kind: TenantClass
        metadata: {{name: small}}
        spec:
          placement: {{pattern: Silo, vectorStore: S3Vectors}}
          limits: {{{limits}}}"
    ))
    .await;
    w.apply(&of_class("acme", "small")).await;
    let knowledge_base = w.stands_under("acme", Some("small")).await.status.knowledge_base_id.unwrap();
    w.upload("acme", &[("a.md", "The office opens at nine.")]).await;
    w.condition("acme", "DocumentsCurrent=True/Synced").await;
    knowledge_base
}

#[tokio::test]
async fn of_a_silo_no_job_reads_more_than_its_limit() {
    world(|w| async move {
        let knowledge_base = a_silo_within(&w, "documents: 2").await;
        let jobs = w.jobs(&knowledge_base).await;
        w.upload("acme", &[("b.md", "The office shuts at five."), ("c.md", "The office has a cat.")]).await;
        w.annotate("acme", "tenantry.dev/sync-requested-at", Some("now")).await;
        let told = w.condition("acme", "DocumentsCurrent=False/LimitExceeded").await;
        for part in [
            "There are 3 documents",
            "2 documents by TenantClass",
            "than the 1 document of 0.001 GB before the last job",
            "changed or deleted waits",
        ] {
            assert!(told.message("DocumentsCurrent").contains(part), "{}", told.describe());
        }
        assert!(
            told.is("Ready=True") && told.status.documents.is_some_and(|it| it.count == 3),
            "{}",
            told.describe()
        );
        assert_eq!(w.jobs(&knowledge_base).await, jobs, "no job for what is beyond");
        assert_eq!(names(&w.retrieve("acme", "office").await), ["a.md"]);
        // There is room again.
        let status = w.get("acme").await.status;
        let key = format!("{}c.md", status.prefix.unwrap());
        w.sdk.s3.delete_object().bucket(status.bucket.unwrap()).key(key).send().await.unwrap();
        w.touch_label("acme").await;
        w.condition("acme", "DocumentsCurrent=True/Synced").await;
        assert_eq!(names(&w.retrieve("acme", "office").await), ["a.md", "b.md"]);
    })
    .await;
}

#[tokio::test]
async fn between_two_jobs_of_a_silo_lie_as_many_minutes_as_its_class_says() {
    world(|w| async move {
        let knowledge_base = a_silo_within(&w, "minutesBetweenJobs: 525600").await;
        let jobs = w.jobs(&knowledge_base).await;
        w.upload("acme", &[("b.md", "The office shuts at five.")]).await;
        w.annotate("acme", "tenantry.dev/sync-requested-at", Some("now")).await;
        let waits = |it: &Object| {
            it.is("DocumentsCurrent=False/SyncRequested")
                && it
                    .message("DocumentsCurrent")
                    .contains("leaves 525600 minutes between the starts of two jobs")
        };
        let told = w.until("acme", "waits as its class says", waits).await;
        assert!(told.is("Ready=True"), "{}", told.describe());
        assert_eq!(w.jobs(&knowledge_base).await, jobs, "no job before its time");
        w.patch("TenantClass/small", json!({"spec": {"limits": {"minutesBetweenJobs": 1}}})).await;
        w.condition("acme", "DocumentsCurrent=True/Synced").await;
        assert_eq!(names(&w.retrieve("acme", "office").await), ["a.md", "b.md"]);
    })
    .await;
}

#[tokio::test]
async fn an_edit_of_a_class_moves_nobody_and_one_of_its_gateway_wakes_nobody() {
    world(|w| async move {
        w.apply(STACK).await;
        w.apply(BASIC).await;
        w.apply(PREMIUM).await;
        w.ready("SharedStack/standard").await;
        let pool: Vec<_> = (0..20).map(|n| format!("t{n}")).collect();
        for tenant in &pool {
            w.apply(&of_class(tenant, "basic")).await;
        }
        w.apply(&of_class("silo", "premium")).await;
        for tenant in &pool {
            w.stands_under(tenant, Some("basic")).await;
        }
        let silo = w.stands_under("silo", Some("premium")).await;
        let before = w.versions_of(&pool).await;
        let mark = w.double.mark().await;
        for weight in [2, 3, 4] {
            let gateway = json!({"spec": {"gateway": {"weight": weight, "requestsPerMinute": 60}}});
            w.patch("TenantClass/basic", gateway.clone()).await;
            w.patch("TenantClass/premium", gateway).await;
        }
        // Whoever is woken after this was woken by this.
        let tags = json!({"spec": {"defaults": {"tags": {"tier": "premium"}}}});
        w.patch("TenantClass/premium", tags).await;
        let bucket = silo.status.bucket.clone().unwrap();
        w.eventually("the tag of the class is on the bucket", || async {
            let tags = w.sdk.s3.get_bucket_tagging().bucket(&bucket).send().await.ok()?;
            tags.tag_set.iter().any(|tag| tag.key == "tier" && tag.value == "premium").then_some(())
        })
        .await;
        assert_eq!(w.versions_of(&pool).await, before, "an edit of `gateway` writes to nobody");
        let writes = w.double.journal(mark).await.mutating();
        let others =
            writes.only(|call| call.operation.starts_with("Create") || call.operation.starts_with("Delete"));
        assert!(others.is_empty(), "nothing is built or deleted:\n{others}");
        let after = w.ready("silo").await.status;
        assert_eq!((after.placement, after.bucket), (silo.status.placement, silo.status.bucket));
        // What decides where tenants are cannot be edited at all.
        let moved = json!({"spec": {"placement": {"vectorStore": "OpenSearchServerless"}}});
        let refused = w.try_patch("TenantClass/premium", moved).await;
        assert!(refused.is_err_and(|error| error.to_string().contains("create a second TenantClass")));
    })
    .await;
}

impl World {
    /// Changes a label: what is waited for after this has been judged anew.
    async fn touch_label(&self, tenant: &str) {
        let version = self.get(tenant).await.version().to_owned();
        self.patch(tenant, json!({"metadata": {"labels": {"touched": version}}})).await;
    }

    async fn versions_of(&self, tenants: &[String]) -> Vec<String> {
        let mut versions = Vec::new();
        for tenant in tenants {
            versions.push(self.get(tenant).await.version().to_owned());
        }
        versions
    }

    async fn try_patch(&self, object: &str, patch: Value) -> Result<(), kube::Error> {
        let (api, name) = self.find(object);
        api.patch(&name, &Default::default(), &kube::api::Patch::Merge(patch)).await.map(drop)
    }
}
