"""A restricted person's values are hidden wherever they stand, and nobody else's."""

import pyarrow as pa
import pytest

from app.compliance.access import EVERYTHING, Clearance, visible
from app.compliance.masking import STARS, token, token_key
from app.compliance.restriction import Restricted
from app.compliance.roles import Role
from app.contracts.lake import ALERTS, BRONZE, CHANNEL_DAILY, QUARANTINE, SILVER

KEY = bytes(range(16))
IBAN, GB_IBAN = "DE89370400440532013000", "GB82WEST12345698765432"


def restricted(*parties: str, records: frozenset[tuple[str, int]] = frozenset()) -> Restricted:
    return Restricted(frozenset(token(party.encode(), token_key(KEY)) for party in parties), records)


def seen(rows: list[dict[str, object]], contract: object, *parties: str, roles: tuple[Role, ...] = ()) -> list[dict[str, object]]:
    clearance = Clearance(visible(roles) if roles else EVERYTHING, KEY, restricted(*parties))
    return clearance.of_rows(rows, contract)  # type: ignore[arg-type]


PAYMENT: dict[str, object] = {
    "sort_code": "990001",
    "account_number": "10000001",
    "counterparty_sort_code": "990002",
    "counterparty_account": "20000001",
    "counterparty_iban": None,
    "payer": "990001-10000001",
    "payee": "990002-20000001",
    "description": "rent",
    "amount_minor": -100,
}


def test_of_a_payment_the_persons_side_and_the_text_are_hidden_and_the_other_side_is_not() -> None:
    (row,) = seen([PAYMENT], SILVER, "990001-10000001")
    assert row == PAYMENT | {"account_number": STARS, "payer": STARS, "description": STARS}
    (row,) = seen([PAYMENT], SILVER, "990002-20000001")
    assert row == PAYMENT | {"counterparty_account": STARS, "payee": STARS, "description": STARS}


def test_other_peoples_payments_and_accounts_of_other_banks_with_the_same_number_are_seen() -> None:
    assert seen([PAYMENT], SILVER, "990003-10000001", "990001-20000001") == [PAYMENT]


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.ANALYST, Role.REVIEWER, Role.APPROVER, Role.AUDITOR])
def test_for_every_role(role: Role) -> None:
    (row,) = seen([PAYMENT], SILVER, "990001-10000001", roles=(role,))
    assert (row["account_number"], row["payer"], row["description"]) == (STARS, STARS, STARS)


def test_in_bronze_however_the_sort_code_and_the_iban_are_written() -> None:
    raw: dict[str, object] = {"sort_code": "99-00-01", "account_number": "10000001", "counterparty_iban": "", "description": "rent"}
    assert seen([raw], BRONZE, "990001-10000001")[0]["account_number"] == STARS
    raw = raw | {"counterparty_iban": "DE89 3704 0044 0532 0130 00"}
    assert seen([raw], BRONZE, IBAN)[0] == raw | {"counterparty_iban": STARS, "description": STARS}
    raw = raw | {"counterparty_iban": "GB82 WEST 1234 5698 7654 32"}
    assert seen([raw], BRONZE, "123456-98765432")[0]["counterparty_iban"] == STARS


def test_an_alert_on_an_account_with_its_sentence() -> None:
    alert: dict[str, object] = {"alert_id": "a" * 32, "account": IBAN, "sentence": f"{IBAN} paid twelve times", "scenario": "velocity"}
    assert seen([alert], ALERTS, IBAN) == [alert | {"account": STARS, "sentence": STARS}]


def test_a_record_that_nobody_can_read_is_known_by_its_place() -> None:
    rows: list[dict[str, object]] = [{"raw_record": b"x", "source_sha256": "ab", "record_number": number} for number in (1, 2)]
    clearance = Clearance(EVERYTHING, KEY, restricted(records=frozenset({("ab", 2)})))
    assert [row["raw_record"] for row in clearance.of_rows(rows, QUARANTINE)] == [b"x", None]


def test_nulls_stay_nulls_and_types_stay_types() -> None:
    rows = [PAYMENT | {"description": None}, PAYMENT | {"sort_code": "990009", "payer": None}]
    table = pa.Table.from_pylist(rows, pa.schema([one for one in SILVER.schema if one.name in PAYMENT]))
    found = Clearance(EVERYTHING, KEY, restricted("990001-10000001")).of(table, SILVER)
    assert found.schema.types == table.schema.types
    assert found["description"].to_pylist() == [None, "rent"]
    assert found["account_number"].to_pylist() == [STARS, "10000001"]


def test_a_table_of_nobody_is_seen_whole_and_one_with_people_is_not() -> None:
    clearance = Clearance(EVERYTHING, KEY, restricted("990001-10000001"))
    assert clearance.sees_all_of(CHANNEL_DAILY)
    assert not clearance.sees_all_of(SILVER)
    assert Clearance(EVERYTHING, KEY).sees_all_of(SILVER)
