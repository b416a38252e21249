"""A collection of OpenSearch Serverless as Bedrock sees it, with a knowledge base's role (aws-facts §4.2, §4.3, §5)."""

from . import access, aoss_index, index_schema
from .bedrock_common import INVALID
from .errors import AwsError, validation

FORBIDDEN = INVALID + "Request failed: [security_exception] 403 Forbidden"
# What a data access policy must give the role, by what Bedrock wants of the index.
_PERMISSIONS = {
    "read": ("aoss:ReadDocument",),
    "write": ("aoss:ReadDocument", "aoss:WriteDocument"),
    "erase": ("aoss:ReadDocument", "aoss:WriteDocument"),
    "create": ("aoss:ReadDocument", "aoss:WriteDocument", "aoss:UpdateIndex"),
}


def check_storage(storage):
    if not storage.get("opensearchServerlessConfiguration"):
        raise validation("storageConfiguration of type OPENSEARCH_SERVERLESS needs opensearchServerlessConfiguration")


def shown(world, region, storage):
    return storage


def same(region, sent, storage):
    return sent == storage


async def open_index(world, region, kb, role, purpose):
    """The index of a knowledge base, if role, network, data access policies and the index itself allow it."""
    storage = kb.storage["opensearchServerlessConfiguration"]
    arn, name = storage["collectionArn"], storage["vectorIndexName"]
    collection = region.collections.get(arn.rsplit("/", 1)[-1])
    if collection is None or collection.arn != arn or collection.status not in ("ACTIVE", "UPDATING"):
        raise validation(INVALID + f"The OpenSearch Serverless collection {arn} does not exist or is not active")
    if not access.network_allows(world, region, collection.name, "bedrock.amazonaws.com"):
        raise validation(INVALID + "Bad Authorization")
    if not await world.roles.allowed(role, "aoss:APIAccessAll", arn, {"aws:ResourceAccount": region.account,
                                                                     "aoss:collection": collection.name}):
        raise validation(FORBIDDEN)

    def data(permission):
        return access.data_allows(world, region, role.arn, permission, collection.name, name)
    if not data("aoss:DescribeIndex"):
        raise validation(FORBIDDEN)
    if not all(data(p) for p in _PERMISSIONS[purpose]):
        raise validation(INVALID + "Request failed: [security_exception] all shards failed")
    if world.settings.switch(region.account, "kb_needs_collection_permission") and not access.data_allows(
            world, region, role.arn, "aoss:DescribeCollectionItems", collection.name):
        raise validation(FORBIDDEN)
    index = aoss_index.visible(world, region, collection, name)
    if index is None:
        raise validation(INVALID + f"Dependency error document status code: 404, error message: no such index [{name}]")
    return index


def check_index(world, region, kb, index, dimension):
    """Is the index one that this knowledge base can write to? Terminal if not: it must be made anew (§5)."""
    fields = kb.storage["opensearchServerlessConfiguration"]["fieldMapping"]
    known = index_schema.properties(index.schema)
    vector = known.get(fields["vectorField"])
    if not vector or vector.get("type") != "knn_vector" or not index_schema.is_knn(index.schema):
        raise validation(INVALID + f"Request failed: Field '{fields['vectorField']}' is not knn_vector type.")
    if index_schema.engine(vector) != "faiss":
        raise validation(INVALID + "The OpenSearch Serverless engine type associated with your vector index is invalid. "
                         "Recreate your vector index with one of the following valid engine types: FAISS. "
                         "Then retry your request.")
    if vector["dimension"] != dimension:
        raise validation(INVALID + f"Request failed: Query vector has invalid dimension: {dimension}. "
                         f"Dimension should be: {vector['dimension']}")
    for member in ("textField", "metadataField"):
        if known.get(fields[member], {"type": "text"}).get("type") != "text":
            raise validation(INVALID + f"Request failed: field '{fields[member]}' is not of type text.")


def named_index(region, kb):
    """The index by its name, whoever may use it. It may be gone, or made anew and empty."""
    storage = kb.storage["opensearchServerlessConfiguration"]
    collection = region.collections.get(storage["collectionArn"].rsplit("/", 1)[-1])
    index = collection and collection.indexes.get(storage["vectorIndexName"])
    if not index:
        raise AwsError("ValidationException", f"no such index [{storage['vectorIndexName']}]")
    return index


def filters_missing(world, region):
    return ()


def check_search(world, region, kb, index, search):
    """It has both kinds of search, and filters by any field."""


def reach(world, region, index, most):
    return None


def check_document(world, region, sidecar, parts):
    """It takes whatever Bedrock takes."""


def write(world, region, index, record, chunks):
    index.write(record, chunks)
