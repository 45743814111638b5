"""Answers without names."""

import orjson
import pytest

from serve.sides import hidden, is_hidden, shown

PAYER, PAYEE = "990001-10000001", "990002-20000002"


def answer(*accounts: str | None) -> bytes:
    hits = [{"scenario": "velocity", "account": account, "sentence": "3 payments left", "evidence": ["a"]} for account in accounts]
    return orjson.dumps({"transaction_id": "a", "score": 0.1 + 0.2, "scenarios": hits, "model_id": "m"})


@pytest.mark.parametrize("accounts", [(), (PAYER,), (PAYEE,), (PAYER, PAYEE, PAYER)])
def test_an_answer_is_again_what_it_was_once_its_payment_is_known(accounts: tuple[str, ...]) -> None:
    given = answer(*accounts)
    kept = hidden(given, PAYER, PAYEE)
    assert PAYER.encode() not in kept
    assert PAYEE.encode() not in kept
    read = orjson.loads(kept)
    assert is_hidden(read) is bool(accounts)
    assert shown(read, PAYER, PAYEE) == given


def test_of_a_payment_to_itself_the_account_comes_back() -> None:
    assert shown(orjson.loads(hidden(answer(PAYER), PAYER, PAYER)), PAYER, PAYER) == answer(PAYER)


def test_an_account_that_is_no_side_is_left_out() -> None:
    kept = hidden(answer("990009-99999999"), PAYER, None)
    assert kept == answer(None)
    assert is_hidden(orjson.loads(kept))


def test_an_answer_with_names_is_not_taken_for_one_without() -> None:
    assert not is_hidden(orjson.loads(answer(PAYER)))
