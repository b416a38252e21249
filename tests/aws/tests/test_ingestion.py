"""Part 3: jobs read S3 as the role would, are incremental, and can be held, stopped and refused (aws-facts §1.1, §2.1, §6)."""

import json

import pytest

from .conftest import code, message, pages, refused, until


def counts(job):
    """The statistics that are not zero, under shorter names."""
    return {k.removeprefix("numberOf"): v for k, v in job["statistics"].items() if v}


def found(aws, kb, text="words", **search):
    return sorted({r["location"]["s3Location"]["uri"].rsplit("/", 1)[1] for r in aws.retrieve(kb, text, numberOfResults=100, **search)})


def test_jobs_are_incremental(aws):
    kb, source = aws.make_all()
    aws.upload("pool/a/one.md", "one words", tenantId="a")
    aws.upload("pool/a/two.md", "two words")
    aws.upload("elsewhere/three.md", "three words")
    job = aws.ingest(kb, source)
    assert counts(job) == {"DocumentsScanned": 2, "MetadataDocumentsScanned": 1, "NewDocumentsIndexed": 2}
    assert found(aws, kb) == ["one.md", "two.md"]
    assert counts(aws.ingest(kb, source)) == {"DocumentsScanned": 2, "MetadataDocumentsScanned": 1}

    aws.upload("pool/a/one.md", "one other words")                                  # a document
    aws.s3.put_object(Bucket=aws.bucket, Key="pool/a/two.md.metadata.json",        # a sidecar alone
                      Body=b'{"metadataAttributes": {"tenantId": "b"}}')
    assert counts(aws.ingest(kb, source)) == {"DocumentsScanned": 2, "MetadataDocumentsScanned": 2,
                                              "ModifiedDocumentsIndexed": 1, "MetadataDocumentsModified": 1}
    assert found(aws, kb, filter={"equals": {"key": "tenantId", "value": "b"}}) == ["two.md"]

    aws.s3.delete_object(Bucket=aws.bucket, Key="pool/a/one.md")
    aws.s3.delete_object(Bucket=aws.bucket, Key="pool/a/one.md.metadata.json")
    assert counts(aws.ingest(kb, source)) == {"DocumentsScanned": 1, "MetadataDocumentsScanned": 1, "DocumentsDeleted": 1}
    assert found(aws, kb) == ["two.md"]


def test_a_new_index_stays_empty_until_a_new_data_source(aws):
    kb, source = aws.make_all()
    aws.upload("pool/a/one.md", "one words")
    aws.ingest(kb, source)
    aws.aoss.delete_index(id=aws.collection()["id"], indexName="idx")
    aws.settings(lag={"index_visible": 0})
    aws.make_index()
    aws.ingest(kb, source)
    assert found(aws, kb) == []
    aws.ingest(kb, aws.make_source(kb, name="docs-b"))
    assert found(aws, kb) == ["one.md"]


def test_deleting_a_data_source_takes_its_vectors_or_leaves_them(aws):
    kb, source = aws.make_all()
    aws.upload("pool/a/one.md", "one words")
    aws.ingest(kb, source)
    aws.agent.update_data_source(**aws.source_arguments(kb, dataDeletionPolicy="RETAIN"), dataSourceId=source)
    aws.agent.delete_data_source(knowledgeBaseId=kb, dataSourceId=source)
    get = lambda: aws.agent.get_data_source(knowledgeBaseId=kb, dataSourceId=source)
    until(lambda: refused(get))
    assert found(aws, kb) == ["one.md"]
    source = aws.make_source(kb)
    aws.ingest(kb, source)
    aws.agent.delete_data_source(knowledgeBaseId=kb, dataSourceId=source)
    until(lambda: refused(get))
    assert {r["metadata"]["x-amz-bedrock-kb-data-source-id"] for r in aws.retrieve(kb, "words")} != {source}


def test_complete_with_failures(aws):
    kb, source = aws.make_all()
    aws.upload("pool/a/good.md", "good words")
    aws.upload("pool/a/empty.md", " ")
    aws.upload("pool/a/binary.txt", b"\xff\xfe\x00")
    aws.upload("pool/a/program.exe", "words")
    job = aws.ingest(kb, source)
    assert job["status"] == "COMPLETE" and counts(job) == {"DocumentsScanned": 4, "NewDocumentsIndexed": 1, "DocumentsFailed": 3}
    assert len(job["failureReasons"]) == 3
    arguments = {"knowledgeBaseId": kb, "dataSourceId": source}
    shown = {d["identifier"]["s3"]["uri"].rsplit("/", 1)[1]: (d["status"], d.get("statusReason"))
             for p in pages(aws.agent.list_knowledge_base_documents, **arguments) for d in p["documentDetails"]}
    assert shown["good.md"] == ("INDEXED", None) and shown["empty.md"] == ("FAILED", "the file is empty")
    (unknown,) = aws.agent.get_knowledge_base_documents(**arguments, documentIdentifiers=[
        {"dataSourceType": "S3", "s3": {"uri": f"s3://{aws.bucket}/pool/none.md"}}])["documentDetails"]
    assert unknown["status"] == "NOT_FOUND"
    assert "less than or equal to 100" in message(lambda: aws.agent.list_knowledge_base_documents(**arguments, maxResults=101))
    assert not refused(lambda: aws.agent.list_knowledge_base_documents(**arguments, maxResults=100))
    aws.upload("pool/a/empty.md", "no longer empty")
    assert counts(aws.ingest(kb, source)) == {"DocumentsScanned": 4, "NewDocumentsIndexed": 1, "DocumentsFailed": 2}


MALFORMED = {
    "text.md": b"not json", "list.md": b"[]", "reserved.md": b'{"metadataAttributes": {"x-amz-bedrock-kb-source-uri": "s3://x"}}',
    "rich.md": b'{"metadataAttributes": {"tenantId": {"value": {"type": "STRING"}}}}',
    "large.md": json.dumps({"metadataAttributes": {"tenantId": "x" * 11000}}).encode(),
    **{f"{name}.md": json.dumps({"metadataAttributes": {"tenantId": "a", **attributes}}).encode() for name, attributes in {
        "no-text": {"s": ""}, "long-text": {"s": "u" * 2049}, "no-texts": {"l": []}, "many-texts": {"l": ["a"] * 11},
        "texts": {"l": ["a", ""]}, "infinite": {"n": float("inf")}, "no-number": {"n": float("nan")}, "no-key": {"": "a"},
        "long-key": {"k" * 201: "a"}, "rich-text": {"s": {"value": {"type": "STRING", "stringValue": ""}}}}.items()}}


@pytest.mark.parametrize("switch", ["indexed", "failed"])
def test_a_malformed_sidecar_both_ways(aws, switch):
    kb, source = aws.make_all()
    aws.settings(switches={"malformed_sidecar": switch})
    for name, sidecar in MALFORMED.items():
        aws.upload(f"pool/a/{name}", "words")
        aws.s3.put_object(Bucket=aws.bucket, Key=f"pool/a/{name}.metadata.json", Body=sidecar)
    job = aws.ingest(kb, source)
    assert job["status"] == "COMPLETE"
    if switch == "failed":
        assert counts(job)["DocumentsFailed"] == len(MALFORMED) and found(aws, kb) == []
    else:
        assert found(aws, kb) == sorted(MALFORMED)
        assert all("tenantId" not in r["metadata"] for r in aws.retrieve(kb, "words"))


def test_simple_and_rich_attributes(aws):
    kb, source = aws.make_all()
    aws.upload("pool/simple.md", "words", s="text", n=2026, b=True, l=["x", "y"])
    rich = {"s": ("STRING", "stringValue", "text"), "n": ("NUMBER", "numberValue", 2026),
            "b": ("BOOLEAN", "booleanValue", True), "l": ("STRING_LIST", "stringListValue", ["x", "y"])}
    aws.upload("pool/rich.md", "words", **{k: {"value": {"type": t, m: v}, "includeForEmbedding": False}
                                           for k, (t, m, v) in rich.items()})
    aws.ingest(kb, source)
    one, two = [{k: r["metadata"][k] for k in "snbl"} for r in aws.retrieve(kb, "words")]
    assert one == two == {"s": "text", "n": 2026, "b": True, "l": ["x", "y"]}


@pytest.mark.parametrize("tenant", ["7", "007", "1e5", "true", "null", "2024-01-01"])
def test_a_tenant_that_is_no_text_is_not_found_by_text(aws, tenant):
    """Whoever wrote into a sidecar what YAML or JSON make of these would lose the document."""
    kb, source = aws.make_all()
    aws.upload("pool/text.md", "words", tenantId=tenant)
    for n, value in enumerate([7, 100000.0, True, None]):
        aws.upload(f"pool/{n}.md", "words", tenantId=value)
    aws.ingest(kb, source)
    assert found(aws, kb, filter={"equals": {"key": "tenantId", "value": tenant}}) == ["text.md"]


def structure(**fields):
    based = {"contentFields": [{"fieldName": "text"}]}
    if fields:
        based["metadataFieldsSpecification"] = {k: [{"fieldName": name} for name in v] for k, v in fields.items()}
    return {"type": "RECORD_BASED_STRUCTURE_METADATA", "recordBasedStructureMetadata": based}


@pytest.mark.parametrize("fields, tenant", [
    ({}, "b"), ({"fieldsToInclude": ["tenantId"]}, "b"), ({"fieldsToInclude": ["year"]}, "a"),
    ({"fieldsToExclude": ["tenantId"]}, "a")])
def test_each_row_of_a_file_of_records_has_its_own_attributes(aws, fields, tenant):
    kb, source = aws.make_all()
    aws.s3.put_object(Bucket=aws.bucket, Key="pool/a/rows.csv", Body=b"text,tenantId,year\nsome words,b,2026\n")
    sidecar = {"metadataAttributes": {"tenantId": "a"}, "documentStructureConfiguration": structure(**fields)}
    aws.s3.put_object(Bucket=aws.bucket, Key="pool/a/rows.csv.metadata.json", Body=json.dumps(sidecar).encode())
    aws.ingest(kb, source)
    (row,) = aws.retrieve(kb, "words")
    assert (row["content"]["text"], row["metadata"]["tenantId"]) == ("some words", tenant)


def test_the_job_lists_first_and_reads_each_document_when_it_reaches_it(aws):
    """A test can hold it in between: that is the window in which somebody can change a sidecar."""
    kb, source = aws.make_all()
    aws.upload("pool/a/one.md", "words", tenantId="a")
    hold = aws.control("POST", "hold", {"point": "ingestion.document", "match": "pool/a/*"})["id"]
    started = aws.agent.start_ingestion_job(knowledgeBaseId=kb, dataSourceId=source)["ingestionJob"]["ingestionJobId"]
    until(lambda: aws.control("GET", "holds")["holds"][0]["waiting"] == ["pool/a/one.md"])
    assert aws.job(kb, source, started)["status"] == "IN_PROGRESS"
    aws.upload("pool/a/one.md", "words", tenantId="stolen")
    aws.upload("pool/a/late.md", "words", tenantId="a")
    aws.control("POST", "release", {"id": hold})
    until(lambda: aws.job(kb, source, started)["status"] == "COMPLETE")
    assert found(aws, kb, filter={"equals": {"key": "tenantId", "value": "stolen"}}) == ["one.md"]
    assert found(aws, kb) == ["one.md"]                                             # what came after the listing waits


def test_a_stopped_job_stops(aws):
    kb, source = aws.make_all()
    aws.settings(dwell={"job_running": 1e6})
    aws.upload("pool/a/one.md", "words")
    started = aws.agent.start_ingestion_job(knowledgeBaseId=kb, dataSourceId=source)["ingestionJob"]
    assert started["status"] == "STARTING"
    identifiers = {"knowledgeBaseId": kb, "dataSourceId": source, "ingestionJobId": started["ingestionJobId"]}
    until(lambda: aws.job(kb, source, started["ingestionJobId"])["status"] == "IN_PROGRESS")
    assert code(lambda: aws.agent.delete_data_source(knowledgeBaseId=kb, dataSourceId=source)) == "ConflictException"
    assert code(lambda: aws.agent.delete_knowledge_base(knowledgeBaseId=kb)) == "ConflictException"
    assert aws.agent.stop_ingestion_job(**identifiers)["ingestionJob"]["status"] == "STOPPING"
    until(lambda: aws.job(kb, source, started["ingestionJobId"])["status"] == "STOPPED")
    assert code(lambda: aws.agent.stop_ingestion_job(**identifiers)) == "ConflictException"


def test_one_job_a_knowledge_base_and_so_many_an_account(aws):
    kb, source = aws.make_all()
    aws.settings(dwell={"job_running": 1e6}, limits={"jobs": 1})
    start = lambda: aws.agent.start_ingestion_job(knowledgeBaseId=kb, dataSourceId=source)
    start()
    error = refused(start)
    assert error.response["Error"]["Code"] == "ConflictException"
    assert "maximum number of concurrent ingestion jobs per knowledge base: 1" in str(error)
    other = aws.make_kb(name="kb-2")
    other_source = aws.make_source(other)
    error = refused(lambda: aws.agent.start_ingestion_job(knowledgeBaseId=other, dataSourceId=other_source))
    assert error.response["Error"]["Code"] == "ServiceQuotaExceededException"
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 402


@pytest.mark.parametrize("limit", [{"job_files": 3}, {"job_bytes": 79}])
def test_a_job_adds_so_many_files_and_bytes_or_nothing(aws, limit):
    kb, source = aws.make_all()
    aws.upload("pool/a/one.md", "one words")
    aws.ingest(kb, source)
    aws.settings(limits=limit)
    for name in ("two", "three"):
        aws.upload(f"pool/a/{name}.md", "words", tenantId="a")
    started = aws.agent.start_ingestion_job(knowledgeBaseId=kb, dataSourceId=source)["ingestionJob"]["ingestionJobId"]
    until(lambda: aws.job(kb, source, started)["status"] == "FAILED")
    assert "exceeds the quota" in aws.job(kb, source, started)["failureReasons"][0]
    assert found(aws, kb) == ["one.md"]
    aws.s3.delete_object(Bucket=aws.bucket, Key="pool/a/three.md.metadata.json")
    assert counts(aws.ingest(kb, source))["NewDocumentsIndexed"] == 2               # what was read before does not count


def test_jobs_are_listed_filtered_and_sorted(aws):
    kb, source = aws.make_all()
    ids = [aws.ingest(kb, source)["ingestionJobId"] for _ in range(3)]
    arguments = {"knowledgeBaseId": kb, "dataSourceId": source}
    listed = lambda **more: [j["ingestionJobId"] for p in pages(aws.agent.list_ingestion_jobs, **arguments, **more)
                             for j in p["ingestionJobSummaries"]]
    until(lambda: len(listed()) == 3)
    assert listed(sortBy={"attribute": "STARTED_AT", "order": "ASCENDING"}) == ids
    assert listed(sortBy={"attribute": "STARTED_AT", "order": "DESCENDING"}) == ids[::-1]
    assert listed(filters=[{"attribute": "STATUS", "operator": "EQ", "values": ["FAILED", "STARTING"]}]) == []
    assert len(aws.agent.list_ingestion_jobs(**arguments)["ingestionJobSummaries"]) == 2      # a page


def test_a_description_and_a_token_name_a_job(aws):
    kb, source = aws.make_all()
    token = "f" * 64
    start = lambda: aws.agent.start_ingestion_job(knowledgeBaseId=kb, dataSourceId=source, clientToken=token,
                                                  description="first")["ingestionJob"]
    first = start()
    assert first["description"] == "first"
    until(lambda: aws.job(kb, source, first["ingestionJobId"])["status"] == "COMPLETE")
    assert start()["ingestionJobId"] == first["ingestionJobId"]      # ignored, without an error


def _deny_list(aws, arn):
    aws.put_permissions([s for s in aws.permissions(arn) if s["Action"] != "s3:ListBucket"])


def _other_prefix(aws, arn):
    aws.put_permissions(aws.permissions(arn, prefix="pool/a/"))


def _no_bucket(aws, arn):
    aws.s3.delete_bucket(Bucket=aws.bucket)


def _no_trust(aws, arn):
    aws.iam.update_assume_role_policy(RoleName="kb", PolicyDocument=aws.trust(StringEquals={"aws:SourceAccount": "1"}))


def _no_grant(aws, arn):
    aws.aoss.delete_access_policy(type="data", name="kb-role")


def _bucket_denies(aws, arn):
    aws.s3.put_bucket_policy(Bucket=aws.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{aws.bucket}",
         "Condition": {"ArnEquals": {"aws:PrincipalArn": aws.role_arn}}}]}))


@pytest.mark.parametrize("break_it, reason", [
    (_deny_list, "s3:ListBucket"), (_other_prefix, "s3:ListBucket"), (_no_bucket, "bucket does not exist"),
    (_no_trust, "unable to assume"), (_no_grant, "403 Forbidden"), (_bucket_denies, "s3:ListBucket")])
def test_a_job_that_may_not_fails(aws, break_it, reason):
    kb, source = aws.make_all()
    break_it(aws, aws.collection()["arn"])
    job = aws.ingest(kb, source)
    assert job["status"] == "FAILED" and reason in job["failureReasons"][0]


def test_the_crawler_may_list_the_whole_bucket(aws):
    """Nobody knows which it is (§9.5); with a condition on s3:prefix only one of them works."""
    kb, source = aws.make_all()
    aws.settings(switches={"crawler_lists": "bucket"})
    assert aws.ingest(kb, source)["status"] == "FAILED"


def test_documents_that_may_not_be_read_fail(aws):
    kb, source = aws.make_all()
    aws.upload("pool/a/one.md", "words")
    aws.upload("pool/b/two.md", "words")
    statements = aws.permissions(aws.collection()["arn"])
    statements.append({"Effect": "Deny", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{aws.bucket}/pool/b/*"})
    aws.put_permissions(statements)
    job = aws.ingest(kb, source)
    assert job["status"] == "COMPLETE" and counts(job)["DocumentsFailed"] == 1 and found(aws, kb) == ["one.md"]


def test_objects_under_a_key_need_decrypt(aws):
    kb, source = aws.make_all()
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    aws.s3.put_bucket_encryption(Bucket=aws.bucket, ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}]})
    aws.upload("pool/a/one.md", "words")
    assert counts(aws.ingest(kb, source))["DocumentsFailed"] == 1
    aws.put_permissions(aws.permissions(aws.collection()["arn"]) + [
        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key,
         "Condition": {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}}])
    assert counts(aws.ingest(kb, source))["NewDocumentsIndexed"] == 1
    aws.kms.disable_key(KeyId=key)
    assert "KMS.DisabledException" in str(refused(lambda: aws.upload("pool/a/one.md", "other words")))


def test_the_key_of_a_data_source(aws):
    aws.make_store()
    kb = aws.make_kb()
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    source = aws.make_source(kb, serverSideEncryptionConfiguration={"kmsKeyArn": key})
    assert "kms:GenerateDataKey" in aws.ingest(kb, source)["failureReasons"][0]
    aws.put_permissions(aws.permissions(aws.collection()["arn"]) + [
        {"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": key}])
    assert aws.ingest(kb, source)["status"] == "COMPLETE"
    assert message(lambda: aws.make_source(kb, name="other", serverSideEncryptionConfiguration={"kmsKeyArn": "alias/x"}))


def test_where_in_its_dwell_a_job_lists(aws):
    kb, source = aws.make_all()
    aws.settings(job_list_at=1, dwell={"job_running": 500})         # half a second here
    started = aws.agent.start_ingestion_job(knowledgeBaseId=kb, dataSourceId=source)["ingestionJob"]["ingestionJobId"]
    until(lambda: aws.job(kb, source, started)["status"] == "IN_PROGRESS")
    aws.upload("pool/a/late.md", "words")
    until(lambda: aws.job(kb, source, started)["status"] == "COMPLETE")
    assert found(aws, kb) == ["late.md"]
