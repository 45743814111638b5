"""What goes wrong, as callers read it: problem details (RFC 9457). No stack trace ever leaves."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"
_DETAILS: Final = {
    HTTPStatus.NOT_FOUND: "there is nothing at this path; /docs says what there is",
    HTTPStatus.METHOD_NOT_ALLOWED: "this path has other methods: see the header Allow, and /docs",
}


@dataclass(eq=False)  # an exception has to be hashable
class Problem(Exception):
    """A request that is not answered as asked; ``detail`` says what to do."""

    status: HTTPStatus
    detail: str
    more: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """The document."""
        return json.dumps(
            {"type": "about:blank", "title": self.status.phrase, "status": self.status.value, "detail": self.detail} | dict(self.more)
        ).encode()

    def response(self) -> Response:
        """The document as an answer."""
        return Response(self.body(), self.status.value, dict(self.headers), MEDIA_TYPE)


def answer_problems(api: FastAPI) -> None:
    """Answer by problem details whatever is raised, by the framework too: an unknown path, another method, a failure."""
    api.add_exception_handler(Problem, _problem)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(Exception, _failure)


async def _problem(_: Request, error: Exception) -> Response:
    if not isinstance(error, Problem):
        raise error
    return error.response()


async def _http(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    return Problem(status, _DETAILS.get(status, status.description or status.phrase), headers=error.headers or {}).response()


async def _failure(_: Request, __: Exception) -> Response:
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed; its log tells why").response()
