"""Requests a second, by operation and by service, as token buckets (aws-facts §2.1). Off unless `rate_limits` is on.

AWS's numbers are per second of AWS's time: `speedup` multiplies them, as it divides dwells. A rate of 0 is no limit.
"""

import time

from . import shapes


class Rates:
    def __init__(self, settings):
        self._settings, self._buckets = settings, {}

    def check(self, call):
        """Take a token for the operation and one for its service, or refuse."""
        if not self._settings.switch(call.account, "rate_limits"):
            return
        own = self._settings.of(call.account)
        for name in (call.operation, call.service.partition("-")[0]):
            rate = own["rates"].get(name, 0) * own["speedup"]
            if rate and not self._take((call.account, call.region, name), rate, own["rate_burst"] / own["speedup"]):
                raise shapes.throttled(call)

    def _take(self, bucket, rate, burst):
        now, most = time.monotonic(), max(1.0, rate * burst)
        tokens, since = self._buckets.get(bucket, (most, now))
        tokens = min(most, tokens + (now - since) * rate)
        self._buckets[bucket] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens >= 1
