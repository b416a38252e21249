"""Buckets in an account's own regional namespace: `<prefix>-<account>-<region>-an`, a part of the global one that only the
account may use. CreateBucket must say so (x-amz-bucket-namespace); no other call knows of it.
"""

import re

from . import upstream
from .errors import AwsError
from .s3_names import split

HEADER = "x-amz-bucket-namespace"
_NAME = re.compile(r".+-(\d{12})-([a-z]+(?:-[a-z]+)+-\d+)-an")
_CONSTRAINT = re.compile(rb"<LocationConstraint>([^<]+)<")


def _asked(call):
    return call.operation == "CreateBucket" and call.headers.get(HEADER) == "account-regional"


def _region(call):
    """The region that the bucket is to be in."""
    found = _CONSTRAINT.search(call.body)
    name = found.group(1).decode() if found else call.region
    return "eu-west-1" if name == "EU" else name


def check(world, call):
    """Refuse a name that is not of the namespace asked for."""
    name, region, asked = split(call)[0], _region(call), call.headers.get(HEADER, "global")
    found = _NAME.fullmatch(name)
    if asked not in ("account-regional", "global"):
        raise AwsError("InvalidArgument", f"The value of {HEADER} is not valid.", 400)
    if asked == "global":
        if found:
            raise AwsError("MissingNamespaceHeader", "The requested bucket is an account-regional namespace bucket, but your request "
                           f"is missing the required {HEADER} header.", 400, Header=HEADER)
        if name.endswith("-an"):
            raise AwsError("InvalidBucketName", "The specified bucket is not valid.", 400, BucketName=name)
    elif region in world.settings.switch(call.account, "no_account_regional"):
        raise AwsError("NotImplemented", "A header you provided implies functionality that is not implemented", 501, Header=HEADER)
    elif not found:
        raise AwsError("InvalidNamespaceHeader", "The requested bucket name did not include the account-regional namespace suffix, but "
                       f"the provided {HEADER} header value is account-regional. Specify -{call.account}-{region}-an as the bucket "
                       "name suffix to create a bucket in your account-regional namespace, or remove the header.", 400)
    elif found.groups() != (call.account, region):
        raise AwsError("InvalidBucketNamespace", f"The bucket name is in the namespace of account {found.group(1)} and region "
                       f"{found.group(2)}, the request comes from account {call.account} and is for region {region}.", 400)


async def before(call):
    """Such a bucket is made once. In us-east-1 a global one may be made again by its owner."""
    if not _asked(call):
        return
    name = split(call)[0]
    try:
        await upstream.api(call.account, call.region, "s3", "HeadBucket", Bucket=name)
    except AwsError:
        return
    raise AwsError("BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.",
                   409, BucketName=name)


def after(call, answer):
    """The answer names the bucket's ARN."""
    if _asked(call) and answer.status < 300:
        answer.headers.append((b"x-amz-bucket-arn", f"arn:aws:s3:::{split(call)[0]}".encode()))
