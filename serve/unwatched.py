"""A middleware of the replica's own HTTP server: `leofric serve` names it to Ray by RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH."""

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from serve.headers import LeaveOutIllegible


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
    """What Ray puts around the replica's handling of requests."""
    return [Middleware(Unwatched), Middleware(LeaveOutIllegible)]
