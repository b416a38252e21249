"""sts:AssumeRole as AWS refuses it. MiniStack hands out credentials for any role, even one that does not exist.

The role's trust must allow it; if that names only the account and the caller is a session, the caller's own policies must too. Tags
need sts:TagSession beside, in the trust and of the caller alike: those that are sent, and those that the caller's session hands
on. The conditions of both see the tags as aws:RequestTag.
"""

import json
import time

from . import caller, model, organization, policy
from .demand import request_tags, resource_tags
from .errors import AwsError
from .principals import SESSION, about, named
from .sessions import Session

CHAINED = 3600      # seconds that a session may last which another session asked for
POLICY = 2048       # characters of a session policy


async def check(world, call):
    """The session that is to be, or AWS's refusal."""
    model.check_query("sts", "AssumeRole", call.params)
    session = _session(world, call)
    arn = call.params["RoleArn"]
    role = await world.roles.by_arn(arn) if arn.count(":") == 5 else None
    await _permit(world, call, role, "sts:AssumeRole", session)
    if session.tags:
        await _permit(world, call, role, "sts:TagSession", session)
    _check_duration(call, role)
    return session


def _session(world, call):
    tags = {tag["Key"]: tag["Value"] for tag in model.members(call.params, "Tags")}
    lowered, kept = {key.lower() for key in tags}, call.session
    wanted = {key.lower() for key in model.members(call.params, "TransitiveTagKeys")}
    if len(lowered) < len(model.members(call.params, "Tags")):
        raise _invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    if not wanted <= lowered:
        raise _invalid("The specified transitive tag key must be included in the requested tags.")
    if lowered & {key.lower() for key in kept.transitive}:
        raise _invalid("One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from "
                       "the calling session.")
    seconds = world.settings.of(call.account)["session_seconds"]
    handed_on = (*kept.transitive, *(key for key in tags if key.lower() in wanted))
    return Session({**{key: kept.tags[key] for key in kept.transitive}, **tags}, handed_on, _policy(call),
                   time.time() + seconds if seconds else None)


def _policy(call):
    if model.members(call.params, "PolicyArns"):
        raise AwsError("NotImplementedByDouble", "managed policies for a session are not part of the double")
    text = call.params.get("Policy")
    if text is None:
        return None
    if len(text) > POLICY:
        raise AwsError("ValidationError", f"1 validation error detected: Value at 'policy' failed to satisfy constraint: Member "
                       f"must have length less than or equal to {POLICY}", 400)
    try:
        return json.loads(text)
    except ValueError:
        raise AwsError("MalformedPolicyDocument", "This policy contains invalid Json", 400) from None


async def _permit(world, call, role, action, session):
    arn, principal = call.params["RoleArn"], await world.roles.principal(call.caller)
    asking = await caller.role_of(world, call)
    context = {"aws:PrincipalArn": principal, "aws:PrincipalAccount": call.account,
               **{f"aws:PrincipalTag/{key}": value for key, value in (asking.tags if asking else call.session.tags).items()},
               "sts:ExternalId": call.params.get("ExternalId"), "sts:RoleSessionName": call.params["RoleSessionName"],
               **request_tags(session.tags), "sts:TransitiveTagKeys": list(session.transitive) or None,
               **resource_tags(role.tags if role else {}, "iam"), **caller.variables(world, call)}
    if role is None or policy.decide([role.trust], action, arn, context, named(principal)) != "Allow":
        raise caller.denial(call, action, arn, f"because no resource-based policy allows the {action} action")
    why = organization.keeps(world, action, arn, {**context, "aws:PrincipalIsAWSService": "false"})
    if asking:
        call.actions.append(action)
        context = about(asking, context)
        why = organization.refusal(world, principal, action, arn, context) or why
        why = why or world.roles.refusal(asking, action, arn, context, role.trust, guarded=True)
    if why:
        raise caller.denial(call, action, arn, why)
    if asking:
        world.evidence.note(asking, action, arn, context)


def _check_duration(call, role):
    asked = int(call.params.get("DurationSeconds") or CHAINED)
    if asked > CHAINED and SESSION.fullmatch(call.caller):
        raise AwsError("ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role "
                       "chaining.", 400)
    if asked > role.max_session:
        raise AwsError("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", 400)


def _invalid(message):
    return AwsError("InvalidParameterValue", message, 400)
