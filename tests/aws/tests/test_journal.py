"""Part 8 and the control API: what the journal shows of every service, settings, and how the double ends."""

import json
import signal
import subprocess
import sys

import pytest

from .conftest import ROOT, Aws, code


def calls(aws, **wanted):
    return [(e["service"], e["operation"], e["resource"]) for e in aws.journal(**wanted)]


def test_every_service_is_in_the_journal(aws):
    aws.s3.create_bucket(Bucket=aws.bucket)
    aws.s3.put_object(Bucket=aws.bucket, Key="pool/a b.md", Body=b"secret words")
    aws.s3.put_bucket_tagging(Bucket=aws.bucket, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    aws.s3.list_objects_v2(Bucket=aws.bucket, Prefix="pool/")
    aws.iam.create_role(RoleName="kb", Path="/tenantry/", AssumeRolePolicyDocument=aws.trust())
    key = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    aws.kms.create_alias(AliasName="alias/x", TargetKeyId=key)
    aws.sts.get_caller_identity()
    aws.aoss.list_collections()
    aws.agent.list_knowledge_bases()
    code(lambda: aws.agent.get_knowledge_base(knowledgeBaseId="A" * 10))
    assert calls(aws) == [
        ("s3", "CreateBucket", aws.bucket), ("s3", "PutObject", f"{aws.bucket}/pool/a b.md"),
        ("s3", "PutBucketTagging", aws.bucket), ("s3", "ListObjectsV2", aws.bucket), ("iam", "CreateRole", "kb"),
        ("kms", "CreateKey", key), ("kms", "CreateAlias", "alias/x"), ("sts", "GetCallerIdentity", ""),
        ("aoss", "ListCollections", ""), ("bedrock-agent", "ListKnowledgeBases", ""),
        ("bedrock-agent", "GetKnowledgeBase", "A" * 10)]
    entries = aws.journal()
    assert [e["mutating"] for e in entries] == [True, True, True, False, True, True, True, False, False, False, False]
    assert entries[-1]["status"] == 404 and entries[-1]["error"] == "ResourceNotFoundException"
    assert all(e["caller"] == aws.root and e["account"] == aws.account for e in entries)
    assert [e["seq"] for e in entries] == sorted(e["seq"] for e in entries)
    assert entries[4]["params"]["Path"] == "/tenantry/" and entries[3]["params"]["query"]["prefix"] == "pool/"
    assert "secret words" not in json.dumps(entries)
    assert aws.control("GET", "journal", since=entries[-2]["seq"])["entries"] == entries[-1:]


def test_an_account_sees_and_clears_its_own(aws, endpoint):
    other = Aws(endpoint, str(int(aws.account) + 10 ** 6))
    aws.s3.list_buckets()
    other.s3.list_buckets()
    aws.control("DELETE", "journal")
    assert aws.journal() == [] and len(other.journal()) == 1


def test_the_caller_of_a_session_is_its_assumed_role(aws):
    session, arn = aws.make_operator(path="/tenantry/x/"), f"arn:aws:iam::{aws.account}:role/tenantry/x/op"
    assert session.sts.get_caller_identity()["Arn"] == f"arn:aws:sts::{aws.account}:assumed-role/op/operator"
    session.s3.list_buckets()
    session.agent.list_knowledge_bases()
    assert {e["caller"] for e in aws.journal()[-2:]} == {f"arn:aws:sts::{aws.account}:assumed-role/op/operator"}
    assert code(lambda: aws.assume(arn + "x")) == "AccessDenied"


def test_accounts_do_not_see_each_other(aws, endpoint):
    other = Aws(endpoint, str(int(aws.account) + 10 ** 6))
    aws.make_collection()
    aws.s3.create_bucket(Bucket=aws.bucket)
    assert other.aoss.batch_get_collection(names=["coll"])["collectionDetails"] == []
    assert code(lambda: other.s3.list_objects_v2(Bucket=aws.bucket)) == "AccessDenied"
    assert code(lambda: other.s3.create_bucket(Bucket=aws.bucket)) == "BucketAlreadyExists"


def test_unknown_settings_are_refused(aws):
    with pytest.raises(AssertionError, match="unknown setting dwell.collections"):
        aws.settings(dwell={"collections": 1})
    assert aws.control("GET", "settings")["page_size"] == 2


def start(*arguments):
    process = subprocess.Popen([sys.executable, "-m", "double", *arguments], cwd=ROOT, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    assert json.loads(line)["endpoint"].startswith("http://127.0.0.1:")
    return process


def test_it_ends_when_its_stdin_closes():
    process = start()
    process.stdin.close()
    assert process.wait(5) == 0 and process.stderr.read() == ""


def test_it_ends_on_sigterm():
    process = start("--detached")
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0 and process.stderr.read() == ""
