"""Documents and their sidecars: what is a document, what a sidecar says, and how text becomes chunks (aws-facts §6)."""

import json
import re

SIDECAR = ".metadata.json"
MAX_SIDECAR = 10 * 1024
MAX_DOCUMENT = 50 * 1024 * 1024
TYPES = {"txt", "md", "html", "htm", "csv", "json", "pdf", "doc", "docx", "xls", "xlsx"}
RESERVED = "x-amz-bedrock"


class Unreadable(Exception):
    """A document or sidecar that cannot be used; the text says why."""


def is_sidecar(key):
    return key.endswith(SIDECAR)


def attributes(body):
    """The metadata attributes of a sidecar, from the simple or the rich form."""
    if len(body) > MAX_SIDECAR:
        raise Unreadable("the metadata file is larger than 10 KB")
    try:
        document = json.loads(body)
    except ValueError:
        raise Unreadable("the metadata file is not valid JSON") from None
    found = document.get("metadataAttributes") if isinstance(document, dict) else None
    if not isinstance(found, dict):
        raise Unreadable("the metadata file has no metadataAttributes")
    return {key: _value(key, value) for key, value in found.items()}


def _value(key, value):
    if key.startswith(RESERVED):
        raise Unreadable(f"the attribute {key} is reserved")
    if isinstance(value, dict):
        inner = value.get("value")
        kind = inner.get("type") if isinstance(inner, dict) else None
        member = {"STRING": "stringValue", "NUMBER": "numberValue", "BOOLEAN": "booleanValue",
                  "STRING_LIST": "stringListValue"}.get(kind)
        if member is None or member not in inner:
            raise Unreadable(f"the attribute {key} has no value of a known type")
        value = inner[member]
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return value
    if isinstance(value, (str, bool, int, float)):
        return value
    raise Unreadable(f"the attribute {key} is not a string, number, boolean or list of strings")


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
