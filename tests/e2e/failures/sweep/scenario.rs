//! What is created, deleted or taken over, and what stands around it meanwhile.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::json;
use tenantry::api::{Column, Layer, Pattern, SYNC_REQUESTED_AT, VectorStore};
use tenantry::stack::identity::Identity;
use tenantry::stack::layout::marker_key;

use crate::support::inventory::{self, owned, owned_on_s3_vectors};
use crate::support::objects::Object;
use crate::support::world::World;

/// Every deletionPolicy, those first that leave something to take over.
const POLICIES: [&str; 3] = ["Retain", "RetainDocuments", "Delete"];
const RETAINING: usize = 2;
/// The tenant that it is about, and one that stays, whose name begins alike.
const TENANT: &str = "acme";
pub const NEIGHBOUR: &str = "acme-neighbour";
pub const STACK: &str = "SharedStack/standard";

/// Whose lifecycle it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Tenant(Pattern),
    Stack,
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The operator comes to an account for the first time.
    Arrive,
    /// It is applied, and its first document is read.
    Create,
    /// It is deleted under a policy.
    Delete(&'static str),
    /// It is applied once more after it was deleted under a policy that left something.
    Adopt(&'static str),
}

/// A piece of a lifecycle. What comes before it is not disturbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    pub subject: Subject,
    pub act: Act,
    /// Where all vectors are that there are in it.
    pub store: VectorStore,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = match self.subject {
            Subject::Tenant(pattern) => format!("{pattern:?}").to_lowercase(),
            Subject::Stack => "stack".into(),
        };
        let store = match self.store {
            VectorStore::OpenSearchServerless => "opensearch",
            VectorStore::S3Vectors => "s3-vectors",
        };
        match self.act {
            Act::Arrive => write!(f, "operator-arrive"),
            Act::Create => write!(f, "{store}-{subject}-create"),
            Act::Delete(policy) => write!(f, "{store}-{subject}-delete-{}", policy.to_lowercase()),
            Act::Adopt(policy) => write!(f, "{store}-{subject}-adopt-{}", policy.to_lowercase()),
        }
    }
}

impl Scenario {
    /// All of them, each on every store but the arrival: no object is there then, and so no store.
    pub fn all() -> Vec<Scenario> {
        let patterns = [Pattern::Silo, Pattern::Bridge, Pattern::Pool].map(Subject::Tenant);
        let deletes = POLICIES.map(Act::Delete);
        let adopts = POLICIES.map(Act::Adopt).into_iter().take(RETAINING);
        let arrival = Scenario { subject: Subject::Stack, act: Act::Arrive, store: VectorStore::default() };
        let mut all = vec![arrival];
        for act in [Act::Create].into_iter().chain(deletes).chain(adopts) {
            for subject in patterns.into_iter().chain([Subject::Stack]) {
                all.extend(VectorStore::ALL.map(|store| Scenario { subject, act, store }));
            }
        }
        all
    }

    /// What tests call the subject.
    pub fn name(self) -> &'static str {
        if self.subject == Subject::Stack { STACK } else { TENANT }
    }

    fn borrows(self) -> bool {
        matches!(self.subject, Subject::Tenant(Pattern::Bridge | Pattern::Pool))
    }

    /// Whose work the act is not: objects that are there before and after, exactly as they were.
    pub fn undisturbed(self) -> Vec<&'static str> {
        match (self.act, self.subject) {
            (Act::Arrive, _) => vec![],
            (_, Subject::Tenant(Pattern::Bridge)) => vec![NEIGHBOUR, STACK],
            // A pool's own status tells of its jobs.
            (_, Subject::Tenant(_) | Subject::Stack) => vec![NEIGHBOUR],
        }
    }

    /// Every part that belongs to somebody here: whose it is, and what its parts are called.
    pub fn identities(self, w: &World) -> Vec<(&'static str, Identity)> {
        let tenant = |name: &str, pattern| {
            let stack = (pattern != Pattern::Silo).then_some("standard");
            w.tenant_identity(name, pattern, stack, "")
        };
        let pattern = self.pattern();
        vec![
            (TENANT, tenant(TENANT, pattern)),
            (NEIGHBOUR, tenant(NEIGHBOUR, pattern)),
            ("standard", w.stack_identity("standard", "")),
        ]
    }

    /// The neighbour of a SharedStack is a Silo.
    fn pattern(self) -> Pattern {
        match self.subject {
            Subject::Tenant(pattern) => pattern,
            Subject::Stack => Pattern::Silo,
        }
    }

    /// Words of which each names the neighbour, or what belongs to it alone.
    pub fn words_of_others(self, w: &World, neighbour: Option<&Object>) -> Vec<String> {
        let mut words = vec!["somebodys".to_owned()];
        if let Some(neighbour) = neighbour {
            let id = w.tenant_identity(
                NEIGHBOUR,
                self.pattern(),
                self.borrows().then_some("standard"),
                neighbour.uid(),
            );
            words.extend(Layer::ALL.into_iter().map(|layer| id.name(layer)));
            words.extend([NEIGHBOUR.to_owned(), id.uid.clone()]);
            if self.pattern() != Pattern::Pool {
                let ids = [&neighbour.status.knowledge_base_id, &neighbour.status.data_source_id];
                words.extend(ids.into_iter().flatten().cloned());
            }
        }
        words
    }

    fn tenant(self, name: &str, policy: &str) -> String {
        let store = self.store;
        let spec = match (self.pattern(), name) {
            (Pattern::Silo, TENANT) => {
                format!(
                    "pattern: Silo, vectorStore: {store}, encryption: {{key: Create}}, tags: {{team: red}}"
                )
            }
            (Pattern::Silo, _) => format!("pattern: Silo, vectorStore: {store}"),
            (Pattern::Bridge, _) => "pattern: Bridge, stackRef: {name: standard}".into(),
            (Pattern::Pool, _) => "pattern: Pool, stackRef: {name: standard}".into(),
        };
        format!(
            "{{kind: Tenant, metadata: {{name: {name}}}, spec: {{tenantId: {name}, {spec}, deletionPolicy: {policy}}}}}"
        )
    }

    fn stack(self, policy: &str) -> String {
        let store = self.store;
        format!(
            "{{kind: SharedStack, metadata: {{name: standard}}, \
             spec: {{vectorStore: {store}, pool: {{}}, encryption: {{key: Create}}, deletionPolicy: {policy}}}}}"
        )
    }

    async fn apply(self, w: &World, policy: &str) {
        let manifest = match self.subject {
            Subject::Tenant(_) => self.tenant(TENANT, policy),
            Subject::Stack => self.stack(policy),
        };
        w.apply(&manifest).await;
        w.ready(self.name()).await;
    }

    /// Brings about what the act begins with; returns objects that were there meanwhile and are no more.
    pub async fn prepare(self, w: &World) -> Vec<Object> {
        w.sdk.s3.create_bucket().bucket(format!("somebodys-{}", w.suffix)).send().await.unwrap();
        w.sdk.kms.create_key().description("somebody's").send().await.unwrap();
        w.others_role("somebodys-role").await;
        if self.act == Act::Arrive {
            return vec![];
        }
        w.granted().await;
        if self.borrows() {
            w.apply(&self.stack("Delete")).await;
            w.ready(STACK).await;
        }
        w.apply(&self.tenant(NEIGHBOUR, "Delete")).await;
        w.ready(NEIGHBOUR).await;
        w.upload(NEIGHBOUR, &[("hours.md", "The office opens at ten.")]).await;
        let owner = if self.pattern() == Pattern::Pool { STACK } else { NEIGHBOUR };
        w.condition(owner, "DocumentsCurrent=True/Synced").await;
        if self.pattern() == Pattern::Pool {
            // It notes its pool's first job at its next pass, and is undisturbed only after that.
            w.touch(NEIGHBOUR).await;
            w.until(NEIGHBOUR, "the pool's job", |it| it.status.ingestion.is_some()).await;
        }
        let policy = match self.act {
            Act::Arrive | Act::Create => return vec![],
            Act::Delete(policy) | Act::Adopt(policy) => policy,
        };
        self.apply(w, policy).await;
        self.read_a_document(w).await;
        self.leave_versions(w).await;
        let Act::Adopt(_) = self.act else { return vec![] };
        let earlier = w.get(self.name()).await;
        w.delete(self.name()).await;
        w.gone(self.name()).await;
        vec![earlier]
    }

    /// What the operator does here, until it has nothing left to do.
    pub async fn act(self, w: &World) {
        match self.act {
            Act::Arrive => w.granted().await,
            Act::Create => {
                self.apply(w, "Delete").await;
                self.read_a_document(w).await;
            }
            Act::Delete(_) => {
                w.delete(self.name()).await;
                w.gone(self.name()).await;
            }
            Act::Adopt(policy) => {
                let before = last_job(w).await;
                self.apply(w, "Delete").await;
                if self.subject == Subject::Tenant(Pattern::Pool) && policy == "RetainDocuments" {
                    next_job(w, before).await;
                }
            }
        }
    }

    /// Where the subject's documents are.
    async fn place(self, w: &World) -> (String, String) {
        let status = w.get(self.name()).await.status;
        let prefix = status.prefix.unwrap();
        let prefix = if self.subject == Subject::Stack { format!("{prefix}somebody/") } else { prefix };
        (status.bucket.unwrap(), prefix)
    }

    /// One document, and the job that reads it.
    async fn read_a_document(self, w: &World) {
        let (bucket, prefix) = self.place(w).await;
        w.sdk.upload(&bucket, &format!("{prefix}hours.md"), "The office opens at nine.").await;
        if self.subject != Subject::Tenant(Pattern::Pool) {
            w.condition(self.name(), "DocumentsCurrent=True/Synced").await;
            return;
        }
        let before = last_job(w).await;
        w.annotate(TENANT, SYNC_REQUESTED_AT, Some("today")).await;
        next_job(w, before).await;
    }

    /// What a deletion has to find: an older version, a delete marker, an unfinished upload.
    async fn leave_versions(self, w: &World) {
        let (bucket, prefix) = self.place(w).await;
        w.sdk.upload(&bucket, &format!("{prefix}hours.md"), "The office opens at eight.").await;
        w.sdk.upload(&bucket, &format!("{prefix}old.md"), "The office is closed.").await;
        let (s3, old) = (&w.sdk.s3, format!("{prefix}old.md"));
        s3.delete_object().bucket(&bucket).key(old).send().await.unwrap();
        let unfinished = s3.create_multipart_upload().bucket(&bucket).key(format!("{prefix}big.pdf"));
        unfinished.send().await.unwrap();
    }

    /// What an undisturbed run must have come to, or all that are measured by it would mean nothing.
    pub async fn assert_sound(self, w: &World) {
        let names = inventory::names(&w.inventory().await);
        let stack = w.stack_identity("standard", "");
        let (id, column) = match self.subject {
            Subject::Stack => (stack.clone(), Column::SharedStackWithPool),
            Subject::Tenant(pattern) => {
                let lender = self.borrows().then_some("standard");
                (w.tenant_identity(TENANT, pattern, lender, ""), Column::from(pattern))
            }
        };
        let bucket = if self.borrows() { &stack } else { &id }.name(Layer::Bucket);
        let has = |part: String| names.iter().any(|name| name.starts_with(&part));
        let documents = has(format!("object {bucket}/{}", id.prefix()));
        let marker = names.contains(&format!("object {bucket}/{}", marker_key(&id)));
        let owned = match self.store {
            VectorStore::OpenSearchServerless => owned,
            VectorStore::S3Vectors => owned_on_s3_vectors,
        };
        let parts = owned(&id, column, !self.borrows());
        let left: BTreeSet<_> = parts.intersection(&names).cloned().collect();
        let place = |part: &String| ["bucket ", "key ", "alias "].iter().any(|kind| part.starts_with(kind));
        let (wanted, leaves_documents, leaves_marker) = match self.act {
            Act::Arrive => (BTreeSet::new(), false, false),
            Act::Create | Act::Adopt(_) => (parts.clone(), true, false),
            Act::Delete("Retain") => (parts.clone(), true, true),
            Act::Delete("RetainDocuments") => {
                (parts.iter().filter(|it| place(it)).cloned().collect(), true, true)
            }
            Act::Delete(_) => (BTreeSet::new(), false, false),
        };
        assert!(names.contains(&w.grant()), "{names:?}");
        assert_eq!((left, documents, marker), (wanted, leaves_documents, leaves_marker), "{self}: {names:?}");
    }

    /// Waits until nobody waits for anything any more.
    pub async fn settled(self, w: &World) {
        for object in w.all().await {
            let current = |object: &Object| {
                let documents = object.condition("DocumentsCurrent");
                object.is_done() && documents.is_none_or(|documents| documents.status == "True")
            };
            w.until(&w.name_of(&object), "is Ready, and its documents current", current).await;
        }
    }
}

/// The pool's last job, if there is a pool.
async fn last_job(w: &World) -> Option<String> {
    let stack = w.all().await.into_iter().find(|object| w.name_of(object) == STACK)?;
    stack.status.ingestion?.last_job_id
}

/// Waits until the pool has run another.
async fn next_job(w: &World, before: Option<String>) {
    w.until(STACK, "has run the job that was asked for", |stack| {
        let last = stack.status.ingestion.clone().unwrap_or_default();
        last.last_job_id != before && last.finished_time.is_some()
    })
    .await;
}

impl World {
    /// Leaves nothing that others would have to look past: in the cluster, in the journal, in the script of faults.
    pub async fn cleared(&self) {
        self.remove_all().await;
        self.double.heal().await;
        self.double.forget().await;
    }

    /// AWS is as much faster as the operator; and all that takes time there takes a few seconds of it, which are looked
    /// at a few times.
    pub async fn hurry(&self, speed: u32) {
        let dwell = json!({
            "collection_create": 4, "collection_delete": 4, "kb_create": 3, "kb_delete": 3, "data_source_delete": 3,
            "job_starting": 1, "job_running": 3, "job_stopping": 1,
        });
        let lag = json!({"index_visible": 2, "vector_index_visible": 2});
        self.double.settings(json!({"speedup": speed, "dwell": dwell, "lag": lag})).await;
    }
}
