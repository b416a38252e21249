"""Who calls, and what a role may do: read from MiniStack through its IAM and STS interfaces.

A role is read again after every change that passes through the double and the versions are kept, so that a
change can take effect late (aws-facts §5.3): a test sets `lag.role`.
"""

import functools
import json
import re
import time
from dataclasses import dataclass, field
from urllib.parse import unquote

from . import organization, policy, upstream
from .errors import AwsError

# IAM calls after which a role may mean something else.
ROLE_CHANGES = re.compile(r"(Create|Delete|Update)Role|UpdateAssumeRolePolicy|(Put|Delete)RolePolicy"
                          r"|(Attach|Detach)RolePolicy|(Put|Delete)RolePermissionsBoundary"
                          r"|(Create|Delete)PolicyVersion|SetDefaultPolicyVersion|DeletePolicy|(Unt|T)agRole")
SESSION = re.compile(r"arn:aws:sts::(\d{12}):assumed-role/([^/]+)/(.+)")


@dataclass
class Role:
    arn: str
    name: str
    trust: dict
    policies: list
    boundary: dict | None
    tags: dict = field(default_factory=dict)
    boundary_arn: str | None = None
    max_session: int = 3600             # seconds that a session may last
    session_policy: dict | None = None  # of the session that uses the role

    @functools.cached_property
    def mentions_tags(self):
        """Do its policies speak of resources' tags? Only then are they looked up."""
        return "resourcetag/" in json.dumps([self.policies, self.boundary]).lower()


def document(text):
    return json.loads(unquote(text)) if isinstance(text, str) else text


class Roles:
    def __init__(self, world):
        self._world = world
        self._versions = {}             # (account, name) -> [(moment, Role | None)]
        self._callers = {}              # access key -> (account, arn)

    async def caller(self, access_key, region):
        """(account, ARN) of an access key. A 12-digit key is that account's root: MiniStack's rule."""
        if access_key not in self._callers:
            found = await upstream.api(None, region, "sts", "GetCallerIdentity", access_key=access_key)
            self._callers[access_key] = found["Account"], found["Arn"]
        return self._callers[access_key]

    async def principal(self, arn):
        """The ARN that policies name: of a session its role's (with the path), of anyone else their own."""
        role = await self.of_caller(arn)
        return role.arn if role else arn

    async def before_change(self, account, name):
        """Remember what stood before, or a late change would have nothing to be late against."""
        for key in self._known(account, name):
            if key not in self._versions:
                self._versions[key] = [(0.0, await self._read(*key))]

    async def after_change(self, account, name):
        for key in self._known(account, name):
            self._versions.setdefault(key, []).append((time.time(), await self._read(*key)))

    def _known(self, account, name):
        return [(account, name)] if name else [key for key in self._versions if key[0] == account]

    async def get(self, account, name):
        versions = self._versions.get((account, name))
        if not versions:
            versions = self._versions[(account, name)] = [(0.0, await self._read(account, name))]
        current = None
        for moment, role in versions:
            if self._world.clock.after(account, "role", moment):
                current = role
        return current

    async def newest(self, account, name):
        """The role as IAM itself sees it: changes are late only for those who ask what it may do."""
        await self.get(account, name)
        return self._versions[(account, name)][-1][1]

    async def of_caller(self, caller):
        """The role behind a session's ARN; None for whoever is not a session."""
        found = SESSION.fullmatch(caller)
        return await self.get(found.group(1), found.group(2)) if found else None

    def count(self, account):
        """How many roles the account has: all were made here."""
        return sum(1 for (owner, _), versions in self._versions.items() if owner == account and versions[-1][1])

    async def by_arn(self, arn):
        account, name = arn.split(":")[4], arn.rsplit("/", 1)[-1]
        role = await self.get(account, name)
        return role if role and role.arn == arn else None

    @staticmethod
    async def _read(account, name):
        async def iam(operation, **params):
            return await upstream.api(account, "us-east-1", "iam", operation, **params)

        async def managed(arn):
            version = (await iam("GetPolicy", PolicyArn=arn))["Policy"]["DefaultVersionId"]
            return document((await iam("GetPolicyVersion", PolicyArn=arn, VersionId=version))["PolicyVersion"]["Document"])

        try:
            found = (await iam("GetRole", RoleName=name))["Role"]
            policies = [document((await iam("GetRolePolicy", RoleName=name, PolicyName=p))["PolicyDocument"])
                        for p in (await iam("ListRolePolicies", RoleName=name)).get("PolicyNames", [])]
            for attached in (await iam("ListAttachedRolePolicies", RoleName=name)).get("AttachedPolicies", []):
                policies.append(await managed(attached["PolicyArn"]))
            boundary = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
            return Role(found["Arn"], name, document(found["AssumeRolePolicyDocument"]), policies,
                        await managed(boundary) if boundary else None,
                        {t["Key"]: t["Value"] for t in found.get("Tags", [])}, boundary,
                        int(found.get("MaxSessionDuration", 3600)))
        except AwsError as error:
            if error.code.startswith("NoSuchEntity"):
                return None
            raise

    async def allowed(self, role, action, resource, context, resource_policy=None, guarded=False):
        """May this role do that?"""
        if organization.refusal(self._world, role.arn, action, resource, about(role, context)):
            return False
        return self.refusal(role, action, resource, context, resource_policy, guarded) is None

    @staticmethod
    def refusal(role, action, resource, context, resource_policy=None, guarded=False):
        """Why this role may not do that, in AWS's words, or None: the one evaluator of IAM permissions.

        An explicit deny anywhere wins; boundary, session policy and identity policies must all allow, unless the
        resource's policy names the role itself in the last one's place. What is `guarded` (a KMS key, a role's trust)
        must be allowed by its own policy in any case, which may leave it to IAM by naming the account (aws-facts §4.4)."""
        context = about(role, context)

        def theirs(principal):
            return policy.decide([resource_policy], action, resource, context, principal) if resource_policy else None
        named_by, mine = theirs(named(role.arn)), policy.decide(role.policies, action, resource, context)
        limits = [(kind, policy.decide([document], action, resource, context)) for kind, document in (
            ("permissions boundary", role.boundary), ("session policy", role.session_policy)) if document is not None]
        for verdict, kind in ((mine, "an identity-based policy"), (named_by, "a resource-based policy"),
                              *((verdict, f"a {kind}") for kind, verdict in limits)):
            if verdict == "Deny":
                return f"with an explicit deny in {kind}"
        if guarded and named_by != "Allow":
            return f"because no resource-based policy allows the {action} action"
        for kind, verdict in limits:
            if verdict != "Allow":
                return f"because no {kind} allows the {action} action"
        if mine != "Allow" and theirs(directly(role.arn)) != "Allow":
            return f"because no identity-based policy allows the {action} action"
        return None

    @staticmethod
    def assumable(role, service, context):
        """May this service assume the role, under these aws:SourceArn and aws:SourceAccount?"""
        def principal(element):
            return isinstance(element, dict) and service in policy.as_list(element.get("Service"))
        return policy.decide([role.trust], "sts:AssumeRole", role.arn, context, principal) == "Allow"


def about(role, context):
    """The context of a role's call: who it is, beside what the call says."""
    return {"aws:PrincipalArn": role.arn, "aws:PrincipalAccount": role.arn.split(":")[4],
            "aws:SecureTransport": "true", "aws:PrincipalIsAWSService": "false",
            **{f"aws:PrincipalTag/{k}": v for k, v in role.tags.items()}, **context}


def named(arn):
    """A predicate: does this Principal element of a resource policy mean that ARN?"""
    account = arn.split(":")[4]

    def matches(element):
        if element == "*":
            return True
        names = policy.as_list(element.get("AWS")) if isinstance(element, dict) else []
        return any(n in ("*", arn, account, f"arn:aws:iam::{account}:root") for n in names)
    return matches


def directly(arn):
    """A predicate: does this element name that ARN itself (or everybody)? What names only the account leaves it to IAM."""
    def matches(element):
        names = policy.as_list(element.get("AWS")) if isinstance(element, dict) else []
        return element == "*" or "*" in names or arn in names
    return matches
