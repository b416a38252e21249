//! Manifests in files, read as the API server would: schema and rules first, defaults filled in, then what the operator
//! itself asks of a spec.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};

use kube::ResourceExt;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::{GROUP, Isolation, Shared, SharedStack, Tenant, VERSION, admission};
use crate::stack::accept;
use crate::stack::model::blocked::Blocked;

/// An object, where it was found, and what it asks for.
pub(super) struct Found<T, S> {
    pub(super) file: String,
    pub(super) object: T,
    pub(super) asks: S,
}

/// All that the files hold.
#[derive(Default)]
pub(super) struct Manifests {
    pub(super) stacks: Vec<Found<SharedStack, Shared>>,
    pub(super) tenants: Vec<Found<Tenant, Isolation>>,
    /// What is of other kinds.
    pub(super) skipped: Vec<String>,
    /// SharedStacks of which something is wrong: whoever borrows from them need not be told that they are missing.
    broken: Vec<String>,
}

impl Manifests {
    /// Reads the files, `-` being the standard input; or says everything that is wrong with them. What names no namespace
    /// is in this one.
    pub(super) fn read(files: &[String], namespace: &str) -> Result<Self, Vec<String>> {
        let (mut manifests, mut wrong) = (Self::default(), Vec::new());
        for file in files {
            let shown = if file == "-" { "standard input" } else { file };
            match documents(file) {
                Err(error) => wrong.push(format!("{shown}: {error}")),
                Ok(documents) => {
                    for (number, document) in (1..).zip(documents) {
                        manifests.take(shown, number, document, namespace, &mut wrong);
                    }
                }
            }
        }
        manifests.agree(&mut wrong);
        if manifests.stacks.is_empty() && manifests.tenants.is_empty() && wrong.is_empty() {
            wrong.push(format!("there is no Tenant and no SharedStack of {GROUP} in {}", files.join(", ")));
        }
        if wrong.is_empty() { Ok(manifests) } else { Err(wrong) }
    }

    /// The SharedStack of that name.
    pub(super) fn stack(&self, name: &str) -> Option<&Found<SharedStack, Shared>> {
        self.stacks.iter().find(|stack| stack.object.name_any() == name)
    }

    fn take(
        &mut self,
        file: &str,
        number: usize,
        mut document: Value,
        namespace: &str,
        wrong: &mut Vec<String>,
    ) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text(&document["apiVersion"]), text(&document["kind"]));
        let name = text(&document["metadata"]["name"]);
        if (version.as_str(), kind.as_str()) == ("v1", "List") {
            for (number, item) in (1..).zip(document["items"].as_array_mut().into_iter().flatten()) {
                self.take(file, number, item.take(), namespace, wrong);
            }
            return;
        }
        if version.is_empty() || kind.is_empty() {
            return wrong.push(format!("{file}: document {number} has no `apiVersion` or no `kind`"));
        }
        if version.split_once('/').is_none_or(|(group, _)| group != GROUP) {
            return self.skipped.push(format!("{file}: {kind} '{name}' of {version} was skipped"));
        }
        if version != format!("{GROUP}/{VERSION}") || !matches!(kind.as_str(), "Tenant" | "SharedStack") {
            return wrong.push(format!(
                "{file}: no matches for kind \"{kind}\" in version \"{version}\": there are Tenant and SharedStack in \
                 {GROUP}/{VERSION}"
            ));
        }
        // Nobody but the operator writes it: the API server leaves it out.
        if let Some(fields) = document.as_object_mut() {
            fields.remove("status");
        }
        if kind == "Tenant" && document["metadata"]["namespace"].is_null() && document["metadata"].is_object()
        {
            document["metadata"]["namespace"] = json!(namespace);
        }
        let refusals = admission::refusals(&document, None);
        let who = if name.is_empty() { format!("in document {number}") } else { format!("\"{name}\"") };
        if !refusals.is_empty() {
            self.broken.push(name);
            let say = |said: &String| format!("{file}: The {kind} {who} is invalid: {said}");
            return wrong.extend(refusals.iter().map(say));
        }
        let document = admission::without_nulls(&document);
        let put = match kind.as_str() {
            "Tenant" => parse(file, document, accept::tenant).map(|found| self.tenants.push(found)),
            _ => parse(file, document, |it: &SharedStack| accept::shared_stack(&it.spec))
                .map(|found| self.stacks.push(found)),
        };
        if let Err(said) = put {
            self.broken.push(name);
            wrong.push(format!("{file}: The {kind} {who} is refused: {said}"));
        }
    }

    /// What objects ask of one another.
    fn agree(&self, wrong: &mut Vec<String>) {
        let mut objects: BTreeMap<String, &str> = BTreeMap::new();
        let stacks = self.stacks.iter().map(|it| (title(&it.object), &it.file));
        let tenants = self.tenants.iter().map(|it| (title(&it.object), &it.file));
        for (title, file) in stacks.chain(tenants) {
            if let Some(first) = objects.insert(title.clone(), file) {
                wrong.push(format!("{file}: {title} is there twice, first in {first}"));
            }
        }
        let mut ids: BTreeMap<&str, &Found<Tenant, Isolation>> = BTreeMap::new();
        for tenant in &self.tenants {
            let (file, title, id) = (&tenant.file, title(&tenant.object), &tenant.object.spec.tenant_id);
            if let Some(first) = ids.insert(id, tenant).filter(|first| self::title(&first.object) != title) {
                wrong.push(format!(
                    "{file}: {title} and {} in {} ask for the same tenantId '{id}': an installation has it once, the \
                     older would get it, and the other wait with the reason TenantIdTaken",
                    self::title(&first.object),
                    first.file
                ));
            }
            let Some(name) = tenant.asks.stack() else { continue };
            let refused = match self.stack(name) {
                None if self.broken.iter().any(|broken| broken == name) => None,
                None => Some(format!(
                    "borrows from SharedStack '{name}', which is in none of the files: add the file that has it with \
                     another -f, or print it with: kubectl get sharedstack {name} -o yaml"
                )),
                Some(stack) => {
                    let served = accept::stack_serves(&tenant.asks, &stack.object);
                    served.err().map(|said| format!("is refused: {}: {}", said.reason.as_str(), said.message))
                }
            };
            wrong.extend(refused.map(|why| format!("{file}: {title} {why}")));
        }
    }
}

/// `Tenant/<namespace>/<name>` or `SharedStack/<name>`.
pub(super) fn title<T: kube::Resource<DynamicType = ()>>(object: &T) -> String {
    let kind = T::kind(&());
    match object.namespace() {
        Some(namespace) => format!("{kind}/{namespace}/{}", object.name_any()),
        None => format!("{kind}/{}", object.name_any()),
    }
}

/// The object, and what it asks for, or why the operator would not act upon it.
fn parse<T: DeserializeOwned, S>(
    file: &str,
    document: Value,
    accept: impl FnOnce(&T) -> Result<S, Blocked>,
) -> Result<Found<T, S>, String> {
    let object = serde_json::from_value(document).map_err(|error| error.to_string())?;
    let asks =
        accept(&object).map_err(|blocked| format!("{}: {}", blocked.reason.as_str(), blocked.message))?;
    Ok(Found { file: file.into(), object, asks })
}

/// The documents of a file that are not empty.
fn documents(file: &str) -> Result<Vec<Value>, String> {
    let read = match file {
        "-" => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map(|_| text)
        }
        file => fs::read_to_string(file),
    };
    let text = read.map_err(|error| error.to_string())?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).map_err(|error| error.to_string())?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}
