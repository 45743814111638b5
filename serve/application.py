"""The service on Ray Serve: `serve run serve.application:build_app lake=…`, and what `leofric serve` starts."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import Any, Final

from fastapi import FastAPI, Request
from ray import serve as ray_serve
from ray.serve import Application
from ray.serve.config import BackpressureConfig
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from serve import openapi
from serve.access import Scope
from serve.problems import MEDIA_TYPE, Problem, answer_problems
from serve.requests import MOST_BYTES, MOST_SECONDS
from serve.service import Service, log
from serve.settings import ServeSettings, settings_of

_JSON: Final = "application/json"
_ID_HEADER: Final = "x-request-id"
_SPARE: Final = 64
"""Serve's own bound lies so much above ours: what it says to a request that is too much is no problem document."""


def api_of(service: Callable[[], Service], most_ongoing: int) -> FastAPI:
    """The HTTP interface of a service; it is asked for at each request, so that importing and describing start nothing."""
    api = FastAPI(title="Leofric", version="1", openapi_url=None, redirect_slashes=False)
    answer_problems(api)
    ongoing = 0

    async def answered(request: Request, route: str, work: Callable[[str], Awaitable[bytes]]) -> Response:
        nonlocal ongoing
        begun, request_id = perf_counter(), request.headers.get(_ID_HEADER) or uuid.uuid4().hex
        metrics = service().metrics
        headers: dict[str, str] = {}  # Serve gives the request's id back by itself
        ongoing += 1
        metrics.waiting.set(ongoing)
        try:
            _check_room(ongoing, most_ongoing)
            body, status, kind = await work(request_id[:64]), HTTPStatus.OK, _JSON
        except Problem as problem:
            body, status, kind = problem.body(), problem.status, MEDIA_TYPE
            headers.update(problem.headers)
        except Exception:
            log.exception("request %s failed", request_id)
            failed = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, f"the service failed; its log tells why under request {request_id[:64]}")
            body, status, kind = failed.body(), failed.status, MEDIA_TYPE
        finally:  # a client that goes away leaves no count behind
            ongoing -= 1
            metrics.waiting.set(ongoing)
        metrics.requests.labels(route, str(status.value)).inc()
        metrics.seconds.labels(route).observe(perf_counter() - begun)
        return Response(body, status.value, headers, kind)

    @api.post("/v1/transactions/validate", **openapi.VALIDATE)
    async def validate(request: Request) -> Response:
        """Is this payment well formed? As the batch would decide; nothing is put down."""

        async def work(_: str) -> bytes:
            service().client(request.headers.get("authorization"), Scope.VALIDATE)
            return service().validate(await _body(request))

        return await answered(request, "validate", work)

    @api.post("/v1/transactions/score", **openapi.SCORE)
    async def score(request: Request) -> Response:
        """How unusual is this payment? As the batch would score it; it belongs to its accounts' histories from then on."""

        async def work(request_id: str) -> bytes:
            client = service().client(request.headers.get("authorization"), Scope.SCORE)
            return await service().score(await _body(request), client, request_id)

        return await answered(request, "score", work)

    @api.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return Response(b'{"status": "alive"}', media_type=_JSON)

    @api.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        service()
        return Response(b'{"status": "ready"}', media_type=_JSON)

    @api.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        try:
            service().client(request.headers.get("authorization"), Scope.METRICS)
        except Problem as problem:
            return Response(problem.body(), problem.status.value, dict(problem.headers), MEDIA_TYPE)
        return Response(service().metrics.text(), media_type="text/plain; version=0.0.4")

    openapi.publish(api)
    return api


def _check_room(ongoing: int, most: int) -> None:
    if ongoing > most:
        why = f"{most} requests are being answered; ask again in a second"
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, why, headers={"Retry-After": "1"})


async def _body(request: Request) -> bytes:
    kind = request.headers.get("content-type", _JSON).partition(";")[0].strip().lower()
    if kind not in (_JSON, "application/x-www-form-urlencoded"):  # the latter is what curl -d says of anything
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {_JSON}, not {kind}")
    coding = request.headers.get("content-encoding", "identity")
    if coding.lower() != "identity":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the body as it is, without a content-encoding")
    try:
        async with asyncio.timeout(MOST_SECONDS):
            return await _read(request)
    except TimeoutError:
        raise Problem(
            HTTPStatus.REQUEST_TIMEOUT, f"the body did not come within {MOST_SECONDS} s", headers={"Connection": "close"}
        ) from None
    except ClientDisconnect:
        raise Problem(HTTPStatus.BAD_REQUEST, "the client went away before its body had come") from None


async def _read(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {MOST_BYTES} bytes; send fewer records at a time")
        parts.append(part)
    return b"".join(parts)


@dataclass
class _Replica:
    """What this process holds, if it is a replica."""

    service: Service | None = None
    following: asyncio.Task[None] | None = None


_replica: Final = _Replica()


def current_service() -> Service:
    """The service of this process; Problem if it is not there yet."""
    if _replica.service is None:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "the service is not ready yet", headers={"Retry-After": "1"})
    return _replica.service


class Payments:
    """The deployment: one process that holds the histories of all accounts."""

    def __init__(self, settings: ServeSettings) -> None:
        _replica.service = Service(settings)

    async def reconfigure(self, _: object) -> None:
        """Begin to follow the lake; Ray calls this once the replica is made."""
        if _replica.following is None:
            _replica.following = asyncio.get_running_loop().create_task(current_service().follow())

    def check_health(self) -> None:
        """Ray replaces a replica that raises here."""
        if _replica.following is not None and _replica.following.done():
            raise RuntimeError("the service no longer follows the lake")
        if _replica.service is not None and _replica.service.broken is not None:
            raise RuntimeError(_replica.service.broken)

    def __del__(self) -> None:
        if _replica.service is not None:
            _replica.service.close()


def build_app(arguments: Mapping[str, Any]) -> Application:
    """The Serve application of these arguments (``ServeSettings``); nothing is opened before a replica starts."""
    settings = settings_of(arguments)
    deployment = ray_serve.deployment(
        name="payments",
        num_replicas=1,
        max_ongoing_requests=settings.most_ongoing + _SPARE,
        max_queued_requests=settings.most_ongoing,
        backpressure_config=BackpressureConfig(retry_after_s=1),
        user_config={},
        health_check_period_s=5,
        graceful_shutdown_timeout_s=20,
        logging_config={"enable_access_log": False},
    )
    application: Application = deployment(ray_serve.ingress(api_of(current_service, settings.most_ongoing))(Payments)).bind(settings)
    return application
