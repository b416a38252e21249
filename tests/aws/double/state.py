"""What the double remembers of Bedrock, OpenSearch Serverless and S3 Vectors: plain records, one Region object per (account, region)."""

import asyncio
import base64
import itertools
import json
import random
import string
import time
from dataclasses import dataclass, field

from .errors import validation


@dataclass
class Index:
    name: str
    schema: dict
    created: float
    made_by: str                        # "control plane" | "endpoint": whether the former sees it is a switch
    ready: float | None = None          # when GetIndex begins to answer
    records: dict = field(default_factory=dict)   # (data source id, uri) -> list of chunks

    def write(self, record, chunks):
        self.records[record] = chunks

    def drop(self, record):
        """Were there chunks to remove?"""
        return self.records.pop(record, None) is not None


@dataclass
class Collection:
    id: str
    name: str
    arn: str
    type: str
    kms_key: str
    created: float
    modified: float
    status: str = "CREATING"
    description: str | None = None
    standby: str = "ENABLED"
    protection: str = "DISABLED"
    vector_options: dict | None = None
    tags: dict = field(default_factory=dict)
    indexes: dict = field(default_factory=dict)


@dataclass
class VectorBucket:
    name: str
    arn: str
    created: float
    encryption: dict
    mode: str                           # of the indexes that are made in it: CLASSIC | ENHANCED
    tags: dict = field(default_factory=dict)
    indexes: dict = field(default_factory=dict)
    policies: list = field(default_factory=list)    # [(moment, text or None)], oldest first: a change can be late

    @property
    def policy(self):
        """The text of the policy that was put last, or None."""
        return self.policies[-1][1] if self.policies else None


@dataclass
class Policy:
    type: str
    name: str
    document: object
    version: str
    created: float
    modified: float
    description: str | None = None


@dataclass
class DataSource:
    id: str
    kb: "KnowledgeBase"
    name: str
    configuration: dict
    created: float
    updated: float
    description: str | None = None
    deletion_policy: str = "DELETE"     # Bedrock's default, §1.1
    encryption: dict | None = None
    ingestion: dict | None = None
    status: str = "AVAILABLE"
    failures: list = field(default_factory=list)
    jobs: dict = field(default_factory=dict)
    seen: dict = field(default_factory=dict)      # key -> what the last job read: this makes jobs incremental
    documents: dict = field(default_factory=dict)   # key -> (status, reason, when), as ListKnowledgeBaseDocuments shows


@dataclass
class KnowledgeBase:
    id: str
    arn: str
    name: str
    role: str
    configuration: dict
    storage: dict
    created: float
    updated: float
    description: str | None = None
    status: str = "CREATING"
    failures: list = field(default_factory=list)
    tags: dict = field(default_factory=dict)
    sources: dict = field(default_factory=dict)


@dataclass
class Job:
    id: str
    source: DataSource
    started: float
    updated: float
    description: str | None = None
    status: str = "STARTING"
    failures: list = field(default_factory=list)
    statistics: dict = field(default_factory=dict)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def running(self):
        return self.status in ("STARTING", "IN_PROGRESS", "STOPPING")


class Region:
    def __init__(self, account, name):
        self.account, self.name = account, name
        self.collections, self.policies, self.kbs = {}, {}, {}
        self.vector_buckets = {}        # name -> VectorBucket
        self.blocked = set()            # names in S3 Vectors that cannot be taken again yet
        self.tokens = {}                # (operation, client token) -> the answer it got then
        self.history = {}               # "data" | "network" -> [(moment, policies then)], for propagation
        self.passages = {}              # a token of Retrieve -> (what was asked, the passages that are left)


    def indexes(self):
        """All indexes of all stores."""
        for holder in (*self.collections.values(), *self.vector_buckets.values()):
            yield from holder.indexes.values()


class World:
    """All regions of all accounts, and the tasks that move what is in them along."""

    def __init__(self, settings, clock, journal):
        self.settings, self.clock, self.journal = settings, clock, journal
        self.endpoint = ""              # set once the port is known
        self.roles = self.sessions = self.faults = self.rates = self.keys = None
        self.connections = self.s3_mends = self.s3_etags = self.evidence = None          # set by the application
        self._regions, self._tasks = {}, set()

    def region(self, account, name):
        return self._regions.setdefault((account, name), Region(account, name))

    def spawn(self, coroutine):
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_versions = itertools.count(1)


def new_id(length, upper=False):
    letters = string.digits + (string.ascii_uppercase if upper else string.ascii_lowercase)
    return "".join(random.choices(letters, k=length))


def new_version():
    """A policyVersion: base64, 20 to 36 characters, and new with every change."""
    return base64.b64encode(f"{int(time.time() * 1000)}_{next(_versions):04d}".encode()).decode()


def page(settings, account, items, params, default=100):
    """One page of a list and the token of the next. Never more than page_size, so that every test pages."""
    offset = 0
    if params.get("nextToken"):
        try:
            offset = int(json.loads(base64.b64decode(params["nextToken"], validate=True))["at"])
        except (ValueError, KeyError, TypeError):
            raise validation("The nextToken is invalid.") from None
    size = min(int(params.get("maxResults") or default), settings.of(account)["page_size"])
    token = None
    if offset + size < len(items):
        token = base64.b64encode(json.dumps({"at": offset + size}).encode()).decode()
    return items[offset:offset + size], token
