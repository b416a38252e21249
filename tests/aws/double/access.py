"""OpenSearch Serverless's own access control: data access and network policies over collections and indexes.

Data access policies address a collection by name, IAM by id; both must allow (aws-facts §4.2). Permissions are
the union over all policies; there is no deny. Changes may take effect late (§5.1): `lag.data_access`.
"""

import time

from .policy import names_match


def remember(region, kind):
    """Keep the policies of one kind as they stand now, so that a change can be late."""
    now = {name: policy.document for (k, name), policy in region.policies.items() if k == kind}
    region.history.setdefault(kind, [(0.0, {})]).append((time.time(), now))


def effective(world, region, kind):
    """The policies of one kind that are in force: `data` after lag.data_access, `network` after lag.network."""
    lag = {"data": "data_access", "network": "network"}[kind]
    current = {}
    for moment, documents in region.history.get(kind, []):
        if world.clock.after(region.account, lag, moment):
            current = documents
    return current


def data_allows(world, region, principal, permission, collection, index=None):
    """Does a data access policy give this principal the permission on this index (or collection)?"""
    kind = "index" if index else "collection"
    resource = f"index/{collection}/{index}" if index else f"collection/{collection}"
    for document in effective(world, region, "data").values():
        for statement in document:
            if principal_matches(statement["Principal"], principal) and any(
                    rule["ResourceType"] == kind
                    and any(names_match(r, resource) for r in rule["Resource"])
                    and ({permission, "aoss:*"} & set(rule["Permission"])) for rule in statement["Rules"]):
                return True
    return False


def principal_matches(listed, principal):
    return any(names_match(entry, principal) if entry.endswith("*") else entry == principal for entry in listed)


def network_allows(world, region, collection, service=None, vpce=None):
    """May this AWS service, or a caller through this VPC endpoint (neither: from the public internet), reach the collection?"""
    for document in effective(world, region, "network").values():
        for statement in document:
            covered = any(rule["ResourceType"] == "collection"
                          and any(names_match(r, f"collection/{collection}") for r in rule["Resource"])
                          for rule in statement["Rules"])
            if covered and (statement.get("AllowFromPublic") or service in (statement.get("SourceServices") or [])
                            or vpce in (statement.get("SourceVPCEs") or [])):
                return True
    return False


def encryption_policy(region, collection):
    """The encryption policy that covers a collection: the most specific pattern wins (§2.2)."""
    found = [(len(r.rstrip("*")), policy) for (kind, _), policy in region.policies.items() if kind == "encryption"
             for rule in policy.document["Rules"] for r in rule["Resource"] if names_match(r, f"collection/{collection}")]
    return max(found, key=lambda item: item[0])[1] if found else None
