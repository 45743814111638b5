"""What the service writes to the audit trail: denied requests, counted; one entry for each closed segment of decisions."""

import json
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from app.compliance.audit import details_of
from app.contracts.lake import AUDIT
from app.errors import LakeNotFound
from app.lake.audit import open_log
from app.settings import AuditSettings
from pipelines import trail
from serve import keys
from serve.access import Scope
from serve.service import Service
from serve.settings import settings_of
from tests.support.lake import opened
from tests.support.landing import record
from tests.support.over_http import over_http
from tests.support.served import small_lake

_DECISION = b'{"transaction_id":"P-1","at":"2026-03-04T09:00:00+00:00","answer":{"decision":"refused"}}'


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return small_lake(tmp_path)


def service_on(lake: Path, **settings: Any) -> Service:
    return Service(settings_of({"lake": str(lake)} | settings))


def entries(lake: Path, action: str) -> list[Any]:
    return [entry for entry in open_log(opened(lake), AuditSettings()).entries() if entry.action == action]


def asked(number: int) -> bytes:
    return json.dumps({name: value for name, value in record(number).items() if value}).encode()


def test_denied_requests_are_counted_by_what_they_were(lake: Path) -> None:
    key = keys.create(opened(lake), "often", [Scope.VALIDATE], "tests", datetime.now(UTC))
    with over_http(service_on(lake, rate_limit="2/hour")) as caller:
        assert [caller.validate(key).status for _ in range(4)] == [200, 200, 429, 429]
        assert caller.validate("wrong").status == 401
        assert caller.ask("/v1/transactions/score", asked(1), key).status == 403
    (entry,) = entries(lake, "requests.denied")
    assert (entry.actor, entry.actor_kind, entry.result) == ("service", "service", "denied")
    details = details_of(entry)
    found = {(kind["status"], kind["route"], kind["client"]): kind["requests"] for kind in details["denied"]}
    assert found == {("429", "validate", "often"): 2, ("401", "validate", ""): 1, ("403", "score", "often"): 1}
    assert details["requests"] == 4
    assert all(kind["address"] for kind in details["denied"])


def test_each_segment_of_decisions_is_vouched_for_once_and_an_edited_one_is_found(lake: Path) -> None:
    for number in (1, 2):
        with over_http(service_on(lake, insecure_local=True)) as caller:
            assert caller.ask("/v1/transactions/score", asked(1_000 + number)).status == 200
    segments = sorted((lake / "journal" / "decisions").glob("[!_]*.ndjson"))
    sealed = entries(lake, "decisions")
    assert [entry.object for entry in sealed] == [path.name for path in segments]
    assert [details_of(entry)["sha256"] for entry in sealed] == [sha256(path.read_bytes()).hexdigest() for path in segments]
    assert [details_of(entry)["decisions"] for entry in sealed] == [1, 1]
    log = open_log(opened(lake), AuditSettings())
    whole = trail.verify_lake(opened(lake), log, {}, [], lake / "journal")
    assert whole.holds
    assert whole.segments == trail.Segments(whole=2)
    segments[0].write_bytes(segments[0].read_bytes().replace(b'"band":"', b'"band":"x'))
    segments[1].unlink()
    bad = trail.verify_lake(opened(lake), log, {}, [], lake / "journal")
    assert not bad.holds
    assert bad.segments is not None
    assert (bad.segments.whole, bad.segments.gone) == (0, 1)
    assert segments[0].name in bad.segments.faults[0]


def test_segments_of_a_service_that_died_are_vouched_for_by_the_next(lake: Path) -> None:
    died = service_on(lake, insecure_local=True)
    died._journal.write_decisions([_DECISION], datetime.now(UTC))
    died._journal.close(datetime.now(UTC))
    assert entries(lake, "decisions") == []
    following = service_on(lake, insecure_local=True)
    following._write_trail()
    assert len(entries(lake, "decisions")) == 1
    following.close()
    assert len(entries(lake, "decisions")) == 1


def test_what_cannot_be_written_waits_and_is_counted(lake: Path, tmp_path: Path) -> None:
    service = service_on(lake, insecure_local=True)
    service._journal.write_decisions([_DECISION], datetime.now(UTC))
    service._journal.close_segment(datetime.now(UTC))
    (lake / AUDIT.path).rename(tmp_path / "away")
    with pytest.raises(LakeNotFound):
        service._write_trail()
    assert b"leofric_audit_waiting 1.0" in service.metrics.text()
    (tmp_path / "away").rename(lake / AUDIT.path)
    service._write_trail()
    assert b"leofric_audit_waiting 0.0" in service.metrics.text()
    assert len(entries(lake, "decisions")) == 1
    service.close()
