"""Keeps Ray on this machine's own address, as far as it does not do so by itself: `leofric serve` is one machine's service."""

from typing import Any, Final

ENVIRONMENT: Final = {
    # Ray takes a machine's outward address even where it is given 127.0.0.1, unless it is told that there is no cluster; then all of its
    # servers listen on 127.0.0.1.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Serve's replicas open a port to each other that unpickles what it is sent by whoever has the cluster's token.
    "RAY_AUTH_MODE": "token",
}


def keep_replica() -> None:
    """Let this replica's port for other deployments listen on 127.0.0.1; Serve gives no other way, and there are no others.

    tests/e2e/test_serve_edge.py looks at what listens, and fails when Serve changes.
    """
    from ray.serve._private import replica as serves_replica

    replica: Any = serves_replica
    bind = replica.add_port_to_grpc_server
    if getattr(bind, "kept", False):
        return

    def on_loopback(server: Any, address: str) -> Any:
        return bind(server, address.replace("[::]", "127.0.0.1"))

    on_loopback.kept = True  # type: ignore[attr-defined]
    replica.add_port_to_grpc_server = on_loopback
