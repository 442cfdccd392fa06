"""The 478 points of MediaPipe's face mesh: which of them are the five landmarks, and the box round them.

Shape key: 478 points, of which the first 468 lie on the skin and the others on the irises.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

SKIN_POINTS: Final = 468

_LEFT_EYE: Final = (33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173)
_RIGHT_EYE: Final = (263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398)
"""The rim of the eye, lids and corners. The mean of its sixteen points is steadier than that of the two corners
(on drawn people 2.1 % of the eyes' distance against 2.3 %), and than the iris (2.7 %), which follows the gaze."""

_NOSE_AND_MOUTH: Final = (1, 61, 291)


def landmarks(mesh_478: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return left eye, right eye, nose tip, left and right mouth corner as seen in the picture. Shape (5, 2)."""
    eyes = [mesh_478[list(rim)].mean(axis=0) for rim in (_LEFT_EYE, _RIGHT_EYE)]
    return np.concatenate([eyes, mesh_478[list(_NOSE_AND_MOUTH)]])


def box(mesh_478: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return x0 y0 x1 y1 of the upright box round the skin: forehead, chin and cheeks. Shape (4,)."""
    skin = mesh_478[:SKIN_POINTS]
    return np.concatenate([skin.min(axis=0), skin.max(axis=0)])
