"""Landing: read a file once from end to end, decide whether it is what it says, keep its bytes, find its parts."""

import hashlib
import json
from collections.abc import Iterator

from app.compliance.control_totals import Totals
from app.errors import FileRejected, KeyStoreError
from app.lake import layout
from app.readers import archive, csv, formats, ndjson, parquet
from app.readers.formats import Compression, Format
from pipelines.work import Ingested, Part, Rejection, Run, SourceFile

_HEAD_BYTES = 4096


def ingest(run: Run, file: SourceFile, known: frozenset[str]) -> Ingested:
    """Hash, check and keep one landing file; ``known`` are the hashes of the files that the lake has already loaded."""
    sha256 = None
    try:
        sha256 = _hash(file)
        if sha256 in known:
            return Ingested(file, sha256, already_loaded=True)
        return _accept(run, file, sha256)
    except FileRejected as error:
        return Ingested(file, sha256, rejection=Rejection(error.code, error.message))
    except (OSError, UnicodeDecodeError) as error:
        message = f"{file.uri} cannot be read: {error}; check that it is there and that this program may read it"
        return Ingested(file, sha256, rejection=Rejection("unreadable", message))


def _hash(file: SourceFile) -> str:
    digest = hashlib.sha256()
    for piece in file.storage.stream(file.path):
        digest.update(piece)
    return digest.hexdigest()


def _accept(run: Run, file: SourceFile, sha256: str) -> Ingested:
    form, compression = formats.of_name(file.path)
    head = bytes(file.storage.read_range(file.path, 0, min(_HEAD_BYTES, file.size)))
    formats.check_magic(head, form, compression)
    declared = _declared(file)
    # A sealed lake keeps no file as it came: bronze has every text of it, and all that names somebody is sealed there.
    kept = layout.kept_file(sha256) if run.lake.sealed is None else f"{layout.staging(run.run_id)}/source-{file.number}"
    splitter = _splitter(run, form)
    if compression is Compression.NONE:
        parts = _write(run, kept, _same_bytes(file, sha256), splitter)
        content_path = kept
    else:
        _write(run, kept, _same_bytes(file, sha256), None)
        content_path = f"{layout.staging(run.run_id)}/content-{file.number}"
        parts = _write(run, content_path, _unpacked(run, file, kept, compression), splitter)
    names = splitter.names if isinstance(splitter, csv.Splitter) else ()
    if form is Format.PARQUET:
        with run.lake.storage.arrow_file(content_path) as content:
            names, parts = parquet.columns(content), tuple(parquet.plan(content, run.settings.unit_rows))
    return Ingested(file, sha256, format=form, content_path=content_path, names=names, parts=parts, declared=declared)


_Splitter = csv.Splitter | ndjson.Splitter | None


def _splitter(run: Run, form: Format) -> _Splitter:
    """What finds the parts of a text file; a Parquet file says itself where they are."""
    part_bytes = min(run.settings.block_bytes, run.settings.unit_bytes)
    if form is Format.CSV:
        return csv.Splitter(part_bytes)
    return ndjson.Splitter(part_bytes) if form is Format.NDJSON else None


def _write(run: Run, path: str, pieces: Iterator[bytes | memoryview], splitter: _Splitter) -> tuple[Part, ...]:
    """Write an object and find its parts on the way; there is no object if its content is rejected."""
    spans: list[Part] = []

    def split() -> Iterator[bytes | memoryview]:
        for piece in pieces:
            if splitter is not None:
                spans.extend(splitter.feed(bytes(piece)))
            yield piece
        if splitter is not None:
            spans.extend(splitter.finish())

    run.lake.storage.put_stream(path, split())
    return tuple(spans)


def _same_bytes(file: SourceFile, sha256: str) -> Iterator[memoryview]:
    """The file's bytes once more; everything later is read from the copy, so what was hashed is what is loaded."""
    digest = hashlib.sha256()
    for piece in file.storage.stream(file.path):
        digest.update(piece)
        yield piece
    if digest.hexdigest() != sha256:
        message = f"{file.uri} changed while it was read; deliver it whole, and under its name only when it is complete"
        raise FileRejected("changed_while_read", message)


def _unpacked(run: Run, file: SourceFile, kept: str, compression: Compression) -> Iterator[bytes]:
    if compression is not Compression.SEALED:
        yield from _decompressed(run, kept, compression)
        return
    if file.segment is None:
        message = f"{file.uri} is a sealed segment of a service's journal, and its key is not in this lake's key store; only the lake whose"
        raise FileRejected("segment_sealed", message + " service sealed it can load it, and only once")
    try:
        yield from file.segment.opened(run.lake.storage.stream(kept), file.uri)
    except KeyStoreError as error:
        raise FileRejected("segment_sealed", str(error)) from None


def _decompressed(run: Run, kept: str, compression: Compression) -> Iterator[bytes]:
    decompressor = archive.decompressor(compression)
    for piece in run.lake.storage.stream(kept):
        yield from decompressor.feed(bytes(piece))
    decompressor.finish()


def _declared(file: SourceFile) -> Totals | None:
    """What the file beside it says that it holds: ``{"records": 2, "amount_minor": {"GBP": -150}}``."""
    if file.control_path is None:
        return None
    try:
        document = json.loads(bytes(file.storage.read(file.control_path)))
        amounts = {str(code): int(amount) for code, amount in document.get("amount_minor", {}).items()}
        return Totals(int(document["records"]), amounts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f'{file.control_path} is not a control file ({error}); it reads {{"records": 2, "amount_minor": {{"GBP": -150}}}}'
        raise FileRejected("control_file", message) from None
