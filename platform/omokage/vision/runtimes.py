"""The programs that can run an encoder's graph, behind one small interface, and the choice between them.

On a CPU every face is run alone on one core, as many faces side by side as there are threads. So a face's vector is
the same to the bit whatever else is in its batch, however large the batch, and however many threads; and it is no
slower, since batching brings nothing on a CPU. On a GPU whole batches are run, and that promise does not hold.
Two programs agree to about 1e-6, not to the bit: one dataset wants one program (``Choice.runtime.name``) throughout.

Shape key: N faces, H rows = columns of a face, D numbers a face.
"""

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np

from omokage.config import nearest
from omokage.errors import ConfigError, WeightsError
from omokage.vision import graph
from omokage.vision.encoder import EncoderSpec
from omokage.vision.engines import CPU_LOADERS, CUDA_LOADERS, Floats, Loaded, Run

CANDIDATES: dict[str, tuple[str, ...]] = {
    # torch can be asked for by name: only to import it takes longer than measuring all the others
    "cpu": ("onnxruntime", "openvino", "opencv"),
    "cuda": ("onnxruntime-cuda", "torch-half"),
}
"""What is measured on each device when nobody names a runtime."""

REFERENCE = "onnxruntime"
"""The runtime, on a CPU, that the others must agree with."""

TOLERANCE = 1e-4
"""Largest difference, in any number of a unit vector, from the reference."""

HALF_TOLERANCE = 5e-3
"""The same for half precision; SFace differs by 1e-3, which moves a cosine by 1e-5."""

MEASURE_SECONDS = 0.2
"""How long each candidate is measured, beside its loading and one run to warm it up."""

GPU_FACES = 32
"""How many faces a GPU is measured with."""


class Runtime(Protocol):
    """An encoder's graph, ready to run."""

    @property
    def name(self) -> str:
        """What it is chosen by."""
        ...

    def __call__(self, batch_N3HH: Floats) -> Floats:
        """Return the graph's numbers for each face, as they come (not of unit length), in order. Shape (N, D)."""
        ...

    def close(self) -> None:
        """Give back its threads, and what it set for the whole process."""
        ...


class CorePerFace:
    """A runtime on a CPU: each face alone on a core, several faces side by side."""

    def __init__(self, name: str, loaded: Loaded, dim: int) -> None:
        self._name = name
        self._dim = dim
        self._restore = loaded.restore
        self._free: SimpleQueue[Run] = SimpleQueue()
        for run in loaded.runs:
            self._free.put(run)
        self._pool = ThreadPoolExecutor(len(loaded.runs), thread_name_prefix=f"encode-{name}")

    @property
    def name(self) -> str:
        """What it is chosen by."""
        return self._name

    def __call__(self, batch_N3HH: Floats) -> Floats:
        """Return the vectors, in order. Shape (N, D)."""
        out_ND = np.empty((len(batch_N3HH), self._dim), np.float32)
        for row, vector_1D in enumerate(self._pool.map(self._one, batch_N3HH)):
            out_ND[row] = vector_1D
        return out_ND

    def close(self) -> None:
        """Give back the threads, and what loading set for the whole process."""
        self._pool.shutdown()
        self._restore()

    def _one(self, face_3HH: Floats) -> Floats:
        run = self._free.get()
        try:
            return _flat(run(face_3HH[None]), self._dim)
        finally:
            self._free.put(run)


class Batches:
    """A runtime on a GPU: whole batches, of at most ``limit`` faces if there is a limit."""

    def __init__(self, name: str, run: Run, dim: int, limit: int | None) -> None:
        self._name = name
        self._run = run
        self._dim = dim
        self._limit = limit

    @property
    def name(self) -> str:
        """What it is chosen by."""
        return self._name

    def __call__(self, batch_N3HH: Floats) -> Floats:
        """Return the vectors, in order. Shape (N, D)."""
        step = self._limit or max(1, len(batch_N3HH))
        parts = [batch_N3HH[start : start + step] for start in range(0, len(batch_N3HH), step)]
        return np.concatenate([np.empty((0, self._dim), np.float32), *(_flat(self._run(p), self._dim) for p in parts)])

    def close(self) -> None:
        """Nothing to give back: the card's memory goes with the object."""


def _flat(out: Any, dim: int) -> Floats:
    """Return vectors of shape (n, D), also where the graph gives (n, D, 1, 1)."""
    vectors: Floats = np.asarray(out, np.float32).reshape(len(out), -1)
    if vectors.shape[1] != dim:
        raise ConfigError(f"the graph gives {vectors.shape[1]} numbers a face, its description says {dim}")
    return vectors


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What was found of one candidate."""

    name: str

    milliseconds: float = math.nan
    """A face, with all threads at work; NaN if it was not measured."""

    difference: float = math.nan
    """Largest difference of a unit vector's numbers from the reference's; NaN if it was not run."""

    reason: str = ""
    """Why it cannot be taken; empty if it can."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The quickest runtime, and all that were tried."""

    runtime: Runtime
    """Its ``name`` is what a driver passes on, so that no worker need measure again."""

    trials: tuple[Trial, ...]


def needs_card(name: str) -> bool:
    """Return whether the runtime called ``name`` runs on a GPU."""
    return name in CUDA_LOADERS


def load(name: str, spec: EncoderSpec, *, threads: int = 1) -> Runtime:
    """Return the runtime called ``name`` with the graph of ``spec``, tried out once.

    Args:
        name: One of ``CPU_LOADERS`` or ``CUDA_LOADERS``.
        spec: The encoder.
        threads: Cores to keep busy, at least 1; a GPU has no use for it.

    Raises:
        ConfigError: No runtime has this name, it is missing, or it cannot run this graph.
        WeightsError: The weights cannot be had.
    """
    if threads < 1:
        raise ConfigError(f"threads must be at least 1, got {threads}")
    if name not in CPU_LOADERS and name not in CUDA_LOADERS:
        raise ConfigError(f"no runtime is called {name!r}; {nearest(name, [*CPU_LOADERS, *CUDA_LOADERS])}")
    try:
        runtime = _load_cpu(name, spec, threads) if name in CPU_LOADERS else _load_cuda(name, spec)
    except (ConfigError, WeightsError):
        raise
    except Exception as error:  # each runtime raises kinds of its own, many of them bare
        first_line = (str(error).strip().splitlines() or [""])[0]
        raise ConfigError(
            f"{name} cannot run the encoder {spec.name!r}: {type(error).__name__}: {first_line}"
        ) from error
    return runtime


def choose(spec: EncoderSpec, *, threads: int = 1, device: str = "cpu", names: Sequence[str] | None = None) -> Choice:
    """Return the quickest runtime on this machine whose vectors are right.

    Each candidate is loaded and measured for a moment on noise. One that cannot be loaded, or differs from
    onnxruntime on a CPU by more than the tolerance, is left out, and its trial says why.

    Args:
        spec: The encoder.
        threads: Cores to keep busy, as the worker will have them.
        device: "cpu" or "cuda".
        names: Candidates, in place of the usual ones of the device.

    Raises:
        ConfigError: The device is not known, onnxruntime cannot run the graph, or no candidate is right.
        WeightsError: The weights cannot be had.
    """
    if device not in CANDIDATES:
        raise ConfigError(f'device must be "cpu" or "cuda", got {device!r}')
    faces_N3HH = graph.noise(spec, GPU_FACES if device == "cuda" else max(2, threads))
    loaded = {REFERENCE: load(REFERENCE, spec, threads=threads)}
    wanted_ND, usable_N = graph.to_unit(loaded[REFERENCE](faces_N3HH[: max(2, threads)]))
    if not usable_N.all():
        raise ConfigError(f"the encoder {spec.name!r} gives no usable numbers for noise (NaN, infinite, or all zero)")
    trials = []
    for name in names or CANDIDATES[device]:
        try:
            if name not in loaded:
                loaded[name] = load(name, spec, threads=threads)
            trials.append(_try(loaded[name], faces_N3HH, wanted_ND))
        except ConfigError as error:
            trials.append(Trial(name=name, reason=str(error)))
    good = sorted((trial for trial in trials if not trial.reason), key=lambda trial: trial.milliseconds)
    for name, runtime in reversed(loaded.items()):
        if not good or name != good[0].name:
            runtime.close()
    if not good:
        raise ConfigError(
            f"no runtime can run the encoder {spec.name!r} on {device}:\n"
            + "\n".join(f"  {trial.name}: {trial.reason}" for trial in trials)
        )
    return Choice(runtime=loaded[good[0].name], trials=tuple(trials))


def _load_cpu(name: str, spec: EncoderSpec, threads: int) -> Runtime:
    loaded = CPU_LOADERS[name](graph.read(spec, dynamic=False), threads)
    face_13HH = graph.noise(spec, 1)
    try:
        # One after the other, before any thread exists: OpenVINO's Python side can lock up for ever when two threads
        # make its first conversion of an array at the same time.
        for run in loaded.runs:
            _flat(run(face_13HH), spec.dim)
    except BaseException:
        loaded.restore()
        raise
    return CorePerFace(name, loaded, spec.dim)


def _load_cuda(name: str, spec: EncoderSpec) -> Runtime:
    run = CUDA_LOADERS[name](graph.read(spec, dynamic=spec.batch != "fixed"))
    limit = {"fixed": 1, "dynamic": None}[spec.batch] if isinstance(spec.batch, str) else spec.batch
    runtime = Batches(name, run, spec.dim, limit)
    runtime(graph.noise(spec, 2))  # more than one face: the graph's own batch was replaced
    return runtime


def _try(runtime: Runtime, faces_N3HH: Floats, wanted_ND: Floats) -> Trial:
    vector_ND, _ = graph.to_unit(runtime(faces_N3HH))  # an unusable vector becomes zero, and so differs
    difference = float(np.abs(vector_ND[: len(wanted_ND)] - wanted_ND).max())
    tolerance = HALF_TOLERANCE if runtime.name == "torch-half" else TOLERANCE
    if difference > tolerance:
        reason = f"its vectors differ from {REFERENCE}'s by {difference:.2g}, more than {tolerance:g}"
        return Trial(name=runtime.name, difference=difference, reason=reason)
    return Trial(name=runtime.name, difference=difference, milliseconds=_milliseconds(runtime, faces_N3HH))


def _milliseconds(runtime: Runtime, faces_N3HH: Floats) -> float:
    """Return the best time a face: others on the machine can only make it longer."""
    best = math.inf
    end = time.perf_counter() + MEASURE_SECONDS
    while (start := time.perf_counter()) < end:
        runtime(faces_N3HH)
        best = min(best, time.perf_counter() - start)
    return best / len(faces_N3HH) * 1000
