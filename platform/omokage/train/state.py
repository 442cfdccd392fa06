"""Checkpoints: all that a training needs to go on as if nothing had happened, written whole or not at all.

    checkpoints/000003-000012-1f3a9c5e.all.pt       what every rank shares
    checkpoints/000003-000012-1f3a9c5e.rank-0.pt    what is a rank's own: random states, its shard of class weights
    checkpoints/000003-000012-1f3a9c5e.json         written last: epochs done, steps of the next, every file's sha256

A checkpoint without its mark does not exist. The last part of the name is drawn anew by every start of the training,
so that a worker which outlives its driver can never mix its files with those of the next run. Files hold tensors and
plain values only, and are loaded as such.
"""

import hashlib
import io
import json
import logging
import posixpath
import random
import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch

from omokage.errors import WorkError
from omokage.storage import PART, Folder
from omokage.train import ranks

log = logging.getLogger(__name__)

PLACE: Final = "checkpoints"
"""Folder of all checkpoints, below the run's."""

FORMAT: Final = 1

KEPT: Final = 2
"""The newest checkpoint, and one to fall back on."""

MARK: Final = re.compile(r"(\d{6})-(\d{6,})-([0-9a-f]{8})\.json")

SHARED: Final = "all.pt"


@dataclass(frozen=True, slots=True)
class Position:
    """How far a training is."""

    epoch: int = 0
    """Epochs that are done."""
    step: int = 0
    """Steps that are done in the next one."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was read."""

    at: Position
    world: int
    """Ranks that wrote it."""
    shared: dict[str, Any]
    own: dict[str, Any] | None
    """What this rank wrote; None where there was no such rank."""
    shards: list[Any]
    """Every rank's shard of the class weights, by rank; empty where they are not sharded."""


class Checkpoints:
    """The checkpoints of a run, as one rank sees them; every rank calls the same methods at the same time."""

    def __init__(self, folder: Folder, token: str, device: torch.device) -> None:
        self.folder = folder
        self.token = token
        self.device = device

    def save(self, at: Position, shared: dict[str, Any], own: dict[str, Any]) -> None:
        """Write a checkpoint, and remove all but the newest ones.

        Args:
            at: How far the training is.
            shared: Tensors and plain values that all ranks have alike; rank 0's are written.
            own: The same of this rank; under ``shard`` its shard of the class weights.

        Raises:
            OSError: The disk is full, or writing is not permitted.
            StorageError: The same behind a URL.
        """
        name = f"{at.epoch:06d}-{at.step:06d}-{self.token}"
        mine = f"rank-{ranks.rank()}.pt"
        sums = ranks.each_told(self._write(f"{name}.{mine}", own), self.device)
        if ranks.rank() == 0:
            files = {f"rank-{rank}.pt": sha256 for rank, sha256 in enumerate(sums)}
            files[SHARED] = self._write(f"{name}.{SHARED}", shared)
            mark = {"format": FORMAT, "epoch": at.epoch, "step": at.step, "world": ranks.count(), "files": files}
            self.folder.write(f"{PLACE}/{name}.json", json.dumps(mark, indent=1).encode())
            for old in self._marks()[KEPT:]:
                self._remove(old)
        ranks.barrier()

    def newest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole on every rank, or None."""
        found = ranks.told("\n".join(self._marks()) if ranks.rank() == 0 else "", self.device)
        for name in found.split("\n") if found else []:
            try:
                checkpoint = self._read(name)
            except (OSError, ValueError, KeyError, RuntimeError, WorkError) as error:
                log.warning("the checkpoint %s cannot be used: %s", self.folder.place(f"{PLACE}/{name}"), error)
                checkpoint = None
            if not ranks.most(float(checkpoint is None), self.device):
                return checkpoint
        return None

    def sweep(self) -> None:
        """Remove what killed writers left: files of checkpoints that have no mark. For rank 0, before training."""
        there = self.folder.names(PLACE)
        marked = {name.removesuffix(".json") for name in there if MARK.fullmatch(name)}
        for name in there:
            if PART.fullmatch(name) or name.partition(".")[0] not in marked:
                self.folder.remove(f"{PLACE}/{name}")

    def _marks(self) -> list[str]:
        """Return the names of all marks, the newest first."""
        found = [match for name in self.folder.names(PLACE) if (match := MARK.fullmatch(name))]
        return [match[0] for match in sorted(found, key=lambda m: (int(m[1]), int(m[2]), m[3]), reverse=True)]

    def _write(self, name: str, state: dict[str, Any]) -> str:
        """Write a file, and return its sha256."""
        sink = io.BytesIO()
        torch.save(state, sink)
        data = sink.getvalue()
        self.folder.write(f"{PLACE}/{name}", data)
        return hashlib.sha256(data).hexdigest()

    def _read(self, mark: str) -> Checkpoint:
        said = json.loads(self.folder.read(f"{PLACE}/{mark}"))
        if said["format"] != FORMAT:
            raise WorkError("it was written by another version of omokage")
        base, world = mark.removesuffix(".json"), int(said["world"])

        def state(file: str) -> dict[str, Any]:
            return loaded(self.folder, f"{PLACE}/{base}.{file}", said["files"][file])

        shared = state(SHARED)
        mine = state(f"rank-{ranks.rank()}.pt") if ranks.rank() < world else None
        sharded = bool(shared.get("sharded"))
        shards = [state(f"rank-{rank}.pt")["shard"] for rank in range(world)] if sharded else []
        return Checkpoint(Position(said["epoch"], said["step"]), world, shared, mine, shards)

    def _remove(self, mark: str) -> None:
        """Remove a checkpoint, its mark first."""
        self.folder.remove(f"{PLACE}/{mark}")
        base = mark.removesuffix(".json")
        for name in self.folder.names(PLACE):
            if name.startswith(f"{base}."):
                self.folder.remove(posixpath.join(PLACE, name))


def loaded(folder: Folder, name: str, sha256: str | None = None) -> dict[str, Any]:
    """Return the tensors and plain values in a file.

    Raises:
        FileNotFoundError: There is none.
        WorkError: It is not the file with that ``sha256``.
        RuntimeError: It holds something else, or is torn.
    """
    data = folder.read(name)
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise WorkError(f"{folder.place(name)} is damaged: its bytes are not those that were written")
    state: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return state


def random_states() -> dict[str, Any]:
    """Return the states of every generator of random numbers, as tensors and plain values."""
    _, keys, at, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": (torch.from_numpy(np.asarray(keys, np.int64)), int(at), int(has_gauss), float(cached)),
        "python": random.getstate(),
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Put every generator of random numbers into the state that ``random_states`` found."""
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
    keys, at, has_gauss, cached = states["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), at, has_gauss, cached))
    random.setstate(states["python"])


def seed_all(seed: int, rank: int) -> None:
    """Seed every generator of random numbers, differently on every rank."""
    mixed = int(np.random.SeedSequence([seed, rank]).generate_state(1)[0])
    torch.manual_seed(mixed)  # CUDA's too
    np.random.seed(mixed)
    random.seed(mixed)
