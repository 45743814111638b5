import json
import logging
import re
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.masking import JsonLines, masked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sort code 12-34-56.", "sort code ****56."),
        ("sort code 12 34 56,", "sort code ****56,"),
        ("sort_code=123456", "sort_code=****56"),
        ("account 12345678", "account ****5678"),
        ("account 1234 5678", "account ****5678"),
        ("account_12345678x", "account_****5678x"),
        ("12-34-56 12345678", "****56 ****5678"),
        ("12345612345678", "****5678"),
        ("card 4929123456789012", "card ****9012"),
        ("GB29NWBK60161331926819", "****6819"),
        ("iban=gb29nwbk60161331926819;", "iban=****6819;"),
        ("to GB29 NWBK 6016 1331 9268 19: refused", "to ****8 19: refused"),
        ("to gb29 nwbk 6016 1331 9268 19: refused", "to ****8 19: refused"),
        ("GB29-NWBK-6016-1331-9268-19", "****8-19"),
        ("NO9386011117947", "****7947"),
        ("MT84MALT011000012345MTLCAST001S", "****001S"),
        ("xGB29NWBK60161331926819", "xGB29NWBK****6819"),
        ("12\u201334\u201356 and 12\u00a034\u00a056", "****56 and ****56"),
    ],
)
def test_account_details_are_masked_but_for_their_end(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "nothing to hide",
        "12345 records, 0.97 of them good, in 1234 ms",
        "2026-03-04T09:00:00.123Z",
        "from 10.12.34.56 and 127.0.0.1:8000",
        "run 20260304T090000Z-ab12cd34 and 20260304T090000Z-12345678",
        "isolation_forest-20260304T090000.123456Z-0a1b2c3d",
        "POST /v1/score 200",
        "****5678",
    ],
)
def test_what_is_no_account_detail_stays(text: str) -> None:
    assert masked(text) == text


def test_an_iban_with_a_wrong_check_digit_is_masked_too() -> None:
    assert masked("GB00NWBK60161331926819 fails") == "****6819 fails"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("key leofric_payments_AbC-_0123456789abcdefghijklmnopqrstuvwxyzABCDEF is", "key **** is"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ****"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", "{'authorization': 'Basic ****'}"),
        ("token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln in", "token **** in"),
        ("redis://:hunter2@127.0.0.1:6379/0", "redis://****@127.0.0.1:6379/0"),
        ("rediss://leofric:hun:ter2@cache:6379", "rediss://****@cache:6379"),
        ("AWS_SECRET_ACCESS_KEY=abc/def+x and more", "AWS_SECRET_ACCESS_KEY=**** and more"),
        ("{'aws_session_token': 'abc', 'x': 1}", "{'aws_session_token': '****', 'x': 1}"),
        ("password: hunter2; user", "password: ****; user"),
    ],
)
def test_secrets_are_masked_whole(text: str, expected: str) -> None:
    assert masked(text) == expected


@given(st.text(), st.from_regex(r"leofric_[a-z0-9]{1,9}_[A-Za-z0-9_-]{43}", fullmatch=True), st.text())
def test_no_key_is_seen_in_any_text_around_it(before: str, key: str, after: str) -> None:
    assert key[-43:] not in masked(f"{before}{key}{after}")


@given(st.text(), st.from_regex("[0-9]{8}", fullmatch=True), st.text())
def test_no_account_number_is_seen_in_any_text_around_it(before: str, number: str, after: str) -> None:
    assert number not in masked(f"{before} {number} {after}")


@given(st.text(), st.from_regex("[0-9]{6}", fullmatch=True), st.sampled_from(["", "-", " "]), st.text())
def test_no_sort_code_is_seen_in_any_text_around_it(before: str, code: str, gap: str, after: str) -> None:
    written = gap.join([code[:2], code[2:4], code[4:]])
    assert f"({written})" not in masked(f"{before}({written}){after}")


@given(st.text())
def test_masked_text_has_no_six_digits_in_a_row_but_in_ids_of_runs(text: str) -> None:
    assert re.search(r"\d{6}", re.sub(r"\d{8}T\d{6}(\.\d{6})?Z(-[0-9a-f]{8})?", "", masked(text))) is None


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    return logging.getLogger("leofric.serve").makeRecord("leofric.serve", logging.WARNING, "file.py", 1, message, args, None, extra=extra)


def line(of: logging.LogRecord) -> dict[str, Any]:
    text = JsonLines().format(of)
    assert len(text.splitlines()) == 1
    return dict(json.loads(text))


def test_a_record_is_one_object_with_the_time_in_utc() -> None:
    made = record("scored %d", 3)
    made.created = datetime(2026, 3, 4, 9, 0, 0, 250_000, tzinfo=UTC).timestamp()
    assert line(made) == {
        "time": "2026-03-04T09:00:00.250Z",
        "level": "WARNING",
        "logger": "leofric.serve",
        "message": "scored 3",
        "request_id": None,
    }


def test_a_message_is_masked_after_its_arguments_are_in_it() -> None:
    assert line(record("account %s%s at %s", "1234", "5678", "12-34-56"))["message"] == "account ****5678 at ****56"


def test_a_message_of_many_lines_is_one_line() -> None:
    assert line(record("a\nb\r\n\u2028c"))["message"] == "a\nb\r\n\u2028c"


def test_extra_fields_are_there_and_masked_however_deep() -> None:
    made = line(
        record(
            "x",
            client="payments",
            payer="12345678",
            nested={"to": ["GB29NWBK60161331926819", {"12-34-56": 1}], "rows": 500_000},
            amount=Decimal("1.50"),
            day=date(2026, 3, 4),
            took=0.25,
            missing=None,
            good=True,
        )
    )
    assert {name: made[name] for name in ("client", "payer", "nested", "amount", "day", "took", "missing", "good")} == {
        "client": "payments",
        "payer": "****5678",
        "nested": {"to": ["****6819", {"****56": 1}], "rows": 500_000},
        "amount": "1.50",
        "day": "2026-03-04",
        "took": 0.25,
        "missing": None,
        "good": True,
    }


def test_numbers_stay_except_in_fields_that_are_named_after_an_account() -> None:
    made = line(record("x", duration_us=123456, account_number=12345678, inner={"sort_code": [123456]}))
    assert (made["duration_us"], made["account_number"], made["inner"]) == (123456, "****5678", {"sort_code": ["****56"]})


def test_fields_that_are_named_after_a_secret_are_masked_whole() -> None:
    made = line(record("x", redis_password=["hunter2"], storage_options={"AWS_SECRET_ACCESS_KEY": 12, "AWS_REGION": "x"}, token=None))
    assert (made["redis_password"], made["storage_options"], made["token"]) == (
        "****",
        {"AWS_SECRET_ACCESS_KEY": "****", "AWS_REGION": "x"},
        None,
    )


def test_a_librarys_private_field_is_left_out() -> None:
    assert "_private" not in line(record("x", _private=1795533470264944766))


def test_an_extra_field_cannot_take_the_place_of_the_records_own() -> None:
    made = line(record("x", time="never", level="none", exception="no"))
    assert (made["time_"], made["level"], made["level_"], made["exception_"]) == ("never", "WARNING", "none", "no")


def test_an_extra_value_that_json_has_no_form_for_is_its_text() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    made = line(record("x", infinite=float("inf"), raw=b"12345678", cycle=cycle))
    assert (made["infinite"], made["raw"]) == ("inf", "b'****5678'")
    assert "cycle" in made


def test_the_id_of_a_request_stays_whole_if_it_is_a_uuid_and_is_masked_if_it_is_not() -> None:
    uuid = "12345678-1234-4234-8234-123456789012"
    assert line(record("x", request_id=uuid))["request_id"] == uuid
    assert line(record("x", request_id=uuid.replace("-", "")))["request_id"] == uuid.replace("-", "")
    assert line(record("x", request_id="for 12345678"))["request_id"] == "for ****5678"


def test_an_exception_is_text_and_masked() -> None:
    made = record("x")
    try:
        raise ValueError("account 12345678 is closed")  # noqa: TRY301  # an exception with a traceback is what the test is about
    except ValueError:
        made.exc_info = sys.exc_info()
    exception = line(made)["exception"]
    assert exception.startswith("Traceback")
    assert exception.endswith("ValueError: account ****5678 is closed")


def test_an_exception_and_a_stack_that_a_queue_has_made_text_are_masked() -> None:
    made = record("x")
    made.exc_text, made.stack_info = "ValueError: 12345678", "Stack: 12-34-56"
    assert (line(made)["exception"], line(made)["stack"]) == ("ValueError: ****5678", "Stack: ****56")
