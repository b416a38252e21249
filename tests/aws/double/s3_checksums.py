"""The checksum that S3 keeps with an object: the one it came with, or CRC64NVME where it came with none.

A copy has its source's kind of checksum, or the kind that was asked for, and always over the whole of its content, also
where its source was uploaded in parts and has a sum of sums. MiniStack keeps what is sent and shows it when asked, but adds
nothing by itself, says nothing of it in the answers to writes, and gives a copy whatever its source has.
<https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>
"""

import re

from . import upstream
from .s3_names import split

_KINDS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
_DEFAULT = "CRC64NVME"
_CREATES = {"PutObject", "CopyObject", "CompleteMultipartUpload"}
_OWN_KEY = {f"SSECustomer{name}": f"x-amz-server-side-encryption-customer-{header}"
            for name, header in (("Algorithm", "algorithm"), ("Key", "key"), ("KeyMD5", "key-md5"))}
_ASKS = "x-amz-sdk-checksum-algorithm"          # MiniStack computes what it names
_SHOWN = re.compile(r"x-amz-checksum-(.+)")
_ELEMENT = re.compile(rb"<Checksum([A-Z0-9]+)>[^<]*</Checksum\1>")


class Checksums:
    def __init__(self):
        # (bucket, key, version) -> the kind of a copy that has another than its source: MiniStack keeps both.
        self._only = {}

    def before(self, call, copied):
        """Ask MiniStack for what S3 computes by itself. `copied` is what HeadObject says of a copy's source."""
        if call.operation == "PutObject" and not _sent(call):
            _ask(call, _DEFAULT)
        elif call.operation == "CopyObject":
            _ask(call, call.headers.get("x-amz-checksum-algorithm", "").upper() or self._kind_of(copied) or _DEFAULT)

    def _kind_of(self, head):
        """The kind of checksum of a copy's source."""
        found = [kind for kind in _KINDS if f"Checksum{kind}" in head]
        return self._only.get(head.get("Source"), found[0] if found else None)

    async def after(self, call, answer):
        """Say in the answer to a write what was kept, and show no other when it is asked for."""
        if answer.status >= 300:
            return
        bucket, key = split(call)
        version = next((v.decode() for k, v in answer.headers if k.decode().lower() == "x-amz-version-id"), "null")
        at = (bucket, key, version)
        if call.operation in _CREATES:
            self._only.pop(at, None)
        if call.operation == "CopyObject":
            self._only[at] = next(v.decode() for k, v in call.raw_headers if k.decode().lower() == _ASKS)
        if call.operation in ("PutObject", "CopyObject"):
            await self._say(call, answer, at)
        elif call.operation in ("HeadObject", "GetObject"):
            answer.headers = [(k, v) for k, v in answer.headers if self._is_shown(at, _kind(k))]
            if any(_kind(k) and b"-" in v for k, v in answer.headers):      # MiniStack forgets it of versions
                answer.headers = [(k, b"COMPOSITE" if k.lower() == b"x-amz-checksum-type" else v) for k, v in answer.headers]
        elif call.operation == "GetObjectAttributes":
            answer.body = _ELEMENT.sub(lambda m: m.group(0) if self._is_shown(at, m.group(1).decode()) else b"", answer.body)

    def _is_shown(self, at, kind):
        return kind is None or self._only.get(at, kind) == kind

    async def _say(self, call, answer, at):
        given = {name: call.headers[header] for name, header in _OWN_KEY.items() if header in call.headers}
        found = await upstream.api(call.account, call.region, "s3", "HeadObject", Bucket=at[0], Key=at[1], ChecksumMode="ENABLED", **given)
        sums = {kind: found[f"Checksum{kind}"] for kind in _KINDS if f"Checksum{kind}" in found and self._is_shown(at, kind)}
        if call.operation == "PutObject":
            answer.headers += [(f"x-amz-checksum-{kind.lower()}".encode(), value.encode()) for kind, value in sums.items()]
            answer.headers.append((b"x-amz-checksum-type", b"FULL_OBJECT"))
        else:
            told = "".join(f"<Checksum{kind}>{value}</Checksum{kind}>" for kind, value in sums.items())
            told += "<ChecksumType>FULL_OBJECT</ChecksumType></CopyObjectResult>"
            answer.body = answer.body.replace(b"</CopyObjectResult>", told.encode())


def _sent(call):
    """Whether a write comes with a checksum, or announces one behind its content."""
    names = {*call.headers, *call.headers.get("x-amz-trailer", "").lower().split(",")}
    return _ASKS in names or any(f"x-amz-checksum-{kind.lower()}" in names for kind in _KINDS)


def _ask(call, kind):
    call.raw_headers = [(k, v) for k, v in call.raw_headers if k.decode().lower() != _ASKS] + [(_ASKS.encode(), kind.encode())]


def _kind(header):
    """The kind that a header shows the checksum of, or None."""
    found = _SHOWN.fullmatch(header.decode().lower())
    return found.group(1).upper() if found and found.group(1).upper() in _KINDS else None
