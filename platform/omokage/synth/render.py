"""Triangles to pixels: a z-buffer in numpy.

Pixel convention: the centre of the first pixel is (0, 0).

Shape key: V vertices, T triangles, H W picture, F fragments (a triangle over a pixel), P covered pixels,
C interpolated channels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """Which triangle shows at which pixel."""

    pixels: IntArray
    """(P,), flat pixel numbers, row * W + column, ascending."""
    triangles: IntArray
    """(P,)."""
    weights: FloatArray
    """(P, 3), share of each corner, sums to 1."""

    def interpolate(self, triangle_T3: IntArray, value_VC: FloatArray) -> FloatArray:
        """Return ``value_VC`` at every covered pixel, (P, C)."""
        corner_P3 = triangle_T3[self.triangles]
        out_PC = value_VC[corner_P3[:, 0]] * self.weights[:, :1]
        out_PC += value_VC[corner_P3[:, 1]] * self.weights[:, 1:2]
        out_PC += value_VC[corner_P3[:, 2]] * self.weights[:, 2:]
        return out_PC


def cover(xy_V2: FloatArray, depth_V: FloatArray, triangle_T3: IntArray, shape: tuple[int, int]) -> Coverage:
    """Return the nearest triangle at every pixel that any front-facing triangle covers.

    Args:
        xy_V2: Corners in pixels. Shape (V, 2).
        depth_V: Distance from the viewer; smaller hides larger. Shape (V,).
        triangle_T3: Corners of each triangle, counter-clockwise for the viewer. Shape (T, 3).
        shape: Height and width of the picture.
    """
    height, width = shape
    corner_T32 = xy_V2[triangle_T3]
    low_T2 = np.ceil(corner_T32.min(1))
    high_T2 = np.floor(corner_T32.max(1))
    side_T2 = corner_T32[:, 1] - corner_T32[:, 0]
    other_T2 = corner_T32[:, 2] - corner_T32[:, 0]
    area_T = side_T2[:, 0] * other_T2[:, 1] - side_T2[:, 1] * other_T2[:, 0]
    low_T2 = np.maximum(low_T2, 0)
    high_T2 = np.minimum(high_T2, (width - 1, height - 1))
    # y points down in a picture, so counter-clockwise triangles have negative area here
    seen_T = (area_T < -1e-6) & (high_T2 >= low_T2).all(1)
    number_T = np.flatnonzero(seen_T).astype(np.int32)
    number_T = number_T[np.argsort(-depth_V[triangle_T3[number_T]].sum(1), kind="stable")]  # far ones first
    weight_F3, pixel_F, depth_F, triangle_F = _fragments(
        corner_T32[number_T],
        depth_V[triangle_T3[number_T]],
        (low_T2[number_T].astype(np.int32), high_T2[number_T].astype(np.int32)),
        area_T[number_T],
        width,
    )
    winner = _nearest(pixel_F, depth_F, height * width)
    pixel_P = np.flatnonzero(winner >= 0).astype(np.int32)
    fragment_P = winner[pixel_P]
    return Coverage(pixels=pixel_P, triangles=number_T[triangle_F[fragment_P]], weights=weight_F3[fragment_P])


def _fragments(
    corner_T32: FloatArray,
    depth_T3: FloatArray,
    bounds: tuple[IntArray, IntArray],
    area_T: FloatArray,
    width: int,
) -> tuple[FloatArray, IntArray, FloatArray, IntArray]:
    """Return weights (F, 3), pixel (F,), depth (F,) and triangle (F,) of every pixel inside a triangle."""
    low_T2, high_T2 = bounds
    size_T2 = high_T2 - low_T2 + 1
    count_T = size_T2[:, 0] * size_T2[:, 1]
    end_T = np.cumsum(count_T)
    triangle_F = np.repeat(np.arange(len(count_T), dtype=np.int32), count_T)
    step_F = np.arange(end_T[-1] if len(end_T) else 0, dtype=np.int32) - (end_T - count_T).astype(np.int32)[triangle_F]
    row_F, column_F = np.divmod(step_F, size_T2[:, 0][triangle_F])
    # The weights of corners 1 and 2 are planes over the picture; each is evaluated from the triangle's own
    # bounding box, where float32 has digits enough.
    first_T2 = low_T2 - corner_T32[:, 0]
    one_T2 = corner_T32[:, 1] - corner_T32[:, 0]
    two_T2 = corner_T32[:, 2] - corner_T32[:, 0]
    plane_T6 = np.stack(
        [
            (first_T2[:, 0] * two_T2[:, 1] - first_T2[:, 1] * two_T2[:, 0]) / area_T,
            two_T2[:, 1] / area_T,
            -two_T2[:, 0] / area_T,
            (one_T2[:, 0] * first_T2[:, 1] - one_T2[:, 1] * first_T2[:, 0]) / area_T,
            -one_T2[:, 1] / area_T,
            one_T2[:, 0] / area_T,
        ],
        axis=1,
    ).astype(np.float32)
    plane_F6 = plane_T6[triangle_F]
    one_F = plane_F6[:, 0] + plane_F6[:, 1] * column_F + plane_F6[:, 2] * row_F
    two_F = plane_F6[:, 3] + plane_F6[:, 4] * column_F + plane_F6[:, 5] * row_F
    zero_F = 1 - one_F - two_F
    # a hair's breadth of overlap closes the cracks that rounding leaves between neighbours
    inside = np.flatnonzero((one_F >= -1e-4) & (two_F >= -1e-4) & (zero_F >= -1e-4))
    triangle_F = triangle_F[inside]
    weight_F3 = np.stack([zero_F[inside], one_F[inside], two_F[inside]], axis=1).astype(np.float32)
    low_F2 = low_T2[triangle_F]
    pixel_F = (low_F2[:, 1] + row_F[inside]) * np.int32(width) + low_F2[:, 0] + column_F[inside]
    depth_F = (depth_T3[triangle_F] * weight_F3).sum(1)
    return weight_F3, pixel_F.astype(np.int32), depth_F.astype(np.float32), triangle_F


def _nearest(pixel_F: IntArray, depth_F: FloatArray, pixels: int) -> IntArray:
    """Return the fragment with the least depth at each pixel, -1 where there is none."""
    depth = np.full(pixels, np.inf, np.float32)
    winner = np.full(pixels, -1, np.int32)
    rest = np.arange(len(pixel_F), dtype=np.int32)
    # Of several writes to one place the last stays. Fragments come far to near, so the first round is nearly right;
    # each further round lets in those that are still nearer, until none is.
    while len(rest):
        place = pixel_F[rest]
        winner[place] = rest
        depth[place] = depth_F[rest]
        rest = rest[depth_F[rest] < depth[place]]
    return winner
