"""Gaussian blur of each picture by its own width.

Shape key: B pictures, C channels, H rows, W columns.
"""

import torch
from torch import Tensor


def blurred(pixels_BCHW: Tensor, sigma_B: Tensor) -> Tensor:
    """Return pictures blurred by a Gaussian; at the border it is cut, and what is left of it counts for all.

    Rows and columns are blurred by a product with a matrix each, which has any width and runs well on every device.

    Args:
        pixels_BCHW: Any floats.
        sigma_B: Standard deviation in pixels, above 0.
    """
    height, width = pixels_BCHW.shape[2:]
    sigma_B = sigma_B.to(pixels_BCHW)
    down_BHH, across_BWW = _weights(height, sigma_B), _weights(width, sigma_B)
    return torch.matmul(torch.matmul(down_BHH[:, None], pixels_BCHW), across_BWW.transpose(1, 2)[:, None])


def _weights(size: int, sigma_B: Tensor) -> Tensor:
    """Return the share of each pixel of a line (last axis) in each blurred one."""
    place = torch.arange(size, device=sigma_B.device, dtype=sigma_B.dtype)
    weight_BNN = torch.exp(-0.5 * ((place[:, None] - place) / sigma_B[:, None, None]) ** 2)
    return weight_BNN / weight_BNN.sum(2, keepdim=True)
