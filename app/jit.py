"""The one way in which this project compiles a loop.

A kernel is a plain Python function over NumPy arrays. It is compiled by numba on its first call and kept on disk, so
that the next process starts with machine code; it holds no global interpreter lock while it runs.

Machine code has the constants and helpers of other modules baked in, and numba notices only a change of the kernel's own
file. So what is kept lies in a folder named by a hash of the whole package: another version of the code never meets it.
"""

import hashlib
import os
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba import config

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile ``function`` on its first call; its arguments are NumPy arrays, tuples of them, and numbers.

    A kernel makes no array: its caller holds them all. So numba need not count references to them (``_nrt``), which it else does
    at every call of a helper, and which took two thirds of the time of the IBAN check.
    """
    return cast(F, numba.njit(**_options())(function))


def inlined(function: F) -> F:
    """A small helper of kernels; the compiler puts it into its caller's machine code."""
    return cast(F, numba.njit(**_options(), inline="always")(function))


def _options() -> dict[str, Any]:
    return {"cache": _keeps(), "nogil": True, "error_model": "numpy", "_nrt": False}


@cache
def _keeps() -> bool:
    """Point numba to a folder of this very code; False if there is no place for one."""
    digest = _digest(sorted(Path(__file__).parent.rglob("*.py")))
    given = [Path(config.CACHE_DIR)] if config.CACHE_DIR else []  # type: ignore[attr-defined]  # numba makes it at run time
    for place in (*given, Path(__file__).parent / "__pycache__", Path.home() / ".cache" / "leofric"):
        folder = place / f"kernels-{digest}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
            return True
    return False


def _digest(sources: Iterable[Path]) -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:16]
