"""The journal: every call of every service, with who made it and what came of it. Tests assert on it."""

import bisect
import itertools
from operator import itemgetter

# What only reads. Everything else changes something, so a new operation counts as mutating until named here.
READS = ("Get", "List", "Describe", "Head", "BatchGet", "Retrieve", "Query", "Scan", "AssumeRole", "Simulate",
         "Encrypt", "Decrypt", "GenerateDataKey", "Select")


def is_mutating(operation):
    return not operation.startswith(READS)


_number = itemgetter("seq")


class Journal:
    def __init__(self):
        self._entries, self._seq = {}, itertools.count(1)       # account -> its calls, oldest first

    def add(self, **entry):
        entry["seq"] = next(self._seq)
        entry["mutating"] = is_mutating(entry["operation"])
        self._entries.setdefault(entry["account"], []).append(entry)
        return entry

    def since(self, account=None, seq=0):
        """The calls after that number, of one account or of all. Tests ask often: nothing is looked at that is not told."""
        if account is None:
            return sorted((e for known in self._entries for e in self.since(known, seq)), key=_number)
        entries = self._entries.get(account, [])
        return entries[bisect.bisect_right(entries, seq, key=_number):]

    def clear(self, account=None):
        for known in list(self._entries) if account is None else [account]:
            self._entries.pop(known, None)
