"""Index a folder of photos, then find look-alikes; one sub-folder a person.

    python examples/photos.py http://localhost:6333 PHOTOS [PHOTO-TO-LOOK-FOR]

Photos go in with `requests`; everything else is done with the official Qdrant client, because faces
are points like all others.
"""

import json
import pathlib
import sys

import requests
from qdrant_client import QdrantClient, models

URL, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
NAME = "look-alikes"
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}

client = QdrantClient(url=URL, prefer_grpc=False)

# 1. A collection of faces: a model of the server makes the vectors.
client.delete_collection(NAME)
requests.put(f"{URL}/collections/{NAME}", json={"embedder": "facenet-128"}).raise_for_status()

# 2. Photos in: the largest face of each, with its person and where it came from.
photos = sorted(path for path in FOLDER.rglob("*") if path.suffix.lower() in SUFFIXES)
for photo in photos:
    answer = requests.post(
        f"{URL}/collections/{NAME}/faces",
        files={"image": (photo.name, photo.read_bytes())},
        data={
            "person": photo.parent.name.replace("_", " "),
            "payload": json.dumps({"file": photo.name}),
        },
    )
    if answer.status_code == 422:
        print(f"{photo}: {answer.json()['status']['error']}")
        continue
    answer.raise_for_status()
print(f"{client.count(NAME).count} faces of {len(photos)} photos")

# 3. Look-alikes of a photo: the best photo of each person.
wanted = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else photos[0]
answer = requests.post(
    f"{URL}/collections/{NAME}/faces/search",
    files={"image": wanted.read_bytes()},
    data={"limit": "3", "group_by": "person"},
)
answer.raise_for_status()
[face, *_] = answer.json()["result"]["faces"]
for hit in face["hits"]:
    print(f"{hit['score']:.3f}  {hit['person']}  {URL}{hit['image']}")
best = face["hits"][0]

# 4. The same with the official client: whom is that face most like, apart from its own person?
others = models.Filter(must_not=[
    models.FieldCondition(key="person", match=models.MatchValue(value=best["person"]))
])
hits = client.query_points(
    NAME, query=best["id"], query_filter=others, limit=3, with_payload=True
).points
for hit in hits:
    print(f"{hit.score:.3f}  {hit.payload['person']}  {hit.payload['file']}")

if len(sys.argv) <= 3:
    assert best["score"] > 0.99, "the photo itself is its own best look-alike"
    assert all(hit.payload["person"] != best["person"] for hit in hits)
