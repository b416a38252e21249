//! What Argo CD is given in examples/argocd/ is what is tested there, and docs/argocd.md explains it.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use crate::docs::{quoted, read, root};

const KINDS: [&str; 2] = ["Tenant", "SharedStack"];
const ACTIONS: [&str; 3] = ["pause", "resume", "sync-now"];
const FOLDER: &str = "examples/argocd";

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn script(path: &str) -> String {
    read(format!("examples/argocd/resource_customizations/tenantry.dev/{path}"))
}

/// root.yaml and all of apps/, by path.
fn applications() -> BTreeMap<String, Value> {
    let apps = fs::read_dir(root().join(FOLDER).join("apps")).unwrap();
    let apps = apps.map(|file| format!("apps/{}", file.unwrap().file_name().to_str().unwrap()));
    apps.chain(["root.yaml".into()]).map(|file| (file.clone(), yaml(&format!("{FOLDER}/{file}")))).collect()
}

/// An ApplicationSet has an Application as its template.
fn application(whole: &Value) -> &Value {
    whole["spec"].get("template").unwrap_or(whole)
}

#[test]
fn argocd_cm_has_the_scripts_that_are_tested() {
    let data: BTreeMap<String, String> =
        serde_json::from_value(yaml("examples/argocd/argocd-cm.yaml")["data"].clone()).unwrap();
    for kind in KINDS {
        let health = &data[&format!("resource.customizations.health.tenantry.dev_{kind}")];
        assert_eq!(health, &script("_/health.lua"), "argocd-cm.yaml: the health of {kind}");

        let actions = &data[&format!("resource.customizations.actions.tenantry.dev_{kind}")];
        let actions: Value = serde_saphyr::from_str(actions).unwrap();
        let definition =
            |name| json!({"name": name, "action.lua": script(&format!("{kind}/actions/{name}/action.lua"))});
        let tested = json!({
            "discovery.lua": script(&format!("{kind}/actions/discovery.lua")),
            "definitions": ACTIONS.map(definition),
        });
        assert_eq!(actions, tested, "argocd-cm.yaml: the actions of {kind}");
    }
    assert_eq!(data.len(), 2 * KINDS.len() + 1, "and the health of Applications");
}

#[test]
fn an_action_is_the_same_for_both_kinds() {
    for action in ACTIONS {
        let [tenant, stack] = KINDS.map(|kind| script(&format!("{kind}/actions/{action}/action.lua")));
        assert_eq!(tenant, stack, "{action}");
    }
}

#[test]
fn every_option_is_explained() {
    let page = read("docs/argocd.md");
    let explained = quoted(&page);
    for (file, whole) in applications() {
        let application = application(&whole);
        let options = application["spec"]["syncPolicy"]["syncOptions"].as_array().unwrap();
        for option in options.iter().map(|option| option.as_str().unwrap()) {
            assert!(explained.contains(option), "docs/argocd.md does not explain {option} of {file}");
        }
        let annotations =
            [&whole, application].into_iter().filter_map(|it| it["metadata"]["annotations"].as_object());
        for (annotation, value) in annotations.flatten() {
            let value = value.as_str().unwrap();
            let told = match annotation.as_str() {
                "argocd.argoproj.io/sync-wave" => {
                    explained.contains(annotation.as_str()) && explained.contains(value)
                }
                _ => explained.contains(format!("{annotation}: {value}").as_str()),
            };
            assert!(told, "docs/argocd.md does not explain {annotation}: {value} of {file}");
        }
    }
}

/// The project of each kind's repository.
fn projects() -> Vec<Value> {
    let text = read(format!("{FOLDER}/project.yaml"));
    text.split("\n---\n").map(|one| serde_saphyr::from_str(one).unwrap()).collect()
}

/// Who may write to the tenants' repository makes Tenants. In another project it would be anything.
#[test]
fn a_repository_is_a_source_in_its_project_only() {
    for project in projects() {
        let theirs = project["spec"]["sourceRepos"].as_array().unwrap();
        for (file, whole) in applications() {
            let spec = &application(&whole)["spec"];
            assert!(spec["source"]["repoURL"].is_string(), "{file} has one source");
            let (within, from) = (spec["project"] == project["metadata"]["name"], &spec["source"]["repoURL"]);
            assert_eq!(within, theirs.contains(from), "{file}: its project and its repository");
        }
    }
}

/// S34: a file of one tenant, with a second document in it, changed the SharedStack of all.
#[test]
fn no_file_of_the_tenants_changes_a_shared_stack_or_a_class() {
    let made_by = |project: &str| -> Vec<Value> {
        let projects = projects();
        let spec = &projects.iter().find(|it| it["metadata"]["name"] == project).unwrap()["spec"];
        let list = |name: &str| spec[name].as_array().cloned();
        // What Argo CD does where a list is absent.
        let everything = json!({"group": "*", "kind": "*"});
        let namespaced = match list("namespaceResourceBlacklist") {
            Some(forbidden) if forbidden == [everything.clone()] => Vec::new(),
            _ => list("namespaceResourceWhitelist").unwrap_or_else(|| vec![everything]),
        };
        [list("clusterResourceWhitelist").unwrap_or_default(), namespaced].concat()
    };
    assert_eq!(made_by("tenants"), [json!({"group": "tenantry.dev", "kind": "Tenant"})]);
    let shared = ["SharedStack", "TenantClass"].map(|kind| json!({"group": "tenantry.dev", "kind": kind}));
    assert_eq!(made_by("shared-stacks"), shared);
    let sources = projects().into_iter().flat_map(|it| it["spec"]["sourceRepos"].as_array().unwrap().clone());
    let sources: Vec<_> = sources.map(|it| it.to_string()).collect();
    let unique: std::collections::BTreeSet<_> = sources.iter().collect();
    assert_eq!(sources.len(), unique.len(), "no repository is in both projects");
}
