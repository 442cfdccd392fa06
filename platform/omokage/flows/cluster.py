"""A connection to Ray: a cluster of our own on this machine, or one that runs already."""

import logging
import os
import secrets
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import ray
import ray.data
from ray._private.node import Node

from omokage.errors import ConfigError
from omokage.vision.silence import hushed

MEGABYTE = 1 << 20

UNWATCHED: Final = {"enable_metrics_collection": False, "event_stats": False, "task_events_report_interval_ms": 0}
"""Settings of a cluster that nobody watches: no counters are kept for a dashboard, nor what became of each task."""

REPORTER: Final = "REPORTER_UPDATE_INTERVAL_MS"
"""How often Ray's helper for dashboards, without which no node starts, looks at every process of the machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterConfig:
    """Which Ray, and how much of this machine."""

    address: str = "local"
    """"local" starts a cluster for this run only; "auto" or ip:port joins one."""
    cpus: int | None = None
    """CPUs to use; all by default."""
    gpus: int | None = None
    """GPUs to use; all by default."""
    object_store_mb: int | None = None
    """Shared memory between workers; 1024 MB by default, 128 is enough."""

    def __post_init__(self) -> None:
        """Reject what Ray could not start with."""
        if self.cpus is not None and self.cpus < 1:
            raise ConfigError(f"cpus must be at least 1, and is {self.cpus}")
        if self.gpus is not None and self.gpus < 0:
            raise ConfigError(f"gpus must not be negative, and is {self.gpus}")
        if self.object_store_mb is not None and self.object_store_mb < 80:
            raise ConfigError(f"object_store_mb must be at least 80, and is {self.object_store_mb}")


@contextmanager
def connected(config: ClusterConfig, environ: Mapping[str, str] | None = None) -> Iterator[None]:
    """Be connected to Ray, quietly and without usage reports; a local cluster ends with the block.

    Args:
        config: Which Ray.
        environ: Variables that workers start with.
    """
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if environ:
        quiet["runtime_env"] = {"env_vars": dict(environ)}
    with hushed():
        if config.address == "local":
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray writes one into the home folder
            os.environ.setdefault(REPORTER, "60000")
            with _few_helpers():
                ray.init(
                    address="local",
                    num_cpus=config.cpus,
                    num_gpus=config.gpus,
                    object_store_memory=(config.object_store_mb or 1024) * MEGABYTE,
                    include_dashboard=False,
                    _node_ip_address="127.0.0.1",
                    _system_config=UNWATCHED,
                    **quiet,
                )
        else:
            ray.init(address=config.address, **quiet)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)  # Ray has put a handler there that aborts
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what goes wrong is said once, by us
    try:
        yield
    finally:
        ray.shutdown()


def _stop(*_: object) -> None:
    """Stop as Ctrl-C does: what was begun is told its end."""
    raise KeyboardInterrupt


@contextmanager
def _few_helpers() -> Iterator[None]:
    """Keep Ray from starting processes that nobody asks anything of on one machine, while the block runs.

    The web server's process, which without a dashboard has one duty, usage reports; and even when they are off, it asks
    the addresses where clouds tell a machine about itself (seen in 2.60). What sends workers' logs to us, who do not
    want them, looks at every log ten times a second. What asks a cloud for more machines has none to ask. No setting
    leaves any of them out.
    """
    starts = {name: getattr(Node, name) for name in ("start_api_server", "start_log_monitor", "start_monitor")}
    for name in starts:
        setattr(Node, name, lambda *_, **__: None)
    try:
        yield
    finally:
        for name, start in starts.items():
            setattr(Node, name, start)


def capacity(config: ClusterConfig) -> tuple[float, float]:
    """Return the CPUs and GPUs that this run may use of the connected cluster."""
    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    cpus, gpus = there.get("CPU", 0.0), there.get("GPU", 0.0)
    return (
        min(cpus, config.cpus) if config.cpus is not None else cpus,
        min(gpus, config.gpus) if config.gpus is not None else gpus,
    )
