//! The operator's policy: enough for every call, and no more.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tenantry::stack::iam::grant::{Grant, Need};
use tenantry::stack::iam::operation::Operation;
use tenantry::stack::iam::permissions::{self, Audience, MAX_INLINE_CHARS, MAX_MANAGED_CHARS, Part, length};
use tenantry::stack::identity::Scope;

use crate::iam::{Request, allows};

fn audience() -> Audience {
    Audience {
        scope: Scope::new("prod", "123456789012", "eu-central-1"),
        role_arn: Some("arn:aws:iam::123456789012:role/ops/tenantry".into()),
        boundary_arn: Some("arn:aws:iam::123456789012:policy/edge".into()),
        registry: "dynamodb:tenants".parse().ok(),
        installation_bucket: None,
    }
}

const OUR_TAG: (&str, &str) = ("aws:ResourceTag/tenantry.dev/installation", "prod");
const LENT: (&str, &str) = ("aws:ResourceTag/tenantry.dev/allow", "prod");
const MADE_WITH_OUR_TAG: (&str, &str) = ("aws:RequestTag/tenantry.dev/installation", "prod");
const OUR_ACCOUNT: (&str, &str) = ("aws:ResourceAccount", "123456789012");
const OUR_COLLECTION: (&str, &str) = ("aoss:collection", "prod-ta-acme-abc");
const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1";
const BUCKET: &str = "arn:aws:s3:::prod-ta-acme-abc";
const RECORDS: &str = "arn:aws:s3:::prod-records-123456789012-eu-central-1-an";
const LOCK: &str = "arn:aws:s3:::prod-records-123456789012-eu-central-1-an/lock.json";
const RECORD: &str = "arn:aws:s3:::prod-records-123456789012-eu-central-1-an/tenants/acme.json";
const OBJECT: &str = "arn:aws:s3:::prod-ta-acme-abc/documents/a.txt";
const ROLE: &str = "arn:aws:iam::123456789012:role/tenantry/prod/prod-ta-acme-abc";
const PATHLESS: &str = "arn:aws:iam::123456789012:role/prod-ta-acme-abc";
const ELSEWHERE: &str = "arn:aws:iam::123456789012:role/somebody/prod-ta-acme-abc";
const OPERATOR: &str = "arn:aws:iam::123456789012:role/ops/tenantry";
const COLLECTION: &str = "arn:aws:aoss:eu-central-1:123456789012:collection/1";
const KNOWLEDGE_BASE: &str = "arn:aws:bedrock:eu-central-1:123456789012:knowledge-base/1";
const MODEL: &str = "arn:aws:bedrock:eu-central-1::foundation-model/amazon.titan-embed-text-v2:0";
const TABLE: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/tenants";
const LINKED: &str = "arn:aws:iam::123456789012:role/aws-service-role/observability.aoss.amazonaws.com/Any";
const BY_S3: (&str, &str) = ("kms:ViaService", "s3.eu-central-1.amazonaws.com");
const BY_AOSS: (&str, &str) = ("kms:ViaService", "aoss.eu-central-1.amazonaws.com");
const FOR_AWS: (&str, &str) = ("kms:GrantIsForAWSResource", "true");
const GRANTED: (&str, &str) = ("kms:GrantOperations", "Decrypt");

type Sample = (&'static str, &'static [(&'static str, &'static str)]);

/// What a call is about, as AWS puts it to IAM, for each place where actions are allowed.
fn ours(grant: Grant) -> &'static [Sample] {
    use Grant::*;
    match grant {
        NewBuckets => &[(BUCKET, &[MADE_WITH_OUR_TAG]), (RECORDS, &[MADE_WITH_OUR_TAG])],
        InstallationBucket => &[(RECORDS, &[OUR_ACCOUNT])],
        Records => &[(LOCK, &[OUR_ACCOUNT]), (RECORD, &[OUR_ACCOUNT])],
        Buckets => &[(BUCKET, &[OUR_ACCOUNT])],
        Objects => &[(OBJECT, &[OUR_ACCOUNT])],
        OwnObjects => &[
            ("arn:aws:s3:::prod-sa-stand-abc/pool/acme/a.txt", &[OUR_ACCOUNT]),
            ("arn:aws:s3:::prod-sa-stand-abc/tenantry/retained/acme.json", &[OUR_ACCOUNT]),
        ],
        NewKeys => &[("*", &[MADE_WITH_OUR_TAG])],
        NewKeysTags => &[(KEY, &[MADE_WITH_OUR_TAG])],
        OwnKeys => &[(KEY, &[OUR_TAG])],
        Keys => &[(KEY, &[])],
        Aliases => &[("arn:aws:kms:eu-central-1:123456789012:alias/prod-ta-acme-abc", &[])],
        KeysOfCollections => {
            &[(KEY, &[OUR_TAG, BY_AOSS, FOR_AWS, GRANTED]), (KEY, &[LENT, BY_AOSS, FOR_AWS, GRANTED])]
        }
        KeysOfDocuments => &[(KEY, &[OUR_TAG, BY_S3]), (KEY, &[LENT, BY_S3])],
        Lists | Collections | Indexes => &[("*", &[])],
        NewRoles => &[(ROLE, &[("iam:PermissionsBoundary", "arn:aws:iam::123456789012:policy/edge")])],
        Roles => &[(ROLE, &[])],
        RolesSeen => &[(ROLE, &[]), (PATHLESS, &[]), (ELSEWHERE, &[])],
        OperatorRole => &[(OPERATOR, &[])],
        RolesPassed => &[(ROLE, &[("iam:PassedToService", "bedrock.amazonaws.com")])],
        ServiceLinkedRole => &[(LINKED, &[("iam:AWSServiceName", "observability.aoss.amazonaws.com")])],
        NewCollections | NewKnowledgeBases => &[("*", &[MADE_WITH_OUR_TAG])],
        OwnCollections => &[(COLLECTION, &[OUR_TAG])],
        Policies => &[("*", &[OUR_COLLECTION])],
        InsideCollections => &[(COLLECTION, &[OUR_COLLECTION])],
        NewKnowledgeBasesTags => &[(KNOWLEDGE_BASE, &[MADE_WITH_OUR_TAG])],
        KnowledgeBases => &[(KNOWLEDGE_BASE, &[])],
        OwnKnowledgeBases => &[(KNOWLEDGE_BASE, &[OUR_TAG])],
        FoundationModels => &[(MODEL, &[])],
        Registry => &[(TABLE, &[])],
        NotTheOperators => &[],
    }
}

/// What is somebody else's, another installation's most of all.
fn anothers(grant: Grant) -> &'static [Sample] {
    use Grant::*;
    match grant {
        NewBuckets | Buckets => {
            &[
                ("arn:aws:s3:::prod2-ta-acme-abc", &[MADE_WITH_OUR_TAG, OUR_ACCOUNT]),
                // A customer's own bucket, whose name begins like ours.
                ("arn:aws:s3:::prod-customer-data", &[MADE_WITH_OUR_TAG, OUR_ACCOUNT]),
                (BUCKET, &[]),
            ]
        }
        InstallationBucket => &[
            ("arn:aws:s3:::prod2-records-123456789012-eu-central-1-an", &[OUR_ACCOUNT]),
            (BUCKET, &[]),
            (RECORDS, &[]),
        ],
        Records => {
            &[(RECORD, &[]), ("arn:aws:s3:::prod-records-123456789012-eu-central-1-an/other", &[OUR_ACCOUNT])]
        }
        Objects => &[
            ("arn:aws:s3:::prod2-ta-acme-abc/a", &[OUR_ACCOUNT]),
            (OBJECT, &[]),
            (RECORD, &[OUR_ACCOUNT]),
            (LOCK, &[OUR_ACCOUNT]),
        ],
        OwnObjects => &[(OBJECT, &[OUR_ACCOUNT]), ("arn:aws:s3:::prod2-sa-x/pool/a", &[OUR_ACCOUNT])],
        OwnKeys => {
            &[(KEY, &[]), (KEY, &[LENT]), (KEY, &[("aws:ResourceTag/tenantry.dev/installation", "prod2")])]
        }
        KeysOfCollections => {
            &[(KEY, &[BY_AOSS, FOR_AWS]), (KEY, &[OUR_TAG, BY_AOSS]), (KEY, &[LENT, FOR_AWS])]
        }
        KeysOfDocuments => &[(KEY, &[BY_S3]), (KEY, &[OUR_TAG]), (KEY, &[LENT, BY_AOSS])],
        Aliases => &[("arn:aws:kms:eu-central-1:123456789012:alias/prod2-x", &[])],
        NewRoles => {
            &[(ROLE, &[]), (ROLE, &[("iam:PermissionsBoundary", "arn:aws:iam::123456789012:policy/wide")])]
        }
        Roles => {
            &[(PATHLESS, &[]), ("arn:aws:iam::123456789012:role/tenantry/prod2/x", &[]), (OPERATOR, &[])]
        }
        RolesSeen => &[("arn:aws:iam::123456789012:role/admin", &[])],
        OperatorRole => &[("arn:aws:iam::123456789012:role/admin", &[])],
        RolesPassed => &[(ROLE, &[]), (ROLE, &[("iam:PassedToService", "lambda.amazonaws.com")])],
        ServiceLinkedRole => &[(LINKED, &[("iam:AWSServiceName", "ecs.amazonaws.com")])],
        Policies => &[("*", &[]), ("*", &[("aoss:collection", "prod2-x")])],
        InsideCollections => &[(COLLECTION, &[]), (COLLECTION, &[("aoss:collection", "prod2-x")])],
        NewKeys | NewKeysTags | NewCollections | NewKnowledgeBases | NewKnowledgeBasesTags => {
            &[(KEY, &[]), ("*", &[])]
        }
        OwnCollections => &[(COLLECTION, &[])],
        OwnKnowledgeBases => &[(KNOWLEDGE_BASE, &[])],
        Registry => &[
            ("arn:aws:dynamodb:eu-central-1:123456789012:table/tenants2", &[]),
            ("arn:aws:dynamodb:eu-west-1:123456789012:table/tenants", &[]),
        ],
        Keys => &[("arn:aws:kms:eu-west-1:123456789012:key/1", &[])],
        KnowledgeBases => &[("arn:aws:bedrock:eu-central-1:999999999999:knowledge-base/1", &[])],
        FoundationModels => &[
            ("arn:aws:bedrock:eu-west-1::foundation-model/m", &[]),
            ("arn:aws:bedrock:eu-central-1:123456789012:custom-model/m", &[]),
        ],
        Lists | Collections | Indexes | NotTheOperators => &[],
    }
}

/// All that the operator may do when nothing is withheld from it.
fn operator() -> Value {
    let mut all = permissions::operator(&audience(), None);
    let statements = permissions::destructive(&audience())["Statement"].as_array().unwrap().clone();
    all["Statement"].as_array_mut().unwrap().extend(statements);
    all
}

#[test]
fn a_table_is_named_only_where_there_is_a_registry() {
    let without = permissions::operator(&Audience { registry: None, ..audience() }, None);
    assert!(!without.to_string().contains("dynamodb"));
    let mut with = permissions::operator(&audience(), None);
    let statements = with["Statement"].as_array_mut().unwrap();
    let registry = statements.iter().position(|it| it["Sid"] == "Registry").unwrap();
    let registry = statements.remove(registry);
    assert_eq!(registry["Action"], json!(["dynamodb:GetItem", "dynamodb:UpdateItem"]));
    assert_eq!(registry["Resource"], json!([TABLE]));
    assert_eq!(with, without, "and nothing else is");
}

#[test]
fn what_deletes_for_good_is_apart() {
    let actions = |policy: &Value| -> BTreeSet<String> {
        let statements = policy["Statement"].as_array().unwrap().iter();
        let actions = statements.flat_map(|it| it["Action"].as_array().unwrap());
        actions.map(|action| action.as_str().unwrap().to_owned()).collect()
    };
    let builds = actions(&permissions::operator(&audience(), None));
    let deletes = actions(&permissions::destructive(&audience()));
    assert!(builds.is_disjoint(&deletes));
    assert_eq!(
        builds.iter().filter(|it| it.contains(":Delete") || it.contains("Deletion")).collect::<Vec<_>>(),
        ["s3:DeleteObject"]
    );
    assert!(
        deletes.iter().all(|it| it.contains(":Delete") || it == "kms:ScheduleKeyDeletion"),
        "{deletes:?}"
    );
    assert!(length(&permissions::destructive(&audience())) <= MAX_MANAGED_CHARS);
}

fn ask<'a>(action: &'a str, (resource, context): Sample) -> Request<'a> {
    Request { action, resource, context }
}

fn is_allowed(policy: &Value, (action, grant): &Need) -> bool {
    ours(*grant).iter().all(|sample| allows(policy, ask(action, *sample)))
}

/// The operations of the operator.
fn operations() -> impl Iterator<Item = &'static Operation> {
    Operation::all().filter(|row| row.needs().iter().all(|(_, grant)| *grant != Grant::NotTheOperators))
}

fn without(policy: &Value, action: &str) -> Value {
    let mut policy = policy.clone();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        statement["Action"].as_array_mut().unwrap().retain(|it| it != action);
    }
    policy
}

#[test]
fn it_is_enough_for_every_call_and_each_action_is_needed() {
    let policy = operator();
    let works = |policy: &Value, row: &Operation| row.needs().iter().all(|need| is_allowed(policy, need));
    for row in operations() {
        assert!(works(&policy, row), "{row:?}");
    }
    let actions: BTreeSet<&str> =
        operations().flat_map(|row| row.needs()).map(|(action, _)| *action).collect();
    for action in actions {
        let less = without(&policy, action);
        for row in operations() {
            let needs_it = row.needs().iter().any(|(needed, _)| *needed == action);
            assert_eq!(works(&less, row), !needs_it, "{action} is taken away: {row:?}");
        }
    }
}

#[test]
fn what_is_anothers_is_out_of_reach() {
    let policy = operator();
    for (action, grant) in operations().flat_map(|row| row.needs()) {
        for sample in anothers(*grant) {
            // The same action may be allowed elsewhere under another condition: reading roles, looking at keys.
            let elsewhere = operations()
                .flat_map(|row| row.needs())
                .any(|(same, other)| same == action && other != grant && ours(*other).contains(sample));
            assert!(elsewhere || !allows(&policy, ask(action, *sample)), "{action} on {sample:?}");
        }
    }
    assert!(!policy.to_string().contains("bedrock:Retrieve"), "the operator asks no tenant's questions");
}

#[test]
fn it_is_a_policy_that_iam_takes() {
    let longest = Audience {
        scope: Scope::new("prod1234", "123456789012", "ap-northeast-1"),
        role_arn: Some(format!("arn:aws:iam::123456789012:role/{}", "r".repeat(64))),
        boundary_arn: Some(format!("arn:aws:iam::123456789012:policy/{}", "b".repeat(128))),
        registry: format!("dynamodb:{}", "t".repeat(255)).parse().ok(),
        installation_bucket: Some("b".repeat(63)),
    };
    let anywhere = Audience {
        scope: Scope::new("p", "*", "*"),
        role_arn: None,
        boundary_arn: None,
        registry: None,
        installation_bucket: None,
    };
    for audience in [longest, anywhere] {
        let policy = permissions::operator(&audience, None);
        // A role's inline policies are counted together.
        let inline = length(&policy) + length(&permissions::destructive(&audience));
        assert!(inline <= MAX_INLINE_CHARS, "{inline} characters");
        let parts = [Part::Storage, Part::Retrieval].map(|part| permissions::operator(&audience, Some(part)));
        for part in &parts {
            assert!(length(part) <= MAX_MANAGED_CHARS, "{} characters", length(part));
        }
        let statements = |policy: &Value| policy["Statement"].as_array().unwrap().clone();
        let both: BTreeSet<_> = parts.iter().flat_map(statements).map(|it| it.to_string()).collect();
        let whole: BTreeSet<_> = statements(&policy).iter().map(Value::to_string).collect();
        assert_eq!(both, whole, "the parts are the whole");
        assert_eq!(policy["Version"], "2012-10-17");
        let mut sids = BTreeSet::new();
        for statement in policy["Statement"].as_array().unwrap() {
            let sid = statement["Sid"].as_str().unwrap();
            assert!(sids.insert(sid) && sid.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{sid}");
            for action in statement["Action"].as_array().unwrap() {
                assert!(!action.as_str().unwrap().contains('*'), "{sid}: {action}");
            }
            assert!(!statement["Resource"].as_array().unwrap().is_empty(), "{sid}");
        }
        assert_eq!(policy, permissions::operator(&audience, None), "the same each time");
    }
}

/// What is allowed on everything, and why it cannot be less.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonopensearchserverless.html>
const EVERYTHING: &[(Grant, &str)] = &[
    (Grant::NewKeys, "a key has no ARN before it is made; it must be made with our tag"),
    (Grant::Lists, "an account's keys and knowledge bases are listed whole"),
    (Grant::NewCollections, "the action knows no resource; it must be made with our tag"),
    (Grant::Collections, "these reads know no resource"),
    (Grant::Policies, "these actions know no resource; the policy must be about our collections"),
    (
        Grant::Indexes,
        "these actions know no resource; aoss:APIAccessAll and the data access policy narrow them",
    ),
    (Grant::NewKnowledgeBases, "the action knows no resource; it must be made with our tag"),
];

#[test]
fn nothing_is_allowed_on_everything_without_a_reason() {
    let policy = operator();
    let statements = policy["Statement"].as_array().unwrap().iter();
    let open: BTreeSet<_> = statements
        .filter(|it| it["Resource"] == json!(["*"]))
        .map(|it| it["Sid"].as_str().unwrap())
        .map(|sid| sid.strip_prefix("Delete").unwrap_or(sid).to_owned())
        .collect();
    let listed: BTreeSet<_> = EVERYTHING.iter().map(|(grant, _)| format!("{grant:?}")).collect();
    assert_eq!(open, listed);
}

/// Whoever has every policy that is printed can take apart all that tenants have, and cannot make a record be forgotten.
#[test]
fn nobody_is_allowed_to_delete_records() {
    let all = operator();
    for action in ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload"] {
        for record in [LOCK, RECORD] {
            let ask = Request { action, resource: record, context: &[OUR_ACCOUNT] };
            assert!(!allows(&all, ask), "{action} on {record}");
        }
    }
    let ask = Request { action: "s3:DeleteBucket", resource: RECORDS, context: &[OUR_ACCOUNT] };
    assert!(!allows(&all, ask));
}
