"""Part 3: Retrieve searches what jobs wrote, with the filters of aws-facts §1.4; without one, everybody's (§7)."""

import json

import pytest

from double import filters
from double.errors import AwsError

from .conftest import allow, code, keys, message


def test_without_a_filter_everybody_is_found(pool):
    aws, kb = pool
    assert set(keys(aws.retrieve(kb, "annual leave days"))) == {"acme/leave.md", "globex/leave.md", "globex/coffee.md", "nobody.md"}


def test_with_its_filter_a_tenant_finds_its_own(pool):
    aws, kb = pool
    for tenant, days in (("acme", "30 days"), ("globex", "10 days")):
        results = aws.retrieve(kb, "annual leave days", {"equals": {"key": "tenantId", "value": tenant}})
        assert days in results[0]["content"]["text"]
        assert all(k.startswith(f"{tenant}/") for k in keys(results))


def test_not_equals_finds_what_has_no_tag(pool):
    """The reason why only positive filters isolate (§6)."""
    aws, kb = pool
    found = keys(aws.retrieve(kb, "annual leave", {"notEquals": {"key": "tenantId", "value": "globex"}}))
    assert set(found) == {"acme/leave.md", "nobody.md"}


def test_best_first_and_so_many(pool):
    aws, kb = pool
    results = aws.retrieve(kb, "where is the coffee machine", numberOfResults=2)
    assert keys(results)[0] == "globex/coffee.md" and len(results) == 2
    assert results[0]["score"] > results[1]["score"]


def test_five_by_default(pool):
    aws, kb = pool
    assert len(aws.runtime.retrieve(knowledgeBaseId=kb, retrievalQuery={"text": "leave"})["retrievalResults"]) == 4
    for n in range(5):
        aws.upload(f"pool/acme/{n}.md", f"leave {n}", tenantId="acme")
    source = aws.agent.list_data_sources(knowledgeBaseId=kb)["dataSourceSummaries"][0]["dataSourceId"]
    aws.ingest(kb, source)
    assert len(aws.runtime.retrieve(knowledgeBaseId=kb, retrievalQuery={"text": "leave"})["retrievalResults"]) == 5


def test_by_arn(pool):
    aws, kb = pool
    arn = f"arn:aws:bedrock:us-east-1:{aws.account}:knowledge-base/{kb}"
    assert aws.retrieve(arn, "coffee")


WRONG = [
    {"andAll": [{"equals": {"key": "tenantId", "value": "acme"}}]},                 # at least two, so one is sent bare
    {"equals": {"key": "k" * 101, "value": "x"}},
    {"equals": {"key": "a", "value": "b"}, "in": {"key": "a", "value": ["b"]}},     # a union
    {"in": {"key": "tenantId", "value": "acme"}},
    {"greaterThan": {"key": "year", "value": "2025"}},
]


def test_filters_that_are_refused(pool):
    aws, kb = pool
    assert [code(lambda: aws.retrieve(kb, "leave", wrong)) for wrong in WRONG] == ["ValidationException"] * len(WRONG)


def test_an_unsupported_filter_both_ways(pool):
    aws, kb = pool
    wanted = {"startsWith": {"key": "tenantId", "value": "ac"}}
    assert keys(aws.retrieve(kb, "leave", wanted)) == ["acme/leave.md"]
    aws.settings(switches={"unsupported_filters": ["startsWith"]})
    assert code(lambda: aws.retrieve(kb, "leave", wanted)) == "ValidationException"
    aws.settings(switches={"retrieve_filter": "operator_ignored"})
    assert len(aws.retrieve(kb, "leave", wanted)) == 4


def test_retrieve_needs_role_grant_and_index(pool):
    aws, kb = pool
    aws.aoss.delete_access_policy(type="data", name="kb-role")
    assert "403 Forbidden" in message(lambda: aws.retrieve(kb, "leave"))
    aws.grant("kb-role", aws.role_arn, ["DescribeIndex", "ReadDocument"], "index/coll/idx")
    assert aws.retrieve(kb, "leave")
    aws.iam.update_assume_role_policy(RoleName="kb", PolicyDocument=aws.trust(StringEquals={"aws:SourceAccount": "1"}))
    assert "unable to assume" in message(lambda: aws.retrieve(kb, "leave"))
    aws.iam.update_assume_role_policy(RoleName="kb", PolicyDocument=aws.trust())
    aws.aoss.delete_index(id=aws.collection()["id"], indexName="idx")
    assert "no such index" in message(lambda: aws.retrieve(kb, "leave"))


def test_the_journal_has_the_filter_and_not_the_answer(pool):
    aws, kb = pool
    aws.retrieve(kb, "annual leave", {"equals": {"key": "tenantId", "value": "acme"}})
    (entry,) = aws.journal(operation="Retrieve")
    assert entry["params"]["retrievalConfiguration"]["vectorSearchConfiguration"]["filter"]["equals"]["value"] == "acme"
    assert "30 days" not in json.dumps(entry)


RECORD = {"s": "abc", "n": 5, "b": True, "l": ["x", "y"]}


@pytest.mark.parametrize("node, expected", [
    ({"equals": {"key": "s", "value": "abc"}}, True), ({"equals": {"key": "s", "value": "ab"}}, False),
    ({"equals": {"key": "n", "value": 5.0}}, True), ({"equals": {"key": "b", "value": 1}}, False),
    ({"equals": {"key": "l", "value": "x"}}, True), ({"notEquals": {"key": "l", "value": "x"}}, False),
    ({"equals": {"key": "b", "value": True}}, True), ({"equals": {"key": "missing", "value": "x"}}, False),
    ({"notEquals": {"key": "s", "value": "abc"}}, False), ({"notEquals": {"key": "missing", "value": "x"}}, True),
    ({"in": {"key": "s", "value": ["abc", "d"]}}, True), ({"notIn": {"key": "s", "value": ["abc"]}}, False),
    ({"notIn": {"key": "missing", "value": ["abc"]}}, True), ({"greaterThan": {"key": "n", "value": 4}}, True),
    ({"greaterThanOrEquals": {"key": "n", "value": 5}}, True), ({"lessThan": {"key": "n", "value": 5}}, False),
    ({"lessThanOrEquals": {"key": "n", "value": 5}}, True), ({"lessThan": {"key": "s", "value": 5}}, False),
    ({"startsWith": {"key": "s", "value": "ab"}}, True), ({"stringContains": {"key": "s", "value": "bc"}}, True),
    ({"stringContains": {"key": "l", "value": "x"}}, True), ({"listContains": {"key": "l", "value": "y"}}, True),
    ({"listContains": {"key": "s", "value": "a"}}, False),
    ({"andAll": [{"equals": {"key": "n", "value": 5}}, {"equals": {"key": "s", "value": "x"}}]}, False),
    ({"orAll": [{"equals": {"key": "n", "value": 5}}, {"equals": {"key": "s", "value": "x"}}]}, True),
])
def test_the_grammar(node, expected):
    filters.check(node)
    assert filters.matches(node, RECORD) is expected


def test_nesting_is_one_level_deep():
    leaf = {"equals": {"key": "n", "value": 5}}
    filters.check({"andAll": [leaf, {"orAll": [leaf, leaf]}]})
    with pytest.raises(AwsError):
        filters.check({"andAll": [leaf, {"orAll": [leaf, {"andAll": [leaf, leaf]}]}]})
    with pytest.raises(AwsError):
        filters.check({"andAll": [leaf] * 6})


def generate(aws, kb, question, tenant, runtime=None):
    search = {"filter": {"equals": {"key": "tenantId", "value": tenant}}}
    return (runtime or aws.runtime).retrieve_and_generate(
        input={"text": question}, retrieveAndGenerateConfiguration={
            "type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": {
                "knowledgeBaseId": kb, "modelArn": "amazon.nova-pro-v1:0",
                "retrievalConfiguration": {"vectorSearchConfiguration": search}}})


def test_an_answer_in_words_cites_what_the_filter_lets_through(pool):
    aws, kb = pool
    answer = generate(aws, kb, "annual leave days", "globex")
    assert "10 days" in answer["output"]["text"] and "30 days" not in answer["output"]["text"]
    cited = [reference for citation in answer["citations"] for reference in citation["retrievedReferences"]]
    assert set(keys(cited)) == {"globex/leave.md", "globex/coffee.md"} and answer["sessionId"]


@pytest.mark.parametrize("missing", ["bedrock:RetrieveAndGenerate", "bedrock:Retrieve", "bedrock:InvokeModel"])
def test_an_answer_in_words_needs_three_rights(pool, missing):
    aws, kb = pool
    rights = {"bedrock:RetrieveAndGenerate": "*", "bedrock:InvokeModel": "arn:aws:bedrock:*::foundation-model/*",
              "bedrock:Retrieve": f"arn:aws:bedrock:*:{aws.account}:knowledge-base/{kb}"}
    op = aws.make_operator(*(allow(action, on) for action, on in rights.items()))
    assert generate(aws, kb, "leave", "acme", op.runtime)["citations"]
    aws.may(*(allow(action, on) for action, on in rights.items() if action != missing))
    assert missing in message(lambda: generate(aws, kb, "leave", "acme", op.runtime))
