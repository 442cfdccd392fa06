"""The 478 points of MediaPipe's face mesh: which of them are the five landmarks, and the box round them.

Shape key: 478 points, of which the first 468 lie on the skin and the others on the irises.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

SKIN_POINTS: Final = 468

_CORNERS: Final = [[33, 133], [362, 263], [1, 1], [61, 61], [291, 291]]
"""Mesh points whose mean is each landmark. An eye is the middle between its corners: unlike the iris it does not
follow the gaze, and unlike the lids it stays when the eye closes."""


def landmarks(mesh_478: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return left eye, right eye, nose tip, left and right mouth corner as seen in the picture. Shape (5, 2)."""
    return np.asarray(mesh_478[_CORNERS].mean(axis=1), np.float32)


def box(mesh_478: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return x0 y0 x1 y1 of the upright box round the skin: forehead, chin and cheeks. Shape (4,)."""
    skin = mesh_478[:SKIN_POINTS]
    return np.concatenate([skin.min(axis=0), skin.max(axis=0)])
