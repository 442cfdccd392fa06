"""Ray Train's workers: started, watched, started again when one dies, and what they hand back.

Ray Train knows nothing of our checkpoints. A worker that it starts begins with the newest one in the run's folder.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import ray
import ray.train
import torch
from ray.train.torch import get_device
from ray.train.v2.api.config import FailureConfig, RunConfig, ScalingConfig

from omokage import errors
from omokage.errors import OmokageError, WorkError
from omokage.flows.board import Board
from omokage.flows.placing import Placing
from omokage.flows.scratch import scratch
from omokage.flows.trainer import Trainer
from omokage.progress import OnProgress, quietly
from omokage.train.lesson import lesson
from omokage.train.loop import train as teach
from omokage.train.outcome import Outcome
from omokage.train.run import Run

POLL_SECONDS: Final = 1.0

STOPS: Final = 3.0
"""Seconds that Ray Train's controller has to end when the command does; it needs them only where workers just start."""

WAITS_FOR_RESOURCES: Final = 10
"""How often Ray Train asks for workers, a minute each, where others use the cluster."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """What came of the workers."""

    outcome: Outcome
    began: float
    """When the first step was taken, by ``time.monotonic`` of the command."""


def fit(
    run: Run,
    where: Placing,
    max_failures: int,
    on_progress: OnProgress = quietly,
    on_epoch: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Fitted:
    """Return what came of a training that has begun, on the connected cluster.

    Args:
        run: Its folder, seen by every machine.
        where: The workers.
        max_failures: So often workers may die.
        on_progress: Told of pictures done in the epoch that is going on.
        on_epoch: Given each epoch's figures.

    Raises:
        OmokageError: The work could not go on.
    """
    board = Board(os.urandom(8).hex())
    given = {
        "run": run.folder.url,
        "token": os.urandom(4).hex(),
        "threads": where.cpus,
        "board": board,
    }
    with scratch() as place:
        trainer = Trainer(
            _work,
            given,
            ScalingConfig(num_workers=where.workers, use_gpu=where.gpu, resources_per_worker=_resources(where)),
            RunConfig(
                name="train",
                storage_path=str(place),
                failure_config=FailureConfig(max_failures=max_failures, controller_failure_limit=WAITS_FOR_RESOURCES),
            ),
        )
        thread = _Fit(trainer)
        thread.start()
        try:
            return _watched(thread, board, on_progress, on_epoch)
        finally:
            trainer.stop()
            thread.join(STOPS)


def _resources(where: Placing) -> dict[str, float]:
    return {"CPU": float(where.cpus)} | ({"GPU": 1.0} if where.gpu else {})


class _Fit(threading.Thread):
    """Runs a trainer beside the thread that shows progress, and that Ctrl-C reaches."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__(daemon=True)
        self.trainer = trainer
        self.returned: Any = None
        self.raised: BaseException | None = None

    def run(self) -> None:
        """Train."""
        try:
            self.returned = self.trainer.fit().return_value  # type: ignore[attr-defined]
        except BaseException as error:  # noqa: BLE001 - given to the thread that waits
            self.raised = error


def _watched(thread: _Fit, board: Board, on_progress: OnProgress, on_epoch: Callable[[dict[str, Any]], None]) -> Fitted:
    """Return what came of a trainer, after showing its progress while it runs."""
    began, told = None, 0
    while True:
        thread.join(POLL_SECONDS)
        ended = not thread.is_alive()
        seen = board.seen(told)
        if seen.progress is not None:
            began = began or time.monotonic()
            on_progress(*seen.progress)
        for line in seen.epochs:
            on_epoch(line)
        told += len(seen.epochs)
        if ended:
            break
    board.wipe()  # and not where we are stopped: Ray may have been too, and is waited for a minute
    if seen.failure is not None:
        kind, text = seen.failure
        raise getattr(errors, kind)(text)
    if thread.raised is not None:
        raise _explained(thread.raised) from thread.raised
    return Fitted(outcome=Outcome(**json.loads(thread.returned)), began=began or time.monotonic())


def _explained(error: BaseException) -> BaseException:
    """Return an error of Ray's as one that a person can act on; a mistake of ours stays what it is."""
    if isinstance(error, ray.train.ControllerError):
        return WorkError(f"the workers could not be started: {error.controller_failure}; the same command goes on")
    if isinstance(error, ray.train.WorkerGroupError):
        died = [each for each in error.worker_failures.values() if isinstance(each, ray.exceptions.RayActorError)]
        if died:
            return WorkError(
                f"workers died more often than --max-failures allows ({str(died[0]).splitlines()[0]}); "
                "the same command goes on from the last checkpoint"
            )
    return error


def _work(given: dict[str, Any]) -> str | None:
    """Train as one worker, and return what came of it as JSON."""
    board: Board = given["board"]
    if board.failed():
        return None  # started again after an error that would only come again
    torch.set_num_threads(given["threads"])
    context = ray.train.get_context()
    try:
        there = lesson(
            Run.at(given["run"]),
            token=given["token"],
            device=get_device(),
            threads=given["threads"],
            first=context.get_world_rank() == 0,
        )
        outcome = teach(there, board.show, board.tell)
    except OmokageError as error:
        board.fail(type(error).__name__, str(error))
        if context.get_world_size() == 1:
            return None
        raise  # or the others would wait for this one
    return json.dumps(asdict(outcome))
