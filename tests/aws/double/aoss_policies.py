"""The grammars of the three kinds of OpenSearch Serverless policy (aws-facts §4.2, §4.3).

AWS answers a bad document with "Policy json is invalid, error: [$[0]...: ...]"; so does this.
"""

import json
import re

from .errors import validation

_NAME = r"[a-z][a-z0-9-]{0,31}\*?"
_COLLECTION = re.compile(rf"collection/({_NAME}|\*)")
_INDEX = re.compile(rf"index/({_NAME}|\*)/([a-z0-9_.*-]+)")
_DASHBOARD = re.compile(rf"dashboards?/({_NAME}|\*)")
_MODEL = re.compile(rf"model/({_NAME}|\*)/([a-z0-9_.*-]+)")

PERMISSIONS = {
    "collection": {"aoss:CreateCollectionItems", "aoss:DeleteCollectionItems", "aoss:UpdateCollectionItems",
                   "aoss:DescribeCollectionItems", "aoss:*"},
    "index": {"aoss:CreateIndex", "aoss:DeleteIndex", "aoss:UpdateIndex", "aoss:DescribeIndex", "aoss:ReadDocument",
              "aoss:WriteDocument", "aoss:*"},
    "model": {"aoss:CreateMLResource", "aoss:DeleteMLResource", "aoss:UpdateMLResource", "aoss:DescribeMLResource",
              "aoss:ExecuteMLResource", "aoss:*"},
}
SOURCE_SERVICES = {"bedrock.amazonaws.com", "aoss.amazonaws.com"}

# The principals AWS accepts, in its own words (I:aws-samples/bedrock-kb-rag-workshop#1).
_PRINCIPALS = [
    r"^saml/[0-9]{12}/[a-z][a-z0-9-]+/(user|group)/.{1,60}$",
    r"^arn:(?:aws|aws-cn|aws-us-gov):iam::\d{12}:(user|role)(/[\w+=,.@-]+)*/[\w+=,.@-]{1,64}$",
    r"^arn:(?:aws|aws-cn|aws-us-gov):sts::\d{12}:assumed-role/[\w+=,.@-]{1,64}/([\w+=,.@-]{2,64}|[\w+=,.@-]{0,63}\*)$",
]
_ROOT = r"^arn:aws:iam::\d{12}:root$"
_KEY = re.compile(r"arn:aws(-cn|-us-gov)?:kms:[a-z0-9-]+:\d{12}:key/[0-9a-f-]{36}")


class _Reader:
    """Walks a document, collecting what is wrong with it and where."""

    def __init__(self):
        self.problems = []

    def bad(self, path, text):
        self.problems.append(f"{path}: {text}")

    def object(self, value, path, required, optional=()):
        if not isinstance(value, dict):
            self.bad(path, "must be an object")
            return {}
        for key in required:
            if key not in value:
                self.bad(path, f"required property '{key}' not found")
        for key in value:
            if key not in required and key not in optional:
                self.bad(path, f"property '{key}' is not defined in the schema and the schema does not allow additional properties")
        return value

    def array(self, value, path, required=True):
        if value is None and not required:
            return []
        if not isinstance(value, list) or not value:
            self.bad(path, "must be an array of at least one item")
            return []
        return value

    def text(self, value, path, patterns):
        if not isinstance(value, str):
            self.bad(path, "must be a string")
        elif not any(p.fullmatch(value) for p in patterns):
            for pattern in patterns:
                self.bad(path, f"does not match the regex pattern ^{pattern.pattern}$")

    def flag(self, value, path):
        if value is not None and not isinstance(value, bool):
            self.bad(path, "must be a boolean")


def parse(kind, text, limit, allow_root=False):
    """The document of a policy, or AWS's ValidationException."""
    if len(text.encode()) > limit:
        raise validation(f"Policy document exceeds the maximum size of {limit} bytes.")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise validation(f"Policy json is invalid, error: [{error}]") from None
    reader = _Reader()
    {"encryption": _encryption, "network": _network, "data": _data}[kind](reader, document, allow_root)
    if reader.problems:
        raise validation(f"Policy json is invalid, error: [{', '.join(reader.problems)}]")
    return document


def _rules(reader, statement, path, kinds, permissions=False):
    keys = ("ResourceType", "Resource") + (("Permission",) if permissions else ())
    for n, rule in enumerate(reader.array(statement.get("Rules"), f"{path}.Rules")):
        where = f"{path}.Rules[{n}]"
        rule = reader.object(rule, where, keys)
        kind = rule.get("ResourceType")
        if kind not in kinds:
            reader.bad(f"{where}.ResourceType", f"does not have a value in the enumeration {sorted(kinds)}")
            continue
        for r, resource in enumerate(reader.array(rule.get("Resource"), f"{where}.Resource")):
            reader.text(resource, f"{where}.Resource[{r}]", kinds[kind])
        if permissions:
            for p, permission in enumerate(reader.array(rule.get("Permission"), f"{where}.Permission")):
                if permission not in PERMISSIONS[kind]:
                    reader.bad(f"{where}.Permission[{p}]",
                               f"does not have a value in the enumeration {sorted(PERMISSIONS[kind])}")


def _encryption(reader, document, _):
    document = reader.object(document, "$", ("Rules",), ("AWSOwnedKey", "KmsARN"))
    _rules(reader, document, "$", {"collection": [_COLLECTION]})
    reader.flag(document.get("AWSOwnedKey"), "$.AWSOwnedKey")
    if "KmsARN" in document:
        reader.text(document["KmsARN"], "$.KmsARN", [_KEY])
    elif document.get("AWSOwnedKey") is not True:
        reader.bad("$", "either AWSOwnedKey must be true or KmsARN must be set")


def _network(reader, document, _):
    for n, statement in enumerate(reader.array(document, "$")):
        path = f"$[{n}]"
        statement = reader.object(statement, path, ("Rules",),
                                  ("Description", "AllowFromPublic", "SourceVPCEs", "SourceServices"))
        _rules(reader, statement, path, {"collection": [_COLLECTION], "dashboard": [_COLLECTION, _DASHBOARD]})
        reader.flag(statement.get("AllowFromPublic"), f"{path}.AllowFromPublic")
        for v, endpoint in enumerate(reader.array(statement.get("SourceVPCEs"), f"{path}.SourceVPCEs", False)):
            reader.text(endpoint, f"{path}.SourceVPCEs[{v}]", [re.compile(r"vpce-[0-9a-z]{1,64}")])
        for s, service in enumerate(reader.array(statement.get("SourceServices"), f"{path}.SourceServices", False)):
            if service not in SOURCE_SERVICES:
                reader.bad(f"{path}.SourceServices[{s}]",
                           f"does not have a value in the enumeration {sorted(SOURCE_SERVICES)}")
        if statement.get("AllowFromPublic") is not True and not (
                statement.get("SourceVPCEs") or statement.get("SourceServices")):
            reader.bad(path, "either AllowFromPublic must be true or SourceVPCEs or SourceServices must be set")


def _data(reader, document, allow_root):
    patterns = [re.compile(p.strip("^$")) for p in _PRINCIPALS + ([_ROOT] if allow_root else [])]
    for n, statement in enumerate(reader.array(document, "$")):
        path = f"$[{n}]"
        statement = reader.object(statement, path, ("Rules", "Principal"), ("Description",))
        _rules(reader, statement, path,
               {"collection": [_COLLECTION], "index": [_INDEX], "model": [_MODEL]}, permissions=True)
        for p, principal in enumerate(reader.array(statement.get("Principal"), f"{path}.Principal")):
            reader.text(principal, f"{path}.Principal[{p}]", patterns)
