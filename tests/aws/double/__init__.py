"""The AWS double: Amazon Bedrock Knowledge Bases, OpenSearch Serverless and S3 Vectors as Tenantry's tests need them.

Test equipment. `app.py` is the ASGI application and the map of the rest.
"""
