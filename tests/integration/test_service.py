"""The service without HTTP, on a lake."""

import asyncio
import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from serve.access import INSECURE_LOCAL
from serve.problems import Problem
from serve.service import Service
from serve.settings import settings_of
from tests.support.landing import record
from tests.support.served import small_lake


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return small_lake(tmp_path)


def service_on(lake: Path) -> Service:
    return Service(settings_of({"lake": str(lake), "insecure_local": True}))


def ask(service: Service, *documents: dict[str, Any]) -> list[dict[str, Any] | Problem]:
    """What those who ask at once are answered."""

    async def all_at_once() -> list[dict[str, Any] | Problem]:
        asked = [service.score(json.dumps(document).encode(), INSECURE_LOCAL, "r") for document in documents]
        found = await asyncio.gather(*asked, return_exceptions=True)
        return [one if isinstance(one, Problem) else json.loads(one) for one in found if isinstance(one, (bytes, Problem))]

    return asyncio.run(all_at_once())


def test_requests_that_come_together_are_one_batch_and_each_gets_its_own_answer(lake: Path) -> None:
    service = service_on(lake)
    new = [{name: value for name, value in record(number).items() if value} for number in range(30, 40)]
    answers = ask(service, *new, {"transactions": new[:3]}, {"transaction_id": "x"})
    assert [answer["transaction_id"] for answer in answers[:10] if isinstance(answer, dict)] == [one["transaction_id"] for one in new]
    assert isinstance(answers[10], dict)
    assert answers[10]["transactions"] == answers[:3]
    assert isinstance(answers[11], dict)
    assert answers[11]["decision"] == "refused"
    assert b"leofric_batch_records_count 1.0" in service.metrics.text()
    service.close()


def test_a_payment_of_the_lake_is_scored_where_it_lies_and_not_taken_in_again(lake: Path) -> None:
    service = service_on(lake)
    (known,) = ask(service, {name: value for name, value in record(5).items() if value})
    assert isinstance(known, dict)
    assert known["decision"] == "scored"
    (other,) = ask(service, {name: value for name, value in record(5, amount="-7.77").items() if value})
    assert isinstance(other, dict)
    assert [reason["code"] for reason in other["reasons"]] == ["transaction_id_conflict"]
    service.close()
    (segment,) = (lake / "journal/payments").iterdir()
    assert len(segment.read_bytes().splitlines()) == 1  # of the conflict: the other one is in the lake


def test_what_cannot_be_put_down_is_not_answered_then_or_later_and_a_new_service_counts_it_once(lake: Path) -> None:
    service = service_on(lake)
    (full := lake / f"journal/payments/_open-{service._journal._name}.ndjson").symlink_to("/dev/full")
    new = {name: value for name, value in record(50).items() if value}
    for _ in range(2):
        (problem,) = ask(service, new)
        assert isinstance(problem, Problem)
        assert problem.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert service.broken == "the journal cannot be written"
    full.unlink()
    service.close()
    service = service_on(lake)
    (answer,) = ask(service, new)
    assert isinstance(answer, dict)
    assert answer["decision"] == "scored"
    service.close()
    assert sum(len(path.read_bytes().splitlines()) for path in (lake / "journal/payments").iterdir()) == 1
