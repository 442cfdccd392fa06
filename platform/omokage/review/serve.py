"""The page's server: one process, on this machine, until Ctrl-C."""

import contextlib
import json
import secrets
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import uvicorn

from omokage.errors import ConfigError, WorkError
from omokage.ledger.book import login
from omokage.review.app import app
from omokage.review.guard import Guard
from omokage.review.queue import KINDS
from omokage.review.session import Session
from omokage.review.state import DECIDED, OPEN
from omokage.store import Dataset


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewConfig:
    """Who reviews, and where the page is."""

    who: str | None = None
    """Name that is written to the ledger with every decision; by default the login name."""
    port: int = 0
    """Of the page, in [0, 65535]; 0 for any that is free."""
    host: str = "127.0.0.1"
    """Address that is listened on. The page shows faces, and whoever has its address can decide: any other than
    this machine's own is for a network that you trust, since nothing is encrypted."""

    def __post_init__(self) -> None:
        """Reject what cannot be listened on, and a reviewer without a name."""
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port must be in [0, 65535], and is {self.port}")
        if self.who is not None and not self.who.strip():
            raise ConfigError("who must be a name, and is empty")
        if not self.host:
            raise ConfigError("host must be an address, and is empty")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewReport:
    """What was decided on the page."""

    dataset: str
    who: str
    findings: int
    """That propose something; photos that are only alike do not count."""
    decided: int
    """Findings that are decided now, by whomever."""
    open: int
    """Findings that are left."""
    wrote: dict[str, int] = field(default_factory=dict)
    """Lines that this review wrote to the ledger, by kind."""
    line: int
    """Last line of the ledger."""

    def json(self) -> str:
        """Return the report as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def text(self) -> str:
        """Return the report for a person."""
        wrote = ", ".join(f"{count:,} {do.replace('_', ' ')}" for do, count in self.wrote.items()) or "nothing"
        return (
            f"{self.who} wrote: {wrote}\n"
            f"{self.decided:,} of {self.findings:,} findings are decided, {self.open:,} are open; "
            f"the ledger has {self.line:,} lines"
        )


@dataclass(frozen=True, slots=True)
class Page:
    """A page that can be served, and its address."""

    server: uvicorn.Server
    listener: socket.socket
    url: str
    """With the key."""

    def serve(self) -> None:
        """Answer until the server is told to end, by Ctrl-C or by ``should_exit``."""
        # It has ended in order, and then passes on what ended it.
        with self.listener, contextlib.suppress(KeyboardInterrupt):
            self.server.run(sockets=[self.listener])


def page(session: Session, how: ReviewConfig) -> Page:
    """Return the page of a session, listening already.

    Raises:
        WorkError: The address cannot be listened on.
    """
    listener = _listening(how)
    port = int(listener.getsockname()[1])
    token = secrets.token_urlsafe(24)
    config = uvicorn.Config(
        Guard(app(session), token, port, how.host),
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    shown = f"[{how.host}]" if ":" in how.host else how.host
    return Page(uvicorn.Server(config), listener, f"http://{shown}:{port}/?token={token}")


def review(dataset: str, how: ReviewConfig, on_ready: Callable[[str], None]) -> ReviewReport:
    """Serve the page until it is stopped, and return what was decided.

    Args:
        dataset: Path or URL of a dataset in which ``find`` ran.
        how: Who reviews, and where.
        on_ready: Called with the page's address, key included, when it can be opened.

    Raises:
        DatasetError: There is no dataset, or nothing was found in it yet.
        WorkError: The address cannot be listened on.
    """
    session = Session(Dataset.open(dataset), how.who or login())
    shown = page(session, how)
    on_ready(shown.url)
    shown.serve()
    proposed = session.queue.kind_Q != KINDS.index("alike")
    states_Q = session.state.states()[proposed]
    return ReviewReport(
        dataset=session.faces.data.folder.url,
        who=session.who,
        findings=len(states_Q),
        decided=int((states_Q == DECIDED).sum()),
        open=int((states_Q == OPEN).sum()),
        wrote=dict(session.written.most_common()),
        line=session.state.line,
    )


def _listening(how: ReviewConfig) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in how.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((how.host, how.port))
        listener.listen(128)
    except OSError as error:
        raise WorkError(f"cannot listen on {how.host}, port {how.port}: {error.strerror or error}") from error
    return listener
