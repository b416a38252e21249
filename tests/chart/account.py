"""The account in which the double of AWS lets a release work, the roles that it has there, and what its pods did with their rights in the cluster."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import boto3
import yaml

from bed import REGION
from chart import CHART, NAMESPACE, of_kind, render
from cluster import Cluster
from prepare import OPERATOR

ACCOUNT = "444455556666"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/tenantry-boundary"
SCOPE = ("--installation", "prod", "--account", ACCOUNT, "--region", REGION)
ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": ROOT}]}


def program(*arguments: str) -> str:
    """What the program prints."""
    return subprocess.run([OPERATOR, *arguments], capture_output=True, text=True, check=True).stdout


def arn(role: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{role}"


def client(cluster: Cluster, service: str) -> Any:
    """An administrator of the account."""
    return boto3.Session(ACCOUNT, "not-a-secret", region_name=REGION).client(service, endpoint_url=cluster.bed.aws_endpoint)


def role(cluster: Cluster, name: str, policy: str, trust: str = json.dumps(TRUST)) -> None:
    iam = client(cluster, "iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    iam.put_role_policy(RoleName=name, PolicyName="tenantry", PolicyDocument=policy)


def session(cluster: Cluster, name: str, called: str) -> dict[str, str]:
    """What EKS would tell a pod that has the role."""
    keys = client(cluster, "sts").assume_role(RoleArn=arn(name), RoleSessionName=called)["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }


def operator(cluster: Cluster) -> dict[str, str]:
    """The operator's role, as docs/install.md makes it."""
    iam = client(cluster, "iam")
    iam.create_policy(PolicyName="tenantry-boundary", PolicyDocument=program("iam-policy", "boundary", *SCOPE[:4]))
    own = ("--role-arn", arn("tenantry-operator"), "--permissions-boundary", BOUNDARY)
    role(cluster, "tenantry-operator", program("iam-policy", "operator", *SCOPE[:4], *own))
    destructive = iam.create_policy(PolicyName="tenantry-destructive", PolicyDocument=program("iam-policy", "destructive", *SCOPE[:4]))
    iam.attach_role_policy(RoleName="tenantry-operator", PolicyArn=destructive["Policy"]["Arn"])
    return session(cluster, "tenantry-operator", "operator")


def gateway(cluster: Cluster) -> dict[str, str]:
    """The gateway's role and the one in whose sessions it asks, as docs/gateway.md makes them."""
    own, ask = arn("tenantry-gateway"), arn("tenantry-ask")
    role(cluster, "tenantry-gateway", program("iam-policy", "gateway", *SCOPE, "--ask-role", ask))
    trust = program("iam-policy", "ask", *SCOPE, "--trust", "--gateway-role", own)
    role(cluster, "tenantry-ask", program("iam-policy", "ask", *SCOPE), trust)
    return session(cluster, "tenantry-gateway", "gateway")


def values(cluster: Cluster, file: Path, **more: Any) -> Path:
    """Values of a release that works in the account."""
    values = yaml.safe_load((CHART / "ci" / "minimal.yaml").read_text())
    values |= {
        "permissionsBoundary": BOUNDARY,
        "aws": {"region": REGION, "endpointUrl": cluster.bed.aws_endpoint},
        "leaderElection": {"leaseDurationSeconds": 6, "renewDeadlineSeconds": 4, "retryPeriodSeconds": 1},
        "deletionGraceSeconds": 1,
        "extraArgs": ["--clock=10"],  # the double is as much faster than AWS
        **more,
    }
    file.write_text(yaml.safe_dump(values))
    return file


def rights_that_nobody_used(cluster: Cluster, name: str, *others: str) -> set[tuple[str, str, str, str]]:
    """Of what the chart lets the pods do whose service account, ClusterRole and Roles have this name: by group, resource, verb and, where the
    rule has one, name, what neither they have done nor those of others, which have the same rights."""
    manifests = render(CHART / "ci" / "gateway-secret.yaml")
    roles = [it for kind in ("ClusterRole", "Role") for it in of_kind(manifests, kind) if it["metadata"]["name"] in (name, f"{name}-leader")]
    assert len(roles) == 2
    granted = {
        right
        for rule in roles[0]["rules"] + roles[1]["rules"]
        for right in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"], rule.get("resourceNames", [""]))
    }
    accounts = [f"system:serviceaccount:{NAMESPACE}:{account}" for account in (name, *others)]
    used = set()
    for event in cluster.bed.audited():
        is_theirs = event["user"]["username"] in accounts
        if is_theirs and (about := event.get("objectRef")) and event["responseStatus"]["code"] != 403:
            resource = "/".join(filter(None, [about["resource"], about.get("subresource")]))
            done = (about.get("apiGroup", ""), resource, event["verb"])
            used |= {(*done, ""), (*done, about.get("name", ""))}
    return granted - used
