"""Measures what flows through the translated FaceNet: ranges.py MODEL.onnx CROPS OUT.json

CROPS is a folder of face crops (what `doppel eval lfw DIR --crops CROPS` writes). Of each place between
two layers OUT says from where to where values are told apart: the least and the greatest one, leaving out
the one photo in a hundred that reaches farthest, or a part of that, where a fifth of the photos lose less
(by the mean square) with finer steps than by what is cut off. Not of what the first layer takes and gives, which is not rounded: that alone would be
half of what rounding does to a vector. Nor of sums, which are rounded where they are cut off at 0. Needs
numpy, onnx, onnxruntime and pillow.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from PIL import Image

KINDS = ("Conv", "Relu", "Concat")
# Of the range that is measured.
PARTS = (1.1, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)


def places(model):
    names = [name for node in model.graph.node if node.op_type in KINDS for name in node.output]
    return [name for name in names if not name.endswith(".linear")][1:]


def standardised(path):
    face = np.asarray(Image.open(path).convert("RGB"), dtype=np.float64)
    return ((face - face.mean()) / max(face.std(), 1 / np.sqrt(face.size))).astype(np.float32)


def lost(values, least, most):
    """What rounding to 8 bits does, in the mean square."""
    step = max((most - least) / 255, 1e-12)
    zero = round(-least / step)
    rounded = (np.clip(np.round(values / step) + zero, 0, 255) - zero) * step
    return ((rounded - values) ** 2).mean()


def main(source, crops, target):
    model = onnx.load(source)
    names = places(model)
    for name in names:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    paths = sorted(pathlib.Path(crops).iterdir())

    def seen(path):
        return zip(names, session.run(names, {"input": standardised(path)[None]}))

    edges = {name: ([], []) for name in names}
    for path in paths:
        for name, values in seen(path):
            edges[name][0].append(values.min())
            edges[name][1].append(values.max())
    ends = {name: (np.percentile(least, 1), np.percentile(most, 99)) for name, (least, most) in edges.items()}
    losses = {name: np.zeros(len(PARTS)) for name in names}
    for path in paths[::5]:
        for name, values in seen(path):
            least, most = min(ends[name][0], 0), max(ends[name][1], 0)
            losses[name] += [lost(values, least * part, most * part) for part in PARTS]
    ranges = {
        name: [float(f"{end * PARTS[losses[name].argmin()]:.4g}") for end in ends[name]] for name in names
    }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(both)}" for name, both in ranges.items())
    pathlib.Path(target).write_text("{\n" + lines + "\n}\n")


main(*sys.argv[1:])
