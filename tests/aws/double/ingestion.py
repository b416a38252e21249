"""What an ingestion job does: list the bucket as the knowledge base's role would, read each document and its sidecar
when it reaches them, and write records into the index that the knowledge base names (aws-facts §1.1, §5.14, §6).

Incremental by what the last job of the same data source saw: so a new index stays empty until a new data source.
"""

import asyncio
import collections
import json
from urllib.parse import unquote

from . import documents, store, upstream
from .bedrock_sources import bucket_of
from .demand import resource_tags
from .documents import JobFailed, LeftAside, Unreadable
from .errors import AwsError


def statistics():
    return {name: 0 for name in (
        "numberOfDocumentsScanned", "numberOfMetadataDocumentsScanned", "numberOfNewDocumentsIndexed",
        "numberOfModifiedDocumentsIndexed", "numberOfMetadataDocumentsModified", "numberOfDocumentsDeleted",
        "numberOfDocumentsFailed", "numberOfDocumentsSkipped")}


class Stopped(Exception):
    pass


async def run(world, region, job):
    clock, account = world.clock, region.account
    name = f"{job.source.kb.name}/{job.source.name}"

    def becomes(status):
        job.status, job.updated = status, clock.now()

    try:
        await _until_stopped(job, clock.dwell(account, "job_starting", name))
        becomes("IN_PROGRESS")
        share = min(1.0, max(0.0, world.settings.of(account)["job_list_at"]))
        await _until_stopped(job, clock.dwell(account, "job_running", name, share))
        await _Crawl(world, region, job).go()
        await _until_stopped(job, clock.dwell(account, "job_running", name, 1 - share))
        await _until_stopped(job, clock.holds.passing(account, "job_finish", name))
        becomes("COMPLETE")      # also with documents that failed: the statistics say so, not the status
    except Stopped:
        await clock.dwell(account, "job_stopping", name)
        becomes("STOPPED")
    except AwsError as error:
        job.failures.append(error.message[:2048])
        becomes("FAILED")
    except Exception as error:
        job.failures.append(f"The double failed: {error!r}"[:2048])
        becomes("FAILED")
        raise


async def _until_stopped(job, coroutine):
    """Wait for something, unless StopIngestionJob comes first."""
    work, stop = asyncio.ensure_future(coroutine), asyncio.ensure_future(job.stop.wait())
    await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        work.cancel()
        raise Stopped()
    stop.cancel()
    await work


class _Crawl:
    def __init__(self, world, region, job):
        self.world, self.region, self.job, self.source = world, region, job, job.source
        self.kb, self.bucket = job.source.kb, bucket_of(job.source)
        s3 = job.source.configuration["s3Configuration"]
        self.prefix = (s3.get("inclusionPrefixes") or [""])[0]
        self.owner = s3.get("bucketOwnerAccountId") or region.account
        self.role = self.index = self.bucket_policy = None
        self.may_erase = False
        self.left_aside = collections.Counter()     # why -> how many documents

    async def go(self):
        """Role and store first, as Bedrock does: without them the whole job fails."""
        self.role = await store.role_of(self.world, self.kb)
        self.index = await store.open_index(self.world, self.region, self.kb, self.role, store.WRITE)
        await self._check_transient_key()
        await self._pass("ingestion.list", f"{self.bucket}/{self.prefix}")
        objects = await self._list()
        keys = [key for key in objects if not documents.is_sidecar(key)]
        stats = self.job.statistics
        stats["numberOfDocumentsScanned"] = len(keys)
        stats["numberOfMetadataDocumentsScanned"] = len(objects) - len(keys)
        self._check_size(keys, objects)
        for key in keys:
            await self._visit(key, objects)
        self.job.failures += [f"Ignored {count} files {why}" for why, count in self.left_aside.items()]
        for key in [key for key in self.source.seen | self.source.documents if key not in objects]:
            # Gone from S3: its records go, also when it had failed and left none.
            self.source.seen.pop(key, None)
            self.source.documents.pop(key, None)
            await self._check_erasing()
            if store.named_index(self.region, self.kb).drop(self._record(key)):
                stats["numberOfDocumentsDeleted"] += 1

    def _check_size(self, keys, objects):
        """So many files and bytes are added or changed by one job at the most. Beyond that it fails as a whole ([mem]: no
        doc says how)."""
        limit = lambda name: self.world.settings.limit(self.region.account, name)
        files = size = 0
        for key in keys:
            sidecar = key + documents.SIDECAR
            before = self.source.seen.get(key) or (None, None)
            for was, now in zip(before, (objects[key], objects.get(sidecar))):
                if now and now != was:
                    files, size = files + 1, size + now[2]
        if files > limit("job_files") or size > limit("job_bytes"):
            raise AwsError("ValidationException", "The ingestion job exceeds the quota for files to add or update per "
                           f"ingestion job, or for its size: {files} files, {size} bytes")

    async def _check_erasing(self):
        """What is replaced or gone must be removed first. A role that may only write gets through its first job, and no other."""
        if not self.may_erase:
            try:
                await store.open_index(self.world, self.region, self.kb, self.role, store.ERASE)
            except AwsError as error:
                raise JobFailed(error.code, error.message) from None
            self.may_erase = True

    async def _pass(self, point, name):
        await _until_stopped(self.job, self.world.clock.holds.passing(self.region.account, point, name))

    def _record(self, key):
        return self.source.id, f"s3://{self.bucket}/{key}"

    async def _list(self):
        whole = self.world.settings.switch(self.region.account, "crawler_lists") == "bucket"
        arn = f"arn:aws:s3:::{self.bucket}"
        try:
            await upstream.api(self.region.account, self.region.name, "s3", "HeadBucket", Bucket=self.bucket)
        except AwsError:
            raise AwsError("ValidationException", f"The specified bucket does not exist: {self.bucket}") from None
        self.bucket_policy = await bucket_policy(self.region, self.bucket)
        # With the switch on "bucket" the crawler lists without a prefix, so a condition on s3:prefix refuses it.
        context = {"aws:ResourceAccount": self.owner, **({} if whole else {"s3:prefix": self.prefix})}
        if not await self._allowed("s3:ListBucket", arn, context):
            raise AwsError("AccessDenied", f"User: {self.role.arn} is not authorized to perform: s3:ListBucket on resource: "
                           f"\"{arn}\" (Service: S3, Status Code: 403)")
        found, token = {}, None
        while True:
            more = {"ContinuationToken": token} if token else {}
            answer = await upstream.api(self.region.account, self.region.name, "s3", "ListObjectsV2",
                                        Bucket=self.bucket, Prefix=self.prefix, EncodingType="url", **more)
            for item in answer.get("Contents", []):
                key = unquote(item["Key"])
                if not key.endswith("/"):
                    found[key] = (item["ETag"], item["LastModified"].isoformat(), item["Size"])
            token = answer.get("NextContinuationToken")
            if not token:
                return found

    async def _allowed(self, action, arn, context):
        return await self.world.roles.allowed(self.role, action, arn, context, self.bucket_policy)

    async def _visit(self, key, objects):
        stats, sidecar = self.job.statistics, key + documents.SIDECAR
        before = self.source.seen.get(key)
        now = (objects[key], objects.get(sidecar))
        if before == now:
            return
        await _until_stopped(self.job, self.world.clock.dwell(self.region.account, "job_document", key))
        await self._pass("ingestion.document", key)
        try:
            self.role = await store.role_of(self.world, self.kb)
            text = documents.text_of(key, await self._read(key))
            await self._pass("ingestion.sidecar", key)
            metadata, ignored = await self._metadata(sidecar)
            parts = documents.parts(key, text, metadata, self.source.ingestion)
            store.check_document(self.world, self.region, self.kb, metadata.size, parts)
            if before is not None:
                await self._check_erasing()
            store.write(self.world, self.region, self.kb, self._record(key), [
                {"text": chunk, "metadata": attributes, "written": self.world.clock.now(), "bucket": self.bucket, "part": part}
                for part, (chunk, attributes) in enumerate(parts)])
        except LeftAside as reason:
            self.left_aside[str(reason)] += 1
            return
        except JobFailed:
            raise
        except Unreadable as reason:
            self._failed(key, str(reason))
            return
        except AwsError as error:
            self._failed(key, f"{error.code}: {error.message}")
            return
        self.source.seen[key] = now
        status = "METADATA_PARTIALLY_INDEXED" if ignored else "INDEXED"
        self.source.documents[key] = (status, ignored, self.world.clock.now())
        if before is None:
            stats["numberOfNewDocumentsIndexed"] += 1
        elif before[0] != now[0]:
            stats["numberOfModifiedDocumentsIndexed"] += 1
        if before is not None and before[1] != now[1]:
            stats["numberOfMetadataDocumentsModified"] += 1

    def _failed(self, key, reason):
        """The job goes on without it. What an earlier job wrote of it stays, and the next job tries again."""
        self.job.statistics["numberOfDocumentsFailed"] += 1
        self.source.documents[key] = ("FAILED", reason, self.world.clock.now())
        self.job.failures.append(f"Encountered error: {reason}. Issue occurred while processing file: {key}."[:2048])

    async def _read(self, key):
        """GetObject as the role would, with kms:Decrypt when the object is under a key."""
        arn = f"arn:aws:s3:::{self.bucket}/{key}"
        if not await self._allowed("s3:GetObject", arn, {"aws:ResourceAccount": self.owner}):
            raise AwsError("AccessDenied", f"User: {self.role.arn} is not authorized to perform: s3:GetObject on resource: \"{arn}\"")
        answer = await upstream.api(self.region.account, self.region.name, "s3", "GetObject", Bucket=self.bucket, Key=key)
        if answer.get("ServerSideEncryption") == "aws:kms" and answer.get("SSEKMSKeyId"):
            await self._check_key(answer["SSEKMSKeyId"], "kms:Decrypt",
                                  {"kms:ViaService": f"s3.{self.region.name}.amazonaws.com"})
        return answer["Body"]

    async def _metadata(self, sidecar):
        """(sidecar, why it was ignored): what the sidecar says when the job reaches the document, not when it
        listed the bucket."""
        try:
            body = await self._read(sidecar)
        except AwsError as error:
            if error.code in ("NoSuchKey", "404"):
                return documents.Sidecar(), None
            raise
        try:
            return documents.read(body), None
        except Unreadable as reason:
            # No doc says which (§6): indexed without its tags, or failed.
            if self.world.settings.switch(self.region.account, "malformed_sidecar") == "failed":
                raise
            return documents.Sidecar(size=len(body)), str(reason)

    async def _check_transient_key(self):
        """The data source's own key encrypts what Bedrock keeps while it works (§4.1)."""
        key = (self.source.encryption or {}).get("kmsKeyArn")
        if key:
            for action in ("kms:GenerateDataKey", "kms:Decrypt"):
                await self._check_key(key, action, {})

    async def _check_key(self, key, action, context):
        arn, why = await key_state(self.region, key)
        if why is None and not await key_allows(self.world, self.region, self.role, arn, action, context):
            why = f"User: {self.role.arn} is not authorized to perform: {action} on resource: {arn}"
        if why:
            raise AwsError("AccessDenied", why)


async def bucket_policy(region, bucket):
    try:
        return json.loads((await upstream.api(region.account, region.name, "s3", "GetBucketPolicy", Bucket=bucket))["Policy"])
    except AwsError:
        return None


async def key_state(region, key):
    """(ARN, what is wrong with it) of a KMS key."""
    try:
        found = (await upstream.api(region.account, region.name, "kms", "DescribeKey", KeyId=key))["KeyMetadata"]
    except AwsError as error:
        return key, f"{error.code}: {error.message}"
    state = found["KeyState"]
    return found["Arn"], None if state == "Enabled" else f"{found['Arn']} is {state}"


async def key_allows(world, region, role, arn, action, context):
    """A key policy must allow: the role itself, or the account, which leaves it to the role's own policies."""
    key = await world.keys.get(region.account, region.name, arn)
    context = {"kms:CallerAccount": region.account, **(resource_tags(key.tags) if key else {}), **context}
    return key is not None and await world.roles.allowed(role, action, arn, context, key.policy, guarded=True)
