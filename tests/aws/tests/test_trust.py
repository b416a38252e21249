"""Who may have the operator's role, as docs/install.md has its trust: no other pod, of this cluster or another (S28)."""

import json
import pathlib
import re

import pytest

from double.principals import Role, Roles

PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs" / "install.md"
POD = {"aws:RequestTag/eks-cluster-arn": "arn:aws:eks:eu-central-1:111122223333:cluster/my-cluster",
       "aws:RequestTag/kubernetes-namespace": "tenantry", "aws:RequestTag/kubernetes-service-account": "tenantry"}


def trust(principal):
    """The one policy of the page that trusts it."""
    found = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)]
    return next(policy for policy in found if principal in json.dumps(policy))


def may_have_it(**tags):
    role = Role("arn:aws:iam::111122223333:role/tenantry-operator", "tenantry-operator", trust("pods.eks.amazonaws.com"), [], None)
    return Roles.assumable(role, "pods.eks.amazonaws.com", {**POD, **{f"aws:RequestTag/{k}": v for k, v in tags.items()}})


def test_the_operators_pods_have_the_role():
    assert may_have_it()


@pytest.mark.parametrize("tag, value", [
    ("kubernetes-namespace", "default"), ("kubernetes-namespace", None),
    ("kubernetes-service-account", "default"), ("kubernetes-service-account", None),
    ("eks-cluster-arn", "arn:aws:eks:eu-central-1:111122223333:cluster/another"), ("eks-cluster-arn", None),
])
def test_no_other_pod_has_it(tag, value):
    assert not may_have_it(**{tag.replace("_", "-"): value})
