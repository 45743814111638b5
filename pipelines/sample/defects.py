"""Planted defects: for every reason to reject a record or to warn of it, how a landing file comes to have one.

A field defect is a plain payment with some fields changed; a raw defect is bytes that stand for a record. Each has exactly the
reasons that are listed with it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.contracts.landing import VERSIONS
from app.contracts.reasons import REASONS

Record = dict[str, str]


@dataclass(frozen=True)
class RawDefect:
    """Bytes without line end, made from a plain record."""

    reason: str
    make: Callable[[Record], bytes]


# Without them a GB IBAN would also disagree with the counterparty's columns.
_NO_ACCOUNT = {"counterparty_sort_code": "", "counterparty_account": ""}
# By reason: what is changed in a plain payment.
FIELD_DEFECTS: dict[str, Mapping[str, str]] = {
    "transaction_id_missing": {"transaction_id": ""},
    "transaction_id_format": {"transaction_id": " padded "},
    "timestamp_missing": {"timestamp": ""},
    "timestamp_format": {"timestamp": "01/06/2026 10:00"},
    "timestamp_no_zone": {"timestamp": "2026-06-01T10:00:00"},
    "timestamp_impossible": {"timestamp": "2026-02-30T10:00:00Z"},
    "timestamp_range": {"timestamp": "1066-10-14T09:00:00Z"},
    "timestamp_precision": {"timestamp": "2026-06-01T10:00:00.1234567Z"},
    "sort_code_missing": {"sort_code": ""},
    "sort_code_format": {"sort_code": "99010"},
    "sort_code_placeholder": {"sort_code": "000000"},
    "account_number_missing": {"account_number": ""},
    "account_number_format": {"account_number": "1.2E+07"},
    "account_number_length": {"account_number": "1234567"},
    "account_number_placeholder": {"account_number": "00000000"},
    "counterparty_sort_code_format": {"counterparty_sort_code": "9950O1"},
    "counterparty_sort_code_placeholder": {"counterparty_sort_code": "000000"},
    "counterparty_account_format": {"counterparty_account": "1234567X"},
    "counterparty_account_length": {"counterparty_account": "123456789"},
    "counterparty_account_placeholder": {"counterparty_account": "00000000"},
    "counterparty_iban_format": _NO_ACCOUNT | {"counterparty_iban": "GB29-NWBK-6016-1331"},
    "counterparty_iban_country": _NO_ACCOUNT | {"counterparty_iban": "US64SVBKUS6S3300958879"},
    "counterparty_iban_length": _NO_ACCOUNT | {"counterparty_iban": "GB29NWBK6016133192681"},
    "counterparty_iban_structure": _NO_ACCOUNT | {"counterparty_iban": "GB29123460161331926819"},
    "counterparty_iban_checksum": _NO_ACCOUNT | {"counterparty_iban": "GB28NWBK60161331926819"},
    "counterparty_iban_mismatch": {"counterparty_iban": "GB29NWBK60161331926819"},
    "modulus_failed": {"account_number": "00012345"},
    "counterparty_modulus_failed": {"counterparty_account": "00067890"},
    "amount_missing": {"amount": ""},
    "amount_format": {"amount": "1,234.56"},
    "amount_precision": {"amount": "1.234"},
    "amount_range": {"amount": "99999999999999999.00"},
    "currency_missing": {"currency": ""},
    "currency_format": {"currency": "gbp"},
    "currency_unknown": {"currency": "GBX"},
    "currency_withdrawn": {"currency": "DEM"},
    "currency_not_money": {"currency": "XAU"},
    "country_missing": {"country": ""},
    "country_format": {"country": "gb"},
    "country_unknown": {"country": "UK"},
    "channel_unknown": {"channel": "PIGEON"},
}
# By reason: a change after which a payment is accepted with this warning, and no other.
WARNINGS: dict[str, Mapping[str, str]] = {
    "description_control": {"channel": "CARD", "description": "refund\u202e0005"},
    "amount_channel_limit": {"amount_minor": "-125000000", "description": "COMPLETION"},
    "description_reference_characters": {"description": "Rent (June)"},
    "description_reference_length": {"channel": "BACS", "description": "STANDING ORDER RENT"},
}
# These need a source whose naive timestamps have a declared zone: the branch file is one.
BRANCH_DEFECTS: dict[str, Mapping[str, str]] = {
    "timestamp_nonexistent_local": {"timestamp": "2026-03-29T01:30:00"},
    "timestamp_ambiguous_local": {"timestamp": "2025-10-26T01:30:00"},
}


def _csv(record: Record) -> bytes:
    return ",".join(record[name] for name in VERSIONS[1]).encode()


def _json(record: Record) -> str:
    return ",".join(f'"{name}":"{record[name]}"' for name in VERSIONS[1])


CSV_DEFECTS = (
    RawDefect("record_empty", lambda _: b""),
    RawDefect("field_count", lambda record: _csv(record) + b",one more"),
    RawDefect("quote_unclosed", lambda record: _csv(record | {"description": '"never closed'})),
    RawDefect("quote_misplaced", lambda record: _csv(record | {"description": 'the "big one'})),
    RawDefect("carriage_return_bare", lambda record: _csv(record | {"description": "two\rlines"})),
    RawDefect("encoding", lambda record: _csv(record) + b"caf\xe9"),
    RawDefect("nul", lambda record: _csv(record) + b"\0"),
)
NDJSON_DEFECTS = (
    RawDefect("record_empty", lambda _: b""),
    RawDefect("encoding", lambda record: b'{"description":"caf\xe9",' + _json(record).split(',"description"')[0].encode() + b"}"),
    RawDefect("nul", lambda record: b"{" + _json(record | {"description": "a\\u0000b"}).encode() + b"}"),
    RawDefect("json_syntax", lambda record: b"{" + _json(record).encode()),
    RawDefect("json_not_object", lambda record: b"[{" + _json(record).encode() + b"}]"),
    RawDefect("json_key_duplicate", lambda record: b"{" + _json(record).encode() + b',"amount":"1.00"}'),
    RawDefect("json_key_unknown", lambda record: b"{" + _json(record).encode() + b',"amuont":"1.00"}'),
    RawDefect("json_type", lambda record: b'{"sort_code":990101,' + _json(record).replace('"sort_code":"990101",', "").encode() + b"}"),
)
CONFLICT = "transaction_id_conflict"  # planted as a second record with the same id


def planted() -> frozenset[str]:
    """Every reason that is planted somewhere."""
    raw = {defect.reason for defect in (*CSV_DEFECTS, *NDJSON_DEFECTS)}
    return frozenset({*FIELD_DEFECTS, *BRANCH_DEFECTS, *WARNINGS, *raw, CONFLICT})


def due() -> frozenset[str]:
    """Every reason to reject a record of the landing contract's version 1, of which the sample's files are, or to warn of it."""
    return frozenset(reason.code for reason in REASONS if reason.landing) - {"mcc_format", "mcc_unknown"}
