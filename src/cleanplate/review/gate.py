"""Who may come in: a browser on this machine with a secret from the terminal, and no other page's scripts."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, Response

from cleanplate.review.refusal import RefusalError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TERMINAL = "open the address that the terminal shows"
MASK_BYTES = 32 << 20
BODY_BYTES = 1 << 20
_READING = frozenset({"GET", "HEAD"})
_WRITING = frozenset({"POST", "PUT", "DELETE"})

#: Part of every policy: no other base, no form, no frame round it.
NOWHERE_ELSE = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

#: What a browser may do with an answer that says nothing else: nothing.
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; {NOWHERE_ELSE}",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Gate:
    """Tokens that each open once, and the secret that a browser gets for one.

    port: part of the cookie's name, since cookies do not tell ports apart.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookie = f"cleanplate-{port}"
        self._secret = secrets.token_urlsafe(32)
        self._token: str | None = None
        self._lock = threading.Lock()

    @property
    def hosts(self) -> frozenset[str]:
        """What the Host header may be: no name that somebody else's server for names could lead here."""
        return frozenset({f"127.0.0.1:{self.port}", f"localhost:{self.port}"})

    def mint(self) -> str:
        """A new token; an older one is void."""
        with self._lock:
            self._token = secrets.token_urlsafe(24)
            return self._token

    @property
    def has_token(self) -> bool:
        """Whether there is a token that nobody has used."""
        return self._token is not None

    def exchange(self, token: str) -> str | None:
        """The secret for a token, once; None for a wrong or a used one."""
        with self._lock:
            if self._token is None or not _is_same(token, self._token):
                return None
            self._token = None
            return self._secret

    def admits(self, cookie_header: str) -> bool:
        """Whether a Cookie header has the secret."""
        return _is_same(cookie_parser(cookie_header).get(self.cookie, ""), self._secret)

    def check(self, scope: Scope) -> RefusalError | None:
        """Why a request is refused; None: it is not."""
        headers, method = Headers(scope=scope), scope["method"]
        host = headers.get("host", "")
        if host not in self.hosts:
            return RefusalError(
                403, "this server answers to 127.0.0.1 only", "open the address from the terminal"
            )
        if method not in _READING | _WRITING:
            return RefusalError(405, f"{method} is not done here")
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        foreign = origin is not None and origin != f"http://{host}"
        if foreign or site not in ("same-origin", "none") or (origin is None and method in _WRITING):
            return RefusalError(
                403, "the request comes from another page", "open the address from the terminal"
            )
        if not is_open(scope) and not self.admits(headers.get("cookie", "")):
            return RefusalError(401, "this browser is not let in", TERMINAL)
        return _check_length(scope, headers)


class Guarded:
    """An application behind a gate. Every answer carries `HEADERS` where it says nothing else."""

    def __init__(self, app: App, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no other protocol is spoken here; uvicorn answers 403 to a WebSocket that nobody takes

        async def send_guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._gate.check(scope)
        if refusal is None:
            await self._app(scope, receive, send_guarded)
        else:
            await answer_refusal(refusal)(scope, receive, send_guarded)


def answer_refusal(refusal: RefusalError) -> Response:
    """A refusal as an answer."""
    return JSONResponse(refusal.to_json(), status_code=refusal.status)


def is_open(scope: Scope) -> bool:
    """Whether a request needs no cookie: the page's own address, which looks at token and cookie itself."""
    return bool(scope["method"] in _READING and scope["path"] == "/")


def _check_length(scope: Scope, headers: Headers) -> RefusalError | None:
    """Bodies say how long they are, and h11 holds them to it."""
    if "transfer-encoding" in headers:
        return RefusalError(411, "a request must say how long it is")
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdecimal()):
        return RefusalError(400, "the length of the request is no number")
    most = MASK_BYTES if scope["method"] == "PUT" else BODY_BYTES if scope["method"] in _WRITING else 0
    if int(text) > most:
        return RefusalError(413, f"the request has {text} bytes, and {most} are the most")
    return None


def _is_same(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
