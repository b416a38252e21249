"""What became of each document of a data source: ListKnowledgeBaseDocuments and GetKnowledgeBaseDocuments (aws-facts §1.1)."""

from .bedrock_sources import bucket_of, source_of
from .errors import validation
from .state import page

OPERATIONS = {}


def _wire(world, region, source, uri, status, reason, updated):
    if world.settings.switch(region.account, "document_states") == "bare":
        reason, updated = reason if status == "IGNORED" else None, None
    return {"knowledgeBaseId": source.kb.id, "dataSourceId": source.id, "status": status, "statusReason": reason,
            "identifier": {"dataSourceType": "S3", "s3": {"uri": uri}}, "updatedAt": updated}


def _known(source):
    return {f"s3://{bucket_of(source)}/{key}": found for key, found in sorted(source.documents.items())}


async def _list(world, region, call, params):
    most = world.settings.limit(region.account, "documents_page")
    if (params.get("maxResults") or 0) > most:
        raise validation(f"maxResults must be less than or equal to {most}")
    source = source_of(region, params)
    items, token = page(world.settings, region.account, list(_known(source).items()), params)
    return {"documentDetails": [_wire(world, region, source, uri, *found) for uri, found in items], "nextToken": token}


async def _get(world, region, call, params):
    source = source_of(region, params)
    known, now = _known(source), world.clock.now()
    asked = [identifier.get("s3", {}).get("uri", "") for identifier in params["documentIdentifiers"]]
    # What is not there is not an error but a status.
    return {"documentDetails": [_wire(world, region, source, uri, *known.get(uri, ("NOT_FOUND", None, now))) for uri in asked]}


OPERATIONS |= {"ListKnowledgeBaseDocuments": _list, "GetKnowledgeBaseDocuments": _get}
