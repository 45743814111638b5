"""`leofric serve`: the service on this machine."""

import json
import os
import signal
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from serve.cli_common import LakeOption, StorageOption, reports_errors, storage_options
from serve.settings import settings_of

_DRAINING_SECONDS: Final = 2


@reports_errors
def serve(
    lake: LakeOption,
    host: Annotated[str, typer.Option(help="The address to listen on; any but 127.0.0.1 is reached by others.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
    journal: Annotated[Path | None, typer.Option(help="The journal's folder; for a local lake LAKE/journal.")] = None,
    insecure_local: Annotated[bool, typer.Option("--insecure-local", help="No keys: everybody on this machine may ask.")] = False,
    oidc_issuer: Annotated[str | None, typer.Option(help="Take tokens of this issuer, too.")] = None,
    oidc_audience: Annotated[str | None, typer.Option(help="The audience that tokens must name.")] = None,
    oidc_jwks_url: Annotated[str | None, typer.Option(help="Where the issuer's public keys are.")] = None,
    rate_limit: Annotated[str | None, typer.Option(help="Of each client, such as 600/minute.")] = None,
    most_ongoing: Annotated[int, typer.Option(min=1, help="So many requests are taken in at once; more get 503.")] = 256,
    storage_option: StorageOption = None,
) -> None:
    """Start Ray Serve on this machine: validation and scoring over HTTP, warm from the lake."""
    from app.errors import UsageError

    if insecure_local and host != "127.0.0.1":
        raise UsageError("--insecure-local listens on 127.0.0.1 only; make keys with `leofric keys create`, or leave --host out")
    trusted = os.environ.get("LEOFRIC_TRUSTED_KEY_FILE")
    arguments = {
        "lake": str(Path(lake).absolute()) if "://" not in lake else lake,
        "storage_options": storage_options(storage_option),
        "journal": journal and journal.absolute(),
        "insecure_local": insecure_local,
        "oidc_issuer": oidc_issuer,
        "oidc_audience": oidc_audience,
        "oidc_jwks_url": oidc_jwks_url,
        "rate_limit": rate_limit,
        "most_ongoing": most_ongoing,
        "trusted_key_file": trusted and Path(trusted).absolute(),
    }
    _check(arguments)
    _run(arguments, host, port)


def _check(arguments: Mapping[str, object]) -> None:
    """Say at once what would else be said by a replica that does not come up."""
    from serve import warm

    settings = settings_of(arguments)
    settings.journal_folder  # noqa: B018 (it says what is wrong)
    warm.models_of(warm.open_for(settings), settings.trusted_key_file)


def _run(arguments: Mapping[str, object], host: str, port: int) -> None:
    _answer_directly(port)
    import ray
    from ray import serve as ray_serve

    from serve.application import build_app

    ray.init(address="local", include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ray_serve.start(http_options={"host": host, "port": _free_port()})
    ray_serve.run(build_app(arguments), name="leofric")
    typer.echo(json.dumps({"ready": f"http://{host}:{port}", "docs": f"http://{host}:{port}/docs"}))
    ended.wait()
    ray_serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()


def _answer_directly(port: int) -> None:
    """Let the replica itself answer HTTP, on this port; Ray reads the environment when it is imported.

    Serve's proxy passes each request on by an actor call, which takes it 6 ms (docs/performance.md). It is started nevertheless, on a
    port of 127.0.0.1 or of the same host that nobody needs to know.
    """
    for name, value in (
        ("RAY_SERVE_THROUGHPUT_OPTIMIZED", 1),
        ("RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT", port),
        ("RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT", port + 1),
        ("RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S", _DRAINING_SECONDS),
        ("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "serve.headers.middlewares"),
        ("RAY_SERVE_PORT_QUARANTINE_S", 0),  # a replica that takes the place of one that died needs its port at once
    ):
        os.environ[name] = str(value)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number
