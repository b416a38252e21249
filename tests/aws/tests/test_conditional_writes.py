"""Conditional writes of S3: what holds, what is refused and how, who wins a race, and policies that ask for a condition."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from botocore.exceptions import HTTPClientError

from .conftest import allow, code, message, refused, until

FAILED = ("PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold")
CONFLICT = ("ConditionalRequestConflict", 409, "The conditional request cannot succeed due to a conflicting operation against this resource.")
ABSENT = ("NoSuchKey", 404, "The specified key does not exist.")
NOT_ACCEPTED = ("NotImplemented", 501, "A header you provided implies functionality that is not implemented")
WAYS = ["put", "copy", "parts"]


@pytest.fixture
def s3(aws):
    aws.s3.create_bucket(Bucket=aws.bucket)
    return aws.s3


def version(aws):
    aws.s3.put_bucket_versioning(Bucket=aws.bucket, VersioningConfiguration={"Status": "Enabled"})


def begin(who, key="k", body=b"new"):
    """An upload in parts, with all of its parts: what completes it."""
    at = {"Bucket": who.bucket, "Key": key}
    at["UploadId"] = who.s3.create_multipart_upload(**at)["UploadId"]
    part = who.s3.upload_part(**at, PartNumber=1, Body=body)["ETag"]
    return {**at, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": part}]}}


def write(who, way="put", key="k", body=b"new", **condition):
    """Its ETag."""
    if way == "put":
        return who.s3.put_object(Bucket=who.bucket, Key=key, Body=body, **condition)["ETag"]
    if way == "copy":
        who.s3.put_object(Bucket=who.bucket, Key="source", Body=body)
        return who.s3.copy_object(Bucket=who.bucket, Key=key, CopySource=f"{who.bucket}/source", **condition)["CopyObjectResult"]["ETag"]
    return who.s3.complete_multipart_upload(**begin(who, key, body), **condition)["ETag"]


def read(who, key="k"):
    return who.s3.get_object(Bucket=who.bucket, Key=key)["Body"].read()


def answer(act):
    """(code, status, message) of a refusal, or None."""
    error = refused(act)
    return error and (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"],
                      error.response["Error"]["Message"])


def said(act, element):
    return refused(act).response["Error"][element]


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_if_none_match_writes_only_what_is_not_there(aws, s3, way, versioned):
    if versioned:
        version(aws)
    assert not refused(lambda: write(aws, way, body=b"1", IfNoneMatch="*"))
    again = lambda: write(aws, way, body=b"2", IfNoneMatch="*")
    assert answer(again) == FAILED and said(again, "Condition") == "If-None-Match"
    assert read(aws) == b"1"
    s3.delete_object(Bucket=aws.bucket, Key="k")        # a delete marker is no object
    assert not refused(again) and read(aws) == b"2"


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_if_match_writes_only_over_what_was_read(aws, s3, way, versioned):
    if versioned:
        version(aws)
    put = lambda etag, body=b"new": write(aws, way, body=body, IfMatch=etag)
    first = write(aws, body=b"1")
    second = put(first, b"2")
    assert second != first and put(second.strip('"'), b"3") and read(aws) == b"3"
    assert answer(lambda: put(first)) == FAILED and said(lambda: put(first), "Condition") == "If-Match"
    assert answer(lambda: put('"other"')) == FAILED and read(aws) == b"3"
    third = s3.head_object(Bucket=aws.bucket, Key="k")["ETag"]
    s3.delete_object(Bucket=aws.bucket, Key="k")
    assert answer(lambda: put(third)) == ABSENT and said(lambda: put(third), "Key") == "k"


@pytest.mark.parametrize("versioned", [False, True])
def test_if_match_under_kms_knows_the_same_bytes_written_again(aws, s3, versioned):
    """Under KMS an ETag is new with every write, so that an old one does not match."""
    if versioned:
        version(aws)
    kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": aws.kms.create_key()["KeyMetadata"]["Arn"]}
    put = lambda **condition: write(aws, body=b"same", **kms, **condition)
    first = put(IfNoneMatch="*")
    second = put(IfMatch=first)
    assert answer(lambda: put(IfMatch=first)) == FAILED and not refused(lambda: put(IfMatch=second))
    assert answer(lambda: put(IfNoneMatch="*")) == FAILED


def test_without_kms_an_etag_is_its_contents(aws, s3):
    """A, B, and A again: the first ETag matches, so what must not be taken for another needs something of its own in it."""
    first = write(aws, body=b"A")
    write(aws, body=b"B")
    write(aws, body=b"A")
    assert not refused(lambda: write(aws, body=b"C", IfMatch=first))


@pytest.mark.parametrize("condition, header, why", [
    ({"IfNoneMatch": '"etag"'}, "If-None-Match", "We don't accept the provided value of If-None-Match header for this API"),
    ({"IfMatch": "*"}, "If-Match", "We don't accept the provided value of If-Match header for this API"),
    ({"IfMatch": "etag", "IfNoneMatch": "*"}, "If-Match,If-None-Match", "Multiple conditional request headers present in the request")])
@pytest.mark.parametrize("way", WAYS)
def test_what_s3_does_not_accept(aws, s3, way, condition, header, why):
    act = lambda: write(aws, way, **condition)
    assert answer(act) == NOT_ACCEPTED
    assert said(act, "Header") == header and said(act, "additionalMessage") == why
    assert code(lambda: read(aws)) == "NoSuchKey"


@pytest.mark.parametrize("name", ["IfMatch", "IfNoneMatch"])
def test_a_condition_without_a_value_is_not_known(aws, s3, name):
    write(aws)
    put = lambda: write(aws, **{name: ""})
    assert answer(put) == NOT_ACCEPTED
    aws.settings(switches={"empty_condition": "ignored"})
    assert not refused(put)


def test_the_bucket_comes_first(aws):
    for condition in ({"IfMatch": "etag"}, {"IfNoneMatch": "*"}):
        assert code(lambda: aws.s3.put_object(Bucket="nowhere-at-all", Key="k", Body=b"x", **condition)) == "NoSuchBucket"


def test_conditions_of_reads_and_deletions(aws, s3):
    etag, at = write(aws), {"Bucket": aws.bucket, "Key": "k"}
    for act in (s3.get_object, s3.head_object):
        assert code(lambda: act(**at, IfNoneMatch=etag)) == "304" and not refused(lambda: act(**at, IfMatch=etag))
        assert refused(lambda: act(**at, IfMatch="other")).response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert code(lambda: s3.delete_object(**at, IfMatch="other")) == "PreconditionFailed"
    assert not refused(lambda: s3.delete_object(**at, IfMatch=etag))


@pytest.mark.parametrize("versioned", [False, True])
def test_only_what_is_unchanged_is_deleted_or_copied(aws, s3, versioned):
    """Under KMS the same bytes written again are another object."""
    if versioned:
        version(aws)
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    first = write(aws, body=b"same", **kms)
    second = write(aws, body=b"same", **kms)
    at, where = {"Bucket": aws.bucket, "Key": "k"}, f"{aws.bucket}/k"
    copy = lambda etag: s3.copy_object(Bucket=aws.bucket, Key="copy", CopySource=where, CopySourceIfMatch=etag)
    assert code(lambda: copy(first)) == "PreconditionFailed" and not refused(lambda: copy(second))
    assert code(lambda: s3.delete_object(**at, IfMatch=first)) == "PreconditionFailed"
    many = lambda etag: s3.delete_objects(Bucket=aws.bucket, Delete={"Objects": [{"Key": "k", "ETag": etag}, {"Key": "copy"}]})
    assert [(e["Key"], e["Code"]) for e in many(first)["Errors"]] == [("k", "PreconditionFailed")]
    assert read(aws) == b"same" and code(lambda: read(aws, "copy")) == "NoSuchKey"
    assert "Errors" not in many(second) and code(lambda: read(aws)) == "NoSuchKey"
    assert code(lambda: s3.delete_object(**at, IfMatch=second)) == "NoSuchKey"


def test_to_delete_what_is_unchanged_one_must_be_allowed_to_read_it(aws, s3):
    etag, at = write(aws), {"Bucket": aws.bucket, "Key": "k"}
    op = aws.make_operator(allow("s3:DeleteObject"))
    assert code(lambda: op.s3.delete_object(**at, IfMatch=etag)) == "AccessDenied"
    errors = op.s3.delete_objects(Bucket=aws.bucket, Delete={"Objects": [{"Key": "k", "ETag": etag}]})["Errors"]
    assert [(e["Key"], e["Code"]) for e in errors] == [("k", "AccessDenied")]
    aws.may(allow("s3:DeleteObject"), allow("s3:GetObject"))
    assert not refused(lambda: op.s3.delete_object(**at, IfMatch=etag))


# Uploads in parts: what others do between their beginning and their end

def test_parts_and_a_deletion_meanwhile(aws, s3):
    write(aws, body=b"1")
    complete = lambda upload, **condition: s3.complete_multipart_upload(**upload, **condition)
    upload, old = begin(aws), s3.head_object(Bucket=aws.bucket, Key="k")["ETag"]
    assert answer(lambda: complete(upload, IfNoneMatch="*")) == FAILED
    s3.delete_object(Bucket=aws.bucket, Key="k")
    assert answer(lambda: complete(upload, IfNoneMatch="*")) == CONFLICT
    assert said(lambda: complete(upload, IfNoneMatch="*"), "Condition") == "If-None-Match"
    assert answer(lambda: complete(upload, IfMatch=old)) == ABSENT
    assert not refused(lambda: complete(begin(aws), IfNoneMatch="*"))            # begun again, it may
    assert code(lambda: complete({**upload, "UploadId": "none"}, IfNoneMatch="*")) == "NoSuchUpload"


@pytest.mark.parametrize("body", [b"1", b"2"], ids=["the same bytes", "others"])
def test_parts_and_a_write_meanwhile(aws, s3, body):
    first = write(aws, body=b"1")
    complete = lambda upload, **condition: s3.complete_multipart_upload(**upload, **condition)
    upload = begin(aws)
    second = write(aws, body=body)
    if second != first:
        assert answer(lambda: complete(upload, IfMatch=first)) == FAILED
    assert answer(lambda: complete(upload, IfMatch=second)) == CONFLICT
    assert answer(lambda: complete(upload, IfNoneMatch="*")) == FAILED
    assert not refused(lambda: complete(begin(aws), IfMatch=second))


def test_parts_under_way_are_no_object(aws, s3):
    upload = begin(aws)
    assert not refused(lambda: write(aws, body=b"1", IfNoneMatch="*"))
    assert answer(lambda: s3.complete_multipart_upload(**upload, IfNoneMatch="*")) == FAILED and read(aws) == b"1"
    s3.delete_objects(Bucket=aws.bucket, Delete={"Objects": [{"Key": "k"}]})
    assert answer(lambda: s3.complete_multipart_upload(**upload, IfNoneMatch="*")) == CONFLICT


# Races

@contextmanager
def under_way(aws, acts):
    """Each of these has arrived and waits; what they are answered later."""
    hold = aws.control("POST", "hold", {"point": "conditional_write", "match": f"{aws.bucket}/k"})["id"]
    with ThreadPoolExecutor(len(acts)) as pool:
        try:
            answers = [pool.submit(answer, act) for act in acts]
            until(lambda: len(aws.control("GET", "holds")["holds"][0]["waiting"]) == len(acts))
            yield answers
        finally:
            aws.control("POST", "release", {"id": hold})


@pytest.mark.parametrize("status, lost", [(412, FAILED), (409, CONFLICT)])
@pytest.mark.parametrize("way", ["put", "parts"])
@pytest.mark.parametrize("over", [False, True], ids=["new", "over another"])
def test_one_of_many_wins(aws, s3, way, over, status, lost):
    """AWS may answer either to the others (switch `conditional_race`)."""
    aws.settings(switches={"conditional_race": status})
    condition = {"IfMatch": write(aws, body=b"old")} if over else {"IfNoneMatch": "*"}
    bodies = [f"{n}".encode() for n in range(6)]
    if way == "put":
        acts = [lambda body=body: write(aws, body=body, **condition) for body in bodies]
    else:
        acts = [lambda upload=begin(aws, body=body): s3.complete_multipart_upload(**upload, **condition) for body in bodies]
    with under_way(aws, acts) as answers:
        assert code(lambda: read(aws)) == (None if over else "NoSuchKey")
    answers = [a.result() for a in answers]
    assert answers.count(None) == 1 and answers.count(lost) == len(acts) - 1
    assert read(aws) == bodies[answers.index(None)]
    assert answer(lambda: write(aws, way, **condition)) == FAILED                # who comes later has lost no race


@pytest.mark.parametrize("status", [412, 409])
def test_one_of_many_wins_however_they_arrive(aws, s3, status):
    aws.settings(switches={"conditional_race": status})
    acts = [lambda n=n: write(aws, body=f"{n}".encode(), IfNoneMatch="*") for n in range(12)]
    with ThreadPoolExecutor(len(acts)) as pool:
        answers = list(pool.map(answer, acts))
    assert answers.count(None) == 1 and set(answers) <= {None, FAILED, CONFLICT}
    assert read(aws) == f"{answers.index(None)}".encode()


def meanwhile(aws, act, other):
    """What a conditional write was answered while whose way another call was made."""
    with under_way(aws, [act]) as answers:
        other()
    return answers[0].result()


@pytest.mark.parametrize("status, none_match, same_bytes, others", [(412, None, None, FAILED), (409, CONFLICT, CONFLICT, CONFLICT)])
def test_another_call_meanwhile(aws, s3, status, none_match, same_bytes, others):
    """Where AWS may answer 409, it may as well decide by what is there in the end."""
    aws.settings(switches={"conditional_race": status})
    delete = lambda: s3.delete_object(Bucket=aws.bucket, Key="k")
    etag = write(aws, body=b"1")
    assert meanwhile(aws, lambda: write(aws, IfNoneMatch="*"), delete) == none_match
    etag = write(aws, body=b"1")
    assert meanwhile(aws, lambda: write(aws, IfMatch=etag), delete) == ABSENT
    etag = write(aws, body=b"1")
    assert meanwhile(aws, lambda: write(aws, IfMatch=etag), lambda: write(aws, body=b"1")) == same_bytes
    etag = write(aws, body=b"1")
    assert meanwhile(aws, lambda: write(aws, IfMatch=etag), lambda: write(aws, body=b"2")) == others
    assert meanwhile(aws, lambda: write(aws, IfNoneMatch="*"), lambda: write(aws, key="another")) == FAILED


def test_a_lost_answer_is_told_by_the_body(aws, s3):
    """It may have taken effect or not, and the same request again fails either way: only the body says whose write it was."""
    put = lambda body: write(aws, key="tenants/a.json", body=body, IfNoneMatch="*")
    aws.control("POST", "faults", {"operation": "PutObject", "each": "resource", "count": 2, "drop": "after"})
    with pytest.raises(HTTPClientError):
        put(b"mine")
    assert answer(lambda: put(b"mine")) == FAILED and read(aws, "tenants/a.json") == b"mine"
    assert answer(lambda: put(b"theirs")) == FAILED and read(aws, "tenants/a.json") != b"theirs"
    aws.control("DELETE", "faults")
    s3.delete_object(Bucket=aws.bucket, Key="tenants/a.json")
    aws.control("POST", "faults", {"operation": "PutObject", "drop": "before"})
    with pytest.raises(HTTPClientError):
        put(b"mine")
    assert code(lambda: read(aws, "tenants/a.json")) == "NoSuchKey"


def test_the_journal_shows_conditions(aws, s3):
    etag = write(aws, IfNoneMatch="*")
    write(aws, IfMatch=etag)
    write(aws)
    shown = [{k: v for k, v in e["params"]["headers"].items() if k.startswith("if-")} for e in aws.journal(operation="PutObject")]
    assert shown == [{"if-none-match": "*"}, {"if-match": etag}, {}]


# Permissions

def guard(aws, **conditions):
    """A bucket policy that denies writes of records without a condition."""
    records = [f"arn:aws:s3:::{aws.bucket}/lock.json", f"arn:aws:s3:::{aws.bucket}/tenants/*"]
    aws.s3.put_bucket_policy(Bucket=aws.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {**allow("s3:PutObject", records, effect="Deny", **conditions), "Principal": "*"}]}))


ABSENT_BOTH = {"s3:if-match": "true", "s3:if-none-match": "true"}


@pytest.mark.parametrize("who", ["root", "session"])
@pytest.mark.parametrize("way", ["put", "copy"])
def test_a_bucket_policy_asks_for_a_condition(aws, s3, way, who):
    guard(aws, Null=ABSENT_BOTH)
    caller = aws if who == "root" else aws.make_operator()
    for key in ("lock.json", "tenants/a.json"):
        bare = lambda: write(caller, way, key)
        assert code(bare) == "AccessDenied" and "s3:PutObject" in message(bare)
        assert "with an explicit deny in a resource-based policy" in message(bare)
        etag = write(caller, way, key, IfNoneMatch="*")
        assert code(bare) == "AccessDenied" and answer(lambda: write(caller, way, key, IfNoneMatch="*")) == FAILED
        assert not refused(lambda: write(caller, way, key, IfMatch=etag))
        assert answer(lambda: write(caller, way, key, IfNoneMatch="etag")) == NOT_ACCEPTED
    assert not refused(lambda: write(caller, way, "elsewhere"))


def test_a_bucket_policy_and_uploads_in_parts(aws, s3):
    """What begins them and their parts take no conditions: the policy exempts them, or there are none."""
    guard(aws, Null=ABSENT_BOTH)
    assert code(lambda: begin(aws, "lock.json")) == "AccessDenied"
    guard(aws, Null=ABSENT_BOTH, Bool={"s3:ObjectCreationOperation": "true"})
    complete = lambda upload, **condition: s3.complete_multipart_upload(**upload, **condition)
    upload = begin(aws, "lock.json")
    assert code(lambda: complete(upload)) == "AccessDenied" and not refused(lambda: complete(upload, IfNoneMatch="*"))
    etag, upload = s3.head_object(Bucket=aws.bucket, Key="lock.json")["ETag"], begin(aws, "lock.json")
    assert code(lambda: complete(upload)) == "AccessDenied" and not refused(lambda: complete(upload, IfMatch=etag))
    assert code(lambda: write(aws, key="lock.json")) == "AccessDenied"


def test_a_bucket_policy_allows_by_condition(aws, s3):
    """As AWS's page has it: one statement for each condition, one for the parts, and GetObject for ETags."""
    op = aws.make_operator(allow("kms:*"))
    who, what = {"Principal": {"AWS": f"arn:aws:iam::{aws.account}:role/tenantry/op"}}, f"arn:aws:s3:::{aws.bucket}/*"
    statements = [{**allow("s3:PutObject", what, Null={"s3:if-none-match": "false"}), **who},
                  {**allow("s3:PutObject", what, Null={"s3:if-match": "false"}), **who},
                  {**allow("s3:PutObject", what, Bool={"s3:ObjectCreationOperation": "false"}), **who}]
    rule = lambda *more: s3.put_bucket_policy(Bucket=aws.bucket, Policy=json.dumps(
        {"Version": "2012-10-17", "Statement": [*statements, *more]}))
    rule()
    assert code(lambda: write(op)) == "AccessDenied" and code(lambda: write(op, "parts")) == "AccessDenied"
    etag = write(op, IfNoneMatch="*")
    assert not refused(lambda: write(op, "parts", "other", IfNoneMatch="*"))
    assert "s3:GetObject on resource" in message(lambda: write(op, IfMatch=etag))
    rule({**allow("s3:GetObject", what), **who})
    assert not refused(lambda: write(op, IfMatch=etag))


def test_a_policy_sees_the_values(aws, s3):
    etag = write(aws)
    op = aws.make_operator(allow("s3:PutObject", StringEquals={"s3:if-none-match": "*"}), allow("s3:GetObject"))
    assert not refused(lambda: write(op, key="new", IfNoneMatch="*")) and code(lambda: write(op, IfMatch=etag)) == "AccessDenied"
    aws.may(allow("s3:PutObject", StringLike={"s3:if-match": f"*{etag.strip(chr(34))}*"}), allow("s3:GetObject"))
    assert code(lambda: write(op, IfNoneMatch="*")) == "AccessDenied" and code(lambda: write(op, IfMatch="other")) == "AccessDenied"
    assert not refused(lambda: write(op, IfMatch=etag))
    assert aws.journal(operation="PutObject")[-1]["actions"] == ["s3:PutObject", "s3:GetObject"]


def test_a_condition_of_a_read_is_none_of_a_policys(aws, s3):
    etag = write(aws)
    op = aws.make_operator(allow("s3:GetObject", Null={"s3:if-none-match": "true", "s3:if-match": "true", "s3:ObjectCreationOperation": "true"}))
    assert not refused(lambda: op.s3.get_object(Bucket=aws.bucket, Key="k", IfMatch=etag))
