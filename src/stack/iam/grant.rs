//! The places in AWS where the operator is allowed anything: each is one statement of its policies.

/// Days between scheduling a key's deletion and losing it for good: the longest that KMS grants (7 to 30).
/// <https://docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html>
pub const DELETION_WINDOW_DAYS: i32 = 30;

/// A place in AWS where actions are allowed: one statement, of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grant {
    /// Buckets of our names, made with our tag.
    NewBuckets,
    /// Buckets of our names.
    Buckets,
    /// What is in them, where it is taken apart.
    Objects,
    /// What the operator reads and writes: a pool's documents with their metadata files, and what it keeps for itself. The
    /// documents of a Silo or a Bridge tenant are not its to read.
    OwnObjects,
    /// The bucket with the records of tenantIds, and
    InstallationBucket,
    /// the records in it. No policy that is printed lets anybody delete them.
    Records,
    /// Keys made with our tag. A key has no ARN before it is made.
    NewKeys,
    /// Tagging keys and knowledge bases, as long as our own tag goes along: it is how they are made, and IAM cannot tell the two
    /// apart.
    NewTags,
    /// Keys with our tag.
    OwnKeys,
    /// Any key: an `Existing` one is looked at before it is used, and one of ours without an alias is found by tags.
    Keys,
    /// Aliases of our names.
    Aliases,
    /// Keys of ours, or that somebody lends, for collections: AOSS is let in by a grant.
    KeysOfCollections,
    /// Whatever keys the objects in our buckets are under, for those, by way of S3.
    KeysOfDocuments,
    /// Lists of an account's keys and knowledge bases, which know no narrower resource.
    Lists,
    /// Making roles under our path, and giving them rights, within the permissions boundary if there is one.
    NewRoles,
    /// Roles under our path.
    Roles,
    /// Our names under any path or none: IAM does not know the path of a role that is not there, and somebody else's
    /// may be under another.
    RolesSeen,
    /// The role that the operator itself runs as.
    OperatorRole,
    /// Roles under our path, handed to Bedrock.
    RolesPassed,
    /// The role that AOSS makes for itself with an account's first collection.
    ServiceLinkedRole,
    /// Collections made or tagged with our tag, and knowledge bases made with it: the actions know no narrower resource.
    NewThings,
    /// Looking at collections and policies: the actions know no narrower resource.
    Collections,
    /// Collections with our tag and of our names.
    OwnCollections,
    /// Policies over collections of our names: the actions know no narrower resource.
    Policies,
    /// Indexes: the actions know no narrower resource; `InsideCollections` and the data access policy narrow them.
    Indexes,
    /// Whatever the data access policy says, in collections of our names.
    InsideCollections,
    /// Keys of ours, or that somebody lends, for vector buckets and their indexes, by way of S3 Vectors.
    KeysOfVectors,
    /// Vector buckets and indexes of our names, made or tagged with our tag.
    NewVectors,
    /// Looking at vector buckets and indexes of our names.
    Vectors,
    /// Vector buckets and indexes of our names and with our tag.
    OwnVectors,
    /// Any knowledge base: one of our name may be somebody else's.
    KnowledgeBases,
    /// Knowledge bases with our tag.
    OwnKnowledgeBases,
    /// Foundation models of the region, whose ends are looked up.
    FoundationModels,
    /// The registry's table, if there is one.
    Registry,
    /// Nothing that the operator does: no statement.
    NotTheOperators,
}

/// An IAM action, and the statement of the policy that allows it.
pub type Need = (&'static str, Grant);
