"""Faces to quality figures."""

import pyarrow as pa

from omokage import schema
from omokage.stages import base
from omokage.vision import geometry, quality


class Measure:
    """Add side, sharpness, exposure, yaw, pitch and roll of every face."""

    reads = pa.unify_schemas([schema.PIXELS, schema.DETECTED])
    adds = schema.MEASURED

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return ``batch`` with the figures of ``vision.quality``; ``not_aligned`` where landmarks are of no face."""
        rows: list[list[quality.Quality] | None] = []
        failed: list[str | None] = []
        for picture, box_F4, landmarks_F52 in base.faces(batch):
            try:
                figures = (
                    [quality.measure(picture, p, b) for b, p in zip(box_F4, landmarks_F52, strict=True)]
                    if picture is not None
                    else None
                )
                rows.append(figures)
                failed.append(None)
            except geometry.GeometryError:
                rows.append(None)
                failed.append("not_aligned")
        columns = [
            [None if row is None else [getattr(face, name) for face in row] for row in rows] for name in self.adds.names
        ]
        return base.append(base.fail(batch, failed), self.adds, columns)
