//! What the gateway and the role that it asks by may do: enough, and no more; and what an organization refuses to everybody else.

use serde_json::Value;
use tenantry::stack::iam::ask::{self, MAX_TRUST_CHARS};
use tenantry::stack::iam::guard::MAX_GUARD_CHARS;
use tenantry::stack::iam::permissions::{MAX_MANAGED_CHARS, length};
use tenantry::stack::identity::Scope;

use crate::iam::{Request, allows, denies};

const ASK: &str = "arn:aws:iam::123456789012:role/tenantry-ask";
const GATEWAY: &str = "arn:aws:iam::123456789012:role/tenantry-gateway";
const KNOWLEDGE_BASE: &str = "arn:aws:bedrock:eu-central-1:123456789012:knowledge-base/KB12345678";
const RECORDS: &str = "arn:aws:s3:::prod-records-123456789012-eu-central-1-an";
const OURS: (&str, &str) = ("aws:ResourceTag/tenantry.dev/installation", "prod");

fn scope() -> Scope {
    Scope::new("prod", "123456789012", "eu-central-1")
}

type Context<'a> = Vec<(&'a str, &'a str)>;

/// The context with one value changed, or taken away.
fn with<'a>(context: &[(&'a str, &'a str)], key: &str, value: Option<&'a str>) -> Context<'a> {
    let changed = context.iter().filter_map(|(name, was)| match *name == key {
        true => value.map(|value| (*name, value)),
        false => Some((*name, *was)),
    });
    changed.collect()
}

fn may(policy: &Value, action: &str, resource: &str, context: &[(&str, &str)]) -> bool {
    allows(policy, Request { action, resource, context })
}

/// A policy without one of its actions in one of its statements.
fn without(policy: &Value, sid: usize, action: usize) -> Value {
    let mut policy = policy.clone();
    policy["Statement"][sid]["Action"].as_array_mut().unwrap().remove(action);
    policy
}

/// What STS is asked with for a tenant's session.
fn session() -> Context<'static> {
    vec![
        ("aws:RequestTag/tenantry-installation", "prod"),
        ("aws:RequestTag/tenantry-owner", "SharedStack/standard"),
        ("aws:RequestTag/tenantry-tenant-id", "acme"),
    ]
}

#[test]
fn the_gateway_reads_records_and_has_sessions_and_each_action_is_needed() {
    let account = vec![("aws:ResourceAccount", "123456789012")];
    let record = format!("{RECORDS}/tenants/acme.json");
    let needed = [
        ("sts:AssumeRole", ASK, session()),
        ("sts:TagSession", ASK, session()),
        ("s3:ListBucket", RECORDS, account.clone()),
        ("s3:GetObject", record.as_str(), account.clone()),
    ];
    let policy = ask::gateway(&scope(), ASK, None);
    let enough = |policy: &Value| needed.iter().all(|(action, at, context)| may(policy, action, at, context));
    assert!(enough(&policy));
    for (n, statement) in policy["Statement"].as_array().unwrap().iter().enumerate() {
        for action in 0..statement["Action"].as_array().unwrap().len() {
            assert!(!enough(&without(&policy, n, action)), "{statement}");
        }
    }
    let lock = format!("{RECORDS}/lock.json");
    for (action, resource, context) in [
        ("sts:AssumeRole", "arn:aws:iam::123456789012:role/tenantry-ask2", session()),
        ("sts:AssumeRole", "arn:aws:iam::123456789012:role/tenantry/prod/prod-ta-acme-2bx6vvlzwt", session()),
        ("s3:GetObject", lock.as_str(), account.clone()),
        ("s3:GetObject", "arn:aws:s3:::prod-sa-stand-2bx6vvlzwt/pool/acme/a.txt", account.clone()),
        ("s3:GetObject", record.as_str(), vec![("aws:ResourceAccount", "999999999999")]),
        ("s3:PutObject", record.as_str(), account.clone()),
        ("bedrock:Retrieve", KNOWLEDGE_BASE, vec![OURS]),
    ] {
        assert!(!may(&policy, action, resource, &context), "{action} on {resource}");
    }
}

#[test]
fn records_in_a_bucket_of_an_administrators_may_be_under_any_key() {
    let policy = ask::gateway(&scope(), ASK, Some("acme-records"));
    let key = "arn:aws:kms:eu-central-1:123456789012:key/1";
    let by_s3 = vec![
        ("kms:ViaService", "s3.eu-central-1.amazonaws.com"),
        ("kms:EncryptionContext:aws:s3:arn", "arn:aws:s3:::acme-records/tenants/acme.json"),
    ];
    assert!(may(&policy, "kms:Decrypt", key, &by_s3));
    let of_another = with(&by_s3, "kms:EncryptionContext:aws:s3:arn", Some("arn:aws:s3:::acme-records2/a"));
    for context in [of_another, with(&by_s3, "kms:ViaService", None), Vec::new()] {
        assert!(!may(&policy, "kms:Decrypt", key, &context), "{context:?}");
    }
    assert!(!may(&ask::gateway(&scope(), ASK, None), "kms:Decrypt", key, &by_s3));
}

/// A session without all its tags could be anybody's, so that neither side gives one.
#[test]
fn a_session_names_installation_owner_and_tenant() {
    let (gateway, trust) = (ask::gateway(&scope(), ASK, None), ask::trust(&scope(), GATEWAY));
    // Whom a trust is for stands in its principal; all else is read as in any policy.
    let mut as_policy = trust.clone();
    as_policy["Statement"][0]["Resource"] = ASK.into();
    assert_eq!(trust["Statement"][0]["Principal"]["AWS"], GATEWAY);
    assert_eq!(trust["Statement"].as_array().map(Vec::len), Some(1));
    let eks = [
        session(),
        vec![("aws:RequestTag/kubernetes-namespace", "tenantry"), ("aws:TagKeys", "kubernetes-namespace")],
    ]
    .concat();
    let tenants = with(&session(), "aws:RequestTag/tenantry-owner", Some("Tenant/tenants/acme"));
    for policy in [&gateway, &as_policy] {
        for action in ["sts:AssumeRole", "sts:TagSession"] {
            for context in [session(), eks.clone(), tenants.clone()] {
                assert!(may(policy, action, ASK, &context), "{context:?}");
            }
            for (tag, value) in [
                ("tenantry-installation", None),
                ("tenantry-installation", Some("prod2")),
                ("tenantry-owner", None),
                ("tenantry-owner", Some("")),
                ("tenantry-owner", Some("standard")),
                ("tenantry-owner", Some("Tenant/acme")),
                ("tenantry-tenant-id", None),
                ("tenantry-tenant-id", Some("")),
            ] {
                let context = with(&session(), &format!("aws:RequestTag/{tag}"), value);
                assert!(!may(policy, action, ASK, &context), "{tag} {value:?}");
            }
        }
    }
}

#[test]
fn a_session_asks_the_knowledge_base_that_its_tags_name_and_no_other() {
    let policy = ask::ask(&scope());
    let own = vec![
        OURS,
        ("aws:ResourceTag/tenantry.dev/owner", "SharedStack/standard"),
        ("aws:PrincipalTag/tenantry-installation", "prod"),
        ("aws:PrincipalTag/tenantry-owner", "SharedStack/standard"),
        ("aws:PrincipalTag/tenantry-tenant-id", "acme"),
    ];
    assert!(may(&policy, "bedrock:Retrieve", KNOWLEDGE_BASE, &own));
    assert!(may(
        &policy,
        "bedrock:Retrieve",
        KNOWLEDGE_BASE,
        &with(&own, "aws:PrincipalTag/tenantry-tenant-id", None)
    ));
    for (key, value) in [
        ("aws:ResourceTag/tenantry.dev/owner", Some("SharedStack/other")),
        ("aws:ResourceTag/tenantry.dev/owner", Some("Tenant/tenants/umbrella")),
        ("aws:ResourceTag/tenantry.dev/owner", None),
        ("aws:ResourceTag/tenantry.dev/installation", Some("prod2")),
        ("aws:ResourceTag/tenantry.dev/installation", None),
        ("aws:PrincipalTag/tenantry-owner", Some("Tenant/tenants/acme")),
        ("aws:PrincipalTag/tenantry-owner", None),
        ("aws:PrincipalTag/tenantry-installation", Some("prod2")),
        ("aws:PrincipalTag/tenantry-installation", None),
    ] {
        assert!(
            !may(&policy, "bedrock:Retrieve", KNOWLEDGE_BASE, &with(&own, key, value)),
            "{key} {value:?}"
        );
    }
    // Another installation's session, of another installation's knowledge base: the role is this one's.
    let another = with(&own, OURS.0, Some("prod2"));
    let another = with(&another, "aws:PrincipalTag/tenantry-installation", Some("prod2"));
    assert!(!may(&policy, "bedrock:Retrieve", KNOWLEDGE_BASE, &another));
    for action in [
        "bedrock:RetrieveAndGenerate",
        "bedrock:GetDocumentContent",
        "bedrock:DeleteKnowledgeBase",
        "s3:GetObject",
    ] {
        assert!(!may(&policy, action, KNOWLEDGE_BASE, &own), "{action}");
    }
}

#[test]
fn behind_the_fence_nobody_reads_a_knowledge_base_but_who_asks_for_tenants() {
    const ADMIN: &str = "arn:aws:iam::123456789012:role/admin";
    let (fence, another) = (ask::fence(&scope(), ASK, &[ADMIN.into()]), format!("{ASK}2"));
    let reads = |action, by: Option<&str>, tag: Option<&str>| {
        let by = by.map(|by| ("aws:PrincipalArn", by));
        let context: Context<'_> = by.into_iter().chain(tag.map(|tag| (OURS.0, tag))).collect();
        denies(&fence, Request { action, resource: KNOWLEDGE_BASE, context: &context })
    };
    for action in ["bedrock:Retrieve", "bedrock:GetDocumentContent", "bedrock:AgenticRetrieveStream"] {
        for by in [
            GATEWAY,
            "arn:aws:iam::123456789012:role/shop",
            "arn:aws:iam::123456789012:root",
            another.as_str(),
        ] {
            assert!(reads(action, Some(by), Some("prod")), "{action} by {by}");
            assert!(!reads(action, Some(by), Some("prod2")), "another installation's is none of ours");
            assert!(!reads(action, Some(by), None), "a knowledge base without tags is somebody else's");
        }
        assert!(reads(action, None, Some("prod")));
        for by in [ASK, ADMIN] {
            assert!(!reads(action, Some(by), Some("prod")), "{action} by {by}");
        }
    }
    assert!(!reads("bedrock:GetKnowledgeBase", Some(GATEWAY), Some("prod")), "the operator still looks");
    assert_eq!(fence["Statement"].as_array().map(Vec::len), Some(1));
    assert_eq!(fence["Statement"][0]["Effect"], "Deny");
}

#[test]
fn they_are_policies_that_aws_takes() {
    let longest = Scope::new("prod1234", "123456789012", "us-gov-west-1");
    let role = format!("arn:aws-us-gov:iam::123456789012:role/{}/{}", "p".repeat(400), "r".repeat(64));
    let bucket = "b".repeat(63);
    let others = vec![role.clone(); 8];
    for (what, policy, most) in [
        ("gateway", ask::gateway(&longest, &role, Some(&bucket)), MAX_MANAGED_CHARS),
        ("ask", ask::ask(&longest), MAX_MANAGED_CHARS),
        ("trust", ask::trust(&longest, &role), MAX_TRUST_CHARS),
        ("fence", ask::fence(&longest, &role, &others), MAX_GUARD_CHARS),
    ] {
        assert!(length(&policy) <= most, "{what}: {}", length(&policy));
        assert_eq!(policy["Version"], "2012-10-17");
        for statement in policy["Statement"].as_array().unwrap() {
            let sid = statement["Sid"].as_str().unwrap();
            assert!(sid.bytes().all(|b| b.is_ascii_alphanumeric()), "{sid}");
        }
    }
}
