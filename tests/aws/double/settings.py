"""What a test may turn: dwell times, lags, page size, switches. Per account, over defaults for all.

Times are AWS's seconds (aws-facts §8); `speedup` divides all of them, so that one number makes the
whole double faster without changing what happens before what.
"""

import asyncio
import copy

DEFAULTS = {
    "speedup": 10.0,
    "page_size": 2,
    "object_page_size": 1000,     # of S3's listings of objects: AWS's own is 1,000, and no more
    "retrieve_page": 0,           # passages in one answer of Retrieve, the others behind a token; 0: all of them
    "session_seconds": 0.0,       # real seconds until a session of AssumeRole is over, whatever was asked; 0: as asked
    "organization": {
        "levels": [],             # of service control policies above the account, each a list: organization.py
        "resources": [],          # resource control policies above the account
        "management_account": False,
    },
    "dwell": {
        "collection_create": 60.0, "collection_update": 5.0, "collection_delete": 20.0,
        "index_create": 1.0,
        "kb_create": 5.0, "kb_update": 2.0, "kb_delete": 5.0,
        "data_source_delete": 5.0,
        "job_starting": 5.0,      # STARTING
        "job_running": 25.0,      # IN_PROGRESS, at least
        "job_stopping": 5.0,
        "job_document": 0.0,      # before each document that is read
        "bucket_name": 0.0,       # so long after DeleteBucket CreateBucket answers OperationAborted
        "retrieve": 0.0,          # before a knowledge base is searched
        "vector_bucket_name": 0.0, "vector_index_name": 0.0,    # so long after its deletion a name in S3 Vectors is a Conflict ([mem])
        "vector_bucket_empty": 0.0,  # so long after its last DeleteIndex a vector bucket is not empty for DeleteVectorBucket ([mem])
        "conditional_write": 0.0,  # so long a conditional write of S3 is under way before it is decided
    },
    "classic_reach": 2.0,         # of how many times top K vectors a CLASSIC query of S3 Vectors finds what its filter lets through
    # Where in IN_PROGRESS the bucket is listed: 0 = at its start, 1 = at the end of job_running.
    "job_list_at": 0.0,
    "lag": {
        "list": 5.0,              # a new resource appears in List* only after this
        "index_visible": 5.0,     # Bedrock sees a new index only after this (§5.2)
        "role": 0.0,              # IAM changes take effect after this (§5.3)
        "data_access": 0.0,       # data access policies (§5.1)
        "network": 0.0,           # network policies
        "vector_list": 0.0,       # ListVectorBuckets and ListIndexes
        "vector_policy": 0.0,     # policies of vector buckets
        "vector_index_visible": 0.0,  # Bedrock sees a new index of S3 Vectors only after this
        "vectors": 0.0,           # records are found only so long after they were written (§5.14)
    },
    # Requests a second of AWS's time, by operation and by service; 0 is no limit. In force with the switch rate_limits.
    "rates": {
        **dict.fromkeys((f"{verb}{what}" for verb in ("Create", "Update", "Delete") for what in ("KnowledgeBase", "DataSource")), 2.0),
        **dict.fromkeys(("GetKnowledgeBase", "ListKnowledgeBases", "GetDataSource", "ListDataSources", "GetIngestionJob",
                         "ListIngestionJobs"), 10.0),
        **dict.fromkeys(("GetKnowledgeBaseDocuments", "ListKnowledgeBaseDocuments"), 5.0),
        "StartIngestionJob": 0.1,
        **dict.fromkeys(("Retrieve", "RetrieveAndGenerate", "RetrieveAndGenerateStream"), 20.0), "Rerank": 10.0,
        "bedrock": 0.0, "aoss": 0.0, "s3vectors": 0.0, "s3": 0.0, "iam": 0.0, "kms": 0.0, "sts": 0.0,
    },
    "rate_burst": 1.0,            # seconds' worth of requests that may come at once; one always may
    "limits": {
        "knowledge_bases": 100, "data_sources_per_kb": 5, "jobs": 5, "jobs_per_kb": 1,
        "documents_page": 100,     # ListKnowledgeBaseDocuments: the model has 1,000 (aws-truth 1.4)
        "job_files": 5_000_000, "job_bytes": 100 * 10 ** 9,     # that one job adds or changes
        "data_policies": 500, "network_policies": 500, "encryption_policies": 150,
        "policy_bytes": 10240, "indexes_per_collection": 1000,
        "vector_buckets": 10_000, "vector_indexes": 10_000, "vector_top_k": 10_000, "vector_policy_bytes": 20 * 1024,
        "vector_sidecar_bytes": 1024, "vector_attributes": 35,     # of one document, under a knowledge base on S3 Vectors
        "copy_source_bytes": 5 * 2 ** 30,      # of what one CopyObject copies
        "put_object_bytes": 5 * 2 ** 30,       # of what one PutObject or UploadPart brings
        "roles": 1000, "inline_policy_chars": 10240, "trust_policy_chars": 2048, "tags_per_role": 50, "attached_policies": 10,
    },
    "switches": {
        "create_index_knn": "accept",          # accept | refuse   (§1.2: no AWS doc shows knn_vector there)
        "crawler_lists": "prefix",             # prefix | bucket   (§9.5: what s3:prefix the crawler sends)
        "malformed_sidecar": "indexed",        # indexed | failed  (§6: no doc says which)
        "document_states": "full",             # full | bare: no updatedAt, a reason only beside IGNORED (§1.1: both are optional)
        "unsupported_filters": [],             # operators that the store is to have no support for
        "retrieve_filter": "honoured",         # honoured: such operators fail | operator_ignored: they are left out, and nobody is
                                               # told (§0.1) | ignored: so is every filter
        "retrieve_passages": "own",            # own | mixed: the first passage is one that was not asked for
        "forged_metadata": [],                 # {key: glob, metadata}: what the store has of such documents over their own
        "bent_answers": [],                    # what else an answer of Retrieve has: unsound.py
        "next_token": "bound",                 # bound: to what was asked | bearer: whoever shows it is answered ([mem])
        "managed_search": "refused",           # refused | ignored: managedSearchConfiguration by a VECTOR knowledge base ([mem])
        "retrieve_sees_tags": True,            # aws:ResourceTag is known when bedrock:Retrieve is decided, as documented, or not
        "policy_variables": "all",             # all | slashless: tags whose key has a slash are none in a policy's variables ([mem])
        "kb_needs_collection_permission": False,  # aoss:DescribeCollectionItems for the role (§4.2)
        "bucket_key": "checked",               # checked | unchecked: PutBucketEncryption under a key that is not usable
        "conditional_race": 412,               # 412 | 409: to a conditional write whose key others changed while it was under way
        "empty_condition": "refused",          # refused | ignored: If-Match or If-None-Match without a value ([mem])
        "no_account_regional": ["me-central-1", "me-south-1"],  # regions without account-regional names of buckets
        "rate_limits": False,                  # enforce the rates above
        "enforce_caller": True,                # sessions may do what their role's policies allow, or everything
        "absent_role": "without_path",         # without_path | unchecked: a role that is not there has no path ([mem])
        "index_actions_on": "any",             # any | collection: the resource of aoss:CreateIndex and the like (§4.2)
        "service_linked_role": "exists",       # exists | absent: then CreateCollection needs iam:CreateServiceLinkedRole
        "caller_vpce": "",                     # the VPC endpoint that callers come through: "" is the public internet
        "private_endpoint": "unauthorized",    # unauthorized | forbidden | closed: to callers whom no network policy admits
        "endpoint_denial": "authorization_exception",  # authorization_exception | security_exception
        "endpoint_indexes": "seen",            # seen | hidden: to the control plane, what the endpoint made ([mem])
        "get_index": "as_sent",                # as_sent | normalised: as OpenSearch shows an index (§1.2) | wrapped: the same under
                                               # its name | sparse: no default and no method's parameters, the distance on the field
        "index_api": "supported",              # supported | denied: what regions without it say to all four calls (aws-truth 1.1)
        "update_index": "fields",              # fields | text: only fields of text (aws-truth 1.3) | ignored: it takes and shows nothing
        "unset": "absent",                     # absent | empty: how an answer has what nobody has set ([mem])
        "legacy_models": [],                   # [id, days until its end or null] of models that are on their way out
        "vector_bucket_mode": "ENHANCED",      # ENHANCED | CLASSIC: buckets older than 2026-09-30, where it can also be set
        "vector_bucket_key": "checked",        # checked | unchecked: CreateVectorBucket asks whether the indexing service may use the key
        "vector_indexing_source": "index",     # index | bucket: what that service says is its aws:SourceArn ([mem])
        "vector_policy_shown": "as_sent",      # as_sent | normalised: a list of one is its member ([mem])
        "s3_vectors_check": "query",           # query | query_get | all | none: what CreateKnowledgeBase tries with the role
        "s3_vectors_shown": "as_sent",         # as_sent | all: GetKnowledgeBase has all three names of an index ([mem])
        "s3_vectors_keys": "unchecked",        # unchecked | checked: CreateKnowledgeBase asks for both non-filterable keys
        "s3_vectors_sidecar": "ignored",       # ignored | failed | job: what becomes of a document whose sidecar is too large
        "s3_vectors_refusal": "document",      # document | job: what fails when PutVectors refuses a chunk's metadata
        "s3_vectors_query": "index",           # index | CLASSIC | ENHANCED: the mode in which Bedrock asks
        "s3_vectors_hybrid": "refused",        # refused | semantic: overrideSearchType HYBRID
        "s3_vectors_filters_missing": ["startsWith", "stringContains"],   # operators that Bedrock does not have on S3 Vectors
        "root_principal": True,                # accept ...:root in data access policies; AWS does not
    },
}


class Settings:
    def __init__(self, speedup=None):
        self._defaults = copy.deepcopy(DEFAULTS)
        if speedup:
            self._defaults["speedup"] = float(speedup)
        self._accounts = {}
        self._changed = asyncio.Event()

    def of(self, account):
        return self._accounts.get(account, self._defaults)

    def seconds(self, account, group, name):
        """A dwell or lag in real seconds, as it stands now: a test may shorten one that is running."""
        own = self.of(account)
        return own[group][name] / own["speedup"]

    def switch(self, account, name):
        return self.of(account)["switches"][name]

    def limit(self, account, name):
        return self.of(account)["limits"][name]

    def put(self, account, changes):
        """Merge changes into one account's settings, or into the defaults when there is no account."""
        target = self._defaults if account is None else copy.deepcopy(self.of(account))
        merged = _merge(target, changes, "")
        if account is None:
            self._defaults = merged
        else:
            self._accounts[account] = merged
        self._wake()
        return merged

    def reset(self, account):
        self._accounts.pop(account, None)
        self._wake()

    def _wake(self):
        woken, self._changed = self._changed, asyncio.Event()
        woken.set()

    async def wait_for_change(self, seconds):
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except asyncio.TimeoutError:
            pass


def _merge(target, changes, path):
    """Refuse unknown names: a typing error in a test must not silently test nothing."""
    merged = copy.deepcopy(target)
    for name, value in changes.items():
        where = f"{path}{name}"
        if name not in target:
            raise ValueError(f"unknown setting {where}")
        if isinstance(target[name], dict):
            if not isinstance(value, dict):
                raise ValueError(f"{where} is a group of settings")
            merged[name] = _merge(target[name], value, where + ".")
        else:
            merged[name] = value
    return merged
