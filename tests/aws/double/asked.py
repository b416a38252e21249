"""What a knowledge base is asked, by whom, and whether a gateway may ask that. Pure: a call's parameters or the journal in.

A gateway asks as one role, in a session that is called like the tenant (with a `.` after a name of one character, which is too short
for a session). By its sessions a knowledge base of a SharedStack is never asked without a filter that no passage but the
tenant's passes, and no other tenant's is asked at all. Whose a knowledge base is, its tags say.
"""

import fnmatch

KEY = "tenantId"        # the attribute by which a pool's documents are told apart
_PLACES = ("vectorSearchConfiguration", "managedSearchConfiguration")


def of(region, operation, params):
    """{knowledgeBase, tags, filters} of a question, for the journal; None of any other call. The tags are None where there is no such
    knowledge base."""
    if operation == "RetrieveAndGenerate":
        params = (params.get("retrieveAndGenerateConfiguration") or {}).get("knowledgeBaseConfiguration") or {}
    elif operation != "Retrieve":
        return None
    search = params.get("retrievalConfiguration") or {}
    identifier = params.get("knowledgeBaseId", "").rsplit("/", 1)[-1]
    kb = region.kbs.get(identifier)
    return {"knowledgeBase": identifier, "tags": dict(kb.tags) if kb else None,
            "filters": {place: search[place]["filter"] for place in _PLACES if (search.get(place) or {}).get("filter")}}


def by(entries, role):
    """The questions in a journal's entries that sessions of a role asked; the role's name is a glob."""
    return [e for e in entries if e["asked"] and e["session"] and fnmatch.fnmatchcase(e["session"]["role"], role)]


def wrong(questions, key=KEY):
    """What is wrong with each that must not have been asked, whether or not it was answered."""
    found = ((e, _fault(e["session"]["name"].removesuffix("."), e["asked"], key)) for e in questions)
    return [f"{e['seq']} {e['operation']} {e['asked']['knowledgeBase']} by {e['session']['name']}: {why}" for e, why in found if why]


def _fault(tenant, asked, key):
    if asked["tags"] is None:
        return None
    owner, held = (asked["tags"].get(f"tenantry.dev/{tag}", "") for tag in ("owner", "tenant-id"))
    if owner.startswith("SharedStack/"):
        wanted = asked["filters"].get("vectorSearchConfiguration")
        return None if wanted and forces(wanted, key, tenant) else f"a pool, and not only {tenant}'s: {wanted}"
    return None if held == tenant else f"the knowledge base of {held or 'nobody'}"


def forces(node, key, value):
    """Does the filter let nothing through but what has this value?"""
    (operator, content), = node.items()
    if operator in ("andAll", "orAll"):
        return (any if operator == "andAll" else all)(forces(inner, key, value) for inner in content)
    return operator == "equals" and content["key"] == key and content["value"] == value
