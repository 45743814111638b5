import pytest

from app.errors import FileRejected
from app.readers import formats
from app.readers.formats import Compression, Format


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", (Format.CSV, Compression.NONE)),
        ("deep/A.CSV.GZ", (Format.CSV, Compression.GZIP)),
        ("a.jsonl", (Format.NDJSON, Compression.NONE)),
        ("a.ndjson.zst", (Format.NDJSON, Compression.ZSTD)),
        ("a.2026.parquet", (Format.PARQUET, Compression.NONE)),
    ],
)
def test_a_name_says_format_and_compression(name: str, expected: tuple[Format, Compression]) -> None:
    assert formats.of_name(name) == expected


@pytest.mark.parametrize("name", ["readme.txt", "csv", "a.csv.bz2", "a.gz", "a.xlsx", "a.csv.gz.gz"])
def test_another_name_is_rejected_with_the_names_that_are_known(name: str) -> None:
    with pytest.raises(FileRejected, match=r"format_unknown.*\.ndjson"):
        formats.of_name(name)


@pytest.mark.parametrize(
    ("head", "name", "code"),
    [
        (b"", "a.csv", "file_empty"),
        (b"\x1f\x8b\x08", "a.csv", "format_mismatch"),
        (b"PK\x03\x04", "a.csv", "format_mismatch"),
        (b"%PDF-1.7", "a.ndjson", "format_mismatch"),
        (b"a,b", "a.csv.gz", "format_mismatch"),
        (b"PAR1", "a.csv", "format_mismatch"),
        (b"a,b", "a.parquet", "format_mismatch"),
        (b"\xff\xfea\x00", "a.csv", "encoding_unsupported"),
    ],
)
def test_first_bytes_that_contradict_the_name_reject_the_file(head: bytes, name: str, code: str) -> None:
    with pytest.raises(FileRejected, match=code):
        formats.check_magic(head, *formats.of_name(name))


@pytest.mark.parametrize(
    ("head", "name"), [(b"a,b", "a.csv"), (b"\x1f\x8b\x08", "a.csv.gz"), (b"\x28\xb5\x2f\xfd", "a.parquet.zst"), (b"PAR1", "a.parquet")]
)
def test_first_bytes_that_agree_pass(head: bytes, name: str) -> None:
    formats.check_magic(head, *formats.of_name(name))
