"""What the proxy is to do with which request, and what it has seen. Its use is described in proxy.py."""

from __future__ import annotations

import asyncio
import fnmatch
import itertools
import json
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from proxy_http import Head

MUTATING = ("POST", "PUT", "PATCH", "DELETE")
DEEDS = ("drop-before", "drop-after", "refuse", "delay", "hold", "last", "freeze")
# An answer can be lost only where a request has taken effect: it is counted then, and not when it arrives.
ANSWERS = ("drop-after", "last", "freeze")
RULE = {"method": None, "path": "*", "query": "*", "client": "*", "first": 1, "count": 1, "do": None, "seconds": 0.0, "status": 500}


class Script:
    def __init__(self) -> None:
        self.rules: list[dict] = []
        self.requests: list[dict] = []
        self._ids, self._numbers = itertools.count(1), itertools.count(1)

    def arrived(self, head: Head) -> tuple[dict, dict | None]:
        """Note a request; the first rule that strikes it."""
        entry = {"seq": next(self._numbers), "method": head.method, "path": urlsplit(head.target).path, "query": urlsplit(head.target).query,
                 "client": head.headers.get("user-agent", ""), "status": 0, "outcome": "under way"}  # fmt: skip
        self.requests.append(entry)
        dead = any(rule["do"] == "last" and rule["hit"] for rule in self.rules) and head.method in MUTATING
        return entry, {"do": "silence"} if dead else self._struck(entry, answered=False)

    def answered(self, entry: dict) -> dict | None:
        """The first rule that strikes the answer to a request that has taken effect."""
        return self._struck(entry, answered=True)

    def _struck(self, entry: dict, *, answered: bool) -> dict | None:
        struck = None
        for rule in self.rules:
            if (rule["do"] in ANSWERS) == answered and _matches(rule, entry):
                rule["seen"] += 1
                if struck is None and rule["first"] <= rule["seen"] < rule["first"] + rule["count"]:
                    rule["hit"] += 1
                    struck = rule
        return struck

    def control(self, method: str, target: str, sent: bytes, cut: Callable[[], int]) -> tuple[int, dict]:
        parts = urlsplit(target)
        try:
            match method, parts.path:
                case "POST", "/rules":
                    return 200, {"id": self._add(json.loads(sent))}
                case "GET", "/rules":
                    return 200, {"rules": [{k: v for k, v in rule.items() if k != "released"} for rule in self.rules]}
                case "DELETE", "/rules":
                    for rule in self.rules:
                        rule["released"].set()
                    self.rules = []
                    return 200, {}
                case "GET", "/requests":
                    every = "all" in parse_qs(parts.query)
                    return 200, {"requests": [r for r in self.requests if every or r["method"] in MUTATING]}
                case "DELETE", "/requests":
                    self.requests = []
                    return 200, {}
                case "POST", "/cut":
                    return 200, {"cut": cut()}
        except (ValueError, TypeError) as error:
            return 400, {"error": str(error)}
        return 404, {"error": f"no such control: {method} {parts.path}"}

    def _add(self, given: dict) -> str:
        if (unknown := set(given) - set(RULE)) or given.get("do") not in DEEDS:
            raise ValueError(f"unknown: {sorted(unknown)}; `do` is one of {', '.join(DEEDS)}")
        rule = {"id": f"rule-{next(self._ids)}", **RULE, **given, "seen": 0, "hit": 0, "released": asyncio.Event()}
        self.rules.append(rule)
        return rule["id"]


def _matches(rule: dict, entry: dict) -> bool:
    if not (entry["method"] in MUTATING if rule["method"] is None else fnmatch.fnmatchcase(entry["method"], rule["method"])):
        return False
    return all(fnmatch.fnmatchcase(entry[part], rule[part]) for part in ("path", "query", "client"))
