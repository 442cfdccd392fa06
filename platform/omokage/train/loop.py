"""The training of one rank, from the newest checkpoint to the end.

An epoch goes over batches from a seed, the epoch's number, the step and the rank alone, so that one that is taken up in
its middle goes on with the very batches, altered in the very way, that an undisturbed one would have had. After each
epoch the network is judged on people whom it has not seen, and the best one is kept by that, never by the loss.

It writes into the run's folder: checkpoints (``state``), metrics.jsonl, best.pt with best.json, last.pt.
"""

import io
import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import torch

from omokage import config as settings
from omokage.errors import WorkError
from omokage.progress import OnProgress, quietly
from omokage.train import ranks, state, validate
from omokage.train.batches import Batches
from omokage.train.learner import Learner, Taken, finite
from omokage.train.lesson import Lesson
from omokage.train.loader import Alter, Batch, Loader
from omokage.train.outcome import Outcome, Progress
from omokage.train.run import METRICS
from omokage.train.split import labels
from omokage.train.state import Checkpoint, Checkpoints, Position
from omokage.train.validate import Judged

BEST: Final = "best.pt"
BEST_FIGURES: Final = "best.json"
LAST: Final = "last.pt"

FOR_NORMS: Final = 16
"""Batches that batch norms take their means from, where they must be taken anew."""

LOOK: Final = 8
"""Steps between looks at the clock, which ranks must agree on."""

SHOW_SECONDS: Final = 0.5
"""Between two signs of progress."""


def train(
    lesson: Lesson,
    on_progress: OnProgress = quietly,
    on_epoch: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Outcome:
    """Train to the end, and return what came of it; the same on every rank.

    Args:
        lesson: What to train on, and how.
        on_progress: Told of pictures done in the epoch that is going on.
        on_epoch: Given each epoch's figures, on rank 0.

    Raises:
        WorkError: The loss or a gradient is not a number, or the GPU has too little memory.
        ConfigError: The recipe does not go with the data.
    """
    return _Training(lesson, on_progress, on_epoch).run()


class _Training:
    """One start of a training."""

    def __init__(self, lesson: Lesson, on_progress: OnProgress, on_epoch: Callable[[dict[str, Any]], None]) -> None:
        self.lesson, self.on_progress, self.on_epoch = lesson, on_progress, on_epoch
        recipe = self.recipe = lesson.recipe
        self.loop = recipe.loop
        train_N, people = labels(lesson.table, "train")
        self.val_N, _ = labels(lesson.table, "val")
        self.batches = Batches(train_N, recipe.batches, self.loop.seed, ranks.rank(), ranks.count())
        self.steps = -(-self.batches.steps // self.loop.accumulate)
        self.learner = Learner(recipe, len(people), self.steps, lesson.device, lesson.start)
        size = self.learner.embedder.input.size
        self.shares_cores = lesson.device.type == "cpu"
        """Whether steps compute on the cores that make pictures; a GPU alters them itself."""
        self.loader = Loader(lesson.chips, train_N, size, lesson.threads, behind=self.shares_cores)
        self.val_loader = Loader(lesson.chips, self.val_N, size, lesson.threads, behind=self.shares_cores)
        self.val_rows = np.flatnonzero(self.val_N >= 0)
        self.validates = bool(list(validate.shown(self.val_N[self.val_rows])))
        self.checkpoints = Checkpoints(lesson.folder, lesson.token, lesson.device)
        self.progress = Progress()
        self.notes: list[str] = []
        self.pending: tuple[Position, list[Batch], Taken] | None = None
        self.saved_at = self.shown_at = time.monotonic()

    def run(self) -> Outcome:
        """Go on from the newest checkpoint to the end."""
        at = self._taken_up()
        while at.epoch < self.loop.epochs and not self._patience_lost():
            self._epoch(at)
            at = Position(at.epoch + 1, 0)
            self._end_epoch(at)
        with self.learner.resting(self._some_batches()):
            self._write_model(LAST)
        precision = self.learner.precision
        return Outcome(
            history=self.progress.history,
            best=self.progress.best,
            stopped_early=at.epoch < self.loop.epochs,
            broken=self._broken(),
            starts=self.progress.starts,
            precision=precision.kind,
            why_precision=precision.why,
            notes=self.notes,
        )

    def _taken_up(self) -> Position:
        """Return where to go on, with all as it was there."""
        if ranks.rank() == 0:
            self.checkpoints.sweep()
        ranks.barrier()
        found = self.checkpoints.newest()
        at = self._restored(found) if found is not None else Position()
        if found is None or found.own is None:
            state.seed_all(self.loop.seed, ranks.rank())
        self.progress.starts += 1
        return at

    def _restored(self, found: Checkpoint) -> Position:
        self.learner.load(found.shared, found.shards)
        self.progress = Progress(**found.shared["progress"])
        if found.own is not None:
            state.set_random_states(found.own["random"])
            self.progress.waited = found.own["waited"]
        if found.world == ranks.count():
            return found.at
        self.notes.append(
            f"taken up on {ranks.count()} workers after {found.world}: the batches are others from there on"
        )
        there = found.shared["steps_per_epoch"]
        step = min(self.steps, round(found.at.step * self.steps / there))
        self.progress.steps = step
        self.progress.loss_sum *= self.steps / there
        return Position(found.at.epoch, step)

    def _epoch(self, start: Position) -> None:
        """Take the steps of an epoch, from one on."""
        every, seconds = self.loop.every
        rows = self.batches.epoch(start.epoch, start.step * self.loop.accumulate)
        began = time.monotonic() - self.progress.seconds
        waited = self.loader.waited - self.progress.waited

        def account() -> None:
            self.progress.seconds = time.monotonic() - began
            self.progress.waited = self.loader.waited - waited

        made = self.loader(rows, alter=self._altering(start) if self.shares_cores else None)
        for step, batches in enumerate(_grouped(made, self.loop.accumulate), start.step):
            self._step(Position(start.epoch, step), batches)
            self._show(start.epoch, step + 1)
            if step + 1 < self.steps and self._due(step + 1, every, seconds):
                self._settle()
                account()
                self._save(Position(start.epoch, step + 1))
        self._settle()
        account()

    def _step(self, at: Position, batches: list[Batch]) -> None:
        """Take a step; what it found is looked at after the next one has begun, so that a GPU never waits."""
        taken = self.learner.step(batches, None if self.shares_cores else self._generator(at))
        self._settle()
        self.pending = (at, batches, taken)

    def _settle(self) -> None:
        """Look at what the last step found, and add it up.

        Raises:
            WorkError: It is not a number.
        """
        if self.pending is None:
            return
        at, batches, taken = self.pending
        self.pending = None
        if not finite(taken):
            raise WorkError(self._diverged(at, batches, taken))
        self.progress.loss_sum += taken.loss.item()
        self.progress.steps += 1

    def _diverged(self, at: Position, batches: list[Batch], taken: Taken) -> str:
        mine = torch.from_numpy(np.concatenate([batch.rows for batch in batches])).to(self.lesson.device)
        rows = ranks.joined(mine).tolist()  # every rank is here: it has the same loss and the same gradient
        faces = [self.lesson.chips.face_id(row) for row in rows]
        return (
            f"the loss or its gradient is not a number in epoch {at.epoch + 1}, step {at.step + 1} "
            f"(loss {taken.loss.item():g}, gradient {taken.norm.item():g}): lower --lr, or raise --warmup-epochs, or "
            f"take --precision float32. The faces of that step: {' '.join(faces)}"
        )

    def _altering(self, start: Position) -> Alter:
        """Return what alters the pictures of an epoch's batches from a step on, as the step itself would."""
        steps = (self._generator(Position(start.epoch, step)) for step in itertools.count(start.step))
        generators = (generator for generator in steps for _ in range(self.loop.accumulate))
        return lambda shape: self.learner.augment.drawn(shape, next(generators))

    def _generator(self, at: Position) -> torch.Generator:
        """Return the generator that alters the pictures of a step of this rank."""
        seed = np.random.SeedSequence([self.loop.seed, at.epoch, at.step, ranks.rank()]).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(seed[0]) & (2**63 - 1))

    def _due(self, step: int, every: int, seconds: int) -> bool:
        """Return whether a checkpoint is due; ranks agree on it."""
        if every:
            return step % every == 0
        if not seconds or step % LOOK:
            return False
        return ranks.most(float(time.monotonic() - self.saved_at >= seconds), self.lesson.device) > 0

    def _show(self, epoch: int, step: int) -> None:
        now = time.monotonic()
        if ranks.rank() or (now - self.shown_at < SHOW_SECONDS and step < self.steps):
            return
        self.shown_at = now
        size = self.recipe.batches.people * self.recipe.batches.pictures * self.loop.accumulate * ranks.count()
        mean = f", loss {self.progress.loss_sum / self.progress.steps:.4g}" if self.progress.steps else ""
        self.on_progress(step * size, self.steps * size, f"epoch {epoch + 1} of {self.loop.epochs}{mean}")

    def _end_epoch(self, done: Position) -> None:
        """Judge the network, keep it if it is the best, tell, and write a checkpoint."""
        progress, began = self.progress, time.monotonic()
        line = self._line(done)
        with self.learner.resting(self._some_batches()):
            if self.validates:
                judged = validate.validated(self.learner, self.val_loader, self.val_rows, self.lesson.threads)
                found = judged.metrics
                name, good = validate.goodness(found, self.loop.best)
                line |= {f"val_{key}": value for key, value in found.items()}
                if progress.best is None or good > progress.best["good"]:
                    progress.best = {"epoch": done.epoch, "metric": name, "value": found[name], "good": good}
                    self._write_model(BEST, judged)
        self.learner.optimiser.end_epoch(good if self.validates else -line["train_loss"])
        line["val_seconds"] = round(time.monotonic() - began, 3)
        progress.history.append(line)
        progress.loss_sum, progress.steps, progress.seconds, progress.waited = 0.0, 0, 0.0, 0.0
        if ranks.rank() == 0:
            lines = [json.dumps(each) + "\n" for each in progress.history]
            self.lesson.folder.write(METRICS, "".join(lines).encode())
            self.on_epoch(line)  # before the checkpoint: what is told twice does no harm, what is never told is lost
        self._save(done)

    def _some_batches(self) -> Iterator[Batch]:
        """Yield what batch norms take their means from before the network rests, always the same; mostly nothing."""
        if self.learner.rests_elsewhere:
            yield from self.loader(itertools.islice(self.batches.epoch(0), FOR_NORMS))

    def _line(self, done: Position) -> dict[str, Any]:
        """Return what is known of an epoch before it is judged."""
        progress = self.progress
        size = self.recipe.batches.people * self.recipe.batches.pictures * ranks.count()
        images = self.batches.steps * size
        seconds = max(progress.seconds, 1e-9)
        return {
            "epoch": done.epoch,
            "train_loss": progress.loss_sum / max(progress.steps, 1),
            "lr": self.learner.rate,
            "images": images,
            "seconds": round(seconds, 3),
            "images_per_second": round(images / seconds, 2),
            "waiting": round(progress.waited / seconds, 4),
        }

    def _broken(self) -> list[str]:
        """Return the chips that no rank could decode, by face id."""
        mine = {*self.loader.broken, *self.val_loader.broken}
        said = ranks.each_told("\n".join(sorted(mine)), self.lesson.device)
        return sorted({face for text in said for face in text.split("\n") if face} | set(self.progress.broken))

    def _patience_lost(self) -> bool:
        best = self.progress.best
        if not self.loop.patience or best is None:
            return False
        return len(self.progress.history) - int(best["epoch"]) >= self.loop.patience

    def _save(self, at: Position) -> None:
        self.progress.broken = self._broken()
        own: dict[str, Any] = {"random": state.random_states(), "waited": self.progress.waited}
        sharded = bool(self.recipe.loss.sampled)
        if sharded:
            own["shard"] = self.learner.objective.shard_state()
        shared = self.learner.state() | {
            "progress": asdict(self.progress),
            "steps_per_epoch": self.steps,
            "sharded": sharded,
        }
        self.checkpoints.save(at, shared, own)
        self.saved_at = time.monotonic()

    def _write_model(self, name: str, judged: Judged | None = None) -> None:
        """Write the network as it is now, for use; and how it was judged."""
        if ranks.rank():
            return
        sink = io.BytesIO()
        torch.save({"model": self.learner.embedder.state_dict(), "config": settings.to_json(self.recipe.model)}, sink)
        self.lesson.folder.write(name, sink.getvalue())
        if judged is not None:
            self.lesson.folder.write(BEST_FIGURES, json.dumps(judged.sure(self.lesson.threads)).encode())


def _grouped(batches: Iterator[Batch], size: int) -> Iterator[list[Batch]]:
    """Yield batches, ``size`` at a time; fewer at the end."""
    while group := list(itertools.islice(batches, size)):
        yield group
