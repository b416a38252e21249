//! What AWS may answer other than what is wanted: each field of each answer.

use super::*;

fn policy_of(facts: &mut BucketFacts) -> &mut Value {
    facts.policy.as_mut().unwrap()
}

const KMS_KEY: &str = "s3:x-amz-server-side-encryption-aws-kms-key-id";

/// When a statement of the bucket's policy holds.
fn refuses(facts: &mut BucketFacts, statement: usize) -> &mut Value {
    &mut policy_of(facts)["Statement"][statement]["Condition"]
}

/// The storage classes that the bucket's policy refuses.
fn classes(facts: &mut BucketFacts) -> &mut Vec<Value> {
    list(refuses(facts, 3), "/StringEquals/s3:x-amz-storage-class")
}

/// The one statement of a role's trust.
fn trust(role: &mut RoleDetail) -> &mut Value {
    &mut role.trust["Statement"][0]
}

fn permissions(role: &mut RoleDetail) -> &mut Value {
    role.policies.get_mut(ROLE_POLICY).unwrap()
}

fn vector(facts: &mut IndexFacts) -> &mut Value {
    &mut facts.schema["mappings"]["properties"][opensearch::VECTOR_FIELD]
}

#[test]
fn a_key() {
    check(
        fields!(KeyFacts { arn, has_alias, state, tags, foreign, lets_store_in }),
        |it| ours(&mut it.observed.key),
        &[
            ("arn", "it is another one of ours", |it| it.arn = KEY.into(), &[]),
            ("has_alias", "its alias points elsewhere", |it| it.has_alias = false, &["Key: Alias"]),
            ("state", "it was disabled", |it| it.state = "Disabled".into(), &["Key: NotEnabled"]),
            ("state", "it is being made", |it| it.state = "Creating".into(), &["Key: NotEnabled"]),
            ("state", "it is to go", |it| it.state = "PendingDeletion".into(), &["Key: NotEnabled"]),
            ("tags", "ours was removed", |it| drop(it.tags.remove(OURS)), &["Key: Tags"]),
            ("tags", "ours was changed", |it| tag(&mut it.tags, OURS), &["Key: Tags"]),
            ("tags", "the user's was removed", |it| drop(it.tags.remove(USERS)), &["Key: Tags"]),
            ("tags", "others' beside ours", |it| tag(&mut it.tags, "others"), &[]),
            ("foreign", "somebody's is behind our alias", |it| it.foreign = Some(somebody()), &[]),
            (
                "lets_store_in",
                "its policy was narrowed",
                |it| it.lets_store_in = false,
                &["Key: ShutsStoreOut"],
            ),
        ],
    );
}

#[test]
fn a_bucket() {
    const DIFFERS: &[&str] = &["Bucket: Policy"];
    check(
        fields!(BucketFacts {
            tags,
            blocks_public_access,
            object_ownership,
            policy,
            key_arn,
            versioned,
            lifecycle
        }),
        |it| ours(&mut it.observed.bucket),
        &[
            ("tags", "ours was removed", |it| drop(it.tags.remove(OURS)), &["Bucket: Tags"]),
            ("tags", "ours was changed", |it| tag(&mut it.tags, OURS), &["Bucket: Tags"]),
            ("tags", "the user's was changed", |it| tag(&mut it.tags, USERS), &["Bucket: Tags"]),
            ("tags", "others' beside ours", |it| tag(&mut it.tags, "others"), &[]),
            ("blocks_public_access", "no", |it| it.blocks_public_access = false, &["Bucket: PublicAccess"]),
            ("object_ownership", "not set", |it| it.object_ownership = None, &["Bucket: Ownership"]),
            (
                "object_ownership",
                "ACLs are back",
                |it| it.object_ownership = Some("BucketOwnerPreferred".into()),
                &["Bucket: Ownership"],
            ),
            ("policy", "there is none", |it| it.policy = None, DIFFERS),
            ("policy", "it could not be read", |it| it.policy = Some(Value::Null), DIFFERS),
            (
                "policy",
                "anybody may write metadata files",
                |it| drop(list(policy_of(it), "/Statement").pop()),
                DIFFERS,
            ),
            (
                "policy",
                "somebody may do more",
                |it| list(policy_of(it), "/Statement").push(json!({"Sid": "More", "Effect": "Allow"})),
                DIFFERS,
            ),
            (
                "policy",
                "some may go without TLS",
                |it| policy_of(it)["Statement"][0]["Principal"] = json!({"AWS": "123456789012"}),
                DIFFERS,
            ),
            (
                "policy",
                "a condition was added",
                |it| policy_of(it)["Statement"][0]["Condition"]["Null"] = json!({"aws:SourceVpc": "true"}),
                DIFFERS,
            ),
            (
                "policy",
                "writers' own keys are let in",
                |it| drop(list(policy_of(it), "/Statement").remove(1)),
                DIFFERS,
            ),
            (
                "policy",
                "other KMS keys are let in",
                |it| drop(list(policy_of(it), "/Statement").remove(2)),
                DIFFERS,
            ),
            (
                "policy",
                "archives are let in",
                |it| drop(list(policy_of(it), "/Statement").remove(3)),
                DIFFERS,
            ),
            (
                "policy",
                "another KMS key is the bucket's",
                |it| refuses(it, 2)["StringNotEquals"][KMS_KEY] = json!(KEY),
                DIFFERS,
            ),
            (
                "policy",
                "who names no KMS key is refused",
                |it| drop(refuses(it, 2).as_object_mut().unwrap().remove("Null")),
                DIFFERS,
            ),
            ("policy", "one archive is let in", |it| drop(classes(it).pop()), DIFFERS),
            ("policy", "the archives in another order", |it| classes(it).reverse(), &[]),
            ("policy", "in another order", |it| list(policy_of(it), "/Statement").reverse(), &[]),
            (
                "policy",
                "its resources in another order",
                |it| list(policy_of(it), "/Statement/0/Resource").reverse(),
                &[],
            ),
            (
                "policy",
                "one action given as a list",
                |it| policy_of(it)["Statement"][0]["Action"] = json!(["s3:*"]),
                &[],
            ),
            ("key_arn", "S3's own", |it| it.key_arn = None, &["Bucket: Encryption"]),
            ("key_arn", "another", |it| it.key_arn = Some(KEY.into()), &["Bucket: Encryption"]),
            ("versioned", "suspended", |it| it.versioned = false, &["Bucket: Versioning"]),
            ("lifecycle", "none", |it| it.lifecycle.clear(), &["Bucket: Lifecycle"]),
            ("lifecycle", "one is gone", |it| drop(it.lifecycle.pop()), &["Bucket: Lifecycle"]),
            (
                "lifecycle",
                "one more",
                |it| {
                    it.lifecycle.push(LifecycleRule { prefix: "tenantry/".into(), ..it.lifecycle[0].clone() })
                },
                &["Bucket: Lifecycle"],
            ),
            ("lifecycle", "in another order", |it| it.lifecycle.reverse(), &[]),
        ],
    );
    check(
        fields!(LifecycleRule { prefix, expiration_days, noncurrent_expiration_days, abort_uploads_days }),
        |it| &mut ours(&mut it.observed.bucket).lifecycle[0],
        &[
            ("prefix", "all of the bucket", |it| it.prefix.clear(), &["Bucket: Lifecycle"]),
            ("expiration_days", "sooner", |it| it.expiration_days = 399, &["Bucket: Lifecycle"]),
            ("expiration_days", "never", |it| it.expiration_days = 0, &["Bucket: Lifecycle"]),
            ("abort_uploads_days", "sooner", |it| it.abort_uploads_days += 1, &["Bucket: Lifecycle"]),
            (
                "noncurrent_expiration_days",
                "later",
                |it| it.noncurrent_expiration_days = 31,
                &["Bucket: Lifecycle"],
            ),
        ],
    );
}

#[test]
fn a_collection() {
    check(
        fields!(CollectionFacts { encryption, network, collection, foreign }),
        |it| found_collection(&mut it.observed),
        &[
            ("encryption", "was deleted", |it| it.encryption = None, &["VectorStore: Encryption"]),
            ("network", "was deleted", |it| it.network = None, &["VectorStore: Network"]),
            ("collection", "was deleted", |it| it.collection = None, &["VectorStore: Create"]),
            ("foreign", "somebody's policy", |it| it.foreign = Some(somebody()), &[]),
        ],
    );
    check(
        fields!(CollectionDetail { id, arn, status, endpoint, kms_key_arn, standby_replicas, failure, tags }),
        |it| found_collection(&mut it.observed).collection.as_mut().unwrap(),
        &[
            ("id", "another", |it| it.id = "another".into(), &[]),
            ("arn", "another", |it| it.arn = ELSEWHERE.into(), &[]),
            ("status", "being made", |it| it.status = "CREATING".into(), &["VectorStore: NotActive"]),
            ("status", "failed", |it| it.status = "FAILED".into(), &["VectorStore: NotActive"]),
            ("endpoint", "none yet", |it| it.endpoint = None, &[]),
            (
                "kms_key_arn",
                "AWS's own",
                |it| it.kms_key_arn = None,
                &["the collection's key is AWS's own and should be \
                   arn:aws:kms:eu-central-1:123456789012:key/prod-sa-stand-d46j56jt7e"],
            ),
            (
                "standby_replicas",
                "none",
                |it| it.standby_replicas = "DISABLED".into(),
                &["collection.standbyReplicas is Disabled and should be Enabled"],
            ),
            ("failure", "it has a reason", |it| it.failure = Some("it rains".into()), &[]),
            ("tags", "ours was removed", |it| drop(it.tags.remove(OURS)), &["VectorStore: Tags"]),
            ("tags", "the user's was changed", |it| tag(&mut it.tags, USERS), &["VectorStore: Tags"]),
            ("tags", "others' beside ours", |it| tag(&mut it.tags, "others"), &[]),
        ],
    );
}

#[test]
fn policies_that_carry_tags_in_their_description() {
    check(
        fields!(PolicyFacts { document, version, description }),
        |it| found_collection(&mut it.observed).encryption.as_mut().unwrap(),
        &[
            // The key of a collection that is there does not change, whatever its policy says.
            ("document", "another key", |it| it.document["KmsARN"] = json!(KEY), &[]),
            ("version", "newer", |it| it.version = "2".into(), &[]),
            ("description", "none", |it| it.description.clear(), &["VectorStore: Encryption"]),
            ("description", "more", |it| it.description.push('x'), &["VectorStore: Encryption"]),
        ],
    );
    check(
        fields!(PolicyFacts { document, version, description }),
        |it| found_collection(&mut it.observed).network.as_mut().unwrap(),
        &[
            ("document", "empty", |it| it.document = Value::Null, &["VectorStore: Network"]),
            (
                "document",
                "open to all",
                |it| it.document[0]["AllowFromPublic"] = json!(true),
                &["VectorStore: Network"],
            ),
            (
                "document",
                "one endpoint fewer",
                |it| drop(list(&mut it.document, "/0/SourceVPCEs").pop()),
                &["VectorStore: Network"],
            ),
            (
                "document",
                "another endpoint",
                |it| it.document[0]["SourceVPCEs"][1] = json!("vpce-3"),
                &["VectorStore: Network"],
            ),
            (
                "document",
                "the dashboards too",
                |it| list(&mut it.document, "/0/Rules").push(json!({"ResourceType": "dashboard"})),
                &["VectorStore: Network"],
            ),
            (
                "document",
                "endpoints in another order",
                |it| list(&mut it.document, "/0/SourceVPCEs").reverse(),
                &[],
            ),
            ("document", "a list of one as its element", |it| it.document = it.document[0].take(), &[]),
            ("version", "newer", |it| it.version = "2".into(), &[]),
            ("description", "none", |it| it.description.clear(), &["VectorStore: Network"]),
        ],
    );
    check(
        fields!(PolicyFacts { document, version, description }),
        |it| ours(&mut it.observed.role).data_access.as_mut().unwrap(),
        &[
            ("document", "empty", |it| it.document = Value::Null, &["Role: DataAccess"]),
            (
                "document",
                "somebody else too",
                |it| list(&mut it.document, "/0/Principal").push(json!("arn:aws:iam::123456789012:root")),
                &["Role: DataAccess"],
            ),
            (
                "document",
                "less",
                |it| drop(list(&mut it.document, "/0/Rules/0/Permission").pop()),
                &["Role: DataAccess"],
            ),
            (
                "document",
                "a list of one as its element",
                |it| it.document[0]["Principal"] = it.document[0]["Principal"][0].take(),
                &[],
            ),
            ("document", "in another order", |it| list(&mut it.document, "/0/Rules").reverse(), &[]),
            ("version", "newer", |it| it.version = "2".into(), &[]),
            ("description", "none", |it| it.description.clear(), &["Role: DataAccess"]),
        ],
    );
}

#[test]
fn an_index() {
    check(
        fields!(IndexFacts { schema, tags, arn, by_endpoint }),
        |it| ours(&mut it.observed.index),
        &[
            ("tags", "others' own", |it| tag(&mut it.tags, "theirs"), &[]),
            ("arn", "one", |it| it.arn = Some("arn".into()), &[]),
            (
                "schema",
                "a field of AWS's own",
                |it| it.schema["mappings"]["properties"]["x"] = json!({}),
                &[],
            ),
            (
                "schema",
                "more settings",
                |it| it.schema["settings"]["index"]["number_of_shards"] = json!(2),
                &[],
            ),
            (
                "schema",
                "an attribute is missing",
                |it| drop(it.schema["mappings"]["properties"].as_object_mut().unwrap().remove("year")),
                &["Index: lacks year"],
            ),
            (
                "schema",
                "the tenant's key is missing",
                |it| drop(it.schema["mappings"]["properties"].as_object_mut().unwrap().remove("tenantId")),
                &["Index: lacks tenantId"],
            ),
            (
                "schema",
                "vectors of another length",
                |it| vector(it)["dimension"] = json!(512),
                &["knowledgeBase.dimensions is 512 and should be 1024"],
            ),
            (
                "schema",
                "another distance",
                |it| vector(it)["method"]["space_type"] = json!("innerproduct"),
                &["index.distance is InnerProduct and should be Euclidean"],
            ),
            ("schema", "no distance", |it| vector(it)["method"]["space_type"] = Value::Null, &[]),
            (
                "schema",
                "a distance that nobody here writes",
                |it| vector(it)["method"]["space_type"] = json!("cosinesimil"),
                &["index.distance is cosinesimil and should be Euclidean"],
            ),
            (
                "schema",
                "fewer neighbours",
                |it| vector(it)["method"]["parameters"]["m"] = json!(8),
                &["index.hnsw.m is 8 and should be 16"],
            ),
            (
                "schema",
                "fewer candidates",
                |it| vector(it)["method"]["parameters"]["ef_construction"] = json!(100),
                &["index.hnsw.efConstruction is 100 and should be 512"],
            ),
            ("schema", "numbers as text", |it| vector(it)["dimension"] = json!("1024"), &[]),
            ("by_endpoint", "only the endpoint sees it", |it| it.by_endpoint = true, &[]),
        ],
    );
}

#[test]
fn a_role() {
    const TRUST: &[&str] = &["Role: Trust"];
    const PERMISSIONS: &[&str] = &["Role: Permissions"];
    check(
        fields!(RoleFacts { role, data_access, foreign }),
        |it| ours(&mut it.observed.role),
        &[
            ("role", "was deleted", |it| it.role = None, &["Role: Create", "Role: Permissions"]),
            ("data_access", "was deleted", |it| it.data_access = None, &["Role: DataAccess"]),
            ("foreign", "somebody's policy", |it| it.foreign = Some(somebody()), &[]),
        ],
    );
    check(
        fields!(RoleDetail { arn, trust, policies, tags, boundary }),
        |it| ours(&mut it.observed.role).role.as_mut().unwrap(),
        &[
            ("arn", "another", |it| it.arn.push('x'), &[]),
            ("trust", "could not be read", |it| it.trust = Value::Null, TRUST),
            (
                "trust",
                "another service",
                |it| trust(it)["Principal"] = json!({"Service": "ec2.amazonaws.com"}),
                TRUST,
            ),
            (
                "trust",
                "another knowledge base",
                |it| trust(it)["Condition"]["ArnLike"]["aws:SourceArn"] = json!("arn:aws:bedrock:::other"),
                TRUST,
            ),
            (
                "trust",
                "any account",
                |it| drop(trust(it)["Condition"].as_object_mut().unwrap().remove("StringEquals")),
                TRUST,
            ),
            (
                "trust",
                "somebody else too",
                |it| list(&mut it.trust, "/Statement").push(json!({"Effect": "Allow", "Principal": "*"})),
                TRUST,
            ),
            ("trust", "still any knowledge base", |it| it.trust = policy::trust(&ideal::scope(), None), &[]),
            (
                "trust",
                "a list of one as its element",
                |it| it.trust["Statement"] = it.trust["Statement"][0].take(),
                &[],
            ),
            ("policies", "none", |it| it.policies.clear(), PERMISSIONS),
            ("policies", "could not be read", |it| *permissions(it) = Value::Null, PERMISSIONS),
            (
                "policies",
                "a right is gone",
                |it| drop(list(permissions(it), "/Statement").pop()),
                PERMISSIONS,
            ),
            (
                "policies",
                "every document",
                |it| permissions(it)["Statement"][2]["Resource"] = json!("*"),
                PERMISSIONS,
            ),
            (
                "policies",
                "under another name",
                |it| {
                    let policy = it.policies.remove(ROLE_POLICY).unwrap();
                    it.policies.insert("other".into(), policy);
                },
                PERMISSIONS,
            ),
            (
                "policies",
                "one more beside ours",
                |it| drop(it.policies.insert("a".into(), json!({"Statement": []}))),
                &[],
            ),
            ("policies", "in another order", |it| list(permissions(it), "/Statement").reverse(), &[]),
            ("tags", "ours was removed", |it| drop(it.tags.remove(OURS)), &["Role: Tags"]),
            ("tags", "the user's was changed", |it| tag(&mut it.tags, USERS), &["Role: Tags"]),
            ("tags", "the index's beside ours", |it| it.tags.extend(opensearch::index_by_endpoint()), &[]),
            ("boundary", "was taken off", |it| it.boundary = None, &["Role: Boundary"]),
            ("boundary", "another", |it| it.boundary = Some("wide".into()), &["Role: Boundary"]),
        ],
    );
}

#[test]
fn a_knowledge_base() {
    const UPDATE: &[&str] = &["KnowledgeBase: UpdateDataSource"];
    check(
        fields!(KnowledgeBaseFacts {
            id,
            arn,
            status,
            failure_reasons,
            embedding_model_arn,
            dimensions,
            store,
            tags,
            data_source,
        }),
        |it| ours(&mut it.observed.knowledge_base),
        &[
            ("id", "another", |it| it.id = "OTHER".into(), &[]),
            ("arn", "another", |it| it.arn.push('x'), &[]),
            ("status", "being made", |it| it.status = "CREATING".into(), &["KnowledgeBase: NotActive"]),
            ("status", "failed", |it| it.status = "FAILED".into(), &["KnowledgeBase: NotActive"]),
            ("failure_reasons", "it has one", |it| it.failure_reasons.push("it rains".into()), &[]),
            (
                "embedding_model_arn",
                "another",
                |it| it.embedding_model_arn = Some("another".into()),
                &["knowledgeBase.embeddingModel is another and should be amazon.titan-embed-text-v2:0"],
            ),
            // The index is asked for them.
            ("dimensions", "Bedrock was not told", |it| it.dimensions = None, &[]),
            ("store", "none is known", |it| it.store = None, &[]),
            (
                "store",
                "one that is no more",
                |it| it.store = Some(ideal::store(ELSEWHERE, None)),
                &["KnowledgeBase: Replace"],
            ),
            ("tags", "ours was removed", |it| drop(it.tags.remove(OURS)), &["KnowledgeBase: Tags"]),
            ("tags", "the user's was changed", |it| tag(&mut it.tags, USERS), &["KnowledgeBase: Tags"]),
            ("tags", "others' beside ours", |it| tag(&mut it.tags, "others"), &[]),
            ("data_source", "deleted", |it| it.data_source = None, &["KnowledgeBase: CreateDataSource"]),
        ],
    );
    check(
        fields!(DataSourceFacts {
            id,
            status,
            data_deletion_policy,
            bucket_arn,
            prefix,
            key_arn,
            chunking,
            failure_reasons,
        }),
        |it| ours(&mut it.observed.knowledge_base).data_source.as_mut().unwrap(),
        &[
            ("id", "another", |it| it.id = "OTHER".into(), &[]),
            (
                "status",
                "it could not be deleted",
                |it| it.status = "DELETE_UNSUCCESSFUL".into(),
                &["KnowledgeBase: DataSourceNotAvailable"],
            ),
            ("data_deletion_policy", "retain", |it| it.data_deletion_policy = "RETAIN".into(), UPDATE),
            ("bucket_arn", "another", |it| it.bucket_arn.push('x'), UPDATE),
            ("prefix", "all of the bucket", |it| it.prefix = None, UPDATE),
            ("prefix", "another", |it| it.prefix = Some("bridge/".into()), UPDATE),
            ("key_arn", "AWS's own", |it| it.key_arn = None, UPDATE),
            ("key_arn", "another", |it| it.key_arn = Some(KEY.into()), UPDATE),
            (
                "chunking",
                "in a way that we do not set",
                |it| it.chunking = None,
                &["knowledgeBase.chunking is unknown and should be \
                   {strategy: FixedSize, maxTokens: 300, overlapPercentage: 20}"],
            ),
            (
                "chunking",
                "another size",
                |it| {
                    it.chunking =
                        Some(ChunkingSettings::FixedSize { max_tokens: 301, overlap_percentage: 20 });
                },
                &[
                    "knowledgeBase.chunking is {strategy: FixedSize, maxTokens: 301, overlapPercentage: 20} and should be \
                   {strategy: FixedSize, maxTokens: 300, overlapPercentage: 20}",
                ],
            ),
            ("failure_reasons", "it has one", |it| it.failure_reasons.push("it rains".into()), &[]),
        ],
    );
}
