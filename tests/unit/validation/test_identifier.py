"""Accounts and IBANs as people type them."""

import pytest

from app.contracts.party import account_in
from app.errors import UsageError
from app.validation.identifier import checked


@pytest.mark.parametrize("text", ["990001-10000001", "99-00-01 10000001", " 99 00 01 1000 0001 ", "99000110000001"])
def test_an_account_however_it_is_written(text: str) -> None:
    assert checked(text) == "990001-10000001"


def test_an_iban_however_it_is_written_and_the_account_inside() -> None:
    assert checked("gb82 west 1234 5698 7654 32") == "GB82WEST12345698765432"
    assert account_in("GB82WEST12345698765432") == "123456-98765432"
    assert checked("DE89 3704 0044 0532 0130 00") == "DE89370400440532013000"
    assert account_in("DE89370400440532013000") is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("9900011000001", "13 digits"),
        ("000000-10000001", "sort_code_placeholder"),
        ("990001-00000000", "account_number_placeholder"),
        ("GB82WEST12345698765431", "counterparty_iban_checksum"),
        ("XX82WEST12345698765432", "counterparty_iban_country"),
        ("GB82WEST1234569876543", "counterparty_iban_length"),
        ("ada", "counterparty_iban_format"),
        ("", "neither an account"),
        ("٩٩٠٠٠١١٠٠٠٠٠٠١", "neither an account"),
    ],
)
def test_what_is_neither_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        checked(text)
