"""What is passed on to MiniStack: named for the journal, watched for changes to roles, and mended where MiniStack is
more lenient than AWS. Each mend names the fact it is for.
"""

import json
import re
from urllib.parse import parse_qs

from . import assume_role, gate, iam_mends, key_mends, s3_names, upstream
from .errors import AwsError
from .principals import ROLE_CHANGES

PROTOCOLS = {"s3": "rest-xml", "iam": "query", "sts": "query", "kms": "json", "dynamodb": "json"}
_CODE = re.compile(rb"<Code>([^<]+)</Code>")


def name(call):
    """Operation, resource and parameters of a call, as the journal shows them."""
    if call.service == "s3":
        bucket, key = s3_names.split(call)
        call.operation = s3_names.name(call.method, bucket, key, call.query, call.headers)
        call.resource = f"{bucket}/{key}" if key else bucket
        call.params = {"query": {k: v[0] for k, v in call.query.items()},
                       "headers": {k: v for k, v in call.headers.items()
                                   if k in ("if-match", "if-none-match") or k.startswith("x-amz-") and not k.startswith((
                                       "x-amz-content", "x-amz-date", "x-amz-security", "x-amz-sdk", "x-amz-checksum",
                                       "x-amz-user-agent"))}}
        if not key and call.body:
            call.params["body"] = call.body[:4096].decode("utf-8", "replace")
    elif PROTOCOLS.get(call.service) == "query":
        form = {k: v[0] for k, v in parse_qs(call.body.decode("utf-8", "replace"), keep_blank_values=True).items()}
        form = form or {k: v[0] for k, v in call.query.items()}
        call.operation, call.params = form.get("Action", "Unknown"), {
            k: v for k, v in form.items() if k not in ("Action", "Version", "WebIdentityToken")}
        call.resource = next((form[k] for k in ("RoleName", "RoleArn", "PolicyArn", "PolicyName", "UserName") if k in form), "")
    else:
        call.operation = call.headers.get("x-amz-target", "").rpartition(".")[2] or "Unknown"
        try:
            call.params = json.loads(call.body or b"{}")
        except ValueError:
            call.params = {}
        call.resource = next((str(call.params[k]) for k in ("AliasName", "KeyId", "TableName") if k in call.params), "")


async def answer(world, call):
    """(status, headers, body)."""
    if call.service not in PROTOCOLS:
        raise AwsError("NotImplementedByDouble", f"the service {call.service!r} is not part of the double")
    name(call)
    await gate.pass_through(world, call)
    if call.service == "s3":
        await world.s3_mends.before(call)
    elif call.service == "kms":
        await key_mends.check_kms(world, call)
    elif call.service == "iam":
        await iam_mends.check(world, call)
    session = await assume_role.check(world, call) if call.operation == "AssumeRole" else None
    role_change = call.service == "iam" and ROLE_CHANGES.fullmatch(call.operation)
    if role_change:
        await world.roles.before_change(call.account, call.params.get("RoleName"))
    answer = await (world.s3_mends.forward(call) if call.service == "s3" else upstream.forward(call))
    if role_change and answer.status < 300:
        await world.roles.after_change(call.account, call.params.get("RoleName"))
    if call.service == "kms" and not call.operation.startswith(("Describe", "Get", "List")):
        world.keys.forget(call.account)
    if call.service == "kms" and call.operation == "CreateKey" and answer.status < 300:
        call.resource = json.loads(answer.body)["KeyMetadata"]["KeyId"]
    if session and answer.status < 300:
        answer.body = world.sessions.give(session, answer.body)
    if answer.status >= 300:
        call.error = _error_of(answer)
    headers = {k.decode().lower(): v.decode() for k, v in answer.headers}
    return answer.status, headers, answer.body


def _error_of(answer):
    found = _CODE.search(answer.body)
    if found:
        return found.group(1).decode()
    try:
        document = json.loads(answer.body)
        return str(document.get("__type") or document.get("code") or "").rpartition("#")[2]
    except (ValueError, AttributeError):
        return ""
