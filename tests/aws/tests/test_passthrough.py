"""What MiniStack answers, as the operator uses it, and what the double adds where MiniStack is more lenient than AWS."""

import json

from .conftest import Aws, allow, code, message, refused


def test_a_bucket_and_all_its_settings(aws):
    """Everything the bucket layer writes can be read back."""
    s3, name = aws.s3, aws.bucket
    s3.create_bucket(Bucket=name)
    block = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
    assert s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"] == block
    owner = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=owner)
    assert s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"] == owner
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    rules = [{"ID": "documents", "Filter": {"Prefix": "documents/"}, "Status": "Enabled",
              "NoncurrentVersionExpiration": {"NoncurrentDays": 30}}]
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
    assert s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"] == rules
    tags = [{"Key": "tenantry.dev/owner", "Value": "Tenant/tenants/acme"}]
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == tags
    assert code(lambda: s3.get_bucket_policy(Bucket=name)) == "NoSuchBucketPolicy"


def test_versions_markers_uploads_and_their_deletion(aws):
    s3, name = aws.s3, aws.bucket
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        s3.put_object(Bucket=name, Key="pool/ä b+c%20.md", Body=body)
    s3.delete_object(Bucket=name, Key="pool/ä b+c%20.md")
    upload = s3.create_multipart_upload(Bucket=name, Key="pool/big.md")["UploadId"]
    assert [u["UploadId"] for u in s3.list_multipart_uploads(Bucket=name, Prefix="pool/")["Uploads"]] == [upload]
    s3.abort_multipart_upload(Bucket=name, Key="pool/big.md", UploadId=upload)
    assert code(lambda: s3.delete_bucket(Bucket=name)) == "BucketNotEmpty"
    listed = s3.list_object_versions(Bucket=name, Prefix="pool/")
    assert len(listed["Versions"]) == 2 and len(listed["DeleteMarkers"]) == 1
    gone = s3.delete_objects(Bucket=name, Delete={"Objects": [
        {"Key": v["Key"], "VersionId": v["VersionId"]} for v in listed["Versions"] + listed["DeleteMarkers"]]})
    assert len(gone["Deleted"]) == 3 and "Errors" not in gone
    s3.delete_bucket(Bucket=name)
    assert code(lambda: s3.list_objects_v2(Bucket=name)) == "NoSuchBucket"


def test_expected_bucket_owner(aws):
    """MiniStack ignores it."""
    aws.s3.create_bucket(Bucket=aws.bucket)
    put = lambda owner: aws.s3.put_object(Bucket=aws.bucket, Key="k", Body=b"x", ExpectedBucketOwner=owner)
    assert code(lambda: put("999999999999")) == "AccessDenied"
    assert not refused(lambda: put(aws.account))
    assert code(lambda: aws.s3.list_objects_v2(Bucket="nowhere-at-all", ExpectedBucketOwner="999999999999")) == "NoSuchBucket"


def test_a_bucket_policys_deny(aws):
    """MiniStack stores policies and ignores them: here Deny counts, for TLS (always given) and for who may write sidecars."""
    aws.s3.create_bucket(Bucket=aws.bucket)
    arn = f"arn:aws:s3:::{aws.bucket}"
    operator = f"arn:aws:iam::{aws.account}:role/tenantry/op"
    aws.s3.put_bucket_policy(Bucket=aws.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"],
         "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"{arn}/pool/*.metadata.json",
         "Condition": {"ArnNotLike": {"aws:PrincipalArn": operator}}}]}))
    put = lambda who, key: who.s3.put_object(Bucket=aws.bucket, Key=key, Body=b"{}")
    assert code(lambda: put(aws, "pool/a.md.metadata.json")) == "AccessDenied"
    assert not refused(lambda: put(aws, "pool/a.md"))
    assert not refused(lambda: put(aws.make_operator(), "pool/a.md.metadata.json"))
    aws.s3.delete_bucket_policy(Bucket=aws.bucket)
    assert not refused(lambda: put(aws, "pool/a.md.metadata.json"))
    assert code(lambda: aws.s3.put_bucket_policy(Bucket=aws.bucket, Policy='{"x": 1}')) == "MalformedPolicy"


def test_another_accounts_look_changes_nothing(aws, endpoint):
    """What a stranger may not see of a bucket is not taken for what there is."""
    other = Aws(endpoint, str(int(aws.account) + 10 ** 6))
    aws.s3.create_bucket(Bucket=aws.bucket)
    aws.s3.put_bucket_policy(Bucket=aws.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{aws.bucket}/*"}]}))
    for who in (other, aws, other):
        assert code(lambda: who.s3.put_object(Bucket=aws.bucket, Key="k", Body=b"x")) == "AccessDenied"


def test_keys_that_cannot_be_used(aws):
    aws.s3.create_bucket(Bucket=aws.bucket)
    encrypt = lambda key: aws.s3.put_bucket_encryption(Bucket=aws.bucket, ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}]})
    assert code(lambda: encrypt(f"arn:aws:kms:us-east-1:{aws.account}:key/00000000-0000-0000-0000-000000000000")) == "KMS.NotFoundException"
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    encrypt(key)
    put = lambda: aws.s3.put_object(Bucket=aws.bucket, Key="k", Body=b"x")
    assert put()["SSEKMSKeyId"] == key
    aws.kms.disable_key(KeyId=key)
    assert code(put) == "KMS.DisabledException"
    assert code(lambda: aws.s3.get_object(Bucket=aws.bucket, Key="k")) == "KMS.DisabledException"
    aws.kms.enable_key(KeyId=key)
    assert not refused(put)


def test_the_life_of_a_key(aws):
    kms = aws.kms
    key = kms.create_key(Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/x", TargetKeyId=key)
    assert code(lambda: kms.create_alias(AliasName="alias/x", TargetKeyId=key)) == "AlreadyExistsException"
    assert kms.describe_key(KeyId="alias/x")["KeyMetadata"]["KeyId"] == key
    assert kms.list_aliases(KeyId=key)["Aliases"][0]["TargetKeyId"] == key
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "c", "TagValue": "d"}])
    assert len(kms.list_resource_tags(KeyId=key)["Tags"]) == 2
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    assert message(lambda: kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=5))
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    for act in (lambda: kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7),
                lambda: kms.create_alias(AliasName="alias/y", TargetKeyId=key),
                lambda: kms.tag_resource(KeyId=key, Tags=[{"TagKey": "e", "TagValue": "f"}])):
        assert code(act) == "KMSInvalidStateException"
    kms.delete_alias(AliasName="alias/x")
    kms.cancel_key_deletion(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"


def test_a_role_with_path_tags_and_boundary(aws):
    iam = aws.iam
    boundary = iam.create_policy(PolicyName="b", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"}]}))["Policy"]["Arn"]
    iam.create_role(RoleName="kb", Path="/tenantry/x/", AssumeRolePolicyDocument=aws.trust(), PermissionsBoundary=boundary,
                    Tags=[{"Key": "tenantry.dev/owner", "Value": "Tenant/a/b"}])
    assert code(lambda: iam.create_role(RoleName="kb", AssumeRolePolicyDocument=aws.trust())) == "EntityAlreadyExists"
    role = iam.get_role(RoleName="kb")["Role"]
    assert role["Arn"] == f"arn:aws:iam::{aws.account}:role/tenantry/x/kb"
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    assert iam.list_role_tags(RoleName="kb")["Tags"] == [{"Key": "tenantry.dev/owner", "Value": "Tenant/a/b"}]
    aws.put_permissions(aws.permissions("arn:aws:aoss:us-east-1:1:collection/x"))
    assert iam.list_role_policies(RoleName="kb")["PolicyNames"] == ["kb"]
    assert iam.get_role_policy(RoleName="kb", PolicyName="kb")["PolicyDocument"]["Statement"]
    assert code(lambda: iam.delete_role(RoleName="kb")) == "DeleteConflict"
    assert [r["RoleName"] for r in iam.list_roles(PathPrefix="/tenantry/")["Roles"]] == ["kb"]
    iam.delete_role_policy(RoleName="kb", PolicyName="kb")
    iam.delete_role(RoleName="kb")
    assert code(lambda: iam.get_role(RoleName="kb")) == "NoSuchEntity"


def test_a_table(aws):
    table = aws.client("dynamodb")
    table.create_table(TableName="tenants", KeySchema=[{"AttributeName": "tenantId", "KeyType": "HASH"}],
                       AttributeDefinitions=[{"AttributeName": "tenantId", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST")
    put = lambda: table.put_item(TableName="tenants", Item={"tenantId": {"S": "a"}}, ConditionExpression="attribute_not_exists(tenantId)")
    assert not refused(put) and code(put) == "ConditionalCheckFailedException"
    assert aws.journal(operation="PutItem")[0]["resource"] == "tenants"


def test_an_item_is_updated_on_condition(aws):
    """As the operator keeps the registry: reserved words by placeholders, a condition on whose the item is."""
    table = aws.client("dynamodb")
    key = {"tenantId": {"S": "a"}}
    missing = lambda: table.get_item(TableName="tenants", Key=key)
    assert code(missing) == "ResourceNotFoundException"
    table.create_table(TableName="tenants", KeySchema=[{"AttributeName": "tenantId", "KeyType": "HASH"}],
                       AttributeDefinitions=[{"AttributeName": "tenantId", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST")
    put = lambda uid, state: table.update_item(
        TableName="tenants", Key=key, UpdateExpression="SET #state = :state, #uid = :uid REMOVE #filter",
        ConditionExpression="attribute_not_exists(#tenantId) OR #uid = :uid OR #state = :deleted",
        ExpressionAttributeNames={"#state": "state", "#uid": "uid", "#filter": "filter", "#tenantId": "tenantId"},
        ExpressionAttributeValues={":state": {"S": state}, ":uid": {"S": uid}, ":deleted": {"S": "deleted"}})
    put("1", "ready")
    assert code(lambda: put("2", "ready")) == "ConditionalCheckFailedException"
    put("1", "deleted")
    put("2", "ready")
    assert table.get_item(TableName="tenants", Key=key)["Item"] == {**key, "state": {"S": "ready"}, "uid": {"S": "2"}}


def test_a_session_needs_the_right_to_a_table(aws):
    aws.client("dynamodb").create_table(
        TableName="tenants", KeySchema=[{"AttributeName": "tenantId", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "tenantId", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST")
    op = aws.make_operator(allow("dynamodb:GetItem", f"arn:aws:dynamodb:*:{aws.account}:table/tenants"))
    get = lambda name: op.client("dynamodb").get_item(TableName=name, Key={"tenantId": {"S": "a"}})
    assert "Item" not in get("tenants")
    assert code(lambda: get("others")) == "AccessDeniedException"
