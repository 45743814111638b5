"""Duplicates: of the accepted records with one transaction_id, which one is the transaction, and what are the others.

The keys of all units are cut into ranges of the id space, and each task settles one range against the index of everything
that silver holds already. The first by (file URI, record number) is the transaction; an equal one is a duplicate; one with
other content is a conflict. So the answer does not depend on who was faster.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.lake import arrivals, keys
from app.lake.keys import Keys, Segment
from pipelines.bronze import keys_path
from pipelines.work import Bronzed, Run


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

    unit: npt.NDArray[np.int32]
    record_number: npt.NDArray[np.int64]
    verdict: npt.NDArray[np.uint8]  # DUPLICATE or CONFLICT
    segment: Segment


def ranges(run: Run, units: Sequence[Bronzed], segments: Sequence[Segment]) -> list[Range]:
    """Cut the id space so that each range has at most settings.key_partition_rows keys to hold, or is one first byte wide."""
    return ranges_of(run, {u.unit.number: u.keys for u in units if u.keys}, segments)


def ranges_of(run: Run, arrived: Mapping[int, tuple[int, ...]], segments: Sequence[Segment]) -> list[Range]:
    """The same of arrivals that lie at ``bronze.keys_path``: by unit, where each first byte's keys begin, and the end."""
    merge, level = keys.to_merge(segments)
    begins = np.array(list(arrived.values()), dtype=np.int64).reshape(-1, keys.PREFIXES + 1)
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
            tuple((unit, of[first], of[end]) for unit, of in arrived.items() if of[end] > of[first]),
            tuple(s for s in segments if s.first_prefix < end and first < s.end_prefix),
            merge,
            level,
        )
        for number, (first, end) in enumerate(pairwise(cuts))
    ]


def settle(run: Run, part: Range) -> Settled:
    """Settle one range and write its segment of the index."""
    arrived, unit = _arrived(run, part)
    order = arrivals.order(arrived[:, arrivals.HIGH], arrived[:, arrivals.LOW])
    high, low, content = (arrived[order, column] for column in (arrivals.HIGH, arrivals.LOW, arrivals.CONTENT))
    known = np.zeros(len(order), dtype=np.bool_)
    known_content = np.zeros(len(order), dtype=np.uint64)
    merging = []
    with tempfile.TemporaryDirectory() as cache:
        for segment in part.segments:
            held = keys.open_segment(run.lake.storage, segment, Path(cache))
            keys.find(held.high, held.low, held.content, high, low, known, known_content)
            if segment in part.merge:
                merging.append(keys.slice_of(held, part.first_prefix, part.end_prefix))
        verdict = arrivals.judge(high, low, content, known, known_content)
        first = verdict == arrivals.FIRST
        new = Keys(high[first], low[first], content[first])
        segment = _write_segment(run, part, keys.join([*merging, new]).sorted() if merging else new)
    others = order[~first]
    return Settled(unit[others], arrived[others, arrivals.RECORD_NUMBER].astype(np.int64), verdict[~first], segment)


def _arrived(run: Run, part: Range) -> tuple[keys.Words, npt.NDArray[np.int32]]:
    """The arrivals of a range, unit after unit, and the unit of each."""
    counts = [end - begin for _, begin, end in part.slices]
    arrived = np.empty((sum(counts), 4), dtype=np.uint64)
    at = 0
    for (unit, begin, _), count in zip(part.slices, counts, strict=True):
        data = run.lake.storage.view(keys_path(run, unit), begin * arrivals.ARRIVAL_BYTES, count * arrivals.ARRIVAL_BYTES)
        arrived[at : at + count] = np.frombuffer(data, dtype="<u8").reshape(-1, 4)
        at += count
    return arrived, np.repeat(np.array([unit for unit, _, _ in part.slices], dtype=np.int32), counts)


def _write_segment(run: Run, part: Range, new: Keys) -> Segment:
    name = f"{run.sequence:08d}-{run.run_id}-{part.number:03d}"
    segment = Segment(name, run.sequence, part.level, part.first_prefix, part.end_prefix, len(new))
    keys.write(run.lake.storage, segment, new)
    return segment
