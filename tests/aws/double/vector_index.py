"""What an index of S3 Vectors holds: vectors with metadata, and among them the chunks that a knowledge base wrote.

A vector's metadata is held to sizes that the service counts in its own way, as somebody measured it: 4 bytes, and 8 for each entry
beside its key and its value; a text is its UTF-8, a number 4, a boolean nothing, and each member of a list costs 4 more.
"""

import json
import math
import re
import struct
import uuid
import zlib
from array import array
from dataclasses import dataclass, field

from .s3vectors_common import refused

TEXT, OTHER = "AMAZON_BEDROCK_TEXT", "AMAZON_BEDROCK_METADATA"
URI, SOURCE, CHUNK = "x-amz-bedrock-kb-source-uri", "x-amz-bedrock-kb-data-source-id", "x-amz-bedrock-kb-chunk-id"
FILTERABLE_BYTES, METADATA_BYTES, METADATA_KEYS = 2048, 40960, 50


@dataclass
class Vector:
    metadata: dict
    written: float
    values: array | None = None         # None: of a knowledge base's chunk, whose embedding is made when somebody asks for it
    part: int = 0


@dataclass
class VectorIndex:
    name: str
    arn: str
    bucket: str
    created: float
    dimension: int
    metric: str                         # cosine | euclidean
    unfilterable: tuple                 # keys of metadata
    encryption: dict
    mode: str                           # CLASSIC | ENHANCED
    tags: dict = field(default_factory=dict)
    vectors: dict = field(default_factory=dict)       # key -> Vector
    chunks: dict = field(default_factory=dict)        # (data source id, uri) -> keys of what a knowledge base wrote

    def data(self, vector):
        return vector.values if vector.values is not None else embedding(vector.metadata.get(TEXT, ""), self.dimension)

    def write(self, record, chunks):
        """Put a document's chunks in place of those that it had. Nothing is written if one of them is refused."""
        source, uri = record
        made = {}
        for chunk in chunks:
            key = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{source}/{uri}/{chunk['part']}"))
            other = {"source": {"sourceLocation": uri, "sourceType": "S3"}, "relatedContents": None}
            metadata = {**chunk["metadata"], TEXT: chunk["text"], OTHER: json.dumps(other), URI: uri, SOURCE: source, CHUNK: key}
            check_metadata(key, metadata, self.unfilterable, 0)
            made[key] = Vector(metadata, chunk["written"], part=chunk["part"])
        self.drop(record)
        self.vectors.update(made)
        self.chunks[record] = list(made)

    def drop(self, record):
        """Were there chunks to remove?"""
        mine = self.chunks.pop(record, [])
        return any([self.vectors.pop(key, None) for key in mine])

    @property
    def records(self):
        """The vectors as a knowledge base reads them, whoever put them there: (data source id, uri) -> list of chunks."""
        found = {}
        for vector in self.vectors.values():
            held = vector.metadata
            own = {k: v for k, v in held.items() if k not in (TEXT, OTHER) and not k.startswith("x-amz-bedrock-")}
            found.setdefault((str(held.get(SOURCE, "")), str(held.get(URI, ""))), []).append(
                {"text": str(held.get(TEXT, "")), "metadata": own, "written": vector.written, "part": vector.part})
        return found


def embedding(text, dimension):
    """A vector of length one, the same for the same text: each word adds to a component."""
    values = array("f", bytes(4 * dimension))
    for word in re.findall(r"\w+", text.lower()) or [""]:
        values[zlib.crc32(word.encode()) % dimension] += 1
    length = math.sqrt(sum(v * v for v in values))
    return array("f", (v / length for v in values))


def float32(values):
    """The values as they are kept. What is too large for that is infinite."""
    kept = array("f")
    for value in values:
        try:
            kept.append(struct.unpack("f", struct.pack("f", value))[0])
        except OverflowError:
            kept.append(math.inf)
    return kept


def fault(values, index):
    """What is wrong with a vector for this index, in AWS's words, or None."""
    if len(values) != index.dimension:
        return f"vector must have length {index.dimension}, but has length {len(values)}"
    if not all(math.isfinite(v) for v in values):
        return "vector contains NaNs or Infs"
    if index.metric == "cosine" and not any(values):
        return "cosine distance does not support vectors with zero norm"
    return None


def check_metadata(key, metadata, unfilterable, position):
    """Refuse metadata that is too much, or not of a kind that there is."""
    filterable = {k: v for k, v in metadata.items() if k not in unfilterable}
    why = None
    if any(not _is_value(v) for v in metadata.values()):
        why = "Metadata values must be strings, numbers, booleans, or lists of them"
    elif len(metadata) > METADATA_KEYS:
        why = f"Metadata object must have at most {METADATA_KEYS} keys"
    elif size(metadata) > METADATA_BYTES:
        why = f"Metadata object must have at most {METADATA_BYTES} bytes"
    elif size(filterable) > FILTERABLE_BYTES:
        why = f"Filterable metadata must have at most {FILTERABLE_BYTES} bytes"
    if why:
        raise refused(f"Invalid record for key '{key}': {why}", f"vectors[{position}].metadata")


def size(metadata):
    return 4 + sum(8 + len(key.encode()) + _size(value) for key, value in metadata.items())


def _size(value):
    if isinstance(value, list):
        return sum(4 + _size(one) for one in value)
    if isinstance(value, str):
        return len(value.encode())
    return 0 if isinstance(value, bool) else 4


def _is_value(value):
    return isinstance(value, (str, int, float)) or isinstance(value, list) and all(isinstance(v, (str, int, float)) for v in value)
