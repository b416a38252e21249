//! The least that the operator must be allowed in IAM: one statement for each [`Grant`], with the actions that the
//! rows of [`crate::stack::iam::operation`] need there. What deletes for good is a policy of its own, which may be withheld.
//!
//! What the operator makes bears its installation in name, path or tag, and only that may it change. It looks at
//! more: what is not there has no tags, and a refusal would hide whether it is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::grant::{Grant, Need};
use super::operation::Operation;
use crate::api::GROUP;
use crate::stack::identity::Scope;
use crate::stack::layout::{LOCK, OPERATORS_OWN, POOL, RECORDS};
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
    /// Roles, collections, indexes and knowledge bases.
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
}

/// What the operator's role needs to build, look and repair, or one part of it.
pub fn operator(audience: &Audience, part: Option<Part>) -> Value {
    policy(audience, "", |(action, grant)| {
        !is_destructive(action) && part.is_none_or(|part| grant.part() == part)
    })
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
    for (action, grant) in Operation::all().flat_map(Operation::needs).filter(|need| holds(need)) {
        grants.entry(*grant).or_default().insert(action);
    }
    let statements = grants.iter().flat_map(|(grant, actions)| {
        let conditions = grant.conditions(audience);
        conditions.into_iter().enumerate().map(move |(n, condition)| {
            let number = if n == 0 { String::new() } else { (n + 1).to_string() };
            let sid = format!("{verb}{grant:?}{number}");
            let resources = grant.resources(audience);
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
            | NewKeysTags | OwnKeys | Keys | Aliases | KeysOfCollections | KeysOfDocuments | Registry => {
                Part::Storage
            }
            Lists
            | NewRoles
            | Roles
            | RolesSeen
            | OperatorRole
            | RolesPassed
            | ServiceLinkedRole
            | NewCollections
            | Collections
            | OwnCollections
            | Policies
            | Indexes
            | InsideCollections
            | NewKnowledgeBases
            | NewKnowledgeBasesTags
            | KnowledgeBases
            | OwnKnowledgeBases
            | FoundationModels
            | NotTheOperators => Part::Retrieval,
        }
    }

    fn resources(self, audience: &Audience) -> Vec<String> {
        use Grant::*;
        let scope = &audience.scope;
        let Scope { installation, account, partition, region, .. } = scope;
        // The second word of a bucket's name says that it is a tenant's or a SharedStack's.
        let s3 = |name: &str| vec![format!("arn:{partition}:s3:::{installation}-?a-{name}")];
        let records = || {
            let given = audience.installation_bucket.clone();
            format!("arn:{partition}:s3:::{}", given.unwrap_or_else(|| scope.installation_bucket()))
        };
        let role = |name: String| format!("arn:{partition}:iam::{account}:role{name}");
        let ours = || role(format!("{}*", scope.role_path()));
        match self {
            NewBuckets => {
                let made = audience.installation_bucket.is_none().then(records);
                s3("*").into_iter().chain(made).collect()
            }
            Buckets => s3("*"),
            InstallationBucket => vec![records()],
            Records => vec![format!("{}/{LOCK}", records()), format!("{}/{RECORDS}*", records())],
            Objects => s3("*/*"),
            OwnObjects => {
                [POOL, OPERATORS_OWN].iter().flat_map(|prefix| s3(&format!("*/{prefix}*"))).collect()
            }
            NewKeysTags | OwnKeys | Keys | KeysOfCollections | KeysOfDocuments => {
                vec![scope.arn("kms", "key/*")]
            }
            Aliases => vec![scope.arn("kms", &format!("alias/{installation}-*"))],
            NewRoles | Roles | RolesPassed => vec![ours()],
            RolesSeen => vec![role(format!("/{installation}-*")), role(format!("/*/{installation}-*"))],
            OperatorRole => vec![audience.role_arn.clone().unwrap_or_else(|| role("/*".into()))],
            ServiceLinkedRole => vec![role(format!("/aws-service-role/{OBSERVABILITY}/*"))],
            OwnCollections | InsideCollections => vec![scope.arn("aoss", "collection/*")],
            NewKnowledgeBasesTags | KnowledgeBases | OwnKnowledgeBases => {
                vec![scope.arn("bedrock", "knowledge-base/*")]
            }
            NewKeys | Lists | NewCollections | Collections | Policies | Indexes | NewKnowledgeBases => {
                vec!["*".into()]
            }
            FoundationModels => vec![format!("arn:{partition}:bedrock:{region}::foundation-model/*")],
            Registry => {
                let table = audience.registry.iter().map(|table| format!("table/{}", table.name()));
                table.map(|table| scope.arn("dynamodb", &table)).collect()
            }
            NotTheOperators => Vec::new(),
        }
    }

    /// One statement for each: conditions in one statement must all hold, and this is how IAM says "or".
    fn conditions(self, audience: &Audience) -> Vec<Option<Value>> {
        use Grant::*;
        let Scope { installation, account, region, .. } = &audience.scope;
        let made_with_our_tag =
            json!({"StringEquals": {format!("aws:RequestTag/{GROUP}/installation"): installation}});
        let our_tag =
            json!({"StringEquals": {format!("aws:ResourceTag/{GROUP}/installation"): installation}});
        // The operator itself sees whether the tag's value allows this installation or namespace.
        let lent = json!({"Null": {format!("aws:ResourceTag/{GROUP}/allow"): "false"}});
        let our_names = json!({"StringLike": {"aoss:collection": format!("{installation}-*")}});
        let by = |service: &str| json!({"StringLike": {"kms:ViaService": format!("{service}.{region}.amazonaws.com")}});
        match self {
            NewBuckets
            | NewKeys
            | NewKeysTags
            | NewCollections
            | NewKnowledgeBases
            | NewKnowledgeBasesTags => {
                vec![Some(made_with_our_tag)]
            }
            OwnKeys | OwnCollections | OwnKnowledgeBases => vec![Some(our_tag)],
            // Names of buckets are shared by all of AWS: one of ours may be another account's.
            Buckets | InstallationBucket | Records | Objects | OwnObjects if account != "*" => {
                vec![Some(json!({"StringEquals": {"aws:ResourceAccount": account}}))]
            }
            KeysOfCollections => {
                let grant = json!({"Bool": {"kms:GrantIsForAWSResource": "true"},
                    "ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt", "GenerateDataKey"]}});
                [our_tag, lent].map(|key| Some(all([key, by("aoss"), grant.clone()]))).to_vec()
            }
            KeysOfDocuments => [our_tag, lent].map(|key| Some(all([key, by("s3")]))).to_vec(),
            NewRoles => {
                let boundary = audience.boundary_arn.as_ref();
                vec![boundary.map(|arn| json!({"StringEquals": {"iam:PermissionsBoundary": arn}}))]
            }
            RolesPassed => {
                vec![Some(json!({"StringEquals": {"iam:PassedToService": "bedrock.amazonaws.com"}}))]
            }
            ServiceLinkedRole => vec![Some(json!({"StringEquals": {"iam:AWSServiceName": OBSERVABILITY}}))],
            Policies | InsideCollections => vec![Some(our_names)],
            Registry => audience.registry.iter().map(|_| None).collect(),
            NotTheOperators => Vec::new(),
            Buckets | InstallationBucket | Records | Objects | OwnObjects | Keys | Aliases | Lists
            | Roles | RolesSeen | OperatorRole | Collections | Indexes | KnowledgeBases
            | FoundationModels => vec![None],
        }
    }
}

/// The service whose linked role an account's first collection needs.
/// <https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-service-linked-roles.html>
const OBSERVABILITY: &str = "observability.aoss.amazonaws.com";

/// Conditions that must all hold, as one; no two of them compare the same way.
fn all<const N: usize>(conditions: [Value; N]) -> Value {
    conditions.into_iter().filter_map(|it| it.as_object().cloned()).flatten().collect()
}
