"""Frees a detector's input from its fixed size: any_size.py MODEL.onnx OUT.onnx

The network is convolutional; only the declared shapes tie it to one size.
"""

import sys

import onnx


def main(source, target):
    model = onnx.load(source)
    for axis, name in ((2, "height"), (3, "width")):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[1].dim_param = output.name + "_cells"
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    with open(target, "wb") as out:
        out.write(model.SerializeToString(deterministic=True))


main(*sys.argv[1:])
