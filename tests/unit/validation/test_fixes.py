"""Rules for bulk corrections: what each makes of a text, and what it leaves alone."""

import pyarrow as pa
import pytest

from app.contracts.landing import NAMES, SCHEMA
from app.errors import UsageError
from app.validation.fixes import RULES, fixed, rule_of


def made(rule: str, column: str, text: str) -> str | None:
    texts = pa.Table.from_pylist([{column: text}], SCHEMA)
    value: str | None = fixed(rule_of(rule), texts)[column][0].as_py()
    return value


@pytest.mark.parametrize(
    ("rule", "column", "text", "expected"),
    [
        ("left-pad-sort-code", "sort_code", "12345", "012345"),
        ("left-pad-sort-code", "counterparty_sort_code", "1234", "001234"),
        ("left-pad-sort-code", "sort_code", "123", None),
        ("left-pad-sort-code", "sort_code", "123456", None),
        ("left-pad-sort-code", "sort_code", "1234X", None),
        ("left-pad-account-number", "account_number", "1234567", "01234567"),
        ("left-pad-account-number", "counterparty_account", "12345", None),
        ("strip-blanks", "country", " GB\u00a0", "GB"),
        ("strip-blanks", "transaction_id", "\ufeffA\u200b1", "A1"),
        ("strip-blanks", "country", "GB", None),
        ("upper-case", "currency", "gbp", "GBP"),
        ("upper-case", "counterparty_iban", "gb29nwbk60161331926819", "GB29NWBK60161331926819"),
        ("upper-case", "currency", "£", None),
        ("country-uk", "country", "UK", "GB"),
        ("country-uk", "country", "UKR", None),
        ("decimal-comma", "amount", "-12,5", "-12.5"),
        ("decimal-comma", "amount", "1,234", None),
        ("decimal-comma", "amount", "1.234,56", None),
        ("thousands-comma", "amount", "-1,234,567.89", "-1234567.89"),
        ("thousands-comma", "amount", "1,234", None),
        ("thousands-comma", "amount", "1,23.00", None),
        ("day-first", "timestamp", "31/01/2026 10:00:00Z", "2026-01-31T10:00:00Z"),
        ("day-first", "timestamp", "01/02/2026 10:00:00Z", None),
    ],
)
def test_a_rule_writes_what_it_knows_and_nothing_else(rule: str, column: str, text: str, expected: str | None) -> None:
    assert made(rule, column, text) == expected


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_is_of_landing_columns_never_of_the_description_and_says_nothing_of_nothing(rule: object) -> None:
    found = rule_of(getattr(rule, "name", ""))
    assert set(found.columns) <= set(NAMES) - {"description"}
    texts = pa.Table.from_pylist([{}, dict.fromkeys(NAMES, "")], SCHEMA)
    assert all(values.null_count == 2 for values in fixed(found, texts).values())


def test_a_rule_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no rule pad; the rules are left-pad-sort-code, "):
        rule_of("pad")
