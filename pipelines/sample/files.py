"""Payments as the bytes of landing files, whole columns at a time."""

import gzip
import io
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import zstandard

from app.contracts.landing import VERSIONS
from pipelines.sample.payments import EXPONENTS

NAMES = VERSIONS[1]
"""The sample bank's files are of the contract's first version."""
Raw = Sequence[tuple[int, bytes]]  # before which row, and what
_LONDON_SUMMER = 3_600_000_000
_ESCAPES = (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))


def landing(payments: pa.Table, *, local_time: bool, dashes: bool) -> pa.Table:
    """The twelve texts of payments; ``local_time``: timestamps with London's summer offset; ``dashes``: sort codes as 12-34-56."""
    columns = {name: payments[name] for name in NAMES if name not in {"timestamp", "amount"}}
    columns["timestamp"] = pc.coalesce(payments["timestamp"], _timestamps(payments["booked"], local_time=local_time))
    columns["amount"] = pc.coalesce(payments["amount"], _amounts(payments))
    if dashes:
        columns["sort_code"] = pc.replace_substring_regex(columns["sort_code"], r"^([0-9]{2})([0-9]{2})([0-9]{2})$", r"\1-\2-\3")
    return pa.table([pc.fill_null(columns[name], "") for name in NAMES], names=list(NAMES))


def _timestamps(booked: pa.ChunkedArray, *, local_time: bool) -> pa.ChunkedArray:
    shifted = pc.add(booked, _LONDON_SUMMER) if local_time else booked
    text = pc.strftime(shifted.cast(pa.timestamp("us")).cast(pa.timestamp("s"), safe=False), "%Y-%m-%dT%H:%M:%S")
    return pc.binary_join_element_wise(text, "+01:00" if local_time else "Z", "")


def _amounts(payments: pa.Table) -> pa.ChunkedArray:
    minor = payments["amount_minor"]
    sign = pc.if_else(pc.less(minor, 0), "-", "")
    digits = pc.abs(minor).cast(pa.string())
    result = None
    for exponent in sorted({*EXPONENTS.values()}):
        mine = pc.is_in(payments["currency"], pa.array([code for code, e in EXPONENTS.items() if e == exponent]))
        text = pc.binary_join_element_wise(sign, _with_point(digits, exponent), "")
        result = text if result is None else pc.if_else(mine, text, result)
    return result


def _with_point(digits: pa.ChunkedArray, exponent: int) -> pa.ChunkedArray:
    if exponent == 0:
        return digits
    padded = pc.utf8_lpad(digits, exponent + 1, "0")
    return pc.binary_join_element_wise(pc.utf8_slice_codeunits(padded, 0, -exponent), pc.utf8_slice_codeunits(padded, -exponent), ".")


def csv_bytes(rows: pa.Table, raw: Raw, *, quoted: bool = True) -> bytes:
    """A CSV file with its header; raw records stand before the rows that they name."""
    out = io.BytesIO()
    out.write((",".join(NAMES) + "\n").encode())
    options = pa.csv.WriteOptions(include_header=False, quoting_style="needed" if quoted else "none")
    for part, extra in _cut(rows, raw):
        if part.num_rows:
            pa.csv.write_csv(part, out, options)
        out.write(extra)
    return out.getvalue()


def ndjson_bytes(rows: pa.Table, raw: Raw) -> bytes:
    """An NDJSON file."""
    fields = []
    for index, name in enumerate(NAMES):
        column = rows[name]
        for character, escape in _ESCAPES if name == "description" else ():
            column = pc.replace_substring(column, character, escape)
        fields += [pa.scalar(f'{"{" if index == 0 else ","}"{name}":"'), column, pa.scalar('"')]
    lines = pa.table({"line": pc.binary_join_element_wise(*fields, "}\n", "")})
    return b"".join("".join(part["line"].to_pylist()).encode() + extra for part, extra in _cut(lines, raw))


def parquet_bytes(rows: pa.Table) -> bytes:
    """A Parquet file."""
    out = io.BytesIO()
    pq.write_table(rows, out, compression="zstd")
    return out.getvalue()


def _cut(rows: pa.Table, raw: Raw) -> list[tuple[pa.Table, bytes]]:
    cuts = [0, *(at for at, _ in raw), rows.num_rows]
    extras = [*(record + b"\n" for _, record in raw), b""]
    return [(rows.slice(begin, end - begin), extra) for begin, end, extra in zip(cuts, cuts[1:], extras, strict=False)]


def packed(data: bytes, name: str) -> bytes:
    """The bytes as the file's ending says; the same bytes always."""
    if name.endswith(".gz"):
        return gzip.compress(data, compresslevel=1, mtime=0)
    if name.endswith(".zst"):
        return zstandard.ZstdCompressor(level=1).compress(data)
    return data
