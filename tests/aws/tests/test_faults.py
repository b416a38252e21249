"""Part 7: every call of every service can be throttled, failed, denied, delayed, and dropped before or after it took effect."""

import json
import socket
import threading
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import HTTPClientError, ReadTimeoutError

from .conftest import REGION, Aws, code, message, refused, schema, until

READS = {
    "s3": lambda aws: aws.s3.list_buckets(), "iam": lambda aws: aws.iam.list_roles(), "kms": lambda aws: aws.kms.list_keys(),
    "aoss": lambda aws: aws.aoss.list_collections(), "bedrock-agent": lambda aws: aws.agent.list_knowledge_bases(),
    "sts": lambda aws: aws.sts.get_caller_identity()}
CODES = {
    "throttled": {"s3": "SlowDown", "iam": "Throttling", "sts": "Throttling"},
    "failed": {"s3": "InternalError", "iam": "ServiceFailure", "kms": "KMSInternalException", "sts": "InternalFailure",
               "bedrock-agent": "InternalServerException", "aoss": "InternalServerException"},
    "denied": {"s3": "AccessDenied", "iam": "AccessDenied", "sts": "AccessDenied"}}
DEFAULT = {"throttled": "ThrottlingException", "denied": "AccessDeniedException", "failed": None}
STATUS = {"s3": {"throttled": 503, "failed": 500, "denied": 403}, "bedrock-agent": {"throttled": 429, "failed": 500, "denied": 403}}


@pytest.mark.parametrize("fault", CODES)
@pytest.mark.parametrize("service", READS)
def test_in_the_shape_of_each_service(aws, service, fault):
    aws.control("POST", "faults", {"service": service, "first": 2, "count": 1, "fault": fault})
    errors = [refused(lambda: READS[service](aws)) for _ in range(3)]
    assert [bool(e) for e in errors] == [False, True, False]
    assert errors[1].response["Error"]["Code"] == CODES[fault].get(service, DEFAULT[fault])
    status = errors[1].response["ResponseMetadata"]["HTTPStatusCode"]
    assert status == STATUS.get(service, {}).get(fault, status) and (status >= 500) == (fault == "failed" or status == 503)
    assert [bool(e["error"]) for e in aws.journal()] == [False, True, False]
    assert aws.control("GET", "faults")["faults"][0]["hit"] == 1


def test_a_code_of_ones_own_late_and_for_one_resource(aws):
    aws.control("POST", "faults", {"operation": "GetRole", "resource": "k*", "code": "Odd", "message": "so", "status": 418, "delay": 0.2})
    assert code(lambda: aws.iam.get_role(RoleName="other")) == "NoSuchEntity"
    started = time.monotonic()
    assert code(lambda: aws.iam.get_role(RoleName="kb")) == "Odd"
    assert time.monotonic() - started >= 0.2


def test_one_caller_alone(aws):
    op = aws.make_operator()
    aws.control("POST", "faults", {"caller": "*assumed-role/op/*", "count": 9, "fault": "denied"})
    assert not refused(aws.kms.list_keys) and "not authorized to perform: kms:ListKeys on resource: *" in message(op.kms.list_keys)


def test_slow_objects_hold_up_nobody_else(aws, endpoint):
    """Who asks for a slow object waits, and meanwhile everybody else is answered, be it for the same bucket or by the same client."""
    aws.s3.create_bucket(Bucket=aws.bucket)
    for key in ("slow/1", "slow/2", "fast/1"):
        aws.s3.put_object(Bucket=aws.bucket, Key=key, Body=b"x")
    other = Aws(endpoint, str(int(aws.account) + 10 ** 6))
    other.s3.create_bucket(Bucket=other.bucket)
    other.s3.put_object(Bucket=other.bucket, Key="slow/1", Body=b"x")
    aws.control("POST", "faults", {"service": "s3", "operation": "GetObject", "resource": f"{aws.bucket}/slow/*", "count": 2, "delay": 2})
    get = lambda key, who=aws: who.s3.get_object(Bucket=who.bucket, Key=key)["Body"].read()
    answered = []
    waiting = [threading.Thread(target=lambda key=key: answered.append(get(key))) for key in ("slow/1", "slow/2")]
    started = time.monotonic()
    for thread in waiting:
        thread.start()
    until(lambda: aws.control("GET", "faults")["faults"][0]["hit"] == 2)
    get("fast/1")
    get("slow/1")                                             # the third: the rule was for two
    get("slow/1", other)
    aws.s3.head_object(Bucket=aws.bucket, Key="slow/2")
    aws.s3.put_object(Bucket=aws.bucket, Key="slow/2", Body=b"y")
    assert not answered and time.monotonic() - started < 2
    slow = lambda: [e for e in aws.journal(operation="GetObject") if "/slow/" in e["resource"]]
    assert len(slow()) == 1, "a call is in the journal once it is answered"
    for thread in waiting:
        thread.join()
    assert time.monotonic() - started >= 2 and sorted(answered) == [b"x", b"y"], "it is carried out after the delay"
    assert len(slow()) == 3 and max(e["time"] for e in slow()) == slow()[0]["time"], "with the time at which it came"


def test_some_keys_of_many_cannot_be_deleted(aws):
    """What matches is answered as an error and stays, the others are deleted; and so for as many calls as name such a key."""
    aws.s3.create_bucket(Bucket=aws.bucket)
    aws.s3.put_bucket_versioning(Bucket=aws.bucket, VersioningConfiguration={"Status": "Enabled"})
    made = {key: aws.s3.put_object(Bucket=aws.bucket, Key=key, Body=b"x")["VersionId"] for key in ("a/1", "a/2", "b/1", "b/2")}
    aws.control("POST", "faults", {"key": "a/*", "code": "InternalError", "message": "so", "count": 2})
    aws.control("POST", "faults", {"key": "b/2", "fault": "denied", "count": 2})
    delete = lambda *keys: aws.s3.delete_objects(Bucket=aws.bucket, Delete={"Quiet": True, "Objects": [
        {"Key": key, "VersionId": made[key]} for key in keys]})
    errors = delete("a/1", "a/2", "b/1", "b/2")["Errors"]
    assert [(e["Key"], e["VersionId"], e["Code"]) for e in errors] == [
        (key, made[key], wanted) for key, wanted in (("a/1", "InternalError"), ("a/2", "InternalError"), ("b/2", "AccessDenied"))]
    assert errors[0]["Message"] == "so" and f"s3:DeleteObjectVersion on resource: \"arn:aws:s3:::{aws.bucket}/b/2\"" in errors[2]["Message"]
    assert [v["Key"] for v in aws.s3.list_object_versions(Bucket=aws.bucket)["Versions"]] == ["a/1", "a/2", "b/2"]
    assert "Errors" not in delete("b/1"), "it names no such key, and does not count"
    assert [e["Key"] for e in delete("a/2")["Errors"]] == ["a/2"]
    assert [e["Key"] for e in delete("a/1", "a/2", "b/2")["Errors"]] == ["b/2"]
    assert "Errors" not in delete("b/2")
    assert "Versions" not in aws.s3.list_object_versions(Bucket=aws.bucket)
    assert [f["hit"] for f in aws.control("GET", "faults")["faults"]] == [2, 2]


def test_a_rule_for_keys_concerns_no_other_call_and_no_other_account(aws, endpoint):
    aws.control("POST", "faults", {"key": "*", "code": "Odd", "count": 9})
    other = Aws(endpoint, str(int(aws.account) + 10 ** 6))
    for who in (aws, other):
        who.s3.create_bucket(Bucket=who.bucket)
        who.s3.put_object(Bucket=who.bucket, Key="a", Body=b"x")
    delete = lambda who: who.s3.delete_objects(Bucket=who.bucket, Delete={"Objects": [{"Key": "a"}]})
    assert "Errors" not in delete(other) and delete(aws)["Errors"][0]["Code"] == "Odd"
    aws.s3.delete_object(Bucket=aws.bucket, Key="a")
    assert "Contents" not in aws.s3.list_objects_v2(Bucket=aws.bucket)


@pytest.mark.parametrize("wrong", [{"key": "*"}, {"key": "*", "delay": 1}, {"key": "*", "code": "X", "drop": "before"}, {"fault": "slow"}, {"drop": "during"}, {"operation": "GetRole"}, {"code": "X", "nth": 2}])
def test_a_script_with_mistakes_is_refused(aws, wrong):
    with pytest.raises(AssertionError, match="wrong or unknown"):
        aws.control("POST", "faults", wrong)


def changes(aws):
    """Every change that an operator makes in AWS and waits for: (operation, act, whether it has taken effect)."""
    s3, iam, kms, aoss, agent, bucket = aws.s3, aws.iam, aws.kms, aws.aoss, aws.agent, aws.bucket
    there = lambda act: refused(act) is None
    gone = lambda act: refused(act) is not None
    state = {}
    key = lambda: state.setdefault("key", next(k["KeyId"] for k in kms.list_keys()["Keys"]))
    rules = [{"ResourceType": "collection", "Resource": ["collection/coll"]}]
    yield "CreateKey", lambda: kms.create_key(), lambda: bool(kms.list_keys()["Keys"])
    yield "CreateAlias", lambda: kms.create_alias(AliasName="alias/a", TargetKeyId=key()), lambda: bool(kms.list_aliases()["Aliases"])
    yield "CreateBucket", lambda: s3.create_bucket(Bucket=bucket), lambda: there(lambda: s3.head_bucket(Bucket=bucket))
    yield ("PutBucketVersioning", lambda: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}),
           lambda: "Status" in s3.get_bucket_versioning(Bucket=bucket))
    yield ("PutObject", lambda: s3.put_object(Bucket=bucket, Key="pool/a", Body=b"x"),
           lambda: there(lambda: s3.head_object(Bucket=bucket, Key="pool/a")))
    policy = json.dumps({"Rules": rules, "AWSOwnedKey": True})
    yield ("CreateSecurityPolicy", lambda: aoss.create_security_policy(type="encryption", name="coll", policy=policy),
           lambda: there(lambda: aoss.get_security_policy(type="encryption", name="coll")))
    aoss.create_security_policy(type="network", name="coll", policy=json.dumps([{"Rules": rules, "AllowFromPublic": True}]))
    yield ("CreateCollection", lambda: aoss.create_collection(name="coll", type="VECTORSEARCH"),
           lambda: bool(aoss.batch_get_collection(names=["coll"])["collectionDetails"]))
    until(lambda: aws.collection()["status"] == "ACTIVE")
    yield ("CreateRole", lambda: iam.create_role(RoleName="kb", Path="/tenantry/", AssumeRolePolicyDocument=aws.trust()),
           lambda: there(lambda: iam.get_role(RoleName="kb")))
    yield ("PutRolePolicy", lambda: aws.put_permissions(aws.permissions(aws.collection()["arn"])),
           lambda: there(lambda: iam.get_role_policy(RoleName="kb", PolicyName="kb")))
    yield ("CreateAccessPolicy", lambda: aws.grant("kb-role", aws.role_arn, ["*"]),
           lambda: there(lambda: aoss.get_access_policy(type="data", name="kb-role")))
    aws.grant("operator", aws.root, ["*"])
    identifier = aws.collection()["id"]
    index = lambda: aoss.get_index(id=identifier, indexName="idx")
    yield "CreateIndex", lambda: aoss.create_index(id=identifier, indexName="idx", indexSchema=schema()), lambda: there(index)
    until(lambda: there(index))
    time.sleep(0.02)
    kbs = lambda: agent.list_knowledge_bases()["knowledgeBaseSummaries"]
    yield "CreateKnowledgeBase", lambda: agent.create_knowledge_base(**aws.kb_arguments()), lambda: bool(kbs())
    kb = kbs()[0]["knowledgeBaseId"]
    until(lambda: kbs()[0]["status"] == "ACTIVE")
    sources = lambda: agent.list_data_sources(knowledgeBaseId=kb)["dataSourceSummaries"]
    yield "CreateDataSource", lambda: agent.create_data_source(**aws.source_arguments(kb)), lambda: bool(sources())
    ids = {"knowledgeBaseId": kb, "dataSourceId": sources()[0]["dataSourceId"]}
    jobs = lambda: agent.list_ingestion_jobs(**ids)["ingestionJobSummaries"]
    yield "StartIngestionJob", lambda: agent.start_ingestion_job(**ids), lambda: bool(jobs())
    until(lambda: jobs()[0]["status"] == "COMPLETE")
    yield "DeleteDataSource", lambda: agent.delete_data_source(**ids), lambda: not sources()
    yield "DeleteKnowledgeBase", lambda: agent.delete_knowledge_base(knowledgeBaseId=kb), lambda: not kbs()
    yield "DeleteIndex", lambda: aoss.delete_index(id=identifier, indexName="idx"), lambda: gone(index)
    yield ("DeleteCollection", lambda: aoss.delete_collection(id=identifier),
           lambda: not aoss.batch_get_collection(names=["coll"])["collectionDetails"])
    yield ("DeleteSecurityPolicy", lambda: aoss.delete_security_policy(type="encryption", name="coll"),
           lambda: gone(lambda: aoss.get_security_policy(type="encryption", name="coll")))
    yield ("DeleteRolePolicy", lambda: iam.delete_role_policy(RoleName="kb", PolicyName="kb"),
           lambda: gone(lambda: iam.get_role_policy(RoleName="kb", PolicyName="kb")))
    yield "DeleteRole", lambda: iam.delete_role(RoleName="kb"), lambda: gone(lambda: iam.get_role(RoleName="kb"))
    versions = lambda: s3.list_object_versions(Bucket=bucket).get("Versions", [])
    yield ("DeleteObjects", lambda: s3.delete_objects(Bucket=bucket, Delete={"Objects": [
        {"Key": v["Key"], "VersionId": v["VersionId"]} for v in versions()]}), lambda: not versions())
    yield "DeleteBucket", lambda: s3.delete_bucket(Bucket=bucket), lambda: gone(lambda: s3.head_bucket(Bucket=bucket))
    yield "DeleteAlias", lambda: kms.delete_alias(AliasName="alias/a"), lambda: not kms.list_aliases()["Aliases"]
    yield ("ScheduleKeyDeletion", lambda: kms.schedule_key_deletion(KeyId=key(), PendingWindowInDays=7),
           lambda: kms.describe_key(KeyId=key())["KeyMetadata"]["KeyState"] == "PendingDeletion")


@pytest.mark.parametrize("fault, applied", [
    ({"drop": "after"}, True), ({"drop": "before"}, False), ({"fault": "throttled"}, False), ({"fault": "failed"}, False),
    ({"fault": "denied"}, False)], ids=str)
def test_every_operation_once(aws, fault, applied):
    """One rule for the whole script: each change meets the fault the first time, and has taken effect or not."""
    aws.control("POST", "faults", {"each": "operation", "mutating": True, **fault})
    wanted = []
    for operation, act, done in changes(_Patient(aws)):
        wanted.append(operation)
        with pytest.raises(Exception) as failure:
            act()
        assert isinstance(failure.value, HTTPClientError) == ("drop" in fault), operation
        if applied:
            until(done)
        else:
            time.sleep(0.01)
            assert not done(), operation
            assert not refused(act), operation
            until(done)
    hits = {hit.split()[0].split(":")[1] for hit in aws.control("GET", "faults")["faults"][0]["hits"]}
    assert hits == set(wanted)
    dropped = [e for e in aws.journal() if e["error"] == "Dropped"]
    assert [e["mutating"] for e in dropped] == [True] * len(wanted) * ("drop" in fault)


def test_the_last_call_of_a_process_that_dies(aws):
    """It takes effect and is not answered; what else the process asks to change never arrives, until another comes."""
    op = aws.make_operator()
    kms = boto3.client("kms", region_name=REGION, endpoint_url=op.endpoint, **op.credentials,
                       config=Config(retries={"total_max_attempts": 1}, read_timeout=0.3))
    aws.control("POST", "faults", {"caller": "*assumed-role/op/*", "operation": "CreateKey", "first": 2, "drop": "last"})
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    for act in (kms.create_key, lambda: kms.create_alias(AliasName="alias/a", TargetKeyId=key)):
        with pytest.raises(ReadTimeoutError):
            act()
    assert len(kms.list_keys()["Keys"]) == 2, "who reads is answered"
    assert [(e["operation"], e["status"]) for e in aws.journal(error="Dropped")] == [("CreateKey", 200), ("CreateAlias", 0)]
    aws.control("DELETE", "faults")
    kms.create_alias(AliasName="alias/a", TargetKeyId=key)


def test_an_answer_is_lost_only_where_there_is_one(aws):
    aws.control("POST", "faults", {"operation": "DeleteRole", "drop": "after"})
    assert code(lambda: aws.iam.delete_role(RoleName="none")) == "NoSuchEntity"
    assert aws.control("GET", "faults")["faults"][0]["seen"] == 0


class _Patient:
    """The account, for a script in which some helper calls come a second time in any case."""

    def __init__(self, aws):
        self._aws = aws

    def __getattr__(self, name):
        return getattr(self._aws, name)


# S3's errors: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and those of botocore's model.
S3_ERRORS = [
    ("AccessDenied", 403), ("AccountProblem", 403), ("AllAccessDisabled", 403), ("BadDigest", 400), ("ConditionalRequestConflict", 409),
    ("EntityTooLarge", 400), ("EntityTooSmall", 400), ("ExpiredToken", 400), ("InternalError", 500), ("InvalidAccessKeyId", 403),
    ("InvalidArgument", 400), ("InvalidBucketState", 409), ("InvalidDigest", 400), ("InvalidEncryptionAlgorithmError", 400),
    ("InvalidObjectState", 403), ("InvalidRequest", 400), ("InvalidStorageClass", 400), ("InvalidToken", 400), ("KeyTooLongError", 400),
    ("KMS.DisabledException", 400), ("KMS.KMSInvalidStateException", 400), ("KMS.NotFoundException", 400), ("MalformedXML", 400),
    ("MethodNotAllowed", 405), ("NoSuchBucket", 404), ("NoSuchKey", 404), ("NoSuchUpload", 404), ("NoSuchVersion", 404),
    ("NotImplemented", 501), ("ObjectAlreadyInActiveTierError", 403), ("ObjectNotInActiveTierError", 403), ("OperationAborted", 409),
    ("PreconditionFailed", 412), ("RequestTimeout", 400), ("RequestTimeTooSkewed", 403), ("ServiceUnavailable", 503),
    ("SignatureDoesNotMatch", 403), ("SlowDown", 503), ("TokenRefreshRequired", 400), ("TooManyParts", 400), ("XAmzContentSHA256Mismatch", 400)]


def object_calls(aws):
    at = {"Bucket": aws.bucket, "Key": "a"}
    return {"GetObject": lambda: aws.s3.get_object(**at), "PutObject": lambda: aws.s3.put_object(Body=b"y", **at),
            "CopyObject": lambda: aws.s3.copy_object(CopySource=f"{aws.bucket}/a", Bucket=aws.bucket, Key="b"),
            "DeleteObject": lambda: aws.s3.delete_object(**at),
            "DeleteObjects": lambda: aws.s3.delete_objects(Bucket=aws.bucket, Delete={"Objects": [{"Key": "a"}]})}


def test_every_error_of_s3_passes_as_it_was_scripted_and_nothing_happens(aws):
    aws.s3.create_bucket(Bucket=aws.bucket)
    aws.s3.put_object(Bucket=aws.bucket, Key="a", Body=b"x")
    text = "Not <now> & \"here\", später"
    for operation, act in object_calls(aws).items():
        for name, status in S3_ERRORS:
            aws.control("POST", "faults", {"service": "s3", "operation": operation, "code": name, "status": status, "message": text})
            response = refused(act).response
            assert (response["Error"]["Code"], response["Error"]["Message"]) == (name, text), operation
            assert response["ResponseMetadata"]["HTTPStatusCode"] == status, (operation, name)
            entry = aws.journal(operation=operation)[-1]
            assert (entry["error"], entry["status"], entry["message"]) == (name, status, text)
    assert [o["Key"] for o in aws.s3.list_objects_v2(Bucket=aws.bucket)["Contents"]] == ["a"]
    assert aws.s3.get_object(Bucket=aws.bucket, Key="a")["Body"].read() == b"x"


def test_every_error_of_s3_passes_for_a_key_of_many(aws):
    aws.s3.create_bucket(Bucket=aws.bucket)
    text = "Not <now> & \"here\", später"
    for name, _ in S3_ERRORS:
        aws.s3.put_object(Bucket=aws.bucket, Key=f"kept/{name}", Body=b"x")
        aws.control("POST", "faults", {"service": "s3", "operation": "DeleteObjects", "key": f"kept/{name}", "code": name, "message": text})
    aws.s3.put_object(Bucket=aws.bucket, Key="gone", Body=b"x")
    answer = aws.s3.delete_objects(Bucket=aws.bucket, Delete={"Objects": [{"Key": "gone"}, *({"Key": f"kept/{name}"} for name, _ in S3_ERRORS)]})
    assert [(e["Key"], e["Code"], e["Message"]) for e in answer["Errors"]] == [(f"kept/{name}", name, text) for name, _ in S3_ERRORS]
    assert [d["Key"] for d in answer["Deleted"]] == ["gone"]
    assert len(aws.s3.list_objects_v2(Bucket=aws.bucket)["Contents"]) == len(S3_ERRORS)


def test_a_copy_may_fail_within_an_answer_of_200(aws):
    aws.s3.create_bucket(Bucket=aws.bucket)
    aws.s3.put_object(Bucket=aws.bucket, Key="a", Body=b"x")
    aws.control("POST", "faults", {"operation": "CopyObject", "code": "SlowDown", "status": 200})
    copy = object_calls(aws)["CopyObject"]
    assert code(copy) == "SlowDown" and aws.journal(operation="CopyObject")[-1]["status"] == 200
    assert not refused(copy)


def test_a_request_that_breaks_off_has_not_arrived(aws):
    """Half of a body is not written for the whole. An object of those bytes would be there, or be refused and be in the journal."""
    aws.s3.create_bucket(Bucket=aws.bucket)
    host, _, port = aws.endpoint.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall((f"PUT /{aws.bucket}/half.md HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n"
                            f"Authorization: AWS4-HMAC-SHA256 Credential={aws.account}/20260101/{REGION}/s3/aws4_request, "
                            "SignedHeaders=host, Signature=0\r\n\r\nhalf of it").encode())
        aws.s3.list_objects_v2(Bucket=aws.bucket)       # it has been read by now
    for _ in range(5):
        assert aws.s3.list_objects_v2(Bucket=aws.bucket)["KeyCount"] == 0
    assert [e["operation"] for e in aws.journal() if e["mutating"]] == ["CreateBucket"]
