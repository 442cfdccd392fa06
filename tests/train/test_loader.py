"""The loader: the right pixels in the right order, whatever threads do; bad chips named, replaced, never for ever."""

import gc
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
import torch
from albums import Face, album
from numpy.typing import NDArray

from omokage.augment.augment import Augment
from omokage.augment.batch import Change
from omokage.augment.config import AugmentConfig
from omokage.errors import DatasetError
from omokage.train import loader as module
from omokage.train.chips import Chips
from omokage.train.loader import Batch, Loader
from omokage.vision.codec import decode, encode_jpeg

PEOPLE, EACH = 6, 5


def picture(seed: int, side: int = 96) -> NDArray[np.uint8]:
    """Return smooth blots, which no two seeds share."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


def faces(bad: tuple[int, ...] = (), sides: tuple[int, ...] = (96,)) -> list[Face]:
    """Return faces whose names are in the order of their rows."""
    made = []
    for row in range(PEOPLE * EACH):
        chip = encode_jpeg(picture(row, sides[row % len(sides)]))
        broken = [b"", chip[: len(chip) // 2], b"no picture at all", b"\xff\xd8\xff" + bytes(200)][row % 4]
        made.append(Face(f"p{row // EACH}", f"{row:03d}", chip=broken if row in bad else chip))
    return made


def loaded(folder: Path, of: list[Face], size: int = 96, threads: int = 3, behind: bool = False) -> Loader:
    data = album(folder / "data", of)
    chips = Chips(data, pa.table({"face_id": [face.face_id for face in of]}))
    return Loader(chips, np.repeat(np.arange(PEOPLE), EACH), size, threads, behind=behind)


def some(count: int = 20, size: int = 7, seed: int = 0) -> list[NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, PEOPLE * EACH, size) for _ in range(count)]


def names(loader: Loader, *rows: int) -> list[str]:
    return sorted(loader.chips.face_id(row) for row in rows)


def test_pixels_labels_and_rows_are_those_asked_for(tmp_path: Path) -> None:
    of = faces()
    loader = loaded(tmp_path, of)
    asked = some()
    found = list(loader(asked))
    assert len(found) == len(asked)
    for rows_B, batch in zip(asked, found, strict=True):
        assert np.array_equal(batch.rows, rows_B)
        assert batch.label_B.tolist() == (rows_B // EACH).tolist()
        assert batch.label_B.dtype == torch.int64
        assert batch.pixels_BCHW.dtype == torch.uint8
        assert batch.pixels_BCHW.shape == (7, 3, 96, 96)
        assert batch.pixels_BCHW.is_contiguous(memory_format=torch.channels_last)
        for row, pixels_CHW in zip(rows_B.tolist(), batch.pixels_BCHW, strict=True):
            assert np.array_equal(pixels_CHW.permute(1, 2, 0).numpy(), decode(of[row].chip))
    assert (loader.skipped, loader.broken) == (0, [])


def test_red_is_the_first_channel(tmp_path: Path) -> None:
    red = np.zeros((96, 96, 3), np.uint8)
    red[..., 0] = 250
    of = [Face(f"p{n // EACH}", f"{n}", chip=encode_jpeg(red)) for n in range(PEOPLE * EACH)]
    (batch,) = loaded(tmp_path, of)([np.array([3])])
    assert (batch.pixels_BCHW.float().mean((0, 2, 3)) - torch.tensor([250.0, 0, 0])).abs().max() < 2


@pytest.mark.parametrize(("side", "size"), [(96, 48), (96, 40), (48, 96), (224, 112)])
def test_pictures_have_the_size_of_the_model(tmp_path: Path, side: int, size: int) -> None:
    """Shrunk ones are means of what they stand for: a picture made small shows no stripes that were not there."""
    of = faces(sides=(side,))
    (batch,) = loaded(tmp_path, of, size)([np.arange(30)])
    assert batch.pixels_BCHW.shape == (30, 3, size, size)
    for row in (0, 29):
        pixels = batch.pixels_BCHW[row].float()
        whole = torch.from_numpy(decode(of[row].chip)).permute(2, 0, 1).float()
        if size < side:
            expected = torch.nn.functional.adaptive_avg_pool2d(whole[None], size)[0]
            assert (pixels - expected).abs().mean() < (1 if side % size == 0 else 4)
        assert (pixels.mean((1, 2)) - whole.mean((1, 2))).abs().max() < 1.5


def test_stripes_of_a_pixel_become_grey(tmp_path: Path) -> None:
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[::2] = 255
    of = [Face(f"p{n // EACH}", f"{n}", chip=encode_jpeg(stripes, 100)) for n in range(PEOPLE * EACH)]
    (batch,) = loaded(tmp_path, of, 48)([np.array([0])])
    assert (batch.pixels_BCHW.float() - 127.5).abs().max() < 6


def test_the_order_is_the_same_with_any_number_of_threads(tmp_path: Path) -> None:
    of = faces(bad=(4, 17))
    one, many = (list(loaded(tmp_path / str(n), of, 64, n)(some(40))) for n in (1, 8))
    assert all(torch.equal(a.pixels_BCHW, b.pixels_BCHW) for a, b in zip(one, many, strict=True))
    assert all(np.array_equal(a.rows, b.rows) for a, b in zip(one, many, strict=True))


def test_a_chip_that_is_none_is_replaced_by_the_next_of_the_person(tmp_path: Path) -> None:
    """Of each kind of bad chip one, two of them side by side, and the last of a person."""
    of = faces(bad=(1, 6, 7, 24))
    loader = loaded(tmp_path, of)
    asked = np.array([0, 1, 6, 7, 8, 24, 29, 1])
    for _ in range(3):
        (batch,) = loader([asked])
        assert batch.rows.tolist() == [0, 2, 8, 8, 8, 20, 29, 2]
        for row, pixels_CHW in zip(batch.rows.tolist(), batch.pixels_BCHW, strict=True):
            assert np.array_equal(pixels_CHW.permute(1, 2, 0).numpy(), decode(of[row].chip))
        assert batch.label_B.tolist() == (asked // EACH).tolist()
    assert loader.skipped == 15
    assert loader.broken == names(loader, 1, 6, 7, 24)


def test_what_judges_a_model_sees_no_picture_twice(tmp_path: Path) -> None:
    loader = loaded(tmp_path, faces(bad=(1, 6, 7, 8, 9, 5)))
    first, second = loader([np.arange(5), np.arange(5, 10), np.arange(10, 12)], replace=False)
    assert first.rows.tolist() == [0, 2, 3, 4]
    assert first.label_B.tolist() == [0] * 4
    assert len(first.pixels_BCHW) == 4
    assert second.rows.tolist() == [10, 11], "a batch of nothing"
    assert loader.skipped == 6


def test_a_person_without_a_readable_chip_is_told(tmp_path: Path) -> None:
    loader = loaded(tmp_path, faces(bad=tuple(range(10, 15))))
    assert len(list(loader([np.arange(10)]))) == 1
    with pytest.raises(DatasetError, match=f"none of the chips .* of face {loader.chips.face_id(12)}"):
        list(loader([np.arange(10), np.array([12])]))
    assert not decoding()


def decoding() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("chips")]


def test_threads_end_when_whoever_takes_batches_leaves(tmp_path: Path) -> None:
    loader = loaded(tmp_path, faces())
    batches = loader(some(50))
    next(batches)
    assert decoding()
    batches.close()  # type: ignore[attr-defined]
    assert not decoding()
    for batch in loader(some(50)):
        assert isinstance(batch, Batch)
        break
    del batch
    gc.collect()
    assert not decoding()
    list(loader(some(3)))
    assert not decoding()


def test_an_error_of_whoever_tells_the_rows_arrives(tmp_path: Path) -> None:
    def rows() -> object:
        yield np.arange(3)
        raise ValueError("the plan is wrong")

    with pytest.raises(ValueError, match="the plan is wrong"):
        list(loaded(tmp_path, faces())(rows()))  # type: ignore[arg-type]
    assert not decoding()


def test_an_error_in_a_thread_arrives(tmp_path: Path) -> None:
    with pytest.raises(IndexError):
        list(loaded(tmp_path, faces())([np.array([1, 10_000])]))


@pytest.mark.parametrize(("behind", "ahead"), [(False, module.AHEAD), (True, module.AHEAD_BEHIND)])
def test_batches_are_made_ahead_and_not_all(tmp_path: Path, behind: bool, ahead: int) -> None:
    """Where threads give way only one: each that is made during a step may take of its time."""
    asked: list[int] = []

    def rows() -> object:
        for number, rows_B in enumerate(some(30)):
            asked.append(number)
            yield rows_B

    for taken, _ in enumerate(loaded(tmp_path, faces(), behind=behind)(rows()), start=1):  # type: ignore[arg-type]
        assert len(asked) == min(30, taken + ahead)
    assert taken == 30


class Watched:
    """Chips that see in what class of threads they are asked for, and hold up all threads but that of the test."""

    def __init__(self, chips: Chips) -> None:
        self.chips = chips
        self.here = threading.get_ident()
        self.classes: dict[bool, set[int]] = {True: set(), False: set()}
        """By whether it was the test's thread."""
        self.go_on = threading.Event()

    def face_id(self, row: int) -> str:
        return self.chips.face_id(row)

    def __getitem__(self, row: int) -> NDArray[np.uint8]:
        mine = threading.get_ident() == self.here
        self.classes[mine].add(os.sched_getscheduler(0))
        if not mine:
            assert self.go_on.wait(30), "whoever needs the batch does not make it"
        return self.chips[row]


def test_threads_that_get_no_time_are_not_waited_for(tmp_path: Path) -> None:
    """Not for what they have not begun, and not for the pictures that they are at: a busy machine may hold them up."""
    loader = loaded(tmp_path, faces(), threads=2, behind=True)
    watched = loader.chips = Watched(loader.chips)  # type: ignore[assignment]
    batches = loader([np.arange(8), np.arange(8, 16), np.arange(16, 24)])
    found = [next(batches) for _ in range(2)]
    assert not watched.go_on.is_set()
    watched.go_on.set()
    found += batches
    assert [batch.rows.tolist() for batch in found] == [list(range(start, start + 8)) for start in (0, 8, 16)]
    for batch, plain in zip(found, loaded(tmp_path / "again", faces())([each.rows for each in found]), strict=True):
        assert torch.equal(batch.pixels_BCHW, plain.pixels_BCHW)
    assert watched.classes[False] <= {os.SCHED_IDLE}, "a thread that runs beside the step as its equal"
    assert watched.classes[True] == {os.sched_getscheduler(0)} != {os.SCHED_IDLE}


def test_without_a_step_on_the_same_cores_threads_are_like_any(tmp_path: Path) -> None:
    loader = loaded(tmp_path, faces(), threads=2)
    watched = loader.chips = Watched(loader.chips)  # type: ignore[assignment]
    watched.go_on.set()
    list(loader(some(6)))
    assert watched.classes[False] <= {os.sched_getscheduler(0)}


def test_altered_pictures_are_those_that_a_step_would_have_altered(tmp_path: Path) -> None:
    """Also where one stands in for a chip that is none; and each batch by numbers of its own."""
    augment = Augment(AugmentConfig(blur=0.5, jpeg=0.5, occlusion=0.5))
    seeds = iter(range(100))
    asked = some(8)
    plain = list(loaded(tmp_path / "plain", faces(bad=(4, 17)), 40)(asked))
    loader = loaded(tmp_path / "altered", faces(bad=(4, 17)), 40, behind=True)

    def alter(shape: Sequence[int]) -> Sequence[Change]:
        return augment.drawn(shape, torch.Generator().manual_seed(next(seeds)))

    for seed, (given, found) in enumerate(zip(plain, loader(asked, alter=alter), strict=True)):
        expected = augment(given.pixels_BCHW, torch.Generator().manual_seed(seed))
        assert torch.equal(found.pixels_BCHW, expected)
        assert found.pixels_BCHW.dtype == torch.float32
        assert np.array_equal(found.rows, given.rows)


def test_pictures_that_are_altered_in_no_way_are_shares_of_white(tmp_path: Path) -> None:
    loader = loaded(tmp_path, faces())
    (plain,) = loader([np.arange(5)])
    (altered,) = loader([np.arange(5)], alter=lambda _: ())
    assert torch.equal(altered.pixels_BCHW, plain.pixels_BCHW.float() / 255)


def test_waiting_is_counted_and_work_meanwhile_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes as this clock says: a second whenever it is looked at."""
    ticks = iter(range(1000))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    loader = loaded(tmp_path, faces())
    for _ in loader(some(10)):
        for _ in range(7):
            time.perf_counter()
    assert loader.waited == 10


def test_no_rows_are_no_batches(tmp_path: Path) -> None:
    assert list(loaded(tmp_path, faces())([])) == []


def test_opencv_s_own_threads_are_put_back(tmp_path: Path) -> None:
    before = cv2.getNumThreads()
    list(loaded(tmp_path, faces())(some(2)))
    assert cv2.getNumThreads() == before
