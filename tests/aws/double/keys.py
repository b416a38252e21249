"""What the double has to know of a KMS key: its ARN, state, policy and tags, kept until a call that could change them passes."""

import json
from dataclasses import dataclass

from . import upstream
from .demand import Demand, resource_tags
from .errors import AwsError


@dataclass
class Key:
    arn: str
    state: str
    policy: dict
    tags: dict


class Keys:
    def __init__(self):
        self._known = {}

    def forget(self, account):
        self._known = {k: v for k, v in self._known.items() if k[0] != account}

    async def get(self, account, region, name):
        """The key behind an ARN, id or alias, or None."""
        known = (account, region, name)
        if known not in self._known:
            self._known[known] = await self._read(account, region, name)
        return self._known[known]

    @staticmethod
    async def _read(account, region, name):
        async def kms(operation, **params):
            return await upstream.api(account, region, "kms", operation, **params)
        try:
            found = (await kms("DescribeKey", KeyId=name))["KeyMetadata"]
            policy = json.loads((await kms("GetKeyPolicy", KeyId=found["Arn"], PolicyName="default"))["Policy"])
            tags = (await kms("ListResourceTags", KeyId=found["Arn"])).get("Tags", [])
        except AwsError:
            return None
        return Key(found["Arn"], found["KeyState"], policy, {t["TagKey"]: t["TagValue"] for t in tags})

    async def demands(self, call, name, actions, **context):
        """The key's policy and the caller's both have a say in these actions. Nothing is asked of a key that is not
        there: the call itself fails on it."""
        key = await self.get(call.account, call.region, name)
        if key is None:
            return []
        context = {"kms:CallerAccount": call.account, **resource_tags(key.tags), **context}
        return [Demand(action, key.arn, context, key.policy, guarded=True) for action in actions]
