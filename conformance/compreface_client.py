"""CompreFace's Python client, unchanged, against a running server whose settings name a collection for it.
Run as `python compreface_client.py URL PHOTOS`, PHOTOS having a folder for each person; DOPPEL_API_KEY is the
key of the server's settings. The client never looks at a status, so every answer is looked at here.
"""

import os
import pathlib
import sys

import requests
from compreface import CompreFace

URL, PHOTOS = sys.argv[1], pathlib.Path(sys.argv[2])
HOST, PORT = URL.rsplit(":", 1)


def key(service):
    """A key for one of the services, which only then is one."""
    scopes = ["search", "read", "write", "delete", "images", "embeddings"]
    body = {"name": service, "scopes": scopes, "compreface": service}
    root = {"api-key": os.environ["DOPPEL_API_KEY"]}
    made = requests.post(URL + "/admin/keys", json=body, headers=root, timeout=30)
    made.raise_for_status()
    return made.json()["result"]["secret"]


def several():
    """Two people of whom there are photos enough, with their photos."""
    people = {folder.name: sorted(str(photo) for photo in folder.iterdir()) for folder in sorted(PHOTOS.iterdir())}
    many = [(name, photos) for name, photos in people.items() if len(photos) >= 2]
    return many[:2]


def subjects(service):
    subjects = service.get_subjects()
    assert subjects.list() == {"subjects": []}, subjects.list()
    assert subjects.add("a b") == {"subject": "a b"}
    assert subjects.add("A B") == {"message": "Subject already exists", "code": 43}
    assert subjects.update("a b", "c") == {"updated": True}
    assert subjects.update("nobody", "x")["code"] == 42
    assert subjects.list() == {"subjects": ["c"]}
    assert subjects.delete("C") == {"subject": "c"}
    assert subjects.delete("c") == {"message": "Subject c not found", "code": 42}


def recognition(service):
    collection = service.get_face_collection()
    (ada, hers), (bob, his) = several()
    first = collection.add(image_path=hers[0], subject=ada, options={"det_prob_threshold": 0.8})
    assert first["subject"] == ada and len(first["image_id"]) == 36, first
    second = collection.add(image_path=pathlib.Path(his[0]).read_bytes(), subject=bob)
    listed = collection.list()
    assert listed["total_elements"] == 2 and listed["page_size"] == 20, listed
    assert sorted(one["subject"] for one in listed["faces"]) == sorted([ada, bob])

    options = {"limit": 1, "det_prob_threshold": 0.8, "prediction_count": 2, "status": True,
               "face_plugins": "age,gender,calculator,landmarks"}
    found = service.recognize(image_path=hers[1], options=options)
    [face] = found["result"]
    [best, other] = face["subjects"]
    assert (best["subject"], other["subject"]) == (ada, bob), face["subjects"]
    assert best["similarity"] > 0.5 > other["similarity"], face["subjects"]
    assert len(face["landmarks"]) == 5 and len(face["embedding"]) == 128
    assert found["unsupported_plugins"] == ["age", "gender"] and "age" not in face
    assert "calculator" in found["plugins_versions"] and "detector" in face["execution_time"]

    [same] = collection.verify(image_path=hers[1], image_id=first["image_id"], options={"limit": 1})["result"]
    assert same["subject"] == ada and same["similarity"] == best["similarity"], same
    assert collection.add(image_path=b"no photo", subject=ada)["code"] == 0

    # What came in by this client is this server's own, and the other way round.
    root = {"api-key": os.environ["DOPPEL_API_KEY"]}
    people = requests.get(URL + "/collections/compreface/people", headers=root, timeout=30).json()
    assert [one["name"] for one in people["result"]["people"]] == sorted([ada, bob]), people
    files = {"image": pathlib.Path(his[1]).read_bytes()}
    faces = URL + "/collections/compreface/faces"
    requests.post(faces, files=files, data={"person": bob}, headers=root, timeout=60).raise_for_status()
    assert collection.list()["total_elements"] == 3

    assert collection.delete(first["image_id"]) == first
    assert collection.delete(first["image_id"])["code"] == 44
    assert collection.delete_all(bob.lower()) == {"deleted": 2}
    assert collection.delete_all("")["code"] == 33, "everything would have gone"
    assert service.get_subjects().list() == {"subjects": [ada]}
    assert "is off" in service.get_subjects().delete_all()["message"], "everything would have gone"
    assert service.get_subjects().delete(ada) == {"subject": ada}
    assert second["image_id"] != first["image_id"]


def others(client, keys):
    (_, hers), (_, his) = several()
    detection = client.init_face_detection(keys["detection"])
    [face] = detection.detect(image_path=hers[0], options={"limit": 1, "status": True})["result"]
    assert face["box"]["probability"] > 0.5 and face["box"]["x_max"] > face["box"]["x_min"]
    verification = client.init_face_verification(keys["verification"])
    compared = [
        verification.verify(source_image_path=hers[0], target_image_path=other, options={"limit": 1})["result"][0]
        for other in (hers[1], his[0])
    ]
    same, different = (one["face_matches"][0]["similarity"] for one in compared)
    assert same > 0.5 > different, (same, different)
    wrong = client.init_face_detection(keys["recognition"]).detect(image_path=hers[0])
    assert wrong["code"] == 10 and wrong["message"].startswith("Detection service with API Key"), wrong


def main():
    client = CompreFace(HOST, PORT)
    keys = {service: key(service) for service in ("recognition", "detection", "verification")}
    service = client.init_face_recognition(keys["recognition"])
    subjects(service)
    recognition(service)
    others(client, keys)
    print("compreface-sdk: fine")


main()
