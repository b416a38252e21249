"""Onboards one tenant of its own bucket, collection and knowledge base, in the way in which public samples do it.

    public_sample.py ENDPOINT ACCOUNT DIVISOR INDEX_VISIBLE

One thing after the other, and sleeps of a fixed length where AWS takes time: 30 seconds between two looks at a collection, a
minute until data access policies hold, a minute until an index can be used, and one to two seconds before a call that was
refused is tried again. All sleeps are divided by DIVISOR, as AWS's own times are. Prints how many seconds it took.
"""

import json
import random
import sys
import time
import urllib.request

import boto3
from botocore.exceptions import ClientError

ENDPOINT, ACCOUNT, DIVISOR, INDEX_VISIBLE = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
REGION = "us-east-1"
NAME = "sample-acme"
BUCKET = f"sample-{ACCOUNT}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/{NAME}"
MODEL = f"arn:aws:bedrock:{REGION}::foundation-model/amazon.titan-embed-text-v2:0"


def client(service):
    return boto3.client(
        service, endpoint_url=ENDPOINT, region_name=REGION, aws_access_key_id=ACCOUNT, aws_secret_access_key="not-a-secret"
    )


def sleep(seconds):
    time.sleep(seconds / DIVISOR)


def retried(call, **arguments):
    """As the samples' decorator does: seven tries, one to two seconds apart."""
    for attempt in range(7):
        try:
            return call(**arguments)
        except ClientError:
            if attempt == 6:
                raise
            sleep(random.uniform(1, 2))


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def role(iam):
    bedrock = {"Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=policy(bedrock))
    for name, action, resource in [
        ("model", "bedrock:InvokeModel", MODEL),
        ("documents", ["s3:GetObject", "s3:ListBucket"], [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]),
    ]:
        allowed = policy({"Effect": "Allow", "Action": action, "Resource": resource})
        iam.put_role_policy(RoleName=NAME, PolicyName=name, PolicyDocument=allowed)


def collection(aoss, iam):
    rules = [{"ResourceType": "collection", "Resource": [f"collection/{NAME}"]}]
    aoss.create_security_policy(name=NAME, type="encryption", policy=json.dumps({"Rules": rules, "AWSOwnedKey": True}))
    aoss.create_security_policy(name=NAME, type="network", policy=json.dumps([{"Rules": rules, "AllowFromPublic": True}]))
    access = [
        {"ResourceType": "collection", "Resource": [f"collection/{NAME}"], "Permission": ["aoss:*"]},
        {"ResourceType": "index", "Resource": [f"index/{NAME}/*"], "Permission": ["aoss:*"]},
    ]
    whom = [ROLE, f"arn:aws:iam::{ACCOUNT}:root"]
    aoss.create_access_policy(name=NAME, type="data", policy=json.dumps([{"Rules": access, "Principal": whom}]))
    made = aoss.create_collection(name=NAME, type="VECTORSEARCH")["createCollectionDetail"]
    while aoss.batch_get_collection(names=[NAME])["collectionDetails"][0]["status"] == "CREATING":
        sleep(30)
    allowed = policy({"Effect": "Allow", "Action": "aoss:APIAccessAll", "Resource": made["arn"]})
    iam.put_role_policy(RoleName=NAME, PolicyName="vectors", PolicyDocument=allowed)
    sleep(60)
    return made


def index(aoss, made):
    vector = {"type": "knn_vector", "dimension": 1024, "method": {"name": "hnsw", "engine": "faiss", "space_type": "l2"}}
    fields = {"vector": vector, "text": {"type": "text"}, "metadata": {"type": "text", "index": False}}
    schema = {"settings": {"index": {"knn": True}}, "mappings": {"properties": fields}}
    aoss.create_index(id=made["id"], indexName=NAME, indexSchema=schema)
    sleep(60)


def knowledge_base(bedrock, made):
    store = {
        "collectionArn": made["arn"], "vectorIndexName": NAME,
        "fieldMapping": {"vectorField": "vector", "textField": "text", "metadataField": "metadata"},
    }
    answer = retried(
        bedrock.create_knowledge_base, name=NAME, roleArn=ROLE,
        knowledgeBaseConfiguration={"type": "VECTOR", "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": MODEL}},
        storageConfiguration={"type": "OPENSEARCH_SERVERLESS", "opensearchServerlessConfiguration": store},
    )
    id = answer["knowledgeBase"]["knowledgeBaseId"]
    source = {"type": "S3", "s3Configuration": {"bucketArn": f"arn:aws:s3:::{BUCKET}"}}
    retried(bedrock.create_data_source, knowledgeBaseId=id, name=NAME, dataSourceConfiguration=source)


def main():
    changes = json.dumps({"lag": {"index_visible": INDEX_VISIBLE}}).encode()
    request = urllib.request.Request(f"{ENDPOINT}/_double/settings?account={ACCOUNT}", changes, method="PUT")
    urllib.request.urlopen(request).close()
    s3, iam, aoss, bedrock = client("s3"), client("iam"), client("opensearchserverless"), client("bedrock-agent")
    begun = time.monotonic()
    s3.create_bucket(Bucket=BUCKET)
    role(iam)
    made = collection(aoss, iam)
    index(aoss, made)
    knowledge_base(bedrock, made)
    print(f"{time.monotonic() - begun:.2f}")


main()
