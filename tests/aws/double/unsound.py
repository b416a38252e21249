"""Stores that are not sound: what a knowledge base must not do, done on purpose, so that whoever asks can show that it trusts none.

Three switches say what is found: `retrieve_filter`, `retrieve_passages`, `forged_metadata`. `bent_answers` says how the answer
looks, past what the model allows. Each of its entries has `of`: `answer`, or `first`, `last` or `every` passage; `with`: members to
put there, any JSON; `without`: names of members to leave out. In `with` `{uri}`, `{bucket}` and `{key}` are the passage's own.
"""

import fnmatch
import json

from . import filters
from .errors import validation


def honoured(world, account, wanted, missing=()):
    """As much of a filter as the store heeds; None: nothing. What it does not support (`missing`, and what the switch says) fails,
    or is silently left out: then it finds too much (aws-facts §0.1)."""
    manner = world.settings.switch(account, "retrieve_filter")
    if manner == "ignored" or not wanted:
        return None
    return _supported(wanted, {*missing, *world.settings.switch(account, "unsupported_filters")}, manner)


def _supported(wanted, missing, manner):
    (operator, content), = wanted.items()
    if operator in missing:
        if manner == "honoured":
            raise validation(f"The vector store does not support the filter {operator}")
        return None
    if operator in filters.LISTS:
        kept = [inner for inner in (_supported(c, missing, manner) for c in content) if inner]
        return {operator: kept} if kept else None
    return wanted


def metadata(world, account, uri, own):
    """What the store has of a document whose sidecar was forged."""
    key, told = uri.split("/", 3)[-1], dict(own)
    for forged in world.settings.switch(account, "forged_metadata"):
        if fnmatch.fnmatchcase(key, forged["key"]):
            told.update(forged["metadata"])
    return told


def mixed(world, region, index, found):
    """One passage that was not asked for, or none: of the same index, or else of another one of the account's."""
    if world.settings.switch(region.account, "retrieve_passages") == "own":
        return []
    mine = {(uri, source, chunk["part"]) for uri, source, chunk in found}
    indexes = [index, *(other for other in region.indexes() if other is not index)]
    others = ((uri, source, chunk) for i in indexes for (source, uri), chunks in i.records.items() for chunk in chunks)
    return next(([one] for one in others if (one[0], one[1], one[2]["part"]) not in mine), [])


def bending(rules):
    """What such rules make of an answer's bytes, or None."""
    def bend(body):
        answer = json.loads(body)
        passages = answer["retrievalResults"]
        chosen = {"answer": [answer], "first": passages[:1], "last": passages[-1:], "every": passages}
        for rule in rules:
            for target in chosen[rule["of"]]:
                uri = ((target.get("location") or {}).get("s3Location") or {}).get("uri", "")
                target.update(_filled(rule.get("with", {}), uri))
                for name in rule.get("without", []):
                    target.pop(name, None)
        return json.dumps(answer).encode()
    return bend if rules else None


def _filled(value, uri):
    if isinstance(value, dict):
        return {name: _filled(inner, uri) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, uri) for inner in value]
    if not isinstance(value, str):
        return value
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return value.replace("{uri}", uri).replace("{bucket}", bucket).replace("{key}", key)
