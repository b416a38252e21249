"""What a real API server says of what the chart renders."""

from __future__ import annotations

import urllib.error
from pathlib import Path

import pytest

from chart import CASES, CHART, NAMESPACE, RELEASE, Manifest, of_kind, render
from cluster import Cluster, Denied

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)


@pytest.fixture(scope="module", autouse=True)
def prepared(cluster: Cluster) -> None:
    """The definitions as the chart has them, and namespaces for what is tried."""
    cluster.kubectl("apply", "--server-side", manifests=of_kind(render(CHART / "ci" / "minimal.yaml"), "CustomResourceDefinition"))
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    for name, labels in {NAMESPACE: {}, "leases": {}, "grafana": {}, "people": {}, "shop": {}, "web": {}, "restricted": restricted}.items():
        cluster.kubectl("apply", manifests=[{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}])


@each_case
def test_each_case_passes_a_dry_run(cluster: Cluster, case: Path) -> None:
    said = cluster.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", manifests=render(case))
    assert said.count("serverside-applied (server dry run)") == len(render(case))


def test_an_upgrade_may_change_how_pods_are_replaced(cluster: Cluster) -> None:
    """With the manager of Helm, because what was said before and is not said now is forgotten."""
    for case, strategy in [("minimal", "RollingUpdate"), ("read-only", "Recreate"), ("minimal", "RollingUpdate")]:
        deployments = of_kind(render(CHART / "ci" / f"{case}.yaml"), "Deployment")
        cluster.kubectl("apply", "--server-side", "--field-manager=helm", manifests=deployments)
        now = cluster.get("deployment", RELEASE, f"--namespace={NAMESPACE}")
        assert now["spec"]["strategy"]["type"] == strategy


def pods(manifests: list[Manifest]) -> list[Manifest]:
    """A pod of each Deployment, as that would make it."""
    found = []
    for deployment in of_kind(manifests, "Deployment"):
        template = deployment["spec"]["template"]
        metadata = {**template["metadata"], "name": deployment["metadata"]["name"], "namespace": "restricted"}
        found.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
    return found


@each_case
def test_its_pods_are_admitted_where_pod_security_is_restricted(cluster: Cluster, case: Path) -> None:
    cluster.kubectl("create", "--dry-run=server", manifests=pods(render(case)))


def test_restricted_refuses_other_pods(cluster: Cluster) -> None:
    loose = render(CHART / "ci" / "minimal.yaml", values={"podSecurityContext.runAsNonRoot": False})
    with pytest.raises(Denied, match='violates PodSecurity "restricted.*runAsNonRoot'):
        cluster.kubectl("create", "--dry-run=server", manifests=pods(loose))


def test_the_pod_runs_without_a_file_system_of_its_own_and_without_rights() -> None:
    for pod in pods(render(CHART / "ci" / "gateway-secret.yaml")):
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip


def test_people_may_do_what_view_edit_and_admin_are_for(cluster: Cluster) -> None:
    """Those are Kubernetes' own roles, and include one another."""
    cluster.kubectl("apply", manifests=of_kind(render(CHART / "ci" / "minimal.yaml"), "ClusterRole"))
    roles = ("view", "edit", "admin")
    for role in roles:
        cluster.kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}", "--namespace=people")
    cluster.kubectl("create", "clusterrolebinding", "head", "--clusterrole=admin", "--user=head")

    def can(person: str, verb: str, *resource: str) -> bool:
        try:
            return cluster.kubectl("auth", "can-i", verb, *resource, "--as", person).strip() == "yes"
        except Denied:
            return False

    tenants, stacks = ["tenants.tenantry.dev", "--namespace=people"], ["sharedstacks.tenantry.dev", "--all-namespaces"]
    # Roles are added to one another one after the other, and a binding takes a moment.
    cluster.eventually("all roles have what they will have", lambda: can("head", "create", *stacks) and all(can(r, "get", *tenants) for r in roles))
    cluster.eventually("edit has come to admin", lambda: can("edit", "create", *tenants) and can("admin", "create", *tenants))
    assert {role: [verb for verb in ("get", "create", "delete") if can(role, verb, *tenants)] for role in roles} == {
        "view": ["get"], "edit": ["get", "create", "delete"], "admin": ["get", "create", "delete"],
    }  # fmt: skip
    # A SharedStack is no namespace's, and another namespace's Tenants are not theirs.
    for role in roles:
        assert not can(role, "create", *stacks)
        assert not can(role, "get", "tenants.tenantry.dev", "--namespace=default")
    # Nobody but the operator writes a status.
    for person in (*roles, "head"):
        assert not can(person, "patch", *tenants, "--subresource=status")


def test_a_definition_cannot_be_deleted_by_mistake(cluster: Cluster) -> None:
    manifests = render(CHART / "ci" / "minimal.yaml")
    guards = [*of_kind(manifests, "ValidatingAdmissionPolicy"), *of_kind(manifests, "ValidatingAdmissionPolicyBinding")]
    cluster.kubectl("apply", "--server-side", manifests=guards)
    tenants = "tenants.tenantry.dev"

    def refusal(*what: str) -> str:
        try:
            cluster.kubectl("delete", "crd", "--dry-run=server", *what)
        except Denied as denied:
            return str(denied)
        return ""

    # A policy takes a moment to take effect.
    said = cluster.eventually("the deletion is refused", lambda: refusal(tenants))
    for words in [
        f"Deleting {tenants} would delete every Tenant of this cluster at once. Their stacks would stay in AWS",
        f"kubectl annotate crd {tenants} tenantry.dev/allow-deletion=true",
    ]:
        assert words in said
    with pytest.raises(Denied, match="would delete every Tenant"):
        cluster.kubectl("delete", "crd", tenants)
    with pytest.raises(Denied, match="would delete every SharedStack"):
        cluster.kubectl("delete", "crd", "sharedstacks.tenantry.dev")
    # All of them in one request.
    with pytest.raises(urllib.error.HTTPError) as refused:
        cluster.bed.ask("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?labelSelector=app.kubernetes.io/name=tenantry")
    assert b"at once. Their stacks would stay in AWS" in refused.value.read()
    assert cluster.get("crd", tenants)["metadata"].get("deletionTimestamp") is None
    # What is not ours goes, and ours if somebody says so.
    assert refusal("podmonitors.monitoring.coreos.com") == ""
    for yes in ["true", "True", "yes", "1", " on"]:
        cluster.kubectl("annotate", "crd", tenants, "--overwrite", f"tenantry.dev/allow-deletion={yes}")
        assert refusal(tenants) == "", yes
    for neither in ["false", "no", "0", "ja", "", "true false"]:
        cluster.kubectl("annotate", "crd", tenants, "--overwrite", f"tenantry.dev/allow-deletion={neither}")
        assert "would delete every Tenant" in refusal(tenants), neither
