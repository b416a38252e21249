"""The filter grammar of QueryVectors (S3's user guide, "Metadata filtering"), pure. Bedrock's own is in filters.py."""

from .errors import validation

_NUMBERS = {"$gt": lambda f, w: f > w, "$gte": lambda f, w: f >= w, "$lt": lambda f, w: f < w, "$lte": lambda f, w: f <= w}
MOST = 100      # values that a filter of an ENHANCED query may have


def check(node, unfilterable, mode):
    """Refuse a filter that is not of the grammar, or not of this index."""
    constraints = _check(node, unfilterable, mode)
    if mode == "ENHANCED" and constraints > MOST:
        raise validation(f"A filter can have at most {MOST} constraints")


def _check(node, unfilterable, mode):
    """How many constraints there are in it."""
    if not isinstance(node, dict) or not node:
        raise _wrong(node)
    counted = 0
    for key, wanted in node.items():
        if key in ("$and", "$or"):
            if not isinstance(wanted, list) or not wanted:
                raise _wrong(node)
            counted += sum(_check(inner, unfilterable, mode) for inner in wanted)
        elif key.startswith("$"):
            raise _wrong(node)
        elif key in unfilterable:
            raise validation(f"Invalid use of non-filterable metadata in filter: {key}")
        else:
            counted += sum(_constraints(op, w, mode) for op, w in _operators(wanted))
    return counted


def _operators(wanted):
    return wanted.items() if isinstance(wanted, dict) and wanted else [("$eq", wanted)]


def _constraints(operator, wanted, mode):
    number = isinstance(wanted, (int, float)) and not isinstance(wanted, bool)
    if operator in ("$in", "$nin"):
        if isinstance(wanted, list) and wanted and all(_primitive(w) for w in wanted):
            return len(wanted)
    elif operator in ("$eq", "$ne") and _primitive(wanted) or operator in _NUMBERS and number:
        return 1
    elif operator == "$exists" and isinstance(wanted, bool):
        return 1
    elif operator == "$startsWith" and isinstance(wanted, str) and mode == "ENHANCED":
        return 1
    raise _wrong({operator: wanted})


def _primitive(value):
    return isinstance(value, (str, int, float))


def _wrong(node):
    return validation(f"Invalid filter: {node}")


def matches(node, metadata):
    return all(
        all(matches(inner, metadata) for inner in wanted) if key == "$and"
        else any(matches(inner, metadata) for inner in wanted) if key == "$or"
        else all(_holds(op, w, metadata.get(key)) for op, w in _operators(wanted)) for key, wanted in node.items())


def _holds(operator, wanted, found):
    if operator == "$exists":
        return (found is not None) == wanted
    if operator in ("$ne", "$nin"):
        return not _holds({"$ne": "$eq", "$nin": "$in"}[operator], wanted, found)
    if found is None:
        return False
    if operator == "$eq":
        return any(_equal(f, wanted) for f in (found if isinstance(found, list) else [found]))
    if operator == "$in":
        return any(_holds("$eq", w, found) for w in wanted)
    if operator == "$startsWith":
        return isinstance(found, str) and found.startswith(wanted)
    return isinstance(found, (int, float)) and not isinstance(found, bool) and _NUMBERS[operator](found, wanted)


def _equal(found, wanted):
    return isinstance(found, bool) == isinstance(wanted, bool) and found == wanted
