"""The requests of the page and their answers; ``guard.py`` stands before them.

Everything that a request names is a number, looked up in a table. No part of a request is ever joined to a path.
"""

import json
from collections.abc import Callable, Coroutine
from importlib import resources
from typing import Any, Final

import anyio
import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from omokage.errors import OmokageError
from omokage.review.guard import BODY_BYTES
from omokage.review.judge import RequestError
from omokage.review.session import Session

ASSETS: Final = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "dom.js": "text/javascript; charset=utf-8",
    "net.js": "text/javascript; charset=utf-8",
    "store.js": "text/javascript; charset=utf-8",
    "frame.js": "text/javascript; charset=utf-8",
    "list.js": "text/javascript; charset=utf-8",
    "items.js": "text/javascript; charset=utf-8",
    "person.js": "text/javascript; charset=utf-8",
    "book.js": "text/javascript; charset=utf-8",
    "ask.js": "text/javascript; charset=utf-8",
    "keys.js": "text/javascript; charset=utf-8",
    "side.js": "text/javascript; charset=utf-8",
    "theme.js": "text/javascript; charset=utf-8",
    "tile.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}

THREADS: Final = 4
"""Answers that are worked on at a time; each thread keeps memory of its own."""

MANY: Final = 512
"""Chips or titles of one request."""

Answer = Callable[[Request], Coroutine[Any, Any, Response]]


def app(session: Session) -> Starlette:
    """Return the web application over a session."""
    limit = anyio.CapacityLimiter(THREADS)
    routes = [Route("/", _asset("index.html")), *(Route(f"/{name}", _asset(name)) for name in ASSETS)]
    reads: dict[str, Callable[[Request], Any]] = {
        "/api/start": lambda asked: session.start(),
        "/api/item/{n}": lambda asked: session.item(_number(asked.path_params["n"])),
        "/api/where/{id}": lambda asked: session.where(asked.path_params["id"]),
        "/api/titles": lambda asked: session.items.titles(_numbers(asked, len(session.queue))),
        "/api/since/{version}/{line}": lambda asked: session.since(*map(_number, asked.path_params.values())),
        "/api/people": lambda asked: session.people(asked.query_params.get("q", "")[:200]),
        "/api/person/{n}": lambda asked: session.person(_number(asked.path_params["n"])),
        "/api/near/{n}": lambda asked: session.near(_number(asked.path_params["n"])),
        "/api/face/{n}": lambda asked: session.face(_number(asked.path_params["n"])),
        "/api/ledger/{line}": lambda asked: session.ledger(_number(asked.path_params["line"])),
        "/api/queue": lambda asked: session.columns(),
        "/api/with": lambda asked: session.with_people(asked.query_params.get("q", "")[:200]).tobytes(),
        "/chips": lambda asked: _chips(session.chips(_numbers(asked, len(session.faces)))),
    }
    routes += [Route(path, _reading(read, limit), methods=["GET"]) for path, read in reads.items()]
    routes += [
        Route("/api/decide", _writing(session.decide, limit), methods=["POST"]),
        Route("/api/undo", _writing(session.undo, limit), methods=["POST"]),
    ]
    return Starlette(routes=routes)


def _asset(name: str) -> Answer:
    content = resources.files("omokage.review").joinpath("page", name).read_bytes()

    async def answer(asked: Request) -> Response:
        return Response(content, media_type=ASSETS[name])

    return answer


def _reading(read: Callable[[Request], Any], limit: anyio.CapacityLimiter) -> Answer:
    async def answer(asked: Request) -> Response:
        try:
            return _said(await anyio.to_thread.run_sync(read, asked, limiter=limit))
        except (KeyError, IndexError, RequestError):
            return _said({"error": "there is no such thing"}, 404)
        except (OmokageError, OSError) as error:
            return _said({"error": str(error)}, 500)

    return answer


def _writing(write: Callable[[dict[str, Any]], tuple[dict[str, Any], int]], limit: anyio.CapacityLimiter) -> Answer:
    async def answer(asked: Request) -> Response:
        body = await _body(asked)
        if body is None:
            return _said({"error": "too big"}, 413)
        try:
            said = json.loads(body)
            if asked.headers.get("content-type") != "application/json" or not isinstance(said, dict):
                raise RequestError("a decision is one JSON object")
            return _said(*await anyio.to_thread.run_sync(write, said, limiter=limit))
        except (ValueError, RecursionError):
            return _said({"error": "a decision is one JSON object"}, 400)
        except RequestError as error:
            return _said({"error": str(error)}, 400)
        except (OmokageError, OSError) as error:
            return _said({"error": str(error)}, 500)

    return answer


async def _body(asked: Request) -> bytes | None:
    """Return what was sent; None where it is too big."""
    body = b""
    async for part in asked.stream():
        body += part
        if len(body) > BODY_BYTES:
            return None
    return body


def _said(what: Any, status: int = 200) -> Response:
    if isinstance(what, bytes):
        return Response(what, status, media_type="application/octet-stream")
    text = json.dumps(what, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode(errors="replace"), status, media_type="application/json")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise RequestError("there is no such number")
    return int(text)


def _numbers(asked: Request, end: int) -> list[int]:
    """Return the numbers that a request lists.

    Raises:
        RequestError: One is none, or they are too many.
    """
    numbers = [_number(each) for each in asked.query_params.get("n", "").split(",")]
    if len(numbers) > MANY or max(numbers) >= end:
        raise RequestError("there is no such number")
    return numbers


def _chips(chips: list[bytes]) -> bytes:
    """Return pictures behind their lengths: one answer for all faces of a finding."""
    return np.array([len(chip) for chip in chips], "<u4").tobytes() + b"".join(chips)
