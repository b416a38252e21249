"""A program asks through the gateway as the chart runs it: by the environment of examples/gateway/pod.yaml, with the rights of
examples/gateway/rights.yaml, and with the roles that `tenantry iam-policy gateway` and `ask` print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import account
from chart import CHART, NAMESPACE, RELEASE, ROOT, of_kind
from cluster import Cluster
from kubelet import Kubelet

EXAMPLES = ROOT / "examples" / "gateway"
GATEWAY = f"{RELEASE}-gateway"
STACK = {"apiVersion": "tenantry.dev/v1alpha1", "kind": "SharedStack", "metadata": {"name": "standard"}, "spec": {"pool": {}}}
SECRET = {"acme": "Acme gives 27 days of annual leave.", "globex": "Globex gives 31 days of annual leave."}


def tenant(name: str) -> dict[str, Any]:
    spec = {"tenantId": name, "pattern": "Pool", "stackRef": {"name": "standard"}}
    return {"apiVersion": "tenantry.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name, "namespace": "tenants"}, "spec": spec}


@pytest.fixture
def kubelet(cluster: Cluster) -> Iterator[Kubelet]:
    roles = {RELEASE: account.operator(cluster), GATEWAY: account.gateway(cluster)}
    with Kubelet(cluster.bed, roles) as kubelet:
        yield kubelet


class Program:
    """examples/gateway/ask.py in the pod of examples/gateway/pod.yaml, whose namespace and service account are there."""

    def __init__(self, cluster: Cluster, kubelet: Kubelet, directory: Path) -> None:
        self.cluster, self.kubelet, self.directory = cluster, kubelet, directory
        (self.pod,) = of_kind(list(yaml.safe_load_all((EXAMPLES / "pod.yaml").read_text())), "Pod")

    def here(self) -> dict[str, str]:
        """What the pod mounts, in a folder of ours, and the gateway where it listens here: by what the examples say."""
        mounts = {it["name"]: it["mountPath"] for it in self.pod["spec"]["containers"][0]["volumeMounts"]}
        here = {}
        for volume in self.pod["spec"]["volumes"]:
            folder = self.directory / volume["name"]
            folder.mkdir(exist_ok=True)
            here[mounts[volume["name"]]] = str(folder)
            if projected := volume.get("projected"):
                token = projected["sources"][0]["serviceAccountToken"]
                who = [self.pod["spec"]["serviceAccountName"], f"--namespace={self.pod['metadata']['namespace']}"]
                said = self.cluster.kubectl("create", "token", *who, f"--audience={token['audience']}", f"--duration={token['expirationSeconds']}s")
                (folder / token["path"]).write_text(said)
            else:
                config = self.cluster.get("configmap", volume["configMap"]["name"], f"--namespace={self.pod['metadata']['namespace']}")
                for key, content in config["data"].items():
                    (folder / key).write_text(content)
        ports = self.kubelet.ports(GATEWAY, "questions")
        here[f"https://{GATEWAY}.{NAMESPACE}.svc"] = f"https://localhost:{ports[0]}"
        return here

    def ask(self, **changed: str) -> tuple[str, str]:
        """By the environment: what it prints, and what it says is wrong."""
        variables = {it["name"]: it["value"] for it in self.pod["spec"]["containers"][0]["env"]}
        for there, place in self.here().items():
            variables = {name: value.replace(there, place) for name, value in variables.items()}
        return self.run(variables | changed)

    def ask_by_profile(self) -> tuple[str, str]:
        """By examples/gateway/profile.ini alone."""
        profile = (EXAMPLES / "profile.ini").read_text()
        for there, place in self.here().items():
            profile = profile.replace(there, place)
        (self.directory / "config").write_text(profile)
        return self.run({"AWS_CONFIG_FILE": str(self.directory / "config"), "AWS_PROFILE": "acme"})

    def run(self, variables: dict[str, str]) -> tuple[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_") and not name.lower().endswith("_proxy")}
        command = [sys.executable, EXAMPLES / "ask.py", "How many days of annual leave?"]
        done = subprocess.run(command, capture_output=True, text=True, env=own | variables | {"HOME": str(self.directory)})
        return done.stdout, done.stderr


def test_a_program_asks_by_its_environment_and_gets_its_own_tenants_passages(cluster: Cluster, kubelet: Kubelet, tmp_path: Path) -> None:
    for namespace in ("tenants", "shop"):
        cluster.kubectl("create", "namespace", namespace)
    cluster.kubectl("create", "serviceaccount", "web", "--namespace=shop")
    tls = {"dnsNames": ["localhost"], "publishIn": ["shop"]}
    gateway = {"enabled": True, "askRole": account.arn("tenantry-ask"), "tls": tls, "extraArgs": ["--clock=10"]}
    values = account.values(cluster, tmp_path / "values.yaml", gateway=gateway)
    cluster.helm("install", RELEASE, CHART, "--namespace", NAMESPACE, "--create-namespace", "--values", values, "--wait", "--timeout", "2m")
    assert len(kubelet.ports(GATEWAY, "questions")) == 2
    cluster.kubectl("apply", manifests=[STACK, *map(tenant, SECRET)])
    tenants = [f"tenants.tenantry.dev/{name}" for name in SECRET]
    cluster.kubectl("wait", "--for=condition=Ready", "--timeout=90s", "--namespace=tenants", *tenants)
    documents(cluster)
    program = Program(cluster, kubelet, tmp_path)
    answer, trouble = program.ask()
    assert not answer and "AccessDenied" in trouble
    cluster.kubectl("apply", "--filename", EXAMPLES / "rights.yaml")
    # Refusals are remembered for a moment, and documents are indexed.
    answer = cluster.eventually("acme's passages are found", lambda: program.ask()[0])
    assert SECRET["acme"] in answer and SECRET["globex"] not in answer and "/pool/acme/" in answer
    assert program.ask_by_profile()[0] == program.ask()[0]
    answer, trouble = program.ask(AWS_ROLE_ARN="arn:aws:iam::000000000000:role/globex")
    assert not answer and "AccessDenied" in trouble
    # A store that ignores every filter shows nobody another's, and the Tenant tells it.
    switch(cluster, retrieve_filter="ignored")
    answer, trouble = program.ask()
    assert SECRET["acme"] in answer and SECRET["globex"] not in answer, trouble
    cluster.eventually("an event tells it", lambda: foreign_passages(cluster))
    assert account.rights_that_nobody_used(cluster, GATEWAY) == set()
    refused = [event["requestURI"] for event in cluster.bed.audited() if event["responseStatus"]["code"] == 403]
    assert refused == []


def documents(cluster: Cluster) -> None:
    s3 = account.client(cluster, "s3")
    for name, text in SECRET.items():
        status = cluster.get("tenants.tenantry.dev", name, "--namespace=tenants")["status"]
        s3.put_object(Bucket=status["bucket"], Key=f"{status['prefix']}leave.md", Body=f"# Annual leave\n\n{text}\n".encode())
    cluster.kubectl("annotate", "sharedstacks.tenantry.dev", "standard", "tenantry.dev/sync-requested-at=1")


def switch(cluster: Cluster, **switches: object) -> None:
    body = json.dumps({"switches": switches}).encode()
    request = urllib.request.Request(f"{cluster.bed.aws_endpoint}/_double/settings", body, {"Content-Type": "application/json"}, method="PUT")
    urllib.request.urlopen(request).read()


def foreign_passages(cluster: Cluster) -> bool:
    events = cluster.get("events.events.k8s.io", "--namespace=tenants")["items"]
    return any((it["reason"], it["regarding"]["name"]) == ("ForeignPassages", "acme") for it in events)
