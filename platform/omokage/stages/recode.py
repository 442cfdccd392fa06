"""Stored faces to the unit embeddings of another encoder, by their chips.

Shape key: N faces, D numbers of an embedding, S side of what the encoder takes.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage import schema
from omokage.stages.encode import FACES_AT_ONCE, EncodeConfig
from omokage.vision import codec, runtimes
from omokage.vision.crop import Crop
from omokage.vision.embedder import Embedder
from omokage.vision.geometry import LARGEST, SMALLEST, GeometryError, Template
from omokage.vision.recut import Recut

READS = ["chip", "landmarks", "box"]
"""Columns of a face that it needs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecodeConfig:
    """Which encoder, what runs it, and what the chips are."""

    encode: EncodeConfig
    """The encoder, and its runtime."""
    chip: Template
    """How the chips frame a face; their size is that of each chip itself."""


class Recode:
    """Embeddings of stored faces."""

    def __init__(self, config: RecodeConfig) -> None:
        spec = config.encode.spec
        self.chip, self.crop = config.chip, Crop.of(spec)
        self.embed = Embedder(spec, runtimes.load(config.encode.runtime, spec, threads=config.encode.threads))
        self.pool = ThreadPoolExecutor(config.encode.threads)

    def __call__(self, faces: pa.Table) -> NDArray[np.float32]:
        """Return a unit vector for each face, all zero where its chip or landmarks give none. Shape (N, D)."""
        vectors_ND = np.zeros((faces.num_rows, self.embed.spec.dim), np.float32)
        for start in range(0, faces.num_rows, FACES_AT_ONCE):
            part = faces.slice(start, FACES_AT_ONCE)
            landmarks_N52 = schema.vectors(schema.whole(part["landmarks"]), 10).reshape(-1, 5, 2)
            box_N4 = schema.vectors(schema.whole(part["box"]), 4)
            crops = self._crops(part["chip"].to_pylist(), landmarks_N52, box_N4)
            there = {start + row: crop for row, crop in enumerate(crops) if crop is not None}
            if there:
                vectors_ND[list(there)], _ = self.embed(np.stack(list(there.values())))
        return vectors_ND

    def _crops(
        self, chips: Sequence[bytes], landmarks_N52: NDArray[np.float32], box_N4: NDArray[np.float32]
    ) -> list[NDArray[np.uint8] | None]:
        return list(self.pool.map(self._crop, chips, landmarks_N52, box_N4))

    def _crop(
        self, chip: bytes, landmarks_52: NDArray[np.float32], box_4: NDArray[np.float32]
    ) -> NDArray[np.uint8] | None:
        """Return what the encoder takes of a face; None where that cannot be had."""
        try:
            chip_CC3 = codec.decode(chip)
            height, width = chip_CC3.shape[:2]
            if height != width or not SMALLEST <= height <= LARGEST:
                return None  # cut by no template
            return Recut(chip=replace(self.chip, size=height), crop=self.crop)(chip_CC3, landmarks_52, box_4)
        except (codec.PictureError, GeometryError):
            return None
