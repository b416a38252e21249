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
    (&["plan", "-f", "other.yaml"], "other.yaml"),
    (&["plan", "-f", "."], "."),
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
        // `plan` has a line for each thing that is wrong.
        let lines: Vec<_> = said.lines().filter(|line| !line.is_empty()).collect();
        let listed = lines[1..].iter().all(|line| line.starts_with("  "));
        assert!(lines.len() == 1 || (args[0] == "plan" && listed), "{shown}");
        assert!(lines[0].starts_with("Error: ") && said.contains(named), "{shown}");
        for word in ["::", "Error {", "backtrace", ".rs"] {
            assert!(!said.contains(word), "no words of Rust: {shown}");
        }
        for line in lines {
            // Values are no causes.
            let causes: Vec<_> = line.split(": ").filter(|cause| cause.contains(' ')).collect();
            let once: BTreeSet<_> = causes.iter().collect();
            assert_eq!(once.len(), causes.len(), "{shown}");
        }
    }
    std::fs::remove_dir_all(dir).unwrap();
}
