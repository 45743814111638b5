"""Reviewers over HTTP: the same decisions as on the command line, by who the key says."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from app.contracts.lake import CORRECTIONS
from app.lake import lock
from serve import keys
from serve.access import Scope
from tests.support.interface import JSON, Answer, ask, served
from tests.support.lake import load, opened, rows
from tests.support.landing import record, write_csv
from tests.support.review import items_of, replayed
from tests.support.served import small_lake

LIST = "/v1/quarantine"
PROPOSALS, APPROVALS, REJECTIONS = (f"{LIST}/{name}" for name in ("proposals", "approvals", "rejections"))
SCOPES = {"ada": [Scope.REVIEW, Scope.APPROVE], "grace": [Scope.REVIEW, Scope.APPROVE], "joan": [Scope.REVIEW], "payments": [Scope.SCORE]}


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A small lake, and a file of which five records lost the zero of their sort code and one a country."""
    lake = small_lake(tmp_path)
    wrong = [record(n, sort_code="70246") for n in range(901, 906)]
    write_csv(tmp_path / "late/branch.csv", [*wrong, record(906, country="Britain")])
    load(tmp_path / "late", lake)
    return lake


@pytest.fixture
def texts(lake: Path) -> dict[str, str]:
    now = datetime.now(UTC)
    return {name: keys.create(opened(lake), name, scopes, "tests", now) for name, scopes in SCOPES.items()}


@pytest.fixture
def api(lake: Path, texts: dict[str, str], tmp_path: Path) -> Iterator[FastAPI]:
    assert texts
    with served(lake, journal=tmp_path / "journal") as interface:
        yield interface


@pytest.fixture
def asked(api: FastAPI, texts: dict[str, str]) -> Any:
    def send(who: str, path: str, document: object | None = None) -> Answer:
        headers = {**JSON, "authorization": f"Bearer {texts[who]}"}
        path, _, query = path.partition("?")
        body = b"" if document is None else json.dumps(document).encode()
        return ask(api, path, body, headers, "GET" if document is None else "POST", query=query)

    return send


def test_a_list_has_filters_pages_and_totals(asked: Any) -> None:
    found = asked("joan", f"{LIST}?reason=sort_code_format&limit=2").document()
    assert (found["records"], len(found["items"])) == (5, 2)
    rest = asked("joan", f"{LIST}?reason=sort_code_format&limit=10&offset=2").document()
    assert len({one["item"] for one in found["items"] + rest["items"]}) == 5
    assert asked("joan", f"{LIST}?state=open&source=branch.csv").document()["records"] == 6


def test_one_proposes_by_rule_another_approves_and_the_replay_takes_it(lake: Path, asked: Any) -> None:
    proposed = asked("ada", PROPOSALS, {"rule": "left-pad-sort-code", "reason": "sort_code_format", "why": "a zero was lost"})
    assert (proposed.status, len(proposed.document()["items"])) == (200, 5)
    number = proposed.document()["number"]
    own = asked("ada", APPROVALS, {"proposal": number, "why": "I am sure"})
    assert (own.status, own.headers["content-type"]) == (409, "application/problem+json")
    assert "ada proposed this and cannot approve it" in own.document()["detail"]
    approved = asked("grace", APPROVALS, {"proposal": number, "why": "as the branch says"})
    assert {one["act"] for one in approved.document()["items"]} == {"approved"}
    assert replayed(lake)["totals"]["accepted"] == 5
    assert asked("joan", f"{LIST}?state=corrected").document()["records"] == 5


def test_a_record_is_shown_with_its_decisions(lake: Path, asked: Any) -> None:
    item = next(str(item) for number, item in items_of(lake).items() if number == 6)
    assert asked("joan", PROPOSALS, {"items": [item], "values": {"country": "GB"}, "why": "it is"}).status == 200
    found = asked("joan", f"{LIST}/records/{item}").document()
    assert (found["correction"], found["decisions"][0]["who"]) == ({"country": "GB"}, "joan")
    assert asked("joan", REJECTIONS, {"items": [item], "why": "a slip"}).status == 200
    assert asked("joan", PROPOSALS, {"items": [item], "leave_out": True, "why": "unreadable form"}).status == 200
    closed = asked("grace", APPROVALS, {"items": [item], "why": "agreed"}).document()
    assert closed["items"] == [{"item": item, "act": "closed"}]


@pytest.mark.parametrize(
    ("who", "path", "document", "status", "said"),
    [
        ("payments", LIST, None, 403, "scope review"),
        ("joan", APPROVALS, {"proposal": 1, "why": "x"}, 403, "scope approve"),
        ("joan", f"{LIST}?reason=nonsense", None, 422, "reason is one of"),
        ("joan", f"{LIST}?page=2", None, 422, "no parameter page"),
        ("joan", f"{LIST}?limit=9999", None, 422, "limit is written otherwise"),
        ("joan", f"{LIST}/records/{'0' * 12}:1", None, 404, "is in quarantine"),
        ("joan", f"{LIST}/records/what", None, 422, "item is written otherwise"),
        ("joan", PROPOSALS, {"why": "x"}, 422, "send {items, values, why}"),
        ("joan", PROPOSALS, {"items": [], "values": {"country": "GB"}, "why": "x"}, 422, "1 to 1000 elements"),
        ("joan", PROPOSALS, {"items": [f"{'0' * 12}:1"], "values": {"country": "GB"}, "why": "x"}, 404, "is in quarantine"),
        ("joan", PROPOSALS, {"items": ["{item}"], "values": {"country": "GB"}, "why": " "}, 409, "say why"),
        ("joan", PROPOSALS, {"items": ["{item}"], "values": {"county": "GB"}, "why": "x"}, 422, "one or more of"),
        ("joan", PROPOSALS, {"items": ["{item}"], "leave_out": False, "why": "x"}, 422, "can only be true"),
        ("joan", PROPOSALS, {"rule": "country-uk", "why": "x"}, 409, "no record to propose"),
        ("grace", APPROVALS, {"proposal": 9, "why": "x"}, 409, "has no record that waits"),
        ("grace", APPROVALS, {"proposal": "9", "why": "x"}, 422, "proposal is of type integer"),
        ("grace", APPROVALS, ["x"], 422, "one JSON object"),
    ],
)
def test_what_cannot_be_is_a_problem_and_changes_nothing(
    lake: Path, asked: Any, who: str, path: str, document: Any, status: int, said: str
) -> None:
    if isinstance(document, dict) and document.get("items") == ["{item}"]:
        document = document | {"items": [str(items_of(lake)[6])]}
    answer = asked(who, path, document)
    assert answer.status == status, answer.body
    assert said in answer.document()["detail"]
    assert rows(lake, CORRECTIONS) == []


def test_while_a_run_holds_the_lake_a_decision_is_refused_with_when_to_ask_again(lake: Path, asked: Any) -> None:
    with lock.hold(opened(lake).storage, "a run"):
        answer = asked("joan", PROPOSALS, {"rule": "left-pad-sort-code", "why": "x"})
    assert (answer.status, answer.headers["retry-after"]) == (503, "30")
    assert rows(lake, CORRECTIONS) == []


def test_where_everybody_may_ask_nobody_has_a_name_to_decide_by(lake: Path, tmp_path: Path) -> None:
    with served(lake, insecure_local=True, journal=tmp_path / "another") as api:
        answer = ask(api, PROPOSALS, json.dumps({"rule": "left-pad-sort-code", "why": "x"}).encode())
        assert (answer.status, "knows nobody" in answer.document()["detail"]) == (403, True)
        assert ask(api, LIST, method="GET").status == 200
