import struct
import zipfile

import numpy as np
import pytest

from omokage import weights
from omokage.synth import portrait, scene
from omokage.vision import geometry, pose
from omokage.vision.geometry import GeometryError
from omokage.vision.pose import FACE_53, Pose


def look(p, scale=12.0, middle=(300.0, 200.0)):
    """The average face as a far camera sees it, in pixels."""
    return (FACE_53 @ pose.rotation(p).T)[:, :2] * (scale, -scale) + middle


def apart(a, b):
    return max(abs((x - y + 180) % 360 - 180) for x, y in ((a.yaw, b.yaw), (a.pitch, b.pitch), (a.roll, b.roll)))


def test_known_angles_are_found_again():
    rng = np.random.default_rng(0)
    for _ in range(300):
        truth = Pose(yaw=rng.uniform(-80, 80), pitch=rng.uniform(-70, 70), roll=rng.uniform(-179, 179))
        seen = look(truth, scale=rng.uniform(0.5, 200), middle=rng.uniform(-500, 4000, 2))
        assert apart(pose.estimate(seen), truth) < 1e-6
        assert apart(pose.angles(pose.rotation(truth)), truth) < 1e-9


def test_signs_are_as_documented():
    straight = look(Pose(yaw=0, pitch=0, roll=0))
    right, up, clockwise = (look(Pose(**{"yaw": 0, "pitch": 0, "roll": 0} | {k: 20})) for k in ("yaw", "pitch", "roll"))

    def nose(face_52):
        return face_52[2] - face_52[[0, 1, 3, 4]].mean(axis=0)

    assert nose(right)[0] > nose(straight)[0] + 5  # to the right of the picture
    assert nose(up)[1] < nose(straight)[1] - 5  # upwards, where y is smaller
    assert clockwise[1, 1] > clockwise[0, 1] + 5  # the eye at the right is lower


def test_roll_is_the_slope_of_the_eyes_of_a_face_from_the_front():
    for degrees in (-170, -40, 0, 15, 90):
        seen = look(Pose(yaw=0, pitch=0, roll=degrees))
        slope = np.degrees(np.arctan2(*(seen[1] - seen[0])[::-1]))
        assert slope == pytest.approx(degrees)


def test_turning_the_picture_changes_roll_alone():
    truth = Pose(yaw=25, pitch=-10, roll=5)
    seen = look(truth) + np.random.default_rng(0).normal(0, 3, (5, 2))  # no longer the average face
    before = pose.estimate(seen)
    quarter = pose.estimate(np.column_stack([-seen[:, 1], seen[:, 0]]))  # a quarter turn clockwise
    assert apart(quarter, Pose(yaw=before.yaw, pitch=before.pitch, roll=before.roll + 90)) < 1e-6


def test_mirroring_the_picture_turns_yaw_and_roll_about():
    seen = look(Pose(yaw=25, pitch=-10, roll=5)) + np.random.default_rng(1).normal(0, 3, (5, 2))
    before = pose.estimate(seen)
    mirrored = pose.estimate((seen * (-1, 1))[[1, 0, 2, 4, 3]])
    assert apart(mirrored, Pose(yaw=-before.yaw, pitch=before.pitch, roll=-before.roll)) < 1e-6


def test_the_arcface_average_looks_at_the_viewer():
    """An average over many real faces, made by other people for another purpose."""
    assert apart(pose.estimate(geometry.ARCFACE_52), Pose(yaw=0, pitch=0, roll=0)) < 1.5


def test_the_face_is_mediapipes_canonical_one():
    """FACE_53 is what it says: means of vertices of MediaPipe's canonical face."""
    vertices = canonical_face()
    groups = ([33, 133, 159, 145], [263, 362, 386, 374], [1, 4], [61], [291])
    assert np.abs(FACE_53 - [vertices[g].mean(axis=0) for g in groups]).max() < 0.03


def canonical_face():
    """The vertices (468, 3) in the geometry metadata of the face landmarker: floats of a protobuf message, in a row."""
    with zipfile.ZipFile(weights.path("mediapipe-landmarker")) as archive:
        data = archive.read("geometry_pipeline_metadata_landmarks.binarypb")
    # Field 3, wire type 5: one byte 0x1d before each of the 468 * 5 floats.
    start = next(i for i in range(len(data)) if data[i : i + 468 * 25 : 5] == b"\x1d" * 2340)
    floats = [struct.unpack_from("<f", data, start + 5 * i + 1)[0] for i in range(2340)]
    return np.array(floats).reshape(468, 5)[:, :3]


@pytest.mark.parametrize(
    "bad",
    [
        np.full((5, 2), 3.0),
        np.full((5, 2), np.nan),
        np.full((5, 2), np.inf),
        np.column_stack([np.arange(5.0), np.arange(5.0) * 2]),
    ],
)
def test_landmarks_of_no_face_are_refused(bad):
    with pytest.raises(GeometryError):
        pose.estimate(bad)


@pytest.fixture(scope="module")
def drawn():
    """Pose seen less pose drawn, degrees (yaw, pitch, roll): a person's straight picture, then two others of each."""
    out = []
    for person in range(10):
        for shot in range(3):
            straight = scene.Pose(0.0, 0.0, 0.0) if shot == 0 else None
            picture = portrait.portrait(5, person, shot, 64, pose=straight)
            # The renderer turns in another order; by way of the matrix the angles are ours.
            truth = pose.angles(np.asarray(scene.rotation(picture.pose), np.float64))
            seen = pose.estimate(picture.landmarks)
            out.append([seen.yaw - truth.yaw, seen.pitch - truth.pitch, seen.roll - truth.roll])
    return np.array(out).reshape(10, 3, 3)


def test_drawn_people_of_every_build(drawn):
    """Yaw to 45, pitch to 20, roll to 25 degrees, through a near camera, with expressions."""
    yaw, _, roll = np.abs(drawn[:, 1:].reshape(-1, 3)).T
    assert np.median(yaw) < 5 and np.percentile(yaw, 90) < 12
    assert np.median(roll) < 2 and np.percentile(roll, 90) < 5


def test_pitch_of_drawn_people_follows_their_heads(drawn):
    """Against the same person's straight picture: a build of its own (low nose, high mouth) looks like a pitch."""
    change = np.abs(drawn[:, 1:, 1] - drawn[:, :1, 1])
    assert np.median(change) < 6 and np.percentile(change, 90) < 12
