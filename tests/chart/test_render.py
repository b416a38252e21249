"""What the chart renders: as its golden files say, and as the program understands it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

import chart
import golden
from chart import CASES, CHART, NAMESPACE, RELEASE, ROOT, Manifest, of_kind, render
from prepare import OPERATOR

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)


@each_case
def test_each_case_renders_its_golden_file(case: Path) -> None:
    expected = golden.expected(case)
    same = expected.exists() and expected.read_text() == golden.of(case)
    assert same, f"tests/chart/golden/{case.name} is out of date; refresh it with: {golden.REFRESH}"


@each_case
def test_helm_has_nothing_to_complain_of(case: Path) -> None:
    chart.helm("lint", "--strict", CHART, "--values", case)


def test_no_golden_file_is_left_over() -> None:
    assert {file.name for file in golden.GOLDEN.glob("*.yaml")} == {case.name for case in CASES}


def test_the_definitions_are_those_of_the_code_with_labels_and_annotations() -> None:
    rendered = {crd["metadata"]["name"]: crd for crd in of_kind(render(CHART / "ci" / "everything.yaml"), "CustomResourceDefinition")}
    files = [yaml.safe_load(file.read_text()) for file in (ROOT / "crds").glob("*.yaml")]
    assert len(files) == 3
    for file in files:
        crd = rendered[file["metadata"]["name"]]
        assert crd["metadata"].pop("labels")["team"] == "platform"
        annotations = {"helm.sh/resource-policy": "keep", "example.com/owner": "platform"}
        assert crd["metadata"].pop("annotations") == annotations
        assert crd == file


VERBS = {"tenantry": "run", "gateway": "gateway"}  # the verb of each container


def containers(case: Path) -> dict[str, Manifest]:
    """The containers of a case's Deployments, by the verb that they run."""
    deployments = of_kind(render(case), "Deployment")
    all = [container for deployment in deployments for container in deployment["spec"]["template"]["spec"]["containers"]]
    assert [container["args"][0] for container in all] == [VERBS[container["name"]] for container in all]
    return {container["args"][0]: container for container in all}


def program(*arguments: str) -> str:
    """What the program prints. It must succeed."""
    done = subprocess.run([OPERATOR, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_chart_brings_this_release_of_the_program() -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert program("--version").split() == ["tenantry", about["appVersion"]]
    assert about["version"] == about["appVersion"]


@each_case
def test_the_program_takes_the_arguments(case: Path) -> None:
    # It reads arguments in order, and ends at the last: whatever is wrong with those before it is told first.
    for container in containers(case).values():
        program(*container["args"], "--help")


def flags(verb: str) -> dict[str, str | None]:
    """The flags of a verb of the program, with their defaults."""
    blocks = re.split(r"\n +(?:-\w, )?--", program(verb, "--help"))[1:]
    default = [re.search(r"\[default: (.*?)\]", block) for block in blocks]
    names = [re.match(r"[\w-]+", block)[0] for block in blocks]
    return {name: found and found[1] for name, found in zip(names, default)} | {"help": None}


def given(case: Path, verb: str) -> dict[str, str]:
    """The flags that a case's Deployment gives, if it has one for the verb."""
    container = containers(case).get(verb, {"args": [verb]})
    arguments = [argument.removeprefix("--").partition("=") for argument in container["args"][1:]]
    return {name: value for name, _, value in arguments}


@pytest.mark.parametrize("verb", VERBS.values())
def test_every_flag_of_the_program_can_be_given(verb: str) -> None:
    by_values = set().union(*(given(case, verb) for case in CASES))
    # A pod has no kubeconfig, and so no contexts.
    assert flags(verb).keys() - by_values == {"help", "version", "context"}


@pytest.mark.parametrize(
    "case, verb, expected",
    [
        ("minimal", "run", {"log-format": ("json", "text")}),
        # Of both addresses: all of the node's.
        ("gateway-secret", "gateway", {"log-format": ("json", "text"), "bind-address": ("[::]:8443", "0.0.0.0:8443")}),
    ],
)
def test_the_defaults_are_the_programs(case: str, verb: str, expected: dict[str, tuple[str, str]]) -> None:
    known = flags(verb)
    differ = {
        name: (value, known[name])
        for name, value in given(CHART / "ci" / f"{case}.yaml", verb).items()
        if known[name] is not None and known[name] != value
    }
    assert differ == expected


@each_case
def test_the_notes_name_commands_that_print_the_roles_policies(case: Path) -> None:
    said = chart.helm("install", RELEASE, CHART, "--namespace", NAMESPACE, "--values", case, "--dry-run=client")
    notes = said.split("\nNOTES:\n")[1]
    operator, destructive, *gateway = re.findall(r"^ +tenantry (iam-policy .*)$", notes, re.MULTILINE)
    policy, deletes = program(*operator.split()), program(*destructive.split())
    assert "DeleteKnowledgeBase" in deletes and "DeleteKnowledgeBase" not in policy
    printed = [program(*command.replace(" ROLE", " arn:aws:iam::111122223333:role/tenantry-gateway").split()) for command in gateway]
    assert ["sts:AssumeRole" in it for it in printed] == ([True, False, True] if "gateway" in containers(case) else [])
    values = yaml.safe_load(case.read_text())
    assert values.get("permissionsBoundary", "Statement") in policy
    assert ("create-pod-identity-association" in notes) == ("serviceAccount" not in values or not values["serviceAccount"].get("annotations"))
    assert "`helm uninstall` ends the operator and leaves the Tenants" in notes
