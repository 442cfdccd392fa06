"""Gaussian blur of each picture by its own width.

Shape key: B pictures, C channels, H rows, W columns.
"""

import math
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from omokage.augment.batch import Picture

REACH: Final = 5.0
"""Standard deviations after which a Gaussian is cut; what is beyond is a millionth of it."""


def product(pixels_BCHW: Tensor, sigma_B: Tensor) -> Tensor:
    """Return pictures blurred by a Gaussian; at the border it is cut, and what is left of it counts for all.

    Rows and columns are multiplied with a matrix each, which has any width and runs well on a card.

    Args:
        pixels_BCHW: float32, on any device.
        sigma_B: Standard deviation in pixels, above 0.
    """
    height, width = pixels_BCHW.shape[2:]
    sigma_B = sigma_B.to(pixels_BCHW)
    down_BHH, across_BWW = _weights(height, sigma_B), _weights(width, sigma_B)
    return torch.matmul(torch.matmul(down_BHH[:, None], pixels_BCHW), across_BWW.transpose(1, 2)[:, None])


def filtered(picture: Picture, sigma: float) -> Picture:
    """Return what ``product`` returns, of one picture."""
    reach = math.ceil(REACH * sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    out = np.asarray(cv2.sepFilter2D(picture, -1, kernel, kernel, borderType=cv2.BORDER_CONSTANT), np.float32)
    down_H, across_W = (_left(kernel, length) for length in picture.shape[:2])
    out /= down_H[:, None, None] * across_W[:, None]
    return out


def _weights(size: int, sigma_B: Tensor) -> Tensor:
    """Return the share of each pixel of a line (last axis) in each blurred one."""
    place = torch.arange(size, device=sigma_B.device, dtype=sigma_B.dtype)
    weight_BNN = torch.exp(-0.5 * ((place[:, None] - place) / sigma_B[:, None, None]) ** 2)
    return weight_BNN / weight_BNN.sum(2, keepdim=True)


def _left(kernel: NDArray[np.float64], length: int) -> NDArray[np.float32]:
    """Return how much of a kernel lies within a line, around each pixel of it."""
    reach = len(kernel) // 2
    return np.convolve(np.ones(length), kernel)[reach : reach + length].astype(np.float32)
