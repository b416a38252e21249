//! Who may know what: the model is pure, AWS has one folder, no room uses one that is built on it, and no file uses one
//! that uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use syn::visit::Visit;
use syn::{ItemMod, ItemUse, UseTree, Visibility};

/// Each room of `src/`, and the others that it may use. A room within a room is named by its path.
const MAY_USE: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("stack", &["api"]),
    ("ask", &["api", "stack"]),
    ("aws", &["api", "stack"]),
    ("records", &["api", "stack", "aws"]),
    ("documents", &["api", "stack", "aws"]),
    ("layers", &["api", "stack", "aws", "documents"]),
    ("reconcile", &["api", "stack", "aws", "records", "documents", "layers"]),
    ("operator", &["api", "stack", "aws", "records", "documents", "layers", "reconcile"]),
    ("gateway", &["api", "stack", "ask", "aws", "records"]),
    ("cli", &["api", "stack", "aws", "records", "documents", "layers"]),
];

/// The rooms of `stack`, and those of its rooms that each may use. Its own files belong to none.
const STACK: &[(&str, &[&str])] = &[
    ("iam", &[]),
    ("store", &["iam"]),
    ("model", &["iam", "store"]),
    ("forecast", &["iam", "store", "model"]),
];

/// The verbs that are a process, and its room.
const PROCESSES: &[(&str, &str)] = &[("cli/run", "operator"), ("cli/gateway", "gateway")];

/// Files of no room, and who may not use them.
const EVERYBODYS: &[(&str, &[&str])] = &[
    ("clock", &["api", "stack", "aws", "records", "documents", "layers"]),
    ("api_server", &["api", "stack", "ask", "aws", "records", "documents", "layers", "reconcile"]),
    ("serve", &["api", "stack", "aws", "records", "documents", "layers"]),
    ("settings", &["api", "stack", "aws", "records", "documents", "layers"]),
];

/// What the model does without: waiting, clients, the environment, and clocks.
const IMPURE: &str = r"\basync\b|\bawait\b|\btokio\b|\bfutures\b|\baws_(config|credential_types|sdk|sigv4|smithy|types)\w*|\bkube(::|_)(Client|Api|client|api|runtime)\b|\bstd::(env|fs|net|process|thread)\b|\bInstant\b|\bSystemTime\b|\bnow\(\)";

/// A module's path in the crate, such as `["stack", "model", "plan"]`; a `mod.rs` is its folder.
type Module = Vec<String>;

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

/// The rooms in a folder of `src/`. A folder without a `mod.rs` belongs to the file of its name.
fn rooms(folder: &str) -> BTreeSet<String> {
    let inside = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder)).unwrap();
    let folders = inside.map(|entry| entry.unwrap().path()).filter(|path| path.join("mod.rs").exists());
    folders.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn the_model_is_pure() {
    lacks("stack", &Regex::new(IMPURE).unwrap(), "src/stack decides, and touches nothing");
    lacks("ask", &Regex::new(IMPURE).unwrap(), "src/ask decides, and touches nothing");
}

#[test]
fn only_the_adapters_know_the_sdk() {
    let sdk = Regex::new(r"\baws_(sdk|smithy)\w*").unwrap();
    for (folder, _) in MAY_USE.iter().filter(|(folder, _)| *folder != "aws") {
        lacks(folder, &sdk, "only src/aws names the SDK");
    }
}

/// All that a file's code names of other files of the crate, tests apart. Paths among a macro's arguments are not seen.
#[derive(Default)]
struct Names {
    paths: Vec<Vec<String>>,
    reexports: Vec<Vec<String>>,
    /// Its modules that are there for tests alone.
    tests: Vec<String>,
}

/// Whether an item is there for tests alone.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|it| {
        it.path().is_ident("cfg") && it.parse_args::<syn::Path>().is_ok_and(|cfg| cfg.is_ident("test"))
    })
}

/// The paths of a use tree, each whole.
fn leaves(tree: &UseTree, before: &[String], found: &mut Vec<Vec<String>>) {
    let with = |name: &dyn ToString| [before, &[name.to_string()]].concat();
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &with(&path.ident), found),
        UseTree::Name(name) => found.push(with(&name.ident)),
        UseTree::Rename(rename) => found.push(with(&rename.ident)),
        UseTree::Glob(_) => found.push(before.to_vec()),
        UseTree::Group(group) => group.items.iter().for_each(|item| leaves(item, before, found)),
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if is_test(&item.attrs) {
            self.tests.push(item.ident.to_string());
        } else {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        // To hand a name on is not to use it: who uses it is counted with the file that has it.
        let into =
            if matches!(item.vis, Visibility::Inherited) { &mut self.paths } else { &mut self.reexports };
        leaves(&item.tree, &[], into);
    }

    // `pub(super)` is no use.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }
}

/// Which file uses which.
static USES: LazyLock<BTreeMap<Module, BTreeSet<Module>>> = LazyLock::new(uses);

fn uses() -> BTreeMap<Module, BTreeSet<Module>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inside = path.strip_prefix(&root).unwrap().with_extension("");
            let mut module: Module = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            if ["mod", "lib"].contains(&module[module.len() - 1].as_str()) {
                module.pop();
            }
            let text = fs::read_to_string(&path).unwrap();
            let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let mut names = Names::default();
            names.visit_file(&parsed);
            files.insert(module, names);
        }
    }
    let mut handed_on = BTreeMap::new();
    for (module, names) in &files {
        for path in &names.reexports {
            if let Some(from) = file_of(&files, &BTreeMap::new(), module, path) {
                handed_on.insert((module.clone(), path[path.len() - 1].clone()), from);
            }
        }
    }
    let is_test = |module: &[String]| {
        let (name, parent) = module.split_last().unwrap();
        files.get(parent).is_some_and(|names| names.tests.contains(name))
    };
    let tests = |module: &Module| (1..=module.len()).any(|depth| is_test(&module[..depth]));
    let found = files.iter().filter(|(module, _)| !tests(module)).map(|(module, names)| {
        let used = names.paths.iter().filter_map(|path| file_of(&files, &handed_on, module, path));
        (module.clone(), used.filter(|it| it != module).collect())
    });
    found.collect()
}

/// The file that a path in `module` leads to, if it is one of ours.
fn file_of(
    files: &BTreeMap<Module, Names>,
    handed_on: &BTreeMap<(Module, String), Module>,
    module: &Module,
    path: &[String],
) -> Option<Module> {
    let mut path = path.iter();
    let mut at = module.clone();
    let first = path.next()?;
    match first.as_str() {
        "crate" => at.clear(),
        "self" => {}
        "super" => drop(at.pop()),
        child => {
            at.push(child.to_owned());
            files.get(&at)?;
        }
    }
    for step in path {
        if step == "super" {
            at.pop();
            continue;
        }
        at.push(step.clone());
        if !files.contains_key(&at) {
            at.pop();
            return Some(handed_on.get(&(at.clone(), step.clone())).cloned().unwrap_or(at));
        }
    }
    Some(at)
}

/// Complains about uses that a table of rooms does not allow.
fn holds(table: &[(&str, &[&str])], depth: usize, of: impl Fn(&Module) -> bool) {
    let known: BTreeSet<_> = table.iter().map(|(room, _)| *room).collect();
    let mut wrong = Vec::new();
    for (file, used) in USES.iter().filter(|(file, _)| of(file)) {
        for other in used.iter().filter(|other| of(other)) {
            let (Some(here), Some(there)) = (file.get(depth), other.get(depth)) else { continue };
            let may = table.iter().find(|(room, _)| room == here).map(|(_, may)| *may);
            let allowed = here == there
                || !known.contains(there.as_str())
                || may.is_some_and(|may| may.contains(&there.as_str()))
                // The verbs that are a process.
                || PROCESSES.contains(&(file.join("/").as_str(), there.as_str()));
            if !allowed && may.is_some() {
                wrong.push(format!("{} uses {}", file.join("/"), other.join("/")));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "these rooms may not use one another, see MAY_USE and STACK:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn no_room_uses_what_is_built_on_it() {
    for (folder, table) in [("", MAY_USE), ("stack", STACK)] {
        let known: BTreeSet<String> = table.iter().map(|(room, _)| (*room).to_owned()).collect();
        assert_eq!(
            rooms(folder),
            known,
            "a new folder needs its place in this test, and in the map in src/lib.rs"
        );
    }
    holds(MAY_USE, 0, |_| true);
    holds(STACK, 1, |file| file.first().is_some_and(|room| room == "stack"));
    for (file, used) in USES.iter() {
        for (everybodys, not_for) in EVERYBODYS {
            let uses_it = used.contains(&vec![(*everybodys).to_owned()]);
            let may_not = file.first().is_some_and(|room| not_for.contains(&room.as_str()));
            assert!(!(uses_it && may_not), "{} may not use {everybodys}", file.join("/"));
        }
    }
}

/// What cannot be reached any more by taking away, again and again, files that use none of those that are left.
#[test]
fn no_file_uses_one_that_uses_it() {
    let mut left = USES.clone();
    assert!(left.len() > 100 && left.values().map(BTreeSet::len).sum::<usize>() > 500, "imports are read");
    loop {
        let before = left.len();
        let standing: BTreeSet<Module> = left.keys().cloned().collect();
        left.retain(|_, used| used.iter().any(|other| standing.contains(other)));
        if left.len() == before {
            break;
        }
    }
    // What only leads into a circle is no part of it.
    loop {
        let before = left.len();
        let used: BTreeSet<Module> = left.values().flatten().cloned().collect();
        left.retain(|file, _| used.contains(file));
        if left.len() == before {
            break;
        }
    }
    let circle = left.iter().map(|(file, used)| {
        let used = used.iter().filter(|other| left.contains_key(*other)).map(|other| other.join("/"));
        format!("{} uses {}", file.join("/"), used.collect::<Vec<_>>().join(", "))
    });
    let circle: Vec<_> = circle.collect();
    assert!(
        circle.is_empty(),
        "files in a circle; move what two of them need into a file of its own:\n{}",
        circle.join("\n")
    );
}

/// Where code outside `src/aws` and `src/api` may name a collection, tests apart, and why. A folder with all that is in it.
const NAMES_COLLECTIONS: &[(&str, &str)] = &[
    ("layers/opensearch", "its effects"),
    ("layers/store.rs", "that its effects are in that folder"),
    ("stack/iam", "its actions"),
    ("stack/model/ideal.rs", "what it answers, for tests"),
    ("stack/model/written.rs", "a field of the spec"),
    ("stack/store", "all else"),
];

#[test]
fn nobody_else_names_a_collection() {
    let word = Regex::new(r"(?i)collection").unwrap();
    let not_code = Regex::new(r#"(?s)"(?:\\.|[^"\\])*"|//[^\n]*|std::collections"#).unwrap();
    let named = named_in(|code| word.is_match(&not_code.replace_all(code, "")));
    let may = |file: &Path| NAMES_COLLECTIONS.iter().any(|(named, _)| file.starts_with(named));
    let strange: Vec<_> = named.iter().filter(|file| !file.starts_with("api") && !may(file)).collect();
    assert!(strange.is_empty(), "a vector store is asked by src/stack/store what it is: {strange:#?}");
    let idle = NAMES_COLLECTIONS.iter().filter(|(may, _)| !named.iter().any(|file| file.starts_with(may)));
    assert_eq!(idle.count(), 0, "a file that does not name it needs no leave");
}

/// The files outside `src/aws` whose code, tests apart, is as asked.
fn named_in(is_so: impl Fn(&str) -> bool) -> BTreeSet<std::path::PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut found, mut folders) = (BTreeSet::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let inside = path.strip_prefix(&root).unwrap();
            if path.is_dir() && inside != Path::new("aws") && !inside.ends_with("tests") {
                folders.push(path);
            } else if path.is_file() && !inside.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                if is_so(text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default()) {
                    found.insert(inside.to_path_buf());
                }
            }
        }
    }
    found
}

/// Files outside `src/aws` that may name OpenSearch Serverless, tests apart, and why. A folder with all that is in it.
const NAMES_OPENSEARCH: &[(&str, &str)] = &[
    ("api/class_placement.rs", "that it is the usual store"),
    ("api/index.rs", "what it can find by"),
    ("api/shared_stack.rs", "that it is the usual store"),
    ("api/status.rs", "what a field says of a collection"),
    ("api/storage.rs", "the settings of a collection"),
    ("api/tenant.rs", "that it is the usual store"),
    ("api/vector_store.rs", "its own word"),
    ("cli/args.rs", "how a command line names it"),
    ("cli/price.rs", "what it costs"),
    ("layers/mod.rs", "the name of the folder"),
    ("layers/opensearch", "its effects"),
    ("layers/store.rs", "that its effects are in that folder"),
    ("stack/classify.rs", "how it refuses"),
    ("stack/fault.rs", "where it is told what to allow"),
    ("stack/forecast", "what it costs, its limits and its calls"),
    ("stack/iam", "its actions"),
    ("stack/identity/tags.rs", "where its policies say what tags would"),
    ("stack/model/ideal.rs", "what it answers, for tests"),
    ("stack/store", "all else"),
];

/// Likewise those that may name S3 Vectors.
const NAMES_S3_VECTORS: &[(&str, &str)] = &[
    ("api/class_placement.rs", "that it can be chosen"),
    ("api/index.rs", "what it can find by"),
    ("api/shared_stack.rs", "that it can be chosen"),
    ("api/status.rs", "what a field says of a vector bucket"),
    ("api/storage.rs", "that it has no settings"),
    ("api/tenant.rs", "that it can be chosen"),
    ("api/vector_store.rs", "its own word, and what it lacks"),
    ("cli/args.rs", "how a command line names it"),
    ("cli/preview", "what it costs"),
    ("cli/price.rs", "what it costs"),
    ("layers/mod.rs", "the name of the folder"),
    ("layers/s3_vectors", "its effects"),
    ("layers/store.rs", "that its effects are in that folder"),
    ("stack/fault.rs", "where it is told what to allow"),
    ("stack/forecast", "what it costs"),
    ("stack/iam", "its actions"),
    ("stack/model/ideal.rs", "what it answers, for tests"),
    ("stack/store", "all else"),
];

/// Words of a vector store, tests apart: what each is, the path that leads to it, which is no knowledge, and who may name it.
#[test]
fn one_file_of_each_folder_knows_a_vector_store() {
    for (word, path, leave) in [
        ("(?i)aoss|opensearch", "opensearch::", NAMES_OPENSEARCH),
        ("(?i)s3.?vectors", "s3_vectors::", NAMES_S3_VECTORS),
    ] {
        let words = Regex::new(word).unwrap();
        let found = named_in(|code| words.is_match(&code.replace(path, "")));
        let may = |file: &Path| leave.iter().any(|(named, _)| file.starts_with(named));
        let strange: Vec<_> = found.iter().filter(|file| !may(file)).collect();
        assert!(strange.is_empty(), "only src/stack/store and src/layers/{path} know {word}: {strange:#?}");
        let idle = leave.iter().filter(|(named, _)| !found.iter().any(|file| file.starts_with(named)));
        let idle: Vec<_> = idle.map(|(named, _)| named).collect();
        assert!(idle.is_empty(), "they do not name {word}, and need no leave: {idle:?}");
    }
}
