"""From nothing to an answer, with every service the operator uses."""


def test_a_document_is_found_after_a_job(aws):
    kb, source = aws.make_all()
    aws.upload("pool/acme/leave.md", "Employees of Acme have 30 days of annual leave.", tenantId="acme")
    job = aws.ingest(kb, source)
    assert job["status"] == "COMPLETE", job
    assert job["statistics"]["numberOfNewDocumentsIndexed"] == 1
    (found,) = aws.retrieve(kb, "how many days of leave", {"equals": {"key": "tenantId", "value": "acme"}})
    assert found["content"]["text"].startswith("Employees of Acme")
    assert found["location"] == {"type": "S3", "s3Location": {"uri": f"s3://{aws.bucket}/pool/acme/leave.md"}}
    assert found["metadata"]["tenantId"] == "acme"
    assert found["metadata"]["x-amz-bedrock-kb-data-source-id"] == source
    assert 0 < found["score"] < 1
