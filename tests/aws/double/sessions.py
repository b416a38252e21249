"""Sessions of roles: the tags and the policy that STS was given for each, by access key (IAM user guide, "Pass session tags in STS").

A session's tags go before those of its role, whatever the case of their keys. Those that are transitive go on to the sessions
of other roles that it becomes.
"""

import dataclasses
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


NOBODYS = Session()


class Sessions:
    def __init__(self):
        self._given = {}                # access key -> Session

    def of(self, call):
        """The session that a call is made by, unless it is over."""
        session = self._given.get(call.access_key, NOBODYS)
        if session.ends is not None and time.time() >= session.ends:
            code, status = {"s3": ("ExpiredToken", 400), "sts": ("ExpiredToken", 403), "iam": ("ExpiredToken", 403)}.get(
                call.service, ("ExpiredTokenException", 403))
            raise AwsError(code, "The security token included in the request is expired", status)
        return session

    def give(self, session, body):
        """Remember the session for the key in AssumeRole's answer. The answer, which says when it ends."""
        self._given[re.search(rb"<AccessKeyId>([^<]+)</AccessKeyId>", body).group(1).decode()] = session
        if session.ends is None:
            return body
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(session.ends))
        return re.sub(rb"<Expiration>[^<]+</Expiration>", f"<Expiration>{moment}</Expiration>".encode(), body)


def under(session, role):
    """The role as this session has it."""
    if session == NOBODYS:
        return role
    said = {key.lower() for key in session.tags}
    tags = {key: value for key, value in role.tags.items() if key.lower() not in said}
    return dataclasses.replace(role, tags={**tags, **session.tags}, session_policy=session.policy)


def shown(call):
    """Who called, as the journal has it: the role's and the session's name and the session's tags, or nothing."""
    found = SESSION.fullmatch(call.caller)
    return found and {"role": found.group(2), "name": found.group(3), "tags": call.session.tags}
