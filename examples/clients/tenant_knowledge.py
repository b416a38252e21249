"""One tenant's knowledge: looked up in the registry, asked with the filter that belongs to it.

This is the part that application code must not be able to reach into. In a pool nothing but the filter keeps one tenant's
passages from another's, and IAM cannot force it: so nobody passes a filter in here, or a knowledge base's id, or gets one
out. Keep it in a module, better a service, of its own, with the only credentials that may call `bedrock:Retrieve`; what it
is told is the tenant's id, from a session that was authenticated, never from the question.
"""

import os

import boto3

PATTERNS = {"Silo", "Bridge", "Pool"}


class Refused(Exception):
    """This tenant cannot be asked, and the message says why."""


class TenantKnowledge:
    """Answers the questions of one tenant."""

    def __init__(self, tenant_id, table=None, session=None):
        self._session = session or boto3.Session(region_name=os.environ.get("AWS_REGION"))
        table = self._session.resource("dynamodb").Table(table or os.environ["TENANTRY_TABLE"])
        # A tombstone must be seen at once. Who asks often may keep an item for some seconds, hardly for longer.
        item = table.get_item(Key={"tenantId": tenant_id}, ConsistentRead=True).get("Item")
        self._knowledge_base, self._filter = _target(tenant_id, item)
        self._model = item.get("modelArn")
        self._bedrock = self._session.client("bedrock-agent-runtime")

    def retrieve(self, question, results=5):
        """The passages that fit a question best, the best first, as Bedrock returns them."""
        answer = self._bedrock.retrieve(
            knowledgeBaseId=self._knowledge_base,
            retrievalQuery={"text": question},
            retrievalConfiguration=self._search(results),
        )
        return answer["retrievalResults"]

    def generate(self, question, results=5):
        """An answer in words, by the model in the registry, with the passages that it cites."""
        if not self._model:
            raise Refused("the Tenant names no model that answers (spec.answers.model)")
        return self._bedrock.retrieve_and_generate(
            input={"text": question},
            retrieveAndGenerateConfiguration={
                "type": "KNOWLEDGE_BASE",
                "knowledgeBaseConfiguration": {
                    "knowledgeBaseId": self._knowledge_base,
                    "modelArn": self._model,
                    "retrievalConfiguration": self._search(results),
                },
            },
        )

    def _search(self, results):
        search = {"numberOfResults": results}
        if self._filter:
            search["filter"] = self._filter
        return {"vectorSearchConfiguration": search}


def _target(tenant_id, item):
    """The knowledge base and the filter of an item. Whatever is not surely right is refused."""
    if item is None:
        raise Refused(f"the registry has no tenant '{tenant_id}'")
    state, pattern, wanted = item.get("state"), item.get("pattern"), item.get("filter")
    if state != "ready":
        raise Refused(f"tenant '{tenant_id}' cannot be asked: it is {state}")
    if pattern not in PATTERNS or not item.get("knowledgebaseId"):
        raise Refused(f"the registry's item of tenant '{tenant_id}' is not complete")
    own = (wanted or {}).get("equals", {}).get("value") == tenant_id
    if (pattern == "Pool" or wanted) and not own:
        raise Refused(f"tenant '{tenant_id}' has no filter of its own, and a pool is not asked without")
    return item["knowledgebaseId"], wanted
