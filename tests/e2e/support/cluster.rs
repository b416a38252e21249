//! A world's side in the cluster: objects are applied, waited for and deleted.
//!
//! Tests name objects as a user of a cluster of their own would: `acme` is a Tenant in the world's namespace,
//! `other/acme` one in another, `SharedStack/standard` a SharedStack, `TenantClass/basic` a TenantClass. What they are really called
//! has the world's suffix.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, ValidationDirective};
use kube::core::{ApiResource, Resource, TypeMeta};
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tenantry::api::{SharedStack, Tenant, TenantClass};

use crate::support::objects::Object;
use crate::support::world::{LABEL, PATIENCE, World};

impl World {
    /// Where an object is, and what it is really called.
    pub fn find(&self, object: &str) -> (Api<DynamicObject>, String) {
        let client = self.client.clone();
        if let Some(name) = object.strip_prefix("SharedStack/") {
            let api = Api::all_with(client, &ApiResource::erase::<SharedStack>(&()));
            return (api, self.stack_name(name));
        }
        if let Some(name) = object.strip_prefix("TenantClass/") {
            let api = Api::all_with(client, &ApiResource::erase::<TenantClass>(&()));
            return (api, self.stack_name(name));
        }
        let (namespace, name) = object.split_once('/').unwrap_or(("", object));
        let kind = ApiResource::erase::<Tenant>(&());
        (Api::namespaced_with(client, &self.namespace_name(namespace), &kind), name.into())
    }

    /// What tests call an object.
    pub fn name_of(&self, object: &Object) -> String {
        let name = object.meta.name.as_deref().unwrap();
        let suffix = format!("-{}", self.suffix);
        match object.meta.namespace.as_deref() {
            None => format!("SharedStack/{}", name.strip_suffix(&suffix).unwrap()),
            Some(namespace) if namespace == self.suffix => name.into(),
            Some(namespace) => format!("{}/{name}", namespace.strip_suffix(&suffix).unwrap()),
        }
    }

    /// Applies a file of objects, as `kubectl apply --server-side` would.
    pub async fn apply(&self, yaml: &str) {
        if let Err(error) = self.try_apply(yaml).await {
            panic!("refused: {error}\n{yaml}");
        }
    }

    /// The same, unless the API server refuses.
    pub async fn try_apply(&self, yaml: &str) -> Result<(), kube::Error> {
        for object in self.objects(yaml) {
            self.apply_one(&object).await?;
        }
        Ok(())
    }

    async fn apply_one(&self, object: &Value) -> Result<DynamicObject, kube::Error> {
        let name = object["metadata"]["name"].as_str().unwrap();
        let (kind, namespace) = (&object["kind"], object["metadata"]["namespace"].as_str());
        let client = self.client.clone();
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &ApiResource::erase::<Tenant>(&())),
            None if kind == &json!("TenantClass") => {
                Api::all_with(client, &ApiResource::erase::<TenantClass>(&()))
            }
            None => Api::all_with(client, &ApiResource::erase::<SharedStack>(&())),
        };
        let kinds = [json!("Tenant"), json!("SharedStack"), json!("TenantClass")];
        assert!(kinds.contains(kind), "{kind} is not applied here");
        let how = PatchParams {
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::apply("e2e").force()
        };
        api.patch(name, &how, &Patch::Apply(object)).await
    }

    /// The objects of a file, made this world's: with its label, and its suffix in names that would clash.
    pub fn objects(&self, yaml: &str) -> Vec<Value> {
        let mut objects: Vec<Value> = serde_saphyr::from_multiple(&dedented(yaml)).expect("this is not YAML");
        for object in &mut objects {
            object["apiVersion"] = Tenant::api_version(&()).into();
            let tenant = object["kind"] == "Tenant";
            let metadata = &mut object["metadata"];
            metadata["labels"][LABEL] = self.suffix.clone().into();
            if tenant {
                let namespace = metadata["namespace"].as_str().unwrap_or_default();
                metadata["namespace"] = self.namespace_name(namespace).into();
            } else {
                metadata["name"] = self.stack_name(metadata["name"].as_str().unwrap()).into();
            }
            for named in ["/spec/stackRef/name", "/spec/classRef/name", "/spec/placement/stackRef/name"] {
                if let Some(name) = object.pointer_mut(named) {
                    *name = self.stack_name(name.as_str().unwrap()).into();
                }
            }
        }
        objects
    }

    /// An object as it is now.
    pub async fn get(&self, object: &str) -> Object {
        let (api, name) = self.find(object);
        api.get(&name).await.unwrap().into()
    }

    /// Waits until an object is as `wanted`; `what` says so in words.
    pub async fn until(&self, object: &str, what: &str, wanted: impl Fn(&Object) -> bool) -> Object {
        let (api, name) = self.find(object);
        let wanted = |found: Option<&DynamicObject>| found.is_some_and(|found| wanted(&found.clone().into()));
        let waiting = await_condition(api.clone(), &name, wanted);
        match self.in_time(waiting).await {
            Some(found) => found.unwrap().unwrap().into(),
            None => {
                let found = api.get_opt(&name).await.unwrap().map(|found| Object::from(found).describe());
                let found = found.unwrap_or_else(|| "it is not there".into());
                panic!("waited in vain until {object} {what}:\n{found}");
            }
        }
    }

    /// Waits for a condition: `Ready=True`, or with its reason `Accepted=False/TenantIdTaken`.
    pub async fn condition(&self, object: &str, wanted: &str) -> Object {
        self.until(object, &format!("has {wanted}"), |found| found.is(wanted)).await
    }

    /// Waits until an object is Ready, and nothing of it is being changed.
    pub async fn ready(&self, object: &str) -> Object {
        self.until(object, "is Ready", Object::is_done).await
    }

    /// Waits until an object is no more.
    pub async fn gone(&self, object: &str) {
        let (api, name) = self.find(object);
        let waiting = await_condition(api, &name, |found: Option<&DynamicObject>| found.is_none());
        match self.in_time(waiting).await {
            Some(gone) => drop(gone.unwrap()),
            None => panic!("waited in vain until {object} is gone:\n{}", self.get(object).await.describe()),
        }
    }

    /// Waits for anything else: asks until the answer is there.
    pub async fn eventually<T, F: Future<Output = Option<T>>>(&self, what: &str, ask: impl Fn() -> F) -> T {
        let asking = async {
            loop {
                if let Some(answer) = ask().await {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        self.in_time(asking).await.unwrap_or_else(|| panic!("waited in vain until {what}"))
    }

    /// What a future comes to, or nothing if it takes too long or the operator has ended.
    async fn in_time<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let failed = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if let Some(trouble) = self.operator_trouble().await {
                    println!("{trouble}");
                    return;
                }
            }
        };
        tokio::select! {
            answer = tokio::time::timeout(PATIENCE, future) => answer.ok(),
            () = failed => None,
        }
    }

    /// Asks for an object's deletion.
    pub async fn delete(&self, object: &str) {
        let (api, name) = self.find(object);
        api.delete(&name, &DeleteParams::default()).await.unwrap();
    }

    /// Removes all objects of this world, whatever holds them. Their operator must have ended, and AWS keeps what they have.
    pub async fn remove_all(&self) {
        let classes = self.listed(&ApiResource::erase::<TenantClass>(&())).await;
        let is_class =
            |object: &DynamicObject| object.types.as_ref().is_some_and(|it| it.kind == "TenantClass");
        let all = self.all_as_they_are().await.into_iter().chain(classes);
        let removed = all.map(|object| async move {
            let (name, client) = (object.name_any(), self.client.clone());
            let api: Api<DynamicObject> = match object.namespace() {
                Some(namespace) => {
                    Api::namespaced_with(client, &namespace, &ApiResource::erase::<Tenant>(&()))
                }
                None if is_class(&object) => Api::all_with(client, &ApiResource::erase::<TenantClass>(&())),
                None => Api::all_with(client, &ApiResource::erase::<SharedStack>(&())),
            };
            let unheld = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            api.patch(&name, &PatchParams::default(), &unheld).await?;
            api.delete(&name, &DeleteParams::default()).await
        });
        for removed in join_all(removed).await {
            match removed {
                Ok(_) => {}
                // It was leaving, and nothing holds it any more.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Sets an annotation, or removes it.
    pub async fn annotate(&self, object: &str, annotation: &str, value: Option<&str>) {
        self.patch(object, json!({"metadata": {"annotations": {annotation: value}}})).await;
    }

    /// Changes an object by a merge patch.
    pub async fn patch(&self, object: &str, patch: Value) -> Object {
        let (api, name) = self.find(object);
        api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap().into()
    }

    /// Changes a Tenant in a way that matters to nobody: what is waited for after this has been judged anew.
    pub async fn touch(&self, tenant: &str) {
        let model = format!("e2e.model-v{}", self.get(tenant).await.version());
        self.patch(tenant, json!({"spec": {"answers": {"model": model}}})).await;
    }

    /// The events of an object, oldest first: reason and note.
    pub async fn events(&self, object: &str) -> Vec<(String, String)> {
        let mut events = self.events_of(&self.get(object).await).await;
        events.sort_by_key(|event| event.creation_timestamp());
        let said = |event: Event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default());
        events.into_iter().map(said).collect()
    }

    /// Waits for an event of an object, which comes shortly after the status that it tells of; returns its note.
    pub async fn event(&self, object: &str, reason: &str) -> String {
        self.eventually(&format!("{object} has the event {reason}"), || async {
            let events = self.events(object).await;
            events.into_iter().find(|(found, _)| found == reason).map(|(_, note)| note)
        })
        .await
    }

    /// The same of an object that is gone.
    pub async fn last_word(&self, gone: &Object, reason: &str) -> String {
        self.eventually(&format!("{} has left the event {reason}", self.name_of(gone)), || async {
            let events = self.events_of(gone).await.into_iter();
            events.filter(|event| event.reason.as_deref() == Some(reason)).find_map(|event| event.note)
        })
        .await
    }

    /// The events that regard an object. They are where it is; of what is in no namespace, in the default one.
    pub async fn events_of(&self, object: &Object) -> Vec<Event> {
        let namespace = object.meta.namespace.as_deref().unwrap_or("default");
        let regarding = ListParams::default().fields(&format!("regarding.uid={}", object.uid()));
        Api::namespaced(self.client.clone(), namespace).list(&regarding).await.unwrap().items
    }

    /// The events of every object.
    pub async fn all_events(&self) -> Vec<Event> {
        Api::all(self.client.clone()).list(&ListParams::default()).await.unwrap().items
    }

    /// All objects of this world.
    pub async fn all(&self) -> Vec<Object> {
        self.all_as_they_are().await.into_iter().map(Object::from).collect()
    }

    /// The same with all that the API server says of them.
    pub async fn all_as_they_are(&self) -> Vec<DynamicObject> {
        let kinds = [ApiResource::erase::<SharedStack>(&()), ApiResource::erase::<Tenant>(&())];
        let mut found = Vec::new();
        for kind in kinds {
            found.extend(self.listed(&kind).await);
        }
        found
    }

    /// All of a kind.
    async fn listed(&self, kind: &ApiResource) -> Vec<DynamicObject> {
        let ours = ListParams::default().labels(&format!("{LABEL}={}", self.suffix));
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), kind);
        match api.list(&ours).await {
            Ok(listed) => {
                let named = |object| DynamicObject {
                    types: Some(TypeMeta { api_version: kind.api_version.clone(), kind: kind.kind.clone() }),
                    ..object
                };
                listed.items.into_iter().map(named).collect()
            }
            // A kind that is not defined any more has no objects.
            Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Without the indentation that a text has in its test: YAML's `---` must begin a line.
fn dedented(text: &str) -> String {
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let lines = || text.lines().skip_while(|line| line.trim().is_empty());
    let margin = lines().next().map_or(0, indentation);
    lines()
        .map(|line| line.get(margin.min(indentation(line))..).unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}
