//! What pages show is run as they show it, and does what they say.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use regex::Regex;
use tempfile::TempDir;

use crate::support::bed::root;
use crate::support::world::{INSTALLATION, World, world};

/// The pages for those who use tenants. Those for administrators, such as docs/disaster-recovery.md, have tests of their own.
const PAGES: [&str; 12] = [
    "README.md",
    "docs/concepts.md",
    "docs/deletion.md",
    "docs/demo.md",
    "docs/documents.md",
    "docs/operate.md",
    "docs/preview.md",
    "docs/reference.md",
    "docs/status.md",
    "docs/tenant-ids.md",
    "docs/troubleshooting.md",
    "docs/vector-stores.md",
];

/// What begins a command that can run here.
const RUN: [&str; 13] = [
    "kubectl annotate ",
    "kubectl apply ",
    "kubectl describe ",
    "kubectl get ",
    "kubectl patch ",
    "kubectl wait ",
    "tenantry crds",
    "tenantry delete --dry-run ",
    "tenantry documents ",
    "tenantry iam-policy ",
    "tenantry plan ",
    "tenantry retained ",
    "tenantry retrieve ",
];

/// What a command has in it that cannot run here, and why not.
const NOT_HERE: [(&str, &str); 6] = [
    ("$(aws", "there is no AWS CLI"),
    ("-n shop", "the namespace of a program that asks the gateway: tests/chart has one"),
    ("--for=delete", "nothing is deleted here: the ways back are run in their order, below"),
    ("tenantry crds |", "the definitions are those of all worlds"),
    ("\"$", "only who reads it knows that value"),
    ("events -A", "other worlds have events too"),
];

/// A shell in a folder with the examples, as this world has them, and both programs.
struct Shell<'a> {
    w: &'a World,
    folder: TempDir,
}

impl<'a> Shell<'a> {
    fn new(w: &'a World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let programs = [("kubectl", w.bed.kubectl.as_str()), ("tenantry", env!("CARGO_BIN_EXE_tenantry"))];
        for (name, program) in programs {
            std::os::unix::fs::symlink(program, folder.path().join(name)).unwrap();
        }
        let examples = folder.path().join("examples");
        fs::create_dir(&examples).unwrap();
        for entry in fs::read_dir(root().join("examples")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                let objects = w.objects(&fs::read_to_string(&path).unwrap());
                let text: Vec<_> =
                    objects.iter().map(|object| serde_saphyr::to_string(object).unwrap()).collect();
                fs::write(examples.join(path.file_name().unwrap()), text.join("---\n")).unwrap();
            }
        }
        Self { w, folder }
    }

    /// A command with this world's names.
    fn here(&self, command: &str) -> String {
        let namespace = self.w.namespace_name("tenants");
        let stack = self.w.stack_name("standard");
        let command = command.replace("--installation prod", &format!("--installation {INSTALLATION}"));
        let names = Regex::new(r"(-n|namespace) tenants\b").unwrap();
        let command = names.replace_all(&command, format!("$1 {namespace}")).into_owned();
        let stacks = Regex::new(r"(sharedstacks\.tenantry\.dev[ /])standard\b").unwrap();
        stacks.replace_all(&command, format!("${{1}}{stack}")).into_owned()
    }

    /// Runs it, and says what it printed and complained of.
    async fn run(&self, command: &str) -> String {
        let command = self.here(command);
        let path = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap());
        let mut bash = tokio::process::Command::new("bash");
        bash.args(["-e", "-o", "pipefail", "-c", &command]).current_dir(self.folder.path());
        bash.envs(self.w.environment()).env("PATH", path).stdin(Stdio::null());
        let output = bash.output().await.unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "$ {command}\n{said}");
        said
    }
}

/// The commands of a page, those of its blocks and those in the cells of its tables.
fn commands(page: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let block = Regex::new("(?s)```sh\n(.*?)```").unwrap();
    let cell = Regex::new(r"\| `((?:kubectl|tenantry) [^`]+)` \|").unwrap();
    let blocks = block.captures_iter(&text).flat_map(|block| lines(&block[1]));
    blocks.chain(cell.captures_iter(&text).map(|cell| cell[1].to_owned())).collect()
}

fn lines(block: &str) -> Vec<String> {
    block.replace("\\\n", " ").lines().map(|line| line.trim().to_owned()).collect()
}

fn can_run(command: &str) -> bool {
    let of_the_chart = command.contains("-n tenantry ") || command.contains("--namespace tenantry ");
    let stops = NOT_HERE.iter().any(|(part, _)| command.contains(part));
    RUN.iter().any(|begin| command.starts_with(begin)) && !of_the_chart && !stops
}

async fn deployed(w: &World, examples: &[&str], tenants: &[&str]) {
    w.namespace("tenants", &[]).await;
    for example in examples {
        let path = Path::new("examples").join(example);
        w.apply(&fs::read_to_string(root().join(path)).unwrap()).await;
    }
    for tenant in tenants {
        w.ready(tenant).await;
    }
}

#[tokio::test]
async fn no_command_of_a_page_fails() {
    world(|w| async move {
        let tenants = ["tenants/acme", "tenants/umbrella", "tenants/globex"];
        deployed(&w, &["shared-stack.yaml", "pool.yaml", "silo.yaml"], &tenants).await;
        let shell = Shell::new(&w);
        let mut run = 0;
        for page in PAGES {
            for command in commands(page).into_iter().filter(|command| can_run(command)) {
                shell.run(&command).await;
                run += 1;
            }
        }
        assert!(run >= 30, "only {run} commands were found");
    })
    .await;
}

/// The block of commands below a heading of docs/troubleshooting.md.
fn way_back(heading: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let section = text.split(&format!("### {heading}\n")).nth(1).expect(heading);
    lines(section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap())
}

#[tokio::test]
async fn a_mistaken_deletion_of_a_shared_stack_is_taken_back_as_the_page_says() {
    world(|w| async move {
        deployed(&w, &["shared-stack.yaml"], &[]).await;
        let pool = fs::read_to_string(root().join("examples/pool.yaml")).unwrap();
        w.apply(pool.split("---").next().unwrap()).await;
        let before = w.ready("tenants/acme").await.status.knowledge_base_id;
        let shell = Shell::new(&w);
        shell.run("kubectl delete sharedstacks.tenantry.dev standard --wait=false").await;
        for command in way_back("A SharedStack was deleted by mistake") {
            shell.run(&command).await;
        }
        assert_eq!(w.ready("tenants/acme").await.status.knowledge_base_id, before);
    })
    .await;
}

#[tokio::test]
async fn a_mistaken_deletion_of_a_tenant_is_taken_back_as_the_page_says() {
    world(|w| async move {
        deployed(&w, &["shared-stack.yaml", "pool.yaml"], &["tenants/acme"]).await;
        let before = w.ready("tenants/acme").await.status.knowledge_base_id;
        let shell = Shell::new(&w);
        // As good as within the grace: somebody has paused it, and so has the time.
        shell.run("kubectl annotate tenants.tenantry.dev acme -n tenants tenantry.dev/paused=true").await;
        shell.run("kubectl delete tenants.tenantry.dev acme -n tenants --wait=false").await;
        let mut commands = way_back("A Tenant was deleted by mistake").into_iter();
        shell.run(&commands.next().unwrap()).await;
        shell.run("kubectl annotate tenants.tenantry.dev acme -n tenants tenantry.dev/paused-").await;
        for command in commands {
            shell.run(&command).await;
        }
        assert_eq!(w.ready("tenants/acme").await.status.knowledge_base_id, before);
    })
    .await;
}

#[tokio::test]
async fn a_misspelt_shared_stack_is_corrected_as_the_page_says() {
    world(|w| async move {
        deployed(&w, &["shared-stack.yaml"], &[]).await;
        let pool = fs::read_to_string(root().join("examples/pool.yaml")).unwrap();
        let acme = pool.split("---").next().unwrap();
        w.apply(&acme.replace("name: standard", "name: standart")).await;
        w.condition("tenants/acme", "StackReady=False/StackNotFound").await;
        w.delete("tenants/acme").await;
        w.gone("tenants/acme").await;
        w.apply(acme).await;
        w.ready("tenants/acme").await;
    })
    .await;
}
