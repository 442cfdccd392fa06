"""Everything that touches a picture's bytes: from the file to chips, crops and figures.

This is the part that strangers' files can crash, so it is one stage that ``isolate.py`` can put into a
process of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from omokage import schema
from omokage.stages import base
from omokage.stages.align import Align, AlignConfig
from omokage.stages.decode import Decode, DecodeConfig
from omokage.stages.detect import Detect, DetectStageConfig
from omokage.stages.inspect import Inspect
from omokage.stages.measure import Measure

PIXELS_AT_ONCE = 32_000_000
"""Decoded together: 96 MB. One picture alone may be larger."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LookConfig:
    """How pictures become faces."""

    decode: DecodeConfig
    detect: DetectStageConfig
    align: AlignConfig


class Look:
    """Inspect, decode, detect, align and measure; the pictures' bytes and pixels stay inside."""

    reads = pa.unify_schemas([schema.LISTED, schema.READ])
    adds = schema.LOOKED

    def __init__(self, config: LookConfig) -> None:
        cv2.setNumThreads(1)  # one worker, one core: there are as many workers as cores
        self.inspect = Inspect()
        self.stages: list[base.Stage] = [Decode(config.decode), Detect(config.detect), Align(config.align), Measure()]
        base.check_plan(pa.unify_schemas([self.reads, self.inspect.adds]), self.stages)
        self(self.reads.empty_table())  # pyarrow imports pandas for its first array: half a second, best spent now

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return ``batch`` with its faces, decoding only a few pixels at a time."""
        batch = base.run([self.inspect], batch)
        done = [base.run(self.stages, part).drop_columns(["data", *schema.PIXELS.names]) for part in _parts(batch)]
        return pa.concat_tables(done)


def _parts(batch: pa.Table) -> Iterator[pa.Table]:
    """Yield runs of rows with at most ``PIXELS_AT_ONCE`` together, or one row."""
    area = pc.multiply(batch["width"].cast(pa.int64()), batch["height"].cast(pa.int64()))
    area_N = pc.fill_null(area, 0).to_numpy()
    start, total = 0, 0
    for row, pixels in enumerate(np.asarray(area_N)):
        if row > start and total + pixels > PIXELS_AT_ONCE:
            yield batch.slice(start, row - start)
            start, total = row, 0
        total += int(pixels)
    yield batch.slice(start)
