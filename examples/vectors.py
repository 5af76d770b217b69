"""Vectors with the official Python client: `python examples/vectors.py http://localhost:6333`."""

import sys

from qdrant_client import QdrantClient, models

client = QdrantClient(url=sys.argv[1] if len(sys.argv) > 1 else "http://localhost:6333")
client.delete_collection("fruit")
client.create_collection(
    "fruit", vectors_config=models.VectorParams(size=3, distance=models.Distance.COSINE)
)
client.upsert("fruit", [
    models.PointStruct(id=1, vector=[0.9, 0.1, 0.0], payload={"name": "apple"}),
    models.PointStruct(id=2, vector=[0.8, 0.3, 0.1], payload={"name": "pear"}),
    models.PointStruct(id=3, vector=[0.0, 0.2, 0.9], payload={"name": "plum"}),
])
hits = client.query_points("fruit", query=[1, 0.1, 0], limit=2, with_payload=True).points
for hit in hits:
    print(f"{hit.payload['name']}: {hit.score:.3f}")
assert [hit.payload["name"] for hit in hits] == ["apple", "pear"]
more_like_it = client.query_points("fruit", query=1, limit=1).points
assert more_like_it[0].id == 2
