"""S3 as AWS refuses it, where MiniStack does not: the expected owner, the key of an encryption, a bucket policy's Deny."""

from .errors import AwsError
from . import s3_names, upstream


async def check(world, call):
    pass
