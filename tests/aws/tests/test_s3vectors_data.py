"""Vectors in S3 Vectors: what is kept and found, how metadata is counted, and the service's own filters."""

import math

import pytest

from double import s3vectors_filters, vector_index
from double.errors import AwsError

from .conftest import code, message, pages, refused


@pytest.fixture
def at(aws):
    aws.vectors.create_vector_bucket(vectorBucketName="vbkt")
    return aws, {"indexArn": aws.make_vector_index(dimension=4, keys=["bulk"])}


def put(aws, at, **vectors):
    aws.vectors.put_vectors(**at, vectors=[{"key": k, "data": {"float32": v[0]}, "metadata": v[1]} if isinstance(v, tuple)
                                           else {"key": k, "data": {"float32": v}} for k, v in vectors.items()])


def ask(aws, at, vector=(1, 0, 0, 0), top=10, **more):
    return aws.vectors.query_vectors(**at, topK=top, queryVector={"float32": list(vector)}, **more)


def test_vectors_from_beginning_to_end(at):
    aws, at = at
    put(aws, at, a=([0.9, 0, 0, 1], {"n": 1}), b=[0, 1, 0, 0])
    get = lambda **more: aws.vectors.get_vectors(**at, keys=["a", "b", "c"], **more)["vectors"]
    assert get() == [{"key": "a"}, {"key": "b"}]
    assert get(returnMetadata=True) == [{"key": "a", "metadata": {"n": 1}}, {"key": "b", "metadata": {}}]
    (first, _) = get(returnData=True)
    assert first == {"key": "a", "data": {"float32": [0.8999999761581421, 0.0, 0.0, 1.0]}}          # as float32 has it
    put(aws, at, a=([1, 0, 0, 0], {"m": 2}))
    assert get(returnMetadata=True)[0]["metadata"] == {"m": 2}
    aws.vectors.delete_vectors(**at, keys=["a", "c"])
    assert get() == [{"key": "b"}]
    put(aws, at, **{f"k{n}": [1, 0, 0, n] for n in range(4)})
    listed = [v["key"] for p in pages(aws.vectors.list_vectors, **at) for v in p["vectors"]]
    assert listed == ["b", "k0", "k1", "k2", "k3"]
    parts = [[v["key"] for p in pages(aws.vectors.list_vectors, **at, segmentCount=2, segmentIndex=n) for v in p["vectors"]] for n in (0, 1)]
    assert sorted(parts[0] + parts[1]) == listed
    for segments in ({"segmentCount": 2}, {"segmentIndex": 0}, {"segmentCount": 2, "segmentIndex": 2}):
        assert code(lambda: aws.vectors.list_vectors(**at, **segments)) == "ValidationException"


def test_an_index_or_bucket_that_is_not_there_is_an_index(at):
    aws, at = at
    for arn in (at["indexArn"] + "x", at["indexArn"].replace("vbkt", "vbkt2")):
        for act in (lambda: put(aws, {"indexArn": arn}, a=[1, 0, 0, 0]), lambda: ask(aws, {"indexArn": arn}),
                    lambda: aws.vectors.get_vectors(indexArn=arn, keys=["a"]), lambda: aws.vectors.list_vectors(indexArn=arn),
                    lambda: aws.vectors.delete_vectors(indexArn=arn, keys=["a"])):
            assert (code(act), message(act)) == ("NotFoundException", "The specified index could not be found")


@pytest.mark.parametrize("vector, why", [
    ([1, 2], "vector must have length 4, but has length 2"), ([1e39, 1, 1, 1], "vector contains NaNs or Infs"),
    ([0, 0, 0, 0], "cosine distance does not support vectors with zero norm"),
    ([1e-46] * 4, "cosine distance does not support vectors with zero norm")])
def test_vectors_that_are_refused(at, vector, why):
    aws, at = at
    error = refused(lambda: put(aws, at, fine=[1, 0, 0, 0], x=vector)).response
    assert error["Error"]["Message"] == f"Invalid record for key 'x': {why}"
    assert error["fieldList"] == [{"path": "vectors[1]", "message": why}]
    assert aws.vectors.list_vectors(**at)["vectors"] == []                        # none of them is there
    error = refused(lambda: ask(aws, at, vector)).response
    assert error["Error"]["Message"] == "Query vector contains invalid values or is invalid for this index"


def test_the_models_limits(at):
    aws, at = at
    for act in (lambda: put(aws, at, **{f"k{n}": [1, 0, 0, 0] for n in range(501)}), lambda: put(aws, at, **{"x" * 1025: [1, 0, 0, 0]}),
                lambda: aws.vectors.get_vectors(**at, keys=["k"] * 101), lambda: ask(aws, at, top=0), lambda: ask(aws, at, top=10001),
                lambda: aws.vectors.put_vectors(**at, vectors=[{"key": "k", "data": {}}])):
        assert code(act) == "ValidationException"


# The longest text that AWS took beside each of these, as somebody measured it on an index whose key `nf` is not filterable.
@pytest.mark.parametrize("rest, letter, longest", [
    ({}, "x", 2035), ({f"k{n:02}": "y" for n in range(19)}, "x", 1807), ({f"n{n}": 0.1234567890123456 for n in range(10)}, "x", 1895),
    ({f"b{n}": True for n in range(10)}, "x", 1935), ({"a": [1.5] * 50}, "x", 1626), ({"s": ["ab"] * 50}, "x", 1726), ({}, "\n", 2035),
    ({}, "中", 678), ({}, "é", 1017), ({"a": "", "b": "", "c": [1], "d": ["z"]}, "x", 1986)])
def test_how_filterable_metadata_is_counted(rest, letter, longest):
    vector_index.check_metadata("probe", {"f": letter * longest, **rest}, ("nf",), 0)
    with pytest.raises(AwsError) as error:
        vector_index.check_metadata("probe", {"f": letter * (longest + 1), **rest}, ("nf",), 0)
    assert error.value.message == "Invalid record for key 'probe': Filterable metadata must have at most 2048 bytes"


def test_how_all_metadata_is_counted(at):
    aws, at = at
    put(aws, at, k=([1, 0, 0, 0], {"bulk": "x" * 40944}))
    error = refused(lambda: put(aws, at, k=([1, 0, 0, 0], {"bulk": "x" * 40945}))).response
    assert error["Error"]["Message"] == "Invalid record for key 'k': Metadata object must have at most 40960 bytes"
    assert error["fieldList"][0]["path"] == "vectors[0].metadata"
    put(aws, at, k=([1, 0, 0, 0], {f"k{n}": n for n in range(50)}))
    assert "must have at most 50 keys" in message(lambda: put(aws, at, k=([1, 0, 0, 0], {f"k{n}": n for n in range(51)})))
    assert code(lambda: put(aws, at, k=([1, 0, 0, 0], {"k": {"a": 1}}))) == "ValidationException"


def test_the_nearest_first(at):
    aws, at = at
    put(aws, at, same=([2, 0, 0, 0], {"n": 1}), near=[1, 1, 0, 0], far=[0, 1, 0, 0], opposite=[-1, 0, 0, 0])
    assert ask(aws, at, top=2)["vectors"] == [{"key": "same"}, {"key": "near"}]
    aws.settings(page_size=10)
    found = ask(aws, at, returnDistance=True, returnMetadata=True)
    assert found["distanceMetric"] == "cosine" and found["vectors"][0] == {"key": "same", "distance": 0, "metadata": {"n": 1}}
    assert [round(v["distance"], 3) for v in found["vectors"]] == [0, round(1 - math.sqrt(0.5), 3), 1, 2]
    euclid = {"indexArn": aws.make_vector_index("euclid", dimension=4, keys=(), distanceMetric="euclidean")}
    put(aws, euclid, a=[4, 0, 0, 0], zero=[0, 0, 0, 0])
    assert [(v["key"], v["distance"]) for v in ask(aws, euclid, returnDistance=True)["vectors"]] == [("zero", 1), ("a", 3)]


def test_answers_come_in_pages(at):
    aws, at = at
    put(aws, at, **{f"k{n}": [1, n, 0, 0] for n in range(5)})
    found = [[v["key"] for v in page["vectors"]] for page in pages(lambda **more: ask(aws, at, top=4, **more))]
    assert found == [["k0", "k1"], ["k2", "k3"]]


def test_a_classic_query_may_find_less(at):
    """It looks at the filter while it searches; an enhanced one does before."""
    aws, at = at
    put(aws, at, **{f"k{n}": ([1, n, 0, 0], {"t": "rare" if n == 4 else "common"}) for n in range(5)})
    rare = lambda **more: [v["key"] for v in ask(aws, at, top=2, filter={"t": "rare"}, **more)["vectors"]]
    assert rare() == ["k4"] == rare(queryMode="ENHANCED")
    assert rare(queryMode="CLASSIC") == []
    aws.settings(classic_reach=2.5)
    assert rare(queryMode="CLASSIC") == ["k4"]
    starts = lambda **more: ask(aws, at, filter={"t": {"$startsWith": "ra"}}, **more)["vectors"]
    assert len(starts()) == 1 and code(lambda: starts(queryMode="CLASSIC")) == "ValidationException"


HELD = {"genre": ["comedy", "drama"], "year": 2020, "new": True, "path": "/a/b", "n": 1}


@pytest.mark.parametrize("filter, found", [
    ({"path": "/a/b"}, True), ({"path": {"$eq": "/a"}}, False), ({"genre": "drama"}, True), ({"genre": {"$ne": "drama"}}, False),
    ({"genre": {"$in": ["war", "comedy"]}}, True), ({"genre": {"$nin": ["war", "comedy"]}}, False), ({"year": {"$gte": 2020, "$lt": 2021}}, True),
    ({"year": {"$gt": 2020}}, False), ({"year": "2020"}, False), ({"new": True}, True), ({"n": True}, False), ({"new": 1}, False),
    ({"gone": {"$exists": False}}, True), ({"gone": {"$ne": "x"}}, True), ({"gone": "x"}, False), ({"path": {"$gt": 1}}, False),
    ({"path": {"$startsWith": "/a"}}, True), ({"$or": [{"year": 1}, {"$and": [{"new": True}, {"n": 1}]}]}, True), ({"year": 2020, "n": 2}, False)])
def test_filters(filter, found):
    s3vectors_filters.check(filter, ("bulk",), "ENHANCED")
    assert s3vectors_filters.matches(filter, HELD) == found


@pytest.mark.parametrize("filter", [
    {}, "x", {"$and": []}, {"$not": [{"a": 1}]}, {"a": {"$in": []}}, {"a": {"$in": "x"}}, {"a": {"$gt": "x"}}, {"a": {"$gt": True}}, {"a": {}},
    {"a": {"$like": "x"}}, {"a": [1]}, {"a": {"$exists": 1}}, {"a": {"$startsWith": 1}}, {"bulk": "x"}, {"a": {"$in": list(range(101))}}])
def test_filters_that_are_refused(filter):
    with pytest.raises(AwsError):
        s3vectors_filters.check(filter, ("bulk",), "ENHANCED")


def test_only_an_enhanced_query_counts_constraints():
    s3vectors_filters.check({"a": {"$in": list(range(101))}}, (), "CLASSIC")
    s3vectors_filters.check({"a": {"$in": list(range(100))}}, (), "ENHANCED")
