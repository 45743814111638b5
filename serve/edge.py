"""What lies around Serve's own HTTP server: `leofric serve` names it to Ray by RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH."""

from typing import Final

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

_SERVE_READS: Final = (b"x-request-", b"x-session-id", b"serve")


class LeaveOutIllegible:
    """Leaves out headers that Serve reads and could not (a value that is not UTF-8 makes it fail with a 500); a request needs none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and any(_illegible(*header) for header in scope["headers"]):
            scope["headers"] = [header for header in scope["headers"] if not _illegible(*header)]
        await self._app(scope, receive, send)


def _illegible(name: bytes, value: bytes) -> bool:
    return not value.isascii() and name.startswith(_SERVE_READS)


class Unwatched:
    """Says of each request that nobody need watch whether its client is still there.

    Serve does so with two tasks a request, to cancel work for a client that is gone. Ours is worked on together with others' and has
    to be put down, so nothing would be cancelled.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["headers"].append((b"x-request-disconnect-disabled", b"?1"))
        await self._app(scope, receive, send)


def middlewares() -> list[Middleware]:
    """From the outside to the inside."""
    return [Middleware(LeaveOutIllegible), Middleware(Unwatched)]
