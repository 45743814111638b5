"""Sealed lakes for tests, and the secrets that open them."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.lake.lake import Lake, create_sealed
from app.lake.storage import Storage


def secret_file(path: Path) -> Path:
    """A file with a new secret."""
    path.write_text(secrets.token_hex(32))
    return path


@contextmanager
def opening(**settings: object) -> Iterator[None]:
    """In this block ``LEOFRIC_SUBJECT_<NAME>`` are these settings and no others."""
    before = {name: value for name, value in os.environ.items() if name.startswith("LEOFRIC_SUBJECT_")}
    for name in before:
        del os.environ[name]
    os.environ.update({f"LEOFRIC_SUBJECT_{name.upper()}": str(value) for name, value in settings.items()})
    try:
        yield
    finally:
        for name in settings:
            del os.environ[f"LEOFRIC_SUBJECT_{name.upper()}"]
        os.environ.update(before)


def make(folder: Path) -> Lake:
    """An empty sealed lake ``folder``/lake; its key store is ``folder``/keys, its secret that of the settings."""
    (folder / "lake").mkdir(parents=True)
    return create_sealed(Storage(str(folder / "lake")), secrets.token_bytes(16), str(folder / "keys"), 30)
