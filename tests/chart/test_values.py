"""Every value does something, and what is no value is refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import chart
from chart import CHART, Refused, Values, text

# What the schema has for charts that depend on this one, and this one does not read.
FOR_PARENTS = {"global", "enabled"}
# Where most of what depends on something else takes effect comes first.
CASES = sorted(chart.CASES, key=lambda case: ["everything.yaml", "eks-pod-identity.yaml"].count(case.name), reverse=True)

Schema = dict[str, Any]


def leaves(schema: Schema, default: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Schema, Any]]:
    """The path, schema and default of each value that holds no others."""
    if "properties" not in schema:
        yield ".".join(path), schema, default
        return
    for key, below in schema["properties"].items():
        if path or key not in FOR_PARENTS:
            yield from leaves(below, default[key], (*path, key))


def others(schema: Schema, default: Any) -> list[Any]:
    """Valid values, one of which at least is not what a case has."""
    if schema.get("type") == "boolean":
        return [True, False]
    return [value for value in schema.get("enum", schema.get("examples", [])) if value != default]


LEAVES = list(leaves(chart.schema(), chart.defaults()))
_rendered: dict[str, str] = {}


def rendered(case: Any) -> str:
    return _rendered.setdefault(case.name, text(case))


@pytest.mark.parametrize("path, schema, default", LEAVES, ids=[path for path, _, _ in LEAVES])
def test_every_value_changes_what_is_rendered_or_is_refused(path: str, schema: Schema, default: Any) -> None:
    assert others(schema, default), f"values.schema.json has no example of {path} other than its default"

    def matters(case: Any, value: Any) -> bool:
        try:
            return text(case, values={path: value}) != rendered(case)
        except Refused as refused:
            assert "specifications of the schema" not in str(refused), f"the example of {path} is not valid: {refused}"
            return True

    assert any(matters(case, value) for value in others(schema, default) for case in CASES), f"{path} changes nothing in any of ci/"


def test_the_schema_has_the_keys_of_the_values_and_explains_each() -> None:
    def keys(values: Values) -> dict[str, Any]:
        return {key: keys(value) if isinstance(value, dict) else None for key, value in values.items()}

    def explained(schema: Schema, default: Any, path: str = "") -> dict[str, Any] | None:
        assert schema.get("description"), f"{path} has no description"
        if "properties" not in schema:
            # Of a map that is free the schema knows no keys.
            return keys(default) if isinstance(default, dict) else None
        assert schema["additionalProperties"] is False, f"{path} takes anything"
        return {
            key: explained(below, default.get(key), f"{path}.{key}")
            for key, below in schema["properties"].items()
            if path or key not in FOR_PARENTS
        }

    assert explained(chart.schema(), chart.defaults()) == keys(chart.defaults())


def test_every_misspelt_key_is_refused() -> None:
    keys: list[tuple[str, str]] = []

    def misspelt(schema: Schema, path: str = "") -> Values:
        """Values with each key of the schema, misspelt."""
        values: Values = {}
        for key, below in schema["properties"].items():
            keys.append((path, f"{key}x"))
            values[f"{key}x"] = 0
            if "properties" in below:
                values[key] = misspelt(below, f"{path}/{key}")
        return values

    with pytest.raises(Refused) as refused:
        text(CHART / "ci" / "minimal.yaml", values=misspelt(chart.schema()))
    complaints = dict(re.findall(r"- at '(.*?)': additional properties (.*) not allowed", str(refused.value)))
    assert len(keys) > 100
    assert [f"{path}/{key}" for path, key in keys if f"'{key}'" not in complaints.get(path, "")] == []


def test_it_can_be_a_part_of_another_chart(tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text(
        "{apiVersion: v2, name: platform, version: 1.0.0, dependencies: [{name: tenantry, version: '*', condition: tenantry.enabled}]}"
    )
    shutil.copytree(CHART, tmp_path / "charts" / "tenantry")
    given = yaml.safe_load((CHART / "ci" / "minimal.yaml").read_text())

    def rendered(enabled: bool) -> list[chart.Manifest]:
        (tmp_path / "values.yaml").write_text(yaml.safe_dump({"global": {"region": "eu"}, "tenantry": {**given, "enabled": enabled}}))
        return chart.render(chart=tmp_path)

    assert len(rendered(True)) > 10 and rendered(False) == []


@pytest.mark.parametrize(
    "values, complaint",
    [
        ({"installation": ""}, "installation is not set"),
        ({"installation": "Prod"}, "does not match pattern"),
        ({"installation": "ninechars"}, "does not match pattern"),
        ({"image.repository": ""}, "image.repository is not set"),
        ({"permissionsBoundary": ""}, "set allowRolesWithoutBoundary=true"),
        ({"permissionsBoundary": "tenantry-boundary"}, "does not match pattern"),
        ({"permissionsBoundary": "arn:aws:iam::111122223333:role/no-policy"}, "does not match pattern"),
        ({"allowRolesWithoutBoundary": True}, "contradict one another"),
        ({"leaderElection.enabled": False}, "two operators would do everything twice"),
        ({"leaderElection.leaseDurationSeconds": 10}, "leaseDurationSeconds must be greater"),
        ({"leaderElection.retryPeriodSeconds": 9}, "1.2 times retryPeriodSeconds"),
        ({"podDisruptionBudget.maxUnavailable": None}, "takes one of"),
        ({"metrics.enabled": False, "metrics.podMonitor.enabled": True}, "need metrics.enabled"),
        ({"metrics.serviceMonitor.enabled": True, "metrics.podMonitor.enabled": True}, "scrape everything twice"),
        ({"metrics.serviceMonitor.enabled": True, "metrics.service.enabled": False}, "needs metrics.service.enabled"),
        ({"metrics.port": 8081}, "must differ"),
        ({"crds.keep": False}, "the definitions must not be deleted"),
        ({"pace": "101%"}, "does not match pattern"),
        ({"siloNamespaces": "premium"}, "does not match pattern"),
        ({"registry": "tenants"}, "does not match pattern"),
        ({"podLabels": {"app.kubernetes.io/name": "other"}}, "invalid propertyName"),
        ({"extraObjects": [{"apiVersion": "tenantry.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": "acme"}}]}, "a release of its own"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(values: Values, complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        text(CHART / "ci" / "minimal.yaml", values=values)
