"""The HTTP interface is what its OpenAPI document says: requests are made from it, and answers held against it (schemathesis)."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import pytest
import schemathesis
from fastapi import FastAPI
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

from app.contracts.landing import NAMES
from serve import keys
from serve.access import Scope
from serve.interface import api_of
from serve.problems import Problem
from serve.service import Service
from tests.support.interface import SCORE, VALIDATE, ask, served
from tests.support.lake import opened
from tests.support.landing import record
from tests.support.served import small_lake

PAYMENT = {name: value for name, value in record(100).items() if value}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_lake(tmp_path_factory.mktemp("interface"))


@pytest.fixture(scope="module")
def local(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """For everybody on this machine."""
    with served(lake, insecure_local=True, journal=tmp_path_factory.mktemp("journal")) as api:
        yield api


def run(api: FastAPI, examples: int, key: str | None) -> Counter[int]:
    """How often each status was answered; every answer was as the document says."""
    told = ask(api, "/openapi.json", method="GET").document()
    if key is None:  # everybody on this machine may ask
        del told["components"]["securitySchemes"]
        for methods in told["paths"].values():
            for operation in methods.values():
                del operation["security"]
    config = {
        "seed": 7,
        "headers": {} if key is None else {"Authorization": f"Bearer {key}"},
        "generation": {"max-examples": examples, "database": "none"},
        "phases": {"stateful": {"enabled": False}},
        "checks": {"negative_data_rejection": {"expected-statuses": ["400", "401", "405", "413", "415", "422"]}},
    }
    document = schemathesis.openapi.from_dict(told, config=SchemathesisConfig.from_dict(config))
    document.app = api
    statuses: Counter[int] = Counter()
    faults: list[str] = []
    for event in from_schema(document).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            faults.append(str(event))
        if isinstance(event, events.ScenarioFinished):
            asked = event.recorder.interactions.values()
            statuses.update(one.response.status_code for one in asked if one.response is not None)
            found = [check for checks in event.recorder.checks.values() for check in checks if check.status != Status.SUCCESS]
            faults.extend(f"{check.name}: {check.failure_info}"[:2_000] for check in found)
    assert not faults, "\n\n".join(faults[:10])
    return statuses


def test_every_answer_is_of_the_document(local: FastAPI) -> None:
    statuses = run(local, 60, None)
    assert statuses[200] > 100
    assert {400, 405, 422} <= set(statuses)


def test_with_a_key_every_answer_is_of_the_document_and_without_there_is_none(lake: Path, tmp_path: Path) -> None:
    key = keys.create(opened(lake), "all", list(Scope), "tests", datetime.now(UTC))
    with served(lake, journal=tmp_path) as api:
        statuses = run(api, 30, key)
    assert statuses[200] > 50
    assert statuses[401] > 2


def test_every_field_of_an_answer_is_in_the_document(local: FastAPI) -> None:
    """Clients are made from the document: what it does not name, nobody sees."""
    schemas = ask(local, "/openapi.json", method="GET").document()["components"]["schemas"]
    for path, payment, name in (
        (VALIDATE, PAYMENT, "Validated"),
        (SCORE, PAYMENT, "Scored"),
        (SCORE, {"transaction_id": "x"}, "Refused"),
    ):
        answer = ask(local, path, json.dumps(payment).encode()).document()
        assert set(answer) == set(schemas[name]["properties"]) - {"degraded"}, name


def test_the_page_says_what_the_document_says_and_loads_nothing(local: FastAPI) -> None:
    page = ask(local, "/docs", method="GET")
    told = ask(local, "/openapi.json", method="GET").document()
    text = page.body.decode()
    assert page.headers["content-type"].startswith("text/html")
    for name in [*told["paths"], *told["components"]["schemas"], *NAMES, "Retry-After", "503"]:
        assert name in text, name
    assert not re.search(r"<script|<link|<img|src=|https?:|url\(|@import", text)
    assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/v1/transactions/score/", 404),
        ("GET", SCORE, 405),
        ("PUT", VALIDATE, 405),
        ("POST", "/docs", 405),
    ],
)
def test_the_framework_s_own_errors_are_problem_details(local: FastAPI, method: str, path: str, status: int) -> None:
    answer = ask(local, path, method=method)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.document()
    assert (problem["status"], problem["type"]) == (status, "about:blank")
    assert "/docs" in problem["detail"]
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("path", ["/readyz", "/metrics", SCORE, VALIDATE])
def test_a_service_that_is_not_ready_says_so_and_when_to_ask_again(path: str) -> None:
    def not_ready() -> Service:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "the service is not ready yet", headers={"Retry-After": "1"})

    answer = ask(api_of(not_ready, 256), path, method="POST" if path.startswith("/v1") else "GET")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.document()["detail"] == "the service is not ready yet"
