"""What S3 does not copy: an object that is archived and not restored, and one that is larger than one call may copy.

MiniStack refuses to read the former, and copies both. It also keeps the storage class of a copy's source, which S3 does not.
"""

from . import upstream
from .errors import AwsError
from .s3_names import source

_COPIES = {"CopyObject", "UploadPartCopy"}
_ARCHIVED = {"GLACIER", "DEEP_ARCHIVE"}
_OWN_KEY = {f"SSECustomer{name}": f"x-amz-copy-source-server-side-encryption-customer-{header}"
            for name, header in (("Algorithm", "algorithm"), ("Key", "key"), ("KeyMD5", "key-md5"))}


async def before(world, call):
    """Refuse a copy that S3 refuses. What is wrong with a source that cannot be looked at, MiniStack says.

    Returns what HeadObject says of the source, and as "Source" which that is: (bucket, key, version)."""
    if call.operation not in _COPIES:
        return {}
    bucket, key, version = source(call)
    try:
        found = copied = await _head(call, bucket, key, version)
        if version and _is_archived(found):
            current = await _head(call, bucket, key)        # MiniStack shows only there what is restored
            found = current if current.get("VersionId") == version else found
    except AwsError:
        return {}
    if _is_archived(found):
        raise AwsError("InvalidObjectState", "Operation is not valid for the source object's storage class", 403)
    most = world.settings.limit(call.account, "copy_source_bytes")
    if call.operation == "CopyObject" and found["ContentLength"] > most:
        raise AwsError("InvalidRequest", "The specified copy source is larger than the maximum allowable size for a copy "
                       f"source: {most}", 400)
    if call.operation == "CopyObject" and "x-amz-storage-class" not in call.headers:
        call.raw_headers = [*call.raw_headers, (b"x-amz-storage-class", b"STANDARD")]
    return {**copied, "Source": (bucket, key, copied.get("VersionId", "null"))}


async def _head(call, bucket, key, version=None):
    given = {name: call.headers[header] for name, header in _OWN_KEY.items() if header in call.headers}
    if version:
        given["VersionId"] = version
    return await upstream.api(call.account, call.region, "s3", "HeadObject", Bucket=bucket, Key=key, ChecksumMode="ENABLED",
                              **given)


def _is_archived(found):
    return found.get("StorageClass") in _ARCHIVED and 'ongoing-request="false"' not in found.get("Restore", "")
