//! Tokens of configured issuers: the signature by one of their keys, issuer, audience and times, and the claim that names
//! the tenant.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Map, Value};

use super::caller::{Caller, May};
use super::keys::{Keys, Reads};
use crate::ask::access::Subject;
use crate::ask::refusal::Refusal;
use crate::ask::token::{ALGORITHMS, Unverified};
use crate::gateway::kept::Not;
use crate::gateway::settings::Issuer;
use crate::stack::names;

/// How far clocks may be apart.
const LEEWAY: u64 = 30;

/// The most of a name that is told.
const NAME: usize = 256;

/// One issuer.
pub struct Oidc {
    issuer: Issuer,
    keys: Keys,
}

impl Oidc {
    /// As configured; `web` reads its keys.
    pub fn new(issuer: Issuer, web: Arc<dyn Reads>) -> Self {
        Self { keys: Keys::new(&issuer.url, web), issuer }
    }

    /// Its URL, as the claim `iss` has it.
    pub fn url(&self) -> &str {
        &self.issuer.url
    }

    /// Who a token of this issuer is of.
    pub async fn verify(&self, token: &str, says: &Unverified) -> Result<Caller, Not<Refusal>> {
        let algorithm = algorithm(&says.algorithm).ok_or(Not::Refused(Refusal::TokenInvalid))?;
        let keys = self.keys.of(says.key_id.as_deref()).await.map_err(Not::Away)?;
        let mut refused = Refusal::TokenInvalid;
        for key in keys.iter().filter(|key| may_sign(key, algorithm)) {
            match claims(token, key, &self.validation(algorithm)) {
                Ok(claims) => return self.caller(&claims).map_err(Not::Refused),
                Err(Refusal::TokenExpired) => refused = Refusal::TokenExpired,
                Err(_) => {}
            }
        }
        Err(Not::Refused(refused))
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        validation.set_audience(&[&self.issuer.audience]);
        validation.set_issuer(&[&self.issuer.url]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY;
        validation
    }

    fn caller(&self, claims: &Map<String, Value>) -> Result<Caller, Refusal> {
        let tenant = claims.get(&self.issuer.claim).and_then(Value::as_str);
        let tenant = tenant.filter(|id| names::is_tenant_id(id)).ok_or(Refusal::NotAllowed)?;
        let ends = claims.get("exp").and_then(Value::as_f64).filter(|ends| ends.is_finite());
        let ends = Duration::try_from_secs_f64(ends.unwrap_or_default()).unwrap_or_default();
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        Ok(Caller {
            subject: Subject::of_issuer(&self.issuer.url, subject),
            name: subject.chars().take(NAME).collect(),
            ends: SystemTime::UNIX_EPOCH.checked_add(ends).ok_or(Refusal::TokenInvalid)?,
            may: May::One(tenant.into()),
        })
    }
}

/// An algorithm that an issuer may sign by.
fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS.contains(&name).then(|| name.parse().ok()).flatten()
}

/// Whether a key is there for signatures of this algorithm, as far as it says.
fn may_sign(key: &Jwk, algorithm: Algorithm) -> bool {
    let signs = key.common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature);
    let named = key.common.key_algorithm.as_ref().map(ToString::to_string);
    signs && named.is_none_or(|named| named.parse::<Algorithm>().is_ok_and(|it| it == algorithm))
}

fn claims(token: &str, key: &Jwk, validation: &Validation) -> Result<Map<String, Value>, Refusal> {
    let key = DecodingKey::from_jwk(key).map_err(|_| Refusal::TokenInvalid)?;
    let read = decode::<Map<String, Value>>(token, &key, validation);
    read.map(|token| token.claims).map_err(|error| match error.kind() {
        jsonwebtoken::errors::ErrorKind::ExpiredSignature => Refusal::TokenExpired,
        _ => Refusal::TokenInvalid,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    };
    use data_encoding::{BASE64, BASE64URL_NOPAD};
    use futures::FutureExt;
    use futures::future::BoxFuture;
    use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
    use parking_lot::Mutex;
    use serde_json::json;

    use super::*;
    use crate::aws::Unread;

    pub const URL: &str = "https://idp.example.com/realm";
    /// Keys of P-256 for tests, as PKCS #8.
    const KEYS: [&str; 2] = [
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgY/MyVPfuuqMKuABfW0+xlJyr0HqgUIk/47islAV1WtWhRANCAARYa9Kj5PL4dVDykQAnyz9dLJHnnXivQYJ+mvlKVKyDQnJn9I8RmXvPkGD01ieuEnKj9SSJLPSTsEFAYoy8esqL",
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgRAzWBGHtfmXGhBpnzmlqQRMYT1AsYzMEEkv4IS2c45OhRANCAAQIsENyNiC7nfb14a/9k2L8YyQq73L05bQYWoARCaFyLmvatpvZMrVs4KHoKM6goK2FT8XiGU3/oN/yFtsYDAAq",
    ];

    pub fn key(number: usize) -> EncodingKey {
        EncodingKey::from_ec_der(&BASE64.decode(KEYS[number].as_bytes()).unwrap())
    }

    fn jwk(number: usize) -> Value {
        let mut jwk = Jwk::from_encoding_key(&key(number), Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(format!("k{number}"));
        serde_json::to_value(jwk).unwrap()
    }

    /// Claims of a good token, with some of them changed; null takes one away.
    pub fn claims(change: &Value) -> Value {
        let now = get_current_timestamp();
        let mut claims = json!({
            "iss": URL, "aud": "shop", "sub": "u-1", "exp": now + 600, "nbf": now - 60, "tenant": "acme",
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    pub fn token(number: usize, kid: Option<&str>, change: &Value) -> String {
        let header = Header { kid: kid.map(Into::into), ..Header::new(Algorithm::ES256) };
        encode(&header, &claims(change), &key(number)).unwrap()
    }

    /// An issuer's web site with some keys.
    pub struct Site {
        pub keys: Mutex<Vec<Value>>,
        pub issuer: Mutex<String>,
        pub is_away: Mutex<bool>,
        pub read: AtomicUsize,
    }

    impl Site {
        pub fn new(keys: &[usize]) -> Arc<Self> {
            let keys = Mutex::new(keys.iter().map(|number| jwk(*number)).collect());
            let issuer = Mutex::new(URL.into());
            Arc::new(Self { keys, issuer, is_away: Mutex::new(false), read: AtomicUsize::new(0) })
        }
    }

    impl Reads for Site {
        fn read<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<Vec<u8>, Unread>> {
            async move {
                if *self.is_away.lock() {
                    return Err(Unread::Away { url: url.into(), why: "refused".into() });
                }
                let document = match url.strip_prefix(URL) {
                    Some("/.well-known/openid-configuration") => {
                        json!({"issuer": *self.issuer.lock(), "jwks_uri": format!("{URL}/keys")})
                    }
                    Some("/keys") => {
                        self.read.fetch_add(1, Ordering::SeqCst);
                        json!({"keys": *self.keys.lock()})
                    }
                    _ => return Err(Unread::Refused { url: url.into(), status: 404 }),
                };
                Ok(document.to_string().into_bytes())
            }
            .boxed()
        }
    }

    pub fn oidc(site: &Arc<Site>) -> Oidc {
        let issuer = Issuer { url: URL.into(), audience: "shop".into(), claim: "tenant".into(), ca: None };
        Oidc::new(issuer, site.clone())
    }

    async fn verify(oidc: &Oidc, token: &str) -> Result<Caller, Not<Refusal>> {
        oidc.verify(token, &Unverified::read(token).unwrap()).await
    }

    #[tokio::test]
    async fn a_token_of_the_issuer_names_its_tenant() {
        let oidc = oidc(&Site::new(&[1, 0]));
        for kid in [Some("k0"), None] {
            let caller = verify(&oidc, &token(0, kid, &json!({}))).await.unwrap();
            assert_eq!((caller.may, caller.name.as_str()), (May::One("acme".into()), "u-1"));
            assert!(caller.ends > SystemTime::now());
        }
        let several = json!({"aud": ["other", "shop"]});
        assert!(verify(&oidc, &token(0, Some("k0"), &several)).await.is_ok());
    }

    #[tokio::test]
    async fn a_token_that_is_not_good_in_everything_is_refused() {
        let oidc = oidc(&Site::new(&[0]));
        let now = get_current_timestamp();
        for (change, refusal) in [
            (json!({"iss": "https://idp.example.com/realm/"}), Refusal::TokenInvalid),
            (json!({"iss": null}), Refusal::TokenInvalid),
            (json!({"aud": "other"}), Refusal::TokenInvalid),
            (json!({"aud": null}), Refusal::TokenInvalid),
            (json!({"exp": null}), Refusal::TokenInvalid),
            (json!({"exp": now - 120}), Refusal::TokenExpired),
            (json!({"nbf": now + 120}), Refusal::TokenInvalid),
            (json!({"tenant": null}), Refusal::NotAllowed),
            (json!({"tenant": "Acme*"}), Refusal::NotAllowed),
            (json!({"tenant": ["acme"]}), Refusal::NotAllowed),
            (json!({"tenant": ""}), Refusal::NotAllowed),
        ] {
            let refused = verify(&oidc, &token(0, Some("k0"), &change)).await;
            assert_eq!(refused, Err(Not::Refused(refusal)), "{change}");
        }
        let invalid = Err(Not::Refused(Refusal::TokenInvalid));
        assert_eq!(verify(&oidc, &token(1, Some("k0"), &json!({}))).await, invalid, "another's key");
        assert_eq!(
            verify(&oidc, &token(0, Some("k9"), &json!({}))).await,
            invalid,
            "a key that nobody knows"
        );
        let good = token(0, Some("k0"), &json!({}));
        let [head, body, signature] = [0, 1, 2].map(|at| good.split('.').nth(at).unwrap());
        let other = BASE64URL_NOPAD.encode(claims(&json!({"tenant": "globex"})).to_string().as_bytes());
        assert_eq!(verify(&oidc, &format!("{head}.{other}.{signature}")).await, invalid, "claims of another");
        assert_eq!(verify(&oidc, &format!("{head}.{body}.")).await, invalid, "no signature");
    }

    /// <https://www.rfc-editor.org/rfc/rfc8725#section-3.1>
    #[tokio::test]
    async fn no_token_chooses_how_it_is_verified() {
        let site = Site::new(&[0]);
        let oidc = oidc(&site);
        let public = serde_json::to_vec(&site.keys.lock()[0]).unwrap();
        let hmac = Header { kid: Some("k0".into()), ..Header::new(Algorithm::HS256) };
        let forged = encode(&hmac, &claims(&json!({})), &EncodingKey::from_secret(&public).unwrap()).unwrap();
        let invalid = Err(Not::Refused(Refusal::TokenInvalid));
        assert_eq!(verify(&oidc, &forged).await, invalid);
        let body = forged.split('.').nth(1).unwrap();
        for name in ["none", "None", "HS256", "RS256", "ES384", ""] {
            let head = json!({"alg": name, "kid": "k0"}).to_string();
            let head = BASE64URL_NOPAD.encode(head.as_bytes());
            assert_eq!(verify(&oidc, &format!("{head}.{body}.c2ln")).await, invalid, "{name}");
        }
        let secret = json!({"kty": "oct", "k": BASE64URL_NOPAD.encode(b"secret"), "kid": "k0"});
        *site.keys.lock() = vec![secret];
        let forged =
            encode(&hmac, &claims(&json!({})), &EncodingKey::from_secret(b"secret").unwrap()).unwrap();
        assert_eq!(verify(&super::tests::oidc(&site), &forged).await, invalid, "a key that both have");
    }

    /// A new pair of keys: the one that signs, and the public one as an issuer shows it.
    fn pair(algorithm: Algorithm) -> (EncodingKey, Value) {
        let ec = |kind| {
            let key = EcdsaKeyPair::generate_pkcs8(kind, &SystemRandom::new()).unwrap();
            EncodingKey::from_ec_der(key.as_ref())
        };
        let key = match algorithm {
            Algorithm::ES256 => ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::ES384 => ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::EdDSA => {
                // Any 32 bytes are a key, behind what PKCS #8 says of it.
                let head = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
                EncodingKey::from_ed_der(&[&head[..], &fastrand::u128(..).to_be_bytes().repeat(2)].concat())
            }
            _ => {
                let key = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
                let key: Pkcs8V1Der<'_> = key.as_der().unwrap();
                // What is wanted is PKCS #1, which stands in PKCS #8 behind 26 bytes.
                EncodingKey::from_rsa_der(&key.as_ref()[26..])
            }
        };
        let public = serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap()).unwrap();
        (key, public)
    }

    /// Each algorithm that an issuer may sign by, and none with another's key.
    #[tokio::test]
    async fn signatures_of_each_algorithm_are_verified() {
        for name in ALGORITHMS {
            let algorithm: Algorithm = name.parse().unwrap();
            let [(key, public), (other, _)] = [pair(algorithm), pair(algorithm)];
            let site = Site::new(&[0]);
            site.keys.lock().push(public);
            let oidc = oidc(&site);
            let signed = |key| encode(&Header::new(algorithm), &claims(&json!({})), key).unwrap();
            assert!(verify(&oidc, &signed(&key)).await.is_ok(), "{name}");
            let refused = verify(&oidc, &signed(&other)).await;
            assert_eq!(refused, Err(Not::Refused(Refusal::TokenInvalid)), "{name}: another's key");
            let good = signed(&key);
            let [head, signature] = [0, 2].map(|at| good.split('.').nth(at).unwrap());
            let body = BASE64URL_NOPAD.encode(claims(&json!({"tenant": "globex"})).to_string().as_bytes());
            let refused = verify(&oidc, &format!("{head}.{body}.{signature}")).await;
            assert_eq!(refused, Err(Not::Refused(Refusal::TokenInvalid)), "{name}: other claims");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_rotated_without_anybody_being_refused() {
        let site = Site::new(&[0]);
        let oidc = oidc(&site);
        assert!(verify(&oidc, &token(0, Some("k0"), &json!({}))).await.is_ok());
        site.keys.lock().push(jwk(1));
        assert!(verify(&oidc, &token(1, Some("k1"), &json!({}))).await.is_ok(), "at once");
        assert_eq!(site.read.load(Ordering::SeqCst), 2);
        for _ in 0..100 {
            assert!(verify(&oidc, &token(0, Some("k9"), &json!({}))).await.is_err());
        }
        assert_eq!(
            site.read.load(Ordering::SeqCst),
            2,
            "whoever names any key does not have them read again"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_issuer_that_is_away_or_speaks_of_another_vouches_for_nobody_new() {
        let site = Site::new(&[0]);
        let oidc = oidc(&site);
        let good = token(0, Some("k0"), &json!({}));
        *site.is_away.lock() = true;
        assert_eq!(verify(&oidc, &good).await, Err(Not::Away(Refusal::IssuerAway)));
        *site.is_away.lock() = false;
        *site.issuer.lock() = "https://other.example.com".into();
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(verify(&oidc, &good).await, Err(Not::Away(Refusal::IssuerAway)));
        *site.issuer.lock() = URL.into();
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert!(verify(&oidc, &good).await.is_ok());
        *site.is_away.lock() = true;
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(verify(&oidc, &good).await.is_ok(), "its keys are known");
    }
}
