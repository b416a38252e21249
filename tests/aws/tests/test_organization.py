"""What an organization's service control policies do: they give no right, and bind everybody of an account but a few."""

import json
from types import SimpleNamespace

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from double import organization
from double.settings import Settings

from .conftest import REGION, allow, code, message, refused

FULL = "FullAWSAccess"


def document(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def deny(actions, resource="*", **condition):
    return document(allow(actions, resource, effect="Deny", **condition))


def under(aws, *levels, **more):
    aws.settings(organization={"levels": list(levels), **more})


def test_a_denial_binds_everybody_of_the_account_and_its_root(aws):
    session = aws.make_operator()
    under(aws, [FULL, deny("s3:DeleteBucket")])
    for who in (aws, session):
        who.s3.create_bucket(Bucket=aws.bucket)
        told = message(lambda: who.s3.delete_bucket(Bucket=aws.bucket))
        assert told.endswith("with an explicit deny in a service control policy"), told
        assert code(lambda: who.s3.delete_bucket(Bucket=aws.bucket)) == "AccessDenied"
        under(aws)
        who.s3.delete_bucket(Bucket=aws.bucket)
        under(aws, [FULL, deny("s3:DeleteBucket")])


def test_only_whom_a_denial_means_is_bound(aws):
    session, other = aws.make_operator(), aws.make_operator(name="other")
    role = f"arn:aws:iam::{aws.account}:role/tenantry/op"
    under(aws, [FULL, deny("s3:CreateBucket", ArnEquals={"aws:PrincipalArn": role})])
    assert code(lambda: session.s3.create_bucket(Bucket=aws.bucket)) == "AccessDenied"
    other.s3.create_bucket(Bucket=aws.bucket)


def test_what_a_list_does_not_allow_is_refused_at_whichever_level(aws):
    session, only_s3 = aws.make_operator(), document(allow("s3:*"))
    for levels in ([[only_s3]], [[only_s3], [FULL]], [[FULL], [only_s3]]):
        under(aws, *levels)
        session.s3.list_buckets()
        told = message(lambda: session.kms.list_keys())
        assert told.endswith("because no service control policy allows the kms:ListKeys action"), told
    under(aws, [only_s3, document(allow("kms:*"))])
    session.kms.list_keys()


def test_it_gives_no_right(aws):
    session = aws.make_operator(allow("s3:*"))
    under(aws, [FULL])
    told = message(lambda: session.kms.list_keys())
    assert told.endswith("because no identity-based policy allows the kms:ListKeys action"), told


def test_the_management_account_is_not_bound(aws):
    under(aws, [FULL, deny("*")], management_account=True)
    aws.s3.create_bucket(Bucket=aws.bucket)


def test_a_role_that_is_linked_to_a_service_is_not_bound():
    settings, account = Settings(), "123456789012"
    settings.put(account, {"organization": {"levels": [[FULL, deny("*")]]}})
    world = SimpleNamespace(settings=settings)

    def bound(role):
        return organization.refusal(world, f"arn:aws:iam::{account}:role{role}", "kms:Decrypt", "*", {}) is not None
    assert bound("/tenantry/kb")
    assert not bound("/aws-service-role/observability.aoss.amazonaws.com/AWSServiceRoleForAmazonOpenSearchServerless")


def test_the_role_of_a_knowledge_base_is_bound_and_the_service_that_assumes_it_is_not(aws):
    aws.make_store()
    under(aws, [FULL, deny("sts:AssumeRole", f"arn:aws:iam::{aws.account}:role/tenantry/*")])
    aws.make_kb()
    under(aws, [FULL, deny("bedrock:InvokeModel")])
    told = message(lambda: aws.agent.create_knowledge_base(**aws.kb_arguments(name="another")))
    assert "is not able to call specified bedrock embedding model" in told, told


def test_nobody_assumes_a_role_that_the_organization_keeps(aws):
    session = aws.make_operator()
    trust = document({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{aws.account}:role/tenantry/op"}},
                     {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": aws.root}})
    arn = aws.iam.create_role(RoleName="kept", Path="/kept/", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    for who in (session, aws):
        who.assume(arn)
        under(aws, [FULL, deny("sts:AssumeRole", f"arn:aws:iam::{aws.account}:role/kept/*")])
        assert code(lambda: who.assume(arn)) == "AccessDenied"
        under(aws)


ONLY_SERVICES = {"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}


def kept(role, *actions):
    return document({**allow(list(actions), role, effect="Deny", **ONLY_SERVICES), "Principal": "*"})


def test_a_role_that_is_kept_is_used_by_nobody_but_a_service(aws):
    """Of whatever account; what SCPs bind is the caller, and here it is the role."""
    trust = document({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": aws.root}})
    arn = aws.iam.create_role(RoleName="kept", Path="/kept/", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    aws.assume(arn)
    aws.settings(organization={"resources": [kept(arn, "sts:AssumeRole")]})
    told = message(lambda: aws.assume(arn))
    assert told.endswith("with an explicit deny in a resource control policy"), told
    aws.make_store()
    aws.settings(organization={"resources": [kept(f"arn:aws:iam::{aws.account}:role/*", "sts:AssumeRole")]})
    aws.make_kb()
    everybody = document({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole", "Resource": "*"})
    aws.settings(organization={"resources": [everybody]})
    told = message(lambda: aws.agent.create_knowledge_base(**aws.kb_arguments(name="another")))
    assert "unable to assume the given role" in told, told


def test_a_role_that_is_kept_is_used_by_nobody_who_comes_by_an_identity_provider(aws):
    trust = document({"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
                      "Principal": {"Federated": f"arn:aws:iam::{aws.account}:oidc-provider/oidc.example"}})
    arn = aws.iam.create_role(RoleName="kept", Path="/kept/", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    sts = boto3.client("sts", region_name=REGION, endpoint_url=aws.endpoint, config=Config(
        signature_version=UNSIGNED, retries={"total_max_attempts": 1}))

    def become():
        return sts.assume_role_with_web_identity(RoleArn=arn, RoleSessionName="pod", WebIdentityToken="token")
    under(aws, [FULL, deny("sts:*", arn)])
    become()
    for own, code_of in (({"management_account": True}, None), ({"management_account": False}, "AccessDenied")):
        aws.settings(organization={"levels": [], "resources": [kept(arn, "sts:AssumeRoleWithWebIdentity")], **own})
        assert code(become) == code_of


@pytest.mark.parametrize("setting", [{"organization": {"policies": []}}, {"organization": []}])
def test_a_setting_that_is_misspelt_is_refused(aws, setting):
    with pytest.raises(AssertionError):
        aws.settings(**setting)
    assert refused(lambda: aws.s3.list_buckets()) is None
