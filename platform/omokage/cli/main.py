"""The command line: ``omokage VERB``.

One function a verb, each a config and a flow. A verb's modules are imported when it is called, so that
``omokage --help`` answers at once.
"""

import contextlib
import errno
import json as jsonlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from omokage import __version__
from omokage.cli import (
    applying,
    auditing,
    augmenting,
    comparing,
    datasets,
    deciding,
    evaluating,
    finding,
    leaving,
    pictures,
    reviewing,
    tracking,
    training,
    tuning,
    verifying,
)
from omokage.errors import OmokageError

DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO})
"""How the system says that a disk is full, broken, or not to be written to."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells give it."""

VERBS: dict[str, Callable[[list[str]], str]] = {
    "ingest": pictures.ingest,
    "find": finding.find,
    "index": finding.index,
    "search": finding.search,
    "review": reviewing.review,
    "decide": deciding.decide,
    "ledger": deciding.ledger,
    "undo": deciding.undo,
    "version": deciding.version,
    "diff": deciding.diff,
    "apply": applying.apply,
    "runs": tracking.runs,
    "info": datasets.info,
    "check": datasets.check,
    "sheet": pictures.sheet,
    "report": leaving.report,
    "plan": leaving.plan,
    "import": leaving.import_,
    "export": leaving.export,
    "compare": comparing.compare,
    "audit": auditing.audit,
    "train": training.train,
    "tune": tuning.tune,
    "evaluate": evaluating.evaluate,
    "calibrate": verifying.calibrate,
    "verify": verifying.verify,
    "identify": verifying.identify,
    "crop": pictures.crop,
    "augment": augmenting.augment,
    "draw": pictures.draw,
    "weights": datasets.weights,
}


def main() -> NoReturn:
    """Run the verb in the command line, and exit: 0 done, 1 failed, 2 wrong usage, 130 stopped."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    signal.signal(signal.SIGTERM, _interrupt)
    argv = sys.argv[1:]
    if not argv or argv[0] in ("-h", "--help"):
        print(_help())
        sys.exit(0 if argv else 2)
    if argv[0] == "--version":
        print(f"omokage {__version__}")
        sys.exit(0)
    if argv[0] not in VERBS:
        print(f"omokage: there is no verb {argv[0]!r}\n\n{_help()}", file=sys.stderr)
        sys.exit(2)
    _leave(_run(argv))


def _run(argv: list[str]) -> int:
    """Run a verb, print what it returns, and return the exit status."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Ray prints there; standard output is for the report alone
            answer = VERBS[argv[0]](argv[1:])
        _tell(answer)
    except OmokageError as error:
        return _failed(argv, str(error))
    except OSError as error:
        if error.errno not in DISK:  # a mistake of ours, of which all is to be seen
            raise
        return _failed(argv, f"the work could not go on: {error}; the same command goes on once that is mended")
    except KeyboardInterrupt:
        print(f"omokage {argv[0]}: stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    return 0


def _tell(answer: str) -> None:
    """Print what a verb returned; who reads it may leave before the end, as ``head`` does."""
    try:
        print(answer, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(argv: list[str], why: str) -> int:
    if "--json" in argv:
        print(jsonlib.dumps({"error": why}, ensure_ascii=False))
    print(f"omokage {argv[0]}: {why}", file=sys.stderr)
    return 1


def _leave(status: int) -> NoReturn:
    """Exit at once: threads of Ray that are still there can abort an interpreter that takes its time to go."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _help() -> str:
    lines = [f"  {name:<10}{(verb.__doc__ or '').splitlines()[0]}" for name, verb in VERBS.items()]
    return "\n".join(
        [
            "omokage: face data sets and face models, from folders of pictures",
            "",
            "usage: omokage VERB …        omokage VERB --help says more",
            "",
            *lines,
        ]
    )
