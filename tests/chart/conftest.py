"""A cluster for the tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import chart  # noqa: F401  it says where the bed is
from bed import Bed
from cluster import Cluster

# Kinds of the Prometheus operator, as far as an API server without it must know them.
MONITORING = [
    {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.lower()}s.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": f"{kind.lower()}s", "singular": kind.lower()},
            "versions": [{
                "name": "v1", "served": True, "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }],
        },
    }
    for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule")
]  # fmt: skip


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    # The one that adds the chart's roles to view, edit and admin.
    with Bed(("clusterrole-aggregation-controller",), audit=True) as bed:
        yield bed


@pytest.fixture(scope="module")
def cluster(bed: Bed) -> Cluster:
    cluster = Cluster(bed)
    cluster.kubectl("apply", manifests=MONITORING)
    for crd in MONITORING:
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", crd["metadata"]["name"])
    return cluster
