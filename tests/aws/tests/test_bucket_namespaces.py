"""Names of buckets in an account's own regional namespace, and in the one that all share."""

import boto3
import pytest
from botocore.config import Config

from .conftest import REGION, Aws, allow, code, message, refused

HERE = "us-west-2"


def name_of(aws, prefix="records", region=REGION):
    return f"{prefix}-{aws.account}-{region}-an"


def create(who, name, namespace="account-regional", **more):
    return who.s3.create_bucket(Bucket=name, **({"BucketNamespace": namespace} if namespace else {}), **more)


def elsewhere(aws, region):
    return boto3.client("s3", region_name=region, endpoint_url=aws.endpoint, aws_access_key_id=aws.account, aws_secret_access_key="x",
                        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}))


@pytest.fixture
def other(endpoint, aws):
    return Aws(endpoint, str(int(aws.account) + 10 ** 6))


def test_a_bucket_of_the_accounts_own(aws, other):
    """It is like any other, and another account's of the same prefix is another."""
    made = create(aws, name_of(aws), CreateBucketConfiguration={"Tags": [{"Key": "a", "Value": "b"}]})
    assert made["Location"] == f"/{name_of(aws)}" and made["BucketArn"] == f"arn:aws:s3:::{name_of(aws)}"
    assert not refused(lambda: create(other, name_of(other)))
    aws.s3.put_object(Bucket=name_of(aws), Key="k", Body=b"x")
    assert aws.s3.get_bucket_tagging(Bucket=name_of(aws))["TagSet"] == [{"Key": "a", "Value": "b"}]
    assert [b["Name"] for b in aws.s3.list_buckets()["Buckets"]] == [name_of(aws)]
    assert code(lambda: other.s3.list_objects_v2(Bucket=name_of(aws))) == "AccessDenied"
    assert aws.journal(operation="CreateBucket")[0]["params"]["headers"]["x-amz-bucket-namespace"] == "account-regional"


def test_it_is_made_once(aws):
    """In us-east-1 the owner of a global bucket may make it again; of this kind nobody may, in any region."""
    create(aws, name_of(aws))
    again = refused(lambda: create(aws, name_of(aws))).response
    assert (again["Error"]["Code"], again["ResponseMetadata"]["HTTPStatusCode"]) == ("BucketAlreadyOwnedByYou", 409)
    aws.s3.create_bucket(Bucket=aws.bucket)
    assert not refused(lambda: aws.s3.create_bucket(Bucket=aws.bucket))
    aws.s3.delete_bucket(Bucket=name_of(aws))
    assert not refused(lambda: create(aws, name_of(aws)))


def test_the_region_is_the_buckets(aws):
    west = elsewhere(aws, HERE)
    make = lambda region: west.create_bucket(Bucket=name_of(aws, region=region), BucketNamespace="account-regional",
                                             CreateBucketConfiguration={"LocationConstraint": HERE})
    assert code(lambda: make(REGION)) == "InvalidBucketNamespace"
    assert not refused(lambda: make(HERE))


@pytest.mark.parametrize("name, namespace, wanted", [
    ("records-{mine}-us-east-1-an", None, "MissingNamespaceHeader"), ("records-{mine}-us-east-1-an", "global", "MissingNamespaceHeader"),
    ("records-{other}-us-east-1-an", None, "MissingNamespaceHeader"), ("records-{other}-us-east-1-an", "account-regional", "InvalidBucketNamespace"),
    ("records-{mine}-us-west-2-an", "account-regional", "InvalidBucketNamespace"), ("records", "account-regional", "InvalidNamespaceHeader"),
    ("records-{mine}-us-east-1", "account-regional", "InvalidNamespaceHeader"), ("records-an", "account-regional", "InvalidNamespaceHeader"),
    ("-{mine}-us-east-1-an", "account-regional", "InvalidNamespaceHeader"), ("records-an", None, "InvalidBucketName"),
    ("records-{mine}-us-east-1-an", "mine", "InvalidArgument")])
def test_what_is_refused(aws, other, name, namespace, wanted):
    name = name.format(mine=aws.account, other=other.account)
    error = refused(lambda: create(aws, name, namespace)).response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (wanted, 400)
    assert refused(lambda: aws.s3.head_bucket(Bucket=name))


def test_aws_says_what_is_wrong(aws):
    missing = refused(lambda: create(aws, name_of(aws), None)).response["Error"]
    assert missing["Message"] == ("The requested bucket is an account-regional namespace bucket, but your request is missing the "
                                  "required x-amz-bucket-namespace header.") and missing["Header"] == "x-amz-bucket-namespace"
    assert f"Specify -{aws.account}-us-east-1-an as the bucket name suffix" in message(lambda: create(aws, "records"))


def test_the_suffix_counts(aws):
    """63 characters in all: 37 for the prefix in us-east-1."""
    assert not refused(lambda: create(aws, name_of(aws, "p" * 37)))
    assert message(lambda: create(aws, name_of(aws, "p" * 38))) == "The specified bucket is not valid."


@pytest.mark.parametrize("namespace", [None, "global"])
def test_the_shared_namespace_is_as_it_was(aws, other, namespace):
    create(aws, aws.bucket, namespace)
    assert code(lambda: create(other, aws.bucket, namespace)) == "BucketAlreadyExists"


def test_regions_without_it(aws):
    """Bahrain and the UAE, and others at a test's will. What they answer nobody says."""
    for region in ("me-south-1", "me-central-1"):
        there = elsewhere(aws, region)
        assert code(lambda: there.create_bucket(
            Bucket=name_of(aws, region=region), BucketNamespace="account-regional",
            CreateBucketConfiguration={"LocationConstraint": region})) == "NotImplemented"
    aws.settings(switches={"no_account_regional": [REGION]})
    error = refused(lambda: create(aws, name_of(aws))).response
    assert (error["Error"]["Code"], error["Error"]["Header"]) == ("NotImplemented", "x-amz-bucket-namespace")
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 501 and not refused(lambda: create(aws, aws.bucket, None))


def test_a_policy_asks_for_it(aws):
    """As AWS's page has it: who does not say account-regional is denied."""
    op = aws.make_operator(allow("s3:*"), allow("s3:CreateBucket", effect="Deny", StringNotEquals={
        "s3:x-amz-bucket-namespace": "account-regional"}))
    for namespace in (None, "global"):
        assert "with an explicit deny in an identity-based policy" in message(lambda: create(op, aws.bucket, namespace))
    assert not refused(lambda: create(op, name_of(aws)))
