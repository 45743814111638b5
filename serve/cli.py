"""`leofric serve`: the service on this machine."""

import json
import os
import secrets
import signal
import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from serve.cli_common import LakeOption, StorageOption, reports_errors, storage_options
from serve.settings import MEMORY, ServeSettings, settings_of

if TYPE_CHECKING:
    from serve.balancer import Balancer

_DRAINING_SECONDS: Final = 2
_LOOK_SECONDS: Final = 0.5


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
    replicas: Annotated[int, typer.Option(min=1, help="Processes that answer; several need shared histories.")] = 1,
    max_replicas: Annotated[int | None, typer.Option(min=1, help="Start more, up to so many, while requests wait.")] = None,
    histories: Annotated[
        str, typer.Option(help="Where accounts' histories are: memory://, or redis://host:port/0 to share them.")
    ] = MEMORY,
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
        "replicas": replicas,
        "max_replicas": max_replicas,
        "histories": histories,
        "rate_limit_storage": histories.replace("valkey://", "redis://", 1),  # what is shared counts for all replicas together
        "trusted_key_file": trusted and Path(trusted).absolute(),
    }
    settings = settings_of(arguments)
    _check(settings)
    if settings.most_replicas == 1:
        _run(arguments, host, port, [port], None)
    else:
        from serve.balancer import Balancer

        # One that takes the place of another may come before that one has gone.
        ports = _free_ports(settings.most_replicas + 1)
        with Balancer(host, port, ports, settings.most_ongoing) as balancer:
            _run(arguments, host, port, ports, balancer)


def _check(settings: ServeSettings) -> None:
    """Say at once what would else be said by a replica that does not come up."""
    from serve import warm

    settings.journal_folder  # noqa: B018 (it says what is wrong)
    warm.models_of(warm.open_for(settings), settings.trusted_key_file)


def _run(arguments: Mapping[str, object], host: str, port: int, ports: Sequence[int], balancer: "Balancer | None") -> None:
    """Answer on ``host:port`` until a signal comes: one replica itself, several behind the balancer, on ``ports``."""
    _answer_directly(ports)
    import ray
    from ray import serve as ray_serve

    from serve.application import build_app

    processors = max(os.cpu_count() or 1, len(ports))  # a replica takes one, in Ray's books
    ray.init(address="local", include_dashboard=False, log_to_driver=False, num_cpus=processors, _node_ip_address="127.0.0.1")
    try:
        ray_serve.start(http_options={"host": host if balancer is None else "127.0.0.1", "port": _free_ports(1)[0]})
        ray_serve.run(build_app(arguments), name="leofric")
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):  # not before: until then they end the command as they end any
            signal.signal(number, lambda *_: ended.set())
        typer.echo(json.dumps({"ready": f"http://{host}:{port}", "docs": f"http://{host}:{port}/docs"}))
        while not ended.wait(_LOOK_SECONDS):
            if balancer is not None:
                balancer.check()
        if balancer is not None:
            balancer.stop()
    finally:
        ray_serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()


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
        ("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "serve.unwatched.middlewares"),
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
