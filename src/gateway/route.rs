//! Which operation a request means, and for which tenant: by its path and its headers. Nothing in a body or a query string
//! is ever read for it but the role of an exchange.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use crate::ask::access::Operation;
use crate::ask::refusal::Refusal;
use crate::ask::{session, token};

/// The header with the token of a session.
const SECURITY_TOKEN: &str = "x-amz-security-token";

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What it asks for.
    pub wish: Wish,
    /// The tenant that its path names: `/t/<tenantId>/…`.
    pub tenant: Option<String>,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// `AssumeRoleWithWebIdentity`, or whatever else of STS.
    Exchange,
    /// `Retrieve` of a knowledge base, as the client calls it.
    Retrieve(String),
    /// Nothing that the gateway has.
    Unknown,
}

impl Wish {
    /// The operation.
    pub const fn operation(&self) -> Operation {
        match self {
            Wish::Exchange => Operation::AssumeRoleWithWebIdentity,
            Wish::Retrieve(_) => Operation::Retrieve,
            Wish::Unknown => Operation::Unknown,
        }
    }
}

impl Route {
    /// That of a method and a path.
    pub fn of(method: &Method, path: &str) -> Self {
        let (tenant, rest) = match path.strip_prefix("/t/") {
            None => (None, path),
            Some(named) => {
                let (tenant, rest) = named.find('/').map_or((named, ""), |at| named.split_at(at));
                (Some(decoded(tenant)), rest)
            }
        };
        let wish = if *method == Method::POST { wish(rest) } else { Wish::Unknown };
        Self { wish, tenant }
    }
}

fn wish(path: &str) -> Wish {
    if matches!(path, "" | "/") {
        return Wish::Exchange;
    }
    let mut parts = path.strip_prefix('/').unwrap_or(path).split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("knowledgebases"), Some(id), Some("retrieve"), None) => Wish::Retrieve(decoded(id)),
        _ => Wish::Unknown,
    }
}

/// A part of a path, decoded once. What is no text is nobody's name.
fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8().map(Into::into).unwrap_or_default()
}

/// The token of a question: that of its session, or a bearer's.
pub fn token(headers: &HeaderMap) -> Result<&str, Refusal> {
    // A file with nothing but a line break in it is no token.
    if let Some(token) = only(headers, SECURITY_TOKEN)?.filter(|token| !token.trim().is_empty()) {
        return token::trimmed(token).ok_or(Refusal::TokenInvalid);
    }
    let bearer = only(headers, AUTHORIZATION.as_str())?.and_then(token::bearer);
    bearer.ok_or(Refusal::NoToken)
}

/// The tenant that a question is for, as far as the request says: its path, and the access key id of its signature. Both
/// must mean the same.
pub fn tenant(route: &Route, headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let signed = only(headers, AUTHORIZATION.as_str())?.and_then(session::signed_by);
    let signed = signed.map(|key| session::tenant_of(key).ok_or(Refusal::TokenInvalid));
    // A key of another make names nobody, which is no harm if the path does.
    let signed = match (signed, &route.tenant) {
        (Some(Err(_)), Some(_)) | (None, _) => None,
        (Some(signed), _) => Some(signed?),
    };
    both(route.tenant.clone(), signed)
}

/// One name of two, if they are the same.
pub fn both(one: Option<String>, other: Option<String>) -> Result<Option<String>, Refusal> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => {
            Err(Refusal::invalid("", "The path names another tenant than the credentials"))
        }
        (one, other) => Ok(one.or(other)),
    }
}

/// The value of a header that may be there once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::invalid(name, "is there twice"));
    }
    value.to_str().map(Some).map_err(|_| Refusal::invalid(name, "is no text"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=TENANTRYSESSION_acme/20261129/eu-central-1/bedrock/aws4_request, \
                          SignedHeaders=host, Signature=00";

    #[test]
    fn a_path_says_what_is_asked_for_and_for_whom() {
        let retrieve = |id: &str| Wish::Retrieve(id.into());
        for (path, wish, tenant) in [
            ("/", Wish::Exchange, None),
            ("/t/acme", Wish::Exchange, Some("acme")),
            ("/t/acme/", Wish::Exchange, Some("acme")),
            ("/knowledgebases/TENANTRYKB/retrieve", retrieve("TENANTRYKB"), None),
            ("/t/acme/knowledgebases/TENANTRYKB/retrieve", retrieve("TENANTRYKB"), Some("acme")),
            ("/t/ac%6De/knowledgebases/TENANTRY%4BB/retrieve", retrieve("TENANTRYKB"), Some("acme")),
            ("/knowledgebases/a%2Fb/retrieve", retrieve("a/b"), None),
            ("/knowledgebases/%2561/retrieve", retrieve("%61"), None),
            ("/knowledgebases/%ff/retrieve", retrieve(""), None),
            ("/t//knowledgebases/x/retrieve", retrieve("x"), Some("")),
            ("/knowledgebases/x/retrieve/", Wish::Unknown, None),
            ("//knowledgebases/x/retrieve", Wish::Unknown, None),
            ("/knowledgebases//x/retrieve", Wish::Unknown, None),
            ("/t/acme/../umbrella/knowledgebases/x/retrieve", Wish::Unknown, Some("acme")),
            ("/retrieveAndGenerate", Wish::Unknown, None),
            ("/t", Wish::Unknown, None),
        ] {
            let route = Route { wish, tenant: tenant.map(Into::into) };
            assert_eq!(Route::of(&Method::POST, path), route, "{path}");
        }
        assert_eq!(Route::of(&Method::GET, "/").wish, Wish::Unknown);
    }

    #[test]
    fn a_token_is_the_sessions_or_the_bearers() {
        let of = |pairs: &[(&'static str, &str)]| token(&headers(pairs)).map(str::to_owned);
        assert_eq!(of(&[(SECURITY_TOKEN, " a.b.c "), ("authorization", SIGNED)]), Ok("a.b.c".into()));
        assert_eq!(of(&[("authorization", "Bearer a.b.c")]), Ok("a.b.c".into()));
        assert_eq!(of(&[("authorization", SIGNED)]), Err(Refusal::NoToken));
        assert_eq!(of(&[]), Err(Refusal::NoToken));
        assert_eq!(of(&[(SECURITY_TOKEN, " ")]), Err(Refusal::NoToken));
        assert_eq!(of(&[(SECURITY_TOKEN, "a b")]), Err(Refusal::TokenInvalid));
        let twice = of(&[(SECURITY_TOKEN, "a"), (SECURITY_TOKEN, "b")]).unwrap_err();
        assert!(matches!(twice, Refusal::Invalid { .. }), "{twice:?}");
    }

    #[test]
    fn whoever_names_a_tenant_twice_names_one() {
        let of = |path: &str, authorization: &str| {
            tenant(&Route::of(&Method::POST, path), &headers(&[("authorization", authorization)]))
        };
        let acme = || Ok(Some("acme".to_owned()));
        let other = SIGNED.replace("TENANTRYSESSION_acme", "AKIAIOSFODNN7EXAMPLE");
        assert_eq!(of("/", SIGNED), acme());
        assert_eq!(of("/t/acme", SIGNED), acme());
        assert_eq!(of("/t/acme", "Bearer x"), acme());
        assert_eq!(of("/t/acme", &other), acme());
        assert_eq!(of("/", "Bearer x"), Ok(None));
        assert_eq!(of("/", &other), Err(Refusal::TokenInvalid));
        assert!(matches!(of("/t/umbrella", SIGNED), Err(Refusal::Invalid { .. })));
        assert_eq!(tenant(&Route::of(&Method::POST, "/"), &headers(&[])), Ok(None));
    }
}
