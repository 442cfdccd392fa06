"""Where runs are tracked, and the client for it. MLflow is imported when it is used: that takes seconds."""

import logging
import os
import re
import shlex
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import platformdirs

from omokage.errors import ConfigError

OFF: Final = "off"

SERVERS: Final = ("http", "https", "postgresql", "mysql", "mssql")
"""What a tracking URI may begin with, beside sqlite."""

QUIET: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "ORT_DISABLE_TELEMETRY": "1",  # it imports onnxruntime: see vision/silence.py
}
"""Set whatever the user's environment says."""

PATIENT: Final = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""Set unless the user's environment says otherwise: a server that is away must not hold a training up for minutes."""


def data_folder() -> Path:
    """Return the folder of the runs that are tracked on this machine."""
    return Path(platformdirs.user_data_dir("omokage")) / "mlflow"


def resolve(uri: str | None) -> str | None:
    """Return the URI of the tracking store with an absolute path, or None where nothing is tracked.

    Args:
        uri: As the user gave it; without one, ``MLFLOW_TRACKING_URI``; without that, SQLite in the user's data folder.

    Raises:
        ConfigError: MLflow has no such store.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{data_folder() / 'mlflow.db'}"
    if uri == OFF:
        return None
    scheme = urlsplit(uri).scheme if "://" in uri else ""
    if re.fullmatch(r"(sqlite:///)?[^:]*\.(db|sqlite3?)", uri):
        return f"sqlite:///{Path(uri.removeprefix('sqlite:///')).absolute()}"
    if scheme.split("+")[0] in SERVERS:
        return uri
    raise ConfigError(
        f"runs cannot be tracked in {uri!r}: give sqlite:///FILE.db, http://SERVER:PORT, a database that MLflow knows, "
        f'or "{OFF}"'
    )


def local_file(store: str) -> Path | None:
    """Return the file of a SQLite store; None of any other."""
    return Path(store.removeprefix("sqlite:///")) if store.startswith("sqlite:///") else None


def shown(store: str) -> str:
    """Return a store's URI without the password that may be in it."""
    return re.sub(r"://([^:@/]*):[^@/]*@", r"://\1:***@", store)


def client(store: str) -> Any:
    """Return MLflow's client for a store; nothing of MLflow's global state is touched.

    Raises:
        ConfigError: The folder of a SQLite store cannot be made.
    """
    _silent()
    from mlflow import MlflowClient

    file = local_file(store)
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"runs cannot be tracked in {file}: {error}; give another place, or off") from error
    return MlflowClient(tracking_uri=store, registry_uri=store)


def failures(*more: type[Exception]) -> tuple[type[Exception], ...]:
    """Return what MLflow raises where a store is away, full, or refuses, which no training ends for; and ``more``."""
    _silent()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    return (MlflowException, SQLAlchemyError, OSError, *more)  # requests' errors are OSErrors


def how_to_open(store: str) -> str:
    """Return what to do to see the runs in a browser."""
    if store.startswith("http"):
        return f"Open {shown(store)} in a browser"
    command = f"mlflow ui --host 127.0.0.1 --backend-store-uri {shlex.quote(shown(store))}"
    return f"To see them in a browser: MLFLOW_DISABLE_TELEMETRY=true {command}"


def _silent() -> None:
    """Have MLflow report to nobody; it reads this while it is imported."""
    os.environ.update(QUIET)
    for name, value in PATIENT.items():
        os.environ.setdefault(name, value)
    for name in ("alembic", "urllib3"):  # that a server is away is said once, by us
        logging.getLogger(name).setLevel(logging.ERROR)
