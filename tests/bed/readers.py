"""Give every status that the end-to-end tests kept to its readers, kstatus and Argo CD, and hold both to docs/status.md.

    readers.py            after `cargo test --test e2e`

What must hold of every status that any operator ever writes is in `complaints`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import prepare
from prepare import ROOT, say

KEPT = ROOT / "target" / "e2e-statuses"
SCRIPTS = ROOT / "examples" / "argocd" / "resource_customizations"
PAGE = ROOT / "docs" / "status.md"

# What Argo CD says where kstatus says so. It has words for a pause, and kstatus has none.
SAME = {"Current": "Healthy", "InProgress": "Progressing", "Failed": "Degraded", "Terminating": "Progressing"}


def judge(objects: list[dict], scripts: Path = SCRIPTS) -> list[dict]:
    """What kstatus and Argo CD say of each object."""
    readers = [str(prepare.tool("readers")), "judge", str(scripts)]
    done = subprocess.run(readers, input=json.dumps(objects), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def words(page: str, heading: str) -> set[str]:
    """The words that docs/status.md explains under a heading of the second rank."""
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


class Status:
    """An object's status, as its conditions tell it."""

    def __init__(self, item: dict) -> None:
        metadata, status = item["metadata"], item.get("status", {})
        self.generation = metadata["generation"]
        self.observed = status.get("observedGeneration")
        self.conditions = status.get("conditions", [])
        self.by_type = {condition["type"]: condition for condition in self.conditions}
        self.leaving = "deletionTimestamp" in metadata
        annotated = metadata.get("annotations", {}).get("tenantry.dev/paused") == "true"
        self.paused = annotated or self.true("Paused")  # the operator reads what is not spelt so
        self.current = self.observed == self.generation

    def true(self, kind: str) -> bool:
        return self.by_type.get(kind, {}).get("status") == "True"


def complaints(item: dict, said: dict, types: set[str], reasons: set[str]) -> Iterator[str]:
    """What is wrong with a status, or with what its readers say of it."""
    status, kstatus, argo = Status(item), said["kstatus"]["status"], said["argo"]["status"]
    yield from of_words(status, types, reasons)
    yield from of_conditions(status)

    if status.leaving:
        expected = "Terminating"
    elif not status.current or status.true("Reconciling"):
        expected = "InProgress"
    elif status.true("Stalled"):
        expected = "Failed"
    else:
        expected = "Current" if status.true("Ready") else "InProgress"
    if kstatus != expected:
        yield f"kstatus says {kstatus} where docs/status.md has {expected}"
    healthy = "Suspended" if status.paused and not status.leaving else SAME[expected]
    if argo != healthy:
        yield f"Argo CD says {argo} ({said['argo']['message']}) where kstatus would have it {healthy}"
    if argo != "Healthy" and not said["argo"]["message"]:
        yield f"Argo CD says {argo} and does not say why"


def of_words(status: Status, types: set[str], reasons: set[str]) -> Iterator[str]:
    if not isinstance(status.observed, int) or not -1 <= status.observed <= status.generation:
        yield f"its observedGeneration is {status.observed}, its generation {status.generation}"
    if len(status.by_type) != len(status.conditions):
        yield "it has two conditions of one type"
    for condition in status.conditions:
        name = f"{condition['type']}={condition['status']}/{condition['reason']}"
        if condition["type"] not in types or condition["reason"] not in reasons:
            yield f"docs/status.md does not explain {name}"
        if not condition["message"]:
            yield f"{name} has no message"
        if not 0 < condition.get("observedGeneration", 0) <= status.generation:
            yield f"{name} does not say of which generation it speaks"


def of_conditions(status: Status) -> Iterator[str]:
    """How conditions go together, once the operator has seen the object as it is."""
    ready, stalled = status.by_type.get("Ready"), status.by_type.get("Stalled")
    if not status.current:
        return
    for kind in ("DeletionBlocked", "Paused"):
        if kind in status.by_type and not status.true(kind):
            yield f"{kind} is there and not True"
    if ready is None:
        yield "it has no Ready"
    if status.leaving and status.true("Ready"):
        yield "it is Ready while it is being deleted"
    if status.true("Paused"):
        return  # the others keep their last word
    if status.true("Stalled"):
        # A change that is refused leaves what stands as it is: it is asked as before, and a person must act.
        accepted = status.by_type.get("Accepted")
        goes_on = status.true("Ready") and accepted is not None and accepted["status"] == "False"
        if status.true("Reconciling") or (status.true("Ready") and not goes_on):
            yield "it is Stalled and something else at once"
        if ready and stalled and not goes_on and (ready["reason"], ready["message"]) != (stalled["reason"], stalled["message"]):
            yield "Ready and Stalled do not say the same"
    elif not status.true("Ready") and not status.true("Reconciling"):
        yield "it is not Ready, and neither Reconciling nor Stalled says why"


def check(items: list[dict], scripts: Path = SCRIPTS) -> list[str]:
    """All that is wrong; nothing is only said of statuses of every sort."""
    page = PAGE.read_text()
    types, reasons = words(page, "Conditions"), words(page, "Reasons")
    judged, wrong = judge(items, scripts), []
    for item, said in zip(items, judged, strict=True):
        found = list(complaints(item, said, types, reasons))
        wrong += [f"{complaint}:\n{json.dumps(item, indent=2)}" for complaint in found]
    heard = Counter(said["kstatus"]["status"] for said in judged) + Counter(said["argo"]["status"] for said in judged)
    wrong += [f"no status is {word}: too few were kept to tell" for word in (*SAME, *SAME.values(), "Suspended") if not heard[word]]
    say(f"{len(items)} statuses: " + ", ".join(f"{word} {count}" for word, count in sorted(heard.items())))
    return wrong


def main() -> None:
    items = [json.loads(file.read_text()) for file in sorted(KEPT.glob("*.json"))]
    if not items:
        sys.exit(f"error: there is no status in {KEPT.relative_to(ROOT)}; the end-to-end tests keep them")
    if wrong := check(items):
        sys.exit("\n".join(["error: not every status is what docs/status.md promises", *wrong]))


if __name__ == "__main__":
    main()
