//! Real clients, as they come from their makers, told by their environment or by a profile where the gateway is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;

use serde::Deserialize;
use tempfile::TempDir;
use tokio::process::Command;

use super::Gateway;
use crate::support::aws::REGION;
use crate::support::bed::root;

/// A program that asks. Each prints its passages as JSON: place and text; or what it was refused with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    Boto3,
    AwsCli,
    JavaScript,
    LangChain,
}

/// How a program is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    ByEnvironment,
    ByProfile,
}

/// What a program was told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Said {
    /// Place and text.
    Passages(Vec<(String, String)>),
    /// AWS's name of the refusal, as the SDK has it.
    Refused(String),
}

/// What a pod has: its token in a file, the authority's certificate, and its environment.
pub struct Pod {
    folder: TempDir,
    environment: BTreeMap<String, String>,
}

impl Gateway {
    /// A pod that asks for a tenant under a token.
    pub fn pod(&self, told: Told, tenant: &str, token: &str) -> Pod {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        // As many editors and some mounts leave it: with a line break at its end.
        std::fs::write(&file, format!("{token}\n")).unwrap();
        let (file, ca) = (file.display().to_string(), self.authority.file().display().to_string());
        // The account means nothing here.
        let role = format!("arn:aws:iam::000000000000:role/{tenant}");
        let url = &self.url;
        let mut environment: BTreeMap<String, String> =
            [("NODE_EXTRA_CA_CERTS", ca.clone()), ("HOME", folder.path().display().to_string())]
                .map(|(name, value)| (name.to_owned(), value))
                .into();
        let mut set = |name: &str, value: &str| environment.insert(name.into(), value.into());
        match told {
            Told::ByEnvironment => {
                set("AWS_REGION", REGION);
                // What Python clients read.
                set("AWS_DEFAULT_REGION", REGION);
                set("AWS_ROLE_ARN", &role);
                set("AWS_WEB_IDENTITY_TOKEN_FILE", &file);
                set("AWS_ENDPOINT_URL_STS", url);
                set("AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME", url);
                set("AWS_CA_BUNDLE", &ca);
            }
            Told::ByProfile => {
                let config = folder.path().join("config");
                let text = format!(
                    "[profile {tenant}]\nregion = {REGION}\nrole_arn = {role}\nweb_identity_token_file = {file}\n\
                     ca_bundle = {ca}\nservices = gateway\n\n[services gateway]\nsts =\n  endpoint_url = {url}\n\
                     bedrock_agent_runtime =\n  endpoint_url = {url}\n"
                );
                std::fs::write(&config, text).unwrap();
                set("AWS_CONFIG_FILE", &config.display().to_string());
                set("AWS_PROFILE", tenant);
            }
        }
        Pod { folder, environment }
    }
}

impl Pod {
    /// Runs a program in it.
    pub async fn runs(&self, program: Program, question: &str) -> Said {
        let clients = root().join("tests/e2e/gateway/clients");
        let python = root().join(".cache/venv/bin");
        let mut command = match program {
            Program::Boto3 => script(python.join("python"), clients.join("ask.py")),
            Program::AwsCli => script(clients.join("ask.sh"), python.join("aws")),
            Program::JavaScript => script("node".into(), clients.join("ask.mjs")),
            Program::LangChain => script(LANGCHAIN.path(), clients.join("langchain_ask.py")),
        };
        command
            .arg(question)
            .env_clear()
            .envs(&self.environment)
            .env("PATH", std::env::var("PATH").unwrap())
            .env("CLIENTS", root().join(".cache/clients/js"))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = command.output().await.unwrap();
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{program:?}: {out}{error}");
        serde_json::from_str(&out).unwrap_or_else(|wrong| panic!("{program:?}: {wrong}: {out}{error}"))
    }
}

fn script(program: PathBuf, file: PathBuf) -> Command {
    let mut command = Command::new(program);
    command.arg(file);
    command
}

/// A file that is there where the client is installed.
struct Installed(&'static str);

const LANGCHAIN: Installed = Installed(".cache/clients/langchain/bin/python");
const JAVASCRIPT: Installed =
    Installed(".cache/clients/js/node_modules/@aws-sdk/client-bedrock-agent-runtime");

impl Installed {
    fn path(&self) -> PathBuf {
        root().join(self.0)
    }
}

impl Program {
    /// Whether it can be run here. `make test` says what it left out; in continuous integration nothing is.
    pub fn is_here(self) -> bool {
        let file = match self {
            Program::Boto3 | Program::AwsCli => return true,
            Program::JavaScript => JAVASCRIPT,
            Program::LangChain => LANGCHAIN,
        };
        let is_here = file.path().exists();
        let must = std::env::var_os("CI").is_some();
        assert!(is_here || !must, "{self:?} is needed: python3 tests/bed/prepare.py --tests");
        is_here
    }
}
