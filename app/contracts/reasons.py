"""Every reason for which a record is quarantined, or kept with a warning.

A code is ``<field>_<fault>``, is stable, and is what tables, the API and people see. Kernels use its number, which is
private to one process and never stored.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint8]
"""One number a row: 0 is "nothing to object", anything else is a reason's number."""


class Severity(StrEnum):
    """What a reason does to its record."""

    REJECT = "reject"
    WARN = "warn"


@dataclass(frozen=True)
class Reason:
    """One thing that can be wrong with a record."""

    code: str
    sentence: str
    specification: str
    example: str
    severity: Severity = Severity.REJECT
    landing: bool = True  # False: of an identifier that no column of the landing contract has


RFC4180 = "RFC 4180"
RFC8259 = "RFC 8259"
UNICODE = "The Unicode Standard, section 3.9 (UTF-8)"
LANDING = "Landing contract"
ISO8601 = "ISO 8601 / RFC 3339"
ISO4217 = "ISO 4217"
ISO3166 = "ISO 3166-1"
STANDARD18 = "Pay.UK, Bacs file structures (Standard 18)"
ISO9362 = "ISO 9362"
ISO17442 = "ISO 17442-1"
ISO18245 = "ISO 18245"
BS7666 = "BS 7666-0"
ISO13616 = "ISO 13616 and SWIFT IBAN registry v99"
PAYUK = "Pay.UK, Validating account numbers"

REASONS = (
    # A record that cannot be read at all
    Reason("record_empty", "The line is empty: a record was due.", RFC4180, ""),
    Reason("field_count", "The record has fewer or more fields than the header.", RFC4180, "a,b,c under twelve names"),
    Reason("quote_unclosed", "A quoted field is never closed.", RFC4180, 'a,"b'),
    Reason("quote_misplaced", "A quote stands inside an unquoted field, or text follows a closing quote.", RFC4180, 'a,b"c or a,"b"c'),
    Reason("carriage_return_bare", "A carriage return stands outside quotes and not before a line feed.", RFC4180, "a,b\\rc"),
    Reason("encoding", "The record is not valid UTF-8.", UNICODE, "b'caf\\xe9'"),
    Reason("nul", "The record holds a NUL byte.", LANDING, "a,b\\0c"),
    Reason("json_syntax", "The line is not one JSON value.", RFC8259, '{"a": '),
    Reason("json_not_object", "The line is JSON, but not an object.", RFC8259, "[1, 2]"),
    Reason("json_key_duplicate", "The object names a key twice.", RFC8259, '{"amount": "1", "amount": "2"}'),
    Reason(
        "json_key_unknown", "The object has a key that the landing contract does not know, in version 1 or 2.", LANDING, '{"amout": "1"}'
    ),
    Reason("json_type", "A value is not text (only amount may be a number).", LANDING, '{"sort_code": 123456}'),
    # A field that does not hold what it should
    Reason("transaction_id_missing", "The record has no transaction_id.", LANDING, ""),
    Reason(
        "transaction_id_format",
        "The transaction_id holds a control character or blank ends, or is longer than 128 bytes.",
        LANDING,
        "' A1 '",
    ),
    Reason("transaction_id_conflict", "Another record has this transaction_id and other content.", LANDING, ""),
    Reason("timestamp_missing", "The record has no timestamp.", LANDING, ""),
    Reason("timestamp_format", "The timestamp is not written as ISO 8601 says.", ISO8601, "01/02/2026 10:00"),
    Reason("timestamp_no_zone", "The timestamp has no zone, and none is declared for its source.", ISO8601, "2026-01-02T10:00:00"),
    Reason("timestamp_impossible", "The timestamp names a day, a time or an offset that does not exist.", ISO8601, "2026-02-30T10:00:00Z"),
    Reason(
        "timestamp_nonexistent_local",
        "The local time was skipped when the clocks went forward.",
        ISO8601,
        "2026-03-29T01:30:00 in Europe/London",
    ),
    Reason(
        "timestamp_ambiguous_local", "The local time came twice when the clocks went back.", ISO8601, "2026-10-25T01:30:00 in Europe/London"
    ),
    Reason("timestamp_range", "The timestamp is before 1970 or after 2099.", LANDING, "1066-10-14T09:00:00Z"),
    Reason("timestamp_precision", "The timestamp has more than six decimals of a second that are not zero.", LANDING, "10:00:00.1234567Z"),
    Reason("sort_code_missing", "The record has no sort code.", LANDING, ""),
    Reason("sort_code_format", "The sort code is not six digits (123456, 12-34-56 or 12 34 56).", PAYUK, "12345"),
    Reason("sort_code_placeholder", "The sort code is a placeholder.", LANDING, "000000"),
    Reason("account_number_missing", "The record has no account number.", LANDING, ""),
    Reason("account_number_format", "The account number holds something other than digits.", PAYUK, "1.2E+07"),
    Reason("account_number_length", "The account number does not have eight digits.", PAYUK, "1234567"),
    Reason("account_number_placeholder", "The account number is a placeholder.", LANDING, "00000000"),
    Reason("counterparty_sort_code_format", "The counterparty's sort code is not six digits.", PAYUK, "12345"),
    Reason("counterparty_sort_code_placeholder", "The counterparty's sort code is a placeholder.", LANDING, "000000"),
    Reason("counterparty_account_format", "The counterparty's account number holds something other than digits.", PAYUK, "1234567X"),
    Reason("counterparty_account_length", "The counterparty's account number does not have eight digits.", PAYUK, "1234567"),
    Reason("counterparty_account_placeholder", "The counterparty's account number is a placeholder.", LANDING, "00000000"),
    Reason("counterparty_iban_format", "The IBAN is not two letters, two digits and up to 30 letters and digits.", ISO13616, "GB29-NWBK"),
    Reason("counterparty_iban_country", "No country with this code has IBANs.", ISO13616, "US64 …"),
    Reason("counterparty_iban_length", "The IBAN is not as long as its country's IBANs are.", ISO13616, "GB29NWBK6016133192681"),
    Reason("counterparty_iban_structure", "The IBAN has a letter where its country has a digit, or the reverse.", ISO13616, "GB29 1234 …"),
    Reason("counterparty_iban_checksum", "The IBAN's check digits are wrong.", ISO13616, "GB28NWBK60161331926819"),
    Reason("counterparty_iban_mismatch", "The GB IBAN names another account than the record's counterparty columns.", LANDING, ""),
    Reason("modulus_failed", "The account number cannot belong to the sort code (modulus check).", PAYUK, "089999 66374959"),
    Reason(
        "counterparty_modulus_failed",
        "The counterparty's account number cannot belong to its sort code (modulus check).",
        PAYUK,
        "107999 88837493",
    ),
    Reason("amount_missing", "The record has no amount.", LANDING, ""),
    Reason("amount_format", "The amount is not a plain decimal number.", LANDING, "1,234.56 or 1E5 or NaN"),
    Reason("amount_precision", "The amount has more decimals than its currency.", ISO4217, "1.234 GBP or 1.5 JPY"),
    Reason("amount_range", "The amount has more than 15 digits in minor units.", LANDING, "99999999999999999.00"),
    Reason("currency_missing", "The record has no currency.", LANDING, ""),
    Reason("currency_format", "The currency is not three capital letters.", ISO4217, "gbp"),
    Reason("currency_unknown", "No currency has this code.", ISO4217, "GBX"),
    Reason("currency_withdrawn", "The currency was withdrawn.", ISO4217, "DEM"),
    Reason("currency_not_money", "The code is a metal, a fund, a test or no currency at all.", ISO4217, "XXX"),
    Reason("country_missing", "The record has no country.", LANDING, ""),
    Reason("country_format", "The country is not two capital letters.", ISO3166, "gb"),
    Reason("country_unknown", "No country has this code.", ISO3166, "UK"),
    Reason("channel_unknown", "The channel is not one of the landing contract's.", LANDING, "PIGEON"),
    Reason("mcc_format", "The merchant category code is not four digits.", ISO18245, "541"),
    Reason("mcc_unknown", "No merchant category has this code.", ISO18245, "0001"),
    Reason("description_control", "The description holds a control or bidirectional character.", UNICODE, "a\\u202eb", Severity.WARN),
    Reason(
        "amount_channel_limit",
        "The amount is larger than its channel could carry on that day.",
        "Pay.UK, Faster Payment System transaction limits",
        "1000000.01 GBP by FPS in 2026",
        Severity.WARN,
    ),
    Reason(
        "description_reference_characters",
        "The reference of a Bacs or Faster Payment has a character that their sets do not have.",
        STANDARD18,
        "rent (June)",
        Severity.WARN,
    ),
    Reason(
        "description_reference_length",
        "The reference of a Bacs or Faster Payment is longer than 18 characters.",
        STANDARD18,
        "STANDING ORDER JUNE 2026",
        Severity.WARN,
    ),
    # Identifiers of other feeds: checked by the same kind of function, and in no column of the landing contract
    Reason("bic_format", "The BIC holds something other than capital letters and digits.", ISO9362, "nwbkgb2l", landing=False),
    Reason("bic_length", "The BIC does not have eight or eleven characters.", ISO9362, "NWBKGB2", landing=False),
    Reason("bic_country", "No country has the code in the BIC.", ISO9362, "NWBKUK2L", landing=False),
    Reason("bic_test", "The BIC is a test BIC.", ISO9362, "NWBKGB20", Severity.WARN, landing=False),
    Reason("lei_format", "The LEI is not capital letters and digits with two digits at the end.", ISO17442, "lei", landing=False),
    Reason("lei_length", "The LEI does not have twenty characters.", ISO17442, "213800WAVVOPS85N22", landing=False),
    Reason("lei_checksum", "The LEI's check digits are wrong.", ISO17442, "213800WAVVOPS85N2201", landing=False),
    Reason(
        "roll_number_format",
        "The roll number is not 1 to 18 capital letters, digits, spaces, full stops, solidi and hyphens.",
        STANDARD18,
        "cxj_k6",
        Severity.WARN,
        landing=False,
    ),
    Reason(
        "roll_number_society",
        "The roll number is not written as the society's are.",
        "Bacs, Crediting and debiting building society accounts",
        "12345 at Dudley Building Society",
        Severity.WARN,
        landing=False,
    ),
    Reason("postcode_format", "The postcode is not written as UK postcodes are.", BS7666, "CV1 5F", landing=False),
)

CODES = tuple(reason.code for reason in REASONS)
OF_UNREADABLE = frozenset(CODES[: CODES.index("transaction_id_missing")])
"""Why a record cannot be read at all: it has these and no others."""
_NUMBERS = {reason.code: number for number, reason in enumerate(REASONS, start=1)}


def number_of(code: str) -> int:
    """The number by which kernels know ``code``: 1 to 255."""
    return _NUMBERS[code]


def code_of(number: int) -> str:
    """The code behind a kernel's number."""
    return CODES[number - 1]


def reason_of(code: str) -> Reason:
    """All that is known of ``code``."""
    return REASONS[_NUMBERS[code] - 1]


@cache
def fault_numbers(field: str, *faults: str) -> Codes:
    """The numbers of a field's faults, for a kernel that counts faults from 1: entry 0 is 0, "nothing to object".

    Kernels get numbers only this way, as an argument, so that one kernel serves several fields. ``missing`` is no fault of a
    field that may be empty: its number is 0 there.
    """
    codes = [f"{field}_{fault}" for fault in faults]
    numbers = [0 if code.endswith("_missing") and code not in _NUMBERS else _NUMBERS[code] for code in codes]
    return np.array([0, *numbers], dtype=np.uint8)
