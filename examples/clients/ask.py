#!/usr/bin/env python3
"""Ask a question as a tenant: `ask.py acme "How many days of annual leave?"`. What an application would do.

It needs TENANTRY_TABLE, the table that the operator was given with --registry, and AWS credentials and region.
"""

import argparse
import sys

from tenant_knowledge import Refused, TenantKnowledge


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tenant", metavar="TENANT_ID")
    parser.add_argument("question", metavar="QUESTION")
    parser.add_argument("--generate", action="store_true", help="let the tenant's model answer in words (RetrieveAndGenerate)")
    arguments = parser.parse_args()
    try:
        knowledge = TenantKnowledge(arguments.tenant)
        if arguments.generate:
            answer = knowledge.generate(arguments.question)
            print(answer["output"]["text"])
            passages = [reference for citation in answer["citations"] for reference in citation["retrievedReferences"]]
        else:
            passages = knowledge.retrieve(arguments.question)
    except Refused as refused:
        sys.exit(f"refused: {refused}")
    for number, passage in enumerate(passages, 1):
        print(f"{number}. {passage['location']['s3Location']['uri']}")
        print("   " + passage["content"]["text"].strip().replace("\n", "\n   "))


if __name__ == "__main__":
    main()
