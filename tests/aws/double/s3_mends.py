"""S3 as AWS refuses it, where MiniStack does not: the expected owner, a bucket policy's Deny, the state of a KMS key.

What is learnt about a bucket or key is kept until a call that could change it passes.
"""

import json
import re

from . import policy, upstream
from .errors import AwsError
from .principals import named
from .s3_names import split

# Actions whose names differ from their operations' (service-authorization reference).
ACTIONS = {
    "ListObjects": "s3:ListBucket", "ListObjectsV2": "s3:ListBucket", "HeadBucket": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions", "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "HeadObject": "s3:GetObject", "CopyObject": "s3:PutObject", "UploadPart": "s3:PutObject",
    "UploadPartCopy": "s3:PutObject", "CreateMultipartUpload": "s3:PutObject", "CompleteMultipartUpload": "s3:PutObject",
    "GetBucketEncryption": "s3:GetEncryptionConfiguration", "PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "DeleteBucketEncryption": "s3:PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock", "PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
}
# The account's owner can always mend a policy that locks everybody out.
POLICY_CALLS = {"GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"}
WRITES = {"PutObject", "CopyObject", "CreateMultipartUpload"}
KEY_ERRORS = {"Disabled": "KMS.DisabledException", "NotFound": "KMS.NotFoundException"}


class S3Mends:
    def __init__(self, world):
        self._world = world
        self._policies, self._keys, self._states = {}, {}, {}

    async def before(self, call):
        """Refuse what AWS would refuse."""
        bucket, key = split(call)
        if not bucket or call.operation == "CreateBucket":
            return
        await self._expected_owner(call, bucket)
        if call.operation == "PutBucketPolicy":
            _check_policy(call.body)
        if call.operation == "PutBucketEncryption" and self._world.settings.switch(call.account, "bucket_key") == "checked":
            found = re.search(rb"<KMSMasterKeyID>([^<]+)<", call.body)
            if found:
                await self._usable(call, found.group(1).decode())
        if call.operation not in POLICY_CALLS:
            await self._bucket_policy(call, bucket, key)
        if call.operation in WRITES:
            own = call.headers.get("x-amz-server-side-encryption-aws-kms-key-id")
            default = None if call.headers.get("x-amz-server-side-encryption") == "AES256" else await self._key_of(call, bucket)
            if own or default:
                await self._usable(call, own or default)

    async def after(self, call, answer):
        """A GetObject is refused when its key cannot decrypt; and forget what a successful change made stale."""
        bucket, _ = split(call)
        if answer.status >= 300:
            return
        if call.operation in ("PutBucketPolicy", "DeleteBucketPolicy", "DeleteBucket", "CreateBucket"):
            self._policies.pop(bucket, None)
        if call.operation in ("PutBucketEncryption", "DeleteBucketEncryption", "DeleteBucket", "CreateBucket"):
            self._keys.pop(bucket, None)
        if call.operation == "GetObject":
            key = next((v.decode() for k, v in answer.headers
                        if k.decode().lower() == "x-amz-server-side-encryption-aws-kms-key-id"), None)
            if key:
                await self._usable(call, key)

    def forget_keys(self, account):
        self._states = {k: v for k, v in self._states.items() if k[0] != account}

    async def _expected_owner(self, call, bucket):
        """MiniStack ignores x-amz-expected-bucket-owner. It lets only owners at their buckets, so the owner is the caller."""
        for header in ("x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"):
            wanted = call.headers.get(header)
            if wanted and wanted != call.account:
                try:
                    await upstream.api(call.account, call.region, "s3", "HeadBucket", Bucket=bucket)
                except AwsError as error:
                    if error.status == 404:
                        return        # NoSuchBucket, as MiniStack says it
                raise AwsError("AccessDenied", "Access Denied", 403)

    async def _bucket_policy(self, call, bucket, key):
        """MiniStack stores bucket policies and ignores them. Only Deny is added: what allows is IAM's business.

        The double speaks plain HTTP; the policies are told that it was TLS, or a TLS-only policy would shut everybody out."""
        if bucket not in self._policies:
            try:
                found = await upstream.api(call.account, call.region, "s3", "GetBucketPolicy", Bucket=bucket)
                self._policies[bucket] = json.loads(found["Policy"])
            except AwsError:
                self._policies[bucket] = None
        document = self._policies[bucket]
        if not document:
            return
        principal = await self._world.roles.principal(call.caller)
        context = {"aws:SecureTransport": "true", "aws:PrincipalArn": principal, "aws:PrincipalAccount": call.account,
                   "aws:PrincipalIsAWSService": "false", "aws:ResourceAccount": call.account,
                   "s3:prefix": call.query.get("prefix", [None])[0],
                   "s3:x-amz-server-side-encryption": call.headers.get("x-amz-server-side-encryption")}
        action = ACTIONS.get(call.operation, f"s3:{call.operation}")
        if call.operation in ("DeleteObject", "GetObject", "HeadObject") and "versionId" in call.query:
            action += "Version"
        arn = f"arn:aws:s3:::{bucket}" + (f"/{key}" if key else "")
        if policy.decide([document], action, arn, context, named(principal)) == "Deny":
            raise AwsError("AccessDenied", f"User: {call.caller} is not authorized to perform: {action} on resource: "
                           f"\"{arn}\" with an explicit deny in a resource-based policy", 403)

    async def _key_of(self, call, bucket):
        """The KMS key of a bucket's default encryption, or None."""
        if bucket not in self._keys:
            key = None
            try:
                found = await upstream.api(call.account, call.region, "s3", "GetBucketEncryption", Bucket=bucket)
                for rule in found["ServerSideEncryptionConfiguration"]["Rules"]:
                    key = rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID")
            except AwsError:
                pass
            self._keys[bucket] = key
        return self._keys[bucket]

    async def _usable(self, call, key):
        known = (call.account, key)
        if known not in self._states:
            try:
                found = await upstream.api(call.account, call.region, "kms", "DescribeKey", KeyId=key)
                self._states[known] = found["KeyMetadata"]["KeyState"]
            except AwsError:
                self._states[known] = "NotFound"
        state = self._states[known]
        if state != "Enabled":
            raise AwsError(KEY_ERRORS.get(state, "KMS.KMSInvalidStateException"), f"{key} is {state}.", 400)


def _check_policy(body):
    """MiniStack takes any JSON for a bucket policy."""
    try:
        statements = policy.as_list(json.loads(body)["Statement"])
        good = statements and all(s["Effect"] in ("Allow", "Deny") and ("Principal" in s or "NotPrincipal" in s)
                                  and ("Action" in s or "NotAction" in s) and ("Resource" in s or "NotResource" in s)
                                  for s in statements)
    except (ValueError, KeyError, TypeError):
        good = False
    if not good:
        raise AwsError("MalformedPolicy", "Policies must be valid JSON with Effect, Principal, Action and Resource", 400)
