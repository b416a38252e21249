//! The record of one question: who asked for whom, what became of it, and how long it took. Never what was asked, what answered, what a
//! document is called, or with which token.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::answer::Checked;
use super::refusal::Refusal;
use super::whose::Asked;
use crate::api::Pattern;

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Subject {
    /// A service account, as the API server names it: `system:serviceaccount:<namespace>:<name>`.
    Subject(String),
    /// A person, or a program of somebody else's, by the hash of its issuer's and its own name.
    User(String),
}

impl Subject {
    /// Somebody whom an issuer knows. The hash tells one from another, and nothing else.
    pub fn of_issuer(issuer: &str, subject: &str) -> Self {
        let hash = Sha256::digest(format!("{issuer}\n{subject}"));
        Self::User(format!("sha256:{}", data_encoding::HEXLOWER.encode(&hash)))
    }
}

/// The status of a request whose caller went away before it was answered. Nobody is told it; other proxies log the same.
const GONE: u16 = 499;

/// How requests end.
pub const OUTCOMES: [&str; 3] = ["ok", "refused", "gone"];

/// What the gateway was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Operation {
    /// To answer from a knowledge base.
    Retrieve,
    /// To exchange a token.
    AssumeRoleWithWebIdentity,
    /// Something that it does not do.
    Unknown,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Retrieve, Self::AssumeRoleWithWebIdentity, Self::Unknown];

    /// As AWS calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retrieve => "Retrieve",
            Self::AssumeRoleWithWebIdentity => "AssumeRoleWithWebIdentity",
            Self::Unknown => "Unknown",
        }
    }
}

/// The record. What was not found out when the request ended is not in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    v: u8,
    /// The id of the request, which its answer bears too.
    pub id: String,
    /// When it came.
    pub time: Timestamp,
    /// The installation,
    pub installation: String,
    /// its region,
    pub region: String,
    /// and which of the gateway's processes it was.
    pub replica: String,
    /// What was to be done.
    pub operation: Operation,
    /// The tenant that was named, if it is one's name at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(flatten)]
    whose: Option<Whose>,
    /// The class of the tenant, whose limits counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    #[serde(flatten)]
    subject: Option<Subject>,
    outcome: &'static str,
    status: u16,
    /// The exception's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// Why it was refused, as it is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Why its class would have refused it, if it were enforced.
    #[serde(rename = "wouldRefuse", skip_serializing_if = "Option::is_none")]
    pub would_refuse: Option<&'static str>,
    #[serde(flatten)]
    answer: Option<Answered>,
    /// How long it waited for its turn,
    #[serde(rename = "queuedMs", serialize_with = "millis", skip_serializing_if = "Option::is_none")]
    pub queued: Option<Duration>,
    /// how long AWS took,
    #[serde(rename = "retrieveMs", serialize_with = "millis", skip_serializing_if = "Option::is_none")]
    pub retrieve: Option<Duration>,
    /// and how long all of it.
    #[serde(rename = "totalMs", serialize_with = "millis", skip_serializing_if = "Option::is_none")]
    pub total: Option<Duration>,
    /// AWS's own ids of what it was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aws_request_ids: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Whose {
    namespace: String,
    pattern: Pattern,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<String>,
    kb: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Answered {
    passages: usize,
    dropped: usize,
}

fn millis<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    // Three digits: nothing of ours takes a whole millisecond.
    let millis = time.map(|it| (it.as_secs_f64() * 1_000_000.0).round() / 1000.0);
    millis.serialize(serializer)
}

impl Record {
    /// Of a request that has just come.
    pub fn new(id: &str, time: Timestamp, operation: Operation) -> Self {
        Self {
            v: 1,
            id: id.into(),
            time,
            installation: String::new(),
            region: String::new(),
            replica: String::new(),
            operation,
            tenant: None,
            whose: None,
            class: None,
            subject: None,
            outcome: "ok",
            status: 200,
            code: None,
            reason: None,
            would_refuse: None,
            answer: None,
            queued: None,
            retrieve: None,
            total: None,
            aws_request_ids: Vec::new(),
        }
    }

    /// It names this tenant, which need not be there.
    pub fn names(&mut self, tenant_id: &str) {
        self.tenant = crate::stack::names::is_tenant_id(tenant_id).then(|| tenant_id.into());
    }

    /// Whose it is.
    pub fn is_for(&mut self, asked: &Asked) {
        self.tenant = Some(asked.tenant_id.clone());
        self.whose = Some(Whose {
            namespace: asked.namespace.clone(),
            pattern: asked.pattern,
            stack: asked.stack.clone(),
            kb: asked.knowledge_base().into(),
        });
    }

    /// Who asked.
    pub fn is_by(&mut self, subject: Subject) {
        self.subject = Some(subject);
    }

    /// It was answered.
    pub fn answered(&mut self, checked: &Checked) {
        self.answer = Some(Answered { passages: checked.passages, dropped: checked.foreign });
    }

    /// It was refused. Why, in words, is not kept: words can be a client's own.
    pub fn refused(&mut self, refusal: &Refusal) {
        let row = refusal.row();
        let in_sts = self.operation == Operation::AssumeRoleWithWebIdentity;
        let (status, code) =
            if in_sts { (row.sts_status, row.sts_code) } else { (refusal.status(), refusal.code()) };
        // The code of AWS's own refusal is a word of AWS's; a long one is none.
        let code = code.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        (self.outcome, self.status, self.code, self.reason) =
            ("refused", status, Some(code), Some(row.reason));
    }

    /// Who asked went away before there was an answer.
    pub fn gone(&mut self) {
        (self.outcome, self.status, self.code) = ("gone", GONE, Some("CallerGone".into()));
    }

    /// What it says of how it ended: the status, and the exception's name.
    pub fn ended(&self) -> (u16, Option<&str>) {
        (self.status, self.code.as_deref())
    }

    /// How it ended, in a word: `ok`, `refused` or `gone`.
    pub const fn outcome(&self) -> &'static str {
        self.outcome
    }

    /// Why it was refused, as it is counted.
    pub const fn reason(&self) -> Option<&'static str> {
        self.reason
    }

    /// One line, with its break.
    pub fn line(&self) -> String {
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ask::whose::tests::asked;

    #[test]
    fn a_record_says_who_whose_and_how_long() {
        let mut record = Record::new("r-1", "2026-11-29T07:00:00.123Z".parse().unwrap(), Operation::Retrieve);
        (record.installation, record.region, record.replica) =
            ("prod".into(), "eu-central-1".into(), "gw-1".into());
        record.is_for(&asked(Pattern::Pool));
        record.is_by(Subject::Subject("system:serviceaccount:shop:web".into()));
        record.answered(&Checked { body: "secret".into(), passages: 5, foreign: 1, unknown: 2 });
        record.class = Some("basic".into());
        record.would_refuse = Some("concurrent");
        record.queued = Some(Duration::from_micros(1_234));
        record.total = Some(Duration::from_millis(250));
        record.aws_request_ids.push("a-1".into());
        let line = record.line();
        assert!(line.ends_with("}\n") && line.matches('\n').count() == 1 && !line.contains("secret"));
        assert_eq!(
            serde_json::from_str::<Value>(&line).unwrap(),
            json!({"v": 1, "id": "r-1", "time": "2026-11-29T07:00:00.123Z", "installation": "prod", "region": "eu-central-1",
                "replica": "gw-1", "operation": "Retrieve", "tenant": "acme", "namespace": "tenants", "pattern": "Pool",
                "stack": "standard", "kb": "KB12345678", "class": "basic", "subject": "system:serviceaccount:shop:web", "outcome": "ok",
                "status": 200, "wouldRefuse": "concurrent", "passages": 5, "dropped": 1, "queuedMs": 1.234, "totalMs": 250.0, "awsRequestIds": ["a-1"]})
        );
    }

    #[test]
    fn a_refused_one_says_how_it_is_counted_and_not_in_which_words() {
        let now = Timestamp::from_second(0).unwrap();
        let refusal = Refusal::invalid("a.secret.field", "with words");
        let mut record = Record::new("r-1", now, Operation::Retrieve);
        record.names("acme");
        record.refused(&refusal);
        let line: Value = serde_json::from_str(&record.line()).unwrap();
        assert_eq!(line["tenant"], "acme");
        assert_eq!(
            (&line["status"], &line["code"], &line["reason"]),
            (&json!(400), &json!("ValidationException"), &json!("invalid"))
        );
        assert!(!record.line().contains("secret") && OUTCOMES.contains(&record.outcome()));
        assert_eq!((record.outcome(), record.reason()), ("refused", Some("invalid")));
        let mut record = Record::new("r-1", now, Operation::AssumeRoleWithWebIdentity);
        record.names("no tenant's name");
        record.refused(&Refusal::NotAllowed);
        assert_eq!((record.ended(), record.tenant.as_deref()), ((403, Some("AccessDenied")), None));
    }

    #[test]
    fn a_user_is_a_hash_that_tells_issuers_apart() {
        let [a, b, again] =
            [("i", "u"), ("i2", "u"), ("i", "u")].map(|(issuer, user)| Subject::of_issuer(issuer, user));
        assert!(a != b && a == again);
        let Subject::User(hash) = a else { panic!() };
        assert!(hash.starts_with("sha256:") && hash.len() == 71);
    }
}
