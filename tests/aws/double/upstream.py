"""MiniStack, which answers S3, IAM, KMS, STS and DynamoDB. Only its ASGI interface is used, in process.

`forward` passes a request on unchanged. `api` makes a call of the double's own (the evaluator reading a role,
a job listing a bucket) with botocore's serialiser and parser; such calls are not in the journal.
"""

import functools
import json
import os
import urllib.parse
from dataclasses import dataclass

from botocore import parsers, serialize
from botocore.awsrequest import HeadersDict

from .errors import AwsError
from .model import service as model_of

# Before MiniStack is imported, since it reads them then: quiet, and nothing but what we pass on.
os.environ.setdefault("LOG_LEVEL", "ERROR")
os.environ["SERVICES"] = "s3,iam,kms,sts,dynamodb"

from ministack.app import app as _ministack  # noqa: E402


def text(document):
    """A policy document as it was sent. IAM returns it URL-encoded; where botocore's parser has read it as JSON, it is compact."""
    return urllib.parse.unquote(document) if isinstance(document, str) else json.dumps(document, separators=(",", ":"))


@dataclass
class Answer:
    status: int
    headers: list
    body: bytes


async def request(method, raw_path, query_string, headers, body):
    """One request to MiniStack. The lifespan is never started: that would open listeners and threads."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": urllib.parse.unquote(raw_path), "raw_path": raw_path.encode("latin-1"),
        "query_string": query_string.encode("latin-1"), "root_path": "", "headers": headers,
        "client": ("127.0.0.1", 0), "server": ("127.0.0.1", 0),
    }
    sent, answer, chunks = False, {}, []

    async def receive():
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        if message["type"] == "http.response.start":
            answer.update(message)
        elif message["type"] == "http.response.body":
            chunks.append(message.get("body", b""))

    await _ministack(scope, receive, send)
    return Answer(answer["status"], list(answer["headers"]), b"".join(chunks))


async def forward(call):
    return await request(call.method, call.raw_path, call.query_string, call.raw_headers, call.body)


@functools.lru_cache(maxsize=None)
def _wire(service):
    protocol = model_of(service).metadata["protocol"]
    return (serialize.create_serializer(protocol, include_validation=False), parsers.create_parser(protocol))


async def api(account, region, service, operation, *, access_key=None, **params):
    """A call of the double's own, as the account's root (or another access key)."""
    model = model_of(service).operation_model(operation)
    serializer, parser = _wire(service)
    wire = serializer.serialize_to_request(params, model)
    body = wire["body"]
    if isinstance(body, dict):
        body = urllib.parse.urlencode(body)
    if isinstance(body, str):
        body = body.encode()
    query = wire["query_string"]
    if not isinstance(query, str):
        query = urllib.parse.urlencode(query, doseq=True)
    path, _, fixed = wire["url_path"].partition("?")
    query = "&".join(part for part in (fixed, query) if part)
    headers = {"host": "127.0.0.1", "content-length": str(len(body or b"")), **{
        k.lower(): str(v) for k, v in wire["headers"].items()}}
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={access_key or account}/20260101/{region}/{service}/"
                                "aws4_request, SignedHeaders=host, Signature=0")
    answer = await request(wire["method"], path, query,
                           [(k.encode(), v.encode()) for k, v in headers.items()], body or b"")
    seen = HeadersDict({k.decode(): v.decode() for k, v in answer.headers})
    # The parser reads a streamed body as text; an object's bytes are handed on as they are.
    streamed = model.has_streaming_output and answer.status < 300
    parsed = parser.parse({"status_code": answer.status, "headers": seen,
                           "body": b"" if streamed else answer.body}, model.output_shape)
    if streamed:
        parsed["Body"] = answer.body
    if answer.status >= 300:
        error = parsed.get("Error", {})
        raise AwsError(error.get("Code") or str(answer.status), error.get("Message", ""), answer.status)
    return parsed
