"""What is shown of alerts in a backtest, of a payment's way, and of records, to somebody who does not see everything."""

from typing import Any

import pytest

from app.compliance.access import EVERYTHING, Clearance, visible
from app.compliance.masking import STARS, token, token_key
from app.compliance.roles import Role
from app.contracts.lake import SILVER
from app.errors import UsageError
from app.review.seen import record_seen
from pipelines.backtest import as_seen
from pipelines.seen_records import way_seen

KEY = bytes(range(16))
ANALYST, AUDITOR = (Clearance(visible({role}), KEY) for role in (Role.ANALYST, Role.AUDITOR))
WHOLE = Clearance(EVERYTHING, KEY)
TRACED: dict[str, Any] = {
    "transaction_id": "T1",
    "ways": [],
    "features": None,
    "scores": [],
    "shadow_scores": [],
    "alerts": [],
    "gold": {"gold/account_daily": [{"sort_code": "990001", "account_number": "12345678", "transactions": 3}]},
    "feedback": [],
    "answers": [{"transaction_id": "T1", "at": "now", "answer": {"sentences": ["to 12345678"]}}],
}


def tok(value: str) -> str:
    return token(value.encode(), token_key(KEY))


def test_a_backtests_examples_are_alerts_as_they_may_be_seen() -> None:
    account, sentence = "990001-12345678", "990001-12345678 paid 14 times"
    alert = {"account": account, "reason": "velocity_payments", "sentence": sentence, "evidence": ["T1", "T2"]}
    found = {"scenario": "velocity", "just_above": [alert], "just_below": []}
    assert as_seen(found, WHOLE) == found
    seen = alert | {"account": tok(account), "sentence": tok(sentence)}
    assert as_seen(found, ANALYST) == found | {"just_above": [seen]}
    assert as_seen(found, AUDITOR)["just_above"] == [alert | {"account": STARS, "sentence": STARS}]


def test_figures_of_an_account_and_answers_of_the_service_are_masked_in_a_way() -> None:
    assert way_seen(TRACED, WHOLE) == TRACED
    found = way_seen(TRACED, ANALYST)
    assert found["gold"]["gold/account_daily"] == [{"sort_code": "990001", "account_number": tok("12345678"), "transactions": 3}]
    assert found["answers"] == [{"transaction_id": "T1", "answer": STARS}]


def test_a_correction_that_leaves_a_record_out_has_nothing_to_mask() -> None:
    shown = {"raw": "a,b", "texts": None, "correction": None, "decisions": [{"act": "proposed", "correction": {"description": "secret"}}]}
    assert record_seen(shown, AUDITOR) == {
        "raw": STARS,
        "texts": None,
        "correction": None,
        "decisions": [{"act": "proposed", "correction": {"description": STARS}}],
    }


def test_a_column_that_no_contract_has_is_shown_to_nobody() -> None:
    for clearance in (WHOLE, ANALYST):
        with pytest.raises(UsageError, match="has no column nickname"):
            clearance.of_rows([{"transaction_id": "T1", "nickname": "Joe"}], SILVER)
