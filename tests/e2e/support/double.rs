//! The AWS double's control: its journal, its settings, and the points at which it holds things.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// The session under which the operator calls AWS, and by which the journal tells its calls from the test's.
pub const OPERATOR: &str = "operator";

/// One account's part of the double.
#[derive(Clone)]
pub struct Double {
    endpoint: String,
    account: String,
    http: reqwest::Client,
    /// What has been read of the journal: tests ask for it over and over, and it only grows.
    read: Arc<Mutex<Vec<Arc<Call>>>>,
    /// Calls that a test has made happen on purpose.
    excused: Arc<Mutex<BTreeSet<u64>>>,
}

/// A call that somebody made to AWS.
#[derive(Clone, Debug, Deserialize)]
pub struct Call {
    pub seq: u64,
    /// Seconds since 1970.
    pub time: f64,
    pub service: String,
    pub operation: String,
    pub resource: String,
    pub caller: String,
    pub mutating: bool,
    pub status: u16,
    pub error: String,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub params: Value,
}

/// Whether a bucket, or an object, is the installation's own: the records of tenantIds.
pub fn is_of_records(resource: &str) -> bool {
    resource.split('/').next().is_some_and(|bucket| bucket.contains("-records-"))
}

/// The number in the journal with which a line begins.
fn number_of(line: &str) -> u64 {
    line.split(' ').next().unwrap().parse().unwrap()
}

/// Calls in the order in which they were answered.
#[derive(Clone, Debug)]
pub struct Journal(Vec<Arc<Call>>);

impl Deref for Journal {
    type Target = [Arc<Call>];

    fn deref(&self) -> &[Arc<Call>] {
        &self.0
    }
}

impl Call {
    /// Whether AWS did what was asked.
    pub fn succeeded(&self) -> bool {
        self.error.is_empty() && self.status < 300
    }

    /// Whether AWS did what was asked, even if the answer was lost.
    pub fn took_effect(&self) -> bool {
        self.succeeded() || (self.error == "Dropped" && self.status >= 200)
    }

    /// Whether the operator asked, whichever of its processes, and not the test.
    pub fn is_operators(&self) -> bool {
        self.session().starts_with(OPERATOR)
    }

    /// The session under which it was asked.
    pub fn session(&self) -> &str {
        self.caller.rsplit('/').next().unwrap_or_default()
    }

    /// All that the call says, as one text to search in.
    pub fn text(&self) -> String {
        format!("{}:{} {} {}", self.service, self.operation, self.resource, self.params)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.is_operators() { "" } else { " (by the test)" };
        write!(f, "{:>6} {} {} {} {}{who}", self.seq, self.operation, self.resource, self.status, self.error)
    }
}

impl fmt::Display for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|call| writeln!(f, "{call}"))
    }
}

impl Journal {
    /// Entries as the double shows them.
    pub fn read(entries: Value) -> Journal {
        let calls: Vec<Call> = serde_json::from_value(entries).unwrap();
        Journal(calls.into_iter().map(Arc::new).collect())
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Call> {
        self.0.iter().map(Deref::deref)
    }

    /// Calls that are as `wanted`.
    pub fn only(&self, wanted: impl Fn(&Call) -> bool) -> Journal {
        Journal(self.0.iter().filter(|call| wanted(call)).cloned().collect())
    }

    /// Calls that change something. The records of tenantIds are apart: whoever comes or goes writes one.
    pub fn mutating(&self) -> Journal {
        self.only(|call| call.mutating && !is_of_records(&call.resource))
    }

    /// Calls about the installation's bucket and the records in it.
    pub fn of_records(&self) -> Journal {
        self.only(|call| is_of_records(&call.resource))
    }

    /// Calls that do more than write tags, or what policies have in their place.
    pub fn besides_tags(&self) -> Journal {
        let tags =
            ["TagResource", "TagRole", "PutBucketTagging", "UpdateSecurityPolicy", "UpdateAccessPolicy"];
        self.only(|call| !tags.contains(&call.operation.as_str()))
    }

    /// Calls of one operation.
    pub fn of(&self, operation: &str) -> Journal {
        self.only(|call| call.operation == operation)
    }

    /// The first successful call of an operation.
    pub fn first(&self, operation: &str) -> &Call {
        let found = self.iter().find(|call| call.operation == operation && call.succeeded());
        found.unwrap_or_else(|| panic!("no {operation} succeeded in\n{self}"))
    }
}

impl Double {
    pub fn new(endpoint: &str, account: &str) -> Self {
        let (endpoint, account) = (endpoint.into(), account.into());
        Self {
            endpoint,
            account,
            http: reqwest::Client::new(),
            read: Arc::default(),
            excused: Arc::default(),
        }
    }

    async fn control(&self, method: reqwest::Method, what: &str, body: Option<Value>) -> Value {
        let url = format!("{}/_double/{what}", self.endpoint);
        let mut request = self.http.request(method, &url).query(&[("account", &self.account)]);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "the double does not understand {what}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The operator's calls after `mark`, a sequence number.
    pub async fn journal(&self, mark: u64) -> Journal {
        self.journal_of_all(mark).await.only(Call::is_operators)
    }

    /// Everybody's calls after `mark`.
    pub async fn journal_of_all(&self, mark: u64) -> Journal {
        let mut read = self.read.lock().await;
        let url = format!("journal?since={}", read.last().map_or(0, |call| call.seq));
        let entries = self.control(reqwest::Method::GET, &url, None).await["entries"].take();
        read.extend(Journal::read(entries).0);
        Journal(read.iter().filter(|call| call.seq > mark).cloned().collect())
    }

    /// The number of the last call so far.
    pub async fn mark(&self) -> u64 {
        self.journal_of_all(0).await.last().map_or(0, |call| call.seq)
    }

    /// Changes settings; their names are in the double's `settings.py`.
    pub async fn settings(&self, changes: Value) {
        self.control(reqwest::Method::PUT, "settings", Some(changes)).await;
    }

    /// From now on calls go wrong: `rule` says which, how and how often, as the double's README has it.
    pub async fn fault(&self, rule: Value) -> Fault<'_> {
        let answer = self.control(reqwest::Method::POST, "faults", Some(rule)).await;
        Fault { double: self, id: answer["id"].as_str().unwrap().into() }
    }

    /// How many calls went wrong by script.
    pub async fn struck(&self) -> u64 {
        let answer = self.control(reqwest::Method::GET, "faults", None).await;
        answer["faults"].as_array().unwrap().iter().filter_map(|rule| rule["hit"].as_u64()).sum()
    }

    /// How many questions sessions of roles of this name, a glob, have asked, and what is wrong with each that a gateway must not
    /// ask: of a pool without the tenant's filter, or of another tenant's knowledge base. Each begins with its number in the journal.
    pub async fn asked(&self, role: &str) -> (u64, Vec<String>) {
        let answer = self.control(reqwest::Method::GET, &format!("asked?role={role}"), None).await;
        let mut wrong: Vec<String> = serde_json::from_value(answer["wrong"].clone()).unwrap();
        let excused = self.excused.lock().await;
        wrong.retain(|question| !excused.contains(&number_of(question)));
        (answer["asked"].as_u64().unwrap(), wrong)
    }

    /// From now on nothing is wrong with questions that are as `on_purpose`, by what `asked` says of each: a test has made them
    /// happen. AWS must have refused each.
    pub async fn excuse_refused(&self, role: &str, on_purpose: impl Fn(&str) -> bool) -> usize {
        let (_, mut wrong) = self.asked(role).await;
        wrong.retain(|question| on_purpose(question));
        let journal = self.journal_of_all(0).await;
        for question in &wrong {
            let number = number_of(question);
            let call = journal.iter().find(|call| call.seq == number).expect("it is in the journal");
            assert_eq!(call.error, "AccessDeniedException", "IAM lets this through: {question}");
            self.excused.lock().await.insert(number);
        }
        wrong.len()
    }

    /// Forgets the journal.
    pub async fn forget(&self) {
        let mut read = self.read.lock().await;
        read.clear();
        self.control(reqwest::Method::DELETE, "journal", None).await;
    }

    /// Nothing goes wrong any more.
    pub async fn heal(&self) {
        self.control(reqwest::Method::DELETE, "faults", None).await;
    }

    /// From now on whatever reaches a point waits there.
    pub async fn hold(&self, point: &str, matching: &str) -> Held<'_> {
        let body = json!({"account": self.account, "point": point, "match": matching});
        let answer = self.control(reqwest::Method::POST, "hold", Some(body)).await;
        Held { double: self, id: answer["id"].as_str().unwrap().into() }
    }
}

/// What goes wrong.
pub struct Fault<'a> {
    double: &'a Double,
    id: String,
}

impl Fault<'_> {
    /// The calls that it struck: service, operation and resource.
    pub async fn hits(&self) -> Vec<String> {
        let answer = self.double.control(reqwest::Method::GET, "faults", None).await;
        let rules = answer["faults"].as_array().unwrap();
        let rule = rules.iter().find(|rule| rule["id"] == self.id.as_str());
        rule.map(|rule| serde_json::from_value(rule["hits"].clone()).unwrap()).unwrap_or_default()
    }
}

/// A point at which the double holds things.
pub struct Held<'a> {
    double: &'a Double,
    id: String,
}

impl Held<'_> {
    /// The names of what waits there.
    pub async fn waiting(&self) -> Vec<String> {
        let answer = self.double.control(reqwest::Method::GET, "holds", None).await;
        let holds = answer["holds"].as_array().unwrap();
        let held = holds.iter().find(|held| held["id"] == self.id.as_str());
        held.map(|held| serde_json::from_value(held["waiting"].clone()).unwrap()).unwrap_or_default()
    }

    /// Lets all of it go on.
    pub async fn release(self) {
        let id = json!({"id": self.id});
        self.double.control(reqwest::Method::POST, "release", Some(id)).await;
    }
}
