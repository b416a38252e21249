"""The control API under /_double/: settings, holds, the journal. Loopback only, like everything here."""

import json

from . import asked
from .state import World


async def answer(world: World, call):
    """(status, value to be written as JSON)."""
    name = call.path.removeprefix("/_double/").strip("/")
    query = {k: v[0] for k, v in call.query.items()}
    given = json.loads(call.body) if call.body else {}
    account = query.get("account") or given.pop("account", None)
    holds = world.clock.holds
    try:
        if name == "health":
            return 200, {"status": "ok"}
        if name == "journal" and call.method == "GET":
            return 200, {"entries": world.journal.since(account, int(query.get("since", 0)))}
        if name == "journal" and call.method == "DELETE":
            world.journal.clear(account)
            return 200, {}
        if name == "asked":
            found = asked.by(world.journal.since(account, int(query.get("since", 0))), query["role"])
            return 200, {"asked": len(found), "wrong": asked.wrong(found, query.get("key", asked.KEY))}
        if name == "settings" and call.method == "GET":
            return 200, world.settings.of(account)
        if name == "settings" and call.method == "PUT":
            return 200, world.settings.put(account, given)
        if name == "settings" and call.method == "DELETE":
            world.settings.reset(account)
            return 200, {}
        if name == "hold" and call.method == "POST":
            return 200, {"id": holds.hold(account, given["point"], given.get("match", "*"))}
        if name == "holds":
            return 200, {"holds": holds.shown(account)}
        if name == "release" and call.method == "POST":
            return 200, {"released": holds.release(given.get("id"), account, given.get("point"))}
        if name == "faults":
            return world.faults.control(call.method, account, given)
    except (KeyError, ValueError, TypeError) as error:
        return 400, {"error": f"{type(error).__name__}: {error}"}
    return 404, {"error": f"no such control: {call.method} {call.path}"}
