use super::*;
use crate::ask::limits::Limit;

fn beyond(limit: Limit) -> Refusal {
    let (here, wait) = (Some("20".into()), Duration::from_millis(2900));
    Refusal::Limit(Beyond { class: "basic".into(), limit, allowed: 60, here, used: "20".into(), wait })
}

/// One of each kind. A kind that is added does not compile here until it stands among them.
fn each() -> Vec<Refusal> {
    let wait = Duration::from_millis(1500);
    let all = vec![
        Refusal::NoToken,
        Refusal::TokenInvalid,
        Refusal::TokenExpired,
        Refusal::IssuerAway,
        Refusal::NotAllowed,
        Refusal::KnowledgeBase,
        Refusal::Leaving,
        Refusal::NotReady("why".into()),
        Refusal::invalid("a.b", "must be"),
        Refusal::TooLarge { limit: 3 },
        Refusal::UnknownOperation,
        Refusal::Throttled { per_second: "16".into(), wait },
        beyond(Limit::RequestsPerMinute),
        beyond(Limit::Concurrent),
        Refusal::InFlight { allowed: 512 },
        Refusal::AwsThrottled { message: "slower".into(), wait },
        Refusal::Overloaded,
        Refusal::Strangers,
        Refusal::NoSession,
        Refusal::AwsDenied,
        Refusal::AwsAway,
        Refusal::AwsUnreadable,
        Refusal::Aws { status: 404, code: "ResourceNotFoundException".into(), message: "none".into() },
    ];
    for refusal in &all {
        let Row { status, reason, .. } = refusal.row();
        assert!((400..600).contains(&status) && REASONS.contains(&reason), "{refusal:?}");
    }
    all
}

#[test]
fn every_kind_is_counted_by_a_label_of_its_own() {
    let reasons: Vec<_> = each().iter().map(|refusal| refusal.row().reason).collect();
    assert_eq!(reasons, REASONS);
    let distinct: std::collections::BTreeSet<_> = reasons.iter().collect();
    assert_eq!(distinct.len(), REASONS.len());
}

#[test]
fn both_protocols_have_their_own_shape() {
    let refusal = Refusal::Throttled { per_second: "16".into(), wait: Duration::from_millis(1500) };
    assert_eq!(
        (refusal.status(), refusal.code(), refusal.retry_after()),
        (429, "ThrottlingException", Some(2))
    );
    let message = "This tenant's share of 16 questions a second is used up; try again in 1.5 s";
    assert_eq!(refusal.json(), serde_json::to_vec(&json!({"message": message})).unwrap());
    let xml = String::from_utf8(refusal.xml("r-1")).unwrap();
    assert_eq!(
        xml,
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>Throttling\
         </Code><Message>This tenant&apos;s share of 16 questions a second is used up; try again in 1.5 s</Message>\
         </Error><RequestId>r-1</RequestId></ErrorResponse>"
    );
    for refusal in each() {
        let body: serde_json::Value = serde_json::from_slice(&refusal.json()).unwrap();
        assert!(body["message"].as_str().is_some_and(|it| !it.is_empty()), "{refusal:?}");
    }
}

#[test]
fn a_limit_is_told_with_what_is_used_of_it_and_the_wait_in_awss_shape() {
    let refusal = beyond(Limit::RequestsPerMinute);
    assert_eq!((refusal.status(), refusal.code()), (429, "ThrottlingException"));
    assert_eq!(refusal.retry_after(), Some(3));
    let message = "Class basic lets a tenant ask 60 questions a minute, of which this replica has 20, and 20 are used up; try \
                   again in 2.9 s";
    assert_eq!(refusal.json(), serde_json::to_vec(&json!({"message": message})).unwrap());
    let message = "Class basic lets a tenant have 60 questions under way at once, 20 of them at this replica, and 20 are; try \
                   again in 2.9 s";
    assert_eq!(beyond(Limit::Concurrent).message(), message);
}

#[test]
fn nobody_can_tell_a_tenant_that_is_not_there_from_one_that_may_not_be_asked() {
    let refusal = Refusal::NotAllowed;
    assert_eq!((refusal.status(), refusal.code()), (403, "AccessDeniedException"));
    assert_eq!(refusal.message(), "There is no such tenant, or you may not ask it");
}

#[test]
fn aws_speaks_for_itself_but_of_roles() {
    let said = |status, code| {
        Refusal::of_aws(status, code, "arn:aws:sts::111122223333:assumed-role/ask/acme may not")
    };
    for (status, code) in [
        (403, "AccessDeniedException"),
        (403, "UnrecognizedClientException"),
        (403, "Other"),
        (400, "ExpiredTokenException"),
    ] {
        let refusal = said(status, code);
        assert_eq!(refusal, Refusal::AwsDenied, "{status} {code}");
        assert!(!refusal.message().contains("arn:"));
    }
    let refusal = said(400, "ValidationException");
    assert_eq!((refusal.status(), refusal.code()), (400, "ValidationException"));
    let refusal = said(429, "ThrottlingException");
    assert_eq!((refusal.row().reason, refusal.retry_after()), ("aws_throttled", Some(1)));
    assert_eq!(said(200, "Strange"), Refusal::AwsUnreadable);
}

#[test]
fn what_a_client_calls_its_fields_breaks_no_answer() {
    let field = format!("<script>\n\u{7}{}", "x".repeat(500));
    let refusal = Refusal::invalid(field, "is not known");
    assert!(refusal.message().len() < 200 && !refusal.message().contains('\n'));
    let xml = String::from_utf8(refusal.xml("<&>")).unwrap();
    assert!(xml.contains("&lt;script&gt;") && xml.contains("<RequestId>&lt;&amp;&gt;</RequestId>"), "{xml}");
    assert_eq!(escaped("a\u{0}b\u{ffff}\u{1f600}\r"), "ab\u{1f600} ");
}
