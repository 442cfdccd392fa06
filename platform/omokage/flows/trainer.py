"""Ray Train with nothing beside its workers: no process that wakes, and is asked nothing, while they compute.

Each actor wakes a hundred times a second to look for signals. On two cores, both of which a step uses, whatever runs
on one of them is waited for by the other: four actors beside a training of one worker took 6 % of its speed. So Ray
Train's controller runs in a thread of the command, what serves things that nobody asks for is left out, and a worker
that is asked how it does answers when there is something to tell.
"""

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable
from typing import Any, Final

import ray
from ray._private import auto_init_hook
from ray.train import Result
from ray.train.backend import BackendConfig
from ray.train.torch import TorchConfig
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.context import get_train_context
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2._internal.execution.worker_group import (
    RayTrainWorker,
    Worker,
    WorkerGroup,
    WorkerGroupPollStatus,
    WorkerStatus,
)
from ray.train.v2.api.config import RunConfig, ScalingConfig
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

UNASKED: Final = (DatasetsCallback, PlacementGroupCleanerCallback)
"""Of Ray Train: an actor that deals out Ray Data, which we do not train on, and one that asks each second whether the
controller lives, to give back its workers' places, which the end of our command does."""

ANSWERS: Final = 10.0
"""Seconds after which a worker says that it is still training. What Ray Train wants of it otherwise waits so long."""

SETTINGS: Final = {
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # an actor: hears that machines will be taken away, and only tells so
    "RAY_TRAIN_ENABLE_CONTROLLER_STRUCTURED_LOGGING": "0",  # or it would set up the logs of our own process
}


class Trainer(DataParallelTrainer):
    """Trains with so many workers; its ``fit`` returns when they have ended, or raises why they could not."""

    def __init__(
        self, work: Callable[[dict[str, Any]], Any], given: dict[str, Any], scaling: ScalingConfig, run: RunConfig
    ) -> None:
        """Prepare.

        Args:
            work: What each worker does; what the first one returns is the result's.
            given: To each.
            scaling: How many, and what each has.
            run: Where Ray Train keeps its own notes, and how often workers may die.
        """
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        logging.getLogger("ray.train").setLevel(logging.CRITICAL)  # what goes wrong is said once, by us
        alone = scaling.num_workers == 1
        kind = BackendConfig() if alone else TorchConfig(backend="nccl" if scaling.use_gpu else "gloo")
        super().__init__(work, train_loop_config=given, backend_config=kind, scaling_config=scaling, run_config=run)  # type: ignore[arg-type]
        self._stop = _Stop()

    def stop(self) -> None:
        """Have ``fit`` end soon, in whatever thread it is; workers end with the connection."""
        auto_init_hook.enable_auto_connect = False  # or a late question to Ray would start a cluster of its own
        self._stop.now()

    def _create_default_callbacks(self) -> list[Any]:
        made: list[Any] = super()._create_default_callbacks()
        return [each for each in made if not isinstance(each, UNASKED)]

    def _initialize_and_run_controller(self, **given: Any) -> Result:
        """Run the controller here, instead of in an actor."""
        controller = _Controller(**given | {"scaling_policy": _AsAsked(self.scaling_config)})  # type: ignore[arg-type]
        controller.stop = self._stop
        asyncio.run(self._stop.holding(controller.run))
        return controller.get_result()


class _Stop:
    """Ends a controller from another thread."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._cancel: Callable[[], object] = lambda: None

    async def holding(self, run: Callable[[], Any]) -> None:
        """Run until it ends or is to stop."""
        task, loop = asyncio.ensure_future(run()), asyncio.get_running_loop()
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        await task

    def now(self) -> None:
        """Stop: at once where it waits, and otherwise before it does anything more."""
        self.asked.set()
        with contextlib.suppress(RuntimeError):  # it has ended already
            self._cancel()


class TrainWorker(RayTrainWorker):
    """A worker that takes its time to say that it is still training.

    While it does, its main thread sleeps. Between two calls that thread looks for signals, and takes Python's lock from
    the training for it each time.
    """

    def poll_status(self) -> WorkerStatus:
        """Return how the training is: when it has ended, or after ``ANSWERS`` seconds."""
        runner = get_train_context().execution_context.training_thread_runner
        if runner._thread is not None:
            runner._thread.join(ANSWERS)
        return super().poll_status()


class _Workers(WorkerGroup):
    """Workers that report nothing by Ray Train, so that nobody need bring their reports together."""

    _worker_cls = TrainWorker

    def poll_status(self, timeout: float | None = None) -> WorkerGroupPollStatus:
        """Return what is known of the workers by now; who has not answered yet is at work."""
        return super().poll_status(timeout=0)

    def _init_train_context_on_workers(
        self, workers: list[Worker], sync_actor: Any, train_context_args: dict[str, list[Any]]
    ) -> None:
        ray.kill(sync_actor)
        ray.get(
            [
                worker.actor.init_train_context.remote(
                    train_run_context=self._train_run_context,
                    distributed_context=worker.distributed_context,
                    synchronization_actor=None,
                    storage_context=self._storage_context,
                    worker_callbacks=self._worker_callbacks_to_propagate,
                    controller_actor=None,
                    **{name: values[number] for name, values in train_context_args.items()},
                )
                for number, worker in enumerate(workers)
            ]
        )


class _Controller(TrainController):
    """A controller that can live in a thread, and be stopped."""

    worker_group_cls = _Workers
    stop: _Stop

    async def _run_control_loop_iteration(self) -> None:
        if self.stop.asked.is_set():  # Ray may have ended
            raise asyncio.CancelledError
        await super()._run_control_loop_iteration()  # type: ignore[no-untyped-call]


class _AsAsked(FixedScalingPolicy):
    """So many workers, and no word of it to the actor that makes peace between trainings and Ray Data.

    A cluster that grows hears of them by the places that they wait for.
    """

    def after_controller_start(self, train_run_context: Any) -> None:
        """Do nothing."""

    def _maybe_send_resource_request(self) -> None:
        """Send nothing."""
