"""Pixels to faces: boxes, landmarks, scores."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa

from omokage import schema
from omokage.stages import base
from omokage.vision import detector
from omokage.vision.faces import DetectConfig, Faces

Keep = Literal["largest", "all", "one"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectStageConfig:
    """Which faces of a picture count."""

    detector: DetectConfig = field(default_factory=DetectConfig)
    faces: Keep = "largest"
    """Of several faces in a picture that has an identity: the largest, all, or none at all ("one")."""


class Detect:
    """Add the faces of every picture. Pictures without an identity keep all theirs."""

    reads = pa.unify_schemas([schema.LISTED, schema.PIXELS])
    adds = schema.DETECTED

    def __init__(self, config: DetectStageConfig) -> None:
        self.detect = detector.load(config.detector)
        self.min_side = config.detector.min_side
        self.faces = config.faces

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return ``batch`` with its faces; a reason where there is none to keep."""
        pictures = base.pixels(batch)
        found = iter(self.detect([p for p in pictures if p is not None]))
        rows: list[tuple[object, ...]] = []
        failed: list[str | None] = []
        for picture, identity in zip(pictures, batch["identity"].to_pylist(), strict=True):
            if picture is None:
                rows.append((None, None, None, None))
                failed.append(None)
                continue
            faces = next(found)
            kept, reason = self._keep(faces, identity)
            failed.append(reason)
            lists = (kept.box_F4.tolist(), kept.landmarks_F52.reshape(-1, 10).tolist(), kept.score_F.tolist())
            rows.append((len(faces.score_F), *((None, None, None) if reason else lists)))
        return base.append(base.fail(batch, failed), self.adds, list(zip(*rows, strict=True)) or [[]] * 4)

    def _keep(self, faces: Faces, identity: str | None) -> tuple[Faces, schema.Reason | None]:
        """Return the faces that count, best score first, or the reason why there are none."""
        if not len(faces.score_F):
            return faces, "none_found"
        size_F2 = faces.box_F4[:, 2:] - faces.box_F4[:, :2]
        big = np.flatnonzero(size_F2.min(axis=1) >= self.min_side)
        if not len(big):
            return faces, "too_small"
        if identity is not None and self.faces == "one" and len(big) > 1:
            return faces, "several_faces"
        if identity is not None and self.faces == "largest":
            big = big[[np.argmax(size_F2[big].prod(axis=1))]]
        return Faces(faces.box_F4[big], faces.landmarks_F52[big], faces.score_F[big]), None
