"""What IAM is asked before a call may pass: an action on a resource, under a context. Pure values."""

from dataclasses import dataclass, field


@dataclass
class Demand:
    action: str
    resource: str                   # "*" for actions that know no resources: only a policy on "*" allows them
    context: dict = field(default_factory=dict)
    policy: dict | None = None      # the resource's own policy
    guarded: bool = False           # it must allow too: KMS keys
    shown: str = ""                 # the resource as the refusal names it


def request_tags(tags):
    """The context of a call that sends these tags."""
    return {**{f"aws:RequestTag/{k}": v for k, v in tags.items()}, "aws:TagKeys": list(tags) or None}


def resource_tags(tags, *prefixes):
    """The context of a call on something that carries these tags."""
    return {f"{prefix}:ResourceTag/{k}": v for prefix in ("aws", *prefixes) for k, v in tags.items()}
