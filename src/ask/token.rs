//! What a token says of itself, read without believing it: enough to know who has to say whether it is good. Nothing here
//! verifies anything.

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::strict;

/// How many bytes a token may have.
pub const MAX_BYTES: usize = 16 * 1024;

/// The algorithms by which a configured issuer may sign: each with a key that only it has. Neither `none`, nor one whose key
/// whoever verifies has, too.
/// <https://www.rfc-editor.org/rfc/rfc8725#section-3.1>
pub const ALGORITHMS: [&str; 9] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// What stands in a JWT.
#[derive(Clone, PartialEq)]
pub struct Unverified {
    /// How it is signed, it says.
    pub algorithm: String,
    /// The name of the key, if it has one.
    pub key_id: Option<String>,
    /// Its claims.
    pub claims: Map<String, Value>,
}

/// Who has to say whether a token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge<'a> {
    /// A configured issuer, by its keys.
    Issuer(&'a str),
    /// The API server of the cluster.
    Cluster,
}

/// A token as it came in a header or a form, without the white space that a file has at its end.
pub fn trimmed(token: &str) -> Option<&str> {
    let token = token.trim();
    let is_one =
        !token.is_empty() && token.len() <= MAX_BYTES && token.bytes().all(|byte| byte.is_ascii_graphic());
    is_one.then_some(token)
}

/// The token of the header `Authorization: Bearer …`.
pub fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") { trimmed(token) } else { None }
}

impl Unverified {
    /// Reads a JWT. None: it is something else.
    pub fn read(token: &str) -> Option<Self> {
        let mut parts = trimmed(token)?.split('.');
        let (header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let (mut header, claims) = (object(header)?, object(claims)?);
        let mut text = |name: &str| match header.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        Some(Self { algorithm: text("alg")?, key_id: text("kid"), claims })
    }

    /// Who signed it, it says.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// When it ends, it says.
    pub fn expires(&self) -> Option<Timestamp> {
        let seconds = self.claims.get("exp")?;
        let whole = seconds.as_i64().or_else(|| seconds.as_f64().map(|it| it.trunc() as i64));
        Timestamp::from_second(whole?).ok()
    }

    /// Who has to say whether it is good. One that names a configured issuer goes nowhere else.
    pub fn judge<'a>(&self, issuers: impl IntoIterator<Item = &'a str>) -> Judge<'a> {
        let named = issuers.into_iter().find(|issuer| Some(*issuer) == self.issuer());
        named.map_or(Judge::Cluster, Judge::Issuer)
    }
}

/// Without what identifies anybody.
impl std::fmt::Debug for Unverified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unverified").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// A part of a JWT. One in which a member is there twice says two things, and is none.
fn object(part: &str) -> Option<Map<String, Value>> {
    let bytes = BASE64URL_NOPAD.decode(part.as_bytes()).ok()?;
    match strict::read(&bytes).ok()?.into() {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(header: &str, claims: &str) -> String {
        format!(
            "{}.{}.c2ln",
            BASE64URL_NOPAD.encode(header.as_bytes()),
            BASE64URL_NOPAD.encode(claims.as_bytes())
        )
    }

    #[test]
    fn a_jwt_says_who_has_to_judge_it() {
        let token = jwt(
            r#"{"alg":"RS256","kid":"k1","typ":"JWT"}"#,
            r#"{"iss":"https://idp","exp":1700000000.5,"tenant":"acme"}"#,
        );
        let read = Unverified::read(&format!(" {token}\n")).unwrap();
        assert_eq!(
            (read.algorithm.as_str(), read.key_id.as_deref(), read.issuer()),
            ("RS256", Some("k1"), Some("https://idp"))
        );
        assert_eq!(read.expires().unwrap().as_second(), 1_700_000_000);
        assert_eq!(read.claims["tenant"], "acme");
        assert_eq!(read.judge(["https://other", "https://idp"]), Judge::Issuer("https://idp"));
        for issuers in [vec![], vec!["https://idp/"], vec!["https://IDP"], vec!["https"]] {
            assert_eq!(read.judge(issuers.clone()), Judge::Cluster, "{issuers:?}");
        }
        assert!(!format!("{read:?}").contains("acme"));
    }

    #[test]
    fn what_is_no_jwt_is_none() {
        let good = (r#"{"alg":"RS256"}"#, "{}");
        assert!(Unverified::read(&jwt(good.0, good.1)).is_some());
        for token in [
            String::new(),
            "opaque".into(),
            "a.b".into(),
            "a.b.c".into(),
            jwt(good.0, good.1) + ".x",
            jwt("{}", good.1),
            jwt(r#"{"alg":1}"#, good.1),
            jwt(good.0, "[]"),
            jwt(good.0, r#"{"iss":"a","iss":"b"}"#),
            jwt(r#"{"alg":"RS256","alg":"none"}"#, good.1),
            jwt(good.0, good.1).replace('.', "=."),
            jwt(good.0, &format!(r#"{{"x":"{}"}}"#, "x".repeat(MAX_BYTES))),
        ] {
            assert!(Unverified::read(&token).is_none(), "{token}");
        }
    }

    #[test]
    fn no_algorithm_is_allowed_whose_key_others_have() {
        assert!(ALGORITHMS.iter().all(|name| !name.starts_with("HS") && !name.eq_ignore_ascii_case("none")));
    }

    #[test]
    fn a_token_is_one_word() {
        assert_eq!(
            (trimmed(" a.b\r\n"), trimmed(" "), trimmed("a b"), trimmed("ä")),
            (Some("a.b"), None, None, None)
        );
        assert_eq!(
            (bearer("Bearer a.b"), bearer("bearer  a.b "), bearer("Basic a.b"), bearer("Bearer")),
            (Some("a.b"), Some("a.b"), None, None)
        );
    }
}
