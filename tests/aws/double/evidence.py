"""Which statements of which roles' policies were needed: written down the first time that a call would not have passed without one.

A policy that is as small as it can be has no statement, and no action in one, that a whole run of the tests does without.
"""

import json

from . import policy


class Evidence:
    def __init__(self, file=None):
        self._file, self._seen = file, set()

    def note(self, role, action, resource, context):
        """A call has passed: if exactly one statement with a name allows it, that one was needed."""
        if self._file is None:
            return
        sids = [sid for document in role.policies for sid in policy.allowing(document, action, resource, context)]
        found = (role.name, *sids, action)
        if len(sids) == 1 and sids[0] and found not in self._seen:
            self._seen.add(found)
            with open(self._file, "a") as file:
                file.write(json.dumps(dict(zip(("role", "sid", "action"), found))) + "\n")
