"""Native libraries that say more than they should: to their makers, and on the terminal.

Two runtimes report to their makers by default, and are imported here so that they do not. Pictures of people are
private, and a program that handles them opens no connection that its user did not ask for. Whoever needs one of these
imports it through here, before anything else in the process does.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def import_openvino() -> Any:
    """Return the module ``openvino``, with its reporting left out.

    The mere import sends an event to its maker's analytics, and leaves an identifier in the user's home, unless the
    package ``openvino_telemetry`` is missing; then it falls back to a stub of its own. (Seen in 2026.4.)

    Raises:
        ImportError: It is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # None makes the import fail
    import openvino

    return openvino


def import_onnxruntime() -> Any:
    """Return the module ``onnxruntime``, with its reporting switched off.

    Its Linux wheels report sessions and models, and leave an identifier in the user's cache folder, unless a variable
    forbids it when the library starts; the call ``disable_telemetry_events`` comes too late. (Seen in 1.31.)

    Raises:
        ImportError: It is not installed.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime


@contextmanager
def hushed() -> Iterator[None]:
    """Keep what native code says on standard error from the terminal, unless the block fails."""
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(terminal, said.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
