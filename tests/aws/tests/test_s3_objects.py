"""Objects that S3 does not treat like others: archived, too large to copy, under keys of their own, with names that XML cannot carry."""

import pytest

from .conftest import code, message, refused, until

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


def test_a_question_mark_in_a_copied_key_names_no_version(aws, bucket):
    key = "a?versionId=1"
    aws.s3.put_object(Bucket=bucket, Key=key, Body=b"x", StorageClass="GLACIER")
    assert code(lambda: copy(aws, key)) == "InvalidObjectState"
