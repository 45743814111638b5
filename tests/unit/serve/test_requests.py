import json
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contracts.landing import NAMES
from app.readers import ndjson
from serve import requests
from serve.problems import Problem


def problem(body: bytes) -> Problem:
    with pytest.raises(Problem) as found:
        requests.read(body)
    return found.value


def test_a_number_keeps_its_digits() -> None:
    asked = requests.read(b'{"transaction_id": "1", "amount": -12.340}')
    assert asked.columns["amount"].to_pylist() == ["-12.340"]


def test_a_list_of_records_is_answered_by_a_list() -> None:
    asked = requests.read(b'{"transactions": [{"transaction_id": "1"}, {}]}')
    assert asked.many
    assert asked.columns["transaction_id"].to_pylist() == ["1", None]
    assert not requests.read(b"{}").many


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"", HTTPStatus.BAD_REQUEST, "not one JSON value"),
        (b"{} {}", HTTPStatus.BAD_REQUEST, "not one JSON value"),
        (b"\xff", HTTPStatus.BAD_REQUEST, "not one JSON value"),
        (b'{"amount": NaN}', HTTPStatus.BAD_REQUEST, "not one JSON value"),
        (b"[" * 100_000, HTTPStatus.BAD_REQUEST, "not one JSON value"),
        (b"1", HTTPStatus.UNPROCESSABLE_ENTITY, "a JSON object"),
        (b'{"transactions": {}}', HTTPStatus.UNPROCESSABLE_ENTITY, "list of one record"),
        (b'{"transactions": [{}, 1]}', HTTPStatus.UNPROCESSABLE_ENTITY, "record 2 of transactions"),
        (b'{"transactions": [{}], "amount": "1"}', HTTPStatus.UNPROCESSABLE_ENTITY, "does not know"),
        (b'{"amount": "1", "amount": "2"}', HTTPStatus.UNPROCESSABLE_ENTITY, "a key twice"),
        (b'{"description": "a\\u0000b"}', HTTPStatus.UNPROCESSABLE_ENTITY, "NUL"),
        (b'{"description": "\\ud800"}', HTTPStatus.UNPROCESSABLE_ENTITY, "UTF-8"),
        (b" " * (requests.MOST_BYTES + 1), HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "at most"),
        (json.dumps({"transactions": [{}] * 1001}).encode(), HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "at most 1000"),
    ],
)
def test_a_body_that_cannot_be_read_is_told_why(body: bytes, status: HTTPStatus, detail: str) -> None:
    found = problem(body)
    assert found.status == status
    assert detail in found.detail
    assert json.loads(found.body())["status"] == status.value


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,0eE-. truefalsn\\u', max_size=60).map(str.encode))
def test_any_bytes_are_records_or_a_problem(body: bytes) -> None:
    try:
        asked = requests.read(body)
    except Problem as found:
        assert found.status.value in {400, 413, 422}
    else:
        assert asked.columns.column_names == list(NAMES)
        assert asked.columns.num_rows == len(asked.lines)


@given(st.dictionaries(st.sampled_from(NAMES), st.none() | st.text(max_size=8), max_size=4))
def test_a_record_is_read_as_the_ndjson_reader_reads_it(values: dict[str, str | None]) -> None:
    body = json.dumps(values).encode()
    of_reader = ndjson.read_line(body)
    try:
        assert list(requests.read(body).columns.to_pylist()[0].values()) == of_reader
    except Problem:
        assert isinstance(of_reader, str)


@given(
    st.lists(st.dictionaries(st.sampled_from(NAMES), st.none() | st.text(max_size=8), max_size=4), min_size=1, max_size=4), st.booleans()
)
def test_a_list_is_read_as_its_records_one_by_one_and_each_line_is_its_record(
    listed: list[dict[str, str | None]], ascii_only: bool
) -> None:
    body = json.dumps({"transactions": listed}, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    alone = [ndjson.read_line(json.dumps(values).encode()) for values in listed]
    try:
        asked = requests.read(body)
    except Problem:
        assert any(isinstance(one, str) for one in alone)
    else:
        assert [list(row.values()) for row in asked.columns.to_pylist()] == alone
        assert [ndjson.read_line(line) for line in asked.lines] == alone


@pytest.mark.parametrize("tail", [b"]}", b"] }\n", b"],}", b"]", b"}", b",]}", b"] ]}", b"]} {}", b'],"more":1}'])
def test_what_follows_a_list_is_as_the_json_parser_sees_it(tail: bytes) -> None:
    body = b'{"transactions": [{"amount": 1.50}\n, {}' + tail
    try:
        found = json.loads(body)
    except ValueError:
        problem(body)
        return
    if list(found) == ["transactions"]:
        assert requests.read(body).columns["amount"].to_pylist() == ["1.50", None]
    else:
        problem(body)
