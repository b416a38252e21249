"""The schema of an index: what CreateIndex accepts, and what Bedrock later asks of it (aws-facts §3)."""

import copy
import re

from .errors import validation

NAME = re.compile(r"(?![_-])[a-z][a-z0-9_-]{0,254}")
ENGINES = {"nmslib", "faiss", "lucene"}
METHODS = {"hnsw", "ivf"}
SPACES = {"l2", "l1", "linf", "cosinesimil", "innerproduct", "hamming"}
FIELD_TYPES = {"text", "keyword", "knn_vector", "boolean", "long", "integer", "short", "byte", "double", "float", "date",
               "object", "nested"}
TOP = {"settings", "mappings"}
MAPPING_KEYS = {"properties", "dynamic", "date_detection", "numeric_detection", "dynamic_templates", "_source", "_meta"}


def flat(settings, prefix=""):
    """Settings with their dotted and nested spellings made one: {"index.knn": True}."""
    found = {}
    for key, value in (settings or {}).items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            found |= flat(value, name + ".")
        else:
            found[name if name.startswith("index.") else f"index.{name}"] = value
    return found


def is_knn(schema):
    return str(flat(schema.get("settings")).get("index.knn", False)).lower() == "true"


def properties(schema):
    return (schema.get("mappings") or {}).get("properties") or {}


def check_name(name):
    if not NAME.fullmatch(name):
        raise validation(f"Invalid index name [{name}], must be lowercase and can't begin with an underscore or a hyphen")


def check(schema, knn_switch):
    """Refuse a schema that OpenSearch Serverless would not take."""
    for key in schema:
        if key not in TOP:
            raise validation(f"unknown key [{key}] for create index")
    for part in TOP:
        if not isinstance(schema.get(part) or {}, dict):
            raise validation(f"[{part}] must be an object")
    mappings = schema.get("mappings") or {}
    for key in mappings:
        if key not in MAPPING_KEYS:
            raise validation(f"Root mapping definition has unsupported parameters: [{key}]")
    vectors = [name for name, field in properties(schema).items() if _check_field(name, field) == "knn_vector"]
    if vectors and knn_switch == "refuse":
        # §1.2: whether the control plane takes a plain knn_vector is documented nowhere; tests run under both.
        raise validation("Invalid index schema: field type [knn_vector] is not supported by CreateIndex")
    if vectors and not is_knn(schema):
        raise validation(f"Cannot set modelId or method parameters when index.knn setting is false [{vectors[0]}]")


def _check_field(name, field):
    kind = field.get("type") if isinstance(field, dict) else None
    if kind is None and isinstance(field, dict) and "properties" in field:
        return "object"
    if kind not in FIELD_TYPES:
        raise validation(f"No handler for type [{kind}] declared on field [{name}]")
    if kind != "knn_vector":
        return kind
    dimension = field.get("dimension")
    if not isinstance(dimension, int) or isinstance(dimension, bool) or not 1 <= dimension <= 16000:
        raise validation(f"Dimension value must be between 1 and 16000 for vector: {name}")
    method = field.get("method")
    if method is not None:
        _check_method(name, method)
    return kind


def _check_method(name, method):
    if method.get("name") not in METHODS:
        raise validation(f"Invalid method name [{method.get('name')}] for vector: {name}")
    if method.get("engine", "nmslib") not in ENGINES:
        raise validation(f"Invalid engine type [{method.get('engine')}] for vector: {name}")
    if method.get("space_type", "l2") not in SPACES:
        raise validation(f"Invalid space type [{method.get('space_type')}] for vector: {name}")
    if method.get("engine") == "lucene" or method["name"] == "ivf":
        raise validation("Vector collections support HNSW with Faiss or nmslib only")
    parameters = method.get("parameters") or {}
    for key, value in parameters.items():
        low, high = {"ef_construction": (1, None), "m": (2, 100), "ef_search": (1, None)}.get(key, (None, None))
        if low is None or not isinstance(value, int) or value < low or (high and value > high):
            raise validation(f"Invalid value [{value}] for parameter [{key}] of vector: {name}")


def merged(schema, change):
    """UpdateIndex: settings cannot change, fields may be added, what is left out stays (§1.2)."""
    new = flat(change.get("settings"))
    if any(flat(schema.get("settings")).get(key) != value for key, value in new.items()):
        raise validation("Index settings cannot be updated")
    result = copy.deepcopy(schema)
    fields = result.setdefault("mappings", {}).setdefault("properties", {})
    for name, field in properties(change).items():
        if name in fields and fields[name].get("type") != field.get("type"):
            raise validation(f"mapper [{name}] cannot be changed from type [{fields[name].get('type')}] to [{field.get('type')}]")
        fields[name] = field
    for key, value in (change.get("mappings") or {}).items():
        if key != "properties":
            result["mappings"][key] = value
    return result


def engine(field):
    """Without a method the engine is nmslib, which Bedrock refuses."""
    return (field.get("method") or {}).get("engine", "nmslib")
