"""A table of landing texts, judged: typed columns, and for each row every rule that it breaks.

A rule is a name in RULES and an array of reason numbers, one a row. A new rule family is a module beside this one, its name
in RULES and its call in ``validate``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.columns import Mask, Text, from_arrow, to_arrow
from app.contracts.amount_form import AmountForm
from app.contracts.lake import TYPED_SCHEMA
from app.contracts.landing import NAMES
from app.contracts.reasons import CODES, REASONS, Codes, Severity, fault_numbers, number_of
from app.lineage.graph import How, Parts
from app.reference.modulus import WeightTable
from app.reference.zones import zone_of
from app.validation import (
    account_number,
    amount,
    amount_form,
    channel,
    country,
    currency,
    description,
    iban,
    merchant_category,
    modulus,
    parties,
    scheme,
    sort_code,
    timestamp,
    transaction_id,
)
from app.validation.modulus import Results

RULES = (
    "transaction_id",
    "timestamp",
    "sort_code",
    "account_number",
    "counterparty_sort_code",
    "counterparty_account",
    "counterparty_iban",
    "counterparty_iban_mismatch",
    "modulus",
    "counterparty_modulus",
    "amount",
    "currency",
    "channel",
    "country",
    "description",
    "merchant_category",
    "channel_limit",
    "reference_characters",
    "reference_length",
)
_OWN, _OTHER = ("sort_code", "account_number"), ("counterparty_sort_code", "counterparty_account", "counterparty_iban")
_PARTIES: Final[Parts] = {How.TRANSFORMATION: (*_OWN, *_OTHER), How.CONDITIONAL: ("amount",)}
MADE_OF: Final[Mapping[str, Parts]] = {
    "booked_at": {How.TRANSFORMATION: ("timestamp",)},
    "booking_date": {How.TRANSFORMATION: ("timestamp",)},
    "sort_code": {How.TRANSFORMATION: ("sort_code",)},
    "counterparty_sort_code": {How.TRANSFORMATION: ("counterparty_sort_code",)},
    "counterparty_iban": {How.TRANSFORMATION: ("counterparty_iban",)},
    "amount_minor": {How.TRANSFORMATION: ("amount", "currency")},
    "payer": _PARTIES,
    "payee": _PARTIES,
    "account_check": {How.TRANSFORMATION: _OWN},
    "counterparty_check": {How.TRANSFORMATION: _OTHER},
}
"""What each column that validation makes is made of, in landing columns; one that is not named is the landing column of its name.

``tests/property/test_lineage.py`` changes each landing column and holds what changes to this.
"""
_REJECTS = np.array([False, *(reason.severity is Severity.REJECT for reason in REASONS)])
_REASON_TYPE = pa.list_(pa.field("element", pa.string()))


@dataclass(frozen=True)
class Validated:
    """What validation says of n records, in their order.

    ``typed`` has ``contracts.lake.TYPED_SCHEMA``. A rejected row's values there mean nothing, except amount_minor and currency
    where ``readable``. Nulls stand only where the landing contract lets a value be empty.
    """

    typed: pa.Table
    codes: tuple[Codes, ...]  # one array a rule, in the order of RULES; 0 is "nothing to object"
    account_checks: Results  # what the modulus check says of the booked account, as validation.modulus numbers it
    counterparty_checks: Results  # and of the counterparty's
    rejected: Mask  # at least one reason of severity REJECT
    readable: Mask  # the amount could be read in minor units of its currency, whatever else is wrong
    texts: Mapping[str, Text]  # the landing columns as they came
    canonical: Mapping[str, Text]  # the texts of ``typed``
    booked_at: npt.NDArray[np.int64]  # as ``typed`` has it, in µs since 1970
    amount_minor: npt.NDArray[np.int64]  # as ``typed`` has it

    @property
    def filled(self) -> dict[str, int]:
        """For each landing column, how many records have a value."""
        return {name: int(np.count_nonzero(np.diff(self.texts[name].offsets))) for name in NAMES}


def validate(
    columns: pa.Table, zone: str | None = None, weights: WeightTable | None = None, amounts: AmountForm | None = None
) -> Validated:
    """Judge every record of ``columns`` (``contracts.landing.SCHEMA``).

    ``zone`` is the IANA name of the zone that the source declared for timestamps without one; UsageError if there is no such
    zone. ``weights`` is the modulus weight table; without one no account is checked. ``amounts`` is the
    form that the source declared for amounts, if they are not written as the contract has it. The same call serves a million rows and one.
    """
    texts = {name: from_arrow(columns[name]) for name in NAMES}
    codes: dict[str, Codes] = {}
    codes["transaction_id"] = transaction_id.check(texts["transaction_id"])
    instants, codes["timestamp"] = timestamp.check(texts["timestamp"], None if zone is None else zone_of(zone))
    own_sort_code, codes["sort_code"] = sort_code.check(texts["sort_code"], "sort_code")
    codes["account_number"] = account_number.check(texts["account_number"], "account_number")
    other_sort_code, codes["counterparty_sort_code"] = sort_code.check(texts["counterparty_sort_code"], "counterparty_sort_code")
    codes["counterparty_account"] = account_number.check(texts["counterparty_account"], "counterparty_account")
    other_iban, codes["counterparty_iban"] = iban.check(texts["counterparty_iban"])
    own = account_number.Account(own_sort_code, texts["account_number"], codes["account_number"])
    other = account_number.Account(other_sort_code, texts["counterparty_account"], codes["counterparty_account"])
    codes["counterparty_iban_mismatch"] = iban.mismatches(other_iban, other)
    account_checks = modulus.check(own.sort_code, own.number, weights)
    account_checks[own.number_codes != 0] = modulus.NOT_CHECKED  # a placeholder has eight digits, too
    counterparty_checks = modulus.check(*iban.account_named(other_iban, other), weights)
    codes["modulus"] = _failed(account_checks, "modulus")
    codes["counterparty_modulus"] = _failed(counterparty_checks, "counterparty_modulus")
    exponents, codes["currency"] = currency.check(texts["currency"], instants.booking_date)
    written = texts["amount"] if amounts is None else amount_form.plain(texts["amount"], amounts)
    amount_minor, codes["amount"] = amount.check(written, exponents)
    codes["channel"] = channel.check(texts["channel"])
    codes["country"] = country.check(texts["country"])
    codes["description"] = description.check(texts["description"])
    codes["merchant_category"] = merchant_category.check(texts["merchant_category"])
    codes["channel_limit"] = scheme.check_limit(texts["channel"], texts["currency"], amount_minor, instants.booking_date)
    codes["reference_characters"], codes["reference_length"] = scheme.check_reference(texts["channel"], texts["description"])
    payer, payee = parties.derive(own, other, other_iban, amount_minor)

    in_order = tuple(codes[rule] for rule in RULES)
    rejected = np.zeros(columns.num_rows, dtype=np.bool_)
    for rule_codes in in_order:
        if rule_codes.any():  # most rules object to nothing, and one record is judged as often as a million
            objected = np.flatnonzero(rule_codes)
            rejected[objected] |= _REJECTS[rule_codes[objected]]
    canonical = texts | {
        "sort_code": own_sort_code,
        "counterparty_sort_code": other_sort_code,
        "counterparty_iban": other_iban,
        "payer": payer,
        "payee": payee,
    }
    numbers: dict[str, npt.NDArray[np.signedinteger]] = {
        "booked_at": instants.booked_at,
        "booking_date": instants.booking_date,
        "amount_minor": amount_minor,
    }
    return Validated(
        typed=_typed(canonical, numbers),
        codes=in_order,
        account_checks=account_checks,
        counterparty_checks=counterparty_checks,
        rejected=rejected,
        readable=(codes["amount"] == 0) & (exponents >= 0),
        texts=texts,
        canonical=canonical,
        booked_at=instants.booked_at,
        amount_minor=amount_minor,
    )


def _failed(results: Results, rule: str) -> Codes:
    """The rule's reason where the modulus check failed."""
    failed: Codes = (results == modulus.INVALID).astype(np.uint8) * fault_numbers(rule, "failed")[1]
    return failed


def _typed(texts: dict[str, Text], numbers: dict[str, npt.NDArray[np.signedinteger]]) -> pa.Table:
    arrays = []
    for column in TYPED_SCHEMA:
        if column.name in numbers:
            values = numbers[column.name]
            arrays.append(pa.Array.from_buffers(column.type, len(values), [None, pa.py_buffer(values)]))
        else:
            text = texts[column.name]
            if text.offsets[0] == text.offsets[-1]:  # nobody has a value: a column of a later version, in files of an older one
                arrays.append(pa.nulls(len(text), column.type))
                continue
            empty = text.offsets[1:] == text.offsets[:-1]
            arrays.append(to_arrow(text, empty if empty.any() else None))
    return pa.Table.from_arrays(arrays, schema=TYPED_SCHEMA)


def reasons(validated: Validated, rows: npt.NDArray[np.int64]) -> pa.ListArray:
    """Every reason to reject each of those rows, in the order of RULES: lists of codes, empty for an accepted row."""
    numbers = np.stack([rule_codes[rows] for rule_codes in validated.codes], axis=1)
    rejecting = _REJECTS[numbers]
    offsets = np.zeros(len(rows) + 1, dtype=np.int32)
    np.cumsum(np.count_nonzero(rejecting, axis=1), out=offsets[1:])
    codes = pa.array(CODES, pa.string()).take(pa.array(numbers[rejecting] - 1))
    return pa.ListArray.from_arrays(pa.array(offsets), codes, type=_REASON_TYPE)


def inconsistent(validated: Validated) -> Mask:
    """True where fields contradict each other: an amount and its currency, or an IBAN and the account beside it."""
    by_rule = dict(zip(RULES, validated.codes, strict=True))
    contradicts: Mask = (by_rule["amount"] == number_of("amount_precision")) | (by_rule["counterparty_iban_mismatch"] != 0)
    return contradicts
