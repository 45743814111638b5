"""Ports for servers that tests start."""

import socket


def free_port() -> int:
    """A port that nobody uses; Ray keeps those from 10002 to 19999 for its workers."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port >= 20000:
            return port
