"""Encryption in S3 Vectors: what a configuration may say, and who must be able to use the key (S3's user guide, "Data protection and
encryption in S3 Vectors"; texts as some who tried it met them).

The service indexes by itself, as `indexing.s3vectors.amazonaws.com`: the key's own policy must let it decrypt, or no index is made.
"""

from . import policy
from .errors import AwsError
from .s3vectors_common import refused

INDEXING = "indexing.s3vectors.amazonaws.com"
_STATES = {"Disabled": "KmsDisabledException", "NotFound": "KmsNotFoundException"}


def encryption(params):
    """The configuration that a call sends, or None. A key belongs to aws:kms, which is not what is meant where nothing is said."""
    given = params.get("encryptionConfiguration")
    if not given:
        return None
    kind, key = given.get("sseType", "AES256"), given.get("kmsKeyArn")
    if kind == "AES256" and key:
        raise refused("kmsKeyArn must not be specified when sseType is AES256.", "EncryptionConfiguration")
    if kind == "aws:kms" and not key:
        raise refused("kmsKeyArn must be specified when sseType is set to aws:kms", "EncryptionConfiguration")
    return {"sseType": kind, **({"kmsKeyArn": key} if key else {})}


async def check_new(world, region, configuration, resource, switch=None):
    """May something be made under this key? A key that is not there is an AccessDeniedException, not one of KMS's."""
    name = configuration.get("kmsKeyArn")
    if not name:
        return
    key = await world.keys.get(region.account, region.name, name)
    if key is None:
        raise AwsError("AccessDeniedException", f"Key '{name}' does not exist")
    if key.state != "Enabled":
        raise AwsError("AccessDeniedException", f"Key '{name}' is {key.state}")
    if switch and world.settings.switch(region.account, switch) == "unchecked":
        return
    if not _serves(world, region, key, resource):
        raise AwsError("AccessDeniedException", "Insufficient access to perform asynchronous indexing")


def _serves(world, region, key, resource):
    """Does the key's policy let the indexing service decrypt for this resource? It tells KMS whom it works for."""
    source = resource
    if world.settings.switch(region.account, "vector_indexing_source") == "bucket":
        source = resource.split("/index/")[0]
    context = {"aws:SourceAccount": region.account, "aws:SourceArn": source, "aws:PrincipalIsAWSService": "true",
               "aws:SecureTransport": "true", "kms:CallerAccount": region.account,
               "kms:EncryptionContextKeys": ["aws:s3vectors:arn", "aws:s3vectors:resource-id"],
               "kms:EncryptionContext:aws:s3vectors:arn": resource}

    def principal(element):
        return element == "*" or isinstance(element, dict) and INDEXING in policy.as_list(element.get("Service"))
    return policy.decide([key.policy], "kms:Decrypt", key.arn, context, principal) == "Allow"


async def check_usable(world, region, index):
    """Can vectors under this index's key be written and read?"""
    name = index.encryption.get("kmsKeyArn")
    if not name:
        return
    key = await world.keys.get(region.account, region.name, name)
    state = key.state if key else "NotFound"
    if state != "Enabled":
        raise AwsError(_STATES.get(state, "KmsInvalidStateException"), f"{name} is {state}", 400)
