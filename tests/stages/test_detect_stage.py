from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omokage import schema
from omokage.stages import base
from omokage.stages.detect import Detect, DetectStageConfig, Keep
from omokage.synth import portrait
from omokage.vision.faces import DetectConfig, Faces, ranked
from tables import listed

MIN_SIDE = 24


def stage(faces: Keep) -> Detect:
    return Detect(DetectStageConfig(detector=DetectConfig(name="yunet", min_side=MIN_SIDE), faces=faces))


STAGES: dict[Keep, Detect] = {keep: stage(keep) for keep in ("largest", "all", "one")}
KEEPS = pytest.mark.parametrize("keep", STAGES)


def batch(pictures: Sequence[np.ndarray | None], identities: Sequence[str | None]):
    table = listed(
        *[
            (f"{n}.jpg", who, 1, "1", None if p is not None else "empty")
            for n, (p, who) in enumerate(zip(pictures, identities, strict=True))
        ]
    )
    shapes = [None if p is None else p.shape[:2] for p in pictures]
    return base.append(table, schema.PIXELS, [base.pixel_column(pictures), shapes])


def slow(faces: Faces, identity: str | None, keep: Keep) -> tuple[list[int], str | None]:
    """Return which faces count, and the reason when none does, face by face."""
    big, areas = [], []
    for number, (x0, y0, x1, y1) in enumerate(faces.box_F4.tolist()):
        if x1 - x0 >= MIN_SIDE and y1 - y0 >= MIN_SIDE:
            big.append(number)
            areas.append(np.float32(x1 - x0) * np.float32(y1 - y0))
    if not len(faces.score_F):
        return [], "none_found"
    if not big:
        return [], "too_small"
    if identity is None or keep == "all":
        return big, None
    if keep == "one":
        return (big, None) if len(big) == 1 else ([], "several_faces")
    return [big[areas.index(max(areas))]], None


boxes = st.tuples(*[st.integers(-9, 99)] * 2, *[st.sampled_from([1, 23, 24, 25, 60])] * 2)
found = st.lists(st.tuples(boxes, st.sampled_from([0.5, 0.7, 0.9])), max_size=4)
rows = st.lists(st.tuples(st.none() | found, st.sampled_from([None, "anna"])), max_size=5)


@KEEPS
@settings(max_examples=60, deadline=None)
@given(planned=rows)
def test_which_faces_count(keep, planned):
    """With a detector that sees what was planned, against the slow version."""

    def faces(seen: list) -> Faces:
        box_F4 = np.array([(x, y, x + w, y + h) for (x, y, w, h), _ in seen], np.float32).reshape(-1, 4)
        points = np.arange(len(seen) * 10, dtype=np.float32).reshape(-1, 5, 2)
        return ranked(box_F4, points, np.array([s for _, s in seen], np.float32))

    answers = [None if seen is None else faces(seen) for seen, _ in planned]
    detect = STAGES[keep]
    network, detect.detect = detect.detect, lambda pictures: [a for a in answers if a is not None][: len(pictures)]
    try:
        pictures = [None if a is None else np.zeros((2, 3, 3), np.uint8) for a in answers]
        out = detect(batch(pictures, [who for _, who in planned])).to_pylist()
    finally:
        detect.detect = network
    assert len(out) == len(planned)
    for row, answer, (_, who) in zip(out, answers, planned, strict=True):
        if answer is None:
            assert (row["reason"], row["found"], row["box"]) == ("empty", None, None)
            continue
        kept, reason = slow(answer, who, keep)
        assert row["found"] == len(answer.score_F)
        assert row["reason"] == reason
        if reason:
            assert row["box"] is row["landmarks"] is row["score"] is None
        else:
            assert row["box"] == answer.box_F4[kept].tolist()
            assert row["landmarks"] == answer.landmarks_F52[kept].reshape(-1, 10).tolist()
            assert row["score"] == answer.score_F[kept].tolist()


@pytest.fixture(scope="module")
def drawn() -> list[portrait.Drawn]:
    """A picture of three people, once for each; the first stands nearest."""
    return portrait.group(5, (0, 1, 2), 0, 480)


@KEEPS
def test_a_drawn_group(keep, drawn):
    picture = drawn[0].picture
    empty = np.full((200, 200, 3), 128, np.uint8)
    out = STAGES[keep](batch([picture, picture, empty], ["anna", None, "anna"])).to_pylist()
    labelled, nobodys, nothing = out
    assert (nothing["reason"], nothing["found"]) == ("none_found", 0)
    assert labelled["found"] == nobodys["found"] == 3
    assert nobodys["reason"] is None
    assert len(nobodys["box"]) == 3  # also with "one": nobody says who should be in it
    for person in drawn:
        nearest = min(
            float(np.abs(np.reshape(points, (5, 2)) - person.seen.landmarks).max()) for points in nobodys["landmarks"]
        )
        assert nearest < 12
    if keep == "one":
        assert (labelled["reason"], labelled["box"]) == ("several_faces", None)
    elif keep == "all":
        assert labelled["box"] == nobodys["box"]
    else:
        [points] = labelled["landmarks"]
        assert np.abs(np.reshape(points, (5, 2)) - drawn[0].seen.landmarks).max() < 12


def test_faces_below_the_smallest_side_are_too_small(drawn):
    stages = Detect(DetectStageConfig(detector=DetectConfig(name="yunet", min_side=400), faces="all"))
    [row] = stages(batch([drawn[0].picture], [None])).to_pylist()
    assert (row["reason"], row["found"], row["box"]) == ("too_small", 3, None)
