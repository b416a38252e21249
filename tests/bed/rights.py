"""Compare what the operator is given in AWS with what the end-to-end tests needed of it.

    rights.py             after `cargo test --test e2e`

The tests run under what `tenantry iam-policy operator` and `destructive` print, so nothing is missing there; and a statement, or an
action in one, that no call of the whole suite needed is one too many. The AWS double writes down what was needed.
"""

from __future__ import annotations

import json
import subprocess
import sys

from prepare import OPERATOR, ROOT, say

EVIDENCE = ROOT / "target" / "e2e-evidence.jsonl"
ROLE = "tenantry-operator"
ACCOUNT = "111122223333"
SCOPE = ["--installation", "e2e", "--account", ACCOUNT, "--region", "us-east-1"]
OPTIONS = [
    f"--role-arn=arn:aws:iam::{ACCOUNT}:role/e2e/{ROLE}",
    f"--permissions-boundary=arn:aws:iam::{ACCOUNT}:policy/edge",
    "--registry=dynamodb:tenants",
]


def granted(who: str, *options: str) -> set[tuple[str, str]]:
    """The statements and actions of a policy, as the program prints it."""
    printed = subprocess.run([OPERATOR, "iam-policy", who, *SCOPE, *options], stdout=subprocess.PIPE, check=True).stdout
    allowed = [statement for statement in json.loads(printed)["Statement"] if statement["Effect"] == "Allow"]
    return {(statement["Sid"], action) for statement in allowed for action in statement["Action"]}


def needed(lines: list[str]) -> set[tuple[str, str]]:
    """What only these statements allowed."""
    notes = map(json.loads, lines)
    return {(note["sid"], note["action"]) for note in notes if note["role"] == ROLE}


def main() -> None:
    if not EVIDENCE.exists():
        sys.exit(f"error: there is no {EVIDENCE.relative_to(ROOT)}; the end-to-end tests write it")
    given = granted("operator", *OPTIONS) | granted("destructive")
    if too_many := sorted(given - needed(EVIDENCE.read_text().splitlines())):
        listed = "\n".join(f"  {sid}: {action}" for sid, action in too_many)
        sys.exit(f"error: the operator's policies allow what no call of the end-to-end tests needed:\n{listed}")
    say(f"{len(given)} actions in {len({sid for sid, _ in given})} statements, and each was needed")


if __name__ == "__main__":
    main()
