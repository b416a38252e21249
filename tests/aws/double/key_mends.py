"""KMS as AWS refuses it, where MiniStack does not."""

from . import upstream
from .errors import AwsError

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
