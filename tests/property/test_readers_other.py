"""NDJSON, packed files and UTF-8, wherever they are cut or damaged."""

import gzip
import json
from collections.abc import Callable

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from app.columns import Bytes
from app.contracts.landing import NAMES
from app.errors import FileRejected
from app.jit import kernel
from app.readers import ndjson, utf8
from app.readers.archive import decompressor
from app.readers.formats import Compression
from tests.support.landing import ndjson_bytes, record, records
from tests.support.units import read_ndjson

value = st.one_of(
    st.none(),
    st.text(max_size=6),
    st.sampled_from(["1.5", "é", '"', "\\", "a\tb"]),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.just([1]),
    st.just({"a": 1}),
)
objects = st.dictionaries(st.sampled_from([*NAMES, "amuont"]), value, max_size=12)
ways = st.sampled_from([{}, {"ensure_ascii": False}, {"separators": (",", ":")}, {"indent": None, "separators": (" ,\t", " : ")}])


@given(objects, ways)
def test_a_line_is_read_as_pythons_parser_reads_it(found: dict[str, object], way: dict[str, object]) -> None:
    line = json.dumps(found, **way).encode(errors="replace")  # type: ignore[arg-type]
    _same_fast_and_slow(line)


@given(objects, st.integers(0, 200), st.binary(min_size=1, max_size=2).filter(lambda b: b"\n" not in b and b"\r" not in b))
def test_a_line_with_a_byte_changed_is_read_as_pythons_parser_reads_it(found: dict[str, object], at: int, changed: bytes) -> None:
    line = json.dumps(found, ensure_ascii=False).encode(errors="replace")
    _same_fast_and_slow(line[:at] + changed + line[at + 1 :])


def _same_fast_and_slow(line: bytes) -> None:
    slow = ndjson.read_line(line)
    read = read_ndjson([b"{}\n" + line + b"\n{}"])
    if isinstance(slow, str):
        assert read.faults == [(2, slow, line)]
    else:
        assert read.faults == []
        assert read.values[1] == tuple(slow)[: len(read.values[1])]
        assert not any(slow[len(read.values[1]) :])


def test_ndjson_cut_at_every_byte_gives_the_records_of_the_whole_file() -> None:
    odd = [record(1, description="é🎂"), record(2, description="a\\b")]
    data = b"\xef\xbb\xbf" + ndjson_bytes(odd).replace(b"\n", b"\r\n") + b"\n{broken\n" + ndjson_bytes([record(3)]).rstrip()
    whole = read_ndjson([data])
    assert (len(whole.rows), whole.codes) == (3, [(3, "record_empty"), (4, "json_syntax")])
    for cut in range(len(data) + 1):
        assert read_ndjson([data[:cut], data[cut:]], 1 + cut % 97) == whole
    for size in (1, 2, 3):
        assert read_ndjson([data[at : at + size] for at in range(0, len(data), size)], 7) == whole


PACKED: dict[Compression, Callable[[bytes], bytes]] = {
    Compression.GZIP: lambda data: gzip.compress(data, mtime=0),
    Compression.ZSTD: lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
}
CONTENT = ndjson_bytes(records(1, 12))


def unpack(data: bytes, compression: Compression, size: int = 1 << 20) -> bytes:
    unpacker = decompressor(compression)
    pieces = [piece for at in range(0, len(data), size) for piece in unpacker.feed(data[at : at + size])]
    unpacker.finish()
    return b"".join(pieces)


@pytest.mark.parametrize("compression", PACKED)
def test_a_packed_file_is_whole_in_pieces_of_any_size_and_in_several_parts(compression: Compression) -> None:
    data = PACKED[compression](CONTENT) + PACKED[compression](b"more")
    for size in (1, 2, 7, 1 << 20):
        assert unpack(data, compression, size) == CONTENT + b"more"


@pytest.mark.parametrize("compression", PACKED)
def test_a_packed_file_cut_at_any_byte_is_rejected_and_never_shorter(compression: Compression) -> None:
    data = PACKED[compression](CONTENT)
    for cut in range(len(data)):
        with pytest.raises(FileRejected, match="archive_(truncated|corrupt)"):
            unpack(data[:cut], compression)


@pytest.mark.parametrize("compression", PACKED)
def test_a_packed_file_with_a_damaged_byte_is_rejected_or_unharmed(compression: Compression) -> None:
    data = PACKED[compression](CONTENT)
    rejected = 0
    for at in range(len(data)):
        damaged = data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
        try:
            assert unpack(damaged, compression) == CONTENT
        except FileRejected:
            rejected += 1
    assert rejected > len(data) * 0.9


@pytest.mark.parametrize("compression", PACKED)
def test_what_stands_behind_a_packed_file_is_rejected(compression: Compression) -> None:
    with pytest.raises(FileRejected, match="archive_"):
        unpack(PACKED[compression](CONTENT) + b"rubbish that is no archive", compression)


def test_a_bomb_comes_in_small_pieces() -> None:
    for compression, pack in PACKED.items():
        unpacker = decompressor(compression)
        assert max(len(piece) for piece in unpacker.feed(pack(bytes(50_000_000)))) <= 4 * 1024 * 1024


@kernel
def _valid(data: Bytes) -> bool:
    return utf8.valid(data, 0, data.size)


nearly = st.sampled_from(
    [b"\xc3\xa9", b"\xc0\x80", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf0\x9f\x8e\x82", b"\xef\xbf\xbf", b"a", b"\x80"]
)


@given(st.lists(st.binary(max_size=3) | nearly, max_size=6).map(b"".join))
def test_utf8_is_valid_when_python_says_so(data: bytes) -> None:
    try:
        data.decode()
        expected = True
    except UnicodeDecodeError:
        expected = False
    assert _valid(np.frombuffer(data, dtype=np.uint8)) == expected
