"""The checksum that S3 keeps with every object, and what a copy makes of it."""

import base64
import hashlib
import struct
import zlib

import boto3
import pytest
from botocore.config import Config

from .conftest import REGION

DATA, MORE = b"some content", b" and more of it"
SUMS = {"CRC32": lambda data: struct.pack(">I", zlib.crc32(data)), "SHA1": lambda data: hashlib.sha1(data).digest(),
        "SHA256": lambda data: hashlib.sha256(data).digest()}
CHECK, CHECKED = b"123456789", base64.b64encode(bytes.fromhex("ae8b14860a799888")).decode()     # CRC64NVME's published example


def whole(kind, data=DATA):
    return {f"Checksum{kind}": base64.b64encode(SUMS[kind](data)).decode(), "ChecksumType": "FULL_OBJECT"}


def sums(answer):
    return {name: value for name, value in answer.items() if name.startswith("Checksum")}


@pytest.fixture(params=[False, True], ids=["plain", "versioned"])
def bucket(aws, request):
    aws.s3.create_bucket(Bucket=aws.bucket)
    if request.param:
        aws.s3.put_bucket_versioning(Bucket=aws.bucket, VersioningConfiguration={"Status": "Enabled"})
    return aws.bucket


@pytest.fixture
def silent(aws):
    """A client that sends no checksum of its own accord."""
    return boto3.client("s3", region_name=REGION, endpoint_url=aws.endpoint, aws_access_key_id=aws.account, aws_secret_access_key="x",
                        config=Config(request_checksum_calculation="when_required", s3={"addressing_style": "path"}))


def kept(aws, key, **of):
    """What every way to ask for a checksum answers, once it is the same."""
    asked = {"Bucket": aws.bucket, "Key": key, **of}
    head, get = (sums(act(ChecksumMode="ENABLED", **asked)) for act in (aws.s3.head_object, aws.s3.get_object))
    attributes = aws.s3.get_object_attributes(ObjectAttributes=["Checksum"], **asked).get("Checksum", {})
    assert head == get == attributes
    return head


def copied(aws, key, to, **more):
    """What a copy answers and keeps, once it is the same."""
    answer = aws.s3.copy_object(Bucket=aws.bucket, Key=to, CopySource={"Bucket": aws.bucket, "Key": key}, **more)
    of = {"VersionId": answer["VersionId"]} if "VersionId" in answer else {}
    assert sums(answer["CopyObjectResult"]) == kept(aws, to) == kept(aws, to, **of)
    return kept(aws, to)


def in_parts(aws, key, *parts, **more):
    upload = aws.s3.create_multipart_upload(Bucket=aws.bucket, Key=key, **more)["UploadId"]
    made = []
    for number, part in enumerate(parts, 1):
        answer = aws.s3.upload_part(Bucket=aws.bucket, Key=key, UploadId=upload, PartNumber=number, Body=part, **more)
        made.append({"PartNumber": number, "ETag": answer["ETag"], **sums(answer)})
    return aws.s3.complete_multipart_upload(Bucket=aws.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": made})


@pytest.mark.parametrize("kind", SUMS)
def test_the_checksum_of_a_write_is_kept_and_a_copy_has_the_same(aws, bucket, kind):
    assert sums(aws.s3.put_object(Bucket=bucket, Key="a", Body=DATA, ChecksumAlgorithm=kind)) == whole(kind)
    assert kept(aws, "a") == copied(aws, "a", "b") == copied(aws, "b", "c") == whole(kind)


def test_a_client_that_names_no_algorithm_sends_crc32(aws, bucket):
    assert sums(aws.s3.put_object(Bucket=bucket, Key="a", Body=DATA)) == kept(aws, "a") == whole("CRC32")


def test_a_write_without_a_checksum_gets_crc64nvme(aws, bucket, silent):
    wanted = {"ChecksumCRC64NVME": CHECKED, "ChecksumType": "FULL_OBJECT"}
    assert sums(silent.put_object(Bucket=bucket, Key="a", Body=CHECK)) == kept(aws, "a") == copied(aws, "a", "b") == wanted


def test_nobody_is_told_who_does_not_ask(aws, bucket, silent):
    aws.s3.put_object(Bucket=bucket, Key="a", Body=DATA)
    assert not sums(aws.s3.head_object(Bucket=bucket, Key="a"))


@pytest.mark.parametrize("kind", SUMS)
@pytest.mark.parametrize("other", SUMS)
def test_a_copy_has_the_kind_that_it_asks_for_and_no_other(aws, bucket, kind, other):
    aws.s3.put_object(Bucket=bucket, Key="a", Body=DATA, ChecksumAlgorithm=kind)
    assert copied(aws, "a", "b", ChecksumAlgorithm=other) == whole(other)
    assert copied(aws, "b", "c") == whole(other), "a copy's copy has the copy's"
    assert kept(aws, "a") == whole(kind)
    aws.s3.put_object(Bucket=bucket, Key="b", Body=MORE, ChecksumAlgorithm=kind)
    assert kept(aws, "b") == whole(kind, MORE), "what is written over a copy has its own"


@pytest.mark.parametrize("kind", SUMS)
def test_an_upload_in_parts_has_a_sum_of_sums_and_its_copy_one_of_the_whole(aws, bucket, kind):
    parts = b"x" * 5 * 2 ** 20, MORE
    answer = in_parts(aws, "a", *parts, ChecksumAlgorithm=kind)
    of_sums = SUMS[kind](b"".join(SUMS[kind](part) for part in parts))
    composite = {f"Checksum{kind}": base64.b64encode(of_sums).decode() + "-2", "ChecksumType": "COMPOSITE"}
    of = {"VersionId": answer["VersionId"]} if "VersionId" in answer else {}
    assert sums(answer) == kept(aws, "a") == kept(aws, "a", **of) == composite
    assert copied(aws, "a", "b") == whole(kind, b"".join(parts))
    assert copied(aws, "a", "c", ChecksumAlgorithm="SHA256") == whole("SHA256", b"".join(parts))


def test_objects_under_keys_have_checksums_too(aws, bucket):
    own = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    assert sums(aws.s3.put_object(Bucket=bucket, Key="own", Body=DATA, **own)) == whole("CRC32")
    aws.s3.put_object(Bucket=bucket, Key="a", Body=DATA)
    assert copied(aws, "a", "kms", ServerSideEncryption="aws:kms", SSEKMSKeyId=key) == whole("CRC32")
    out = aws.s3.copy_object(Bucket=bucket, Key="out", CopySource=f"{bucket}/own", **{f"CopySource{k}": v for k, v in own.items()})
    assert sums(out["CopyObjectResult"]) == kept(aws, "out") == whole("CRC32")
