//! The way in that every SDK knows: `AssumeRoleWithWebIdentity`. The role's name is the tenantId, and the session token of
//! the answer is the caller's own token, which then comes with each question. No secret is made here.
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>

use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;

use super::refusal::{NAMESPACE, Refusal, escaped};
use super::session;
use crate::stack::names;

/// How many bytes the form may have: a token, and little else.
pub const MAX_BYTES: usize = 32 * 1024;
/// What the secret access key says. Nothing is kept secret by it, and no signature of it is ever looked at.
pub const SECRET: &str = "tenantry-verifies-the-session-token";

const ACTION: &str = "AssumeRoleWithWebIdentity";
const VERSION: &str = "2011-06-15";
const LONGEST: SignedDuration = SignedDuration::from_hours(1);
/// The seconds for which AWS's own sessions may last.
const SECONDS: std::ops::RangeInclusive<i64> = 900..=43_200;

/// What somebody wants to have exchanged.
#[derive(Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The tenant for which it wants to ask.
    pub tenant_id: String,
    /// The role, as it was named.
    pub role_arn: String,
    /// How it calls its session.
    pub session_name: String,
    /// Its token.
    pub token: String,
    /// For how long, if it says so.
    pub duration: Option<SignedDuration>,
}

impl Exchange {
    /// Reads the body of the request.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        if body.len() > MAX_BYTES {
            return Err(Refusal::TooLarge { limit: MAX_BYTES });
        }
        let mut form = Form::parse(body)?;
        if form.needed("Action")? != ACTION || form.needed("Version")? != VERSION {
            return Err(Refusal::UnknownOperation);
        }
        let role_arn = form.needed("RoleArn")?;
        let tenant_id = tenant_of(&role_arn)?;
        let session_name = form.needed("RoleSessionName")?;
        if !is_session_name(&session_name) {
            return Err(Refusal::invalid("RoleSessionName", "must have 2 to 64 letters, digits or _+=,.@-"));
        }
        let duration = form.take("DurationSeconds").map(|text| seconds(&text)).transpose()?;
        // A file ends with a line break, and not every SDK takes it off.
        let token = form.take("WebIdentityToken").map(|token| token.trim().to_owned());
        let token = token.filter(|token| !token.is_empty()).ok_or(Refusal::NoToken)?;
        form.done()?;
        Ok(Self { tenant_id, role_arn, session_name, token, duration })
    }

    /// Until when the answer to it is good: as long as the token is, and no longer than was asked for or AWS's sessions are.
    pub fn expires(&self, now: Timestamp, token_expires: Option<Timestamp>) -> Timestamp {
        let longest = self.duration.map_or(LONGEST, |asked| asked.min(LONGEST));
        let ours = now.checked_add(longest).unwrap_or(now);
        token_expires.map_or(ours, |its| its.min(ours))
    }

    /// The answer.
    pub fn answer(&self, expires: Timestamp, subject: &str, request_id: &str) -> Vec<u8> {
        let key = session::access_key_id(&self.tenant_id);
        // As STS writes it: whole seconds.
        let expires = expires.strftime("%Y-%m-%dT%H:%M:%SZ");
        let (partition, account) = place_of(&self.role_arn);
        let Self { tenant_id, session_name, token, .. } = self;
        format!(
            "<{ACTION}Response xmlns=\"{NAMESPACE}\"><{ACTION}Result><SubjectFromWebIdentityToken>{}</SubjectFromWebIdentityToken>\
             <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey><SessionToken>{}</SessionToken>\
             <Expiration>{expires}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>{key}:{session_name}</AssumedRoleId>\
             <Arn>arn:{partition}:sts::{account}:assumed-role/{tenant_id}/{session_name}</Arn></AssumedRoleUser></{ACTION}Result>\
             <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{ACTION}Response>",
            escaped(subject),
            escaped(token),
            escaped(request_id)
        )
        .into_bytes()
    }
}

/// Without the token.
impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("tenant_id", &self.tenant_id).finish_non_exhaustive()
    }
}

/// The tenantId that is a role's whole name: `arn:<partition>:iam::<account>:role/<tenantId>`.
pub fn tenant_of(role_arn: &str) -> Result<String, Refusal> {
    let name = role_arn.splitn(6, ':').nth(5).and_then(|thing| thing.strip_prefix("role/"));
    let name = name.filter(|name| names::is_iam_arn(role_arn, "role") && names::is_tenant_id(name));
    name.map(Into::into).ok_or_else(|| {
        Refusal::invalid(
            "RoleArn",
            "must be arn:aws:iam::<12 digits>:role/<tenantId>: the role's name is the tenantId",
        )
    })
}

fn place_of(role_arn: &str) -> (&str, &str) {
    let mut parts = role_arn.split(':');
    (parts.nth(1).unwrap_or_default(), parts.nth(2).unwrap_or_default())
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
fn is_session_name(name: &str) -> bool {
    (2..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
}

fn seconds(text: &str) -> Result<SignedDuration, Refusal> {
    let seconds = text.parse().ok().filter(|seconds| SECONDS.contains(seconds));
    seconds.map(SignedDuration::from_secs).ok_or_else(|| {
        Refusal::invalid("DurationSeconds", format!("must be {} to {}", SECONDS.start(), SECONDS.end()))
    })
}

/// The fields of a form, each once.
struct Form(Vec<(String, String)>);

impl Form {
    fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let unreadable = || Refusal::invalid("", "The body is no form");
        let body = str::from_utf8(body).map_err(|_| unreadable())?;
        let mut fields: Vec<(String, String)> = Vec::new();
        for field in body.split('&').filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            let [name, value] = [name, value].map(|text| {
                let text = text.replace('+', " ");
                percent_decode_str(&text).decode_utf8().map(Into::into).map_err(|_| unreadable())
            });
            let name: String = name?;
            if fields.len() >= FIELDS {
                return Err(Refusal::invalid(name, "is one field too many"));
            }
            if fields.iter().any(|(other, _)| *other == name) {
                return Err(Refusal::invalid(name, "is there twice"));
            }
            fields.push((name, value?));
        }
        Ok(Self(fields))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(field, _)| field == name)?;
        Some(self.0.swap_remove(at).1)
    }

    fn needed(&mut self, name: &str) -> Result<String, Refusal> {
        self.take(name).ok_or_else(|| Refusal::invalid(name, "is needed"))
    }

    /// Whatever else is asked for would not be so: a policy that is not heeded must not seem to be.
    fn done(self) -> Result<(), Refusal> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => Err(Refusal::invalid(name, "is not taken by this gateway")),
        }
    }
}

/// How many fields a form may have.
const FIELDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A000000000000%3Arole%2Facme\
                        &RoleSessionName=botocore-session-1&WebIdentityToken=a.b.c%0A";

    fn why(body: &str) -> String {
        Exchange::parse(body.as_bytes()).unwrap_err().message()
    }

    #[test]
    fn an_exchange_is_read_as_sdks_send_it() {
        let exchange = Exchange::parse(GOOD.as_bytes()).unwrap();
        assert_eq!((exchange.tenant_id.as_str(), exchange.token.as_str()), ("acme", "a.b.c"));
        assert_eq!((exchange.session_name.as_str(), exchange.duration), ("botocore-session-1", None));
        let lasting = Exchange::parse(format!("{GOOD}&DurationSeconds=900").as_bytes()).unwrap();
        assert_eq!(lasting.duration, Some(SignedDuration::from_mins(15)));
        assert!(!format!("{exchange:?}").contains("a.b.c"), "a token is never shown");
    }

    #[test]
    fn what_is_no_exchange_is_refused_by_the_name_of_its_field() {
        let with = |from: &str, to: &str| GOOD.replace(from, to);
        let arn = "arn%3Aaws%3Aiam%3A%3A000000000000%3Arole%2Facme";
        let role =
            "RoleArn: must be arn:aws:iam::<12 digits>:role/<tenantId>: the role's name is the tenantId";
        for (body, message) in [
            (String::new(), "Action: is needed"),
            (with("AssumeRoleWithWebIdentity", "AssumeRole"), "This gateway has no such operation"),
            (with("2011-06-15", "2010-05-08"), "This gateway has no such operation"),
            (format!("{GOOD}&RoleArn=x"), "RoleArn: is there twice"),
            (format!("{GOOD}&%52oleArn=x"), "RoleArn: is there twice"),
            (format!("{GOOD}&Policy=%7B%7D"), "Policy: is not taken by this gateway"),
            (
                format!("{GOOD}&PolicyArns.member.1.arn=x"),
                "PolicyArns.member.1.arn: is not taken by this gateway",
            ),
            (format!("{GOOD}&DurationSeconds=899"), "DurationSeconds: must be 900 to 43200"),
            (format!("{GOOD}&DurationSeconds=x"), "DurationSeconds: must be 900 to 43200"),
            (
                with("botocore-session-1", "a"),
                "RoleSessionName: must have 2 to 64 letters, digits or _+=,.@-",
            ),
            (
                with("botocore-session-1", "a%3Cb"),
                "RoleSessionName: must have 2 to 64 letters, digits or _+=,.@-",
            ),
            (with("a.b.c%0A", "%0A"), Refusal::NoToken.message().as_str()),
            (with("&WebIdentityToken=a.b.c%0A", ""), Refusal::NoToken.message().as_str()),
            (with("a.b.c", "%ff"), "The body is no form"),
            (with(arn, "acme"), role),
            (with(arn, "arn:aws:iam::000000000000:role/path/acme"), role),
            (with(arn, "arn:aws:iam::000000000000:role/Acme"), role),
            (with(arn, "arn:aws:iam::000000000000:role/"), role),
            (with(arn, "arn:aws:iam::0:role/acme"), role),
            (with(arn, "arn:aws:iam::000000000000:user/acme"), role),
            (with(arn, "arn:aws:iam::000000000000:role/acme%3A"), role),
            (with(arn, "arn:aws:iam::000000000000:role/..%2Facme"), role),
        ] {
            assert_eq!(why(&body), message, "{body}");
        }
        assert_eq!(
            why(&format!("{GOOD}&{}", "x".repeat(MAX_BYTES))),
            "The request has more than 32768 bytes"
        );
        let many = (0..20).map(|n| format!("f{n}=1")).collect::<Vec<_>>().join("&");
        assert_eq!(why(&many), "f16: is one field too many");
    }

    #[test]
    fn every_partition_has_roles() {
        for arn in [
            "arn:aws:iam::111122223333:role/acme",
            "arn:aws-cn:iam::111122223333:role/a-b",
            "arn:aws-us-gov:iam::111122223333:role/7",
        ] {
            assert!(tenant_of(arn).is_ok(), "{arn}");
        }
    }

    #[test]
    fn the_answer_lasts_no_longer_than_the_token() {
        let exchange = |duration| Exchange { duration, ..Exchange::parse(GOOD.as_bytes()).unwrap() };
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let after = |minutes| now + SignedDuration::from_mins(minutes);
        for (asked, token, expected) in [
            (None, None, 60),
            (None, Some(10), 10),
            (None, Some(600), 60),
            (Some(15), Some(30), 15),
            (Some(720), None, 60),
        ] {
            let expires = exchange(asked.map(SignedDuration::from_mins)).expires(now, token.map(after));
            assert_eq!(expires, after(expected), "{asked:?} {token:?}");
        }
    }

    #[test]
    fn the_answer_is_what_an_sdk_reads() {
        let exchange = Exchange::parse(GOOD.as_bytes()).unwrap();
        let expires: Timestamp = "2026-11-29T07:00:00.123Z".parse().unwrap();
        let answer = String::from_utf8(exchange.answer(expires, "a<b", "r-1")).unwrap();
        for part in [
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult>",
            "<SubjectFromWebIdentityToken>a&lt;b</SubjectFromWebIdentityToken>",
            "<AccessKeyId>TENANTRYSESSION_acme</AccessKeyId>",
            "<SessionToken>a.b.c</SessionToken><Expiration>2026-11-29T07:00:00Z</Expiration>",
            "<Arn>arn:aws:sts::000000000000:assumed-role/acme/botocore-session-1</Arn>",
            "<RequestId>r-1</RequestId>",
        ] {
            assert!(answer.contains(part), "{answer}");
        }
    }
}
