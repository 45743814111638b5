"""A service that lets go of old payments knows what one that starts then knows, and says what it says."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from serve.access import INSECURE_LOCAL
from serve.service import Service
from serve.settings import settings_of
from tests.support.champion import put_into_use
from tests.support.lake import load
from tests.support.landing import Record, record, write_csv

BEFORE, AFTER = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 9, 4, tzinfo=UTC)


def paid(number: int, day: str, account: str, pounds: str = "-5.00", currency: str = "GBP") -> Record:
    return record(number, timestamp=f"{day}T10:00:00Z", account_number=account, amount=pounds, currency=currency, channel="")


OLD = [
    paid(1, "2026-01-01", "10000001"),
    paid(2, "2026-01-03", "10000001", "7.00"),
    paid(3, "2026-01-20", "10000002"),
    paid(4, "2026-01-21", "10000003", currency="EUR"),
    paid(5, "2026-01-22", "10000004"),
]
NEW = [paid(6, "2026-03-10", "10000002"), *(paid(number, "2026-09-02", "10000005") for number in range(7, 16))]
WAKES = paid(50, "2026-09-03", "10000001", "-6000.00")
AWAKE = paid(51, "2026-09-03", "10000002", "-6000.00")


@pytest.fixture
def services(tmp_path: Path) -> Iterator[tuple[Service, Service]]:
    """One that followed the lake for half a year, and one that starts now."""
    lake, now = tmp_path / "lake", [BEFORE]
    lake.mkdir()
    write_csv(tmp_path / "old" / "a.csv", OLD)
    load(tmp_path / "old", lake, now=BEFORE)
    put_into_use(lake)
    service = Service(settings_of({"lake": str(lake), "insecure_local": True, "journal": str(tmp_path / "one")}), lambda: now[0])
    write_csv(tmp_path / "new" / "b.csv", NEW)
    load(tmp_path / "new", lake, now=AFTER)
    now[0] = AFTER

    async def follow() -> None:
        await service._follow_payments(asyncio.get_running_loop())
        await service._trim(asyncio.get_running_loop())

    asyncio.run(follow())
    fresh = Service(settings_of({"lake": str(lake), "insecure_local": True, "journal": str(tmp_path / "two")}), lambda: AFTER)
    yield service, fresh
    service.close()
    fresh.close()


def ask(service: Service, payment: Record) -> dict[str, Any]:
    document = json.dumps({name: value for name, value in payment.items() if value}).encode()
    answer: dict[str, Any] = json.loads(asyncio.run(service.score(document, INSECURE_LOCAL, "r")))
    return answer


def test_what_a_service_lets_go_of_is_what_one_that_starts_then_does_not_read(services: tuple[Service, Service]) -> None:
    trimmed, fresh = services
    assert len(trimmed._engine.histories) == len(fresh._engine.histories) == len(NEW)
    assert trimmed._engine.histories.parties == fresh._engine.histories.parties
    assert trimmed._engine._begins_us == fresh._engine._begins_us is not None
    assert trimmed._engine.earlier == fresh._engine.earlier
    assert set(trimmed._engine.earlier) == {"990001-10000001", "990001-10000004"}


def test_it_says_what_that_one_says_and_a_dormant_account_that_wakes_is_known(services: tuple[Service, Service]) -> None:
    for payment, scenarios in ((WAKES, ["dormant"]), (AWAKE, []), (paid(52, "2026-03-20", "10000005"), [])):
        one, other = (ask(service, payment) for service in services)
        assert one == other
        assert [found["scenario"] for found in one["scenarios"] if found["scenario"] == "dormant"] == scenarios
        assert one["history_complete"] is (payment["timestamp"] > "2026-09-01")


def test_a_payment_dated_in_the_future_makes_nothing_old(tmp_path: Path) -> None:
    (lake := tmp_path / "lake").mkdir()
    write_csv(tmp_path / "landing" / "a.csv", [*OLD, paid(9, "2026-02-09", "10000001")])
    load(tmp_path / "landing", lake)
    put_into_use(lake)
    service = Service(settings_of({"lake": str(lake), "insecure_local": True}), lambda: datetime(2026, 6, 1, tzinfo=UTC))
    ask(service, paid(60, "2027-01-01", "10000001"))
    count = len(service._engine.histories)

    async def trim() -> None:
        await service._trim(asyncio.get_running_loop())

    asyncio.run(trim())
    assert len(service._engine.histories) == count
    service.close()
