"""Under SSE-KMS an object's ETag is not the MD5 of its bytes, and another one each time the same bytes are written.

MiniStack's are MD5 always. Here every such write is given an ETag of its own, put in the place of MiniStack's wherever it
is shown, and translated back where a request names it. Remembered with it: the key that the object needs to be read.
"""

import html
import re
import secrets
from dataclasses import dataclass
from urllib.parse import unquote_plus

from .s3_names import source, split

_WRITES = {"PutObject", "CopyObject", "CompleteMultipartUpload"}
_LISTED = re.compile(rb"<(Contents|Version)>.*?</\1>", re.DOTALL)
_KEY, _VERSION = re.compile(rb"<Key>(.*?)</Key>", re.DOTALL), re.compile(rb"<VersionId>(.*?)</VersionId>")
_MD5 = re.compile(rb"(<ETag>(?:&quot;|\")?)([0-9a-f]{32}(?:-\d+)?)")
_CONDITIONS = ("if-match", "if-none-match", "x-amz-copy-source-if-match", "x-amz-copy-source-if-none-match")


@dataclass
class Written:
    version: str
    real: str
    shown: str
    key: str | None


class Etags:
    def __init__(self):
        self._written = {}              # bucket -> key -> [Written], the newest last

    def _all(self, bucket, key):
        return self._written.get(bucket, {}).get(key, [])

    def key_of(self, bucket, key, version=None):
        """The KMS key that reading this object takes, or None."""
        found = [w for w in self._all(bucket, key) if version in (None, w.version)]
        return found[-1].key if found else None

    def before(self, call):
        """ETags in a request's conditions, translated to MiniStack's."""
        for name in _CONDITIONS:
            value = call.headers.get(name)
            if not value:
                continue
            own = (*split(call), call.query.get("versionId", [None])[0])
            value = self.real(*(source(call) if name.startswith("x-amz-copy-source") else own), value)
            call.headers[name] = value
            call.raw_headers = [(k, value.encode() if k.decode().lower() == name else v) for k, v in call.raw_headers]

    def real(self, bucket, key, version, etags):
        """MiniStack's for the ETags that an object has, in a text. Those that it had name nothing, also of the same bytes."""
        known = self._all(bucket, key)
        for written in [w for w in known if w.version == version] if version else known[-1:]:
            etags = etags.replace(written.shown, written.real)
        return etags

    def after(self, call, answer):
        """Remember what was written, forget what is gone, and show no MD5."""
        if answer.status >= 300:
            return
        bucket, key = split(call)
        headers = {k.decode().lower(): v.decode() for k, v in answer.headers}
        version = headers.get("x-amz-version-id") or call.query.get("versionId", ["null"])[0]
        if call.operation in _WRITES:
            self._remember(bucket, key, version, headers, answer)
        elif call.operation == "DeleteObject" and "x-amz-delete-marker" not in headers:
            self._forget(bucket, key, version)
        elif call.operation == "DeleteBucket":
            self._written.pop(bucket, None)
        if bucket not in self._written:
            return
        if key:
            self._header(bucket, key, version if "versionId" in call.query or "x-amz-version-id" in headers else None, answer)
        if call.operation in ("ListObjects", "ListObjectsV2", "ListObjectVersions"):
            encoded = "encoding-type" in call.query
            answer.body = _LISTED.sub(lambda m: self._entry(bucket, m.group(0), encoded), answer.body)

    def _remember(self, bucket, key, version, headers, answer):
        self._forget(bucket, key, version)
        found = _MD5.search(answer.body)
        real = found.group(2).decode() if found else headers.get("etag", "").strip('"')
        if headers.get("x-amz-server-side-encryption", "").startswith("aws:kms"):
            entry = Written(version, real, secrets.token_hex(16), headers.get("x-amz-server-side-encryption-aws-kms-key-id"))
        elif self._all(bucket, key):
            entry = Written(version, real, real, None)      # a version without KMS over one with it, perhaps of the same bytes
        else:
            return
        self._written.setdefault(bucket, {}).setdefault(key, []).append(entry)

    def _forget(self, bucket, key, version):
        kept = [w for w in self._all(bucket, key) if w.version != version]
        if kept:
            self._written[bucket][key] = kept
        else:
            self._written.get(bucket, {}).pop(key, None)

    def shown(self, bucket, key, version, real):
        """What to show for MiniStack's ETag of this object."""
        for written in reversed(self._all(bucket, key)):
            if written.real == real and version in (None, written.version):
                return written.shown
        return real

    def _header(self, bucket, key, version, answer):
        def shown(value):
            return f'"{self.shown(bucket, key, version, value.decode().strip(chr(34)))}"'.encode()
        answer.headers = [(k, shown(v) if k.lower() == b"etag" else v) for k, v in answer.headers]
        if answer.body.startswith(b"<?xml"):     # CopyObject and CompleteMultipartUpload say it in the body
            answer.body = _MD5.sub(lambda m: m.group(1) + self.shown(
                bucket, key, version, m.group(2).decode()).encode(), answer.body)

    def _entry(self, bucket, entry, encoded):
        key = html.unescape(_KEY.search(entry).group(1).decode())
        key = unquote_plus(key) if encoded else key
        version = _VERSION.search(entry)
        return _MD5.sub(lambda m: m.group(1) + self.shown(
            bucket, key, version.group(1).decode() if version else None, m.group(2).decode()).encode(), entry)
