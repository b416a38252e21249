"""Data sources: created AVAILABLE, overwritten by updates, and deleted with or without their vectors (aws-facts §1.1, §5.5)."""

from . import store, upstream
from .bedrock_common import kb_of, once, table
from .errors import AwsError, conflict, not_found, validation
from .state import DataSource, new_id, page

OPERATIONS, operation = table()


def source_of(region, params):
    source = kb_of(region, params["knowledgeBaseId"]).sources.get(params["dataSourceId"])
    if source is None:
        raise not_found(f"DataSource with id {params['dataSourceId']} in knowledge base with id "
                        f"{params['knowledgeBaseId']} does not exist.")
    return source


def wire(world, source):
    empty = world.settings.switch(source.kb.arn.split(":")[4], "unset") == "empty"
    shown = _wire(source)
    return {**shown, **{name: shown[name] or value for name, value in _EMPTY.items()}} if empty else shown


# What an answer has in place of what nobody has set, with the switch `unset`.
_EMPTY = {"description": "", "serverSideEncryptionConfiguration": {}, "failureReasons": []}


def _wire(source):
    return {"knowledgeBaseId": source.kb.id, "dataSourceId": source.id, "name": source.name, "status": source.status,
            "description": source.description, "dataSourceConfiguration": source.configuration,
            "serverSideEncryptionConfiguration": source.encryption, "vectorIngestionConfiguration": source.ingestion,
            "dataDeletionPolicy": source.deletion_policy, "createdAt": source.created, "updatedAt": source.updated,
            "failureReasons": source.failures or None}


def bucket_of(source):
    return source.configuration["s3Configuration"]["bucketArn"].split(":::")[1]


def _check_configuration(params):
    configuration = params["dataSourceConfiguration"]
    if configuration["type"] != "S3":
        raise AwsError("NotImplementedByDouble", "only S3 data sources are part of the double")
    if not configuration.get("s3Configuration"):
        raise validation("s3Configuration is required for type S3")
    chunking = (params.get("vectorIngestionConfiguration") or {}).get("chunkingConfiguration")
    if chunking:
        wanted = {"FIXED_SIZE": "fixedSizeChunkingConfiguration", "HIERARCHICAL": "hierarchicalChunkingConfiguration",
                  "SEMANTIC": "semanticChunkingConfiguration"}.get(chunking["chunkingStrategy"])
        given = [k for k, v in chunking.items() if k.endswith("ChunkingConfiguration") and v]
        # Without its configuration a strategy has defaults; another strategy's is a mistake.
        if [k for k in given if k != wanted]:
            raise validation(f"{given[0]} does not belong to chunkingStrategy {chunking['chunkingStrategy']}")


@operation("CreateDataSource")
async def create(world, region, call, params):
    async def act():
        kb = kb_of(region, params["knowledgeBaseId"])
        if kb.status in ("CREATING", "DELETING", "FAILED"):
            raise conflict(f"KnowledgeBase {kb.id} is in {kb.status} state.")
        _check_configuration(params)
        if any(s.name == params["name"] for s in kb.sources.values()):
            raise conflict(f"DataSource with name {params['name']} already exists.")
        if len(kb.sources) >= world.settings.limit(region.account, "data_sources_per_kb"):
            raise AwsError("ServiceQuotaExceededException", "You have reached the maximum number of data sources.")
        await store.role_of(world, kb)
        now = world.clock.now()
        source = DataSource(
            id=new_id(10, upper=True), kb=kb, name=params["name"], configuration=params["dataSourceConfiguration"],
            created=now, updated=now, description=params.get("description"),
            deletion_policy=params.get("dataDeletionPolicy", "DELETE"),
            encryption=params.get("serverSideEncryptionConfiguration"),
            ingestion=params.get("vectorIngestionConfiguration"))
        kb.sources[source.id] = source
        call.resource = f"{kb.id}/{source.id}"
        return {"dataSource": wire(world, source)}
    return await once(region, "CreateDataSource", params, act)


@operation("GetDataSource")
async def get(world, region, call, params):
    return {"dataSource": wire(world, source_of(region, params))}


@operation("ListDataSources")
async def list_all(world, region, call, params):
    kb = kb_of(region, params["knowledgeBaseId"])
    found = [s for s in kb.sources.values() if world.clock.after(region.account, "list", s.created)]
    items, token = page(world.settings, region.account, found, params)
    return {"dataSourceSummaries": [{"knowledgeBaseId": kb.id, "dataSourceId": s.id, "name": s.name, "status": s.status,
                                     "description": s.description, "updatedAt": s.updated} for s in items],
            "nextToken": token}


@operation("UpdateDataSource")
async def update(world, region, call, params):
    """A full overwrite: what is left out is gone, and the deletion policy back to DELETE. The ingestion
    configuration must be sent again unchanged (§1.1). Works from DELETE_UNSUCCESSFUL: that is the way out of it (§5.5)."""
    source = source_of(region, params)
    if source.status in ("DELETING", "CREATING", "UPDATING"):
        raise conflict(f"DataSource {source.id} is in {source.status} state.")
    _check_configuration(params)
    if params.get("vectorIngestionConfiguration") != source.ingestion:
        raise validation("The vectorIngestionConfiguration of a data source cannot be changed")
    if any(s is not source and s.name == params["name"] for s in source.kb.sources.values()):
        raise conflict(f"DataSource with name {params['name']} already exists.")
    source.name, source.configuration = params["name"], params["dataSourceConfiguration"]
    source.description = params.get("description")
    source.deletion_policy = params.get("dataDeletionPolicy", "DELETE")
    source.encryption = params.get("serverSideEncryptionConfiguration")
    source.status, source.failures, source.updated = "AVAILABLE", [], world.clock.now()
    return {"dataSource": wire(world, source)}


@operation("DeleteDataSource")
async def delete(world, region, call, params):
    source = source_of(region, params)
    if source.status == "DELETING":
        raise conflict(f"DataSource {source.id} is in DELETING state.")
    if any(job.running for job in source.jobs.values()):
        raise conflict(f"DataSource {source.id} has an ingestion job in progress.")
    source.status, source.failures, source.updated = "DELETING", [], world.clock.now()

    async def deleted():
        await world.clock.dwell(region.account, "data_source_delete", source.name)
        await erase(world, region, source)
    world.spawn(deleted())
    return {"knowledgeBaseId": source.kb.id, "dataSourceId": source.id, "status": source.status}


async def erase(world, region, source):
    """Remove a data source; under DELETE its vectors too. Returns the failure, if Bedrock could not do it.

    Under DELETE it needs the role, the store, the index and the bucket; whatever went first makes it
    DELETE_UNSUCCESSFUL. Under RETAIN it needs nothing, and the vectors stay behind (§5.5, §5.6)."""
    if source.deletion_policy == "DELETE":
        try:
            role = await store.role_of(world, source.kb)
            index = await store.open_index(world, region, source.kb, role, store.ERASE)
            await upstream.api(region.account, region.name, "s3", "HeadBucket", Bucket=bucket_of(source))
        except AwsError as error:
            failure = (f"Unable to delete data from vector store for data source with ID {source.id}. Check your vector "
                       "store configurations and permissions and retry your request. If the issue persists, consider "
                       f"updating the dataDeletionPolicy of the data source to RETAIN and retry your request. {error.message}")[:2048]
            source.status, source.failures, source.updated = "DELETE_UNSUCCESSFUL", [failure], world.clock.now()
            return failure
        for record in [record for record in index.records if record[0] == source.id]:
            index.drop(record)
    source.kb.sources.pop(source.id, None)
    return None
