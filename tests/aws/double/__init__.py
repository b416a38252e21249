"""The AWS double: Amazon Bedrock Knowledge Bases and OpenSearch Serverless as Tenantry's tests need them.

Test equipment. `app.py` is the ASGI application and the map of the rest.
"""
