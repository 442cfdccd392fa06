"""What stands before every request: only who has the token, only under our own address, only from our own page.

The page shows faces of people on a machine where any web page in any browser tab may send requests to loopback, and
any name in the DNS may be made to point there. So the token proves that a request is from the page that we gave it
to; the Host header, that the browser thinks of us by an address that nobody else can own; the Origin, that what
changes something was sent by our page.
"""

import ipaddress
import secrets
import socket
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

BODY_BYTES: Final = 1 << 20
"""Of a request; a decision about ten thousand faces has a tenth of it."""


class Guard:
    """Refuses requests that are not from our page."""

    def __init__(self, app: ASGIApp, token: str, port: int, host: str) -> None:
        """Guard ``app``.

        Args:
            app: What answers.
            token: The secret.
            port: That is listened on.
            host: That the person asked for; its name is trusted beside addresses and "localhost".
        """
        self._app = app
        self._token = token
        self._port = port
        self._names = {"localhost", host.lower().strip("[]"), socket.gethostname().lower()}
        self._cookie = f"omokage-{port}"  # cookies do not tell ports apart

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        sent_in_query = False

        async def send_safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if sent_in_query:
                    cookie = f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict"
                    headers.append("set-cookie", cookie)
            await send(message)

        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        sent_in_query = refusal is None and self._in_query(scope)
        if refusal is not None:
            await PlainTextResponse(refusal, 403)(scope, receive, send_safe)
            return
        if int(headers.get("content-length", "0") or 0) > BODY_BYTES:
            await PlainTextResponse("too big", 413)(scope, receive, send_safe)
            return
        await self._app(scope, receive, send_safe)

    def _refusal(self, scope: Scope, headers: Headers) -> str | None:
        """Return why a request is refused, or None."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._ours(hosts[0]):
            return "This page answers only under its own address."
        if not (self._in_query(scope) or self._in_cookie(headers)):
            return "Open the address that omokage review printed: it has the key to this page."
        if headers.get("sec-fetch-site", "same-origin") == "cross-site" and not self._in_query(scope):
            return "Another site asked."
        if scope["method"] not in ("GET", "HEAD") and headers.get("origin") != f"http://{hosts[0]}":
            return "Only this page may change something."
        return None

    def _ours(self, host: str) -> bool:
        """Return whether a Host header is an address of ours: a name that somebody else owns could be rebound."""
        name, _, port = host.rpartition(":")
        if not name:
            name, port = host, "80"
        if port != str(self._port):
            return False
        name = name.lower().strip("[]")
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _in_query(self, scope: Scope) -> bool:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        return secrets.compare_digest(given.encode(), self._token.encode())

    def _in_cookie(self, headers: Headers) -> bool:
        """Return whether our cookie is there; others of this machine's pages may stand beside it, in any form."""
        for part in headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._cookie and secrets.compare_digest(value.encode(), self._token.encode()):
                return True
        return False
