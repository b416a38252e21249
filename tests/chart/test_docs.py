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


@pytest.mark.parametrize("page", ["docs/alerts.md", "docs/gateway.md", "docs/install.md", "docs/metrics.md", "docs/upgrade.md"])
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


def test_the_page_of_the_gateway_shows_what_the_examples_have() -> None:
    examples = chart.ROOT / "examples" / "gateway"
    values, environment, issuers = (yaml.safe_load(block) for block in blocks("docs/gateway.md", "yaml"))
    pod = yaml.safe_load((examples / "pod.yaml").read_text())
    shown = {it["name"]: it["value"] for it in environment["env"]}
    has = {it["name"]: it["value"] for it in pod["spec"]["containers"][0]["env"]}
    # The page names the one of Node.js in words.
    assert shown == {name: value for name, value in has.items() if name != "NODE_EXTRA_CA_CERTS"}
    (profile,) = blocks("docs/gateway.md", "ini")
    assert (examples / "profile.ini").read_text().endswith(profile)
    # Its values are values: with a certificate from somewhere, because nothing is installed here.
    given = {f"gateway.{key}": it for key, it in (values["gateway"] | issuers["gateway"]).items()} | {"gateway.tls": {"secret": "gateway-tls"}}
    manifests = render(chart.CHART / "ci" / "minimal.yaml", values=given)
    (deployment,) = [it for it in of_kind(manifests, "Deployment") if it["metadata"]["name"] == "tenantry-gateway"]
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--oidc-issuer=https://login.example.com,audience=rag,claim=tenant" in arguments
    (account,) = [it for it in of_kind(manifests, "ServiceAccount") if it["metadata"]["name"] == "tenantry-gateway"]
    assert f"--service-account {account['metadata']['name']} " in (chart.ROOT / "docs" / "gateway.md").read_text()
    # What people label is what the NetworkPolicy looks for.
    ((key, value),) = chart.defaults()["gateway"]["networkPolicy"]["from"][0]["namespaceSelector"]["matchLabels"].items()
    for page in ("docs/gateway.md", "examples/gateway/README.md"):
        assert f"kubectl label namespace shop {key}={value}" in (chart.ROOT / page).read_text()


def test_the_program_of_the_gateway_is_short_and_knows_no_tenant() -> None:
    program = (chart.ROOT / "examples" / "gateway" / "ask.py").read_text()
    assert program.count("\n") <= 25 and "boto3" in program
    assert "tenantry" not in program.replace("TENANTRYKB", "")
