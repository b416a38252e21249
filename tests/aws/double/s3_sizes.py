"""How much one call may write: 5 GB (setting `limits.put_object_bytes`). More takes an upload in parts, each of at most as much."""

from .errors import AwsError

_WRITES = {"PutObject", "UploadPart"}


def check(world, call):
    """Refuse to write more than S3 takes at once."""
    most = world.settings.limit(call.account, "put_object_bytes")
    size = int(call.headers.get("x-amz-decoded-content-length") or len(call.body))
    if call.operation in _WRITES and size > most:
        raise AwsError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", 400,
                       ProposedSize=str(size), MaxSizeAllowed=str(most))
