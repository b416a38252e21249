"""What IAM is asked for each call of Bedrock's knowledge bases (service authorization reference; aws-facts §4.5, §7)."""

from . import bedrock_models
from .demand import Demand, request_tags, resource_tags
from .demands_iam import pass_role

_NO_RESOURCE = {"CreateKnowledgeBase", "ListKnowledgeBases"}
SERVICE = "bedrock.amazonaws.com"


async def of(world, call, role):
    params, action = call.params, f"bedrock:{call.operation}"
    region, base = world.region(call.account, call.region), f"arn:aws:bedrock:{call.region}:{call.account}:knowledge-base/"
    tags = request_tags(params.get("tags") or {})
    if call.operation == "RetrieveAndGenerate":
        how = (params.get("retrieveAndGenerateConfiguration") or {}).get("knowledgeBaseConfiguration") or {}
        model = how.get("modelArn", "*")
        model = model if model.startswith("arn:") else f"arn:aws:bedrock:{call.region}::foundation-model/{model}"
        kb = how.get("knowledgeBaseId", "*")
        return [Demand(action, "*"), Demand("bedrock:Retrieve", base + kb, _tags_at_retrieve(world, region, kb)),
                Demand("bedrock:InvokeModel", model)]
    if call.operation == "GetFoundationModel":
        return [Demand(action, bedrock_models.arn(call.region, params["modelIdentifier"]))]
    if call.operation in _NO_RESOURCE:
        demands = [Demand(action, "*", tags, shown=base + "*")]
        if params.get("tags"):
            demands.append(Demand("bedrock:TagResource", base + "*", tags))
        if params.get("roleArn"):
            demands.append(await pass_role(world, params["roleArn"], SERVICE))
        return demands
    arn = params.get("resourceArn") or params.get("knowledgeBaseId") or "*"
    arn = arn if ":" in arn else base + arn
    if call.operation == "Retrieve":
        return [Demand(action, arn, _tags_at_retrieve(world, region, arn))]
    kb = region.kbs.get(arn.rsplit("/", 1)[-1])
    if params.get("tagKeys"):
        tags["aws:TagKeys"] = params["tagKeys"]
    demands = [Demand(action, arn, {**tags, **resource_tags(kb.tags if kb else {})})]
    if params.get("roleArn"):
        demands.append(await pass_role(world, params["roleArn"], SERVICE, arn))
    return demands


def _tags_at_retrieve(world, region, identifier):
    kb = region.kbs.get(identifier.rsplit("/", 1)[-1])
    return resource_tags(kb.tags) if kb and world.settings.switch(region.account, "retrieve_sees_tags") else {}
