"""Translates FaceNet's Keras weights (HDF5) to ONNX: translate.py WEIGHTS.h5 OUT.onnx

The file holds the graph in its attribute `model_config` and the weights by layer. Only the kinds of
layer that this network has are known; another one ends the translation with its name.
"""

import json
import sys

import h5py
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    def __init__(self, weights):
        self.weights = weights
        self.nodes = []
        self.tensors = []

    def add(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))

    def tensor(self, name, values):
        values = np.ascontiguousarray(values, dtype=np.float32)
        self.tensors.append(numpy_helper.from_array(values, name))
        return name

    def weight(self, layer, name):
        return np.asarray(self.weights[layer][layer][name + ":0"], dtype=np.float64)


def affine(graph, layer, config):
    """Batch normalisation without gamma, as a factor and an offset for each channel."""
    factor = 1 / np.sqrt(graph.weight(layer, "moving_variance") + config["epsilon"])
    return factor, graph.weight(layer, "beta") - graph.weight(layer, "moving_mean") * factor


def translate(graph, layer, config, kind, inputs):
    if kind == "Conv2D":
        kernel = graph.tensor(layer + ".kernel", graph.weight(layer, "kernel").transpose(3, 2, 0, 1))
        inputs = inputs + [kernel]
        if config["use_bias"]:
            inputs.append(graph.tensor(layer + ".bias", graph.weight(layer, "bias")))
        padding = "SAME_UPPER" if config["padding"] == "same" else "VALID"
        graph.add("Conv", inputs, layer, strides=config["strides"], auto_pad=padding)
    elif kind == "BatchNormalization":
        factor, offset = affine(graph, layer, config)
        shape = (1, -1) if config["axis"] == [1] else (1, -1, 1, 1)
        factor = graph.tensor(layer + ".factor", factor.reshape(shape))
        offset = graph.tensor(layer + ".offset", offset.reshape(shape))
        graph.add("Mul", inputs + [factor], layer + ".scaled")
        graph.add("Add", [layer + ".scaled", offset], layer)
    elif kind == "Activation" and config["activation"] == "relu":
        graph.add("Relu", inputs, layer)
    elif kind == "MaxPooling2D" and config["padding"] == "valid":
        graph.add("MaxPool", inputs, layer, kernel_shape=config["pool_size"], strides=config["strides"])
    elif kind == "Concatenate":
        graph.add("Concat", inputs, layer, axis=1)
    elif kind == "Lambda":
        factor = graph.tensor(layer + ".factor", [config["arguments"]["scale"]])
        graph.add("Mul", inputs + [factor], layer)
    elif kind == "Add":
        graph.add("Add", inputs, layer)
    elif kind == "GlobalAveragePooling2D":
        graph.add("ReduceMean", inputs, layer, axes=[2, 3], keepdims=0)
    elif kind == "Dropout":
        graph.add("Identity", inputs, layer)
    elif kind == "Dense" and not config["use_bias"]:
        graph.add("MatMul", inputs + [graph.tensor(layer + ".kernel", graph.weight(layer, "kernel"))], layer)
    else:
        sys.exit(f"layer {layer}: {kind} is not known")


def main(source, target):
    with h5py.File(source, "r") as file:
        model = json.loads(file.attrs["model_config"])["config"]
        graph = Graph(file["model_weights"])
        (first,), (last,) = [name for name, *_ in model["input_layers"]], [name for name, *_ in model["output_layers"]]
        graph.add("Transpose", ["input"], first, perm=[0, 3, 1, 2])
        for layer in model["layers"]:
            if layer["class_name"] != "InputLayer":
                inputs = [name for name, *_ in layer["inbound_nodes"][0]]
                translate(graph, layer["name"], layer["config"], layer["class_name"], inputs)
        graph.add("Identity", [last], "output")
    shape = ["batch"] + model["layers"][0]["config"]["batch_input_shape"][1:]
    body = helper.make_graph(
        graph.nodes,
        "facenet",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 128])],
        graph.tensors,
    )
    made = helper.make_model(body, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(made)
    with open(target, "wb") as out:
        out.write(made.SerializeToString(deterministic=True))


main(*sys.argv[1:])
