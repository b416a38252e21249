//! The operator's policy: enough for every call, and no more.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tenantry::api::VectorStore;
use tenantry::stack::iam::boundary::boundary;
use tenantry::stack::iam::grant::{Grant, Need};
use tenantry::stack::iam::guard::{MAX_GUARD_CHARS, guard, resource_guard};
use tenantry::stack::iam::operation::Operation;
use tenantry::stack::iam::permissions::{self, Audience, MAX_INLINE_CHARS, MAX_MANAGED_CHARS, Part, length};
use tenantry::stack::identity::Scope;

use crate::iam::{Request, allows, denies};

fn audience() -> Audience {
    Audience {
        scope: Scope::new("prod", "123456789012", "eu-central-1"),
        role_arn: Some("arn:aws:iam::123456789012:role/ops/tenantry".into()),
        boundary_arn: Some("arn:aws:iam::123456789012:policy/edge".into()),
        registry: "dynamodb:tenants".parse().ok(),
        installation_bucket: None,
        stores: VectorStore::ALL.to_vec(),
    }
}

const OUR_TAG: (&str, &str) = ("aws:ResourceTag/tenantry.dev/installation", "prod");
const LENT: (&str, &str) = ("aws:ResourceTag/tenantry.dev/allow", "installation/prod");
const LENT_TO_NAMESPACE: (&str, &str) = ("aws:ResourceTag/tenantry.dev/allow", "namespace/team-a");
/// As an older release wrote it.
const LENT_OF_OLD: (&str, &str) = ("aws:ResourceTag/tenantry.dev/allow", "team-a");
const LENT_TO_ANOTHER: (&str, &str) = ("aws:ResourceTag/tenantry.dev/allow", "installation/prod2");
const IN_30_DAYS: (&str, &str) = ("kms:ScheduleKeyDeletionPendingWindowInDays", "30");
const IN_7_DAYS: (&str, &str) = ("kms:ScheduleKeyDeletionPendingWindowInDays", "7");
const OF_OUR_OBJECT: (&str, &str) =
    ("kms:EncryptionContext:aws:s3:arn", "arn:aws:s3:::prod-sa-stand-2bx6vvlzwt/pool/acme/a.txt");
const OF_OTHERS_OBJECT: (&str, &str) =
    ("kms:EncryptionContext:aws:s3:arn", "arn:aws:s3:::prod-customer-data/payroll.csv");
const MADE_WITH_OUR_TAG: (&str, &str) = ("aws:RequestTag/tenantry.dev/installation", "prod");
const OUR_ACCOUNT: (&str, &str) = ("aws:ResourceAccount", "123456789012");
const OUR_COLLECTION: (&str, &str) = ("aoss:collection", "prod-ta-acme-2bx6vvlzwt");
const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1";
const BUCKET: &str = "arn:aws:s3:::prod-ta-acme-2bx6vvlzwt";
const RECORDS: &str = "arn:aws:s3:::prod-records-123456789012-eu-central-1-an";
const LOCK: &str = "arn:aws:s3:::prod-records-123456789012-eu-central-1-an/lock.json";
const RECORD: &str = "arn:aws:s3:::prod-records-123456789012-eu-central-1-an/tenants/acme.json";
const OBJECT: &str = "arn:aws:s3:::prod-ta-acme-2bx6vvlzwt/documents/a.txt";
const ROLE: &str = "arn:aws:iam::123456789012:role/tenantry/prod/prod-ta-acme-2bx6vvlzwt";
const PATHLESS: &str = "arn:aws:iam::123456789012:role/prod-ta-acme-2bx6vvlzwt";
const ELSEWHERE: &str = "arn:aws:iam::123456789012:role/somebody/prod-ta-acme-2bx6vvlzwt";
const OPERATOR: &str = "arn:aws:iam::123456789012:role/ops/tenantry";
const COLLECTION: &str = "arn:aws:aoss:eu-central-1:123456789012:collection/1";
const VECTOR_BUCKET: &str = "arn:aws:s3vectors:eu-central-1:123456789012:bucket/prod-ta-acme-2bx6vvlzwt";
const VECTOR_INDEX: &str = "arn:aws:s3vectors:eu-central-1:123456789012:bucket/prod-sa-stand-2bx6vvlzwt/index/prod-ta-acme-f43zkbv6n7";
const KNOWLEDGE_BASE: &str = "arn:aws:bedrock:eu-central-1:123456789012:knowledge-base/1";
const MODEL: &str = "arn:aws:bedrock:eu-central-1::foundation-model/amazon.titan-embed-text-v2:0";
const TABLE: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/tenants";
const LINKED: &str = "arn:aws:iam::123456789012:role/aws-service-role/observability.aoss.amazonaws.com/Any";
const BY_S3: (&str, &str) = ("kms:ViaService", "s3.eu-central-1.amazonaws.com");
const BY_S3_VECTORS: (&str, &str) = ("kms:ViaService", "s3vectors.eu-central-1.amazonaws.com");
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
            ("arn:aws:s3:::prod-sa-stand-2bx6vvlzwt/pool/acme/a.txt", &[OUR_ACCOUNT]),
            ("arn:aws:s3:::prod-sa-stand-2bx6vvlzwt/tenantry/retained/acme.json", &[OUR_ACCOUNT]),
        ],
        NewKeys => &[("*", &[MADE_WITH_OUR_TAG])],
        NewTags => &[(KEY, &[MADE_WITH_OUR_TAG]), (KNOWLEDGE_BASE, &[MADE_WITH_OUR_TAG])],
        OwnKeys => &[(KEY, &[OUR_TAG]), (KEY, &[OUR_TAG, IN_30_DAYS])],
        Keys => &[(KEY, &[])],
        Aliases => &[("arn:aws:kms:eu-central-1:123456789012:alias/prod-ta-acme-2bx6vvlzwt", &[])],
        KeysOfCollections => &[
            (KEY, &[OUR_TAG, BY_AOSS, FOR_AWS, GRANTED]),
            (KEY, &[LENT, BY_AOSS, FOR_AWS, GRANTED]),
            (KEY, &[LENT_TO_NAMESPACE, BY_AOSS, FOR_AWS, GRANTED]),
            (KEY, &[LENT_OF_OLD, BY_AOSS, FOR_AWS, GRANTED]),
        ],
        KeysOfVectors => &[
            (KEY, &[OUR_TAG, BY_S3_VECTORS]),
            (KEY, &[LENT, BY_S3_VECTORS]),
            (KEY, &[LENT_TO_NAMESPACE, BY_S3_VECTORS]),
        ],
        NewVectors => &[(VECTOR_BUCKET, &[MADE_WITH_OUR_TAG]), (VECTOR_INDEX, &[MADE_WITH_OUR_TAG])],
        Vectors => &[(VECTOR_BUCKET, &[]), (VECTOR_INDEX, &[])],
        OwnVectors => &[(VECTOR_BUCKET, &[OUR_TAG]), (VECTOR_INDEX, &[OUR_TAG])],
        KeysOfDocuments => &[(KEY, &[BY_S3, OF_OUR_OBJECT])],
        Lists | Collections | Indexes => &[("*", &[])],
        NewRoles => &[(ROLE, &[("iam:PermissionsBoundary", "arn:aws:iam::123456789012:policy/edge")])],
        Roles => &[(ROLE, &[])],
        RolesSeen => &[(ROLE, &[]), (PATHLESS, &[]), (ELSEWHERE, &[])],
        OperatorRole => &[(OPERATOR, &[])],
        RolesPassed => &[(ROLE, &[("iam:PassedToService", "bedrock.amazonaws.com")])],
        ServiceLinkedRole => &[(LINKED, &[("iam:AWSServiceName", "observability.aoss.amazonaws.com")])],
        NewThings => &[("*", &[MADE_WITH_OUR_TAG])],
        OwnCollections => &[(COLLECTION, &[OUR_TAG, OUR_COLLECTION])],
        Policies => &[
            ("*", &[OUR_COLLECTION]),
            ("*", &[("aoss:collection", "prod-sa-*")]),
            ("*", &[("aoss:collection", "prod-sa-*"), ("aoss:collection", "prod-ta-*")]),
        ],
        InsideCollections => &[(COLLECTION, &[OUR_COLLECTION])],
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
                // A customer's own buckets, whose names begin like ours.
                ("arn:aws:s3:::prod-customer-data", &[MADE_WITH_OUR_TAG, OUR_ACCOUNT]),
                ("arn:aws:s3:::prod-qa-acme-2bx6vvlzwt", &[MADE_WITH_OUR_TAG, OUR_ACCOUNT]),
                ("arn:aws:s3:::prod-ta-documents", &[MADE_WITH_OUR_TAG, OUR_ACCOUNT]),
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
        OwnObjects => &[
            (OBJECT, &[OUR_ACCOUNT]),
            ("arn:aws:s3:::prod-sa-stand-2bx6vvlzwt/bridge/acme/a.txt", &[OUR_ACCOUNT]),
            ("arn:aws:s3:::prod2-sa-stand-2bx6vvlzwt/pool/a", &[OUR_ACCOUNT]),
        ],
        OwnKeys => {
            &[(KEY, &[]), (KEY, &[LENT]), (KEY, &[("aws:ResourceTag/tenantry.dev/installation", "prod2")])]
        }
        KeysOfCollections => {
            &[(KEY, &[BY_AOSS, FOR_AWS]), (KEY, &[OUR_TAG, BY_AOSS]), (KEY, &[LENT, FOR_AWS])]
        }
        KeysOfVectors => &[(KEY, &[OUR_TAG]), (KEY, &[BY_S3_VECTORS]), (KEY, &[LENT, BY_S3])],
        NewVectors => &[
            (VECTOR_BUCKET, &[]),
            ("arn:aws:s3vectors:eu-central-1:123456789012:bucket/prod-media", &[MADE_WITH_OUR_TAG]),
            (
                "arn:aws:s3vectors:eu-central-1:123456789012:bucket/prod2-ta-acme-2bx6vvlzwt",
                &[MADE_WITH_OUR_TAG],
            ),
        ],
        Vectors => &[
            ("arn:aws:s3vectors:eu-central-1:123456789012:bucket/prod-media", &[]),
            ("arn:aws:s3vectors:eu-central-1:123456789012:bucket/prod-media/index/prod", &[]),
            ("arn:aws:s3vectors:eu-west-1:123456789012:bucket/prod-ta-acme-2bx6vvlzwt", &[]),
        ],
        // Somebody has put our tag on it.
        OwnVectors => &[
            (VECTOR_BUCKET, &[]),
            (VECTOR_INDEX, &[]),
            ("arn:aws:s3vectors:eu-central-1:123456789012:bucket/prod-media", &[OUR_TAG]),
        ],
        KeysOfDocuments => &[
            (KEY, &[OF_OUR_OBJECT]),
            (KEY, &[LENT, BY_AOSS, OF_OUR_OBJECT]),
            (KEY, &[OUR_TAG, BY_S3]),
            (KEY, &[OUR_TAG, BY_S3, OF_OTHERS_OBJECT]),
            (KEY, &[LENT_TO_NAMESPACE, BY_S3, OF_OTHERS_OBJECT]),
        ],
        Aliases => &[
            ("arn:aws:kms:eu-central-1:123456789012:alias/prod2-x", &[]),
            ("arn:aws:kms:eu-central-1:123456789012:alias/prod-finance", &[]),
        ],
        NewRoles => {
            &[(ROLE, &[]), (ROLE, &[("iam:PermissionsBoundary", "arn:aws:iam::123456789012:policy/wide")])]
        }
        Roles => &[
            (PATHLESS, &[]),
            ("arn:aws:iam::123456789012:role/tenantry/prod2/prod2-ta-acme-2bx6vvlzwt", &[]),
            (OPERATOR, &[]),
        ],
        RolesSeen => &[
            ("arn:aws:iam::123456789012:role/admin", &[]),
            ("arn:aws:iam::123456789012:role/prod-admin", &[]),
        ],
        OperatorRole => &[("arn:aws:iam::123456789012:role/admin", &[])],
        RolesPassed => &[(ROLE, &[]), (ROLE, &[("iam:PassedToService", "lambda.amazonaws.com")])],
        ServiceLinkedRole => &[(LINKED, &[("iam:AWSServiceName", "ecs.amazonaws.com")])],
        Policies => &[
            ("*", &[]),
            ("*", &[("aoss:collection", "prod2-x")]),
            ("*", &[("aoss:collection", "prod-finance")]),
            ("*", &[("aoss:collection", "prod-*")]),
            // A policy about two: one of ours opens none of another's.
            ("*", &[OUR_COLLECTION, ("aoss:collection", "finance")]),
            ("*", &[("aoss:collection", "finance"), OUR_COLLECTION]),
        ],
        InsideCollections => &[
            (COLLECTION, &[]),
            (COLLECTION, &[("aoss:collection", "prod2-x")]),
            (COLLECTION, &[("aoss:collection", "prod-finance")]),
            (COLLECTION, &[("aoss:collection", "prod-ta-finance")]),
        ],
        NewKeys | NewTags | NewThings => &[(KEY, &[]), ("*", &[])],
        // Somebody has put our tag on it.
        OwnCollections => &[
            (COLLECTION, &[]),
            (COLLECTION, &[OUR_TAG, ("aoss:collection", "prod-finance")]),
            (COLLECTION, &[OUR_TAG, ("aoss:collection", "prod-ta-finance")]),
            (COLLECTION, &[OUR_COLLECTION]),
        ],
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
        let statements = policy["Statement"].as_array().unwrap().iter().filter(|it| it["Effect"] == "Allow");
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
    for statement in
        policy["Statement"].as_array_mut().unwrap().iter_mut().filter(|it| it["Effect"] == "Allow")
    {
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

/// Whoever has one kind of vector store alone needs no right of the other.
#[test]
fn an_installation_with_one_vector_store_is_allowed_nothing_in_the_other() {
    let of = |store: VectorStore| {
        let audience = Audience { stores: vec![store], ..audience() };
        let boundary = boundary(&audience.scope, &[], &audience.stores);
        format!("{}{}{boundary}", permissions::operator(&audience, None), permissions::destructive(&audience))
    };
    let (opensearch, s3_vectors) = (of(VectorStore::OpenSearchServerless), of(VectorStore::S3Vectors));
    assert!(opensearch.contains("aoss:") && !opensearch.contains("s3vectors"), "{opensearch}");
    assert!(s3_vectors.contains("s3vectors:") && !s3_vectors.contains("aoss"), "{s3_vectors}");
}

/// No right to read or write a vector: what makes an index never reads one.
#[test]
fn the_operator_is_allowed_no_vector() {
    let printed = operator().to_string();
    for action in ["PutVectors", "GetVectors", "ListVectors", "QueryVectors", "DeleteVectors", "s3vectors:*"]
    {
        assert!(!printed.contains(action), "{action}");
    }
}

#[test]
fn it_is_a_policy_that_iam_takes() {
    let longest = |partition: &str, region: &str| Audience {
        scope: Scope::new("prod1234", "123456789012", region),
        role_arn: Some(format!("arn:{partition}:iam::123456789012:role/{}", "r".repeat(64))),
        boundary_arn: Some(format!("arn:{partition}:iam::123456789012:policy/{}", "b".repeat(128))),
        registry: format!("dynamodb:{}", "t".repeat(255)).parse().ok(),
        installation_bucket: Some("b".repeat(63)),
        stores: VectorStore::ALL.to_vec(),
    };
    let [longest, longest_of_government] =
        [("aws", "ap-northeast-1"), ("aws-us-gov", "us-gov-west-1")].map(|(it, region)| longest(it, region));
    let anywhere = Audience {
        scope: Scope::new("p", "*", "*"),
        role_arn: None,
        boundary_arn: None,
        registry: None,
        installation_bucket: None,
        stores: VectorStore::ALL.to_vec(),
    };
    // With the longest names in it, all that both vector stores need has no room in one document.
    let fits = |audience: &Audience| {
        let length = length(&permissions::operator(audience, None));
        assert!(length <= MAX_INLINE_CHARS, "{length} characters");
    };
    fits(&audience());
    for audience in [longest, longest_of_government, anywhere] {
        let policy = permissions::operator(&audience, None);
        // A role's inline policies are counted together: what deletes may have to be a managed one.
        for store in VectorStore::ALL {
            fits(&Audience { stores: vec![store], ..audience.clone() });
        }
        assert!(length(&permissions::destructive(&audience)) <= MAX_MANAGED_CHARS);
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
            let resources = [&statement["Resource"], &statement["NotResource"]];
            assert!(resources.iter().any(|it| it.as_array().is_some_and(|it| !it.is_empty())), "{sid}");
        }
        assert_eq!(policy, permissions::operator(&audience, None), "the same each time");
    }
}

/// Whoever has put our tag on a key, or made it, has a month to cancel its deletion.
#[test]
fn no_key_goes_sooner_than_in_thirty_days() {
    let schedule = |context| Request { action: "kms:ScheduleKeyDeletion", resource: KEY, context };
    for (context, is_allowed) in
        [(&[OUR_TAG, IN_30_DAYS][..], true), (&[OUR_TAG], true), (&[OUR_TAG, IN_7_DAYS], false)]
    {
        assert_eq!(allows(&operator(), schedule(context)), is_allowed, "{context:?}");
    }
}

/// What is allowed on everything, and why it cannot be less.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonopensearchserverless.html>
const EVERYTHING: &[(Grant, &str)] = &[
    (Grant::NewKeys, "a key has no ARN before it is made; it must be made with our tag"),
    (Grant::Lists, "an account's keys and knowledge bases are listed whole"),
    (Grant::NewThings, "the actions know no resource; what is made must be made with our tag"),
    (Grant::Collections, "these reads know no resource"),
    (Grant::Policies, "these actions know no resource; the policy must be about our collections"),
    (
        Grant::Indexes,
        "these actions know no resource; aoss:APIAccessAll and the data access policy narrow them",
    ),
];

#[test]
fn nothing_is_allowed_on_everything_without_a_reason() {
    let policy = operator();
    let statements = policy["Statement"].as_array().unwrap().iter();
    let open: BTreeSet<_> = statements
        .filter(|it| it["Resource"] == json!(["*"]) && it["Effect"] == "Allow")
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
    // A rule that lets them expire, or writes others over them, does the same. Nor does a policy of the bucket help.
    for action in ["s3:DeleteBucket", "s3:PutLifecycleConfiguration", "s3:PutReplicationConfiguration"] {
        let ask = Request { action, resource: RECORDS, context: &[OUR_ACCOUNT] };
        assert!(!allows(&all, ask) && denies(&all, ask), "{action}");
    }
}

/// The operator's principal, as IAM names a session's.
const AS_OPERATOR: (&str, &str) = ("aws:PrincipalArn", OPERATOR);

fn organizations() -> Value {
    guard(&audience().scope, OPERATOR)
}

/// S13: whoever has the operator's session wrote itself into the policy of a Silo's bucket, or the trust of a Silo's role.
#[test]
fn no_policy_of_a_bucket_or_a_role_lets_the_operator_in() {
    let policy = operator();
    for (action, resource) in [
        ("s3:GetObject", OBJECT),
        ("s3:GetObjectVersion", OBJECT),
        ("s3:PutObject", OBJECT),
        ("s3:GetObject", "arn:aws:s3:::prod-sa-stand-2bx6vvlzwt/bridge/acme/a.txt"),
        ("s3:GetObject", "arn:aws:s3:::somebody-elses/pool/a.txt"),
        // To IAM a slash is a letter: folders within a key that are called as ours.
        ("s3:GetObject", "arn:aws:s3:::prod-ta-acme-2bx6vvlzwt/documents/pool/rules.md"),
        ("s3:GetObject", "arn:aws:s3:::prod-ta-acme-2bx6vvlzwt/documents/tenantry/rules.md"),
        ("s3:DeleteObject", "arn:aws:s3:::prod-ta-acme-2bx6vvlzwt/documents/x-aaaaaaaaaa/tenantry/a"),
        ("s3:PutObject", "arn:aws:s3:::prod-ta-acme-2bx6vvlzwt/documents/a-aaaaaaaaaa/pool/a.txt"),
        ("s3:GetObject", "arn:aws:s3:::prod-sa-stand-2bx6vvlzwt/bridge/acme/pool/a.txt"),
        ("s3:GetObject", "arn:aws:s3:::prod-sa-a-2bx6vvlzwt/bridge/aaaaaaaa/pool/a.txt"),
        ("s3:GetObjectVersion", "arn:aws:s3:::prod-sa-a-b-2bx6vvlzwt/bridge/b-aaaaaaaaaa/pool/a.txt"),
        ("s3:GetObject", "arn:aws:s3:::prod-sa-stand-2bx6vvlzwt/bridge/acme/tenantry/a.txt"),
        ("s3:GetObject", "arn:aws:s3:::prod-ta-documents/x-aaaaaaaaaa/tenantry/a.txt"),
        ("s3:DeleteObject", RECORD),
        ("s3:DeleteObjectVersion", LOCK),
        ("s3:DeleteBucket", RECORDS),
        ("sts:AssumeRole", ROLE),
        ("sts:AssumeRole", "arn:aws:iam::123456789012:role/admin"),
    ] {
        let request = Request { action, resource, context: &[OUR_ACCOUNT, AS_OPERATOR] };
        assert!(denies(&policy, request), "{action} on {resource}");
    }
    for (action, resource) in [
        ("s3:GetObject", "arn:aws:s3:::prod-sa-stand-2bx6vvlzwt/pool/acme/a.txt"),
        ("s3:PutObject", "arn:aws:s3:::prod-ta-acme-2bx6vvlzwt/tenantry/ledger/x"),
        ("s3:GetObject", "arn:aws:s3:::prod-sa-a-2bx6vvlzwt/pool/acme/tenantry/a.txt"),
        ("s3:DeleteObject", "arn:aws:s3:::prod-sa-a-b-2bx6vvlzwt/pool/acme/a.txt"),
        ("s3:GetObject", RECORD),
        ("s3:PutObject", LOCK),
        ("s3:DeleteObjectVersion", OBJECT),
    ] {
        let request = Request { action, resource, context: &[OUR_ACCOUNT, AS_OPERATOR] };
        assert!(allows(&policy, request), "{action} on {resource}");
    }
}

/// A customer's bucket whose name begins like ours, and whose keys have folders that end like ours.
#[test]
fn no_version_in_a_bucket_of_anothers_is_deleted() {
    for resource in [
        "arn:aws:s3:::prod-ta-documents/x-aaaaaaaaaa/payroll.csv",
        "arn:aws:s3:::prod-sa-customer/a-aaaaaaaaaa/b",
        "arn:aws:s3:::prod-ta-customer-2bx6vvlzwt/a",
    ] {
        let ask = Request { action: "s3:DeleteObjectVersion", resource, context: &[OUR_ACCOUNT] };
        assert!(!allows(&operator(), ask), "{resource}");
    }
}

#[test]
fn the_guard_is_in_the_way_of_nothing_that_the_operator_does() {
    let guard = organizations();
    for (action, grant) in operations().flat_map(|row| row.needs()) {
        for (resource, context) in ours(*grant) {
            let context = [context.to_vec(), vec![AS_OPERATOR]].concat();
            // What is being made has no id yet: it is asked for on any. What is there bears our tags.
            let (resource, more) = match (*action, *resource) {
                ("kms:TagResource", KEY) => ("arn:aws:kms:eu-central-1:123456789012:key/*", None),
                ("bedrock:TagResource", KNOWLEDGE_BASE) => {
                    ("arn:aws:bedrock:eu-central-1:123456789012:knowledge-base/*", None)
                }
                (_, resource) => (resource, Some(OUR_TAG)),
            };
            let context: Vec<_> = context.into_iter().chain(more).collect();
            assert!(
                !denies(&guard, Request { action, resource, context: &context }),
                "{action} on {resource}"
            );
        }
    }
    for (action, resource) in THERE {
        let context = [AS_OPERATOR, OUR_TAG, MADE_WITH_OUR_TAG];
        let tags_again = Request { action, resource, context: &context };
        assert!(!denies(&guard, tags_again), "its own tags are put right");
    }
    assert!(length(&guard) <= MAX_GUARD_CHARS, "{}", length(&guard));
}

/// Something that is there.
const THERE: [(&str, &str); 3] = [
    ("kms:TagResource", "arn:aws:kms:eu-central-1:123456789012:key/6f1e0c1e-0000-4000-8000-000000000001"),
    ("kms:TagResource", "arn:aws:kms:eu-central-1:123456789012:key/mrk-6f1e0c1e000040008000000000000001"),
    ("bedrock:TagResource", "arn:aws:bedrock:eu-central-1:123456789012:knowledge-base/KB12345678"),
];

/// S13: our tag was put on finance's key, and then it was ours to delete.
#[test]
fn under_the_guard_nothing_that_is_there_becomes_ours_by_a_tag() {
    let guard = organizations();
    let theirs = ("aws:ResourceTag/tenantry.dev/installation", "prod2");
    for (action, resource) in THERE {
        for tags in [&[AS_OPERATOR, MADE_WITH_OUR_TAG][..], &[AS_OPERATOR, MADE_WITH_OUR_TAG, theirs]] {
            assert!(
                denies(&guard, Request { action, resource, context: tags }),
                "{action} on {resource}: {tags:?}"
            );
        }
        let admin = ("aws:PrincipalArn", "arn:aws:iam::123456789012:role/admin");
        let context = [admin, MADE_WITH_OUR_TAG];
        assert!(!denies(&guard, Request { action, resource, context: &context }), "others tag as they like");
    }
}

/// S13, S14: the trust of a role was opened to somebody of the account.
#[test]
fn under_the_guard_nobody_of_the_account_uses_a_role_of_the_operators_making() {
    for by in [OPERATOR, "arn:aws:iam::123456789012:role/admin", "arn:aws:iam::123456789012:root"] {
        let context = [("aws:PrincipalArn", by)];
        let assume = |resource| Request { action: "sts:AssumeRole", resource, context: &context };
        assert!(denies(&organizations(), assume(ROLE)), "{by}");
        assert!(!denies(&organizations(), assume("arn:aws:iam::123456789012:role/another")), "{by}");
    }
}

/// Whoever comes by an identity provider signs nothing: no denial of a principal's binds them, only one of the role's.
#[test]
fn under_the_guard_of_resources_nobody_but_a_service_uses_a_role_of_the_operators_making() {
    let guard = resource_guard(&audience().scope);
    let of_another_account = ("aws:PrincipalArn", "arn:aws:iam::999999999999:role/thief");
    let (nobodys, services) = (("aws:PrincipalIsAWSService", "false"), ("aws:PrincipalIsAWSService", "true"));
    for action in ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"] {
        for context in [&[][..], &[nobodys], &[nobodys, AS_OPERATOR], &[nobodys, of_another_account]] {
            assert!(denies(&guard, Request { action, resource: ROLE, context }), "{action}: {context:?}");
            let another = Request { action, resource: "arn:aws:iam::123456789012:role/another", context };
            assert!(!denies(&guard, another), "{action}");
        }
        let bedrock = Request { action, resource: ROLE, context: &[services] };
        assert!(!denies(&guard, bedrock), "{action}");
    }
    // What AWS takes as such a policy: it denies, to everybody.
    for statement in guard["Statement"].as_array().unwrap() {
        assert_eq!((&statement["Effect"], &statement["Principal"]), (&json!("Deny"), &json!("*")));
    }
    let longest = resource_guard(&Scope::new("prod1234", "123456789012", "us-gov-west-1"));
    assert!(length(&longest) <= MAX_GUARD_CHARS, "{}", length(&longest));
}

/// S14: a role within the boundary that `docs/install.md` had read the whole account.
#[test]
fn a_role_within_the_boundary_reaches_nothing_of_anybody_elses() {
    let boundary = boundary(&audience().scope, &[], &VectorStore::ALL);
    let out_of_reach: [(&str, Sample); 15] = [
        (
            "s3vectors:QueryVectors",
            ("arn:aws:s3vectors:eu-central-1:123456789012:bucket/prod-media/index/x", &[]),
        ),
        ("s3vectors:ListVectors", (VECTOR_INDEX, &[])),
        ("s3:GetObject", ("arn:aws:s3:::other-bucket/payroll/x.csv", &[OUR_ACCOUNT])),
        ("s3:GetObject", ("arn:aws:s3:::prod-customer-data/documents/x.csv", &[OUR_ACCOUNT])),
        // A customer's own, whose names begin like ours.
        ("s3:GetObject", ("arn:aws:s3:::prod-ta-documents/documents/x.csv", &[OUR_ACCOUNT])),
        ("s3:GetObject", ("arn:aws:s3:::prod-ta-documents/x-aaaaaaaaaa/documents/x.csv", &[OUR_ACCOUNT])),
        ("s3:ListBucket", ("arn:aws:s3:::prod-ta-documents", &[OUR_ACCOUNT, ("s3:prefix", "documents/")])),
        ("aoss:APIAccessAll", (COLLECTION, &[("aoss:collection", "prod-ta-finance")])),
        ("s3:GetObject", ("arn:aws:s3:::prod-ta-acme-2bx6vvlzwt/documents/a.md", &[])),
        ("s3:GetObject", (RECORD, &[OUR_ACCOUNT])),
        (
            "s3:GetObject",
            ("arn:aws:s3:::prod-sa-stand-2bx6vvlzwt/tenantry/retained/acme.json", &[OUR_ACCOUNT]),
        ),
        ("aoss:APIAccessAll", (COLLECTION, &[("aoss:collection", "finance")])),
        ("kms:Decrypt", (KEY, &[])),
        ("kms:Decrypt", (KEY, &[LENT_TO_ANOTHER])),
        ("bedrock:InvokeModel", ("arn:aws:bedrock:eu-central-1:123456789012:custom-model/x/1", &[])),
    ];
    for (action, (resource, context)) in out_of_reach {
        assert!(!allows(&boundary, Request { action, resource, context }), "{action} on {resource}");
    }
    let within: [(&str, Sample); 5] = [
        ("s3vectors:QueryVectors", (VECTOR_INDEX, &[])),
        ("s3:GetObject", (OBJECT, &[OUR_ACCOUNT])),
        ("s3:GetObject", ("arn:aws:s3:::prod-sa-a-b-2bx6vvlzwt/bridge/acme/a/b.md", &[OUR_ACCOUNT])),
        ("s3:ListBucket", (BUCKET, &[OUR_ACCOUNT, ("s3:prefix", "documents/")])),
        ("aoss:APIAccessAll", (COLLECTION, &[OUR_COLLECTION])),
    ];
    for (action, (resource, context)) in within {
        assert!(allows(&boundary, Request { action, resource, context }), "{action} on {resource}");
    }
    let statements = boundary["Statement"].as_array().unwrap().iter();
    let actions: BTreeSet<_> = statements.flat_map(|it| crate::iam::list(&it["Action"])).collect();
    let actions: Vec<_> = actions.into_iter().collect();
    let needed = [
        "aoss:APIAccessAll",
        "bedrock:InvokeModel",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "s3:GetObject",
        "s3:ListBucket",
        "s3vectors:DeleteVectors",
        "s3vectors:GetIndex",
        "s3vectors:GetVectors",
        "s3vectors:PutVectors",
        "s3vectors:QueryVectors",
    ];
    assert_eq!(actions, needed);
    let widest = boundary_of_anywhere();
    assert!(length(&widest) <= MAX_MANAGED_CHARS, "{}", length(&widest));
    let titan = ["amazon.titan-embed-text-v2:0".to_string()];
    let narrow = tenantry::stack::iam::boundary::boundary(&audience().scope, &titan, &VectorStore::ALL);
    let invoke = |resource| Request { action: "bedrock:InvokeModel", resource, context: &[] };
    assert!(allows(&narrow, invoke(MODEL)));
    assert!(!allows(&narrow, invoke("arn:aws:bedrock:eu-central-1::foundation-model/another")));
}

fn boundary_of_anywhere() -> Value {
    boundary(&Scope::new("prod1234", "*", "*"), &[], &VectorStore::ALL)
}
