"""An index of S3 Vectors as Bedrock sees it, with a knowledge base's role. There is nothing but IAM, the bucket's policy and the key."""

import math

from . import organization, policy
from .bedrock_common import INVALID
from .demand import resource_tags
from .demands_s3vectors import bucket_policy, context
from .documents import JobFailed, LeftAside, Unreadable
from .errors import AwsError, validation
from .principals import about
from .s3vectors_common import NO_INDEX, arn, find, parts
from .vector_index import OTHER, TEXT

FIVE = ("PutVectors", "GetVectors", "DeleteVectors", "QueryVectors", "GetIndex")
# Actions that the role needs, by what Bedrock wants of the index.
_ACTIONS = {"read": ("QueryVectors", "GetVectors"), "write": ("PutVectors", "GetVectors", "GetIndex"), "erase": ("DeleteVectors",)}
# Those that are tried when a knowledge base is made, by the switch s3_vectors_check.
_TRIED = {"query": ("QueryVectors",), "query_get": ("QueryVectors", "GetVectors"), "all": FIVE, "none": ()}


def check_storage(storage):
    given = storage.get("s3VectorsConfiguration") or {}
    whole, bucket, name = (given.get(k) for k in ("indexArn", "vectorBucketArn", "indexName"))
    if not (whole and not bucket and not name or not whole and bucket and name):
        raise validation("s3VectorsConfiguration must have either indexArn, or both vectorBucketArn and indexName")


def _names(region, storage):
    """(bucket, index) that a configuration means."""
    given = storage["s3VectorsConfiguration"]
    if given.get("indexArn"):
        return parts(region, given["indexArn"])
    return parts(region, given["vectorBucketArn"])[0], given["indexName"]


def shown(world, region, storage):
    """As it was sent, or with all that is known (switch s3_vectors_shown)."""
    if world.settings.switch(region.account, "s3_vectors_shown") == "as_sent":
        return storage
    bucket, index = _names(region, storage)
    return {**storage, "s3VectorsConfiguration": {
        "vectorBucketArn": arn(region, bucket), "indexArn": arn(region, bucket, index), "indexName": index}}


def same(region, sent, storage):
    try:
        return _names(region, sent) == _names(region, storage)
    except (AwsError, KeyError):
        return False


def named_index(region, kb):
    index = find(region, *_names(region, kb.storage))[1]
    if index is None:
        raise AwsError("ValidationException", f"{NO_INDEX} (Service: S3Vectors, Status Code: 404)")
    return index


async def open_index(world, region, kb, role, purpose):
    """The index, if the role may do with it what Bedrock wants. The role is asked first: S3 Vectors tells nobody else what is there."""
    refused = _refusal(purpose)
    try:
        bucket, name = _names(region, kb.storage)
    except AwsError as error:
        raise refused(error.message) from None
    whole, index = arn(region, bucket, name), find(region, bucket, name)[1]
    known = {**context(region, bucket, name), policy.VARIABLES: world.settings.switch(region.account, "policy_variables")}
    for action in _TRIED[world.settings.switch(region.account, "s3_vectors_check")] if purpose == "create" else _ACTIONS[purpose]:
        _check(world, role, refused, f"s3vectors:{action}", whole, known, bucket_policy(world, region, bucket))
    if index is None or not world.clock.after(region.account, "vector_index_visible", index.created):
        raise refused(f"{NO_INDEX} (Service: S3Vectors, Status Code: 404)")
    await _check_key(world, region, role, refused, index)
    return index


def _refusal(purpose):
    """How Bedrock words what the store refused: of a configuration that somebody sends, or of what it does by itself."""
    if purpose == "create":
        return lambda why: validation(INVALID + why)
    return lambda why: validation(f"{why}. Call to Amazon S3 Vectors did not succeed.")


def _check(world, role, refused, action, resource, known, resource_policy, guarded=False):
    why = organization.refusal(world, role.arn, action, resource, about(role, known)) or world.roles.refusal(
        role, action, resource, known, resource_policy, guarded)
    if why:
        session = f"arn:aws:sts::{role.arn.split(':')[4]}:assumed-role/{role.name}/BedrockKnowledgeBase"
        raise refused(f"User: {session} is not authorized to perform: {action} on resource: {resource} {why} "
                      "(Service: S3Vectors, Status Code: 403)")


async def _check_key(world, region, role, refused, index):
    name = index.encryption.get("kmsKeyArn")
    if not name:
        return
    key = await world.keys.get(region.account, region.name, name)
    if key is None or key.state != "Enabled":
        raise refused(f"{name} is {key.state if key else 'NotFound'} (Service: S3Vectors, Status Code: 400)")
    known = {"kms:CallerAccount": region.account, "kms:ViaService": f"s3vectors.{region.name}.amazonaws.com", **resource_tags(key.tags)}
    _check(world, role, refused, "kms:Decrypt", key.arn, known, key.policy, guarded=True)


def check_index(world, region, kb, index, dimension):
    """The dimension, and what S3 Vectors cannot hold. A missing key shows at once, or when the first document is too large for it."""
    vector = kb.configuration["vectorKnowledgeBaseConfiguration"]
    asked = (vector.get("embeddingModelConfiguration") or {}).get("bedrockEmbeddingModelConfiguration") or {}
    if asked.get("embeddingDataType", "FLOAT32") != "FLOAT32":
        raise validation(INVALID + "S3 Vectors supports embeddings of type FLOAT32 only")
    if index.dimension != dimension:
        raise validation(INVALID + "Query vector contains invalid values or is invalid for this index: vector must have length "
                         f"{index.dimension}, but has length {dimension} (Service: S3Vectors, Status Code: 400)")
    missing = [key for key in (TEXT, OTHER) if key not in index.unfilterable]
    if missing and world.settings.switch(region.account, "s3_vectors_keys") == "checked":
        raise validation(f"{INVALID}The index must have {' and '.join(missing)} as non-filterable metadata")


def filters_missing(world, region):
    return world.settings.switch(region.account, "s3_vectors_filters_missing")


def check_search(world, region, kb, index, search):
    """There is no text to search for, whatever the guide says of silently doing without; and no filter by what is not filterable."""
    if search.get("overrideSearchType") == "HYBRID" and world.settings.switch(region.account, "s3_vectors_hybrid") == "refused":
        raise validation(f"HYBRID search type is not supported for search operation on index {kb.id}. Retry your request with a "
                         "different search type.")
    for key in _keys(search.get("filter") or {}):
        if key in index.unfilterable:
            raise validation(f"Invalid use of non-filterable metadata in filter: {key} (Service: S3Vectors, Status Code: 400)")


def _keys(node):
    for content in node.values():
        if isinstance(content, list):
            for inner in content:
                yield from _keys(inner)
        else:
            yield content["key"]


def reach(world, region, index, most):
    """A CLASSIC index looks at the filter while it searches, so that few may be found where few match."""
    asked = world.settings.switch(region.account, "s3_vectors_query")
    mode = index.mode if asked == "index" else asked
    return math.ceil(most * world.settings.of(region.account)["classic_reach"]) if mode == "CLASSIC" else None


def check_document(world, region, sidecar, chunks):
    """A sidecar of more than 1 KB, or too many attributes. The first is left aside in silence, as several people met it: counted as
    scanned and as nothing else, and named only among the reasons of a job that is COMPLETE. Of the second Bedrock's guide says that
    the job throws."""
    most = world.settings.limit(region.account, "vector_sidecar_bytes")
    if sidecar > most:
        how = world.settings.switch(region.account, "s3_vectors_sidecar")
        if how == "ignored":
            raise LeftAside(f"as the associated metadata was larger than service limit of MaximumFileSizeSupported: {most} bytes")
        _refuse(how, f"the metadata file is larger than {most} bytes")
    if any(len(attributes) > world.settings.limit(region.account, "vector_attributes") for _, attributes in chunks):
        _refuse(world.settings.switch(region.account, "s3_vectors_refusal"), "the document has more than "
                f"{world.settings.limit(region.account, 'vector_attributes')} metadata attributes")


def _refuse(what, why):
    """The job fails as a whole, or the document alone."""
    raise JobFailed("ValidationException", why) if what == "job" else Unreadable(why)


def write(world, region, index, record, chunks):
    try:
        index.write(record, chunks)
    except AwsError as error:
        _refuse(world.settings.switch(region.account, "s3_vectors_refusal"), f"{error.message} (Service: S3Vectors, Status Code: 400)")
