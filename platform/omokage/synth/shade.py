"""Light and colour: from points of a posed head to what a camera would record.

All light is linear RGB. Shape key: V vertices, T triangles, P covered pixels.
"""

import functools
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from omokage.synth import head, render, skin
from omokage.synth.people import Person

FloatArray = NDArray[np.float32]
Picture = NDArray[np.uint8]

EYE_RADIUS: Final = 0.147
IRIS, PUPIL = 0.50, 0.20
"""Half angles seen from the centre of the eyeball, in radians."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """Where light comes from; strengths are linear RGB."""

    name: str
    direction: tuple[float, float, float]
    """Towards the lamp; need not be of unit length."""
    key: tuple[float, float, float]
    ambient: tuple[float, float, float]


def normals(point_V3: FloatArray, triangle_T3: NDArray[np.int32]) -> FloatArray:
    """Return unit normals, (V, 3): the mean of the triangles round each vertex, by area."""
    a_T3, b_T3, c_T3 = (point_V3[triangle_T3[:, k]] for k in range(3))
    face_T3 = np.cross(b_T3 - a_T3, c_T3 - a_T3)
    flat = triangle_T3.T.reshape(-1)
    normal_V3 = np.stack(
        [np.bincount(flat, np.tile(face_T3[:, k], 3), minlength=len(point_V3)) for k in range(3)], axis=1
    )
    return np.asarray((normal_V3 / (np.linalg.norm(normal_V3, axis=1, keepdims=True) + 1e-12)), np.float32)


def around(value_V: FloatArray) -> FloatArray:
    """Return the mean over each vertex's neighbours, (V,)."""
    edge_E2 = head.load().edges
    total_V = np.bincount(edge_E2[:, 0], value_V[edge_E2[:, 1]], minlength=len(value_V))
    return (total_V / _degree()).astype(np.float32)


@functools.cache
def _degree() -> NDArray[np.float64]:
    mesh = head.load()
    return np.bincount(mesh.edges[:, 0], minlength=len(mesh.rest)).astype(np.float64)


def light_at(world_V3: FloatArray, light: Light) -> FloatArray:
    """Return light (RGB) and gloss at each vertex, (V, 4)."""
    mesh = head.load()
    normal_V3 = normals(world_V3, mesh.triangles)
    mean_V3 = np.stack([around(world_V3[:, k]) for k in range(3)], axis=1)
    hollow_V = ((mean_V3 - world_V3) * normal_V3).sum(1) * 9  # > 0 where the surface is concave
    hollow_V = 0.5 * hollow_V + 0.5 * around(around(hollow_V))
    open_V = np.clip(1 - np.maximum(hollow_V, 0) * 1.6, 0.25, 1) * (1 - 0.8 * mesh.masks["inside-mouth"])
    lamp = np.array(light.direction, np.float32)
    lamp /= np.linalg.norm(lamp)
    facing_V = normal_V3 @ lamp
    # red light travels further under skin than blue, so its shadow begins later
    soft = np.array([0.28, 0.16, 0.12], np.float32)
    direct_V3 = np.clip((facing_V[:, None] + soft) / (1 + soft), 0, None) * np.array(light.key, np.float32)
    direct_V3 *= _unshadowed(world_V3, lamp)[:, None]
    sky_V = 0.72 + 0.28 * normal_V3[:, 1]
    light_V3 = (direct_V3 + sky_V[:, None] * np.array(light.ambient, np.float32)) * open_V[:, None]
    half = lamp + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    gloss_V = np.clip(normal_V3 @ half, 0, 1) ** 18 * 0.07 * np.mean(light.key) * open_V
    gloss_V = gloss_V + np.clip(mesh.masks["lips"], 0, 1) * np.clip(normal_V3 @ half, 0, 1) ** 30 * 0.10
    return np.column_stack([light_V3, gloss_V]).astype(np.float32)


def _unshadowed(world_V3: FloatArray, lamp: FloatArray) -> FloatArray:
    """Return how much of the lamp each vertex sees, in [0.15, 1], by drawing the head from the lamp."""
    mesh = head.load()
    up = np.array([0, 1, 0], np.float32)
    right = np.cross(up, lamp)
    right /= np.linalg.norm(right) + 1e-6
    flat_V2 = np.stack([world_V3 @ right, -(world_V3 @ np.cross(lamp, right))], axis=1)
    depth_V = -(world_V3 @ lamp)
    size = 128
    low, high = flat_V2[mesh.face].min(0) - 0.8, flat_V2[mesh.face].max(0) + 0.8
    xy_V2 = ((flat_V2 - low) * (size / (high - low).max())).astype(np.float32)
    solid = mesh.triangles[mesh.materials == head.SKIN]
    cover = render.cover(xy_V2, depth_V.astype(np.float32), solid, (size, size))
    near = np.full(size * size, np.inf, np.float32)
    near[cover.pixels] = cover.interpolate(solid, depth_V.astype(np.float32)[:, None])[:, 0]
    inside_V = ((xy_V2 >= 0) & (xy_V2 < size - 1)).all(1)
    place_V2 = np.clip(xy_V2.round().astype(np.int32), 0, size - 1)
    hidden_V = inside_V & (near[place_V2[:, 1] * size + place_V2[:, 0]] < depth_V - 0.09)
    seen_V = 1 - hidden_V.astype(np.float32)
    for _ in range(2):
        seen_V = 0.5 * seen_V + 0.5 * around(seen_V)
    return np.asarray((0.15 + 0.85 * seen_V), np.float32)


def colours(person: Person, value_P6: FloatArray) -> FloatArray:
    """Return linear RGB (P, 3) of skin, hair and clothes; columns are rest xyz, lips, inside of mouth, ears."""
    column_P, row_P = skin.sheet_place(value_P6)
    # remap wants maps below 32768 a side, so the list of pixels is folded into rows
    fold = -(-len(column_P) // 16384)
    pad = fold * 16384 - len(column_P)
    maps = [np.pad(value, (0, pad)).reshape(fold, 16384) for value in (column_P, row_P)]
    sheet = skin.sheet(person)
    colour_P3 = cv2.remap(sheet, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    colour_P3 = colour_P3.reshape(-1, 3)[: len(column_P)]
    covered = person.hair.style == "long"
    ear_P1 = np.clip(value_P6[:, 5:6] * 3 - 0.6, 0, 1) * (0.0 if covered else 1.0)
    colour_P3 = colour_P3 + (np.array(person.skin, np.float32) - colour_P3) * ear_P1
    lips_P1 = np.clip(value_P6[:, 3:4] * 1.4 - 0.2, 0, 1)
    colour_P3 += (np.array(person.lips, np.float32) - colour_P3) * lips_P1
    collar_P = np.minimum(person.neckline + 0.35 * np.abs(value_P6[:, 0]), 5.75)
    cloth_P1 = np.clip((collar_P - value_P6[:, 1]) * 60 + 0.5, 0, 1)[:, None]
    colour_P3 += (np.array(person.cloth, np.float32) - colour_P3) * cloth_P1
    return np.asarray(colour_P3, np.float32)


def eyes(
    person: Person, light: Light, turn_33: FloatArray, gaze: tuple[float, float], value_PC: FloatArray
) -> FloatArray:
    """Return what the eyeballs send to the camera, (P, 3).

    Args:
        person: Whose eyes.
        light: What shines on them.
        turn_33: The head's rotation.
        gaze: Turn of the eyes against the head, right and up, in degrees.
        value_PC: At each pixel: light from ``light_at`` (4 columns), place on the undeformed head (3), anything.
    """
    rest_P3 = value_PC[:, 4:7]
    side_P = np.where(rest_P3[:, 0] < 0, -1, 1).astype(np.float32)
    middle_P3 = np.stack([side_P * 0.30775, np.full_like(side_P, 7.28415), np.full_like(side_P, 1.24535)], axis=1)
    out_P3 = (rest_P3 - middle_P3) / EYE_RADIUS
    out_P3 /= np.linalg.norm(out_P3, axis=1, keepdims=True) + 1e-6
    right, up = np.radians(gaze)
    ahead = np.array([np.sin(right) * np.cos(up), np.sin(up), np.cos(right) * np.cos(up)], np.float32)
    angle_P = np.arccos(np.clip(out_P3 @ ahead, -1, 1))
    blend = np.clip((IRIS - angle_P) / 0.05, 0, 1)[:, None]
    rim = 1 - 0.65 * np.clip((angle_P - IRIS + 0.12) / 0.1, 0, 1)[:, None]
    white = np.array([0.68, 0.63, 0.60], np.float32)
    colour_P3 = white + (np.array(person.iris, np.float32) * 1.3 * rim - white) * blend
    colour_P3 *= 1 - 0.97 * np.clip((PUPIL - angle_P) / 0.05, 0, 1)[:, None]
    lid = 1 - 0.55 * np.clip((out_P3[:, 1] - 0.15) / 0.3, 0, 1)[:, None]  # the upper lid's shadow
    lamp = np.array(light.direction, np.float32)
    half = lamp / np.linalg.norm(lamp) + np.array([0, 0, 1], np.float32)
    glint_P = np.clip((out_P3 @ turn_33.T) @ (half / np.linalg.norm(half)), 0, 1) ** 260 * 0.8
    soft_P3 = 0.5 * value_PC[:, :3] + 0.5 * value_PC[:, :3].mean(0)
    return np.asarray((colour_P3 * lid * soft_P3 + glint_P[:, None] * np.mean(light.key)), np.float32)


def encode(linear_P3: FloatArray) -> Picture:
    """Return 8-bit values of linear light; what is brighter than 1 is cut (a plain 2.2 power)."""
    table = _gamma_table()
    return table[np.clip(linear_P3 * 4095, 0, 4095).astype(np.uint16)]


@functools.cache
def _gamma_table() -> Picture:
    value = np.arange(4096) / 4095
    return np.clip(255 * value ** (1 / 2.2) + 0.5, 0, 255).astype(np.uint8)
