"""One command at a time in a run's folder; the place of one that died is taken over.

On a disk the file ``.lock`` is held by flock, which ends with its holder, however that ends.

On s3 ``.lock`` is an object that says who holds the folder. It is written under a condition, so that of two commands
one comes first, and written anew every few seconds. Whoever comes second takes over at once where the holder was a
process of this machine that is gone; otherwise it watches for a minute, by its own clock, and takes over from a holder
that gives no sign. A holder that could not give any, and finds itself taken over, stops. Other storages know no
conditional writes: there, nothing keeps two commands apart.
"""

import fcntl
import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from omokage import system
from omokage.errors import DatasetError, StorageError, WorkError
from omokage.ledger.book import login
from omokage.storage import Folder

log = logging.getLogger(__name__)

LOCK: Final = ".lock"

BEAT_SECONDS: Final = 10.0
"""Between two signs that a holder gives."""

PATIENCE_SECONDS: Final = 60.0
"""Without a sign, after which a holder is dead."""

LOOK_SECONDS: Final = 2.0
"""Between two looks whether there was a sign."""

Still = Callable[[], None]
"""Raises WorkError where another command has taken over."""


@contextmanager
def held(folder: Folder) -> Iterator[Still]:
    """Keep other commands out of a folder while the block runs; where nothing was begun in it, nothing is left behind.

    Raises:
        DatasetError: Another command is at work there, or writing is not permitted.
        StorageError: The storage cannot be reached, or refuses us.
    """
    if folder.local:
        with _flocked(folder):
            yield lambda: None
    elif folder.shared:
        lease = Lease(folder)
        lease.take()
        try:
            yield lease.still
        finally:
            lease.give_back()
    else:
        yield lambda: None


@contextmanager
def _flocked(folder: Folder) -> Iterator[None]:
    place = Path(folder.place(LOCK))
    new, before = not place.parent.exists(), folder.entries()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle = place.open("wb")
    except OSError as error:
        raise DatasetError(f"{folder.url} cannot be written to: {error.strerror}") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DatasetError(f"another training is at work in {folder.url}: wait for it, or stop it") from error
        try:
            yield
        finally:
            if LOCK not in before and folder.entries() == sorted([*before, LOCK]):
                place.unlink()
                if new:
                    place.parent.rmdir()


class Lease:
    """Our hold on a folder behind a URL."""

    def __init__(
        self, folder: Folder, beat: float = BEAT_SECONDS, patience: float = PATIENCE_SECONDS, look: float = LOOK_SECONDS
    ) -> None:
        """Prepare to hold a folder; times in seconds."""
        self.folder = folder
        self.beat, self.patience, self.look = beat, patience, look
        self.said: dict[str, Any] = {
            "token": secrets.token_hex(16),
            "who": login(),
            "host": socket.gethostname(),
            "since": system.now(),
            "beats": 0,
            **process(os.getpid()),
        }
        self.lost = False
        self._ended = threading.Event()
        self._beats = threading.Thread(target=self._keep, daemon=True, name="lock")

    def take(self) -> None:
        """Take hold, from a holder that is dead too.

        Raises:
            DatasetError: Another command is at work.
            StorageError: The storage cannot be reached, or refuses us.
        """
        other = self._tried(None)
        if other is not None and self._silent(other):
            other = self._tried(other)
        if other is not None:
            raise DatasetError(
                f"another training is at work in {self.folder.url}{_whose(other)}: wait for it, or stop it"
            )
        self._beats.start()

    def still(self) -> None:
        """Return if we hold it.

        Raises:
            WorkError: Another command does.
        """
        if self.lost:
            raise WorkError(
                f"another command has taken over {self.folder.url}, since this one could give no sign of life there "
                f"for {self.patience:g} s: it goes on, this one stops"
            )

    def give_back(self) -> None:
        """Let go; what another holds by now is left alone."""
        self._ended.set()
        self._beats.join()
        try:
            if not self.lost and self._ours(self.folder.read(LOCK)):
                self.folder.remove(LOCK)
        except (FileNotFoundError, StorageError) as error:  # it ends by itself, when nobody gives a sign
            log.debug("the lock of %s stays: %s", self.folder.url, error)

    def _tried(self, dead: bytes | None) -> bytes | None:
        """Take hold if nobody has it, or only who is dead; return what the holder says of itself, None if it is us."""
        holder = None

        def change(old: bytes | None) -> bytes | None:
            nonlocal holder
            free = old is None or old == dead or self._ours(old) or _gone(old)
            holder = None if free else old
            return self._bytes() if free else None

        self.folder.update(LOCK, change)
        return holder

    def _silent(self, other: bytes) -> bool:
        """Return whether a holder gives no sign for a while, or leaves."""
        log.warning(
            "%s is held%s; looking for up to %g s whether that goes on", self.folder.url, _whose(other), self.patience
        )
        until = time.monotonic() + self.patience
        while time.monotonic() < until:
            time.sleep(self.look)
            try:
                if self.folder.read(LOCK) != other:
                    return False
            except FileNotFoundError:
                return True
        return True

    def _keep(self) -> None:
        """Give signs until the end; a storage that is away for a while is tried again."""
        while not self.lost and not self._ended.wait(self.beat):
            self.said["beats"] += 1
            try:
                self.folder.update(LOCK, self._renewed)
            except StorageError as error:
                log.debug("no sign was given in %s: %s", self.folder.url, error)

    def _renewed(self, old: bytes | None) -> bytes | None:
        self.lost = old is None or not self._ours(old)
        return None if self.lost else self._bytes()

    def _ours(self, said: bytes) -> bool:
        return bool(_read(said).get("token") == self.said["token"])

    def _bytes(self) -> bytes:
        return json.dumps(self.said, ensure_ascii=False).encode()


def process(number: int) -> dict[str, Any]:
    """Return what tells a process of this machine from all others that are or were; only its number where not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return {"process": number, "machine": f"{boot} {Path('/proc/self/ns/pid').readlink()}", "born": _born(number)}
    except OSError:
        return {"process": number, "machine": None, "born": None}


def _born(number: int) -> str | None:
    """Return when a process began, in the kernel's words; None where there is none, or only its remains."""
    try:
        words = Path(f"/proc/{number}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in "ZX" else words[19]


def _gone(said: bytes) -> bool:
    """Return whether a holder was a process of this machine and is no more."""
    holder = _read(said)
    number = holder.get("process")
    if not isinstance(number, int) or not holder.get("born"):
        return False
    now = process(number)
    return bool(now["machine"] and now["machine"] == holder.get("machine") and now["born"] != holder["born"])


def _whose(said: bytes) -> str:
    holder = _read(said)
    if not holder:
        return ""
    return " by {} on {} (process {}, since {})".format(
        *(holder.get(key) for key in ("who", "host", "process", "since"))
    )


def _read(said: bytes) -> dict[str, Any]:
    """Return what a holder says of itself; nothing where that is damaged."""
    try:
        found = json.loads(said)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
