"""What is particular about permissions: shapes, boundaries, absent roles, keys by their own policy, late changes, single keys."""

import json
import time

import pytest

from .conftest import allow, code, message, refused, schema, until


def test_each_service_refuses_in_its_own_shape(aws):
    aws.s3.create_bucket(Bucket=aws.bucket)
    op = aws.make_operator(allow("sts:GetCallerIdentity"))
    shapes = {
        "s3": (lambda: op.s3.list_objects_v2(Bucket=aws.bucket), "AccessDenied", 403),
        "iam": (lambda: op.iam.get_role(RoleName="op"), "AccessDenied", 403),
        "kms": (lambda: op.kms.list_keys(), "AccessDeniedException", 400),
        "aoss": (lambda: op.aoss.list_collections(), "AccessDeniedException", 400),
        "bedrock": (lambda: op.agent.list_knowledge_bases(), "AccessDeniedException", 403)}
    for name, (act, wanted, status) in shapes.items():
        error = refused(act).response
        assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (wanted, status), name
        assert error["ResponseMetadata"]["RequestId"] and aws.journal()[-1]["error"] == wanted
    assert not refused(op.sts.get_caller_identity)          # needs no permission
    assert refused(lambda: op.s3.head_bucket(Bucket=aws.bucket)).response["ResponseMetadata"]["HTTPStatusCode"] == 403
    aws.settings(switches={"enforce_caller": False})
    assert not any(refused(act) for act, _, _ in shapes.values())


def test_a_deny_and_a_boundary(aws):
    boundary = aws.iam.create_policy(PolicyName="b", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        allow("aoss:*")]}))["Policy"]["Arn"]
    op = aws.make_operator(allow("*"), allow("aoss:List*", effect="Deny"))
    assert "with an explicit deny in an identity-based policy" in message(op.aoss.list_collections)
    assert not refused(op.aoss.get_policies_stats)
    aws.iam.put_role_permissions_boundary(RoleName="op", PermissionsBoundary=boundary)
    assert "no permissions boundary allows the kms:ListKeys action" in message(op.kms.list_keys)
    assert not refused(op.aoss.get_policies_stats)


def test_roles_only_under_a_boundary(aws):
    """iam:PermissionsBoundary is what is sent with CreateRole, and the role's own later."""
    boundary = aws.iam.create_policy(PolicyName="b", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        allow("*")]}))["Policy"]["Arn"]
    roles = f"arn:aws:iam::{aws.account}:role/x/*"
    op = aws.make_operator(allow(["iam:CreateRole", "iam:PutRolePolicy"], roles, StringEquals={"iam:PermissionsBoundary": boundary}))
    create = lambda **more: op.iam.create_role(RoleName="kb", Path="/x/", AssumeRolePolicyDocument=aws.trust(), **more)
    put = lambda: op.iam.put_role_policy(RoleName="kb", PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [allow("*")]}))
    assert code(create) == "AccessDenied"
    assert not refused(lambda: create(PermissionsBoundary=boundary)) and not refused(put)
    aws.iam.delete_role_permissions_boundary(RoleName="kb")
    assert code(put) == "AccessDenied"


@pytest.mark.parametrize("switch, answer", [("without_path", "AccessDenied"), ("unchecked", "NoSuchEntity")])
def test_a_role_that_is_not_there_has_no_path(aws, switch, answer):
    aws.settings(switches={"absent_role": switch})
    op = aws.make_operator(allow("iam:GetRole", f"arn:aws:iam::{aws.account}:role/x/*"))
    assert code(lambda: op.iam.get_role(RoleName="kb")) == answer
    aws.may(allow("iam:GetRole", [f"arn:aws:iam::{aws.account}:role/x/*", f"arn:aws:iam::{aws.account}:role/kb"]))
    assert code(lambda: op.iam.get_role(RoleName="kb")) == "NoSuchEntity"


def test_a_key_is_ruled_by_its_own_policy(aws):
    statement = lambda who: {"Effect": "Allow", "Principal": {"AWS": who}, "Action": "kms:*", "Resource": "*"}
    op = aws.make_operator(allow("kms:*"))
    key = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    rule = lambda *who: aws.kms.put_key_policy(KeyId=key, PolicyName="default", BypassPolicyLockoutSafetyCheck=True, Policy=json.dumps(
        {"Version": "2012-10-17", "Statement": [statement(w) for w in who]}))
    look = lambda: op.kms.describe_key(KeyId=key)
    assert not refused(look)
    rule(f"arn:aws:iam::{aws.account}:role/other")
    assert "no resource-based policy allows the kms:DescribeKey action" in message(look)
    rule(f"arn:aws:iam::{aws.account}:role/tenantry/op")
    aws.may(allow("s3:*"))
    assert not refused(look)                               # named itself, it needs no policy of its own
    rule(f"arn:aws:iam::{aws.account}:root")
    assert "no identity-based policy allows the kms:DescribeKey action" in message(look)


def test_objects_under_a_key_need_the_key(aws):
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    aws.s3.create_bucket(Bucket=aws.bucket)
    aws.s3.put_bucket_encryption(Bucket=aws.bucket, ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}]})
    op = aws.make_operator(allow("s3:*"))
    put, get = (lambda: op.s3.put_object(Bucket=aws.bucket, Key="k", Body=b"x")), (lambda: op.s3.get_object(Bucket=aws.bucket, Key="k"))
    assert "kms:GenerateDataKey on resource" in message(put)
    aws.may(allow("s3:*"), allow("kms:GenerateDataKey", key))
    assert not refused(put) and "kms:Decrypt on resource" in message(get)
    assert "kms:Decrypt" in message(lambda: op.s3.copy_object(Bucket=aws.bucket, Key="l", CopySource=f"{aws.bucket}/k"))
    aws.may(allow("s3:*"), allow("kms:Decrypt", key, StringEquals={"kms:ViaService": "s3.us-east-1.amazonaws.com"}))
    assert not refused(get) and "kms:Decrypt" in message(lambda: op.kms.decrypt(KeyId=key, CiphertextBlob=b"x"))


def test_what_is_missing_is_hidden_from_who_may_not_list(aws):
    aws.s3.create_bucket(Bucket=aws.bucket)
    get, arn = (lambda: op.s3.get_object(Bucket=aws.bucket, Key="k")), f"arn:aws:s3:::{aws.bucket}"
    op = aws.make_operator(allow("s3:GetObject", f"{arn}/*"))
    assert code(get) == "AccessDenied"
    aws.may(allow("s3:GetObject", f"{arn}/*"), allow("s3:ListBucket", arn))
    assert code(get) == "NoSuchKey"


def test_a_bucket_policy_allows_too(aws):
    aws.s3.create_bucket(Bucket=aws.bucket)
    op = aws.make_operator(allow("kms:*"))
    put = lambda: op.s3.put_object(Bucket=aws.bucket, Key="k", Body=b"x")
    rule = lambda who: aws.s3.put_bucket_policy(Bucket=aws.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": who}, "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{aws.bucket}/*"}]}))
    rule(aws.root)
    assert code(put) == "AccessDenied"                     # naming the account leaves it to IAM
    rule(f"arn:aws:iam::{aws.account}:role/tenantry/op")
    assert not refused(put)


@pytest.mark.parametrize("by", ["identity", "bucket"])
def test_delete_objects_answers_key_by_key(aws, by):
    aws.s3.create_bucket(Bucket=aws.bucket)
    for key in ("open/a&b.md", "shut/a&b.md"):
        aws.s3.put_object(Bucket=aws.bucket, Key=key, Body=b"x")
    arn, who = f"arn:aws:s3:::{aws.bucket}", aws
    if by == "identity":
        who = aws.make_operator(allow("s3:*"), allow("s3:DeleteObject", f"{arn}/shut/*", effect="Deny"))
    else:
        aws.s3.put_bucket_policy(Bucket=aws.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
            {**allow("s3:DeleteObject", f"{arn}/shut/*", effect="Deny"), "Principal": "*"}]}))
    delete = lambda *keys, **more: who.s3.delete_objects(Bucket=aws.bucket, Delete={"Objects": [{"Key": k} for k in keys], **more})
    gone = delete("open/a&b.md", "shut/a&b.md")
    assert [d["Key"] for d in gone["Deleted"]] == ["open/a&b.md"]
    assert [(e["Key"], e["Code"]) for e in gone["Errors"]] == [("shut/a&b.md", "AccessDenied")]
    assert [e["Key"] for e in delete("shut/a&b.md", Quiet=True)["Errors"]] == ["shut/a&b.md"]
    assert [o["Key"] for o in aws.s3.list_objects_v2(Bucket=aws.bucket)["Contents"]] == ["shut/a&b.md"]


def test_changes_reach_the_caller_late(aws):
    """Part 2 for the operator: lag.role on its policies, lag.data_access on its grant (§5.1, §5.3)."""
    op, made = aws.make_operator(allow("kms:*")), aws.make_collection()
    aws.settings(lag={"role": 400.0, "data_access": 400.0})
    create = lambda: op.aoss.create_index(id=made["id"], indexName="idx", indexSchema=schema())
    aws.may(allow("aoss:*"))
    assert "no identity-based policy allows" in message(create)
    until(lambda: "no identity-based policy" not in message(create))
    aws.grant("operator", f"arn:aws:iam::{aws.account}:role/tenantry/op", ["CreateIndex"])
    assert code(create) == "AccessDeniedException" and "no data access policy allows it" in message(create)
    started = time.monotonic()
    until(lambda: not refused(create))
    assert time.monotonic() - started > 0.1
    late = json.loads(aws.trust().replace('"Service": "bedrock.amazonaws.com"', f'"AWS": "{aws.root}"'))
    late["Statement"][0].pop("Condition")
    aws.iam.create_role(RoleName="late", AssumeRolePolicyDocument=json.dumps(late))
    assert code(lambda: aws.assume(f"arn:aws:iam::{aws.account}:role/late")) == "AccessDenied"
    until(lambda: not refused(lambda: aws.assume(f"arn:aws:iam::{aws.account}:role/late")))


@pytest.mark.parametrize("switch, resource, works", [
    ("any", "*", True), ("any", "collection", False), ("collection", "*", True), ("collection", "collection", True)])
def test_the_resource_of_index_actions_is_not_known(aws, switch, resource, works):
    """The reference says that they have none, the guide shows the collection's ARN (§4.2): only "*" is right either way."""
    aws.settings(switches={"index_actions_on": switch})
    made = aws.make_collection()
    arn = made["arn"] if resource == "collection" else "*"
    op = aws.make_operator(allow("aoss:CreateIndex", arn), allow("aoss:APIAccessAll", made["arn"]))
    aws.grant("operator", f"arn:aws:iam::{aws.account}:role/tenantry/op", ["CreateIndex"])
    assert (not refused(lambda: op.aoss.create_index(id=made["id"], indexName="idx", indexSchema=schema()))) == works


def test_the_first_collection_may_need_a_service_linked_role(aws):
    aws.settings(switches={"service_linked_role": "absent"})
    aws.aoss.create_security_policy(type="encryption", name="all", policy=json.dumps(
        {"Rules": [{"ResourceType": "collection", "Resource": ["collection/*"]}], "AWSOwnedKey": True}))
    op = aws.make_operator(allow("aoss:*"))
    create = lambda: op.aoss.create_collection(name="coll", type="VECTORSEARCH")
    assert "iam:CreateServiceLinkedRole on resource" in message(create)
    aws.may(allow("aoss:*"), allow("iam:CreateServiceLinkedRole", f"arn:aws:iam::{aws.account}:role/aws-service-role/*",
                                   StringEquals={"iam:AWSServiceName": "observability.aoss.amazonaws.com"}))
    assert not refused(create)


def test_a_session_from_another_session(aws):
    """A trust that names the account leaves it to IAM; one that names the role does not."""
    op = aws.make_operator(allow("kms:*"))
    arn = f"arn:aws:iam::{aws.account}:role/next"
    trust = lambda who: json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": who}, "Action": "sts:AssumeRole"}]})
    aws.iam.create_role(RoleName="next", AssumeRolePolicyDocument=trust(aws.root))
    assert "no identity-based policy allows the sts:AssumeRole action" in message(lambda: op.assume(arn))
    aws.may(allow("sts:AssumeRole", arn))
    assert not refused(lambda: op.assume(arn))
    aws.may(allow("kms:*"))
    aws.iam.update_assume_role_policy(RoleName="next", PolicyDocument=trust(f"arn:aws:iam::{aws.account}:role/tenantry/op"))
    assert not refused(lambda: op.assume(arn))


def test_a_session_outlives_its_role_and_may_do_nothing(aws):
    op = aws.make_operator()
    aws.iam.delete_role_policy(RoleName="op", PolicyName="may")
    aws.iam.delete_role(RoleName="op")
    assert code(op.kms.list_keys) == "AccessDeniedException"
