"""Compare what operator and gateway are given in AWS with what the end-to-end tests needed of it.

    rights.py             after `cargo test --test e2e`

The tests run under what `tenantry iam-policy operator` and `destructive`, `gateway` and `ask` print, so nothing is missing there; and a
statement, or an action in one, that no call of the whole suite needed is one too many. The AWS double writes down what was needed.
"""

from __future__ import annotations

import json
import subprocess
import sys

from prepare import OPERATOR, ROOT, say

EVIDENCE = ROOT / "target" / "e2e-evidence.jsonl"
ACCOUNT = "111122223333"
SCOPE = ["--installation", "e2e", "--account", ACCOUNT, "--region", "us-east-1"]


def role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/e2e/{name}"


# What each role is given: policies, and what they are printed for.
ROLES = {
    "tenantry-operator": {
        "operator": [
            f"--role-arn={role('tenantry-operator')}",
            f"--permissions-boundary=arn:aws:iam::{ACCOUNT}:policy/edge",
            "--registry=dynamodb:tenants",
        ],
        "destructive": [],
    },
    "tenantry-gateway": {"gateway": [f"--ask-role={role('tenantry-ask')}"]},
    "tenantry-ask": {"ask": []},
}


def granted(who: str, options: list[str]) -> set[tuple[str, str]]:
    """The statements and actions of a policy, as the program prints it."""
    printed = subprocess.run([OPERATOR, "iam-policy", who, *SCOPE, *options], stdout=subprocess.PIPE, check=True).stdout
    allowed = [statement for statement in json.loads(printed)["Statement"] if statement["Effect"] == "Allow"]
    return {(statement["Sid"], action) for statement in allowed for action in _list(statement["Action"])}


def _list(actions: str | list[str]) -> list[str]:
    return [actions] if isinstance(actions, str) else actions


def needed(lines: list[str], who: str) -> set[tuple[str, str]]:
    """What only these statements allowed to a role."""
    notes = map(json.loads, lines)
    return {(note["sid"], note["action"]) for note in notes if note["role"] == who}


def main() -> None:
    if not EVIDENCE.exists():
        sys.exit(f"error: there is no {EVIDENCE.relative_to(ROOT)}; the end-to-end tests write it")
    lines, too_many = EVIDENCE.read_text().splitlines(), []
    for who, policies in ROLES.items():
        given = set().union(*(granted(policy, options) for policy, options in policies.items()))
        too_many += [f"  {who}: {sid}: {action}" for sid, action in sorted(given - needed(lines, who))]
        say(f"{who}: {len(given)} actions in {len({sid for sid, _ in given})} statements")
    if too_many:
        sys.exit("error: policies allow what no call of the end-to-end tests needed:\n" + "\n".join(too_many))
    say("Each of them was needed.")


if __name__ == "__main__":
    main()
