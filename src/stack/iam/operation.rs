//! Everything that the program asks of AWS: one row an operation, with what IAM must allow for it.
//!
//! An adapter can only make a call that has a row: a call begins with its [`Operation`], and nothing outside of this
//! file can make one. The operator's policy ([`super::permissions`]) and what a refused call tells a person to allow
//! are read from the same rows, so that neither can fall behind the code.
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>

use super::grant::Grant::*;
use super::grant::Need;

/// One operation of one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    service: &'static str,
    name: &'static str,
    needs: &'static [Need],
}

impl Operation {
    /// The IAM prefix of its service, such as `aoss`, or `aoss_endpoint`.
    pub const fn service(&self) -> &'static str {
        self.service
    }

    /// Its name in AWS's API, such as `CreateCollection`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What IAM must allow, the action of its own name first.
    pub const fn needs(&self) -> &'static [Need] {
        self.needs
    }

    /// Whether it changes anything in AWS. What is new does, until its verb is named here.
    pub fn changes(&self) -> bool {
        const READS: [&str; 6] = ["Get", "List", "Head", "Describe", "BatchGet", "Retrieve"];
        !READS.iter().any(|verb| self.name.starts_with(verb))
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
    ($($(#[$doc:meta])* $service:ident { $($name:ident: $needs:expr,)* })*) => {
        $(
            $(#[$doc])*
            #[allow(non_upper_case_globals, missing_docs)] // They bear the names that AWS gives them.
            pub mod $service {
                use super::*;
                $(pub const $name: Operation =
                    Operation { service: stringify!($service), name: stringify!($name), needs: &$needs };)*
                pub(super) const ALL: &[Operation] = &[$($name),*];
            }
        )*
        const TABLES: &[&[Operation]] = &[$($service::ALL),*];
    };
}

operations! {
    /// S3. A bucket under a customer key also asks KMS, for the key that its objects are encrypted with.
    s3 {
        CreateBucket: [("s3:CreateBucket", NewBuckets), ("s3:TagResource", NewBuckets)],
        DeleteBucket: [("s3:DeleteBucket", Buckets)],
        HeadBucket: [("s3:ListBucket", Buckets), ("s3:ListBucket", InstallationBucket)],
        GetBucketTagging: [("s3:GetBucketTagging", Buckets), ("s3:GetBucketTagging", InstallationBucket)],
        PutBucketTagging: [("s3:PutBucketTagging", Buckets)],
        GetPublicAccessBlock: [("s3:GetBucketPublicAccessBlock", Buckets)],
        PutPublicAccessBlock: [("s3:PutBucketPublicAccessBlock", Buckets)],
        GetBucketOwnershipControls: [("s3:GetBucketOwnershipControls", Buckets)],
        PutBucketOwnershipControls: [("s3:PutBucketOwnershipControls", Buckets)],
        GetBucketPolicy: [("s3:GetBucketPolicy", Buckets), ("s3:GetBucketPolicy", InstallationBucket)],
        PutBucketPolicy: [("s3:PutBucketPolicy", Buckets), ("s3:PutBucketPolicy", InstallationBucket)],
        GetBucketEncryption: [("s3:GetEncryptionConfiguration", Buckets)],
        PutBucketEncryption: [("s3:PutEncryptionConfiguration", Buckets)],
        GetBucketVersioning: [("s3:GetBucketVersioning", Buckets), ("s3:GetBucketVersioning", InstallationBucket)],
        PutBucketVersioning: [("s3:PutBucketVersioning", Buckets), ("s3:PutBucketVersioning", InstallationBucket)],
        GetBucketLifecycleConfiguration: [("s3:GetLifecycleConfiguration", Buckets)],
        PutBucketLifecycleConfiguration: [("s3:PutLifecycleConfiguration", Buckets)],
        DeleteBucketLifecycle: [("s3:PutLifecycleConfiguration", Buckets)],
        // `tenantry retained` looks for buckets as whoever runs it.
        ListBuckets: [("s3:ListAllMyBuckets", NotTheOperators)],
        ListObjectsV2: [("s3:ListBucket", Buckets), ("s3:ListBucket", InstallationBucket)],
        ListObjectVersions: [("s3:ListBucketVersions", Buckets)],
        ListMultipartUploads: [("s3:ListBucketMultipartUploads", Buckets)],
        GetObject: [("s3:GetObject", OwnObjects), ("s3:GetObject", Records), ("kms:Decrypt", KeysOfDocuments)],
        PutObject: [("s3:PutObject", OwnObjects), ("s3:PutObject", Records), ("kms:GenerateDataKey", KeysOfDocuments)],
        CopyObject: [
            ("s3:GetObject", OwnObjects), ("s3:PutObject", OwnObjects),
            ("kms:Decrypt", KeysOfDocuments), ("kms:GenerateDataKey", KeysOfDocuments),
        ],
        // By key it is the second half of a move; whatever is deleted for good is deleted by version.
        DeleteObjects: [("s3:DeleteObject", OwnObjects), ("s3:DeleteObjectVersion", Objects)],
        // For keys that XML cannot write.
        DeleteObject: [("s3:DeleteObject", OwnObjects), ("s3:DeleteObjectVersion", Objects)],
        HeadObject: [("s3:GetObject", OwnObjects), ("kms:Decrypt", KeysOfDocuments)],
        GetObjectRetention: [("s3:GetObjectRetention", Objects)],
        AbortMultipartUpload: [("s3:AbortMultipartUpload", Objects)],
    }
    /// KMS.
    kms {
        CreateKey: [("kms:CreateKey", NewKeys), ("kms:TagResource", NewTags)],
        // Both the alias and its key must allow it.
        CreateAlias: [("kms:CreateAlias", Aliases), ("kms:CreateAlias", OwnKeys)],
        DeleteAlias: [("kms:DeleteAlias", Aliases), ("kms:DeleteAlias", OwnKeys)],
        ScheduleKeyDeletion: [("kms:ScheduleKeyDeletion", OwnKeys)],
        TagResource: [("kms:TagResource", NewTags)],
        DescribeKey: [("kms:DescribeKey", Keys)],
        ListResourceTags: [("kms:ListResourceTags", Keys)],
        ListKeys: [("kms:ListKeys", Lists)],
    }
    /// IAM.
    iam {
        CreateRole: [("iam:CreateRole", NewRoles), ("iam:TagRole", Roles)],
        // The operator also looks itself up, for its path, which STS leaves out.
        GetRole: [("iam:GetRole", RolesSeen), ("iam:GetRole", OperatorRole)],
        ListRolePolicies: [("iam:ListRolePolicies", RolesSeen)],
        GetRolePolicy: [("iam:GetRolePolicy", RolesSeen)],
        PutRolePermissionsBoundary: [("iam:PutRolePermissionsBoundary", NewRoles)],
        TagRole: [("iam:TagRole", Roles)],
        PutRolePolicy: [("iam:PutRolePolicy", NewRoles)],
        UpdateAssumeRolePolicy: [("iam:UpdateAssumeRolePolicy", Roles)],
        DeleteRolePolicy: [("iam:DeleteRolePolicy", Roles)],
        DeleteRole: [("iam:DeleteRole", Roles)],
    }
    /// OpenSearch Serverless. Whoever puts a collection under a customer key must be able to let AOSS use that key.
    aoss {
        CreateCollection: [
            ("aoss:CreateCollection", NewThings), ("aoss:TagResource", NewThings),
            ("iam:CreateServiceLinkedRole", ServiceLinkedRole),
            ("kms:DescribeKey", Keys), ("kms:CreateGrant", KeysOfCollections),
        ],
        BatchGetCollection: [("aoss:BatchGetCollection", Collections)],
        ListCollections: [("aoss:ListCollections", NotTheOperators)],
        ListTagsForResource: [("aoss:ListTagsForResource", Collections)],
        TagResource: [("aoss:TagResource", NewThings)],
        DeleteCollection: [("aoss:DeleteCollection", OwnCollections)],
        CreateSecurityPolicy: [
            ("aoss:CreateSecurityPolicy", Policies),
            ("kms:DescribeKey", Keys), ("kms:CreateGrant", KeysOfCollections),
        ],
        GetSecurityPolicy: [("aoss:GetSecurityPolicy", Collections)],
        UpdateSecurityPolicy: [("aoss:UpdateSecurityPolicy", Policies)],
        DeleteSecurityPolicy: [("aoss:DeleteSecurityPolicy", Policies)],
        CreateAccessPolicy: [("aoss:CreateAccessPolicy", Policies)],
        GetAccessPolicy: [("aoss:GetAccessPolicy", Collections)],
        UpdateAccessPolicy: [("aoss:UpdateAccessPolicy", Policies)],
        DeleteAccessPolicy: [("aoss:DeleteAccessPolicy", Policies)],
        CreateIndex: [("aoss:CreateIndex", Indexes), ("aoss:APIAccessAll", InsideCollections)],
        GetIndex: [("aoss:GetIndex", Indexes), ("aoss:APIAccessAll", InsideCollections)],
        UpdateIndex: [("aoss:UpdateIndex", Indexes), ("aoss:APIAccessAll", InsideCollections)],
        DeleteIndex: [("aoss:DeleteIndex", Indexes), ("aoss:APIAccessAll", InsideCollections)],
    }
    /// A collection's own endpoint: OpenSearch's own operations, for which IAM has one action.
    aoss_endpoint {
        PutIndex: [("aoss:APIAccessAll", InsideCollections)],
        GetIndex: [("aoss:APIAccessAll", InsideCollections)],
        PutMapping: [("aoss:APIAccessAll", InsideCollections)],
        DeleteIndex: [("aoss:APIAccessAll", InsideCollections)],
    }
    /// Bedrock.
    bedrock {
        CreateKnowledgeBase: [
            ("bedrock:CreateKnowledgeBase", NewThings), ("bedrock:TagResource", NewTags),
            ("iam:PassRole", RolesPassed),
        ],
        ListKnowledgeBases: [("bedrock:ListKnowledgeBases", Lists)],
        GetKnowledgeBase: [("bedrock:GetKnowledgeBase", KnowledgeBases)],
        ListTagsForResource: [("bedrock:ListTagsForResource", KnowledgeBases)],
        TagResource: [("bedrock:TagResource", NewTags)],
        DeleteKnowledgeBase: [("bedrock:DeleteKnowledgeBase", OwnKnowledgeBases)],
        ListDataSources: [("bedrock:ListDataSources", KnowledgeBases)],
        GetDataSource: [("bedrock:GetDataSource", KnowledgeBases)],
        CreateDataSource: [("bedrock:CreateDataSource", OwnKnowledgeBases)],
        UpdateDataSource: [("bedrock:UpdateDataSource", OwnKnowledgeBases)],
        DeleteDataSource: [("bedrock:DeleteDataSource", OwnKnowledgeBases)],
        ListIngestionJobs: [("bedrock:ListIngestionJobs", KnowledgeBases)],
        GetIngestionJob: [("bedrock:GetIngestionJob", KnowledgeBases)],
        ListKnowledgeBaseDocuments: [("bedrock:ListKnowledgeBaseDocuments", KnowledgeBases)],
        StartIngestionJob: [("bedrock:StartIngestionJob", OwnKnowledgeBases)],
        StopIngestionJob: [("bedrock:StopIngestionJob", OwnKnowledgeBases)],
        GetFoundationModel: [("bedrock:GetFoundationModel", FoundationModels)],
        // `tenantry retrieve` asks as whoever runs it; the operator asks no questions.
        Retrieve: [("bedrock:Retrieve", NotTheOperators)],
    }
    /// DynamoDB: items of the registry, where there is one.
    dynamodb {
        GetItem: [("dynamodb:GetItem", Registry)],
        UpdateItem: [("dynamodb:UpdateItem", Registry)],
    }
    /// STS. IAM cannot forbid the question who one is.
    sts {
        GetCallerIdentity: [],
    }
}
