"""Faces to chips, and to what the encoder wants to see."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from omokage import schema
from omokage.stages import base
from omokage.vision import codec, geometry
from omokage.vision.crop import Crop
from omokage.vision.geometry import Template

JPEG_QUALITY = 95


@dataclass(frozen=True, kw_only=True, slots=True)
class AlignConfig:
    """The two pictures that are cut out of the source for every face."""

    chip: Template
    """For people and for training; stored."""
    crop: Crop | None
    """For the encoder; not stored. None where nothing is encoded."""


class Align:
    """Add ``chip`` and ``crop``, both cut out of the source's own pixels."""

    reads = pa.unify_schemas([schema.PIXELS, schema.DETECTED])
    adds = schema.ALIGNED

    def __init__(self, config: AlignConfig) -> None:
        self.config = config

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return ``batch`` with chips and crops; ``not_aligned`` where a face's landmarks fit no template."""
        rows: list[tuple[list[bytes] | None, list[bytes] | None]] = []
        failed: list[str | None] = []
        for picture, boxes, landmarks in base.faces(batch):
            try:
                rows.append((None, None) if picture is None else self._cut_all(picture, boxes, landmarks))
                failed.append(None)
            except geometry.GeometryError:
                rows.append((None, None))
                failed.append("not_aligned")
        return base.append(base.fail(batch, failed), self.adds, list(zip(*rows, strict=True)) or [[], []])

    def _cut_all(
        self, picture: NDArray[np.uint8], box_F4: NDArray[np.float32], landmarks_F52: NDArray[np.float32]
    ) -> tuple[list[bytes], list[bytes]]:
        chips, crops = [], []
        for box_4, landmarks_52 in zip(box_F4, landmarks_F52, strict=True):
            chip = geometry.cut(self.config.chip, picture, landmarks_52, box_4)
            chips.append(codec.encode_jpeg(chip, JPEG_QUALITY))
            if self.config.crop is not None:
                crops.append(self.config.crop(picture, landmarks_52, box_4).tobytes())
        return chips, crops
