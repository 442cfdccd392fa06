"""How each program that can run an encoder's graph is loaded, and set so that it neither rounds, tells nor crowds.

The programs are imported when they are asked for: one that is missing or broken must not stop the others.

Shape key: H rows = columns of a face, D numbers a face.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omokage.errors import ConfigError
from omokage.vision import silence
from omokage.vision.graph import Graph

Floats = NDArray[np.float32]
Run = Callable[[Floats], Floats]
"""Faces (n, 3, H, H) to numbers (n, D), for those n that the graph takes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """What a loader makes for a CPU."""

    runs: list[Run]
    """One for each thread; no two threads are in the same one at a time."""

    restore: Callable[[], None] = lambda: None
    """Undoes what loading set for the whole process."""


def load_openvino(source: Graph, threads: int) -> Loaded:
    """Return runs on OpenVINO's CPU plugin, in float32."""
    openvino = silence.import_openvino()
    core = openvino.Core()
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 wherever the processor has it
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": threads,  # a core for each face
        # Left on, every process ties its threads to the same first cores: two workers then share one core.
        "ENABLE_CPU_PINNING": False,
    }
    compiled = core.compile_model(core.read_model(source.serialized()), "CPU", settings)
    output = compiled.output(source.output_name)

    def make() -> Run:
        request = compiled.create_infer_request()
        return lambda face: request.infer({source.input_name: face}, share_inputs=True)[output]

    return Loaded(runs=[make() for _ in range(threads)])


def load_opencv(source: Graph, threads: int) -> Loaded:
    """Return runs on OpenCV's dnn module; OpenCV as a whole is set to one thread, until it is closed."""
    import cv2

    before = cv2.getNumThreads()
    data = np.frombuffer(source.serialized(), np.uint8)

    def make() -> Run:
        net = cv2.dnn.readNetFromONNX(data)

        def run(face_13HH: Floats) -> Floats:
            net.setInput(face_13HH, source.input_name)
            return np.array(net.forward(source.output_name), np.float32)

        return run

    runs = [make() for _ in range(threads)]
    cv2.setNumThreads(1)
    return Loaded(runs=runs, restore=lambda: cv2.setNumThreads(before))


def load_onnxruntime(source: Graph, threads: int) -> Loaded:
    """Return runs on onnxruntime's CPU provider."""
    return Loaded(runs=[_session_run(source, ["CPUExecutionProvider"])] * threads)  # a session may be shared


def load_torch(source: Graph, threads: int) -> Loaded:
    """Return runs on torch, channels last; torch as a whole is set to one thread, until it is closed."""
    import torch

    before = torch.get_num_threads()
    run = _torch_run(source, "cpu", torch.float32)
    torch.set_num_threads(1)
    return Loaded(runs=[run] * threads, restore=lambda: torch.set_num_threads(before))


def load_onnxruntime_cuda(source: Graph) -> Run:
    """Return a run on onnxruntime's CUDA provider, in float32."""
    options = {
        "use_tf32": "0",  # TF32 keeps 10 bits of a number: too few to agree with a CPU
        "cudnn_conv_algo_search": "HEURISTIC",  # the default searches anew for every size of batch
    }
    return _session_run(source, [("CUDAExecutionProvider", options)])


def load_torch_half(source: Graph) -> Run:
    """Return a run on torch, on the GPU in half precision."""
    import torch

    if not torch.cuda.is_available():
        raise ConfigError("torch sees no CUDA device")
    return _torch_run(source, "cuda", torch.float16)


def _session_run(source: Graph, providers: list[Any]) -> Run:
    onnxruntime = silence.import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; it warns of every constant that an old file lists as an input
    wanted = providers[0] if isinstance(providers[0], str) else providers[0][0]
    if wanted not in onnxruntime.get_available_providers():
        raise ConfigError(f"the installed onnxruntime has no {wanted}")
    session = onnxruntime.InferenceSession(source.serialized(), options, providers=providers)
    if session.get_providers()[0] != wanted:  # it would go on silently with the CPU
        raise ConfigError(f"onnxruntime could not start its {wanted}")
    return lambda faces: session.run([source.output_name], {source.input_name: faces})[0]


def _torch_run(source: Graph, device: str, dtype: Any) -> Run:
    import onnx2torch
    import torch

    module = onnx2torch.convert(source.model).eval()
    module = module.to(device=device, dtype=dtype, memory_format=torch.channels_last)

    def run(faces: Floats) -> Floats:
        with torch.inference_mode():
            moved = torch.from_numpy(faces).to(device=device, dtype=dtype, memory_format=torch.channels_last)
            vectors: Floats = module(moved).float().cpu().numpy()
        return vectors

    return run


CPU_LOADERS: dict[str, Callable[[Graph, int], Loaded]] = {
    "openvino": load_openvino,
    "opencv": load_opencv,
    "onnxruntime": load_onnxruntime,
    "torch": load_torch,
}
CUDA_LOADERS: dict[str, Callable[[Graph], Run]] = {
    "onnxruntime-cuda": load_onnxruntime_cuda,
    "torch-half": load_torch_half,
}
