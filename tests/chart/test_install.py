"""The chart's life on a real API server: the operator runs as its Deployment says, with its service account's token and rights,
and under an AWS role that may do what `tenantry iam-policy operator` and `destructive` print."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

import account
from account import ACCOUNT, BOUNDARY, program
from bed import REGION
from chart import CHART, NAMESPACE, RELEASE, Refused
from cluster import Cluster, Denied
from kubelet import Kubelet

TENANTS = "tenants.tenantry.dev"
ACME = ["tenant/acme", "--namespace=tenants"]
WAITING = ["--wait", "--timeout", "2m"]

SHARED_STACK = """
apiVersion: tenantry.dev/v1alpha1
kind: SharedStack
metadata: {name: standard}
spec: {}
"""
TENANT_CLASS = """
apiVersion: tenantry.dev/v1alpha1
kind: TenantClass
metadata: {name: bounds}
spec: {limits: {documents: 9}, mayOverride: [Answers]}
"""
TENANT = """
apiVersion: tenantry.dev/v1alpha1
kind: Tenant
metadata: {name: acme, namespace: {{ .Release.Namespace }}}
spec: {tenantId: acme, pattern: Bridge, stackRef: {name: standard}, classRef: {name: bounds}}
"""


@pytest.fixture
def role(cluster: Cluster) -> dict[str, str]:
    return account.operator(cluster)


@pytest.fixture
def kubelet(cluster: Cluster, role: dict[str, str]) -> Iterator[Kubelet]:
    # Of a release of the chart's name, and of one of another.
    with Kubelet(cluster.bed, {RELEASE: role, f"other-{RELEASE}": role}) as kubelet:
        yield kubelet


@pytest.fixture
def values(cluster: Cluster, tmp_path: Path) -> Path:
    return account.values(cluster, tmp_path / "values.yaml")


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
    """What happens to a release and to a Tenant beside it, chapter by chapter."""

    def __init__(self, cluster: Cluster, kubelet: Kubelet, values: Path, directory: Path) -> None:
        self.cluster, self.kubelet, self.directory = cluster, kubelet, directory
        self.older = older(directory / "older")
        self.told = ["--namespace", NAMESPACE, "--values", values, *WAITING]
        # Of the requests that were refused, those that are known: the rest of `refused` counts.
        self.known = 0

    def a_first_look_changes_nothing(self) -> None:
        said = self.cluster.helm("install", RELEASE, self.older, "--create-namespace", *self.told, "--set", "readOnly=true")
        assert "tenantry iam-policy operator --installation prod" in said and "It only reads" in said
        self.cluster.kubectl("apply", manifests=[yaml.safe_load(SHARED_STACK), yaml.safe_load(TENANT_CLASS)])
        reason = 'jsonpath={.status.conditions[?(@.type=="Ready")].reason}=ReadOnly'
        self.cluster.kubectl("wait", f"--for={reason}", "--timeout=90s", "sharedstack/standard")
        assert changes(self.cluster) == [] and refused(self.cluster) == []
        # What only reads ends before what works starts, as docs/install.md has it.
        self.cluster.helm("upgrade", RELEASE, self.older, *self.told, "--set", "readOnly=true,replicaCount=0")
        self.cluster.eventually("nothing reads any more", lambda: not self.kubelet.names())
        self.cluster.helm("upgrade", RELEASE, self.older, *self.told)

    def a_users_chart_is_installed_when_its_tenant_is_ready(self) -> None:
        acme = chart_of(self.directory / "acme", TENANT)
        self.cluster.helm("install", "acme", acme, "--namespace", "tenants", "--create-namespace", *WAITING)
        self.acme = self.tenant()
        assert next(c["status"] for c in self.acme["status"]["conditions"] if c["type"] == "Ready") == "True"
        assert knowledge_bases(self.cluster) == [self.acme["status"]["knowledgeBaseId"]]
        assert boundaries_of_roles(self.cluster) == {BOUNDARY}

    def an_upgrade_brings_the_definitions_and_another_leader(self) -> None:
        before = self.kubelet.names()
        assert self.leader() in before and len(before) == 2
        assert "answers" not in schema_of(self.cluster.get("crd", TENANTS))
        self.cluster.helm("upgrade", RELEASE, CHART, *self.told)
        assert "answers" in schema_of(self.cluster.get("crd", TENANTS))
        self.cluster.eventually("a new pod leads", lambda: self.leader() in set(self.kubelet.names()) - set(before))
        self.cluster.eventually("the old pods are gone", lambda: not set(before) & set(self.kubelet.names()))
        self.is_worked_on("e2e.model-one")
        # A release that has the definitions no more leaves them where they are.
        self.cluster.helm("upgrade", RELEASE, CHART, *self.told, "--set", "crds.enabled=false")
        self.cluster.helm("upgrade", RELEASE, CHART, *self.told)
        self.is_as_it_was()

    def with_the_release_goes_the_operator_and_nothing_else(self) -> None:
        self.uninstall(RELEASE)
        self.is_as_it_was()
        assert [change for change in changes(self.cluster) if change.startswith("Delete")] == []

    def the_next_release_goes_on_where_that_ended(self) -> None:
        before = changes(self.cluster)
        self.cluster.helm("install", RELEASE, CHART, *self.told)
        self.is_worked_on("e2e.model-two")
        self.uninstall(RELEASE)
        # One of another name has to take the definitions over, and is told.
        with pytest.raises(Refused, match="invalid ownership metadata"):
            self.cluster.helm("install", "other", CHART, *self.told)
        self.cluster.helm("install", "other", CHART, *self.told, "--take-ownership")
        self.is_worked_on("e2e.model-three")
        self.is_as_it_was()
        assert changes(self.cluster) == before

    def a_leader_that_dies_is_followed_by_another(self) -> None:
        died = self.holder()
        self.kubelet.kill(self.leader())
        # The pod's next process may be the one: it starts at once, and is another.
        self.cluster.eventually("another process leads", lambda: self.holder() not in ("", died))
        self.cluster.eventually("the pod runs again", lambda: self.kubelet.restarts == 1)
        self.is_worked_on("e2e.model-six")

    def a_pause_holds_the_operator_off_until_it_ends(self) -> None:
        ready = 'jsonpath={.status.conditions[?(@.type=="Ready")].reason}'
        # That it is Ready again is told twice in a few minutes: the second time by counting on.
        for model in ("e2e.model-four", "e2e.model-five"):
            self.cluster.kubectl("annotate", *ACME, "tenantry.dev/paused=true")
            patch = json.dumps({"spec": {"answers": {"model": model}}})
            self.cluster.kubectl("patch", *ACME, "--type=merge", "--patch", patch)
            self.cluster.kubectl("wait", f"--for={ready}=Paused", "--timeout=90s", *ACME)
            self.cluster.kubectl("annotate", *ACME, "tenantry.dev/paused-")
            self.cluster.kubectl("wait", f"--for={ready}=Ready", "--timeout=90s", *ACME)
        self.cluster.eventually("the second time is told", self.some_event_counts)

    def a_tenant_that_waits_for_a_person_ends_helms_waiting(self) -> None:
        begun, second = time.monotonic(), chart_of(self.directory / "second", TENANT)
        with pytest.raises(Refused, match="tenantId 'acme' belongs to another Tenant"):
            self.cluster.helm("install", "second", second, "--namespace", "others", "--create-namespace", "--wait", "--timeout", "5m")
        assert time.monotonic() - begun < 30
        self.cluster.helm("uninstall", "second", "--namespace", "others", *WAITING)

    def everything_goes_where_people_say_so(self) -> None:
        self.cluster.kubectl("patch", *ACME, "--type=merge", "--patch", json.dumps({"spec": {"deletionPolicy": "Delete"}}))
        self.cluster.helm("uninstall", "acme", "--namespace", "tenants", *WAITING)
        assert knowledge_bases(self.cluster) == []
        self.cluster.kubectl("delete", "sharedstack", "standard", "--timeout=90s")
        self.cluster.kubectl("delete", "tenantclass", "bounds", "--timeout=90s")
        # Its policy is Retain.
        assert [change for change in changes(self.cluster) if change.startswith("DeleteCollection")] == []
        self.uninstall("other")

    def it_takes_over_definitions_that_kubectl_brought(self) -> None:
        # The rule against it is gone, which takes a moment to be known.
        self.cluster.eventually("the definitions may be deleted", self.definitions_go)
        (self.directory / "crds.yaml").write_text(program("crds"))
        self.cluster.kubectl("apply", "--server-side", "--filename", self.directory / "crds.yaml")
        with pytest.raises(Refused, match="invalid ownership metadata"):
            self.cluster.helm("install", RELEASE, CHART, *self.told)
        self.cluster.helm("install", RELEASE, CHART, *self.told, "--take-ownership")
        self.uninstall(RELEASE)

    def some_event_counts(self) -> bool:
        return any(event.get("series") for event in self.cluster.get("events.events.k8s.io", "--namespace=tenants")["items"])

    def definitions_go(self) -> bool:
        with contextlib.suppress(Denied):
            self.cluster.kubectl("delete", "crd", "--ignore-not-found", TENANTS, "sharedstacks.tenantry.dev", "tenantclasses.tenantry.dev")
            return True
        return False

    def uninstall(self, release: str) -> None:
        """A release ends. Its rights go with it: that it then cannot give back the Lease harms nobody."""
        assert refused(self.cluster)[self.known :] == []
        self.cluster.helm("uninstall", release, "--namespace", NAMESPACE, *WAITING)
        self.cluster.eventually("no operator runs", lambda: not self.kubelet.names())
        self.known = len(refused(self.cluster))

    def tenant(self) -> dict[str, Any]:
        return self.cluster.get(*ACME)

    def is_as_it_was(self) -> None:
        """The Tenant is the same object, with the same knowledge base, and nobody deletes it."""
        now, then = self.tenant(), self.acme
        assert now["metadata"].get("deletionTimestamp") is None
        for field in [("metadata", "uid"), ("metadata", "finalizers"), ("status", "knowledgeBaseId")]:
            assert now[field[0]][field[1]] == then[field[0]][field[1]]

    def is_worked_on(self, model: str) -> None:
        """The operator sees a change of the Tenant, and finds it Ready."""
        patch = json.dumps({"spec": {"answers": {"model": model}}})
        self.cluster.kubectl("patch", *ACME, "--type=merge", "--patch", patch)
        self.cluster.kubectl("wait", "--for=condition=Ready", "--timeout=90s", *ACME)

    def holder(self) -> str:
        """The process that holds the Lease."""
        lease = self.cluster.get("lease", "tenantry-prod", f"--namespace={NAMESPACE}")
        return lease["spec"].get("holderIdentity") or ""

    def leader(self) -> str:
        """Its pod."""
        return self.holder().split("_")[0]


def test_install_upgrade_uninstall_and_install_again(cluster: Cluster, kubelet: Kubelet, values: Path, tmp_path: Path) -> None:
    story = Story(cluster, kubelet, values, tmp_path)
    story.a_first_look_changes_nothing()
    story.a_users_chart_is_installed_when_its_tenant_is_ready()
    story.an_upgrade_brings_the_definitions_and_another_leader()
    story.a_leader_that_dies_is_followed_by_another()
    story.a_pause_holds_the_operator_off_until_it_ends()
    story.with_the_release_goes_the_operator_and_nothing_else()
    story.the_next_release_goes_on_where_that_ended()
    story.a_tenant_that_waits_for_a_person_ends_helms_waiting()
    story.everything_goes_where_people_say_so()
    story.it_takes_over_definitions_that_kubectl_brought()
    assert account.rights_that_nobody_used(cluster, RELEASE, f"other-{RELEASE}") == set()
    assert kubelet.restarts == 1


def changes(cluster: Cluster) -> list[str]:
    """The operator's calls so far that changed something in AWS."""
    with urllib.request.urlopen(f"{cluster.bed.aws_endpoint}/_double/journal?account={ACCOUNT}") as answer:
        entries = json.loads(answer.read())["entries"]
    done = [entry for entry in entries if entry["mutating"] and not entry["error"] and entry["caller"].endswith("/operator")]
    return [f"{entry['operation']} {entry['resource']}" for entry in done]


def boundaries_of_roles(cluster: Cluster) -> set[str]:
    """Within what the roles are that the operator has made."""
    iam = boto3.Session(ACCOUNT, "not-a-secret", region_name=REGION).client("iam", endpoint_url=cluster.bed.aws_endpoint)
    roles = [role["RoleName"] for role in iam.list_roles(PathPrefix="/tenantry/prod/")["Roles"]]
    return {iam.get_role(RoleName=role)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] for role in roles}


def knowledge_bases(cluster: Cluster) -> list[str]:
    """Those that are in AWS."""
    client = boto3.Session(ACCOUNT, "not-a-secret", region_name=REGION).client("bedrock-agent", endpoint_url=cluster.bed.aws_endpoint)
    return [summary["knowledgeBaseId"] for summary in client.list_knowledge_bases()["knowledgeBaseSummaries"]]


def refused(cluster: Cluster) -> list[str]:
    """What the operator has asked of the API server without a right to it."""
    return [event["requestURI"] for event in cluster.bed.audited() if event["responseStatus"]["code"] == 403]
