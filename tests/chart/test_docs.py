"""What the pages tell people to write is understood."""

from __future__ import annotations

import json
import re

import pytest
import yaml

import chart
from chart import of_kind, render, text
from docs import blocks

def test_the_values_of_the_installation_are_values() -> None:
    (values,) = (yaml.safe_load(block) for block in blocks("docs/install.md", "yaml"))
    (deployment,) = of_kind(render(values=values), "Deployment")
    assert "--read-only" in deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    account, namespace = deployment["spec"]["template"]["spec"]["serviceAccountName"], deployment["metadata"]["namespace"]
    pods, irsa = (json.loads(block)["Statement"][0]["Condition"]["StringEquals"] for block in blocks("docs/install.md", "json"))
    assert pods["aws:RequestTag/kubernetes-namespace"] == namespace and pods["aws:RequestTag/kubernetes-service-account"] == account
    assert f"system:serviceaccount:{namespace}:{account}" in irsa.values()


def test_the_readmes_command_gives_all_that_must_be_given() -> None:
    (command,) = (part for block in blocks("README.md", "sh") for part in re.findall(r"helm install .*(?:\n  .*)*", block))
    arn = "arn:aws:iam::111122223333:policy/boundary"
    given = dict(re.findall(r"--set (\S+?)=(\S+)", command.replace('"$BOUNDARY"', arn).replace('"$IMAGE"', "example.com/tenantry")))
    assert given.keys() == {"installation", "image.repository", "permissionsBoundary", "aws.region", "readOnly"}
    text(values={path: yaml.safe_load(value) for path, value in given.items()})


@pytest.mark.parametrize("page", ["docs/alerts.md", "docs/install.md", "docs/metrics.md", "docs/upgrade.md"])
def test_every_value_that_a_page_names_is_one(page: str) -> None:
    known = chart.defaults()

    def exists(path: list[str]) -> bool:
        node = known
        for key in path:
            node = node.get(key) if isinstance(node, dict) else None
        return node is not None

    prose = "".join((chart.ROOT / page).read_text().split("```")[::2])
    paths = [word.split(".") for word in re.findall(r"`([a-zA-Z]+\.[a-zA-Z.]+)(?:=\w+)?`", prose)]
    named = [path for path in paths if path[0] in known]
    assert named and [path for path in named if not exists(path)] == []
