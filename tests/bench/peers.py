"""What ingest is compared with: plain loops in one process, with both cores.

``python -m tests.bench.peers WAY DETECTOR RUNTIME CORES FOLDER`` prints pictures, seconds and processor seconds
as JSON, start-up excluded: the models are loaded and were run before the clock starts. Ways:

- ``pictures``: as many threads as cores, each taking one picture after the other from file to vector, with its own
  detector and encoder.
- ``steps``: 32 pictures at a time; first all threads look, then all threads encode.
- ``opencv``: OpenCV's own FaceDetectorYN and FaceRecognizerSF, one picture at a time, OpenCV using all cores.
"""

import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tests.bench import inputs

from omokage import weights
from omokage.vision import codec, detector, encoder, geometry, quality, runtimes
from omokage.vision.embedder import Embedder
from omokage.vision.faces import DetectConfig
from omokage.vision.geometry import Template

CHIP = Template(name="arcface", size=224)
STEP = 32
WARM_UP = 16
"""Pictures before the clock starts."""

Loop = Callable[[Sequence[Path]], int]
"""Goes over files and returns how many faces it found."""


class Looks:
    """What ingest does up to the encoder, with the same functions, less its tables and processes."""

    def __init__(self, name: str, crop: Template) -> None:
        self.detect = detector.load(DetectConfig(name=name))  # type: ignore[arg-type]
        self.crop = crop

    def __call__(self, file: Path) -> tuple[Any, ...] | None:
        """Return a picture's crop, chip and figures, or None where there is no face."""
        picture = codec.decode(file.read_bytes())
        (faces,) = self.detect([picture])
        if not len(faces.score_F):
            return None
        largest = int(np.argmax((faces.box_F4[:, 2:] - faces.box_F4[:, :2]).prod(axis=1)))
        box_4, points_52 = faces.box_F4[largest], faces.landmarks_F52[largest]
        chip, crop = (geometry.warp(picture, geometry.matrix(t, points_52, box_4), t.size) for t in (CHIP, self.crop))
        return crop, codec.encode_jpeg(chip), quality.measure(picture, points_52, box_4)


def pictures(name: str, runtime: str, cores: int) -> Loop:
    """Return the loop in which each thread takes whole pictures."""
    spec, crop = _sface()
    hands = [(Looks(name, crop), Embedder(spec, runtimes.load(runtime, spec, threads=1))) for _ in range(cores)]

    def loop(files: Sequence[Path]) -> int:
        waiting, lock = iter(files), threading.Lock()

        def work(hand: tuple[Looks, Embedder]) -> int:
            look, embed = hand
            found = 0
            while True:
                with lock:
                    file = next(waiting, None)
                if file is None:
                    return found
                seen = look(file)
                if seen is not None:
                    embed(seen[0][None])
                    found += 1

        with ThreadPoolExecutor(cores) as pool:
            return sum(pool.map(work, hands))

    return loop


def steps(name: str, runtime: str, cores: int) -> Loop:
    """Return the loop in which all threads first look and then encode."""
    spec, crop = _sface()
    looks = [Looks(name, crop) for _ in range(cores)]
    embed = Embedder(spec, runtimes.load(runtime, spec, threads=cores))

    def loop(files: Sequence[Path]) -> int:
        found = 0
        with ThreadPoolExecutor(cores) as pool:
            for start in range(0, len(files), STEP):
                some = files[start : start + STEP]
                shares = pool.map(_look_all, looks, (some[n::cores] for n in range(cores)))
                crops = [seen[0] for seen in itertools.chain.from_iterable(shares) if seen is not None]
                found += len(crops)
                if crops:
                    embed(np.stack(crops))
        return found

    return loop


def _look_all(look: Looks, files: Sequence[Path]) -> list[tuple[Any, ...] | None]:
    return [look(file) for file in files]


def opencv(name: str, runtime: str, cores: int) -> Loop:
    """Return OpenCV's own loop; it has its own detector and runtime."""
    del name, runtime
    cv2.setNumThreads(cores)
    find = cv2.FaceDetectorYN.create(str(weights.path("yunet")), "", (320, 320), 0.5)
    encode = cv2.FaceRecognizerSF.create(str(weights.path("sface")), "")

    def loop(files: Sequence[Path]) -> int:
        found = 0
        for file in files:
            picture = cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
            find.setInputSize((picture.shape[1], picture.shape[0]))
            faces = find.detect(picture)[1]
            if faces is not None:
                largest = faces[(faces[:, 2] * faces[:, 3]).argmax()]
                encode.feature(encode.alignCrop(picture, largest))
                found += 1
        return found

    return loop


WAYS: dict[str, Callable[[str, str, int], Loop]] = {"pictures": pictures, "steps": steps, "opencv": opencv}


def _sface() -> tuple[encoder.EncoderSpec, Template]:
    spec = encoder.load_spec("sface")
    return spec, Template(name=spec.template, size=spec.input_size, padding=spec.padding)


def main(way: str, name: str, runtime: str, cores: int, folder: Path) -> dict[str, Any]:
    """Return what a loop over ``folder`` took."""
    if way != "opencv":
        cv2.setNumThreads(1)  # the threads are ours
    loop = WAYS[way](name, runtime, cores)
    files = inputs.files(folder)
    loop(files[:WARM_UP])
    start, cpu = time.perf_counter(), time.process_time()
    faces = loop(files)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    return {"way": way, "pictures": len(files), "faces": faces, "seconds": seconds, "cpu_seconds": cpu_seconds}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:4], int(sys.argv[4]), Path(sys.argv[5]))))
