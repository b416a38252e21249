//! What may be wanted other than what is there: each field of each want, and of the scope.

use super::*;
use crate::api::{
    Attribute, AttributeType, CollectionSettings, DataDeletionPolicy, Distance, DocumentsSettings,
    HnswSettings, IndexSettings, NetworkSettings, StandbyReplicas, VectorStore,
};

/// A policy's description tells of our own tags alone.
const OUR_TAG: &[&str] = &["VectorStore: Encryption", "VectorStore: Network", "VectorStore: Tags"];

#[test]
fn a_key() {
    check(
        fields!(DesiredKey { name, tags, store }),
        |it| it.want.key.as_mut().unwrap(),
        &[
            ("name", "another", |it| it.name.push('x'), &[]),
            ("tags", "another value", |it| tag(&mut it.tags, USERS), &["Key: Tags"]),
            ("tags", "one more", |it| tag(&mut it.tags, "more"), &["Key: Tags"]),
            ("tags", "one fewer", |it| drop(it.tags.remove(USERS)), &[]),
            ("store", "another", |it| it.store = VectorStore::S3Vectors, &[]),
        ],
    );
}

#[test]
fn a_bucket() {
    const LIFECYCLE: &[&str] = &["Bucket: Lifecycle"];
    // Nobody may name any other key.
    const KEY_CHANGES: &[&str] = &["Bucket: Policy", "Bucket: Encryption"];
    check(
        fields!(DesiredBucket { name, tags, documents, prefixes, key_arn, only_writer_of_sidecars }),
        |it| it.want.bucket.as_mut().unwrap(),
        &[
            ("name", "another", |it| it.name.push('x'), &["Bucket: Policy"]),
            ("tags", "another value", |it| tag(&mut it.tags, USERS), &["Bucket: Tags"]),
            ("tags", "one more", |it| tag(&mut it.tags, "more"), &["Bucket: Tags"]),
            ("tags", "one fewer", |it| drop(it.tags.remove(USERS)), &[]),
            (
                "documents",
                "nothing expires",
                |it| {
                    let DocumentsSettings { versioning: _, noncurrent_expiration_days, expiration_days } =
                        &mut it.documents;
                    (*noncurrent_expiration_days, *expiration_days) = (0, 0);
                },
                LIFECYCLE,
            ),
            ("prefixes", "one more", |it| it.prefixes.push("more/".into()), LIFECYCLE),
            ("prefixes", "another", |it| it.prefixes[0].insert(0, 'x'), LIFECYCLE),
            ("prefixes", "in another order", |it| it.prefixes.reverse(), &[]),
            ("key_arn", "S3's own", |it| it.key_arn = None, KEY_CHANGES),
            ("key_arn", "another", |it| it.key_arn = Some(KEY.into()), KEY_CHANGES),
            (
                "only_writer_of_sidecars",
                "whoever may write documents",
                |it| it.only_writer_of_sidecars = None,
                &["Bucket: Policy"],
            ),
            (
                "only_writer_of_sidecars",
                "another role",
                |it| it.only_writer_of_sidecars = Some("another".into()),
                &["Bucket: Policy"],
            ),
        ],
    );
    check(
        fields!(DocumentsSettings { versioning, noncurrent_expiration_days, expiration_days }),
        |it| &mut it.want.bucket.as_mut().unwrap().documents,
        &[
            (
                "versioning",
                "no more versions, and so none to expire",
                |it| it.versioning = Versioning::Suspended,
                &["Bucket: Versioning", "Bucket: Lifecycle"],
            ),
            ("noncurrent_expiration_days", "later", |it| it.noncurrent_expiration_days = 31, LIFECYCLE),
            ("noncurrent_expiration_days", "never", |it| it.noncurrent_expiration_days = 0, LIFECYCLE),
            ("expiration_days", "later", |it| it.expiration_days = 401, LIFECYCLE),
            ("expiration_days", "never", |it| it.expiration_days = 0, LIFECYCLE),
        ],
    );
}

#[test]
fn a_collection() {
    check(
        fields!(DesiredCollection { name, tags, settings, key_arn }),
        |it| wanted_collection(&mut it.want),
        &[
            ("name", "another", |it| it.name.push('x'), &["VectorStore: Network"]),
            ("tags", "another of ours", |it| tag(&mut it.tags, OURS), OUR_TAG),
            ("tags", "another of the user's", |it| tag(&mut it.tags, USERS), &["VectorStore: Tags"]),
            ("tags", "one fewer of the user's", |it| drop(it.tags.remove(USERS)), &[]),
            (
                "settings",
                "another network",
                |it| it.settings.network = NetworkSettings::Public,
                &["VectorStore: Network"],
            ),
            (
                "key_arn",
                "AWS's own",
                |it| it.key_arn = None,
                &[
                    "the collection's key is arn:aws:kms:eu-central-1:123456789012:key/prod-sa-stand-d46j56jt7e \
                   and should be AWS's own",
                ],
            ),
        ],
    );
    check(
        fields!(CollectionSettings { standby_replicas, network }),
        |it| &mut wanted_collection(&mut it.want).settings,
        &[
            (
                "standby_replicas",
                "none",
                |it| it.standby_replicas = StandbyReplicas::Disabled,
                &["collection.standbyReplicas is Enabled and should be Disabled"],
            ),
            ("network", "public", |it| it.network = NetworkSettings::Public, &["VectorStore: Network"]),
            ("network", "no endpoints", |it| endpoints(it, &[]), &["VectorStore: Network"]),
            ("network", "one fewer", |it| endpoints(it, &["vpce-1"]), &["VectorStore: Network"]),
            (
                "network",
                "one more",
                |it| endpoints(it, &["vpce-1", "vpce-2", "vpce-3"]),
                &["VectorStore: Network"],
            ),
            ("network", "another order", |it| endpoints(it, &["vpce-2", "vpce-1"]), &[]),
        ],
    );
}

fn endpoints(settings: &mut CollectionSettings, ids: &[&str]) {
    let vpc_endpoint_ids = ids.iter().map(|id| id.to_string()).collect();
    settings.network = NetworkSettings::Private { vpc_endpoint_ids };
}

#[test]
fn an_index() {
    check(
        fields!(DesiredIndex {
            name,
            tags,
            store,
            key_arn,
            role,
            dimensions,
            settings,
            tenant_id_key,
            rebuild
        }),
        |it| it.want.index.as_mut().unwrap(),
        &[
            ("name", "another", |it| it.name.push('x'), &[]),
            ("tags", "one, in a store where it has some", |it| tag(&mut it.tags, "one"), &["Index: Tags"]),
            ("key_arn", "another", |it| it.key_arn = Some(KEY.into()), &[]),
            ("store", "another's name", |it| it.store.name.push('x'), &[]),
            ("store", "not there yet", |it| it.store.handle = None, &[]),
            ("role", "another", |it| it.role.push('x'), &[]),
            (
                "dimensions",
                "shorter",
                |it| it.dimensions = 256,
                &["knowledgeBase.dimensions is 1024 and should be 256"],
            ),
            ("settings", "no attributes any more", |it| it.settings.attributes.clear(), &[]),
            ("tenant_id_key", "none", |it| it.tenant_id_key = None, &[]),
            (
                "tenant_id_key",
                "another",
                |it| it.tenant_id_key = Some("customer".into()),
                &["Index: lacks customer"],
            ),
            ("rebuild", "it is a lost one's", |it| it.rebuild = true, &["Index: must go first"]),
        ],
    );
    check(
        fields!(IndexSettings { distance, hnsw, attributes }),
        |it| &mut it.want.index.as_mut().unwrap().settings,
        &[
            (
                "distance",
                "another",
                |it| it.distance = Distance::InnerProduct,
                &["index.distance is Euclidean and should be InnerProduct"],
            ),
            ("hnsw", "another graph", |it| it.hnsw.m = 17, &["index.hnsw.m is 16 and should be 17"]),
            (
                "attributes",
                "one more",
                |it| it.attributes.push(Attribute { name: "language".into(), type_: AttributeType::String }),
                &["Index: lacks language"],
            ),
        ],
    );
    check(
        fields!(HnswSettings { m, ef_construction, ef_search }),
        |it| &mut it.want.index.as_mut().unwrap().settings.hnsw,
        &[
            ("m", "more", |it| it.m = 100, &["index.hnsw.m is 16 and should be 100"]),
            (
                "ef_construction",
                "fewer",
                |it| it.ef_construction = 1,
                &["index.hnsw.efConstruction is 512 and should be 1"],
            ),
            ("ef_search", "fewer", |it| it.ef_search = 1, &[]),
        ],
    );
    check(
        fields!(Attribute { name, type_ }),
        |it| &mut it.want.index.as_mut().unwrap().settings.attributes[0],
        &[
            ("name", "another", |it| it.name = "month".into(), &["Index: lacks month"]),
            // No call changes a mapping that is there.
            ("type_", "another", |it| it.type_ = AttributeType::Boolean, &[]),
        ],
    );
}

#[test]
fn a_role() {
    const PERMISSIONS: &[&str] = &["Role: Permissions"];
    check(
        fields!(DesiredRole {
            name,
            tags,
            bucket,
            prefix,
            store,
            index,
            embedding_model_arn,
            key_arn,
            trusted,
        }),
        |it| it.want.role.as_mut().unwrap(),
        &[
            ("name", "another", |it| it.name.push('x'), &["Role: DataAccess"]),
            ("tags", "another of ours", |it| tag(&mut it.tags, OURS), &["Role: DataAccess", "Role: Tags"]),
            ("tags", "another of the user's", |it| tag(&mut it.tags, USERS), &["Role: Tags"]),
            ("tags", "one fewer of the user's", |it| drop(it.tags.remove(USERS)), &[]),
            ("bucket", "another", |it| it.bucket.push('x'), PERMISSIONS),
            ("prefix", "another", |it| it.prefix.push('x'), PERMISSIONS),
            ("store", "another's name", |it| it.store.name.push('x'), &["Role: DataAccess"]),
            ("store", "not there yet", |it| it.store.handle = None, PERMISSIONS),
            ("store", "another", |it| it.store.handle = Some(ideal::store(ELSEWHERE, None)), PERMISSIONS),
            ("index", "another", |it| it.index.push('x'), &["Role: DataAccess"]),
            ("embedding_model_arn", "another", |it| it.embedding_model_arn.push('x'), PERMISSIONS),
            ("key_arn", "none", |it| it.key_arn = None, PERMISSIONS),
            ("key_arn", "another", |it| it.key_arn = Some(KEY.into()), PERMISSIONS),
            ("trusted", "any", |it| it.trusted = None, &["Role: Trust"]),
            ("trusted", "another", |it| it.trusted = Some("another".into()), &["Role: Trust"]),
        ],
    );
}

#[test]
fn a_knowledge_base() {
    const UPDATE: &[&str] = &["KnowledgeBase: UpdateDataSource"];
    check(
        fields!(DesiredKnowledgeBase {
            name,
            tags,
            role_arn,
            embedding_model_arn,
            dimensions,
            chunking,
            store,
            index,
            bucket,
            prefix,
            data_deletion_policy,
            key_arn,
            narrow_trust,
            drop_data_source,
        }),
        |it| it.want.knowledge_base.as_mut().unwrap(),
        &[
            ("name", "another", |it| it.name.push('x'), &[]),
            ("tags", "another value", |it| tag(&mut it.tags, OURS), &["KnowledgeBase: Tags"]),
            ("tags", "one fewer", |it| drop(it.tags.remove(USERS)), &[]),
            ("role_arn", "another", |it| it.role_arn.push('x'), &[]),
            (
                "embedding_model_arn",
                "another",
                |it| it.embedding_model_arn = "another".into(),
                &["knowledgeBase.embeddingModel is \
                   amazon.titan-embed-text-v2:0 and should be another"],
            ),
            // The index has them.
            ("dimensions", "the model's own", |it| it.dimensions = None, &[]),
            (
                "chunking",
                "each document as one",
                |it| it.chunking = ChunkingSettings::None,
                &[
                    "knowledgeBase.chunking is {strategy: FixedSize, maxTokens: 300, overlapPercentage: 20} and should be {strategy: None}",
                ],
            ),
            ("store", "none yet", |it| it.store = None, &[]),
            (
                "store",
                "another",
                |it| it.store = Some(ideal::store(ELSEWHERE, None)),
                &["KnowledgeBase: Replace"],
            ),
            // Its name follows from whose it is: no call changes it.
            ("index", "another", |it| it.index.push('x'), &[]),
            ("bucket", "another", |it| it.bucket.push('x'), UPDATE),
            ("prefix", "another", |it| it.prefix.push('x'), UPDATE),
            (
                "data_deletion_policy",
                "retain",
                |it| it.data_deletion_policy = DataDeletionPolicy::Retain,
                UPDATE,
            ),
            ("key_arn", "none", |it| it.key_arn = None, UPDATE),
            ("key_arn", "another", |it| it.key_arn = Some(KEY.into()), UPDATE),
            (
                "narrow_trust",
                "the role trusts any",
                |it| it.narrow_trust = true,
                &["KnowledgeBase: NarrowTrust"],
            ),
            (
                "drop_data_source",
                "its index is gone",
                |it| it.drop_data_source = true,
                &["KnowledgeBase: DropDataSource"],
            ),
        ],
    );
}

#[test]
fn the_place_where_all_of_it_is() {
    check(
        fields!(Scope { installation, account, region, partition, permissions_boundary, operator }),
        |it| &mut it.scope,
        &[
            ("installation", "another", |it| it.installation.push('x'), &["Role: DataAccess"]),
            (
                "account",
                "another",
                |it| it.account = "210987654321".into(),
                &["Role: Trust", "Role: Permissions", "Role: DataAccess"],
            ),
            ("region", "another", |it| it.region = "us-east-1".into(), &["Role: Permissions"]),
            (
                "partition",
                "another",
                |it| it.partition = "aws-cn".into(),
                &[
                    "Bucket: Policy",
                    "Role: Permissions",
                    "Role: DataAccess",
                    "KnowledgeBase: UpdateDataSource",
                ],
            ),
            // What is put around a role where we have no boundary may stay.
            ("permissions_boundary", "none", |it| it.permissions_boundary = None, &[]),
            (
                "permissions_boundary",
                "another",
                |it| it.permissions_boundary = Some("narrow".into()),
                &["Role: Boundary"],
            ),
            ("operator", "not known", |it| it.operator = None, &[]),
        ],
    );
}
