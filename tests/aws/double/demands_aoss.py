"""What IAM is asked for each call of OpenSearch Serverless (service authorization reference; aws-facts §4.2, §4.4, §4.5).

Most actions know no resources, so that only a policy on "*" allows them; aoss:collection narrows the policies' calls.
"""

import json

from . import access
from .demand import Demand, request_tags, resource_tags

_COLLECTION = {"DeleteCollection", "UpdateCollection"}
_INDEX = {"CreateIndex", "GetIndex", "UpdateIndex", "DeleteIndex"}
_GRANT = {"kms:GrantOperations": ["Decrypt", "GenerateDataKey"], "kms:GrantIsForAWSResource": "true"}
_LINKED = "observability.aoss.amazonaws.com"


async def of(world, call, role):
    params, operation, action = call.params, call.operation, f"aoss:{call.operation}"
    region = world.region(call.account, call.region)
    if call.service == "aoss-endpoint" or operation in _COLLECTION or operation in _INDEX:
        return _collection(world, call, region, params)
    if operation.endswith("Policy"):
        documents = [d for d in (_parsed(params.get("policy")), _stored(region, params)) if d is not None]
        return [Demand(action, "*", _named(documents))] + await _key(world, call, [
            d.get("KmsARN") for d in documents[:1] if isinstance(d, dict) and params.get("policy")])
    tags = {t["key"]: t["value"] for t in params.get("tags") or []}
    context = request_tags(tags)
    if operation == "CreateCollection":
        context["aoss:collection"] = params["name"]
        demands = [Demand(a, "*", context) for a in [action] + ["aoss:TagResource"] * bool(tags)]
        if world.settings.switch(call.account, "service_linked_role") == "absent":
            linked = f"arn:aws:iam::{call.account}:role/aws-service-role/{_LINKED}/AWSServiceRoleForAmazonOpenSearchServerless"
            demands.append(Demand("iam:CreateServiceLinkedRole", linked, {"iam:AWSServiceName": _LINKED}))
        covering = access.encryption_policy(region, params["name"])
        own = params.get("encryptionConfig") or {}
        key = own.get("kmsKeyArn") if own else covering and covering.document.get("KmsARN")
        return demands + await _key(world, call, [key])
    if operation == "BatchGetCollection":
        context["aoss:collection"] = params.get("names") or [
            region.collections[i].name for i in params.get("ids") or [] if i in region.collections] or None
    if params.get("resourceArn"):
        found = region.collections.get(params["resourceArn"].rsplit("/", 1)[-1])
        context |= resource_tags(found.tags if found else {})
    if params.get("tagKeys"):
        context["aws:TagKeys"] = params["tagKeys"]
    return [Demand(action, "*", context)]


def _collection(world, call, region, params):
    arn = f"arn:aws:aoss:{call.region}:{call.account}:collection/{params['id']}"
    found = region.collections.get(params["id"])
    context = {"aoss:CollectionId": params["id"], "aoss:collection": found.name if found else None,
               "aws:ResourceAccount": call.account, **resource_tags(found.tags if found else {})}
    action = f"aoss:{call.operation}"
    if call.operation in _COLLECTION:
        return [Demand(action, arn, context)]
    access_all = Demand("aoss:APIAccessAll", arn, context)
    if call.service == "aoss-endpoint":
        return [access_all]
    # The reference knows no resource for these, the guide names the collection's ARN (§4.2): "*" is right under both.
    by = world.settings.switch(call.account, "index_actions_on")
    return [Demand(action, arn if by == "collection" else "*", context, shown=arn), access_all]


def _parsed(text):
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _stored(region, params):
    found = region.policies.get((params.get("type"), params.get("name")))
    return found.document if found else None


def _named(documents):
    """aoss:collection and aoss:index, as the resources of the policies name them."""
    names = {"collection": [], "index": []}
    for document in documents:
        for statement in document if isinstance(document, list) else [document]:
            for rule in (statement.get("Rules") or []) if isinstance(statement, dict) else []:
                for resource in rule.get("Resource") or []:
                    kind, _, rest = str(resource).partition("/")
                    names["collection"].append(rest.split("/")[0])
                    if kind == "index":
                        names["index"].append(rest)
    return {"aoss:collection": sorted(set(names["collection"])) or None, "aoss:index": sorted(set(names["index"])) or None}


async def _key(world, call, keys):
    """Whoever puts a collection under a key of the account's must be able to let AOSS use it (§4.4)."""
    via = {"kms:ViaService": f"aoss.{call.region}.amazonaws.com"}
    found = []
    for key in filter(None, keys):
        found += await world.keys.demands(call, key, ["kms:DescribeKey"], **via)
        found += await world.keys.demands(call, key, ["kms:CreateGrant"], **via, **_GRANT)
    return found
