"""Conditional writes: PutObject, CopyObject and CompleteMultipartUpload with If-Match or If-None-Match.

Calls of S3 have their turn one after the other, so nothing comes between the check of a condition and the write. A request
watches its key while it is under way, an upload in parts from its beginning. What others did to the key meanwhile decides
between 412 and 409 (switch `conditional_race`). A test keeps requests under way by the dwell or a hold `conditional_write`.
"""

from contextlib import contextmanager
from dataclasses import dataclass

from . import s3_deletes, s3_uploads, upstream
from .errors import AwsError
from .s3_names import split

WRITES = {"PutObject", "CopyObject", "CompleteMultipartUpload"}
_NAMES = {"if-match": "If-Match", "if-none-match": "If-None-Match"}


@dataclass(eq=False)
class Watch:
    """What became of a key since it is watched."""
    bucket: str
    key: str
    written: bool = False
    deleted: bool = False

    @property
    def changed(self):
        return self.written or self.deleted


class Conditions:
    def __init__(self, world):
        self._world = world
        self._under_way, self._uploads = [], {}     # watches: of requests, and by upload id

    def take(self, call):
        """Take the condition off a write. What S3 does not accept it calls not implemented."""
        given = {name: call.headers[name].strip() for name in _NAMES if name in call.headers}
        if call.operation not in WRITES or not given:
            return
        if self._world.settings.switch(call.account, "empty_condition") == "ignored":
            given = {name: value for name, value in given.items() if value}
        if len(given) > 1:
            raise _not_accepted(",".join(_NAMES.values()), "Multiple conditional request headers present in the request")
        for name, value in given.items():
            if not value or (value == "*") != (name == "if-none-match"):
                raise _not_accepted(_NAMES[name], f"We don't accept the provided value of {_NAMES[name]} header for this API")
            call.condition = _NAMES[name], value.strip('"')
        call.headers = {k: v for k, v in call.headers.items() if k not in _NAMES}
        call.raw_headers = [(k, v) for k, v in call.raw_headers if k.decode().lower() not in _NAMES]

    @contextmanager
    def watching(self, call):
        """What happens to a key while a conditional request on it is under way."""
        watch = Watch(*split(call))
        if call.condition:
            self._under_way.append(watch)
        try:
            yield watch
        finally:
            if call.condition:
                self._under_way.remove(watch)

    async def check(self, call, seen):
        """Refuse a write whose condition does not hold now that its turn has come.

        An upload in parts is refused too if its key was deleted (If-None-Match) or written (If-Match) since it began."""
        upload = self._uploads.get(s3_uploads.id_of(call))
        if not call.condition or (call.operation == "CompleteMultipartUpload" and upload is None):
            return                      # of an upload that is not there MiniStack says so
        name, wanted = call.condition
        found = await self._current(call, seen)
        if name == "If-Match" and found is None:
            raise AwsError("NoSuchKey", "The specified key does not exist.", 404, Key=seen.key)
        if name == "If-None-Match":
            holds, since = found is None, upload and upload.deleted
        else:
            holds, since = found == wanted, upload and upload.written
        raced = seen.changed and self._world.settings.switch(call.account, "conditional_race") == 409
        if raced or (holds and since):
            raise AwsError("ConditionalRequestConflict", "The conditional request cannot succeed due to a conflicting operation "
                           "against this resource.", 409, Condition=name, Key=seen.key)
        if not holds:
            raise AwsError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", 412, Condition=name)

    async def _current(self, call, at):
        """The ETag of a key's current version. A delete marker is none."""
        await upstream.api(call.account, call.region, "s3", "GetBucketLocation", Bucket=at.bucket)     # or NoSuchBucket
        try:
            found = await upstream.api(call.account, call.region, "s3", "HeadObject", Bucket=at.bucket, Key=at.key)
        except AwsError as error:
            if error.status != 404:
                raise
            return None
        return self._world.s3_etags.shown(at.bucket, at.key, found.get("VersionId"), found["ETag"].strip('"'))

    def note(self, call, answer):
        """Tell whoever watches the keys that a call has changed."""
        if answer.status >= 300:
            return
        bucket, key = split(call)
        if call.operation == "CreateMultipartUpload":
            self._uploads[s3_uploads.id_of(call, answer)] = Watch(bucket, key)
        elif call.operation in s3_uploads.ENDS:
            self._uploads.pop(s3_uploads.id_of(call), None)
        keys = s3_deletes.keys(call.body) if call.operation == "DeleteObjects" else {key}
        for watch in [*self._under_way, *self._uploads.values()]:
            if watch.bucket == bucket and watch.key in keys:
                watch.written |= call.operation in WRITES
                watch.deleted |= call.operation in ("DeleteObject", "DeleteObjects")


def _not_accepted(header, why):
    return AwsError("NotImplemented", "A header you provided implies functionality that is not implemented", 501,
                    Header=header, additionalMessage=why)
