"""The filter grammar of Retrieve (aws-facts §1.4), pure: a filter and the metadata of a record in, true or false out."""

from .errors import validation

LISTS = ("andAll", "orAll")


def check(node, depth=0):
    """What the model does not say: nesting at most one level, at most five in a group, values of the right kind."""
    (operator, content), = node.items()
    if operator in LISTS:
        if depth > 1:
            raise validation("A filter can be nested one level deep at most")
        if len(content) > 5:
            raise validation(f"{operator} can have 5 filters at most")
        for inner in content:
            check(inner, depth + 1)
        return
    value = content["value"]
    if operator in ("in", "notIn"):
        if not isinstance(value, list) or not value:
            raise validation(f"{operator} needs a list of values")
    elif operator in ("startsWith", "stringContains", "listContains"):
        if not isinstance(value, str):
            raise validation(f"{operator} needs a string")
    elif operator in ("equals", "notEquals"):
        if not isinstance(value, (str, bool, int, float)):
            raise validation(f"{operator} needs a string, number or boolean")
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise validation(f"{operator} needs a number")


def matches(node, metadata):
    (operator, content), = node.items()
    if operator == "andAll":
        return all(matches(inner, metadata) for inner in content)
    if operator == "orAll":
        return any(matches(inner, metadata) for inner in content)
    found, wanted = metadata.get(content["key"]), content["value"]
    # notEquals and notIn also match what lacks the key: the reason why only positive filters isolate (§6).
    if operator == "notEquals":
        return not _equal(found, wanted)
    if operator == "notIn":
        return not any(_equal(found, w) for w in wanted)
    if found is None:
        return False
    if operator == "equals":
        return _equal(found, wanted)
    if operator == "in":
        return any(_equal(found, w) for w in wanted)
    if operator == "startsWith":
        return isinstance(found, str) and found.startswith(wanted)
    if operator == "stringContains":
        return any(wanted in f for f in (found if isinstance(found, list) else [found]) if isinstance(f, str))
    if operator == "listContains":
        return isinstance(found, list) and wanted in found
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return False
    return {"greaterThan": found > wanted, "greaterThanOrEquals": found >= wanted,
            "lessThan": found < wanted, "lessThanOrEquals": found <= wanted}[operator]


def _equal(found, wanted):
    """Values of different kinds are never equal: true is not 1, and 7 is not "7". A list is found by any of its values,
    as by OpenSearch's term query: nobody says so of Bedrock, and for who would keep tenants apart it is the worse way."""
    if isinstance(found, list):
        return any(_equal(one, wanted) for one in found)
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    return found == wanted
