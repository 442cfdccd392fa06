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

from omokage.synth import head, render, shade, skin
from omokage.synth.people import Person
from omokage.synth.shade import Light

FloatArray = NDArray[np.float32]
Picture = NDArray[np.uint8]

BETWEEN_EYES: Final = (0.0, 7.284, 1.245)
"""A point of the undeformed head, in decimetres."""
NECK: Final = (0.0, 6.1, 0.2)
"""About where a head turns on its neck."""
FACEUNITS: Final = "faceunits01/targets/faceunits/"


class Pose(NamedTuple):
    """How a head is turned, in degrees; see the top of the file for the signs."""

    yaw: float
    pitch: float
    roll: float


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
        light_V4 = shade.light_at(posed.world, shot.light)
        value_VC = np.column_stack(
            [light_V4, mesh.rest, mesh.masks["lips"], mesh.masks["inside-mouth"], mesh.masks["ears"]]
        ).astype(np.float32)
        value_PC = cover.interpolate(triangle_T3, value_VC)
        colour_P3 = shade.colours(person, value_PC[:, 4:])
        material_P = material_T[cover.triangles]
        colour_P3[material_P == head.TEETH] = (0.72, 0.68, 0.58)
        colour_P3[material_P == head.TONGUE] = (0.42, 0.13, 0.12)
        colour_P3[material_P == head.LASH] = (0.012, 0.01, 0.01)
        gloss_P = value_PC[:, 3] * (material_P == head.SKIN)
        lit_P3 = colour_P3 * value_PC[:, :3] + gloss_P[:, None]
        eye = np.flatnonzero(material_P == head.EYE)
        lit_P3[eye] = shade.eyes(person, shot.light, posed.turn, shot.gaze, value_PC[eye])
        _over(canvas, cover.pixels, shade.encode(lit_P3))
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
    for _ in range(3):  # hair swells gently from where it begins
        share_V = np.minimum(share_V, 0.4 * share_V + 0.6 * shade.around(share_V.astype(np.float32)))
    out_V3 = person.shape.copy()
    normal_V3 = shade.normals(out_V3, mesh.triangles)
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
