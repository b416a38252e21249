"""Vectors themselves: put, read, listed, asked for and deleted, strongly consistent. The operator may do none of it; the role of a
knowledge base does, and whoever else has the right.
"""

import math
import zlib

from . import s3vectors_filters, s3vectors_keys
from .bedrock_common import table
from .errors import validation
from .s3vectors_common import index_of, refused
from .state import page
from .vector_index import Vector, check_metadata, fault, float32

OPERATIONS, operation = table()


async def _index(world, region, call, params):
    _, index = index_of(region, params, call.operation)
    await s3vectors_keys.check_usable(world, region, index)
    return index


@operation("PutVectors")
async def put(world, region, call, params):
    """All or none of them. A vector of the same key is replaced, with its metadata."""
    index, made = await _index(world, region, call, params), {}
    for n, vector in enumerate(params["vectors"]):
        key, values = vector["key"], float32(vector["data"]["float32"])
        why = fault(values, index)
        if why:
            raise validation(f"Invalid record for key '{key}': {why}", fieldList=[{"path": f"vectors[{n}]", "message": why}])
        metadata = vector.get("metadata") or {}
        check_metadata(key, metadata, index.unfilterable, n)
        made[key] = Vector(metadata, world.clock.now(), values)
    index.vectors.update(made)
    return {}


@operation("GetVectors")
async def get(world, region, call, params):
    """What is missing is left out."""
    index = await _index(world, region, call, params)
    return {"vectors": [_shown(index, key, params) for key in dict.fromkeys(params["keys"]) if key in index.vectors]}


def _shown(index, key, params):
    vector, shown = index.vectors[key], {"key": key}
    if params.get("returnData"):
        shown["data"] = {"float32": list(index.data(vector))}
    if params.get("returnMetadata"):
        shown["metadata"] = vector.metadata
    return shown


@operation("ListVectors")
async def list_all(world, region, call, params):
    index, count, number = await _index(world, region, call, params), params.get("segmentCount"), params.get("segmentIndex")
    if (count is None) != (number is None) or count is not None and number >= count:
        raise validation("segmentCount and segmentIndex belong together, and segmentIndex is less than segmentCount")
    found = [key for key in sorted(index.vectors) if count is None or zlib.crc32(key.encode()) % count == number]
    items, token = page(world.settings, region.account, found, params, default=500)
    return {"vectors": [_shown(index, key, params) for key in items], "nextToken": token}


@operation("DeleteVectors")
async def delete(world, region, call, params):
    """What is missing is no error."""
    index = await _index(world, region, call, params)
    for key in params["keys"]:
        index.vectors.pop(key, None)
    return {}


@operation("QueryVectors")
async def query(world, region, call, params):
    index = await _index(world, region, call, params)
    if params["topK"] > world.settings.limit(region.account, "vector_top_k"):
        raise refused(f"topK must be at most {world.settings.limit(region.account, 'vector_top_k')}", "topK")
    asked = float32(params["queryVector"]["float32"])
    why = fault(asked, index)
    if why:
        raise validation("Query vector contains invalid values or is invalid for this index",
                         fieldList=[{"path": "vector", "message": f"Invalid input: {why}"}])
    mode = params.get("queryMode") or index.mode
    wanted = params.get("filter")
    if wanted is not None:
        s3vectors_filters.check(wanted, index.unfilterable, mode)
    near = sorted((distance(asked, index.data(v), index.metric), key) for key, v in index.vectors.items())
    if wanted is not None:
        near = near if mode == "ENHANCED" else near[:reach(world, region, params["topK"])]
        near = [(d, key) for d, key in near if s3vectors_filters.matches(wanted, index.vectors[key].metadata)]
    items, token = page(world.settings, region.account, near[:params["topK"]], params, default=100)
    shown = {"returnMetadata": params.get("returnMetadata")}      # never the data, which GetVectors has
    return {"distanceMetric": index.metric, "nextToken": token, "vectors": [
        {**_shown(index, key, shown), **({"distance": d} if params.get("returnDistance") else {})} for d, key in items]}


def reach(world, region, most):
    """How many of the nearest vectors a CLASSIC query with a filter looks at."""
    return math.ceil(most * world.settings.of(region.account)["classic_reach"])


def distance(one, other, metric):
    if metric == "euclidean":
        return math.dist(one, other)
    lengths = math.sqrt(sum(v * v for v in one) * sum(v * v for v in other))
    return 1 - sum(a * b for a, b in zip(one, other)) / lengths
