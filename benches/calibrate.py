"""Fits what a model's cosines mean to pairs of photos: `calibration` of its manifest.

    doppel serve &
    python benches/calibrate.py http://localhost:6333 ../shared/data/lfw-dev [MODEL]

The folder has `images/PERSON/PERSON_NNNN.jpg` and `pairs.txt`, as Labeled Faces in the Wild has
them. Half of the pairs fit a logistic curve, the other half says how good it is; what is printed
last is fitted to all of them. Needs `requests`.
"""

import math
import pathlib
import sys

import requests

URL, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
MODEL = sys.argv[3] if len(sys.argv) > 3 else "facenet-128"
NAME = f"{URL}/collections/calibration"


def pairs():
    for line in (FOLDER / "pairs.txt").read_text().splitlines():
        match line.split("\t"):
            case [name, i, j]:
                yield (name, int(i)), (name, int(j)), 1
            case [a, i, b, j]:
                yield (a, int(i)), (b, int(j)), 0


def embedded(photos):
    requests.delete(NAME)
    requests.put(NAME, json={"embedder": MODEL}).raise_for_status()
    vectors = {}
    for id, (person, number) in enumerate(photos):
        file = FOLDER / "images" / person / f"{person}_{number:04}.jpg"
        form = {"id": str(id), "keep_crop": "false"}
        added = requests.post(f"{NAME}/faces", files={"image": file.read_bytes()}, data=form)
        if added.status_code == 422:
            continue
        added.raise_for_status()
        point = requests.get(f"{NAME}/points/{id}").json()["result"]
        vectors[person, number] = point["vector"]
    requests.delete(NAME)
    return vectors


def fitted(samples):
    """Slope and intercept of the most likely curve, by Newton's method."""
    slope, intercept = 10.0, -5.0
    for _ in range(100):
        g0 = g1 = h00 = h01 = h11 = 0.0
        for x, y in samples:
            p = 1 / (1 + math.exp(-(slope * x + intercept)))
            w = p * (1 - p)
            g0, g1 = g0 + (y - p) * x, g1 + (y - p)
            h00, h01, h11 = h00 + w * x * x, h01 + w * x, h11 + w
        determinant = h00 * h11 - h01 * h01
        d0, d1 = (h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant
        slope, intercept = slope + d0, intercept + d1
        if abs(d0) + abs(d1) < 1e-9:
            break
    return slope, -intercept / slope


def quality(samples, slope, threshold):
    """The share of right answers, and how far told and true shares are apart on average."""
    right, bins = 0, {}
    for x, y in samples:
        p = 1 / (1 + math.exp(-slope * (x - threshold)))
        right += (p >= 0.5) == bool(y)
        bins.setdefault(min(int(p * 10), 9), []).append((p, y))
    apart = sum(abs(sum(p - y for p, y in some)) for some in bins.values())
    return right / len(samples), apart / len(samples)


all_pairs = list(pairs())
vectors = embedded(sorted({photo for a, b, _ in all_pairs for photo in (a, b)}))
samples = [
    (sum(x * y for x, y in zip(vectors[a], vectors[b])), same)
    for a, b, same in all_pairs
    if a in vectors and b in vectors
]
for part, rest in (samples[::2], samples[1::2]), (samples[1::2], samples[::2]):
    slope, threshold = fitted(part)
    accuracy, apart = quality(rest, slope, threshold)
    print(f"fitted to {len(part)} pairs: threshold {threshold:.3f}, slope {slope:.1f}; on the "
          f"others {accuracy:.4f} right, told and true shares {apart:.3f} apart")
slope, threshold = fitted(samples)
print(f'"calibration": {{"threshold": {threshold:.3f}, "slope": {slope:.1f}}}')
