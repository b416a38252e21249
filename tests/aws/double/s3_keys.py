"""Keys as S3 has them: at most 1,024 bytes of UTF-8, and URL-encoded in every listing that is asked for that way.

An answer in XML 1.0 cannot carry most control characters, so a client that wants to see such keys must ask for
`encoding-type=url`. MiniStack knows it for objects, where it writes a space as %20 and S3 as +, and not for versions and uploads.
"""

import re
from urllib.parse import quote_plus
from xml.sax.saxutils import unescape

from .errors import AwsError
from .s3_names import split

MOST_BYTES = 1024
_CREATES = {"PutObject", "CopyObject", "CreateMultipartUpload"}
_PLAIN, _ENCODED = {"ListObjectVersions", "ListMultipartUploads"}, {"ListObjects", "ListObjectsV2"}     # by MiniStack
_NAMES = re.compile(rb"<(Key|Prefix|Delimiter|(?:Next)?KeyMarker|(?:Next)?Marker|StartAfter)>(.*?)</\1>", re.DOTALL)
_END = re.compile(rb"</List\w+>\s*$")


def check(call):
    """Refuse to create an object whose key is too long."""
    size = len(split(call)[1].encode())
    if call.operation in _CREATES and size > MOST_BYTES:
        raise AwsError("KeyTooLongError", "Your key is too long", 400, Size=str(size), MaxSizeAllowed=str(MOST_BYTES))


def after(call, answer):
    """Encode a listing as it was asked for."""
    if answer.status >= 300 or call.query.get("encoding-type") != ["url"]:
        return
    if call.operation in _PLAIN:
        answer.body = _NAMES.sub(lambda m: _element(m.group(1), quote_plus(unescape(m.group(2).decode()), safe="/").encode()), answer.body)
        answer.body = _END.sub(lambda m: _element(b"EncodingType", b"url") + m.group(0), answer.body)
    elif call.operation in _ENCODED:
        answer.body = _NAMES.sub(lambda m: _element(m.group(1), m.group(2).replace(b"%20", b"+")), answer.body)


def _element(name, text):
    return b"<%s>%s</%s>" % (name, text, name)
