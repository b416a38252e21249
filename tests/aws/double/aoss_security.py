"""Security and access policies of OpenSearch Serverless: create, read, update under a version, list, delete."""

from . import access, aoss_policies
from .errors import AwsError, conflict, not_found, validation
from .policy import names_match
from .state import Policy, new_version, page

OPERATIONS = {}


def _wire(policy, full=True):
    return {"type": policy.type, "name": policy.name, "policyVersion": policy.version,
            "description": policy.description, "createdDate": int(policy.created * 1000),
            "lastModifiedDate": int(policy.modified * 1000), **({"policy": policy.document} if full else {})}


def _find(region, params):
    policy = region.policies.get((params["type"], params["name"]))
    if policy is None:
        raise not_found(f"Policy with name {params['name']} and type {params['type']} is not found")
    return policy


def _parse(world, region, kind, text):
    return aoss_policies.parse(kind, text, world.settings.limit(region.account, "policy_bytes"),
                               world.settings.switch(region.account, "root_principal"))


def _refuse_twins(region, kind, name, document):
    """Two encryption policies may not have the same pattern (§2.2)."""
    if kind != "encryption":
        return
    mine = {r for rule in document["Rules"] for r in rule["Resource"]}
    for (other_kind, other), policy in region.policies.items():
        if other_kind == kind and other != name:
            twins = mine & {r for rule in policy.document["Rules"] for r in rule["Resource"]}
            if twins:
                raise conflict(f"Resource {sorted(twins)[0]} is already part of the encryption policy {other}")


async def _create(world, region, call, params, answer):
    kind, name, now = params["type"], params["name"], world.clock.now()
    token = (call.operation, params.get("clientToken"))
    if params.get("clientToken") and token in region.tokens and (kind, name) in region.policies:
        return region.tokens[token]
    document = _parse(world, region, kind, params["policy"])
    if (kind, name) in region.policies:
        raise conflict(f"Policy with name {name} and type {kind} already exists")
    _refuse_twins(region, kind, name, document)
    if sum(k == kind for k, _ in region.policies) >= world.settings.limit(region.account, f"{kind}_policies"):
        raise AwsError("ServiceQuotaExceededException", f"You have reached the maximum number of {kind} policies",
                       serviceCode="aoss", quotaCode="L-POLICIES", resourceType=kind)
    policy = Policy(kind, name, document, new_version(), now, now, params.get("description"))
    region.policies[(kind, name)] = policy
    access.remember(region, kind)
    result = {answer: _wire(policy)}
    if params.get("clientToken"):
        region.tokens[token] = result
    return result


async def _get(world, region, call, params, answer):
    return {answer: _wire(_find(region, params))}


async def _update(world, region, call, params, answer):
    policy = _find(region, params)
    if params["policyVersion"] != policy.version:
        # The version is an optimistic lock: a stale one means that someone else was faster.
        raise conflict(f"Policy version {params['policyVersion']} is not the latest version of policy {policy.name}")
    document = _parse(world, region, policy.type, params["policy"]) if params.get("policy") else policy.document
    description = params.get("description", policy.description)
    if document == policy.document and description == policy.description:
        raise validation("No changes detected in policy or policy description")   # [mem]
    _refuse_twins(region, policy.type, policy.name, document)
    policy.document, policy.description = document, description
    policy.version, policy.modified = new_version(), world.clock.now()
    access.remember(region, policy.type)
    return {answer: _wire(policy)}


async def _delete(world, region, call, params, answer):
    policy = _find(region, params)
    del region.policies[(policy.type, policy.name)]
    access.remember(region, policy.type)
    return {}


async def _list(world, region, call, params, answer):
    wanted = params.get("resource")
    found = [p for (kind, _), p in region.policies.items()
             if kind == params["type"] and world.clock.after(region.account, "list", p.created)
             and (not wanted or any(names_match(r, w) for w in wanted for r in _resources(p)))]
    items, token = page(world.settings, region.account, found, params, default=20)
    return {answer: [_wire(p, full=False) for p in items], "nextToken": token}


def _resources(policy):
    statements = policy.document if isinstance(policy.document, list) else [policy.document]
    return [r for s in statements for rule in s["Rules"] for r in rule["Resource"]]


def _bind(function, answer):
    async def bound(world, region, call, params):
        return await function(world, region, call, params, answer)
    return bound


for _kind, _detail in (("Security", "securityPolicy"), ("Access", "accessPolicy")):
    OPERATIONS[f"Create{_kind}Policy"] = _bind(_create, f"{_detail}Detail")
    OPERATIONS[f"Get{_kind}Policy"] = _bind(_get, f"{_detail}Detail")
    OPERATIONS[f"Update{_kind}Policy"] = _bind(_update, f"{_detail}Detail")
    OPERATIONS[f"Delete{_kind}Policy"] = _bind(_delete, "")
    OPERATIONS[f"List{_kind}Policies"] = _bind(_list, f"{_detail}Summaries")


async def _stats(world, region, call, params):
    def count(kind):
        return sum(k == kind for k, _ in region.policies)
    counts = {kind: count(kind) for kind in ("data", "encryption", "network")}
    return {"AccessPolicyStats": {"DataPolicyCount": counts["data"]},
            "SecurityPolicyStats": {"EncryptionPolicyCount": counts["encryption"], "NetworkPolicyCount": counts["network"]},
            "SecurityConfigStats": {"SamlConfigCount": 0}, "LifecyclePolicyStats": {"RetentionPolicyCount": 0},
            "TotalPolicyCount": sum(counts.values())}


OPERATIONS["GetPoliciesStats"] = _stats
