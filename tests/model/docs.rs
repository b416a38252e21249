//! README.md and docs/ say what the code says; where they do not, the test prints what to write.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use kube::CustomResourceExt;
use regex::Regex;
use serde_json::{Value, json};
use tenantry::api;
use tenantry::api::{
    Column, ConditionType, Layer, Ownership, Reason, Status, Tenant, VectorStore, metric, ownership,
};
use tenantry::ask::refusal::REASONS;
use tenantry::cli::Cli;
use tenantry::stack::iam::permissions::{self, Audience};
use tenantry::stack::iam::{ask, boundary, guard};
use tenantry::stack::identity::Scope;

use crate::admission;

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All of `src/` as text, but for `without`.
fn source(folder: &str, without: &str) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            text += &source(&name, without);
        } else if name != without {
            text += &read(&name);
        }
    }
    text
}

/// The fenced blocks of a language.
fn blocks(markdown: &str, language: &str) -> Vec<String> {
    let fence = Regex::new(&format!("(?s)```{language}\n(.*?)```")).unwrap();
    fence.captures_iter(markdown).map(|block| block[1].to_owned()).collect()
}

/// The words in back-quotes.
pub fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The pages that people read before they use it: README.md, what stands beside it, and docs/.
pub fn pages() -> Vec<String> {
    let docs = fs::read_dir(root().join("docs")).unwrap();
    let docs = docs.map(|entry| format!("docs/{}", entry.unwrap().file_name().to_str().unwrap()));
    let beside = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map(str::to_owned);
    let beside = beside.into_iter().filter(|page| root().join(page).exists());
    let mut pages: Vec<_> = beside.chain(docs).filter(|page| page.ends_with(".md")).collect();
    pages.sort();
    pages
}

/// README.md and docs/ as one text: what is told is told there, wherever.
fn told() -> String {
    pages().iter().map(read).collect()
}

/// Complains about all lines that `page` lacks.
fn has_lines(page: &str, lines: impl IntoIterator<Item = String>) {
    let text = read(page);
    let missing: Vec<_> = lines.into_iter().filter(|line| !text.lines().any(|found| found == line)).collect();
    assert!(missing.is_empty(), "{page} lacks or differs in:\n{}", missing.join("\n"));
}

/// The table as the README prints it.
fn ownership_table() -> String {
    let mut table = String::from("| layer |");
    table.extend(Column::ALL.map(|column| format!(" {} |", column.words())));
    table.push_str("\n|---|");
    table.extend(Column::ALL.map(|_| "---|"));
    for layer in Layer::ALL {
        table.push_str(&format!("\n| {layer} |"));
        table.extend(Column::ALL.map(|column| match ownership(column, layer) {
            Ownership::Owns => " owns |",
            Ownership::Borrows => " borrows |",
            Ownership::Absent => " – |",
        }));
    }
    table.push('\n');
    table
}

#[test]
fn the_ownership_table_is_the_codes() {
    let table = ownership_table();
    assert!(read("README.md").contains(&table), "README.md must have:\n{table}");
}

#[test]
fn the_manifest_is_admitted_and_its_status_is_one() {
    let blocks: Vec<Value> = blocks(&read("README.md"), "yaml")
        .iter()
        .map(|block| serde_saphyr::from_str(block).unwrap_or_else(|error| panic!("{error}:\n{block}")))
        .collect();
    let [tenant, status] = &blocks[..] else { panic!("a manifest, then its status") };
    assert_eq!(admission::refusal(tenant, None), None);
    let tenant: Tenant = serde_json::from_value(tenant.clone()).unwrap();
    let status = is_a_status(&status["status"]);
    assert_eq!(status.retrieval_filter.unwrap().equals.value, tenant.spec.tenant_id);
}

/// Every manifest and every status that a page shows.
#[test]
fn no_page_shows_an_object_that_cannot_be() {
    let (mut manifests, mut statuses) = (0, 0);
    for page in pages() {
        for block in blocks(&read(&page), "yaml") {
            let objects: Vec<Value> = serde_saphyr::from_multiple(&block)
                .unwrap_or_else(|error| panic!("{page}: {error}:\n{block}"));
            for object in objects {
                if ["Tenant", "SharedStack"].contains(&object["kind"].as_str().unwrap_or_default()) {
                    assert_eq!(admission::refusal(&object, None), None, "{page}:\n{block}");
                    manifests += 1;
                } else if object["status"].is_object() {
                    is_a_status(&object["status"]);
                    statuses += 1;
                }
            }
        }
    }
    assert!(manifests >= 1 && statuses >= 1, "{manifests} manifests, {statuses} statuses");
}

/// A status as a page shows it, without times.
fn is_a_status(status: &Value) -> Status {
    let mut status = status.clone();
    for condition in status["conditions"].as_array_mut().unwrap() {
        condition["lastTransitionTime"] = json!("2026-01-01T00:00:00Z"); // left out for the reader
        for (what, known) in [
            ("type", ConditionType::parse(condition["type"].as_str().unwrap()).is_some()),
            ("reason", Reason::parse(condition["reason"].as_str().unwrap()).is_some()),
        ] {
            assert!(known, "no {what} of ours: {condition}");
        }
    }
    let known = crate::crds::SCHEMAS["Tenant"]["properties"]["status"]["properties"].as_object().unwrap();
    let unknown: Vec<_> =
        status.as_object().unwrap().keys().filter(|field| !known.contains_key(*field)).collect();
    assert!(unknown.is_empty(), "the status has no {unknown:?}");
    serde_json::from_value(status).unwrap()
}

/// The flags of `tenantry run` that must be told in words, beside the list of all.
const TOLD_FLAGS: [&str; 15] = [
    "leader-elect",
    "health-probe-bind-address",
    "metrics-bind-address",
    "installation",
    "deletion-grace",
    "take-over",
    "installation-bucket",
    "id-policy",
    "require-tenant-ids",
    "require-class",
    "permissions-boundary",
    "max-knowledge-bases",
    "max-tenants-per-namespace",
    "log-format",
    "registry",
];

#[test]
fn every_subcommand_and_annotation_is_told() {
    let told = told();
    let command = Cli::command();
    for name in command.get_subcommands().map(clap::Command::get_name) {
        assert!(told.contains(&format!("tenantry {name}")), "no page speaks of `tenantry {name}`");
    }
    for annotation in [
        api::PAUSED,
        api::SYNC_REQUESTED_AT,
        api::RETRY_REQUESTED_AT,
        api::APPROVE,
        "tenantry.dev/tenant-ids",
        "tenantry.dev/max-knowledge-bases",
    ] {
        assert!(
            read("docs/reference.md").contains(&format!("| `{annotation}")),
            "docs/reference.md does not speak of the annotation {annotation}"
        );
    }
    let run = command.find_subcommand("run").unwrap();
    let flags: BTreeSet<_> = run.get_arguments().filter_map(clap::Arg::get_long).collect();
    // What is made from the command line says nothing of what people were told.
    let in_words = told.replace(&read("docs/reference.md"), "");
    for flag in TOLD_FLAGS {
        assert!(
            in_words.contains(&format!("`--{flag}")),
            "no page speaks of --{flag} any more; strike it here"
        );
        assert!(flags.contains(flag), "pages speak of `tenantry run --{flag}`, which is gone");
    }
}

/// The anchor that a forge gives a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let text = Regex::new(r"\[([^\]]*)\]\([^)]*\)").unwrap().replace_all(&text, "$1").into_owned();
    let kept = text.chars().filter(|it| it.is_alphanumeric() || [' ', '-', '_'].contains(it));
    kept.map(|it| if it == ' ' { '-' } else { it }).collect()
}

fn prose(page: &str) -> String {
    read(page).split("```").step_by(2).collect()
}

#[test]
fn no_link_leads_nowhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut wrong = Vec::new();
    for page in
        pages().into_iter().chain(["charts/tenantry/README.md", "tests/aws/README.md"].map(str::to_owned))
    {
        for found in link.captures_iter(&prose(&page)).filter(|found| !found[1].contains("://")) {
            let (file, heading) = found[1].split_once('#').unwrap_or((&found[1], ""));
            let folder = Path::new(&page).parent().unwrap();
            let target = if file.is_empty() { PathBuf::from(&page) } else { folder.join(file) };
            if !root().join(&target).exists() {
                wrong.push(format!("{page}: {}", &found[1]));
            } else if !heading.is_empty() {
                let text = prose(target.to_str().unwrap());
                let is_there = text.lines().any(|line| line.starts_with('#') && anchor(line) == heading);
                wrong.extend((!is_there).then(|| format!("{page}: {}", &found[1])));
            }
        }
    }
    assert!(wrong.is_empty(), "these links lead nowhere:\n{}", wrong.join("\n"));
}

/// `[text][name]` needs `[name]: address` on the same page, and the other way round.
#[test]
fn no_reference_is_without_its_address() {
    let used = Regex::new(r"\]\[([a-z]+)\]").unwrap();
    let given = Regex::new(r"(?m)^\[([a-z]+)\]: ").unwrap();
    for page in pages() {
        let text = prose(&page);
        let names = |pattern: &Regex| -> BTreeSet<String> {
            pattern.captures_iter(&text).map(|found| found[1].to_owned()).collect()
        };
        assert_eq!(names(&used), names(&given), "{page}: what is used, and what is given");
    }
}

/// It is read to the end only if it is short.
#[test]
fn the_readme_is_read_to_the_end() {
    let readme = read("README.md");
    let (lines, longest) = (readme.lines().count(), readme.lines().map(|line| line.chars().count()).max());
    assert!(lines <= 120, "README.md has {lines} lines");
    assert!(longest <= Some(320), "a line of README.md has {longest:?} characters");
    for page in pages().iter().filter(|page| page.starts_with("docs/")) {
        assert!(readme.contains(&format!("({page}")), "README.md does not lead to {page}");
    }
}

/// A quota on a kind that is misspelt, or an annotation that nobody reads, bounds nothing and says nothing.
#[test]
fn the_bounds_of_a_namespace_name_what_there_is() {
    let page = read("docs/limits.md");
    let [manifests] = &blocks(&page, "yaml")[..] else { panic!("one block of manifests") };
    let manifests: Vec<Value> = serde_saphyr::from_multiple(manifests).unwrap();
    let [namespace, quota] = &manifests[..] else { panic!("a Namespace, then its ResourceQuota") };
    assert_eq!((&namespace["kind"], &quota["kind"]), (&json!("Namespace"), &json!("ResourceQuota")));
    assert_eq!(namespace["metadata"]["name"], quota["metadata"]["namespace"]);
    let counted: Vec<_> = quota["spec"]["hard"].as_object().unwrap().keys().collect();
    assert_eq!(counted, [&format!("count/{}", Tenant::crd_name())]);
    let source = source("src/stack", "");
    for (annotation, value) in namespace["metadata"]["annotations"].as_object().unwrap() {
        assert!(source.contains(&format!("= \"{annotation}\";")), "nobody reads {annotation}");
        assert!(value.is_string(), "{annotation}: the API server takes no {value}");
    }
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    let flags: BTreeSet<_> = run.get_arguments().filter_map(clap::Arg::get_long).collect();
    let prose: String = page.split("```").step_by(2).collect();
    let words = quoted(&prose);
    for word in &words {
        let named = word.split('=').next().unwrap();
        let is_known = match word.strip_prefix("--") {
            Some(flag) => flags.contains(flag),
            None if word.starts_with(char::is_uppercase) => {
                ConditionType::parse(named).is_some() || Reason::parse(named).is_some()
            }
            None => true,
        };
        assert!(is_known, "docs/limits.md speaks of `{word}`, which is nothing of ours");
    }
    for word in ["TooManyTenants", "--max-tenants-per-namespace", "tenantry.dev/max-knowledge-bases"] {
        assert!(words.contains(word), "docs/limits.md does not speak of `{word}`");
    }
}

/// Where a command lies that is printed or documented.
const COMMANDS_IN: [&str; 7] =
    ["README.md", "CONTRIBUTING.md", "docs", "examples", "charts", "src", "tests/bed/demo.py"];

/// Commands of kubectl that change or delete something, each with the first word that names what.
fn changing_commands(text: &str) -> Vec<(String, String)> {
    let command = Regex::new(
        r##"kubectl(?:\s+(?:-[nfl]\s+\S+|-\S+))*\s+(?:annotate|delete|edit|label|patch|replace|scale|set)(?:\s+(?:-[nfl]\s+\S+|-\S+))*\s+([^\s`'"#]+)"##,
    );
    let found = command.unwrap();
    found.captures_iter(text).map(|found| (found[0].to_owned(), found[1].to_owned())).collect()
}

/// Whether another operator's kind may be meant by this word: kubectl takes whichever it finds first.
fn is_ambiguous(what: &str) -> bool {
    let kinds = ["tenant", "tenants", "sharedstack", "sharedstacks"];
    what.split(',')
        .any(|it| kinds.contains(&it.split('/').next().unwrap_or_default().to_lowercase().as_str()))
}

#[test]
fn no_command_that_changes_something_may_hit_another_operators_kind() {
    for bad in ["tenant acme", "tenants --all", "sharedstack/standard", "-n x tenants", "crd,Tenants a"] {
        let found = changing_commands(&format!("run `kubectl delete {bad}`"));
        assert!(found.iter().any(|(_, what)| is_ambiguous(what)), "{bad}: {found:?}");
    }
    for good in
        ["tenants.tenantry.dev acme", "namespace tenants", "-f tenants.yaml", "crd tenants.tenantry.dev"]
    {
        let found = changing_commands(&format!("kubectl annotate {good}"));
        assert!(!found.iter().any(|(_, what)| is_ambiguous(what)), "{good}: {found:?}");
    }
    let (mut commands, mut wrong) = (0, Vec::new());
    for place in COMMANDS_IN {
        let text = if root().join(place).is_dir() { source(place, "") } else { read(place) };
        for (command, what) in changing_commands(&text) {
            commands += 1;
            wrong.extend(is_ambiguous(&what).then_some(format!("{place}: {command}")));
        }
    }
    assert!(commands >= 8, "only {commands} commands are found");
    assert!(
        wrong.is_empty(),
        "other operators have a kind Tenant too; write tenants.tenantry.dev:\n{}",
        wrong.join("\n")
    );
}

/// A row of the table of folders in `src/lib.rs`.
#[test]
fn the_map_is_that_of_the_crate() {
    let row = Regex::new(r"(?m)^//! \| \[`(\w+)`\] \| (.*) \|$").unwrap();
    let library = read("src/lib.rs");
    let rows: Vec<_> = row
        .captures_iter(&library)
        .map(|row| format!("| [`src/{folder}/`](../src/{folder}) | {} |", &row[2], folder = &row[1]))
        .collect();
    assert!(rows.len() >= 8);
    has_lines("docs/architecture.md", rows);
}

/// The words that everything else uses, in both places where somebody begins to read.
#[test]
fn the_glossary_is_that_of_the_crate() {
    let row = Regex::new(r"(?m)^//! (\| \*\*[^|]+\*\* \| .* \|)$").unwrap();
    let library = read("src/lib.rs");
    let rows: Vec<_> = row.captures_iter(&library).map(|row| row[1].to_owned()).collect();
    assert_eq!(rows.len(), 10, "a glossary of ten lines: {rows:#?}");
    has_lines("docs/concepts.md", rows);
}

#[test]
fn what_follows_from_a_fault_is_what_the_crate_says() {
    let library = read("src/lib.rs");
    let table = library.split("| class | what follows |").nth(1).expect("the table of classes");
    let rows = table.lines().skip(1).take_while(|line| line.starts_with("//! |"));
    has_lines("docs/status.md", rows.map(|row| row.trim_start_matches("//! ").to_owned()));
}

#[test]
fn every_condition_and_reason_is_explained() {
    let row = |word: &str, cells: &[&str]| format!("| `{word}` | {} |", cells.join(" | "));
    let types = ConditionType::ALL.iter().map(|word| row(word.as_str(), &[word.meaning().trim()]));
    let reasons = Reason::ALL.iter().map(|word| row(word.as_str(), &[word.meaning().trim(), word.remedy()]));
    let rows: BTreeSet<String> = types.chain(reasons).collect();
    has_lines("docs/status.md", rows.iter().cloned());
    let page = read("docs/status.md");
    let stray: Vec<_> =
        page.lines().filter(|line| line.starts_with("| `") && !rows.contains(*line)).collect();
    assert!(stray.is_empty(), "docs/status.md has rows that the code has not:\n{}", stray.join("\n"));
}

#[test]
fn every_metric_is_explained() {
    let row = |metric: &metric::Row| {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, labels) = (metric.kind.as_str(), labels.join(", "));
        format!("| `{}` | {kind} | {labels} | {} |", metric.name, metric.meaning)
    };
    let rows: Vec<String> = metric::ALL.iter().chain(metric::GATEWAY).map(row).collect();
    has_lines("docs/metrics.md", rows.iter().cloned());
    let page = read("docs/metrics.md");
    let is_stray = |line: &&str| line.starts_with("| `") && !rows.iter().any(|row| row == line);
    let stray: Vec<_> = page.lines().filter(is_stray).collect();
    assert!(stray.is_empty(), "docs/metrics.md has rows that the code has not:\n{}", stray.join("\n"));
}

/// The rows of the table of errors, and the words by which the gateway's alerts tell refusals apart.
#[test]
fn every_refusal_of_the_gateway_is_explained_and_alerts_name_no_other() {
    let row = Regex::new(r"(?m)^\| `(\w+)` \| (?:[45]\d\d `\w+`|as AWS has it) \| .+ \| .+ \|$").unwrap();
    let page = read("docs/gateway.md");
    let told: Vec<&str> =
        row.captures_iter(&page).map(|row| row.get(1).map_or("", |it| it.as_str())).collect();
    assert_eq!(told, REASONS, "the table of errors in docs/gateway.md");
    let alerts = serde_saphyr::from_str(&read("charts/tenantry/files/gateway-alerts.yaml")).unwrap();
    let reasons = Regex::new(r#"reason=~?"([^"]*)""#).unwrap();
    let mut named = 0;
    for expression in expressions(&alerts) {
        for reason in reasons
            .captures_iter(&expression)
            .flat_map(|it| it[1].split('|').map(str::to_owned).collect::<Vec<_>>())
        {
            assert!(REASONS.contains(&reason.as_str()), "nothing is refused as {reason}: {expression}");
            named += 1;
        }
    }
    assert!(named >= 5, "only {named} are named");
}

/// The condition types, reasons and codes of AWS that the chart's alerts and its dashboard name. What they say of metrics and
/// labels is for tests/chart, which can read PromQL.
#[test]
fn alerts_and_dashboard_name_what_there_is() {
    let alerts: Value = serde_saphyr::from_str(&read("charts/tenantry/files/alerts.yaml")).unwrap();
    let dashboard: Value = serde_json::from_str(&read("charts/tenantry/dashboards/tenantry.json")).unwrap();
    let expressions = [expressions(&alerts), expressions(&dashboard)].map(|found| {
        assert!(found.len() >= 20, "only {found:?}");
        found
    });
    let selector = Regex::new(r"\b(\w+)\{([^}]*)\}").unwrap();
    let matcher = Regex::new(r#"(\w+)(?:=~|!~|!=|=)"([^"]*)""#).unwrap();
    let classes = source("src/stack", "");
    for expression in expressions.iter().flatten() {
        for found in selector.captures_iter(expression) {
            let known = metric::ALL.iter().chain(metric::GATEWAY).find(|metric| metric.name == &found[1]);
            let is_of_conditions = known.is_some_and(|metric| metric.labels.contains(&"type"));
            for pair in matcher.captures_iter(&found[2]) {
                let is_known = |word: &str| match &pair[1] {
                    "type" => ConditionType::parse(word).is_some(),
                    "reason" => Reason::parse(word).is_some(),
                    "status" if is_of_conditions => ["True", "False", "Unknown"].contains(&word),
                    "code" if &found[1] == metric::AWS_REQUESTS.name => {
                        ["OK", "5.."].contains(&word) || classes.contains(&format!("\"{word}\""))
                    }
                    _ => true,
                };
                let unknown: Vec<_> = pair[2].split('|').filter(|word| !is_known(word)).collect();
                assert!(unknown.is_empty(), "no series has {} {unknown:?}: {expression}", &pair[1]);
            }
        }
    }
}

/// The texts of all keys `expr`, wherever.
fn expressions(value: &Value) -> Vec<String> {
    let below: Vec<&Value> = match value {
        Value::Array(all) => all.iter().collect(),
        Value::Object(all) => all.values().collect(),
        _ => Vec::new(),
    };
    let own = value["expr"].as_str().map(str::to_owned);
    own.into_iter().chain(below.into_iter().flat_map(expressions)).collect()
}

#[test]
fn every_reason_is_given_by_somebody() {
    let code = source("src", "src/api/condition.rs");
    let nobody_gives =
        |word: &&str| !(word.starts_with("WaitingFor") || code.contains(&format!("Reason::{word}")));
    let dead: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).filter(nobody_gives).collect();
    assert!(dead.is_empty(), "no code gives these reasons: {dead:?}");
}

#[test]
fn the_policies_of_the_pages_are_what_is_printed() {
    let audience = Audience {
        scope: Scope::new("prod", "111122223333", "eu-central-1"),
        role_arn: Some("arn:aws:iam::111122223333:role/tenantry-operator".into()),
        boundary_arn: None,
        registry: None,
        installation_bucket: None,
        stores: VectorStore::ALL.to_vec(),
    };
    let role = "--role-arn arn:aws:iam::111122223333:role/tenantry-operator ";
    let [asking, gateway] =
        ["arn:aws:iam::111122223333:role/tenantry-ask", "arn:aws:iam::111122223333:role/tenantry-gateway"];
    let by = "--ask-role arn:aws:iam::111122223333:role/tenantry-ask ";
    let trusted = "--gateway-role arn:aws:iam::111122223333:role/tenantry-gateway ";
    for (who, printed, options) in [
        ("operator", permissions::operator(&audience, None), role),
        ("destructive", permissions::destructive(&audience), ""),
        ("boundary", boundary::boundary(&audience.scope, &[], &VectorStore::ALL), ""),
        ("guard", guard::guard(&audience.scope, audience.role_arn.as_deref().unwrap()), role),
        ("guard --kind resource", guard::resource_guard(&audience.scope), role),
        ("gateway", ask::gateway(&audience.scope, asking, None), by),
        ("ask", ask::ask(&audience.scope), ""),
        ("ask --trust", ask::trust(&audience.scope, gateway), trusted),
        ("fence", ask::fence(&audience.scope, asking, &[]), by),
    ] {
        let file = format!("docs/{}-policy.json", who.replace(" --kind ", "-of-").replace(" --", "-"));
        assert!(
            read(&file) == format!("{printed:#}\n"),
            "{file} is out of date; refresh it with: cargo run -- iam-policy {who} --installation prod \
             --account 111122223333 --region eu-central-1 {options}> {file}"
        );
    }
}
