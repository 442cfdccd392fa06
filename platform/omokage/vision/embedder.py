"""Aligned faces to unit vectors.

Shape key: N faces, H rows = columns of a face, 3 channels, D numbers a face.
"""

import numpy as np
from numpy.typing import NDArray

from omokage.vision import graph
from omokage.vision.encoder import EncoderSpec
from omokage.vision.runtimes import Runtime


class Embedder:
    """An encoder on a runtime: aligned faces in, unit vectors out."""

    def __init__(self, spec: EncoderSpec, runtime: Runtime) -> None:
        self.spec = spec
        self.runtime = runtime

    def __call__(self, crops_NHH3: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return a unit vector for each face, and which of them can be used.

        Args:
            crops_NHH3: RGB faces aligned to the encoder's template, of its input size. Shape (N, H, H, 3).

        Returns:
            ``vector_ND``, of length 1, or all zero where the network gave NaN, an infinite number or only zeros;
            and ``usable_N``, False for those.

        Raises:
            ValueError: The faces are not uint8, or of another shape; the caller has a mistake.
        """
        side = self.spec.input_size
        if crops_NHH3.dtype != np.uint8 or crops_NHH3.shape[1:] != (side, side, 3):
            raise ValueError(
                f"the encoder {self.spec.name!r} takes uint8 faces of shape (N, {side}, {side}, 3), "
                f"got {crops_NHH3.dtype} {crops_NHH3.shape}"
            )
        return graph.to_unit(self.runtime(graph.prepare(self.spec, crops_NHH3)))
