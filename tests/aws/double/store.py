"""What Bedrock checks before it uses a role and a vector store: at CreateKnowledgeBase, at ingestion, at Retrieve,
and when it has to delete vectors. Each refusal has the message of aws-facts §5; they are all ValidationExceptions.
"""

import re

from . import access, aoss_index, index_schema, organization
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
INVALID = "The knowledge base storage configuration provided is invalid... "
FORBIDDEN = INVALID + "Request failed: [security_exception] 403 Forbidden"


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


async def open_index(world, region, kb, role, permissions):
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
    if not all(data(p) for p in permissions):
        raise validation(INVALID + "Request failed: [security_exception] all shards failed")
    if world.settings.switch(region.account, "kb_needs_collection_permission") and not access.data_allows(
            world, region, role.arn, "aoss:DescribeCollectionItems", collection.name):
        raise validation(FORBIDDEN)
    index = aoss_index.visible(world, region, collection, name)
    if index is None:
        raise validation(INVALID + f"Dependency error document status code: 404, error message: no such index [{name}]")
    return index


def check_mapping(kb, index):
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
    if vector["dimension"] != dimension(kb):
        raise validation(INVALID + f"Request failed: Query vector has invalid dimension: {dimension(kb)}. "
                         f"Dimension should be: {vector['dimension']}")
    for member in ("textField", "metadataField"):
        if known.get(fields[member], {"type": "text"}).get("type") != "text":
            raise validation(INVALID + f"Request failed: field '{fields[member]}' is not of type text.")


READ = ("aoss:ReadDocument",)
WRITE = ("aoss:ReadDocument", "aoss:WriteDocument")
CREATE = ("aoss:ReadDocument", "aoss:WriteDocument", "aoss:UpdateIndex")


async def check_all(world, region, kb, role_arn=None):
    """Everything CreateKnowledgeBase checks, in its order."""
    role = await role_of(world, kb, role_arn)
    await check_model(world, kb, role)
    index = await open_index(world, region, kb, role, CREATE)
    check_mapping(kb, index)
