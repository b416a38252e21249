"""OpenSearch Serverless, control plane: collections, their tags, and the dispatch of `aoss` calls (aws-facts §1.2)."""

import re

from . import access, aoss_index, aoss_security, gate
from .errors import AwsError, conflict, not_found, validation
from .model import parse_target
from .state import Collection, new_id, page

OPERATIONS = {}


def operation(function):
    name = "".join(part.title() for part in function.__name__.split("_"))
    OPERATIONS[name] = function
    return function


async def answer(world, call):
    """Parse, validate, act. Returns what the operation answers, to be written by the model."""
    prefix, _, name = call.headers.get("x-amz-target", "").partition(".")
    call.operation = name or "Unknown"
    if prefix != "OpenSearchServerless":
        raise AwsError("UnknownOperationException", f"no such operation: {call.headers.get('x-amz-target')}")
    found = OPERATIONS.get(name) or aoss_security.OPERATIONS.get(name) or aoss_index.OPERATIONS.get(name)
    if found is None:
        raise AwsError("NotImplementedByDouble", f"{name} is not part of the double")
    params = parse_target("opensearchserverless", name, call.body)
    call.params = params
    region = world.region(call.account, call.region)
    call.resource = _resource(region, params)
    aoss_index.check_api(world, call)
    await gate.pass_through(world, call)
    return await found(world, region, call, params)


def _resource(region, params):
    collection = region.collections.get(params.get("id", ""))
    name = params.get("name") or (collection.name if collection else params.get("id"))
    if params.get("indexName"):
        return f"{name}/{params['indexName']}"
    return name or params.get("resourceArn") or ",".join(params.get("names") or params.get("ids") or [])


@operation
async def create_collection(world, region, call, params):
    name, now = params["name"], world.clock.now()
    if params.get("collectionGroupName"):
        raise AwsError("NotImplementedByDouble", "collection groups are not part of the double")
    token = ("CreateCollection", params.get("clientToken"))
    if params.get("clientToken") and token in region.tokens:
        return region.tokens[token]
    if any(c.name == name for c in region.collections.values()):
        # Also while the old one is DELETING: the name is blocked until it is gone.
        raise conflict(f"Collection with name {name} already exists")
    key = await _key_of(world, region, name, params.get("encryptionConfig"))
    identifier = new_id(20)
    collection = Collection(
        id=identifier, name=name, arn=f"arn:aws:aoss:{region.name}:{region.account}:collection/{identifier}",
        type=params.get("type", "TIMESERIES"), kms_key=key, created=now, modified=now,
        description=params.get("description"), standby=params.get("standbyReplicas", "ENABLED"),
        protection=params.get("deletionProtection", "DISABLED"), vector_options=params.get("vectorOptions"),
        tags={t["key"]: t["value"] for t in params.get("tags", [])})
    region.collections[identifier] = collection
    world.spawn(_created(world, region, collection))
    result = {"createCollectionDetail": _detail(world, collection, _CREATED)}
    if params.get("clientToken"):
        region.tokens[token] = result
    return result


async def _key_of(world, region, name, config):
    """The key of a new collection: its own configuration, or the encryption policy that covers its name."""
    if config:
        key = config.get("kmsKeyArn") if not config.get("aWSOwnedKey") else "auto"
        if not key:
            raise validation("encryptionConfig must have aWSOwnedKey or kmsKeyArn")
    else:
        policy = access.encryption_policy(region, name)
        if policy is None:
            raise validation(f"No matching security policy of encryption type found for collection name: {name}. "
                             "Please create security policy of encryption type for this collection.")
        key = policy.document.get("KmsARN") or "auto"
    if key != "auto":
        await check_key(world, region, key)
    return key


async def check_key(world, region, name):
    """A key that is not there or not enabled is refused (§4.4)."""
    key = await world.keys.get(region.account, region.name, name)
    if key is None or key.state != "Enabled":
        raise validation(f"KMSKeyInaccessibleException: the KMS key {name} is not accessible ({key.state if key else 'NotFound'})")


async def _created(world, region, collection):
    await world.clock.dwell(region.account, "collection_create", collection.name)
    if collection.status == "CREATING":
        collection.status, collection.modified = "ACTIVE", world.clock.now()


@operation
async def batch_get_collection(world, region, call, params):
    if bool(params.get("ids")) == bool(params.get("names")):
        raise validation("Exactly one of ids or names must be provided")
    by = "id" if params.get("ids") else "name"
    known = {getattr(c, by): c for c in region.collections.values()}
    asked = params.get("ids") or params.get("names")
    # What is missing is not an error but an entry of its own, in a 200.
    return {"collectionDetails": [_detail(world, known[a], _READ) for a in asked if a in known],
            "collectionErrorDetails": [{by: a, "errorCode": "NOT_FOUND", "errorMessage": f"Collection with {by} {a} not found"}
                                       for a in asked if a not in known]}


@operation
async def list_collections(world, region, call, params):
    wanted = params.get("collectionFilters") or {}
    found = [c for c in region.collections.values()
             if world.clock.after(region.account, "list", c.created)
             and wanted.get("name", c.name) == c.name and wanted.get("status", c.status) == c.status
             and not wanted.get("collectionGroupName")]
    items, token = page(world.settings, region.account, found, params, default=20)
    return {"collectionSummaries": [_detail(world, c, ("id", "name", "status", "arn", "kmsKeyArn")) for c in items],
            "nextToken": token}


@operation
async def update_collection(world, region, call, params):
    collection = collection_of(region, params["id"])
    if collection.status not in ("ACTIVE", "UPDATE_FAILED"):
        raise conflict(f"Collection {collection.name} is in {collection.status} state")
    collection.description = params.get("description", collection.description)
    collection.vector_options = params.get("vectorOptions", collection.vector_options)
    collection.protection = params.get("deletionProtection", collection.protection)
    collection.status, collection.modified = "UPDATING", world.clock.now()

    async def updated():
        await world.clock.dwell(region.account, "collection_update", collection.name)
        if collection.status == "UPDATING":
            collection.status = "ACTIVE"
    world.spawn(updated())
    return {"updateCollectionDetail": _detail(world, collection, _UPDATED)}


@operation
async def delete_collection(world, region, call, params):
    collection = collection_of(region, params["id"])
    if collection.status not in ("ACTIVE", "FAILED", "UPDATE_FAILED"):
        raise conflict(f"Collection {collection.name} is in {collection.status} state and cannot be deleted")
    if collection.protection == "ENABLED":
        raise validation(f"Collection {collection.name} has deletion protection enabled")
    collection.status, collection.modified = "DELETING", world.clock.now()

    async def deleted():
        await world.clock.dwell(region.account, "collection_delete", collection.name)
        region.collections.pop(collection.id, None)
    world.spawn(deleted())
    return {"deleteCollectionDetail": _detail(world, collection, ("id", "name", "status", "deletionProtection"))}


def collection_of(region, identifier):
    collection = region.collections.get(identifier)
    if collection is None:
        raise not_found(f"Collection with ID {identifier} cannot be found")
    return collection


_UPDATED = ("id", "name", "status", "type", "description", "vectorOptions", "arn", "createdDate", "lastModifiedDate",
            "deletionProtection")
_CREATED = _UPDATED + ("kmsKeyArn", "standbyReplicas")
_READ = _CREATED + ("collectionEndpoint", "dashboardEndpoint")


def _detail(world, c, keys):
    endpoint = f"{world.endpoint}/_aoss/{c.id}"
    active = c.status in ("ACTIVE", "UPDATING", "UPDATE_FAILED")   # no endpoint before
    every = {"id": c.id, "name": c.name, "status": c.status, "type": c.type, "description": c.description, "arn": c.arn,
             "kmsKeyArn": c.kms_key, "standbyReplicas": c.standby, "deletionProtection": c.protection,
             "vectorOptions": c.vector_options, "createdDate": int(c.created * 1000),
             "lastModifiedDate": int(c.modified * 1000),
             "collectionEndpoint": endpoint if active else None,
             "dashboardEndpoint": f"{endpoint}/_dashboards" if active else None}
    return {key: every[key] for key in keys}


def _tagged(region, arn):
    found = re.fullmatch(rf"arn:aws:aoss:{region.name}:{region.account}:collection/([a-z0-9]+)", arn)
    if not found or found.group(1) not in region.collections:
        raise not_found(f"Resource {arn} cannot be found")
    return region.collections[found.group(1)].tags


@operation
async def list_tags_for_resource(world, region, call, params):
    return {"tags": [{"key": k, "value": v} for k, v in _tagged(region, params["resourceArn"]).items()]}


@operation
async def tag_resource(world, region, call, params):
    tags = _tagged(region, params["resourceArn"])
    new = tags | {t["key"]: t["value"] for t in params["tags"]}
    if len(new) > 50:
        raise AwsError("ServiceQuotaExceededException", "A resource can have at most 50 tags",
                       serviceCode="aoss", quotaCode="L-TAGS")
    tags.update(new)
    return {}


@operation
async def untag_resource(world, region, call, params):
    tags = _tagged(region, params["resourceArn"])
    for key in params["tagKeys"]:
        tags.pop(key, None)
    return {}
