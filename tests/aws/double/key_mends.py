"""KMS and STS as AWS refuses them, where MiniStack does not."""

from . import caller, organization, policy, upstream
from .errors import AwsError
from .principals import named

# What a key that is PendingDeletion refuses (KMS developer guide, "Key states"); MiniStack accepts it all.
NOT_WHILE_PENDING = {"ScheduleKeyDeletion", "CreateAlias", "UpdateAlias", "TagResource", "UntagResource", "EnableKeyRotation",
                     "DisableKeyRotation", "EnableKey", "DisableKey", "CreateGrant", "UpdateKeyDescription"}


async def check_kms(world, call):
    days = call.params.get("PendingWindowInDays", 30)
    if call.operation == "ScheduleKeyDeletion" and not 7 <= days <= 30:
        raise AwsError("ValidationException", "PendingWindowInDays must be between 7 and 30")
    key = call.params.get("TargetKeyId") or call.params.get("KeyId")
    if call.operation not in NOT_WHILE_PENDING or not key:
        return
    try:
        found = await upstream.api(call.account, call.region, "kms", "DescribeKey", KeyId=key)
    except AwsError:
        return            # MiniStack says what is wrong with it
    if found["KeyMetadata"]["KeyState"] == "PendingDeletion":
        raise AwsError("KMSInvalidStateException", f"{found['KeyMetadata']['Arn']} is pending deletion.")


async def check_assume_role(world, call):
    """MiniStack hands out credentials for any role, even one that does not exist. The trust must allow it; if it names
    only the account and the caller is a session, its own policies must too."""
    arn, action = call.params.get("RoleArn", ""), "sts:AssumeRole"
    role = await world.roles.by_arn(arn) if arn.count(":") == 5 else None
    principal = await world.roles.principal(call.caller)
    context = {"aws:PrincipalArn": principal, "aws:PrincipalAccount": call.account,
               "sts:ExternalId": call.params.get("ExternalId")}
    if role is None or policy.decide([role.trust], action, arn, context, named(principal)) != "Allow":
        raise caller.denial(call, action, arn, f"because no resource-based policy allows the {action} action")
    why = organization.keeps(world, action, arn, {**context, "aws:PrincipalIsAWSService": "false"})
    bound = await caller.role_of(world, call)
    if bound:
        call.actions.append(action)
        why = organization.refusal(world, principal, action, arn, context) or why
        why = why or world.roles.refusal(bound, action, arn, context, role.trust, guarded=True)
    if why:
        raise caller.denial(call, action, arn, why)
