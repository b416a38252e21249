//! What a command says that cannot do what it was asked for: one sentence, each cause once, and no backtrace.

use std::collections::BTreeSet;
use std::process::Command;

/// A cluster that nobody answers for.
const NOWHERE: &str = "\
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: me}}]
clusters: [{name: here, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: me, user: {}}]
";

/// A command, and what its sentence must name.
type Row = (&'static [&'static str], &'static str);

const ROWS: &[Row] = &[
    (&["plan", "-f", "nowhere.yaml"], "nowhere.yaml"),
    (&["plan", "-f", "twice.yaml"], "twice.yaml"),
    (&["plan", "-f", "other.yaml"], "other.yaml"),
    (&["plan", "-f", "."], "."),
    (&["iam-policy", "operator", "--installation", "no good", "--account", "123456789012"], "no good"),
    (&["crds", "--dir", "nowhere/at/all"], "nowhere/at/all"),
    (&["delete", "acme", "--dry-run"], "127.0.0.1:1"),
    (&["documents", "acme"], "127.0.0.1:1"),
    (&["retrieve", "acme", "when?"], "127.0.0.1:1"),
    (&["iam-policy", "reader", "acme"], "127.0.0.1:1"),
    (&["retained", "--installation", "demo"], "region"),
];

#[test]
fn no_error_of_a_command_is_more_than_a_sentence_or_says_a_cause_twice() {
    let dir = std::env::temp_dir().join(format!("tenantry-sentences-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("kubeconfig"), NOWHERE).unwrap();
    std::fs::write(dir.join("twice.yaml"), "kind: Tenant\nkind: Tenant\n").unwrap();
    std::fs::write(dir.join("other.yaml"), "{kind: Tenant, apiVersion: tenantry.dev/v1alpha1, spec: 5}\n")
        .unwrap();
    for (args, named) in ROWS {
        let output = Command::new(env!("CARGO_BIN_EXE_tenantry"))
            .args(*args)
            .current_dir(&dir)
            .env_clear()
            .envs([
                ("KUBECONFIG", "kubeconfig"),
                ("RUST_BACKTRACE", "1"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
            ])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let shown = format!("tenantry {}\n{said}", args.join(" "));
        assert!(!output.status.success(), "{shown}");
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines.len(), 1, "{shown}");
        let sentence = lines[0].strip_prefix("Error: ").unwrap_or_else(|| panic!("{shown}"));
        assert!(sentence.contains(named), "{shown}");
        assert!(!sentence.contains("::") && !sentence.contains("Error {"), "no words of Rust: {shown}");
        let causes: Vec<_> = sentence.split(": ").collect();
        let once: BTreeSet<_> = causes.iter().collect();
        assert_eq!(once.len(), causes.len(), "{shown}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}
