"""AssumeRole: names, tags and policies of sessions, chains of roles, and what policies see of all that."""

import datetime
import json
import time

import pytest

from .conftest import Aws, allow, code, message, refused, until

TENANT = "tenantry.dev/tenant-id"


@pytest.fixture
def ask(aws):
    """A role that root may assume with tags."""
    return aws.make_role_for("ask", aws.root, allow("s3:ListAllMyBuckets"))


def tags_of(aws):
    return aws.journal()[-1]["session"]["tags"]


@pytest.mark.parametrize("name, wanted", [
    ("7", "ValidationError"), ("7.", None), ("a" * 64, None), ("a" * 65, "ValidationError"), ("a b", "ValidationError"),
    ("ä-tenant", "ValidationError"), ("acme=,.@-_+", None), ("a/b", "ValidationError")])
def test_the_name_of_a_session(aws, ask, name, wanted):
    assert code(lambda: aws.assume(ask, name)) == wanted


@pytest.mark.parametrize("tags, wanted", [
    ({TENANT: "acme"}, None), ({f"k{n}": "v" for n in range(50)}, None), ({f"k{n}": "v" for n in range(51)}, "ValidationError"),
    ({"k" * 128: "v" * 256}, None), ({"k" * 129: "v"}, "ValidationError"), ({"k": "v" * 257}, "ValidationError"),
    ({"k": ""}, None), ({"": "v"}, "ValidationError"), ({"k": "a*"}, "ValidationError"), ({"k": "a{b}"}, "ValidationError"),
    ({"Größe": "stack/größer 1"}, None), ({"k": "v", "K": "w"}, "InvalidParameterValue")])
def test_tags_that_a_session_may_have(aws, ask, tags, wanted):
    assert code(lambda: aws.assume(ask, tags=tags)) == wanted


def test_tags_need_a_right_of_their_own_in_the_trust(aws):
    arn = aws.make_role_for("ask", aws.root, actions=["sts:AssumeRole"])
    aws.assume(arn)
    aws.assume(arn, tags={})
    told = message(lambda: aws.assume(arn, tags={TENANT: "acme"}))
    assert f"is not authorized to perform: sts:TagSession on resource: {arn}" in told, told


def test_and_of_the_caller_where_the_trust_names_the_account(aws):
    arn = aws.make_role_for("ask", aws.root)
    gateway = aws.make_operator(allow("sts:AssumeRole", arn))
    gateway.assume(arn)
    assert "perform: sts:TagSession" in message(lambda: gateway.assume(arn, tags={TENANT: "acme"}))
    aws.may(allow("sts:TagSession", arn))
    assert "perform: sts:AssumeRole" in message(lambda: gateway.assume(arn, tags={TENANT: "acme"}))
    aws.may(allow(["sts:AssumeRole", "sts:TagSession"], arn))
    gateway.assume(arn, tags={TENANT: "acme"})
    assert aws.journal(operation="AssumeRole")[-1]["actions"] == ["sts:AssumeRole", "sts:TagSession"]


def test_not_of_the_caller_whom_the_trust_names(aws):
    gateway = aws.make_operator(allow("s3:*"))
    gateway.assume(aws.make_role_for("ask", f"arn:aws:iam::{aws.account}:role/tenantry/op"), tags={TENANT: "acme"})


def test_a_trust_chooses_tags_and_names(aws):
    arn = aws.make_role_for("ask", aws.root, StringLike={f"aws:RequestTag/{TENANT}": "*", "sts:RoleSessionName": "a*"},
                            **{"ForAllValues:StringEquals": {"aws:TagKeys": [TENANT]}})
    aws.assume(arn, "acme", {TENANT: "acme"})
    for name, tags in (("acme", None), ("acme", {"other": "acme"}), ("acme", {TENANT: "acme", "other": "x"}), ("globex", {TENANT: "acme"})):
        assert code(lambda: aws.assume(arn, name, tags)) == "AccessDenied", (name, tags)


def test_a_caller_is_bound_to_tags_by_its_own_policy(aws):
    arn = aws.make_role_for("ask", aws.root)
    gateway = aws.make_operator(allow("sts:AssumeRole", arn), allow("sts:TagSession", arn, StringEquals={f"aws:RequestTag/{TENANT}": "acme"}))
    gateway.assume(arn, tags={TENANT: "acme"})
    assert code(lambda: gateway.assume(arn, tags={TENANT: "globex"})) == "AccessDenied"


def test_an_organization_forbids_tags(aws, ask):
    deny = {"Version": "2012-10-17", "Statement": [allow("sts:TagSession", effect="Deny")]}
    aws.settings(organization={"levels": [["FullAWSAccess", deny]]})
    aws.assume(ask)
    assert message(lambda: aws.assume(ask, tags={TENANT: "acme"})).endswith("with an explicit deny in a service control policy")


def test_a_session_is_in_the_journal_with_its_tags(aws, ask):
    session = aws.assume(ask, "acme", {TENANT: "acme", "class": "premium"})
    session.s3.list_buckets()
    assert aws.journal()[-1]["session"] == {"role": "ask", "name": "acme", "tags": {TENANT: "acme", "class": "premium"}}
    aws.s3.list_buckets()
    assert aws.journal()[-1]["session"] is None


def seen_by(aws, condition, tags, role_tags=None):
    """May a session with these tags do what the condition is on?"""
    if role_tags:
        aws.iam.tag_role(RoleName="ask", Tags=[{"Key": k, "Value": v} for k, v in role_tags.items()])
    aws.may(allow("s3:ListAllMyBuckets", **condition), name="ask")
    session = aws.assume(f"arn:aws:iam::{aws.account}:role/ask", tags=tags)
    return refused(session.s3.list_buckets) is None


def test_a_policy_sees_the_tags(aws, ask):
    acme = {"StringEquals": {f"aws:PrincipalTag/{TENANT}": "acme"}}
    assert seen_by(aws, acme, {TENANT: "acme"})
    assert not seen_by(aws, acme, {TENANT: "globex"})
    assert not seen_by(aws, acme, None)
    assert seen_by(aws, acme, None, {TENANT: "acme"})                           # the role's own
    assert not seen_by(aws, acme, {TENANT.upper(): "globex"}, {TENANT: "acme"})       # the session's goes before it


def test_a_variable_in_a_resource(aws):
    arn = aws.make_role_for("ask", aws.root, allow("s3:ListBucket", "arn:aws:s3:::${aws:PrincipalTag/tenant}-" + aws.account))
    aws.s3.create_bucket(Bucket=f"acme-{aws.account}")
    listing = lambda tags: code(lambda: aws.assume(arn, tags=tags).s3.list_objects_v2(Bucket=f"acme-{aws.account}"))
    assert [listing(tags) for tags in ({"tenant": "acme"}, {"tenant": "globex"}, None)] == [None, "AccessDenied", "AccessDenied"]


@pytest.mark.parametrize("key, resolved", [("tenant", ["all", "slashless"]), (TENANT, ["all"])])
def test_a_key_with_a_slash_in_a_variable_both_ways(aws, key, resolved):
    """Nobody says whether AWS resolves it. The key of a condition is no variable."""
    aws.s3.create_bucket(Bucket=f"acme-{aws.account}")
    arn = aws.make_role_for("ask", aws.root, allow("s3:ListBucket", f"arn:aws:s3:::${{aws:PrincipalTag/{key}}}-{aws.account}"))
    acme = aws.assume(arn, tags={key: "acme"})
    for switch in ("all", "slashless"):
        aws.settings(switches={"policy_variables": switch})
        may = refused(lambda: acme.s3.list_objects_v2(Bucket=f"acme-{aws.account}")) is None
        assert may == (switch in resolved), switch
    aws.may(allow("s3:ListBucket", StringEquals={f"aws:PrincipalTag/{key}": "acme"}), name="ask")
    acme.s3.list_objects_v2(Bucket=f"acme-{aws.account}")


def test_a_policy_of_the_older_language_has_no_variables(aws):
    arn = aws.make_role_for("ask", aws.root)
    acme = aws.assume(arn, tags={"tenant": "acme"})
    for version in ("2008-10-17", "2012-10-17"):
        aws.iam.put_role_policy(RoleName="ask", PolicyName="may", PolicyDocument=json.dumps({"Version": version, "Statement": [
            allow("s3:ListAllMyBuckets", StringEquals={"aws:PrincipalTag/tenant": "${aws:PrincipalTag/tenant}"})]}))
        assert (refused(acme.s3.list_buckets) is None) == (version == "2012-10-17")


# chains of roles

def chain(aws, **more):
    """A session of a gateway that root made, and a role that it may assume."""
    gateway = aws.make_role_for("gateway", aws.root, allow(["sts:AssumeRole", "sts:TagSession"]))
    return aws.assume(gateway, "pod", **more), aws.make_role_for("ask", aws.root, allow("s3:ListAllMyBuckets"))


def test_a_session_of_a_session_lasts_an_hour_at_most(aws):
    gateway, ask = chain(aws)
    aws.iam.update_role(RoleName="ask", MaxSessionDuration=43200)
    gateway.assume(ask, DurationSeconds=3600)
    error = refused(lambda: gateway.assume(ask, DurationSeconds=3601)).response["Error"]
    assert error["Code"] == "ValidationError"
    assert error["Message"] == "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
    aws.assume(ask, DurationSeconds=43200)


def test_a_session_lasts_as_long_as_its_role_lets_it(aws, ask):
    aws.assume(ask, DurationSeconds=3600)
    assert "exceeds the MaxSessionDuration" in message(lambda: aws.assume(ask, DurationSeconds=3601))
    aws.iam.update_role(RoleName="ask", MaxSessionDuration=7200)
    aws.assume(ask, DurationSeconds=7200)
    assert [code(lambda: aws.assume(ask, DurationSeconds=n)) for n in (899, 43201)] == ["ValidationError"] * 2


def test_tags_end_with_the_session_unless_they_are_transitive(aws):
    gateway, ask = chain(aws, tags={"cluster": "prod", "pod": "gw-1"}, TransitiveTagKeys=["Cluster"])
    gateway.assume(ask, tags={TENANT: "acme"}).s3.list_buckets()
    assert tags_of(aws) == {"cluster": "prod", TENANT: "acme"}
    gateway.assume(ask).s3.list_buckets()
    assert tags_of(aws) == {"cluster": "prod"}


def test_transitive_tags_need_the_right_too_and_are_seen_as_requested(aws):
    """Pods of EKS have such, which is why their chains fail where only sts:AssumeRole is allowed."""
    gateway, ask = chain(aws, tags={"cluster": "prod"}, TransitiveTagKeys=["cluster"])
    other = aws.make_role_for("other", aws.root, actions=["sts:AssumeRole"])
    assert "perform: sts:TagSession" in message(lambda: gateway.assume(other))
    gateway.assume(aws.make_role_for("third", aws.root, StringEquals={"aws:RequestTag/cluster": "prod"}))
    assert code(lambda: gateway.assume(aws.make_role_for("fourth", aws.root, StringEquals={"aws:RequestTag/cluster": "test"}))) == "AccessDenied"


def test_transitive_tags_cannot_be_changed_or_invented(aws):
    gateway, ask = chain(aws, tags={"cluster": "prod"}, TransitiveTagKeys=["cluster"])
    told = message(lambda: gateway.assume(ask, tags={"CLUSTER": "test"}))
    assert "conflicts with a transitive tag key from the calling session" in told
    told = message(lambda: gateway.assume(ask, tags={TENANT: "acme"}, TransitiveTagKeys=["other"]))
    assert told == "The specified transitive tag key must be included in the requested tags."


# policies and ends of sessions

def test_a_sessions_policy_narrows_and_gives_nothing(aws, ask):
    def listing(*statements):
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        return message(lambda: aws.assume(ask, Policy=document).s3.list_buckets())
    assert listing(allow("s3:*")) is None
    assert listing(allow("s3:GetObject")).endswith("because no session policy allows the s3:ListAllMyBuckets action")
    assert listing(allow("*"), allow("s3:*", effect="Deny")).endswith("with an explicit deny in a session policy")
    aws.may(allow("s3:GetObject"), name="ask")
    assert "no identity-based policy" in listing(allow("*"))


def test_policies_for_a_session_that_are_refused(aws, ask):
    assert code(lambda: aws.assume(ask, Policy="{")) == "MalformedPolicyDocument"
    assert code(lambda: aws.assume(ask, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow("*", "a" * 2048)]}))) == "ValidationError"
    assert code(lambda: aws.assume(ask, PolicyArns=[{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}])) == "NotImplementedByDouble"


def test_a_session_shows_its_token(aws, ask):
    keys = aws.assume(ask).credentials
    for token in (None, "x", aws.assume(ask).credentials["aws_session_token"]):
        other = Aws(aws.endpoint, aws.account, {**keys, "aws_session_token": token})
        assert [code(act) for act in (other.s3.list_buckets, other.sts.get_caller_identity, other.agent.list_knowledge_bases)] == [
            "InvalidToken", "InvalidClientTokenId", "UnrecognizedClientException"]
    Aws(aws.endpoint, aws.account, keys).s3.list_buckets()


def test_a_session_that_ends_early(aws, ask):
    """AWS's shortest lasts 15 minutes, which no test waits for."""
    aws.settings(session_seconds=1.5)
    given = aws.sts.assume_role(RoleArn=ask, RoleSessionName="acme")["Credentials"]
    assert given["Expiration"] - datetime.datetime.now(datetime.timezone.utc) < datetime.timedelta(seconds=2)
    session = Aws(aws.endpoint, aws.account, {"aws_access_key_id": given["AccessKeyId"], "aws_secret_access_key": "x",
                                              "aws_session_token": given["SessionToken"]})
    session.s3.list_buckets()
    time.sleep(1)
    until(lambda: refused(session.s3.list_buckets) is not None)
    assert [code(act) for act in (session.s3.list_buckets, session.sts.get_caller_identity, session.agent.list_knowledge_bases)] == [
        "ExpiredToken", "ExpiredToken", "ExpiredTokenException"]
    aws.settings(session_seconds=0)
    aws.assume(ask).s3.list_buckets()
