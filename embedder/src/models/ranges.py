"""Measures what flows through the translated FaceNet: ranges.py MODEL.onnx CROPS OUT.json

CROPS is a folder of face crops (what `doppel eval lfw DIR --crops CROPS` writes). Of each place between
two layers OUT says the least and the greatest value, leaving out the one photo in a hundred that
reaches farthest. Needs numpy, onnx, onnxruntime and pillow.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from PIL import Image

KINDS = ("Transpose", "Conv", "Relu", "Concat", "Add")


def places(model):
    names = [name for node in model.graph.node if node.op_type in KINDS for name in node.output]
    return [name for name in names if not name.endswith(".linear")]


def standardised(path):
    face = np.asarray(Image.open(path).convert("RGB"), dtype=np.float64)
    return ((face - face.mean()) / max(face.std(), 1 / np.sqrt(face.size))).astype(np.float32)


def main(source, crops, target):
    model = onnx.load(source)
    names = places(model)
    for name in names:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    edges = {name: ([], []) for name in names}
    for path in sorted(pathlib.Path(crops).iterdir()):
        for name, values in zip(names, session.run(names, {"input": standardised(path)[None]})):
            edges[name][0].append(values.min())
            edges[name][1].append(values.max())
    ranges = {
        name: [float(f"{np.percentile(least, 1):.4g}"), float(f"{np.percentile(most, 99):.4g}")]
        for name, (least, most) in edges.items()
    }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(ends)}" for name, ends in ranges.items())
    pathlib.Path(target).write_text("{\n" + lines + "\n}\n")


main(*sys.argv[1:])
