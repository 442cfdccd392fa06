"""Lens distortion: where each point of a distorted picture lies in the undistorted one.

Points are in half the smaller side of the picture from its middle, x to the right and y down: the middle of the right
edge of a square one is (1, 0). Shape key: B pictures, H rows, W columns.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor

Points = TypeVar("Points", Tensor, NDArray[Any])
"""One coordinate of points: of a batch, or of one picture on a CPU."""


@dataclass(frozen=True, slots=True)
class Lens:
    """What a lens does to each picture of a batch."""

    coefficient_B: Tensor
    """C: barrel above 0, pincushion below; 0 is no distortion. From -0.5 to 0.5 no point is seen twice in a frame."""

    centre_B2: Tensor
    """Where the lens looks, the principal point: (0, 0) is the middle of the picture."""

    frame_B: Tensor
    """Half the smaller side of the frame that the lens saw, in half sides of the picture; 1 where they are one."""

    def middle(self) -> tuple[Tensor, Tensor]:
        """Return what becomes of the middle of each picture: where it comes from, (B, 2), and its scale there, (B,).

        A face away from the principal point is moved and magnified as a whole besides being bent. Taking both back is
        what alignment does after a detector has found it: ``(bent - moved) / scale``.
        """
        radius_B = torch.hypot(self.centre_B2[:, 0], self.centre_B2[:, 1]) / self.frame_B
        across_B = self.coefficient_B * radius_B + 1 - self.coefficient_B
        along_B = across_B + self.coefficient_B * radius_B  # the derivative of r_src by r
        return self.centre_B2 * (1 - across_B)[:, None], torch.sqrt(across_B * along_B)


def bent(dx: Points, dy: Points, gain: Points | float, rest: Points | float) -> tuple[Points, Points]:
    """Return where points lie in the undistorted picture: ``r_src = r * (C * r + 1 - C)``.

    r is the distance from the principal point over the frame. So the circle that touches the frame's nearer edges
    stays, what is within it grows with C > 0 and shrinks with C < 0. Source: ImageMagick's barrel distortion with
    A = B = 0 and D = 1 - C.

    Args:
        dx: From the principal point, as is what is returned.
        dy: Likewise.
        gain: ``C / frame``, for one picture or as (B, 1, 1).
        rest: ``1 - C``, likewise. Both times a factor: what is returned is magnified by it.
    """
    factor = (dx * dx + dy * dy) ** 0.5 * gain + rest
    return dx * factor, dy * factor
