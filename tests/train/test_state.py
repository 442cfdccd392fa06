"""Checkpoints are whole or absent, and nothing but tensors and plain values is ever loaded."""

import json
import os
import pickle
import random

import numpy as np
import pytest
import torch
from lessons import same_tensors

from omokage.storage import Folder
from omokage.train import state
from omokage.train.state import KEPT, PLACE, Checkpoints, Position, loaded

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder.at(str(tmp_path))


def save(folder: Folder, at: Position, value: float, token: str = "00000000") -> None:
    own = {"random": state.random_states(), "waited": value}
    Checkpoints(folder, token, CPU).save(at, {"weights": torch.full((3,), value), "progress": {"sum": value}}, own)


def newest(folder: Folder):
    return Checkpoints(folder, "ffffffff", CPU).newest()


def damage(folder: Folder, end: str, change) -> None:
    """Change the bytes of the newest checkpoint's file that ends so."""
    name = max(name for name in folder.names(PLACE) if name.endswith(end))
    folder.write(f"{PLACE}/{name}", change(folder.read(f"{PLACE}/{name}")))


def test_the_newest_comes_back_as_it_was(folder):
    for step in (2, 10, 9):
        save(folder, Position(0, step), float(step))
    found = newest(folder)
    assert found.at == Position(0, 10) and found.world == 1
    assert torch.equal(found.shared["weights"], torch.full((3,), 10.0))
    assert found.own["waited"] == 10.0 and found.shards == []
    save(folder, Position(1, 0), 11.0)
    assert newest(folder).at == Position(1, 0)


def test_only_the_newest_are_kept(folder):
    for step in range(1, 6):
        save(folder, Position(0, step), float(step))
    names = folder.names(PLACE)
    assert len(names) == 3 * KEPT
    assert {name.split("-")[1] for name in names} == {"000004", "000005"}


def test_there_is_none_at_first(folder):
    assert newest(folder) is None


@pytest.mark.parametrize(
    ("end", "change"),
    [
        (".all.pt", lambda data: data[:-100]),
        (".all.pt", lambda data: data[:50] + bytes([data[50] ^ 1]) + data[51:]),
        (".rank-0.pt", lambda data: b""),
        (".json", lambda data: data[:20]),
        (".json", lambda data: data.replace(b'"format": 1', b'"format": 99')),
        (".json", lambda data: b"{}"),
    ],
    ids=["cut", "a bit", "empty", "cut mark", "other format", "empty mark"],
)
def test_one_that_is_torn_is_never_loaded(folder, end, change):
    save(folder, Position(0, 1), 1.0)
    save(folder, Position(0, 2), 2.0)
    damage(folder, end, change)
    assert newest(folder).at == Position(0, 1)


def test_one_without_its_mark_does_not_exist_and_is_swept(folder):
    save(folder, Position(0, 1), 1.0)
    save(folder, Position(0, 2), 2.0)
    folder.remove(f"{PLACE}/{max(name for name in folder.names(PLACE) if name.endswith('.json'))}")
    assert newest(folder).at == Position(0, 1)
    Checkpoints(folder, "ffffffff", CPU).sweep()
    assert all(name.startswith("000000-000001-") for name in folder.names(PLACE))
    assert newest(folder).at == Position(0, 1)


def test_a_worker_that_outlives_its_command_mixes_nothing(folder):
    """Both reach the same step; each checkpoint is of one of them."""
    save(folder, Position(0, 1), 1.0, token="aaaaaaaa")
    save(folder, Position(0, 1), 2.0, token="bbbbbbbb")
    for mark in (name for name in folder.names(PLACE) if name.endswith(".json")):
        said = json.loads(folder.read(f"{PLACE}/{mark}"))
        values = [
            loaded(folder, f"{PLACE}/{mark.removesuffix('.json')}.{file}", sha256)
            for file, sha256 in said["files"].items()
        ]
        own, shared = values
        assert own["waited"] == shared["progress"]["sum"]


def test_code_in_a_file_is_never_run(folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    folder.write("trap.pt", pickle.dumps(Trap()))
    with pytest.raises(pickle.UnpicklingError):
        loaded(folder, "trap.pt")
    save(folder, Position(0, 1), 1.0)
    save(folder, Position(0, 2), 2.0)
    torch.save({"model": Trap()}, tmp_path / "bad.pt")
    data = (tmp_path / "bad.pt").read_bytes()
    damage(folder, ".all.pt", lambda _: data)
    assert newest(folder).at == Position(0, 1)
    assert not (tmp_path / "sprung").exists()


def test_every_generator_goes_on_where_it_was(tmp_path, folder):
    state.seed_all(7, 0)
    [torch.rand(3), np.random.standard_normal(3), random.random()]
    kept = state.random_states()
    torch.save(kept, tmp_path / "states.pt")
    drawn = [torch.rand(3), torch.from_numpy(np.random.standard_normal(3)), random.gauss(0, 1)]
    state.seed_all(8, 0)
    state.set_random_states(torch.load(tmp_path / "states.pt", weights_only=True))
    again = [torch.rand(3), torch.from_numpy(np.random.standard_normal(3)), random.gauss(0, 1)]
    assert same_tensors(drawn, again)


def test_ranks_and_seeds_draw_different_numbers():
    drawn = set()
    for seed, rank in ((0, 0), (0, 1), (1, 0), (1, 1)):
        state.seed_all(seed, rank)
        drawn.add((torch.rand(1).item(), np.random.random(), random.random()))
    assert len(drawn) == 4
