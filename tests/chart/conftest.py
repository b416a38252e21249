"""A cluster for the tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import chart  # noqa: F401  it says where the bed is
from bed import Bed
from cluster import Cluster

# Kinds of the Prometheus operator and of cert-manager, as far as an API server without them must know them.
FOREIGN = [(kind, "monitoring.coreos.com") for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule")] + [("Certificate", "cert-manager.io")]
DEFINITIONS = [
    {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.lower()}s.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": f"{kind.lower()}s", "singular": kind.lower()},
            "versions": [{
                "name": "v1", "served": True, "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }],
        },
    }
    for kind, group in FOREIGN
]  # fmt: skip


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    # The one that adds the chart's roles to view, edit and admin.
    with Bed(("clusterrole-aggregation-controller",), audit=True) as bed:
        yield bed


@pytest.fixture(scope="module")
def cluster(bed: Bed) -> Cluster:
    cluster = Cluster(bed)
    cluster.kubectl("apply", manifests=DEFINITIONS)
    for crd in DEFINITIONS:
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", crd["metadata"]["name"])
    return cluster
