"""A small encoder made in the test, and the slow obvious version of it.

A 3x3 convolution with stride 2, ReLU, the mean over the picture, and one matrix.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from omokage.vision.encoder import EncoderSpec

CHANNELS = 8


@dataclass(frozen=True, kw_only=True)
class Shape:
    batch: int | str = "n"
    side: int = 224
    dim: int = 512
    layout: tuple[int, ...] | None = None  # axes after the batch, in place of (3, side, side)
    hard_batch: bool = False  # the batch is written into a Reshape too
    kind: int = TensorProto.FLOAT


def numbers(dim: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    return {
        "kernel": rng.normal(0, 0.2, (CHANNELS, 3, 3, 3)).astype(np.float32),
        "bias": rng.normal(0, 0.2, CHANNELS).astype(np.float32),
        "matrix": rng.normal(0, 1, (CHANNELS, dim)).astype(np.float32),
        "offset": rng.normal(0, 1, dim).astype(np.float32),
    }


def write(file: Path, shape: Shape = Shape(), **external: object) -> Path:
    flatten = helper.make_node("Flatten", ["mean"], ["flat"])
    constants = [numpy_helper.from_array(value, name) for name, value in numbers(shape.dim).items()]
    if shape.hard_batch:
        flatten = helper.make_node("Reshape", ["mean", "flat_shape"], ["flat"])
        constants.append(numpy_helper.from_array(np.array([shape.batch, CHANNELS], np.int64), "flat_shape"))
    nodes = [
        helper.make_node(
            "Conv", ["face", "kernel", "bias"], ["conv"], strides=[2, 2], pads=[1, 1, 1, 1], kernel_shape=[3, 3]
        ),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("GlobalAveragePool", ["relu"], ["mean"]),
        flatten,
        helper.make_node("Gemm", ["flat", "matrix", "offset"], ["vector"]),
    ]
    axes = shape.layout or (3, shape.side, shape.side)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("face", shape.kind, [shape.batch, *axes])],
        [
            helper.make_tensor_value_info("vector", TensorProto.FLOAT, [shape.batch, shape.dim]),
            helper.make_tensor_value_info("flat", TensorProto.FLOAT, [shape.batch, CHANNELS]),
        ],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save_model(model, file, **external)
    return file


def spec(file: Path, **changes: object) -> EncoderSpec:
    usual: dict[str, object] = {
        "name": "tiny",
        "weights": str(file),
        "licence": "CC0-1.0",
        "dim": 512,
        "input_size": 224,
        "colour": "RGB",
        "template": "dlib",
        "padding": 0.1,
        "scale": 1 / 255,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    }
    return EncoderSpec(**(usual | changes))  # type: ignore[arg-type]


def slow(face_3HH: np.ndarray, dim: int = 512) -> np.ndarray:
    """The same in plain loops over the kernel, in float64. Returns (dim,)."""
    part = {name: value.astype(np.float64) for name, value in numbers(dim).items()}
    side = face_3HH.shape[1]
    padded = np.zeros((3, side + 2, side + 2))
    padded[:, 1:-1, 1:-1] = face_3HH
    half = (side + 1) // 2
    means = np.empty(CHANNELS)
    for out in range(CHANNELS):
        total = np.full((half, half), part["bias"][out])
        for channel in range(3):
            for row in range(3):
                for column in range(3):
                    seen = padded[channel, row : row + 2 * half - 1 : 2, column : column + 2 * half - 1 : 2]
                    total += part["kernel"][out, channel, row, column] * seen
        means[out] = np.maximum(total, 0).mean()
    return means @ part["matrix"] + part["offset"]
