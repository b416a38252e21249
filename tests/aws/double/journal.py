"""The journal: every call of every service, with who made it and what came of it. Tests assert on it."""

import itertools

# What only reads. Everything else changes something, so a new operation counts as mutating until named here.
READS = ("Get", "List", "Describe", "Head", "BatchGet", "Retrieve", "Query", "Scan", "AssumeRole", "Simulate",
         "Encrypt", "Decrypt", "GenerateDataKey", "Select")


def is_mutating(operation):
    return not operation.startswith(READS)


class Journal:
    def __init__(self):
        self._entries, self._seq = [], itertools.count(1)

    def add(self, **entry):
        entry["seq"] = next(self._seq)
        entry["mutating"] = is_mutating(entry["operation"])
        self._entries.append(entry)
        return entry

    def since(self, account=None, seq=0):
        return [e for e in self._entries if e["seq"] > seq and (account is None or e["account"] == account)]

    def clear(self, account=None):
        self._entries = [] if account is None else [e for e in self._entries if e["account"] != account]
