"""Parts 1 and 4: collections, policies and indexes of OpenSearch Serverless (aws-facts §1.2, §2.2, §4.2, §4.3, §5.2, §5.4)."""

import json

import pytest

from double import index_schema
from double.errors import AwsError

from .conftest import code, message, pages, refused, schema, until


def encryption(*resources, **key):
    return json.dumps({"Rules": [{"ResourceType": "collection", "Resource": list(resources)}], **(key or {"AWSOwnedKey": True})})


def data(principal, **changes):
    return json.dumps([{"Rules": [{"ResourceType": "index", "Resource": ["index/coll/*"], "Permission": ["aoss:ReadDocument"]}],
                        "Principal": [principal], **changes}])


def test_a_collection_and_its_endpoint_when_active(aws):
    aws.settings(dwell={"collection_create": 1e6})
    aws.aoss.create_security_policy(type="encryption", name="enc", policy=encryption("collection/coll*"))
    made = aws.aoss.create_collection(name="coll-1", type="VECTORSEARCH", tags=[{"key": "a", "value": "b"}],
                                      standbyReplicas="DISABLED")["createCollectionDetail"]
    assert made["status"] == "CREATING" and made["standbyReplicas"] == "DISABLED" and made["kmsKeyArn"] == "auto"
    assert "collectionEndpoint" not in aws.collection("coll-1")
    aws.settings(dwell={"collection_create": 0})
    until(lambda: aws.collection("coll-1")["status"] == "ACTIVE")
    assert aws.collection("coll-1")["collectionEndpoint"] == f"{aws.endpoint}/_aoss/{made['id']}"
    assert aws.aoss.list_tags_for_resource(resourceArn=made["arn"])["tags"] == [{"key": "a", "value": "b"}]
    aws.aoss.tag_resource(resourceArn=made["arn"], tags=[{"key": "c", "value": "d"}])
    aws.aoss.untag_resource(resourceArn=made["arn"], tagKeys=["a"])
    assert aws.aoss.list_tags_for_resource(resourceArn=made["arn"])["tags"] == [{"key": "c", "value": "d"}]


def test_no_collection_without_an_encryption_policy(aws):
    assert "No matching security policy of encryption type" in message(lambda: aws.aoss.create_collection(name="coll"))
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    assert not refused(lambda: aws.aoss.create_collection(name="coll", encryptionConfig={"kmsKeyArn": key}))


def test_a_key_that_is_not_enabled_is_refused(aws):
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    aws.aoss.create_security_policy(type="encryption", name="enc", policy=encryption("collection/coll", KmsARN=key, AWSOwnedKey=False))
    aws.kms.disable_key(KeyId=key)
    assert "KMSKeyInaccessible" in message(lambda: aws.aoss.create_collection(name="coll"))
    aws.kms.enable_key(KeyId=key)
    assert aws.aoss.create_collection(name="coll")["createCollectionDetail"]["kmsKeyArn"] == key


def test_the_name_is_blocked_until_the_old_collection_is_gone(aws):
    made = aws.make_collection()
    aws.settings(dwell={"collection_delete": 1e6})
    assert aws.aoss.delete_collection(id=made["id"])["deleteCollectionDetail"]["status"] == "DELETING"
    assert code(lambda: aws.aoss.create_collection(name="coll")) == "ConflictException"
    assert code(lambda: aws.aoss.delete_collection(id=made["id"])) == "ConflictException"
    aws.settings(dwell={"collection_delete": 0})
    until(lambda: not refused(lambda: aws.aoss.create_collection(name="coll")))
    gone = aws.aoss.batch_get_collection(ids=[made["id"]])      # a 200
    assert gone["collectionDetails"] == [] and gone["collectionErrorDetails"][0]["errorCode"] == "NOT_FOUND"


def test_deletion_protection(aws):
    made = aws.make_collection()
    aws.aoss.update_collection(id=made["id"], deletionProtection="ENABLED")
    until(lambda: aws.collection()["status"] == "ACTIVE")
    assert "deletion protection" in message(lambda: aws.aoss.delete_collection(id=made["id"]))


def test_lists_lag_and_page(aws):
    aws.settings(lag={"list": 1e6})
    aws.aoss.create_security_policy(type="encryption", name="enc", policy=encryption("collection/*"))
    for n in range(5):
        aws.aoss.create_collection(name=f"coll-{n}")
    assert aws.aoss.list_collections()["collectionSummaries"] == []
    assert aws.collection("coll-0")["name"] == "coll-0"          # reading by name does not lag
    aws.settings(lag={"list": 0})
    found = [[c["name"] for c in page["collectionSummaries"]] for page in pages(aws.aoss.list_collections, maxResults=100)]
    assert [len(page) for page in found] == [2, 2, 1]
    assert code(lambda: aws.aoss.list_collections(nextToken="nonsense")) == "ValidationException"


@pytest.mark.parametrize("kind, document, fragment", [
    ("encryption", "not json", "Policy json is invalid"),
    ("encryption", encryption("coll"), "does not match the regex pattern"),
    ("encryption", encryption("collection/Coll"), "does not match the regex pattern"),
    ("encryption", encryption("collection/c", KmsARN="alias/x"), "KmsARN"),
    ("encryption", encryption("collection/c", AWSOwnedKey=False), "AWSOwnedKey"),
    ("encryption", encryption("collection/c", AWSOwnedKey=True, Extra=1), "'Extra' is not defined"),
    ("encryption", f"[{encryption('collection/c')}]", "must be an object"),
    ("network", encryption("collection/c"), "must be an array"),
    ("network", json.dumps([{"Rules": [{"ResourceType": "collection", "Resource": ["collection/c"]}]}]), "AllowFromPublic"),
    ("network", json.dumps([{"Rules": [{"ResourceType": "collection", "Resource": ["collection/c"]}],
                             "SourceServices": ["s3.amazonaws.com"]}]), "enumeration"),
    ("network", json.dumps([{"Rules": [{"ResourceType": "collection", "Resource": ["collection/c"]}],
                             "VpceIds": ["vpce-1"], "AllowFromPublic": True}]), "'VpceIds' is not defined"),
    ("data", data("arn:aws:iam::123456789012:group/x"), "Principal[0]: does not match the regex pattern"),
    ("data", data("*"), "Principal[0]"),
    ("data", data("arn:aws:iam::123456789012:role/x", Rules=[{"ResourceType": "index", "Resource": ["index/coll"],
                                                              "Permission": ["aoss:ReadDocument"]}]), "Resource[0]"),
    ("data", data("arn:aws:iam::123456789012:role/x", Rules=[{"ResourceType": "index", "Resource": ["index/coll/*"],
                                                              "Permission": ["aoss:Everything"]}]), "Permission[0]"),
    ("data", data("arn:aws:iam::123456789012:role/x", Effect="Deny"), "'Effect' is not defined"),
])
def test_grammars_of_policies(aws, kind, document, fragment):
    create = aws.aoss.create_access_policy if kind == "data" else aws.aoss.create_security_policy
    assert fragment in message(lambda: create(type=kind, name="policy", policy=document))


def test_root_is_no_principal_where_the_switch_is_off(aws):
    """AWS takes roles, users, sessions and SAML; root only here, for tests that run as the account itself."""
    aws.settings(switches={"root_principal": False})
    assert "Principal[0]" in message(lambda: aws.aoss.create_access_policy(type="data", name="policy", policy=data(aws.root)))


def test_a_stale_policy_version_conflicts(aws):
    first = aws.aoss.create_security_policy(type="encryption", name="enc", policy=encryption("collection/a"),
                                            description="k=v")["securityPolicyDetail"]
    assert first["policy"] == json.loads(encryption("collection/a"))          # a document, not a string
    second = aws.aoss.update_security_policy(type="encryption", name="enc", policyVersion=first["policyVersion"],
                                             policy=encryption("collection/b"))["securityPolicyDetail"]
    assert second["description"] == "k=v"
    stale = lambda: aws.aoss.update_security_policy(type="encryption", name="enc", policyVersion=first["policyVersion"],
                                                    policy=encryption("collection/c"))
    assert code(stale) == "ConflictException"
    assert code(lambda: aws.aoss.create_security_policy(
        type="encryption", name="enc", policy=encryption("collection/d"))) == "ConflictException"
    assert code(lambda: aws.aoss.create_security_policy(
        type="encryption", name="other", policy=encryption("collection/b"))) == "ConflictException"
    assert "No changes detected" in message(lambda: aws.aoss.update_security_policy(
        type="encryption", name="enc", policyVersion=second["policyVersion"], policy=encryption("collection/b")))


def test_policies_are_listed_by_resource_and_counted(aws):
    for n in range(3):
        aws.aoss.create_security_policy(type="encryption", name=f"enc-{n}", policy=encryption(f"collection/c{n}*"))
    aws.aoss.create_access_policy(type="data", name="data", policy=data(aws.role_arn))
    until(lambda: sum(len(p["securityPolicySummaries"]) for p in pages(aws.aoss.list_security_policies, type="encryption")) == 3)
    assert [p["name"] for p in aws.aoss.list_security_policies(type="encryption", resource=["collection/c1-x"])[
        "securityPolicySummaries"]] == ["enc-1"]
    assert [p["name"] for p in aws.aoss.list_access_policies(type="data", resource=["index/coll/i"])[
        "accessPolicySummaries"]] == ["data"]
    stats = aws.aoss.get_policies_stats()
    assert stats["SecurityPolicyStats"] == {"EncryptionPolicyCount": 3, "NetworkPolicyCount": 0}
    assert stats["AccessPolicyStats"] == {"DataPolicyCount": 1} and stats["TotalPolicyCount"] == 4
    aws.aoss.delete_access_policy(type="data", name="data")
    assert code(lambda: aws.aoss.get_access_policy(type="data", name="data")) == "ResourceNotFoundException"


def test_whoever_makes_an_index_must_be_in_a_data_access_policy(aws):
    made = aws.make_collection()
    create = lambda: aws.aoss.create_index(id=made["id"], indexName="idx", indexSchema=schema())
    assert code(create) == "AccessDeniedException"
    aws.grant("operator", aws.root, ["CreateIndex"])
    assert not refused(create)
    assert code(lambda: aws.aoss.get_index(id=made["id"], indexName="idx")) == "AccessDeniedException"


def test_a_session_counts_as_its_role(aws):
    made = aws.make_collection()
    session, arn = aws.make_operator(), f"arn:aws:iam::{aws.account}:role/tenantry/op"
    create = lambda: session.aoss.create_index(id=made["id"], indexName="idx", indexSchema=schema())
    assert code(create) == "AccessDeniedException"
    aws.grant("operator", arn, ["CreateIndex"])
    assert not refused(create)


def test_a_private_collection_needs_aoss_among_its_services(aws):
    made = aws.make_collection(services=["bedrock.amazonaws.com"])
    aws.grant("operator", aws.root, ["CreateIndex"])
    assert "network policies" in message(lambda: aws.aoss.create_index(id=made["id"], indexName="idx", indexSchema=schema()))


def test_an_index_is_there_after_its_dwell(aws):
    made = aws.make_collection()
    aws.grant("operator", aws.root, ["CreateIndex", "DescribeIndex", "UpdateIndex", "DeleteIndex"])
    aws.settings(dwell={"index_create": 1e6})
    arguments = {"id": made["id"], "indexName": "idx"}
    aws.aoss.create_index(**arguments, indexSchema=schema())
    assert code(lambda: aws.aoss.get_index(**arguments)) == "ResourceNotFoundException"
    assert code(lambda: aws.aoss.create_index(**arguments, indexSchema=schema())) == "ConflictException"
    aws.settings(dwell={"index_create": 0})
    until(lambda: not refused(lambda: aws.aoss.get_index(**arguments)))
    assert aws.aoss.get_index(**arguments)["indexSchema"] == schema()
    aws.aoss.update_index(**arguments, indexSchema={"mappings": {"properties": {"year": {"type": "long"}}}})
    assert set(aws.aoss.get_index(**arguments)["indexSchema"]["mappings"]["properties"]) == {"vector", "text", "metadata", "year"}
    assert code(lambda: aws.aoss.update_index(**arguments, indexSchema={"settings": {"index": {"knn": False}}})) == "ValidationException"
    aws.aoss.delete_index(**arguments)
    assert code(lambda: aws.aoss.delete_index(**arguments)) == "ResourceNotFoundException"


@pytest.mark.parametrize("change, fragment", [
    (lambda s: s.update(extra=1), "unknown key"),
    (lambda s: s["settings"]["index"].update(knn=False), "index.knn"),
    (lambda s: s["mappings"]["properties"]["vector"].update(dimension=0), "Dimension"),
    (lambda s: s["mappings"]["properties"]["vector"]["method"].update(engine="lucene"), "Faiss"),
    (lambda s: s["mappings"]["properties"]["vector"]["method"].update(space_type="round"), "space type"),
    (lambda s: s["mappings"]["properties"]["vector"]["method"]["parameters"].update(m=1), "parameter [m]"),
    (lambda s: s["mappings"]["properties"]["text"].update(type="string"), "No handler for type [string]"),
])
def test_schemas(change, fragment):
    body = schema()
    change(body)
    with pytest.raises(AwsError, match=fragment.replace("[", r"\[").replace("]", r"\]")):
        index_schema.check(body, "accept")


def test_the_control_plane_may_refuse_knn(aws):
    made = aws.make_collection()
    aws.grant("operator", aws.root, ["CreateIndex"])
    aws.settings(switches={"create_index_knn": "refuse"})
    assert "knn_vector" in message(lambda: aws.aoss.create_index(id=made["id"], indexName="idx", indexSchema=schema()))


@pytest.mark.parametrize("name", ["_idx", "-idx", "Idx", "1idx"])
def test_index_names(name):
    with pytest.raises(AwsError):
        index_schema.check_name(name)


def index_calls(aws, **fields):
    """What each of the control plane's four calls about an index is refused with."""
    index, change = {"id": aws.collection()["id"], "indexName": "idx"}, {"mappings": {"properties": fields}}
    return [message(call) for call in (
        lambda: aws.aoss.create_index(**index, indexSchema=schema()), lambda: aws.aoss.get_index(**index),
        lambda: aws.aoss.update_index(**index, indexSchema=change), lambda: aws.aoss.delete_index(**index))]


def test_regions_without_the_index_api(aws):
    aws.make_store()
    aws.settings(switches={"index_api": "denied"})
    assert index_calls(aws, year={"type": "double"}) == ["API is not supported"] * 4
    assert code(lambda: aws.aoss.get_index(id="none", indexName="none")) == "AccessDeniedException"
    aws.settings(switches={"index_api": "supported"})
    assert code(lambda: aws.aoss.get_index(id="none", indexName="none")) == "ResourceNotFoundException"


def test_what_update_index_takes(aws):
    """aws-truth 1.3: fields of text are documented; whether it takes others, or does anything, may be turned."""
    aws.make_store()
    index = {"id": aws.collection()["id"], "indexName": "idx"}
    add = lambda **fields: message(lambda: aws.aoss.update_index(**index, indexSchema={"mappings": {"properties": fields}}))
    shown = lambda: set(aws.aoss.get_index(**index)["indexSchema"]["mappings"]["properties"]) - {"vector", "text", "metadata"}
    aws.settings(switches={"update_index": "text"})
    assert "year" in add(year={"type": "double"}, kind={"type": "text"}) and not shown()
    assert not add(kind={"type": "text"}) and shown() == {"kind"}
    aws.settings(switches={"update_index": "ignored"})
    assert not add(year={"type": "double"}) and shown() == {"kind"}
    aws.settings(switches={"update_index": "fields"})
    assert not add(year={"type": "double"}) and shown() == {"kind", "year"}


def test_what_get_index_may_leave_out(aws):
    aws.make_store()
    get = lambda: aws.aoss.get_index(id=aws.collection()["id"], indexName="idx")["indexSchema"]
    aws.settings(switches={"get_index": "normalised"})
    normalised = get()
    aws.settings(switches={"get_index": "wrapped"})
    assert get() == {"idx": normalised}
    aws.settings(switches={"get_index": "sparse"})
    assert get()["mappings"]["properties"]["vector"] == {
        "type": "knn_vector", "dimension": 1024, "space_type": "l2", "method": {"name": "hnsw", "parameters": None}}
