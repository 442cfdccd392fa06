"""Lens distortion: where each point of a distorted picture lies in the undistorted one.

Points are in half the smaller side of the picture from its middle, x to the right and y down: the middle of the right
edge of a square one is (1, 0). Shape key: B pictures, H rows, W columns.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Lens:
    """What a lens does to each picture of a batch."""

    coefficient_B: Tensor
    """C: barrel above 0, pincushion below; 0 is no distortion. From -0.5 to 0.5 no point is seen twice in a frame."""

    centre_B2: Tensor
    """Where the lens looks, the principal point: (0, 0) is the middle of the picture."""

    frame_B: Tensor
    """Half the smaller side of the frame that the lens saw, in half sides of the picture; 1 where they are one."""

    def to(self, device: torch.device) -> "Lens":
        """Return the same in float32 on a device."""
        parts = (self.coefficient_B, self.centre_B2, self.frame_B)
        return Lens(*(each.to(device, torch.float32) for each in parts))

    def bent(self, x_BHW: Tensor, y_BHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return where the points lie in the undistorted picture: ``r_src = r * (C * r + 1 - C)``.

        r is the distance from the principal point over ``frame_B``. So the circle that touches the frame's nearer
        edges stays, what is within it grows with C > 0 and shrinks with C < 0. Source: ImageMagick's barrel distortion
        with A = B = 0 and D = 1 - C.
        """
        coefficient, frame = self.coefficient_B[:, None, None], self.frame_B[:, None, None]
        centre_x, centre_y = self.centre_B2[:, 0, None, None], self.centre_B2[:, 1, None, None]
        dx_BHW, dy_BHW = x_BHW - centre_x, y_BHW - centre_y
        factor_BHW = torch.hypot(dx_BHW, dy_BHW).mul_(coefficient / frame).add_(1 - coefficient)
        return dx_BHW.mul_(factor_BHW).add_(centre_x), dy_BHW.mul_(factor_BHW).add_(centre_y)

    def middle(self) -> tuple[Tensor, Tensor]:
        """Return what becomes of the middle of each picture: where it comes from, (B, 2), and its scale there, (B,).

        A face away from the principal point is moved and magnified as a whole besides being bent. Taking both back is
        what alignment does after a detector has found it: ``(bent - moved) / scale``.
        """
        radius_B = torch.hypot(self.centre_B2[:, 0], self.centre_B2[:, 1]) / self.frame_B
        across_B = self.coefficient_B * radius_B + 1 - self.coefficient_B
        along_B = across_B + self.coefficient_B * radius_B  # the derivative of r_src by r
        return self.centre_B2 * (1 - across_B)[:, None], torch.sqrt(across_B * along_B)
