"""Part 4: a collection's endpoint, its three fences, OpenSearch's answers, and how an index is shown."""

import json
import urllib.error
import urllib.request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from .conftest import REGION, allow, code, refused, schema, until


@pytest.fixture
def public(aws):
    aws.make_collection(public=True)
    aws.grant("everything", aws.root, ["*"])
    return aws


def send(aws, method, path, body=None, scope="aoss"):
    """(status, answer, headers) of a signed request to the collection's endpoint."""
    found = aws.collection()
    url = found["collectionEndpoint"] + path
    keys = aws.credentials or {"aws_access_key_id": aws.account, "aws_secret_access_key": "x"}
    data = json.dumps(body).encode() if body is not None else None
    signed = AWSRequest(method, url, data=data, headers={"content-type": "application/json"})
    SigV4Auth(Credentials(*(keys.get(k) for k in ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"))),
              scope, REGION).add_auth(signed)
    request = urllib.request.Request(url, data, dict(signed.headers), method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read() or b"null"), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null"), error.headers


def test_the_life_of_an_index(public):
    status, answer, _ = send(public, "PUT", "/idx", schema())
    assert (status, answer) == (200, {"acknowledged": True, "shards_acknowledged": True, "index": "idx"})
    status, answer, _ = send(public, "PUT", "/idx", schema())
    assert status == 400 and answer["error"]["type"] == answer["error"]["root_cause"][0]["type"] == "resource_already_exists_exception"
    until(lambda: send(public, "HEAD", "/idx")[0] == 200)
    assert send(public, "PUT", "/idx/_mapping", {"properties": {"year": {"type": "long"}}})[1] == {"acknowledged": True}
    assert send(public, "GET", "/idx")[1]["idx"]["mappings"]["properties"]["year"] == {"type": "long"}
    status, answer, _ = send(public, "PUT", "/idx/_mapping", {"properties": {"year": {"type": "text"}}})
    assert (status, answer["error"]["type"]) == (400, "illegal_argument_exception")
    assert "mapper [year] cannot be changed from type [long] to [text]" in answer["error"]["reason"]
    identifier = public.collection()["id"]
    assert public.aoss.get_index(id=identifier, indexName="idx")["indexSchema"]["mappings"]["properties"]["year"]
    assert send(public, "DELETE", "/idx")[1] == {"acknowledged": True}
    for method in ("GET", "DELETE"):
        status, answer, _ = send(public, method, "/idx")
        assert (status, answer["status"], answer["error"]["type"]) == (404, 404, "index_not_found_exception")
    assert send(public, "HEAD", "/idx")[:2] == (404, None)
    made = [(e["operation"], e["resource"], e["mutating"]) for e in public.journal(service="aoss-endpoint")]
    assert made[0] == ("PutIndex", "coll/idx", True) and ("HeadIndex", "coll/idx", False) in made


def test_what_the_control_plane_refuses_the_endpoint_takes(public):
    """§1.2: the way out where CreateIndex knows no knn_vector. A schema that is wrong is wrong here too."""
    public.settings(switches={"create_index_knn": "refuse"})
    assert refused(lambda: public.aoss.create_index(id=public.collection()["id"], indexName="idx", indexSchema=schema()))
    status, answer, _ = send(public, "PUT", "/idx", schema(dimension=0))
    assert (status, answer["error"]["type"]) == (400, "mapper_parsing_exception")
    assert send(public, "PUT", "/_idx", schema())[1]["error"]["type"] == "invalid_index_name_exception"
    assert send(public, "PUT", "/idx", ["x"])[1]["error"]["type"] == "parse_exception"
    assert send(public, "PUT", "/idx", schema())[0] == 200
    assert send(public, "GET", "/")[0] == 501


def test_a_knowledge_base_on_an_index_made_here(public):
    public.s3.create_bucket(Bucket=public.bucket)
    public.make_role(public.collection()["arn"])
    public.grant("kb-role", public.role_arn, ["DescribeIndex", "ReadDocument", "WriteDocument", "UpdateIndex"])
    assert send(public, "PUT", "/idx", schema())[0] == 200
    assert public.make_kb()


def control_plane(aws, name="idx"):
    """What GetIndex, UpdateIndex and DeleteIndex of an index are refused with."""
    index = {"id": aws.collection()["id"], "indexName": name}
    year = {"mappings": {"properties": {"year": {"type": "long"}}}}
    return [code(lambda: aws.aoss.get_index(**index)), code(lambda: aws.aoss.update_index(**index, indexSchema=year)),
            code(lambda: aws.aoss.delete_index(**index))]


def test_the_control_plane_may_not_see_what_was_made_here(public):
    put = lambda: send(public, "PUT", "/idx", schema())[0]
    there = lambda: send(public, "HEAD", "/idx")[0] == 200
    assert put() == 200
    until(there)
    public.settings(switches={"endpoint_indexes": "hidden"})
    assert control_plane(public) == ["ResourceNotFoundException"] * 3
    create = lambda: public.aoss.create_index(id=public.collection()["id"], indexName="idx", indexSchema=schema())
    assert code(create) == "ConflictException"                 # hidden, but its name is taken
    shown = send(public, "GET", "/idx")[1]["idx"]["mappings"]["properties"]
    assert set(shown) == {"vector", "text", "metadata"}        # there still, and as it was
    public.settings(switches={"endpoint_indexes": "seen"})
    assert control_plane(public) == [None] * 3 and not there()


def test_what_the_control_plane_made_is_never_hidden(public):
    """Nor is a name that the endpoint had before: each index remembers its own maker."""
    public.settings(switches={"endpoint_indexes": "hidden"})
    there = lambda: send(public, "HEAD", "/idx")[0] == 200
    assert send(public, "PUT", "/idx", schema())[0] == 200
    until(there)
    assert send(public, "DELETE", "/idx")[0] == 200
    public.make_index()
    assert there() and send(public, "PUT", "/idx/_mapping", {"properties": {"day": {"type": "long"}}})[0] == 200
    assert control_plane(public) == [None] * 3 and not there()


def test_bedrock_sees_what_is_hidden_from_the_control_plane(aws):
    aws.settings(switches={"endpoint_indexes": "hidden", "caller_vpce": "vpce-1"})
    aws.make_store(index=False)
    version = aws.aoss.get_security_policy(type="network", name="coll-net")["securityPolicyDetail"]["policyVersion"]
    rules = [{"ResourceType": "collection", "Resource": ["collection/coll"]}]
    aws.aoss.update_security_policy(type="network", name="coll-net", policyVersion=version, policy=json.dumps([
        {"Rules": rules, "SourceServices": ["bedrock.amazonaws.com", "aoss.amazonaws.com"], "SourceVPCEs": ["vpce-1"]}]))
    assert send(aws, "PUT", "/idx", schema())[0] == 200
    kb = aws.make_kb()
    aws.upload("pool/a.md", "The coffee machine is in the basement.", tenantId="a")
    assert aws.ingest(kb, aws.make_source(kb))["status"] == "COMPLETE"
    assert len(aws.retrieve(kb, "coffee")) == 1
    assert control_plane(aws) == ["ResourceNotFoundException"] * 3
    assert "tenantId" in send(aws, "GET", "/idx")[1]["idx"]["mappings"]["properties"]


@pytest.mark.parametrize("looks, status", [("unauthorized", 401), ("forbidden", 403), ("closed", None)])
def test_a_private_endpoint_is_for_its_vpc_endpoints(aws, looks, status):
    aws.make_collection()
    aws.grant("everything", aws.root, ["*"])
    aws.settings(switches={"private_endpoint": looks})
    if status:
        found, answer, _ = send(aws, "PUT", "/idx", schema())
        assert found == answer["status"] == status and answer["error"]["reason"].startswith(str(status)) and answer["request-id"]
    else:
        with pytest.raises(ConnectionError):
            send(aws, "PUT", "/idx", schema())
    version = aws.aoss.get_security_policy(type="network", name="coll-net")["securityPolicyDetail"]["policyVersion"]
    aws.aoss.update_security_policy(type="network", name="coll-net", policyVersion=version, policy=json.dumps(
        [{"Rules": [{"ResourceType": "collection", "Resource": ["collection/coll"]}], "SourceVPCEs": ["vpce-1"]}]))
    aws.settings(switches={"caller_vpce": "vpce-2", "private_endpoint": "forbidden"})
    assert send(aws, "PUT", "/idx", schema())[0] == 403
    aws.settings(switches={"caller_vpce": "vpce-1"})
    assert send(aws, "PUT", "/idx", schema())[0] == 200


@pytest.mark.parametrize("switch, reason", [
    ("authorization_exception", "User does not have permissions for the requested resource"), ("security_exception", "403 Forbidden")])
def test_the_data_access_policy_and_iam_must_both_allow(aws, switch, reason):
    aws.settings(switches={"endpoint_denial": switch})
    made = aws.make_collection(public=True)
    op, arn = aws.make_operator(allow("aoss:BatchGetCollection")), f"arn:aws:iam::{aws.account}:role/tenantry/op"
    status, answer, headers = send(op, "PUT", "/idx", schema())
    assert (status, answer["error"]) == (403, {"reason": "403 Forbidden", "type": "Forbidden"})     # IAM, at the gateway
    assert headers["x-aoss-response-hint"] == "X01:gw-helper-deny"
    assert "aoss:APIAccessAll" in aws.journal()[-1]["message"]
    aws.may(allow("aoss:BatchGetCollection"), allow("aoss:APIAccessAll", made["arn"]))
    status, answer, _ = send(op, "PUT", "/idx", schema())
    assert (status, answer["error"]["type"], answer["error"]["reason"]) == (403, switch, reason)
    aws.grant("operator", arn, ["CreateIndex"])
    assert send(op, "PUT", "/idx", schema())[0] == 200
    assert send(op, "DELETE", "/idx")[0] == 403            # CreateIndex is not DeleteIndex
    assert send(op, "GET", "/idx", scope="es")[0] == 403   # a signature for another service


def test_no_address_without_a_collection(public):
    endpoint = public.collection()["collectionEndpoint"]
    public.settings(dwell={"collection_delete": 1e6})
    public.aoss.delete_collection(id=public.collection()["id"])
    assert "collectionEndpoint" not in public.collection()
    public.collection = lambda: {"collectionEndpoint": endpoint}
    with pytest.raises(ConnectionError):
        send(public, "GET", "/idx")


def test_faults_reach_the_endpoint(public):
    public.control("POST", "faults", {"service": "aoss-endpoint", "operation": "PutIndex", "drop": "after"})
    with pytest.raises(ConnectionError):
        send(public, "PUT", "/idx", schema())
    public.control("POST", "faults", {"service": "aoss-endpoint", "operation": "PutIndex", "fault": "throttled"})
    assert send(public, "PUT", "/idx", schema())[0] == 429
    assert send(public, "PUT", "/idx", schema())[1]["error"]["type"] == "resource_already_exists_exception"


def test_how_an_index_is_shown(aws):
    """The endpoint, and GetIndex under a switch: settings are strings, defaults are gone, documents bring fields (§1.2, §3)."""
    aws.make_store(index=False)
    sent = schema()
    sent["settings"] = {"index": {"knn": True, "knn.algo_param.ef_search": 512}, "number_of_shards": 1}
    sent["mappings"] |= {"dynamic": True, "date_detection": False}
    identifier = aws.collection()["id"]
    aws.aoss.create_index(id=identifier, indexName="idx", indexSchema=sent)
    get = lambda: aws.aoss.get_index(id=identifier, indexName="idx")["indexSchema"]
    until(lambda: not refused(get))
    assert get() == sent
    aws.settings(switches={"get_index": "normalised"})
    settings = get()["settings"]["index"]
    assert settings["knn"] == "true" and settings["knn.algo_param"] == {"ef_search": "512"}
    assert settings["number_of_shards"] == "1" and settings["number_of_replicas"] == "0" and settings["provided_name"] == "idx"
    mappings = get()["mappings"]
    assert mappings["dynamic"] == "true" and mappings["date_detection"] is False
    assert mappings["properties"]["text"] == {"type": "text"} and mappings["properties"]["metadata"] == {"type": "text", "index": False}
    assert mappings["properties"]["vector"] == sent["mappings"]["properties"]["vector"]
    kb = aws.make_kb()
    source = aws.make_source(kb)
    aws.upload("pool/a.md", "words", tenantId="a", year=2024, draft=True)
    aws.ingest(kb, source)
    fields = get()["mappings"]["properties"]
    assert fields["tenantId"] == {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
    assert (fields["year"]["type"], fields["draft"]["type"]) == ("long", "boolean")
