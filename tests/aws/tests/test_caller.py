"""Part 2 for the operator: what a session may do is what its role's policies allow, in every service, under AWS's names."""

import json
import re
import time

import pytest
from botocore.exceptions import ClientError

from .conftest import MODEL, REGION, allow, schema, until

TAGS = {"tenantry.dev/owner": "Tenant/a/b"}


def pairs(key="Key", value="Value"):
    return [{key: k, value: v} for k, v in TAGS.items()]


def eventually(act, *passing):
    """The answer of a call, once its error is none of these."""
    for _ in range(500):
        try:
            return act()
        except ClientError as error:
            if not any(p in str(error) for p in passing):
                raise
        time.sleep(0.02)
    raise AssertionError("it never happened")


def onboard(aws, op):
    """What an operator does for a Silo tenant with a key of its own, and back again: every kind of call once."""
    account, bucket = aws.account, aws.bucket
    key_policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "kms:*", "Resource": "*"}]})
    assert not op.kms.list_aliases()["Aliases"] and not op.kms.list_keys()["Keys"]
    key = op.kms.create_key(Policy=key_policy, Tags=pairs("TagKey", "TagValue"))["KeyMetadata"]["Arn"]
    op.kms.create_alias(AliasName="alias/t-acme", TargetKeyId=key)
    op.kms.describe_key(KeyId="alias/t-acme")
    op.kms.list_resource_tags(KeyId=key)

    op.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"Tags": pairs()})
    op.s3.head_bucket(Bucket=bucket)
    op.s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}]})
    op.s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    op.s3.put_object(Bucket=bucket, Key="documents/a.md", Body=b"x")
    op.s3.copy_object(Bucket=bucket, Key="tenantry/a.md", CopySource=f"{bucket}/documents/a.md")
    op.s3.get_object(Bucket=bucket, Key="tenantry/a.md")
    op.s3.list_objects_v2(Bucket=bucket, Prefix="documents/")

    rules = [{"ResourceType": "collection", "Resource": ["collection/t-acme"]}]
    op.aoss.create_security_policy(type="encryption", name="t-acme", policy=json.dumps({"Rules": rules, "KmsARN": key}))
    op.aoss.create_security_policy(type="network", name="t-acme", policy=json.dumps(
        [{"Rules": rules, "SourceServices": ["bedrock.amazonaws.com", "aoss.amazonaws.com"]}]))
    collection = op.aoss.create_collection(name="t-acme", type="VECTORSEARCH", tags=pairs("key", "value"))["createCollectionDetail"]
    until(lambda: op.aoss.batch_get_collection(names=["t-acme"])["collectionDetails"][0]["status"] == "ACTIVE")
    op.aoss.list_tags_for_resource(resourceArn=collection["arn"])
    role = f"arn:aws:iam::{account}:role/tenantry/x/t-acme"
    op.aoss.create_access_policy(type="data", name="t-acme", policy=json.dumps([
        {"Rules": [{"ResourceType": "index", "Resource": ["index/t-acme/*"], "Permission": ["aoss:*"]}],
         "Principal": [role, f"arn:aws:iam::{account}:role/tenantry/op"]}]))
    op.aoss.get_access_policy(type="data", name="t-acme")
    op.aoss.create_index(id=collection["id"], indexName="idx", indexSchema=schema())
    eventually(lambda: op.aoss.get_index(id=collection["id"], indexName="idx"), "ResourceNotFound")

    op.iam.create_role(RoleName="t-acme", Path="/tenantry/x/", AssumeRolePolicyDocument=aws.trust(), Tags=pairs())
    op.iam.put_role_policy(RoleName="t-acme", PolicyName="kb", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": aws.permissions(collection["arn"]) + [allow("kms:*", key)]}))
    op.iam.get_role(RoleName="t-acme")
    op.iam.get_role_policy(RoleName="t-acme", PolicyName="kb")
    op.iam.update_assume_role_policy(RoleName="t-acme", PolicyDocument=aws.trust())

    vector = {"type": "VECTOR", "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": MODEL}}
    store = {"type": "OPENSEARCH_SERVERLESS", "opensearchServerlessConfiguration": {
        "collectionArn": collection["arn"], "vectorIndexName": "idx",
        "fieldMapping": {"vectorField": "vector", "textField": "text", "metadataField": "metadata"}}}
    kb = eventually(lambda: op.agent.create_knowledge_base(
        name="t-acme", roleArn=role, tags=TAGS, knowledgeBaseConfiguration=vector, storageConfiguration=store),
        "no such index")["knowledgeBase"]["knowledgeBaseId"]
    op.agent.list_knowledge_bases()
    until(lambda: op.agent.get_knowledge_base(knowledgeBaseId=kb)["knowledgeBase"]["status"] == "ACTIVE")
    op.agent.list_tags_for_resource(resourceArn=f"arn:aws:bedrock:{REGION}:{account}:knowledge-base/{kb}")
    source = op.agent.create_data_source(**aws.source_arguments(kb))["dataSource"]["dataSourceId"]
    job = op.agent.start_ingestion_job(knowledgeBaseId=kb, dataSourceId=source)["ingestionJob"]["ingestionJobId"]
    until(lambda: op.agent.get_ingestion_job(knowledgeBaseId=kb, dataSourceId=source, ingestionJobId=job)[
        "ingestionJob"]["status"] == "COMPLETE")

    op.agent.delete_data_source(knowledgeBaseId=kb, dataSourceId=source)
    until(lambda: not op.agent.list_data_sources(knowledgeBaseId=kb)["dataSourceSummaries"])
    op.agent.delete_knowledge_base(knowledgeBaseId=kb)
    op.aoss.delete_index(id=collection["id"], indexName="idx")
    op.aoss.delete_access_policy(type="data", name="t-acme")
    op.aoss.delete_collection(id=collection["id"])
    op.iam.delete_role_policy(RoleName="t-acme", PolicyName="kb")
    op.iam.delete_role(RoleName="t-acme")
    gone = op.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "documents/a.md"}, {"Key": "tenantry/a.md"}]})
    assert "Errors" not in gone
    op.s3.delete_bucket(Bucket=bucket)
    op.kms.delete_alias(AliasName="alias/t-acme")
    op.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


def policy(account):
    """As narrow as it goes: on tenants' names, paths and tags, and on "*" only what knows no resources."""
    kms, aoss = f"arn:aws:kms:{REGION}:{account}", f"arn:aws:aoss:{REGION}:{account}:collection/*"
    roles, bases = f"arn:aws:iam::{account}:role/tenantry/x/*", f"arn:aws:bedrock:{REGION}:{account}:knowledge-base/*"
    tagged = {"ForAllValues:StringLike": {"aws:TagKeys": "tenantry.dev/*"}, "Null": {"aws:RequestTag/tenantry.dev/owner": "false"}}
    ours, mine = {"StringLike": {"aws:ResourceTag/tenantry.dev/owner": "Tenant/*"}}, {"StringLike": {"aoss:collection": "t-*"}}
    buckets = {"StringEquals": {"s3:ResourceAccount": account}}
    return [
        allow(["kms:ListKeys", "kms:ListAliases"]), allow("kms:CreateKey", **tagged),
        allow("kms:TagResource", f"{kms}:key/*", **tagged),
        allow(["kms:CreateAlias", "kms:DeleteAlias"], f"{kms}:alias/t-*"),
        allow(["kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:ListResourceTags"], f"{kms}:key/*", **ours),
        allow("kms:ScheduleKeyDeletion", f"{kms}:key/*", **ours,
              NumericGreaterThanEquals={"kms:ScheduleKeyDeletionPendingWindowInDays": "7"}),
        allow(["kms:GenerateDataKey", "kms:Decrypt"], f"{kms}:key/*", StringEquals={"kms:ViaService": f"s3.{REGION}.amazonaws.com"}),
        allow("kms:CreateGrant", f"{kms}:key/*", StringEquals={"kms:ViaService": f"aoss.{REGION}.amazonaws.com"},
              Bool={"kms:GrantIsForAWSResource": "true"},
              **{"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt", "GenerateDataKey"]}}),
        allow(["s3:CreateBucket", "s3:TagResource"], "arn:aws:s3:::docs-*", **tagged),
        allow(["s3:ListBucket", "s3:PutEncryptionConfiguration", "s3:PutBucketPublicAccessBlock", "s3:DeleteBucket"],
              "arn:aws:s3:::docs-*", **buckets),
        allow(["s3:PutObject", "s3:GetObject", "s3:DeleteObject"], "arn:aws:s3:::docs-*/*", **buckets),
        allow("aoss:CreateCollection", **tagged), allow("aoss:TagResource", **tagged),
        allow(["aoss:BatchGetCollection", "aoss:ListTagsForResource", "aoss:CreateIndex", "aoss:GetIndex", "aoss:DeleteIndex"]),
        allow(["aoss:CreateSecurityPolicy", "aoss:CreateAccessPolicy", "aoss:GetAccessPolicy", "aoss:DeleteAccessPolicy"], **mine),
        allow(["aoss:DeleteCollection", "aoss:APIAccessAll"], aoss, **ours),
        allow(["iam:CreateRole", "iam:TagRole"], roles, **tagged),
        allow(["iam:GetRole", "iam:PutRolePolicy", "iam:GetRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:DeleteRolePolicy",
               "iam:DeleteRole"], roles, **ours),
        allow("iam:PassRole", roles, StringEquals={"iam:PassedToService": "bedrock.amazonaws.com"}),
        allow(["bedrock:CreateKnowledgeBase", "bedrock:ListKnowledgeBases"]), allow("bedrock:TagResource", bases, **tagged),
        allow(["bedrock:GetKnowledgeBase", "bedrock:ListTagsForResource", "bedrock:CreateDataSource", "bedrock:StartIngestionJob",
               "bedrock:GetIngestionJob", "bedrock:DeleteDataSource", "bedrock:ListDataSources", "bedrock:DeleteKnowledgeBase"],
              bases, **ours)]


def actions(statements):
    return {a for s in statements for a in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])}


def test_a_stack_under_the_narrowest_policy(aws):
    """Everything works, and IAM was asked for exactly what the policy names."""
    op = aws.make_operator(*policy(aws.account))
    aws.control("DELETE", "journal")
    onboard(aws, op)
    asked = {a for e in aws.journal() if "assumed-role/op/" in e["caller"] for a in e["actions"]}
    assert asked == actions(policy(aws.account))


@pytest.mark.parametrize("action", [
    "aoss:APIAccessAll", "aoss:CreateIndex", "aoss:TagResource", "bedrock:CreateKnowledgeBase", "bedrock:TagResource",
    "iam:CreateRole", "iam:PassRole", "iam:TagRole", "kms:CreateAlias", "kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKey",
    "kms:TagResource", "s3:PutEncryptionConfiguration", "s3:TagResource"])
def test_without_any_one_action_the_refusal_names_it(aws, action):
    """Of each service one, and all that is needed beside the action of the same name. The test above shows the rest."""
    statements = []
    for statement in policy(aws.account):
        left = sorted(actions([statement]) - {action})
        statements += [{**statement, "Action": left}] if left else []
    op = aws.make_operator(*statements)
    with pytest.raises(Exception) as failure:
        onboard(aws, op)
    error = getattr(failure.value, "response", {}).get("Error", {})
    assert error.get("Code") in ("AccessDenied", "AccessDeniedException"), failure.value
    assert re.fullmatch(rf"User: arn:aws:sts::{aws.account}:assumed-role/op/operator is not authorized to perform: {action} "
                        rf"on resource: \S+ because no identity-based policy allows the {action} action", error["Message"])
