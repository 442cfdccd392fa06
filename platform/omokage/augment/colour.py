"""Brightness, contrast, saturation and hue, all in one product of matrices.

Shape key: B pictures, C channels (red, green, blue), H rows, W columns.
"""

import math
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor

from omokage.augment.batch import Picture

LUMA: Final = (0.299, 0.587, 0.114)
"""Share of red, green and blue in how bright a pixel looks. Source: ITU-R BT.601."""

_YIQ: Final = (LUMA, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))
"""Brightness and two axes of colour, as rows. Source: the NTSC standard."""


def mixed(brightness_B: Tensor, contrast_B: Tensor, saturation_B: Tensor, hue_B: Tensor) -> tuple[Tensor, Tensor]:
    """Return what puts pictures in other light, as ``product`` takes it: shapes (B, 3, 3) and (B,).

    Args:
        brightness_B: Factor of every value; 1 changes nothing, as for the next two.
        contrast_B: Factor of every value's distance to the picture's mean brightness.
        saturation_B: Factor of every colour's distance to the grey that is as bright.
        hue_B: Turn of the colours, in turns; 0 changes nothing.
    """
    gain_B = brightness_B * contrast_B
    return _colour(saturation_B, hue_B) * gain_B[:, None, None], brightness_B * (1 - contrast_B)


def product(pixels_BCHW: Tensor, colour_BCC: Tensor, grey_B: Tensor) -> Tensor:
    """Return each picture's matrix times the colours of its pixels, plus ``grey_B`` of its mean brightness.

    Args:
        pixels_BCHW: float32, on any device.
        colour_BCC: One row for each new colour.
        grey_B: Share of the mean brightness.

    Returns:
        Kept to [0, 1].
    """
    colour_BCC, grey_B = colour_BCC.to(pixels_BCHW), grey_B.to(pixels_BCHW)
    flat_BCN = pixels_BCHW.flatten(2)
    mean_B = flat_BCN.mean(2) @ flat_BCN.new_tensor(LUMA)
    out_BCN = torch.baddbmm((grey_B * mean_B)[:, None, None], colour_BCC, flat_BCN)
    return out_BCN.clamp_(0, 1).view(pixels_BCHW.shape)


def transformed(picture: Picture, colour_CC: Sequence[Sequence[float]], grey: float) -> Picture:
    """Return what ``product`` returns, of one picture, which is written to."""
    matrix = np.empty((3, 4), np.float32)
    matrix[:, :3] = colour_CC
    matrix[:, 3] = grey * np.dot(cv2.mean(picture)[:3], LUMA)
    cv2.transform(picture, matrix, dst=picture)
    return np.clip(picture, 0, 1, out=picture)


def _colour(saturation_B: Tensor, hue_B: Tensor) -> Tensor:
    """Return what turns and stretches the colours and leaves brightness as it is, shape (B, 3, 3)."""
    to_yiq = torch.tensor(_YIQ, dtype=torch.float64)
    turn_B = hue_B.double() * 2 * math.pi
    cos_B, sin_B = torch.cos(turn_B) * saturation_B, torch.sin(turn_B) * saturation_B
    zero_B, one_B = torch.zeros_like(cos_B), torch.ones_like(cos_B)
    rows = ((one_B, zero_B, zero_B), (zero_B, cos_B, -sin_B), (zero_B, sin_B, cos_B))
    turned_B33 = torch.stack([torch.stack(row, 1) for row in rows], 1)
    colour_B33: Tensor = torch.linalg.inv(to_yiq) @ turned_B33 @ to_yiq
    return colour_B33
