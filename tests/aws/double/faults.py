"""Faults by script: the n-th call of an operation on a resource is throttled, fails, is late or is dropped."""

import asyncio
import fnmatch
import itertools

from .errors import AwsError


class Dropped(Exception):
    """The connection breaks without an answer."""


class Faults:
    def __init__(self):
        self._ids, self._rules = itertools.count(1), []

    def control(self, method, account, given):
        if method == "POST":
            unknown = set(given) - {"service", "operation", "resource", "first", "count", "code", "message", "status",
                                    "delay", "drop"}
            if unknown or not (given.get("code") or given.get("delay") or given.get("drop")):
                return 400, {"error": f"unknown {sorted(unknown)}, or neither code, delay nor drop"}
            rule = {"id": f"fault-{next(self._ids)}", "account": account, "service": "*", "resource": "*", "first": 1,
                    "count": 1, "seen": 0, "hit": 0, **given}
            self._rules.append(rule)
            return 200, {"id": rule["id"]}
        if method == "DELETE":
            self._rules = [r for r in self._rules if account is not None and r["account"] != account]
            return 200, {}
        return 200, {"faults": [r for r in self._rules if account is None or r["account"] == account]}

    async def before(self, call):
        """Do to a call that is named and not yet acted on what the script says. Every service passes here."""
        for rule in self._rules:
            if rule["account"] not in (None, call.account) or rule.get("operation", "*") not in ("*", call.operation) \
                    or not fnmatch.fnmatchcase(call.service, rule["service"]) \
                    or not fnmatch.fnmatchcase(call.resource, rule["resource"]):
                continue
            rule["seen"] += 1
            if not rule["first"] <= rule["seen"] < rule["first"] + rule["count"]:
                continue
            rule["hit"] += 1
            if rule.get("delay"):
                await asyncio.sleep(rule["delay"])
            if rule.get("code"):
                raise AwsError(rule["code"], rule.get("message", "A fault that a test asked for"), rule.get("status"))
            if rule.get("drop") == "before":
                raise Dropped()
            if rule.get("drop") == "after":
                call.drop_after = True
