#!/usr/bin/env python3
"""Write the tiny ONNX models the tests of the ONNX Runtime batch runner load.

Run it from the repository's root (needs Python 3.8 or later and nothing else):

    python3 tools/models/make_test_models.py --out tests/MArk.Serving.OnnxRuntime.Tests/Assets

The models hold no random numbers, so the files are the same bytes on every run. They are
encoded by hand (the first half of this file is a protobuf encoder for the few ONNX messages
needed) because exporters cannot express every element type, such as uint16 or string.
"""
import argparse
import struct
from pathlib import Path

# TensorProto.DataType
TYPES = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7,
    "string": 8, "bool": 9, "float16": 10, "float64": 11, "uint32": 12, "uint64": 13,
    "bfloat16": 16,
}
IR_VERSION, OPSET = 7, 13  # the pair of ONNX 1.8


# --- protobuf: a message is the concatenation of its encoded fields ---

def varint(value):
    value &= (1 << 64) - 1  # negative numbers are sent as 64-bit two's complement
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer(field, value):
    return varint(field << 3) + varint(value)


def blob(field, value):
    """A string, bytes or nested-message field."""
    if isinstance(value, str):
        value = value.encode("utf-8")
    return varint(field << 3 | 2) + varint(len(value)) + value


# --- ONNX messages ---

def value_info(name, element_type, shape):
    """A graph input or output; a dimension is a number (fixed) or a name (dynamic)."""
    dims = b"".join(
        blob(1, blob(2, d) if isinstance(d, str) else integer(1, d)) for d in shape)
    tensor_type = integer(1, TYPES[element_type]) + blob(2, dims)
    return blob(1, name) + blob(2, blob(1, tensor_type))


def constant(name, element_type, shape, values):
    """An initializer; the values are little-endian raw data."""
    code = {"float32": "f", "int64": "q"}[element_type]
    return (b"".join(integer(1, d) for d in shape) + integer(2, TYPES[element_type])
            + blob(8, name) + blob(9, struct.pack(f"<{len(values)}{code}", *values)))


def attribute(name, value):
    """A number or a list of numbers; field 20 is the type: 2 for INT, 7 for INTS."""
    if isinstance(value, list):
        return blob(1, name) + b"".join(integer(8, v) for v in value) + integer(20, 7)
    return blob(1, name) + integer(3, value) + integer(20, 2)


def node(op_type, inputs, outputs, **attributes):
    attributes = b"".join(blob(5, attribute(n, v)) for n, v in attributes.items())
    return (b"".join(blob(1, i) for i in inputs) + b"".join(blob(2, o) for o in outputs)
            + blob(3, outputs[0] + "_" + op_type) + blob(4, op_type) + attributes)


def model(name, inputs, outputs, nodes, constants=()):
    graph = (b"".join(blob(1, n) for n in nodes) + blob(2, name)
             + b"".join(blob(5, c) for c in constants)
             + b"".join(blob(11, i) for i in inputs) + b"".join(blob(12, o) for o in outputs))
    opset = blob(1, "") + integer(2, OPSET)
    return integer(1, IR_VERSION) + blob(2, "make_test_models") + blob(7, graph) + blob(8, opset)


# --- the models ---

def add_two_inputs():
    """Two inputs, two outputs: sum = a + b, diff = a - b."""
    shape = ["batch", 3]
    return model(
        "add_two_inputs",
        [value_info("a", "float32", shape), value_info("b", "float32", shape)],
        [value_info("sum", "float32", shape), value_info("diff", "float32", shape)],
        [node("Add", ["a", "b"], ["sum"]), node("Sub", ["a", "b"], ["diff"])])


def fixed_batch4():
    """A batch dimension fixed at 4: y = 2 * x."""
    return model(
        "fixed_batch4",
        [value_info("x", "float32", [4, 2])], [value_info("y", "float32", [4, 2])],
        [node("Mul", ["x", "two"], ["y"])],
        [constant("two", "float32", [], [2.0])])


def dynamic_length():
    """Two dynamic dimensions: total = the sum of each row, doubled = 2 * tokens."""
    shape = ["batch", "length"]
    return model(
        "dynamic_length",
        [value_info("tokens", "int64", shape)],
        [value_info("total", "int64", ["batch"]), value_info("doubled", "int64", shape)],
        [node("ReduceSum", ["tokens", "axes"], ["total"], keepdims=0),
         node("Add", ["tokens", "tokens"], ["doubled"])],
        [constant("axes", "int64", [1], [1])])


def echo(element_type):
    """y = x, for one element type."""
    shape = ["batch", 2]
    return model(
        f"echo_{element_type}",
        [value_info("x", element_type, shape)], [value_info("y", element_type, shape)],
        [node("Identity", ["x"], ["y"])])


def fails_on_negative():
    """value = [10, 20, 30, 40][index], and the whole run fails if any index is negative.

    Gather would take -4..-1 as counted from the end, so a negative index is first replaced
    by 4, which is out of range, as is any index above 3.
    """
    shape = ["batch", 1]
    return model(
        "fails_on_negative",
        [value_info("index", "int64", shape)], [value_info("value", "float32", shape)],
        [node("Less", ["index", "zero"], ["is_negative"]),
         node("Where", ["is_negative", "out_of_range", "index"], ["checked"]),
         node("Gather", ["table", "checked"], ["value"], axis=0)],
        [constant("zero", "int64", [], [0]), constant("out_of_range", "int64", [], [4]),
         constant("table", "float32", [4], [10.0, 20.0, 30.0, 40.0])])


def scalar_output():
    """An output without a batch dimension: mean = the mean of all of x, of rank 0."""
    return model(
        "scalar_output",
        [value_info("x", "float32", ["batch", 2])], [value_info("mean", "float32", [])],
        [node("ReduceMean", ["x"], ["mean"], keepdims=0)])


# Models whose answers do not depend on how far their input is padded, if the mask is right.

def masked_mean_of(values, weights, mean, axis):
    """Nodes for mean = sum(values * weights) / max(sum(weights), 1) along one axis, which is kept."""
    return [
        node("Mul", [values, weights], ["weighted"]),
        node("ReduceSum", ["weighted", axis], ["total"], keepdims=1),
        node("ReduceSum", [weights, axis], ["count"], keepdims=1),
        node("Max", ["count", "one"], ["at_least_one"]),
        node("Div", ["total", "at_least_one"], [mean])]


def masked_mean():
    """mean = the mean of the values where the mask, of bool, is true."""
    return model(
        "masked_mean",
        [value_info("values", "float32", ["batch", "length"]),
         value_info("mask", "bool", ["batch", "length"])],
        [value_info("mean", "float32", ["batch", 1])],
        [node("Cast", ["mask"], ["weights"], to=TYPES["float32"]),
         *masked_mean_of("values", "weights", "mean", "axis")],
        [constant("one", "float32", [], [1.0]), constant("axis", "int64", [1], [1])])


def masked_center():
    """centered = the values less their mean where the mask, of int64, is 1. No dimension has a name."""
    shape = ["", ""]
    return model(
        "masked_center",
        [value_info("mask", "int64", shape), value_info("values", "float32", shape)],
        [value_info("centered", "float32", shape)],
        [node("Cast", ["mask"], ["weights"], to=TYPES["float32"]),
         *masked_mean_of("values", "weights", "mean", "axis"),
         node("Sub", ["values", "mean"], ["centered"])],
        [constant("one", "float32", [], [1.0]), constant("axis", "int64", [1], [1])])


def masked_channels():
    """The padded length comes last, after two channels, and beside a second input of the same length.

    centered = features less their mean where the mask, of float32, is 1; shifted = tokens + 1.
    """
    return model(
        "masked_channels",
        [value_info("features", "float32", ["batch", 2, "length"]),
         value_info("tokens", "int64", ["batch", "length"]),
         value_info("mask", "float32", ["batch", 1, "length"])],
        [value_info("centered", "float32", ["batch", 2, "length"]),
         value_info("shifted", "int64", ["batch", "length"])],
        [*masked_mean_of("features", "mask", "mean", "axis"),
         node("Sub", ["features", "mean"], ["centered"]),
         node("Add", ["tokens", "one_token"], ["shifted"])],
        [constant("one", "float32", [], [1.0]), constant("one_token", "int64", [], [1]),
         constant("axis", "int64", [1], [2])])


def image_max():
    """Two dynamic dimensions and no mask: max = the greatest pixel, copy = the image."""
    shape = ["batch", "height", "width"]
    return model(
        "image_max",
        [value_info("image", "float32", shape)],
        [value_info("max", "float32", ["batch"]), value_info("copy", "float32", shape)],
        [node("ReduceMax", ["image"], ["max"], axes=[1, 2], keepdims=0),
         node("Identity", ["image"], ["copy"])])


def echo_words():
    """y = x for strings of a dynamic length."""
    shape = ["batch", "length"]
    return model(
        "echo_words",
        [value_info("x", "string", shape)], [value_info("y", "string", shape)],
        [node("Identity", ["x"], ["y"])])


def square():
    """Twice the same name: y = x, of shape [batch, length, length]; label is a string of no use."""
    shape = ["batch", "length", "length"]
    return model(
        "square",
        [value_info("x", "float32", shape), value_info("label", "string", ["batch", "words"])],
        [value_info("y", "float32", shape), value_info("same", "string", ["batch", "words"])],
        [node("Identity", ["x"], ["y"]), node("Identity", ["label"], ["same"])])


def twice_as_long(element_type):
    """An output whose length is not the input's: y = x and x again."""
    return model(
        f"twice_as_long_{element_type}",
        [value_info("x", element_type, ["batch", "length"])],
        [value_info("y", element_type, ["batch", "twice"])],
        [node("Concat", ["x", "x"], ["y"], axis=1)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="output folder")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    models = {make.__name__: make() for make in (
        add_two_inputs, fixed_batch4, dynamic_length, fails_on_negative, scalar_output,
        masked_mean, masked_center, masked_channels, image_max, echo_words, square)}
    models.update({f"echo_{element_type}": echo(element_type) for element_type in TYPES})
    models.update({f"twice_as_long_{t}": twice_as_long(t) for t in ("float32", "string")})
    for name, content in models.items():
        (out / f"{name}.onnx").write_bytes(content)
        print(f"wrote {name}.onnx: {len(content)} bytes")


if __name__ == "__main__":
    main()
