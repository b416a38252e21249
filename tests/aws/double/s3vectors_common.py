"""Vector buckets and their indexes: how a call names them, how they are found, and what AWS says of those that are not there.

A call names a bucket by its name or its ARN, an index by both names or by its ARN, and never in both ways. Texts are those that
AWS answered to moto's verified tests and to marila's probes.
"""

import re

from .errors import AwsError, validation

_ARN = re.compile(r"arn:aws:s3vectors:([a-z0-9-]+):(\d{12}):bucket/([^/]+)(?:/index/([^/]+))?")
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_INDEX_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
NO_BUCKET, NO_INDEX = "The specified vector bucket could not be found", "The specified index could not be found"


def arn(region, bucket, index=None):
    bucket_arn = f"arn:aws:s3vectors:{region.name}:{region.account}:bucket/{bucket}"
    return f"{bucket_arn}/index/{index}" if index else bucket_arn


def not_found(message):
    return AwsError("NotFoundException", message)


def conflict(message):
    return AwsError("ConflictException", message)


def refused(message, path):
    """A ValidationException that is about one part of the request."""
    return validation(message, fieldList=[{"path": path, "message": message}])


def parts(region, resource):
    """(bucket, index or None) of an ARN. Nothing of another account's or region's is reached: sharing by policy is not built."""
    found = _ARN.fullmatch(resource)
    if not found:
        raise validation(f"{resource} is not the ARN of a vector bucket or of a vector index")
    if found.group(1, 2) != (region.name, region.account):
        raise AwsError("AccessDeniedException", f"{resource} is not of this account and region")
    return found.group(3), found.group(4)


def names(region, params, operation):
    """(bucket, index or None) that a call means; (None, None) where it means neither."""
    bucket, index = params.get("vectorBucketName"), params.get("indexName")
    if "resourceArn" in params:
        return parts(region, params["resourceArn"])
    if operation == "ListVectorBuckets":
        return None, None
    if operation not in OF_BUCKETS:
        whole = params.get("indexArn")
        if whole and not bucket and not index:
            return parts(region, whole)
        if whole or not bucket or not index:
            raise validation("Must specify either indexArn or both vectorBucketName and indexName")
        return bucket, index
    whole = params.get("vectorBucketArn")
    if bool(whole) == bool(bucket):
        raise validation("Must specify either vectorBucketName or vectorBucketArn but not both")
    return (parts(region, whole)[0] if whole else bucket), index


# Operations that name a bucket; CreateIndex has the name of an index beside it. All others name an index.
OF_BUCKETS = {"CreateVectorBucket", "GetVectorBucket", "DeleteVectorBucket", "PutVectorBucketPolicy", "GetVectorBucketPolicy",
              "DeleteVectorBucketPolicy", "PutVectorBucketDefaultIndexMode", "ListIndexes", "CreateIndex"}


def check_name(kind, name):
    pattern = _BUCKET_NAME if kind == "vector bucket" else _INDEX_NAME
    if not pattern.fullmatch(name):
        raise validation(f"Invalid {kind} name")


def find(region, bucket, index=None):
    """(bucket, index), each None if it is not there."""
    found = region.vector_buckets.get(bucket)
    return found, found.indexes.get(index) if found and index else None


def bucket_of(region, params, operation):
    bucket, _ = names(region, params, operation)
    found, _ = find(region, bucket)
    if found is None:
        raise not_found(NO_BUCKET)
    return found


def index_of(region, params, operation):
    """(its bucket, the index). Of a bucket that is not there AWS says that the index is not."""
    found, index = find(region, *names(region, params, operation))
    if index is None:
        raise not_found(NO_INDEX)
    return found, index


def policy_in_force(world, region, bucket):
    """The text of a bucket's policy that is in force: a change can be late."""
    current = None
    for moment, text in bucket.policies:
        if world.clock.after(region.account, "vector_policy", moment):
            current = text
    return current


def checked_tags(tags):
    """The tags, if a resource can have them."""
    if len(tags) > 50:
        raise validation("A resource can have at most 50 tags")
    if any(key.lower().startswith("aws:") for key in tags):
        raise validation("Tag keys that begin with aws: are reserved")
    return dict(tags)
