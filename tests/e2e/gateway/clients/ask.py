"""Asks a question with boto3, as any program does: nothing in it knows of a gateway."""

import json
import sys

import boto3
from botocore.exceptions import ClientError

client = boto3.client("bedrock-agent-runtime")
try:
    answer = client.retrieve(knowledgeBaseId="TENANTRYKB", retrievalQuery={"text": sys.argv[1]})
    found = [(result["location"]["s3Location"]["uri"], result["content"]["text"]) for result in answer["retrievalResults"]]
    print(json.dumps({"passages": found}))
except ClientError as refusal:
    print(json.dumps({"refused": refusal.response["Error"]["Code"]}))
