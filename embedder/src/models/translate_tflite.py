"""Translates a small convolutional network that TensorFlow Lite stores (as MobileFaceNet) to ONNX.

    translate_tflite.py WEIGHTS.tflite OUT.onnx

Planes of colours go in (faces x 3 x rows x columns), a vector a face comes out, of any number of faces.
Only the kinds of layer that such a network has are known; another one ends the translation with its
name. A leaky rectifier is stored in five parts, relu(x) + c (x - |x|), and becomes one again: PRelu of
slope 2 c.
"""

import sys

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

KINDS = {
    number: name
    for name, number in vars(tflite.BuiltinOperator).items()
    if name.isupper() and isinstance(number, int)
}


class Network:
    def __init__(self, model):
        if model.SubgraphsLength() != 1:
            sys.exit("it has several graphs")
        self.model, self.graph = model, model.Subgraphs(0)
        self.nodes, self.tensors = [], []
        # Parts of a rectifier that is not whole yet: kind and inputs, by their output.
        self.parts = {}

    def name(self, at):
        return self.graph.Tensors(at).Name().decode()

    def shape(self, at):
        return [int(side) for side in self.graph.Tensors(at).ShapeAsNumpy()]

    def constant(self, at):
        tensor = self.graph.Tensors(at)
        data = self.model.Buffers(tensor.Buffer())
        if data.DataLength() == 0:
            return None
        if tensor.Type() != tflite.TensorType.FLOAT32:
            sys.exit(f"{self.name(at)}: only float32 is known")
        return np.frombuffer(data.DataAsNumpy().tobytes(), dtype="<f4").reshape(self.shape(at))

    def weight(self, name, values):
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype=np.float32), name))
        return name

    def add(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))

    def options(self, kind, operator):
        options, table = kind(), operator.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        return options

    def convolution(self, kind, operator, inputs, output):
        deep = kind == "CONV_2D"
        options = self.options(tflite.Conv2DOptions if deep else tflite.DepthwiseConv2DOptions, operator)
        if options.FusedActivationFunction() != tflite.ActivationFunctionType.NONE:
            sys.exit(f"{output}: its activation is not known")
        kernel, bias = self.constant(inputs[1]), self.constant(inputs[2])
        kernel = kernel.transpose(0, 3, 1, 2) if deep else kernel.transpose(3, 0, 1, 2)
        of = [self.name(inputs[0]), self.weight(output + ".kernel", kernel), self.weight(output + ".bias", bias)]
        same = options.Padding() == tflite.Padding.SAME
        self.add(
            "Conv",
            of,
            output,
            strides=[options.StrideH(), options.StrideW()],
            dilations=[options.DilationHFactor(), options.DilationWFactor()],
            group=1 if deep else len(kernel),
            auto_pad="SAME_UPPER" if same else "VALID",
        )

    def rectifier(self, inputs, output):
        """Whether a sum is the last part of one, which is then written down as a whole."""
        parts = dict(filter(None, (self.parts.get(name) for name in map(self.name, inputs))))
        if sorted(parts) != ["MUL", "RELU"]:
            return False
        scale, difference = sorted(parts["MUL"], key=lambda at: self.constant(at) is None)
        kind, of = self.parts.get(self.name(difference), (None, []))
        absolute = self.parts.get(self.name(of[1]), (None, [])) if kind == "SUB" else (None, [])
        if absolute != ("ABS", [of[0]]) or parts["RELU"] != [of[0]]:
            return False
        slope = 2 * self.constant(scale)
        self.add("PRelu", [self.name(of[0]), self.weight(output + ".slope", slope.reshape(-1, 1, 1))], output)
        return True

    def translate(self, operator):
        kind = KINDS[self.model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()]
        inputs = [int(at) for at in operator.InputsAsNumpy()]
        output = self.name(operator.Outputs(0))
        if kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            self.convolution(kind, operator, inputs, output)
        elif kind in ("RELU", "ABS", "SUB", "MUL"):
            self.parts[output] = kind, inputs
        elif kind == "ADD" and not self.rectifier(inputs, output):
            self.add("Add", [self.name(at) for at in inputs], output)
        elif kind == "RESHAPE" and self.shape(inputs[0])[1:3] == [1, 1]:
            self.add("Flatten", [self.name(inputs[0])], output, axis=1)
        elif kind != "ADD":
            sys.exit(f"{output}: {kind} is not known")


def main(source, target):
    with open(source, "rb") as file:
        network = Network(tflite.Model.GetRootAs(file.read(), 0))
    graph = network.graph
    for at in range(graph.OperatorsLength()):
        network.translate(graph.Operators(at))
    first, last = graph.Inputs(0), graph.Outputs(0)
    _, rows, columns, colours = network.shape(first)
    shapes = ["batch", colours, rows, columns], ["batch", network.shape(last)[-1]]
    body = helper.make_graph(
        network.nodes,
        "network",
        [helper.make_tensor_value_info(network.name(first), TensorProto.FLOAT, shapes[0])],
        [helper.make_tensor_value_info(network.name(last), TensorProto.FLOAT, shapes[1])],
        network.tensors,
    )
    made = helper.make_model(body, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(made)
    with open(target, "wb") as out:
        out.write(made.SerializeToString(deterministic=True))


main(*sys.argv[1:])
