"""Retrieve and RetrieveAndGenerate: the records that jobs wrote into the named index, scored by the words they share with the question.

Without a filter everybody's records are searched: that is how Bedrock works, and what isolation must be tested
against (aws-facts §1.4, §7).
"""

import collections
import math
import re
import uuid
import zlib

from . import filters, store
from .errors import AwsError, not_found, validation

OPERATIONS = {}
DEFAULT_RESULTS = 5


async def _retrieve(world, region, call, params):
    identifier = params["knowledgeBaseId"].rsplit("/", 1)[-1]
    kb = region.kbs.get(identifier)
    if kb is None:
        raise not_found(f"Knowledge Base with id {identifier} does not exist")
    if kb.status not in ("ACTIVE", "UPDATING"):
        raise validation(f"Knowledge Base {identifier} is in {kb.status} state")
    query = params["retrievalQuery"].get("text")
    if not query or not query.strip():
        raise validation("The retrieval query needs a text")
    if len(query) > 1000:
        raise validation("The retrieval query can have 1000 characters at most")
    search = (params.get("retrievalConfiguration") or {}).get("vectorSearchConfiguration") or {}
    if search.get("implicitFilterConfiguration") or search.get("rerankingConfiguration"):
        raise AwsError("NotImplementedByDouble", "implicit filters and reranking are not part of the double")
    wanted = search.get("filter")
    if wanted:
        filters.check(wanted)
        wanted = _supported(world, region, wanted)
    role = await store.role_of(world, kb)
    await store.check_model(world, kb, role)
    index = await store.open_index(world, region, kb, role, store.READ)
    store.check_mapping(kb, index)
    found = [(uri, source, chunk) for (source, uri), chunks in index.records.items() for chunk in chunks
             if world.clock.after(region.account, "vectors", chunk["written"])
             and (not wanted or filters.matches(wanted, _metadata(uri, source, chunk)))]
    best = _ranked(query, found)[:search.get("numberOfResults", DEFAULT_RESULTS)]
    return {"retrievalResults": [
        {"content": {"type": "TEXT", "text": chunk["text"]},
         "location": {"type": "S3", "s3Location": {"uri": uri}},
         "metadata": _metadata(uri, source, chunk), "score": score} for score, uri, source, chunk in best]}


OPERATIONS["Retrieve"] = _retrieve


async def _retrieve_and_generate(world, region, call, params):
    """The passages themselves, in place of a model's words, each as its own citation."""
    how = params.get("retrieveAndGenerateConfiguration") or {}
    base = how.get("knowledgeBaseConfiguration")
    if how.get("type") != "KNOWLEDGE_BASE" or not base:
        raise AwsError("NotImplementedByDouble", "only answers from a knowledge base are part of the double")
    found = await _retrieve(world, region, call, {
        "knowledgeBaseId": base["knowledgeBaseId"], "retrievalQuery": params["input"],
        "retrievalConfiguration": base.get("retrievalConfiguration")})
    citations, text = [], ""
    for result in found["retrievalResults"]:
        said = result["content"]["text"]
        span = {"start": len(text), "end": len(text) + max(len(said) - 1, 0)}
        citations.append({"generatedResponsePart": {"textResponsePart": {"text": said, "span": span}},
                          "retrievedReferences": [{k: result[k] for k in ("content", "location", "metadata")}]})
        text += said + "\n"
    return {"sessionId": params.get("sessionId") or str(uuid.uuid4()), "output": {"text": text}, "citations": citations}


OPERATIONS["RetrieveAndGenerate"] = _retrieve_and_generate


def _supported(world, region, wanted):
    """A filter with what the store does not support refused, or silently left out: then it finds too much (§0.1)."""
    missing = set(world.settings.switch(region.account, "unsupported_filters"))
    (operator, content), = wanted.items()
    if operator in missing:
        if world.settings.switch(region.account, "unsupported_filter") == "fail":
            raise validation(f"The vector store does not support the filter {operator}")
        return None
    if operator in filters.LISTS:
        kept = [inner for inner in (_supported(world, region, c) for c in content) if inner]
        return {operator: kept} if kept else None
    return wanted


def _metadata(uri, source, chunk):
    return {**chunk["metadata"], "x-amz-bedrock-kb-source-uri": uri, "x-amz-bedrock-kb-data-source-id": source,
            "x-amz-bedrock-kb-chunk-id": f"{source}-{zlib.crc32(uri.encode()):x}-{chunk['part']}"}


def _words(text):
    return re.findall(r"\w+", text.lower())


def _ranked(query, found):
    """BM25 over the candidates, squeezed into 0..1. Like a vector search it always has nearest ones, so what shares
    no word with the question is ranked last, not left out."""
    asked = set(_words(query))
    counts = [collections.Counter(_words(chunk["text"])) for _, _, chunk in found]
    lengths = [sum(c.values()) for c in counts]
    average = (sum(lengths) / len(lengths) if lengths else 0) or 1
    inverse = {}
    for word in asked:
        holding = sum(1 for c in counts if word in c)
        inverse[word] = math.log(1 + (len(counts) - holding + 0.5) / (holding + 0.5))
    scored = []
    for (uri, source, chunk), words, length in zip(found, counts, lengths):
        score = sum(inverse[w] * words[w] * 2.2 / (words[w] + 1.2 * (0.25 + 0.75 * length / average))
                    for w in asked if w in words)
        scored.append((round(score / (score + 5), 6), uri, source, chunk))
    return sorted(scored, key=lambda s: (-s[0], s[1], s[3]["part"]))
