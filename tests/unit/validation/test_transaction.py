from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest

from app.contracts.lake import TYPED, TYPED_SCHEMA
from app.contracts.landing import NAMES, SCHEMA
from app.contracts.reasons import REASONS, Reason, Severity, fault_numbers, number_of
from app.errors import UsageError
from app.reference.modulus import synthetic
from app.validation import timestamp
from app.validation.modulus import INVALID, NOT_CHECKED, VALID
from app.validation.transaction import RULES, inconsistent, reasons, validate
from tests.support.landing import record
from tests.support.validation import landing_table, names

LONDON = "Europe/London"

# For each reason that validation gives, a change of a valid record that earns it and no other.
EXAMPLES = {
    "transaction_id_missing": {"transaction_id": ""},
    "transaction_id_format": {"transaction_id": " A1"},
    "timestamp_missing": {"timestamp": ""},
    "timestamp_format": {"timestamp": "01/02/2026 10:00"},
    "timestamp_no_zone": {"timestamp": "2026-01-02T10:00:00"},
    "timestamp_impossible": {"timestamp": "2026-02-30T10:00:00Z"},
    "timestamp_nonexistent_local": {"timestamp": "2026-03-29T01:30:00"},
    "timestamp_ambiguous_local": {"timestamp": "2026-10-25T01:30:00"},
    "timestamp_range": {"timestamp": "1066-10-14T09:00:00Z"},
    "timestamp_precision": {"timestamp": "2026-01-02T10:00:00.1234567Z"},
    "sort_code_missing": {"sort_code": ""},
    "sort_code_format": {"sort_code": "12345"},
    "sort_code_placeholder": {"sort_code": "000000"},
    "account_number_missing": {"account_number": ""},
    "account_number_format": {"account_number": "1.2E+07"},
    "account_number_length": {"account_number": "1234567"},
    "account_number_placeholder": {"account_number": "00000000"},
    "counterparty_sort_code_format": {"counterparty_sort_code": "12345"},
    "counterparty_sort_code_placeholder": {"counterparty_sort_code": "000000"},
    "counterparty_account_format": {"counterparty_account": "1234567X"},
    "counterparty_account_length": {"counterparty_account": "1234567"},
    "counterparty_account_placeholder": {"counterparty_account": "00000000"},
    "counterparty_iban_format": {"counterparty_iban": "GB29-NWBK"},
    "counterparty_iban_country": {"counterparty_iban": "US64SVBKUS6S3300958879"},
    "counterparty_iban_length": {"counterparty_iban": "GB29NWBK6016133192681"},
    "counterparty_iban_structure": {"counterparty_iban": "GB29123460161331926819"},
    "counterparty_iban_checksum": {"counterparty_iban": "GB28NWBK60161331926819"},
    "counterparty_iban_mismatch": {"counterparty_iban": "GB29NWBK60161331926819"},
    "modulus_failed": {"sort_code": "089999", "account_number": "66374959"},
    "counterparty_modulus_failed": {"counterparty_sort_code": "107999", "counterparty_account": "88837493"},
    "amount_missing": {"amount": ""},
    "amount_format": {"amount": "1,234.56"},
    "amount_precision": {"amount": "1.234"},
    "amount_range": {"amount": "99999999999999999.00"},
    "currency_missing": {"currency": ""},
    "currency_format": {"currency": "gbp"},
    "currency_unknown": {"currency": "GBX"},
    "currency_withdrawn": {"currency": "DEM"},
    "currency_not_money": {"currency": "XXX"},
    "country_missing": {"country": ""},
    "country_format": {"country": "gb"},
    "country_unknown": {"country": "UK"},
    "channel_unknown": {"channel": "PIGEON"},
    "mcc_format": {"merchant_category": "541"},
    "mcc_unknown": {"merchant_category": "0001"},
    "description_control": {"channel": "CARD", "description": "a\u202eb"},
    "amount_channel_limit": {"channel": "FPS", "amount": "-1000000.01", "description": "RENT"},
    "description_reference_characters": {"channel": "BACS", "description": "Rent (June)"},
    "description_reference_length": {"channel": "FPS", "description": "STANDING ORDER JUNE"},
}
# Faults of whole records are found by readers, conflicts of identifiers by the lake.
NOT_FROM_VALIDATION = {
    "record_empty",
    "field_count",
    "quote_unclosed",
    "quote_misplaced",
    "carriage_return_bare",
    "encoding",
    "nul",
    "json_syntax",
    "json_not_object",
    "json_key_duplicate",
    "json_key_unknown",
    "json_type",
    "transaction_id_conflict",
}
LOCAL = {"timestamp_nonexistent_local", "timestamp_ambiguous_local"}


def test_every_reason_has_an_example_here_or_another_finder() -> None:
    assert {reason.code for reason in REASONS if reason.landing} == set(EXAMPLES) | NOT_FROM_VALIDATION


@pytest.mark.parametrize("reason", [one for one in REASONS if one.code in EXAMPLES], ids=lambda reason: reason.code)
def test_each_reason_is_given_for_its_example_and_alone(reason: Reason) -> None:
    row = record(1, **({"channel": "CARD"} | EXAMPLES[reason.code]))  # a channel without rules of its own
    validated = validate(landing_table([row]), LONDON if reason.code in LOCAL else None, synthetic())
    found = [code for codes in validated.codes for code in names(codes) if code]
    assert found == [reason.code]
    assert validated.rejected.tolist() == [reason.severity is Severity.REJECT]
    assert reasons(validated, np.array([0])).to_pylist() == [[reason.code] if reason.severity is Severity.REJECT else []]


def test_accounts_are_checked_where_a_table_lists_them_and_never_said_to_be_valid_otherwise() -> None:
    rows = [
        record(1, sort_code="08-99-99", account_number="66374958"),
        record(2),
        record(3, sort_code="089999", account_number="6637495X"),
        record(4, counterparty_sort_code="", counterparty_account="", counterparty_iban="GB03NWBK10799988837491"),
        record(5, counterparty_sort_code="", counterparty_account="", counterparty_iban="GB46NWBK10799988837493"),
        record(6, counterparty_sort_code="107999", counterparty_account="", counterparty_iban=""),
    ]
    with_table, without = validate(landing_table(rows), weights=synthetic()), validate(landing_table(rows))
    assert with_table.account_checks.tolist() == [VALID, NOT_CHECKED, NOT_CHECKED, NOT_CHECKED, NOT_CHECKED, NOT_CHECKED]
    assert with_table.counterparty_checks.tolist() == [NOT_CHECKED, NOT_CHECKED, NOT_CHECKED, VALID, INVALID, NOT_CHECKED]
    assert reasons(with_table, np.arange(6)).to_pylist()[4] == ["counterparty_modulus_failed"]
    assert set(without.account_checks.tolist()) | set(without.counterparty_checks.tolist()) == {NOT_CHECKED}


def test_a_valid_record_is_typed() -> None:
    validated = validate(
        landing_table(
            [
                {
                    "transaction_id": "T1",
                    "timestamp": "2026-03-01T00:30:00.5+01:00",
                    "sort_code": "12-34-56",
                    "account_number": "00000190",
                    "counterparty_sort_code": "",
                    "counterparty_account": None,
                    "counterparty_iban": "GB29 NWBK 6016 1331 9268 19",
                    "amount": "-12.30",
                    "currency": "GBP",
                    "channel": "",
                    "country": "NA",
                    "description": " 1E5 £ ",
                }
            ]
        )
    )
    assert not validated.rejected.any()
    assert validated.typed.schema == TYPED_SCHEMA
    assert validated.typed.to_pylist() == [
        {
            "transaction_id": "T1",
            "booked_at": datetime(2026, 2, 28, 23, 30, 0, 500_000, tzinfo=UTC),
            "booking_date": date(2026, 2, 28),
            "sort_code": "123456",
            "account_number": "00000190",
            "counterparty_sort_code": None,
            "counterparty_account": None,
            "counterparty_iban": "GB29NWBK60161331926819",
            "amount_minor": -1230,
            "currency": "GBP",
            "channel": None,
            "country": "NA",
            "description": " 1E5 £ ",
            "payer": "123456-00000190",
            "payee": "601613-31926819",
            "merchant_category": None,
        }
    ]


def test_all_that_fails_is_reported_in_the_order_of_the_rules() -> None:
    wrong = dict.fromkeys(NAMES, "?") | {"transaction_id": " ", "description": "\x01"}
    validated = validate(landing_table([record(1), wrong, {}]))
    required = ["transaction_id", "timestamp", "sort_code", "account_number", "amount", "currency", "country"]
    others = ["timestamp", "sort_code", "account_number", "counterparty_sort_code", "counterparty_account", "counterparty_iban"]
    assert reasons(validated, np.array([2, 0, 1])).to_pylist() == [
        [f"{name}_missing" for name in required],
        [],
        [
            *(f"{name}_format" for name in ("transaction_id", *others, "amount", "currency")),
            "channel_unknown",
            "country_format",
            "mcc_format",
        ],
    ]


def test_reasons_are_of_the_type_that_quarantine_stores() -> None:
    validated = validate(landing_table([record(1, amount="x")]))
    expected = pa.list_(pa.field("element", pa.string()))
    assert reasons(validated, np.array([0])).type == expected
    assert reasons(validated, np.array([], dtype=np.int64)).type == expected


def test_an_amount_stays_readable_when_something_else_is_wrong() -> None:
    validated = validate(
        landing_table(
            [record(1, sort_code="x", amount="-1.50"), record(2, amount="x"), record(3, currency="XXX"), record(4, amount="1.234")]
        )
    )
    assert validated.rejected.all()
    assert validated.readable.tolist() == [True, False, False, False]
    assert validated.typed["amount_minor"][0].as_py() == -150
    assert validated.typed["currency"][0].as_py() == "GBP"


def test_fields_that_contradict_each_other_are_inconsistent() -> None:
    changes = [{}, {"amount": "1.234"}, {"counterparty_iban": "GB29NWBK60161331926819"}, {"amount": "x"}, {"currency": "XXX"}]
    validated = validate(landing_table([record(1, **change) for change in changes]))
    assert inconsistent(validated).tolist() == [False, True, True, False, False]


def test_a_warning_rejects_nothing_and_keeps_the_text() -> None:
    validated = validate(landing_table([record(1, description="a\x01b")]))
    assert not validated.rejected.any()
    assert validated.codes[RULES.index("description")].tolist() == [number_of("description_control")]
    assert validated.typed["description"].to_pylist() == ["a\x01b"]


def test_values_are_counted_by_column() -> None:
    filled = validate(landing_table([record(1), record(2, channel="", description=""), record(3, amount="")])).filled
    assert filled == dict.fromkeys(NAMES, 3) | {"counterparty_iban": 0, "channel": 2, "description": 2, "amount": 2, "merchant_category": 0}


def test_accepted_rows_have_nulls_only_where_the_contract_lets_them_be_empty() -> None:
    optional = {column.name: "" for column in TYPED if column.nullable and column.name in NAMES}
    typed = validate(landing_table([record(1) | optional, record(2) | optional, record(3)])).typed
    typed.validate(full=True)
    for column in TYPED:
        assert (typed[column.name].null_count > 0) == column.nullable


def test_memory_that_must_not_be_written_is_judged_like_any_other_and_by_the_same_machine_code() -> None:
    table = landing_table([record(1), record(2, channel="")])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    read_only = pa.ipc.open_stream(pa.py_buffer(sink.getvalue().to_pybytes())).read_all()
    expected = validate(table).typed
    compiled = len(timestamp._check.signatures)  # type: ignore[attr-defined]
    assert validate(read_only).typed.equals(expected)
    assert len(timestamp._check.signatures) == compiled  # type: ignore[attr-defined]


def test_no_records_are_no_trouble() -> None:
    validated = validate(SCHEMA.empty_table())
    assert validated.typed.num_rows == 0
    assert validated.typed.schema == TYPED_SCHEMA
    assert len(validated.rejected) == len(validated.readable) == 0


def test_an_unknown_zone_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="Europe/Londn"):
        validate(landing_table([record(1)]), "Europe/Londn")


def test_a_fault_without_a_reason_is_a_bug_unless_it_is_that_an_optional_field_is_missing() -> None:
    assert fault_numbers("channel", "missing", "unknown").tolist() == [0, 0, number_of("channel_unknown")]
    with pytest.raises(KeyError):
        fault_numbers("channel", "format")
