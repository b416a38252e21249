"""A program that may ask for one tenant and wants another's documents. Plain boto3, in the environment of an honest one.

    dishonest.py QUESTION OTHER THIRD ITS_KNOWLEDGE_BASE THE_POOL KEY

The first other is of the same pool, the third has a knowledge base of its own.

Prints a JSON list: what it tried, what it was told, and the places of what it was shown.
"""

import json
import os
import sys

import boto3
from botocore.exceptions import ClientError

question, other, third, its_knowledge_base, pool, key = sys.argv[1:]


def ask(knowledge_base="TENANTRYKB", **search):
    # A session of its own each time: boto3 would go on with credentials that it has.
    client = boto3.Session().client("bedrock-agent-runtime")
    how = {"retrievalConfiguration": {"vectorSearchConfiguration": search}} if search else {}
    answer = client.retrieve(knowledgeBaseId=knowledge_base, retrievalQuery={"text": question}, **how)
    return [passage["location"]["s3Location"]["uri"] for passage in answer["retrievalResults"]]


def ask_as_other():
    os.environ["AWS_ROLE_ARN"] = f"arn:aws:iam::000000000000:role/{other}"
    return ask()


anybody = {"orAll": [{"equals": {"key": key, "value": other}}, {"notEquals": {"key": key, "value": other}}]}
tricks = {
    "asks the shared knowledge base without a filter": lambda: ask(pool, numberOfResults=100),
    f"filters for {other}": lambda: ask(filter={"equals": {"key": key, "value": other}}),
    "filters for anybody": lambda: ask(filter=anybody, numberOfResults=100),
    f"asks {third}'s knowledge base": lambda: ask(its_knowledge_base),
    f"says that it is {other}": ask_as_other,
}
outcome = []
for trick, attempt in tricks.items():
    try:
        places = attempt()
        outcome.append((trick, f"{len(places)} passages", places))
    except ClientError as refusal:
        outcome.append((trick, refusal.response["Error"]["Code"], []))
print(json.dumps(outcome))
