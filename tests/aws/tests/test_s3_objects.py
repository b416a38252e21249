"""Objects that S3 does not treat like others: archived, too large to copy, under keys of their own, with names that XML cannot carry."""

import json
import re
import urllib.error
import urllib.request
from urllib.parse import quote

import pytest

from .conftest import REGION, allow, code, message, refused, until

NOT_READ = "The operation is not valid for the object's storage class"
NOT_COPIED = "Operation is not valid for the source object's storage class"
ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")


@pytest.fixture
def bucket(aws):
    aws.s3.create_bucket(Bucket=aws.bucket)
    return aws.bucket


def versioned(aws):
    aws.s3.put_bucket_versioning(Bucket=aws.bucket, VersioningConfiguration={"Status": "Enabled"})


def copy(aws, key, to="copy", version=None, **more):
    source = {"Bucket": aws.bucket, "Key": key, **({"VersionId": version} if version else {})}
    return aws.s3.copy_object(Bucket=aws.bucket, Key=to, CopySource=source, **more)


def status(act):
    error = refused(act)
    return error and error.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("archive", ARCHIVES)
def test_an_archived_object_is_neither_read_nor_copied(aws, bucket, archive):
    version = None
    for keeps in (False, True):
        if keeps:
            versioned(aws)
        version = aws.s3.put_object(Bucket=bucket, Key="a", Body=b"x", StorageClass=archive).get("VersionId")
        these = {"VersionId": version} if version else {}
        for act, words in ((lambda: aws.s3.get_object(Bucket=bucket, Key="a"), NOT_READ),
                           (lambda: aws.s3.get_object(Bucket=bucket, Key="a", **these), NOT_READ),
                           (lambda: copy(aws, "a"), NOT_COPIED), (lambda: copy(aws, "a", version=version), NOT_COPIED),
                           (lambda: copy(aws, "a", "a", StorageClass="STANDARD"), NOT_COPIED)):
            assert (status(act), code(act), message(act)) == (403, "InvalidObjectState", words)
    assert code(lambda: aws.s3.head_object(Bucket=bucket, Key="copy")) == "404"


@pytest.mark.parametrize("archive", ARCHIVES)
def test_an_archived_object_is_seen_overwritten_and_deleted(aws, bucket, archive):
    put = lambda **more: aws.s3.put_object(Bucket=bucket, Key="a", Body=b"x", **more)
    put(StorageClass=archive)
    assert aws.s3.head_object(Bucket=bucket, Key="a")["StorageClass"] == archive
    assert [o["StorageClass"] for o in aws.s3.list_objects_v2(Bucket=bucket)["Contents"]] == [archive]
    assert [o["StorageClass"] for o in aws.s3.list_object_versions(Bucket=bucket)["Versions"]] == [archive]
    put()
    assert aws.s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"
    put(StorageClass=archive)
    aws.s3.delete_object(Bucket=bucket, Key="a")
    put(StorageClass=archive)
    assert "Errors" not in aws.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}]})
    assert "Contents" not in aws.s3.list_objects_v2(Bucket=bucket)


def test_a_part_is_no_way_around_an_archive(aws, bucket):
    aws.s3.put_object(Bucket=bucket, Key="a", Body=b"x", StorageClass="GLACIER")
    upload = aws.s3.create_multipart_upload(Bucket=bucket, Key="b")["UploadId"]
    part = lambda: aws.s3.upload_part_copy(Bucket=bucket, Key="b", UploadId=upload, PartNumber=1, CopySource=f"{bucket}/a")
    assert code(part) == "InvalidObjectState"


def test_what_is_restored_or_only_cold_is_copied_and_becomes_standard(aws, bucket):
    versioned(aws)
    aws.s3.put_object(Bucket=bucket, Key="cold", Body=b"x", StorageClass="GLACIER_IR")
    version = aws.s3.put_object(Bucket=bucket, Key="a", Body=b"x", StorageClass="GLACIER")["VersionId"]
    restore = lambda: aws.s3.restore_object(Bucket=bucket, Key="a", RestoreRequest={"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}})
    restore()
    assert code(lambda: copy(aws, "a")) == "InvalidObjectState", "it is under way"
    until(lambda: not refused(lambda: copy(aws, "a")))
    copy(aws, "a", "of a version", version)
    copy(aws, "cold", "warm")
    for key in ("copy", "of a version", "warm"):
        assert "StorageClass" not in aws.s3.head_object(Bucket=bucket, Key=key)


def test_a_job_counts_an_archived_document_as_failed_and_indexes_the_others(aws):
    kb, source = aws.make_all()
    aws.upload("pool/other.md", "Gold is found in rivers.")
    aws.upload("pool/tagged.md", "Silver is found in mines.")
    for key in ("pool/archived.md", "pool/tagged.md.metadata.json"):
        aws.s3.put_object(Bucket=aws.bucket, Key=key, Body=b"{}", StorageClass="GLACIER")
    job = aws.ingest(kb, source)
    assert job["status"] == "COMPLETE"
    assert (job["statistics"]["numberOfDocumentsFailed"], job["statistics"]["numberOfNewDocumentsIndexed"]) == (2, 1)
    assert len(job["failureReasons"]) == 2
    for reason, key in zip(job["failureReasons"], ("pool/archived.md", "pool/tagged.md")):
        assert "InvalidObjectState" in reason and NOT_READ in reason and key in reason


def test_one_call_copies_no_more_than_5_gb(aws, bucket):
    assert aws.control("GET", "settings")["limits"]["copy_source_bytes"] == 5368709120
    aws.settings(limits={"copy_source_bytes": 10})
    versioned(aws)
    version = aws.s3.put_object(Bucket=bucket, Key="a", Body=b"x" * 11)["VersionId"]
    for act in (lambda: copy(aws, "a"), lambda: copy(aws, "a", version=version)):
        assert (status(act), code(act)) == (400, "InvalidRequest")
        assert message(act) == "The specified copy source is larger than the maximum allowable size for a copy source: 10"
    aws.s3.put_object(Bucket=bucket, Key="a", Body=b"x" * 10)
    copy(aws, "a")
    assert code(lambda: copy(aws, "a", version=version)) == "InvalidRequest", "the version counts, not what is current"
    upload = aws.s3.create_multipart_upload(Bucket=bucket, Key="b")["UploadId"]
    aws.s3.put_object(Bucket=bucket, Key="large", Body=b"x" * 11)
    aws.s3.upload_part_copy(Bucket=bucket, Key="b", UploadId=upload, PartNumber=1, CopySource=f"{bucket}/large")


def test_one_call_writes_no_more_than_5_gb(aws, bucket):
    assert aws.control("GET", "settings")["limits"]["put_object_bytes"] == 5368709120
    aws.settings(limits={"put_object_bytes": 10})
    put = lambda size: aws.s3.put_object(Bucket=bucket, Key="a", Body=b"x" * size)
    upload = aws.s3.create_multipart_upload(Bucket=bucket, Key="b")["UploadId"]
    part = lambda size: aws.s3.upload_part(Bucket=bucket, Key="b", UploadId=upload, PartNumber=1, Body=b"x" * size)
    for write in (put, part):
        write(10)
        assert (status(lambda: write(11)), code(lambda: write(11))) == (400, "EntityTooLarge")
    assert aws.s3.head_object(Bucket=bucket, Key="a")["ContentLength"] == 10


def test_a_question_mark_in_a_copied_key_names_no_version(aws, bucket):
    key = "a?versionId=1"
    aws.s3.put_object(Bucket=bucket, Key=key, Body=b"x", StorageClass="GLACIER")
    assert code(lambda: copy(aws, key)) == "InvalidObjectState"


# What XML 1.0 cannot carry, what it can only by reference, what a URL means something by, and what is merely unusual.
NOT_CARRIED = ["a\x01b", "a\x00b", "a\x0bb", "a\x1fb", "a\ufffeb", "a\uffffb"]
CARRIED = ["a\tb", "a\nb", "a\rb", "a b+c%20d", "a&<>\"'b", "ä\x7f日本"]


def versions(aws, **more):
    return aws.s3.list_object_versions(Bucket=aws.bucket, **more)


def raw(aws, method, path, body=None, **headers):
    """A request that no SDK has encoded: (status, body)."""
    key = (aws.credentials or {}).get("aws_access_key_id", aws.account)
    request = urllib.request.Request(f"{aws.endpoint}/{path}", method=method, data=body, headers={
        "authorization": f"AWS4-HMAC-SHA256 Credential={key}/20260101/{REGION}/s3/aws4_request, SignedHeaders=host, Signature=0",
        **headers})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("key", NOT_CARRIED + CARRIED, ids=repr)
def test_no_key_breaks_a_listing(aws, bucket, key):
    versioned(aws)
    key = f"p/{key}"
    for name in (key, key, f"{key}/more", "p/plain"):
        aws.s3.put_object(Bucket=bucket, Key=name, Body=b"x")
    aws.s3.delete_object(Bucket=bucket, Key=key)
    _, begun = raw(aws, "POST", f"{bucket}/{quote(key)}?uploads")         # its answer names the key, which no SDK can read
    upload = re.search("<UploadId>(.*?)</UploadId>", begun).group(1)
    assert {o["Key"] for o in aws.s3.list_objects_v2(Bucket=bucket)["Contents"]} == {f"{key}/more", "p/plain"}
    assert {o["Key"] for o in aws.s3.list_objects(Bucket=bucket, Prefix=key)["Contents"]} == {f"{key}/more"}
    listed = versions(aws, Prefix=key)
    assert listed["Prefix"] == key and [v["Key"] for v in listed["Versions"]] == [key, key, f"{key}/more"]
    assert [m["Key"] for m in listed["DeleteMarkers"]] == [key]
    assert [p["Prefix"] for p in versions(aws, Prefix=key, Delimiter="/")["CommonPrefixes"]] == [f"{key}/"]
    found, page = [], {}
    while page is not None:
        answer = versions(aws, MaxKeys=1, **page)
        found += [(v["Key"], v["VersionId"]) for v in answer.get("Versions", []) + answer.get("DeleteMarkers", [])]
        page = {"KeyMarker": answer["NextKeyMarker"], "VersionIdMarker": answer["NextVersionIdMarker"]} if answer["IsTruncated"] else None
    assert len(found) == 5 == len(set(found)) and sum(name == key for name, _ in found) == 3
    _, text = raw(aws, "GET", f"{bucket}?uploads&encoding-type=url")
    assert upload in text and "<EncodingType>url</EncodingType>" in text
    assert not set(text) & set("\x00\x01\x0b\x1f\ufffe\uffff\r")


@pytest.mark.parametrize("listing", ["list-type=2&", "versions&", ""])
def test_a_space_is_written_as_a_plus(aws, bucket, listing):
    aws.s3.put_object(Bucket=bucket, Key="p/a b+c%20d", Body=b"x")
    _, text = raw(aws, "GET", f"{bucket}?{listing}prefix=p/a%20&encoding-type=url")
    assert "<Key>p/a+b%2Bc%2520d</Key>" in text and "<Prefix>p/a+</Prefix>" in text and text.count("<EncodingType>") == 1


@pytest.mark.parametrize("key", NOT_CARRIED, ids=repr)
def test_deleteobjects_with_a_key_that_xml_cannot_carry_deletes_nothing(aws, bucket, key):
    for name in ("plain", key):
        aws.s3.put_object(Bucket=bucket, Key=name, Body=b"x")
    odd = next(c for c in key if c not in "ab")
    for written in (key, f"a&#x{ord(odd):x};b", f"a&#{ord(odd)};b"):
        body = f"<Delete><Object><Key>plain</Key></Object><Object><Key>{written}</Key></Object></Delete>".encode()
        answer = raw(aws, "POST", f"{bucket}?delete", body)
        assert answer[0] == 400 and "<Code>MalformedXML</Code>" in answer[1], written
    assert code(lambda: aws.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "plain"}, {"Key": key}]})) == "MalformedXML"
    assert len(aws.s3.list_objects_v2(Bucket=bucket)["Contents"]) == 2


@pytest.mark.parametrize("key", NOT_CARRIED + CARRIED, ids=repr)
def test_deleteobject_takes_any_key(aws, bucket, key):
    versioned(aws)
    for who in (aws, aws.make_operator(allow(["s3:*"]))):
        made = [aws.s3.put_object(Bucket=bucket, Key=key, Body=b"x")["VersionId"] for _ in range(2)]
        made.append(who.s3.delete_object(Bucket=bucket, Key=key)["VersionId"])
        assert "Contents" not in aws.s3.list_objects_v2(Bucket=bucket)
        for version in made:
            who.s3.delete_object(Bucket=bucket, Key=key, VersionId=version)
        assert not {"Versions", "DeleteMarkers"} & versions(aws).keys()


@pytest.mark.parametrize("key", CARRIED, ids=repr)
def test_deleteobjects_takes_a_key_that_xml_carries_also_beside_a_refused_one(aws, bucket, key):
    op = aws.make_operator(allow("s3:DeleteObject", f"arn:aws:s3:::{bucket}/a*"), allow("s3:DeleteObject", f"arn:aws:s3:::{bucket}/ä*"))
    for name in (key, "kept"):
        aws.s3.put_object(Bucket=bucket, Key=name, Body=b"x")
    text = key.replace("&", "&amp;").replace("<", "&lt;").replace("\r", "&#13;")
    body = f"<Delete><Object><Key>kept</Key></Object><Object><Key>{text}</Key></Object></Delete>"
    _, answer = raw(op, "POST", f"{bucket}?delete", body.encode(), **{"x-amz-security-token": op.credentials["aws_session_token"]})
    assert "<Code>AccessDenied</Code>" in answer
    assert [o["Key"] for o in aws.s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["kept"]


def test_a_job_indexes_a_document_with_a_control_character_in_its_name(aws):
    kb, source = aws.make_all()
    aws.upload("pool/a\x01b c+d.md", "Gold is found in rivers.")
    assert aws.ingest(kb, source)["statistics"]["numberOfNewDocumentsIndexed"] == 1
    assert [r["location"]["s3Location"]["uri"] for r in aws.retrieve(kb, "gold")] == [f"s3://{aws.bucket}/pool/a\x01b c+d.md"]


def test_a_key_of_more_than_1024_bytes_is_too_long(aws, bucket):
    longest, longer = "ä" * 512, "ä" * 512 + "x"
    put = lambda key: aws.s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    put(longest)
    copy(aws, longest, longest[:-1] + "bb")
    aws.s3.create_multipart_upload(Bucket=bucket, Key=longest)
    for act in (lambda: put(longer), lambda: copy(aws, longest, longer), lambda: aws.s3.create_multipart_upload(Bucket=bucket, Key=longer)):
        assert (status(act), code(act), message(act)) == (400, "KeyTooLongError", "Your key is too long")
    assert len(aws.s3.list_objects_v2(Bucket=bucket)["Contents"]) == 2


OWN = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
OWN_SOURCE = {f"CopySource{name}": value for name, value in OWN.items()}
KEYLESS = ("The object was stored using a form of Server Side Encryption. "
           "The correct parameters must be provided to retrieve the object.")


def test_an_object_under_its_writers_own_key_is_read_and_copied_only_with_it(aws, bucket):
    versioned(aws)
    version = aws.s3.put_object(Bucket=bucket, Key="a", Body=b"x", **OWN)["VersionId"]
    get = lambda **more: aws.s3.get_object(Bucket=bucket, Key="a", **more)
    for act in (get, lambda: get(VersionId=version), lambda: copy(aws, "a"), lambda: copy(aws, "a", version=version)):
        assert (status(act), code(act), message(act)) == (400, "InvalidRequest", KEYLESS)
    head = lambda **more: aws.s3.head_object(Bucket=bucket, Key="a", **more)
    assert status(head) == status(lambda: head(VersionId=version)) == 400
    assert [o["Key"] for o in aws.s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["a"], "nothing was copied"
    assert get(**OWN)["Body"].read() == b"x" and head(**OWN)["SSECustomerAlgorithm"] == "AES256"
    copy(aws, "a", **OWN_SOURCE)
    assert aws.s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"x"
    aws.s3.delete_object(Bucket=bucket, Key="a")


def test_an_own_key_does_not_let_an_archived_or_too_large_object_be_copied(aws, bucket):
    aws.settings(limits={"copy_source_bytes": 10})
    for key, more, wanted in (("a", {"StorageClass": "GLACIER"}, "InvalidObjectState"), ("b", {}, "InvalidRequest")):
        aws.s3.put_object(Bucket=bucket, Key=key, Body=b"x" * 11, **OWN, **more)
        assert code(lambda: copy(aws, key, **OWN_SOURCE)) == wanted


def test_a_job_counts_a_document_under_its_writers_own_key_as_failed(aws):
    kb, source = aws.make_all()
    aws.s3.put_object(Bucket=aws.bucket, Key="pool/own.md", Body=b"x", **OWN)
    job = aws.ingest(kb, source)
    assert job["statistics"]["numberOfDocumentsFailed"] == 1 and KEYLESS in job["failureReasons"][0]


@pytest.mark.parametrize("keeps", [False, True])
def test_an_object_under_a_kms_key_that_one_may_not_use_is_neither_read_nor_copied(aws, bucket, keeps):
    if keeps:
        versioned(aws)
    op = aws.make_operator(allow("*"))
    only = lambda *who: json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": list(who)}, "Action": "kms:*", "Resource": "*"}]})
    role = f"arn:aws:iam::{aws.account}:role/tenantry/op"
    key = aws.kms.create_key(Policy=only(f"arn:aws:iam::{aws.account}:role/other"))["KeyMetadata"]["Arn"]
    made = aws.s3.put_object(Bucket=bucket, Key="a", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    these = {"VersionId": made["VersionId"]} if keeps else {}
    get = lambda: op.s3.get_object(Bucket=bucket, Key="a", **these)
    acts = (get, lambda: copy(op, "a"), lambda: copy(op, "a", version=made.get("VersionId")))
    for act in acts:
        assert (status(act), code(act)) == (403, "AccessDenied")
        assert f"not authorized to perform: kms:Decrypt on resource: \"{key}\" because no resource-based policy allows" in message(act)
    assert [o["Key"] for o in op.s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["a"]
    aws.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=only(role, aws.root))
    for act in acts:
        act()
    aws.may(allow("*"), allow("kms:Decrypt", key, "Deny"))
    for act in acts:
        assert code(act) == "AccessDenied" and "explicit deny in an identity-based policy" in message(act)
    op.s3.delete_object(Bucket=bucket, Key="a")


def test_an_own_key_takes_the_place_of_the_buckets(aws, bucket):
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    aws.s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}]})
    op = aws.make_operator(allow("s3:*"))
    assert code(lambda: op.s3.put_object(Bucket=bucket, Key="a", Body=b"x")) == "AccessDenied"
    assert "SSEKMSKeyId" not in op.s3.put_object(Bucket=bucket, Key="a", Body=b"x", **OWN)


ALGORITHM, KMS, CLASS = (f"s3:x-amz-{name}" for name in (
    "server-side-encryption-customer-algorithm", "server-side-encryption-aws-kms-key-id", "storage-class"))


def deny(aws, *conditions, action="s3:PutObject"):
    """The bucket's policy refuses where one of these holds."""
    aws.s3.put_bucket_policy(Bucket=aws.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": f"arn:aws:s3:::{aws.bucket}/*", "Condition": condition}
        for condition in conditions]}))


def writes(aws, **more):
    """Every way to begin an object, each with these parameters."""
    yield lambda: aws.s3.put_object(Bucket=aws.bucket, Key="a", Body=b"x", **more)
    yield lambda: copy(aws, "source", **more)
    yield lambda: aws.s3.create_multipart_upload(Bucket=aws.bucket, Key="a", **more)


@pytest.fixture
def keys(aws, bucket):
    """Two KMS keys: the bucket's own and another; and an object to copy."""
    aws.s3.put_object(Bucket=bucket, Key="source", Body=b"x")
    ours, theirs = (aws.kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    aws.s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": ours}}]})
    return ours, theirs


def under(key):
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}


def test_a_policy_that_denies_own_keys_lets_every_other_write_pass(aws, bucket, keys):
    deny(aws, {"Null": {ALGORITHM: "false"}})
    for who in (aws, aws.make_operator(allow("*"))):
        assert [code(act) for act in writes(who, **OWN)] == ["AccessDenied"] * 3
        for more in ({}, under(keys[1]), {"StorageClass": "GLACIER_IR"}, {"ServerSideEncryption": "AES256"}):
            assert [code(act) for act in writes(who, **more)] == [None] * 3
    aws.s3.delete_bucket_policy(Bucket=bucket)
    aws.s3.put_object(Bucket=bucket, Key="own", Body=b"x", **OWN)
    deny(aws, {"Null": {ALGORITHM: "false"}}, action="s3:*")
    aws.s3.get_object(Bucket=bucket, Key="own", **OWN)          # of a read the key is not known
    copy(aws, "own", **OWN_SOURCE)                              # nor of a source
    assert code(lambda: copy(aws, "own", **OWN_SOURCE, **OWN)) == "AccessDenied"


def test_a_policy_sees_a_kms_key_only_where_the_request_names_it(aws, bucket, keys):
    ours, theirs = keys
    # The last is refused for another reason when no policy does: MiniStack has no key of AWS's own.
    found = lambda *conditions: (deny(aws, *conditions), [[code(act) != "AccessDenied" for act in writes(aws, **more)] for more in (
        under(ours), under(theirs), {}, {"ServerSideEncryption": "aws:kms"})])[1]
    passes, refuses = [True] * 3, [False] * 3
    for operator in ("StringNotEquals", "ArnNotEquals", "StringNotEqualsIfExists", "ArnNotEqualsIfExists"):
        # Of a request that names none all of them hold: IfExists too, for it is true of a key that is not there.
        assert found({operator: {KMS: ours}}) == [passes, refuses, refuses, refuses], operator
        # Only with Null beside it the bucket's default is left alone.
        assert found({operator: {KMS: ours}, "Null": {KMS: "false"}}) == [passes, refuses, passes, passes], operator
    assert found({"Null": {KMS: "true"}}) == [passes, passes, refuses, refuses]
    assert found({"Null": {KMS: "false"}}) == [refuses, refuses, passes, passes]
    assert found({"StringEquals": {KMS: theirs}}) == [passes, refuses, passes, passes]
    assert found({"StringEqualsIfExists": {KMS: theirs}}) == [passes, refuses, refuses, refuses]


def test_a_kms_key_is_compared_as_it_was_sent(aws, bucket, keys):
    """By id or by alias it is not its ARN, be it the bucket's own."""
    ours, _ = keys
    name = f"alias/{aws.bucket}"
    aws.kms.create_alias(AliasName=name, TargetKeyId=ours)
    names = (ours.rpartition("/")[2], name, ours.partition(":key/")[0] + ":" + name)
    # Without a policy none is refused so; that MiniStack does not know all of them is another matter.
    assert all(code(act) != "AccessDenied" for key in names for act in writes(aws, **under(key)))
    deny(aws, {"StringNotEquals": {KMS: ours}, "Null": {KMS: "false"}})
    for key in names:
        assert [code(act) for act in writes(aws, **under(key))] == ["AccessDenied"] * 3, key
    assert [code(act) for act in writes(aws, **under(ours))] == [None] * 3


@pytest.mark.parametrize("default", [True, False])
def test_a_policy_that_refuses_what_only_its_writer_could_read_lets_all_else_in(aws, bucket, keys, default):
    ours, theirs = keys
    if not default:
        aws.s3.delete_bucket_encryption(Bucket=bucket)
    other = {"StringNotEquals": {KMS: ours}} if default else {}
    deny(aws, {"Null": {ALGORITHM: "false"}}, {"Null": {KMS: "false"}, **other}, {"StringEquals": {CLASS: list(ARCHIVES)}})
    unreadable = [OWN, under(theirs), *({"StorageClass": archive} for archive in ARCHIVES), *([] if default else [under(ours)])]
    readable = [{}, {"StorageClass": "GLACIER_IR"}, {"ServerSideEncryption": "AES256"}, *([under(ours)] if default else [])]
    # Whoever may not use a key either meets the bucket's policy first.
    writer = aws.make_operator(allow("s3:*"), allow("kms:*", ours), name="writer")
    for who in (aws, aws.make_operator(allow("*")), writer):
        for more in unreadable:
            for act in writes(who, **more):
                assert code(act) == "AccessDenied" and "with an explicit deny in a resource-based policy" in message(act), more
        for more in readable:
            assert [code(act) for act in writes(who, **more)] == [None] * 3, more
    assert sorted(o["Key"] for o in aws.s3.list_objects_v2(Bucket=bucket)["Contents"]) == ["a", "copy", "source"]
    upload = aws.s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    these = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
    aws.s3.upload_part(**these, PartNumber=1, Body=b"x")
    part = aws.s3.upload_part_copy(**these, PartNumber=1, CopySource={"Bucket": bucket, "Key": "source"})["CopyPartResult"]["ETag"]
    aws.s3.complete_multipart_upload(**these, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})


def test_a_policy_sees_a_storage_class_only_where_the_request_names_it(aws, bucket, keys):
    found = lambda condition: (deny(aws, condition), [[code(act) is None for act in writes(aws, **more)] for more in (
        {"StorageClass": "GLACIER"}, {"StorageClass": "DEEP_ARCHIVE"}, {"StorageClass": "STANDARD_IA"}, {})])[1]
    passes, refuses = [True] * 3, [False] * 3
    assert found({"StringEquals": {CLASS: list(ARCHIVES)}}) == [refuses, refuses, passes, passes]
    assert found({"StringNotEquals": {CLASS: "STANDARD_IA"}}) == [refuses, refuses, passes, refuses]
    assert found({"Null": {CLASS: "false"}}) == [refuses, refuses, refuses, passes]
    assert found({"StringEquals": {CLASS: "STANDARD"}})[-1] == passes, "what is not said is not STANDARD"


def test_a_part_is_judged_by_what_its_upload_began_with(aws, bucket, keys):
    ours, _ = keys
    deny(aws, {"StringNotEquals": {KMS: ours}}, {"StringNotEquals": {CLASS: "STANDARD_IA"}})
    upload = aws.s3.create_multipart_upload(Bucket=bucket, Key="a", StorageClass="STANDARD_IA", **under(ours))["UploadId"]
    part = lambda: aws.s3.upload_part(Bucket=bucket, Key="a", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part()["ETag"]}]}
    deny(aws, {"StringEquals": {CLASS: "STANDARD_IA"}})
    assert code(part) == "AccessDenied"
    aws.s3.delete_bucket_policy(Bucket=bucket)
    aws.s3.complete_multipart_upload(Bucket=bucket, Key="a", UploadId=upload, MultipartUpload=parts)
    assert aws.s3.head_object(Bucket=bucket, Key="a")["StorageClass"] == "STANDARD_IA"


def test_a_rights_condition_on_a_storage_class_holds_only_for_who_names_it(aws, bucket, keys):
    op = aws.make_operator(allow("s3:PutObject", StringEquals={CLASS: "STANDARD_IA"}), allow(["s3:GetObject", "kms:*"]))
    assert [code(act) for act in writes(op, StorageClass="STANDARD_IA")] == [None] * 3
    assert [code(act) for act in writes(op)] == ["AccessDenied"] * 3
