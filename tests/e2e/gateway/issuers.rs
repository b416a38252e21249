//! Callers with a token of an issuer that is not the cluster: what is good, and what only looks so.

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::gateway::issuer::Issuer;
use crate::support::gateway::jwt::{Key, hmac_signed, now, sha256, unsigned};
use crate::support::gateway::process::until_answered;
use crate::support::gateway::tenants::{POOL, QUESTION, text_of};
use crate::support::world::world;

const DENIED: (u16, &str) = (403, "AccessDeniedException");
const INVALID: (u16, &str) = (403, "UnrecognizedClientException");
const EXPIRED: (u16, &str) = (403, "ExpiredTokenException");

/// The keys of an issuer, and one that somebody else has.
struct Keys {
    rsa: Key,
    ec: Key,
    ed: Key,
    strangers: Key,
}

/// Claims with some changed; null takes one away.
fn but(claims: &Value, changes: Value) -> Value {
    let mut changed = claims.clone();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(changed.as_object_mut().unwrap().remove(name)),
            value => changed[name] = value.clone(),
        }
    }
    changed
}

/// Tokens that are good, for pool1.
fn good(issuer: &Issuer, keys: &Keys) -> Vec<(&'static str, String)> {
    let claims = issuer.claims("pool1");
    vec![
        ("signed by RS256", keys.rsa.sign(&claims)),
        ("signed by PS256", keys.rsa.sign_as(&json!({"alg": "PS256", "kid": "rsa"}), &claims)),
        ("signed by ES256", keys.ec.sign(&claims)),
        ("signed by EdDSA", keys.ed.sign(&claims)),
        ("for several audiences", keys.ec.sign(&but(&claims, json!({"aud": ["others", "questions"]})))),
        (
            "with claims that nobody reads",
            keys.ec.sign(&but(&claims, json!({"groups": ["a"], "tenants": ["pool2"]}))),
        ),
    ]
}

/// Tokens that are not, all of whoever would be answered for pool1.
fn bad(issuer: &Issuer, keys: &Keys) -> Vec<(&'static str, String, (u16, &'static str))> {
    let claims = issuer.claims("pool1");
    let signed = |changes: Value| keys.ec.sign(&but(&claims, changes));
    let header = |header: Value| keys.ec.sign_as(&header, &claims);
    let (hs, kid) = (json!({"alg": "HS256", "kid": "rsa"}), json!({"alg": "HS256"}));
    let signature = |token: &str| token.rsplit_once('.').unwrap().1.to_owned();
    let good = keys.ec.sign(&claims);
    vec![
        ("of another audience", signed(json!({"aud": "others"})), INVALID),
        ("of no audience", signed(json!({"aud": null})), INVALID),
        ("of an audience in a list of none", signed(json!({"aud": []})), INVALID),
        ("of a part of the audience", signed(json!({"aud": "question"})), INVALID),
        ("of another issuer", signed(json!({"iss": "https://issuer.example.com"})), INVALID),
        ("of the issuer with a slash", signed(json!({"iss": format!("{}/", issuer.url)})), INVALID),
        ("of no issuer", signed(json!({"iss": null})), INVALID),
        ("of a list of issuers", signed(json!({"iss": [issuer.url]})), INVALID),
        ("of the cluster's name", signed(json!({"iss": "https://kubernetes.default.svc"})), INVALID),
        ("that is over", signed(json!({"exp": now() - 600})), EXPIRED),
        ("that never ends", signed(json!({"exp": null})), INVALID),
        ("that ends in a word", signed(json!({"exp": "never"})), INVALID),
        ("that has not begun", signed(json!({"nbf": now() + 600})), INVALID),
        ("of nobody's key", keys.strangers.sign(&claims), INVALID),
        (
            "of a stranger who says a known key",
            keys.strangers.sign_as(&json!({"alg": "ES256", "kid": "ec"}), &claims),
            INVALID,
        ),
        ("of the key of another algorithm", header(json!({"alg": "RS256", "kid": "rsa"})), INVALID),
        ("of a key that is not the one it says", header(json!({"alg": "ES256", "kid": "rsa"})), INVALID),
        ("signed by none", format!("{}.", unsigned(&json!({"alg": "none"}), &claims)), INVALID),
        ("signed by None", format!("{}.", unsigned(&json!({"alg": "NONE", "kid": "ec"}), &claims)), INVALID),
        (
            "signed by none, with a signature",
            format!("{}.{}", unsigned(&json!({"alg": "none"}), &claims), signature(&good)),
            INVALID,
        ),
        (
            "signed by the public key as a secret",
            hmac_signed(&hs, &claims, keys.rsa.public_pem().as_bytes()),
            INVALID,
        ),
        ("signed by the public key's bytes", hmac_signed(&hs, &claims, &keys.rsa.public_der()), INVALID),
        (
            "signed by the public key as it is published",
            hmac_signed(&hs, &claims, keys.rsa.jwk().to_string().as_bytes()),
            INVALID,
        ),
        ("signed by nothing as a secret", hmac_signed(&kid, &claims, b""), INVALID),
        (
            "that brings its own key",
            keys.strangers.sign_as(&json!({"alg": "ES256", "jwk": keys.strangers.jwk()}), &claims),
            INVALID,
        ),
        (
            "that says where its key is",
            keys.strangers
                .sign_as(&json!({"alg": "ES256", "kid": "x", "jku": "https://example.com/keys"}), &claims),
            INVALID,
        ),
        ("whose key is a path", header(json!({"alg": "ES256", "kid": "../../dev/null"})), INVALID),
        (
            "with something critical that nobody knows",
            header(json!({"alg": "ES256", "kid": "ec", "crit": ["novel"], "novel": 1})),
            INVALID,
        ),
        (
            "whose claims are another's",
            format!(
                "{}.{}",
                unsigned(&json!({"alg": "ES256", "kid": "ec"}), &issuer.claims("pool2")),
                signature(&good)
            ),
            INVALID,
        ),
        ("that names no tenant", signed(json!({"tenant": null})), DENIED),
        ("that names another", signed(json!({"tenant": "pool2"})), DENIED),
        ("that names a pattern", signed(json!({"tenant": "pool*"})), DENIED),
        ("that names it in capitals", signed(json!({"tenant": "POOL1"})), DENIED),
        ("that names it with a space", signed(json!({"tenant": "pool1 "})), DENIED),
        ("that names a part of it", signed(json!({"tenant": "pool"})), DENIED),
        ("that names two", signed(json!({"tenant": ["pool2", "pool1"]})), DENIED),
        ("that names it in an object", signed(json!({"tenant": {"id": "pool1"}})), DENIED),
        ("that names everybody", signed(json!({"tenant": true})), DENIED),
        ("that names it in another claim", signed(json!({"tenant": null, "tenantId": "pool1"})), DENIED),
    ]
}

#[tokio::test]
async fn a_token_is_good_if_its_issuer_its_key_its_time_and_its_tenant_are() {
    world(|w| async move {
        let keys =
            Keys { rsa: Key::rsa("rsa"), ec: Key::ec("ec"), ed: Key::ed("ed"), strangers: Key::ec("x") };
        let issuer = Issuer::start(&[&keys.rsa, &keys.ec, &keys.ed]).await;
        w.apply(POOL).await;
        w.with_documents(&["pool1", "pool2"]).await;
        let gateway = w.gateway(&["--retrieve-rate", "1000", "--oidc-issuer", &issuer.option()]).await;
        for (what, token) in good(&issuer, &keys) {
            let answer = gateway.ask(&token, "pool1", QUESTION).await;
            assert_eq!(answer.passages()[0].1, text_of("pool1"), "a token {what}");
        }
        let mut faults = Vec::new();
        for (what, token, (status, code)) in bad(&issuer, &keys) {
            let answer = gateway.ask(&token, "pool1", QUESTION).await;
            if answer.status == 200 || answer.refusal() != (status, code.to_owned()) {
                faults.push(format!("a token {what}: {answer:?}"));
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        let log = gateway.log();
        for (what, token) in good(&issuer, &keys) {
            assert!(
                !log.contains(&token[token.len() - 30..]),
                "a token {what} is in the log ({})",
                sha256(&token)
            );
        }
        rotation(&issuer, &gateway, &keys).await;
    })
    .await;
}

/// A key that comes is taken as soon as a token names it, one that goes is not taken for long, and keys that are none do no harm.
async fn rotation(issuer: &Issuer, gateway: &Gateway, keys: &Keys) {
    let (next, claims) = (Key::ec("next"), issuer.claims("pool1"));
    let fresh = |n: u32| next.sign(&but(&claims, json!({"jti": n})));
    assert_eq!(gateway.ask(&fresh(0), "pool1", QUESTION).await.status, 403, "it is not published yet");
    issuer.publish(&[&next, &keys.ec]);
    let new = || async { gateway.ask(&fresh(fastrand::u32(1..)), "pool1", QUESTION).await };
    until_answered("the new key is known", new, |answer| answer.status == 200).await;
    // Many who show keys that nobody knows do not make the gateway read the page each time.
    let before = issuer.reads();
    for n in 0..40 {
        let stranger = keys.strangers.sign_as(&json!({"alg": "ES256", "kid": format!("x{n}")}), &claims);
        assert_eq!(gateway.ask(&stranger, "pool1", QUESTION).await.status, 403);
    }
    assert!(issuer.reads() - before < 20, "the page was read {} times", issuer.reads() - before);
    // What is published beside good keys may be anything.
    let mut strange =
        vec![json!({"kty": "oct", "kid": "s", "k": "AAAA"}), json!({"kty": "novel"}), json!({})];
    strange.push(next.jwk());
    issuer.publish_raw(strange);
    let symmetric = hmac_signed(&json!({"alg": "HS256", "kid": "s"}), &claims, &[0, 0, 0]);
    assert_eq!(gateway.ask(&symmetric, "pool1", QUESTION).await.status, 403);
    let old = |n: u32| keys.rsa.sign(&but(&claims, json!({"jti": n})));
    let rsa = || async { gateway.ask(&old(fastrand::u32(..)), "pool1", QUESTION).await };
    until_answered("the old key is forgotten", rsa, |answer| answer.status == 403).await;
    assert_eq!(gateway.ask(&fresh(1), "pool1", QUESTION).await.status, 200);
    // While the issuer is away its keys stay good.
    issuer.is_away(true);
    assert_eq!(gateway.ask(&fresh(2), "pool1", QUESTION).await.status, 200);
}
