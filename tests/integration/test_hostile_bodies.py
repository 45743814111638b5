"""Bodies that nobody means well with, over the whole interface: a problem document or an answer, soon, and the service goes on."""

import gzip
import json
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from app.contracts.landing import NAMES
from tests.support.interface import JSON, SCORE, VALIDATE, Answer, ask, served
from tests.support.landing import record
from tests.support.served import small_lake

GOOD = {name: value for name, value in record(500).items() if value}
MARK = "Q7secretQ7"  # it stands in bodies, and may not come back in a problem
ROUTES = [VALIDATE, SCORE]
FEW = settings(max_examples=150, derandomize=True, deadline=None, database=None)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    with served(small_lake(tmp_path_factory.mktemp("hostile")), insecure_local=True) as api:
        yield api


def refused(api: FastAPI, path: str, body: bytes | list[bytes], **headers: str) -> Answer:
    """An answer that is well formed; if it is a problem, one that says nothing it should not."""
    answer = ask(api, path, body, JSON | {name.replace("_", "-"): value for name, value in headers.items()})
    assert answer.status in {200, 400, 413, 415, 422}, (answer.status, answer.body[:200])
    if answer.status != 200:
        problem = answer.document()
        assert answer.headers["content-type"] == "application/problem+json"
        assert (problem["status"], problem["type"]) == (answer.status, "about:blank")
        assert problem["detail"]
        text = answer.body.decode()
        assert len(text) < 1_000
        assert not any(word in text for word in (MARK, "Traceback", 'File "', ".py", "Error("))
    return answer


def goes_on(api: FastAPI) -> None:
    answer = ask(api, SCORE, json.dumps(GOOD).encode())
    assert (answer.status, answer.document()["decision"]) == (200, "scored")


def nested(depth: int, opening: str, closing: str) -> bytes:
    return (opening * depth + closing * depth).encode()


def with_value(text: str) -> bytes:
    """A record one of whose values is this JSON."""
    return f'{{"transaction_id": "{MARK}", "amount": {text}}}'.encode()


LONG = "9" * 5_000
CASES = {
    "deep lists": (nested(100_000, "[", "]"), 400),
    "deep objects": (nested(50_000, '{"a":', "}").replace(b":}", b":1}"), 400),
    "deep lists below the record": (b'{"transactions": [' + nested(900, "[", "]") + b"]}", 422),
    "deep lists as a value": (with_value("[" * 400_000 + "]" * 400_000), 400),
    "never closed": (b'{"transactions": [' * 50_000, 400),
    "number beyond every float": (with_value("1e400"), 200),
    "number with an exponent beyond every integer": (with_value("1e" + LONG), 200),
    "number of 5,000 digits": (with_value(LONG), 200),
    "number of half a million digits": (with_value("1" * 500_000), 200),
    "fraction of 5,000 digits": (with_value("0." + LONG), 200),
    "NaN": (with_value("NaN"), 400),
    "Infinity": (with_value("-Infinity"), 400),
    "a number where text has to be": (f'{{"transaction_id": {LONG}}}'.encode(), 422),
    "invalid UTF-8": (b'{"description": "' + MARK.encode() + b'\xff\xfe"}', 400),
    "UTF-8 of a surrogate": (b'{"description": "\xed\xa0\x80"}', 400),
    "overlong UTF-8": (b'{"description": "\xc0\xaf"}', 400),
    "an escaped lone surrogate": (b'{"description": "' + MARK.encode() + b'\\ud800"}', 422),
    "surrogates in the wrong order": (b'{"description": "\\udc00\\ud800"}', 422),
    "a pair of surrogates": (b'{"description": "\\ud83d\\ude00"}', 200),
    "a lone surrogate as a key": (b'{"\\ud800": "1"}', 422),
    "a key twice": (b'{"amount": "1", "amount": "2"}', 422),
    "transactions twice": (b'{"transactions": [], "transactions": [{}]}', 422),
    "UTF-8 with a BOM": (b"\xef\xbb\xbf{}", 400),
    "UTF-16": (json.dumps(GOOD).encode("utf-16"), 400),
    "UTF-32": (json.dumps(GOOD).encode("utf-32"), 400),
    "NUL": (b'{"description": "a\0b"}', 400),
    "an escaped NUL": (b'{"description": "a\\u0000b"}', 422),
    "NULs": (b"\0" * 1_000, 400),
    "a text of a megabyte": (b'{"description": "' + b"x" * 1_000_000 + b'"}', 200),
    "an id of a megabyte": (b'{"transaction_id": "' + b"x" * 1_000_000 + b'"}', 200),
    "40,000 keys": (json.dumps({f"{MARK}{n}": 1 for n in range(40_000)}).encode(), 422),
    "blanks": (b" " * 1024 * 1024, 400),
    "blanks around": (b" " * 500_000 + b"{}" + b"\n" * 500_000, 200),
    "a byte too many": (b" " * (1024 * 1024 + 1), 413),
    "a comment": (b"{} // " + MARK.encode(), 400),
    "two values": (b"{}{}", 400),
    "single quotes": (b"{'amount': '1'}", 400),
    "a comma too many": (b'{"amount": "1",}', 400),
    "gzip": (gzip.compress(json.dumps(GOOD).encode()), 400),
    "a line end in a text": (b'{"description": "a\nb"}', 400),
    "empty": (b"", 400),
    "null": (b"null", 422),
    "a text": (f'"{MARK}"'.encode(), 422),
}


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("name", CASES)
def test_a_hostile_body_is_answered_as_it_deserves_and_the_next_is_scored(api: FastAPI, name: str, path: str) -> None:
    body, status = CASES[name]
    assert refused(api, path, body).status == status
    goes_on(api)


@pytest.mark.parametrize("path", ROUTES)
def test_a_compressed_body_is_told_to_come_as_it_is(api: FastAPI, path: str) -> None:
    for coding in ("gzip", "deflate", "br", "gzip, gzip", MARK):
        answer = refused(api, path, gzip.compress(b" " * 10_000_000), content_encoding=coding)
        assert answer.status == 415
    assert refused(api, path, json.dumps(GOOD).encode(), content_encoding="identity").status == 200


@pytest.mark.parametrize("path", ROUTES)
def test_a_body_in_many_parts_is_one_and_too_large_a_one_is_not_read_to_its_end(api: FastAPI, path: str) -> None:
    assert refused(api, path, [bytes([byte]) for byte in json.dumps(GOOD).encode()]).status == 200
    assert refused(api, path, [b" " * 65_536] * 1_000).status == 413
    goes_on(api)


@pytest.mark.parametrize("path", ROUTES)
def test_a_client_that_goes_away_midway_is_no_failure_of_the_service(api: FastAPI, path: str) -> None:
    before = metric(api, "leofric_requests_waiting")
    assert ask(api, path, [b'{"transaction_id"'], cut=True).status == 400
    assert metric(api, "leofric_requests_waiting") == before == 0
    goes_on(api)


def metric(api: FastAPI, name: str) -> float:
    lines = ask(api, "/metrics", method="GET").body.decode().splitlines()
    (value,) = [line.rpartition(" ")[2] for line in lines if line.startswith(name + " ")]
    return float(value)


bad_values = st.recursive(
    st.sampled_from(
        ["NaN", "1e400", "-0", "1" * 400, "null", "true", '"\\ud800"', '"\\u0000"', f'"{MARK}"', '"\\u00e9"', "01", "1.", "'1'", ""]
    )
    | st.floats().map(str)
    | st.integers().map(str)
    | st.text(max_size=6).map(json.dumps),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda held: "[" + ",".join(held) + "]")
        | st.lists(st.tuples(st.sampled_from([*NAMES, "transactions", MARK]), inner), max_size=3).map(
            lambda pairs: "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"
        )
    ),
    max_leaves=8,
)
records = st.lists(st.tuples(st.sampled_from(NAMES), bad_values), max_size=12).map(
    lambda pairs: "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"
)
bodies = bad_values | records | st.lists(records, max_size=4).map(lambda held: f'{{"transactions":[{",".join(held)}]}}')


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good body of which some bytes are others, or gone."""
    body = bytearray(json.dumps({"transactions": [GOOD]} if draw(st.booleans()) else GOOD).encode())
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body) - 1))
        body[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=4))
    return bytes(body)


def test_whatever_comes_is_answered(api: FastAPI) -> None:
    @FEW
    @given(bodies.map(lambda text: text.encode("utf-8", "surrogatepass")) | damaged() | st.binary(max_size=100), st.sampled_from(ROUTES))
    def answered(body: bytes, path: str) -> None:
        refused(api, path, body)

    answered()
    goes_on(api)


def test_headers_of_any_kind_are_answered(api: FastAPI) -> None:
    """Latin-1 is what a server hands on of a header's bytes."""
    latin = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=40)

    @FEW
    @given(st.sampled_from(["content-type", "content-encoding", "x-request-id", "authorization", "content-length"]), latin)
    def answered(name: str, value: str) -> None:
        refused(api, SCORE, json.dumps(GOOD).encode(), **{name: value})

    answered()
    goes_on(api)
