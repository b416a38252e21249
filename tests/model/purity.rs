//! Who may know what: the model is pure, AWS has one folder, and no folder uses one that is built on it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;

/// Each folder of `src/`, and the others that it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("stack", &["api"]),
    ("aws", &["api", "stack"]),
    ("documents", &["api", "stack", "aws"]),
    ("layers", &["api", "stack", "aws", "documents"]),
    ("controller", &["api", "stack", "aws", "documents", "layers"]),
    ("cli", &["api", "stack", "aws", "documents", "layers", "controller"]),
];

/// What the model does without: waiting, clients, the environment, and clocks.
const IMPURE: &str = r"\basync\b|\bawait\b|\btokio\b|\bfutures\b|\baws_\w+|\bkube(::|_)(Client|Api|client|api|runtime)\b|\bstd::(env|fs|net|process|thread)\b|\bInstant\b|\bSystemTime\b|\bnow\(\)";

/// The lines of code in a folder, each with where it is. Comments may speak of anything.
fn code(folder: &Path) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            lines.extend(code(&path));
            continue;
        }
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            let line = line.split("//").next().unwrap_or_default();
            lines.push((format!("{}:{}", path.display(), number + 1), line.to_owned()));
        }
    }
    lines
}

fn source(folder: &str) -> Vec<(String, String)> {
    code(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder))
}

/// Complains about the lines of a folder in which `forbidden` is found.
fn lacks(folder: &str, forbidden: &Regex, why: &str) {
    let found = source(folder).into_iter().filter(|(_, line)| forbidden.is_match(line));
    let found: Vec<_> = found.map(|(place, line)| format!("{place}: {}", line.trim())).collect();
    assert!(found.is_empty(), "{why}:\n{}", found.join("\n"));
}

#[test]
fn the_model_is_pure() {
    lacks("stack", &Regex::new(IMPURE).unwrap(), "src/stack decides, and touches nothing");
}

#[test]
fn only_the_adapters_know_the_sdk() {
    let sdk = Regex::new(r"\baws_(sdk|smithy)\w*").unwrap();
    for (folder, _) in MAY_USE.iter().filter(|(folder, _)| *folder != "aws") {
        lacks(folder, &sdk, "only src/aws names the SDK");
    }
}

#[test]
fn no_folder_uses_what_is_built_on_it() {
    let folders = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let folders = folders.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let folders: BTreeSet<String> =
        folders.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    let known: BTreeSet<String> = MAY_USE.iter().map(|(folder, _)| (*folder).to_owned()).collect();
    assert_eq!(folders, known, "a new folder needs its place in this test, and in the map in src/lib.rs");
    for (folder, may_use) in MAY_USE {
        let others = known.iter().filter(|other| other != folder && !may_use.contains(&other.as_str()));
        let others = others.map(String::as_str).collect::<Vec<_>>().join("|");
        if !others.is_empty() {
            let uses =
                Regex::new(&format!(r"\bcrate::({others})\b|\bcrate::\{{[^}}]*\b({others})::")).unwrap();
            lacks(folder, &uses, &format!("src/{folder} may use only {may_use:?}"));
        }
    }
}
