//! How the objects stand at the moment of a scrape. Nothing is kept between two: a series cannot outlive its object.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::{Resource, ResourceExt};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue};
use prometheus_client::metrics::MetricType;

use crate::api::metric::{
    CLASS_BYTES, CLASS_DOCUMENTS, CLASS_TENANTS, CONDITION, DELETION, JOB_SLOTS, JOBS_RUNNING, JOBS_WAITING,
    LAST_JOB, LONGEST_WAIT, Labels, MODEL_END, Metric, OBJECTS, OLDEST_DELETION, RECORDS_LOST, UNCLAIMED,
    UNREADABLE,
};
use crate::api::{
    ConditionType, IngestionStatus, KnowledgeBase, Pattern, SharedStack, Status, Tenant, TenantSpec,
    condition,
};
use crate::documents::scheduler::Load;
use crate::reconcile::context::Context;
use crate::reconcile::ids::Phase;
use crate::reconcile::models::of_bedrock;
use crate::reconcile::tenants::Kept;

/// See the [module](self).
pub struct Objects(pub Arc<Context>);

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Objects")
    }
}

/// What is told of an object.
struct Object<'a> {
    kind: &'a str,
    meta: &'a ObjectMeta,
    conditions: &'a [Condition],
    job: Option<&'a IngestionStatus>,
}

impl<'a> Object<'a> {
    fn new(kind: &'a str, meta: &'a ObjectMeta, status: Option<&'a Status>) -> Self {
        let conditions = status.map_or(&[][..], |status| &status.conditions);
        Self { kind, meta, conditions, job: status.and_then(|status| status.ingestion.as_ref()) }
    }

    fn is_ready(&self) -> bool {
        condition::is_true(self.conditions, ConditionType::Ready)
    }

    /// Those come first that are wanted most: who is not Ready, then who is otherwise in trouble, as one whose documents
    /// are not read.
    fn rank(&self) -> impl Ord + use<'a> {
        let in_trouble = self
            .conditions
            .iter()
            .any(|it| ConditionType::parse(&it.type_).is_some_and(|kind| kind.is_trouble(&it.status)));
        (self.is_ready(), !in_trouble, self.id())
    }

    /// The labels that say which it is.
    fn id(&self) -> [&'a str; 3] {
        [
            self.kind,
            self.meta.namespace.as_deref().unwrap_or_default(),
            self.meta.name.as_deref().unwrap_or_default(),
        ]
    }
}

fn write<const LABELS: usize, N: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    metric: &Metric<LABELS>,
    series: impl IntoIterator<Item = (Labels<LABELS>, N)>,
) -> fmt::Result {
    let mut page = encoder.encode_descriptor(metric.name, metric.meaning, None, MetricType::Gauge)?;
    for (labels, value) in series {
        page.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

impl Collector for Objects {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (tenants, stacks) = (self.0.tenants.kept(), self.0.stacks.state());
        let (tenant, stack) = (Tenant::kind(&()), SharedStack::kind(&()));
        let unreadable = [
            (&*tenant, tenants.iter().filter(|it| it.common().is_none()).count()),
            (&*stack, stacks.iter().filter(|it| it.0.is_err()).count()),
        ];
        let unreadable = unreadable.map(|(kind, count)| (UNREADABLE.of([kind]), count as u64));
        write(&mut encoder, &UNREADABLE, unreadable)?;
        let names: Vec<_> = self.0.tenant_classes.state().iter().map(|class| class.name_any()).collect();
        classes(&mut encoder, &names, &tenants)?;
        let tenants = tenants.iter().filter_map(|tenant| Some((tenant.meta(), tenant.common()?)));
        let stacks = stacks.iter().filter_map(|stack| stack.0.as_ref().ok());
        let stacks: Vec<_> = stacks.collect();
        unclaimed(&mut encoder, &stacks)?;
        let tenants: Vec<_> = tenants.collect();
        self.models(&mut encoder, tenants.iter().map(|(_, common)| *common), &stacks)?;
        let tenants = tenants.iter().map(|(meta, (_, status))| Object::new(&tenant, meta, *status));
        let stacks = stacks.into_iter().map(|it| Object::new(&stack, &it.metadata, it.status.as_ref()));
        let objects: Vec<_> = stacks.chain(tenants).collect();
        count(&mut encoder, &objects)?;
        oldest(&mut encoder, &objects)?;
        each(&mut encoder, &named(objects, self.0.settings.metrics_per_object))?;
        let lost = matches!(self.0.ids.phase(), Phase::Lost(_));
        write(&mut encoder, &RECORDS_LOST, [([], u64::from(lost))])?;
        jobs(&mut encoder, self.0.job_slots.load())
    }
}

impl Objects {
    /// The ends of the embedding models that are in use.
    fn models<'a>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        tenants: impl Iterator<Item = (&'a TenantSpec, Option<&'a Status>)>,
        stacks: &[&'a SharedStack],
    ) -> fmt::Result {
        let of_tenants = tenants.filter_map(|(spec, status)| own_base(spec, status));
        let of_pools = stacks.iter().filter_map(|stack| stack.spec.pool.as_ref());
        let all = of_tenants.chain(of_pools.map(|pool| pool.knowledge_base.as_ref()));
        let used: BTreeSet<_> = all.map(KnowledgeBase::model_of).collect();
        let ends = used.into_iter().filter_map(|model| {
            let id = of_bedrock(&self.0.scope, model)?;
            Some((MODEL_END.of([id]), self.0.models.ends(id)?.as_second()))
        });
        write(encoder, &MODEL_END, ends)
    }
}

/// The knowledge base that a Tenant has for itself, as it was accepted or as it asks for it.
fn own_base<'a>(spec: &'a TenantSpec, status: Option<&'a Status>) -> Option<Option<&'a KnowledgeBase>> {
    let (pattern, base) = match status.and_then(|status| status.placement.as_ref()) {
        Some(placement) => (placement.pattern, placement.knowledge_base.as_ref()),
        None => (spec.pattern?, spec.knowledge_base.as_ref()),
    };
    (pattern != Pattern::Pool).then_some(base)
}

/// What the Tenants of one class have.
#[derive(Default)]
struct OfClass {
    ready: u64,
    unready: u64,
    documents: i64,
    bytes: i64,
}

/// Of the classes that are there, and of no other name that somebody may have written.
fn classes(encoder: &mut DescriptorEncoder<'_>, names: &[String], tenants: &[Arc<Kept>]) -> fmt::Result {
    let mut classes: BTreeMap<&str, OfClass> =
        names.iter().map(|name| (name.as_str(), OfClass::default())).collect();
    for tenant in tenants {
        let Some(status) = tenant.common().and_then(|(_, status)| status) else { continue };
        let Some(its) = status.class.as_deref().and_then(|class| classes.get_mut(class)) else { continue };
        let count = if status.is_true(ConditionType::Ready) { &mut its.ready } else { &mut its.unready };
        *count += 1;
        let documents = tenant.documents().unwrap_or_default();
        (its.documents, its.bytes) = (its.documents + documents.count, its.bytes + documents.bytes);
    }
    let counts = classes.iter().flat_map(|(name, its)| {
        [(CLASS_TENANTS.of([name, "true"]), its.ready), (CLASS_TENANTS.of([name, "false"]), its.unready)]
    });
    write(encoder, &CLASS_TENANTS, counts)?;
    write(
        encoder,
        &CLASS_DOCUMENTS,
        classes.iter().map(|(name, its)| (CLASS_DOCUMENTS.of([name]), its.documents)),
    )?;
    write(encoder, &CLASS_BYTES, classes.iter().map(|(name, its)| (CLASS_BYTES.of([name]), its.bytes)))
}

fn jobs(encoder: &mut DescriptorEncoder<'_>, load: Load) -> fmt::Result {
    write(encoder, &JOBS_RUNNING, [([], load.running)])?;
    write(encoder, &JOBS_WAITING, [([], load.waiting)])?;
    write(encoder, &JOB_SLOTS, [([], load.slots)])?;
    write(encoder, &LONGEST_WAIT, [([], load.longest_wait.as_secs_f64())])
}

/// Of all SharedStacks: there are few, and one that is Ready would be the first to be left out.
fn unclaimed(encoder: &mut DescriptorEncoder<'_>, stacks: &[&SharedStack]) -> fmt::Result {
    let pools = stacks.iter().filter(|stack| stack.spec.pool.is_some());
    let series = pools.map(|stack| {
        let count = stack.status.as_ref().and_then(|status| status.unclaimed_documents);
        (UNCLAIMED.of([stack.metadata.name.as_deref().unwrap_or_default()]), count.unwrap_or(0))
    });
    write(encoder, &UNCLAIMED, series)
}

fn count(encoder: &mut DescriptorEncoder<'_>, objects: &[Object]) -> fmt::Result {
    let mut counts: BTreeMap<[&str; 4], u64> = BTreeMap::new();
    for object in objects {
        for it in object.conditions {
            *counts.entry([object.kind, &it.type_, &it.status, &it.reason]).or_default() += 1;
        }
    }
    write(encoder, &OBJECTS, counts.into_iter().map(|(labels, count)| (OBJECTS.of(labels), count)))
}

/// For each kind, the deletion that goes on longest.
fn oldest(encoder: &mut DescriptorEncoder<'_>, objects: &[Object]) -> fmt::Result {
    let mut oldest: BTreeMap<&str, i64> = BTreeMap::new();
    for object in objects {
        if let Some(since) = &object.meta.deletion_timestamp {
            let since = since.0.as_second();
            oldest.entry(object.kind).and_modify(|it| *it = since.min(*it)).or_insert(since);
        }
    }
    write(
        encoder,
        &OLDEST_DELETION,
        oldest.into_iter().map(|(kind, since)| (OLDEST_DELETION.of([kind]), since)),
    )
}

/// Those that are called by their names: all SharedStacks, which are the administrators' and few, and at most so many
/// Tenants, whose names are those of customers.
fn named(objects: Vec<Object<'_>>, most: usize) -> Vec<Object<'_>> {
    let (mut named, mut tenants): (Vec<_>, Vec<_>) =
        objects.into_iter().partition(|object| object.meta.namespace.is_none());
    tenants.sort_by_cached_key(Object::rank);
    tenants.truncate(most);
    named.append(&mut tenants);
    named
}

fn each(encoder: &mut DescriptorEncoder<'_>, objects: &[Object]) -> fmt::Result {
    let conditions = objects.iter().flat_map(|object| {
        let [kind, namespace, name] = object.id();
        object
            .conditions
            .iter()
            .map(move |it| (CONDITION.of([kind, namespace, name, &it.type_, &it.status, &it.reason]), 1_u64))
    });
    write(encoder, &CONDITION, conditions)?;
    let leaving = objects.iter().filter_map(|object| {
        let since = object.meta.deletion_timestamp.as_ref()?;
        Some((DELETION.of(object.id()), since.0.as_second()))
    });
    write(encoder, &DELETION, leaving)?;
    let jobs = objects.iter().filter_map(|object| {
        let (ended, how) = (object.job?.finished_time.as_ref()?, object.job?.last_status.as_deref()?);
        let [kind, namespace, name] = object.id();
        Some((LAST_JOB.of([kind, namespace, name, how]), ended.0.as_second()))
    });
    write(encoder, &LAST_JOB, jobs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;
    use crate::settings::Settings;

    /// A Tenant of that name, with conditions by type and status.
    fn tenant(name: &str, conditions: &[(ConditionType, &str)]) -> (ObjectMeta, Status) {
        let mut status = Status::default();
        for (kind, is) in conditions {
            status.set(*kind, is, Reason::Ready, "", None, crate::clock::now());
        }
        (ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() }, status)
    }

    /// The names of those that are called by them, where so many Tenants may be.
    fn names(most: usize) -> Vec<String> {
        let stack = ObjectMeta { name: Some("standard".into()), ..ObjectMeta::default() };
        let (acme, well) = tenant("acme", &[(ConditionType::Ready, "True")]);
        let (globex, ill) = tenant("globex", &[(ConditionType::Ready, "False")]);
        let [acme, globex] = [acme, globex].map(|meta| ObjectMeta { namespace: Some("bank".into()), ..meta });
        let objects = vec![
            Object::new("Tenant", &acme, Some(&well)),
            Object::new("Tenant", &globex, Some(&ill)),
            Object::new("SharedStack", &stack, None),
        ];
        named(objects, most).iter().map(|object| object.id()[2].to_owned()).collect()
    }

    #[test]
    fn no_tenant_is_named_unasked() {
        assert_eq!(names(Settings::new("demo").metrics_per_object), ["standard"]);
    }

    #[test]
    fn of_so_many_tenants_those_in_trouble_are_named_and_of_the_stacks_all() {
        assert_eq!(names(1), ["standard", "globex"]);
        assert_eq!(names(9), ["standard", "globex", "acme"]);
    }

    #[test]
    fn those_in_trouble_come_first() {
        use ConditionType::*;
        let well = [(Ready, "True"), (Reconciling, "False"), (Stalled, "False"), (DocumentsCurrent, "True")];
        let tenants = [
            tenant("a-well", &well),
            tenant("b-unread", &[(Ready, "True"), (Stalled, "False"), (DocumentsCurrent, "False")]),
            tenant("c-changing", &[(Ready, "True"), (Reconciling, "True")]),
            tenant("d-paused", &[(Ready, "True"), (Paused, "True")]),
            tenant("e-begun", &[(Ready, "Unknown")]),
            tenant("f-stuck", &[(Ready, "False"), (Stalled, "True")]),
            tenant("g-well", &well),
        ];
        let mut objects: Vec<_> =
            tenants.iter().map(|(meta, status)| Object::new("Tenant", meta, Some(status))).collect();
        objects.sort_by_cached_key(Object::rank);
        let order: Vec<_> = objects.iter().map(|object| &object.id()[2][..1]).collect();
        assert_eq!(order, ["e", "f", "b", "c", "d", "a", "g"]);
    }

    /// No condition says so where the API server takes no status of it.
    #[tokio::test]
    async fn an_object_that_cannot_be_read_is_not_missing_from_all_metrics() {
        use crate::reconcile::mocked::{api_server, context, tenant, tenants, with};
        use prometheus_client::encoding::text::encode;
        use prometheus_client::registry::Registry;
        use serde_json::json;

        let mut cx = context(api_server([]).client());
        cx.tenants = tenants([with(tenant(json!({})), json!({"spec": {"tenantId": 5}}))]);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Objects(Arc::new(cx))));
        let mut page = String::new();
        encode(&mut page, &registry).unwrap();
        for (kind, count) in [("Tenant", 1), ("SharedStack", 0)] {
            let line = format!("tenantry_objects_unreadable{{kind=\"{kind}\"}} {count}");
            assert!(page.contains(&line), "{page}");
        }
    }
}
