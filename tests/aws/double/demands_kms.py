"""What IAM is asked for each call of KMS and DynamoDB (service authorization reference; aws-facts §4.4)."""

from .demand import Demand, request_tags

_NO_KEY = {"ListKeys", "ListAliases", "GenerateRandom"}


async def of(world, call, role):
    params, action = call.params, f"kms:{call.operation}"
    home = f"arn:aws:kms:{call.region}:{call.account}"
    if call.operation == "CreateKey":
        tags = {t.get("TagKey"): t.get("TagValue") for t in params.get("Tags") or []}
        context = {**request_tags(tags), "kms:CallerAccount": call.account, "kms:KeySpec": params.get("KeySpec", "SYMMETRIC_DEFAULT"),
                   "kms:KeyUsage": params.get("KeyUsage", "ENCRYPT_DECRYPT"), "kms:KeyOrigin": params.get("Origin", "AWS_KMS"),
                   "kms:MultiRegion": params.get("MultiRegion", False),
                   "kms:BypassPolicyLockoutSafetyCheck": params.get("BypassPolicyLockoutSafetyCheck", False)}
        # The tags are asked for on a key that has no id yet.
        return [Demand(action, "*", context)] + [Demand("kms:TagResource", f"{home}:key/*", context)] * bool(tags)
    if call.operation in _NO_KEY:
        return [Demand(action, "*", {"kms:CallerAccount": call.account})]
    context = {"kms:ScheduleKeyDeletionPendingWindowInDays": params.get("PendingWindowInDays"),
               **request_tags({t.get("TagKey"): t.get("TagValue") for t in params.get("Tags") or []})}
    if params.get("TagKeys"):
        context["aws:TagKeys"] = params["TagKeys"]
    alias = params.get("AliasName")
    name = params.get("TargetKeyId") or params.get("KeyId")
    demands = []
    if alias and call.operation in ("CreateAlias", "DeleteAlias", "UpdateAlias"):
        # Both the alias and its key: the alias by IAM alone, the key by its own policy too.
        demands.append(Demand(action, f"{home}:{alias}", {"kms:CallerAccount": call.account}))
        name = name or alias
    elif name and "alias/" in name:
        context["kms:RequestAlias"] = name[name.index("alias/"):]
    return demands + (await world.keys.demands(call, name, [action], **context) if name else [])


async def table(world, call, role):
    """DynamoDB, by table."""
    name = call.params.get("TableName")
    base = f"arn:aws:dynamodb:{call.region}:{call.account}:table/"
    keys = [next(iter(value.values())) for value in (call.params.get("Key") or {}).values()]
    return [Demand(f"dynamodb:{call.operation}", name if name and ":" in name else base + name if name else "*",
                   {"dynamodb:LeadingKeys": keys or None})]
