"""Time passes here and nowhere else: dwells, lags, and the points where a test may hold things."""

import asyncio
import fnmatch
import itertools
import time


class Holds:
    """Named points of a lifecycle or a job. What reaches a held point waits there until released."""

    def __init__(self):
        self._ids = itertools.count(1)
        self._holds = {}

    def hold(self, account, point, match="*"):
        identifier = f"hold-{next(self._ids)}"
        self._holds[identifier] = {"id": identifier, "account": account, "point": point, "match": match,
                                   "waiting": [], "event": asyncio.Event()}
        return identifier

    def release(self, identifier=None, account=None, point=None):
        chosen = [h for h in self._holds.values()
                  if (identifier is None or h["id"] == identifier) and (account is None or h["account"] == account)
                  and (point is None or h["point"] == point)]
        for held in chosen:
            del self._holds[held["id"]]
            held["event"].set()
        return len(chosen)

    def shown(self, account=None):
        return [{k: v for k, v in h.items() if k != "event"} for h in self._holds.values()
                if account is None or h["account"] == account]

    async def passing(self, account, point, name):
        for held in list(self._holds.values()):
            if held["account"] == account and held["point"] == point and fnmatch.fnmatchcase(name, held["match"]):
                held["waiting"].append(name)
                try:
                    await held["event"].wait()
                finally:
                    held["waiting"].remove(name)


class Clock:
    def __init__(self, settings, holds):
        self.settings, self.holds = settings, holds

    @staticmethod
    def now():
        return time.time()

    async def dwell(self, account, name, resource="", share=1.0):
        """Stay for the dwell of this name (or a share of it), then pass the point of the same name."""
        start = time.monotonic()
        while True:
            left = self.settings.seconds(account, "dwell", name) * share - (time.monotonic() - start)
            if left <= 0:
                break
            await self.settings.wait_for_change(left)
        await self.holds.passing(account, name, resource)

    def after(self, account, lag, moment):
        """Has this lag passed since the moment?"""
        return self.now() - moment >= self.settings.seconds(account, "lag", lag)
