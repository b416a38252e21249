//! Every call that an adapter makes has its row, and every row its call.

use std::collections::{BTreeMap, BTreeSet};
use std::{fs, path::Path};

use regex::Regex;
use tenantry::stack::iam::operation::Operation;

/// (service, operation).
type Name = (String, String);

/// The adapters, by file name.
fn adapters() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/aws");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let code = fs::read_to_string(&path).unwrap();
            // What tests say is no call.
            let code = code.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            (path.file_stem().unwrap().to_string_lossy().into_owned(), code)
        })
        .collect()
}

/// The calls as they are named to IAM: `gate.call(s3::HeadBucket, …)`.
fn named(code: &str) -> BTreeSet<Name> {
    let call = Regex::new(r"gate\s*\.call\(\s*([a-z0-9_]+)::([A-Z][A-Za-z0-9]+),").unwrap();
    call.captures_iter(code).map(|found| (found[1].to_owned(), found[2].to_owned())).collect()
}

/// The calls as they are made: `client.head_bucket()`.
fn made(code: &str) -> BTreeSet<String> {
    let call = Regex::new(r"\bclient\s*\.([a-z0-9_]+)\(\)").unwrap();
    call.captures_iter(code).map(|found| pascal(&found[1])).collect()
}

fn pascal(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

#[test]
fn a_call_is_what_it_is_named() {
    for (file, code) in adapters() {
        // These make their requests without an SDK.
        if ["aoss_endpoint", "bedrock_models"].contains(&file.as_str()) {
            continue;
        }
        let named: BTreeSet<String> = named(&code).into_iter().map(|(_, operation)| operation).collect();
        let made: BTreeSet<String> = made(&code).into_iter().filter(|name| name != "Clone").collect();
        assert_eq!(made, named, "src/aws/{file}.rs: the calls, and the rows of src/stack/iam/operation.rs");
    }
}

#[test]
fn every_call_passes_the_gate() {
    let past = Regex::new(r"\.send\(\)\s*\.await|pages\s*\.(try_|next)").unwrap();
    for (file, code) in adapters() {
        if file == "call" {
            continue;
        }
        assert!(!past.is_match(&code), "src/aws/{file}.rs: a request goes by `Call::send` or `Call::pages`");
    }
}

#[test]
fn every_row_is_called() {
    let called: BTreeSet<Name> = adapters().values().flat_map(|code| named(code)).collect();
    let rows: BTreeSet<Name> =
        Operation::all().map(|row| (row.service().to_owned(), row.name().to_owned())).collect();
    assert_eq!(rows, called);
    assert_eq!(rows.len(), Operation::all().count(), "an operation has one row");
}

/// A service's own action comes first where it has one, and every action says whose it is.
#[test]
fn actions_are_well_formed() {
    let action = Regex::new("^(s3|kms|iam|aoss|s3vectors|bedrock|dynamodb):[A-Z][A-Za-z]+$").unwrap();
    for row in Operation::all() {
        for (needed, _) in row.needs() {
            assert!(action.is_match(needed), "{row:?}");
        }
        if let Some((first, _)) = row.needs().first() {
            assert!(first.starts_with(row.service().trim_end_matches("_endpoint")), "{row:?}");
        }
    }
}

/// A row says what its operation does. It agrees with the verb of the name, and with what the double counts as a change.
#[test]
fn what_changes_something_is_known() {
    let journal = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/double/journal.py");
    let journal = fs::read_to_string(journal).unwrap();
    let reads = journal.split("READS = (").nth(1).unwrap().split(')').next().unwrap();
    let reads: Vec<&str> = reads.split('"').skip(1).step_by(2).collect();
    assert!(reads.contains(&"Get"), "{reads:?}");
    for row in Operation::all() {
        let only_reads = reads.iter().any(|verb| row.name().starts_with(verb));
        assert_eq!(row.changes(), !only_reads, "{row:?}");
    }
    assert!(Operation::all().filter(|row| row.changes()).count() > 40);
}
