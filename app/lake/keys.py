"""The index of every transaction that silver holds: fingerprint of its id, fingerprint of its content.

It answers "have we seen this transaction_id, and with this content?" without reading history. It is a set of sorted
segments. A segment covers a range of the id space; a run adds one segment a range, and merges segments when sixteen runs'
worth of one level have gathered, so their number grows with the logarithm of history. The segments that are valid are
named by the last certificate; others are left-overs of dead runs.

A segment file is three arrays of n uint64, one after the other: high and low half of the id's fingerprint (sorted by high),
and the content's fingerprint. It is mapped into memory, and a search touches only a few pages of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.jit import kernel
from app.lake import layout
from app.lake.storage import Storage

Words = npt.NDArray[np.uint64]
FAN_IN = 16
PREFIXES = 256
_WORD_BYTES = 8


@dataclass(frozen=True)
class Segment:
    """One file of the index: ids whose fingerprint's first byte is in ``[first_prefix, end_prefix)``."""

    name: str
    group: int  # the sequence number of the run that wrote it
    level: int  # 0: one run's keys; each merge adds one
    first_prefix: int
    end_prefix: int
    rows: int

    @property
    def path(self) -> str:
        return f"{layout.KEYS}/{self.name}"


@dataclass(frozen=True)
class Keys:
    """Three columns of n: id fingerprint (high, low) and content fingerprint."""

    high: Words
    low: Words
    content: Words

    def __len__(self) -> int:
        return len(self.high)

    def sorted(self) -> "Keys":
        """Ordered by id fingerprint; equal ids keep their order."""
        order = np.argsort(self.high, kind="stable")
        if halves_disagree(self.high[order], self.low[order]):
            order = np.lexsort((self.low, self.high))
        return Keys(self.high[order], self.low[order], self.content[order])


def join(parts: Sequence[Keys]) -> Keys:
    """All parts, one after the other."""
    if not parts:
        nothing = np.zeros(0, dtype=np.uint64)
        return Keys(nothing, nothing, nothing)
    return Keys(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("high", "low", "content")))


def write(storage: Storage, segment: Segment, keys: Keys) -> None:
    """Store sorted keys as the segment's file."""
    storage.put(segment.path, keys.high.tobytes() + keys.low.tobytes() + keys.content.tobytes())


def open_segment(storage: Storage, segment: Segment, cache: Path) -> Keys:
    """See a segment without reading it; from S3 it is first brought to the folder ``cache``."""
    path = storage.on_disk(segment.path, cache)
    if segment.rows == 0:
        return join([])
    words = np.memmap(path, dtype=np.uint64, mode="r", shape=(3, segment.rows))
    return Keys(words[0], words[1], words[2])


def slice_of(keys: Keys, first_prefix: int, end_prefix: int) -> Keys:
    """The keys whose first byte is in ``[first_prefix, end_prefix)``; the keys are sorted."""
    first, end = (_prefix_position(keys.high, prefix) for prefix in (first_prefix, end_prefix))
    return Keys(keys.high[first:end], keys.low[first:end], keys.content[first:end])


def _prefix_position(high: Words, prefix: int) -> int:
    if prefix >= PREFIXES:
        return len(high)
    return int(np.searchsorted(high, np.uint64(prefix) << np.uint64(56)))


def to_merge(segments: Sequence[Segment]) -> tuple[tuple[Segment, ...], int]:
    """Which segments the next run should merge with its own keys, and the level of what comes out.

    None and level 0 while every level has fewer than FAN_IN groups.
    """
    merging: list[Segment] = []
    level = 0
    while True:
        same = [segment for segment in segments if segment.level == level]
        if len({segment.group for segment in same}) < FAN_IN - 1:
            return tuple(merging), level
        merging.extend(same)
        level += 1


@kernel
def halves_disagree(high: Words, low: Words) -> bool:
    """Whether two different ids share the high half: then sorting by it alone is not enough."""
    for i in range(1, high.size):  # noqa: SIM110  # any() with a generator does not compile
        if high[i] == high[i - 1] and low[i] != low[i - 1]:
            return True
    return False


@kernel
def find(
    high: Words, low: Words, content: Words, seek_high: Words, seek_low: Words, found: npt.NDArray[np.bool_], found_content: Words
) -> None:
    """Look sorted keys up in a sorted segment; write ``found`` and the content that the segment has for them."""
    position = 0
    n = high.size
    for i in range(seek_high.size):
        target = seek_high[i]
        # The next key is not before this one: gallop ahead, then bisect.
        step = 1
        end = position
        while end < n and high[end] < target:
            position = end + 1
            end += step
            step *= 2
        end = min(end, n)
        begin = position
        while begin < end:
            middle = (begin + end) // 2
            if high[middle] < target:
                begin = middle + 1
            else:
                end = middle
        position = begin
        at = begin
        while at < n and high[at] == target:
            if low[at] == seek_low[i]:
                found[i] = True
                found_content[i] = content[at]
                break
            at += 1
