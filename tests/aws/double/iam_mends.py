"""IAM's limits and the shape of its requests, where MiniStack has neither (aws-facts §1.6)."""

import re

from . import model, upstream
from .errors import AwsError
from .model import members

_CHECKED = {"CreateRole", "TagRole", "PutRolePolicy", "UpdateAssumeRolePolicy", "AttachRolePolicy", "GetRole", "DeleteRole"}


def _size(document):
    """IAM does not count whitespace."""
    return len(re.sub(r"\s", "", document or ""))


def _exceeded(message):
    return AwsError("LimitExceeded", message, 409)


async def check(world, call):
    if call.operation not in _CHECKED:
        return
    params, role = call.params, call.params.get("RoleName", "")
    model.check_query("iam", call.operation, params)

    def limit(name):
        return world.settings.limit(call.account, name)
    trust = params.get("AssumeRolePolicyDocument") if call.operation == "CreateRole" else (
        params.get("PolicyDocument") if call.operation == "UpdateAssumeRolePolicy" else "")
    if _size(trust) > limit("trust_policy_chars"):
        raise _exceeded(f"Cannot exceed quota for ACLSizePerRole: {limit('trust_policy_chars')}")
    if call.operation == "CreateRole" and world.roles.count(call.account) >= limit("roles"):
        raise _exceeded(f"Cannot exceed quota for RolesPerAccount: {limit('roles')}")
    if call.operation == "PutRolePolicy":
        found = await _inline(call, role)
        found[params.get("PolicyName")] = params.get("PolicyDocument")
        if sum(_size(d) for d in found.values()) > limit("inline_policy_chars"):
            raise _exceeded(f"Maximum policy size of {limit('inline_policy_chars')} bytes exceeded for role {role}")
    known = await world.roles.newest(call.account, role) if call.operation in ("TagRole", "AttachRolePolicy") else None
    if known and call.operation == "TagRole":
        if len(known.tags | {t.get("Key"): 1 for t in members(params, "Tags")}) > limit("tags_per_role"):
            raise _exceeded(f"Cannot exceed quota for TagsPerRole: {limit('tags_per_role')}")
    if known and call.operation == "AttachRolePolicy":
        found = await upstream.api(call.account, call.region, "iam", "ListAttachedRolePolicies", RoleName=role)
        if len(found.get("AttachedPolicies", [])) >= limit("attached_policies"):
            raise _exceeded(f"Cannot exceed quota for PoliciesPerRole: {limit('attached_policies')}")


async def _inline(call, role):
    """The documents of a role's inline policies, as they were written."""
    async def iam(operation, **params):
        return await upstream.api(call.account, call.region, "iam", operation, RoleName=role, **params)
    try:
        names = (await iam("ListRolePolicies")).get("PolicyNames", [])
        return {n: upstream.text((await iam("GetRolePolicy", PolicyName=n))["PolicyDocument"]) for n in names}
    except AwsError:
        return {}
