"""Headers that Serve reads before the service does: a value that is not UTF-8 makes it fail with a 500."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

_SERVE_READS: Final = (b"x-request-", b"x-session-id", b"serve")


class LeaveOutIllegible:
    """Leaves out what Serve could not read; a request needs none of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and any(_illegible(*header) for header in scope["headers"]):
            scope["headers"] = [header for header in scope["headers"] if not _illegible(*header)]
        await self._app(scope, receive, send)


def _illegible(name: bytes, value: bytes) -> bool:
    return not value.isascii() and name.startswith(_SERVE_READS)
