"""Retrieve's pages, times and rates, its two places for a search, and who may ask which knowledge base."""

import threading
import time

import pytest

from .conftest import allow, code, keys, message, refused, until

ACME = {"equals": {"key": "tenantId", "value": "acme"}}
PLACES = ("vectorSearchConfiguration", "managedSearchConfiguration")


def ask(aws, kb, text="annual leave", runtime=None, **more):
    return (runtime or aws.runtime).retrieve(knowledgeBaseId=kb, retrievalQuery={"text": text}, **more)


def test_all_passages_at_once(pool):
    aws, kb = pool
    assert "nextToken" not in ask(aws, kb)


def test_pages(pool):
    aws, kb = pool
    whole = ask(aws, kb)["retrievalResults"]
    aws.settings(retrieve_page=3)
    first = ask(aws, kb)
    second = ask(aws, kb, nextToken=first["nextToken"])
    assert first["retrievalResults"] + second["retrievalResults"] == whole and len(whole) == 4
    assert "nextToken" not in second
    assert kb not in first["nextToken"] and "leave" not in first["nextToken"]
    limited = ask(aws, kb, retrievalConfiguration={"vectorSearchConfiguration": {"numberOfResults": 3}})
    assert len(limited["retrievalResults"]) == 3 and "nextToken" not in limited


def test_a_token_and_another_question_both_ways(pool):
    aws, kb = pool
    aws.settings(retrieve_page=1)
    token = ask(aws, kb)["nextToken"]
    other = {"nextToken": token, "retrievalConfiguration": {"vectorSearchConfiguration": {"filter": ACME}}}
    assert message(lambda: ask(aws, kb, **other)) == "The nextToken is invalid."
    aws.settings(switches={"next_token": "bearer"})
    assert keys(ask(aws, kb, **other)["retrievalResults"]) == ["globex/leave.md"]      # what the filter does not let through
    for wrong in ("x", "x" * 2049, "a b"):
        assert code(lambda: ask(aws, kb, nextToken=wrong)) == "ValidationException"


def test_how_long_it_takes(pool):
    aws, kb = pool
    aws.settings(dwell={"retrieve": 300.0})
    began = time.monotonic()
    ask(aws, kb)
    assert time.monotonic() - began >= 0.3
    aws.settings(dwell={"retrieve": 0.0})
    held = aws.control("POST", "hold", {"point": "retrieve", "match": kb})
    asking = threading.Thread(target=lambda: ask(aws, kb))
    asking.start()
    until(lambda: aws.control("GET", "holds")["holds"][0]["waiting"] == [kb])
    aws.control("POST", "release", held)
    asking.join(10)


def test_twenty_a_second(pool):
    aws, kb = pool
    aws.settings(speedup=1, lag={"index_visible": 0}, switches={"rate_limits": True})
    assert [refused(lambda: ask(aws, kb)) for _ in range(20)] == [None] * 20
    aws.settings(rates={"Retrieve": 0.1})
    error = next(e for e in (refused(lambda: ask(aws, kb)) for _ in range(3)) if e).response
    assert error["Error"]["Code"] == "ThrottlingException" and error["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert error["Error"]["Message"] == "Your request rate is too high. Reduce the frequency of requests."
    aws.settings(rates={"Retrieve": 20})
    until(lambda: not refused(lambda: ask(aws, kb)))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("search", [
    {"numberOfResults": 0}, {"numberOfResults": 101}, {"numberOfResults": "5"}, {"numberOfResults": True}, {"unheardOf": 1}, {"filter": {}},
    {"filter": {"xor": []}}, {"filter": {"andAll": [ACME]}}, {"filter": {"andAll": [ACME] * 6}}, {"filter": {**ACME, "orAll": [ACME, ACME]}},
    {"filter": {"andAll": [ACME, {"orAll": [ACME, {"andAll": [ACME, ACME]}]}]}}, {"filter": {"equals": {"key": "tenantId"}}},
    {"filter": {"equals": {"key": "", "value": "acme"}}}])
def test_what_is_refused_in_both_places(pool, place, search):
    aws, kb = pool
    status, answer = aws.raw(f"/knowledgebases/{kb}/retrieve", {"retrievalQuery": {"text": "leave"}, "retrievalConfiguration": {place: search}})
    assert status == 400, answer


def test_as_many_as_100(pool):
    aws, kb = pool
    assert len(aws.retrieve(kb, "leave", numberOfResults=100)) == 4 and len(aws.retrieve(kb, "leave", numberOfResults=1)) == 1


def test_the_search_of_managed_knowledge_bases_both_ways(pool):
    aws, kb = pool
    managed = {"retrievalConfiguration": {"managedSearchConfiguration": {"filter": ACME}}}
    assert code(lambda: ask(aws, kb, **managed)) == "ValidationException"
    aws.settings(switches={"managed_search": "ignored"})
    assert len(ask(aws, kb, **managed)["retrievalResults"]) == 4                 # a filter in the wrong place is none


def test_another_accounts_knowledge_base(pool):
    aws, kb = pool
    assert code(lambda: ask(aws, f"arn:aws:bedrock:us-east-1:999999999999:knowledge-base/{kb}")) == "ResourceNotFoundException"
    assert code(lambda: ask(aws, f"arn:aws:bedrock:eu-west-1:{aws.account}:knowledge-base/{kb}")) == "ResourceNotFoundException"


# who may ask

def tag(aws, kb, **tags):
    arn = f"arn:aws:bedrock:us-east-1:{aws.account}:knowledge-base/{kb}"
    aws.agent.tag_resource(resourceArn=arn, tags={f"tenantry.dev/{k.replace('_', '-')}": v for k, v in tags.items()})
    return arn


def ask_role(aws, **condition):
    base = f"arn:aws:bedrock:us-east-1:{aws.account}:knowledge-base/*"
    return aws.make_role_for("ask", aws.root, allow("bedrock:Retrieve", base, **condition))


OWN = {"StringEquals": {"aws:ResourceTag/tenantry.dev/tenant-id": "${aws:PrincipalTag/tenantry.dev/tenant-id}"}}
POOL = {"StringEquals": {"aws:ResourceTag/tenantry.dev/owner": "SharedStack/${aws:PrincipalTag/pool}"}}


@pytest.mark.parametrize("policy, tags, right, wrong", [
    (OWN, {"tenant_id": "acme"}, {"tenantry.dev/tenant-id": "acme"}, {"tenantry.dev/tenant-id": "globex"}),
    (POOL, {"owner": "SharedStack/standard"}, {"pool": "standard"}, {"pool": "other"})])
def test_a_session_asks_its_own_knowledge_base_and_no_other(pool, policy, tags, right, wrong):
    aws, kb = pool
    tag(aws, kb, **tags)
    role = ask_role(aws, **policy)
    assert ask(aws, kb, runtime=aws.assume(role, "acme", right).runtime)["retrievalResults"]
    for others in (wrong, None):
        error = refused(lambda: ask(aws, kb, runtime=aws.assume(role, "acme", others).runtime)).response
        assert error["Error"]["Code"] == "AccessDeniedException" and error["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert "is not authorized to perform: bedrock:Retrieve on resource: arn:aws:bedrock:" in error["Error"]["Message"]


def test_the_tags_of_a_knowledge_base_both_ways(pool):
    """The reference has aws:ResourceTag for bedrock:Retrieve; nobody has tried it here."""
    aws, kb = pool
    tag(aws, kb, tenant_id="acme")
    acme = aws.assume(ask_role(aws, **OWN), "acme", {"tenantry.dev/tenant-id": "acme"}).runtime
    assert ask(aws, kb, runtime=acme)
    aws.settings(switches={"retrieve_sees_tags": False})
    assert code(lambda: ask(aws, kb, runtime=acme)) == "AccessDeniedException"
    aws.settings(switches={"retrieve_sees_tags": True, "policy_variables": "slashless"})
    assert code(lambda: ask(aws, kb, runtime=acme)) == "AccessDeniedException"


def test_a_fence_lets_only_the_asking_role_through(pool):
    """As a service control policy: a knowledge base that is not managed has no policy of its own."""
    aws, kb = pool
    tag(aws, kb, installation="prod")
    asking = aws.assume(ask_role(aws), "acme")
    other = aws.make_operator()
    excepted = [f"arn:aws:iam::{aws.account}:role/ask", f"arn:aws:iam::{aws.account}:role/admins/*"]
    fence = allow(["bedrock:Retrieve", "bedrock:RetrieveAndGenerate"], effect="Deny", ArnNotLike={"aws:PrincipalArn": excepted},
                  StringEquals={"aws:ResourceTag/tenantry.dev/installation": "prod"})
    aws.settings(organization={"levels": [["FullAWSAccess", {"Version": "2012-10-17", "Statement": [fence]}]]})
    assert ask(aws, kb, runtime=asking.runtime)
    for runtime in (other.runtime, aws.runtime):
        assert message(lambda: ask(aws, kb, runtime=runtime)).endswith("with an explicit deny in a service control policy")
        assert "bedrock:Retrieve on" in message(lambda: runtime.retrieve_and_generate(
            input={"text": "leave"}, retrieveAndGenerateConfiguration={"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": {
                "knowledgeBaseId": kb, "modelArn": "amazon.nova-pro-v1:0"}}))
    aws.make_role_for("one", aws.root, allow("bedrock:*"), path="/admins/")
    ask(aws, kb, runtime=aws.assume(f"arn:aws:iam::{aws.account}:role/admins/one").runtime)
    tag(aws, kb, installation="test")
    assert ask(aws, kb, runtime=other.runtime)
