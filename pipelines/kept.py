"""A record's bytes, from the landing file that the lake kept: as they came, without the line end."""

from collections.abc import Iterator
from typing import Final

from app.errors import LakeDamaged
from app.lake import layout
from app.lake.storage import Storage
from app.readers import archive, csv, formats, ndjson, parquet
from app.readers.formats import Compression, Format
from app.readers.parsed import Parsed, Span

_SPAN_BYTES: Final = 1 << 20
_ROWS: Final = 64 * 1024


def record(storage: Storage, sha256: str, uri: str, record_number: int) -> bytes:
    """The bytes of a record of the file with this hash; ``uri`` says by its name what the file is.

    A Parquet row has none of its own: its values stand for it, as JSON. LakeDamaged if the file is gone, or has no such record.
    """
    try:
        for parsed in _around(storage, layout.kept_file(sha256), uri, record_number):
            for numbers, raw in ((parsed.fault_record_number, parsed.fault_raw.take), (parsed.record_number, parsed.raw.take)):
                at = (numbers == record_number).nonzero()[0]
                if len(at):
                    return bytes(raw(at)[0].as_py())
    except FileNotFoundError:
        raise LakeDamaged(f"the kept bytes of {uri} are gone ({layout.kept_file(sha256)}); fetch the file again from its sender") from None
    raise LakeDamaged(f"the kept bytes of {uri} ({layout.kept_file(sha256)}) have no record {record_number}; the lake was changed by hand")


def _around(storage: Storage, path: str, uri: str, record_number: int) -> Iterator[Parsed]:
    """The part of the file that has the record."""
    form, compression = formats.of_name(uri)
    if form is Format.PARQUET:
        with storage.arrow_file(path) as file:
            for group in parquet.plan(file, 1):
                if group.first_record_number <= record_number < group.first_record_number + group.records:
                    yield from parquet.parse(file, group, _ROWS)
        return
    splitter = csv.Splitter(_SPAN_BYTES) if form is Format.CSV else ndjson.Splitter(_SPAN_BYTES)
    for span, data in _spans(_pieces(storage, path, compression), splitter):
        if span.first_record_number <= record_number < span.first_record_number + span.records:
            first = span.first_record_number
            yield csv.parse(data, splitter.names, first) if isinstance(splitter, csv.Splitter) else ndjson.parse(data, first)
            return


def _pieces(storage: Storage, path: str, compression: Compression) -> Iterator[bytes]:
    if compression is Compression.NONE:
        yield from map(bytes, storage.stream(path))
        return
    decompressor = archive.decompressor(compression)
    for piece in storage.stream(path):
        yield from decompressor.feed(bytes(piece))


def _spans(pieces: Iterator[bytes], splitter: csv.Splitter | ndjson.Splitter) -> Iterator[tuple[Span, memoryview]]:
    """Each span and its bytes; no more is held than the span that is not complete yet."""
    held, begins = bytearray(), 0
    for piece in pieces:
        held += piece
        for span in splitter.feed(piece):
            yield span, memoryview(bytes(held[span.offset - begins : span.offset - begins + span.length]))
            del held[: span.offset + span.length - begins]
            begins = span.offset + span.length
    for span in splitter.finish():
        yield span, memoryview(bytes(held[span.offset - begins : span.offset - begins + span.length]))
