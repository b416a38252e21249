"""A collection's own endpoint, /_aoss/<collection id>/<index>: what of OpenSearch's API makes, shows and drops indexes.

Three fences, in this order, as in AWS (aws-facts §4.2, §4.3): the network policy, aoss:APIAccessAll for sessions, the data
access policy. A collection that is not there or not active has no address: the connection is reset.
"""

import json

from . import access, aoss_index, gate, index_schema, index_shown
from .errors import AwsError
from .faults import Dropped

_OPERATIONS = {
    ("PUT", ""): "PutIndex", ("GET", ""): "GetIndex", ("HEAD", ""): "HeadIndex", ("DELETE", ""): "DeleteIndex",
    ("PUT", "_mapping"): "PutMapping", ("POST", "_mapping"): "PutMapping", ("GET", "_mapping"): "GetMapping",
    ("GET", "_settings"): "GetSettings",
}
_PERMISSIONS = {"PutIndex": "aoss:CreateIndex", "DeleteIndex": "aoss:DeleteIndex", "PutMapping": "aoss:UpdateIndex"}


async def answer(world, call):
    """(status, headers, body). Errors are AwsErrors that errors.py writes in OpenSearch's shape."""
    identifier, _, rest = call.path.removeprefix("/_aoss/").partition("/")
    name, _, part = rest.strip("/").partition("/")
    signed = call.service == "aoss"
    region = world.region(call.account, call.region)
    collection = region.collections.get(identifier)
    call.service, call.operation = "aoss-endpoint", _OPERATIONS.get((call.method, part.replace("_mappings", "_mapping")), "Unknown")
    call.resource = f"{collection.name if collection else identifier}/{name}"
    if collection is None or collection.status not in ("ACTIVE", "UPDATING", "UPDATE_FAILED"):
        raise Dropped()
    _check_network(world, region, call, collection)
    if not signed:
        raise AwsError("Forbidden", "403 Forbidden", 403, hint="X01:gw-helper-deny")
    if not name or call.operation == "Unknown":
        raise AwsError("NotImplementedByDouble", f"{call.method} /{rest} is not part of the double's endpoint")
    call.params = {"id": identifier, "indexName": name, "body": _body(call)}
    await gate.pass_through(world, call)
    await _check_data_access(world, region, call, collection, name)
    value = await _act(world, region, call, collection, name)
    return 200, {"content-type": "application/json; charset=UTF-8", "x-request-id": call.request_id}, json.dumps(value).encode()


def _check_network(world, region, call, collection):
    """Private means that only the VPC endpoints of its network policies lead to it (§4.3). What a caller from elsewhere meets:
    401 by AWS's troubleshooting page, or 403, or no connection at all where the name leads into a VPC (switch)."""
    vpce = world.settings.switch(region.account, "caller_vpce")
    if access.network_allows(world, region, collection.name, vpce=vpce):
        return
    looks = world.settings.switch(region.account, "private_endpoint")
    if looks == "closed":
        raise Dropped()
    if looks == "forbidden":
        raise AwsError("Forbidden", "403 Forbidden", 403)
    raise AwsError("Unauthorized", "401 Unauthorized", 401)


def _body(call):
    try:
        value = json.loads(call.body) if call.body else {}
    except ValueError as error:
        raise AwsError("parse_exception", f"Failed to parse content to map: {error}", 400, cause=True) from None
    if not isinstance(value, dict):
        raise AwsError("parse_exception", "request body must be an object", 400, cause=True)
    return value


async def _check_data_access(world, region, call, collection, name):
    permission = _PERMISSIONS.get(call.operation, "aoss:DescribeIndex")
    try:
        await aoss_index.permit(world, region, call, collection, name, permission)
    except AwsError:
        if world.settings.switch(region.account, "endpoint_denial") == "security_exception":
            raise AwsError("security_exception", "403 Forbidden", 403, cause=True) from None
        raise AwsError("authorization_exception", "User does not have permissions for the requested resource", 403,
                       cause=True) from None


async def _act(world, region, call, collection, name):
    body, index = call.params["body"], collection.indexes.get(name)
    if call.operation == "PutIndex":
        if index is not None:
            raise AwsError("resource_already_exists_exception", f"index [{name}/{index_shown.uuid(index)}] already exists", 400,
                           cause=True, index=name, index_uuid=index_shown.uuid(index))
        with _as_opensearch("mapper_parsing_exception"):
            index_schema.check(body, "accept")
        with _as_opensearch("invalid_index_name_exception"):
            await aoss_index.create(world, region, collection, name, body, made_by="endpoint")
        return {"acknowledged": True, "shards_acknowledged": True, "index": name}
    if index is None or index.ready is None:
        raise AwsError("index_not_found_exception", f"no such index [{name}]", 404, cause=True, index=name, index_uuid="_na_")
    if call.operation == "DeleteIndex":
        del collection.indexes[name]
        return {"acknowledged": True}
    if call.operation == "PutMapping":
        change = {"mappings": body}
        with _as_opensearch("illegal_argument_exception"):
            index_schema.check({**change, "settings": index.schema.get("settings")}, "accept")
            index.schema = index_schema.merged(index.schema, change)
        return {"acknowledged": True}
    shown = index_shown.normalised(index)
    wanted = {"GetMapping": ("mappings",), "GetSettings": ("settings",)}.get(call.operation, ("mappings", "settings"))
    return {name: {**({"aliases": {}} if len(wanted) == 2 else {}), **{part: shown[part] for part in wanted}}}


class _as_opensearch:
    """What the control plane calls a ValidationException is an exception of a type of its own here."""

    def __init__(self, kind):
        self.kind = kind

    def __enter__(self):
        return self

    def __exit__(self, _, error, __):
        if isinstance(error, AwsError):
            raise AwsError(self.kind, error.message, 400, cause=True) from None
