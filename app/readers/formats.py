"""What a landing file says it is, by its name, and whether its first bytes agree."""

from enum import StrEnum

from app.errors import FileRejected


class Format(StrEnum):
    """How records are written."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


class Compression(StrEnum):
    """How a file's bytes are packed."""

    NONE = "none"
    GZIP = "gz"
    ZSTD = "zst"
    SEALED = "sealed"  # by the service on a sealed lake, for its journal


_FORMATS = {".csv": Format.CSV, ".ndjson": Format.NDJSON, ".jsonl": Format.NDJSON, ".parquet": Format.PARQUET}
_COMPRESSIONS = {".gz": Compression.GZIP, ".zst": Compression.ZSTD, ".sealed": Compression.SEALED}
_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PAR1", "Parquet"),
    (b"PK\x03\x04", "zip (or an Excel workbook)"),
    (b"%PDF", "PDF"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
)
_UNICODE = ((b"\xff\xfe\x00\x00", "UTF-32"), (b"\x00\x00\xfe\xff", "UTF-32"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


def of_name(name: str) -> tuple[Format, Compression]:
    """Format and compression by the ending of a file's name, in any case; FileRejected if it says neither."""
    lower = name.lower()
    compression = next((kind for ending, kind in _COMPRESSIONS.items() if lower.endswith(ending)), Compression.NONE)
    bare = lower.removesuffix("." + compression.value)
    for ending, form in _FORMATS.items():
        if bare.endswith(ending):
            return form, compression
    raise FileRejected(
        "format_unknown",
        f"the name {name.rpartition('/')[2]} does not say what the file is; name it .csv, .ndjson, .jsonl or .parquet,"
        " with .gz or .zst if it is packed",
    )


def check_magic(head: bytes, form: Format, compression: Compression) -> None:
    """Raise FileRejected if a file's first bytes show that it is not what its name says, or is empty."""
    if not head:
        raise FileRejected("file_empty", "the file has no bytes; a CSV file without records has at least its header")
    seen = next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
    packed = {Compression.GZIP: "gzip", Compression.ZSTD: "zstd", Compression.SEALED: None}
    due = packed.get(compression, "Parquet" if form is Format.PARQUET else None)
    if seen != due:
        what = f"is {seen}" if seen else f"is not {due}"
        raise FileRejected(
            "format_mismatch", f"the file {what} by its first bytes, and its name says otherwise; deliver it under its right name"
        )
    for mark, encoding in _UNICODE:
        if head.startswith(mark):
            raise FileRejected("encoding_unsupported", f"the file is {encoding}; write it as UTF-8")
