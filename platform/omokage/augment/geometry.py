"""Where the pixels of an altered picture come from: turned, shifted, zoomed, mirrored and bent, interpolated once.

Shape key: B pictures, C channels, H rows, W columns. A point is told in half smaller sides from the picture's middle.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from omokage.augment.batch import Picture, changed
from omokage.augment.lens import Lens, Points, bent


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
        """Return the pictures placed anew (``Place``); as ``batch.changed`` takes and gives them."""
        return changed(pixels_BCHW, [Place(self, *pixels_BCHW.shape[2:])])

    def moves(self) -> Tensor:
        """Return whether each picture is turned, zoomed, shifted or bent, (B,)."""
        return (self.turn_B != 0) | (self.zoom_B != 1) | (self.shift_B2 != 0).any(1) | (self.lens.coefficient_B != 0)

    def affine(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return where a step right, a step down and the middle of the new picture lead in the old one, each (B, 2).

        Before the lens.
        """
        cos_B, sin_B = torch.cos(self.turn_B) / self.zoom_B, torch.sin(self.turn_B) / self.zoom_B
        sign_B = 1 - 2 * self.mirrored_B.to(cos_B.dtype)
        along_x = torch.stack((cos_B, -sin_B), 1)
        along_y = torch.stack((sin_B, cos_B), 1)
        start = -(along_x * self.shift_B2[:, :1] + along_y * self.shift_B2[:, 1:])
        mirror = torch.stack((sign_B, torch.ones_like(sign_B)), 1)  # first mirrored, then turned and shifted
        return along_x * mirror, along_y * mirror, start * mirror


class Place:
    """A geometry, for pictures of one size; beyond its border a picture goes on as its own reflection.

    What is neither turned, zoomed, shifted nor bent keeps its values bit for bit, mirrored or not.
    """

    def __init__(self, geometry: Geometry, height: int, width: int) -> None:
        self.moved_B, self.mirrored_B = geometry.moves(), geometry.mirrored_B
        self.rule_NB = _rule(geometry, height, width)
        half = min(height, width) / 2
        self.x_W = (torch.arange(width, dtype=torch.float32) + (0.5 - width / 2)) / half
        self.y_H1 = ((torch.arange(height, dtype=torch.float32) + (0.5 - height / 2)) / half)[:, None]
        self._own = list(zip(self.moved_B.tolist(), self.mirrored_B.tolist(), self.rule_NB.T.tolist(), strict=True))

    def batch(self, pixels_BCHW: Tensor) -> Tensor:
        """Return the pictures placed anew; float32, on any device."""
        if self.moved_B.all():
            return grid_sampled(pixels_BCHW, *self._sources(self.rule_NB, pixels_BCHW.device))
        if only := torch.nonzero(self.mirrored_B & ~self.moved_B)[:, 0].tolist():
            pixels_BCHW[only] = pixels_BCHW[only].flip(3)
        if rows := torch.nonzero(self.moved_B)[:, 0].tolist():
            places = self._sources(self.rule_NB[:, rows], pixels_BCHW.device)
            pixels_BCHW[rows] = grid_sampled(pixels_BCHW[rows], *places)
        return pixels_BCHW

    def one(self, number: int, picture: Picture) -> Picture:
        """Return one picture placed anew."""
        moved, mirrored, rule = self._own[number]
        if moved:
            return remapped(picture, *_source(self.x_W.numpy(), self.y_H1.numpy(), rule))
        return np.ascontiguousarray(picture[:, ::-1]) if mirrored else picture

    def _sources(self, rule_NB: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        rule = rule_NB.to(device, torch.float32)[:, :, None, None]
        return _source(self.x_W.to(device), self.y_H1.to(device), list(rule))


def _rule(geometry: Geometry, height: int, width: int) -> Tensor:
    """Return the numbers that ``_source`` takes, (N, B)."""
    lens, half = geometry.lens, min(height, width) / 2
    along_x, along_y, start = geometry.affine()
    moved_B2, scale_B = lens.middle() if geometry.aligned else (torch.zeros(2), torch.ones(1, dtype=torch.float64))
    bend_2B = torch.stack((lens.coefficient_B / lens.frame_B, 1 - lens.coefficient_B)) * (half / scale_B)
    end_B2 = (lens.centre_B2 - moved_B2) * (half / scale_B)[:, None] + torch.tensor([width - 1, height - 1]) / 2
    return torch.cat((along_x.T, along_y.T, (start - lens.centre_B2).T, bend_2B, end_B2.T))


def _source(x_W: Points, y_H1: Points, rule: Sequence[Points] | Sequence[float]) -> tuple[Points, Points]:
    """Return the source of each pixel, x and y, counted in pixels from the first one's middle.

    Args:
        x_W: Of the pixels, in half smaller sides from the middle.
        y_H1: Likewise.
        rule: Where a step right and a step down lead, and the middle, from the principal point; how it bends there
            (``lens.bent``); where the principal point lies. For one picture, or each as (B, 1, 1).
    """
    right_x, right_y, down_x, down_y, start_x, start_y, gain, rest, end_x, end_y = rule
    # An outer sum: a row of the picture and a column of it, added
    x, y = bent(right_x * x_W + (down_x * y_H1 + start_x), right_y * x_W + (down_y * y_H1 + start_y), gain, rest)
    return x + end_x, y + end_y


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


def grid_sampled(pixels_BCHW: Tensor, x_BHW: Tensor, y_BHW: Tensor) -> Tensor:
    """Return the values at points, counted in pixels from the first one's middle, interpolated linearly.

    Args:
        pixels_BCHW: float32, on any device.
        x_BHW: To the right.
        y_BHW: Down.
    """
    height, width = pixels_BCHW.shape[2:]
    grid_BHW2 = torch.stack(((x_BHW + 0.5) * (2 / width) - 1, (y_BHW + 0.5) * (2 / height) - 1), dim=3)
    return functional.grid_sample(
        pixels_BCHW, grid_BHW2, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def remapped(picture: Picture, x_HW: NDArray[np.float32], y_HW: NDArray[np.float32]) -> Picture:
    """Return what ``grid_sampled`` returns, of one picture of three colours.

    With a fourth one OpenCV is twice as quick, and as exact; with two it would round places to 1/32 of a pixel.
    """
    four = cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA)
    placed = cv2.remap(four, x_HW, y_HW, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(cv2.cvtColor(placed, cv2.COLOR_RGBA2RGB), np.float32)
