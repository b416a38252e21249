//! The least that the operator must be allowed in IAM: one statement for each [`Grant`], with the actions that the
//! rows of [`crate::stack::iam::operation`] need there. What deletes for good is a policy of its own, which may be withheld.
//!
//! What the operator makes bears its installation in name, path or tag, and only that may it change. It looks at
//! more: what is not there has no tags, and a refusal would hide whether it is. What it never does it is denied
//! ([`denials`]): it writes policies of buckets and roles, and could otherwise write itself into them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::grant::{DELETION_WINDOW_DAYS, Grant, Need};
use super::operation::Operation;
use crate::api::VectorStore;
use crate::stack::identity::Scope;
use crate::stack::layout::{LOCK, OPERATORS_OWN, POOL, RECORDS};
use crate::stack::lent;
use crate::stack::registry::Table;

/// What a role's inline policies may have together, white space not counted: room for all in one document.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
pub const MAX_INLINE_CHARS: usize = 10_240;
/// What a managed policy may have: room for one [`Part`].
pub const MAX_MANAGED_CHARS: usize = 6_144;

/// A part of the policy that is small enough for a managed policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Buckets, documents and keys, and the registry.
    Storage,
    /// Roles, vector stores and what they may do with keys, indexes and knowledge bases.
    Retrieval,
}

/// For whom a policy is made.
#[derive(Clone, Debug)]
pub struct Audience {
    /// The installation; account and region may be `*`, for any.
    pub scope: Scope,
    /// The operator's role, if it is known.
    pub role_arn: Option<String>,
    /// The permissions boundary that every role must be made with, if there is one.
    pub boundary_arn: Option<String>,
    /// The registry, if there is one.
    pub registry: Option<Table>,
    /// The bucket for records that an administrator has made, if the operator does not make it.
    pub installation_bucket: Option<String>,
    /// The vector stores that its stacks have. Of others the operator needs no right.
    pub stores: Vec<VectorStore>,
}

/// What the operator's role needs to build, look and repair, or one part of it.
pub fn operator(audience: &Audience, part: Option<Part>) -> Value {
    let mut policy = policy(audience, "", |(action, grant)| {
        !is_destructive(action) && part.is_none_or(|part| grant.part() == part)
    });
    if let Some(statements) = policy["Statement"].as_array_mut() {
        let denied = denials(audience).into_iter().filter(|(of, _)| part.is_none_or(|part| part == *of));
        statements.extend(denied.map(|(_, statement)| statement));
    }
    policy
}

/// What the operator never does. Whoever may write a bucket's policy, or a role's trust, can let themselves in by that, and
/// needs no other right then; only an explicit denial stands against it.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>
fn denials(audience: &Audience) -> [(Part, Value); 3] {
    let records = audience.bucket_of_records();
    let [stacks, _] = audience.scope.prefixes();
    let either = audience.scope.either();
    let folders = [(stacks.as_str(), POOL), (either.trim_end_matches('*'), OPERATORS_OWN)];
    // No key of a Silo or a Bridge tenant looks like one of these, whatever folders it names.
    let own = folders.into_iter().flat_map(|(prefix, folder)| {
        let buckets = Scope::of_each_length(prefix);
        buckets.map(move |name| format!("arn:{}:s3:::{name}/{folder}*", audience.scope.partition))
    });
    let own: Vec<_> = own.chain([format!("{records}/*")]).collect();
    // The bucket, and all that is in it.
    let records = [format!("{records}*")];
    [
        (
            Part::Storage,
            json!({"Sid": "NotTheirs", "Effect": "Deny", "NotResource": own,
                "Action": ["s3:DeleteObject", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]}),
        ),
        (
            Part::Storage,
            json!({"Sid": "RecordsStay", "Effect": "Deny", "Resource": records,
                // By a rule S3 itself deletes, or overwrites.
                "Action": ["s3:DeleteBucket", "s3:DeleteObject", "s3:DeleteObjectVersion",
                    "s3:PutLifecycleConfiguration", "s3:PutReplicationConfiguration"]}),
        ),
        (
            Part::Retrieval,
            json!({"Sid": "NoOtherRole", "Effect": "Deny", "Resource": ["*"], "Action": ["sts:AssumeRole"]}),
        ),
    ]
}

/// What it needs beside that to take apart: without it nothing that was built is ever deleted, and whatever must go waits
/// with `DeletionBlocked`. A Pool tenant with RetainDocuments has built nothing: its documents are moved.
pub fn destructive(audience: &Audience) -> Value {
    policy(audience, "Delete", |(action, _)| is_destructive(action))
}

/// Whether an action deletes for good. `s3:DeleteObject` is half of a move: without it a document that belongs to nobody
/// could not leave the pool. Where a bucket keeps versions it deletes nothing.
pub fn is_destructive(action: &str) -> bool {
    let verb = action.split_once(':').map_or(action, |(_, verb)| verb);
    action != "s3:DeleteObject" && (verb.starts_with("Delete") || verb == "ScheduleKeyDeletion")
}

/// One statement for each place, by its name; `verb` tells those of two policies apart that are attached together.
fn policy(audience: &Audience, verb: &str, holds: impl Fn(&Need) -> bool) -> Value {
    let mut grants: BTreeMap<Grant, BTreeSet<&str>> = BTreeMap::new();
    let operations =
        Operation::all().filter(|it| it.store().is_none_or(|store| audience.stores.contains(&store)));
    for (action, grant) in operations.flat_map(Operation::needs).filter(|need| holds(need)) {
        grants.entry(*grant).or_default().insert(action);
    }
    let statements = grants.iter().flat_map(|(grant, actions)| {
        let conditions = grant.conditions(audience, !verb.is_empty());
        conditions.into_iter().enumerate().map(move |(n, condition)| {
            let number = if n == 0 { String::new() } else { (n + 1).to_string() };
            let sid = format!("{verb}{grant:?}{number}");
            let resources = grant.resources(audience, !verb.is_empty());
            let mut statement =
                json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources});
            if let Some(condition) = condition {
                statement["Condition"] = condition;
            }
            statement
        })
    });
    json!({"Version": "2012-10-17", "Statement": statements.collect::<Vec<_>>()})
}

/// How long a policy is, as IAM counts.
pub fn length(policy: &Value) -> usize {
    // As long as nothing that the policy names has a space in it.
    policy.to_string().chars().filter(|c| !c.is_whitespace()).count()
}

impl Grant {
    fn part(self) -> Part {
        use Grant::*;
        match self {
            NewBuckets | Buckets | InstallationBucket | Records | Objects | OwnObjects | NewKeys
            | NewTags | OwnKeys | Keys | Aliases | KeysOfDocuments | Registry => Part::Storage,
            KeysOfCollections | KeysOfVectors | Lists | NewRoles | Roles | RolesSeen | OperatorRole
            | RolesPassed | ServiceLinkedRole | NewThings | Collections | OwnCollections | Policies
            | Indexes | InsideCollections | NewVectors | Vectors | OwnVectors | KnowledgeBases
            | OwnKnowledgeBases | FoundationModels | NotTheOperators => Part::Retrieval,
        }
    }

    fn resources(self, audience: &Audience, deletes: bool) -> Vec<String> {
        use Grant::*;
        let scope = &audience.scope;
        let Scope { account, partition, region, .. } = scope;
        let named = named(scope);
        let [stacks, tenants] = &named;
        let bucket = |name: &str| format!("arn:{partition}:s3:::{name}");
        let s3 = |what: &str| named.iter().map(|name| format!("{}{what}", bucket(name))).collect();
        let records = || audience.bucket_of_records();
        let role = |name: String| format!("arn:{partition}:iam::{account}:role{name}");
        // Nobody else has roles there.
        let ours = || role(format!("{}*", scope.role_path()));
        match self {
            NewBuckets => {
                let made = audience.installation_bucket.is_none().then(records);
                named.iter().map(|name| bucket(name)).chain(made).collect()
            }
            Buckets => s3(""),
            InstallationBucket => vec![records()],
            Records => vec![format!("{}/{LOCK}", records()), format!("{}/{RECORDS}*", records())],
            // Versions that are deleted are lost: of no bucket but ours.
            Objects if deletes => {
                let prefixes = scope.prefixes();
                let names = prefixes.iter().flat_map(|prefix| Scope::of_each_length(prefix));
                names.map(|name| bucket(&format!("{name}/*"))).collect()
            }
            Objects => s3("/*"),
            // Only a SharedStack has a pool.
            OwnObjects => [(stacks, POOL), (stacks, OPERATORS_OWN), (tenants, OPERATORS_OWN)]
                .map(|(name, prefix)| format!("{}/{prefix}*", bucket(name)))
                .to_vec(),
            NewTags => vec![scope.arn("kms", "key/*"), scope.arn("bedrock", "knowledge-base/*")],
            OwnKeys | Keys | KeysOfCollections | KeysOfVectors | KeysOfDocuments => {
                vec![scope.arn("kms", "key/*")]
            }
            // The `*` goes over the slashes of an index's ARN, too.
            NewVectors | OwnVectors if deletes || self == NewVectors => {
                named.iter().map(|name| scope.arn("s3vectors", &format!("bucket/{name}"))).collect()
            }
            // To look, or to change what bears our tag: with fewer letters.
            NewVectors | Vectors | OwnVectors => {
                vec![scope.arn("s3vectors", &format!("bucket/{}", scope.either()))]
            }
            Aliases => named.iter().map(|name| scope.arn("kms", &format!("alias/{name}"))).collect(),
            NewRoles | Roles | RolesPassed => vec![ours()],
            // To look, and no more: with fewer letters.
            RolesSeen => ["/", "/*/"].map(|path| role(format!("{path}{}", scope.either()))).to_vec(),
            OperatorRole => vec![audience.role_arn.clone().unwrap_or_else(|| role("/*".into()))],
            ServiceLinkedRole => vec![role(format!("/aws-service-role/{OBSERVABILITY}/*"))],
            OwnCollections | InsideCollections => vec![scope.arn("aoss", "collection/*")],
            KnowledgeBases | OwnKnowledgeBases => vec![scope.arn("bedrock", "knowledge-base/*")],
            NewKeys | Lists | NewThings | Collections | Policies | Indexes => vec!["*".into()],
            FoundationModels => vec![format!("arn:{partition}:bedrock:{region}::foundation-model/*")],
            Registry => {
                let table = audience.registry.iter().map(|table| format!("table/{}", table.name()));
                table.map(|table| scope.arn("dynamodb", &table)).collect()
            }
            NotTheOperators => Vec::new(),
        }
    }

    /// One statement for each: conditions in one statement must all hold, and this is how IAM says "or".
    fn conditions(self, audience: &Audience, deletes: bool) -> Vec<Option<Value>> {
        use Grant::*;
        let Scope { installation, account, region, .. } = &audience.scope;
        let made_with_our_tag =
            json!({"StringEquals": {format!("aws:RequestTag/{INSTALLATION}"): installation}});
        let our_tag = || json!({"StringEquals": {resource_tag(INSTALLATION): installation}});
        let our_names = json!({"StringLike": {"aoss:collection": named(&audience.scope)}});
        // Keys of ours, or that somebody lends. The operator itself sees to whom a key is lent.
        let keys = |used: Value| {
            let lent = json!({"Null": {resource_tag(lent::TAG): "false"}});
            [our_tag(), lent].map(|key| Some(all([key, used.clone()]))).to_vec()
        };
        // A policy may be about many: none of them may be another's, and it must be about some.
        let all_ours = || {
            json!({"ForAllValues:StringLike": {"aoss:collection": collections(&audience.scope)},
                "Null": {"aoss:collection": "false"}})
        };
        match self {
            NewBuckets | NewKeys | NewTags | NewThings | NewVectors => vec![Some(made_with_our_tag)],
            OwnKnowledgeBases | OwnVectors => vec![Some(our_tag())],
            // A tag can be put on what is another's; a name stays what it was.
            OwnCollections => vec![Some(all([our_tag(), our_names]))],
            OwnKeys if !deletes => vec![Some(our_tag())],
            // A key goes so late that somebody can cancel it, whoever has put our tag on it.
            OwnKeys => {
                let days = json!({"NumericEqualsIfExists": {"kms:ScheduleKeyDeletionPendingWindowInDays": DELETION_WINDOW_DAYS.to_string()}});
                vec![Some(all([our_tag(), days]))]
            }
            // Names of buckets are shared by all of AWS: one of ours may be another account's.
            Buckets | InstallationBucket | Records | Objects | OwnObjects if account != "*" => {
                vec![Some(json!({"StringEquals": {"aws:ResourceAccount": account}}))]
            }
            KeysOfCollections => keys(json!({"Bool": {"kms:GrantIsForAWSResource": "true"},
                "StringLike": {"kms:ViaService": format!("aoss.{region}.amazonaws.com")},
                "ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt", "GenerateDataKey"]}})),
            KeysOfVectors => {
                keys(json!({"StringLike": {"kms:ViaService": format!("s3vectors.{region}.amazonaws.com")}}))
            }
            // Whatever key that is: under it nothing can be read but what lies in our buckets.
            KeysOfDocuments => vec![Some(json!({"StringLike": {
                "kms:ViaService": format!("s3.{region}.amazonaws.com"),
                "kms:EncryptionContext:aws:s3:arn": audience.encrypted_for(),
            }}))],
            NewRoles => {
                let boundary = audience.boundary_arn.as_ref();
                vec![boundary.map(|arn| json!({"StringEquals": {"iam:PermissionsBoundary": arn}}))]
            }
            RolesPassed => {
                vec![Some(json!({"StringEquals": {"iam:PassedToService": "bedrock.amazonaws.com"}}))]
            }
            ServiceLinkedRole => vec![Some(json!({"StringEquals": {"iam:AWSServiceName": OBSERVABILITY}}))],
            Policies => vec![Some(all_ours())],
            InsideCollections => vec![Some(our_names)],
            Registry => audience.registry.iter().map(|_| None).collect(),
            NotTheOperators => Vec::new(),
            Buckets | InstallationBucket | Records | Objects | OwnObjects | Keys | Aliases | Lists
            | Roles | RolesSeen | OperatorRole | Collections | Indexes | Vectors | KnowledgeBases
            | FoundationModels => vec![None],
        }
    }
}

/// What the name of a thing has after its beginning: as much of its id as there is room for, and a hash of ten characters.
const NAME: &str = "*-??????????";
/// The tag that says whose a thing is.
pub(super) const INSTALLATION: &str = "tenantry.dev/installation";

/// The condition key of a resource's tag.
pub(super) fn resource_tag(tag: &str) -> String {
    format!("aws:ResourceTag/{tag}")
}

/// What things of an installation are called: a SharedStack's, and a tenant's. The `*` goes over slashes, of which a bucket's own
/// ARN, an alias of ours and a collection have none.
pub(super) fn named(scope: &Scope) -> [String; 2] {
    scope.prefixes().map(|prefix| format!("{prefix}{NAME}"))
}

/// Policies over collections of our names. They name them by pattern, and a pattern ends as no name does.
fn collections(scope: &Scope) -> [String; 2] {
    scope.prefixes().map(|prefix| format!("{prefix}*"))
}

impl Audience {
    fn bucket_of_records(&self) -> String {
        let given = self.installation_bucket.clone();
        let name = given.unwrap_or_else(|| self.scope.installation_bucket());
        format!("arn:{}:s3:::{name}", self.scope.partition)
    }

    /// What S3 encrypts for us, as it tells KMS: an object, or, where the bucket has a key of its own, the bucket.
    fn encrypted_for(&self) -> Vec<String> {
        let buckets =
            self.scope.prefixes().map(|prefix| format!("arn:{}:s3:::{prefix}*", self.scope.partition));
        buckets.into_iter().chain([format!("{}*", self.bucket_of_records())]).collect()
    }
}

/// The service whose linked role an account's first collection needs.
/// <https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-service-linked-roles.html>
const OBSERVABILITY: &str = "observability.aoss.amazonaws.com";

/// Conditions that must all hold, as one; no two of them compare the same key in the same way.
pub(super) fn all<const N: usize>(conditions: [Value; N]) -> Value {
    let mut together = serde_json::Map::new();
    for (how, keys) in conditions.into_iter().filter_map(|it| it.as_object().cloned()).flatten() {
        let all = together.entry(how).or_insert_with(|| json!({}));
        if let (Some(all), Value::Object(keys)) = (all.as_object_mut(), keys) {
            all.extend(keys);
        }
    }
    together.into()
}
