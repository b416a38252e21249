"""Sessions of roles: the tags and the policy that STS was given for each, by access key (IAM user guide, "Pass session tags in STS").

A session's tags go before those of its role, whatever the case of their keys. Those that are transitive go on to the sessions
of other roles that it becomes.
"""

import dataclasses
import html
import re
import time

from .errors import AwsError
from .principals import SESSION


@dataclasses.dataclass(frozen=True)
class Session:
    tags: dict = dataclasses.field(default_factory=dict)
    transitive: tuple = ()              # keys among them
    policy: dict | None = None
    ends: float | None = None           # before its time, for a test that waits for it
    token: str | None = None            # that every call must show


NOBODYS = Session()
# What a service calls a session that is over, and one that cannot be.
_EXPIRED = {"s3": "ExpiredToken", "sts": "ExpiredToken", "iam": "ExpiredToken", None: "ExpiredTokenException"}
_INVALID = {"s3": "InvalidToken", "sts": "InvalidClientTokenId", "iam": "InvalidClientTokenId", None: "UnrecognizedClientException"}


class Sessions:
    def __init__(self):
        self._given = {}                # access key -> Session

    def of(self, call):
        """The session that a call is made by, unless it is over or the call does not show its token."""
        session = self._given.get(call.access_key, NOBODYS)
        shown = call.headers.get("x-amz-security-token") or call.query.get("X-Amz-Security-Token", [""])[0]
        if session.token is not None and shown != session.token:
            raise _refusal(call, _INVALID, "The security token included in the request is invalid.")
        if session.ends is not None and time.time() >= session.ends:
            raise _refusal(call, _EXPIRED, "The security token included in the request is expired")
        return session

    def give(self, session, body):
        """Remember the session for the key in AssumeRole's answer. The answer, which says when it ends."""
        key, token = (html.unescape(re.search(f"<{name}>([^<]+)</{name}>", body.decode()).group(1))
                      for name in ("AccessKeyId", "SessionToken"))
        self._given[key] = dataclasses.replace(session, token=token)
        if session.ends is None:
            return body
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(session.ends))
        return re.sub(rb"<Expiration>[^<]+</Expiration>", f"<Expiration>{moment}</Expiration>".encode(), body)


def _refusal(call, codes, message):
    return AwsError(codes.get(call.service, codes[None]), message, 400 if call.service == "s3" else 403)


def under(session, role):
    """The role as this session has it."""
    if not session.tags and session.policy is None:
        return role
    said = {key.lower() for key in session.tags}
    tags = {key: value for key, value in role.tags.items() if key.lower() not in said}
    return dataclasses.replace(role, tags={**tags, **session.tags}, session_policy=session.policy)


def shown(call):
    """Who called, as the journal has it: the role's and the session's name and the session's tags, or nothing."""
    found = SESSION.fullmatch(call.caller)
    return found and {"role": found.group(2), "name": found.group(3), "tags": call.session.tags}
