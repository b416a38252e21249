//! Manifests in files, read as the API server would: schema and rules first, defaults filled in, then what the operator
//! itself asks of a spec.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use kube::ResourceExt;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::{
    GROUP, Isolation, Named, Reason, Shared, SharedStack, Tenant, TenantClass, TenantClassSpec, VERSION,
    admission, long_form,
};
use crate::stack::accept;
use crate::stack::model::blocked::Blocked;

/// What may be in a file.
const KINDS: [&str; 3] = ["Tenant", "SharedStack", "TenantClass"];

/// A value that is text, or nothing.
fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

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
    pub(super) classes: Vec<Found<TenantClass, TenantClassSpec>>,
    /// Tenants as they are written, before it is known what their classes say.
    written: Vec<Found<Tenant, String>>,
    /// What is of other kinds.
    pub(super) skipped: Vec<String>,
    /// Objects that the API server will name, by the names that stand for theirs here.
    pub(super) unnamed: Vec<String>,
    /// SharedStacks and classes of which something is wrong: whoever names them need not be told that they are missing.
    broken: Vec<String>,
}

impl Manifests {
    /// Reads the files, `-` being the standard input; or says everything that is wrong with them. What names no namespace
    /// is in this one.
    pub(super) fn read(files: &[String], namespace: &str, require_class: bool) -> Result<Self, Vec<String>> {
        let (mut manifests, mut wrong) = (Self::default(), Vec::new());
        for file in files.iter().flat_map(|file| with_those_inside(file)) {
            let read = file.and_then(|file| match documents(&file) {
                Ok(documents) => Ok((file, documents)),
                Err(error) => Err(format!("{}: {error}", shown(&file))),
            });
            match read {
                Err(error) => wrong.push(error),
                Ok((file, documents)) => {
                    for (number, document) in (1..).zip(documents) {
                        manifests.take(shown(&file), number, document, namespace, &mut wrong);
                    }
                }
            }
        }
        manifests.place(require_class, &mut wrong);
        manifests.agree(&mut wrong);
        if manifests.stacks.is_empty() && manifests.tenants.is_empty() && wrong.is_empty() {
            wrong.push(manifests.nothing_in(files));
        }
        if wrong.is_empty() { Ok(manifests) } else { Err(wrong) }
    }

    /// That there is nothing to plan, and what to do about it.
    fn nothing_in(&self, files: &[String]) -> String {
        let nothing = format!("there is no Tenant and no SharedStack of {GROUP} in {}", files.join(", "));
        let classes: Vec<_> = self.classes.iter().map(|class| title(&class.object)).collect();
        if classes.is_empty() {
            return nothing;
        }
        let are = if classes.len() == 1 {
            "is as it should be, and builds"
        } else {
            "are as they should be, and build"
        };
        format!(
            "{nothing}: {} {are} nothing without Tenants; name the files of the Tenants of it, too, with another -f",
            classes.join(", ")
        )
    }

    /// The TenantClass of that name.
    fn class(&self, name: &str) -> Option<&Found<TenantClass, TenantClassSpec>> {
        self.classes.iter().find(|class| class.object.name_any() == name)
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
        let (version, kind) = (word(&document["apiVersion"]), word(&document["kind"]));
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
            let name = word(&document["metadata"]["name"]);
            return self.skipped.push(format!("{file}: {kind} '{name}' of {version} was skipped"));
        }
        if version != format!("{GROUP}/{VERSION}") || !KINDS.contains(&kind.as_str()) {
            return wrong.push(format!(
                "{file}: no matches for kind \"{kind}\" in version \"{version}\": there are {} in {GROUP}/{VERSION}",
                KINDS.join(", ")
            ));
        }
        self.fill_in(&mut document, &kind, namespace);
        let name = word(&document["metadata"]["name"]);
        let refusals = admission::refusals(&document, None);
        let who = if name.is_empty() { format!("in document {number}") } else { format!("\"{name}\"") };
        if !refusals.is_empty() {
            self.broken.push(name);
            let say = |said: &String| format!("{file}: The {kind} {who} is invalid: {said}");
            return wrong.extend(refusals.iter().map(say));
        }
        let document = admission::without_nulls(&document);
        let put = match kind.as_str() {
            // What it asks for is known once all classes are.
            "Tenant" => {
                parse(file, document, |_: &Tenant| Ok(who.clone())).map(|found| self.written.push(found))
            }
            "TenantClass" => parse(file, document, may_have_tenants).map(|found| self.classes.push(found)),
            _ => parse(file, document, |it: &SharedStack| accept::shared_stack(&it.spec))
                .map(|found| self.stacks.push(found)),
        };
        if let Err(said) = put {
            self.broken.push(name);
            wrong.push(format!("{file}: The {kind} {who} is refused: {said}"));
        }
    }

    /// What the API server, or `kubectl`, writes into a manifest or leaves out.
    fn fill_in(&mut self, document: &mut Value, kind: &str, namespace: &str) {
        // Nobody but the operator writes a status.
        if let Some(fields) = document.as_object_mut() {
            fields.remove("status");
        }
        if kind == "Tenant" && document["metadata"]["namespace"].is_null() && document["metadata"].is_object()
        {
            document["metadata"]["namespace"] = json!(namespace);
        }
        let prefix = word(&document["metadata"]["generateName"]);
        if word(&document["metadata"]["name"]).is_empty() && !prefix.is_empty() {
            let name = generated(&prefix, self.unnamed.len());
            self.unnamed.push(format!("{kind} {name}"));
            document["metadata"]["name"] = json!(name);
        }
    }

    /// Each Tenant with what its class says.
    fn place(&mut self, require_class: bool, wrong: &mut Vec<String>) {
        for Found { file, mut object, asks: who } in std::mem::take(&mut self.written) {
            let name = object.spec.class_ref.as_ref().map(|it| it.name.clone());
            let class = name.as_ref().and_then(|name| self.class(name));
            if let (Some(name), None) = (&name, class) {
                if !self.broken.contains(name) {
                    wrong.push(format!(
                        "{file}: {} is of TenantClass '{name}', which is in none of the files: add the file that has it with \
                         another -f, or print it with: kubectl get tenantclass {name} -o yaml",
                        title(&object)
                    ));
                }
                continue;
            }
            let named = class.map(|it| (it.object.name_any(), &it.asks));
            let named = named.as_ref().map(|(name, spec)| Named { name, spec });
            let may =
                if require_class && named.is_none() { accept::without_class(false, None) } else { Ok(()) };
            let long = may.and_then(|()| long_form(&object.spec, named).map_err(Blocked::from));
            let asks = long.and_then(|long| {
                object.spec = long;
                accept::tenant(&object)
            });
            match asks {
                Ok(asks) => self.tenants.push(Found { file, object, asks }),
                Err(said) => {
                    let said = format!("{}: {}", said.reason.as_str(), said.message);
                    wrong.push(format!("{file}: The Tenant {who} is refused: {said}"));
                }
            }
        }
    }

    /// What objects ask of one another.
    fn agree(&self, wrong: &mut Vec<String>) {
        let mut objects: BTreeMap<String, &str> = BTreeMap::new();
        let stacks = self.stacks.iter().map(|it| (title(&it.object), &it.file));
        let tenants = self.tenants.iter().map(|it| (title(&it.object), &it.file));
        let classes = self.classes.iter().map(|it| (title(&it.object), &it.file));
        for (title, file) in classes.chain(stacks).chain(tenants) {
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
                    let served = accept::stack_serves(&tenant.asks, &stack.object)
                        .and_then(|()| accept::store_serves(&tenant.object, &tenant.asks, &stack.object));
                    served.err().map(|said| format!("is refused: {}: {}", said.reason.as_str(), said.message))
                }
            };
            wrong.extend(refused.map(|why| format!("{file}: {title} {why}")));
        }
    }
}

/// `Tenant/<namespace>/<name>`, `SharedStack/<name>` or `TenantClass/<name>`.
pub(super) fn title<T: kube::Resource<DynamicType = ()>>(object: &T) -> String {
    let kind = T::kind(&());
    match object.namespace() {
        Some(namespace) => format!("{kind}/{namespace}/{}", object.name_any()),
        None => format!("{kind}/{}", object.name_any()),
    }
}

/// What a class says, if a Tenant could be of it that says nothing itself.
fn may_have_tenants(class: &TenantClass) -> Result<TenantClassSpec, Blocked> {
    let name = class.name_any();
    let mut spec = json!({"tenantId": "any", "classRef": {"name": name}});
    if class.spec.placement.is_none() {
        // Whatever a class says, a Silo may have.
        spec["pattern"] = json!("Silo");
    }
    let refused = |why: String| Blocked {
        reason: Reason::ClassConflict,
        message: format!("no Tenant could be of it: {why}"),
    };
    let spec = serde_json::from_value(spec).map_err(|error| refused(error.to_string()))?;
    let long = long_form(&spec, Some(Named { name: &name, spec: &class.spec }));
    let long = long.map_err(|conflict| refused(conflict.message))?;
    let tenant = accept::tenant(&Tenant::new("any", long));
    tenant.map_err(|said| refused(format!("{}: {}", said.reason.as_str(), said.message)))?;
    Ok(class.spec.clone())
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

/// What the API server could make of `generateName`: it appends five characters, and cuts the rest to fit.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#generated-values>
fn generated(prefix: &str, number: usize) -> String {
    let number = if number == 0 { String::new() } else { number.to_string() };
    let prefix: String = prefix.chars().take(58).collect();
    format!("{prefix}{number:x>5}")
}

/// A file's name as one shows it.
fn shown(file: &str) -> &str {
    if file == "-" { "standard input" } else { file }
}

/// A file; in place of a folder what kubectl would read in it: its own files with manifests, and not those of folders within.
fn with_those_inside(file: &str) -> Vec<Result<String, String>> {
    if !Path::new(file).is_dir() {
        return vec![Ok(file.to_owned())];
    }
    let entries = match fs::read_dir(file) {
        Ok(entries) => entries,
        Err(error) => return vec![Err(format!("{file}: {error}"))],
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file());
    let is_manifest = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| ["json", "yaml", "yml"].contains(&extension))
    };
    let mut inside: Vec<_> = paths.filter(is_manifest).map(|path| path.display().to_string()).collect();
    inside.sort();
    if inside.is_empty() {
        return vec![Err(format!("{file}: there is no .yaml, .yml or .json in this folder"))];
    }
    inside.into_iter().map(Ok).collect()
}

/// The documents of a file that are not empty.
fn documents(file: &str) -> Result<Vec<Value>, String> {
    let read = match file {
        "-" => {
            let mut bytes = Vec::new();
            io::stdin().read_to_end(&mut bytes).map(|_| bytes)
        }
        file => fs::read(file),
    };
    let text = text(read.map_err(|error| error.to_string())?)?;
    // As kubectl reads numbers: 0100 is 64.
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let documents = serde_saphyr::from_multiple_with_options(&text, options);
    let documents: Vec<Value> = documents.map_err(|error| unreadable(&error))?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// A file's text: UTF-8, or the UTF-16 of some editors and shells, which says so at its beginning.
fn text(bytes: Vec<u8>) -> Result<String, String> {
    const NEITHER: &str = "it is no text in UTF-8 or UTF-16";
    let of = |unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes[2..].as_chunks();
        let text = String::from_utf16(&pairs.iter().copied().map(unit).collect::<Vec<_>>());
        text.ok().filter(|_| rest.is_empty()).ok_or_else(|| NEITHER.to_owned())
    };
    match bytes[..] {
        [0xFF, 0xFE, ..] => of(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => of(u16::from_be_bytes),
        _ => String::from_utf8(bytes).map_err(|_| NEITHER.into()),
    }
}

/// Why a file is no YAML. A reader of manifests sets no options of a library.
fn unreadable(error: &serde_saphyr::Error) -> String {
    match error.without_snippet() {
        serde_saphyr::Error::DuplicateMappingKey { key, location } => format!(
            "line {}: `{}` is there twice in one map: remove one",
            location.line(),
            key.as_deref().unwrap_or("a key")
        ),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_that_is_generated_is_longer_than_a_name_or_there_twice() {
        assert_eq!(generated("acme-", 0), "acme-xxxxx");
        assert_eq!(generated("acme-", 12), "acme-xxx12");
        assert_eq!(generated(&"a".repeat(100), 0).len(), 63);
    }

    #[test]
    fn what_kubectl_takes_for_text_is_text() {
        let written = "kind: Tenant # ü\n";
        let units = written.encode_utf16();
        let little: Vec<u8> = units.clone().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = units.flat_map(u16::to_be_bytes).collect();
        for bytes in [
            written.as_bytes().to_vec(),
            [&[0xFF, 0xFE][..], &little].concat(),
            [&[0xFE, 0xFF][..], &big].concat(),
        ] {
            assert_eq!(text(bytes).as_deref(), Ok(written));
        }
        for bytes in
            [vec![0xC3, 0x28], [&[0xFF, 0xFE][..], &little[1..]].concat(), vec![0xFF, 0xFE, 0x00, 0xD8]]
        {
            assert!(text(bytes).unwrap_err().contains("UTF-16"));
        }
    }
}
