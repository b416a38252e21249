"""Ingestion jobs as the API shows them: started, listed, stopped. What a job does is in ingestion.py (aws-facts §1.1, §2.1)."""

from . import ingestion
from .bedrock_common import kb_of, once, table
from .bedrock_sources import source_of
from .errors import AwsError, conflict, not_found, validation
from .state import Job, new_id, page

OPERATIONS, operation = table()


def job_of(region, params):
    source = source_of(region, params)
    job = source.jobs.get(params["ingestionJobId"])
    if job is None:
        raise not_found(f"IngestionJob with id {params['ingestionJobId']} does not exist.")
    return job


def wire(job, summary=False):
    return {"knowledgeBaseId": job.source.kb.id, "dataSourceId": job.source.id, "ingestionJobId": job.id,
            "description": job.description, "status": job.status, "statistics": job.statistics,
            "startedAt": job.started, "updatedAt": job.updated,
            **({} if summary else {"failureReasons": job.failures or None})}


@operation("StartIngestionJob")
async def start(world, region, call, params):
    async def act():
        kb, source = kb_of(region, params["knowledgeBaseId"]), source_of(region, params)
        if kb.status != "ACTIVE":
            raise validation(f"Knowledge base {kb.id} is in {kb.status} state.")
        if source.status != "AVAILABLE":
            raise validation(f"Data source {source.id} is in {source.status} state.")
        running = [j for k in region.kbs.values() for s in k.sources.values() for j in s.jobs.values() if j.running]
        mine, most = [j for j in running if j.source.kb is kb], world.settings.limit(region.account, "jobs_per_kb")
        if len(mine) >= most:
            raise conflict(f"Ongoing ingestion job {mine[0].id}: the maximum number of concurrent ingestion jobs per "
                           f"knowledge base: {most} is reached.")
        if len(running) >= world.settings.limit(region.account, "jobs"):
            raise AwsError("ServiceQuotaExceededException", "You have reached the maximum number of concurrent "
                           f"ingestion jobs per account: {world.settings.limit(region.account, 'jobs')}")
        now = world.clock.now()
        job = Job(new_id(10, upper=True), source, now, now, params.get("description"), statistics=ingestion.statistics())
        source.jobs[job.id] = job
        call.resource = f"{kb.id}/{source.id}/{job.id}"
        world.spawn(ingestion.run(world, region, job))
        return {"ingestionJob": wire(job)}
    return await once(region, "StartIngestionJob", params, act)


@operation("GetIngestionJob")
async def get(world, region, call, params):
    return {"ingestionJob": wire(job_of(region, params))}


@operation("StopIngestionJob")
async def stop(world, region, call, params):
    job = job_of(region, params)
    if job.status not in ("STARTING", "IN_PROGRESS"):
        raise conflict(f"IngestionJob {job.id} is in {job.status} state and cannot be stopped.")
    job.status, job.updated = "STOPPING", world.clock.now()
    job.stop.set()
    return {"ingestionJob": wire(job)}


@operation("ListIngestionJobs")
async def list_all(world, region, call, params):
    source = source_of(region, params)
    found = [j for j in source.jobs.values() if world.clock.after(region.account, "list", j.started)]
    for wanted in params.get("filters") or []:
        if wanted["attribute"] != "STATUS" or wanted["operator"] != "EQ":
            raise validation("Only STATUS EQ can be filtered by")
        found = [j for j in found if j.status in wanted["values"]]
    order = params.get("sortBy") or {"attribute": "STARTED_AT", "order": "DESCENDING"}
    found.sort(key=lambda j: j.status if order["attribute"] == "STATUS" else j.started,
               reverse=order["order"] == "DESCENDING")
    items, token = page(world.settings, region.account, found, params)
    return {"ingestionJobSummaries": [wire(j, summary=True) for j in items], "nextToken": token}
