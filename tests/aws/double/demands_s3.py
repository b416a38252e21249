"""What IAM is asked for each call of S3 (service authorization reference of Amazon S3; aws-facts §4.1, §4.5)."""

import re

from .demand import Demand, request_tags
from .s3_names import source, split

# Actions whose names differ from their operations'.
ACTIONS = {
    "ListObjects": "ListBucket", "ListObjectsV2": "ListBucket", "HeadBucket": "ListBucket",
    "ListObjectVersions": "ListBucketVersions", "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts", "ListBuckets": "ListAllMyBuckets",
    "HeadObject": "GetObject", "GetObjectAttributes": "GetObject", "CopyObject": "PutObject", "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject", "CreateMultipartUpload": "PutObject", "CompleteMultipartUpload": "PutObject",
    "GetBucketEncryption": "GetEncryptionConfiguration", "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration", "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock", "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock", "DeleteBucketTagging": "PutBucketTagging",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
}
# With a versionId these are actions of their own.
VERSIONED = {"GetObject", "DeleteObject", "GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging", "GetObjectAcl"}
_HEADERS = ("x-amz-acl", "x-amz-copy-source", "x-amz-object-ownership", "x-amz-bucket-namespace")
# Only PutObject has these, as they were sent: what a bucket's default adds is not there. A part has those of its upload.
_WRITTEN = ("x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id",
            "x-amz-server-side-encryption-customer-algorithm", "x-amz-storage-class")
# What creates an object, and what only prepares to: to both the action is PutObject.
_CREATES = {"PutObject": "true", "CopyObject": "true", "CompleteMultipartUpload": "true",
            "CreateMultipartUpload": "false", "UploadPart": "false", "UploadPartCopy": "false"}
# Whose conditions policies see. Those of reads they do not.
_CONDITIONS = {**dict.fromkeys(_CREATES, ("if-match", "if-none-match")), "DeleteObject": ("if-match",)}
_TAG = re.compile(rb"<Tag>\s*<Key>([^<]*)</Key>\s*<Value>([^<]*)</Value>\s*</Tag>")


def arn(bucket, key=""):
    return f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"


def context(call):
    """The condition keys of a request, those of TLS included: the double speaks plain HTTP and says that it did not."""
    query = {k: v[0] for k, v in call.query.items()}
    return {"aws:ResourceAccount": call.account, "s3:ResourceAccount": call.account, "s3:TlsVersion": "1.3",
            "s3:authType": "REST-HEADER", "s3:prefix": query.get("prefix"), "s3:delimiter": query.get("delimiter"),
            "s3:max-keys": query.get("max-keys"), "s3:VersionId": query.get("versionId"),
            **{f"s3:{name}": call.headers.get(name) for name in _HEADERS}}


def _changing(world, call):
    """The condition keys that only a change of an object has."""
    headers = world.s3_mends.uploads.headers(call) if call.operation in _CREATES else {}
    return {"s3:ObjectCreationOperation": _CREATES.get(call.operation),
            **{f"s3:{name}": headers.get(name) for name in _WRITTEN},
            **{f"s3:{name}": call.headers.get(name) or None for name in _CONDITIONS.get(call.operation, ())}}


async def of(world, call, role=None):
    """All that one call asks for. DeleteObjects asks for each of its keys: s3_deletes.py."""
    bucket, key = split(call)
    operation, known = call.operation, context(call)
    if operation == "DeleteObjects":
        return []
    action = ACTIONS.get(operation, operation)
    if "versionId" in call.query and action in VERSIONED:
        action = action.replace("Object", "ObjectVersion", 1)
    if operation == "CreateBucket":
        tags = {k.decode(): v.decode() for k, v in _TAG.findall(call.body)}
        known |= request_tags(tags)
        return [Demand(f"s3:{name}", arn(bucket), known) for name in ["CreateBucket"] + ["TagResource"] * bool(tags)]
    demands = [Demand(f"s3:{action}", arn(bucket, key) if bucket else "*", {**known, **_changing(world, call)})]
    if "x-amz-copy-source" in call.headers:
        demands.append(_source(call, known))
    demands += await _keys(world, call, bucket, key, demands, role)
    if call.headers.get("if-match", "*") != "*" and (_CREATES.get(operation) == "true" or operation == "DeleteObject"):
        demands.append(Demand("s3:GetObject", arn(bucket, key), known))     # to compare its ETag
    return demands


def _source(call, known):
    bucket, key, version = source(call)
    return Demand("s3:GetObjectVersion" if version else "s3:GetObject", arn(bucket, key), {**known, "s3:VersionId": version})


async def _keys(world, call, bucket, key, demands, role):
    """Under SSE-KMS a writer needs GenerateDataKey and a reader Decrypt, by way of S3."""
    if role is None:
        return []
    wanted = []
    for demand in demands:
        where, _, name = demand.resource.removeprefix("arn:aws:s3:::").partition("/")
        if demand.action == "s3:PutObject" and name:
            found = await world.s3_mends.key_for(call, bucket)
            actions = ["kms:GenerateDataKey"] + ["kms:Decrypt"] * ("Upload" in call.operation)
        elif demand.action in ("s3:GetObject", "s3:GetObjectVersion"):
            found, actions = world.s3_etags.key_of(where, name, demand.context["s3:VersionId"]), ["kms:Decrypt"]
        else:
            continue
        if found:
            wanted += await world.keys.demands(call, found, actions, **{
                "kms:ViaService": f"s3.{call.region}.amazonaws.com",
                "kms:EncryptionContext:aws:s3:arn": demand.resource})
    return wanted
