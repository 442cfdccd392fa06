"""TensorBoard's files, read by TensorBoard."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from omokage.tracking.events import Events


def points(folder: Path, name: str) -> list[tuple[int, float]]:
    found = EventAccumulator(str(folder))
    found.Reload()
    return [(event.step, round(event.value, 4)) for event in found.Scalars(name)]


def test_tensorboard_reads_each_step_once_after_a_resume(tmp_path: Path) -> None:
    first = Events(tmp_path, 1)
    for step in (1, 2, 3):
        first.log(step, {"val_auc": step / 10, "train_loss": 5.0 - step})
    # killed here: what was told is on disk though nothing was closed
    assert points(tmp_path, "val_auc") == [(1, 0.1), (2, 0.2), (3, 0.3)]
    second = Events(tmp_path, 3)
    for step in (3, 4):
        second.log(step, {"val_auc": step / 5})
    second.close()
    assert points(tmp_path, "val_auc") == [(1, 0.1), (2, 0.2), (3, 0.6), (4, 0.8)]
    first.close()


def test_the_file_is_handed_on_whenever_there_is_more_in_it(tmp_path: Path) -> None:
    seen: list[tuple[Path, bytes]] = []
    events = Events(tmp_path / "here", 1, lambda file: seen.append((file, file.read_bytes())))
    for step in (1, 2):
        events.log(step, {"val_auc": step / 10})
    (file,) = (tmp_path / "here").iterdir()
    assert [each for each, _ in seen] == [file, file]
    assert seen[1][1].startswith(seen[0][1]) and len(seen[1][1]) > len(seen[0][1])
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / file.name).write_bytes(seen[1][1])
    assert points(tmp_path / "there", "val_auc") == [(1, 0.1), (2, 0.2)]
    events.close()
