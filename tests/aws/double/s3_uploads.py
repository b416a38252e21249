"""What an upload in parts said when it began. Policies see it with each part and with the completion, which do not say it again."""

import re

_ID = re.compile(rb"<UploadId>([^<]+)</UploadId>")
ENDS = ("CompleteMultipartUpload", "AbortMultipartUpload")


def id_of(call, answer=None):
    """The upload that a call is of: named in the query, or, where it begins, in the answer."""
    return _ID.search(answer.body).group(1).decode() if answer else call.query.get("uploadId", [""])[0]


class Uploads:
    def __init__(self):
        self._headers = {}              # upload id -> the headers that began it

    def headers(self, call):
        """The headers of a call, and those that its upload began with."""
        return {**self._headers.get(id_of(call), {}), **call.headers}

    def note(self, call, answer):
        if answer.status >= 300:
            return
        if call.operation == "CreateMultipartUpload":
            self._headers[id_of(call, answer)] = dict(call.headers)
        elif call.operation in ENDS:
            self._headers.pop(id_of(call), None)
