"""Part 6: requests are checked against botocore's models, errors are shaped as AWS shapes them (aws-facts §1.1, §1.2)."""

import http.client
import json

import botocore.session
import pytest

from double import model

from .conftest import code, message, refused


@pytest.mark.parametrize("changes, fragment", [
    ({"name": "no.dots"}, "regular expression pattern"),
    ({"name": "doubled--separator"}, "regular expression pattern"),
    ({"description": ""}, "length greater than or equal to 1"),
    ({"clientToken": "a" * 32}, "length greater than or equal to 33"),
    ({"clientToken": "with_underscores_" + "a" * 20}, "regular expression pattern"),
    ({"roleArn": "kb"}, "regular expression pattern"),
    ({"knowledgeBaseConfiguration": {"type": "GRAPH"}}, "enum value set"),
    ({"knowledgeBaseConfiguration": {}}, "must not be null"),
    ({"tags": {"k": "v" * 257}}, "length less than or equal to 256"),
    ({"surprise": 1}, "Unknown member 'surprise'"),
])
def test_create_knowledge_base_is_checked_by_the_model(aws, changes, fragment):
    body = {"name": "kb", "roleArn": aws.role_arn, "knowledgeBaseConfiguration": {
        "type": "VECTOR", "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": "arn:aws:bedrock:us-east-1::foundation-model/x.y"}},
        **changes}
    status, headers, answer = raw(aws, "PUT", "/knowledgebases/", body, "bedrock")
    assert status == 400 and headers["x-amzn-ErrorType"] == "ValidationException"
    assert fragment in answer["message"]
    assert headers["x-amzn-RequestId"]


def test_slashes_at_the_end_do_not_matter(aws):
    """The Rust SDK leaves them out, botocore does not."""
    for path in ("/knowledgebases", "/knowledgebases/"):
        assert raw(aws, "POST", path, {}, "bedrock")[0] == 200


def test_chunking_bounds(aws):
    error = refused(lambda: aws.agent.create_data_source(**aws.source_arguments("A" * 10, vectorIngestionConfiguration={
        "chunkingConfiguration": {"chunkingStrategy": "FIXED_SIZE", "fixedSizeChunkingConfiguration": {
            "maxTokens": 9000, "overlapPercentage": 0}}})))
    assert error.response["Error"]["Code"] == "ValidationException"
    assert "8192" in str(error) and "greater than or equal to 1" in str(error)
    assert {f["name"].rsplit(".", 1)[1] for f in error.response["fieldList"]} == {"maxTokens", "overlapPercentage"}


def test_one_inclusion_prefix(aws):
    arguments = aws.source_arguments("A" * 10)
    arguments["dataSourceConfiguration"]["s3Configuration"]["inclusionPrefixes"] = ["a/", "b/"]
    assert "length less than or equal to 1" in message(lambda: aws.agent.create_data_source(**arguments))


def test_aoss_errors_have_no_status_of_their_own(aws):
    error = refused(lambda: aws.aoss.create_collection(name="Upper"))
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert error.response["Error"]["Code"] == "ValidationException"
    assert code(lambda: aws.aoss.delete_collection(id="nothere")) == "ResourceNotFoundException"


def test_statuses_of_bedrock_errors(aws):
    error = refused(lambda: aws.agent.get_knowledge_base(knowledgeBaseId="A" * 10))
    assert error.response["Error"]["Code"] == "ResourceNotFoundException"
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_malformed_pattern_of_the_model_is_not_checked(aws):
    """TaggableResourcesArn has /d for \\d: AWS accepts ARNs that it forbids (§1.1)."""
    arn = f"arn:aws:bedrock:us-east-1:{aws.account}:knowledge-base/AAAAAAAAAA"
    assert code(lambda: aws.agent.list_tags_for_resource(resourceArn=arn)) == "ResourceNotFoundException"


def test_every_pattern_of_the_models_can_be_checked():
    for name in ("bedrock-agent", "bedrock-agent-runtime", "opensearchserverless"):
        service = botocore.session.get_session().get_service_model(name)
        for shape in service.shape_names:
            pattern = service.shape_for(shape).metadata.get("pattern")
            if pattern:
                model._pattern(pattern)


def test_no_signature_no_answer(aws):
    assert raw(aws, "POST", "/knowledgebases/", {}, None)[0] == 403


def test_what_is_not_built_says_so(aws):
    status, headers, _ = raw(aws, "POST", "/agents/", {}, "bedrock")
    assert (status, headers["x-amzn-ErrorType"]) == (501, "NotImplementedByDouble")


def raw(aws, method, path, body, service):
    """A request as it stands, past botocore's own ideas."""
    connection = http.client.HTTPConnection(aws.endpoint.removeprefix("http://"))
    signed = {"authorization": f"AWS4-HMAC-SHA256 Credential={aws.account}/20260101/us-east-1/{service}/aws4_request, "
              "SignedHeaders=host, Signature=0"} if service else {}
    connection.request(method, path, json.dumps(body), {"content-type": "application/json", **signed})
    answer = connection.getresponse()
    return answer.status, answer.headers, json.load(answer)
