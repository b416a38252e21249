//! Parts of pages that are made from the code, each between two comments of its page. `make docs` writes them.

use std::env;
use std::fs;

use clap::{Arg, ArgAction, Command, CommandFactory};
use regex::Regex;
use serde_json::Value;
use tenantry::api::placement::PLACEMENTS;
use tenantry::api::{MODELS, Pattern};
use tenantry::cli::Cli;
use tenantry::stack::classify::TABLE;

use crate::crds::{SCHEMAS, walk};
use crate::docs::{read, root};

/// The page, the name of the part, and what the code says.
fn parts() -> [(&'static str, &'static str, String); 7] {
    [
        ("docs/fields.md", "models", models()),
        ("docs/fields.md", "Tenant", fields("Tenant")),
        ("docs/fields.md", "SharedStack", fields("SharedStack")),
        ("docs/fields.md", "TenantClass", fields("TenantClass")),
        ("docs/fields.md", "status", status()),
        ("docs/reference.md", "commands", commands()),
        ("docs/troubleshooting.md", "classes", classes()),
    ]
}

#[test]
fn no_page_says_less_than_the_code() {
    for (page, name, text) in parts() {
        let (begin, end) = (format!("<!-- {name}: made by `make docs` -->\n"), "<!-- end -->");
        let whole = read(page);
        let (before, rest) = whole.split_once(&begin).unwrap_or_else(|| panic!("{page} has no '{begin}'"));
        let (part, after) = rest.split_once(end).unwrap_or_else(|| panic!("{page}: {name} has no '{end}'"));
        let wanted = format!("\n{text}\n");
        if env::var_os("TENANTRY_WRITE_DOCS").is_some() {
            fs::write(root().join(page), format!("{before}{begin}{wanted}{end}{after}")).unwrap();
        } else {
            assert!(part == wanted, "{page}: the part '{name}' is out of date; refresh it with: make docs");
        }
    }
}

fn row<const N: usize>(cells: [String; N]) -> String {
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|").replace('\n', " ")).join(" | "))
}

/// The embedding models that are known, each with the lengths that its vectors may have.
fn models() -> String {
    let sizes = |sizes: &[i32]| sizes.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
    let rows = MODELS
        .iter()
        .map(|model| row([format!("`{}`", model.id), sizes(model.dimensions), format!("{}", model.default)]));
    format!("| model | `dimensions` | default |\n|---|---|---|\n{}", rows.collect::<String>())
}

/// What may be written in a field.
fn values(schema: &Value) -> String {
    let words = |words: &Value| {
        let words = words.as_array().into_iter().flatten().filter_map(Value::as_str);
        words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
    };
    // Bounds of integers are floats in the type of a schema.
    let whole = |name: &str| schema[name].as_f64().map(|bound| bound as i64);
    let bounds = |low: &str, high: &str, unit: &str| match (whole(low), whole(high)) {
        (Some(low), Some(high)) => format!("{low} to {high}{unit}"),
        (None, Some(high)) => format!("at most {high}{unit}"),
        _ => unit.trim().to_owned(),
    };
    let written = match schema["type"].as_str() {
        _ if schema["enum"].is_array() => words(&schema["enum"]),
        Some("integer") => bounds("minimum", "maximum", ""),
        Some("boolean") => "`true`, `false`".into(),
        Some("array") => bounds("minItems", "maxItems", " items"),
        Some("object") if schema["properties"].is_object() => "object".into(),
        Some("object") => bounds("minProperties", "maxProperties", " pairs"),
        _ => bounds("minLength", "maxLength", " characters"),
    };
    match &schema["pattern"] {
        Value::String(pattern) => format!("{written}, `{pattern}`"),
        _ => written,
    }
}

/// What a field's rule lets happen to it after creation, and to the fields in it.
#[derive(Clone, Copy)]
enum Change {
    Never,
    OnlyMore,
    OnlyAdded,
}

/// The fields below `path` that a rule there keeps from being changed.
fn kept(path: &str, schema: &Value) -> Vec<(String, Change)> {
    let words = [
        ("must not be changed", Change::Never),
        ("may be added to", Change::OnlyMore),
        ("may be added but must not be removed", Change::OnlyAdded),
    ];
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    let messages = rules.filter_map(|rule| rule["message"].as_str());
    let kept = messages.filter_map(|message| {
        let (field, rest) = message.strip_prefix('`')?.split_once("` ")?;
        let (_, change) = words.iter().find(|(words, _)| rest.starts_with(words))?;
        Some((format!("{path}.{field}"), *change))
    });
    kept.collect()
}

/// All that users write in the spec of a kind.
fn fields(kind: &str) -> String {
    let spec = &SCHEMAS[kind]["properties"]["spec"];
    let (mut all, mut fixed) = (Vec::new(), Vec::new());
    walk("spec", spec, &mut |path, schema| {
        fixed.extend(kept(path, schema));
        all.push((path.to_owned(), schema.clone()));
    });
    let required = |path: &str| {
        let (parent, name) = path.rsplit_once('.')?;
        let (_, parent) = all.iter().find(|(path, _)| path == parent)?;
        parent["required"].as_array()?.iter().any(|field| field == name).then_some(", required")
    };
    let change = |path: &str| {
        let of = fixed.iter().find(|(field, _)| path == field).map(|(_, change)| *change);
        // What is in a field that is never changed is not either, nor what is in one to which more may be added.
        let around = fixed.iter().any(|(field, change)| {
            let is_in = path.strip_prefix(field.as_str()).is_some_and(|rest| rest.starts_with(['.', '[']));
            is_in && !matches!(change, Change::OnlyAdded)
        });
        let inside = fixed.iter().any(|(field, _)| field.starts_with(&format!("{path}.")));
        match of {
            Some(Change::Never) => "never",
            Some(Change::OnlyMore) => "only more",
            Some(Change::OnlyAdded) => "may be added, not removed",
            None if around => "never",
            None if inside => "see below",
            None => "yes",
        }
    };
    let patterns = |path: &str| {
        let top = path.split('.').nth(1).unwrap_or_default().trim_end_matches(['[', ']', '{', '}']);
        let placed = PLACEMENTS.iter().find(|placement| placement.field == top);
        let of = placed.map_or(&[Pattern::Silo, Pattern::Bridge, Pattern::Pool][..], |it| it.patterns);
        of.iter().map(|pattern| format!("{pattern}")).collect::<Vec<_>>().join(", ")
    };
    let of_tenants = kind == "Tenant";
    let mut table = if of_tenants {
        "| field | values | patterns | may it change? | what it is |\n|---|---|---|---|---|\n".to_owned()
    } else {
        "| field | values | may it change? | what it is |\n|---|---|---|---|\n".to_owned()
    };
    for (path, schema) in &all {
        // Elements are described by the field that has them.
        let Some(text) =
            schema["description"].as_str().filter(|_| path != "spec" && !path.ends_with(['}', ']']))
        else {
            continue;
        };
        let field = format!("`{}`", path.trim_start_matches("spec."));
        let values = format!("{}{}", values(schema), required(path).unwrap_or_default());
        table += &if of_tenants {
            row([field, values, patterns(path), change(path).into(), text.into()])
        } else {
            row([field, values, change(path).into(), text.into()])
        };
    }
    table
}

/// What the operator reports, which is the same of both kinds.
fn status() -> String {
    let mut table = "| field | what it says |\n|---|---|\n".to_owned();
    walk("status", &SCHEMAS["Tenant"]["properties"]["status"], &mut |path, schema| {
        let is_condition = path.starts_with("status.conditions[]");
        if let Some(text) = schema["description"].as_str().filter(|_| path != "status" && !is_condition) {
            table += &row([format!("`{}`", path.trim_start_matches("status.")), text.into()]);
        }
    });
    table
}

/// The class of each answer of AWS.
fn classes() -> String {
    let code = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let rows = TABLE.iter().map(|it| {
        let class = format!("{:?}", it.class);
        row([class, code(it.codes), code(it.operations), code(it.words)])
    });
    let head = "| class | AWS's code | only of these calls | only if the message says |\n|---|---|---|---|\n";
    head.to_owned() + &rows.collect::<String>()
}

/// All commands with their options.
fn commands() -> String {
    let mut text = String::new();
    for command in Cli::command().get_subcommands() {
        tell("tenantry", command, &mut text);
    }
    text.trim_end().to_owned() + "\n"
}

fn tell(before: &str, command: &Command, text: &mut String) {
    let name = format!("{before} {}", command.get_name());
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    *text += &format!("### {name}\n\n{about}\n\n");
    let arguments: Vec<&Arg> = command.get_arguments().filter(|argument| !argument.is_hide_set()).collect();
    if !arguments.is_empty() {
        *text += "| option | variable | default | what it says |\n|---|---|---|---|\n";
    }
    for argument in arguments {
        let env = argument.get_env().map(|name| format!("`{}`", name.to_string_lossy())).unwrap_or_default();
        let default =
            argument.get_default_values().iter().map(|it| it.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let default = match (default.is_empty(), argument.get_action()) {
            (false, ArgAction::Set | ArgAction::Append) => format!("`{default}`"),
            _ if argument.is_required_set() => "required".into(),
            _ => String::new(),
        };
        let help =
            argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
        *text += &row([format!("`{}`", usage(argument)), env, default, help]);
    }
    text.push('\n');
    for inner in command.get_subcommands() {
        tell(&name, inner, text);
    }
}

/// An option as it is written.
fn usage(argument: &Arg) -> String {
    let value =
        argument.get_value_names().unwrap_or_default().first().map(ToString::to_string).unwrap_or_default();
    let takes = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    let long = argument
        .get_long()
        .map(|long| if takes { format!("--{long} <{value}>") } else { format!("--{long}") });
    match (argument.get_short(), long) {
        (Some(short), Some(long)) => format!("-{short}, {long}"),
        (None, Some(long)) => long,
        _ => format!("<{value}>"),
    }
}

/// Where a page shows a command of ours: a line of a shell, whatever stands before it, or a cell of a table with nothing else.
fn shown(text: &str) -> Vec<Vec<String>> {
    let fence = Regex::new("(?s)```(?:sh|console)\n(.*?)```").unwrap();
    let ours = Regex::new(r"(?m)^\s*(?:\$ )?(?:\w+=\S+ )*tenantry (.*)$").unwrap();
    let blocks = fence.captures_iter(text).map(|block| block[1].replace("\\\n", " "));
    let lines = blocks
        .flat_map(|block| ours.captures_iter(&block).map(|line| line[1].to_owned()).collect::<Vec<_>>());
    let cell = Regex::new(r"\| `tenantry ([^`]+ [^`]+)` \|").unwrap();
    // A cell that begins a row names the command that the row is about.
    let rows = text.lines().filter(|line| !line.starts_with("| `tenantry "));
    let cells =
        rows.flat_map(|row| cell.captures_iter(row).map(|cell| cell[1].to_owned()).collect::<Vec<_>>());
    lines.chain(cells).map(|line| words(&line)).collect()
}

/// The words of a line up to a comment, a pipe or a redirection, as a shell takes them apart; `$NAME` stands for an ARN.
fn words(line: &str) -> Vec<String> {
    let word = Regex::new(r#""([^"]*)"|'([^']*)'|(\S+)"#).unwrap();
    let mut words = Vec::new();
    for found in word.captures_iter(line) {
        if ["#", "|", ">", "2>", "&&", "<"].contains(&&found[0]) {
            break;
        }
        let text = (1..=3).find_map(|group| found.get(group)).unwrap().as_str();
        let text = text.trim_end_matches(['…', ';']);
        words.extend((!text.is_empty()).then(|| {
            if text.starts_with('$') {
                "arn:aws:iam::111122223333:role/name".to_owned()
            } else {
                text.to_owned()
            }
        }));
    }
    words
}

/// A command that is copied from a page and refused teaches nothing but distrust.
#[test]
fn no_page_shows_a_command_that_the_program_does_not_take() {
    use clap::Parser;
    let mut commands = 0;
    for page in crate::docs::pages() {
        for words in shown(&read(&page)) {
            commands += 1;
            let command = std::iter::once("tenantry".to_owned()).chain(words.clone());
            if let Err(refused) = Cli::try_parse_from(command) {
                let asks = matches!(
                    refused.kind(),
                    clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion
                );
                assert!(asks, "{page} shows `tenantry {}`: {refused}", words.join(" "));
            }
        }
    }
    assert!(commands >= 20, "only {commands} commands are found");
}
