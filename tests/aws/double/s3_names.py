"""The S3 operation a request means, found in botocore's model: for the journal, and for the checks added to MiniStack."""

import functools
import re
from urllib.parse import parse_qs, unquote

from .model import service

MANY = re.compile(r"\{(Bucket|Key\+)\}")


@functools.lru_cache(maxsize=None)
def _table():
    rows = []
    for name in service("s3").operation_names:
        operation = service("s3").operation_model(name)
        path, _, query = operation.http["requestUri"].partition("?")
        level = "object" if "{Key+}" in path else "bucket" if "{Bucket}" in path else "service"
        if MANY.sub("", path).strip("/"):
            continue
        fixed = dict(part.partition("=")[::2] for part in query.split("&") if part)
        needed, headers = set(), set()
        shape = operation.input_shape
        for member in (shape.required_members if shape else []):
            where = shape.members[member].serialization
            if where.get("location") == "querystring":
                needed.add(where["name"])
            elif where.get("location") == "header":
                headers.add(where["name"].lower())
        fixed.pop("x-id", None)
        rows.append((operation.http["method"], level, fixed, needed, headers, name))
    # The most particular first: a request that has all of a row's marks is that row's.
    return sorted(rows, key=lambda r: (-len(r[2]) - len(r[3]) - len(r[4]), r[5]))


# Several operations of the model share a request; these are the ones in use.
_PREFER = {"PutBucketLifecycle": "PutBucketLifecycleConfiguration", "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
           "GetBucketNotification": "GetBucketNotificationConfiguration",
           "PutBucketNotification": "PutBucketNotificationConfiguration"}


def name(method, bucket, key, query, headers):
    level = "object" if key else "bucket" if bucket else "service"
    for wanted, where, fixed, needed, required, operation in _table():
        if wanted == method and where == level and all(
                k in query and (not v or v in query[k]) for k, v in fixed.items()) and needed <= query.keys() \
                and required <= headers.keys():
            return _PREFER.get(operation, operation)
    return "Unknown"


def split(call):
    """(bucket, key) of a path-style request."""
    bucket, _, key = call.raw_path.lstrip("/").partition("/")
    return unquote(bucket), unquote(key)


def source(call):
    """(bucket, key, version or None) that a copy is of. A question mark that belongs to the key comes encoded."""
    path, _, query = call.headers.get("x-amz-copy-source", "").lstrip("/").partition("?")
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    return bucket, key, parse_qs(query).get("versionId", [None])[0]
