"""The evaluator's language, pure: what statements and conditions mean."""

import json

import pytest

from double import policy
from double.evidence import Evidence
from double.principals import Role, named


def one(**changes):
    return [{"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*", **changes}]}]


@pytest.mark.parametrize("documents, action, resource, expected", [
    (one(), "s3:GetObject", "arn:aws:s3:::b/x", "Allow"),
    (one(), "s3:getobject", "arn:aws:s3:::b/x", "Allow"),
    (one(), "s3:GetObject", "arn:aws:s3:::c/x", None),
    (one(Action=["s3:Get*"]), "s3:GetObject", "arn:aws:s3:::b/x", "Allow"),
    (one(Resource="arn:aws:s3:::b/?"), "s3:GetObject", "arn:aws:s3:::b/xy", None),
    (one() + one(Effect="Deny"), "s3:GetObject", "arn:aws:s3:::b/x", "Deny"),
    ([{"Statement": {"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::c/*"}}], "s3:GetObject", "arn:aws:s3:::b/x", "Allow"),
    ([], "s3:GetObject", "arn:aws:s3:::b/x", None),
])
def test_statements(documents, action, resource, expected):
    assert policy.decide(documents, action, resource, {}) == expected


CONTEXT = {"aws:SourceAccount": "1", "aws:SourceArn": "arn:aws:bedrock:r:1:knowledge-base/K", "s3:prefix": "pool/a/",
           "aws:SecureTransport": "true", "aws:TagKeys": ["a", "b"]}


@pytest.mark.parametrize("condition, expected", [
    ({"StringEquals": {"AWS:sourceaccount": "1"}}, True),
    ({"StringEquals": {"aws:SourceAccount": ["2", "1"]}}, True),
    ({"StringEquals": {"aws:Missing": "1"}}, False),
    ({"StringEqualsIfExists": {"aws:Missing": "1"}}, True),
    ({"StringNotEquals": {"aws:SourceAccount": "1"}}, False),
    ({"StringNotEquals": {"aws:Missing": "1"}}, True),
    ({"StringLike": {"s3:prefix": ["pool/*"]}}, True),
    ({"StringLike": {"s3:prefix": "pool/"}}, False),
    ({"ArnLike": {"aws:SourceArn": "arn:aws:bedrock:r:1:knowledge-base/*"}}, True),
    ({"ArnEquals": {"aws:SourceArn": "arn:aws:bedrock:*:knowledge-base/K"}}, False),    # a * stays within its part
    ({"Bool": {"aws:SecureTransport": "false"}}, False),
    ({"Bool": {"aws:SecureTransport": True}}, True),
    ({"Null": {"aws:Missing": "true"}}, True),
    ({"Null": {"aws:SourceArn": "true"}}, False),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b", "c"]}}, True),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, False),
    ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}, True),
    ({"ForAnyValue:StringEquals": {"aws:Missing": ["a"]}}, False),
    ({"StringEquals": {"aws:TagKeys": ["a"]}}, True),                                    # of many one is enough
    ({"StringNotEquals": {"aws:TagKeys": ["a"]}}, False),
    ({"StringEquals": {"aws:TagKeys": ["c"]}}, False),
    ({"StringEquals": {"aws:SourceAccount": "1"}, "StringLike": {"s3:prefix": "x"}}, False),
    ({"NumericLessThan": {"aws:SourceAccount": "2"}}, True),
    ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),                             # not known here: does not allow
])
def test_conditions(condition, expected):
    assert policy.conditions_hold(condition, CONTEXT) is expected


def test_an_unknown_condition_denies():
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}
    assert policy.decide([{"Statement": [statement]}], "s3:GetObject", "x", {}) == "Deny"


def test_principals_of_resource_policies():
    arn = "arn:aws:iam::123456789012:role/x"
    for element in ("*", {"AWS": "*"}, {"AWS": arn}, {"AWS": ["123456789012"]}, {"AWS": "arn:aws:iam::123456789012:root"}):
        assert named(arn)(element)
    for element in ({"Service": "bedrock.amazonaws.com"}, {"AWS": arn + "y"}, None):
        assert not named(arn)(element)


def test_variables():
    documents = [{"Version": "2012-10-17", **one(Resource="arn:aws:s3:::b/${aws:PrincipalTag/tenant}/*")[0]}]
    assert policy.decide(documents, "s3:GetObject", "arn:aws:s3:::b/acme/x", {"aws:PrincipalTag/tenant": "acme"}) == "Allow"


def test_a_statement_is_evidence_only_if_nothing_else_allows_the_call(tmp_path):
    def statement(sid, action):
        return {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": "*"}
    policies = [{"Statement": [statement("One", ["s3:GetObject", "s3:PutObject"]), statement("Two", "s3:Get*")]}]
    file = tmp_path / "evidence"
    evidence = Evidence(file)
    for action in ("s3:GetObject", "s3:PutObject", "s3:PutObject", "s3:DeleteObject"):
        evidence.note(Role("arn", "operator", {}, policies, None), action, "arn:aws:s3:::x/y", {})
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        {"role": "operator", "sid": "One", "action": "s3:PutObject"}]
