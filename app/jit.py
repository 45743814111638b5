"""The one way in which this project compiles a loop.

A kernel is a plain Python function over NumPy arrays. It is compiled by numba on its first call and kept on disk, so
that the next process starts with machine code; it holds no global interpreter lock while it runs.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile ``function`` on its first call; its arguments are NumPy arrays, tuples of them, and numbers."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def inlined(function: F) -> F:
    """A small helper of kernels, put into its caller's machine code."""
    return cast(F, numba.njit(cache=True, nogil=True, inline="never", error_model="numpy")(function))
