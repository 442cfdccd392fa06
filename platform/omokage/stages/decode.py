"""Bytes to pixels."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from omokage import schema
from omokage.errors import ConfigError
from omokage.stages import base
from omokage.vision import codec


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodeConfig:
    """How large a picture may be."""

    max_pixels: int = 200_000_000
    """Width times height; a larger picture is refused before it is decoded."""

    def __post_init__(self) -> None:
        """Reject what no picture could pass."""
        if self.max_pixels < 1:
            raise ConfigError(f"max_pixels must be at least 1, and is {self.max_pixels}")


class Decode:
    """Add ``pixels`` and ``shape``."""

    reads = pa.unify_schemas([schema.READ, schema.INSPECTED])
    adds = schema.PIXELS

    def __init__(self, config: DecodeConfig) -> None:
        self.max_pixels = config.max_pixels

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return ``batch`` with each picture in RGB, upright; a reason where it cannot be decoded whole."""
        pictures: list[np.ndarray | None] = []
        failed: list[str | None] = []
        for data, ok in zip(batch["data"].to_pylist(), base.good(batch), strict=True):
            picture, reason = None, None
            if ok:
                try:
                    picture = codec.decode(data, self.max_pixels)
                except codec.PictureError as error:
                    reason = error.reason
            pictures.append(picture)
            failed.append(reason)
        columns = [base.pixel_column(pictures), [p if p is None else p.shape[:2] for p in pictures]]
        return base.append(base.fail(batch, failed), self.adds, columns)
