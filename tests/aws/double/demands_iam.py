"""What IAM is asked for each call of IAM and STS (service authorization reference; aws-facts §1.6, §4.5)."""

from .demand import Demand, request_tags, resource_tags
from .model import members

# Conditions on iam:PermissionsBoundary mean the boundary that is sent for these, and the role's own for the others.
_SENDS_BOUNDARY = {"CreateRole", "PutRolePermissionsBoundary"}
# MiniStack's names for what needs no permission, or what assume_role.py asks for.
_FREE = {"GetCallerIdentity", "AssumeRole", "AssumeRoleWithWebIdentity", "GetSessionToken"}


async def of(world, call, role):
    if call.service == "sts":
        return [] if call.operation in _FREE else [Demand(f"sts:{call.operation}", call.params.get("RoleArn") or "*")]
    params, base = call.params, f"arn:aws:iam::{call.account}"
    action = f"iam:{call.operation}"
    if params.get("RoleName"):
        return await _role(world, call, action, base)
    if call.operation == "CreatePolicy":
        return [Demand(action, f"{base}:policy{params.get('Path', '/')}{params.get('PolicyName')}")]
    return [Demand(action, params.get("PolicyArn") or "*")]


async def _role(world, call, action, base):
    params, name = call.params, call.params["RoleName"]
    sent = {t.get("Key", ""): t.get("Value", "") for t in members(params, "Tags")}
    context = {**request_tags(sent), "iam:PolicyARN": params.get("PolicyArn")}
    if call.operation == "UntagRole":
        context["aws:TagKeys"] = members(params, "TagKeys")
    if call.operation == "CreateRole":
        arn = f"{base}:role{params.get('Path', '/')}{name}"
        context["iam:PermissionsBoundary"] = params.get("PermissionsBoundary")
        return [Demand(a, arn, context) for a in [action] + ["iam:TagRole"] * bool(sent)]
    found = await world.roles.newest(call.account, name)
    if found is None:
        # IAM does not know the path of what is not there: a policy on a path does not match, and the answer is a
        # refusal where one expects NoSuchEntity [mem].
        if world.settings.switch(call.account, "absent_role") == "unchecked":
            return []
        return [Demand(action, f"{base}:role/{name}", context, shown=f"role {name}")]
    context |= resource_tags(found.tags, "iam")
    context["iam:PermissionsBoundary"] = (
        params.get("PermissionsBoundary") if call.operation in _SENDS_BOUNDARY else found.boundary_arn)
    return [Demand(action, found.arn, context)]


async def pass_role(world, arn, service, resource=None):
    """Whoever hands a role to a service needs iam:PassRole on it."""
    found = await world.roles.by_arn(arn)
    return Demand("iam:PassRole", arn, {"iam:PassedToService": service, "iam:AssociatedResourceArn": resource,
                                        **resource_tags(found.tags if found else {}, "iam")})
