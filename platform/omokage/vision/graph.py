"""An encoder's graph in memory, checked against its description, faces as it takes them, vectors of what it gives.

Shape key: N faces, H rows = columns of a face, 3 channels, D numbers a face.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from omokage.errors import ConfigError, WeightsError
from omokage.vision.encoder import EncoderSpec

LEAST_NORM = 1e-12
"""A vector shorter than this points nowhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """A graph that takes float32 faces (batch, 3, side, side) and gives ``dim`` numbers for each."""

    model: Any
    """The onnx.ModelProto; its intermediate shapes are removed, since they may name the old batch."""

    input_name: str
    output_name: str
    """Its only output; what else the file gives is left out."""

    def serialized(self) -> bytes:
        """Return the graph as the bytes of an .onnx file."""
        return bytes(self.model.SerializeToString())


def read(spec: EncoderSpec, *, dynamic: bool) -> Graph:
    """Return the graph of ``spec`` with a batch of 1, or of any size if ``dynamic``.

    The file's own batch is replaced in memory: SFace's, for one, is fixed at 1 though nothing in it depends on that.

    Raises:
        ConfigError: The graph is not what the description says.
        WeightsError: The file is missing, or is no ONNX file that stands alone.
    """
    model = _model(spec)
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}  # old files list these among the inputs
    taken = _named(spec, "input_name", [value for value in graph.input if value.name not in constants])
    given = _named(spec, "output_name", list(graph.output))
    _check_input(spec, taken)
    _check_output(spec, given)
    for value in (taken, given):
        _set_batch(value, dynamic)
    for axis, size in enumerate((3, spec.input_size, spec.input_size), start=1):
        taken.type.tensor_type.shape.dim[axis].dim_value = size
    del graph.value_info[:]
    output = onnx.ValueInfoProto()
    output.CopyFrom(given)  # a copy, since the original goes with its list
    del graph.output[:]
    graph.output.append(output)
    return Graph(model=model, input_name=taken.name, output_name=output.name)


def prepare(spec: EncoderSpec, crops_NHH3: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return aligned RGB faces as the graph takes them: ``(value * scale - mean) / std``, channels first, in its order.

    Args:
        spec: The encoder.
        crops_NHH3: RGB faces of ``spec.input_size`` px, 0 to 255. Shape (N, H, H, 3).

    Returns:
        A new C-contiguous array. Shape (N, 3, H, H).
    """
    planes_N3HH = crops_NHH3.transpose(0, 3, 1, 2)
    if spec.colour == "BGR":
        planes_N3HH = planes_N3HH[:, ::-1]
    out_N3HH = np.empty(planes_N3HH.shape, np.float32)
    np.multiply(planes_N3HH, np.float32(spec.scale), out=out_N3HH)
    if any(spec.mean):
        out_N3HH -= np.array(spec.mean, np.float32)[:, None, None]
    if any(one != 1 for one in spec.std):
        out_N3HH /= np.array(spec.std, np.float32)[:, None, None]
    return out_N3HH


def noise(spec: EncoderSpec, count: int) -> NDArray[np.float32]:
    """Return ``count`` prepared faces of coarse blobs under fine noise, always the same. Shape (count, 3, H, H)."""
    rng = np.random.default_rng(0)
    side = spec.input_size
    block = -(-side // 8)
    coarse = rng.uniform(20, 235, (count, 8, 8, 3)).repeat(block, axis=1).repeat(block, axis=2)[:, :side, :side]
    crops = (coarse + rng.uniform(-20, 20, (count, side, side, 3))).astype(np.uint8)
    return prepare(spec, crops)


def to_unit(out_ND: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the rows at length 1, and which could be brought to it; the others become zero.

    Args:
        out_ND: Vectors of any length, in which NaN and infinite numbers may occur. Shape (N, D).

    Returns:
        ``vector_ND`` of shape (N, D) and ``usable_N`` of shape (N,).
    """
    wide_ND = out_ND.astype(np.float64)  # squares of large float32 numbers overflow
    finite_N = np.isfinite(wide_ND).all(axis=1)
    wide_ND[~finite_N] = 0.0
    norm_N = np.sqrt(np.square(wide_ND).sum(axis=1))
    usable_N = norm_N > LEAST_NORM
    wide_ND[~usable_N] = 0.0
    norm_N[~usable_N] = 1.0
    return (wide_ND / norm_N[:, None]).astype(np.float32), usable_N


def _model(spec: EncoderSpec) -> Any:
    file = spec.weights_file()
    try:
        model = onnx.load(file, load_external_data=False)
    except (OSError, DecodeError) as error:
        raise WeightsError(f"cannot read {file} as an ONNX file: {error}") from error
    if not model.graph.node:
        raise WeightsError(f"{file} is no ONNX file: it holds no graph")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        # one sha256 must stand for all that a vector depends on
        raise WeightsError(
            f"{file} keeps its weights in other files; make it one file with onnx.save(onnx.load(...), ...)"
        )
    return model


def _named(spec: EncoderSpec, key: str, values: list[Any]) -> Any:
    names = [value.name for value in values]
    wanted = getattr(spec, key)
    if not names:
        raise WeightsError(f"the graph of {spec.name!r} has no {key.removesuffix('_name')}")
    if wanted is None:
        return values[0]
    if wanted not in names:
        raise ConfigError(f"encoder.{key} of {spec.name!r} is {wanted!r}, but its graph has {', '.join(names)}")
    return values[names.index(wanted)]


def _check_input(spec: EncoderSpec, value: Any) -> None:
    tensor = value.type.tensor_type
    if tensor.elem_type != onnx.TensorProto.FLOAT:
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
        raise ConfigError(f"the graph of {spec.name!r} takes {kind}; only float32 graphs are supported")
    sizes = [dim.dim_value for dim in tensor.shape.dim]  # 0 where the file leaves it open
    wanted = (3, spec.input_size, spec.input_size)
    if len(sizes) != 4 or any(size not in (0, want) for size, want in zip(sizes[1:], wanted, strict=True)):
        raise ConfigError(
            f"the graph of {spec.name!r} takes {_shown(sizes)}, but its description says "
            f"{_shown([0, *wanted])} (batch, channels, rows, columns)"
        )
    if spec.batch == "fixed" and sizes[0] > 1:
        raise ConfigError(
            f"the graph of {spec.name!r} takes {sizes[0]} faces at once; export it with a batch of 1, or, if nothing "
            'in it depends on its batch, say batch = "dynamic"'
        )


def _check_output(spec: EncoderSpec, value: Any) -> None:
    dims = value.type.tensor_type.shape.dim
    declared = 1
    for dim in dims[1:]:
        declared *= dim.dim_value
    if len(dims) > 1 and declared not in (0, spec.dim):
        raise ConfigError(
            f"the graph of {spec.name!r} gives {declared} numbers a face, its description says {spec.dim}"
        )


def _set_batch(value: Any, dynamic: bool) -> None:
    dims = value.type.tensor_type.shape.dim
    if not dims:  # an output whose shape the file leaves open
        return
    if dynamic:
        dims[0].dim_param = "faces"
    else:
        dims[0].dim_value = 1


def _shown(sizes: list[int]) -> str:
    return "x".join(str(size) if size else "?" for size in sizes)
