"""Translates FaceNet's Keras weights (HDF5) to ONNX.

    translate.py WEIGHTS.h5 OUT.onnx [RANGES.json]

The file holds the graph in its attribute `model_config` and the weights by layer. Only the kinds of
layer that this network has are known; another one ends the translation with its name. What follows a
convolution and is linear (batch normalisation, scaling) becomes part of its weights.

With ranges, what flows between the layers is rounded to 8 bits (scale and zero point for each place,
from the least and greatest value seen there), as are the weights (a scale for each output channel).
"""

import json
import sys

import h5py
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    def __init__(self, weights, ranges):
        self.weights = weights
        self.ranges = ranges
        self.nodes = []
        self.tensors = []
        # Convolutions that may still become one with what follows them.
        self.open = {}
        # Sums of which it is not known yet what follows them.
        self.sums = {}
        # Scale and zero point where values have 8 bits.
        self.steps = {}

    def add(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))

    def tensor(self, name, values, kind=np.float32):
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype=kind), name))
        return name

    def weight(self, layer, name):
        return np.asarray(self.weights[layer][layer][name + ":0"], dtype=np.float64)

    def output(self, kind, inputs, layer, **attributes):
        """Adds a node whose values have 8 bits from here on, where ranges say how."""
        if layer not in self.ranges:
            self.add(kind, inputs, layer, **attributes)
            return
        least, most = (float(edge) for edge in self.ranges[layer])
        least, most = min(least, 0.0), max(most, 0.0)
        step = max((most - least) / 255, 1e-12)
        zero = int(round(-least / step))
        of = [self.tensor(layer + ".step", step), self.tensor(layer + ".zero", zero, np.uint8)]
        self.rounded(kind, inputs, layer, step, of, **attributes)

    def rounded(self, kind, inputs, layer, step, of, **attributes):
        self.steps[layer] = step, of
        self.add(kind, inputs, layer + ".exact", **attributes)
        self.add("QuantizeLinear", [layer + ".exact", *of], layer + ".rounded")
        self.add("DequantizeLinear", [layer + ".rounded", *of], layer)

    def close(self, layer, name=None, relu=False):
        """Writes a convolution down that nothing more becomes part of, under the name of the last layer in it."""
        inputs, kernel, bias, attributes = self.open.pop(layer)
        name = name or layer
        step, _ = self.steps.get(inputs[0], (None, None))
        if step is None:
            inputs = [*inputs, self.tensor(name + ".kernel", kernel), self.tensor(name + ".bias", bias)]
        else:
            steps = np.maximum(np.abs(kernel).reshape(len(kernel), -1).max(axis=1) / 127, 1e-12)
            rounded = np.clip(np.round(kernel / steps.reshape(-1, 1, 1, 1)), -127, 127)
            of = [self.tensor(name + ".kernel.step", steps), self.tensor(name + ".kernel.zero", steps * 0, np.int8)]
            self.add("DequantizeLinear", [self.tensor(name + ".kernel.rounded", rounded, np.int8), *of], name + ".kernel", axis=0)
            of = [
                self.tensor(name + ".bias.step", steps * step),
                self.tensor(name + ".bias.zero", steps * 0, np.int32),
            ]
            rounded = np.round(bias / (steps * step))
            self.add("DequantizeLinear", [self.tensor(name + ".bias.rounded", rounded, np.int32), *of], name + ".bias", axis=0)
            inputs = [*inputs, name + ".kernel", name + ".bias"]
        if relu:
            self.add("Conv", inputs, name + ".linear", **attributes)
            self.output("Relu", [name + ".linear"], name)
        else:
            self.output("Conv", inputs, name, **attributes)


def affine(graph, layer, config):
    """Batch normalisation without gamma, as a factor and an offset for each channel."""
    factor = 1 / np.sqrt(graph.weight(layer, "moving_variance") + config["epsilon"])
    return factor, graph.weight(layer, "beta") - graph.weight(layer, "moving_mean") * factor


def scaled(convolution, factor, offset):
    inputs, kernel, bias, attributes = convolution
    factor = np.broadcast_to(np.asarray(factor, dtype=np.float64), bias.shape)
    return inputs, kernel * factor.reshape(-1, 1, 1, 1), bias * factor + offset, attributes


def translate(graph, layer, config, kind, inputs):
    follows = inputs[0] if len(inputs) == 1 and inputs[0] in graph.open else None
    if kind == "BatchNormalization" and follows:
        graph.open[layer] = scaled(graph.open.pop(follows), *affine(graph, layer, config))
        return
    if kind == "Lambda" and follows:
        graph.open[layer] = scaled(graph.open.pop(follows), config["arguments"]["scale"], 0)
        return
    if kind == "Activation" and config["activation"] == "relu" and follows:
        graph.close(follows, layer, relu=True)
        return
    terms = graph.sums.pop(inputs[0], None)
    if terms and kind == "Activation" and config["activation"] == "relu" and layer in graph.ranges:
        # What is below 0 is cut off by the rounding, as its range begins there: one rounding less.
        graph.output("Add", terms, layer)
        return
    if terms:
        graph.add("Add", terms, inputs[0])
    for name in inputs:
        if name in graph.open:
            graph.close(name)
    if kind == "Conv2D":
        kernel = graph.weight(layer, "kernel").transpose(3, 2, 0, 1)
        bias = graph.weight(layer, "bias") if config["use_bias"] else np.zeros(len(kernel))
        padding = "SAME_UPPER" if config["padding"] == "same" else "VALID"
        graph.open[layer] = inputs, kernel, bias, {"strides": config["strides"], "auto_pad": padding}
    elif kind == "BatchNormalization" and config["axis"] == [1]:
        factor, offset = affine(graph, layer, config)
        factor = graph.tensor(layer + ".factor", factor.reshape(1, -1))
        offset = graph.tensor(layer + ".offset", offset.reshape(1, -1))
        graph.add("Mul", inputs + [factor], layer + ".scaled")
        graph.add("Add", [layer + ".scaled", offset], layer)
    elif kind == "Activation" and config["activation"] == "relu":
        graph.output("Relu", inputs, layer)
    elif kind == "MaxPooling2D" and config["padding"] == "valid":
        shape = {"kernel_shape": config["pool_size"], "strides": config["strides"]}
        if inputs[0] in graph.steps:
            graph.rounded("MaxPool", inputs, layer, *graph.steps[inputs[0]], **shape)
        else:
            graph.add("MaxPool", inputs, layer, **shape)
    elif kind == "Concatenate":
        graph.output("Concat", inputs, layer, axis=1)
    elif kind == "Add":
        graph.sums[layer] = inputs
    elif kind == "GlobalAveragePooling2D":
        graph.add("ReduceMean", inputs, layer, axes=[2, 3], keepdims=0)
    elif kind == "Dropout":
        graph.add("Identity", inputs, layer)
    elif kind == "Dense" and not config["use_bias"]:
        graph.add("MatMul", inputs + [graph.tensor(layer + ".kernel", graph.weight(layer, "kernel"))], layer)
    else:
        sys.exit(f"layer {layer}: {kind} is not known")


def main(source, target, ranges=None):
    with h5py.File(source, "r") as file:
        model = json.loads(file.attrs["model_config"])["config"]
        graph = Graph(file["model_weights"], json.load(open(ranges)) if ranges else {})
        (first,), (last,) = [name for name, *_ in model["input_layers"]], [name for name, *_ in model["output_layers"]]
        graph.output("Transpose", ["input"], first, perm=[0, 3, 1, 2])
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
