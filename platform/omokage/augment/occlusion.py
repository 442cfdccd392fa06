"""Rectangles that cover a part of each picture.

Shape key: B pictures, C channels, H rows, W columns.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from omokage.augment.batch import Picture


def covered(pixels_BCHW: Tensor, box_B4: Tensor, colour_BC: Tensor) -> Tensor:
    """Return pictures with a rectangle of one colour in each.

    Args:
        pixels_BCHW: Any floats.
        box_B4: Left, top, right, bottom as shares of width and height; what lies outside the picture covers nothing.
            A pixel is covered when its middle is.
        colour_BC: Of each rectangle.
    """
    height, width = pixels_BCHW.shape[2:]
    box_B4, colour_BC = box_B4.to(pixels_BCHW), colour_BC.to(pixels_BCHW)
    x_W = (torch.arange(width, device=pixels_BCHW.device) + 0.5) / width
    y_H = (torch.arange(height, device=pixels_BCHW.device) + 0.5) / height
    across_BW = (x_W >= box_B4[:, 0, None]) & (x_W < box_B4[:, 2, None])
    down_BH = (y_H >= box_B4[:, 1, None]) & (y_H < box_B4[:, 3, None])
    inside_B1HW = (down_BH[:, :, None] & across_BW[:, None, :])[:, None]
    return torch.where(inside_B1HW, colour_BC[:, :, None, None], pixels_BCHW)


def painted(picture: Picture, box_4: Sequence[float], colour_C: Sequence[float]) -> Picture:
    """Return what ``covered`` returns, of one picture, which is written to."""
    height, width = picture.shape[:2]
    left, top, right, bottom = (
        max(0, math.ceil(share * side - 0.5)) for share, side in zip(box_4, (width, height) * 2, strict=True)
    )
    picture[top:bottom, left:right] = colour_C
    return picture


def boxes(area_B: Tensor, aspect_B: Tensor, x_B: Tensor, y_B: Tensor) -> Tensor:
    """Return rectangles as ``covered`` takes them, shape (B, 4), all within the picture.

    Args:
        area_B: Share of the picture that is covered, above 0, so small that both sides fit in.
        aspect_B: Width over height.
        x_B: 0 to 1: from touching the left edge to touching the right one.
        y_B: Likewise from top to bottom.
    """
    width_B, height_B = torch.sqrt(area_B * aspect_B), torch.sqrt(area_B / aspect_B)
    left_B, top_B = x_B * (1 - width_B), y_B * (1 - height_B)
    return torch.stack((left_B, top_B, left_B + width_B, top_B + height_B), 1)
