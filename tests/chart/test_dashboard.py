"""The chart's dashboard is one, and the picture in the documentation is of it. Its expressions are tried in test_alerts.py."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import dashboard
import monitoring
import recording
from chart import CHART, of_kind, render
from promql import grouped_by, selectors, value

PANELS = [panel for panel in monitoring.dashboard()["panels"] if panel["type"] != "row"]
# Those of the row that is folded up: an installation may have no gateway, and the run that was recorded has none.
FOLDED = [panel for panel in monitoring.panels() if panel not in PANELS]
ROWS = ["Health", "Objects", "Work queue and passes", "AWS calls", "Documents", "Quotas", "Gateway"]
# What an operator that is well has no series of, or not in a run as short as the one that was recorded.
QUIET = {"Objects without room"}

each_panel = pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])


def test_the_picture_is_of_this_dashboard() -> None:
    expected = dashboard.picture(monitoring.dashboard(), recording.read())
    is_it = dashboard.PICTURE.exists() and dashboard.PICTURE.read_text() == expected
    assert is_it, f"docs/dashboard.svg is out of date; refresh it with: {dashboard.REFRESH}"
    assert len(expected.encode()) < 150_000
    assert all(f">{dashboard.escape(title)}</text>" in expected for title in [panel["title"] for panel in PANELS] + ROWS)


def test_panels_fill_the_rows_and_do_not_overlap() -> None:
    board = monitoring.dashboard()
    assert [panel["title"] for panel in board["panels"] if panel["type"] == "row"] == ROWS
    cells = [
        (across, down)
        for grid in (panel["gridPos"] for panel in board["panels"])
        for across in range(grid["x"], grid["x"] + grid["w"])
        for down in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(cells) == len(set(cells)) and {across for across, _ in cells} == set(range(24))
    assert len({panel["id"] for panel in board["panels"] + FOLDED}) == len(board["panels"] + FOLDED)
    assert len({panel["title"] for panel in PANELS + FOLDED}) == len(PANELS + FOLDED)


def test_the_gateway_is_folded_up_below_the_rest() -> None:
    *_, row = monitoring.dashboard()["panels"]
    assert (row["title"], row["collapsed"], row["panels"]) == ("Gateway", True, FOLDED)
    cells = [
        (across, down)
        for grid in (panel["gridPos"] for panel in FOLDED)
        for across in range(grid["x"], grid["x"] + grid["w"])
        for down in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(cells) == len(set(cells)) and {across for across, _ in cells} == set(range(24))
    assert min(down for _, down in cells) == row["gridPos"]["y"] + 1
    for panel in FOLDED:
        assert panel["description"].endswith(".")
        for target in panel["targets"]:
            found = selectors(target["expr"].replace("$__rate_interval", "1m"))
            assert found and all(it.name.startswith("tenantry_gateway_") and 'job=~"$gateway"' in str(it) for it in found)
            used = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert used | {"le"} == grouped_by(target["expr"].replace("$__rate_interval", "1m")) | {"le"}


def test_the_data_source_and_the_job_are_chosen_by_whoever_looks() -> None:
    board = monitoring.dashboard()
    source, job, gateway = board["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert (job["name"], job["definition"]) == ("job", "label_values(tenantry_build_info, job)")
    assert (gateway["name"], gateway["definition"]) == ("gateway", "label_values(tenantry_gateway_build_info, job)")

    def sources(node: Any) -> list[Any]:
        below = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
        own = [node["datasource"]] if isinstance(node, dict) and "datasource" in node else []
        return own + [it for child in below for it in sources(child)]

    assert all(it == {"type": "prometheus", "uid": "${datasource}"} for it in sources(board))
    assert board["schemaVersion"] >= 41 and board["uid"] == "tenantry"


@each_panel
def test_each_panel_says_something_of_a_run(panel: dict[str, Any]) -> None:
    of = recording.read()
    assert panel["description"].endswith(".") and panel["targets"]
    found = []
    for target in panel["targets"]:
        expression = dashboard.expression(target)
        for selector in selectors(target["expr"].replace("$__rate_interval", "1m")):
            assert 'job=~"$job"' in str(selector), f"{selector.name} is of all jobs"
        vectors = [said for at in of.times if (said := value(expression, of, at))]
        found += vectors
        used = set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")))
        assert used == {label for vector in vectors for labels in vector for label, _ in labels} or not vectors
    assert bool(found) == (panel["title"] not in QUIET), "it is empty" if not found else "it is not as quiet as the test says"


def test_the_chart_renders_the_file() -> None:
    manifests = render(CHART / "ci" / "everything.yaml")
    (config,) = [it for it in of_kind(manifests, "ConfigMap") if it["metadata"]["name"].endswith("-dashboard")]
    assert json.loads(config["data"]["tenantry.json"]) == monitoring.dashboard()
    assert config["metadata"]["namespace"] == "grafana" and config["metadata"]["annotations"] == {"grafana_folder": "Platform"}
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
