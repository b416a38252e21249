#!/bin/sh
# Asks a question with the AWS CLI. ask.sh AWS QUESTION
if answer=$("$1" bedrock-agent-runtime retrieve --knowledge-base-id TENANTRYKB --retrieval-query "text=$2" --output json \
    --query '{passages: retrievalResults[].[location.s3Location.uri, content.text]}' 2>&1); then
    echo "$answer"
else
    echo "$answer" | sed -n 's/.*An error occurred (\([A-Za-z]*\)).*/{"refused": "\1"}/p'
fi
