"""Amazon S3 Vectors: vector buckets, their policies, tags, and the dispatch of `s3vectors` calls (model of botocore; S3's user guide).

Everything is synchronous: there are no states, and no client tokens. Who lost an answer meets ConflictException and looks.
"""

import json

from . import caller, demands_s3vectors, gate, policy, s3vectors_data, s3vectors_index, s3vectors_keys
from .bedrock_common import table
from .errors import AwsError, validation
from .model import parse_json, parse_rest, route
from .principals import named
from .s3vectors_common import NO_BUCKET, arn, bucket_of, check_name, checked_tags, conflict, find, index_of, names, not_found
from .state import VectorBucket, page

OPERATIONS, operation = table()
# What whoever owns the account can always do, or a policy could lock everybody out for ever.
_POLICY_CALLS = {"GetVectorBucketPolicy", "PutVectorBucketPolicy", "DeleteVectorBucketPolicy"}


async def answer(world, call):
    found = route("s3vectors", call.method, call.raw_path)
    if not found:
        raise AwsError("UnknownOperationException", f"no such operation: {call.method} {call.path}")
    call.operation, labels = found
    call.params = {**parse_json(call.body), **labels}         # for the journal, should the model refuse them
    call.params = params = _parsed(call.operation, labels, call)
    region = world.region(call.account, call.region)
    call.resource = "/".join(filter(None, names(region, params, call.operation)))
    await gate.pass_through(world, call)
    await _bucket_policy(world, call)
    tables = (OPERATIONS, s3vectors_index.OPERATIONS, s3vectors_data.OPERATIONS)
    act = next((table[call.operation] for table in tables if call.operation in table), None)
    if act is None:
        raise AwsError("NotImplementedByDouble", f"{call.operation} is not part of the double")
    return await act(world, region, call, params)


def _parsed(name, labels, call):
    """The parameters, if the model takes them. This service calls the place of a mistake its path, and writes it with slashes."""
    try:
        return parse_rest("s3vectors", name, labels, call.query, call.body)
    except AwsError as error:
        fields = [{"path": "/" + f["name"].replace(".", "/"), "message": f["message"]} for f in error.fields.get("fieldList", [])]
        error.fields = {"fieldList": fields} if fields else {}
        raise


async def _bucket_policy(world, call):
    """A policy's Deny binds the account's root too, whom IAM does not ask."""
    if await caller.role_of(world, call) is not None or call.operation in _POLICY_CALLS:
        return
    for demand in await demands_s3vectors.of(world, call):
        context = {"aws:PrincipalArn": call.caller, "aws:PrincipalAccount": call.account, "aws:SecureTransport": "true",
                   "aws:PrincipalIsAWSService": "false", **caller.variables(world, call), **demand.context}
        if demand.policy and policy.decide([demand.policy], demand.action, demand.resource, context, named(call.caller)) == "Deny":
            raise caller.denial(call, demand.action, demand.resource, "with an explicit deny in a resource-based policy")


@operation("CreateVectorBucket")
async def create(world, region, call, params):
    name = params["vectorBucketName"]
    check_name("vector bucket", name)
    encryption = s3vectors_keys.encryption(params) or {"sseType": "AES256"}
    if name in region.vector_buckets:
        raise conflict("A vector bucket with the specified name already exists")
    if (name, None) in region.blocked:
        raise conflict("A conflicting operation is currently in progress against this resource")
    if len(region.vector_buckets) >= world.settings.limit(region.account, "vector_buckets"):
        raise AwsError("ServiceQuotaExceededException", "You have reached the maximum number of vector buckets")
    tags = checked_tags(params.get("tags") or {})
    await s3vectors_keys.check_new(world, region, encryption, arn(region, name), "vector_bucket_key")
    bucket = region.vector_buckets[name] = VectorBucket(
        name, arn(region, name), world.clock.now(), encryption, world.settings.switch(region.account, "vector_bucket_mode"), tags)
    return {"vectorBucketArn": bucket.arn}


@operation("GetVectorBucket")
async def get(world, region, call, params):
    bucket = bucket_of(region, params, call.operation)
    return {"vectorBucket": {**_summary(bucket), "encryptionConfiguration": bucket.encryption, "defaultIndexMode": bucket.mode}}


def _summary(bucket):
    return {"vectorBucketName": bucket.name, "vectorBucketArn": bucket.arn, "creationTime": bucket.created}


@operation("ListVectorBuckets")
async def list_all(world, region, call, params):
    found = [b for name, b in sorted(region.vector_buckets.items()) if name.startswith(params.get("prefix", ""))
             and world.clock.after(region.account, "vector_list", b.created)]
    items, token = page(world.settings, region.account, found, params, default=500)
    return {"vectorBuckets": [_summary(b) for b in items], "nextToken": token}


@operation("DeleteVectorBucket")
async def delete(world, region, call, params):
    bucket = bucket_of(region, params, call.operation)
    if bucket.indexes or (bucket.name, "") in region.blocked:
        raise conflict("The specified vector bucket is not empty")
    del region.vector_buckets[bucket.name]
    s3vectors_index.block(world, region, (bucket.name, None), "vector_bucket_name")
    return {}


@operation("PutVectorBucketDefaultIndexMode")
async def put_mode(world, region, call, params):
    bucket = bucket_of(region, params, call.operation)
    s3vectors_index.check_mode(world, region, params["defaultIndexMode"])
    bucket.mode = params["defaultIndexMode"]
    return {}


@operation("PutVectorBucketPolicy")
async def put_policy(world, region, call, params):
    bucket, text = bucket_of(region, params, call.operation), params["policy"]
    try:
        statements = policy.as_list(json.loads(text)["Statement"])
        good = statements and all(s["Effect"] in ("Allow", "Deny") and any(e in s for e in ("Principal", "NotPrincipal"))
                                  and any(e in s for e in ("Action", "NotAction")) and any(e in s for e in ("Resource", "NotResource"))
                                  for s in statements)
    except (ValueError, KeyError, TypeError):
        good = False
    if not good or len(text.encode()) > world.settings.limit(region.account, "vector_policy_bytes"):
        raise validation("Invalid vector bucket policy")
    bucket.policies.append((world.clock.now(), text))
    return {}


@operation("GetVectorBucketPolicy")
async def get_policy(world, region, call, params):
    text = bucket_of(region, params, call.operation).policy
    if text is None:
        raise not_found("The specified vector bucket policy could not be found")
    how = world.settings.switch(region.account, "vector_policy_shown")
    return {"policy": text if how == "as_sent" else json.dumps(_normalised(json.loads(text)), separators=(",", ":"), sort_keys=True)}


def _normalised(value):
    """As IAM writes a document that it has understood: a list of one is its member, and everybody is an AWS principal."""
    if isinstance(value, dict):
        return {k: {"AWS": "*"} if k == "Principal" and v == "*" else _normalised(v) if k != "Statement"
                else [_normalised(s) for s in policy.as_list(v)] for k, v in value.items()}
    if isinstance(value, list):
        return _normalised(value[0]) if len(value) == 1 else [_normalised(v) for v in value]
    return value


@operation("DeleteVectorBucketPolicy")
async def delete_policy(world, region, call, params):
    bucket = bucket_of(region, params, call.operation)
    if bucket.policy is not None:
        bucket.policies.append((world.clock.now(), None))
    return {}


# tags, of buckets and of indexes

def _tagged(region, params):
    """The tags of what an ARN names."""
    bucket, index = names(region, params, "TagResource")
    if index:
        return index_of(region, params, "TagResource")[1].tags
    found, _ = find(region, bucket)
    if found is None:
        raise not_found(NO_BUCKET)
    return found.tags


@operation("TagResource")
async def tag(world, region, call, params):
    tags = _tagged(region, params)
    tags.update(checked_tags({**tags, **params["tags"]}))
    return {}


@operation("UntagResource")
async def untag(world, region, call, params):
    tags = _tagged(region, params)
    for key in params["tagKeys"]:
        tags.pop(key, None)
    return {}


@operation("ListTagsForResource")
async def list_tags(world, region, call, params):
    return {"tags": _tagged(region, params)}
