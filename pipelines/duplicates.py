"""Duplicates: of the accepted records with one transaction_id, which one is the transaction, and what are the others.

The keys of all units are cut into ranges of the id space, and each task settles one range against the index of everything
that silver holds already. The first by (file URI, record number) is the transaction; an equal one is a duplicate; one with
other content is a conflict. So the answer does not depend on who was faster.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.jit import kernel
from app.lake import keys
from app.lake.keys import Keys, Segment
from pipelines.bronze import KEY_TYPE, keys_path
from pipelines.work import Bronzed, Run

FIRST, DUPLICATE, CONFLICT = 0, 1, 2


@dataclass(frozen=True)
class Range:
    """A range of the id space: the first bytes ``[first_prefix, end_prefix)`` and, by unit, where its keys lie."""

    number: int
    first_prefix: int
    end_prefix: int
    slices: tuple[tuple[int, int, int], ...]  # unit number, first key, end
    segments: tuple[Segment, ...]
    merge: tuple[Segment, ...]  # those of the segments that are rewritten together with the new keys
    level: int  # of the segment that is written


@dataclass(frozen=True)
class Settled:
    """The records of a range that are not the first of their id, and the segment that knows all its ids."""

    unit: npt.NDArray[np.int64]
    record_number: npt.NDArray[np.int64]
    verdict: npt.NDArray[np.uint8]  # DUPLICATE or CONFLICT
    segment: Segment


def ranges(run: Run, units: Sequence[Bronzed], segments: Sequence[Segment]) -> list[Range]:
    """Cut the id space so that each range has at most settings.key_partition_rows keys to hold, or is one first byte wide."""
    merge, level = keys.to_merge(segments)
    begins = np.array([u.keys for u in units if u.keys], dtype=np.int64).reshape(-1, keys.PREFIXES + 1)
    if not begins.size or not begins[:, -1].sum():
        return []
    load = np.diff(begins, axis=1).sum(axis=0) + sum(segment.rows for segment in merge) // keys.PREFIXES
    cuts = [0]
    held = 0
    for prefix, count in enumerate(load.tolist()):
        if held and held + count > run.settings.key_partition_rows:
            cuts.append(prefix)
            held = 0
        held += count
    cuts.append(keys.PREFIXES)
    return [
        Range(
            number,
            first,
            end,
            tuple((u.unit.number, u.keys[first], u.keys[end]) for u in units if u.keys and u.keys[end] > u.keys[first]),
            tuple(s for s in segments if s.first_prefix < end and first < s.end_prefix),
            merge,
            level,
        )
        for number, (first, end) in enumerate(pairwise(cuts))
    ]


def settle(run: Run, part: Range) -> Settled:
    """Settle one range and write its segment of the index."""
    table, unit = _read_keys(run, part)
    order = np.argsort(table["high"], kind="stable")
    table, unit = table[order], unit[order]
    high, low, content = (np.ascontiguousarray(table[name]) for name in ("high", "low", "content"))
    if keys.halves_disagree(high, low):
        order = np.lexsort((low, high))
        table, unit, high, low, content = table[order], unit[order], high[order], low[order], content[order]
    known = np.zeros(len(table), dtype=np.bool_)
    known_content = np.zeros(len(table), dtype=np.uint64)
    merging = [Keys(*(np.zeros(0, dtype=np.uint64),) * 3)]
    with tempfile.TemporaryDirectory() as cache:
        for segment in part.segments:
            held = keys.open_segment(run.lake.storage, segment, Path(cache))
            keys.find(held.high, held.low, held.content, high, low, known, known_content)
            if segment in part.merge:
                merging.append(keys.slice_of(held, part.first_prefix, part.end_prefix))
        verdict = np.zeros(len(table), dtype=np.uint8)
        _judge(high, low, content, known, known_content, verdict)
        first = verdict == FIRST
        new = Keys(high[first], low[first], content[first])
        segment = _write_segment(run, part, keys.join([*merging, new]).sorted() if len(merging) > 1 else new)
    other = np.flatnonzero(~first)
    return Settled(unit[other], table["record_number"][other], verdict[other], segment)


def _read_keys(run: Run, part: Range) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]:
    size = KEY_TYPE.itemsize
    tables = [
        np.frombuffer(run.lake.storage.read_range(keys_path(run, unit), begin * size, (end - begin) * size), KEY_TYPE)
        for unit, begin, end in part.slices
    ]
    numbers = [np.full(end - begin, unit, dtype=np.int64) for unit, begin, end in part.slices]
    if not tables:
        return np.empty(0, KEY_TYPE), np.empty(0, np.int64)
    return np.concatenate(tables), np.concatenate(numbers)


def _write_segment(run: Run, part: Range, new: Keys) -> Segment:
    name = f"{run.sequence:08d}-{run.run_id}-{part.number:03d}"
    segment = Segment(name, run.sequence, part.level, part.first_prefix, part.end_prefix, len(new))
    keys.write(run.lake.storage, segment, new)
    return segment


@kernel
def _judge(
    high: keys.Words,
    low: keys.Words,
    content: keys.Words,
    known: npt.NDArray[np.bool_],
    known_content: keys.Words,
    verdict: npt.NDArray[np.uint8],
) -> None:
    """Equal ids are neighbours, in the order that decides which is the first."""
    accepted = np.uint64(0)
    for i in range(high.size):
        if known[i]:
            verdict[i] = 1 if content[i] == known_content[i] else 2
        elif i and high[i] == high[i - 1] and low[i] == low[i - 1]:
            verdict[i] = 1 if content[i] == accepted else 2
        else:
            verdict[i] = 0
            accepted = content[i]
