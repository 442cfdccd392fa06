"""Which way a face looks, from its five landmarks alone: one definition, whatever the detector.

Angles are degrees. yaw > 0 turns the nose to the right of the picture, pitch > 0 lifts it, roll > 0 turns the
head clockwise as seen. The rotation is Rz(roll) Ry(yaw) Rx(pitch) in axes x right, y up, z towards the viewer, so
turning the picture in its plane changes roll alone.

Shape key: 5 landmarks, 2 3 coordinates.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omokage.vision.geometry import GeometryError

FACE_53: Final = np.array(
    [[-3.17, 2.63, 3.65], [3.17, 2.63, 3.65], [0.0, -0.80, 7.53], [-2.46, -4.34, 4.28], [2.46, -4.34, 4.28]]
)
"""A face of average build looking at the viewer: the landmarks in cm, x right, y up, z towards the viewer.

Source: MediaPipe's canonical face mesh (Apache-2.0; in the file "mediapipe-landmarker"): means of corners and lids
33 133 159 145 and 362 263 386 374, of the tip's 1 and 4, and the corners 61 and 291. The tip's two points straddle
the height at which ArcFace's template, an average over many faces, comes out with a pitch of 0."""

_CENTRED_53: Final = FACE_53 - FACE_53.mean(axis=0)
_INVERSE_53: Final = np.linalg.pinv(_CENTRED_53.T)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pose:
    """Degrees, each in [-180, 180], yaw in [-90, 90]."""

    yaw: float
    pitch: float
    roll: float


def rotation(pose: Pose) -> NDArray[np.float64]:
    """Return the rotation matrix (3, 3) of a pose."""
    yaw, pitch, roll = np.radians([pose.yaw, pose.pitch, pose.roll])
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    lift = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    tilt = np.array([[np.cos(roll), np.sin(roll), 0], [-np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return np.asarray(tilt @ turn @ lift)


def angles(rotation_33: NDArray[np.float64]) -> Pose:
    """Return the pose of a rotation matrix (3, 3)."""
    yaw = np.arcsin(np.clip(-rotation_33[2, 0], -1, 1))
    pitch = np.arctan2(-rotation_33[2, 1], rotation_33[2, 2])
    roll = np.arctan2(-rotation_33[1, 0], rotation_33[0, 0])
    yaw, pitch, roll = np.degrees([yaw, pitch, roll]).tolist()
    return Pose(yaw=yaw, pitch=pitch, roll=roll)


def estimate(landmarks_52: NDArray[np.floating]) -> Pose:
    """Return the pose at which the average face, seen from afar, looks like the landmarks.

    The rotation nearest to the best affine view of the face. (Least squares over pixels, by iteration, was tried: 5 %
    less error for ten times the time.) A person's own build shows as an error of some degrees, mostly in pitch: a
    long nose looks like a bowed head.

    Args:
        landmarks_52: Source px. Shape (5, 2).

    Raises:
        GeometryError: A value is not finite, or the landmarks lie in one place or on one line.
    """
    point_52 = np.asarray(landmarks_52, np.float64) * (1, -1)  # y up
    if not np.isfinite(point_52).all():
        raise GeometryError("landmarks are not finite")
    point_52 = point_52 - point_52.mean(axis=0)
    left_22, stretch_2, right_23 = np.linalg.svd(point_52.T @ _INVERSE_53, full_matrices=False)
    if stretch_2[1] < 1e-6 + 1e-3 * stretch_2[0]:
        raise GeometryError("landmarks lie in one place or on one line")
    rows_23 = left_22 @ right_23
    return angles(np.vstack([rows_23, np.cross(rows_23[0], rows_23[1])]))
