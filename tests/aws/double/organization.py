"""Service control policies of the organization that an account is in (Organizations user guide, "SCP evaluation").

`organization.levels` of an account's settings has a list of policies for each level above it: the root, its units, itself. At each
some policy must allow a call, and none may deny it. They give no right. They bind every principal of the account, its root too,
wherever the resource is; but nobody of the organization's management account, no role that is linked to a service, and no service.
"""

from . import policy

EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
# Policies of AWS's own, by name.
MANAGED = {"FullAWSAccess": EVERYTHING}


def levels(world, account):
    """The policies that bind principals of this account, level by level; none where there is no organization."""
    own = world.settings.of(account)["organization"]
    return [] if own["management_account"] else [[MANAGED.get(p, p) if isinstance(p, str) else p for p in level]
                                                 for level in own["levels"]]


def refusal(world, principal, action, resource, context):
    """Why the organization does not let this principal do that, in AWS's words, or None."""
    if ":role/aws-service-role/" in principal:
        return None
    verdicts = [policy.decide(level, action, resource, context) for level in levels(world, principal.split(":")[4])]
    if "Deny" in verdicts:
        return "with an explicit deny in a service control policy"
    if None in verdicts:
        return f"because no service control policy allows the {action} action"
    return None
