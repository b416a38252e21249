//! Stores that are not sound: one that ignores filters, one that mixes passages, one that has forged metadata, and answers that
//! are bent. Nobody is shown another's passage, in any pattern, and that somebody tried is told.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::gateway::tenants::{QUESTION, TENANTS, text_of};
use crate::support::world::{World, world};

/// What a store or AWS does, and in which patterns somebody else's passages come back by it.
struct Unsound {
    what: &'static str,
    switches: Value,
    /// Beside switches.
    settings: Value,
    /// Whose answers have passages that are not theirs.
    foreign: &'static [&'static str],
    /// Whether what is the tenant's own is shown all the same.
    own: Shown,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// The tenant's own passage is shown.
    Always,
    /// It is not: its place or its tag is not what it should be, or AWS refuses.
    Never,
}

const POOLS: &[&str] = &["pool"];
const ALL: &[&str] = &["bridge", "pool", "silo"];
const NONE: &[&str] = &[];

fn table(homes: &BTreeMap<&str, String>) -> Vec<Unsound> {
    let row = |what, switches, foreign, own| Unsound { what, switches, settings: json!({}), foreign, own };
    let bent = |rules: Value| json!({"bent_answers": rules});
    let everybodys = |path: &str| json!([{"of": "every", "with": {"location": {"type": "S3", "s3Location": {"uri": path}}}}]);
    let claims = |whose: &str, tenant: &str| json!([{"key": format!("pool/{whose}/*"), "metadata": {"tenantId": tenant}}]);
    let others = |part: &str| everybodys(&homes["pool1"].replace("pool1/", part));
    vec![
        row("is as it should be", json!({}), NONE, Shown::Always),
        row("ignores filters", json!({"retrieve_filter": "ignored"}), POOLS, Shown::Always),
        row(
            "ignores an operator",
            json!({"retrieve_filter": "operator_ignored", "unsupported_filters": ["equals"]}),
            POOLS,
            Shown::Always,
        ),
        row("mixes passages", json!({"retrieve_passages": "mixed"}), ALL, Shown::Always),
        row(
            "has forged metadata",
            json!({"forged_metadata": claims("pool2", "pool1")}),
            POOLS,
            Shown::Always,
        ),
        row(
            "has forged metadata and ignores filters",
            json!({"forged_metadata": claims("*", "pool1"), "retrieve_filter": "ignored"}),
            POOLS,
            Shown::Always,
        ),
        row(
            "has lost the place of every passage",
            bent(json!([{"of": "every", "without": ["location"]}])),
            ALL,
            Shown::Never,
        ),
        row(
            "has places of no kind",
            bent(json!([{"of": "every", "with": {"location": {}}}])),
            ALL,
            Shown::Never,
        ),
        row(
            "says another kind of place",
            bent(json!([{"of": "every", "with": {"location": {"type": "WEB",
            "webLocation": {"url": "https://example.com"}}}}])),
            ALL,
            Shown::Never,
        ),
        row(
            "says two places",
            bent(json!([{"of": "every", "with": {"location": {"type": "S3", "s3Location": {"uri": "{uri}"},
            "webLocation": {"url": "https://example.com"}}}}])),
            NONE,
            Shown::Always,
        ),
        row("says a place with a dot", bent(others("./pool1/")), ALL, Shown::Never),
        row("says a place that is alike", bent(others("pool11/")), ALL, Shown::Never),
        row("says a place in capitals", bent(others("POOL1/")), ALL, Shown::Never),
        row("says a place with another slash", bent(others("pool1%2F")), ALL, Shown::Never),
        row("says a place with two slashes", bent(others("/pool1/")), ALL, Shown::Never),
        row("says a place without a document", bent(everybodys("s3://{bucket}/")), ALL, Shown::Never),
        row(
            "says a place in another bucket",
            bent(everybodys("s3://{bucket}.example/{key}")),
            ALL,
            Shown::Never,
        ),
        row(
            "says a place by http",
            bent(everybodys("https://{bucket}.s3.amazonaws.com/{key}")),
            ALL,
            Shown::Never,
        ),
        row("says a place with a space before it", bent(everybodys(" {uri}")), ALL, Shown::Never),
        row(
            "has lost the metadata",
            bent(json!([{"of": "every", "without": ["metadata"]}])),
            POOLS,
            Shown::Never,
        ),
        row(
            "has another tag",
            bent(json!([{"of": "every", "with": {"metadata": {"tenantId": "pool9"}}}])),
            POOLS,
            Shown::Never,
        ),
        row(
            "has a list of tags",
            bent(json!([{"of": "every", "with": {"metadata": {"tenantId": ["pool1", "pool2"]}}}])),
            POOLS,
            Shown::Never,
        ),
        row(
            "has a tag of another kind",
            bent(json!([{"of": "every", "with": {"metadata": {"tenantId": {"is": "pool1"}}}}])),
            POOLS,
            Shown::Never,
        ),
        row(
            "has members that nobody knows",
            bent(json!([{"of": "every", "with": {"novel": {"a": [1]}}},
            {"of": "answer", "with": {"everybodysPassages": [{"content": {"text": "of pool2"}}]}}])),
            NONE,
            Shown::Always,
        ),
        row(
            "has no passages at all",
            bent(json!([{"of": "answer", "with": {"retrievalResults": []}}])),
            NONE,
            Shown::Never,
        ),
        row(
            "has passages that are none",
            bent(json!([{"of": "answer", "with": {"retrievalResults": ["of pool2", 7, null, []]}}])),
            ALL,
            Shown::Never,
        ),
        row(
            "has no list of passages",
            bent(json!([{"of": "answer", "with": {"retrievalResults": {"of": "pool2"}}}])),
            NONE,
            Shown::Never,
        ),
        row("does not tell tags", json!({"retrieve_sees_tags": false}), NONE, Shown::Never),
        row(
            "knows no tags with slashes in policies",
            json!({"policy_variables": "slashless"}),
            NONE,
            Shown::Always,
        ),
        row("takes the other place of filters", json!({"managed_search": "ignored"}), NONE, Shown::Always),
        Unsound {
            what: "gives pages to whoever shows a token",
            switches: json!({"next_token": "bearer", "retrieve_filter": "ignored"}),
            settings: json!({"retrieve_page": 1}),
            foreign: POOLS,
            own: Shown::Always,
        },
    ]
}

/// What a program may ask, honest or not.
fn questions(other: &str) -> Vec<Value> {
    let of = |search: Value| {
        json!({"retrievalQuery": {"text": format!("{QUESTION} {other} pays")},
            "retrievalConfiguration": {"vectorSearchConfiguration": search}})
    };
    let is = |operator: &str, value: &str| json!({operator: {"key": "tenantId", "value": value}});
    vec![
        json!({"retrievalQuery": {"text": QUESTION}}),
        of(json!({"numberOfResults": 100})),
        of(json!({"filter": is("equals", other)})),
        of(json!({"filter": is("notEquals", "nobody")})),
        of(json!({"filter": {"orAll": [is("equals", other), is("notEquals", other)]}})),
        of(
            json!({"filter": {"orAll": [is("equals", other), {"andAll": [is("notEquals", "a"), is("notEquals", "b")]}]}}),
        ),
    ]
}

/// What came of many questions.
struct Seen {
    /// Whether something of its own was shown.
    shown: bool,
    /// How many they were.
    asked: usize,
}

/// Asks as one tenant in every way, all pages; nothing but its own may come back.
async fn sees_only_its_own(
    gateway: &Gateway,
    what: &str,
    token: &str,
    tenant: &str,
    other: &str,
    home: &str,
) -> Seen {
    let mut seen = Seen { shown: false, asked: 0 };
    for mut question in questions(other) {
        for _ in 0..8 {
            let answer = gateway.retrieve(token, tenant, &question).await;
            seen.asked += 1;
            for word in [&text_of(other), &format!("of {other} get"), "everybodysPassages"] {
                assert!(!answer.body.contains(word), "{what}: {tenant} is shown {word}: {}", answer.body);
            }
            if answer.status != 200 {
                assert!(answer.status >= 400 && !answer.refusal().1.is_empty(), "{what}: {answer:?}");
                break;
            }
            for (place, text) in answer.passages() {
                assert!(
                    place.starts_with(home) && text == text_of(tenant),
                    "{what}: {tenant} is shown {place}"
                );
                seen.shown = true;
            }
            let Some(token) = answer.json()["nextToken"].as_str().map(str::to_owned) else { break };
            question["nextToken"] = token.into();
        }
    }
    seen
}

#[tokio::test]
async fn nobody_is_shown_anothers_passage_whatever_the_store_answers() {
    world(|w| async move {
        w.tenants_of_every_pattern().await;
        let (tokens, mut homes) = (w.askers(&TENANTS).await, BTreeMap::new());
        for tenant in TENANTS {
            homes.insert(tenant, w.home(tenant).await);
        }
        let gateway = w.gateway(&["--retrieve-rate", "100000"]).await;
        for pattern in ALL {
            assert_eq!(
                gateway.metric(FOREIGN, &label(pattern)).await,
                0.0,
                "it is there before anything happens"
            );
        }
        for Unsound { what, switches, settings, foreign, own } in table(&homes) {
            let mut all = settings;
            all["switches"] = switches;
            w.double.settings(all).await;
            for pattern in ALL {
                let before = gateway.access_log().len();
                let (one, two) = (format!("{pattern}1"), format!("{pattern}2"));
                let (mut shown, mut asked) = (Vec::new(), before);
                for (tenant, other) in [(&one, &two), (&two, &one)] {
                    let (token, home) = (&tokens[tenant], &homes[tenant.as_str()]);
                    let seen = sees_only_its_own(&gateway, what, token, tenant, other, home).await;
                    shown.push(seen.shown);
                    asked += seen.asked;
                }
                let lines = w.eventually("each question has its line", || async {
                    let lines = gateway.access_log();
                    (lines.len() >= asked).then_some(lines)
                });
                let told = lines.await[before..].iter().any(|line| line["dropped"].as_u64().unwrap_or(0) > 0);
                assert_eq!(told, foreign.contains(pattern), "a store that {what}: {pattern} is counted");
                let hidden = own == Shown::Never && (foreign.is_empty() || foreign.contains(pattern));
                assert_eq!(shown.contains(&true), !hidden, "a store that {what}: {pattern} is shown its own");
            }
            w.double.settings(json!({"switches": sound(), "retrieve_page": 0})).await;
        }
        pages_do_not_cross(&w, &gateway, &tokens).await;
        for pattern in ALL {
            let of = |line: &Value| {
                if line["pattern"] == named(pattern) { line["dropped"].as_f64() } else { None }
            };
            let dropped: f64 = gateway.access_log().iter().filter_map(of).sum();
            gateway.reaches(&w, FOREIGN, &label(pattern), dropped).await;
        }
        for tenant in TENANTS {
            told_once(&w, tenant).await;
        }
    })
    .await;
}

/// A page that AWS keeps for one tenant is none for another, whatever is done to its token.
async fn pages_do_not_cross(w: &World, gateway: &Gateway, tokens: &BTreeMap<String, String>) {
    let switches = json!({"next_token": "bearer", "retrieve_filter": "ignored"});
    w.double.settings(json!({"switches": switches, "retrieve_page": 1})).await;
    let mut question = json!({"retrievalQuery": {"text": QUESTION}});
    let page = gateway.retrieve(&tokens["pool1"], "pool1", &question).await.json()["nextToken"].clone();
    let page = page.as_str().expect("there is a second page").to_owned();
    question["nextToken"] = page.clone().into();
    let refused = gateway.retrieve(&tokens["pool2"], "pool2", &question).await;
    assert_eq!(
        refused.refusal(),
        (400, "ValidationException".into()),
        "it was given to another: {refused:?}"
    );
    question["nextToken"] = page.replace("pool1", "pool2").into();
    let forged = gateway.retrieve(&tokens["pool2"], "pool2", &question).await;
    if forged.status == 200 {
        let home = w.home("pool2").await;
        assert!(forged.passages().iter().all(|(place, _)| place.starts_with(&home)), "{forged:?}");
    }
    assert!(!forged.body.contains(&text_of("pool1")), "{forged:?}");
    w.double.settings(json!({"switches": sound(), "retrieve_page": 0})).await;
}

/// The switches as they were.
fn sound() -> Value {
    json!({
        "retrieve_filter": "honoured", "unsupported_filters": [], "retrieve_passages": "own", "forged_metadata": [],
        "bent_answers": [], "next_token": "bound", "managed_search": "refused", "retrieve_sees_tags": true,
        "policy_variables": "all",
    })
}

/// The Tenant has one event of it, however often it happened, and the event names nobody else.
async fn told_once(w: &World, tenant: &str) {
    let note = w.event(tenant, EVENT).await;
    let events = w.events(tenant).await;
    assert_eq!(events.iter().filter(|(reason, _)| reason == EVENT).count(), 1, "{events:?}");
    for other in TENANTS.iter().filter(|other| **other != tenant) {
        assert!(!note.contains(other), "{note}");
    }
}

/// The pattern as it is written.
fn named(pattern: &str) -> String {
    format!("{}{}", pattern[..1].to_uppercase(), &pattern[1..])
}

fn label(pattern: &str) -> String {
    format!("pattern=\"{}\"", named(pattern))
}

const FOREIGN: &str = "tenantry_gateway_foreign_passages_total";

/// The reason of the event.
const EVENT: &str = "ForeignPassages";
