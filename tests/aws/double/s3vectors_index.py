"""Vector indexes: made, shown, listed and deleted at once. All but tags and mode is fixed when an index is made."""

from . import s3vectors_keys
from .bedrock_common import table
from .errors import AwsError, validation
from .s3vectors_common import arn, bucket_of, check_name, checked_tags, conflict, index_of
from .state import page
from .vector_index import VectorIndex

OPERATIONS, operation = table()


def block(world, region, name, dwell):
    """A name cannot be taken again at once, if the setting says so. (bucket, "") is the emptiness of a bucket."""
    async def unblock():
        await world.clock.dwell(region.account, dwell, "/".join(filter(None, name)))
        region.blocked.discard(name)
    if world.settings.seconds(region.account, "dwell", dwell) > 0:
        region.blocked.add(name)
        world.spawn(unblock())


def check_mode(world, region, mode):
    """CLASSIC is only for buckets that were made before 2026-09-30."""
    if mode == "CLASSIC" and world.settings.switch(region.account, "vector_bucket_mode") != "CLASSIC":
        raise validation("CLASSIC can only be set in a vector bucket that was created before September 30, 2026")


@operation("CreateIndex")
async def create(world, region, call, params):
    bucket, name = bucket_of(region, params, call.operation), params["indexName"]
    check_name("index", name)
    if name in bucket.indexes:
        raise conflict("An index with the specified name already exists")
    if (bucket.name, name) in region.blocked:
        raise conflict("A conflicting operation is currently in progress against this resource")
    if len(bucket.indexes) >= world.settings.limit(region.account, "vector_indexes"):
        raise AwsError("ServiceQuotaExceededException", "You have reached the maximum number of indexes in this vector bucket")
    keys = (params.get("metadataConfiguration") or {}).get("nonFilterableMetadataKeys") or []
    if len(set(keys)) < len(keys):
        raise validation("nonFilterableMetadataKeys must be unique")
    encryption, tags = s3vectors_keys.encryption(params) or bucket.encryption, checked_tags(params.get("tags") or {})
    whole = arn(region, bucket.name, name)
    await s3vectors_keys.check_new(world, region, encryption, whole)
    bucket.indexes[name] = VectorIndex(name, whole, bucket.name, world.clock.now(), params["dimension"], params["distanceMetric"],
                                       tuple(keys), encryption, bucket.mode, tags)
    return {"indexArn": whole}


def _summary(index):
    return {"vectorBucketName": index.bucket, "indexName": index.name, "indexArn": index.arn, "creationTime": index.created}


@operation("GetIndex")
async def get(world, region, call, params):
    _, index = index_of(region, params, call.operation)
    keys = {"nonFilterableMetadataKeys": list(index.unfilterable)} if index.unfilterable else None
    return {"index": {**_summary(index), "dataType": "float32", "dimension": index.dimension, "distanceMetric": index.metric,
                      "metadataConfiguration": keys, "encryptionConfiguration": index.encryption, "indexMode": index.mode}}


@operation("ListIndexes")
async def list_all(world, region, call, params):
    bucket = bucket_of(region, params, call.operation)
    found = [i for name, i in sorted(bucket.indexes.items()) if name.startswith(params.get("prefix", ""))
             and world.clock.after(region.account, "vector_list", i.created)]
    items, token = page(world.settings, region.account, found, params, default=500)
    return {"indexes": [_summary(i) for i in items], "nextToken": token}


@operation("DeleteIndex")
async def delete(world, region, call, params):
    """Also while a knowledge base uses it: the service knows nothing of that."""
    bucket, index = index_of(region, params, call.operation)
    del bucket.indexes[index.name]
    block(world, region, (bucket.name, index.name), "vector_index_name")
    if not bucket.indexes:
        block(world, region, (bucket.name, ""), "vector_bucket_empty")
    return {}


@operation("UpdateIndexMode")
async def update_mode(world, region, call, params):
    _, index = index_of(region, params, call.operation)
    check_mode(world, region, params["indexMode"])
    index.mode = params["indexMode"]
    return {}
