"""The official Python client against a running server: every call that docs/COMPATIBILITY.md says
works. Run as `python python_client.py URL`; warnings, that of an unknown version too, are errors.
"""

import sys
import tempfile
import uuid
import warnings

import requests
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

warnings.simplefilter("error")

PEOPLE = ["Ada", "Ada", "Ada", "Bob", "Bob", "Cleo"]
VECTORS = [[1, 0, 0], [0.9, 0.1, 0], [0.8, 0.2, 0], [0, 1, 0], [0, 0.9, 0.1], [0, 0, 1]]


def fresh(client, name, **options):
    client.delete_collection(name)
    options.setdefault(
        "vectors_config", models.VectorParams(size=3, distance=models.Distance.COSINE)
    )
    assert client.create_collection(name, **options)
    return name


def filled(client, name):
    fresh(client, name)
    points = [
        models.PointStruct(id=id, vector=vector, payload={"person": person, "year": 1990 + id})
        for id, (vector, person) in enumerate(zip(VECTORS, PEOPLE))
    ]
    done = client.upsert(name, points, wait=True)
    assert done.status == models.UpdateStatus.COMPLETED, done
    return name


def refused(status, call):
    try:
        call()
    except UnexpectedResponse as error:
        assert error.status_code == status, error
        return error.content.decode()
    raise AssertionError("it was not refused")


def ids(hits):
    return [hit.id for hit in hits]


def server(client):
    assert client.info().version.startswith("1."), client.info()


def collections(client):
    name = fresh(
        client,
        "options",
        vectors_config=models.VectorParams(
            size=8, distance=models.Distance.DOT, on_disk=True, datatype=models.Datatype.FLOAT32
        ),
        hnsw_config=models.HnswConfigDiff(m=16, ef_construct=64, full_scan_threshold=10),
        optimizers_config=models.OptimizersConfigDiff(indexing_threshold=0),
        wal_config=models.WalConfigDiff(wal_capacity_mb=1),
        quantization_config=models.ScalarQuantization(
            scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
        ),
        shard_number=1,
        replication_factor=1,
        on_disk_payload=True,
        timeout=10,
    )
    assert client.collection_exists(name) and not client.collection_exists("nobody")
    assert name in [one.name for one in client.get_collections().collections]
    info = client.get_collection(name)
    assert info.status == models.CollectionStatus.GREEN, info
    assert info.points_count == info.indexed_vectors_count == 0
    assert info.config.params.vectors.size == 8
    assert info.config.hnsw_config.ef_construct == 64
    assert client.update_collection(
        name, optimizers_config=models.OptimizersConfigDiff(indexing_threshold=20000),
        hnsw_config=models.HnswConfigDiff(ef_construct=100),
    )
    assert client.get_collection(name).config.hnsw_config.ef_construct == 100
    refused(409, lambda: client.create_collection(
        name, vectors_config=models.VectorParams(size=8, distance=models.Distance.DOT)
    ))
    said = refused(400, lambda: client.create_collection("sparse", sparse_vectors_config={
        "text": models.SparseVectorParams()
    }))
    assert "sparse_vectors" in said, said
    assert client.delete_collection(name) and not client.delete_collection(name)
    refused(404, lambda: client.get_collection(name))


def aliases(client):
    name = filled(client, "aliased")
    made = models.CreateAliasOperation(
        create_alias=models.CreateAlias(collection_name=name, alias_name="people")
    )
    assert client.update_collection_aliases([made])
    assert client.get_collection_aliases(name).aliases[0].alias_name == "people"
    assert client.count("people").count == 6
    renamed = models.RenameAliasOperation(
        rename_alias=models.RenameAlias(old_alias_name="people", new_alias_name="persons")
    )
    assert client.update_collection_aliases([renamed])
    assert [one.alias_name for one in client.get_aliases().aliases] == ["persons"]
    gone = models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name="persons"))
    assert client.update_collection_aliases([gone])
    assert client.get_aliases().aliases == []


def points(client):
    name = fresh(client, "points")
    one, other = str(uuid.uuid4()), str(uuid.uuid4())
    client.upsert(name, models.Batch(
        ids=[1, one], vectors=[[1, 0, 0], [0, 1, 0]], payloads=[{"a": 1}, {}]
    ))
    client.upsert(name, [models.PointStruct(id=other, vector=[0, 0, 2], payload={"b": [1, None]})])
    found = client.retrieve(name, [1, one, 99], with_vectors=True)
    assert sorted(str(point.id) for point in found) == sorted(["1", one])
    [found] = client.retrieve(name, [other], with_payload=True, with_vectors=True)
    assert found.payload == {"b": [1, None]} and found.vector == [0, 0, 1], found
    assert client.count(name, exact=True).count == client.count(name, exact=False).count == 3
    client.upload_points(
        name,
        (models.PointStruct(id=100 + n, vector=[n, 1, 0]) for n in range(250)),
        batch_size=100,
        wait=True,
    )
    client.upload_collection(name, vectors=[[1, 2, 3]] * 5, ids=range(1000, 1005), wait=True)
    seen, offset = [], None
    while True:
        page, offset = client.scroll(name, limit=100, offset=offset, with_payload=False)
        seen += ids(page)
        if offset is None:
            break
    assert len(seen) == len(set(seen)) == 258
    done = client.delete(name, [1, one], wait=False, ordering=models.WriteOrdering.STRONG)
    assert done.status == models.UpdateStatus.ACKNOWLEDGED
    client.delete(name, models.PointIdsList(points=[other]), wait=True)
    assert client.retrieve(name, [1, one, other]) == []
    said = refused(400, lambda: client.upsert(name, [models.PointStruct(id=1, vector=[1, 2])]))
    assert "3" in said and "2" in said, said


def query(client):
    name = filled(client, "query")
    ask = lambda query, **options: client.query_points(name, query, **options).points
    assert ids(ask([1, 0, 0], limit=3)) == [0, 1, 2]
    assert ids(ask(0, limit=2)) == [1, 2]
    assert ids(ask(models.NearestQuery(nearest=[0, 1, 0]), limit=2, offset=1)) == [4, 2]
    close = ask([1, 0, 0], score_threshold=0.98, search_params=models.SearchParams(
        hnsw_ef=64, exact=True
    ))
    assert ids(close) == [0, 1], close
    [hit] = ask([0, 0, 1], limit=1, with_payload=["person"], with_vectors=True)
    assert hit.payload == {"person": "Cleo"} and hit.vector == [0, 0, 1], hit
    [hit] = ask([0, 0, 1], limit=1, with_payload=models.PayloadSelectorExclude(exclude=["person"]))
    assert hit.payload == {"year": 1995}, hit
    [hit] = ask([0, 0, 1], limit=1, with_payload=False)
    assert hit.payload is None and abs(hit.score - 1) < 1e-6
    for strategy in models.RecommendStrategy.AVERAGE_VECTOR, models.RecommendStrategy.BEST_SCORE:
        liked = ask(models.RecommendQuery(recommend=models.RecommendInput(
            positive=[0, [0.9, 0.1, 0]], negative=[5], strategy=strategy
        )), limit=2)
        assert ids(liked) == [1, 2], (strategy, liked)
    both = client.query_batch_points(name, [
        models.QueryRequest(query=[1, 0, 0], limit=1), models.QueryRequest(query=5, limit=1),
    ])
    assert [len(one.points) for one in both] == [1, 1] and both[0].points[0].id == 0
    groups = client.query_points_groups(name, group_by="person", query=[1, 0, 0], limit=2,
        group_size=2).groups
    assert [group.id for group in groups] == ["Ada", "Bob"]
    assert ids(groups[0].hits) == [0, 1]
    assert ids(ask(None, limit=2)) == [0, 1]
    assert len(ask(models.SampleQuery(sample=models.Sample.RANDOM), limit=4)) == 4
    client.create_payload_index(name, "year", models.PayloadSchemaType.INTEGER)
    newest = models.OrderBy(key="year", direction=models.Direction.DESC)
    assert ids(ask(models.OrderByQuery(order_by=newest), limit=2)) == [5, 4]
    ends = [models.Prefetch(query=[1, 0, 0], limit=2), models.Prefetch(query=[0, 1, 0], limit=2)]
    for fused in (
        models.FusionQuery(fusion=models.Fusion.RRF),
        models.FusionQuery(fusion=models.Fusion.DBSF),
        models.RrfQuery(rrf=models.Rrf(k=60)),
    ):
        assert sorted(ids(ask(fused, prefetch=ends, limit=10))) == [0, 1, 3, 4], fused
    assert ids(ask([0, 1, 0], prefetch=ends[0], limit=1)) == [1]
    said = refused(400, lambda: ask(models.FusionQuery(fusion=models.Fusion.RRF)))
    assert "fusion" in said, said
    said = refused(400, lambda: ask(models.DiscoverQuery(
        discover=models.DiscoverInput(target=0, context=[])
    )))
    assert "discover" in said, said
    refused(404, lambda: ask(77))


def named_vectors(client):
    name = fresh(client, "named", vectors_config={
        "face": models.VectorParams(size=2, distance=models.Distance.COSINE),
        "text": models.VectorParams(size=3, distance=models.Distance.EUCLID),
    })
    client.upsert(name, [
        models.PointStruct(id=1, vector={"face": [1, 0], "text": [1, 2, 3]}),
        models.PointStruct(id=2, vector={"face": [0, 1]}),
    ])
    ask = lambda query, using: ids(client.query_points(name, query, using=using, limit=1).points)
    assert ask([1, 0], "face") == [1] and ask([1, 2, 2], "text") == [1]
    client.update_vectors(name, [models.PointVectors(id=2, vector={"text": [1, 2, 2]})])
    assert ask([1, 2, 2], "text") == [2]
    [point] = client.retrieve(name, [2], with_vectors=["text"])
    assert point.vector == {"text": [1, 2, 2]}, point
    client.delete_vectors(name, vectors=["text"], points=[2])
    assert ask([1, 2, 2], "text") == [1]
    has_text = models.Filter(must=[models.HasVectorCondition(has_vector="text")])
    assert client.count(name, count_filter=has_text).count == 1
    client.delete_vectors(name, vectors=["text"], points=models.FilterSelector(filter=has_text))
    assert client.count(name, count_filter=has_text).count == 0
    said = refused(400, lambda: client.query_points(name, [1, 0], using="colour"))
    assert "colour" in said, said


def payloads(client):
    name = filled(client, "payloads")
    told = lambda id: client.retrieve(name, [id])[0].payload
    client.set_payload(name, {"city": "Rome"}, points=[0])
    assert told(0) == {"person": "Ada", "year": 1990, "city": "Rome"}
    client.set_payload(name, {"maker": "X"}, points=[0], key="camera")
    assert told(0)["camera"] == {"maker": "X"}
    client.overwrite_payload(name, {"person": "Zoe"}, points=[1])
    assert told(1) == {"person": "Zoe"}
    client.delete_payload(name, ["city", "camera"], points=[0])
    assert told(0) == {"person": "Ada", "year": 1990}
    client.clear_payload(name, points_selector=[1])
    assert told(1) == {}
    bob = models.Filter(must=[models.FieldCondition(
        key="person", match=models.MatchValue(value="Bob")
    )])
    client.set_payload(name, {"seen": True}, points=bob)
    assert told(3)["seen"] and told(4)["seen"] and "seen" not in told(5)
    client.clear_payload(name, points_selector=models.FilterSelector(filter=bob))
    assert told(3) == told(4) == {}
    done = client.batch_update_points(name, [
        models.UpsertOperation(upsert=models.PointsList(points=[
            models.PointStruct(id=9, vector=[1, 1, 1], payload={"person": "Dan"}),
        ])),
        models.SetPayloadOperation(set_payload=models.SetPayload(
            payload={"year": 2000}, points=[9]
        )),
        models.OverwritePayloadOperation(overwrite_payload=models.SetPayload(
            payload={"person": "Eve"}, points=[5]
        )),
        models.DeletePayloadOperation(delete_payload=models.DeletePayload(
            keys=["person"], points=[9]
        )),
        models.ClearPayloadOperation(clear_payload=models.PointIdsList(points=[2])),
        models.UpdateVectorsOperation(update_vectors=models.UpdateVectors(points=[
            models.PointVectors(id=9, vector=[0, 0, 2]),
        ])),
        models.DeleteOperation(delete=models.PointIdsList(points=[0])),
    ])
    assert [one.status for one in done] == [models.UpdateStatus.COMPLETED] * 7
    assert told(9) == {"year": 2000} and told(5) == {"person": "Eve"} and told(2) == {}
    assert client.retrieve(name, [0]) == []


def filters(client):
    name = fresh(client, "filters")
    client.upsert(name, [
        models.PointStruct(id=n, vector=vector, payload={
            "person": person, "year": 1990 + n, "at": f"200{n}-01-01T00:00:00Z",
            "place": {"lon": n, "lat": 50}, "text": f"a photo of {person}", "nothing": None,
            "tags": ["x", "y"][: n % 3], "faces": [{"n": n, "left": n % 2 == 0}],
        })
        for n, (vector, person) in enumerate(zip(VECTORS, PEOPLE))
    ])
    kinds = {
        "person": models.KeywordIndexParams(type="keyword", is_tenant=True),
        "year": models.PayloadSchemaType.INTEGER,
        "at": models.PayloadSchemaType.DATETIME,
        "place": models.PayloadSchemaType.GEO,
        "text": models.TextIndexParams(type="text", tokenizer=models.TokenizerType.WORD),
    }

    def check():
        key = lambda key, **test: models.FieldCondition(key=key, **test)
        cases = [
            (dict(must=[key("person", match=models.MatchValue(value="Ada"))]), [0, 1, 2]),
            (dict(must=[key("person", match=models.MatchAny(any=["Bob", "Cleo"]))]), [3, 4, 5]),
            (dict(must=[key("person", match=models.MatchExcept(**{"except": ["Ada"]}))]), [3, 4, 5]),
            (dict(must=[key("year", range=models.Range(gte=1991, lt=1993))]), [1, 2]),
            (dict(must=[key("at", range=models.DatetimeRange(gt="2003-06-01T00:00:00Z"))]), [4, 5]),
            (dict(must=[key("tags", values_count=models.ValuesCount(gte=2))]), [2, 5]),
            (dict(must=[models.IsEmptyCondition(is_empty=models.PayloadField(key="tags"))]), [0, 3]),
            (dict(must_not=[models.IsNullCondition(is_null=models.PayloadField(key="nothing"))]), []),
            (dict(must=[models.HasIdCondition(has_id=[1, 5])]), [1, 5]),
            (dict(should=[
                key("person", match=models.MatchValue(value="Cleo")),
                key("year", match=models.MatchValue(value=1990)),
            ]), [0, 5]),
            (dict(min_should=models.MinShould(min_count=2, conditions=[
                key("person", match=models.MatchValue(value="Bob")),
                key("year", range=models.Range(lt=1994)),
            ])), [0, 1, 2, 3][3:]),
            (dict(must=[models.NestedCondition(nested=models.Nested(
                key="faces", filter=models.Filter(must=[
                    key("n", range=models.Range(gte=3)), key("left", match=models.MatchValue(value=True)),
                ]),
            ))]), [4]),
            (dict(must=[key("place", geo_radius=models.GeoRadius(
                center=models.GeoPoint(lon=0, lat=50), radius=80_000,
            ))]), [0, 1]),
            (dict(must=[key("place", geo_bounding_box=models.GeoBoundingBox(
                top_left=models.GeoPoint(lon=1.5, lat=51), bottom_right=models.GeoPoint(lon=3.5, lat=49),
            ))]), [2, 3]),
        ]
        for filter, expected in cases:
            filter = models.Filter(**filter)
            found, _ = client.scroll(name, scroll_filter=filter, limit=10)
            assert ids(found) == expected, (filter, ids(found))
            assert client.count(name, count_filter=filter).count == len(expected), filter
            hits = client.query_points(name, [1, 0, 0], query_filter=filter, limit=10).points
            assert sorted(ids(hits)) == expected, (filter, ids(hits))

    check()
    for field, kind in kinds.items():
        client.create_payload_index(name, field, kind, wait=True)
    check()
    schema = client.get_collection(name).payload_schema
    assert sorted(schema) == sorted(kinds) and schema["person"].points == 6, schema
    text = models.Filter(must=[models.FieldCondition(key="text", match=models.MatchText(text="Cleo"))])
    assert ids(client.scroll(name, scroll_filter=text)[0]) == [5]
    facet = client.facet(name, "person", exact=True)
    assert [(hit.value, hit.count) for hit in facet.hits] == [("Ada", 3), ("Bob", 2), ("Cleo", 1)]
    newest = models.OrderBy(key="year", direction=models.Direction.DESC, start_from=1993)
    assert ids(client.scroll(name, order_by=newest, limit=2)[0]) == [3, 2]
    client.delete_payload_index(name, "text")
    assert "text" not in client.get_collection(name).payload_schema
    client.delete(name, models.FilterSelector(filter=models.Filter(must=[
        models.FieldCondition(key="year", range=models.Range(lt=1993))
    ])))
    assert ids(client.scroll(name)[0]) == [3, 4, 5]
    silent = models.Filter(must=[models.FieldCondition(key="year")])
    said = refused(400, lambda: client.count(name, count_filter=silent))
    assert "says nothing about its key" in said, said


def snapshots(client):
    name = filled(client, "kept")
    made = client.create_snapshot(name, wait=True)
    assert made.size > 0 and [one.name for one in client.list_snapshots(name)] == [made.name]
    client.delete(name, [0, 1, 2])
    assert client.recover_snapshot(name, made.name, wait=True)
    assert client.count(name).count == 6
    uploaded(client, name, made)
    assert client.delete_snapshot(name, made.name) and client.list_snapshots(name) == []
    full = client.create_full_snapshot()
    assert full.name in [one.name for one in client.list_full_snapshots()]
    assert client.delete_full_snapshot(full.name)
    refused(404, lambda: client.delete_full_snapshot(full.name))


def uploaded(client, name, made):
    """A snapshot that was downloaded makes another collection, if it is as it was. (The client
    takes every answer for JSON, so that it cannot download itself.)"""
    api = client.http.snapshots_api
    file = requests.get(f"{client.init_options['url']}/collections/{name}/snapshots/{made.name}")
    with tempfile.NamedTemporaryFile(suffix=".snapshot") as kept:
        kept.write(file.content)
        kept.flush()

        def upload(checksum):
            with open(kept.name, "rb") as snapshot:
                return api.recover_from_uploaded_snapshot(
                    "uploaded", wait=True, checksum=checksum, snapshot=snapshot
                )

        client.delete_collection("uploaded")
        refused(400, lambda: upload("0" * 64))
        assert not client.collection_exists("uploaded")
        assert upload(made.checksum).result
    assert ids(client.scroll("uploaded")[0]) == ids(client.scroll(name)[0])


CHECKS = [
    server, collections, aliases, points, query, named_vectors, payloads, filters, snapshots
]


def main(url):
    client = QdrantClient(url=url, prefer_grpc=False)
    for check in CHECKS:
        check(client)
        print(f"python client: {check.__name__}: fine")
    client.close()


if __name__ == "__main__":
    main(sys.argv[1])
