"""One HTTP request, and what the double learns about it on the way to its answer."""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from .sessions import NOBODYS, Session

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request")


@dataclass
class Call:
    method: str
    path: str
    raw_path: str
    query_string: str
    query: dict
    headers: dict
    raw_headers: list
    body: bytes
    access_key: str = ""
    region: str = "us-east-1"
    service: str = ""
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    # Filled in by whoever answers.
    account: str = ""
    caller: str = ""
    operation: str = "Unknown"
    resource: str = ""
    params: object = None
    error: str = ""
    actions: list = field(default_factory=list)     # what IAM was asked
    condition: tuple = ()           # of a conditional write to S3: its header and the value
    session: Session = NOBODYS      # the role's session that calls
    asked: dict | None = None       # what a knowledge base is asked, and whose it is: asked.py
    bend: Callable | None = None    # what a store that is not sound makes of the answer: unsound.py

    @classmethod
    def of(cls, scope, body):
        headers = {}
        for name, value in scope["headers"]:
            headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        query_string = scope.get("query_string", b"").decode("latin-1")
        query = parse_qs(query_string, keep_blank_values=True)
        raw_path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").split("?")[0]
        call = cls(scope["method"], scope["path"], raw_path, query_string, query, headers, scope["headers"], body)
        # A signature, in the header or (presigned) in the query, names key, region and service.
        signed = headers.get("authorization") or "Credential=" + query.get("X-Amz-Credential", [""])[0]
        found = _CREDENTIAL.search(signed)
        if found:
            call.access_key, call.region, call.service = found.group(1), found.group(3), found.group(4)
        return call
