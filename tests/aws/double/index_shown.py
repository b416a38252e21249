"""How OpenSearch shows an index: settings as strings under `index`, mappings without what is the default, and with every
field that documents have brought along (aws-facts §3).
"""

import copy
import zlib

from . import index_schema


def uuid(index):
    return f"{zlib.crc32(index.name.encode()):08x}-{int(index.created * 1000):x}"


def normalised(index):
    settings = {"index.number_of_shards": 2, "index.number_of_replicas": 0, **index_schema.flat(index.schema.get("settings")),
                "index.provided_name": index.name, "index.creation_date": int(index.created * 1000),
                "index.uuid": uuid(index), "index.version.created": 136327827}
    return {"settings": _nested({k: _text(v) for k, v in settings.items()}), "mappings": _mappings(index)}


def sparse(index):
    """Without the parameters of the method, and with the distance on the field, where OpenSearch 2.17 lets it stand."""
    shown = normalised(index)
    for field in (shown["mappings"].get("properties") or {}).values():
        method = field.pop("method", None)
        if method:
            field["space_type"], field["method"] = method.get("space_type"), {"name": method["name"], "parameters": None}
    return shown


SHOWN = {"as_sent": lambda index: index.schema, "normalised": normalised, "sparse": sparse,
         "wrapped": lambda index: {index.name: normalised(index)}}


def _text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def _nested(flat):
    """{"index": {...}}. A name that is a value and a group too (index.knn) keeps the group's name dotted: "knn.algo_param"."""
    result = {}
    for name, value in sorted(flat.items()):
        parts, at = name.split("."), result
        while len(parts) > 1:
            size = next(n for n in range(1, len(parts) + 1) if not isinstance(at.get(".".join(parts[:n])), str))
            if size >= len(parts):
                break
            at, parts = at.setdefault(".".join(parts[:size]), {}), parts[size:]
        at[".".join(parts)] = value
    return result


def _mappings(index):
    mappings = copy.deepcopy(index.schema.get("mappings") or {})
    if "dynamic" in mappings:
        mappings["dynamic"] = _text(mappings["dynamic"])
    fields = {name: _field(field) for name, field in (mappings.get("properties") or {}).items()}
    if mappings.get("dynamic", "true") == "true":
        for chunks in index.records.values():
            for key, value in ((k, v) for chunk in chunks for k, v in chunk["metadata"].items()):
                fields.setdefault(key, _guessed(value))
    if fields:
        mappings["properties"] = dict(sorted(fields.items()))
    return mappings


def _field(field):
    """Without what is the default anyway."""
    return {k: v for k, v in field.items() if not (k == "index" and v is True)}


def _guessed(value):
    value = value[0] if isinstance(value, list) and value else value
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, (int, float)):
        return {"type": "long" if isinstance(value, int) else "float"}
    return {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
