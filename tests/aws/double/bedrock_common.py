"""What the three files of Bedrock's control plane share: tables of operations, tokens, and finding a knowledge base."""

from .errors import not_found

# How every refusal of a vector store begins.
INVALID = "The knowledge base storage configuration provided is invalid... "


def table():
    """(operations, decorator): each file has a table of the operations it answers."""
    operations = {}

    def operation(name):
        def register(function):
            operations[name] = function
            return function
        return register
    return operations, operation


async def once(region, operation, params, act):
    """A client token seen before is ignored without an error: the earlier answer comes back, even if what it
    speaks of is long gone (§1.1)."""
    token = (operation, params.get("clientToken"))
    if params.get("clientToken") and token in region.tokens:
        return region.tokens[token]
    result = await act()
    if params.get("clientToken"):
        region.tokens[token] = result
    return result


def kb_of(region, identifier):
    kb = region.kbs.get(identifier)
    if kb is None:
        raise not_found(f"KnowledgeBase with id {identifier} does not exist.")
    return kb
