"""Documents and their sidecars: what is a document, what a sidecar says, and how text becomes chunks (aws-facts §6)."""

import csv
import io
import json
import math
import re

from .errors import AwsError

SIDECAR = ".metadata.json"
MAX_SIDECAR = 10 * 1024
MAX_DOCUMENT = 50 * 1024 * 1024
TYPES = {"txt", "md", "html", "htm", "csv", "json", "pdf", "doc", "docx", "xls", "xlsx"}
RESERVED = "x-amz-bedrock"
# botocore: bedrock-agent, MetadataAttribute and MetadataAttributeValue.
MAX_KEY = 200
MAX_TEXT = 2048
MAX_TEXTS = 10


class Unreadable(Exception):
    """A document or sidecar that cannot be used; the text says why."""


class LeftAside(Exception):
    """A document that a job neither takes nor counts as failed; the text says why, and follows "Ignored 3 files "."""


class JobFailed(AwsError):
    """What is wrong with one document fails the whole job."""


def is_sidecar(key):
    return key.endswith(SIDECAR)


class Sidecar:
    """What a sidecar says: its attributes, and how to read a file of records, if it says so."""

    def __init__(self, attributes=None, records=None, size=0):
        self.attributes, self.records, self.size = attributes or {}, records, size


def read(body):
    """A sidecar, its attributes in the simple or the rich form."""
    if len(body) > MAX_SIDECAR:
        raise Unreadable("the metadata file is larger than 10 KB")
    try:
        document = json.loads(body)
    except ValueError:
        raise Unreadable("the metadata file is not valid JSON") from None
    found = document.get("metadataAttributes") if isinstance(document, dict) else None
    if not isinstance(found, dict):
        raise Unreadable("the metadata file has no metadataAttributes")
    structure = document.get("documentStructureConfiguration")
    return Sidecar({key: _value(key, value) for key, value in found.items()}, _records(structure) if structure else None,
                   len(body))


def _records(structure):
    """(the content's column, columns to include or None for all, columns to exclude)."""
    try:
        if structure["type"] != "RECORD_BASED_STRUCTURE_METADATA":
            raise Unreadable(f"the structure {structure['type']} is not known")
        based = structure["recordBasedStructureMetadata"]
        (content,) = _names(based["contentFields"])
        fields = based.get("metadataFieldsSpecification") or {}
        include, exclude = (_names(fields.get(which) or []) for which in ("fieldsToInclude", "fieldsToExclude"))
    except (KeyError, TypeError, ValueError):
        raise Unreadable("the metadata file has no valid documentStructureConfiguration") from None
    if set(include) & set(exclude):
        raise Unreadable("a field is included and excluded")
    return content, include or None, exclude


def _names(fields):
    return [field["fieldName"] for field in fields]


def _text(value):
    return isinstance(value, str) and 1 <= len(value) <= MAX_TEXT


def _value(key, value):
    if key.startswith(RESERVED):
        raise Unreadable(f"the attribute {key} is reserved")
    if not 1 <= len(key) <= MAX_KEY:
        raise Unreadable(f"an attribute's key has {len(key)} characters; it must have 1 to {MAX_KEY}")
    if isinstance(value, dict):
        inner = value.get("value")
        kind = inner.get("type") if isinstance(inner, dict) else None
        member = {"STRING": "stringValue", "NUMBER": "numberValue", "BOOLEAN": "booleanValue",
                  "STRING_LIST": "stringListValue"}.get(kind)
        if member is None or member not in inner:
            raise Unreadable(f"the attribute {key} has no value of a known type")
        value = inner[member]
    if isinstance(value, list) and 1 <= len(value) <= MAX_TEXTS and all(_text(item) for item in value):
        return value
    if _text(value) or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and math.isfinite(value):
        return value
    raise Unreadable(f"the attribute {key} is not a string of 1 to {MAX_TEXT} characters, a finite number, a boolean, or a "
                     f"list of 1 to {MAX_TEXTS} such strings")


def text_of(key, body):
    if len(body) > MAX_DOCUMENT:
        raise Unreadable("the file is larger than 50 MB")
    if key.rsplit(".", 1)[-1].lower() not in TYPES or "." not in key.rsplit("/", 1)[-1]:
        raise Unreadable("the file format is not supported")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("the file could not be parsed") from None
    if not text.strip():
        raise Unreadable("the file is empty")
    return text


def parts(key, text, sidecar, ingestion):
    """Chunks, each with its attributes. In a file of records a column wins over an attribute of its name: nobody says
    which does, and for who would keep tenants apart it is the worse way."""
    if sidecar.records is None or not key.lower().endswith(".csv"):
        return [(chunk, sidecar.attributes) for chunk in chunks(text, ingestion)]
    content, include, exclude = sidecar.records
    rows = list(csv.DictReader(io.StringIO(text)))
    if any(content not in row for row in rows):
        raise Unreadable(f"the file has no column {content}")
    is_attribute = lambda name: name != content and name not in exclude and (include is None or name in include)
    return [(row[content], {**sidecar.attributes, **{k: v for k, v in row.items() if is_attribute(k)}}) for row in rows]


def chunks(text, ingestion):
    """Paragraphs packed up to maxTokens (a token is about three quarters of a word). NONE: the whole document."""
    chunking = (ingestion or {}).get("chunkingConfiguration") or {}
    if chunking.get("chunkingStrategy") == "NONE":
        return [text.strip()]
    fixed = chunking.get("fixedSizeChunkingConfiguration") or chunking.get("semanticChunkingConfiguration") or {}
    levels = (chunking.get("hierarchicalChunkingConfiguration") or {}).get("levelConfigurations")
    words = max(1, int((levels[1]["maxTokens"] if levels else fixed.get("maxTokens", 300)) * 0.75))
    packed, size = [], 0
    for paragraph in re.split(r"\n\s*\n", text):
        pieces = paragraph.split()
        for start in range(0, len(pieces), words):
            piece = pieces[start:start + words]
            if packed and size + len(piece) <= words:
                packed[-1] += "\n\n" + " ".join(piece)
                size += len(piece)
            else:
                packed.append(" ".join(piece))
                size = len(piece)
    return packed
