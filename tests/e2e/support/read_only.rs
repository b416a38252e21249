//! After every test, whatever it has left behind: an operator with `--read-only` passes over all of it, finds a spec
//! that asks for something else, says so, and makes no call that changes anything.

use serde_json::json;
use tenantry::api::annotations;

use crate::support::objects::Object;
use crate::support::world::World;

/// Whether an operator of this world speaks of an object at all.
fn is_spoken_of(w: &World, object: &Object) -> bool {
    let ours = format!("tenantry.dev/{}", w.settings.installation);
    let finalizers = object.meta.finalizers.clone().unwrap_or_default();
    let held_by_another = !finalizers.is_empty() && !finalizers.contains(&ours);
    let paused = annotations::pause(&object.meta).is_some();
    !object.is_leaving() && !held_by_another && !paused
}

impl World {
    /// One round of an operator that only reads.
    pub async fn read_only_round(&self) {
        let named: Vec<_> =
            self.all().await.into_iter().filter(|object| is_spoken_of(self, object)).collect();
        let mut changed = Vec::new();
        for object in named {
            let name = self.name_of(&object);
            let spec = match object.spec["pattern"].as_str() {
                Some("Pool") => json!({"answers": {"model": "read-only.round"}}),
                _ => json!({"tags": {"readOnly": "round"}}),
            };
            changed.push((name.clone(), self.patch(&name, json!({"spec": spec})).await));
        }
        if changed.is_empty() {
            return;
        }
        let mark = self.double.mark().await;
        let reader = self.another_operator(|settings| settings.read_only = true).await;
        for (name, object) in &changed {
            let generation = object.meta.generation;
            let seen = |found: &Object| found.status.observed_generation == generation;
            let after = self.until(name, "is seen by the operator that only reads", seen).await;
            assert_eq!(after.meta.finalizers, object.meta.finalizers, "{name}");
        }
        reader.stop().await;
        let writes = self.double.journal(mark).await.mutating();
        assert!(writes.is_empty(), "with --read-only:\n{writes}");
    }
}
