//! The classes that the cluster has, who stands under them, and our finalizer on those that are used. A class is several
//! installations', and an administrator's: nothing but the finalizer is written to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::api::{DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource, ResourceExt};

use super::Context;
use crate::api::{ConditionType, Pattern, Reason, Tenant, TenantClass};
use crate::documents::tally::{Bound, Bounds};
use crate::reconcile::classes::{Change, Class, Mark};
use crate::reconcile::tenants::Kept;
use crate::reconcile::unparsed::field;
use crate::reconcile::{Guarded, finalizer};
use crate::stack::model::blocked::Blocked;

/// How long a class that somebody else's Tenants use is left alone, before that is looked at again;
const LOOK_AGAIN: Duration = Duration::from_secs(300);
/// and how long one that is to go.
const LEAVES: Duration = Duration::from_secs(60);
/// How many Tenants a page of a list has.
const PAGE: u32 = 500;

impl Context {
    /// A class, from the cache; or why it cannot be used.
    pub fn class(&self, name: &str) -> Result<Class, Blocked> {
        let not_found = |message: String| Blocked { reason: Reason::ClassNotFound, message };
        let Some(found) = self.tenant_classes.get(&ObjectRef::new(name)) else {
            return Err(not_found(format!(
                "There is no TenantClass '{name}': name another in `classRef`, or ask an administrator to create it"
            )));
        };
        match &found.0 {
            Ok(class) => Ok(Class {
                name: name.into(),
                spec: Arc::new(class.spec.clone()),
                leaves: class.metadata.deletion_timestamp.is_some(),
            }),
            Err(_) => Err(not_found(format!("This release cannot read TenantClass '{name}'"))),
        }
    }

    /// Wakes all Tenants that name a class, or stand under it.
    pub fn wake_class(&self, class: &str) {
        self.wake_tenants(|tenant| tenant.is_of_class(class));
    }

    /// A class says something else: wakes those for whom something follows. What the class lets tenants of a pool have is looked
    /// at with the pool's documents.
    pub fn class_changed(&self, class: &str, change: Change) {
        let is_in_pool = |tenant: &Kept| tenant.standing().is_some_and(|it| it.pattern == Pattern::Pool);
        let is_accepted = |tenant: &Kept| {
            let status = tenant.common().and_then(|(_, status)| status);
            status.is_some_and(|status| status.is_true(ConditionType::Accepted))
        };
        self.wake_tenants(|tenant| {
            let follows = || {
                change.tenants
                    || change.limits && !is_in_pool(tenant)
                    || change.namespaces && !is_accepted(tenant)
            };
            tenant.is_of_class(class) && follows()
        });
        if change.limits {
            let of_class: Vec<_> =
                self.tenants.kept().into_iter().filter(|it| it.is_of_class(class)).collect();
            let pools = of_class.iter().filter(|tenant| is_in_pool(tenant));
            let stacks: BTreeSet<_> = pools.filter_map(|tenant| tenant.standing()?.stack).collect();
            stacks.into_iter().for_each(|stack| self.wake_stack(stack));
        }
    }

    /// Puts our finalizer on a class, before the status of a Tenant names it. One that is being deleted takes no finalizer any
    /// more, and nobody new.
    pub async fn hold_class(&self, class: &Class) -> Result<(), kube::Error> {
        if class.leaves || self.settings.read_only || self.is_held(&class.name) {
            return Ok(());
        }
        let _turn = self.classes.turn.lock().await;
        let released = match self.classes.marks.lock().get(&class.name) {
            // Somebody else had the turn for the same class.
            Some(Mark::Held) => return Ok(()),
            Some(Mark::Released(released)) => Some(released.clone()),
            None => None,
        };
        // What is gone is nobody's to hold; the next pass says so.
        let cached = || self.tenant_classes.get(&ObjectRef::new(&class.name));
        let Some(class) = released.or_else(cached) else { return Ok(()) };
        if !finalizer::has_finalizer(&*class, &self.finalizer()) {
            finalizer::take::<Guarded<TenantClass>>(&self.class_api(), &*class, &self.finalizer()).await?;
        }
        self.classes.marks.lock().insert(class.name_any(), Mark::Held);
        Ok(())
    }

    fn is_held(&self, class: &str) -> bool {
        matches!(self.classes.marks.lock().get(class), Some(Mark::Held))
    }

    /// A class as the watch shows it. Somebody may have taken our finalizer off: who stands under it puts it on again.
    pub fn class_seen(&self, class: &Guarded<TenantClass>) {
        let name = class.name_any();
        if !finalizer::has_finalizer(class, &self.finalizer()) && self.class_gone(&name) {
            self.wake_class(&name);
        }
        // One that is being deleted waits for nobody but its Tenants.
        self.classes.unused.notify_one();
    }

    /// A class, or our finalizer on it, is no more. Whether it was there.
    pub fn class_gone(&self, class: &str) -> bool {
        matches!(self.classes.marks.lock().remove(class), Some(Mark::Held))
    }

    /// A Tenant comes to a class. From here on it keeps the class, before its status says so.
    pub fn comes_to_class(&self, class: &str, uid: &str) {
        self.classes.coming.lock().insert(uid.into(), class.into());
    }

    /// A Tenant's status says under which class it stands.
    pub fn has_come_to_class(&self, uid: &str) {
        self.classes.coming.lock().remove(uid);
    }

    /// A Tenant does not come to a class after all, or is gone.
    pub fn comes_to_no_class(&self, uid: &str) {
        if self.classes.coming.lock().remove(uid).is_some() {
            self.classes.unused.notify_one();
        }
    }

    /// Takes our finalizer off the classes that nobody uses. Another operator of this installation may see other Tenants:
    /// before that, all there are are asked for.
    pub async fn release_classes(&self) -> Result<(), kube::Error> {
        if self.settings.read_only {
            return Ok(());
        }
        let _turn = self.classes.turn.lock().await;
        let mut unused = self.marked_classes();
        if !unused.is_empty() {
            let used = self.used_classes();
            unused.retain(|class| !used.contains(&class.name_any()));
        }
        if unused.is_empty() {
            return Ok(());
        }
        let others = self.listed_classes(&unused).await?;
        for class in unused {
            let name = class.name_any();
            if others.contains(&name) {
                self.classes.others.lock().insert(name, Instant::now());
                continue;
            }
            // From here on whoever comes waits for the turn. Who came before, and found it held, is seen now.
            self.classes.marks.lock().remove(&name);
            if self.used_classes().contains(&name) {
                continue;
            }
            let api = self.class_api();
            if let Some(released) = finalizer::release(&api, &*class, &self.finalizer()).await? {
                self.classes.marks.lock().insert(name.clone(), Mark::Released(Arc::new(released)));
            }
            tracing::info!(class = name, "no Tenant stands under the TenantClass any more");
        }
        Ok(())
    }

    /// The classes that carry our finalizer, but for those of which somebody else was found to need it.
    fn marked_classes(&self) -> Vec<Arc<Guarded<TenantClass>>> {
        let mut classes = self.tenant_classes.state();
        let marks = self.classes.marks.lock();
        classes.retain(|class| {
            let is_released = matches!(marks.get(&class.name_any()), Some(Mark::Released(_)));
            let leaves = class.meta().deletion_timestamp.is_some();
            finalizer::has_finalizer(&**class, &self.finalizer())
                && !is_released
                && !self.was_others(&class.name_any(), if leaves { LEAVES } else { LOOK_AGAIN })
        });
        classes
    }

    /// Whether a class was found to be somebody else's a moment ago.
    fn was_others(&self, class: &str, moment: Duration) -> bool {
        self.classes.others.lock().get(class).is_some_and(|at| self.clock.since(*at) < moment)
    }

    /// Those of these classes that Tenants of the installation use, whoever sees them. Whoever makes a Tenant can write our
    /// finalizer into it, and name any class; the records say whose a tenantId is. While they do not, it counts.
    async fn listed_classes(
        &self,
        unused: &[Arc<Guarded<TenantClass>>],
    ) -> Result<BTreeSet<String>, kube::Error> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &ApiResource::erase::<Tenant>(&()));
        let (mut used, mut params) = (BTreeSet::new(), ListParams::default().limit(PAGE));
        loop {
            let page = api.list(&params).await?;
            for tenant in &page.items {
                let class = field(tenant, "/status/class").or_else(|| field(tenant, "/spec/classRef/name"));
                let class = class.filter(|class: &String| unused.iter().any(|it| it.name_any() == *class));
                if let Some(class) = class.filter(|class| !used.contains(class))
                    && finalizer::has_finalizer(tenant, &self.finalizer())
                    && self.may_have_its_id(tenant).await
                {
                    used.insert(class);
                }
            }
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(used);
            }
        }
    }

    /// Whether a Tenant has its tenantId, as far as the records say. Whose an id is that this process has not met is read. Of one
    /// that another operator looks after, ours say nothing: it counts.
    async fn may_have_its_id(&self, tenant: &DynamicObject) -> bool {
        let object = ObjectRef::new(&tenant.name_any()).within(&tenant.namespace().unwrap_or_default());
        if self.tenants.get(&object).is_none() {
            return true;
        }
        let tenant_id: String = field(tenant, "/spec/tenantId").unwrap_or_default();
        let uid = tenant.uid().unwrap_or_default();
        self.has_id(&tenant_id, &uid)
            || match self.ids.read(&tenant_id).await {
                Ok(kept) => kept.is_some() && self.has_id(&tenant_id, &uid),
                Err(_) => true,
            }
    }

    /// The classes under which somebody stands, or is about to. Who only names one, and was not let in, does not keep it.
    fn used_classes(&self) -> BTreeSet<String> {
        let coming = self.classes.coming.lock();
        let mut used = BTreeSet::new();
        for tenant in self.tenants.kept() {
            let stands = tenant.common().and_then(|(_, status)| status?.class.as_deref());
            let comes = tenant.meta().uid.as_ref().and_then(|uid| coming.get(uid)).map(String::as_str);
            for class in [stands, comes].into_iter().flatten() {
                if !used.contains(class) {
                    used.insert(class.to_owned());
                }
            }
        }
        used
    }

    fn class_api(&self) -> Api<Guarded<TenantClass>> {
        Api::all(self.client.clone())
    }

    /// How many documents these tenants of a pool may have. `recorded` are the ids that had a record before the tenants were looked
    /// for: who gets one while the documents are looked at, was not seen to be accepted yet, or has lost its class, gets nothing
    /// new into the index meanwhile. Once a document is there, no limit takes it away. An id without a Tenant is bound by nothing.
    pub fn document_bounds(&self, recorded: Option<Vec<String>>, tenants: &[Arc<Kept>]) -> Bounds {
        let unseen = Some(Arc::new(Bound::closed("")));
        let others = unseen.clone().filter(|_| recorded.is_some());
        let mut known: HashMap<_, _> = recorded.into_iter().flatten().map(|id| (id, None)).collect();
        let mut by_class: BTreeMap<&str, Option<Arc<Bound>>> = BTreeMap::new();
        for tenant in self.tenants.kept().iter().filter(|tenant| tenant.standing().is_none()) {
            if let Some(id) = tenant.tenant_id()
                && self.ids.is_holder(id, tenant.meta().uid.as_deref().unwrap_or_default())
            {
                known.insert(id.to_owned(), unseen.clone());
            }
        }
        for tenant in tenants {
            let Some((spec, status)) = tenant.common() else { continue };
            let Some(id) = tenant.tenant_id() else { continue };
            let class = status.and_then(|status| status.class.as_deref());
            let is_accepted = status.is_some_and(|status| status.placement.is_some());
            let its = match class {
                None if spec.class_ref.is_some() && !is_accepted => unseen.clone(),
                None => None,
                Some(class) => {
                    let its = by_class.entry(class);
                    its.or_insert_with(|| self.document_bound(class).map(Arc::new)).clone()
                }
            };
            known.insert(id.to_owned(), its);
        }
        Bounds { known, others }
    }

    fn document_bound(&self, class: &str) -> Option<Bound> {
        match self.class(class) {
            Ok(its) => Bound::of(class, &its.limits()),
            Err(_) => Some(Bound::closed(class)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use crate::api::{Pattern, VectorStore};
    use crate::reconcile::ids::Ids;
    use crate::reconcile::mocked::{
        Exchange, FINALIZER, api_server, context, get_object, ids, json_patch, read, store, tenant, tenants,
        with,
    };
    use crate::records::in_memory::InMemory;
    use crate::stack::identity::{Identity, Owner, Scope};
    use crate::stack::record::Claimant;

    const CLASS: &str = "/apis/tenantry.dev/v1alpha1/tenantclasses/basic";

    fn basic() -> Value {
        let metadata =
            json!({"name": "basic", "uid": "u-1", "resourceVersion": "3", "finalizers": [FINALIZER]});
        json!({"apiVersion": "tenantry.dev/v1alpha1", "kind": "TenantClass", "metadata": metadata, "spec": {}})
    }

    /// A Tenant that stands under the class, or only names it.
    fn of_basic(status: Value, metadata: Value) -> Value {
        let spec = json!({"tenantId": "acme", "pattern": "Silo", "classRef": {"name": "basic"}});
        with(tenant(metadata), json!({"spec": spec, "status": status}))
    }

    fn stands() -> Value {
        json!({"class": "basic"})
    }

    fn held() -> Value {
        json!({"finalizers": [FINALIZER]})
    }

    /// All Tenants that there are, as one asks who may not see them all.
    fn listed(items: Vec<Value>) -> Exchange {
        page("", items, "")
    }

    fn page(token: &str, items: Vec<Value>, next: &str) -> Exchange {
        let metadata = json!({"continue": next});
        let list = json!({"apiVersion": "tenantry.dev/v1alpha1", "kind": "TenantList", "metadata": metadata, "items": items});
        get_object(format!("/apis/tenantry.dev/v1alpha1/tenants?&limit=500{token}")).answered(list)
    }

    /// Our finalizer is put on the class as it was in this version.
    fn takes(version: &str) -> Exchange {
        json_patch(
            CLASS,
            json!([
                {"op": "test", "path": "/metadata/uid", "value": "u-1"},
                {"op": "test", "path": "/metadata/resourceVersion", "value": version},
                {"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]},
            ]),
        )
    }

    fn released() -> Exchange {
        let patch = json!([
            {"op": "test", "path": "/metadata/uid", "value": "u-1"},
            {"op": "test", "path": "/metadata/finalizers/0", "value": FINALIZER},
            {"op": "remove", "path": "/metadata/finalizers/0"},
        ]);
        json_patch(CLASS, patch).answered(with(
            basic(),
            json!({"metadata": {"name": "basic", "uid": "u-1", "resourceVersion": "4"}}),
        ))
    }

    /// What is asked of the API server while these Tenants are seen.
    async fn releases(seen: Vec<Value>, expected: Vec<Exchange>) {
        let server = api_server(expected);
        let mut cx = context(server.client());
        cx.ids = records().await;
        cx.tenant_classes = store([basic()]);
        cx.tenants = tenants(seen);
        cx.release_classes().await.unwrap();
    }

    /// As they are where acme is the Tenant with the uid `uid-acme`.
    async fn records() -> Ids {
        let ids = ids(InMemory::default());
        let (namespace, name) = ("tenants".into(), "acme".into());
        let pattern = Pattern::Silo;
        let owner = Owner::Tenant { namespace, name, tenant_id: "acme".into(), pattern, stack: None };
        let id =
            Identity::new(Arc::new(Scope::new("prod", "111122223333", "eu-central-1")), owner, "uid-acme");
        let store = VectorStore::default();
        let claimant = Claimant { id: &id, store, namespace_uid: "n-1", named: false, approved: None };
        assert_eq!(ids.give(&claimant, None).await, Ok(true));
        ids
    }

    #[tokio::test]
    async fn a_class_is_released_when_nobody_stands_under_it() {
        releases(vec![], vec![listed(vec![]), released()]).await;
        releases(vec![of_basic(stands(), held())], vec![]).await;
        // Who only names it, and was not let in, does not keep it from being deleted.
        let refused = of_basic(json!({}), json!({}));
        releases(vec![refused.clone()], vec![listed(vec![refused]), released()]).await;
    }

    /// Another operator of the installation sees Tenants that this one does not.
    #[tokio::test]
    async fn a_class_that_others_use_stays_held() {
        for anothers in [of_basic(stands(), held()), of_basic(json!({}), held())] {
            releases(vec![], vec![listed(vec![anothers])]).await;
        }
        // It is on the second page.
        let others =
            vec![page("", vec![], "more"), page("&continue=more", vec![of_basic(stands(), held())], "")];
        releases(vec![], others).await;
        // Anybody can write our finalizer into a Tenant, and name the class and another's tenantId, or one that is nobody's.
        let anothers_id = of_basic(json!({}), with(held(), json!({"uid": "uid-other"})));
        let mut nobodys_id = of_basic(json!({}), held());
        nobodys_id["spec"]["tenantId"] = json!("nobodys");
        for made_up in [anothers_id, nobodys_id] {
            releases(vec![made_up.clone()], vec![listed(vec![made_up]), released()]).await;
        }
        let its_own = of_basic(json!({}), held());
        releases(vec![its_own.clone()], vec![listed(vec![its_own])]).await;
        let of_another_installation = of_basic(stands(), json!({"finalizers": ["tenantry.dev/other"]}));
        releases(vec![], vec![listed(vec![of_another_installation]), released()]).await;
    }

    #[tokio::test]
    async fn who_is_about_to_stand_under_a_class_keeps_it() {
        let server = api_server([]);
        let mut cx = context(server.client());
        cx.tenant_classes = store([basic()]);
        cx.tenants = tenants([of_basic(json!({}), json!({}))]);
        cx.comes_to_class("basic", "uid-acme");
        cx.hold_class(&cx.class("basic").unwrap()).await.unwrap();
        cx.release_classes().await.unwrap();
        assert!(cx.is_held("basic"));
    }

    /// The watch shows later what was written: until then the cache has the class as it was before.
    #[tokio::test]
    async fn a_class_that_was_released_is_held_anew_whatever_the_cache_shows() {
        let refused = takes("4").refused(422);
        let server = api_server([listed(vec![]), released(), refused, takes("4").answered(basic())]);
        let mut cx = context(server.client());
        cx.tenant_classes = store([basic()]);
        cx.tenants = tenants([of_basic(json!({}), json!({}))]);
        let class = cx.class("basic").unwrap();
        cx.hold_class(&class).await.unwrap();
        cx.release_classes().await.unwrap();
        cx.release_classes().await.unwrap();
        assert!(!cx.is_held("basic"));
        cx.class_seen(&read(basic()));
        cx.comes_to_class("basic", "uid-acme");
        assert!(cx.hold_class(&class).await.is_err(), "somebody has edited it since");
        cx.hold_class(&class).await.unwrap();
        cx.release_classes().await.unwrap();
        assert!(cx.is_held("basic"));
    }

    #[tokio::test]
    async fn of_many_who_come_to_a_class_at_once_one_holds_it() {
        let server = api_server([takes("3").answered(basic())]);
        let mut cx = context(server.client());
        cx.tenant_classes = store([with(
            basic(),
            json!({"metadata": {"name": "basic", "uid": "u-1",
            "resourceVersion": "3"}}),
        )]);
        let class = cx.class("basic").unwrap();
        futures::future::try_join_all((0..9).map(|_| cx.hold_class(&class))).await.unwrap();
        assert!(cx.is_held("basic"));
    }

    #[tokio::test]
    async fn who_is_not_known_to_be_accepted_or_has_lost_its_class_gets_nothing_new_indexed() {
        let server = api_server([]);
        let mut cx = context(server.client());
        let limits = json!({"spec": {"limits": {"documents": 9}}});
        cx.tenant_classes = store([with(basic(), limits)]);
        let pool = json!({"pattern": "Pool", "stackRef": {"name": "standard"}});
        let of = |id: &str, class: Option<&str>, status: Value| {
            let spec = with(json!({"tenantId": id}), pool.clone());
            let spec = class.map_or(spec.clone(), |class| with(spec, json!({"classRef": {"name": class}})));
            with(tenant(json!({"name": id, "uid": id})), json!({"spec": spec, "status": status}))
        };
        let accepted = |class: Value| json!({"placement": pool, "class": class});
        let all = tenants([
            of("acme", Some("basic"), accepted("basic".into())),
            of("lost", Some("gone"), accepted("gone".into())),
            of("moves", Some("gone"), accepted(Value::Null)),
            of("free", None, json!({})),
            of("new", Some("basic"), json!({})),
        ]);
        let recorded = Some(vec!["acme".to_owned(), "left".to_owned()]);
        let unknown = cx.document_bounds(None, &[]);
        let bounds = cx.document_bounds(recorded, &all.of_pool("standard"));
        let may = |id: &str| bounds.of(id).map(|it| (it.class.as_str(), it.documents));
        assert_eq!(may("acme"), Some(("basic", Some(9))));
        assert_eq!(may("lost"), Some(("gone", Some(0))));
        assert_eq!((may("moves"), may("free")), (None, None));
        assert_eq!((may("new"), may("who-comes-later")), (Some(("", Some(0))), Some(("", Some(0)))));
        assert_eq!(
            (may("left"), unknown.of("anybody")),
            (None, None),
            "there is no Tenant that a class could bind"
        );
    }

    /// Its record is there, and its status is not seen yet.
    #[tokio::test]
    async fn who_leaves_its_place_to_a_class_gets_nothing_indexed_before_its_status_is_seen() {
        let server = api_server([]);
        let mut cx = context(server.client());
        cx.ids = records().await;
        let object = tenant(json!({}));
        let of = |status: Value| {
            let mut object = object.clone();
            object["spec"] = json!({"tenantId": "acme", "classRef": {"name": "basic"}});
            object["status"] = status;
            tenants([object])
        };
        cx.tenants = of(json!({}));
        let may = |cx: &crate::reconcile::context::Context| {
            let bounds = cx.document_bounds(cx.ids.recorded(), &cx.tenants.of_pool("standard"));
            bounds.of("acme").map(|it| it.documents)
        };
        assert_eq!(may(&cx), Some(Some(0)));
        let placement = json!({"pattern": "Pool", "stackRef": {"name": "standard"}});
        cx.tenants = of(json!({"placement": placement}));
        assert_eq!(may(&cx), None);
    }
}
