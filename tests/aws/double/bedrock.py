"""Bedrock Knowledge Bases: knowledge bases, their tags, and the dispatch of `bedrock` calls (aws-facts §1.1, §1.4).

bedrock, bedrock-agent and bedrock-agent-runtime share a signing name; their paths tell them apart.
"""

import re

from . import asked, bedrock_documents, bedrock_jobs, bedrock_models, bedrock_sources, gate, retrieve, store
from .bedrock_common import kb_of, once, table
from .errors import AwsError, conflict, validation
from .model import parse_json, parse_rest, route
from .state import KnowledgeBase, new_id, page

OPERATIONS, operation = table()


def locate(call):
    """(service, operation, labels) of a request, by the models' routes."""
    for service in ("bedrock-agent", "bedrock-agent-runtime", "bedrock"):
        found = route(service, call.method, call.raw_path)
        if found:
            return service, *found
    raise AwsError("UnknownOperationException", f"no such operation: {call.method} {call.path}")


async def answer(world, call):
    service, name, labels = locate(call)
    call.service, call.operation = service, name
    call.resource = "/".join(labels.values())
    call.params = parse_json(call.body)         # for the journal, should the model refuse them
    params = call.params = parse_rest(service, name, labels, call.query, call.body)
    call.resource = call.resource or params.get("name", "")
    call.asked = asked.of(world.region(call.account, call.region), name, params)
    await gate.pass_through(world, call)
    tables = (OPERATIONS, bedrock_sources.OPERATIONS, bedrock_jobs.OPERATIONS, bedrock_documents.OPERATIONS,
              bedrock_models.OPERATIONS, retrieve.OPERATIONS)
    found = next((table[name] for table in tables if name in table), None)
    if found is None:
        raise AwsError("NotImplementedByDouble", f"{name} is not part of the double")
    return await found(world, world.region(call.account, call.region), call, params)


def wire(world, region, kb):
    return {"knowledgeBaseId": kb.id, "name": kb.name, "knowledgeBaseArn": kb.arn, "description": kb.description,
            "roleArn": kb.role, "knowledgeBaseConfiguration": kb.configuration, "storageConfiguration": store.shown(world, region, kb.storage),
            "status": kb.status, "createdAt": kb.created, "updatedAt": kb.updated,
            "failureReasons": kb.failures or None}


@operation("CreateKnowledgeBase")
async def create(world, region, call, params):
    async def act():
        account = region.account
        if params["knowledgeBaseConfiguration"]["type"] != "VECTOR":
            raise AwsError("NotImplementedByDouble", "only VECTOR knowledge bases are part of the double")
        storage = params.get("storageConfiguration") or {}
        store.check_storage(storage)
        if not params["knowledgeBaseConfiguration"].get("vectorKnowledgeBaseConfiguration"):
            raise validation("vectorKnowledgeBaseConfiguration is required for type VECTOR")
        if params["roleArn"].split(":")[4] != account:
            raise validation("The role must belong to the account of the knowledge base.")
        if any(kb.name == params["name"] for kb in region.kbs.values()):
            raise conflict(f"KnowledgeBase with name {params['name']} already exists.")
        if len(region.kbs) >= world.settings.limit(account, "knowledge_bases"):
            raise AwsError("ServiceQuotaExceededException", "You have reached the maximum number of knowledge bases: "
                           f"{world.settings.limit(account, 'knowledge_bases')}")
        identifier, now = new_id(10, upper=True), world.clock.now()
        kb = KnowledgeBase(
            id=identifier, arn=f"arn:aws:bedrock:{region.name}:{account}:knowledge-base/{identifier}",
            name=params["name"], role=params["roleArn"], configuration=params["knowledgeBaseConfiguration"],
            storage=storage, created=now, updated=now, description=params.get("description"),
            tags=dict(params.get("tags") or {}))
        await store.check_all(world, region, kb)
        if any(other.name == kb.name for other in region.kbs.values()):
            raise conflict(f"KnowledgeBase with name {kb.name} already exists.")   # made while this one was checked
        region.kbs[identifier] = kb
        call.resource = identifier
        world.spawn(_becomes(world, region, kb, "kb_create", "CREATING", "ACTIVE"))
        return {"knowledgeBase": wire(world, region, kb)}
    return await once(region, "CreateKnowledgeBase", params, act)


async def _becomes(world, region, kb, dwell, before, after):
    await world.clock.dwell(region.account, dwell, kb.name)
    if kb.status == before:
        kb.status, kb.updated = after, world.clock.now()


@operation("GetKnowledgeBase")
async def get(world, region, call, params):
    return {"knowledgeBase": wire(world, region, kb_of(region, params["knowledgeBaseId"]))}


@operation("ListKnowledgeBases")
async def list_all(world, region, call, params):
    found = [kb for kb in region.kbs.values() if world.clock.after(region.account, "list", kb.created)]
    items, token = page(world.settings, region.account, found, params)
    return {"knowledgeBaseSummaries": [{"knowledgeBaseId": kb.id, "name": kb.name, "description": kb.description,
                                        "status": kb.status, "updatedAt": kb.updated} for kb in items],
            "nextToken": token}


@operation("UpdateKnowledgeBase")
async def update(world, region, call, params):
    """A full overwrite in which only name, description and roleArn may differ (§1.1)."""
    kb = kb_of(region, params["knowledgeBaseId"])
    if kb.status in ("CREATING", "UPDATING", "DELETING"):
        raise conflict(f"KnowledgeBase {kb.id} is in {kb.status} state.")
    if params["knowledgeBaseConfiguration"] != kb.configuration:
        raise validation("knowledgeBaseConfiguration cannot be changed")
    if not store.same(region, params.get("storageConfiguration"), kb.storage):
        raise validation("storageConfiguration cannot be changed")
    if any(o is not kb and o.name == params["name"] for o in region.kbs.values()):
        raise conflict(f"KnowledgeBase with name {params['name']} already exists.")
    if params["roleArn"] != kb.role:
        await store.check_all(world, region, kb, params["roleArn"])
    else:
        await store.role_of(world, kb)
    kb.name, kb.role, kb.description = params["name"], params["roleArn"], params.get("description")
    kb.status, kb.updated, kb.failures = "UPDATING", world.clock.now(), []
    world.spawn(_becomes(world, region, kb, "kb_update", "UPDATING", "ACTIVE"))
    return {"knowledgeBase": wire(world, region, kb)}


@operation("DeleteKnowledgeBase")
async def delete(world, region, call, params):
    kb = kb_of(region, params["knowledgeBaseId"])
    if kb.status in ("CREATING", "UPDATING", "DELETING"):
        raise conflict(f"KnowledgeBase {kb.id} is in {kb.status} state.")
    if any(job.running for source in kb.sources.values() for job in source.jobs.values()):
        raise conflict(f"KnowledgeBase {kb.id} has an ingestion job in progress.")
    kb.status, kb.updated, kb.failures = "DELETING", world.clock.now(), []
    world.spawn(_delete(world, region, kb))
    return {"knowledgeBaseId": kb.id, "status": kb.status}


async def _delete(world, region, kb):
    """Deleting cascades to the data sources, each by its own policy; one that fails stops it all (§5.5, §5.7)."""
    for source in kb.sources.values():
        source.status = "DELETING"
    await world.clock.dwell(region.account, "kb_delete", kb.name)
    for source in list(kb.sources.values()):
        failure = await bedrock_sources.erase(world, region, source)
        if failure:
            kb.failures.append(failure)
    kb.updated = world.clock.now()
    if kb.failures:
        kb.status = "DELETE_UNSUCCESSFUL"
    else:
        region.kbs.pop(kb.id, None)


def _tagged(region, arn):
    found = re.fullmatch(rf"arn:aws:bedrock:{region.name}:{region.account}:([a-z-]+)/(.+)", arn)
    if not found or found.group(1) != "knowledge-base":
        # Data sources and jobs are not taggable (§1.1).
        raise validation(f"{arn} is not the ARN of a taggable resource")
    return kb_of(region, found.group(2)).tags


@operation("ListTagsForResource")
async def list_tags(world, region, call, params):
    return {"tags": _tagged(region, params["resourceArn"])}


@operation("TagResource")
async def tag(world, region, call, params):
    tags = _tagged(region, params["resourceArn"])
    if len(tags | params["tags"]) > 200:
        raise AwsError("ServiceQuotaExceededException", "too many tags")
    tags.update(params["tags"])
    return {}


@operation("UntagResource")
async def untag(world, region, call, params):
    tags = _tagged(region, params["resourceArn"])
    for key in params["tagKeys"]:
        tags.pop(key, None)
    return {}
