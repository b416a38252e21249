"""What Bedrock checks before it uses a role and a vector store: at CreateKnowledgeBase, at ingestion, at Retrieve,
and when it has to delete vectors. Each refusal has the message of aws-facts §5; they are all ValidationExceptions.
"""

import re

from . import organization, store_opensearch, store_s3vectors
from .errors import validation

# Dimensions by model; the first is the default (aws-facts §3). Titan v2 and Cohere v4 let one choose.
MODELS = {
    "amazon.titan-embed-text-v1": (1536,),
    "amazon.titan-embed-text-v2:0": (1024, 512, 256),
    "amazon.titan-embed-image-v1": (1024,),
    "amazon.nova-2-multimodal-embeddings-v1:0": (1024, 256, 384, 3072),
    "cohere.embed-english-v3": (1024,),
    "cohere.embed-multilingual-v3": (1024,),
    "cohere.embed-v4:0": (1536, 256, 512, 1024),
}
# What Bedrock wants of an index. What the role needs for it is each store's own.
READ, WRITE, ERASE, CREATE = "read", "write", "erase", "create"
_STORES = {"OPENSEARCH_SERVERLESS": store_opensearch, "S3_VECTORS": store_s3vectors}


def source_context(kb):
    """What Bedrock tells STS when it assumes a role for a knowledge base (§4.1)."""
    return {"aws:SourceAccount": kb.arn.split(":")[4], "aws:SourceArn": kb.arn}


async def role_of(world, kb, arn=None):
    """The role, if Bedrock may assume it for this knowledge base."""
    arn = arn or kb.role
    role = await world.roles.by_arn(arn)
    if role is None:
        raise validation(f"Amazon Bedrock cannot assume role {arn}. Verify that the role exists.")
    context = {**source_context(kb), "aws:PrincipalIsAWSService": "true"}
    kept = organization.keeps(world, "sts:AssumeRole", role.arn, context)
    if kept or not world.roles.assumable(role, "bedrock.amazonaws.com", context):
        raise validation("Bedrock Knowledge Base was unable to assume the given role. "
                         "Provide the proper permissions and retry the request.")
    return role


def dimension(kb):
    """The dimension of the embeddings this knowledge base makes."""
    vector = kb.configuration["vectorKnowledgeBaseConfiguration"]
    model = vector["embeddingModelArn"].split("foundation-model/")[-1]
    asked = (vector.get("embeddingModelConfiguration") or {}).get("bedrockEmbeddingModelConfiguration") or {}
    return asked.get("dimensions") or MODELS[model][0]


async def check_model(world, kb, role):
    vector = kb.configuration["vectorKnowledgeBaseConfiguration"]
    arn = vector["embeddingModelArn"]
    found = re.fullmatch(r"arn:aws:bedrock:([a-z0-9-]+)::foundation-model/(.+)", arn)
    if not found or found.group(2) not in MODELS or found.group(1) != kb.arn.split(":")[3]:
        raise validation(f"The embedding model {arn} is not supported for knowledge bases in this Region.")
    asked = (vector.get("embeddingModelConfiguration") or {}).get("bedrockEmbeddingModelConfiguration") or {}
    if "dimensions" in asked and asked["dimensions"] not in MODELS[found.group(2)]:
        raise validation(f"The embedding model {found.group(2)} does not support {asked['dimensions']} dimensions.")
    if not await world.roles.allowed(role, "bedrock:InvokeModel", arn, {}):
        raise validation(f"Knowledge base role {role.arn} is not able to call specified bedrock embedding model "
                         f"{arn}: User: {role.arn} is not authorized to perform: bedrock:InvokeModel on resource: {arn}")


def check_storage(storage):
    """Is it a storage configuration of a store that the double has?"""
    if storage.get("type") not in _STORES:
        raise validation(f"storageConfiguration must be of type {' or '.join(_STORES)}, with its configuration")
    _STORES[storage["type"]].check_storage(storage)


def shown(world, region, storage):
    """The storage configuration as GetKnowledgeBase has it."""
    return _STORES[storage["type"]].shown(world, region, storage)


def same(region, sent, storage):
    """Does an update name the same index? Nothing else may be sent."""
    return bool(sent) and sent.get("type") == storage["type"] and _STORES[storage["type"]].same(region, sent, storage)


async def open_index(world, region, kb, role, purpose):
    """The index of a knowledge base, if role, policies and the index itself allow what Bedrock wants of it."""
    return await _STORES[kb.storage["type"]].open_index(world, region, kb, role, purpose)


def check_index(world, region, kb, index):
    """Is the index one that this knowledge base can write to? Terminal if not: it must be made anew (§5)."""
    _STORES[kb.storage["type"]].check_index(world, region, kb, index, dimension(kb))


def named_index(region, kb):
    """The index by its name, every time: it may be deleted, or made anew and empty, under a running job."""
    return _STORES[kb.storage["type"]].named_index(region, kb)


def filters_missing(world, region, kb):
    """Operators of filters that Bedrock does not have on this store."""
    return _STORES[kb.storage["type"]].filters_missing(world, region)


def check_search(world, region, kb, index, search):
    """Refuse what this store cannot search for."""
    _STORES[kb.storage["type"]].check_search(world, region, kb, index, search)


def reach(world, region, kb, index, most):
    """How many of the nearest passages a filter is held against, where so many are wanted; None: all."""
    return _STORES[kb.storage["type"]].reach(world, region, index, most)


def check_document(world, region, kb, sidecar, parts):
    """Refuse a document that this store cannot take. `sidecar` is its file's size."""
    _STORES[kb.storage["type"]].check_document(world, region, sidecar, parts)


def write(world, region, kb, record, parts):
    """Put a document's chunks into the index that the knowledge base names."""
    _STORES[kb.storage["type"]].write(world, region, named_index(region, kb), record, parts)


async def check_all(world, region, kb, role_arn=None):
    """Everything CreateKnowledgeBase checks, in its order."""
    role = await role_of(world, kb, role_arn)
    await check_model(world, kb, role)
    check_index(world, region, kb, await open_index(world, region, kb, role, CREATE))
