"""The bed as a person with kubectl and helm sees it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chart
from bed import Bed
from chart import Manifest


class Denied(Exception):
    """The API server refused; the message is what kubectl said."""


class Cluster:
    """All that can be done to it."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        # Helm keeps what it remembers of a person in the bed's directory.
        homes = {f"HELM_{home}_HOME": str(bed.directory / "helm") for home in ("CACHE", "CONFIG", "DATA")}
        self.environment = {**bed.environment(), **homes}

    def helm(self, *arguments: str | Path) -> str:
        return chart.helm(*arguments, environment=self.environment)

    def kubectl(self, *arguments: str | Path, manifests: list[Manifest] | None = None) -> str:
        given = {"input": json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})} if manifests is not None else {}
        files = ["--filename", "-"] if manifests is not None else []
        command = [self.bed.kubectl, *map(str, arguments), *files]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, **given)
        if done.returncode != 0:
            raise Denied(done.stderr.strip())
        return done.stdout

    def get(self, *what: str) -> Any:
        return json.loads(self.kubectl("get", *what, "--output=json"))

    def eventually(self, what: str, holds: Callable[[], Any], seconds: float = 90) -> Any:
        deadline = time.monotonic() + seconds
        while not (answer := holds()):
            assert time.monotonic() < deadline, f"waited in vain until {what}"
            self.bed.check()
            time.sleep(0.2)
        return answer
