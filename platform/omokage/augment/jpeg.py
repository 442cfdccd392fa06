"""What storing a picture as JPEG does to it: on a CPU it is stored, elsewhere in batch and no bytes are made.

Baseline JPEG as libjpeg writes and reads it by default: YCbCr, colour at half the size, blocks of 8 by 8, the tables of
the standard scaled by the quality. Shape key: B pictures, C channels, H rows, W columns.
"""

import math
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from omokage.augment.batch import Picture

BLOCK: Final = 8

HALF_COLOUR: Final = (
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
    cv2.IMWRITE_JPEG_QUALITY,
)
"""How OpenCV writes what is described here; the quality comes next."""

_LUMA_TABLE: Final = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Steps of brightness. Source: ITU-T T.81, table K.1."""

_COLOUR_TABLE: Final = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
)
"""Steps of colour. Source: ITU-T T.81, table K.2."""

_YCC: Final = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_RGB: Final = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))
"""To brightness and two colours, and back. Source: JFIF 1.02."""


def by_blocks(pixels_BCHW: Tensor, quality_B: Tensor) -> Tensor:
    """Return RGB pictures as they are after being stored as JPEG and read back, in steps of 1/255.

    Args:
        pixels_BCHW: float32 in [0, 1], on any device.
        quality_B: 1 to 100, as in libjpeg; rounded.
    """
    height, width = pixels_BCHW.shape[2:]
    quality_B = quality_B.round().to(pixels_BCHW)
    bytes_BCHW = (pixels_BCHW * 255).round()
    side = 2 * BLOCK  # a block of colour
    filled = functional.pad(bytes_BCHW, (0, -width % side, 0, -height % side), mode="replicate")
    ycc = torch.einsum("dc,bchw->bdhw", filled.new_tensor(_YCC), filled)
    luma = _quantised((ycc[:, :1] - 128).round(), _steps(_LUMA_TABLE, quality_B)) + 128
    small = functional.avg_pool2d(ycc[:, 1:].round(), 2).round()
    colour = _quantised(small, _steps(_COLOUR_TABLE, quality_B)).round().clamp(-128, 127)
    # Bilinear at twice the size is the triangle filter that libjpeg reads with; it does not look at what was filled up
    colour = functional.interpolate(
        colour[:, :, : (height + 1) // 2, : (width + 1) // 2], scale_factor=2, mode="bilinear", align_corners=False
    )
    ycc = torch.cat((luma[:, :, :height, :width].round().clamp(0, 255), colour[:, :, :height, :width]), 1)
    rgb = torch.einsum("dc,bchw->bdhw", filled.new_tensor(_RGB), ycc)
    return rgb.round().clamp(0, 255) / 255


def by_file(picture: Picture, quality: float) -> Picture:
    """Return what ``by_blocks`` returns, of one picture: it is stored and read."""
    content = np.rint(picture * 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(content, cv2.COLOR_RGB2BGR), [*HALF_COLOUR, round(quality)])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)).astype(np.float32) / np.float32(255)


def _steps(table: tuple[tuple[int, ...], ...], quality_B: Tensor) -> Tensor:
    """Return the quantisation steps of each picture, shape (B, 8, 8). Source: jpeg_quality_scaling of libjpeg."""
    scale_B = torch.where(quality_B < 50, torch.floor(5000 / quality_B), 200 - 2 * quality_B)
    return torch.floor((quality_B.new_tensor(table) * scale_B[:, None, None] + 50) / 100).clamp(1, 255)


def _quantised(plane_BCHW: Tensor, step_B88: Tensor) -> Tensor:
    """Return planes, centred at 0, after their blocks' frequencies were rounded to whole steps."""
    pictures, channels, height, width = plane_BCHW.shape
    dct = _dct().to(plane_BCHW)
    blocks = plane_BCHW.view(pictures, channels, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(3, 4)
    step = step_B88[:, None, None, None]
    rounded = (dct @ blocks @ dct.T / step).round() * step
    return (dct.T @ rounded @ dct).transpose(3, 4).reshape(plane_BCHW.shape)


def _dct() -> Tensor:
    """Return the matrix of the discrete cosine transform of 8 values; its transpose is its inverse."""
    number = torch.arange(BLOCK, dtype=torch.float64)
    matrix = torch.cos(math.pi / BLOCK * (number + 0.5) * number[:, None]) * math.sqrt(2 / BLOCK)
    matrix[0] /= math.sqrt(2)
    return matrix
