"""One double for all tests, and an account of its own for each: boto3 as any AWS client would use it."""

import itertools
import json
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

ROOT = pathlib.Path(__file__).resolve().parent.parent
REGION = "us-east-1"
MODEL = f"arn:aws:bedrock:{REGION}::foundation-model/amazon.titan-embed-text-v2:0"
_accounts = itertools.count(100000000001)


@pytest.fixture(scope="session")
def endpoint():
    process = subprocess.Popen([sys.executable, "-m", "double", "--port", "0", "--speedup", "1000"], cwd=ROOT,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield json.loads(process.stdout.readline())["endpoint"]
    process.stdin.close()
    process.wait(5)


@pytest.fixture
def aws(endpoint):
    return Aws(endpoint, str(next(_accounts)))


@pytest.fixture
def pool(aws):
    """One knowledge base, two tenants that contradict each other, and a document without a tag."""
    kb, source = aws.make_all()
    aws.upload("pool/acme/leave.md", "The annual leave at our company is 30 days.", tenantId="acme", year=2025)
    aws.upload("pool/globex/leave.md", "The annual leave at our company is 10 days. Leave must be asked for.", tenantId="globex", year=2026)
    aws.upload("pool/globex/coffee.md", "The coffee machine is in the basement.", tenantId="globex", year=2026)
    aws.upload("pool/nobody.md", "Annual leave without a tag.")
    assert aws.ingest(kb, source)["status"] == "COMPLETE"
    return aws, kb


class Aws:
    """An account: clients, the control API, and the stack a knowledge base needs."""

    def __init__(self, endpoint, account, credentials=None):
        self.endpoint, self.account, self.credentials, self._clients = endpoint, account, credentials, {}
        self.root = f"arn:aws:iam::{account}:root"
        self.bucket = f"docs-{account}"
        self.role_arn = f"arn:aws:iam::{account}:role/tenantry/kb"

    def client(self, service):
        if service not in self._clients:
            keys = self.credentials or {"aws_access_key_id": self.account, "aws_secret_access_key": "x"}
            self._clients[service] = boto3.client(
                service, region_name=REGION, endpoint_url=self.endpoint, **keys,
                config=Config(retries={"total_max_attempts": 1}, parameter_validation=False,
                              s3={"addressing_style": "path"}))
        return self._clients[service]

    s3 = property(lambda self: self.client("s3"))
    iam = property(lambda self: self.client("iam"))
    kms = property(lambda self: self.client("kms"))
    sts = property(lambda self: self.client("sts"))
    aoss = property(lambda self: self.client("opensearchserverless"))
    bedrock = property(lambda self: self.client("bedrock"))
    agent = property(lambda self: self.client("bedrock-agent"))
    runtime = property(lambda self: self.client("bedrock-agent-runtime"))
    vectors = property(lambda self: self.client("s3vectors"))

    def assume(self, role_arn, session="tests", tags=None, **more):
        if tags is not None:
            more["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
        found = self.sts.assume_role(RoleArn=role_arn, RoleSessionName=session, **more)["Credentials"]
        return Aws(self.endpoint, self.account, {
            "aws_access_key_id": found["AccessKeyId"], "aws_secret_access_key": found["SecretAccessKey"],
            "aws_session_token": found["SessionToken"]})

    def make_operator(self, *statements, name="op", path="/tenantry/"):
        """A role that root may assume and that may do this; nothing is said: everything. Its session."""
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": self.root}, "Action": "sts:AssumeRole"}]}
        arn = self.iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        self.may(*(statements or [allow("*")]), name=name)
        return self.assume(arn, "operator")

    def make_role_for(self, name, principal, *statements, actions=("sts:AssumeRole", "sts:TagSession"), path="/", **condition):
        """The ARN of a role that the principal may assume, under the condition, and that may do this."""
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": principal}, "Action": list(actions),
                                                         **({"Condition": condition} if condition else {})}]}
        arn = self.iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        if statements:
            self.may(*statements, name=name)
        return arn

    def may(self, *statements, name="op"):
        """What that role may do from now on."""
        self.iam.put_role_policy(RoleName=name, PolicyName="may", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": list(statements)}))

    def raw(self, path, body):
        """(status, answer) of a call to Bedrock as they are on the wire: boto3 neither sends nor shows what its model does not know."""
        text = json.dumps(body).encode()
        signed = AWSRequest("POST", self.endpoint + path, data=text, headers={"content-type": "application/json"})
        SigV4Auth(Credentials(self.account, "x"), "bedrock", REGION).add_auth(signed)
        try:
            with urllib.request.urlopen(urllib.request.Request(signed.url, text, dict(signed.headers))) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    # the control API

    def control(self, method, name, body=None, **query):
        query = "&".join(f"{k}={v}" for k, v in {"account": self.account, **query}.items())
        request = urllib.request.Request(f"{self.endpoint}/_double/{name}?{query}", method=method,
                                         data=json.dumps(body).encode() if body is not None else None)
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    def settings(self, **changes):
        return self.control("PUT", "settings", changes)

    def journal(self, **wanted):
        entries = self.control("GET", "journal")["entries"]
        return [e for e in entries if all(e[k] == v for k, v in wanted.items())]

    # the stack under a knowledge base

    def trust(self, **condition):
        return json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole",
            "Condition": condition or {
                "StringEquals": {"aws:SourceAccount": self.account},
                "ArnLike": {"aws:SourceArn": f"arn:aws:bedrock:{REGION}:{self.account}:knowledge-base/*"}}}]})

    def permissions(self, collection_arn, prefix="pool/"):
        account = {"StringEquals": {"aws:ResourceAccount": self.account}}
        return [
            {"Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": MODEL},
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{self.bucket}",
             "Condition": {**account, "StringLike": {"s3:prefix": [prefix, prefix + "*"]}}},
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{self.bucket}/{prefix}*",
             "Condition": account},
            {"Effect": "Allow", "Action": "aoss:APIAccessAll", "Resource": collection_arn}]

    def put_permissions(self, statements):
        self.iam.put_role_policy(RoleName="kb", PolicyName="kb", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": statements}))

    def make_role(self, collection_arn):
        self.iam.create_role(RoleName="kb", Path="/tenantry/", AssumeRolePolicyDocument=self.trust())
        self.put_permissions(self.permissions(collection_arn))

    def make_collection(self, name="coll", public=False, services=("bedrock.amazonaws.com", "aoss.amazonaws.com")):
        rules = [{"ResourceType": "collection", "Resource": [f"collection/{name}"]}]
        self.aoss.create_security_policy(type="encryption", name=f"{name}-enc", policy=json.dumps(
            {"Rules": rules, "AWSOwnedKey": True}))
        network = {"Rules": rules, "AllowFromPublic": public}
        if not public:
            network["SourceServices"] = list(services)
        self.aoss.create_security_policy(type="network", name=f"{name}-net", policy=json.dumps([network]))
        made = self.aoss.create_collection(name=name, type="VECTORSEARCH")["createCollectionDetail"]
        until(lambda: self.collection(name)["status"] == "ACTIVE")
        return made

    def collection(self, name="coll"):
        return self.aoss.batch_get_collection(names=[name])["collectionDetails"][0]

    def grant(self, name, principal, permissions, resource="index/coll/*"):
        self.aoss.create_access_policy(type="data", name=name, policy=json.dumps([{
            "Rules": [{"ResourceType": "index", "Resource": [resource], "Permission": [f"aoss:{p}" for p in permissions]}],
            "Principal": [principal]}]))

    def make_index(self, name="idx", engine="faiss", dimension=1024):
        identifier = self.collection()["id"]
        self.aoss.create_index(id=identifier, indexName=name, indexSchema=schema(engine, dimension))
        until(lambda: not refused(lambda: self.aoss.get_index(id=identifier, indexName=name)))

    def make_store(self, index=True):
        """Everything but the knowledge base."""
        self.s3.create_bucket(Bucket=self.bucket)
        made = self.make_collection()
        self.make_role(made["arn"])
        self.grant("operator", self.root, ["CreateIndex", "DescribeIndex", "UpdateIndex", "DeleteIndex"])
        self.grant("kb-role", self.role_arn, ["DescribeIndex", "ReadDocument", "WriteDocument", "UpdateIndex"], "index/coll/idx")
        if index:
            self.make_index()

    def kb_arguments(self, **changes):
        return {"name": "kb", "roleArn": self.role_arn,
                "knowledgeBaseConfiguration": {"type": "VECTOR", "vectorKnowledgeBaseConfiguration": {
                    "embeddingModelArn": MODEL}},
                "storageConfiguration": {"type": "OPENSEARCH_SERVERLESS", "opensearchServerlessConfiguration": {
                    "collectionArn": self.collection()["arn"], "vectorIndexName": "idx",
                    "fieldMapping": {"vectorField": "vector", "textField": "text", "metadataField": "metadata"}}},
                **changes}

    def make_kb(self, **changes):
        arguments = self.kb_arguments(**changes)
        # "no such index" until Bedrock sees it: what every client has to wait out.
        until(lambda: "no such index" not in str(refused(lambda: self.agent.create_knowledge_base(**arguments))))
        found = [s for page in pages(self.agent.list_knowledge_bases) for s in page["knowledgeBaseSummaries"]]
        until(lambda: arguments["name"] in [s["name"] for page in pages(self.agent.list_knowledge_bases)
                                            for s in page["knowledgeBaseSummaries"]])
        found = [s for page in pages(self.agent.list_knowledge_bases) for s in page["knowledgeBaseSummaries"]]
        kb = next(s["knowledgeBaseId"] for s in found if s["name"] == arguments["name"])
        until(lambda: self.agent.get_knowledge_base(knowledgeBaseId=kb)["knowledgeBase"]["status"] == "ACTIVE")
        return kb

    # the same on S3 Vectors

    vector_arn = property(lambda self: f"arn:aws:s3vectors:{REGION}:{self.account}:bucket/vbkt")
    vector_index_arn = property(lambda self: f"{self.vector_arn}/index/idx")

    def vector_permissions(self, *actions, index=None):
        """What the role of a knowledge base on S3 Vectors may do; nothing is said: all that it needs."""
        actions = actions or ("PutVectors", "GetVectors", "DeleteVectors", "QueryVectors", "GetIndex")
        return self.permissions("")[:3] + [allow([f"s3vectors:{a}" for a in actions], index or self.vector_index_arn)]

    def make_vector_index(self, name="idx", dimension=1024, keys=("AMAZON_BEDROCK_TEXT", "AMAZON_BEDROCK_METADATA"), **more):
        keys = {"metadataConfiguration": {"nonFilterableMetadataKeys": list(keys)}} if keys else {}
        return self.vectors.create_index(vectorBucketName="vbkt", indexName=name, dataType="float32", dimension=dimension,
                                         **{"distanceMetric": "cosine", **keys, **more})["indexArn"]

    def make_vector_store(self, bucket=None, **index):
        """Everything but the knowledge base."""
        self.s3.create_bucket(Bucket=self.bucket)
        self.vectors.create_vector_bucket(vectorBucketName="vbkt", **(bucket or {}))
        self.make_vector_index(**index)
        self.iam.create_role(RoleName="kb", Path="/tenantry/", AssumeRolePolicyDocument=self.trust())
        self.put_permissions(self.vector_permissions())

    def vector_arguments(self, **changes):
        return {"name": "kb", "roleArn": self.role_arn, "knowledgeBaseConfiguration": {
            "type": "VECTOR", "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": MODEL}},
            "storageConfiguration": {"type": "S3_VECTORS", "s3VectorsConfiguration": {"indexArn": self.vector_index_arn}}, **changes}

    def make_vector_kb(self, **changes):
        """(knowledge base, data source) on S3 Vectors."""
        kb = self.agent.create_knowledge_base(**self.vector_arguments(**changes))["knowledgeBase"]["knowledgeBaseId"]
        until(lambda: self.agent.get_knowledge_base(knowledgeBaseId=kb)["knowledgeBase"]["status"] == "ACTIVE")
        return kb, self.make_source(kb)

    def source_arguments(self, kb, **changes):
        return {"knowledgeBaseId": kb, "name": "docs", "dataSourceConfiguration": {"type": "S3", "s3Configuration": {
            "bucketArn": f"arn:aws:s3:::{self.bucket}", "inclusionPrefixes": ["pool/"]}}, **changes}

    def make_source(self, kb, **changes):
        return self.agent.create_data_source(**self.source_arguments(kb, **changes))["dataSource"]["dataSourceId"]

    def make_all(self):
        self.make_store()
        kb = self.make_kb()
        return kb, self.make_source(kb)

    def upload(self, key, text, **attributes):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=text.encode() if isinstance(text, str) else text)
        if attributes:
            self.s3.put_object(Bucket=self.bucket, Key=f"{key}.metadata.json",
                               Body=json.dumps({"metadataAttributes": attributes}).encode())

    def job(self, kb, source, identifier):
        return self.agent.get_ingestion_job(knowledgeBaseId=kb, dataSourceId=source,
                                            ingestionJobId=identifier)["ingestionJob"]

    def ingest(self, kb, source):
        started = self.agent.start_ingestion_job(knowledgeBaseId=kb, dataSourceId=source)["ingestionJob"]
        until(lambda: self.job(kb, source, started["ingestionJobId"])["status"] in ("COMPLETE", "FAILED"))
        return self.job(kb, source, started["ingestionJobId"])

    def retrieve(self, kb, text, filter=None, **search):
        if filter:
            search["filter"] = filter
        return self.runtime.retrieve(knowledgeBaseId=kb, retrievalQuery={"text": text}, retrievalConfiguration={
            "vectorSearchConfiguration": search})["retrievalResults"]


def allow(actions, resource="*", effect="Allow", **condition):
    return {"Effect": effect, "Action": actions, "Resource": resource, **({"Condition": condition} if condition else {})}


def schema(engine="faiss", dimension=1024):
    return {"settings": {"index": {"knn": True}},
            "mappings": {"properties": {
                "vector": {"type": "knn_vector", "dimension": dimension, "method": {
                    "name": "hnsw", "engine": engine, "space_type": "l2", "parameters": {"m": 16, "ef_construction": 512}}},
                "text": {"type": "text", "index": True}, "metadata": {"type": "text", "index": False}}}}


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def pages(operation, **arguments):
    answer = operation(**arguments)
    yield answer
    while answer.get("nextToken"):
        answer = operation(**arguments, nextToken=answer["nextToken"])
        yield answer


def refused(act):
    """The error a call is refused with, or None."""
    try:
        act()
    except ClientError as error:
        return error
    return None


def code(act):
    error = refused(act)
    return error and error.response["Error"]["Code"]


def message(act):
    error = refused(act)
    return error and error.response["Error"]["Message"]


def keys(results):
    return [r["location"]["s3Location"]["uri"].split("/pool/")[1] for r in results]
