"""What the service hears of while it runs, and what it knows of accounts that have been silent for longer than it looks back."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from app.contracts.lake import ALERTS
from app.features import outcomes
from app.lake.storage import Storage
from app.settings import Settings
from pipelines.cli import app
from pipelines.executor import InProcess
from pipelines.progress import Silent
from pipelines.score import score
from serve.access import INSECURE_LOCAL
from serve.service import Service
from serve.settings import settings_of
from tests.support.champion import put_into_use
from tests.support.lake import load, rows
from tests.support.landing import Record, record, write_csv
from tests.support.served import load_journal

FOLLOW_SECONDS = 0.05


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    folder = tmp_path / "lake"
    folder.mkdir()
    return folder


def loaded(lake: Path, name: str, *records: Record) -> None:
    write_csv(lake.parent / name / "a.csv", records)
    load(lake.parent / name, lake)


def service_on(lake: Path) -> Service:
    return Service(settings_of({"lake": str(lake), "insecure_local": True, "follow_seconds": FOLLOW_SECONDS}))


def asked(payment: Record) -> bytes:
    return json.dumps({name: value for name, value in payment.items() if value}).encode()


async def following(service: Service, happened: Any) -> None:
    """Let the service follow the lake until something has happened."""
    task = asyncio.get_running_loop().create_task(service.follow())
    for _ in range(400):
        await asyncio.sleep(FOLLOW_SECONDS)
        if happened():
            break
    task.cancel()
    assert happened()


def test_what_analysts_decide_while_the_service_runs_is_known_to_it_soon(lake: Path, tmp_path: Path) -> None:
    loaded(lake, "landing", record(1, timestamp="2026-01-01T09:00:00Z", amount="-5.00"), record(2, timestamp="2026-01-02T09:00:00Z"))
    put_into_use(lake)
    service = service_on(lake)
    later = record(1, transaction_id="later", timestamp="2026-03-01T09:00:00Z", amount="-6.00")
    (tmp_path / "labels.csv").write_text("transaction_id,is_suspicious,typology\nT000001,1,mule\n")

    async def day() -> None:
        await service.score(asked(later), INSECURE_LOCAL, "r")
        ran = CliRunner().invoke(app, ["feedback", "import", str(tmp_path / "labels.csv"), "--lake", str(lake)])
        assert ran.exit_code == 0, ran.output
        await following(service, lambda: service._seen.feedback > before)

    before = service._seen.feedback
    asyncio.run(day())
    last = np.array([len(service._engine.histories) - 1])
    judged = service._engine.histories.told(last).judged[0].tolist()
    assert judged[outcomes.OF_PAYER[0]] == 1  # the payer's one payment before was suspicious, and so was its one to the payee
    service.close()


def test_payments_that_a_run_loads_while_the_service_runs_are_known_to_it_soon(lake: Path) -> None:
    loaded(lake, "landing", record(1))
    put_into_use(lake)
    service = service_on(lake)
    loaded(lake, "more", record(2), record(3))
    asyncio.run(following(service, lambda: len(service._engine.histories) == 3))
    service.close()


def test_an_account_that_was_silent_for_longer_than_the_service_looks_back_wakes_as_it_does_in_the_batch(lake: Path) -> None:
    dormant = {"sort_code": "990001", "account_number": "10000099"}
    loaded(
        lake,
        "landing",
        record(1, timestamp="2025-01-10T09:00:00Z", **dormant),
        record(2, timestamp="2025-01-11T09:00:00Z"),
        *(record(number, timestamp=f"2025-12-0{number - 2}T09:00:00Z", account_number="10000055") for number in range(3, 6)),
    )
    put_into_use(lake)
    score(Storage(str(lake)), Settings(), InProcess(), Silent())  # so that the next scoring looks back no further than it must
    service = service_on(lake)
    wakes = record(1, transaction_id="wakes", timestamp="2025-12-04T09:00:00Z", amount="-6000.00", **dormant)
    new = record(1, transaction_id="new", timestamp="2025-12-04T09:00:00Z", amount="-6000.00", account_number="10000098")
    found = [json.loads(asyncio.run(service.score(asked(payment), INSECURE_LOCAL, "r"))) for payment in (wakes, new)]
    service.close()
    assert [[hit["scenario"] for hit in answer["scenarios"]] for answer in found] == [["dormant"], []]
    load_journal(lake)
    (alert,) = [row for row in rows(lake, ALERTS) if row["scenario"] == "dormant"]
    (hit,) = found[0]["scenarios"]
    assert (alert["fired_by"], alert["sentence"], alert["account"]) == ("wakes", hit["sentence"], hit["account"])
