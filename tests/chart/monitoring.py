"""The alerts and the dashboard that the chart brings, and the metrics that there are."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import yaml

from chart import CHART, ROOT, Strict

Rule = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Metric:
    """A row of the table in docs/metrics.md, which is that of the code: tests/model holds it to that."""

    name: str
    kind: str
    labels: frozenset[str]

    @property
    def series(self) -> dict[str, frozenset[str]]:
        """The names under which it is scraped, with their labels."""
        if self.kind != "histogram":
            return {self.name: self.labels}
        return {f"{self.name}_bucket": self.labels | {"le"}, f"{self.name}_sum": self.labels, f"{self.name}_count": self.labels}


def metrics() -> list[Metric]:
    rows = re.findall(r"^\| `(\w+)` \| (counter|gauge|histogram) \| (.*?) \|", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)
    return [Metric(name, kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows]


def rules(*files: str) -> list[Rule]:
    """The alerts, or those of some files alone."""
    read = [yaml.load((CHART / "files" / file).read_text(), Strict) for file in files or ("alerts.yaml", "gateway-alerts.yaml")]
    return [rule for page in read for group in page["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    return json.loads((CHART / "dashboards" / "tenantry.json").read_text())


def panels() -> list[dict[str, Any]]:
    """All that show something, those of rows that are folded up included."""
    shown = dashboard()["panels"]
    return [panel for one in shown for panel in (one, *one.get("panels", [])) if panel["type"] != "row"]


def filled(expression: str, interval: str = "5m") -> str:
    """An expression of the dashboard, with what Grafana puts into it."""
    return expression.replace("$__rate_interval", interval).replace('job=~"$job"', 'job=~".*"').replace('job=~"$gateway"', 'job=~".*"')


def targets() -> dict[str, str]:
    """The expressions of the dashboard, by their panels' titles."""
    return {f"{panel['title']}, {target['refId']}": filled(target["expr"]) for panel in panels() for target in panel["targets"]}
