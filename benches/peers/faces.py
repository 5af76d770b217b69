"""The same models in plain Python: ONNX Runtime, Pillow and NumPy on one core.

    faces.py huge OUT.jpg PHOTO          makes a photo of 20 megapixels out of a small one
    faces.py measure MODELS BATCH ROUNDS PHOTO...   one line of JSON: milliseconds a photo by stage

`measure` decodes a photo, finds its faces, cuts the most prominent one out and embeds it; then it
embeds the crops again, BATCH at a time. Each time is the best of ROUNDS.
"""

import json
import os
import sys
import time

import numpy as np
from PIL import Image

SIDE = 640
STRIDES = (8, 16, 32)


def session(models, name):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(os.path.join(models, name), options, providers=["CPUExecutionProvider"])


def decode(path):
    with Image.open(path) as photo:
        return photo.convert("RGB")


def detect(detector, photo):
    scale = min(1.0, SIDE / max(photo.size))
    small = photo if scale == 1.0 else photo.resize([round(side * scale) for side in photo.size], Image.BILINEAR)
    canvas = np.zeros((SIDE, SIDE, 3), dtype=np.float32)
    canvas[: small.height, : small.width] = np.asarray(small)
    names = [output.name for output in detector.get_outputs()]
    answers = detector.run(names, {"input": canvas[:, :, ::-1].transpose(2, 0, 1)[None].copy()})
    answer = dict(zip(names, answers))
    boxes, scores = [], []
    for stride in STRIDES:
        of = {kind: answer[f"{kind}_{stride}"][0] for kind in ("cls", "obj", "bbox")}
        score = np.sqrt(np.clip(of["cls"], 0, 1) * np.clip(of["obj"], 0, 1)).ravel()
        cells = np.nonzero(score >= 0.6)[0]
        columns = SIDE // stride
        place = np.stack([cells % columns, cells // columns], axis=1)
        middle, size = (place + of["bbox"][cells, :2]) * stride, np.exp(of["bbox"][cells, 2:]) * stride
        boxes.append(np.concatenate([middle - size / 2, size], axis=1))
        scores.append(score[cells])
    boxes, scores = np.concatenate(boxes), np.concatenate(scores)
    kept = []
    for at in np.argsort(-scores):
        if all(overlap(boxes[at], boxes[other]) <= 0.3 for other in kept):
            kept.append(at)
    return sorted((boxes[kept] / scale).tolist(), key=lambda box: -box[2] * box[3])


def overlap(a, b):
    shared = [max(0.0, min(a[n] + a[n + 2], b[n] + b[n + 2]) - max(a[n], b[n])) for n in (0, 1)]
    both = shared[0] * shared[1]
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def crop(photo, box):
    x, y, width, height = box
    side = max(width, height) * 1.1
    left, top = x + (width - side) / 2, y + (height - side) / 2
    square = photo.crop([round(edge) for edge in (left, top, left + side, top + side)])
    face = np.asarray(square.resize((160, 160), Image.BILINEAR), dtype=np.float32)
    return (face - face.mean()) / max(face.std(), 1 / np.sqrt(face.size))


def embed(embedder, crops):
    vectors = embedder.run(None, {"input": np.stack(crops)})[0]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def best(rounds, work):
    times, answer = [], None
    for _ in range(rounds):
        started = time.perf_counter()
        answer = work()
        times.append((time.perf_counter() - started) * 1000)
    return min(times), answer


def measure(models, batch, rounds, paths):
    detector, embedder = session(models, "face_detection_yunet_2023mar.onnx"), session(models, "facenet_keras_2024.onnx")
    stages = {stage: [] for stage in ("decode", "detect", "crop", "embed")}
    crops = []

    def timed(stage, work):
        taken, answer = best(rounds, work)
        stages[stage].append(taken)
        return answer

    for path in paths:
        photo = timed("decode", lambda: decode(path))
        boxes = timed("detect", lambda: detect(detector, photo))
        if boxes:
            crops.append(timed("crop", lambda: crop(photo, boxes[0])))
            timed("embed", lambda: embed(embedder, crops[-1:]))
    several = [best(rounds, lambda: embed(embedder, crops[at : at + batch]))[0] for at in range(0, len(crops), batch)]
    told = {stage: float(np.median(times)) for stage, times in stages.items()}
    told["embed_batched"] = sum(several) / max(len(crops), 1)
    told["faces"] = len(crops)
    print(json.dumps(told))


def huge(target, source):
    """Enlarged, with the noise of a camera: smooth pixels would be decoded too quickly."""
    photo = decode(source).resize((4472, 4472), Image.BICUBIC)
    noise = np.random.default_rng(1).normal(0, 5, (4472, 4472, 1))
    pixels = np.clip(np.asarray(photo) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(target, quality=90)


if sys.argv[1] == "huge":
    huge(*sys.argv[2:])
else:
    measure(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
