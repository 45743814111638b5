"""The keys of accepted rows on their way to the index of transaction ids: arranged by unit, then judged over all units."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from app.jit import kernel
from app.lake.keys import PREFIXES, Keys, Words

FIRST, DUPLICATE, CONFLICT = 0, 1, 2
HIGH, LOW, CONTENT, RECORD_NUMBER = range(4)
ARRIVAL_BYTES = 4 * 8
"""An arrival is four little-endian 64-bit words: high and low half of the id's fingerprint, the content's, the record number."""


def arrange(keys: Sequence[Keys], record_numbers: Sequence[npt.NDArray[np.int64]]) -> tuple[Words, npt.NDArray[np.int64]]:
    """A unit's arrivals (n x 4) by the first byte of their id, otherwise in the order in which they came.

    Also where each first byte's arrivals begin, and the end: PREFIXES + 1 positions.
    """
    begins = np.zeros(PREFIXES + 1, dtype=np.int64)
    for part in keys:
        begins[1:] += np.bincount((part.high >> np.uint64(56)).astype(np.int64), minlength=PREFIXES)
    begins = np.cumsum(begins)
    arrivals = np.empty((int(begins[-1]), 4), dtype=np.uint64)
    following = begins[:-1].copy()
    for part, numbers in zip(keys, record_numbers, strict=True):
        _scatter(part.high, part.low, part.content, numbers, following, arrivals)
    return arrivals, begins


@kernel
def _scatter(high: Words, low: Words, content: Words, number: npt.NDArray[np.int64], following: npt.NDArray[np.int64], out: Words) -> None:
    for i in range(high.size):
        prefix = np.int64(high[i] >> np.uint64(56))
        to = following[prefix]
        following[prefix] = to + 1
        out[to, 0] = high[i]
        out[to, 1] = low[i]
        out[to, 2] = content[i]
        out[to, 3] = np.uint64(number[i])


def order(high: Words, low: Words) -> npt.NDArray[np.int64]:
    """Positions sorted by id; equal ids keep their order."""
    sort = np.argsort(high)  # the fast sort, which may turn equal ones round
    ascending = high[sort]
    tied = np.zeros(len(high), dtype=np.bool_)
    if len(high):
        np.equal(ascending[1:], ascending[:-1], out=tied[1:])
        tied[:-1] |= tied[1:]
    if tied.any():
        again = sort[tied]
        sort[tied] = again[np.lexsort((again, low[again], high[again]))]
    return sort


def judge(high: Words, low: Words, content: Words, known: npt.NDArray[np.bool_], known_content: Words) -> npt.NDArray[np.uint8]:
    """FIRST, DUPLICATE or CONFLICT for each arrival; they are in ``order``, and ``known`` are those whose id the index has."""
    verdict = np.empty(len(high), dtype=np.uint8)
    _judge(high, low, content, known, known_content, verdict)
    return verdict


@kernel
def _judge(
    high: Words, low: Words, content: Words, known: npt.NDArray[np.bool_], known_content: Words, verdict: npt.NDArray[np.uint8]
) -> None:
    accepted = np.uint64(0)
    for i in range(high.size):
        if known[i]:
            verdict[i] = DUPLICATE if content[i] == known_content[i] else CONFLICT
        elif i and high[i] == high[i - 1] and low[i] == low[i - 1]:
            verdict[i] = DUPLICATE if content[i] == accepted else CONFLICT
        else:
            verdict[i] = FIRST
            accepted = content[i]
