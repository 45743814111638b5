"""CSV, wherever it is cut: the reader agrees with an oracle that goes byte by byte, and with itself."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contracts.landing import VERSIONS
from tests.support.landing import record
from tests.support.units import Read, read_csv

NAMES = VERSIONS[1]

HEADER = ",".join(NAMES).encode()
LIMIT = 1024 * 1024


def oracle(data: bytes) -> list[tuple[str | None, list[bytes], bytes]]:
    """Records after the header by the rules of the reader's docstring, slowly: fault or None, fields, raw bytes."""
    found = []
    at = 0
    while at < len(data):
        fault, fields, content, at_next = _record(data, at)
        raw = data[at:content]
        if fault is None and b"\0" in raw:
            fault = "nul"
        if fault is None:
            try:
                raw.decode()
            except UnicodeDecodeError:
                fault = "encoding"
        found.append((fault, fields, raw))
        at = at_next
    return found


def _line_end(data: bytes, start: int, at: int) -> tuple[int, int]:
    end = data.find(b"\n", start)
    if end < 0:
        return len(data), len(data)
    return (end - 1 if end > at and data[end - 1 : end] == b"\r" else end), end + 1


def _record(data: bytes, at: int) -> tuple[str | None, list[bytes], int, int]:
    fields: list[bytes] = []
    i = at
    while True:
        if data[i : i + 1] == b'"':
            opening = i
            i += 1
            while True:
                close = data.find(b'"', i)
                if close < 0 or close > opening + LIMIT:
                    return "quote_unclosed", [], *_line_end(data, opening, at)
                if data[close + 1 : close + 2] == b'"':
                    i = close + 2
                    continue
                break
            fields.append(data[opening + 1 : close].replace(b'""', b'"'))
            rest = data[close + 1 :]
            if rest and not rest.startswith((b",", b"\n", b"\r\n")):
                code = "carriage_return_bare" if rest.startswith(b"\r") else "quote_misplaced"
                return "quote_unclosed" if b"\n" in data[opening:close] else code, [], *_line_end(data, opening, at)
            i = close + 1
        else:
            begin = i
            while i < len(data) and data[i : i + 1] not in {b",", b"\n", b"\r", b'"'}:
                i += 1
            fields.append(data[begin:i])
            if data[i : i + 1] == b'"':
                return "quote_misplaced", [], *_line_end(data, i, at)
            if data[i : i + 1] == b"\r" and data[i + 1 : i + 2] != b"\n":
                return "carriage_return_bare", [], *_line_end(data, i, at)
        if data[i : i + 1] != b",":
            break
        i += 1
    after = i + 2 if data[i : i + 1] == b"\r" else i + 1 if i < len(data) else i
    fault = "record_empty" if i == at else "field_count" if len(fields) != len(NAMES) else None
    return fault, fields, i, after


def agrees_with_the_oracle(body: bytes, read: Read) -> None:
    expected = oracle(body)
    rows = {number: (values, raw) for number, values, raw in read.rows}
    faults = {number: (code, raw) for number, code, raw in read.faults}
    assert sorted([*rows, *faults]) == list(range(1, len(expected) + 1))
    for number, (fault, fields, raw) in enumerate(expected, start=1):
        if fault is None:
            assert rows[number] == (tuple(field.decode() for field in fields), raw)
        else:
            assert faults[number] == (fault, raw)


# Soup in which whole records are common: twelve short fields, joined by commas, with line ends and quotes thrown in.
token = st.sampled_from(
    [b",", b'"', b'""', b"\n", b"\r\n", b"\r", b"a", b"b,c", b"\xc3\xa9", b"\xff", b"\0", b'"x\ny"', b",,,,,,,,,,,\n", b"a,,,,,,,,,,,"]
)


@given(st.lists(token, max_size=40).map(b"".join), st.integers(1, 60), st.integers(1, 9))
def test_any_bytes_after_the_header_are_read_as_the_oracle_reads_them(body: bytes, unit_bytes: int, piece: int) -> None:
    data = HEADER + b"\n" + body
    agrees_with_the_oracle(body, read_csv([data], unit_bytes))
    agrees_with_the_oracle(body, read_csv([data[at : at + piece] for at in range(0, len(data), piece)], unit_bytes))


@given(st.binary(max_size=200))
def test_raw_bytes_and_line_ends_give_the_file_back(body: bytes) -> None:
    read = read_csv([HEADER + b"\n" + body])
    raws = [raw for _, raw in sorted([(n, raw) for n, _, raw in read.rows] + [(n, raw) for n, _, raw in read.faults])]
    left = body
    for raw in raws:
        assert left.startswith(raw)
        left = left[len(raw) :]
        left = left.removeprefix(b"\r\n") if left.startswith(b"\r\n") else left.removeprefix(b"\n")
    assert left == b""


text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["a\r\nb", '"', ',"', "\n", "\r", ""]
)


@given(
    st.lists(st.lists(text, min_size=12, max_size=12), max_size=6),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.integers(1, 100),
)
def test_what_python_writes_is_read_back(rows: list[list[str]], quoting: int, newline: str, mark: bool, unit_bytes: int) -> None:
    if "\r" in "".join(field for row in rows for field in row):
        quoting = csv.QUOTE_ALL  # Python does not quote a carriage return otherwise
    out = io.StringIO()
    csv.writer(out, quoting=quoting, lineterminator=newline).writerows([list(NAMES), *rows])  # type: ignore[arg-type]
    read = read_csv([(b"\xef\xbb\xbf" if mark else b"") + out.getvalue().encode()], unit_bytes)
    assert (read.values, read.faults) == ([tuple(row) for row in rows], [])


def _line(number: int, description: str) -> str:
    return ",".join(record(number, description=description).values())


NASTY = {
    "quoted CRLF": "\r\n".join([_line(1, '"a\r\nb"'), _line(2, '"\r\n"'), _line(3, '"\r\n\r\n""\r\n"'), ""]),
    "unclosed": "\n".join([_line(1, '"open'), _line(2, "fine"), _line(3, '"closed, ""x"""'), _line(4, '"open at the end')]),
    "doubled": "\n".join([_line(1, '""""'), _line(2, '""""""'), _line(3, '"a""b"'), _line(4, '""x'), _line(5, '"')]),
    "mixed ends": _line(1, "a") + "\r\n" + _line(2, '"b\nc"') + "\n\r\n\n" + _line(3, "d\re") + "\r\n" + _line(4, "f") + "\r",
    "many bytes": "\n".join([_line(1, "é£€🎂"), _line(2, '"🎂\r\n🎂"'), _line(3, "plain")]),
    "faults": "\n".join([_line(1, "a"), "too,few", _line(2, "b") + ",many", "", _line(3, 'a"b'), _line(4, '"a"b'), _line(5, "z")]),
}


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", sorted(NASTY))
def test_a_file_cut_at_every_byte_gives_the_records_of_the_whole_file(name: str, mark: bytes) -> None:
    body = NASTY[name].encode()
    data = mark + HEADER + b"\r\n" + body
    whole = read_csv([data])
    agrees_with_the_oracle(body, whole)
    for cut in range(len(data) + 1):
        assert read_csv([data[:cut], data[cut:]], 1 + cut % 97) == whole
    for size in (1, 2, 3):
        assert read_csv([data[at : at + size] for at in range(0, len(data), size)], 7) == whole
