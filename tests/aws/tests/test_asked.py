"""Who asked which knowledge base what, in the journal, and whether a gateway may ask that."""

import pytest

from double import asked

from .conftest import allow, code

ACME = {"equals": {"key": "tenantId", "value": "acme"}}
GLOBEX = {"equals": {"key": "tenantId", "value": "globex"}}
YEAR = {"greaterThan": {"key": "year", "value": 2020}}


@pytest.mark.parametrize("node, forced", [
    (ACME, True), (GLOBEX, False), (YEAR, False), ({"equals": {"key": "tenant", "value": "acme"}}, False),
    ({"notEquals": {"key": "tenantId", "value": "globex"}}, False), ({"in": {"key": "tenantId", "value": ["acme", "globex"]}}, False),
    ({"startsWith": {"key": "tenantId", "value": "acme"}}, False), ({"andAll": [YEAR, ACME]}, True), ({"andAll": [YEAR, YEAR]}, False),
    ({"orAll": [ACME, YEAR]}, False), ({"orAll": [ACME, ACME]}, True), ({"andAll": [ACME, {"orAll": [YEAR, GLOBEX]}]}, True),
    ({"orAll": [{"andAll": [ACME, YEAR]}, {"andAll": [YEAR, ACME]}]}, True), ({"orAll": [{"andAll": [ACME, YEAR]}, GLOBEX]}, False),
    ({"andAll": [YEAR, {"orAll": [ACME, YEAR]}]}, False)])
def test_filters_that_let_nothing_else_through(node, forced):
    assert asked.forces(node, "tenantId", "acme") is forced


@pytest.fixture
def gateway(pool):
    """The pool's knowledge base, and how the gateway's role asks it as a tenant."""
    aws, kb = pool
    tag(aws, kb, owner="SharedStack/standard")
    role = aws.make_role_for("prod-ask", aws.root, allow("bedrock:*"))

    def ask(tenant, filter=None, tags=None):
        aws.assume(role, tenant, tags).retrieve(kb, "annual leave", filter)
    return aws, kb, ask


def tag(aws, kb, **tags):
    aws.agent.tag_resource(resourceArn=f"arn:aws:bedrock:us-east-1:{aws.account}:knowledge-base/{kb}",
                           tags={f"tenantry.dev/{k.replace('_', '-')}": v for k, v in tags.items()})


def verdict(aws, role="*-ask", **more):
    answer = aws.control("GET", "asked", role=role, **more)
    return answer["asked"], [text.split(" by ")[1] for text in answer["wrong"]]


def test_the_journal_says_who_asked_whose_and_with_which_filter(gateway):
    aws, kb, ask = gateway
    ask("acme", ACME, {"tenantry.dev/tenant-id": "stack/standard"})
    entry = aws.journal(operation="Retrieve")[-1]
    assert entry["session"] == {"role": "prod-ask", "name": "acme", "tags": {"tenantry.dev/tenant-id": "stack/standard"}}
    assert entry["asked"] == {"knowledgeBase": kb, "tags": {"tenantry.dev/owner": "SharedStack/standard"},
                              "filters": {"vectorSearchConfiguration": ACME}}
    assert aws.journal(operation="TagResource")[-1]["asked"] is None


def test_a_pool_is_asked_with_the_tenants_filter(gateway):
    aws, _, ask = gateway
    ask("acme", ACME)
    ask("globex", {"andAll": [GLOBEX, YEAR]})
    assert verdict(aws) == (2, [])
    ask("acme")
    ask("acme", GLOBEX)
    asking, wrong = verdict(aws)
    assert asking == 4 and [w.split(":")[0] for w in wrong] == ["acme", "acme"]
    assert verdict(aws, key="tenant") == (4, verdict(aws, key="tenant")[1]) and len(verdict(aws, key="tenant")[1]) == 4
    mark = aws.journal()[-1]["seq"]
    assert verdict(aws, since=mark) == (0, [])


def test_no_other_tenants_knowledge_base_is_asked(gateway):
    aws, kb, ask = gateway
    tag(aws, kb, owner="Tenant/tenants/seven", tenant_id="7")
    ask("7.")
    assert verdict(aws) == (1, [])
    ask("acme", ACME)
    assert verdict(aws) == (2, ["acme: the knowledge base of 7"])


def test_what_is_refused_was_asked_all_the_same(gateway):
    aws, _, ask = gateway
    aws.may(allow("s3:*"), name="prod-ask")
    assert code(lambda: ask("acme")) == "AccessDeniedException"
    aws.control("POST", "faults", {"operation": "Retrieve", "fault": "throttled"})
    assert code(lambda: ask("acme", GLOBEX)) == "ThrottlingException"
    assert len(verdict(aws)[1]) == 2


def test_a_filter_in_the_other_place_is_none(gateway):
    aws, kb, _ = gateway
    session = aws.assume(f"arn:aws:iam::{aws.account}:role/prod-ask", "acme")
    aws.settings(switches={"managed_search": "ignored"})
    session.runtime.retrieve(knowledgeBaseId=kb, retrievalQuery={"text": "leave"}, retrievalConfiguration={
        "managedSearchConfiguration": {"filter": ACME}})
    assert len(verdict(aws)[1]) == 1
    assert aws.journal()[-1]["asked"]["filters"] == {"managedSearchConfiguration": ACME}


def test_only_the_gateways_role_is_held_to_that(gateway):
    aws, kb, ask = gateway
    aws.retrieve(kb, "annual leave")
    aws.make_operator().retrieve(kb, "annual leave")
    assert verdict(aws) == (0, []) and verdict(aws, role="op")[0] == 1
