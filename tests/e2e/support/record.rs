//! Every status that an operator wrote in a test is kept, for a check of what its readers make of it
//! (`tests/bed/readers.py`). A run begins with none.
//!
//! What two objects report in the same words is kept once.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::support::bed::root;
use crate::support::witness::Watches;
use crate::support::world::World;

/// Keeps what it sees for as long as it lives.
pub struct Record {
    _watches: Watches,
    errors: Arc<Mutex<Vec<std::io::Error>>>,
}

fn folder() -> PathBuf {
    root().join("target/e2e-statuses")
}

/// Forgets what an earlier run has kept.
pub fn begin() {
    let folder = folder();
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            panic!("{}: {error}", folder.display())
        }
        _ => std::fs::create_dir_all(&folder).unwrap(),
    }
}

impl World {
    /// Keeps every status of this world from now on.
    pub fn record(&self) -> Record {
        let errors: Arc<Mutex<Vec<std::io::Error>>> = Arc::default();
        let failed = errors.clone();
        let see = move |object: DynamicObject| {
            if let Err(error) = keep(object) {
                failed.lock().unwrap().push(error);
            }
        };
        // A test may take away what is watched.
        let _watches = self.watch(see, |_| {});
        Record { _watches, errors }
    }
}

impl Record {
    /// Fails if something could not be kept; also keeps what came last, which a watch may not have seen yet.
    pub async fn end(self, w: &World) {
        for object in w.all_as_they_are().await {
            keep(object).unwrap();
        }
        let errors = self.errors.lock().unwrap();
        assert!(errors.is_empty(), "not every status could be kept: {errors:?}");
    }
}

fn keep(mut object: DynamicObject) -> std::io::Result<()> {
    object.managed_fields_mut().clear();
    let mut hash = DefaultHasher::new();
    words(&object).to_string().hash(&mut hash);
    let file = folder().join(format!("{:016x}.json", hash.finish()));
    if file.exists() {
        return Ok(());
    }
    // Whole or not at all: a run may be ended at any moment.
    let unfinished = tempfile::NamedTempFile::new_in(folder())?;
    serde_json::to_writer(&unfinished, &object)?;
    unfinished.persist(file)?;
    Ok(())
}

/// What readers go by: all but names, times and messages.
fn words(object: &DynamicObject) -> Value {
    let status = &object.data["status"];
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let conditions =
        conditions.map(|c| json!([c["type"], c["status"], c["reason"], c["observedGeneration"]]));
    json!({
        "kind": object.types.as_ref().map(|types| &types.kind),
        "generation": object.metadata.generation,
        "leaving": object.metadata.deletion_timestamp.is_some(),
        "paused": object.annotations().get(tenantry::api::PAUSED),
        "observedGeneration": status["observedGeneration"],
        "conditions": conditions.collect::<Vec<_>>(),
    })
}
