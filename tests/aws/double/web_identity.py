"""sts:AssumeRoleWithWebIdentity, the one call that nobody signs: how a pod becomes its role (IRSA).

Any token is believed. What a JWT claims is what the trust's conditions see (`<issuer>:sub`, `<issuer>:aud`); of any other
token they see nothing and are passed by.
"""

import base64
import json
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from . import organization, policy, upstream
from .errors import AwsError

ACTION = "AssumeRoleWithWebIdentity"


def asked(call):
    return not call.access_key and call.method == "POST" and f"Action={ACTION}".encode() in call.body


def _claims(token):
    try:
        part = token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, IndexError):
        return None


async def answer(world, call):
    form = {k: v[0] for k, v in parse_qs(call.body.decode()).items()}
    arn, session = form.get("RoleArn", ""), form.get("RoleSessionName", "")
    call.service, call.operation, call.resource = "sts", ACTION, arn
    call.params = {k: v for k, v in form.items() if k not in ("Action", "Version", "WebIdentityToken")}
    if arn.count(":") != 5 or not session or not form.get("WebIdentityToken"):
        raise AwsError("ValidationError", "RoleArn, RoleSessionName and WebIdentityToken are required", 400)
    call.account, call.caller = arn.split(":")[4], f"{call.operation}/{session}"
    await world.faults.before(world, call)
    world.rates.check(call)
    role = await world.roles.by_arn(arn)
    if role is None or organization.keeps(world, f"sts:{ACTION}", arn, {}) or not _trusts(role, _claims(form["WebIdentityToken"])):
        raise AwsError("AccessDenied", f"Not authorized to perform sts:{ACTION}", 403)
    given = await upstream.api(call.account, call.region, "sts", "AssumeRole", RoleArn=arn, RoleSessionName=session)
    keys = given["Credentials"]
    body = (f'<{ACTION}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{ACTION}Result>'
            f"<Credentials><AccessKeyId>{keys['AccessKeyId']}</AccessKeyId>"
            f"<SecretAccessKey>{escape(keys['SecretAccessKey'])}</SecretAccessKey>"
            f"<SessionToken>{escape(keys['SessionToken'])}</SessionToken>"
            f"<Expiration>{keys['Expiration'].strftime('%Y-%m-%dT%H:%M:%SZ')}</Expiration></Credentials>"
            f"<AssumedRoleUser><AssumedRoleId>{escape(given['AssumedRoleUser']['AssumedRoleId'])}</AssumedRoleId>"
            f"<Arn>{escape(given['AssumedRoleUser']['Arn'])}</Arn></AssumedRoleUser></{ACTION}Result>"
            f"<ResponseMetadata><RequestId>{call.request_id}</RequestId></ResponseMetadata></{ACTION}Response>")
    return 200, {"content-type": "text/xml", "x-amzn-RequestId": call.request_id}, body.encode()


def _trusts(role, claims):
    trust = role.trust
    if claims is None:
        trust = {"Statement": [{k: v for k, v in s.items() if k != "Condition"} for s in policy.as_list(trust.get("Statement"))]}
    issuer = str((claims or {}).get("iss", "")).removeprefix("https://")
    context = {f"{issuer}:{name}": value for name, value in (claims or {}).items() if name in ("sub", "aud")}

    def principal(element):
        return isinstance(element, dict) and bool(element.get("Federated"))
    return policy.decide([trust], f"sts:{ACTION}", role.arn, context, principal) == "Allow"
