"""Reads a file's bytes as a run does: split into units, each parsed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from app.contracts.landing import VERSIONS
from app.contracts.reasons import code_of
from app.readers import csv, ndjson
from app.readers.parsed import Parsed, Span

Pieces = list[bytes]


@dataclass(frozen=True)
class Read:
    """Every record of a file, comparable: number, values of its contract version's columns, raw bytes; and number, fault, raw bytes."""

    rows: list[tuple[int, tuple[str | None, ...], bytes]]
    faults: list[tuple[int, str, bytes]]

    @property
    def values(self) -> list[tuple[str | None, ...]]:
        return [values for _, values, _ in self.rows]

    @property
    def codes(self) -> list[tuple[int, str]]:
        return [(number, code) for number, code, _ in self.faults]


def read_csv(pieces: Pieces, unit_bytes: int = 1 << 30) -> Read:
    splitter = csv.Splitter(unit_bytes)
    return _read(pieces, splitter, lambda data, first: csv.parse(data, splitter.names, first))


def read_ndjson(pieces: Pieces, unit_bytes: int = 1 << 30) -> Read:
    return _read(pieces, ndjson.Splitter(unit_bytes), ndjson.parse)


def spans(splitter: csv.Splitter | ndjson.Splitter, pieces: Pieces) -> Iterator[Span]:
    for piece in pieces:
        yield from splitter.feed(piece)
    yield from splitter.finish()


def _read(pieces: Pieces, splitter: csv.Splitter | ndjson.Splitter, parse: Callable[[bytes, int], Parsed]) -> Read:
    data = b"".join(pieces)
    found = Read([], [])
    records = 0
    for span in spans(splitter, pieces):
        assert span.first_record_number == records + 1
        records += span.records
        parsed = parse(data[span.offset : span.offset + span.length], span.first_record_number)
        assert parsed.records == span.records
        add(found, parsed)
    return found


def add(found: Read, parsed: Parsed) -> None:
    rows = [tuple(row.values()) for row in parsed.columns.select(VERSIONS[parsed.contract_version]).to_pylist()]
    raw = parsed.raw.take(np.arange(len(rows))).to_pylist()
    found.rows.extend(zip(parsed.record_number.tolist(), rows, raw, strict=True))
    codes = [code_of(int(code)) for code in parsed.fault_code]
    found.faults.extend(zip(parsed.fault_record_number.tolist(), codes, parsed.fault_raw.to_pylist(), strict=True))
