"""The chart's life on a real API server: the operator runs as its Deployment says, with its service account's token and rights,
and under an AWS role that may do what `tenantry iam-policy operator` prints."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

import docs
from bed import REGION
from chart import CHART, NAMESPACE, RELEASE, Refused, of_kind, render
from conftest import Cluster
from kubelet import Kubelet
from prepare import OPERATOR

ACCOUNT = "444455556666"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/tenantry-boundary"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/tenantry-operator"
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}]}

SHARED_STACK = """
apiVersion: tenantry.dev/v1alpha1
kind: SharedStack
metadata: {name: standard}
spec: {}
"""
TENANT = """
apiVersion: tenantry.dev/v1alpha1
kind: Tenant
metadata: {name: acme, namespace: {{ .Release.Namespace }}}
spec: {tenantId: acme, pattern: Bridge, stackRef: {name: standard}}
"""


@pytest.fixture
def role(cluster: Cluster) -> dict[str, str]:
    """The operator's role, as docs/install.md makes it, and what EKS would tell its pods."""
    aws = {"endpoint_url": cluster.bed.aws_endpoint, "region_name": REGION}
    administrator = boto3.Session(ACCOUNT, "not-a-secret", region_name=REGION)
    iam = administrator.client("iam", **aws)
    iam.create_policy(PolicyName="tenantry-boundary", PolicyDocument=docs.boundary())
    iam.create_role(RoleName="tenantry-operator", AssumeRolePolicyDocument=json.dumps(TRUST))
    command = ["iam-policy", "operator", "--installation", "prod", "--account", ACCOUNT, "--role-arn", ROLE, "--permissions-boundary", BOUNDARY]
    policy = subprocess.run([OPERATOR, *command], capture_output=True, text=True, check=True).stdout
    iam.put_role_policy(RoleName="tenantry-operator", PolicyName="tenantry", PolicyDocument=policy)
    keys = administrator.client("sts", **aws).assume_role(RoleArn=ROLE, RoleSessionName="operator")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }


@pytest.fixture
def kubelet(cluster: Cluster, role: dict[str, str]) -> Iterator[Kubelet]:
    with Kubelet(cluster.bed, role) as kubelet:
        yield kubelet


@pytest.fixture
def values(cluster: Cluster, tmp_path: Path) -> Path:
    values = yaml.safe_load((CHART / "ci" / "minimal.yaml").read_text())
    values |= {
        "permissionsBoundary": BOUNDARY,
        "aws": {"region": REGION, "endpointUrl": cluster.bed.aws_endpoint},
        "leaderElection": {"leaseDurationSeconds": 4, "renewDeadlineSeconds": 3, "retryPeriodSeconds": 1},
        "extraArgs": ["--clock=10"],  # the double is as much faster than AWS
    }
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def older(chart: Path) -> Path:
    """The chart of an earlier release, whose Tenants named no model that answers."""
    shutil.copytree(CHART, chart)
    about = (chart / "Chart.yaml").read_text()
    (chart / "Chart.yaml").write_text(re.sub("^version: .*", "version: 0.0.1", about, flags=re.MULTILINE))
    file = chart / "files" / "crds" / "tenantry.dev_tenants.yaml"
    definition = yaml.safe_load(file.read_text())
    del schema_of(definition)["answers"]
    file.write_text(yaml.safe_dump(definition, sort_keys=False))
    return chart


def schema_of(definition: dict[str, Any]) -> dict[str, Any]:
    return definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]


def chart_of(directory: Path, manifest: str) -> Path:
    """A chart of a user's own."""
    (directory / "templates").mkdir(parents=True)
    (directory / "Chart.yaml").write_text(f"{{apiVersion: v2, name: {directory.name}, version: 1.0.0}}\n")
    (directory / "templates" / "manifest.yaml").write_text(manifest)
    return directory


class Story:
    """What is done and looked at again and again."""

    def __init__(self, cluster: Cluster, kubelet: Kubelet) -> None:
        self.cluster, self.kubelet = cluster, kubelet

    def changes(self, since: int = 0) -> list[str]:
        """The calls that changed something in AWS, and where the journal ends."""
        url = f"{self.cluster.bed.aws_endpoint}/_double/journal?account={ACCOUNT}&since={since}"
        with urllib.request.urlopen(url) as answer:
            entries = json.loads(answer.read())["entries"]
        self.mark = max([since, *(entry["seq"] for entry in entries)])
        return [f"{entry['operation']} {entry['resource']}" for entry in entries if entry["mutating"] and not entry["error"]]

    def tenant(self) -> dict[str, Any]:
        return self.cluster.get("tenant", "acme", "--namespace=tenants")

    def ready(self) -> None:
        self.cluster.kubectl("wait", "--for=condition=Ready", "--timeout=90s", "tenant/acme", "--namespace=tenants")

    def judged_anew(self, model: str) -> None:
        """The operator at work has seen the Tenant as it is now."""
        patch = json.dumps({"spec": {"answers": {"model": model}}})
        self.cluster.kubectl("patch", "tenant", "acme", "--namespace=tenants", "--type=merge", "--patch", patch)
        self.ready()

    def leader(self) -> str:
        """The pod that holds the Lease."""
        lease = self.cluster.get("lease", "tenantry-prod", f"--namespace={NAMESPACE}")
        return (lease["spec"].get("holderIdentity") or "").split("_")[0]


def test_install_upgrade_uninstall_and_install_again(cluster: Cluster, kubelet: Kubelet, values: Path, tmp_path: Path) -> None:
    story = Story(cluster, kubelet)
    install = ["--namespace", NAMESPACE, "--values", values, "--wait", "--timeout", "2m"]

    said = cluster.helm("install", RELEASE, older(tmp_path / "older"), "--create-namespace", *install)
    assert "tenantry iam-policy operator --installation prod" in said
    before = kubelet.names()
    assert len(before) == 2
    cluster.eventually("one of the two leads", lambda: story.leader() in before)

    # A user's chart is installed when its Tenant is Ready, and not before.
    cluster.kubectl("apply", manifests=[yaml.safe_load(SHARED_STACK)])
    cluster.helm("install", "acme", chart_of(tmp_path / "acme", TENANT), "--namespace", "tenants", "--create-namespace", "--wait", "--timeout", "2m")
    acme = story.tenant()
    assert next(c["status"] for c in acme["status"]["conditions"] if c["type"] == "Ready") == "True"
    assert any(change.startswith("CreateKnowledgeBase") for change in story.changes())
    assert actions_of_roles(cluster) <= set(json.loads(docs.boundary())["Statement"][0]["Action"])

    # The definition is upgraded with the rest, and another pod leads.
    assert "answers" not in schema_of(cluster.get("crd", "tenants.tenantry.dev"))
    cluster.helm("upgrade", RELEASE, CHART, *install)
    assert "answers" in schema_of(cluster.get("crd", "tenants.tenantry.dev"))
    after = cluster.eventually("the old pods are gone", lambda: not set(before) & set(kubelet.names()) and kubelet.names())
    cluster.eventually("a new pod leads", lambda: story.leader() in after)
    story.judged_anew("e2e.model-one")

    # Without the definitions in its manifest the release leaves them where they are.
    cluster.helm("upgrade", RELEASE, CHART, *install, "--set", "crds.enabled=false")
    cluster.helm("upgrade", RELEASE, CHART, *install)
    assert story.tenant()["metadata"]["uid"] == acme["metadata"]["uid"]

    # Nothing but the operator goes. Its rights go with it: that it cannot give back the Lease harms nobody.
    assert [event["requestURI"] for event in cluster.bed.audited() if event["responseStatus"]["code"] == 403] == []
    cluster.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "2m")
    cluster.eventually("no operator runs", lambda: not kubelet.names())
    assert cluster.get("crd", "sharedstacks.tenantry.dev", "tenants.tenantry.dev")["items"][0]["metadata"].get("deletionTimestamp") is None
    kept = story.tenant()["metadata"]
    assert (kept["uid"], kept["finalizers"], kept.get("deletionTimestamp")) == (acme["metadata"]["uid"], ["tenantry.dev/prod"], None)
    assert [change for change in story.changes() if change.startswith("Delete")] == []

    # Another release would have to take the definitions over, and is told.
    with pytest.raises(Refused, match="invalid ownership metadata"):
        cluster.helm("install", "other", CHART, *install, "--dry-run=server")
    # The same one finds everything as it left it.
    story.changes()
    mark = story.mark
    cluster.helm("install", RELEASE, CHART, *install)
    story.judged_anew("e2e.model-two")
    assert story.tenant()["status"]["knowledgeBaseId"] == acme["status"]["knowledgeBaseId"]
    assert story.changes(mark) == []

    a_tenant_that_waits_for_a_person_ends_helms_waiting(cluster, tmp_path)

    # And goes where people say so.
    cluster.helm("uninstall", "acme", "--namespace", "tenants", "--wait", "--timeout", "2m")
    cluster.kubectl("delete", "sharedstack", "standard", "--timeout=90s")
    assert rights_that_nobody_used(cluster) == {("events.k8s.io", "events", "patch")}  # one that is repeated within minutes
    cluster.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "2m")


def a_tenant_that_waits_for_a_person_ends_helms_waiting(cluster: Cluster, tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(Refused, match="tenantId 'acme' is held by another Tenant"):
        cluster.helm("install", "second", chart_of(tmp_path / "second", TENANT), "--namespace", "others", "--create-namespace", "--wait", "--timeout", "5m")
    assert time.monotonic() - begun < 30
    cluster.helm("uninstall", "second", "--namespace", "others", "--wait", "--timeout", "2m")


def actions_of_roles(cluster: Cluster) -> set[str]:
    """What the roles that the operator has made may do."""
    iam = boto3.Session(ACCOUNT, "not-a-secret", region_name=REGION).client("iam", endpoint_url=cluster.bed.aws_endpoint)
    roles = [role["RoleName"] for role in iam.list_roles(PathPrefix="/tenantry/prod/")["Roles"]]
    policies = [(role, policy) for role in roles for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]]
    documents = [iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"] for role, policy in policies]
    actions = [statement["Action"] for document in documents for statement in document["Statement"]]
    assert actions
    return {action for listed in actions for action in ([listed] if isinstance(listed, str) else listed)}


def rights_that_nobody_used(cluster: Cluster) -> set[tuple[str, str, str]]:
    """Of what the chart lets the operator do, what it has not done."""
    manifests = render(CHART / "ci" / "minimal.yaml")
    (role,) = [role for role in of_kind(manifests, "ClusterRole") if role["metadata"]["name"] == RELEASE]
    (leases,) = of_kind(manifests, "Role")
    granted = {
        (group, resource, verb)
        for rule in role["rules"] + leases["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    used = set()
    for event in cluster.bed.audited():
        if about := event.get("objectRef"):
            resource = "/".join(filter(None, [about["resource"], about.get("subresource")]))
            used.add((about.get("apiGroup", ""), resource, event["verb"]))
    return granted - used
