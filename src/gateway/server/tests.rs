use std::sync::LazyLock;

use data_encoding::BASE64URL_NOPAD;
use futures::FutureExt;
use futures::future::BoxFuture;
use kube::runtime::watcher::Event;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::aws::{self, NoAnswer, Session};
use crate::gateway::callers::{Callers, Reviewer};
use crate::gateway::classes::tests::class;
use crate::gateway::freshness::Freshness;
use crate::gateway::kept::Life;
use crate::gateway::listen::Listener;
use crate::gateway::mocked::{ApiServer, program};
use crate::gateway::records::Recorded;
use crate::gateway::rights::Rights;
use crate::gateway::sessions::tests::sessions;
use crate::gateway::settings::Lines;
use crate::gateway::tenants::{Tenants, tests as objects};
use crate::gateway::turns::Turns;
use crate::gateway::upstream::Puts;
use crate::records::Records;
use crate::records::in_memory::InMemory;

const SECOND: Duration = Duration::from_secs(1);
const LIFE: Life =
    Life { young: Duration::from_secs(60), fresh: Duration::from_secs(60), usable: Duration::from_secs(120) };

type Asked = (String, Value);

/// Answers all questions alike, after a while, and remembers them.
#[derive(Default)]
struct Bedrock {
    asked: Mutex<Vec<Asked>>,
    answers: Mutex<Option<aws::Answer>>,
    takes: Mutex<Duration>,
}

impl Puts for Bedrock {
    fn put<'a>(
        &'a self,
        _: &'a Session,
        knowledge_base: &'a str,
        body: Vec<u8>,
        _: Duration,
    ) -> BoxFuture<'a, Result<aws::Answer, NoAnswer>> {
        let body = serde_json::from_slice(&body).unwrap();
        self.asked.lock().push((knowledge_base.into(), body));
        let (takes, answer) = (*self.takes.lock(), self.answers.lock().clone());
        async move {
            tokio::time::sleep(takes).await;
            answer.ok_or(NoAnswer::Timeout)
        }
        .boxed()
    }
}

fn passage(tenant: &str, key: &str) -> Value {
    json!({
        "content": {"text": format!("of {tenant}"), "type": "TEXT"},
        "location": {"type": "S3", "s3Location": {"uri": format!("s3://docs/{key}")}},
        "metadata": {"tenantId": tenant}, "score": 0.5, "new": {"member": 1},
    })
}

fn record(name: &str, tenant_id: &str) -> String {
    json!({
        "tenantId": tenant_id, "state": "held", "pattern": "Pool", "stack": "standard",
        "holder": {"cluster": "c", "namespace": "tenants", "name": name, "uid": format!("uid-{name}")},
        "since": "2026-01-01T00:00:00Z", "nonce": "n",
    })
    .to_string()
}

/// A gateway with the tenants `acme`, `globex`, `leaving` and `squatted`, of which `web` may ask all, and `other` none.
struct Bed {
    url: String,
    api_server: ApiServer,
    bedrock: Arc<Bedrock>,
    tenants: Arc<Tenants>,
    classes: Arc<Classes>,
    metrics: Arc<Metrics>,
    log: tempfile::NamedTempFile,
    events: Arc<Mutex<Vec<Value>>>,
    stop: CancellationToken,
    over: CancellationToken,
    served: tokio::task::JoinHandle<()>,
    http: reqwest::Client,
    _turns: AbortOnDropHandle<()>,
}

/// When all tokens of this run end: the same account always has the same token.
static ENDS: LazyLock<i64> = LazyLock::new(|| Timestamp::now().as_second() + 3600);

/// A token of one of the cluster's accounts, in the clear.
fn token(account: &str) -> String {
    let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let claims = json!({"aud": ["tenantry-gateway"], "exp": *ENDS, "sub": account});
    format!(
        "{}.{}.{}",
        part(json!({"alg": "RS256"})),
        part(claims),
        BASE64URL_NOPAD.encode(account.as_bytes())
    )
}

fn api_server(events: Arc<Mutex<Vec<Value>>>) -> ApiServer {
    ApiServer::new(move |path, mut object| {
        match path {
            "/apis/authentication.k8s.io/v1/tokenreviews" => {
                let token = object["spec"]["token"].as_str().unwrap_or_default().to_owned();
                let account = BASE64URL_NOPAD.decode(token.rsplit('.').next().unwrap().as_bytes()).unwrap();
                let account = String::from_utf8(account).unwrap();
                object["status"] = json!({"authenticated": account != "nobody", "audiences": ["tenantry-gateway"],
                    "user": {"username": format!("system:serviceaccount:shop:{account}")}});
            }
            "/apis/authorization.k8s.io/v1/subjectaccessreviews" => {
                object["status"] =
                    json!({"allowed": object["spec"]["user"] == "system:serviceaccount:shop:web"});
            }
            "/apis/events.k8s.io/v1/namespaces/tenants/events" => events.lock().push(object.clone()),
            other => panic!("{other}"),
        }
        object
    })
}

impl Bed {
    async fn new(max_in_flight: usize) -> Self {
        let events = Arc::<Mutex<Vec<Value>>>::default();
        let api_server = api_server(events.clone());
        let (metrics, bedrock) = (Arc::new(Metrics::default()), Arc::<Bedrock>::default());
        let log = tempfile::NamedTempFile::new().unwrap();
        let turns = Turns::new(10_000.0, metrics.clone());
        let classes = Arc::new(Classes::new(60 * SECOND, metrics.clone()));
        let door = door(&api_server);
        let tenants = door.tenants.clone();
        let server = Server {
            here: Here { installation: "prod".into(), region: "eu-central-1".into(), replica: "gw-1".into() },
            door,
            classes: classes.clone(),
            upstream: Upstream { questions: bedrock.clone(), sessions: sessions().0, turns: turns.clone() },
            alarm: Alarm::new(api_server.client.clone(), "gw-1", Duration::from_secs(3600)),
            metrics: metrics.clone(),
            log: AccessLog::open(&Lines::File(log.path().into()), metrics.lines_dropped.clone()).unwrap(),
            max_in_flight,
            in_flight: AtomicUsize::new(0),
            strangers: of_strangers(max_in_flight),
            questions: of_tenants(max_in_flight),
        };
        let listener =
            Listener::bind(([127, 0, 0, 1], 0).into(), None, metrics.connections.clone()).await.unwrap();
        let url = format!("http://{}", listener.address().unwrap());
        let (stop, over) = (CancellationToken::new(), CancellationToken::new());
        let served =
            tokio::spawn(listener.serve(Arc::new(server), stop.clone(), over.clone().cancelled_owned()));
        let http = program().build().unwrap();
        let _turns = AbortOnDropHandle::new(tokio::spawn(turns.follow()));
        Self {
            url,
            api_server,
            bedrock,
            tenants,
            classes,
            metrics,
            log,
            events,
            stop,
            over,
            served,
            http,
            _turns,
        }
    }

    /// The class `basic` says this of questions, and `acme` is of it.
    fn is_basic(&self, gateway: &Value) {
        self.classes.take(Event::Apply(class("basic", gateway)));
        self.is_shown(&json!({"status": {"class": "basic"}}));
    }

    fn is_shown(&self, change: &Value) {
        self.tenants.take(Event::Apply(objects::tenant("a", "acme", change)));
    }

    /// Ends it, and reads its access log.
    async fn lines(self) -> Vec<Value> {
        self.stop.cancel();
        let Self { served, log, .. } = self;
        served.await.unwrap();
        let text = std::fs::read_to_string(log.path()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn answers(&self, passages: &[Value]) {
        let body = json!({"retrievalResults": passages, "unheardOf": 1}).to_string().into();
        *self.bedrock.answers.lock() =
            Some(aws::Answer::Passages(aws::Passages { body, request_id: Some("A1".into()) }));
    }

    /// A question as an SDK puts it.
    async fn ask(&self, account: &str, tenant: &str, knowledge_base: &str) -> (u16, String, Value) {
        let signed = format!(
            "AWS4-HMAC-SHA256 Credential=TENANTRYSESSION_{tenant}/20261129/r/bedrock/aws4_request, Signature=0"
        );
        let request = self.http.post(format!("{}/knowledgebases/{knowledge_base}/retrieve", self.url));
        let request = request.header("authorization", signed).header("x-amz-security-token", token(account));
        let answer =
            request.json(&json!({"retrievalQuery": {"text": "a secret question"}})).send().await.unwrap();
        let code = answer.headers().get("x-amzn-errortype").map(|it| it.to_str().unwrap().to_owned());
        assert!(answer.headers().contains_key("x-amzn-requestid"));
        (answer.status().as_u16(), code.unwrap_or_default(), answer.json().await.unwrap())
    }

    /// Begins a request whose body does not come, over a connection of its own.
    async fn begin(&self, path: &str, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).await.unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: gateway\r\n{headers}content-length: 100\r\n\r\n{{");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// Waits until so many requests are under way.
    async fn until_under_way(&self, count: i64) {
        let there = async {
            while self.metrics.in_flight.get() != count {
                tokio::time::sleep(SECOND / 200).await;
            }
        };
        tokio::time::timeout(SECOND, there).await.expect("they are there within a second");
    }

    async fn exchange(&self, account: &str, tenant: &str) -> (u16, String) {
        let form = format!(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A000000000000%3Arole%2F{tenant}\
             &RoleSessionName=session&WebIdentityToken={}%0A",
            token(account)
        );
        let answer = self.http.post(&self.url).body(form).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

fn door(api_server: &ApiServer) -> Door {
    let (client, tenants) = (api_server.client.clone(), Tenants::new("prod"));
    tenants.take_stack(Event::Apply(objects::stack(&json!({}))));
    let shelf = InMemory::default();
    for (name, id) in [("a", "acme"), ("g", "globex"), ("l", "leaving"), ("s", "squatted")] {
        tenants.take(Event::Apply(objects::tenant(name, id, &json!({}))));
        shelf.overwrite(&format!("tenants/{id}.json"), &record(name, id));
    }
    shelf.overwrite("tenants/squatted.json", &record("the-true-one", "squatted"));
    let leaving = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    tenants.take(Event::Apply(objects::tenant("l", "leaving", &leaving)));
    let reviewer = Reviewer::new(client.clone(), "tenantry-gateway");
    Door {
        callers: Callers::new(reviewer, "tenantry-gateway", Vec::new(), LIFE, SECOND),
        tenants: Arc::new(tenants),
        freshness: Freshness::default(),
        usable: Duration::from_secs(300),
        rights: Rights::new(client, LIFE, SECOND),
        recorded: Recorded::new(Records::new(Arc::new(shelf)), LIFE, SECOND),
    }
}

#[tokio::test]
async fn a_question_is_answered_with_the_tenants_own_passages() {
    let bed = Bed::new(10).await;
    let own = passage("acme", "pool/acme/leave.md");
    bed.answers(&[
        own.clone(),
        passage("globex", "pool/globex/x.md"),
        passage("acme", "pool/globex/forged.md"),
    ]);
    let (status, _, body) = bed.ask("web", "acme", "TENANTRYKB").await;
    assert_eq!((status, &body), (200, &json!({"retrievalResults": [own]})));
    let asked = bed.bedrock.asked.lock().clone();
    let filter = &asked[0].1["retrievalConfiguration"]["vectorSearchConfiguration"]["filter"];
    assert_eq!((asked.len(), asked[0].0.as_str()), (1, "KB12345678"));
    assert_eq!(filter, &json!({"equals": {"key": "tenantId", "value": "acme"}}));
    assert_eq!(bed.ask("web", "acme", "KB12345678").await.0, 200, "its own id does, too");
    let text = bed.metrics.text().unwrap();
    assert!(text.contains("tenantry_gateway_foreign_passages_total{pattern=\"Pool\"} 4"), "{text}");
    assert!(text.contains("tenantry_gateway_members_dropped_total 2"), "{text}");
    tokio::time::sleep(SECOND / 10).await;
    let events = bed.events.lock().clone();
    assert_eq!(events.len(), 1, "once in an hour: {events:?}");
    assert_eq!(events[0]["regarding"]["uid"], "uid-a");
}

#[tokio::test]
async fn whoever_may_not_ask_learns_nothing_and_whoever_may_is_told() {
    let bed = Bed::new(10).await;
    bed.answers(&[]);
    for (account, tenant, knowledge_base, status, code) in [
        ("nobody", "acme", "TENANTRYKB", 403, "UnrecognizedClientException"),
        ("other", "acme", "TENANTRYKB", 403, "AccessDeniedException"),
        ("other", "leaving", "TENANTRYKB", 403, "AccessDeniedException"),
        ("web", "unknown", "TENANTRYKB", 403, "AccessDeniedException"),
        ("web", "squatted", "TENANTRYKB", 403, "AccessDeniedException"),
        ("web", "leaving", "TENANTRYKB", 404, "ResourceNotFoundException"),
        ("web", "acme", "KB00000000", 403, "AccessDeniedException"),
    ] {
        let (got, said, _) = bed.ask(account, tenant, knowledge_base).await;
        assert_eq!((got, said.as_str()), (status, code), "{account} asks {knowledge_base} of {tenant}");
    }
    let words = |body: Value| body["message"].as_str().unwrap().to_owned();
    let unknown = words(bed.ask("web", "unknown", "TENANTRYKB").await.2);
    for (account, tenant) in [("other", "acme"), ("other", "leaving"), ("web", "squatted")] {
        assert_eq!(words(bed.ask(account, tenant, "TENANTRYKB").await.2), unknown, "no oracle");
    }
    assert_eq!(bed.bedrock.asked.lock().len(), 0, "AWS hears of none of it");
}

#[tokio::test]
async fn a_token_is_exchanged_for_whoever_may_ask() {
    let bed = Bed::new(10).await;
    let (status, text) = bed.exchange("web", "acme").await;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains(&format!("<SessionToken>{}</SessionToken>", token("web"))), "{text}");
    assert!(text.contains("<AccessKeyId>TENANTRYSESSION_acme</AccessKeyId>"), "{text}");
    for (account, tenant) in [("other", "acme"), ("web", "unknown"), ("web", "squatted")] {
        let (status, text) = bed.exchange(account, tenant).await;
        assert!(status == 403 && text.contains("<Code>AccessDenied</Code>"), "{text}");
    }
    let (status, text) = bed.exchange("nobody", "acme").await;
    assert!(status == 400 && text.contains("<Code>InvalidIdentityToken</Code>"), "{text}");
}

#[tokio::test]
async fn what_the_gateway_does_not_have_is_refused_by_its_name() {
    let bed = Bed::new(10).await;
    for (method, path) in [
        ("POST", "/retrieveAndGenerate"),
        ("GET", "/knowledgebases/TENANTRYKB/retrieve"),
        ("POST", "/agents/a/b"),
    ] {
        let request = bed.http.request(method.parse().unwrap(), format!("{}{path}", bed.url));
        let answer = request.header("x-amz-security-token", token("web")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 404, "{path}");
        assert_eq!(answer.headers()["x-amzn-errortype"], "UnknownOperationException", "{path}");
    }
    let large = bed.http.post(format!("{}/t/acme/knowledgebases/TENANTRYKB/retrieve", bed.url));
    let large = large.bearer_auth(token("web")).body(vec![b' '; wire::MAX_BYTES + 1]).send().await.unwrap();
    assert_eq!(large.status().as_u16(), 413);
}

#[tokio::test]
async fn a_bearer_names_its_tenant_by_the_path() {
    let bed = Bed::new(10).await;
    bed.answers(&[passage("acme", "pool/acme/a.md")]);
    let post = |path: &str| {
        let request = bed.http.post(format!("{}{path}/knowledgebases/TENANTRYKB/retrieve", bed.url));
        request.bearer_auth(token("web")).json(&json!({"retrievalQuery": {"text": "a"}})).send()
    };
    assert_eq!(post("/t/acme").await.unwrap().status().as_u16(), 200);
    assert_eq!(post("/t/unknown").await.unwrap().status().as_u16(), 403);
    assert_eq!(post("").await.unwrap().status().as_u16(), 400, "no tenant is named");
}

#[tokio::test]
async fn more_than_there_is_room_for_are_refused_at_once() {
    let bed = Bed::new(2).await;
    bed.answers(&[]);
    assert_eq!(bed.ask("web", "acme", "TENANTRYKB").await.0, 200);
    *bed.bedrock.takes.lock() = SECOND;
    let begun = Instant::now();
    let asks = futures::future::join_all((0..6).map(|_| async {
        let answer = bed.ask("web", "acme", "TENANTRYKB").await;
        (answer, begun.elapsed())
    }));
    let answers = asks.await;
    let refused: Vec<_> = answers.iter().filter(|((status, ..), _)| *status == 503).collect();
    assert_eq!(refused.len(), 4, "{answers:?}");
    assert!(refused.iter().all(|(_, took)| *took < SECOND / 2), "{answers:?}");
}

/// What a connection is told, until the answer is whole.
async fn told(stream: &mut TcpStream) -> String {
    let mut said = [0; 4096];
    let length = stream.read(&mut said).await.unwrap();
    String::from_utf8_lossy(&said[..length]).into_owned()
}

#[tokio::test]
async fn whoever_sends_bodies_slowly_without_a_token_keeps_nobody_out() {
    let mut bed = Bed::new(8 * 8 * LEAST).await;
    bed.answers(&[]);
    assert_eq!(bed.ask("web", "acme", "TENANTRYKB").await.0, 200);
    let begun = Instant::now();
    let mut slow = Vec::new();
    for _ in 0..LEAST {
        slow.push(bed.begin("/", "").await);
    }
    bed.until_under_way(LEAST as i64).await;
    let more = told(&mut bed.begin("/", "").await).await;
    assert!(more.starts_with("HTTP/1.1 503 ") && begun.elapsed() < SECOND, "at once: {more}");
    assert_eq!(bed.ask("web", "acme", "TENANTRYKB").await.0, 200, "who is known is answered");
    let (status, text) = bed.exchange("web", "acme").await;
    assert!(status == 200 || text.contains("<Code>ServiceUnavailable</Code>"), "of the same address: {text}");
    bed.http = program().local_address(IpAddr::from([127, 0, 0, 2])).build().unwrap();
    assert_eq!(bed.exchange("web", "globex").await.0, 200, "so is who comes anew, from elsewhere");
    assert!(begun.elapsed() < BODY_OF_A_STRANGER, "the slow ones are still there");
    for stream in &mut slow {
        let late = told(stream).await;
        assert!(late.starts_with("HTTP/1.1 400 "), "{late}");
    }
    assert!(begun.elapsed() < BODY_OF_A_STRANGER * 2, "they have two seconds, and not ten");
    let text = bed.metrics.text().unwrap();
    assert!(text.contains(r#"tenantry_gateway_refused_total{reason="strangers"} "#), "{text}");
    assert!(!text.contains(r#"tenantry_gateway_refused_total{reason="strangers"} 0"#), "{text}");
}

#[tokio::test]
async fn a_tenant_that_sends_bodies_slowly_keeps_out_no_other() {
    let bed = Bed::new(4 * LEAST).await;
    bed.answers(&[]);
    assert_eq!(bed.ask("web", "acme", "TENANTRYKB").await.0, 200);
    let (path, bearer) =
        ("/t/acme/knowledgebases/TENANTRYKB/retrieve", format!("authorization: Bearer {}\r\n", token("web")));
    let mut slow = Vec::new();
    for _ in 0..LEAST {
        slow.push(bed.begin(path, &bearer).await);
    }
    bed.until_under_way(LEAST as i64).await;
    let (status, code, body) = bed.ask("web", "acme", "TENANTRYKB").await;
    assert_eq!((status, code.as_str()), (429, "ThrottlingException"));
    assert!(body["message"].as_str().unwrap().starts_with("This tenant has 8 requests under way"), "{body}");
    assert_eq!(bed.ask("web", "globex", "TENANTRYKB").await.0, 200, "another tenant does not notice");
    let text = bed.metrics.text().unwrap();
    assert!(text.contains(r#"tenantry_gateway_refused_total{reason="in_flight"} 1"#), "{text}");
    drop(slow);
    bed.until_under_way(0).await;
    assert_eq!(bed.ask("web", "acme", "TENANTRYKB").await.0, 200, "who goes away makes room");
}

#[tokio::test]
async fn what_is_under_way_is_answered_before_the_end() {
    let bed = Bed::new(10).await;
    bed.answers(&[]);
    *bed.bedrock.takes.lock() = SECOND / 2;
    let (answer, ()) = tokio::join!(bed.ask("web", "acme", "TENANTRYKB"), async {
        tokio::time::sleep(SECOND / 5).await;
        bed.stop.cancel();
    });
    assert_eq!(answer.0, 200);
    let Bed { served, url, http, .. } = bed;
    tokio::time::timeout(5 * SECOND, served).await.expect("it ends").unwrap();
    assert!(http.post(url).send().await.is_err(), "nobody answers any more");
}

#[tokio::test]
async fn what_takes_too_long_is_cut_off_at_the_end() {
    let bed = Bed::new(10).await;
    bed.answers(&[]);
    *bed.bedrock.takes.lock() = 30 * SECOND;
    let ask = bed.ask("web", "acme", "TENANTRYKB");
    assert!(tokio::time::timeout(SECOND / 2, ask).await.is_err());
    bed.stop.cancel();
    bed.over.cancel();
    tokio::time::timeout(5 * SECOND, bed.served).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn the_access_log_says_who_and_what_became_of_it_and_no_secret() {
    let bed = Bed::new(10).await;
    bed.answers(&[passage("acme", "pool/acme/a.md"), passage("x", "pool/x/b.md")]);
    bed.ask("web", "acme", "TENANTRYKB").await;
    bed.ask("other", "acme", "TENANTRYKB").await;
    bed.stop.cancel();
    let Bed { served, log, .. } = bed;
    served.await.unwrap();
    let text = std::fs::read_to_string(log.path()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    let said = |line: &Value, name: &str| line[name].clone();
    assert_eq!(said(&lines[0], "subject"), "system:serviceaccount:shop:web");
    assert_eq!([said(&lines[0], "passages"), said(&lines[0], "dropped")], [json!(1), json!(1)]);
    assert_eq!([said(&lines[1], "outcome"), said(&lines[1], "status")], [json!("refused"), json!(403)]);
    for secret in ["secret question", "of acme", "a.md", &token("web"), &token("other")] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

#[tokio::test]
async fn while_the_api_server_is_away_nobody_new_comes_in() {
    let bed = Bed::new(10).await;
    bed.answers(&[]);
    assert_eq!(bed.ask("web", "acme", "TENANTRYKB").await.0, 200);
    bed.api_server.is_away(true);
    assert_eq!(bed.ask("web", "acme", "TENANTRYKB").await.0, 200, "who is known goes on");
    let (status, code, _) = bed.ask("new", "acme", "TENANTRYKB").await;
    assert_eq!((status, code.as_str()), (503, "ServiceUnavailableException"));
    assert_eq!(bed.exchange("another", "acme").await.0, 400, "IDPCommunicationError");
}

#[tokio::test]
async fn who_goes_away_before_the_answer_is_written_down_too() {
    let bed = Bed::new(10).await;
    *bed.bedrock.takes.lock() = 60 * SECOND;
    let asked = tokio::time::timeout(SECOND / 2, bed.ask("web", "acme", "TENANTRYKB")).await;
    assert!(asked.is_err(), "there is no answer yet");
    let line = loop {
        let lines = std::fs::read_to_string(bed.log.path()).unwrap();
        if let Some(line) = lines.lines().next() {
            break serde_json::from_str::<Value>(line).unwrap();
        }
        tokio::time::sleep(SECOND / 100).await;
    };
    assert_eq!(
        (&line["outcome"], &line["status"], &line["tenant"]),
        (&json!("gone"), &json!(499), &json!("acme"))
    );
    let counted = bed.metrics.text().unwrap();
    let row = r#"tenantry_gateway_requests_total{operation="Retrieve",code="CallerGone"} 1"#;
    assert!(counted.contains(row), "{counted}");
    assert_eq!(bed.metrics.in_flight.get(), 0, "its place is free again");
}

#[tokio::test]
async fn a_class_refuses_what_is_beyond_its_limits_in_awss_shape_and_an_edit_counts_at_once() {
    let bed = Bed::new(10).await;
    bed.answers(&[]);
    bed.is_basic(&json!({"requestsPerMinute": 1}));
    assert_eq!(bed.ask("web", "acme", "TENANTRYKB").await.0, 200);
    let (status, code, body) = bed.ask("web", "acme", "TENANTRYKB").await;
    assert_eq!((status, code.as_str()), (429, "ThrottlingException"));
    let message = body["message"].as_str().unwrap();
    let says = "Class basic lets a tenant ask 1 question a minute, and 1 is used up; try again in ";
    assert!(message.starts_with(says), "{message}");
    assert_eq!(bed.bedrock.asked.lock().len(), 1, "AWS hears nothing of it");
    bed.is_basic(&json!({"weight": 2}));
    assert_eq!(bed.ask("web", "acme", "TENANTRYKB").await.0, 200, "the limit is gone");
    let text = bed.metrics.text().unwrap();
    for series in [
        r#"tenantry_gateway_class_requests_total{class="basic",outcome="ok"} 2"#,
        r#"tenantry_gateway_class_requests_total{class="basic",outcome="refused"} 1"#,
        r#"tenantry_gateway_class_refused_total{class="basic",reason="requests_per_minute",enforcement="Enforce"} 1"#,
        r#"tenantry_gateway_class_refused_total{class="basic",reason="requests_per_minute",enforcement="Shadow"} 0"#,
        r#"tenantry_gateway_refused_total{reason="requests_per_minute"} 1"#,
        r#"tenantry_gateway_class_queue_seconds_count{class="basic"} 2"#,
    ] {
        assert!(text.contains(series), "{series} is not in:\n{text}");
    }
    let lines = bed.lines().await;
    assert!(lines.iter().all(|line| line["class"] == "basic"), "{lines:#?}");
    assert_eq!(lines[1]["reason"], "requests_per_minute");
}

#[tokio::test]
async fn one_question_at_a_time_is_one_at_a_time() {
    let bed = Bed::new(10).await;
    bed.answers(&[]);
    bed.is_basic(&json!({"concurrent": 1}));
    *bed.bedrock.takes.lock() = SECOND / 2;
    let both =
        || futures::future::join(bed.ask("web", "acme", "TENANTRYKB"), bed.ask("web", "acme", "TENANTRYKB"));
    let (one, other) = both().await;
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 429], "{one:?} {other:?}");
    let gone = tokio::time::timeout(SECOND / 10, bed.ask("web", "acme", "TENANTRYKB")).await;
    assert!(gone.is_err(), "it is under way");
    tokio::time::sleep(SECOND / 10).await;
    assert_eq!(bed.ask("web", "acme", "TENANTRYKB").await.0, 200, "who goes away makes room");
}

#[tokio::test]
async fn a_shadow_refuses_nothing_and_says_what_it_would_have_refused() {
    let bed = Bed::new(10).await;
    bed.answers(&[]);
    bed.is_basic(&json!({"requestsPerMinute": 1, "enforcement": "Shadow"}));
    for _ in 0..3 {
        assert_eq!(bed.ask("web", "acme", "TENANTRYKB").await.0, 200);
    }
    let text = bed.metrics.text().unwrap();
    let series = r#"tenantry_gateway_class_refused_total{class="basic",reason="requests_per_minute",enforcement="Shadow"} 2"#;
    assert!(text.contains(series), "{text}");
    assert!(text.contains(r#"tenantry_gateway_refused_total{reason="requests_per_minute"} 0"#), "{text}");
    let would: Vec<_> = bed.lines().await.iter().map(|line| line["wouldRefuse"].clone()).collect();
    assert_eq!(would, [json!(null), json!("requests_per_minute"), json!("requests_per_minute")]);
}

/// Who may write a Tenant may write any class into its spec. Only the operator says in which it is accepted.
#[tokio::test]
async fn who_names_another_class_gains_nothing_before_it_is_accepted() {
    let bed = Bed::new(10).await;
    bed.answers(&[]);
    bed.classes.take(Event::Apply(class("premium", &json!({"weight": 4}))));
    bed.is_basic(&json!({"requestsPerMinute": 1}));
    assert_eq!(bed.ask("web", "acme", "TENANTRYKB").await.0, 200);
    bed.is_shown(&json!({"spec": {"classRef": {"name": "premium"}}, "status": {"class": "basic"}}));
    assert_eq!(bed.ask("web", "acme", "TENANTRYKB").await.0, 429);
    bed.is_shown(&json!({"spec": {"classRef": {"name": "premium"}}, "status": {"class": "premium"}}));
    assert_eq!(bed.ask("web", "acme", "TENANTRYKB").await.0, 200);
    bed.is_shown(&json!({"status": {"class": "gone"}}));
    assert_eq!(bed.ask("web", "acme", "TENANTRYKB").await.0, 200, "a class that nobody has says nothing");
}
