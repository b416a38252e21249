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
    assert len(files) == 2
    for file in files:
        crd = rendered[file["metadata"]["name"]]
        assert crd["metadata"].pop("labels")["team"] == "platform"
        annotations = {"helm.sh/resource-policy": "keep", "example.com/owner": "platform"}
        assert crd["metadata"].pop("annotations") == annotations
        assert crd == file


def container(case: Path) -> Manifest:
    (deployment,) = of_kind(render(case), "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return container


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
    program(*container(case)["args"], "--help")


def flags() -> dict[str, str | None]:
    """The flags of `tenantry run`, with their defaults."""
    blocks = re.split(r"\n +(?:-\w, )?--", program("run", "--help"))[1:]
    default = [re.search(r"\[default: (.*?)\]", block) for block in blocks]
    names = [re.match(r"[\w-]+", block)[0] for block in blocks]
    return {name: found and found[1] for name, found in zip(names, default)} | {"help": None}


def given(case: Path) -> dict[str, str]:
    """The flags that a case's Deployment gives."""
    arguments = [argument.removeprefix("--").partition("=") for argument in container(case)["args"][1:]]
    return {name: value for name, _, value in arguments}


def test_every_flag_of_the_program_can_be_given() -> None:
    by_values = set().union(*(given(case) for case in CASES))
    # A pod has no kubeconfig, and so no contexts.
    assert flags().keys() - by_values == {"help", "version", "context"}


def test_the_defaults_are_the_programs() -> None:
    known = flags()
    differ = {
        name: (value, known[name])
        for name, value in given(CHART / "ci" / "minimal.yaml").items()
        if known[name] is not None and known[name] != value
    }
    assert differ == {"log-format": ("json", "text")}


@each_case
def test_the_notes_name_commands_that_print_the_roles_policies(case: Path) -> None:
    said = chart.helm("install", RELEASE, CHART, "--namespace", NAMESPACE, "--values", case, "--dry-run=client")
    notes = said.split("\nNOTES:\n")[1]
    operator, destructive = re.findall(r"^ +tenantry (iam-policy .*)$", notes, re.MULTILINE)
    policy, deletes = program(*operator.split()), program(*destructive.split())
    assert "DeleteKnowledgeBase" in deletes and "DeleteKnowledgeBase" not in policy
    values = yaml.safe_load(case.read_text())
    assert values.get("permissionsBoundary", "Statement") in policy
    assert ("create-pod-identity-association" in notes) == ("serviceAccount" not in values or not values["serviceAccount"].get("annotations"))
    assert "`helm uninstall` ends the operator and leaves the Tenants" in notes
