//! The kind `TenantClass`: a tier. It places tenants, fills in what they leave out, bounds them, and gives them their share
//! of the gateway.

use std::time::Duration;

use kube::core::Rule;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::placement::placed_default;
use super::rules::{SECOND_CLASS, present, rule};
use super::tags::{self, Tags};
use super::{Answers, Documents, Ingestion, NamespaceSelector, Network, Placement, vector_store};

/// Where tenants of the class are, what they have where they say nothing, and how much they may have.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "tenantry.dev",
    version = "v1alpha1",
    kind = "TenantClass",
    plural = "tenantclasses",
    shortname = "tclass",
    category = "tenantry",
    derive = "PartialEq",
    doc = "A tier, such as basic or premium: how the tenants of the class are isolated, what they have where they say nothing, how much they may have, and their share of the gateway. An administrator's object; tenants name it in their `classRef`. It has no status: what is wrong is told on the Tenants.",
    validation = (
        "self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]+(-[a-z0-9]+)*$')",
        "the name of a TenantClass must have no more than 63 characters: lower-case letters, digits and single hyphens",
    ),
    printcolumn(name = "Pattern", type_ = "string", json_path = ".spec.placement.pattern"),
    printcolumn(name = "Stack", type_ = "string", json_path = ".spec.placement.stackRef.name"),
    printcolumn(name = "Documents", type_ = "integer", json_path = ".spec.limits.documents"),
    printcolumn(name = "Gigabytes", type_ = "integer", json_path = ".spec.limits.gigabytes"),
    printcolumn(name = "Weight", type_ = "integer", json_path = ".spec.gateway.weight"),
    printcolumn(name = "Requests/min", type_ = "integer", json_path = ".spec.gateway.requestsPerMinute"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Store", type_ = "string", json_path = ".spec.placement.vectorStore", priority = 1),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = placement_stays())]
#[x_kube(validation = placed_default("documents"))]
#[x_kube(validation = placed_default("collection"))]
#[x_kube(validation = placed_default("ingestion"))]
#[x_kube(validation = placed_default("tags"))]
#[x_kube(validation = vector_store::no_default_collection())]
#[x_kube(validation = default_model_is_admitted())]
#[x_kube(validation = kept_as_long("expirationDays", "0, for ever", days("expirationDays", 0)))]
#[x_kube(validation = kept_as_long("noncurrentExpirationDays", "30; for ever where nothing is versioned", noncurrent_days))]
pub struct TenantClassSpec {
    /// The namespaces whose Tenants may be of this class. It is asked when a Tenant comes, and when it changes its
    /// `classRef`. Default: all of them. When it is narrowed later, those who are of the class stay.
    pub allowed_namespaces: Option<NamespaceSelector>,

    /// Where the tenants of the class are. They then have no `pattern` and nothing else of this themselves. Without it they
    /// say it each, and the class only fills in and bounds. It can be neither added nor removed, and in it only
    /// `index.attributes` may grow: what else it says decides what is built.
    pub placement: Option<Placement>,

    /// What tenants of the class have where they say nothing. What the pattern of a tenant does not have is left out.
    /// May be changed at any time, and is then changed for all of them. Default: each field's own.
    pub defaults: Option<ClassDefaults>,

    /// Which of these a Tenant of the class may set itself: 'Documents', 'Collection' (its network), 'Ingestion', 'Answers',
    /// 'Tags'. What it leaves out of them is as in `defaults`. Default: none of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub may_override: Vec<Overridable>,

    /// How much a tenant of the class may have. May be changed at any time. A limit that is lowered takes nothing away:
    /// it holds for what is new. Default: no limits but those of the AWS account.
    pub limits: Option<Limits>,

    /// The share of a tenant of the class in what the gateway carries. Only the gateway looks at it, at once when it is changed. Default: each
    /// field's own.
    pub gateway: Option<GatewayShare>,
}

/// What tenants of a class have where they say nothing. Each field is that of a Tenant.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassDefaults {
    /// How a tenant's bucket keeps documents. Silo. `expirationDays` and `noncurrentExpirationDays` may only grow, or become 0: less would
    /// delete documents of all tenants of the class. A Tenant that changes its `classRef` has the days of the new class at once.
    pub documents: Option<Documents>,

    /// Who reaches a tenant's collection. Silo, where its vectors are in a collection.
    pub collection: Option<CollectionDefaults>,

    /// When documents are read. Silo and Bridge.
    pub ingestion: Option<Ingestion>,

    /// Which model answers a tenant's questions.
    pub answers: Option<Answers>,

    /// Tags on everything in AWS that a tenant owns; 40 at most, together with its own. Of a key that the Tenant has too, its value counts.
    /// Silo and Bridge.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    #[schemars(schema_with = "tags::schema")]
    #[x_kube(validation = tags::keys_are_free())]
    #[x_kube(validation = tags::keys_differ())]
    pub tags: Tags,
}

/// The collection of a tenant that says nothing of it. Standby replicas are the placement's.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectionDefaults {
    /// Who reaches the collection over the network. Bedrock always does. Default: 'Private', with no VPC endpoints.
    pub network: Option<Network>,
}

/// A part of `defaults` that a Tenant may set itself.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Overridable {
    Documents,
    Collection,
    Ingestion,
    Answers,
    Tags,
}

/// How much a tenant of a class may have. What is beyond a limit is held back and told on the Tenant, in the condition
/// 'DocumentsCurrent' or 'Accepted' with the reason LimitExceeded; it is not deleted.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// How many documents may be indexed. Those in quarantine and '.metadata.json' files do not count. Default: any
    /// number.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub documents: Option<i64>,

    /// How many gigabytes (of 1,000,000,000 bytes) these documents may have together. Default: any number.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub gigabytes: Option<i64>,

    /// How many minutes lie between the starts of two ingestion jobs at least. What is asked for meanwhile waits. Silo and
    /// Bridge; in a pool all tenants share one job. Default: none.
    #[schemars(range(min = 1, max = 525_600))]
    pub minutes_between_jobs: Option<i32>,

    /// Which models may answer. Default: any.
    pub answers: Option<AnswersLimit>,
}

/// Which models may answer.
#[derive(Clone, Debug, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswersLimit {
    /// The models that `answers.model` may name, each written as there.
    #[schemars(
        length(min = 1, max = 50),
        inner(length(min = 1, max = 2048), regex(pattern = r"^[a-zA-Z0-9][a-zA-Z0-9._:/-]*$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub models: Vec<String>,
}

/// The share of one tenant in what the gateway carries. Each limit is a tenant's, whatever the number of replicas of the
/// gateway.
#[derive(Clone, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayShare {
    /// How large the share of a tenant is while more is asked than AWS takes: one with weight 4 has four times the questions
    /// of one with weight 1. Default: 1.
    #[schemars(range(min = 1, max = 1000))]
    pub weight: Option<i32>,

    /// How many questions a tenant may ask in a minute. Those beyond are refused with AWS's ThrottlingException. Default: any number.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests_per_minute: Option<i32>,

    /// How many questions of a tenant may be under way at once, those that wait their turn included. Those beyond are refused with
    /// AWS's ThrottlingException. Default: any number.
    #[schemars(range(min = 1, max = 10_000))]
    pub concurrent: Option<i32>,

    /// How long a question may wait for its turn before it is refused, in seconds or milliseconds, for example '2s' or '500ms'. Default:
    /// '1s'.
    #[schemars(length(min = 2, max = 7), regex(pattern = r"^([1-9][0-9]{0,4}ms|[1-9][0-9]?s)$"))]
    pub max_wait: Option<String>,

    /// 'Enforce' refuses what is beyond a limit; 'Shadow' only counts and records what would have been refused. Default: 'Enforce'.
    #[serde(default)]
    pub enforcement: Enforcement,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Enforcement {
    #[default]
    Enforce,
    Shadow,
}

impl GatewayShare {
    /// How long a question may wait, if the class says so.
    pub fn max_wait(&self) -> Option<Duration> {
        let text = self.max_wait.as_deref()?;
        let (number, unit): (&str, fn(u64) -> Duration) = match text.strip_suffix("ms") {
            Some(number) => (number, Duration::from_millis),
            None => (text.strip_suffix('s')?, Duration::from_secs),
        };
        number.parse().ok().map(unit)
    }
}

/// Tenants without a pattern of their own would be nowhere, and those with one would have two.
fn placement_stays() -> Rule {
    rule(
        "has(self.placement) == has(oldSelf.placement)",
        format!("`placement` must be neither added nor removed after creation; {SECOND_CLASS}"),
    )
}

/// One edit of a class must not delete documents of all its tenants. `days` says after how many days something is deleted, 0 being
/// never.
fn kept_as_long(field: &str, default: &str, days: impl Fn(&str) -> String) -> Rule {
    let (now, before) = (days("self"), days("oldSelf"));
    rule(
        format!("{now} == 0 || ({before} != 0 && {now} >= {before})"),
        format!(
            "`defaults.documents.{field}` may only grow (left out, it is {default}): less would delete documents of all tenants of the \
             class; {SECOND_CLASS}"
        ),
    )
}

/// A number of days of a class's `defaults.documents`.
fn days(field: &'static str, default: i32) -> impl Fn(&str) -> String {
    move |root| {
        let path = format!("defaults.documents.{field}");
        format!("({} ? {root}.{path} : {default})", present(root, &path))
    }
}

/// After how many days older versions go, where there are any.
fn noncurrent_days(root: &str) -> String {
    let (path, days) = ("defaults.documents.versioning", days("noncurrentExpirationDays", 30)(root));
    format!("({} && {root}.{path} == 'Suspended' ? 0 : {days})", present(root, path))
}

fn default_model_is_admitted() -> Rule {
    rule(
        "!has(self.defaults) || !has(self.defaults.answers) || !has(self.limits) || !has(self.limits.answers) || \
         self.defaults.answers.model in self.limits.answers.models",
        "`defaults.answers.model` must be one of `limits.answers.models`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_in_seconds_and_milliseconds() {
        let wait =
            |text: &str| GatewayShare { max_wait: Some(text.into()), ..GatewayShare::default() }.max_wait();
        assert_eq!(wait("2s"), Some(Duration::from_secs(2)));
        assert_eq!(wait("500ms"), Some(Duration::from_millis(500)));
        for text in ["", "s", "2", "2m", "-2s"] {
            assert_eq!(wait(text), None, "{text}");
        }
        assert_eq!(GatewayShare::default().max_wait(), None);
    }
}
