"""A real OpenBao server (the open form of Vault) in memory on a free port of 127.0.0.1, for as long as a test needs it."""

import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hvac
import requests

from tests.support.ports import free_port

_START_SECONDS = 60


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, str]]:
    """Start a server with a transit engine; gives its address and a token that may do everything."""
    address, token = f"127.0.0.1:{free_port()}", secrets.token_hex(8)
    bao = str(Path(sys.executable).parent / "bao")
    command = [bao, "server", "-dev", "-dev-no-store-token", f"-dev-listen-address={address}", f"-dev-root-token-id={token}"]
    with (folder / "bao.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={"HOME": str(folder)})
    try:
        client = hvac.Client(url=f"http://{address}", token=token)
        _wait_for(client, process, folder / "bao.log")
        client.sys.enable_secrets_engine("transit")
        yield f"http://{address}", token
    finally:
        process.kill()
        process.wait()


def _wait_for(client: hvac.Client, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(_START_SECONDS * 10):
        if process.poll() is not None:
            break
        try:
            if client.sys.is_initialized() and not client.sys.is_sealed():
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")
