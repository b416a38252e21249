"""Indexes through the control plane: CreateIndex, GetIndex, UpdateIndex, DeleteIndex (aws-facts §1.2, §4.2, §5.2).

The caller itself must be in a data access policy (§5.4), and on a private collection the network policy must let
aoss.amazonaws.com through (§4.3).
"""

import copy

from . import access, index_schema, index_shown
from .errors import AwsError, conflict, denied, not_found, validation
from .state import Index

OPERATIONS = {}


def check_api(world, call):
    """Regions without these calls refuse them to everybody, whatever IAM allows."""
    if call.operation in OPERATIONS and world.settings.switch(call.account, "index_api") == "denied":
        raise denied("API is not supported")


async def permit(world, region, call, collection, index, permission):
    """Refuse a caller whom no data access policy gives this permission."""
    principal = await world.roles.principal(call.caller)
    if not (access.data_allows(world, region, principal, permission, collection.name, index)
            or access.data_allows(world, region, call.caller, permission, collection.name, index)):
        raise denied(f"User: {call.caller} is not authorized to perform: {permission} on index/{collection.name}/{index} "
                     "because no data access policy allows it")


async def _begin(world, region, call, params, permission):
    collection = region.collections.get(params["id"])
    if collection is None:
        raise not_found(f"Collection with ID {params['id']} cannot be found")
    if collection.status in ("CREATING", "DELETING", "FAILED"):
        raise validation(f"Collection {collection.name} is in {collection.status} state")
    await permit(world, region, call, collection, params["indexName"], permission)
    if not access.network_allows(world, region, collection.name, "aoss.amazonaws.com"):
        raise denied(f"The network policies of collection {collection.name} do not allow access from aoss.amazonaws.com")
    return collection


def _hidden(world, region, index):
    """No document says whether the control plane knows what it did not make; the endpoint and Bedrock always do."""
    return index.made_by == "endpoint" and world.settings.switch(region.account, "endpoint_indexes") == "hidden"


def _existing(world, region, collection, name):
    index = collection.indexes.get(name)
    if index is None or index.ready is None or _hidden(world, region, index):
        raise not_found(f"no such index [{name}]")
    return index


async def create(world, region, collection, name, schema, made_by="control plane"):
    """Shared by the control plane and the collection's endpoint."""
    index_schema.check_name(name)
    if name in collection.indexes:
        raise conflict(f"index [{name}] already exists")
    if len(collection.indexes) >= world.settings.limit(region.account, "indexes_per_collection"):
        raise AwsError("ServiceQuotaExceededException", "too many indexes in this collection",
                       serviceCode="aoss", quotaCode="L-INDEXES")
    index = collection.indexes[name] = Index(name, copy.deepcopy(schema), world.clock.now(), made_by)

    async def made():
        await world.clock.dwell(region.account, "index_create", f"{collection.name}/{name}")
        index.ready = world.clock.now()
    world.spawn(made())


async def _create(world, region, call, params):
    collection = await _begin(world, region, call, params, "aoss:CreateIndex")
    schema = params.get("indexSchema") or {}
    index_schema.check(schema, world.settings.switch(region.account, "create_index_knn"))
    await create(world, region, collection, params["indexName"], schema)
    return {}


async def _get(world, region, call, params):
    collection = await _begin(world, region, call, params, "aoss:DescribeIndex")
    index = _existing(world, region, collection, params["indexName"])
    return {"indexSchema": index_shown.SHOWN[world.settings.switch(region.account, "get_index")](index)}


async def _update(world, region, call, params):
    collection = await _begin(world, region, call, params, "aoss:UpdateIndex")
    index = _existing(world, region, collection, params["indexName"])
    change = params.get("indexSchema") or {}
    index_schema.check({**change, "settings": index.schema.get("settings")}, "accept")
    how = world.settings.switch(region.account, "update_index")
    other = [n for n, field in index_schema.properties(change).items() if field.get("type") != "text"]
    if how == "text" and other:
        raise validation(f"Only non-semantic text fields can be added to an index: [{other[0]}]")
    if how != "ignored":
        index.schema = index_schema.merged(index.schema, change)
    return {}


async def _delete(world, region, call, params):
    collection = await _begin(world, region, call, params, "aoss:DeleteIndex")
    _existing(world, region, collection, params["indexName"])
    del collection.indexes[params["indexName"]]
    return {}


OPERATIONS |= {"CreateIndex": _create, "GetIndex": _get, "UpdateIndex": _update, "DeleteIndex": _delete}


def visible(world, region, collection, name):
    """The index as Bedrock sees it, or None: absent, not made yet, or too new (§5.2)."""
    index = collection.indexes.get(name)
    if index is None or index.ready is None or not world.clock.after(region.account, "index_visible", index.created):
        return None
    return index
