"""What IAM is asked for each call of S3 Vectors (service authorization reference; S3's user guide for what is needed beside)."""

import json

from .demand import Demand, request_tags, resource_tags
from .s3vectors_common import arn, find, names, policy_in_force

_DATA = {"PutVectors", "GetVectors", "ListVectors", "QueryVectors", "DeleteVectors"}


def _reads(call):
    """Does the call want metadata or data beside keys? Then it needs s3vectors:GetVectors too."""
    params = call.params
    return (call.operation == "QueryVectors" and (params.get("returnMetadata") or params.get("filter") is not None)
            or call.operation == "ListVectors" and (params.get("returnData") or params.get("returnMetadata")))


def context(region, bucket, index):
    """The condition keys of a resource: its own tags, and those of the bucket that it is in."""
    found, inside = find(region, bucket, index)
    own = (inside.tags if inside else {}) if index else (found.tags if found else {})
    return {"aws:ResourceAccount": region.account, **resource_tags(own),
            **{f"s3vectors:VectorBucketTag/{k}": v for k, v in (found.tags if found else {}).items()}}


def bucket_policy(world, region, bucket):
    """The bucket's policy in force, parsed, or None."""
    found, _ = find(region, bucket)
    text = found and policy_in_force(world, region, found)
    return json.loads(text) if text else None


async def of(world, call, role=None):
    params, region, action = call.params, world.region(call.account, call.region), f"s3vectors:{call.operation}"
    bucket, index = names(region, params, call.operation)
    if bucket is None:
        return [Demand(action, "*", {"aws:ResourceAccount": call.account})]
    encryption = params.get("encryptionConfiguration") or {}
    known = {**context(region, bucket, index), **request_tags(params.get("tags") or {}),
             "s3vectors:sseType": encryption.get("sseType"), "s3vectors:kmsKeyArn": encryption.get("kmsKeyArn")}
    if params.get("tagKeys"):
        known["aws:TagKeys"] = params["tagKeys"]
    also = ["s3vectors:GetVectors"] * bool(_reads(call)) + ["s3vectors:TagResource"] * bool(
        params.get("tags") and call.operation.startswith("Create"))
    policy, resource = bucket_policy(world, region, bucket), arn(region, bucket, index)
    return [Demand(a, resource, known, policy) for a in [action, *also]] + await _key(world, call, region, bucket, index)


async def _key(world, call, region, bucket, index):
    """Whoever makes something under a key must be able to make data keys of it; whoever uses vectors, to decrypt them."""
    found, inside = find(region, bucket, index)
    if call.operation in ("CreateVectorBucket", "CreateIndex"):
        own = call.params.get("encryptionConfiguration") or (found.encryption if found else {})
        actions = ["kms:GenerateDataKey"]
    elif call.operation in _DATA:
        own, actions = (inside.encryption if inside else {}), ["kms:Decrypt"]
    else:
        return []
    key = own.get("kmsKeyArn")
    return await world.keys.demands(call, key, actions, **{"kms:ViaService": f"s3vectors.{call.region}.amazonaws.com"}) if key else []
