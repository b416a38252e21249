"""Asks a question with LangChain's retriever for knowledge bases."""

import json
import sys

from botocore.exceptions import ClientError
from langchain_aws.retrievers import AmazonKnowledgeBasesRetriever

retriever = AmazonKnowledgeBasesRetriever(
    knowledge_base_id="TENANTRYKB", retrieval_config={"vectorSearchConfiguration": {"numberOfResults": 4}}
)
try:
    found = [(document.metadata["location"]["s3Location"]["uri"], document.page_content) for document in retriever.invoke(sys.argv[1])]
    print(json.dumps({"passages": found}))
except ClientError as refusal:
    print(json.dumps({"refused": refusal.response["Error"]["Code"]}))
