"""The scripts for Argo CD pass their tests, and a status or a script that is wrong is noticed."""

from __future__ import annotations

import copy
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import prepare
import pytest
import readers
import yaml

HEALTH = Path("tenantry.dev/_/health.lua")


class Loader(yaml.SafeLoader):
    """Reads times as text, as JSON does."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@pytest.fixture(scope="module")
def statuses() -> dict[str, dict]:
    """The statuses of the table in docs/status.md, by name."""
    folder = readers.SCRIPTS / "tenantry.dev/_/testdata"
    return {file.stem: yaml.load(file.read_text(), Loader) for file in folder.glob("*.yaml")}


def test_scripts(tmp_path: Path) -> None:
    command = [str(prepare.tool("readers")), "test"]
    done = subprocess.run([*command, str(readers.SCRIPTS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    broken = shutil.copytree(readers.SCRIPTS, tmp_path / "broken")
    for script, find, replacement in [
        (HEALTH, '"Degraded"', '"Healthy"'),
        ("tenantry.dev/Tenant/actions/pause/action.lua", '"true"', '"yes"'),
        ("tenantry.dev/Tenant/actions/discovery.lua", "not paused", "paused"),
    ]:
        change(broken / script, find, replacement)
    done = subprocess.run([*command, str(broken)], capture_output=True, text=True)
    assert done.returncode != 0
    for test in ("testdata/stalled.yaml", "pause of testdata/ready.yaml", "discovery of testdata/paused.yaml"):
        assert f"{test}: it is not as expected" in done.stderr


def test_nothing_is_wrong_with_the_statuses_of_the_table(statuses: dict[str, dict]) -> None:
    assert readers.check(list(statuses.values())) == []


@pytest.mark.parametrize(
    "find, replacement, complaint",
    [
        ('"Degraded"', '"Healthy"', "Argo CD says Healthy"),
        ('is_true("Reconciling")', 'is_true("Paused")', "Argo CD says Healthy"),
        ('"Suspended"', '"Paused"', "no health"),
        ("local status =", 'local upper = ("no library"):upper()\nlocal status =', "attempt to index a non-table object"),
        ("local status =", "local name = string.lower(obj.kind)\nlocal status =", "attempt to index a non-table object"),
        ("local status =", "while true do end\nlocal status =", "context deadline exceeded"),
        ("message = conditions.Stalled.message", 'message = ""', "does not say why"),
    ],
)
def test_a_wrong_script_is_noticed(statuses: dict[str, dict], tmp_path: Path, find: str, replacement: str, complaint: str) -> None:
    scripts = shutil.copytree(readers.SCRIPTS, tmp_path / "scripts")
    change(scripts / HEALTH, find, replacement)
    assert complaint in "\n".join(readers.check([statuses[name] for name in ("stalled", "paused", "aws-fails")], scripts))


@pytest.mark.parametrize(
    "name, wrong, complaint",
    [
        ("ready", lambda status: status.pop("observedGeneration"), "observedGeneration is None"),
        ("ready", lambda status: status["conditions"][0].update(reason="Fine"), "does not explain Ready=True/Fine"),
        ("ready", lambda status: status["conditions"][0].update(message=""), "has no message"),
        ("ready", lambda status: status["conditions"][0].pop("observedGeneration"), "of which generation"),
        ("ready", lambda status: status["conditions"][0].update(status="False"), "neither Reconciling nor Stalled"),
        ("stalled", lambda status: status["conditions"][0].update(message="Bad"), "do not say the same"),
        ("stalled", lambda status: status["conditions"][1].update(status="True"), "something else at once"),
        ("leaving", lambda status: status["conditions"][0].update(status="True"), "while it is being deleted"),
    ],
)
def test_a_wrong_status_is_noticed(statuses: dict[str, dict], name: str, wrong: Callable[[dict], object], complaint: str) -> None:
    item = copy.deepcopy(statuses[name])
    wrong(item["status"])
    assert complaint in "\n".join(readers.check([item]))


def change(file: Path, find: str, replacement: str) -> None:
    text = file.read_text()
    assert find in text
    file.write_text(text.replace(find, replacement))
