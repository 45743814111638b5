"""What the service answers is what the batch writes when it has loaded the service's journal: to the bit."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from app.contracts.lake import ALERTS, SCORES, SILVER
from app.detection.pack import OF_ACCOUNTS
from serve.access import INSECURE_LOCAL
from serve.service import Service
from serve.settings import settings_of
from tests.support.lake import rows
from tests.support.served import Record, Week, body, load_journal, week

Answer = dict[str, Any]
Result = TypeVar("Result")
LATER = 4_000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Week, dict[str, Answer]]:
    """Four thousand payments asked about, some alone and some by the hundred, some again, with a restart midway; then in the lake."""
    bank = week(tmp_path_factory.mktemp("bank"), 20_000, LATER)
    answers: dict[str, Answer] = {}
    half = LATER // 2
    for part in (bank.later[:half], bank.later[half:]):
        with_service(bank.lake, partial(_ask, part, answers))
    load_journal(bank.lake)
    return bank, answers


def with_service(lake: Path, work: Callable[[Service], Awaitable[Result]]) -> Result:
    service = Service(settings_of({"lake": str(lake), "insecure_local": True}))
    try:
        return asyncio.run(_awaited(work(service)))
    finally:
        service.close()


async def _awaited(work: Awaitable[Result]) -> Result:
    return await work


async def score(service: Service, document: bytes) -> Any:
    return json.loads(await service.score(document, INSECURE_LOCAL, "request"))


async def _ask(records: list[Record], answers: dict[str, Answer], service: Service) -> None:
    alone = len(records) // 2
    for record in records[:alone]:
        answer = await score(service, json.dumps(record).encode())
        answers[answer["transaction_id"]] = answer
    for begin in range(alone, len(records), 100):
        part = records[begin : begin + 100]
        found = (await score(service, body(part)))["transactions"]
        assert (await score(service, body(part)))["transactions"] == found
        answers.update({answer["transaction_id"]: answer for answer in found})
    for record in records[:50]:
        assert await score(service, json.dumps(record).encode()) == answers[record["transaction_id"]]


def test_scores_bands_and_reasons_are_the_batchs(served: tuple[Week, dict[str, Answer]]) -> None:
    bank, answers = served
    written = {row["transaction_id"]: row for row in rows(bank.lake, SCORES)}
    assert len(answers) == LATER
    assert len({answer["band"] for answer in answers.values()}) == 3
    for name, answer in answers.items():
        row = written[name]
        assert answer["score"].hex() == row["score"].hex()
        assert answer["band"] == row["band"]
        assert answer["model_id"] == row["model_id"]
        assert [(reason["code"], reason["sentence"]) for reason in answer["reasons"]] == list(
            zip(row["reasons"], row["sentences"], strict=True)
        )


def test_scenarios_are_the_batchs(served: tuple[Week, dict[str, Answer]]) -> None:
    bank, answers = served
    names = {scenario.name for scenario in OF_ACCOUNTS}
    raised = {
        (row["scenario"], row["fired_by"], row["account"], row["sentence"], tuple(row["evidence"]))
        for row in rows(bank.lake, ALERTS)
        if row["fired_by"] in answers and row["scenario"] in names
    }
    told = {
        (hit["scenario"], name, hit["account"], hit["sentence"], tuple(hit["evidence"]))
        for name, answer in answers.items()
        for hit in answer["scenarios"]
    }
    assert raised
    assert told == raised


def test_nothing_that_the_service_saw_is_missing_from_the_lake(served: tuple[Week, dict[str, Answer]]) -> None:
    bank, answers = served
    assert set(answers) <= {row["transaction_id"] for row in rows(bank.lake, SILVER)}


def test_a_service_that_starts_anew_gives_the_same_answers(served: tuple[Week, dict[str, Answer]]) -> None:
    bank, answers = served

    async def again(service: Service) -> list[Answer]:
        found: list[Answer] = (await score(service, body(bank.later[-200:])))["transactions"]
        return found

    assert with_service(bank.lake, again) == [answers[record["transaction_id"]] for record in bank.later[-200:]]
