"""Where the pixels of an altered picture come from: turned, shifted, zoomed, mirrored and bent, interpolated once.

Shape key: B pictures, C channels, H rows, W columns. A point is told in half smaller sides from the picture's middle.
"""

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from omokage.augment import cpu
from omokage.augment.lens import Lens

COLOURS: Final = 3
"""Of pictures that OpenCV places exactly; with two colours it rounds places to 1/32 of a pixel."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """How the pictures of a batch are placed anew; every tensor lies in the memory of the CPU."""

    mirrored_B: Tensor
    """Whether left and right change places."""

    turn_B: Tensor
    """Clockwise, in radians."""

    zoom_B: Tensor
    """Above 1 magnifies."""

    shift_B2: Tensor
    """Where the middle of the picture goes."""

    lens: Lens

    aligned: bool = True
    """Take back what the lens does to the whole picture, as an aligner does after it."""

    def applied(self, pixels_BCHW: Tensor) -> Tensor:
        """Return a new tensor of the pictures placed anew; beyond its border a picture goes on as its own reflection.

        What is neither turned, zoomed, shifted nor bent keeps its values bit for bit, mirrored or not.

        Args:
            pixels_BCHW: Of any float type, on any device.
        """
        moved_B = (self.turn_B != 0) | (self.zoom_B != 1) | (self.shift_B2 != 0).any(1) | (self.lens.coefficient_B != 0)
        if moved_B.all():
            return _sampled(pixels_BCHW, *self._points(pixels_BCHW))
        out_BCHW = pixels_BCHW.clone()
        if only := torch.nonzero(self.mirrored_B & ~moved_B)[:, 0].tolist():
            out_BCHW[only] = pixels_BCHW[only].flip(3)
        if rows := torch.nonzero(moved_B)[:, 0].tolist():
            some = pixels_BCHW[rows]
            out_BCHW[rows] = _sampled(some, *self.of(rows)._points(some))
        return out_BCHW

    def of(self, rows: list[int]) -> "Geometry":
        """Return what happens to some of the pictures."""
        lens = Lens(self.lens.coefficient_B[rows], self.lens.centre_B2[rows], self.lens.frame_B[rows])
        return Geometry(
            self.mirrored_B[rows], self.turn_B[rows], self.zoom_B[rows], self.shift_B2[rows], lens, self.aligned
        )

    def _points(self, pixels_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return the source of each pixel, in half smaller sides: x and y, each (B, H, W), float32."""
        height, width = pixels_BCHW.shape[2:]
        half = min(height, width) / 2
        device = pixels_BCHW.device
        x_W = (torch.arange(width, device=device, dtype=torch.float32) + (0.5 - width / 2)) / half
        y_H = (torch.arange(height, device=device, dtype=torch.float32) + (0.5 - height / 2)) / half
        along_x, along_y, start = (each.to(device, torch.float32) for each in self._affine())
        lens = self.lens.to(device)
        # An outer sum: a row of the picture and a column of it, added
        x_BHW, y_BHW = (
            (along_x[:, axis, None] * x_W)[:, None, :]
            + (along_y[:, axis, None] * y_H + start[:, axis, None])[:, :, None]
            for axis in (0, 1)
        )
        if self.lens.coefficient_B.any():
            x_BHW, y_BHW = lens.bent(x_BHW, y_BHW)
            if self.aligned:
                moved_B2, scale_B = lens.middle()
                x_BHW = x_BHW.sub_(moved_B2[:, 0, None, None]).div_(scale_B[:, None, None])
                y_BHW = y_BHW.sub_(moved_B2[:, 1, None, None]).div_(scale_B[:, None, None])
        return x_BHW, y_BHW

    def _affine(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return where a step right, a step down and the middle of the new picture lead in the old one, each (B, 2)."""
        cos_B, sin_B = torch.cos(self.turn_B) / self.zoom_B, torch.sin(self.turn_B) / self.zoom_B
        sign_B = 1 - 2 * self.mirrored_B.to(cos_B.dtype)
        along_x = torch.stack((cos_B, -sin_B), 1)
        along_y = torch.stack((sin_B, cos_B), 1)
        start = -(along_x * self.shift_B2[:, :1] + along_y * self.shift_B2[:, 1:])
        mirror = torch.stack((sign_B, torch.ones_like(sign_B)), 1)  # first mirrored, then turned and shifted
        return along_x * mirror, along_y * mirror, start * mirror


def drawn(draw: dict[str, Tensor], *, flip: float, rotate: float, crop: float, lens: float, frame: float) -> Geometry:
    """Return a geometry made of numbers drawn evenly from 0 to 1.

    Args:
        draw: ``flip``, ``turn``, ``zoom``, ``shift_x``, ``shift_y``, ``lens``, ``centre_x``, ``centre_y``, each (B,).
        flip: Share that is mirrored.
        rotate: Largest turn to either side, in degrees.
        crop: Largest zoom; half of it is the largest shift, in sides of the picture.
        lens: Largest coefficient to either side.
        frame: Side of the frame in which the picture lies anywhere, in sides of the picture.
    """
    signed = {name: 2 * value_B - 1 for name, value_B in draw.items()}
    centre_B2 = torch.stack((signed["centre_x"], signed["centre_y"]), 1) * (frame - 1)
    return Geometry(
        mirrored_B=draw["flip"] < flip,
        turn_B=signed["turn"] * math.radians(rotate),
        zoom_B=torch.exp(signed["zoom"] * math.log1p(crop)),
        shift_B2=torch.stack((signed["shift_x"], signed["shift_y"]), 1) * crop,
        lens=Lens(signed["lens"] * lens, centre_B2, torch.full_like(draw["lens"], frame)),
    )


def _sampled(pixels_BCHW: Tensor, x_BHW: Tensor, y_BHW: Tensor) -> Tensor:
    """Return the values at points, told in half smaller sides and written to, interpolated linearly."""
    half = min(pixels_BCHW.shape[2:]) / 2
    sampled = remapped if pixels_BCHW.device.type == "cpu" and pixels_BCHW.shape[1] == COLOURS else grid_sampled
    return sampled(pixels_BCHW.float(), x_BHW.mul_(half), y_BHW.mul_(half)).to(pixels_BCHW.dtype)


def remapped(pixels_BCHW: Tensor, x_BHW: Tensor, y_BHW: Tensor) -> Tensor:
    """Return the values at points, told in pixels from the middle and written to.

    float32 in the CPU's memory, in three colours.
    """
    height, width = pixels_BCHW.shape[2:]
    x_BHW, y_BHW = x_BHW.add_((width - 1) / 2), y_BHW.add_((height - 1) / 2)
    return cpu.each(pixels_BCHW, _remap, x_BHW.numpy(), y_BHW.numpy())


def grid_sampled(pixels_BCHW: Tensor, x_BHW: Tensor, y_BHW: Tensor) -> Tensor:
    """Return what ``remapped`` returns, on any device."""
    height, width = pixels_BCHW.shape[2:]
    grid_BHW2 = torch.stack((x_BHW * (2 / width), y_BHW * (2 / height)), dim=3)
    return functional.grid_sample(
        pixels_BCHW, grid_BHW2, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def _remap(picture: cpu.Picture, out: cpu.Picture, x_HW: NDArray[np.float32], y_HW: NDArray[np.float32]) -> None:
    cv2.remap(picture, x_HW, y_HW, cv2.INTER_LINEAR, dst=out, borderMode=cv2.BORDER_REFLECT)
