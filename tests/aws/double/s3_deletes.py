"""DeleteObjects: each key is a deletion of its own, allowed or refused by itself. The answer is a 200 that names the refused."""

import re
from dataclasses import replace
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from . import caller, demands_s3
from .demand import Demand

_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def _parse(body):
    """[(element, key, version, ETag)] and their parent, whatever namespace they are in."""
    root = ElementTree.fromstring(body)
    found = []
    for element in list(root):
        if element.tag.removeprefix(_NAMESPACE) == "Object":
            texts = {child.tag.removeprefix(_NAMESPACE): child.text or "" for child in element}
            found.append((element, texts.get("Key", ""), texts.get("VersionId", ""), texts.get("ETag", "")))
    return root, found


def keys(body):
    """The keys that a request names."""
    return {key for _, key, *_ in _parse(body)[1]}


async def before(world, call, bucket):
    """Take the keys that may not be deleted out of the request; returns them, to be put into the answer."""
    try:
        root, found = _parse(call.body)
    except ElementTree.ParseError:
        return []                       # MiniStack says what is wrong with it
    role = await caller.role_of(world, call)
    policy = await world.s3_mends.policy_of(call, bucket)
    known, refused = demands_s3.context(call), []
    demands = [Demand("s3:DeleteObjectVersion" if version else "s3:DeleteObject", demands_s3.arn(bucket, key),
                      {**known, "s3:VersionId": version or None}, policy) for _, key, version, _ in found]
    scripted = world.faults.of_keys(call, {key: demand for (_, key, *_), demand in zip(found, demands)})
    for (element, key, version, etag), demand in zip(found, demands):
        error = None
        # To compare an ETag takes the right to read the object.
        for demand in [demand] + [replace(demand, action="s3:GetObject")] * (etag not in ("", "*")):
            if role is not None and demand.action not in call.actions:
                call.actions.append(demand.action)
            why = caller.refusal(world, call, role, demand) if role else await world.s3_mends.denied(call, demand)
            error = error or (caller.denial(call, demand.action, demand.resource, why) if why else scripted.get(key))
        if error:
            refused.append((key, version, error))
            root.remove(element)
        for child in element if etag else ():
            if child.tag.removeprefix(_NAMESPACE) == "ETag":
                child.text = world.s3_etags.real(bucket, key, version or None, etag)
    if refused or any(etag for *_, etag in found):
        # A carriage return is a character of a key only as a reference: in a text it would be read as the end of a line.
        _rewrite(call, ElementTree.tostring(root).replace(b"\r", b"&#13;"))
    return refused


def _rewrite(call, body):
    call.body = body
    gone = ("content-md5", "content-length", "content-encoding")
    call.raw_headers = [(k, v) for k, v in call.raw_headers if not (
        k.decode().lower() in gone or k.decode().lower().startswith(("x-amz-checksum", "x-amz-sdk-checksum")))]
    call.raw_headers.append((b"content-length", str(len(body)).encode()))


def after(answer, refused):
    if answer.status >= 300:
        return answer
    answer = replace(answer, body=answer.body.replace(b"\r", b"&#13;"))
    if not refused:
        return answer
    errors = "".join(
        f"<Error><Key>{escape(key, {chr(13): '&#13;'})}</Key>" + (f"<VersionId>{escape(version)}</VersionId>" if version else "")
        + f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>" for key, version, error in refused)
    body = re.sub(rb"<(\w+:)?DeleteResult([^>]*)/>", rb"<\1DeleteResult\2></\1DeleteResult>", answer.body)
    body = re.sub(rb"(</(?:\w+:)?DeleteResult>)", lambda m: errors.encode() + m.group(1), body)
    return replace(answer, body=body)
