//! Which Tenant has a tenantId, as the cluster says at this moment. Readers take no lock: the map is in many parts, each of
//! which is replaced whole, so that a change costs little and is seen at once.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use arc_swap::ArcSwap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::runtime::watcher::Event;
use parking_lot::Mutex;
use serde_json::json;

use crate::api::guarded::Guarded;
use crate::api::{Pattern, SharedStack, Tenant};
use crate::ask::refusal::Refusal;
use crate::ask::whose::{self, Asked};

/// How those stand that may be asked for.
pub const STATES: [&str; 4] = ["ready", "unready", "leaving", "twice"];
/// In how many parts the map is.
const PARTS: usize = 256;

/// A Tenant that this installation has accepted.
#[derive(Debug)]
pub struct Known {
    /// `spec.tenantId`.
    pub tenant_id: Arc<str>,
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its uid.
    pub uid: Arc<str>,
    /// How isolated it is.
    pub pattern: Pattern,
    /// The SharedStack that it borrows from.
    pub stack: Option<Box<str>>,
    /// The class that it was last accepted in, which is not always the one that its spec names.
    pub class: Option<Box<str>>,
    /// What may be asked for it, or why nothing may.
    pub asked: Result<Arc<Asked>, Refusal>,
}

impl Known {
    /// `None` if it is not one that may be asked for: the Tenant of another installation, or one that is not accepted.
    fn of(installation: &str, tenant: &Tenant) -> Option<Self> {
        let tenant_id = &tenant.spec.tenant_id;
        whose::holder(installation, tenant_id, [tenant])?;
        let standing = tenant.standing()?;
        let ObjectMeta { namespace, name, uid, .. } = &tenant.metadata;
        Some(Self {
            tenant_id: tenant_id.as_str().into(),
            namespace: namespace.as_deref().unwrap_or_default().into(),
            name: name.as_deref().unwrap_or_default().into(),
            uid: uid.as_deref().unwrap_or_default().into(),
            pattern: standing.pattern,
            stack: standing.stack.map(Into::into),
            class: tenant.status.as_ref().and_then(|status| status.class.as_deref()).map(Into::into),
            asked: Asked::of(installation, tenant).map(Arc::new),
        })
    }

    /// The Tenant, as far as a record speaks of it.
    pub fn recorded(&self) -> Option<Tenant> {
        let stack = self.stack.as_ref().map(|name| json!({"name": name}));
        let tenant = json!({
            "apiVersion": Tenant::api_version(&()), "kind": Tenant::kind(&()),
            "metadata": {"namespace": self.namespace, "name": self.name, "uid": &*self.uid},
            "spec": {"tenantId": &*self.tenant_id, "pattern": self.pattern, "stackRef": stack},
        });
        serde_json::from_value(tenant).ok()
    }

    fn state(&self) -> &'static str {
        match &self.asked {
            Ok(_) => "ready",
            Err(Refusal::Leaving) => "leaving",
            Err(_) => "unready",
        }
    }
}

/// Who says to have a tenantId.
#[derive(Clone)]
enum Holders {
    One(Arc<Known>),
    Several(Vec<Arc<Known>>),
}

impl Holders {
    fn all(&self) -> &[Arc<Known>] {
        match self {
            Holders::One(one) => std::slice::from_ref(one),
            Holders::Several(several) => several,
        }
    }

    fn of(all: Vec<Arc<Known>>) -> Option<Self> {
        match &all[..] {
            [] => None,
            [one] => Some(Holders::One(one.clone())),
            _ => Some(Holders::Several(all)),
        }
    }
}

type Part = HashMap<Arc<str>, Holders>;

/// What a SharedStack lends to the tenants that are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lent {
    knowledge_base: Option<String>,
    bucket: Option<String>,
    key: Option<String>,
}

/// All Tenants that may be asked for.
pub struct Tenants {
    installation: String,
    hasher: RandomState,
    parts: Vec<ArcSwap<Part>>,
    stacks: ArcSwap<HashMap<String, Lent>>,
    writer: Mutex<Writer>,
}

/// What only whoever takes in changes needs.
#[derive(Default)]
struct Writer {
    /// By namespace and name; and which listing has shown it last.
    objects: HashMap<Box<str>, (Arc<Known>, u32)>,
    listing: u32,
    stacks: HashMap<String, (Lent, u32)>,
    stacks_listing: u32,
}

impl Tenants {
    /// None yet.
    pub fn new(installation: &str) -> Self {
        Self {
            installation: installation.into(),
            hasher: RandomState::new(),
            parts: (0..PARTS).map(|_| ArcSwap::default()).collect(),
            stacks: ArcSwap::default(),
            writer: Mutex::default(),
        }
    }

    /// The Tenant that has a tenantId; of two nobody has it.
    pub fn get(&self, tenant_id: &str) -> Option<Arc<Known>> {
        match self.part(tenant_id).load().get(tenant_id)? {
            Holders::One(known) => Some(known.clone()),
            Holders::Several(_) => None,
        }
    }

    /// Whether what a Tenant says of its SharedStack is what that says of itself. A stack is an administrator's object.
    pub fn agrees_with_stack(&self, asked: &Asked) -> bool {
        let Some(name) = &asked.stack else { return true };
        let stacks = self.stacks.load();
        let Some(lent) = stacks.get(name) else { return false };
        let in_bucket = lent.bucket.as_deref().is_some_and(|bucket| asked.place.is_in(bucket));
        let is_its_pool = || {
            lent.knowledge_base.as_deref() == Some(asked.knowledge_base())
                && lent.key.as_deref() == asked.filter().map(|(key, _)| key)
        };
        in_bucket && (asked.pattern != Pattern::Pool || is_its_pool())
    }

    fn part(&self, tenant_id: &str) -> &ArcSwap<Part> {
        let at = self.hasher.hash_one(tenant_id) as usize % PARTS;
        &self.parts[at]
    }

    /// Takes in what the watch of Tenants tells.
    pub fn take(&self, event: Event<Guarded<Tenant>>) {
        let mut writer = self.writer.lock();
        match event {
            Event::Init => writer.listing = writer.listing.wrapping_add(1),
            Event::InitApply(tenant) | Event::Apply(tenant) => self.put(&mut writer, &tenant),
            Event::Delete(tenant) => self.remove(&mut writer, &key(tenant.meta())),
            Event::InitDone => {
                let listing = writer.listing;
                let gone = writer.objects.iter().filter(|(_, (_, shown))| *shown != listing);
                let gone: Vec<_> = gone.map(|(key, _)| key.clone()).collect();
                for key in gone {
                    self.remove(&mut writer, &key);
                }
            }
        }
    }

    fn put(&self, writer: &mut Writer, tenant: &Guarded<Tenant>) {
        let key = key(tenant.meta());
        let known = tenant.0.as_ref().ok().and_then(|tenant| Known::of(&self.installation, tenant));
        self.remove(writer, &key);
        let Some(known) = known.map(Arc::new) else { return };
        writer.objects.insert(key, (known.clone(), writer.listing));
        self.change(&known.tenant_id, |holders| holders.push(known.clone()));
    }

    fn remove(&self, writer: &mut Writer, key: &str) {
        let Some((gone, _)) = writer.objects.remove(key) else { return };
        self.change(&gone.tenant_id, |holders| holders.retain(|it| !Arc::ptr_eq(it, &gone)));
    }

    /// Puts another part in the place of the one that has an id.
    fn change(&self, tenant_id: &Arc<str>, change: impl FnOnce(&mut Vec<Arc<Known>>)) {
        let place = self.part(tenant_id);
        let mut part = Part::clone(&place.load());
        let mut holders = part.remove(tenant_id).map(|it| it.all().to_vec()).unwrap_or_default();
        change(&mut holders);
        if let Some(holders) = Holders::of(holders) {
            part.insert(tenant_id.clone(), holders);
        }
        place.store(Arc::new(part));
    }

    /// Takes in what the watch of SharedStacks tells.
    pub fn take_stack(&self, event: Event<Guarded<SharedStack>>) {
        let mut writer = self.writer.lock();
        let listing = writer.stacks_listing;
        match event {
            Event::Init => writer.stacks_listing = listing.wrapping_add(1),
            Event::InitApply(stack) | Event::Apply(stack) => {
                let name = stack.meta().name.clone().unwrap_or_default();
                match stack.0.as_ref().ok().and_then(|stack| self.lent(stack)) {
                    Some(lent) => drop(writer.stacks.insert(name, (lent, listing))),
                    None => drop(writer.stacks.remove(&name)),
                }
            }
            Event::Delete(stack) => {
                writer.stacks.remove(stack.meta().name.as_deref().unwrap_or_default());
            }
            Event::InitDone => writer.stacks.retain(|_, (_, shown)| *shown == listing),
        }
        let now = writer.stacks.iter().map(|(name, (lent, _))| (name.clone(), lent.clone()));
        self.stacks.store(Arc::new(now.collect()));
    }

    fn lent(&self, stack: &SharedStack) -> Option<Lent> {
        let hold = crate::api::finalizer_name(&self.installation);
        let is_ours = stack.metadata.finalizers.iter().flatten().any(|it| *it == hold);
        let status = stack.status.as_ref().filter(|_| is_ours)?;
        Some(Lent {
            knowledge_base: status.knowledge_base_id.clone(),
            bucket: status.bucket.clone(),
            key: stack.spec.pool.as_ref().map(|pool| pool.tenant_id_key.clone()),
        })
    }

    /// How many there are in each state.
    pub fn count(&self) -> [(&'static str, usize); STATES.len()] {
        let mut counts = STATES.map(|state| (state, 0));
        let parts: Vec<_> = self.parts.iter().map(ArcSwap::load).collect();
        for holders in parts.iter().flat_map(|part| part.values()) {
            let state = match holders {
                Holders::One(known) => known.state(),
                Holders::Several(_) => "twice",
            };
            if let Some((_, count)) = counts.iter_mut().find(|(name, _)| *name == state) {
                *count += 1;
            }
        }
        counts
    }
}

fn key(meta: &ObjectMeta) -> Box<str> {
    let (namespace, name) = (meta.namespace.as_deref(), meta.name.as_deref());
    format!("{}/{}", namespace.unwrap_or_default(), name.unwrap_or_default()).into()
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::Value;

    use super::*;

    /// A Tenant of a pool as the API server shows it, with some of its fields changed.
    pub fn tenant(name: &str, tenant_id: &str, change: &Value) -> Guarded<Tenant> {
        let mut tenant = json!({
            "apiVersion": "tenantry.dev/v1alpha1", "kind": "Tenant",
            "metadata": {"name": name, "namespace": "tenants", "uid": format!("uid-{name}"), "finalizers": ["tenantry.dev/prod"]},
            "spec": {"tenantId": tenant_id, "pattern": "Pool", "stackRef": {"name": "standard"}},
            "status": {
                "knowledgeBaseId": "KB12345678", "bucket": "docs", "prefix": format!("pool/{tenant_id}/"),
                "retrievalFilter": {"equals": {"key": "tenantId", "value": tenant_id}},
                "conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
                    "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            },
        });
        merge(&mut tenant, change);
        serde_json::from_value(tenant).unwrap()
    }

    fn merge(into: &mut Value, change: &Value) {
        match change.as_object() {
            Some(fields) if into.is_object() => {
                fields.iter().for_each(|(name, value)| merge(&mut into[name], value))
            }
            _ => *into = change.clone(),
        }
    }

    pub fn stack(change: &Value) -> Guarded<SharedStack> {
        let mut stack = json!({
            "apiVersion": "tenantry.dev/v1alpha1", "kind": "SharedStack",
            "metadata": {"name": "standard", "uid": "uid-standard", "finalizers": ["tenantry.dev/prod"]},
            "spec": {"pool": {}},
            "status": {"knowledgeBaseId": "KB12345678", "bucket": "docs"},
        });
        merge(&mut stack, change);
        serde_json::from_value(stack).unwrap()
    }

    pub fn known(tenants: &Tenants, tenant_id: &str) -> Arc<Known> {
        tenants.get(tenant_id).unwrap()
    }

    #[test]
    fn a_change_is_seen_at_once() {
        let tenants = Tenants::new("prod");
        assert!(tenants.get("acme").is_none());
        tenants.take(Event::Apply(tenant("a", "acme", &json!({}))));
        assert_eq!(known(&tenants, "acme").asked.as_ref().unwrap().knowledge_base(), "KB12345678");
        let leaving = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        tenants.take(Event::Apply(tenant("a", "acme", &leaving)));
        assert_eq!(known(&tenants, "acme").asked, Err(Refusal::Leaving));
        tenants.take(Event::Delete(tenant("a", "acme", &json!({}))));
        assert!(tenants.get("acme").is_none());
    }

    #[test]
    fn nobody_is_found_who_is_not_accepted_by_this_installation() {
        let tenants = Tenants::new("prod");
        for change in [
            json!({"metadata": {"finalizers": ["tenantry.dev/other"]}}),
            json!({"metadata": {"finalizers": null}}),
            json!({"status": {"conditions": []}}),
            json!({"status": null}),
            json!({"spec": {"pattern": "Moat"}}),
        ] {
            tenants.take(Event::Apply(tenant("a", "acme", &json!({}))));
            assert!(tenants.get("acme").is_some());
            tenants.take(Event::Apply(tenant("a", "acme", &change)));
            assert!(tenants.get("acme").is_none(), "{change}");
        }
    }

    #[test]
    fn a_tenants_class_is_the_last_that_was_accepted() {
        let tenants = Tenants::new("prod");
        tenants.take(Event::Apply(tenant("a", "acme", &json!({}))));
        assert_eq!(known(&tenants, "acme").class, None);
        let accepted = json!({"spec": {"classRef": {"name": "premium"}}, "status": {"class": "basic"}});
        tenants.take(Event::Apply(tenant("a", "acme", &accepted)));
        assert_eq!(known(&tenants, "acme").class.as_deref(), Some("basic"));
    }

    #[test]
    fn an_id_that_two_have_is_nobodys_until_one_is_gone() {
        let tenants = Tenants::new("prod");
        tenants.take(Event::Apply(tenant("a", "acme", &json!({}))));
        let refused = json!({"status": {"conditions": []}});
        tenants.take(Event::Apply(tenant("squatter", "acme", &refused)));
        assert!(tenants.get("acme").is_some(), "one that is refused does not count");
        tenants.take(Event::Apply(tenant("b", "acme", &json!({}))));
        assert!(tenants.get("acme").is_none());
        assert_eq!(tenants.count(), [("ready", 0), ("unready", 0), ("leaving", 0), ("twice", 1)]);
        tenants.take(Event::Delete(tenant("a", "acme", &json!({}))));
        assert_eq!(&*known(&tenants, "acme").name, "b");
    }

    #[test]
    fn a_listing_forgets_what_it_does_not_show() {
        let tenants = Tenants::new("prod");
        for (name, id) in [("a", "acme"), ("gone", "gone")] {
            tenants.take(Event::Apply(tenant(name, id, &json!({}))));
        }
        tenants.take(Event::Init);
        tenants.take(Event::InitApply(tenant("a", "acme", &json!({}))));
        assert!(tenants.get("gone").is_some(), "until the listing is complete");
        tenants.take(Event::InitDone);
        assert!(tenants.get("gone").is_none() && tenants.get("acme").is_some());
        let unready = json!({"status": {"knowledgeBaseId": null}});
        tenants.take(Event::Apply(tenant("u", "umbrella", &unready)));
        assert_eq!(tenants.count(), [("ready", 1), ("unready", 1), ("leaving", 0), ("twice", 0)]);
    }

    #[test]
    fn a_tenant_is_asked_for_only_where_its_stack_says_the_same() {
        let tenants = Tenants::new("prod");
        tenants.take(Event::Apply(tenant("a", "acme", &json!({}))));
        let acme = known(&tenants, "acme");
        let agrees = || tenants.agrees_with_stack(acme.asked.as_ref().unwrap());
        assert!(!agrees(), "its stack is not seen");
        for (change, expected) in [
            (json!({}), true),
            (json!({"status": {"knowledgeBaseId": "KB00000000"}}), false),
            (json!({"status": {"bucket": "others"}}), false),
            (json!({"spec": {"pool": {"tenantIdKey": "customer"}}}), false),
            (json!({"metadata": {"finalizers": []}}), false),
            (json!({}), true),
        ] {
            tenants.take_stack(Event::Apply(stack(&change)));
            assert_eq!(agrees(), expected, "{change}");
        }
        tenants.take_stack(Event::Init);
        tenants.take_stack(Event::InitDone);
        assert!(!agrees(), "it is gone");
    }

    #[test]
    fn a_record_is_compared_with_what_is_known() {
        let tenants = Tenants::new("prod");
        let object = tenant("a", "acme", &json!({}));
        tenants.take(Event::Apply(object.clone()));
        let (recorded, object) = (known(&tenants, "acme").recorded().unwrap(), object.0.unwrap());
        assert_eq!(recorded.metadata.uid, object.metadata.uid);
        assert_eq!(recorded.metadata.name, object.metadata.name);
        assert_eq!(recorded.metadata.namespace, object.metadata.namespace);
        assert_eq!(recorded.spec, object.spec);
    }
}
