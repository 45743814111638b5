"""The HTTP interface of a service: routes, bounds, problems. Knows no Ray."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from time import perf_counter
from typing import Any, Final

from fastapi import FastAPI, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from serve import logs, openapi
from serve.access import Client, Scope
from serve.problems import MEDIA_TYPE, Problem, answer_problems
from serve.requests import MOST_BYTES
from serve.service import Service, log

_JSON: Final = "application/json"
_ID_HEADER: Final = "x-request-id"
BODY_SECONDS: Final = 10.0
"""So long a body may take to come; it holds one of the places for requests meanwhile."""
_Handler = Callable[[Request], Awaitable[Response]]


class _Api(FastAPI):
    """FastAPI, but for the routes of payments: described to it, and answered before its layers, whose time is that of all of Serve's."""

    def __init__(self) -> None:
        super().__init__(title="Leofric", version="1", openapi_url=None, redirect_slashes=False)
        answer_problems(self)
        self._direct: dict[str, _Handler] = {}

    def direct_post(self, path: str, described: dict[str, Any]) -> Callable[[_Handler], _Handler]:
        """A route whose handler takes the request as it is, and raises nothing but problems."""

        def added(handler: _Handler) -> _Handler:
            self._direct[path] = self.post(path, **described)(handler)
            return handler

        return added

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        handler = self._direct.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if handler is None:
            await super().__call__(scope, receive, send)
            return
        try:
            response = await handler(Request(scope, receive, send))
        except Problem as problem:  # the service is not there yet
            response = problem.response()
        await response(scope, receive, send)


class _Desk:
    """Takes requests: so many at once, each with a problem's details if it fails; counts and times them."""

    def __init__(self, service: Callable[[], Service], most_ongoing: int) -> None:
        self._service = service
        self._most = most_ongoing
        self.ongoing = 0

    async def answer(self, request: Request, route: str, work: Callable[[str], Awaitable[bytes]]) -> Response:
        try:
            metrics = self._service().metrics
        except Problem as problem:
            return problem.response()
        begun, request_id = perf_counter(), (request.headers.get(_ID_HEADER) or uuid.uuid4().hex)[:64]
        headers: Mapping[str, str] = {}  # Serve gives the request's id back by itself
        exchange, why = logs.begin(logs.Exchange(route, request_id, _peer(request))), None
        self.ongoing += 1
        try:
            self._check_room()
            body, status, kind = await work(request_id), HTTPStatus.OK, _JSON
        except Problem as problem:
            body, status, kind, headers, why = problem.body(), problem.status, MEDIA_TYPE, problem.headers, problem.detail
        except Exception:
            log.exception("the request failed")
            failed = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, f"the service failed; its log tells why under request {request_id}")
            body, status, kind, why = failed.body(), failed.status, MEDIA_TYPE, "the request failed"
        finally:
            self.ongoing -= 1
        metrics.requests.labels(route, str(status.value)).inc()
        seconds = perf_counter() - begun
        metrics.seconds.labels(route).observe(seconds)
        logs.answered(exchange, status, seconds, why)
        return Response(body, status.value, headers, kind)

    def _check_room(self) -> None:
        if self.ongoing > self._most:
            why = f"{self._most} requests are being worked on; ask again in a second"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, why, headers={"Retry-After": "1"})


def api_of(service: Callable[[], Service], most_ongoing: int, body_seconds: float = BODY_SECONDS) -> FastAPI:
    """The HTTP interface of a service; it is asked for at each request, so that importing and describing start nothing."""
    api, desk = _Api(), _Desk(service, most_ongoing)

    @api.direct_post("/v1/transactions/validate", openapi.VALIDATE)
    async def validate(request: Request) -> Response:
        """Is this payment well formed? As the batch would decide; nothing is put down."""

        async def work(_: str) -> bytes:
            await service().client(request.headers.get("authorization"), Scope.VALIDATE)
            return service().validate(await _body(request, body_seconds))

        return await desk.answer(request, "validate", work)

    @api.direct_post("/v1/transactions/score", openapi.SCORE)
    async def score(request: Request) -> Response:
        """How unusual is this payment? As the batch would score it; it belongs to its accounts' histories from then on."""

        async def work(request_id: str) -> bytes:
            client = await service().client(request.headers.get("authorization"), Scope.SCORE)
            return await service().score(await _body(request, body_seconds), client, request_id)

        return await desk.answer(request, "score", work)

    @api.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return Response(b'{"status": "alive"}', media_type=_JSON)

    @api.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        if (broken := service().broken) is not None:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"the service is being replaced: {broken}", headers={"Retry-After": "10"})
        return Response(b'{"status": "ready"}', media_type=_JSON)

    @api.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        request_id = (request.headers.get(_ID_HEADER) or uuid.uuid4().hex)[:64]
        exchange = logs.begin(logs.Exchange("metrics", request_id, _peer(request)))
        try:
            await service().client(request.headers.get("authorization"), Scope.METRICS)
        except Problem as problem:
            logs.answered(exchange, problem.status, 0.0, problem.detail)
            raise
        service().metrics.waiting.set(desk.ongoing)
        return Response(service().metrics.text(), media_type="text/plain; version=0.0.4")

    _add_reviews(api, desk, service, body_seconds)
    openapi.publish(api)
    return api


def _add_reviews(api: FastAPI, desk: _Desk, service: Callable[[], Service], body_seconds: float) -> None:
    """The routes of reviewers. None of them starts a run: what is approved waits for `leofric quarantine replay`."""

    async def client(request: Request, scope: Scope) -> Client:
        return await service().client(request.headers.get("authorization"), scope)

    @api.get("/v1/quarantine", **openapi.QUARANTINED)
    async def quarantined(request: Request) -> Response:
        """Quarantined records, the oldest first; and totals, by reason and by age, of all that fit."""

        async def work(_: str) -> bytes:
            await client(request, Scope.REVIEW)
            return await service().reviews.listed(request.query_params)

        return await desk.answer(request, "quarantine", work)

    @api.get("/v1/quarantine/records/{item}", **openapi.QUARANTINED_RECORD)
    async def quarantined_record(request: Request) -> Response:
        """One record as it came: its reasons, the rules that would mend it, and what was decided about it."""

        async def work(_: str) -> bytes:
            await client(request, Scope.REVIEW)
            return await service().reviews.shown(request.path_params["item"])

        return await desk.answer(request, "quarantine_record", work)

    @api.post("/v1/quarantine/proposals", **openapi.PROPOSE)
    async def propose(request: Request) -> Response:
        """Propose a correction of records, to leave them out for good, or what a rule makes of all open ones."""

        async def work(_: str) -> bytes:
            who = await client(request, Scope.REVIEW)
            return await service().reviews.propose(await _body(request, body_seconds), who)

        return await desk.answer(request, "quarantine_propose", work)

    @api.post("/v1/quarantine/approvals", **openapi.APPROVE)
    async def approve(request: Request) -> Response:
        """Approve what somebody else proposed; the next `leofric quarantine replay` carries it out."""

        async def work(_: str) -> bytes:
            who = await client(request, Scope.APPROVE)
            return await service().reviews.approve(await _body(request, body_seconds), who)

        return await desk.answer(request, "quarantine_approve", work)

    @api.post("/v1/quarantine/rejections", **openapi.REJECT)
    async def reject(request: Request) -> Response:
        """Reject proposals, or take one's own back; approved ones too, until they are replayed."""

        async def work(_: str) -> bytes:
            who = await client(request, Scope.REVIEW)
            return await service().reviews.reject(await _body(request, body_seconds), who)

        return await desk.answer(request, "quarantine_reject", work)


def _peer(request: Request) -> str | None:
    return None if request.client is None else request.client.host


async def _body(request: Request, seconds: float) -> bytes:
    kind = request.headers.get("content-type", _JSON).partition(";")[0].strip().lower()
    if kind not in (_JSON, "application/x-www-form-urlencoded"):  # the latter is what curl -d says of anything
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {_JSON}, not {kind}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body as it is, without a content-encoding")
    parts, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > MOST_BYTES:
                    why = f"a body has at most {MOST_BYTES} bytes; send fewer records at a time"
                    raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why)
                parts.append(part)
    except TimeoutError:
        why = f"the body did not come within {seconds:g} s"
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, why, headers={"Connection": "close"}) from None
    except ClientDisconnect:
        raise Problem(HTTPStatus.BAD_REQUEST, "the connection ended before the body did") from None
    return b"".join(parts)
