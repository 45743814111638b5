import pytest

from app.contracts.landing import VERSIONS
from app.errors import FileRejected
from tests.support.landing import record
from tests.support.units import read_csv

NAMES = VERSIONS[1]

HEADER = ",".join(NAMES).encode() + b"\n"


def line(number: int, **changes: str) -> bytes:
    return ",".join(record(number, **changes).values()).encode()


def values(number: int, **changes: str) -> tuple[str, ...]:
    return tuple(record(number, **changes).values())


@pytest.mark.parametrize(
    ("faulty", "code"),
    [
        (b"", "record_empty"),
        (b"a,b,c", "field_count"),
        (line(2) + b",", "field_count"),
        (line(2, description='"never closed'), "quote_unclosed"),
        (line(2, description='the "big" one'), "quote_misplaced"),
        (line(2, description='"the"big"'), "quote_misplaced"),
        (line(2, description="two\rlines"), "carriage_return_bare"),
        (line(2, description='"two"\rlines'), "carriage_return_bare"),
        (line(2) + b"\xe9", "encoding"),
        (line(2) + b"\xed\xa0\x80", "encoding"),
        (line(2) + b"\xc0\x80", "encoding"),
        (line(2) + b"a\0b", "nul"),
        (line(2, description='"a\0b"'), "nul"),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_faulty_record_is_put_aside_alone_with_its_bytes(faulty: bytes, code: str, end: bytes) -> None:
    read = read_csv([HEADER + end.join([line(1), faulty, line(3, description='"fine, ""really"""'), line(4), b""])])
    assert read.faults == [(2, code, faulty)]
    assert read.values == [values(1), values(3, description='fine, "really"'), values(4)]
    assert [number for number, _, _ in read.rows] == [1, 3, 4]


def test_a_quoted_field_keeps_its_line_ends_byte_for_byte() -> None:
    read = read_csv([HEADER + line(1, description='"a\r\nb\nc\rd,""e"""') + b"\r\n" + line(2)])
    assert read.values == [values(1, description='a\r\nb\nc\rd,"e"'), values(2)]
    assert read.rows[0][2] == line(1, description='"a\r\nb\nc\rd,""e"""')


def test_an_unclosed_quote_harms_no_later_record_however_many_quotes_follow() -> None:
    later = [line(n, description=f'"note {n}, quoted"') for n in range(2, 6)]
    read = read_csv([HEADER + b"\n".join([line(1, description='"open'), *later])])
    assert read.codes == [(1, "quote_unclosed")]
    assert read.values == [values(n, description=f"note {n}, quoted") for n in range(2, 6)]


def test_columns_come_in_any_order_and_a_mark_may_stand_before_them() -> None:
    backwards = list(reversed(NAMES))
    body = ",".join(record(1)[name] for name in backwards).encode()
    assert read_csv([b"\xef\xbb\xbf" + ",".join(backwards).encode() + b"\r\n" + body]).values == [values(1)]


def test_nothing_is_read_as_a_number_or_as_missing() -> None:
    tricky = {"country": "NA", "account_number": "00000190", "description": "1E5", "transaction_id": "null"}
    assert read_csv([HEADER + line(1, **tricky)]).values == [values(1, **tricky)]


def test_a_header_alone_is_a_file_without_records() -> None:
    assert read_csv([HEADER]).rows == read_csv([HEADER.rstrip()]).rows == []


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        (b"", "file_empty", "no header"),
        (b"\xef\xbb\xbf", "file_empty", "no header"),
        (line(1) + b"\n" + line(2), "header_missing", "transaction_id"),
        (b"\n" + HEADER, "header_missing", "names none"),
        (HEADER.replace(b"amount,", b""), "header_column_missing", "amount"),
        (HEADER.replace(b"amount", b"amuont"), "header_column_missing", "is it amount?"),
        (HEADER.replace(b"amount", b"country"), "header_column_duplicate", "country"),
        (HEADER.replace(b"amount", b"Amount"), "header_column_missing", "'Amount'"),
        (HEADER.rstrip() + b",branch\n", "header_column_unknown", "'branch'"),
        (HEADER.rstrip() + b',"x\n', "header_quotes", "quotes"),
        (b"\xff\xfe" + HEADER, "not_text", "UTF-8"),
        (b"\0" + HEADER, "not_text", "UTF-8"),
        (HEADER + b"x" * (17 * 1024 * 1024) + b"\n", "record_too_long", "record 1 "),
        (HEADER + b"x" * (19 * 1024 * 1024), "record_too_long", "record 1 "),
    ],
)
def test_a_file_that_is_not_what_it_says_is_rejected_with_cause_and_cure(data: bytes, code: str, said: str) -> None:
    with pytest.raises(FileRejected) as caught:
        read_csv([data[at : at + 4_000_000] for at in range(0, len(data), 4_000_000)] or [b""])
    assert caught.value.code == code
    assert said in caught.value.message


@pytest.mark.parametrize("excess", [-1, 0, 1])
@pytest.mark.parametrize("piece", [100_000, 1 << 20, 1 << 30])
def test_a_quoted_field_may_have_a_mebibyte_wherever_the_file_is_cut(excess: int, piece: int) -> None:
    limit = 1024 * 1024
    text = "x" * (limit - 1 + excess)
    data = HEADER + line(1, description=f'"{text}"') + b"\n" + line(2) + b"\n"
    read = read_csv([data[at : at + piece] for at in range(0, len(data), piece)], unit_bytes=50)
    if excess <= 0:
        assert (read.codes, read.values) == ([], [values(1, description=text), values(2)])
    else:
        assert (read.codes, read.values) == ([(1, "quote_unclosed")], [values(2)])
