"""S3 as AWS refuses it, where MiniStack does not: the expected owner, a bucket policy's Deny, the state of a KMS key.

What is learnt about a bucket or key is kept until a call that could change it passes.
"""

import asyncio
import json
import re

from . import caller, demands_s3, policy, s3_copies, s3_deletes, s3_keys, s3_namespaces, s3_sizes, upstream
from .demand import Demand
from .errors import AwsError
from .principals import named
from .s3_checksums import Checksums
from .s3_conditions import Conditions
from .s3_names import split
from .s3_uploads import Uploads

# The account's owner can always mend a policy that locks everybody out.
POLICY_CALLS = {"GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"}
WRITES = {"PutObject", "CopyObject", "CreateMultipartUpload"}
KEY_ERRORS = {"Disabled": "KMS.DisabledException", "NotFound": "KMS.NotFoundException"}


class S3Mends:
    def __init__(self, world):
        self._world = world
        self._policies, self._keys = {}, {}    # (account that asks, bucket) -> what it may know of it
        self._blocked = set()           # names of buckets deleted a moment ago
        self._conditions, self._turn = Conditions(world), asyncio.Lock()
        self.uploads, self._checksums = Uploads(), Checksums()

    async def before(self, call):
        """Refuse what AWS would refuse."""
        bucket, key = split(call)
        if call.operation == "CreateBucket" and bucket in self._blocked:
            raise AwsError("OperationAborted", "A conflicting conditional operation is currently in progress against this "
                           "resource. Please try again.", 409)
        if call.operation == "CreateBucket":
            s3_namespaces.check(self._world, call)
        if not bucket or call.operation == "CreateBucket":
            return
        await self._expected_owner(call, bucket)
        s3_keys.check(call)
        s3_sizes.check(self._world, call)
        if call.operation == "ListObjectsV2":
            self._page(call)
        if call.operation == "PutBucketPolicy":
            _check_policy(call.body)
        if call.operation == "PutBucketEncryption" and self._world.settings.switch(call.account, "bucket_key") == "checked":
            found = re.search(rb"<KMSMasterKeyID>([^<]+)<", call.body)
            if found:
                await self._usable(call, found.group(1).decode())
        if call.operation not in POLICY_CALLS:
            await self._bucket_policy(call, bucket)
        self._conditions.take(call)
        if call.operation in WRITES:
            key = await self.key_for(call, bucket)
            if key:
                await self._usable(call, key)
        self._world.s3_etags.before(call)

    def _page(self, call):
        """No page is longer than the setting says."""
        most = self._world.settings.of(call.account)["object_page_size"]
        asked = int(call.query.get("max-keys", ["1000"])[0] or 1000)
        if asked > most or (most < 1000 and "max-keys" not in call.query):
            rest = [part for part in call.query_string.split("&") if part and not part.startswith("max-keys=")]
            call.query_string = "&".join([*rest, f"max-keys={most}"])

    async def forward(self, call):
        """What MiniStack answers, with what it does not know put in. One call has its turn after the other."""
        with self._conditions.watching(call) as seen:
            if call.condition:
                await self._world.clock.dwell(call.account, "conditional_write", call.resource)
            async with self._turn:
                await self._conditions.check(call, seen)
                await s3_namespaces.before(call)
                self._checksums.before(call, await s3_copies.before(self._world, call))
                if call.operation == "DeleteObjects":
                    refused = await s3_deletes.before(self._world, call, split(call)[0])
                    answer = s3_deletes.after(await upstream.forward(call), refused)
                else:
                    answer = await upstream.forward(call)
                await self._after(call, answer)
                return answer

    async def _after(self, call, answer):
        """A GetObject is refused when its key cannot decrypt; and forget what a successful change made stale."""
        bucket, key = split(call)
        s3_keys.after(call, answer)
        await self._checksums.after(call, answer)
        self._world.s3_etags.after(call, answer)
        self._conditions.note(call, answer)
        self.uploads.note(call, answer)
        s3_namespaces.after(call, answer)
        if answer.status == 404 and call.operation in ("GetObject", "HeadObject"):
            await self._hide(call, bucket)
        if answer.status >= 300:
            return
        if call.operation == "DeleteBucket":
            self._blocked.add(bucket)
            self._world.spawn(self._unblock(call.account, bucket))
        if call.operation in ("PutBucketPolicy", "DeleteBucketPolicy", "DeleteBucket", "CreateBucket"):
            _forget(self._policies, bucket)
        if call.operation in ("PutBucketEncryption", "DeleteBucketEncryption", "DeleteBucket", "CreateBucket"):
            _forget(self._keys, bucket)
        if call.operation == "GetObject":
            key = next((v.decode() for k, v in answer.headers
                        if k.decode().lower() == "x-amz-server-side-encryption-aws-kms-key-id"), None)
            if key:
                await self._usable(call, key)

    async def _unblock(self, account, bucket):
        await self._world.clock.dwell(account, "bucket_name", bucket)
        self._blocked.discard(bucket)

    async def _hide(self, call, bucket):
        """Who may not list a bucket is not told what is missing in it, but refused."""
        role = await caller.role_of(self._world, call)
        if role is None:
            return
        listing = Demand("s3:ListBucket", demands_s3.arn(bucket), {"aws:ResourceAccount": call.account}, await self.policy_of(call, bucket))
        why = caller.refusal(self._world, call, role, listing)
        if why:
            raise caller.denial(call, listing.action, listing.resource, why)

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

    async def policy_of(self, call, bucket):
        """The bucket's policy, or None."""
        known = call.account, bucket
        if known not in self._policies:
            try:
                found = await upstream.api(call.account, call.region, "s3", "GetBucketPolicy", Bucket=bucket)
                self._policies[known] = json.loads(found["Policy"])
            except AwsError:
                self._policies[known] = None
        return self._policies[known]

    async def _bucket_policy(self, call, bucket):
        """MiniStack stores bucket policies and ignores them. Only Deny is added: what allows is IAM's business.

        The double speaks plain HTTP; the policies are told that it was TLS, or a TLS-only policy would shut everybody out."""
        if not await self.policy_of(call, bucket):
            return
        for demand in await demands_s3.of(self._world, call):
            demand.policy = await self.policy_of(call, demand.resource.removeprefix("arn:aws:s3:::").partition("/")[0])
            why = await self.denied(call, demand)
            if why:
                raise caller.denial(call, demand.action, demand.resource, why)

    async def denied(self, call, demand):
        """Why the bucket's policy denies this to whoever calls, or None."""
        if not demand.policy:
            return None
        principal = await self._world.roles.principal(call.caller)
        context = {"aws:SecureTransport": "true", "aws:PrincipalArn": principal, "aws:PrincipalAccount": call.account,
                   "aws:PrincipalIsAWSService": "false", **demand.context}
        verdict = policy.decide([demand.policy], demand.action, demand.resource, context, named(principal))
        return "with an explicit deny in a resource-based policy" if verdict == "Deny" else None

    async def key_for(self, call, bucket):
        """The KMS key that a write of this call is under: its own, or the bucket's default; none if the caller gives the key."""
        own = call.headers.get("x-amz-server-side-encryption-aws-kms-key-id")
        without = call.headers.get("x-amz-server-side-encryption") == "AES256"
        if own or without or "x-amz-server-side-encryption-customer-algorithm" in call.headers:
            return own
        return await self._key_of(call, bucket)

    async def _key_of(self, call, bucket):
        """The KMS key of a bucket's default encryption, or None."""
        known = call.account, bucket
        if known not in self._keys:
            key = None
            try:
                found = await upstream.api(call.account, call.region, "s3", "GetBucketEncryption", Bucket=bucket)
                for rule in found["ServerSideEncryptionConfiguration"]["Rules"]:
                    key = rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID")
            except AwsError:
                pass
            self._keys[known] = key
        return self._keys[known]

    async def _usable(self, call, name):
        key = await self._world.keys.get(call.account, call.region, name)
        state = key.state if key else "NotFound"
        if state != "Enabled":
            raise AwsError(KEY_ERRORS.get(state, "KMS.KMSInvalidStateException"), f"{name} is {state}.", 400)


def _forget(known, bucket):
    for key in [key for key in known if key[1] == bucket]:
        del known[key]


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
