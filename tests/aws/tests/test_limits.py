"""Part 5: request rates, names that come back late, ETags under KMS, IAM's sizes; the counts of Bedrock and AOSS are tested with them."""

import base64
import hashlib
import json

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from .conftest import REGION, Aws, allow, code, message, refused, until


def test_request_rates_by_operation(aws):
    """2 Create, Update and Delete, 10 Get and List, 0.1 StartIngestionJob a second (§2.1), times the speedup."""
    rates = aws.control("GET", "settings")["rates"]
    assert [rates[o] for o in ("CreateKnowledgeBase", "ListKnowledgeBases", "StartIngestionJob", "Retrieve")] == [2, 10, 0.1, 20]
    start = lambda: aws.agent.start_ingestion_job(knowledgeBaseId="A" * 10, dataSourceId="B" * 10)
    assert {code(start) for _ in range(3)} == {"ResourceNotFoundException"}          # off unless asked for
    aws.settings(speedup=1, switches={"rate_limits": True})
    assert [code(start) for _ in range(3)] == ["ResourceNotFoundException", "ThrottlingException", "ThrottlingException"]
    assert not refused(aws.agent.list_knowledge_bases)                               # another operation, another bucket
    aws.settings(speedup=1000)
    until(lambda: code(start) == "ResourceNotFoundException")


@pytest.mark.parametrize("service, act, wanted", [
    ("s3", lambda aws: aws.s3.list_buckets(), "SlowDown"), ("iam", lambda aws: aws.iam.list_roles(), "Throttling"),
    ("kms", lambda aws: aws.kms.list_keys(), "ThrottlingException"), ("aoss", lambda aws: aws.aoss.list_collections(), "ThrottlingException"),
    ("bedrock", lambda aws: aws.agent.list_knowledge_bases(), "ThrottlingException")])
def test_request_rates_by_service(aws, service, act, wanted):
    aws.settings(speedup=1, switches={"rate_limits": True}, rates={service: 0.1}, rate_burst=20)
    assert [code(lambda: act(aws)) for _ in range(3)] == [None, None, wanted]
    aws.settings(rates={service: 100})
    until(lambda: code(lambda: act(aws)) is None)


def test_a_buckets_name_comes_back_late(aws):
    aws.s3.create_bucket(Bucket=aws.bucket)
    aws.settings(dwell={"bucket_name": 100.0})
    aws.s3.delete_bucket(Bucket=aws.bucket)
    create = lambda: aws.s3.create_bucket(Bucket=aws.bucket)
    error = refused(create).response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == ("OperationAborted", 409)
    until(lambda: not refused(create))


@pytest.mark.parametrize("versioned", [False, True])
def test_etags_under_kms_are_no_md5(aws, versioned):
    s3, bucket, key, md5 = aws.s3, aws.bucket, "pool/ä b&c.md", f'"{hashlib.md5(b"x").hexdigest()}"'
    s3.create_bucket(Bucket=bucket)
    if versioned:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    put = lambda name=key, **more: s3.put_object(Bucket=bucket, Key=name, Body=b"x", **more)["ETag"]
    listed = lambda **more: {o["Key"]: o["ETag"] for o in s3.list_objects_v2(Bucket=bucket, **more)["Contents"]}
    assert put("plain") == md5 and listed()["plain"] == md5
    kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": aws.kms.create_key()["KeyMetadata"]["Arn"]}
    first, second = put(**kms), put(**kms)
    assert len({first, second, md5}) == 3                      # the same bytes, each time another ETag
    assert listed()[key] == second and listed()["plain"] == md5
    assert set(listed(EncodingType="url").values()) == {second, md5}
    assert s3.head_object(Bucket=bucket, Key=key)["ETag"] == s3.get_object(Bucket=bucket, Key=key)["ETag"] == second
    assert s3.get_object(Bucket=bucket, Key=key, IfMatch=second)["Body"].read() == b"x"
    assert code(lambda: s3.get_object(Bucket=bucket, Key=key, IfMatch='"other"')) == "PreconditionFailed"
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key}, **kms)["CopyObjectResult"]["ETag"]
    assert copied not in (first, second, md5) and listed()["copy"] == copied
    versions = {v["ETag"] for v in s3.list_object_versions(Bucket=bucket)["Versions"]}
    assert versions == {md5, second, copied} | ({first} if versioned else set())
    if versioned:
        newest = next(v for v in s3.list_object_versions(Bucket=bucket)["Versions"] if v["ETag"] == second)
        s3.delete_object(Bucket=bucket, Key=key, VersionId=newest["VersionId"])
        assert listed()[key] == first
    assert put() == md5 and listed()[key] == md5


def test_iams_limits_and_shapes(aws):
    iam = aws.iam
    create = lambda name="kb", **more: iam.create_role(RoleName=name, AssumeRolePolicyDocument=aws.trust(), **more)
    assert code(lambda: create("x" * 65)) == code(lambda: create("a b")) == "ValidationError"
    assert code(lambda: create(Tags=[{"Key": "k", "Value": "v" * 257}])) == "ValidationError"
    create(Tags=[{"Key": f"k{n}", "Value": "tenantry.dev/ü: x"} for n in range(50)])
    assert code(lambda: iam.tag_role(RoleName="kb", Tags=[{"Key": "more", "Value": ""}])) == "LimitExceeded"
    document = lambda size: json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:Get*", ["arn:aws:s3:::" + "x" * size])]}, indent=9)
    put = lambda name, size: iam.put_role_policy(RoleName="kb", PolicyName=name, PolicyDocument=document(size))
    assert not refused(lambda: put("one", 9000)) and not refused(lambda: put("one", 9001))
    assert not refused(lambda: put("two", 900))                # together, without white space: just below
    assert "Maximum policy size of 10240 bytes exceeded for role kb" in message(lambda: put("two", 2000))
    big = aws.trust(StringEquals={"aws:SourceAccount": "1" * 2048})
    assert code(lambda: iam.update_assume_role_policy(RoleName="kb", PolicyDocument=big)) == "LimitExceeded"
    aws.settings(limits={"roles": 1})
    assert "Cannot exceed quota for RolesPerAccount: 1" in message(lambda: create("other"))
    for name in ("one", "two"):
        iam.delete_role_policy(RoleName="kb", PolicyName=name)
    iam.delete_role(RoleName="kb")
    assert not refused(lambda: create("other"))


def jwt(**claims):
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
    return f"{part({'alg': 'none'})}.{part(claims)}.x"


def test_a_pod_becomes_its_role(aws):
    """IRSA: unsigned, any token; a JWT's claims are what the trust's conditions see."""
    issuer = "oidc.example/id/1"
    arn = aws.iam.create_role(RoleName="op", Path="/tenantry/", AssumeRolePolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Federated": f"arn:aws:iam::{aws.account}:oidc-provider/{issuer}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{issuer}:sub": "system:serviceaccount:tenantry:operator"}}}]}))["Role"]["Arn"]
    aws.may(allow("kms:ListKeys"))
    sts = boto3.client("sts", region_name=REGION, endpoint_url=aws.endpoint, config=Config(
        signature_version=UNSIGNED, retries={"total_max_attempts": 1}))
    become = lambda token, role=arn: sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="pod", WebIdentityToken=token)
    assert code(lambda: become(jwt(iss=f"https://{issuer}", sub="system:serviceaccount:other:x"))) == "AccessDenied"
    assert code(lambda: become("opaque", arn + "x")) == "AccessDenied"
    assert not refused(lambda: become("opaque"))
    keys = become(jwt(iss=f"https://{issuer}", sub="system:serviceaccount:tenantry:operator"))["Credentials"]
    pod = Aws(aws.endpoint, aws.account, {"aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"],
                                          "aws_session_token": keys["SessionToken"]})
    assert pod.sts.get_caller_identity()["Arn"] == f"arn:aws:sts::{aws.account}:assumed-role/op/pod"
    assert not refused(pod.kms.list_keys) and code(pod.s3.list_buckets) == "AccessDenied"
    assert "opaque" not in json.dumps(aws.journal())
