"""A challenger on the service's traffic: answers, results in the lake, and how it is taken away again."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake.exceptions import CommitFailedError

from app.contracts.lake import SHADOW_SCORES
from app.lake import delta, layout
from app.lake.rollouts import CANARY, SHADOW
from models.rollout import in_share
from pipelines import models
from pipelines.rollouts import Limits, shown, stop
from serve import shadow
from serve.access import INSECURE_LOCAL
from serve.service import Service
from serve.settings import settings_of
from tests.support.challenger import DRIFTED, FAILING, GOOD, RANKER, past, tried
from tests.support.champion import NOW, forest
from tests.support.lake import asked, load, opened, rows
from tests.support.landing import record, records, write_csv
from tests.support.served import small_lake

CHAMPION = forest()[0].model_id
NEW = [{name: value for name, value in record(number).items() if value} for number in range(30, 90)]
NAMES = [one["transaction_id"] for one in NEW]
Answer = dict[str, Any]


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return small_lake(tmp_path)


def service_on(lake: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Service:
    return Service(settings_of({"lake": str(lake), "insecure_local": True, "follow_seconds": 0.01}), clock)


def ask(service: Service, records: list[dict[str, str]]) -> list[Answer]:
    body = json.dumps({"transactions": records}).encode()
    return list(json.loads(asyncio.run(service.score(body, INSECURE_LOCAL, "r")))["transactions"])


def follow_until(service: Service, reached: Callable[[], bool]) -> None:
    """Let the service follow the lake until it has seen something."""

    async def following() -> None:
        task = asyncio.create_task(service.follow())
        while not reached():
            assert not task.done()
            await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(following())


def says(service: Service, line: str) -> Callable[[], bool]:
    return lambda: line in service.metrics.text().decode().splitlines()


def without_models(answers: list[Answer]) -> list[Answer]:
    of_models = {"score", "suspicion", "band", "reasons", "model_id", "ranker_id"}
    return [{name: value for name, value in answer.items() if name not in of_models} for answer in answers]


@pytest.fixture
def by_champion(lake: Path) -> list[Answer]:
    """What is answered without a rollout."""
    service = service_on(lake)
    answers = ask(service, NEW)
    service.close()
    for path in (lake / "journal").rglob("*.ndjson"):
        path.unlink()
    return answers


def test_a_canary_answers_its_share_says_so_and_says_the_same_again(lake: Path, by_champion: list[Answer]) -> None:
    number = tried(lake, GOOD, CANARY, 0.4).number
    service = service_on(lake)
    answers = ask(service, NEW[:30]) + [answer for one in NEW[30:] for answer in ask(service, [one])]
    mine = in_share(NAMES, number, 0.4)
    assert 0 < mine.sum() < len(NEW)
    assert [answer["model_id"] for answer in answers] == [GOOD if its else CHAMPION for its in mine]
    assert without_models(answers) == without_models(by_champion)
    assert [answer for answer, its in zip(answers, mine, strict=True) if not its] == [
        answer for answer, its in zip(by_champion, mine, strict=True) if not its
    ]
    assert all(answer["score"] != ours["score"] for answer, ours, its in zip(answers, by_champion, mine, strict=True) if its)
    assert all(bool(answer["reasons"]) == (answer["band"] != "low") for answer in answers)
    assert ask(service, NEW) == answers
    service.close()
    service = service_on(lake)  # a new process has them from the journal
    assert ask(service, NEW) == answers
    service.close()
    held = {row["transaction_id"]: row for row in rows(lake, SHADOW_SCORES)}
    assert len(rows(lake, SHADOW_SCORES)) == len(held) == mine.sum()
    for answer, ours, its in zip(answers, by_champion, mine, strict=True):
        if its:
            row = held[answer["transaction_id"]]
            assert (row["challenger_score"], row["challenger_band"]) == (answer["score"], answer["band"])
            assert (row["champion_score"], row["champion_band"]) == (ours["score"], ours["band"])
            assert (row["answered_by"], row["champion_id"], row["challenger_id"]) == ("challenger", CHAMPION, GOOD)


def test_a_shadow_changes_no_answer_and_its_results_are_in_the_lake_once(
    lake: Path, by_champion: list[Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    number = tried(lake, GOOD, SHADOW, 1.0).number
    service = service_on(lake)
    assert ask(service, [*NEW, NEW[0]]) == [*by_champion, by_champion[0]]
    assert ask(service, NEW) == by_champion
    commit, calls = delta.commit, 0

    def made_but_not_said(*arguments: Any) -> None:
        nonlocal calls
        commit(*arguments)
        calls += 1
        if calls == 1:
            raise CommitFailedError("the answer was lost")

    monkeypatch.setattr(delta, "commit", made_but_not_said)
    monkeypatch.setattr(shadow, "_DUE_ROWS", 1)
    follow_until(service, lambda: calls == 2)
    service.close()
    assert sorted(row["transaction_id"] for row in rows(lake, SHADOW_SCORES)) == NAMES
    found = shown(opened(lake))
    assert (found["payments"], found["errors"], found["answered_by_challenger"], found["ended"]) == (len(NEW), 0, 0, None)
    assert sum(line["payments"] for line in found["bands"]) == len(NEW)
    assert found["drift"] > 0
    said = asked(opened(lake), f"select count(*) as n, max(mode) as mode from gold_shadow_scores where rollout = {number}")
    assert said.to_pylist() == [{"n": len(NEW), "mode": "shadow"}]


def test_a_ranker_is_tried_beside_the_champion_forest(lake: Path, by_champion: list[Answer]) -> None:
    tried(lake, RANKER, CANARY, 1.0)
    service = service_on(lake)
    answers = ask(service, NEW)
    service.close()
    assert [answer["score"] for answer in answers] == [answer["score"] for answer in by_champion]
    assert {(answer["model_id"], answer["ranker_id"]) for answer in answers} == {(CHAMPION, RANKER)}
    (row, *_) = rows(lake, SHADOW_SCORES)
    assert (row["champion_id"], row["champion_score"], row["kind"]) == (None, None, "supervised")
    assert {row["challenger_score"] for row in rows(lake, SHADOW_SCORES)} == {answer["suspicion"] for answer in answers}
    assert shown(opened(lake))["champion_drift"] is None


def test_a_challenger_that_fails_costs_no_request_and_is_rolled_back(lake: Path, by_champion: list[Answer]) -> None:
    tried(lake, FAILING, CANARY, 1.0, Limits(most_errors=0.05, most_drift=100, least=500))
    service = service_on(lake)
    assert ask(service, NEW[:20]) == by_champion[:20]
    assert says(service, f'leofric_rollout{{mode="canary",model_id="{FAILING}"}} 1.0')()
    assert [mode for mode, _, _ in past(lake)] == [CANARY]  # 25 of 500 may fail
    assert ask(service, NEW[20:40]) == by_champion[20:40]
    assert ask(service, NEW[40:]) == by_champion[40:]  # it is not asked any more
    follow_until(service, lambda: len(past(lake)) == 2)
    service.close()
    assert past(lake)[1] == ("none", "service", "it failed on 40 of 40 payments; at most 5.00% may fail")
    assert says(service, "leofric_challenger_errors_total 40.0")()
    held = rows(lake, SHADOW_SCORES)
    assert {(row["error"], row["challenger_score"], row["answered_by"]) for row in held} == {("UsageError", None, "champion")}
    assert (shown(opened(lake))["payments"], shown(opened(lake))["errors"]) == (40, 40)


def test_a_challenger_whose_scores_drift_is_rolled_back_and_every_service_follows(lake: Path, tmp_path: Path) -> None:
    tried(lake, DRIFTED, SHADOW, 1.0, Limits(least=30))
    service = service_on(lake)
    other = Service(
        settings_of({"lake": str(lake), "insecure_local": True, "follow_seconds": 0.01, "journal": str(tmp_path / "other")}),
    )
    running = f'leofric_rollout{{mode="shadow",model_id="{DRIFTED}"}} 1.0'
    ask(service, NEW)
    assert says(other, running)()
    follow_until(service, lambda: len(past(lake)) == 2)
    follow_until(other, lambda: not says(other, running)())
    service.close()
    other.close()
    mode, who, why = past(lake)[1]
    assert (mode, who) == ("none", "service")
    assert why.startswith("its scores of 60 payments are at a PSI of ")
    ended = shown(opened(lake))
    assert (ended["rollout"], ended["ended"]["why"], ended["payments"]) == (1, why, len(NEW))


def test_a_rollout_is_taken_up_and_stopped_without_a_restart(lake: Path, by_champion: list[Answer]) -> None:
    service = service_on(lake)
    assert ask(service, NEW[:10]) == by_champion[:10]
    tried(lake, GOOD, CANARY, 1.0)
    follow_until(service, says(service, f'leofric_rollout{{mode="canary",model_id="{GOOD}"}} 1.0'))
    assert {answer["model_id"] for answer in ask(service, NEW[10:20])} == {GOOD}
    stop(opened(lake), "enough", "tests", NOW)
    follow_until(service, lambda: "leofric_rollout{" not in service.metrics.text().decode())
    assert ask(service, NEW[20:30]) == by_champion[20:30]
    service.close()
    assert past(lake) == [(CANARY, "tests", "for tests"), ("none", "tests", "enough")]


@pytest.mark.parametrize("promoted_by", ["the command", "something that did not end it"])
def test_a_challenger_that_is_promoted_answers_everything_and_its_rollout_ends(lake: Path, promoted_by: str) -> None:
    tried(lake, GOOD, CANARY, 0.3)
    service = service_on(lake)
    assert {answer["model_id"] for answer in ask(service, NEW[:30])} == {GOOD, CHAMPION}
    models.promote(opened(lake), GOOD, "it did well", "me", NOW, past_gate=True)
    assert past(lake)[1:] == [("none", "me", "it is the champion now: it did well")]
    if promoted_by != "the command":
        (lake / layout.rollout(2)).unlink()
    follow_until(service, says(service, f'leofric_model{{kind="isolation_forest",model_id="{GOOD}"}} 1.0'))
    assert {answer["model_id"] for answer in ask(service, NEW[30:])} == {GOOD}
    follow_until(service, lambda: len(past(lake)) == 2 and "leofric_rollout{" not in service.metrics.text().decode())
    service.close()
    assert past(lake)[1][:2] == ("none", "me" if promoted_by == "the command" else "service")


def test_a_challenger_whose_file_was_changed_is_refused_and_the_champion_goes_on(
    lake: Path, by_champion: list[Answer], caplog: pytest.LogCaptureFixture
) -> None:
    tried(lake, GOOD, CANARY, 1.0)
    path = lake / layout.model(GOOD, "npz")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    service = service_on(lake)
    assert ask(service, NEW) == by_champion
    service.close()
    (_, (mode, who, why)) = past(lake)
    assert (mode, who) == ("none", "service")
    assert "it cannot be used: the file of model isolation_forest-good is not the one that was registered" in why
    assert f"the challenger {GOOD} is refused" in caplog.text


def test_results_that_cannot_be_written_wait_and_what_there_is_no_room_for_is_counted(
    lake: Path, by_champion: list[Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried(lake, GOOD, SHADOW, 1.0)
    monkeypatch.setattr(shadow, "MOST_ROWS", 40)
    times = iter(NOW + timedelta(minutes=minute) for minute in range(10_000))
    service = service_on(lake, lambda: next(times))
    table, away = lake / SHADOW_SCORES.path, lake / "away"
    table.rename(away)
    assert ask(service, NEW[:30]) == by_champion[:30]
    assert ask(service, NEW[30:]) == by_champion[30:]
    follow_until(service, says(service, "leofric_shadow_rows_waiting 40.0"))
    assert says(service, "leofric_shadow_rows_dropped_total 20.0")()
    for path in table.rglob("*"):  # what was staged where the table is not
        if path.is_file():
            path.unlink()
    if table.exists():
        table.rename(lake / "left")
    away.rename(table)
    follow_until(service, says(service, "leofric_shadow_rows_waiting 0.0"))
    service.close()
    assert sorted(row["transaction_id"] for row in rows(lake, SHADOW_SCORES)) == NAMES[:40]


def test_files_of_a_long_trial_become_one(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried(lake, GOOD, SHADOW, 1.0)
    monkeypatch.setattr(shadow, "_MOST_FILES", 4)
    service = service_on(lake)
    for begin in range(0, 20, 5):
        ask(service, NEW[begin : begin + 5])
        service._rollouts.close()
    service.close()
    assert len(opened(lake).table(SHADOW_SCORES).file_uris()) == 1
    assert sorted(row["transaction_id"] for row in rows(lake, SHADOW_SCORES)) == NAMES[:20]


def test_runs_and_their_certificates_do_not_mind_results_that_come_between(lake: Path, tmp_path: Path) -> None:
    tried(lake, GOOD, SHADOW, 1.0)
    service = service_on(lake)
    ask(service, NEW)
    service.close()
    write_csv(tmp_path / "landing" / "b.csv", records(100, 110))
    certificate = load(tmp_path / "landing", lake)
    assert SHADOW_SCORES.path not in certificate["tables"]
    assert len(rows(lake, SHADOW_SCORES)) == len(NEW)
