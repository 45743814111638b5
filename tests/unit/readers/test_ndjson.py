import json

import pytest

from app.contracts.landing import NAMES
from app.errors import FileRejected
from tests.support.landing import record
from tests.support.units import read_ndjson


def line(number: int, **changes: object) -> bytes:
    return json.dumps(record(number) | changes, ensure_ascii=False).encode()


def values(number: int, **changes: str | None) -> tuple[str | None, ...]:
    return tuple((record(number) | changes).values())


@pytest.mark.parametrize(
    ("faulty", "code"),
    [
        (b"", "record_empty"), (b" ", "json_syntax"), (line(2)[:-1], "json_syntax"), (line(2) + b"x", "json_syntax"),
        (line(2, amount=float("nan")), "json_syntax"), (b'{"amount":01}', "json_syntax"), (b'{"amount":1.}', "json_syntax"),
        (b'{"description":"a\tb"}', "json_syntax"), (b"[" * 100_000, "json_syntax"), (b"[1]", "json_not_object"),
        (b"null", "json_not_object"),
        (line(2)[:-1] + b',"amount":"1"}', "json_key_duplicate"), (b'{"amount":1,"\\u0061mount":1}', "json_key_duplicate"),
        (b'{"amuont":"1"}', "json_key_unknown"), (line(2, sort_code=990001), "json_type"), (line(2, description=True), "json_type"),
        (line(2, amount={"value": 1}), "json_type"), (line(2, description=["a"]), "json_type"), (line(2) + b"\xff", "encoding"),
        (b'{"description":"\xff"}', "encoding"), (b'{"description":"\\ud800"}', "encoding"), (b'{"description":"a\\u0000"}', "nul"),
        (b'{"description":"a\0"}', "nul"),
    ],
)  # fmt: skip
def test_a_faulty_line_is_put_aside_alone_with_its_bytes(faulty: bytes, code: str) -> None:
    read = read_ndjson([b"\n".join([line(1), faulty, line(3)])])
    assert read.faults == [(2, code, faulty)]
    assert read.values == [values(1), values(3)]


@pytest.mark.parametrize("digits", ["-12.50", "0", "1E5", "1.0000000000000000000001", "123456789012345678901234567890"])
def test_an_amount_may_be_a_number_whose_digits_are_kept(digits: str) -> None:
    assert read_ndjson([b'{"amount": ' + digits.encode() + b"}"]).values[0][NAMES.index("amount")] == digits


def test_escapes_are_read_and_other_text_is_kept() -> None:
    read = read_ndjson([b'{"description":"caf\\u00e9 \\ud83c\\udf82 \\/ \\n"}\r\n{"description":"caf\xc3\xa9 NA 1E5"}'])
    assert [row[-1] for row in read.values] == ["café 🎂 / \n", "café NA 1E5"]
    assert read.rows[0][2] == b'{"description":"caf\\u00e9 \\ud83c\\udf82 \\/ \\n"}'


def test_a_missing_key_and_null_are_no_value() -> None:
    assert read_ndjson([b'{"amount":null,"country":""}\n{}']).values == [(*[None] * 10, "", None), (None,) * 12]


@pytest.mark.parametrize(
    ("data", "code"), [(b"", "file_empty"), (b"\xef\xbb\xbf", "file_empty"), (b"a,b\n1,2\n", "not_ndjson"), (b"x\n" * 2_000, "not_ndjson")]
)
def test_a_file_that_is_not_ndjson_is_rejected(data: bytes, code: str) -> None:
    with pytest.raises(FileRejected) as caught:
        read_ndjson([data])
    assert caught.value.code == code


def test_a_broken_first_line_does_not_reject_the_file() -> None:
    read = read_ndjson([b"garbage\n" + line(2)])
    assert (read.codes, read.values) == ([(1, "json_syntax")], [values(2)])
