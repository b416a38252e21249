"""Policies of the organization that an account is in: service control policies (Organizations user guide, "SCP evaluation"), and
resource control policies ("RCP evaluation"), as far as they are about the use of roles.

`organization.levels` of an account's settings has a list of policies for each level above it: the root, its units, itself. At each
some policy must allow a call, and none may deny it. They give no right. They bind every principal of the account, its root too,
wherever the resource is; but nobody of the organization's management account, no role that is linked to a service, and no service.

`organization.resources` has resource control policies, which deny. They bind whoever asks for a role of the account, of whatever
account they are, also whoever is nobody's principal and comes by an identity provider; but for no role that is linked to a service.
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


def keeps(world, action, role, context):
    """Why the organization of the role's account does not let it be used, in AWS's words, or None. The context says who asks, if
    anybody signs for it."""
    own = world.settings.of(role.split(":")[4])["organization"]
    if own["management_account"] or ":role/aws-service-role/" in role:
        return None
    denied = policy.decide(own["resources"], action, role, context, lambda element: element == "*") == "Deny"
    return "with an explicit deny in a resource control policy" if denied else None
