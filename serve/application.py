"""The service on Ray Serve: `serve run serve.application:build_app lake=…`, and what `leofric serve` starts."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from ray import serve as ray_serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig, BackpressureConfig

from app.compliance.roles import Action
from app.errors import LeofricError
from app.lake.on_command import let_in
from serve import logs, loopback, warm
from serve.audit import denied
from serve.interface import api_of
from serve.oidc import fetch_from
from serve.problems import Problem
from serve.service import Service, log
from serve.settings import ServeSettings, settings_of

_SWITCH_SECONDS: Final = 0.0005
"""A request gives Python's lock away while it waits for the disk: the thread that looks at the lake keeps it for so long, not for 5 ms."""
_SPARE: Final = 64
"""Serve's own bound lies so much above ours: its answer to what is too much is no problem details, so ours has to come first."""
_ONGOING_AIMED_AT: Final = 16
"""Requests at a time that one replica is to have where their number may grow: it works on what comes together at once, up to about so
many as fast as on one."""


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
        logs.set_up(settings.log_level, settings.log_file, settings.log_socket)
        sys.setswitchinterval(_SWITCH_SECONDS)
        if settings.one_machine:
            loopback.keep_replica()
        try:
            _replica.service = Service(settings)
        except Exception as error:
            # Ray keeps what is raised here to itself; it tries again, and says in the end that it failed.
            log.error("the service cannot start: %s", error, exc_info=not isinstance(error, LeofricError))
            raise

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
    """The Serve application of these arguments (``ServeSettings``); no more of the lake is read than whether who asks may serve it.

    That is asked here, where `leofric serve`, `serve run` and `serve deploy` all come by, and not by each replica: one that takes another's
    place by night may find that a token has expired. AccessDenied, which the audit trail has, if not.
    """
    settings = settings_of(arguments)
    with let_in(warm.storage_of(settings), Action.SERVE, "serve", denied, lambda url: fetch_from(url)()):
        return _application(settings)


def _application(settings: ServeSettings) -> Application:
    scaled = None if settings.max_replicas is None else _scaled(settings.replicas, settings.max_replicas)
    deployment = ray_serve.deployment(
        name="payments",
        num_replicas=None if scaled else settings.replicas,
        autoscaling_config=scaled,
        max_ongoing_requests=settings.most_ongoing + _SPARE,
        max_queued_requests=settings.most_ongoing,
        backpressure_config=BackpressureConfig(retry_after_s=1),
        user_config={},
        health_check_period_s=1,  # replaced after the third that fails: a replica whose shared histories changed answers nothing until then
        graceful_shutdown_timeout_s=20,
        logging_config={"enable_access_log": False, "log_level": "WARNING"},  # else a record is made for each request, and thrown away
    )
    application: Application = deployment(ray_serve.ingress(api_of(current_service, settings.most_ongoing))(Payments)).bind(settings)
    return application


def _scaled(least: int, most: int) -> AutoscalingConfig:
    return AutoscalingConfig(min_replicas=least, max_replicas=most, target_ongoing_requests=_ONGOING_AIMED_AT)
