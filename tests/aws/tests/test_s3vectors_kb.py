"""Knowledge bases on S3 Vectors: what CreateKnowledgeBase asks of the index, what a job writes and leaves aside, what Retrieve finds,
and what becomes of it all when the index goes."""

import json

import pytest

from .conftest import MODEL, allow, code, keys, message, refused, until
from .test_s3vectors import TAG, fence, indexing, key_policy, make_key, put_policy, under

INVALID = "The knowledge base storage configuration provided is invalid... "
FIVE = ("PutVectors", "GetVectors", "DeleteVectors", "QueryVectors", "GetIndex")
ACME = {"equals": {"key": "tenantId", "value": "acme"}}


def switch(aws, **switches):
    aws.settings(switches=switches)


def create(aws, **changes):
    return message(lambda: aws.agent.create_knowledge_base(**aws.vector_arguments(**changes)))


def storage(**names):
    return {"storageConfiguration": {"type": "S3_VECTORS", "s3VectorsConfiguration": names}}


@pytest.fixture
def pool(aws):
    """Two tenants that contradict each other, and a document without a tag."""
    aws.make_vector_store()
    kb, source = aws.make_vector_kb()
    fill(aws)
    assert aws.ingest(kb, source)["status"] == "COMPLETE"
    return aws, kb, source


def fill(aws):
    aws.upload("pool/acme/leave.md", "The annual leave at our company is 30 days.", tenantId="acme", year=2025)
    aws.upload("pool/globex/leave.md", "The annual leave at our company is 10 days. Leave must be asked for.", tenantId="globex", year=2026)
    aws.upload("pool/globex/coffee.md", "The coffee machine is in the basement.", tenantId="globex", year=2026)
    aws.upload("pool/nobody.md", "Annual leave without a tag.")


# CreateKnowledgeBase

def test_each_thing_that_is_missing_has_its_message(aws):
    """One stack, taken from nothing to right, one fault after the other."""
    aws.s3.create_bucket(Bucket=aws.bucket)
    assert "cannot assume role" in create(aws)
    aws.iam.create_role(RoleName="kb", Path="/tenantry/", AssumeRolePolicyDocument=aws.trust())
    assert "bedrock:InvokeModel" in create(aws)
    aws.put_permissions(aws.permissions("")[:3])
    denied = (f"{INVALID}User: arn:aws:sts::{aws.account}:assumed-role/kb/BedrockKnowledgeBase is not authorized to perform: "
              f"s3vectors:QueryVectors on resource: {aws.vector_index_arn} because no identity-based policy allows the "
              "s3vectors:QueryVectors action (Service: S3Vectors, Status Code: 403)")
    assert create(aws) == denied                                                # whether or not there is an index
    aws.put_permissions(aws.vector_permissions(index=aws.vector_arn + "/index/other"))
    assert create(aws) == denied
    aws.put_permissions(aws.vector_permissions())
    missing = f"{INVALID}The specified index could not be found (Service: S3Vectors, Status Code: 404)"
    assert create(aws) == missing
    aws.vectors.create_vector_bucket(vectorBucketName="vbkt")
    assert create(aws) == missing
    aws.make_vector_index(dimension=512)
    assert "Query vector contains invalid values or is invalid for this index: vector must have length 512, but has length 1024" in create(aws)
    aws.vectors.delete_index(indexArn=aws.vector_index_arn)
    aws.make_vector_index(distanceMetric="euclidean")
    assert create(aws) is None
    assert create(aws) == "KnowledgeBase with name kb already exists."


def test_the_index_in_one_way_or_the_other(aws):
    aws.make_vector_store()
    both = {"vectorBucketArn": aws.vector_arn, "indexName": "idx"}
    for wrong in ({}, {"indexArn": aws.vector_index_arn, **both}, {"indexArn": aws.vector_index_arn, "indexName": "idx"}, {"indexName": "idx"},
                  {"vectorBucketArn": aws.vector_arn}):
        assert "either indexArn, or both vectorBucketArn and indexName" in create(aws, **storage(**wrong))
    assert "storageConfiguration must be of type" in create(aws, storageConfiguration={"type": "PINECONE"})
    assert INVALID in create(aws, **storage(indexArn="arn:aws:aoss:us-east-1:1:collection/x"))
    assert create(aws, **storage(**both)) is None


def test_what_is_tried_with_the_role_both_ways(aws):
    aws.make_vector_store()
    lacks = lambda *actions: aws.put_permissions(aws.vector_permissions(*(a for a in FIVE if a not in actions)))
    lacks("GetVectors", "PutVectors", "DeleteVectors", "GetIndex")
    assert create(aws, name="query") is None
    switch(aws, s3_vectors_check="query_get")
    assert "s3vectors:GetVectors" in create(aws, name="query-get")
    switch(aws, s3_vectors_check="all")
    for action in FIVE:
        lacks(action)
        assert f"s3vectors:{action} on" in create(aws, name="all")
    switch(aws, s3_vectors_check="none")
    lacks(*FIVE[:-1])
    assert create(aws, name="none") is None


def test_what_s3_vectors_cannot_hold(aws):
    aws.make_vector_store()
    binary = {"type": "VECTOR", "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": MODEL, "embeddingModelConfiguration": {
        "bedrockEmbeddingModelConfiguration": {"dimensions": 1024, "embeddingDataType": "BINARY"}}}}
    assert "FLOAT32 only" in create(aws, knowledgeBaseConfiguration=binary)


def test_bedrock_sees_an_index_late_and_a_role_too(aws):
    aws.make_vector_store()
    aws.settings(lag={"vector_index_visible": 1e6})
    assert "could not be found" in create(aws)
    aws.settings(lag={"vector_index_visible": 0, "role": 1e6})
    assert "cannot assume role" in create(aws)
    aws.settings(lag={"role": 0})
    assert create(aws) is None


def test_how_the_index_is_shown_and_sent_again(aws):
    aws.make_vector_store()
    kb, _ = aws.make_vector_kb()
    shown = lambda: aws.agent.get_knowledge_base(knowledgeBaseId=kb)["knowledgeBase"]["storageConfiguration"]
    by_arn, by_names = storage(indexArn=aws.vector_index_arn), storage(vectorBucketArn=aws.vector_arn, indexName="idx")
    assert shown() == by_arn["storageConfiguration"]
    switch(aws, s3_vectors_shown="all")
    assert shown()["s3VectorsConfiguration"] == {"indexArn": aws.vector_index_arn, "vectorBucketArn": aws.vector_arn, "indexName": "idx"}
    for same in (by_arn, by_names, {"storageConfiguration": shown()}):
        aws.agent.update_knowledge_base(knowledgeBaseId=kb, **aws.vector_arguments(**same))
        until(lambda: aws.agent.get_knowledge_base(knowledgeBaseId=kb)["knowledgeBase"]["status"] == "ACTIVE")
    for other in (storage(indexArn=aws.vector_index_arn + "2"), storage(), {"storageConfiguration": {"type": "OPENSEARCH_SERVERLESS"}}):
        assert "storageConfiguration cannot be changed" in message(
            lambda: aws.agent.update_knowledge_base(knowledgeBaseId=kb, **aws.vector_arguments(**other)))


# what a job writes

def test_what_is_in_the_index(pool):
    aws, kb, source = pool
    aws.settings(page_size=100)
    held = aws.vectors.list_vectors(indexArn=aws.vector_index_arn, returnMetadata=True, returnData=True)["vectors"]
    assert len(held) == 4 and all(len(v["data"]["float32"]) == 1024 for v in held)
    (one,) = [v["metadata"] for v in held if v["metadata"].get("tenantId") == "acme"]
    assert one["AMAZON_BEDROCK_TEXT"] == "The annual leave at our company is 30 days." and one["year"] == 2025
    assert one["x-amz-bedrock-kb-source-uri"] == f"s3://{aws.bucket}/pool/acme/leave.md"
    assert one["x-amz-bedrock-kb-data-source-id"] == source and json.loads(one["AMAZON_BEDROCK_METADATA"])
    found = aws.vectors.query_vectors(indexArn=aws.vector_index_arn, topK=9, filter={"tenantId": "acme"}, returnMetadata=True,
                                      queryVector={"float32": held[0]["data"]["float32"]})["vectors"]
    assert [v["metadata"]["tenantId"] for v in found] == ["acme"]


def test_documents_come_change_and_go(pool):
    aws, kb, source = pool
    aws.upload("pool/acme/leave.md", "\n\n".join(["A word. " * 100] * 3), tenantId="acme")
    aws.s3.delete_object(Bucket=aws.bucket, Key="pool/nobody.md")
    done = aws.ingest(kb, source)["statistics"]
    assert (done["numberOfModifiedDocumentsIndexed"], done["numberOfDocumentsDeleted"]) == (1, 1)
    assert len(found(aws, kb, ACME, numberOfResults=20)) == 3
    aws.upload("pool/acme/leave.md", "Short.", tenantId="acme")
    aws.ingest(kb, source)
    assert found(aws, kb, ACME) == ["acme/leave.md"] and len(found(aws, kb, None, numberOfResults=20)) == 3


def test_a_missing_key_shows_when_a_chunk_is_too_large(aws):
    """Without both keys a chunk's text counts as filterable; short ones pass."""
    aws.make_vector_store(keys=())
    kb, source = aws.make_vector_kb()
    aws.upload("pool/short.md", "Short.")
    aws.upload("pool/long.md", "Considerably " * 300)
    job = aws.ingest(kb, source)
    assert job["status"] == "COMPLETE" and job["statistics"]["numberOfDocumentsFailed"] == 1 == job["statistics"]["numberOfNewDocumentsIndexed"]
    (why,) = job["failureReasons"]
    assert "Invalid record for key" in why and "Filterable metadata must have at most 2048 bytes (Service: S3Vectors, Status Code: 400)" in why
    assert found(aws, kb, None) == ["short.md"]


@pytest.mark.parametrize("missing", [("AMAZON_BEDROCK_TEXT",), ("AMAZON_BEDROCK_METADATA",), ("AMAZON_BEDROCK_TEXT", "AMAZON_BEDROCK_METADATA")])
def test_missing_keys_may_be_refused_at_once(aws, missing):
    aws.make_vector_store(keys=[k for k in ("AMAZON_BEDROCK_TEXT", "AMAZON_BEDROCK_METADATA", "other") if k not in missing])
    switch(aws, s3_vectors_keys="checked")
    assert f"must have {' and '.join(missing)} as non-filterable metadata" in create(aws)
    switch(aws, s3_vectors_keys="unchecked")
    assert create(aws) is None


def test_a_sidecar_over_1_kb_is_left_aside_in_silence(pool):
    """As several people met it: COMPLETE, nothing failed, nothing skipped; only the job's reasons say it."""
    aws, kb, source = pool
    aws.upload("pool/acme/large.md", "Large.", tenantId="acme", note="x" * 1024)
    aws.upload("pool/acme/huge.md", "Huge.", tenantId="acme", **{f"k{n}": "x" * 2000 for n in range(6)})         # over 10 KB
    aws.upload("pool/acme/fine.md", "Fine.", tenantId="acme", note="x" * 900)
    job = aws.ingest(kb, source)
    assert job["status"] == "COMPLETE" and job["failureReasons"] == [
        "Ignored 2 files as the associated metadata was larger than service limit of MaximumFileSizeSupported: 1024 bytes"]
    done = job["statistics"]
    assert (done["numberOfDocumentsScanned"], done["numberOfNewDocumentsIndexed"], done["numberOfDocumentsFailed"],
            done["numberOfDocumentsSkipped"]) == (7, 1, 0, 0)
    aws.settings(page_size=100)
    listed = aws.agent.list_knowledge_base_documents(knowledgeBaseId=kb, dataSourceId=source)["documentDetails"]
    assert not [d for d in listed if "/large" in d["identifier"]["s3"]["uri"] or "/huge" in d["identifier"]["s3"]["uri"]]
    aws.upload("pool/acme/large.md", "Large.", tenantId="acme")
    assert "failureReasons" in aws.ingest(kb, source) and "acme/large.md" in found(aws, kb, ACME)


@pytest.mark.parametrize("how, status, failed", [("failed", "COMPLETE", 1), ("job", "FAILED", 0)])
def test_a_sidecar_over_1_kb_in_other_ways(pool, how, status, failed):
    aws, kb, source = pool
    switch(aws, s3_vectors_sidecar=how)
    aws.upload("pool/acme/large.md", "Large.", note="x" * 1024)
    job = aws.ingest(kb, source)
    assert (job["status"], job["statistics"]["numberOfDocumentsFailed"]) == (status, failed)
    assert "larger than 1024 bytes" in job["failureReasons"][0]


@pytest.mark.parametrize("how, status, failed", [("document", "COMPLETE", 1), ("job", "FAILED", 0)])
@pytest.mark.parametrize("attributes, why", [
    ({f"k{n}": 1 for n in range(36)}, "more than 35 metadata attributes"),
    ({f"k{n}": "中" * 90 for n in range(3)} | {"long": "Filterable"}, "Filterable metadata must have at most 2048 bytes")])
def test_too_many_attributes_and_too_much_of_them(pool, attributes, why, how, status, failed):
    aws, kb, source = pool
    switch(aws, s3_vectors_refusal=how)
    if "long" in attributes:
        aws.settings(limits={"vector_sidecar_bytes": 10240})
        attributes = {k: v * 3 for k, v in attributes.items()}
    aws.upload("pool/acme/many.md", "Many.", **attributes)
    job = aws.ingest(kb, source)
    assert (job["status"], job["statistics"]["numberOfDocumentsFailed"]) == (status, failed)
    assert why in job["failureReasons"][0]


def test_a_chunk_that_is_too_large_altogether(pool):
    """As large parents of hierarchical chunks are: 40 KB is all that a vector's metadata can have."""
    aws, kb, _ = pool
    source = aws.make_source(kb, name="whole", vectorIngestionConfiguration={"chunkingConfiguration": {"chunkingStrategy": "NONE"}})
    aws.upload("pool/whole.md", "x" * 41000)
    job = aws.ingest(kb, source)
    assert job["statistics"]["numberOfDocumentsFailed"] == 1 and "Metadata object must have at most 40960 bytes" in job["failureReasons"][0]


def test_a_job_without_rights_fails(pool):
    aws, kb, source = pool
    aws.put_permissions(aws.vector_permissions("QueryVectors", "GetVectors", "GetIndex"))
    job = aws.ingest(kb, source)
    assert job["status"] == "FAILED" and "s3vectors:PutVectors on" in job["failureReasons"][0]
    assert job["failureReasons"][0].endswith("(Service: S3Vectors, Status Code: 403). Call to Amazon S3 Vectors did not succeed.")
    assert found(aws, kb, ACME) == ["acme/leave.md"]


@pytest.mark.parametrize("change", ["modified", "deleted"])
def test_a_role_that_may_not_delete_vectors_gets_through_its_first_job_only(aws, change):
    aws.make_vector_store()
    aws.put_permissions(aws.vector_permissions(*(a for a in FIVE if a != "DeleteVectors")))
    kb, source = aws.make_vector_kb()
    fill(aws)
    assert aws.ingest(kb, source)["statistics"]["numberOfNewDocumentsIndexed"] == 4
    aws.upload("pool/acme/more.md", "More.", tenantId="acme")
    assert aws.ingest(kb, source)["status"] == "COMPLETE"                          # nothing has to go for it
    if change == "deleted":
        aws.s3.delete_object(Bucket=aws.bucket, Key="pool/nobody.md")
    else:
        aws.upload("pool/nobody.md", "Something else.")
    job = aws.ingest(kb, source)
    assert job["status"] == "FAILED" and "s3vectors:DeleteVectors on" in job["failureReasons"][0]
    aws.agent.delete_data_source(knowledgeBaseId=kb, dataSourceId=source)
    shown = lambda: aws.agent.get_data_source(knowledgeBaseId=kb, dataSourceId=source)["dataSource"]
    until(lambda: shown()["status"] == "DELETE_UNSUCCESSFUL")
    assert "s3vectors:DeleteVectors" in shown()["failureReasons"][0]


# what Retrieve finds

def found(aws, kb, filter=ACME, **search):
    return keys(aws.retrieve(kb, "annual leave", filter, **search))


def test_filters(pool):
    aws, kb, _ = pool
    assert found(aws, kb) == ["acme/leave.md"] and len(found(aws, kb, None)) == 4
    recent = {"greaterThan": {"key": "year", "value": 2025}}
    assert set(found(aws, kb, recent)) == {"globex/leave.md", "globex/coffee.md"}
    assert found(aws, kb, {"andAll": [ACME, recent]}) == []
    assert set(found(aws, kb, {"in": {"key": "tenantId", "value": ["acme", "globex"]}})) == {
        "acme/leave.md", "globex/leave.md", "globex/coffee.md"}
    (passage,) = aws.retrieve(kb, "annual leave", ACME)
    assert passage["content"] == {"type": "TEXT", "text": "The annual leave at our company is 30 days."}
    assert set(passage["metadata"]) == {"tenantId", "year", "x-amz-bedrock-kb-source-uri", "x-amz-bedrock-kb-data-source-id",
                                        "x-amz-bedrock-kb-chunk-id"}


@pytest.mark.parametrize("operator", ["startsWith", "stringContains"])
def test_operators_that_s3_vectors_lacks(pool, operator):
    aws, kb, _ = pool
    ask = lambda: found(aws, kb, {operator: {"key": "tenantId", "value": "acme"}})
    assert message(ask) == f"The vector store does not support the filter {operator}"
    switch(aws, retrieve_filter="operator_ignored")
    assert len(ask()) == 4
    switch(aws, retrieve_filter="honoured", s3_vectors_filters_missing=[])
    assert ask() == ["acme/leave.md"]
    switch(aws, s3_vectors_filters_missing=["equals"])
    assert code(lambda: found(aws, kb)) == "ValidationException"


def test_hybrid_both_ways(pool):
    aws, kb, _ = pool
    ask = lambda: found(aws, kb, overrideSearchType="HYBRID")
    assert message(ask) == (f"HYBRID search type is not supported for search operation on index {kb}. Retry your request with a "
                            "different search type.")
    assert found(aws, kb, overrideSearchType="SEMANTIC") == ["acme/leave.md"]
    switch(aws, s3_vectors_hybrid="semantic")
    assert ask() == ["acme/leave.md"]


def test_what_is_not_filterable_is_no_filter(aws):
    aws.make_vector_store(keys=("AMAZON_BEDROCK_TEXT", "AMAZON_BEDROCK_METADATA", "tenantId"))
    kb, source = aws.make_vector_kb()
    fill(aws)
    aws.ingest(kb, source)
    assert "non-filterable metadata in filter: tenantId" in message(lambda: found(aws, kb))
    assert "non-filterable" in message(lambda: found(aws, kb, {"andAll": [{"equals": {"key": "year", "value": 1}}, ACME]}))
    assert set(found(aws, kb, {"equals": {"key": "year", "value": 2026}})) == {"globex/leave.md", "globex/coffee.md"}


@pytest.mark.parametrize("bucket, asked, finds", [("ENHANCED", "index", 1), ("ENHANCED", "CLASSIC", 0), ("CLASSIC", "index", 0),
                                                  ("CLASSIC", "ENHANCED", 1)])
def test_short_answers_of_a_classic_search(aws, bucket, asked, finds):
    switch(aws, vector_bucket_mode=bucket, s3_vectors_query=asked)
    aws.make_vector_store()
    kb, source = aws.make_vector_kb()
    for n in range(3):
        aws.upload(f"pool/globex/leave-{n}.md", "Annual leave, annual leave.", tenantId="globex")
    aws.upload("pool/acme/other.md", "Nothing of the kind.", tenantId="acme")
    aws.ingest(kb, source)
    assert len(found(aws, kb, numberOfResults=1)) == finds
    assert len(found(aws, kb, numberOfResults=2)) == 1


def test_whoever_writes_to_the_index_is_believed(pool):
    """Vectors are data: who may put them can forge whose they are, or take a tenant's away."""
    aws, kb, source = pool
    forged = {"AMAZON_BEDROCK_TEXT": "Annual leave is cancelled.", "tenantId": "acme",
              "x-amz-bedrock-kb-source-uri": f"s3://{aws.bucket}/pool/evil.md"}
    attacker = aws.make_operator(allow("s3vectors:*"))
    attacker.vectors.put_vectors(indexArn=aws.vector_index_arn, vectors=[{"key": "x", "data": {"float32": [1.0] * 1024}, "metadata": forged}])
    assert set(found(aws, kb)) == {"acme/leave.md", "evil.md"}
    put_policy(aws, *fence(aws, TAG))
    for act in (lambda: attacker.vectors.delete_vectors(indexArn=aws.vector_index_arn, keys=["x"]),
                lambda: attacker.vectors.query_vectors(indexArn=aws.vector_index_arn, topK=1, queryVector={"float32": [1.0] * 1024})):
        assert "explicit deny in a resource-based policy" in message(act)


# the fence, and the key

@pytest.fixture
def fenced(pool):
    """The index is acme's, the bucket is fenced, and the role is where the fence wants it."""
    aws, kb, source = pool
    aws.vectors.tag_resource(resourceArn=aws.vector_index_arn, tags={TAG: "acme", "tenant-id": "acme"})
    return aws, kb, source


def in_prod(aws, tag):
    """The fence with the role's own path."""
    return json.loads(json.dumps(fence(aws, tag)).replace("role/tenantry/prod/", "role/tenantry/"))


def test_the_fence_binds_bedrocks_role_too(fenced):
    aws, kb, source = fenced
    put_policy(aws, *in_prod(aws, TAG))
    ask = lambda: aws.retrieve(kb, "annual leave")
    assert "s3vectors:QueryVectors" in message(ask) and "explicit deny in a resource-based policy" in message(ask)      # the role has no tag
    aws.iam.tag_role(RoleName="kb", Tags=[{"Key": TAG, "Value": "globex"}])
    assert refused(ask)
    aws.iam.tag_role(RoleName="kb", Tags=[{"Key": TAG, "Value": "acme"}, {"Key": "tenant-id", "Value": "acme"}])
    assert len(ask()) == 4 and aws.ingest(kb, source)["status"] == "COMPLETE"
    switch(aws, policy_variables="slashless")
    assert refused(ask) and aws.ingest(kb, source)["status"] == "FAILED"
    put_policy(aws, *in_prod(aws, "tenant-id"))
    assert len(ask()) == 4 and aws.ingest(kb, source)["status"] == "COMPLETE"


def test_the_role_needs_the_indexs_key(aws):
    key = make_key(aws, indexing(aws))
    aws.make_vector_store(bucket=under(key))
    assert f"kms:Decrypt on resource: {key}" in create(aws)
    aws.put_permissions(aws.vector_permissions() + [allow("kms:Decrypt", key, StringEquals={
        "kms:ViaService": "s3vectors.us-east-1.amazonaws.com"})])
    kb, source = aws.make_vector_kb()
    fill(aws)
    assert aws.ingest(kb, source)["status"] == "COMPLETE" and found(aws, kb) == ["acme/leave.md"]
    aws.kms.disable_key(KeyId=key)
    assert "is Disabled" in message(lambda: found(aws, kb))
    aws.kms.enable_key(KeyId=key)
    aws.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=key_policy(aws, {
        "Effect": "Deny", "Principal": {"AWS": aws.role_arn}, "Action": "kms:Decrypt", "Resource": "*"}))
    assert "kms:Decrypt" in message(lambda: found(aws, kb))


# the end

def gone(aws, kb):
    until(lambda: code(lambda: aws.agent.get_knowledge_base(knowledgeBaseId=kb)) == "ResourceNotFoundException")


def test_deletion_takes_the_vectors_or_leaves_them(pool):
    aws, kb, source = pool
    aws.agent.delete_knowledge_base(knowledgeBaseId=kb)
    gone(aws, kb)
    assert aws.vectors.list_vectors(indexArn=aws.vector_index_arn)["vectors"] == []
    kb, source = aws.make_vector_kb(name="second")
    aws.agent.update_data_source(**aws.source_arguments(kb), dataSourceId=source, dataDeletionPolicy="RETAIN")
    aws.ingest(kb, source)
    aws.agent.delete_knowledge_base(knowledgeBaseId=kb)
    gone(aws, kb)
    assert aws.vectors.list_vectors(indexArn=aws.vector_index_arn)["vectors"]          # nobody took them


def test_an_index_goes_while_it_is_used(pool):
    """S3 Vectors knows nothing of who uses it. A new one of the name is empty until there is a new data source."""
    aws, kb, source = pool
    aws.vectors.delete_index(indexArn=aws.vector_index_arn)
    missing = "The specified index could not be found (Service: S3Vectors, Status Code: 404). Call to Amazon S3 Vectors did not succeed."
    assert message(lambda: found(aws, kb)) == missing
    job = aws.ingest(kb, source)
    assert (job["status"], job["failureReasons"]) == ("FAILED", [missing])
    aws.make_vector_index()
    assert found(aws, kb) == []
    assert aws.ingest(kb, source)["statistics"]["numberOfNewDocumentsIndexed"] == 0
    other = aws.make_source(kb, name="again")
    aws.ingest(kb, other)
    assert found(aws, kb) == ["acme/leave.md"]


def test_an_index_goes_in_the_middle_of_a_job(aws):
    aws.make_vector_store()
    kb, source = aws.make_vector_kb()
    fill(aws)
    hold = aws.control("POST", "hold", {"point": "ingestion.document", "match": "pool/globex/*"})
    started = aws.agent.start_ingestion_job(knowledgeBaseId=kb, dataSourceId=source)["ingestionJob"]["ingestionJobId"]
    until(lambda: aws.control("GET", "holds")["holds"][0]["waiting"])
    aws.vectors.delete_index(indexArn=aws.vector_index_arn)
    aws.control("POST", "release", hold)
    until(lambda: aws.job(kb, source, started)["status"] == "COMPLETE")
    assert aws.job(kb, source, started)["statistics"]["numberOfDocumentsFailed"] == 3


def test_what_went_first_makes_deletion_unsuccessful(pool):
    """The whole bucket, its index first. RETAIN gets out, as on the other store."""
    aws, kb, source = pool
    aws.vectors.delete_index(indexArn=aws.vector_index_arn)
    aws.vectors.delete_vector_bucket(vectorBucketName="vbkt")
    aws.agent.delete_knowledge_base(knowledgeBaseId=kb)
    shown = lambda: aws.agent.get_knowledge_base(knowledgeBaseId=kb)["knowledgeBase"]
    until(lambda: shown()["status"] == "DELETE_UNSUCCESSFUL")
    assert "Unable to delete data from vector store" in shown()["failureReasons"][0] and "could not be found" in shown()["failureReasons"][0]
    aws.agent.update_data_source(**aws.source_arguments(kb), dataSourceId=source, dataDeletionPolicy="RETAIN")
    aws.agent.delete_knowledge_base(knowledgeBaseId=kb)
    gone(aws, kb)


def test_both_stores_in_one_account(pool):
    """A store that is not sound may mix in what is in the other."""
    aws, kb, _ = pool
    aws.make_collection()
    aws.grant("operator", aws.root, ["CreateIndex", "DescribeIndex"])
    aws.grant("kb-role", aws.role_arn, ["DescribeIndex", "ReadDocument", "WriteDocument", "UpdateIndex"], "index/coll/idx")
    aws.make_index()
    aws.put_permissions(aws.vector_permissions() + aws.permissions(aws.collection()["arn"])[3:])
    other = aws.make_kb(name="other")
    source = aws.make_source(other)
    aws.ingest(other, source)
    assert found(aws, other) == found(aws, kb) == ["acme/leave.md"]
    switch(aws, retrieve_passages="mixed")
    assert len(found(aws, other, None, numberOfResults=100)) == 5
