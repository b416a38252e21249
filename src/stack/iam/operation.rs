//! Everything that the program asks of AWS: one row an operation, with what it does and what IAM must allow for it.
//!
//! An adapter can only make a call that has a row: a call begins with its [`Operation`], and nothing outside of this
//! file can make one. The operator's policy ([`super::permissions`]) and what a refused call tells a person to allow
//! are read from the same rows, so that neither can fall behind the code.
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>

use super::grant::Grant::*;
use super::grant::Need;
use crate::api::VectorStore;

/// One operation of one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    service: &'static str,
    name: &'static str,
    effect: Effect,
    needs: &'static [Need],
}

/// What an operation does in AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Effect {
    /// It changes nothing.
    Reads,
    /// It may change something: whoever no longer leads must not call it.
    Changes,
}

impl Operation {
    /// The IAM prefix of its service, such as `aoss`, or `aoss_endpoint`.
    pub const fn service(&self) -> &'static str {
        self.service
    }

    /// The vector store for which it is called, if it is for one alone.
    pub fn store(&self) -> Option<VectorStore> {
        match (self.service, self.name) {
            ("aoss" | "aoss_endpoint", _) => Some(VectorStore::OpenSearchServerless),
            ("s3vectors", _) | ("kms", "GetKeyPolicy") => Some(VectorStore::S3Vectors),
            _ => None,
        }
    }

    /// Its name in AWS's API, such as `CreateCollection`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What IAM must allow, the action of its own name first.
    pub const fn needs(&self) -> &'static [Need] {
        self.needs
    }

    /// Whether it may change anything in AWS.
    pub const fn changes(&self) -> bool {
        matches!(self.effect, Effect::Changes)
    }

    /// How many such calls a second AWS grants to an account and region, where it says so.
    /// <https://docs.aws.amazon.com/general/latest/gr/bedrock.html>
    pub fn per_second(&self) -> Option<f64> {
        match (self.service, self.name) {
            ("bedrock", "StartIngestionJob") => Some(0.1),
            (
                "bedrock",
                "CreateKnowledgeBase"
                | "DeleteKnowledgeBase"
                | "CreateDataSource"
                | "UpdateDataSource"
                | "DeleteDataSource",
            ) => Some(2.0),
            (
                "bedrock",
                "GetKnowledgeBase" | "ListKnowledgeBases" | "GetDataSource" | "ListDataSources"
                | "GetIngestionJob" | "ListIngestionJobs",
            ) => Some(10.0),
            ("bedrock", "ListKnowledgeBaseDocuments") => Some(5.0),
            ("bedrock", "Retrieve") => Some(20.0),
            _ => None,
        }
    }

    /// All rows, service by service.
    pub fn all() -> impl Iterator<Item = &'static Operation> {
        TABLES.iter().copied().flatten()
    }

    /// The row of an operation.
    pub fn find(service: &str, name: &str) -> Option<&'static Operation> {
        Self::all().find(|operation| (operation.service, operation.name) == (service, name))
    }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $service:ident { $($name:ident: $effect:ident $needs:expr,)* })*) => {
        $(
            $(#[$doc])*
            #[allow(non_upper_case_globals, missing_docs)] // They bear the names that AWS gives them.
            pub mod $service {
                use super::*;
                $(pub const $name: Operation = Operation {
                    service: stringify!($service),
                    name: stringify!($name),
                    effect: Effect::$effect,
                    needs: &$needs,
                };)*
                pub(super) const ALL: &[Operation] = &[$($name),*];
            }
        )*
        const TABLES: &[&[Operation]] = &[$($service::ALL),*];
    };
}

operations! {
    /// S3. A bucket under a customer key also asks KMS, for the key that its objects are encrypted with.
    s3 {
        CreateBucket: Changes [("s3:CreateBucket", NewBuckets), ("s3:TagResource", NewBuckets)],
        DeleteBucket: Changes [("s3:DeleteBucket", Buckets)],
        HeadBucket: Reads [("s3:ListBucket", Buckets), ("s3:ListBucket", InstallationBucket)],
        GetBucketTagging: Reads [("s3:GetBucketTagging", Buckets), ("s3:GetBucketTagging", InstallationBucket)],
        PutBucketTagging: Changes [("s3:PutBucketTagging", Buckets)],
        GetPublicAccessBlock: Reads [("s3:GetBucketPublicAccessBlock", Buckets)],
        PutPublicAccessBlock: Changes [("s3:PutBucketPublicAccessBlock", Buckets)],
        GetBucketOwnershipControls: Reads [("s3:GetBucketOwnershipControls", Buckets)],
        PutBucketOwnershipControls: Changes [("s3:PutBucketOwnershipControls", Buckets)],
        GetBucketPolicy: Reads [("s3:GetBucketPolicy", Buckets), ("s3:GetBucketPolicy", InstallationBucket)],
        PutBucketPolicy: Changes [("s3:PutBucketPolicy", Buckets), ("s3:PutBucketPolicy", InstallationBucket)],
        GetBucketEncryption: Reads [("s3:GetEncryptionConfiguration", Buckets)],
        PutBucketEncryption: Changes [("s3:PutEncryptionConfiguration", Buckets)],
        GetBucketVersioning: Reads [("s3:GetBucketVersioning", Buckets), ("s3:GetBucketVersioning", InstallationBucket)],
        PutBucketVersioning: Changes [("s3:PutBucketVersioning", Buckets), ("s3:PutBucketVersioning", InstallationBucket)],
        GetBucketLifecycleConfiguration: Reads [("s3:GetLifecycleConfiguration", Buckets)],
        PutBucketLifecycleConfiguration: Changes [("s3:PutLifecycleConfiguration", Buckets)],
        DeleteBucketLifecycle: Changes [("s3:PutLifecycleConfiguration", Buckets)],
        // `tenantry retained` looks for buckets as whoever runs it.
        ListBuckets: Reads [("s3:ListAllMyBuckets", NotTheOperators)],
        ListObjectsV2: Reads [("s3:ListBucket", Buckets), ("s3:ListBucket", InstallationBucket)],
        ListObjectVersions: Reads [("s3:ListBucketVersions", Buckets)],
        ListMultipartUploads: Reads [("s3:ListBucketMultipartUploads", Buckets)],
        GetObject: Reads [("s3:GetObject", OwnObjects), ("s3:GetObject", Records), ("kms:Decrypt", KeysOfDocuments)],
        PutObject: Changes [("s3:PutObject", OwnObjects), ("s3:PutObject", Records), ("kms:GenerateDataKey", KeysOfDocuments)],
        CopyObject: Changes [
            ("s3:GetObject", OwnObjects), ("s3:PutObject", OwnObjects),
            ("kms:Decrypt", KeysOfDocuments), ("kms:GenerateDataKey", KeysOfDocuments),
        ],
        // By key it is the second half of a move; whatever is deleted for good is deleted by version.
        DeleteObjects: Changes [("s3:DeleteObject", OwnObjects), ("s3:DeleteObjectVersion", Objects)],
        // For keys that XML cannot write.
        DeleteObject: Changes [("s3:DeleteObject", OwnObjects), ("s3:DeleteObjectVersion", Objects)],
        HeadObject: Reads [("s3:GetObject", OwnObjects), ("kms:Decrypt", KeysOfDocuments)],
        GetObjectRetention: Reads [("s3:GetObjectRetention", Objects)],
        AbortMultipartUpload: Changes [("s3:AbortMultipartUpload", Objects)],
    }
    /// KMS.
    kms {
        CreateKey: Changes [("kms:CreateKey", NewKeys), ("kms:TagResource", NewTags)],
        // Both the alias and its key must allow it.
        CreateAlias: Changes [("kms:CreateAlias", Aliases), ("kms:CreateAlias", OwnKeys)],
        DeleteAlias: Changes [("kms:DeleteAlias", Aliases), ("kms:DeleteAlias", OwnKeys)],
        ScheduleKeyDeletion: Changes [("kms:ScheduleKeyDeletion", OwnKeys)],
        TagResource: Changes [("kms:TagResource", NewTags)],
        DescribeKey: Reads [("kms:DescribeKey", Keys)],
        ListResourceTags: Reads [("kms:ListResourceTags", Keys)],
        ListKeys: Reads [("kms:ListKeys", Lists)],
        // Whether a key of somebody's own lets S3 Vectors index.
        GetKeyPolicy: Reads [("kms:GetKeyPolicy", Keys)],
    }
    /// IAM.
    iam {
        CreateRole: Changes [("iam:CreateRole", NewRoles), ("iam:TagRole", Roles)],
        // The operator also looks itself up, for its path, which STS leaves out.
        GetRole: Reads [("iam:GetRole", RolesSeen), ("iam:GetRole", OperatorRole)],
        ListRolePolicies: Reads [("iam:ListRolePolicies", RolesSeen)],
        GetRolePolicy: Reads [("iam:GetRolePolicy", RolesSeen)],
        PutRolePermissionsBoundary: Changes [("iam:PutRolePermissionsBoundary", NewRoles)],
        TagRole: Changes [("iam:TagRole", Roles)],
        PutRolePolicy: Changes [("iam:PutRolePolicy", NewRoles)],
        UpdateAssumeRolePolicy: Changes [("iam:UpdateAssumeRolePolicy", Roles)],
        DeleteRolePolicy: Changes [("iam:DeleteRolePolicy", Roles)],
        DeleteRole: Changes [("iam:DeleteRole", Roles)],
    }
    /// OpenSearch Serverless. Whoever puts a collection under a customer key must be able to let AOSS use that key.
    aoss {
        CreateCollection: Changes [
            ("aoss:CreateCollection", NewThings), ("aoss:TagResource", NewThings),
            ("iam:CreateServiceLinkedRole", ServiceLinkedRole),
            ("kms:DescribeKey", Keys), ("kms:CreateGrant", KeysOfCollections),
        ],
        BatchGetCollection: Reads [("aoss:BatchGetCollection", Collections)],
        ListCollections: Reads [("aoss:ListCollections", NotTheOperators)],
        ListTagsForResource: Reads [("aoss:ListTagsForResource", Collections)],
        TagResource: Changes [("aoss:TagResource", NewThings)],
        DeleteCollection: Changes [("aoss:DeleteCollection", OwnCollections)],
        CreateSecurityPolicy: Changes [
            ("aoss:CreateSecurityPolicy", Policies),
            ("kms:DescribeKey", Keys), ("kms:CreateGrant", KeysOfCollections),
        ],
        GetSecurityPolicy: Reads [("aoss:GetSecurityPolicy", Collections)],
        UpdateSecurityPolicy: Changes [("aoss:UpdateSecurityPolicy", Policies)],
        DeleteSecurityPolicy: Changes [("aoss:DeleteSecurityPolicy", Policies)],
        CreateAccessPolicy: Changes [("aoss:CreateAccessPolicy", Policies)],
        GetAccessPolicy: Reads [("aoss:GetAccessPolicy", Collections)],
        UpdateAccessPolicy: Changes [("aoss:UpdateAccessPolicy", Policies)],
        DeleteAccessPolicy: Changes [("aoss:DeleteAccessPolicy", Policies)],
        CreateIndex: Changes [("aoss:CreateIndex", Indexes), ("aoss:APIAccessAll", InsideCollections)],
        GetIndex: Reads [("aoss:GetIndex", Indexes), ("aoss:APIAccessAll", InsideCollections)],
        UpdateIndex: Changes [("aoss:UpdateIndex", Indexes), ("aoss:APIAccessAll", InsideCollections)],
        DeleteIndex: Changes [("aoss:DeleteIndex", Indexes), ("aoss:APIAccessAll", InsideCollections)],
    }
    /// A collection's own endpoint: OpenSearch's own operations, for which IAM has one action.
    aoss_endpoint {
        PutIndex: Changes [("aoss:APIAccessAll", InsideCollections)],
        GetIndex: Reads [("aoss:APIAccessAll", InsideCollections)],
        PutMapping: Changes [("aoss:APIAccessAll", InsideCollections)],
        DeleteIndex: Changes [("aoss:APIAccessAll", InsideCollections)],
    }
    /// S3 Vectors. No row has a call that reads or writes a vector.
    s3vectors {
        CreateVectorBucket: Changes [
            ("s3vectors:CreateVectorBucket", NewVectors), ("s3vectors:TagResource", NewVectors),
            ("kms:GenerateDataKey", KeysOfVectors),
        ],
        GetVectorBucket: Reads [("s3vectors:GetVectorBucket", Vectors)],
        ListVectorBuckets: Reads [("s3vectors:ListVectorBuckets", NotTheOperators)],
        PutVectorBucketDefaultIndexMode: Changes [("s3vectors:PutVectorBucketDefaultIndexMode", OwnVectors)],
        GetVectorBucketPolicy: Reads [("s3vectors:GetVectorBucketPolicy", Vectors)],
        PutVectorBucketPolicy: Changes [("s3vectors:PutVectorBucketPolicy", OwnVectors)],
        DeleteVectorBucket: Changes [("s3vectors:DeleteVectorBucket", OwnVectors)],
        CreateIndex: Changes [
            ("s3vectors:CreateIndex", NewVectors), ("s3vectors:TagResource", NewVectors),
            ("kms:GenerateDataKey", KeysOfVectors),
        ],
        GetIndex: Reads [("s3vectors:GetIndex", Vectors)],
        UpdateIndexMode: Changes [("s3vectors:UpdateIndexMode", OwnVectors)],
        DeleteIndex: Changes [("s3vectors:DeleteIndex", OwnVectors)],
        ListTagsForResource: Reads [("s3vectors:ListTagsForResource", Vectors)],
        TagResource: Changes [("s3vectors:TagResource", NewVectors)],
    }
    /// Bedrock.
    bedrock {
        CreateKnowledgeBase: Changes [
            ("bedrock:CreateKnowledgeBase", NewThings), ("bedrock:TagResource", NewTags),
            ("iam:PassRole", RolesPassed),
        ],
        ListKnowledgeBases: Reads [("bedrock:ListKnowledgeBases", Lists)],
        GetKnowledgeBase: Reads [("bedrock:GetKnowledgeBase", KnowledgeBases)],
        ListTagsForResource: Reads [("bedrock:ListTagsForResource", KnowledgeBases)],
        TagResource: Changes [("bedrock:TagResource", NewTags)],
        DeleteKnowledgeBase: Changes [("bedrock:DeleteKnowledgeBase", OwnKnowledgeBases)],
        ListDataSources: Reads [("bedrock:ListDataSources", KnowledgeBases)],
        GetDataSource: Reads [("bedrock:GetDataSource", KnowledgeBases)],
        CreateDataSource: Changes [("bedrock:CreateDataSource", OwnKnowledgeBases)],
        UpdateDataSource: Changes [("bedrock:UpdateDataSource", OwnKnowledgeBases)],
        DeleteDataSource: Changes [("bedrock:DeleteDataSource", OwnKnowledgeBases)],
        ListIngestionJobs: Reads [("bedrock:ListIngestionJobs", KnowledgeBases)],
        GetIngestionJob: Reads [("bedrock:GetIngestionJob", KnowledgeBases)],
        ListKnowledgeBaseDocuments: Reads [("bedrock:ListKnowledgeBaseDocuments", KnowledgeBases)],
        StartIngestionJob: Changes [("bedrock:StartIngestionJob", OwnKnowledgeBases)],
        StopIngestionJob: Changes [("bedrock:StopIngestionJob", OwnKnowledgeBases)],
        GetFoundationModel: Reads [("bedrock:GetFoundationModel", FoundationModels)],
        // `tenantry retrieve` asks as whoever runs it; the operator asks no questions.
        Retrieve: Reads [("bedrock:Retrieve", NotTheOperators)],
    }
    /// DynamoDB: items of the registry, where there is one.
    dynamodb {
        GetItem: Reads [("dynamodb:GetItem", Registry)],
        UpdateItem: Changes [("dynamodb:UpdateItem", Registry)],
    }
    /// STS. IAM cannot forbid the question who one is.
    sts {
        GetCallerIdentity: Reads [],
        // The gateway's alone: what its own role must allow is not in the operator's policy.
        AssumeRole: Reads [],
    }
}
