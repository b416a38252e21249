//! What a hostile program may try: `hostile.yaml`, a row each, in both versions of HTTP, with and without TLS. Each is refused in
//! AWS's own shape, or answered from its own tenant's documents alone, and AWS never hears of one that is refused.

use std::collections::BTreeMap;

use kube::Api;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::gateway::process::{Http, asking, authorization, key_of};
use crate::support::gateway::tenants::{QUESTION, TENANTS, text_of};
use crate::support::gateway::{Answer, Gateway};
use crate::support::world::{World, world};

/// A request, and what it is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    it: String,
    token: Option<String>,
    key: Option<String>,
    authorization: Option<String>,
    path: Option<String>,
    method: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body: Option<Value>,
    text: Option<String>,
    filter: Option<Value>,
    search: Option<Value>,
    configuration: Option<Value>,
    sts: Option<BTreeMap<String, Option<String>>>,
    form: Option<String>,
    answer: Value,
    says: Option<String>,
    /// It is answered, and there is nothing.
    #[serde(default)]
    none: bool,
}

/// What a row's words in braces stand for.
struct Words(BTreeMap<String, String>);

impl Words {
    async fn of(w: &World) -> Self {
        let mut words = BTreeMap::new();
        for (tenant, token) in w.askers(&TENANTS).await {
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let anothers = w.token_for(&tenant, "somebody", 3600).await;
            let anothers = anothers.rsplit_once('.').unwrap().1.to_owned();
            words.insert(format!("unsigned.{tenant}"), format!("{signed}."));
            words.insert(format!("half.{tenant}"), token[..token.len() - signature.len() / 2].to_owned());
            words.insert(format!("spliced.{tenant}"), format!("{signed}.{anothers}"));
            words.insert(format!("token.{tenant}"), token);
            let id = w.get(&tenant).await.status.knowledge_base_id.unwrap();
            words
                .insert(format!("encoded.{tenant}"), id.bytes().map(|byte| format!("%{byte:02X}")).collect());
            words.insert(format!("kb.{tenant}"), id);
        }
        for (name, token) in others(w).await {
            words.insert(format!("token.{name}"), token);
        }
        words.insert("bom".into(), "\u{feff}".into());
        words.insert("deep".into(), format!("{}{}", "[".repeat(200), "]".repeat(200)));
        Self(words)
    }

    /// A text without its words in braces.
    fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (word, meaning) in &self.0 {
            filled = filled.replace(&format!("{{{word}}}"), meaning);
        }
        for (begin, end) in [("{x*", "}"), ("{signed:", "}")] {
            while let Some((before, rest)) = filled.split_once(begin) {
                let (inner, after) = rest.split_once(end).unwrap();
                let meaning = match begin {
                    "{x*" => "x".repeat(inner.parse().unwrap()),
                    _ => authorization(inner),
                };
                filled = format!("{before}{meaning}{after}");
            }
        }
        filled
    }

    fn fill_all(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.fill(text).into(),
            Value::Array(items) => items.iter().map(|item| self.fill_all(item)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| (name.clone(), self.fill_all(value))).collect()
            }
            plain => plain.clone(),
        }
    }
}

/// Those who have tokens, and may ask for none of ours.
async fn others(w: &World) -> BTreeMap<String, String> {
    use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
    let mut tokens = BTreeMap::new();
    tokens.insert("stranger".into(), w.token("stranger").await);
    tokens.insert("editor".into(), w.token("editor").await);
    let namespace = w.namespace_name("");
    let verbs = ["get", "list", "watch", "create", "update", "patch", "delete"];
    let role: Role = object(json!({"metadata": {"name": "edits"}, "rules": [
        {"apiGroups": ["tenantry.dev"], "resources": ["tenants", "tenants/status"], "verbs": verbs}]}));
    let binding: RoleBinding = object(json!({"metadata": {"name": "edits"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "edits"},
        "subjects": [{"kind": "ServiceAccount", "name": "editor", "namespace": namespace}]}));
    Api::namespaced(w.client.clone(), &namespace).create(&Default::default(), &role).await.unwrap();
    Api::namespaced(w.client.clone(), &namespace).create(&Default::default(), &binding).await.unwrap();
    w.namespace("next", &[]).await;
    w.let_ask("elsewhere", "next/pool1").await;
    tokens.insert("elsewhere".into(), w.token("elsewhere").await);
    let api_server = "https://kubernetes.default.svc";
    tokens.insert("for-the-api-server".into(), w.token_for("pool1", api_server, 3600).await);
    tokens.insert("administrator".into(), w.bed.token.clone());
    let gateway: Value =
        serde_json::from_str(&std::fs::read_to_string(&w.bed.gateway_kubeconfig).unwrap()).unwrap();
    tokens.insert("gateway".into(), gateway["users"][0]["user"]["token"].as_str().unwrap().into());
    tokens
}

fn object<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

impl Row {
    /// The request. What is no token by its name is the token itself.
    fn request(&self, words: &Words, gateway: &Gateway, client: &reqwest::Client) -> RequestBuilder {
        let default = if self.is_sts() { "/".into() } else { asking("TENANTRYKB") };
        let path = words.fill(&self.path.clone().unwrap_or(default));
        let method = Method::from_bytes(self.method.as_deref().unwrap_or("POST").as_bytes()).unwrap();
        let mut request = client.request(method, format!("{}{path}", gateway.url));
        for (name, value) in &self.headers {
            request = request.header(name, words.fill(value));
        }
        if let Some(form) = &self.form {
            return request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(words.fill(form));
        }
        if let Some(changes) = &self.sts {
            return request.form(&self.parameters(words, changes));
        }
        let token = self.token.as_deref().unwrap_or("pool1");
        let token = words.0.get(&format!("token.{token}")).cloned().unwrap_or_else(|| words.fill(token));
        if !token.is_empty() {
            request = request.header("x-amz-security-token", token);
        }
        let authorization = match &self.authorization {
            Some(whole) => words.fill(whole),
            None => authorization(&key_of(self.key.as_deref().unwrap_or("pool1"))),
        };
        if !authorization.is_empty() {
            request = request.header("authorization", authorization);
        }
        request.header("content-type", "application/json").body(self.sent(words))
    }

    fn is_sts(&self) -> bool {
        self.sts.is_some() || self.form.is_some()
    }

    /// What an SDK sends for credentials, but for what the row says.
    fn parameters(
        &self,
        words: &Words,
        changes: &BTreeMap<String, Option<String>>,
    ) -> BTreeMap<String, String> {
        let mut form: BTreeMap<String, String> = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", "arn:aws:iam::111122223333:role/pool1"),
            ("RoleSessionName", "hostile"),
            ("WebIdentityToken", words.0["token.pool1"].as_str()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for (name, value) in changes {
            match value {
                Some(value) => drop(form.insert(name.clone(), words.fill(value))),
                None => drop(form.remove(name)),
            }
        }
        form
    }

    fn sent(&self, words: &Words) -> String {
        if let Some(text) = &self.text {
            return words.fill(text);
        }
        let mut body = self.body.clone().unwrap_or_else(|| json!({"retrievalQuery": {"text": QUESTION}}));
        let search = match (&self.search, &self.filter) {
            (Some(search), _) => Some(search.clone()),
            (_, Some(filter)) => Some(json!({"filter": filter})),
            _ => None,
        };
        if let Some(search) = search {
            body["retrievalConfiguration"] = json!({"vectorSearchConfiguration": search});
        }
        if let Some(configuration) = &self.configuration {
            body["retrievalConfiguration"] = configuration.clone();
        }
        words.fill_all(&body).to_string()
    }

    /// What is wrong with an answer, if anything is.
    fn fault(&self, answer: &Answer, home: &str) -> Option<String> {
        if self.answer == 200 {
            return self.fault_of_success(answer, home);
        }
        let expected = self.answer.as_str().expect("an answer is 200, or a status and a name");
        let (status, code) = expected.split_once(' ').unwrap();
        if answer.status == 200 {
            return Some(format!("is answered: {answer:?}"));
        }
        let (found, name) = answer.refusal();
        if (found.to_string().as_str(), name.as_str()) != (status, code) {
            return Some(format!("is told {found} {name} ({}) in place of {expected}", answer.message()));
        }
        let says = self.says.as_deref().unwrap_or_default();
        (!answer.message().contains(says)).then(|| format!("is not told {says:?}: {:?}", answer.message()))
    }

    fn fault_of_success(&self, answer: &Answer, home: &str) -> Option<String> {
        if answer.status != 200 {
            return Some(format!("is refused: {answer:?}"));
        }
        if self.is_sts() {
            let given = answer.body.contains("<AccessKeyId>") && answer.body.contains("<Expiration>");
            return (!given).then(|| format!("gets no credentials: {answer:?}"));
        }
        let own = (format!("{home}handbook.md"), text_of("pool1"));
        let expected = if self.none { Vec::new() } else { vec![own] };
        (answer.passages() != expected).then(|| format!("is answered by {:?}", answer.passages()))
    }
}

#[tokio::test]
async fn whatever_a_program_tries_it_is_refused_or_shown_its_own() {
    world(|w| async move {
        w.tenants_of_every_pattern().await;
        let (words, home) = (Words::of(&w).await, w.home("pool1").await);
        let rows: Vec<Row> = serde_saphyr::from_str(include_str!("hostile.yaml")).unwrap();
        assert!(rows.len() >= 80, "there are {} rows", rows.len());
        let much = ["--retrieve-rate", "100000"];
        let without = [&much[..], &["--plaintext"]].concat();
        let (tls, plain) = (w.gateway(&much).await, w.gateway(&without).await);
        let mut faults = Vec::new();
        let mut answered = 0;
        for (gateway, way) in [(&tls, "TLS"), (&plain, "plaintext")] {
            for http in [Http::One, Http::Two] {
                let client = gateway.client(http);
                for row in &rows {
                    let answer = gateway.sent(row.request(&words, gateway, &client)).await;
                    if let Some(fault) = row.fault(&answer, &home) {
                        faults.push(format!("who {} by HTTP {http:?} and {way} {fault}", row.it));
                    }
                    answered += u64::from(row.answer == 200 && !row.is_sts());
                }
            }
        }
        assert!(faults.is_empty(), "{} of {} rows:\n{}", faults.len(), 4 * rows.len(), faults.join("\n"));
        let (asked, wrong) = w.double.asked("tenantry-ask").await;
        assert_eq!((asked, wrong), (answered, Vec::new()), "AWS hears of no question that is refused");
        bytes(&w, &plain, &words).await;
        // Nothing of that has hurt it.
        let after = plain.ask(&words.0["token.pool1"], "pool1", QUESTION).await;
        assert_eq!(after.passages(), [(format!("{home}handbook.md"), text_of("pool1"))]);
    })
    .await;
}

/// Requests that are none, byte by byte. What is answered to them is HTTP's business; that none of them is a question is ours.
/// But for what is wrong with it each would be answered, and so would be what hides in its body: both are tried first.
async fn bytes(w: &World, gateway: &Gateway, words: &Words) {
    let asked = async || w.double.asked("tenantry-ask").await;
    let (mut before, _) = asked().await;
    let (path, body) = (asking("TENANTRYKB"), json!({"retrievalQuery": {"text": QUESTION}}).to_string());
    let own = format!("x-amz-security-token: {}\r\n", words.0["token.pool1"]);
    let length = format!("content-length: {}\r\n", body.len());
    for request in [head(&path, &(own.clone() + &length)) + &body, hidden(&own, &length, &body)] {
        let answer = gateway.raw(request.as_bytes()).await;
        before += 1;
        assert!(answer.contains(" 200 ") && answer.contains("retrievalResults"), "{answer}");
        assert_eq!(asked().await, (before, Vec::new()));
    }
    for request in no_requests(&path, &own, &length, &body) {
        let answer = gateway.raw(request.as_bytes()).await;
        let shown: String = request.chars().take(300).collect();
        assert!(!answer.contains(" 200 ") && !answer.contains("retrievalResults"), "{shown:?}: {answer}");
        assert_eq!(asked().await, (before, Vec::new()), "AWS was asked: {shown:?}");
    }
}

/// The beginning of a request that pool1's program signs.
fn head(path: &str, more: &str) -> String {
    let authorization = authorization(&key_of("pool1"));
    format!("POST {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: {authorization}\r\n{more}\r\n")
}

/// A whole question, as it may stand in the body of a request.
fn hidden(own: &str, length: &str, body: &str) -> String {
    let path = asking("TENANTRYKB");
    format!("POST /t/pool1{path} HTTP/1.1\r\nhost: gateway\r\n{own}{length}\r\n{body}")
}

fn no_requests(path: &str, own: &str, length: &str, body: &str) -> Vec<String> {
    let after = |more: &str, rest: &str| head(path, &format!("{own}{more}")) + rest;
    let chunked = format!("0\r\n\r\n{}", hidden(own, length, body));
    let elsewhere = |path: &str, more: &str| head(path, &format!("{own}{more}"));
    vec![
        after(&format!("{length}content-length: 0\r\n"), body),
        after(&format!("content-length: 0\r\n{length}"), &hidden(own, length, body)),
        after(&format!("{length}transfer-encoding: chunked\r\n"), &chunked),
        after(&format!("transfer-encoding: chunked\r\n{length}"), &chunked),
        after("transfer-encoding: chunked, identity\r\n", &chunked),
        after("transfer-encoding: chunked\r\n", &format!("zz\r\n{body}")),
        after("transfer-encoding: xchunked\r\n", &chunked),
        head(path, &format!("{}{length}", own.replace(':', " :"))) + body,
        head(path, &format!("x-folded: a\r\n {own}{length}")) + body,
        after(&format!("x-null: a\0b\r\n{length}"), body),
        elsewhere(&format!("/t/pool2/../pool1{path}"), length) + body,
        elsewhere("http://169.254.169.254/latest/meta-data", "content-length: 0\r\n"),
        elsewhere("*", "content-length: 0\r\n"),
        elsewhere(&format!("{path}\u{0}"), length) + body,
        after(&format!("x-long: {}\r\n{length}", "x".repeat(2 << 20)), body),
        after(&("x-many: y\r\n".repeat(5000) + length), body),
        after("content-length: 99999999999999999999\r\n", body),
        after("content-length: -1\r\n", body),
        format!("GET {path}\r\n\r\n"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nthis is no frame, and it is long enough to be one".into(),
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}".into(),
        "CONNECT 127.0.0.1:80 HTTP/1.1\r\nhost: 127.0.0.1:80\r\n\r\n".into(),
    ]
}
