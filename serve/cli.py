"""`leofric serve`: the service on this machine."""

import json
import os
import secrets
import signal
import socket
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from app.compliance.roles import Action
from app.errors import LeofricError
from app.lake.on_command import storage_options
from serve import logs, loopback
from serve.cli_common import LakeOption, StorageOption, needs, reports_errors
from serve.settings import HISTORIES, RATE_LIMIT_STORAGE, ServeSettings, settings_of

if TYPE_CHECKING:
    from serve.balancer import Balancer

_DRAINING_SECONDS: Final = 2
_LOOK_SECONDS: Final = 0.5


@reports_errors
@needs(Action.SERVE)
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
    replicas: Annotated[int, typer.Option(min=1, help="Processes that answer; several need shared histories.")] = 1,
    max_replicas: Annotated[int | None, typer.Option(min=1, help="Start more, up to so many, while requests wait.")] = None,
    histories: Annotated[
        str | None, typer.Option(help="Where accounts' histories are: memory://, or redis://host:port/0 to share them.", envvar=HISTORIES)
    ] = None,
    histories_lost: Annotated[str, typer.Option(help="Without shared histories: refuse (503), or degrade (answers say so).")] = "refuse",
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
        "replicas": replicas,
        "max_replicas": max_replicas,
        "histories_lost": histories_lost,
        "most_ongoing": most_ongoing,
        "trusted_key_file": trusted and Path(trusted).absolute(),
        "tls_certificate": tls_certificate and tls_certificate.absolute(),
        "tls_key": tls_key and tls_key.absolute(),
        "log_level": log_level,
        "log_file": log_file and log_file.absolute(),
    }
    if histories is not None:
        arguments["histories"] = histories
    if rate_limit_storage is not None or histories is not None:  # what is shared counts clients for all replicas together
        arguments["rate_limit_storage"] = rate_limit_storage or str(histories).replace("valkey", "redis", 1)
    settings = settings_of(arguments)
    _check(settings)
    with logs.printed() as log_socket:
        settings = settings.model_copy(update={"log_socket": log_socket, "one_machine": True})
        if settings.most_replicas == 1:
            _run(settings, host, port, [port], None)
            return
        from serve.balancer import Balancer

        # Those that take the place of others may come before these have gone, and all are replaced at once if what they share began anew.
        ports = _free_ports(2 * settings.most_replicas)
        tls = None if settings.tls_certificate is None or settings.tls_key is None else (settings.tls_certificate, settings.tls_key)
        with Balancer(host, port, ports, settings.most_ongoing, tls) as balancer:
            _run(settings, host, port, ports, balancer)


def _check(settings: ServeSettings) -> None:
    """Say at once what would else be said by a replica that does not come up."""
    from serve import oidc, tls, warm
    from serve.limits import Limiter
    from serve.redis_line import Line

    settings.journal_folder  # noqa: B018 (it says what is wrong)
    if settings.tls_certificate is not None and settings.tls_key is not None:
        tls.check(settings.tls_certificate, settings.tls_key, datetime.now(UTC))
    if settings.shared:
        Line(settings.histories.get_secret_value(), settings.histories_seconds).close()
    if settings.rate_limit is not None:
        Limiter(settings.rate_limit, settings.rate_limit_storage.get_secret_value())
    if settings.oidc_jwks_url is not None:
        oidc.fetch_from(settings.oidc_jwks_url)
    if settings.log_file is not None:
        logs.check(settings.log_file)
    warm.models_of(warm.open_for(settings), settings.trusted_key_file)


def _run(settings: ServeSettings, host: str, port: int, ports: Sequence[int], balancer: "Balancer | None") -> None:
    """Answer on ``host:port`` until a signal comes: one replica itself, several behind the balancer, on ``ports``."""
    _answer_directly(ports)
    import ray
    from ray import serve as ray_serve

    from serve.application import build_app

    logs.set_up(settings.log_level)
    processors = max(os.cpu_count() or 1, len(ports))  # a replica takes one, in Ray's books
    ray.init(
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        num_cpus=processors,
        _node_ip_address="127.0.0.1",
    )
    try:
        ray_serve.start(http_options=_http_options(settings, host, balancer))
        try:
            ray_serve.run(build_app(dict(settings)), name="leofric")
        except RuntimeError as error:
            raise LeofricError(f"the service did not start; its log says why (Ray says: {error})") from None
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):  # not before: until then they end the command as they end any
            signal.signal(number, lambda *_: ended.set())
        address = f"{'http' if settings.tls_key is None else 'https'}://{host}:{port}"
        typer.echo(json.dumps({"ready": address, "docs": f"{address}/docs"}))
        while not ended.wait(_LOOK_SECONDS):
            if balancer is not None:
                balancer.check()
        if balancer is not None:
            balancer.stop()
        ray_serve.shutdown()  # type: ignore[no-untyped-call]
    finally:
        ray.shutdown()


def _http_options(settings: ServeSettings, host: str, balancer: "Balancer | None") -> dict[str, object]:
    """What replicas listen on; TLS ends at the balancer if there is one."""
    if balancer is not None:
        return {"host": "127.0.0.1", "port": _free_ports(1)[0]}
    tls = {} if settings.tls_key is None else {"ssl_certfile": str(settings.tls_certificate), "ssl_keyfile": str(settings.tls_key)}
    return {"host": host, "port": _free_ports(1)[0]} | tls


def _answer_directly(ports: Sequence[int]) -> None:
    """Let replicas themselves answer HTTP, on these ports; Ray reads the environment when it is imported.

    Serve's proxy passes each request on by an actor call, which takes it 6 ms (docs/performance.md). It is started nevertheless, on a
    port of 127.0.0.1 or of the same host that nobody needs to know.
    """
    for name, value in (
        ("RAY_SERVE_THROUGHPUT_OPTIMIZED", 1),
        ("RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT", ports[0]),
        ("RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT", ports[-1] + 1),
        ("RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S", _DRAINING_SECONDS),
        ("RAY_SERVE_PORT_QUARANTINE_S", 0),  # a replica that takes the place of one that died needs its port at once
        ("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "serve.edge.middlewares"),
        *loopback.ENVIRONMENT.items(),
        ("RAY_worker_niceness", 0),  # Ray's own is 15: a replica would give way to every other process
    ):
        os.environ[name] = str(value)


def _free_ports(count: int) -> range:
    """Ports of 127.0.0.1 in a row that nobody uses; Ray keeps those from 10002 to 19999 for its workers."""
    while True:
        ports = range(first := secrets.choice(range(20_000, 32_000)), first + count)
        with ExitStack() as probes:
            try:
                for port in ports:
                    probes.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
        return ports
