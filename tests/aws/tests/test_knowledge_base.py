"""Parts 1, 2 and 4: what CreateKnowledgeBase refuses and with which words (aws-facts §5), lifecycles, updates that
overwrite (§1.1), and deletion that gets stuck and how it gets free (§5.5)."""

import datetime
import json
import uuid

import pytest

from .conftest import MODEL, REGION, allow, code, message, pages, refused, until

INVALID = "The knowledge base storage configuration provided is invalid"


def test_each_thing_that_is_missing_has_its_message(aws):
    """One stack, taken from nothing to right, one fault after the other."""
    aws.s3.create_bucket(Bucket=aws.bucket)
    made = aws.make_collection(services=["aoss.amazonaws.com"])
    create = lambda: message(lambda: aws.agent.create_knowledge_base(**aws.kb_arguments()))
    assert "cannot assume role" in create()                                       # there is none

    aws.iam.create_role(RoleName="kb", Path="/tenantry/", AssumeRolePolicyDocument=aws.trust(
        ArnLike={"aws:SourceArn": f"arn:aws:bedrock:{REGION}:{aws.account}:knowledge-base/OTHER"}))
    assert "unable to assume the given role" in create()                          # trust names another knowledge base
    aws.iam.update_assume_role_policy(RoleName="kb", PolicyDocument=aws.trust(
        StringEquals={"aws:SourceAccount": "999999999999"}))
    assert "unable to assume the given role" in create()                          # or another account
    aws.iam.update_assume_role_policy(RoleName="kb", PolicyDocument=aws.trust())
    assert "bedrock:InvokeModel" in create()

    everything = aws.permissions(made["arn"])
    aws.put_permissions(everything[:3])
    assert INVALID in create() and "Bad Authorization" in create()                # the network policy does not name Bedrock
    version = aws.aoss.get_security_policy(type="network", name="coll-net")["securityPolicyDetail"]
    network = [{**version["policy"][0], "SourceServices": ["aoss.amazonaws.com", "bedrock.amazonaws.com"]}]
    aws.aoss.update_security_policy(type="network", name="coll-net", policyVersion=version["policyVersion"],
                                    policy=json.dumps(network))
    assert "[security_exception] 403 Forbidden" in create()                       # no aoss:APIAccessAll
    aws.put_permissions(aws.permissions(made["arn"].rsplit("/", 1)[0] + "/other"))
    assert "[security_exception] 403 Forbidden" in create()                       # or on another collection
    aws.put_permissions(everything)
    assert "[security_exception] 403 Forbidden" in create()                       # no data access policy
    aws.grant("kb-some", aws.role_arn, ["DescribeIndex"], "index/coll/idx")
    assert "[security_exception] all shards failed" in create()                   # one that does not suffice
    aws.grant("kb-rest", aws.role_arn, ["ReadDocument", "WriteDocument", "UpdateIndex"], "index/coll/i*")
    assert "404, error message: no such index [idx]" in create()
    aws.grant("operator", aws.root, ["CreateIndex", "DescribeIndex", "DeleteIndex"])
    aws.make_index(engine="nmslib")
    until(lambda: "no such index" not in create())
    assert "engine type" in create() and "FAISS" in create()
    aws.aoss.delete_index(id=made["id"], indexName="idx")
    aws.make_index(dimension=512)
    until(lambda: "no such index" not in create())
    assert "Query vector has invalid dimension: 1024. Dimension should be: 512" in create()
    arguments = aws.kb_arguments()
    arguments["storageConfiguration"]["opensearchServerlessConfiguration"]["fieldMapping"]["vectorField"] = "text"
    assert "is not knn_vector type" in message(lambda: aws.agent.create_knowledge_base(**arguments))
    arguments = aws.kb_arguments(knowledgeBaseConfiguration={"type": "VECTOR", "vectorKnowledgeBaseConfiguration": {
        "embeddingModelArn": MODEL, "embeddingModelConfiguration": {"bedrockEmbeddingModelConfiguration": {"dimensions": 512}}}})
    assert not refused(lambda: aws.agent.create_knowledge_base(**arguments))
    assert {e["error"] for e in aws.journal(operation="CreateKnowledgeBase")} == {"ValidationException", ""}


def test_a_new_index_is_not_visible_to_bedrock_at_once(aws):
    aws.settings(lag={"index_visible": 1e6})
    aws.make_store()
    create = lambda: aws.agent.create_knowledge_base(**aws.kb_arguments())
    assert "no such index [idx]" in message(create)
    aws.settings(lag={"index_visible": 0})
    assert not refused(create)


def test_the_boundary_counts(aws):
    aws.make_store()
    aws.settings(lag={"index_visible": 0})
    boundary = aws.iam.create_policy(PolicyName="boundary", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["bedrock:*", "s3:*"], "Resource": "*"}]}))["Policy"]["Arn"]
    aws.iam.put_role_permissions_boundary(RoleName="kb", PermissionsBoundary=boundary)
    create = lambda: aws.agent.create_knowledge_base(**aws.kb_arguments())
    assert "403 Forbidden" in message(create)
    aws.iam.delete_role_permissions_boundary(RoleName="kb")
    assert not refused(create)


def test_changes_can_take_effect_late(aws):
    """Part 2's hook: IAM and data access changes are propagated, not instant (§5.1, §5.3)."""
    aws.make_store()
    aws.settings(lag={"index_visible": 0, "role": 1e6})
    create = lambda: aws.agent.create_knowledge_base(**aws.kb_arguments())
    assert "cannot assume role" in message(create)
    aws.settings(lag={"role": 0, "data_access": 1e6})
    assert "403 Forbidden" in message(create)
    aws.settings(lag={"data_access": 0})
    assert not refused(create)


def test_lifecycle_list_lag_and_blocked_name(aws):
    aws.make_store()
    aws.settings(dwell={"kb_create": 1e6, "kb_delete": 1e6}, lag={"list": 1e6, "index_visible": 0})
    made = aws.agent.create_knowledge_base(**aws.kb_arguments(tags={"a": "b"}))
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
    kb = made["knowledgeBase"]
    assert kb["status"] == "CREATING" and aws.agent.list_tags_for_resource(resourceArn=kb["knowledgeBaseArn"])["tags"] == {"a": "b"}
    get = lambda: aws.agent.get_knowledge_base(knowledgeBaseId=kb["knowledgeBaseId"])["knowledgeBase"]["status"]
    assert get() == "CREATING" and aws.agent.list_knowledge_bases()["knowledgeBaseSummaries"] == []
    assert code(lambda: aws.agent.delete_knowledge_base(knowledgeBaseId=kb["knowledgeBaseId"])) == "ConflictException"
    aws.settings(dwell={"kb_create": 0}, lag={"list": 0})
    until(lambda: get() == "ACTIVE")
    (summary,) = aws.agent.list_knowledge_bases()["knowledgeBaseSummaries"]
    assert set(summary) == {"knowledgeBaseId", "name", "status", "updatedAt"}       # no ARN, no tags
    assert code(lambda: aws.agent.create_knowledge_base(**aws.kb_arguments())) == "ConflictException"
    assert aws.agent.delete_knowledge_base(knowledgeBaseId=kb["knowledgeBaseId"])["status"] == "DELETING"
    assert code(lambda: aws.agent.create_knowledge_base(**aws.kb_arguments())) == "ConflictException"
    aws.settings(dwell={"kb_delete": 0})
    until(lambda: refused(get))
    assert code(get) == "ResourceNotFoundException"


def test_a_token_seen_before_is_silently_ignored(aws):
    """Also when what it once made is long gone: the answer describes a knowledge base that no longer exists."""
    aws.make_store()
    token = str(uuid.uuid4())
    aws.settings(lag={"index_visible": 0})
    create = lambda: aws.agent.create_knowledge_base(**aws.kb_arguments(clientToken=token))["knowledgeBase"]["knowledgeBaseId"]
    first = create()
    assert create() == first
    until(lambda: not refused(lambda: aws.agent.delete_knowledge_base(knowledgeBaseId=first)))
    until(lambda: refused(lambda: aws.agent.get_knowledge_base(knowledgeBaseId=first)))
    assert create() == first
    assert refused(lambda: aws.agent.get_knowledge_base(knowledgeBaseId=first))


def test_updating_a_knowledge_base_overwrites(aws):
    aws.make_store()
    kb = aws.make_kb(description="old")
    same = {"knowledgeBaseId": kb, **aws.kb_arguments()}
    other = json.loads(json.dumps(same))
    other["storageConfiguration"]["opensearchServerlessConfiguration"]["vectorIndexName"] = "other"
    assert "cannot be changed" in message(lambda: aws.agent.update_knowledge_base(**other))
    assert "cannot assume role" in message(lambda: aws.agent.update_knowledge_base(**{**same, "roleArn": aws.role_arn + "2"}))
    answer = aws.agent.update_knowledge_base(**same)["knowledgeBase"]
    assert answer["status"] == "UPDATING" and "description" not in answer


def test_updating_a_data_source_overwrites(aws):
    aws.make_store()
    kb = aws.make_kb()
    chunking = {"chunkingConfiguration": {"chunkingStrategy": "NONE"}}
    source = aws.make_source(kb, description="old", dataDeletionPolicy="RETAIN", vectorIngestionConfiguration=chunking)
    same = {**aws.source_arguments(kb), "dataSourceId": source}
    assert "cannot be changed" in message(lambda: aws.agent.update_data_source(**same))          # chunking left out
    answer = aws.agent.update_data_source(**same, vectorIngestionConfiguration=chunking)["dataSource"]
    assert "description" not in answer and answer["dataDeletionPolicy"] == "DELETE"


def test_what_nobody_has_set_may_come_back_empty_and_is_not_taken_so(aws):
    """Members with a minimum of 1: the model refuses what an answer may well have."""
    aws.make_store()
    kb = aws.make_kb()
    source = aws.make_source(kb)
    get = lambda: aws.agent.get_data_source(knowledgeBaseId=kb, dataSourceId=source)["dataSource"]
    assert "description" not in get()
    aws.settings(switches={"unset": "empty"})
    assert (get()["description"], get()["serverSideEncryptionConfiguration"], get()["failureReasons"]) == ("", {}, [])
    same = {**aws.source_arguments(kb), "dataSourceId": source}
    assert "'description'" in message(lambda: aws.agent.update_data_source(**same, description=get()["description"]))
    assert not refused(lambda: aws.agent.update_data_source(**same, description="something"))
    assert get()["description"] == "something"


def test_the_life_of_a_foundation_model(aws):
    life = lambda model: aws.bedrock.get_foundation_model(modelIdentifier=model)["modelDetails"]["modelLifecycle"]
    titan = "amazon.titan-embed-text-v2:0"
    assert life(titan) == {"status": "ACTIVE"}
    assert code(lambda: life("amazon.titan-embed-text-v9")) == "ResourceNotFoundException"
    aws.settings(switches={"legacy_models": [[titan, 60], ["cohere.embed-english-v3", None]]})
    left = life(titan)["endOfLifeTime"] - datetime.datetime.now(datetime.timezone.utc)
    assert life(titan)["status"] == "LEGACY" and 59.9 < left / datetime.timedelta(days=1) < 60.1
    assert life("cohere.embed-english-v3") == {"status": "LEGACY"}
    op = aws.make_operator(allow("bedrock:GetFoundationModel", f"arn:aws:bedrock:{REGION}::foundation-model/{titan}"))
    get = lambda model: op.bedrock.get_foundation_model(modelIdentifier=model)
    assert not refused(lambda: get(titan))
    assert "bedrock:GetFoundationModel" in message(lambda: get("cohere.embed-english-v3"))


def test_at_most_so_many(aws):
    aws.make_store()
    kb = aws.make_kb()
    for n in range(5):
        aws.make_source(kb, name=f"docs-{n}")
    error = refused(lambda: aws.make_source(kb))
    assert error.response["Error"]["Code"] == "ServiceQuotaExceededException"
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 402
    assert sum(len(p["dataSourceSummaries"]) for p in pages(aws.agent.list_data_sources, knowledgeBaseId=kb)) <= 5
    aws.settings(limits={"knowledge_bases": 1})
    assert code(lambda: aws.agent.create_knowledge_base(**aws.kb_arguments(name="kb2"))) == "ServiceQuotaExceededException"


def test_deletion_policy_is_delete_unless_said(aws):
    kb, source = aws.make_all()
    assert aws.agent.get_data_source(knowledgeBaseId=kb, dataSourceId=source)["dataSource"]["dataDeletionPolicy"] == "DELETE"


def _no_index(aws):
    aws.aoss.delete_index(id=aws.collection()["id"], indexName="idx")


def _no_collection(aws):
    aws.aoss.delete_collection(id=aws.collection()["id"])


def _no_role(aws):
    aws.iam.delete_role_policy(RoleName="kb", PolicyName="kb")
    aws.iam.delete_role(RoleName="kb")


def _no_grant(aws):
    aws.aoss.delete_access_policy(type="data", name="kb-role")


def _no_bucket(aws):
    aws.s3.delete_bucket(Bucket=aws.bucket)


@pytest.mark.parametrize("gone_first", [_no_index, _no_collection, _no_role, _no_grant, _no_bucket])
def test_a_data_source_whose_store_role_or_bucket_went_first(aws, gone_first):
    kb, source = aws.make_all()
    gone_first(aws)
    get = lambda: aws.agent.get_data_source(knowledgeBaseId=kb, dataSourceId=source)["dataSource"]
    assert aws.agent.delete_data_source(knowledgeBaseId=kb, dataSourceId=source)["status"] == "DELETING"
    until(lambda: get()["status"] == "DELETE_UNSUCCESSFUL")
    (reason,) = get()["failureReasons"]
    assert f"Unable to delete data from vector store for data source with ID {source}" in reason
    assert "updating the dataDeletionPolicy of the data source to RETAIN" in reason
    aws.agent.update_data_source(**aws.source_arguments(kb, dataDeletionPolicy="RETAIN"), dataSourceId=source)
    aws.agent.delete_data_source(knowledgeBaseId=kb, dataSourceId=source)
    until(lambda: refused(get))
    aws.agent.delete_knowledge_base(knowledgeBaseId=kb)
    until(lambda: refused(lambda: aws.agent.get_knowledge_base(knowledgeBaseId=kb)))


def test_a_knowledge_base_is_stuck_with_its_data_source(aws):
    kb, source = aws.make_all()
    _no_index(aws)
    aws.agent.delete_knowledge_base(knowledgeBaseId=kb)
    get = lambda: aws.agent.get_knowledge_base(knowledgeBaseId=kb)["knowledgeBase"]
    until(lambda: get()["status"] == "DELETE_UNSUCCESSFUL")
    assert "Unable to delete data" in get()["failureReasons"][0]
    assert aws.agent.get_data_source(knowledgeBaseId=kb, dataSourceId=source)["dataSource"]["status"] == "DELETE_UNSUCCESSFUL"
    aws.agent.update_data_source(**aws.source_arguments(kb, dataDeletionPolicy="RETAIN"), dataSourceId=source)
    aws.agent.delete_data_source(knowledgeBaseId=kb, dataSourceId=source)
    until(lambda: refused(lambda: aws.agent.get_data_source(knowledgeBaseId=kb, dataSourceId=source)))
    aws.agent.delete_knowledge_base(knowledgeBaseId=kb)
    until(lambda: refused(get))


def test_deleting_a_knowledge_base_deletes_its_data_sources(aws):
    kb, _ = aws.make_all()
    aws.agent.delete_knowledge_base(knowledgeBaseId=kb)
    until(lambda: refused(lambda: aws.agent.get_knowledge_base(knowledgeBaseId=kb)))
    assert code(lambda: aws.agent.list_data_sources(knowledgeBaseId=kb)) == "ResourceNotFoundException"


def test_tags(aws):
    aws.make_store()
    kb = aws.make_kb(tags={"a": "b"})
    arn = f"arn:aws:bedrock:{REGION}:{aws.account}:knowledge-base/{kb}"
    aws.agent.tag_resource(resourceArn=arn, tags={"tenantry.dev/owner": "Tenant/ns/name"})
    aws.agent.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert aws.agent.list_tags_for_resource(resourceArn=arn)["tags"] == {"tenantry.dev/owner": "Tenant/ns/name"}
    assert code(lambda: aws.agent.tag_resource(resourceArn=arn + "/data-source/x", tags={"a": "b"})) is not None
