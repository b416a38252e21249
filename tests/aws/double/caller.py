"""May the caller do this? Every call of a session is checked against its role's policies, by principals.Roles.refusal.

An account's root (the 12-digit key) may do all that its organization lets it. What is asked for each call is in demands_*.py; what changes late, in
principals.py (`lag.role`). The switch `enforce_caller` turns the checks off.
"""

from . import demands_aoss, demands_bedrock, demands_iam, demands_kms, demands_s3, demands_s3vectors, organization, policy, sessions
from .errors import AwsError
from .principals import SESSION, Role, about

_DEMANDS = {"s3": demands_s3.of, "iam": demands_iam.of, "sts": demands_iam.of, "kms": demands_kms.of,
            "dynamodb": demands_kms.table, "aoss": demands_aoss.of, "aoss-endpoint": demands_aoss.of,
            "s3vectors": demands_s3vectors.of}


async def role_of(world, call):
    """The role whose policies bind this caller, or None if nothing does."""
    if not world.settings.switch(call.account, "enforce_caller"):
        return None
    if not SESSION.fullmatch(call.caller):
        bound = organization.levels(world, call.account)
        return Role(call.caller, "root", {}, [organization.EVERYTHING], None) if bound else None
    role = await world.roles.of_caller(call.caller)
    # A session outlives its role, and may then do nothing.
    return sessions.under(call.session, role or Role(call.caller, "", {}, [], None))


async def demands(world, call, role):
    return await _DEMANDS.get(call.service, demands_bedrock.of)(world, call, role)


async def check(world, call):
    """Refuse what the caller's role does not allow, as the called service would."""
    role = await role_of(world, call)
    if role is None:
        return
    vpce = world.settings.switch(call.account, "caller_vpce")
    for demand in await demands(world, call, role):
        if demand.policy is None and demand.resource.startswith("arn:aws:s3:::"):
            bucket = demand.resource.removeprefix("arn:aws:s3:::").partition("/")[0]
            demand.policy = await world.s3_mends.policy_of(call, bucket)
        call.actions.append(demand.action)
        why = refusal(world, call, role, demand, vpce)
        if why:
            raise denial(call, demand.action, demand.shown or demand.resource, why)


def refusal(world, call, role, demand, vpce=None):
    context = about(role, {"aws:RequestedRegion": call.region, "aws:SourceVpce": vpce or None, **variables(world, call),
                           **demand.context})
    why = organization.refusal(world, role.arn, demand.action, demand.resource, context)
    why = why or world.roles.refusal(role, demand.action, demand.resource, context, demand.policy, demand.guarded)
    if why is None:
        world.evidence.note(role, demand.action, demand.resource, context)
    return why


def variables(world, call):
    """Which variables the policies of this call have resolved."""
    return {policy.VARIABLES: world.settings.switch(call.account, "policy_variables")}


def denial(call, action, resource, why):
    """AWS's refusal, in the shape of the service that is called."""
    quoted = f'"{resource}"' if call.service == "s3" else resource
    code = "AccessDenied" if call.service in ("s3", "iam", "sts") else "AccessDeniedException"
    return AwsError(code, f"User: {call.caller} is not authorized to perform: {action} on resource: {quoted} {why}", 403)
