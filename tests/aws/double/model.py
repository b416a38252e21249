"""Requests and answers against botocore's service models (aws-facts [M]): the double's strictness.

AWS refuses what the model forbids; MiniStack and most mocks do not. An unknown member is refused too,
which AWS itself would ignore: in a test it is always a mistake.
"""

import datetime
import functools
import json
import re
from urllib.parse import unquote

import botocore.session

from .errors import AwsError, validation

# Patterns known to be wrong in the model (aws-facts §1.1): checking them would refuse what AWS accepts.
WRONG_PATTERNS = {"TaggableResourcesArn", "S3BucketUri"}

_SESSION = botocore.session.get_session()


@functools.lru_cache(maxsize=None)
def service(name):
    return _SESSION.get_service_model(name)


@functools.lru_cache(maxsize=None)
def _pattern(text):
    # Java's character classes are the only thing in these models that Python's re cannot read.
    unicode = "\\p{" in text or "\\P{" in text
    text = text.replace(r"\p{L}", r"\w").replace(r"\p{N}", r"\d").replace(r"\p{Z}", r"\s")
    text = text.replace(r"[^\p{C}]", r"[^\x00-\x1f\x7f]").replace(r"\P{C}", r"[^\x00-\x1f\x7f]")
    # Java's \w, \d and \s are ASCII's unless a class says otherwise.
    return re.compile(text, 0 if unicode else re.ASCII)


@functools.lru_cache(maxsize=None)
def _routes(name):
    routes = []
    for operation in service(name).operation_names:
        http = service(name).operation_model(operation).http
        path = http["requestUri"].split("?")[0].strip("/").split("/")
        routes.append((http["method"], path, operation))
    return routes


def route(name, method, raw_path):
    """(operation, path labels) of a restJson request. SDKs differ on trailing slashes: both are accepted."""
    parts = raw_path.split("?")[0].strip("/").split("/")
    for wanted, path, operation in _routes(name):
        if wanted == method and len(path) == len(parts) and all(
                p == part or (p.startswith("{") and part) for p, part in zip(path, parts)):
            return operation, {p.strip("{}+"): unquote(part) for p, part in zip(path, parts) if p.startswith("{")}
    return None


def parse_rest(name, operation, labels, query, body):
    """The parameters of a restJson request: path labels, query string and JSON body put together."""
    shape = service(name).operation_model(operation).input_shape
    document = parse_json(body)
    params, known = {}, set()
    for member, member_shape in (shape.members if shape else {}).items():
        wire = member_shape.serialization.get("name", member)
        location = member_shape.serialization.get("location")
        known.add(wire)
        if location == "uri":
            params[member] = labels[wire]
        elif location == "querystring" and wire in query:
            values = query[wire]
            params[member] = values if member_shape.type_name == "list" else _typed(member_shape, values[0])
        elif location is None and document.get(wire) is not None:
            params[member] = document.pop(wire)
    for left in [k for k, v in document.items() if v is None and k in known]:
        del document[left]
    problems = [f"Unknown member '{left}'" for left in document]
    check(shape, params, problems)
    return params


def parse_target(name, operation, body):
    """The parameters of an awsJson request."""
    params = {k: v for k, v in parse_json(body).items() if v is not None}
    check(service(name).operation_model(operation).input_shape, params, [])
    return params


def check_query(name, operation, params):
    """Refuse a call of IAM or STS whose names, lengths, numbers or lists the model forbids."""
    shape, given = service(name).operation_model(operation).input_shape, {}
    for member, member_shape in shape.members.items():
        if member_shape.type_name == "list":
            found = members(params, member)
            if found:
                given[member] = found
        elif member in params:
            given[member] = _typed(member_shape, params[member])
    try:
        check(shape, given, [])
    except AwsError as error:
        raise AwsError("ValidationError", error.message, 400) from None


def members(params, name):
    """The entries of a list in a query: Tags.member.1.Key=... -> [{"Key": ...}], TagKeys.member.1=... -> ["..."]."""
    found = {}
    for key, value in params.items():
        parts = key.split(".")
        if parts[:2] == [name, "member"] and len(parts) > 2:
            if len(parts) == 3:
                found[int(parts[2])] = value
            else:
                found.setdefault(int(parts[2]), {})[parts[3]] = value
    return [found[n] for n in sorted(found)]


def parse_json(body):
    if not body:
        return {}
    try:
        document = json.loads(body)
    except ValueError as error:
        raise AwsError("SerializationException", f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise AwsError("SerializationException", "the body is not a JSON object")
    return document


def _typed(shape, text):
    if shape.type_name in ("integer", "long"):
        return int(text) if text.lstrip("-").isdigit() else text
    if shape.type_name == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return text


def check(shape, value, problems):
    """Raise AWS's ValidationException if the value breaks the shape anywhere."""
    fields = []

    def problem(path, text, found=None):
        problems.append((f"Value {found!r}" if found is not None else "Value null")
                        + f" at '{path}' failed to satisfy constraint: {text}")
        fields.append({"name": path, "message": text})

    if shape is not None:
        _check(shape, value, "", problem)
    if problems:
        plural = "s" if len(problems) > 1 else ""
        raise validation(f"{len(problems)} validation error{plural} detected: " + "; ".join(problems),
                         **({"fieldList": fields} if fields else {}))


_TYPES = {"string": str, "integer": int, "long": int, "boolean": bool, "list": list, "map": dict,
          "structure": dict, "double": (int, float), "float": (int, float), "blob": str,
          "timestamp": (str, int, float)}


def _check(shape, value, path, problem):
    kind = shape.type_name
    if getattr(shape, "is_document_type", False):
        return
    if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind in ("integer", "long", "double", "float")):
        problem(path, f"Member must be of type {kind}", value)
        return
    limits = shape.metadata
    if kind == "structure":
        _check_structure(shape, value, path, problem)
    elif kind == "list":
        _check_length(len(value), limits, path, value, problem)
        for n, item in enumerate(value, 1):
            _check(shape.member, item, f"{path}.{n}.member", problem)
    elif kind == "map":
        _check_length(len(value), limits, path, value, problem)
        for key, item in value.items():
            _check(shape.key, key, f"{path}.{key}.key", problem)
            _check(shape.value, item, f"{path}.{key}.value", problem)
    elif kind == "string":
        _check_string(shape, value, path, problem)
    elif kind in ("integer", "long", "double", "float"):
        if "min" in limits and value < limits["min"]:
            problem(path, f"Member must have value greater than or equal to {limits['min']}", value)
        if "max" in limits and value > limits["max"]:
            problem(path, f"Member must have value less than or equal to {limits['max']}", value)


def _check_structure(shape, value, path, problem):
    inside = f"{path}." if path else ""
    for name in shape.required_members:
        if value.get(name) is None:
            problem(inside + name, "Member must not be null")
    names = {member.serialization.get("name", name): (name, member) for name, member in shape.members.items()}
    for wire, item in value.items():
        if wire not in names and wire not in shape.members:
            problem(inside + wire, "Member is unknown", item)
        elif item is not None:
            member = shape.members[wire] if wire in shape.members else names[wire][1]
            _check(member, item, inside + wire, problem)
    if getattr(shape, "is_tagged_union", False) and len([v for v in value.values() if v is not None]) != 1:
        problem(path, "Member must have exactly one of its members set", value)


def _check_string(shape, value, path, problem):
    limits = shape.metadata
    _check_length(len(value), limits, path, value, problem)
    if limits.get("enum") and value not in limits["enum"]:
        problem(path, f"Member must satisfy enum value set: [{', '.join(limits['enum'])}]", value)
    pattern = limits.get("pattern")
    if pattern and shape.name not in WRONG_PATTERNS and not _pattern(pattern).fullmatch(value):
        problem(path, f"Member must satisfy regular expression pattern: {pattern}", value)


def _check_length(length, limits, path, value, problem):
    if "min" in limits and length < limits["min"]:
        problem(path, f"Member must have length greater than or equal to {limits['min']}", value)
    if "max" in limits and length > limits["max"]:
        problem(path, f"Member must have length less than or equal to {limits['max']}", value)


def answer(name, operation, value):
    """(status, body) of an answer, written by the model, so that the double cannot invent a member."""
    model = service(name).operation_model(operation)
    body = _write(model.output_shape, value or {}) if model.output_shape else {}
    return int(model.http.get("responseCode", 200)), json.dumps(body).encode()


def _write(shape, value):
    kind = shape.type_name
    if getattr(shape, "is_document_type", False):
        return value
    if kind == "structure":
        written = {}
        for name, item in value.items():
            if item is not None:
                member = shape.members[name]
                written[member.serialization.get("name", name)] = _write(member, item)
        return written
    if kind == "list":
        return [_write(shape.member, item) for item in value]
    if kind == "map":
        return {key: _write(shape.value, item) for key, item in value.items()}
    if kind == "timestamp" and shape.serialization.get("timestampFormat") != "iso8601":
        return int(value)
    if kind == "timestamp":
        moment = datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
        return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value
