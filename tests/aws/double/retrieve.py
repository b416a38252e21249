"""Retrieve and RetrieveAndGenerate: the records that jobs wrote into the named index, scored by the words they share with the question.

Without a filter everybody's records are searched: that is how Bedrock works, and what isolation must be tested
against (aws-facts §1.4, §7).
"""

import collections
import json
import math
import re
import secrets
import uuid
import zlib

from . import filters, store, unsound
from .errors import AwsError, not_found, validation

OPERATIONS = {}
DEFAULT_RESULTS = 5


async def _retrieve(world, region, call, params):
    call.bend = unsound.bending(world.settings.switch(region.account, "bent_answers"))
    if params.get("guardrailConfiguration") or params.get("userContext"):
        raise AwsError("NotImplementedByDouble", "guardrails and user contexts are not part of the double")
    kb = _kb(region, params["knowledgeBaseId"])
    asked = (kb.id, json.dumps({k: v for k, v in params.items() if k != "nextToken"}, sort_keys=True))
    if params.get("nextToken"):
        passages = _left(world, region, asked, params["nextToken"])
    else:
        passages = await _passages(world, region, kb, params)
    size = world.settings.of(region.account)["retrieve_page"] or len(passages)
    answer = {"retrievalResults": passages[:size]}
    if passages[size:]:
        answer["nextToken"] = secrets.token_urlsafe(48)
        region.passages[answer["nextToken"]] = (asked, passages[size:])
    return answer


OPERATIONS["Retrieve"] = _retrieve


def _kb(region, named):
    identifier = named.rsplit("/", 1)[-1]
    kb = region.kbs.get(identifier)
    if kb is None or ":" in named and named != kb.arn:
        raise not_found(f"Knowledge Base with id {identifier} does not exist")
    if kb.status not in ("ACTIVE", "UPDATING"):
        raise validation(f"Knowledge Base {identifier} is in {kb.status} state")
    return kb


def _left(world, region, asked, token):
    """The passages behind a token. Whether it is bound to the question that it was given for, nobody says."""
    question, passages = region.passages.get(token, (None, None))
    bound = world.settings.switch(region.account, "next_token") == "bound"
    if passages is None or bound and question != asked:
        raise validation("The nextToken is invalid.")
    return passages


async def _passages(world, region, kb, params):
    """All passages that answer, best first."""
    query = params["retrievalQuery"].get("text")
    if not query or not query.strip():
        raise validation("The retrieval query needs a text")
    if len(query) > 1000:
        raise validation("The retrieval query can have 1000 characters at most")
    search = _search(world, region, params.get("retrievalConfiguration") or {})
    wanted = unsound.honoured(world, region.account, search.get("filter"), store.filters_missing(world, region, kb))
    role = await store.role_of(world, kb)
    await store.check_model(world, kb, role)
    index = await store.open_index(world, region, kb, role, store.READ)
    store.check_index(world, region, kb, index)
    store.check_search(world, region, kb, index, search)
    await world.clock.dwell(region.account, "retrieve", kb.id)

    def shown(uri, source, chunk):
        own = unsound.metadata(world, region.account, uri, chunk["metadata"])
        return {**own, "x-amz-bedrock-kb-source-uri": uri, "x-amz-bedrock-kb-data-source-id": source,
                "x-amz-bedrock-kb-chunk-id": f"{source}-{zlib.crc32(uri.encode()):x}-{chunk['part']}"}
    most = search.get("numberOfResults", DEFAULT_RESULTS)
    found = [(uri, source, chunk) for (source, uri), chunks in index.records.items() for chunk in chunks
             if world.clock.after(region.account, "vectors", chunk["written"])]
    if wanted:
        reach = store.reach(world, region, kb, index, most)
        looked_at = found if reach is None else [one for _, *one in _ranked(query, found)[:reach]]
        found = [(uri, source, chunk) for uri, source, chunk in looked_at if filters.matches(wanted, shown(uri, source, chunk))]
    best = [*((1.0, *one) for one in unsound.mixed(world, region, index, found)), *_ranked(query, found)]
    return [{"content": {"type": "TEXT", "text": chunk["text"]}, "location": {"type": "S3", "s3Location": {"uri": uri}},
             "metadata": shown(uri, source, chunk), "score": score}
            for score, uri, source, chunk in best[:most]]


def _search(world, region, configuration):
    """What the question says of the search. There are two places for it, and the second is for managed knowledge bases."""
    search, managed = (configuration.get(f"{kind}SearchConfiguration") or {} for kind in ("vector", "managed"))
    for place in (search, managed):
        if place.get("filter"):
            filters.check(place["filter"])
        if place.get("implicitFilterConfiguration") or place.get("rerankingConfiguration"):
            raise AwsError("NotImplementedByDouble", "implicit filters and reranking are not part of the double")
    if managed and world.settings.switch(region.account, "managed_search") == "refused":
        raise validation("managedSearchConfiguration is only supported for managed knowledge bases")
    return search


async def _retrieve_and_generate(world, region, call, params):
    """The passages themselves, in place of a model's words, each as its own citation."""
    how = params.get("retrieveAndGenerateConfiguration") or {}
    base = how.get("knowledgeBaseConfiguration")
    if how.get("type") != "KNOWLEDGE_BASE" or not base:
        raise AwsError("NotImplementedByDouble", "only answers from a knowledge base are part of the double")
    found = await _passages(world, region, _kb(region, base["knowledgeBaseId"]), {
        "retrievalQuery": params["input"], "retrievalConfiguration": base.get("retrievalConfiguration")})
    citations, text = [], ""
    for result in found:
        said = result["content"]["text"]
        span = {"start": len(text), "end": len(text) + max(len(said) - 1, 0)}
        citations.append({"generatedResponsePart": {"textResponsePart": {"text": said, "span": span}},
                          "retrievedReferences": [{k: result[k] for k in ("content", "location", "metadata")}]})
        text += said + "\n"
    return {"sessionId": params.get("sessionId") or str(uuid.uuid4()), "output": {"text": text}, "citations": citations}


OPERATIONS["RetrieveAndGenerate"] = _retrieve_and_generate


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
