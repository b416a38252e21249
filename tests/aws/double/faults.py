"""Faults by script: the n-th call of an operation on a resource is throttled, fails, is late or is dropped.

A rule counts all calls that match it, or with `each` those of every operation (or operation and resource) by themselves:
"every operation, the first time" is one rule. An answer can be lost only where there is one: `drop: after` and `last`
count the calls that took effect.

`last` is the moment at which a process dies: the call takes effect, its answer never comes, and nothing that the same
callers ask to change later takes effect, until the script is forgotten.

A rule with a `key` is about keys that a DeleteObjects names: each that matches is answered as an error and stays, the
others are deleted. It counts the calls that name such a key.
"""

import asyncio
import fnmatch
import itertools

from . import caller, shapes
from .errors import AwsError
from .journal import is_mutating

_RULE = {"service": "*", "operation": "*", "resource": "*", "caller": "*", "mutating": None, "each": "rule", "first": 1,
         "count": 1, "key": None, "fault": None, "code": None, "message": "A fault that a test asked for", "status": None, "delay": 0,
         "drop": None}
_VALUES = {"each": ("rule", "operation", "resource"), "drop": (None, "before", "after", "last"),
           "fault": (None, "throttled", "failed", "denied")}


_ANSWERS = ("after", "last")


class Dropped(Exception):
    """The connection breaks without an answer."""


class Withheld(Dropped):
    """No answer comes for as long as the client waits for it."""


class Faults:
    def __init__(self):
        self._ids, self._rules = itertools.count(1), {}         # account, or None for all -> its rules

    def control(self, method, account, given):
        if method == "POST":
            wrong = sorted(set(given) - set(_RULE)) + [k for k, v in _VALUES.items() if given.get(k, v[0]) not in v]
            effects = {k for k in ("fault", "code", "delay", "drop") if given.get(k)}
            if wrong or not effects or given.get("key") and effects & {"delay", "drop"}:
                return 400, {"error": f"wrong or unknown: {wrong}, or none of fault, code, delay and drop, or key with one of the latter two"}
            rule = {"id": f"fault-{next(self._ids)}", "account": account, **_RULE, **given, "seen": 0, "hit": 0, "hits": [],
                    "counts": {}}
            self._rules.setdefault(account, []).append(rule)
            return 200, {"id": rule["id"]}
        if method == "DELETE":
            for known in list(self._rules) if account is None else [account]:
                self._rules.pop(known, None)
            return 200, {}
        return 200, {"faults": [r for known, rules in self._rules.items() if account in (None, known) for r in rules]}

    def _of(self, account):
        """The rules that an account's calls are under. Other tests' are not looked at."""
        return (*self._rules.get(None, ()), *self._rules.get(account, ()))

    async def before(self, world, call):
        """Do to a call that is named and not yet acted on what the script says. Every service passes here."""
        for rule in self._of(call.account):
            if rule["key"]:
                continue
            if rule["drop"] in _ANSWERS:
                if rule["drop"] == "last" and rule["hit"] and _is_whose(rule, call) and is_mutating(call.operation):
                    raise Withheld()
            elif _matches(rule, call) and _is_struck(rule, call):
                await _strike(world, call, rule)

    def of_keys(self, call, demands):
        """What the script says of the keys that a DeleteObjects names: {key: its error}. A key comes with what is asked for it."""
        errors = {}
        for rule in self._of(call.account):
            found = {key for key in demands if fnmatch.fnmatchcase(key, rule["key"])} if rule["key"] else ()
            if found and _matches(rule, call) and _is_struck(rule, call):
                errors |= {key: _error(call, rule, demands[key]) for key in found}
        return errors

    async def after(self, call):
        """Do to a call that has taken effect what the script says of its answer."""
        for rule in self._of(call.account):
            if rule["drop"] in _ANSWERS and _matches(rule, call) and _is_struck(rule, call):
                await asyncio.sleep(rule["delay"])
                raise Withheld() if rule["drop"] == "last" else Dropped()


def _is_struck(rule, call):
    """Count a call that matches."""
    group = {"rule": "", "operation": f"{call.service}:{call.operation}",
             "resource": f"{call.service}:{call.operation} {call.resource}"}[rule["each"]]
    rule["seen"] += 1
    seen = rule["counts"][group] = rule["counts"].get(group, 0) + 1
    if not rule["first"] <= seen < rule["first"] + rule["count"]:
        return False
    rule["hit"] += 1
    rule["hits"].append(f"{call.service}:{call.operation} {call.resource}")
    return True


def _is_whose(rule, call):
    return fnmatch.fnmatchcase(call.caller, rule["caller"])


def _matches(rule, call):
    pairs = ((rule["service"], call.service), (rule["operation"], call.operation), (rule["resource"], call.resource))
    return _is_whose(rule, call) and all(fnmatch.fnmatchcase(found, wanted) for wanted, found in pairs) \
        and rule["mutating"] in (None, is_mutating(call.operation))


async def _strike(world, call, rule):
    if rule["delay"]:
        await asyncio.sleep(rule["delay"])
    if rule["fault"] or rule["code"]:
        raise _error(call, rule, next(iter(await caller.demands(world, call, None)), None))
    if rule["drop"] == "before":
        raise Dropped()


def _error(call, rule, demand):
    """The error that a rule asks for, in the shape of the service that is called."""
    if rule["fault"] == "denied":
        action, resource = (demand.action, demand.shown or demand.resource) if demand else (call.operation, "*")
        return caller.denial(call, action, resource, f"because no identity-based policy allows the {action} action")
    if rule["fault"]:
        return getattr(shapes, rule["fault"])(call)
    return AwsError(rule["code"], rule["message"], rule["status"])
