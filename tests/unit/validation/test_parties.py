import numpy as np
import pytest

from app.validation import parties
from app.validation.account_number import Account
from tests.support.validation import strings, text

OK = np.zeros(1, dtype=np.uint8)
BAD = np.ones(1, dtype=np.uint8)
OWN = Account(text("112233"), text("12345678"), OK)
NOBODY = Account(text(""), text(""), OK)


@pytest.mark.parametrize(("amount", "own_pays"), [(-1, True), (0, False), (1, False)])
def test_a_negative_amount_leaves_the_own_account(amount: int, own_pays: bool) -> None:
    other = Account(text("445566"), text("87654321"), OK)
    payer, payee = parties.derive(OWN, other, text(""), np.array([amount]))
    own, counterparty = ["112233-12345678"], ["445566-87654321"]
    assert (strings(payer), strings(payee)) == ((own, counterparty) if own_pays else (counterparty, own))


@pytest.mark.parametrize(
    ("account", "iban", "expected"),
    [
        (Account(text("445566"), text("87654321"), OK), "DE89370400440532013000", "445566-87654321"),
        (Account(text("445566"), text(""), OK), "DE89370400440532013000", "DE89370400440532013000"),
        (Account(text(""), text("87654321"), OK), "", ""),
        (Account(text("445566"), text("8765432X"), BAD), "", ""),
        (NOBODY, "GB29NWBK60161331926819", "601613-31926819"),
        (NOBODY, "MT84MALT011000012345MTLCAST001S", "MT84MALT011000012345MTLCAST001S"),
        (NOBODY, "", ""),
    ],
)
def test_the_counterparty_is_the_best_that_is_known(account: Account, iban: str, expected: str) -> None:
    payer, payee = parties.derive(OWN, account, text(iban), np.array([5]))
    assert (strings(payer), strings(payee)) == ([expected], ["112233-12345678"])
