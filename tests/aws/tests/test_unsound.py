"""A store that does what it must not, both ways of each switch: what a gateway has to see through."""

import json

import pytest

from .conftest import code, keys

ACME = {"equals": {"key": "tenantId", "value": "acme"}}


def switch(aws, **switches):
    aws.settings(switches=switches)


def found(aws, kb, filter=ACME, **search):
    return keys(aws.retrieve(kb, "annual leave", filter, **search))


def test_a_store_that_ignores_filters(pool):
    aws, kb = pool
    assert found(aws, kb) == ["acme/leave.md"]
    switch(aws, retrieve_filter="ignored")
    assert len(found(aws, kb)) == 4
    switch(aws, retrieve_filter="honoured")
    assert found(aws, kb) == ["acme/leave.md"]


def test_a_store_that_ignores_an_operator(pool):
    aws, kb = pool
    switch(aws, unsupported_filters=["equals"])
    assert code(lambda: found(aws, kb)) == "ValidationException"
    switch(aws, retrieve_filter="operator_ignored")
    assert len(found(aws, kb)) == 4
    recent = {"greaterThan": {"key": "year", "value": 2025}}
    assert set(found(aws, kb, {"andAll": [ACME, recent]})) == {"globex/leave.md", "globex/coffee.md"}
    assert set(found(aws, kb, {"orAll": [{"andAll": [ACME, recent]}, recent]})) == {"globex/leave.md", "globex/coffee.md"}
    switch(aws, unsupported_filters=[])
    assert found(aws, kb) == ["acme/leave.md"]


def test_a_store_that_mixes_passages(pool):
    aws, kb = pool
    switch(aws, retrieve_passages="mixed")
    mixed = found(aws, kb)
    assert mixed[1:] == ["acme/leave.md"] and not mixed[0].startswith("acme/")
    assert found(aws, kb, numberOfResults=1) == mixed[:1]
    switch(aws, retrieve_passages="own")
    assert found(aws, kb) == ["acme/leave.md"]


def test_mixed_with_another_index_where_everything_was_asked_for(pool):
    aws, kb = pool
    switch(aws, retrieve_passages="mixed")
    assert len(found(aws, kb, None)) == 4                 # there is no other
    aws.make_index("other")
    aws.grant("kb-role-2", aws.role_arn, ["DescribeIndex", "ReadDocument", "WriteDocument", "UpdateIndex"], "index/coll/other")
    arguments = aws.kb_arguments(name="silo")
    arguments["storageConfiguration"]["opensearchServerlessConfiguration"]["vectorIndexName"] = "other"
    silo = aws.make_kb(**arguments)
    assert found(aws, silo, None)[0] in {"acme/leave.md", "globex/leave.md", "globex/coffee.md", "nobody.md"}


def test_forged_sidecars(pool):
    aws, kb = pool
    switch(aws, forged_metadata=[{"key": "pool/globex/coffee*", "metadata": {"tenantId": "acme"}}])
    results = aws.retrieve(kb, "annual leave", ACME)
    assert set(keys(results)) == {"acme/leave.md", "globex/coffee.md"}
    assert {r["metadata"]["tenantId"] for r in results} == {"acme"}
    switch(aws, forged_metadata=[{"key": "pool/acme/*", "metadata": {"tenantId": ["acme", "globex"]}}])
    assert "acme/leave.md" in found(aws, kb, {"equals": {"key": "tenantId", "value": "globex"}})


def raw(aws, kb, filter=ACME):
    """The answer as it is on the wire: boto3 leaves out what its model does not know."""
    status, answer = aws.raw(f"/knowledgebases/{kb}/retrieve", {"retrievalQuery": {"text": "annual leave"}, "retrievalConfiguration": {
        "vectorSearchConfiguration": {"filter": filter} if filter else {}}})
    assert status == 200
    return answer


def test_members_that_nobody_knows(pool):
    aws, kb = pool
    assert set(raw(aws, kb)) == {"retrievalResults"}
    switch(aws, bent_answers=[{"of": "answer", "with": {"debug": {"all": ["globex"]}, "guardrailAction": None}},
                              {"of": "every", "with": {"neighbours": [{"text": "10 days"}]}}])
    answer = raw(aws, kb)
    assert answer["debug"] == {"all": ["globex"]} and answer["guardrailAction"] is None
    assert [p["neighbours"] for p in answer["retrievalResults"]] == [[{"text": "10 days"}]]
    assert found(aws, kb) == ["acme/leave.md"]            # boto3 goes on as before


@pytest.mark.parametrize("bent, location", [
    ({"without": ["location"]}, "absent"), ({"with": {"location": None}}, None), ({"with": {"location": {"type": "S3"}}}, {"type": "S3"}),
    ({"with": {"location": {"type": "WEB", "webLocation": {"url": "{uri}"}}}},
     {"type": "WEB", "webLocation": {"url": "s3://BUCKET/pool/acme/leave.md"}}),
    ({"with": {"location": {"type": "S3", "s3Location": {"uri": "s3://{bucket}/pool/acme%2F../globex/x"}}}},
     {"type": "S3", "s3Location": {"uri": "s3://BUCKET/pool/acme%2F../globex/x"}})])
def test_passages_without_a_place_or_with_an_odd_one(pool, bent, location):
    aws, kb = pool
    switch(aws, bent_answers=[{"of": "first", **bent}])
    passages = raw(aws, kb)["retrievalResults"]
    wanted = json.loads(json.dumps(location).replace("BUCKET", aws.bucket))
    assert passages[0].get("location", "absent") == wanted
    assert passages[0]["content"]["text"]


def test_the_first_the_last_and_every_one(pool):
    aws, kb = pool
    switch(aws, bent_answers=[{"of": "first", "with": {"x": 1}}, {"of": "last", "with": {"y": "{key}"}}, {"of": "every", "without": ["score"]}])
    passages = raw(aws, kb, None)["retrievalResults"]
    assert [p.get("x") for p in passages] == [1, None, None, None] and passages[-1]["y"].startswith("pool/")
    assert not any("score" in p for p in passages)
    switch(aws, bent_answers=[])
    assert all(set(p) == {"content", "location", "metadata", "score"} for p in raw(aws, kb)["retrievalResults"])
