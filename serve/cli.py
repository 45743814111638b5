"""`leofric serve`: the service on this machine."""

import json
import os
import signal
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from app.errors import LeofricError
from serve import logs
from serve.cli_common import LakeOption, StorageOption, reports_errors, storage_options
from serve.settings import RATE_LIMIT_STORAGE, ServeSettings, settings_of

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
    rate_limit_storage: Annotated[
        str | None, typer.Option(help="Where clients are counted: memory://, or redis://… for many replicas.", envvar=RATE_LIMIT_STORAGE)
    ] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="HTTPS with this certificate (PEM, its chain after it).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's private key (PEM).")] = None,
    log_level: Annotated[str, typer.Option(help="debug, info (a line for each request), warning or error.")] = "warning",
    log_file: Annotated[Path | None, typer.Option(help="Log to this file instead of stderr.")] = None,
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
        "trusted_key_file": trusted and Path(trusted).absolute(),
        "tls_certificate": tls_certificate and tls_certificate.absolute(),
        "tls_key": tls_key and tls_key.absolute(),
        "log_level": log_level,
        "log_file": log_file and log_file.absolute(),
    }
    if rate_limit_storage is not None:
        arguments["rate_limit_storage"] = rate_limit_storage
    settings = settings_of(arguments)
    _check(settings)
    with logs.printed() as log_socket:
        _run(settings.model_copy(update={"log_socket": log_socket}), host, port)


def _check(settings: ServeSettings) -> None:
    """Say at once what would else be said by a replica that does not come up."""
    from serve import oidc, tls, warm
    from serve.limits import Limiter

    settings.journal_folder  # noqa: B018 (it says what is wrong)
    if settings.tls_certificate is not None and settings.tls_key is not None:
        tls.check(settings.tls_certificate, settings.tls_key, datetime.now(UTC))
    if settings.rate_limit is not None:
        Limiter(settings.rate_limit, settings.rate_limit_storage.get_secret_value())
    if settings.oidc_jwks_url is not None:
        oidc.fetch_from(settings.oidc_jwks_url)
    if settings.log_file is not None:
        logs.check(settings.log_file)
    warm.models_of(warm.open_for(settings), settings.trusted_key_file)


def _run(settings: ServeSettings, host: str, port: int) -> None:
    _answer_directly(port)
    import ray
    from ray import serve as ray_serve

    from serve.application import build_app

    logs.set_up(settings.log_level)
    ray.init(address="local", include_dashboard=False, log_to_driver=False, configure_logging=False, _node_ip_address="127.0.0.1")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    tls = {} if settings.tls_key is None else {"ssl_certfile": str(settings.tls_certificate), "ssl_keyfile": str(settings.tls_key)}
    ray_serve.start(http_options={"host": host, "port": _free_port()} | tls)
    try:
        ray_serve.run(build_app(dict(settings)), name="leofric")
    except RuntimeError as error:
        raise LeofricError(f"the service did not start; its log says why (Ray says: {error})") from None
    address = f"{'https' if tls else 'http'}://{host}:{port}"
    typer.echo(json.dumps({"ready": address, "docs": f"{address}/docs"}))
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
        ("RAY_SERVE_PORT_QUARANTINE_S", 0),  # a replica that takes the place of one that died needs its port at once
    ):
        os.environ[name] = str(value)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number
