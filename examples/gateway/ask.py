#!/usr/bin/env python3
"""Ask a question: `ask.py "How many days of annual leave?"`. Plain boto3: which tenant it is, and where it is asked, says the environment."""

import sys

import boto3
from botocore.exceptions import ClientError


def main():
    client = boto3.client("bedrock-agent-runtime")
    try:
        # TENANTRYKB is always the tenant's own knowledge base.
        answer = client.retrieve(knowledgeBaseId="TENANTRYKB", retrievalQuery={"text": " ".join(sys.argv[1:])})
    except ClientError as error:
        sys.exit(f"refused: {error}")
    for number, passage in enumerate(answer["retrievalResults"], 1):
        print(f"{number}. {passage['location']['s3Location']['uri']}")
        print("   " + passage["content"]["text"].strip().replace("\n", "\n   "))


if __name__ == "__main__":
    main()
