"""One person before a camera: bend the mesh, light it, colour it, and paint it over a picture.

The camera looks along -z at a point between the eyes. Angles are degrees: yaw > 0 turns the nose to the right of
the picture, pitch > 0 lifts it, roll > 0 turns the head clockwise as seen. Turning is Ry(yaw) Rx(pitch) Rz(roll):
roll about the face's own axis first, so that the nose points along (yaw, pitch) whatever the roll. Pixel convention:
the centre of the first pixel is (0, 0).

Shape key: V vertices, T triangles, P covered pixels, H W picture.
"""

import functools
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from omokage.synth import head, render, skin
from omokage.synth.people import Person

FloatArray = NDArray[np.float32]
Picture = NDArray[np.uint8]

BETWEEN_EYES: Final = (0.0, 7.284, 1.245)
"""A point of the undeformed head, in decimetres."""
NECK: Final = (0.0, 6.1, 0.2)
"""About where a head turns on its neck."""
EYE_RADIUS: Final = 0.147
IRIS, PUPIL = 0.50, 0.20
"""Half angles seen from the centre of the eyeball, in radians."""
FACEUNITS: Final = "faceunits01/targets/faceunits/"


class Pose(NamedTuple):
    """How a head is turned, in degrees; see the top of the file for the signs."""

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """Where light comes from; strengths are linear RGB."""

    name: str
    direction: tuple[float, float, float]
    """Towards the lamp; need not be of unit length."""
    key: tuple[float, float, float]
    ambient: tuple[float, float, float]
    exposure: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """Everything about one picture of one person that is not the person."""

    pose: Pose
    centre: tuple[float, float]
    """Where the point between the eyes falls, in px (x, y)."""
    scale: float
    """Px a decimetre, at the distance of the eyes; a head is about 2.4 dm high."""
    distance: float = 9.0
    """From the camera to the eyes, in decimetres; near cameras swell noses."""
    expression: tuple[tuple[str, float], ...] = ()
    """Face units and their strengths in [0, 1]."""
    gaze: tuple[float, float] = (0.0, 0.0)
    """Turn of the eyes against the head, right (as seen) and up, in degrees."""
    light: Light


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """Where a drawn face is in the picture; pixels."""

    landmarks: FloatArray
    """(5, 2), in the order of the house."""
    box: FloatArray
    """x0 y0 x1 y1 round the face from hairline to chin, without ears."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Posed:
    xy: FloatArray
    """(V, 2), px."""
    depth: FloatArray
    """(V,), dm from the camera."""
    world: FloatArray
    """(V, 3), dm, the point between the eyes at the origin."""
    turn: FloatArray
    """(3, 3), the head's rotation."""


def paint(canvas: Picture, person: Person, shot: Shot) -> Seen:
    """Draw ``person`` over ``canvas`` in place, and return where the face came to lie.

    Args:
        canvas: RGB, changed. Shape (H, W, 3).
        person: Who.
        shot: How; the face may lie partly outside.
    """
    mesh = head.load()
    triangle_T3, material_T = _drawn(person.sex)
    posed = _pose(person, shot)
    cover = render.cover(posed.xy, posed.depth, triangle_T3, canvas.shape[:2])
    if len(cover.pixels):
        light_V4 = _light(person, posed.world, shot)
        value_VC = np.column_stack(
            [light_V4, mesh.rest, mesh.masks["lips"], mesh.masks["inside-mouth"], mesh.masks["ears"]]
        ).astype(np.float32)
        value_PC = cover.interpolate(triangle_T3, value_VC)
        colour_P3 = _colour(person, value_PC[:, 4:])
        material_P = material_T[cover.triangles]
        colour_P3[material_P == head.TEETH] = (0.72, 0.68, 0.58)
        colour_P3[material_P == head.TONGUE] = (0.42, 0.13, 0.12)
        colour_P3[material_P == head.LASH] = (0.012, 0.01, 0.01)
        gloss_P = value_PC[:, 3] * (material_P == head.SKIN)
        lit_P3 = colour_P3 * value_PC[:, :3] + gloss_P[:, None]
        eye = np.flatnonzero(material_P == head.EYE)
        lit_P3[eye] = _eyes(person, shot, posed.turn, value_PC[eye])
        _over(canvas, cover.pixels, _encode(lit_P3 * np.float32(shot.light.exposure)))
    return _seen(posed)


@functools.cache
def _drawn(sex: str) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return triangles (T, 3) and materials (T,) without lashes that would look like paint: men's, and lower ones."""
    mesh = head.load()
    middle_T = mesh.rest[mesh.triangles][:, :, 1].mean(1)
    keep_T = mesh.materials != head.LASH
    if sex == "female":
        keep_T |= middle_T > 7.30
    return mesh.triangles[keep_T], mesh.materials[keep_T]


@functools.lru_cache(maxsize=64)
def _dressed(person: Person) -> FloatArray:
    """Return the person's mesh with hair on it, the point between the eyes at the origin, (V, 3)."""
    mesh = head.load()
    rest_V3 = mesh.rest
    turn_V = np.arctan2(rest_V3[:, 0], rest_V3[:, 2] - np.float32(skin.AXIS_Z))
    share_V = skin.hair_share(person.hair, turn_V, rest_V3[:, 1])
    share_V = share_V * (mesh.masks["ears"] < 0.3) * (rest_V3[:, 1] > 5.6)
    out_V3 = person.shape.copy()
    normal_V3 = _normals(out_V3, mesh.triangles)
    out_V3 += normal_V3 * (share_V * person.hair.volume)[:, None].astype(np.float32)
    middle = 0.5 * (_middle(out_V3, mesh.eyes[0]) + _middle(out_V3, mesh.eyes[1]))
    return (out_V3 - middle).astype(np.float32)


@functools.lru_cache(maxsize=64)
def _upright(person: Person) -> FloatArray:
    """Return the rotation, (3, 3), that best lays a person's face over the undeformed one.

    Some shapes tilt the face (a long chin, a flat brow); without this the pose in the truth would differ from what
    anyone sees by up to 15 degrees.

    Source:
        Kabsch 1976, A solution for the best rotation to relate two sets of vectors.
    """
    mesh = head.load()
    rest_K3 = mesh.rest[mesh.face]
    mine_K3 = person.shape[mesh.face]
    u_33, _, v_33 = np.linalg.svd((mine_K3 - mine_K3.mean(0)).T @ (rest_K3 - rest_K3.mean(0)))
    return np.asarray(v_33.T @ u_33.T, np.float32)


def _middle(point_V3: FloatArray, index_K: NDArray[np.int32]) -> FloatArray:
    return np.asarray((0.5 * (point_V3[index_K].min(0) + point_V3[index_K].max(0))), np.float32)


def _pose(person: Person, shot: Shot) -> _Posed:
    mesh = head.load()
    point_V3 = _dressed(person).copy()
    for name, strength in shot.expression:
        index_K, move_K3 = mesh.target(FACEUNITS + name)
        point_V3[index_K] += np.float32(strength) * move_K3
    # the body follows the head's turn by a third, the neck in between
    follow_V = np.clip((mesh.rest[:, 1] - 5.4) / 0.9, 0, 1) * 0.67 + 0.33
    turn_33 = rotation(shot.pose) @ _upright(person)
    body_33 = rotation(Pose(shot.pose.yaw * 0.33, 0.0, 0.0))
    pivot = np.array(NECK, np.float32) - np.array(BETWEEN_EYES, np.float32)
    head_V3 = (point_V3 - pivot) @ turn_33.T
    body_V3 = (point_V3 - pivot) @ body_33.T
    blend_V = ((follow_V - 0.33) / 0.67).astype(np.float32)[:, None]
    point_V3 = body_V3 + (head_V3 - body_V3) * blend_V
    point_V3 -= turn_33 @ -pivot  # the point between the eyes stays where the shot wants it
    depth_V = np.float32(shot.distance) - point_V3[:, 2]
    zoom_V = np.float32(shot.scale * shot.distance) / depth_V
    xy_V2 = np.stack([shot.centre[0] + zoom_V * point_V3[:, 0], shot.centre[1] - zoom_V * point_V3[:, 1]], axis=1)
    return _Posed(xy=xy_V2.astype(np.float32), depth=depth_V, world=point_V3, turn=turn_33)


def rotation(pose: Pose) -> FloatArray:
    """Return the rotation matrix of a pose, (3, 3), for x right, y up, z towards the viewer."""
    yaw, pitch, roll = np.radians(pose)
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    lift = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    tilt = np.array([[np.cos(roll), np.sin(roll), 0], [-np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return np.asarray((turn @ lift @ tilt), np.float32)


def _seen(posed: _Posed) -> Seen:
    mesh = head.load()
    landmarks_52 = np.empty((5, 2), np.float32)
    for row, index_K in enumerate(mesh.eyes):
        # the middle of the eye's front, where the lids open: foremost ring of the eyeball in the head's own frame
        front = index_K[mesh.rest[index_K, 2] > mesh.rest[index_K, 2].max() - 0.012]
        landmarks_52[row] = posed.xy[front].mean(0)
    landmarks_52[2] = posed.xy[mesh.nose_tip]
    landmarks_52[3:] = posed.xy[mesh.mouth_corners]
    face_V2 = posed.xy[mesh.face]
    return Seen(landmarks=landmarks_52, box=np.concatenate([face_V2.min(0), face_V2.max(0)]).astype(np.float32))


def _normals(point_V3: FloatArray, triangle_T3: NDArray[np.int32]) -> FloatArray:
    """Return unit normals, (V, 3): the mean of the triangles round each vertex, by area."""
    a_T3, b_T3, c_T3 = (point_V3[triangle_T3[:, k]] for k in range(3))
    face_T3 = np.cross(b_T3 - a_T3, c_T3 - a_T3)
    flat = triangle_T3.T.reshape(-1)
    normal_V3 = np.stack(
        [np.bincount(flat, np.tile(face_T3[:, k], 3), minlength=len(point_V3)) for k in range(3)], axis=1
    )
    return np.asarray((normal_V3 / (np.linalg.norm(normal_V3, axis=1, keepdims=True) + 1e-12)), np.float32)


def _around(value_V: FloatArray) -> FloatArray:
    """Return the mean over each vertex's neighbours, (V,)."""
    edge_E2 = head.load().edges
    total_V = np.bincount(edge_E2[:, 0], value_V[edge_E2[:, 1]], minlength=len(value_V))
    return (total_V / _degree()).astype(np.float32)


@functools.cache
def _degree() -> NDArray[np.float64]:
    mesh = head.load()
    return np.bincount(mesh.edges[:, 0], minlength=len(mesh.rest)).astype(np.float64)


def _light(person: Person, world_V3: FloatArray, shot: Shot) -> FloatArray:
    """Return light (RGB) and gloss at each vertex, (V, 4)."""
    mesh = head.load()
    normal_V3 = _normals(world_V3, mesh.triangles)
    mean_V3 = np.stack([_around(world_V3[:, k]) for k in range(3)], axis=1)
    hollow_V = ((mean_V3 - world_V3) * normal_V3).sum(1) * 9  # > 0 where the surface is concave
    hollow_V = 0.5 * hollow_V + 0.5 * _around(_around(hollow_V))
    open_V = np.clip(1 - np.maximum(hollow_V, 0) * 1.6, 0.25, 1) * (1 - 0.8 * mesh.masks["inside-mouth"])
    lamp = np.array(shot.light.direction, np.float32)
    lamp /= np.linalg.norm(lamp)
    facing_V = normal_V3 @ lamp
    # red light travels further under skin than blue, so its shadow begins later
    soft = np.array([0.28, 0.16, 0.12], np.float32)
    direct_V3 = np.clip((facing_V[:, None] + soft) / (1 + soft), 0, None) * np.array(shot.light.key, np.float32)
    direct_V3 *= _unshadowed(world_V3, lamp)[:, None]
    sky_V = 0.72 + 0.28 * normal_V3[:, 1]
    light_V3 = (direct_V3 + sky_V[:, None] * np.array(shot.light.ambient, np.float32)) * open_V[:, None]
    half = lamp + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    gloss_V = np.clip(normal_V3 @ half, 0, 1) ** 18 * 0.07 * np.mean(shot.light.key) * open_V
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
        seen_V = 0.5 * seen_V + 0.5 * _around(seen_V)
    return np.asarray((0.15 + 0.85 * seen_V), np.float32)


def _colour(person: Person, value_P6: FloatArray) -> FloatArray:
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


def _eyes(person: Person, shot: Shot, turn_33: FloatArray, value_PC: FloatArray) -> FloatArray:
    """Return linear light (P, 3) of pixels on the eyeballs."""
    rest_P3 = value_PC[:, 4:7]
    side_P = np.where(rest_P3[:, 0] < 0, -1, 1).astype(np.float32)
    middle_P3 = np.stack([side_P * 0.30775, np.full_like(side_P, 7.28415), np.full_like(side_P, 1.24535)], axis=1)
    out_P3 = (rest_P3 - middle_P3) / EYE_RADIUS
    out_P3 /= np.linalg.norm(out_P3, axis=1, keepdims=True) + 1e-6
    right, up = np.radians(shot.gaze)
    gaze = np.array([np.sin(right) * np.cos(up), np.sin(up), np.cos(right) * np.cos(up)], np.float32)
    angle_P = np.arccos(np.clip(out_P3 @ gaze, -1, 1))
    blend = np.clip((IRIS - angle_P) / 0.05, 0, 1)[:, None]
    rim = 1 - 0.65 * np.clip((angle_P - IRIS + 0.12) / 0.1, 0, 1)[:, None]
    white = np.array([0.68, 0.63, 0.60], np.float32)
    colour_P3 = white + (np.array(person.iris, np.float32) * 1.3 * rim - white) * blend
    colour_P3 *= 1 - 0.97 * np.clip((PUPIL - angle_P) / 0.05, 0, 1)[:, None]
    lid = 1 - 0.55 * np.clip((out_P3[:, 1] - 0.15) / 0.3, 0, 1)[:, None]  # the upper lid's shadow
    lamp = np.array(shot.light.direction, np.float32)
    half = lamp / np.linalg.norm(lamp) + np.array([0, 0, 1], np.float32)
    glint_P = np.clip((out_P3 @ turn_33.T) @ (half / np.linalg.norm(half)), 0, 1) ** 260 * 0.8
    soft_P3 = 0.5 * value_PC[:, :3] + 0.5 * value_PC[:, :3].mean(0)
    return np.asarray((colour_P3 * lid * soft_P3 + glint_P[:, None] * np.mean(shot.light.key)), np.float32)


def _encode(linear_P3: FloatArray) -> Picture:
    table = _gamma_table()
    return table[np.clip(linear_P3 * 4095, 0, 4095).astype(np.uint16)]


@functools.cache
def _gamma_table() -> Picture:
    value = np.arange(4096) / 4095
    return np.clip(255 * value ** (1 / 2.2) + 0.5, 0, 255).astype(np.uint8)


def _over(canvas: Picture, pixel_P: NDArray[np.int32], colour_P3: Picture) -> None:
    """Put pixels on the canvas; at the outline they mix with what is behind."""
    mask = np.zeros(canvas.shape[:2], np.uint8)
    mask.reshape(-1)[pixel_P] = 255
    layer = canvas.copy()
    layer.reshape(-1, 3)[pixel_P] = colour_P3
    share = cv2.blur(mask, (3, 3)).reshape(-1)[pixel_P]
    edge = np.flatnonzero(share < 255)
    flat = canvas.reshape(-1, 3)
    behind_E3 = flat[pixel_P[edge]].astype(np.float32)
    flat[pixel_P] = colour_P3
    mix_E1 = np.clip(share[edge].astype(np.float32) / 255 * 1.4 - 0.25, 0, 1)[:, None]
    flat[pixel_P[edge]] = (behind_E3 + (colour_P3[edge] - behind_E3) * mix_E1 + 0.5).astype(np.uint8)
