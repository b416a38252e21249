"""The chart, as helm renders it."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "bed"))

import prepare  # noqa: E402

CHART = ROOT / "charts" / "tenantry"
CASES = sorted((CHART / "ci").glob("*.yaml"))
RELEASE, NAMESPACE = "tenantry", "tenantry"

Manifest = dict[str, Any]
Values = dict[str, Any]


class Strict(yaml.SafeLoader):
    """YAML without keys that are there twice, of which a reader takes the one or the other."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key is there twice: {keys}"
        return super().construct_mapping(node, deep)


class Refused(Exception):
    """Helm did not do it; the message is what it said."""


@functools.cache
def _program() -> str:
    return str(prepare.tool("helm"))


def helm(*arguments: str | Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run([_program(), *map(str, arguments)], capture_output=True, text=True, env=environment or dict(os.environ))
    if done.returncode != 0:
        raise Refused(done.stderr.strip())
    return done.stdout


def text(*cases: Path, values: Values | None = None, chart: Path = CHART) -> str:
    """What a set of values renders, and these values on top of it."""
    files = [part for case in cases for part in ("--values", case)]
    on_top = [f"--set-json={key}={json.dumps(value)}" for key, value in (values or {}).items()]
    return helm("template", RELEASE, chart, "--namespace", NAMESPACE, *files, *on_top)


def render(*cases: Path, values: Values | None = None, chart: Path = CHART) -> list[Manifest]:
    return [manifest for manifest in yaml.load_all(text(*cases, values=values, chart=chart), Strict) if manifest]


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def defaults() -> Values:
    return yaml.safe_load((CHART / "values.yaml").read_text())


def schema() -> dict[str, Any]:
    return json.loads((CHART / "values.schema.json").read_text())
