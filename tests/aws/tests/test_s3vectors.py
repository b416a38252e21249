"""Amazon S3 Vectors by itself: buckets, indexes, tags, policies and keys (model of botocore; S3's user guide)."""

import datetime
import json

import botocore.session
import pytest

from double import model

from .conftest import allow, code, message, pages, refused, until

NO_BUCKET, NO_INDEX = "The specified vector bucket could not be found", "The specified index could not be found"


@pytest.fixture
def vb(aws):
    aws.vectors.create_vector_bucket(vectorBucketName="vbkt", tags={"team": "a"})
    return aws


def index(aws, name="idx", **changes):
    return aws.vectors.create_index(**{"vectorBucketName": "vbkt", "indexName": name, "dataType": "float32", "dimension": 4,
                                       "distanceMetric": "cosine", **changes})["indexArn"]


# buckets and indexes

def test_a_bucket_from_beginning_to_end(aws):
    arn = aws.vectors.create_vector_bucket(vectorBucketName="vbkt")["vectorBucketArn"]
    assert arn == aws.vector_arn
    for by in ({"vectorBucketName": "vbkt"}, {"vectorBucketArn": arn}):
        shown = aws.vectors.get_vector_bucket(**by)["vectorBucket"]
        assert isinstance(shown.pop("creationTime"), datetime.datetime)
        assert shown == {"vectorBucketName": "vbkt", "vectorBucketArn": arn, "encryptionConfiguration": {"sseType": "AES256"},
                         "defaultIndexMode": "ENHANCED"}
    error = refused(lambda: aws.vectors.create_vector_bucket(vectorBucketName="vbkt")).response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == ("ConflictException", 409)
    assert error["Error"]["Message"] == "A vector bucket with the specified name already exists"
    aws.vectors.delete_vector_bucket(vectorBucketArn=arn)
    for act in (aws.vectors.get_vector_bucket, aws.vectors.delete_vector_bucket, aws.vectors.list_indexes,
                aws.vectors.get_vector_bucket_policy):
        error = refused(lambda: act(vectorBucketName="vbkt")).response
        assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == ("NotFoundException", 404)
        assert error["Error"]["Message"] == NO_BUCKET
    aws.vectors.create_vector_bucket(vectorBucketName="vbkt")


def test_moments_are_seconds_on_the_wire(vb):
    """Other than Bedrock's: the model names no format, and AWS answers whole numbers."""
    value = {"vectorBucket": {"vectorBucketName": "vbkt", "vectorBucketArn": vb.vector_arn, "creationTime": 1779025868.25}}
    _, body = model.answer("s3vectors", "GetVectorBucket", value)
    assert json.loads(body)["vectorBucket"]["creationTime"] == 1779025868
    _, body = model.answer("bedrock-agent", "ListKnowledgeBases", {"knowledgeBaseSummaries": [
        {"knowledgeBaseId": "K", "name": "k", "status": "ACTIVE", "updatedAt": 0}]})
    assert json.loads(body)["knowledgeBaseSummaries"][0]["updatedAt"].startswith("1970-01-01T")


def test_an_index_from_beginning_to_end(vb):
    keys = {"nonFilterableMetadataKeys": ["AMAZON_BEDROCK_TEXT", "AMAZON_BEDROCK_METADATA"]}
    arn = index(vb, metadataConfiguration=keys)
    assert arn == vb.vector_index_arn
    for by in ({"vectorBucketName": "vbkt", "indexName": "idx"}, {"indexArn": arn}):
        shown = vb.vectors.get_index(**by)["index"]
        del shown["creationTime"]
        assert shown == {"vectorBucketName": "vbkt", "indexName": "idx", "indexArn": arn, "dataType": "float32", "dimension": 4,
                         "distanceMetric": "cosine", "metadataConfiguration": keys, "encryptionConfiguration": {"sseType": "AES256"},
                         "indexMode": "ENHANCED"}
    assert message(lambda: index(vb)) == "An index with the specified name already exists"
    assert message(lambda: vb.vectors.delete_vector_bucket(vectorBucketName="vbkt")) == "The specified vector bucket is not empty"
    vb.vectors.delete_index(indexArn=arn)
    for act in (vb.vectors.get_index, vb.vectors.delete_index):
        assert (code(lambda: act(indexArn=arn)), message(lambda: act(indexArn=arn))) == ("NotFoundException", NO_INDEX)
    assert "metadataConfiguration" not in vb.vectors.get_index(indexArn=index(vb))["index"]
    vb.vectors.delete_index(vectorBucketName="vbkt", indexName="idx")
    vb.vectors.delete_vector_bucket(vectorBucketName="vbkt")


@pytest.mark.parametrize("operation, arguments, text", [
    ("create_vector_bucket", {"vectorBucketName": "sh"}, "length greater than or equal to 3"),
    ("create_vector_bucket", {"vectorBucketName": "x" * 64}, "length less than or equal to 63"),
    ("create_vector_bucket", {"vectorBucketName": "with_under_score"}, "Invalid vector bucket name"),
    ("create_vector_bucket", {"vectorBucketName": "with.dots"}, "Invalid vector bucket name"),
    ("create_vector_bucket", {"vectorBucketName": "-edge"}, "Invalid vector bucket name"),
    ("create_vector_bucket", {"vectorBucketName": "new", "tags": {"aws:x": "y"}}, "reserved"),
    ("create_vector_bucket", {"vectorBucketName": "new", "tags": {f"k{n}": "v" for n in range(51)}}, "at most 50 tags"),
    ("create_vector_bucket", {"vectorBucketName": "new", "tags": {"k": "a,b"}}, "regular expression"),
    ("create_vector_bucket", {"vectorBucketName": "new", "encryptionConfiguration": {"sseType": "DSSE"}}, "enum value set"),
    ("create_index", {"indexName": "Upper"}, "Invalid index name"),
    ("create_index", {"dimension": 4097}, "less than or equal to 4096"),
    ("create_index", {"dimension": 0}, "greater than or equal to 1"),
    ("create_index", {"dataType": "binary"}, "[float32]"),
    ("create_index", {"distanceMetric": "dotproduct"}, "enum value set"),
    ("create_index", {"metadataConfiguration": {"nonFilterableMetadataKeys": ["k"] * 11}}, "less than or equal to 10"),
    ("create_index", {"metadataConfiguration": {"nonFilterableMetadataKeys": ["k", "k"]}}, "unique"),
    ("create_index", {"vectorBucketName": None}, "Must specify either vectorBucketName or vectorBucketArn but not both"),
    ("list_indexes", {"vectorBucketName": "vbkt", "vectorBucketArn": "ARN"}, "Must specify either vectorBucketName or vectorBucketArn"),
    ("get_index", {"vectorBucketName": "vbkt", "indexArn": "ARN/index/idx"}, "Must specify either indexArn or both vectorBucketName and"),
    ("get_index", {"vectorBucketName": "vbkt"}, "Must specify either indexArn or both vectorBucketName and indexName")])
def test_what_is_refused(vb, operation, arguments, text):
    base = {"vectorBucketName": "vbkt", "indexName": "idx", "dataType": "float32", "dimension": 4, "distanceMetric": "cosine"} \
        if operation == "create_index" else {}
    given = json.loads(json.dumps({k: v for k, v in {**base, **arguments}.items() if v is not None}).replace("ARN", vb.vector_arn))
    error = refused(lambda: getattr(vb.vectors, operation)(**given)).response
    assert error["Error"]["Code"] == "ValidationException" and text in error["Error"]["Message"], error


def test_where_a_mistake_is(vb):
    error = refused(lambda: index(vb, dimension=9999)).response
    assert [f["path"] for f in error["fieldList"]] == ["/dimension"]


def test_another_region_and_account_are_not_reached(vb):
    for arn in (vb.vector_index_arn.replace(vb.account, "999999999999"), vb.vector_index_arn.replace("us-east-1", "eu-west-1")):
        assert code(lambda: vb.vectors.get_index(indexArn=arn)) == "AccessDeniedException"


def test_every_pattern_of_the_model_can_be_checked():
    service = botocore.session.get_session().get_service_model("s3vectors")
    for shape in service.shape_names:
        pattern = service.shape_for(shape).metadata.get("pattern")
        if pattern:
            model._pattern(pattern)


def test_lists_page_and_have_prefixes(vb):
    for name in ("vbkt-1", "vbkt-2", "other"):
        vb.vectors.create_vector_bucket(vectorBucketName=name)
    for name in ("one", "two", "three"):
        index(vb, name)
    names = [b["vectorBucketName"] for p in pages(vb.vectors.list_vector_buckets, prefix="vbkt") for b in p["vectorBuckets"]]
    assert names == ["vbkt", "vbkt-1", "vbkt-2"]
    found = [i for p in pages(vb.vectors.list_indexes, vectorBucketName="vbkt") for i in p["indexes"]]
    assert [i["indexName"] for i in found] == ["one", "three", "two"] and set(found[0]) == {
        "vectorBucketName", "indexName", "indexArn", "creationTime"}
    assert [i["indexName"] for i in vb.vectors.list_indexes(vectorBucketName="vbkt", prefix="t")["indexes"]] == ["three", "two"]
    vb.settings(lag={"vector_list": 1e6})
    assert vb.vectors.list_indexes(vectorBucketName="vbkt")["indexes"] == [] == vb.vectors.list_vector_buckets()["vectorBuckets"]


def test_quotas(vb):
    vb.settings(limits={"vector_buckets": 1, "vector_indexes": 1})
    index(vb)
    for act in (lambda: index(vb, "two"), lambda: vb.vectors.create_vector_bucket(vectorBucketName="another")):
        error = refused(act).response
        assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == ("ServiceQuotaExceededException", 402)


def test_a_name_comes_back_at_once_or_later(vb):
    index(vb)
    vb.settings(dwell={"vector_index_name": 6e4, "vector_bucket_name": 6e4, "vector_bucket_empty": 6e4})
    vb.vectors.delete_index(indexArn=vb.vector_index_arn)
    assert code(lambda: index(vb)) == "ConflictException"
    assert message(lambda: vb.vectors.delete_vector_bucket(vectorBucketName="vbkt")) == "The specified vector bucket is not empty"
    vb.settings(dwell={"vector_bucket_empty": 0})
    until(lambda: not refused(lambda: vb.vectors.delete_vector_bucket(vectorBucketName="vbkt")))
    create = lambda: vb.vectors.create_vector_bucket(vectorBucketName="vbkt")
    assert (code(create), code(lambda: vb.vectors.get_vector_bucket(vectorBucketName="vbkt"))) == ("ConflictException", "NotFoundException")
    vb.settings(dwell={"vector_bucket_name": 0, "vector_index_name": 0})
    until(lambda: not refused(create))
    until(lambda: not refused(lambda: index(vb)))


def test_modes_of_new_and_of_old_buckets(vb):
    classic = lambda: vb.vectors.put_vector_bucket_default_index_mode(vectorBucketName="vbkt", defaultIndexMode="CLASSIC")
    assert "September 30, 2026" in message(classic)
    vb.settings(switches={"vector_bucket_mode": "CLASSIC"})
    vb.vectors.create_vector_bucket(vectorBucketName="old")
    assert vb.vectors.get_vector_bucket(vectorBucketName="old")["vectorBucket"]["defaultIndexMode"] == "CLASSIC"
    arn = index(vb, vectorBucketName="old")
    mode = lambda: vb.vectors.get_index(indexArn=arn)["index"]["indexMode"]
    vb.vectors.put_vector_bucket_default_index_mode(vectorBucketName="old", defaultIndexMode="ENHANCED")
    assert mode() == "CLASSIC"
    vb.vectors.update_index_mode(indexArn=arn, indexMode="ENHANCED")
    assert mode() == "ENHANCED" == vb.vectors.get_index(indexArn=index(vb, "two", vectorBucketName="old"))["index"]["indexMode"]
    classic()


def test_tags(vb):
    arn = index(vb, tags={"tenantry.dev/owner-uid": "1"})
    shown = lambda arn: vb.vectors.list_tags_for_resource(resourceArn=arn)["tags"]
    assert shown(arn) == {"tenantry.dev/owner-uid": "1"} and shown(vb.vector_arn) == {"team": "a"}
    vb.vectors.tag_resource(resourceArn=arn, tags={"tenantry.dev/owner-uid": "2", "b": ""})
    vb.vectors.untag_resource(resourceArn=arn, tagKeys=["b", "never there"])
    assert shown(arn) == {"tenantry.dev/owner-uid": "2"} and shown(vb.vector_arn) == {"team": "a"}
    assert code(lambda: vb.vectors.tag_resource(resourceArn=arn, tags={f"k{n}": "v" for n in range(50)})) == "ValidationException"
    assert message(lambda: shown(arn + "x")) == NO_INDEX and message(lambda: shown(vb.vector_arn + "x")) == NO_BUCKET
    assert code(lambda: shown("arn:aws:s3:::bucket")) == "ValidationException"
    assert vb.journal(operation="TagResource")[0]["resource"] == "vbkt/idx"


# policies

def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def put_policy(aws, *statements):
    aws.vectors.put_vector_bucket_policy(vectorBucketName="vbkt", policy=document(*statements))


def anybody(effect, actions, resource, **condition):
    return {**allow(actions, resource, effect=effect, **condition), "Principal": "*"}


def test_a_policy_from_beginning_to_end(vb):
    read = lambda: vb.vectors.get_vector_bucket_policy(vectorBucketName="vbkt")["policy"]
    assert message(read) == "The specified vector bucket policy could not be found"
    vb.vectors.delete_vector_bucket_policy(vectorBucketName="vbkt")
    for wrong in ("{", "{}", document(), document(allow("s3vectors:*")), document({**anybody("Maybe", "*", "*")})):
        assert code(lambda: vb.vectors.put_vector_bucket_policy(vectorBucketName="vbkt", policy=wrong)) == "ValidationException"
    text = document(anybody("Deny", ["s3vectors:GetVectors"], ["*"]))
    vb.vectors.put_vector_bucket_policy(vectorBucketArn=vb.vector_arn, policy=text)
    assert read() == text
    vb.settings(switches={"vector_policy_shown": "normalised"})
    shown = json.loads(read())
    assert shown["Statement"] == [{"Effect": "Deny", "Action": "s3vectors:GetVectors", "Resource": "*", "Principal": {"AWS": "*"}}]
    vb.settings(limits={"vector_policy_bytes": 10})
    assert code(lambda: put_policy(vb, anybody("Deny", "*", "*"))) == "ValidationException"
    vb.vectors.delete_vector_bucket_policy(vectorBucketArn=vb.vector_arn)
    assert code(read) == "NotFoundException"


def test_a_policy_can_take_effect_late(vb):
    vb.settings(lag={"vector_policy": 1e6})
    index(vb)
    put_policy(vb, anybody("Deny", "s3vectors:GetIndex", "*"))
    vb.vectors.get_index(indexArn=vb.vector_index_arn)
    vb.settings(lag={"vector_policy": 0})
    told = message(lambda: vb.vectors.get_index(indexArn=vb.vector_index_arn))
    assert told.endswith("with an explicit deny in a resource-based policy"), told


TAG, PLAIN = "tenantry.dev/tenant-id", "tenant-id"
VECTORS = ["s3vectors:GetVectors", "s3vectors:QueryVectors", "s3vectors:ListVectors", "s3vectors:PutVectors", "s3vectors:DeleteVectors"]


def fence(aws, tag):
    """As the operator would write it: our roles only, and each only at the index of its tenant."""
    every = f"{aws.vector_arn}/index/*"
    return (anybody("Deny", VECTORS, every, ArnNotLike={"aws:PrincipalArn": f"arn:aws:iam::{aws.account}:role/tenantry/prod/*"}),
            anybody("Deny", VECTORS, every, StringNotEquals={f"aws:ResourceTag/{tag}": f"${{aws:PrincipalTag/{tag}}}"}))


def member(aws, name, path="/tenantry/prod/", tags=None):
    """A session of a role with every right to S3 Vectors."""
    arn = aws.make_role_for(name, aws.root, allow("s3vectors:*"), path=path)
    if tags:
        aws.iam.tag_role(RoleName=name, Tags=[{"Key": k, "Value": v} for k, v in tags.items()])
    return aws.assume(arn)


def reads(aws, session):
    return refused(lambda: session.vectors.get_vectors(indexArn=aws.vector_index_arn, keys=["k"])) is None


@pytest.mark.parametrize("tag", [TAG, PLAIN])
def test_who_is_kept_from_a_tenants_index(vb, tag):
    index(vb, tags={tag: "acme"})
    put_policy(vb, *fence(vb, tag))
    own = member(vb, "own", tags={tag: "acme"})
    assert reads(vb, own)
    for other in (member(vb, "stranger", path="/", tags={tag: "acme"}), member(vb, "globex", tags={tag: "globex"}), member(vb, "untagged"), vb):
        assert not reads(vb, other)
    assert not refused(lambda: own.vectors.get_index(indexArn=vb.vector_index_arn))


def test_a_key_with_a_slash_as_a_policys_variable_both_ways(vb):
    """Nobody says whether it is resolved. If not, the fence keeps everybody out; a key without one is the way out."""
    index(vb, tags={TAG: "acme", PLAIN: "acme"})
    own = member(vb, "own", tags={TAG: "acme", PLAIN: "acme"})
    put_policy(vb, *fence(vb, TAG))
    assert reads(vb, own)
    vb.settings(switches={"policy_variables": "slashless"})
    assert not reads(vb, own)
    put_policy(vb, *fence(vb, PLAIN))
    assert reads(vb, own)


def test_a_policy_can_allow_too(vb):
    index(vb)
    arn = vb.make_role_for("guest", vb.root, allow("s3:*"))
    guest = vb.assume(arn)
    assert not reads(vb, guest)
    put_policy(vb, {**allow("s3vectors:GetVectors", vb.vector_index_arn), "Principal": {"AWS": arn}})
    assert reads(vb, guest)


# rights

def test_every_call_asks_for_its_action_on_its_resource(vb):
    index(vb)
    bucket, whole = vb.vector_arn, vb.vector_index_arn
    session = vb.make_operator(allow("s3:*"))
    named, at = {"vectorBucketName": "vbkt"}, {"indexArn": whole}
    calls = [
        ("create_vector_bucket", {"vectorBucketName": "new"}, "CreateVectorBucket", bucket.replace("/vbkt", "/new")),
        ("get_vector_bucket", named, "GetVectorBucket", bucket), ("delete_vector_bucket", named, "DeleteVectorBucket", bucket),
        ("put_vector_bucket_policy", {**named, "policy": "{}"}, "PutVectorBucketPolicy", bucket),
        ("get_vector_bucket_policy", named, "GetVectorBucketPolicy", bucket),
        ("delete_vector_bucket_policy", named, "DeleteVectorBucketPolicy", bucket),
        ("put_vector_bucket_default_index_mode", {**named, "defaultIndexMode": "ENHANCED"}, "PutVectorBucketDefaultIndexMode", bucket),
        ("list_indexes", named, "ListIndexes", bucket), ("list_vector_buckets", {}, "ListVectorBuckets", "*"),
        ("create_index", {**named, "indexName": "new", "dataType": "float32", "dimension": 1, "distanceMetric": "cosine"}, "CreateIndex",
         f"{bucket}/index/new"),
        ("get_index", at, "GetIndex", whole), ("delete_index", {**named, "indexName": "idx"}, "DeleteIndex", whole),
        ("update_index_mode", {**at, "indexMode": "ENHANCED"}, "UpdateIndexMode", whole),
        ("tag_resource", {"resourceArn": whole, "tags": {}}, "TagResource", whole),
        ("untag_resource", {"resourceArn": bucket, "tagKeys": ["k"]}, "UntagResource", bucket),
        ("list_tags_for_resource", {"resourceArn": whole}, "ListTagsForResource", whole),
        ("put_vectors", {**at, "vectors": [{"key": "k", "data": {"float32": [1]}}]}, "PutVectors", whole),
        ("get_vectors", {**at, "keys": ["k"]}, "GetVectors", whole), ("list_vectors", at, "ListVectors", whole),
        ("delete_vectors", {**at, "keys": ["k"]}, "DeleteVectors", whole),
        ("query_vectors", {**at, "topK": 1, "queryVector": {"float32": [1]}}, "QueryVectors", whole)]
    for operation, arguments, action, resource in calls:
        error = refused(lambda: getattr(session.vectors, operation)(**arguments)).response["Error"]
        assert error["Code"] == "AccessDeniedException"
        assert error["Message"] == (
            f"User: arn:aws:sts::{vb.account}:assumed-role/op/operator is not authorized to perform: s3vectors:{action} on resource: "
            f"{resource} because no identity-based policy allows the s3vectors:{action} action")


def test_tags_in_conditions(vb):
    """aws:ResourceTag is the index's own, s3vectors:VectorBucketTag that of the bucket around it."""
    index(vb, tags={"team": "b"})
    session = vb.make_operator()
    get = lambda: session.vectors.get_index(indexArn=vb.vector_index_arn)
    for key, value, right in (("aws:ResourceTag/team", "b", True), ("aws:ResourceTag/team", "a", False),
                              ("s3vectors:VectorBucketTag/team", "a", True), ("s3vectors:VectorBucketTag/team", "b", False)):
        vb.may(allow("s3vectors:GetIndex", StringEquals={key: value}))
        assert (refused(get) is None) == right
    vb.may(allow("s3vectors:GetVectorBucket", StringEquals={"aws:ResourceTag/team": "a", "s3vectors:VectorBucketTag/team": "a"}))
    session.vectors.get_vector_bucket(vectorBucketName="vbkt")


def test_creation_with_tags_and_its_conditions(vb):
    session = vb.make_operator(allow("s3vectors:CreateIndex", StringEquals={"aws:RequestTag/a": "1"}))
    assert "s3vectors:TagResource on" in message(lambda: index(session, tags={"a": "1"}))
    vb.may(allow(["s3vectors:CreateIndex", "s3vectors:TagResource"], StringEquals={"aws:RequestTag/a": "1"},
                 **{"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}))
    assert "s3vectors:CreateIndex on" in message(lambda: index(session, tags={"a": "1", "b": "2"}))
    index(session, tags={"a": "1"})
    vb.may(allow("s3vectors:CreateIndex"), allow("s3vectors:CreateIndex", effect="Deny", StringNotEquals={"s3vectors:sseType": "aws:kms"}))
    assert "explicit deny" in message(lambda: index(session, "two", encryptionConfiguration={"sseType": "AES256"}))


def test_metadata_needs_a_second_right(vb):
    index(vb)
    session, at = vb.make_operator(allow(["s3vectors:QueryVectors", "s3vectors:ListVectors"])), {"indexArn": vb.vector_index_arn}
    ask = lambda **more: session.vectors.query_vectors(**at, topK=1, queryVector={"float32": [1, 0, 0, 0]}, **more)
    ask(returnDistance=True)
    session.vectors.list_vectors(**at)
    for act in (lambda: ask(returnMetadata=True), lambda: ask(filter={"a": "b"}), lambda: session.vectors.list_vectors(**at, returnData=True)):
        assert "s3vectors:GetVectors on" in message(act)


# keys

def key_policy(aws, *more):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": aws.root}, "Action": "kms:*", "Resource": "*"}, *more]})


def indexing(aws, source=None):
    return {"Effect": "Allow", "Principal": {"Service": "indexing.s3vectors.amazonaws.com"}, "Action": "kms:Decrypt", "Resource": "*",
            "Condition": {"ArnLike": {"aws:SourceArn": source or f"arn:aws:s3vectors:us-east-1:{aws.account}:bucket/*"},
                          "StringEquals": {"aws:SourceAccount": aws.account},
                          "ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": ["aws:s3vectors:arn", "aws:s3vectors:resource-id"]}}}


def make_key(aws, *statements):
    return aws.kms.create_key(Policy=key_policy(aws, *statements))["KeyMetadata"]["Arn"]


def under(key):
    return {"encryptionConfiguration": {"sseType": "aws:kms", "kmsKeyArn": key}}


def test_a_key_and_its_kind_belong_together(vb):
    key = make_key(vb, indexing(vb))
    for given, text in (({"sseType": "AES256", "kmsKeyArn": key}, "kmsKeyArn must not be specified when sseType is AES256."),
                        ({"kmsKeyArn": key}, "kmsKeyArn must not be specified when sseType is AES256."),
                        ({"sseType": "aws:kms"}, "kmsKeyArn must be specified when sseType is set to aws:kms")):
        error = refused(lambda: index(vb, encryptionConfiguration=given)).response
        assert (error["Error"]["Message"], error["fieldList"][0]["path"]) == (text, "EncryptionConfiguration")


def test_the_indexing_service_must_be_let_in(vb):
    key = make_key(vb)
    error = refused(lambda: index(vb, **under(key))).response["Error"]
    assert (error["Code"], error["Message"]) == ("AccessDeniedException", "Insufficient access to perform asynchronous indexing")
    create = lambda: vb.vectors.create_vector_bucket(vectorBucketName="under-kms", **under(key))
    assert code(create) == "AccessDeniedException"
    vb.settings(switches={"vector_bucket_key": "unchecked"})
    create()
    assert "asynchronous indexing" in message(lambda: index(vb, vectorBucketName="under-kms"))          # the bucket's key is the index's
    vb.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=key_policy(vb, indexing(vb)))
    arn = index(vb, vectorBucketName="under-kms")
    assert vb.vectors.get_index(indexArn=arn)["index"]["encryptionConfiguration"] == under(key)["encryptionConfiguration"]
    other = index(vb, "two", vectorBucketName="under-kms", encryptionConfiguration={"sseType": "AES256"})
    assert vb.vectors.get_index(indexArn=other)["index"]["encryptionConfiguration"] == {"sseType": "AES256"}


def test_whom_the_indexing_service_works_for_both_ways(vb):
    key = make_key(vb, indexing(vb, vb.vector_arn))
    assert "asynchronous indexing" in message(lambda: index(vb, **under(key)))
    vb.settings(switches={"vector_indexing_source": "bucket"})
    index(vb, **under(key))


def test_a_key_that_is_not_there_or_not_usable(vb):
    gone = f"arn:aws:kms:us-east-1:{vb.account}:key/00000000-0000-0000-0000-000000000000"
    error = refused(lambda: index(vb, **under(gone))).response["Error"]
    assert (error["Code"], error["Message"]) == ("AccessDeniedException", f"Key '{gone}' does not exist")
    key = make_key(vb, indexing(vb))
    at = {"indexArn": index(vb, **under(key)), "keys": ["k"]}
    vb.kms.disable_key(KeyId=key)
    assert code(lambda: index(vb, "two", **under(key))) == "AccessDeniedException"
    assert code(lambda: vb.vectors.get_vectors(**at)) == "KmsDisabledException"
    vb.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert code(lambda: vb.vectors.get_vectors(**at)) == "KmsInvalidStateException"
    assert not refused(lambda: vb.vectors.delete_index(indexArn=at["indexArn"]))


def test_who_makes_or_reads_something_under_a_key_needs_it(vb):
    key = make_key(vb, indexing(vb))
    session = vb.make_operator(allow("s3vectors:*"))
    assert "kms:GenerateDataKey on" in message(lambda: index(session, **under(key)))
    via = {"StringEquals": {"kms:ViaService": "s3vectors.us-east-1.amazonaws.com"}}
    vb.may(allow("s3vectors:*"), allow("kms:GenerateDataKey", key, **via))
    at = {"indexArn": index(session, **under(key)), "keys": ["k"]}
    session.vectors.get_index(indexArn=at["indexArn"])
    assert "kms:Decrypt on" in message(lambda: session.vectors.get_vectors(**at))
    vb.may(allow("s3vectors:*"), allow("kms:Decrypt", key, **via))
    session.vectors.get_vectors(**at)


# faults

def test_faults_have_the_services_shape(vb):
    for fault, expected, status in (("throttled", "TooManyRequestsException", 429), ("failed", "InternalServerException", 500),
                                    ("denied", "AccessDeniedException", 403)):
        vb.control("POST", "faults", {"service": "s3vectors", "operation": "GetVectorBucket", "resource": "vbkt", "fault": fault})
        error = refused(lambda: vb.vectors.get_vector_bucket(vectorBucketName="vbkt")).response
        assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (expected, status)
    assert {e["error"] for e in vb.journal(operation="GetVectorBucket")} == {
        "TooManyRequestsException", "InternalServerException", "AccessDeniedException"}
    vb.control("POST", "faults", {"service": "s3vectors", "operation": "CreateIndex", "drop": "after"})
    with pytest.raises(Exception):
        index(vb)
    assert code(lambda: index(vb)) == "ConflictException" and not refused(lambda: vb.vectors.get_index(indexArn=vb.vector_index_arn))
