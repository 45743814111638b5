"""The service on a sealed lake: it answers as on a plain one, and leaves nothing on the lake's disk that names anybody."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from app.contracts.lake import SILVER
from app.errors import UsageError
from app.lake import layout, lock, segments
from app.lake import subjects as key_store
from app.lake.lake import Lake
from app.lake.storage import Storage
from app.settings import Settings
from pipelines.cli import app
from pipelines.executor import InProcess
from pipelines.progress import Silent
from pipelines.score import score
from pipelines.segments import places_with_files
from serve import keys
from serve.access import INSECURE_LOCAL, Scope
from serve.cli import serve
from serve.service import Service
from serve.settings import settings_of
from tests.support import sealed
from tests.support.champion import NOW, put_into_use
from tests.support.interface import JSON, ask, served
from tests.support.lake import load, opened, rows
from tests.support.landing import Record, record, write_csv
from tests.support.review import items_of, replayed
from tests.support.sealed import opening, secret_file
from tests.support.served import week

LATER = 400
MANY = 50
FOLLOW_SECONDS = 0.05
PERSON = {"sort_code": "990001", "account_number": "83619274"}
OTHER = {"counterparty_sort_code": "990002", "counterparty_account": "57240183"}
NAMES = (b"83619274", b"57240183", b"rent of Mrs Quillfeather")


@dataclass(frozen=True)
class Pair:
    """The same week in a plain lake and in a sealed one, and the payments that come after it."""

    plain: Path
    sealed: Path
    later: list[Record]


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = secret_file(tmp_path_factory.mktemp("secret") / "secret")
    with opening(key_file=path):
        yield path


@pytest.fixture(scope="module")
def pair(secret: Path, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    assert secret.exists()
    bank = week(tmp_path_factory.mktemp("plain"), 3_000, LATER)
    lake = _sealed_lake(tmp_path_factory.mktemp("sealed"), bank.lake.parent / "before.ndjson")
    score(Storage(str(lake)), Settings(), InProcess(), Silent())
    return Pair(bank.lake, lake, bank.later)


@pytest.fixture
def lake(secret: Path, tmp_path: Path) -> Path:
    """A small sealed lake with a champion."""
    assert secret.exists()
    return _sealed_lake(tmp_path, write_csv(tmp_path / "landing/a.csv", [record(n) for n in range(1, 21)]))


def _sealed_lake(folder: Path, landing: Path) -> Path:
    sealed.make(folder)
    load(landing, folder / "lake")
    put_into_use(folder / "lake")
    return folder / "lake"


def service_on(lake: Path) -> Service:
    return Service(settings_of({"lake": str(lake), "insecure_local": True, "follow_seconds": FOLLOW_SECONDS}))


def answers(service: Service, payments: list[Record]) -> list[dict[str, Any]]:
    """What is answered, by fifties."""
    found: list[dict[str, Any]] = []
    for begin in range(0, len(payments), MANY):
        asked = [{name: value for name, value in one.items() if value} for one in payments[begin : begin + MANY]]
        body = json.dumps({"transactions": asked}).encode()
        found += json.loads(asyncio.run(service.score(body, INSECURE_LOCAL, "r")))["transactions"]
    return found


async def following(service: Service, happened: Any) -> None:
    task = asyncio.get_running_loop().create_task(service.follow())
    for _ in range(400):
        await asyncio.sleep(FOLLOW_SECONDS)
        if happened():
            break
    task.cancel()
    assert happened()


def named_in(lake: Path, *names: bytes) -> list[str]:
    """The files of a lake, the journal among them, that have one of these texts, as bytes or in a column."""
    found = []
    for path in sorted(path for path in lake.rglob("*") if path.is_file()):
        data = path.read_bytes()
        if path.suffix == ".parquet":
            data += b"".join(_texts(column) for column in pq.read_table(path, partitioning=None).columns)
        found += [str(path.relative_to(lake)) for name in names if name in data]
    return found


def _texts(column: pa.ChunkedArray) -> bytes:
    return "\n".join(one.decode(errors="replace") if isinstance(one, bytes) else str(one) for one in column.to_pylist()).encode()


def waiting_keys(lake: Path) -> list[str]:
    return [path.name for path in (lake.parent / "keys/segments").glob("*")]


def test_answers_are_those_of_the_same_lake_unsealed_and_again_after_a_restart_and_once_a_run_has_loaded_them(
    pair: Pair, tmp_path: Path
) -> None:
    plain, lake = tmp_path / "plain", pair.sealed
    shutil.copytree(pair.plain, plain)
    service = service_on(plain)
    expected = answers(service, pair.later)
    service.close()
    assert {one["decision"] for one in expected} == {"scored"}
    assert any(one["scenarios"] for one in expected)
    assert named_in(plain, *_accounts(pair.later)) != []
    service = service_on(lake)
    assert answers(service, pair.later) == expected
    service.close()
    assert named_in(lake, *_accounts(pair.later)) == []
    service = service_on(lake)
    assert answers(service, pair.later) == expected
    load(lake / layout.JOURNALLED, lake)
    service.close()
    assert list((lake / layout.JOURNALLED).iterdir()) == []
    assert waiting_keys(lake) == []
    service = service_on(lake)
    assert answers(service, pair.later) == expected
    service.close()
    assert len(rows(lake, SILVER)) == len(rows(pair.plain, SILVER)) + LATER
    assert named_in(lake, *_accounts(pair.later)) == []


def _accounts(payments: list[Record]) -> list[bytes]:
    """Sort code and account number as a party is written: eight digits alone may be part of any number."""
    sides = [("sort_code", "account_number"), ("counterparty_sort_code", "counterparty_account")]
    named = {(one.get(code), one.get(number)) for one in payments for code, number in sides}
    return sorted(f"{code}-{number}".encode() for code, number in named if code and number)


def test_what_the_service_journals_is_loaded_by_a_run_and_then_nothing_below_the_lake_names_anybody(lake: Path) -> None:
    service = service_on(lake)
    times = [f"2026-03-03T09:{n // 6:02d}:{n % 6 * 10:02d}Z" for n in range(14)]  # so many in five minutes complete a scenario
    text = {"description": "rent of Mrs Quillfeather"}
    new = [record(n, transaction_id=f"new{n}", timestamp=at, amount="-70.00", **PERSON, **OTHER, **text) for n, at in enumerate(times)]
    bad = record(90, transaction_id="83619274\t", **PERSON)
    found = answers(service, [*new, bad])
    assert any(hit["account"] == "990001-83619274" for one in found[:-1] for hit in one["scenarios"])
    assert found[-1]["decision"] == "refused"
    assert found[-1]["transaction_id"] == "83619274\t"
    assert named_in(lake, *NAMES) == []
    service.close()
    (segment,) = (lake / layout.JOURNALLED).iterdir()
    assert named_in(lake, *NAMES) == []
    copy = segment.read_bytes()
    certificate = load(lake / layout.JOURNALLED, lake)
    assert (certificate["totals"]["accepted"], certificate["totals"]["quarantined"]) == (14, 1)
    assert not segment.exists()
    assert waiting_keys(lake) == []
    assert named_in(lake, *NAMES) == []
    silver = opened(lake).opened(opened(lake).table(SILVER).to_pyarrow_table()).to_pylist()
    assert sum(row["account_number"] == "83619274" and row["description"] == "rent of Mrs Quillfeather" for row in silver) == 14
    segment.write_bytes(copy)  # as a backup brings it back: the lake knows it, and nobody can read it any more
    (file,) = load(lake / layout.JOURNALLED, lake)["files"]
    assert file["status"] == "already_loaded"
    assert not segment.exists()


def test_a_plain_segment_in_a_sealed_lakes_journal_goes_too_and_another_landing_file_stays(lake: Path) -> None:
    segment = lake / layout.JOURNALLED / "payments-old.ndjson"
    segment.parent.mkdir(parents=True)
    segment.write_text(json.dumps(record(60)) + "\n")
    feed = write_csv(lake.parent / "feed/b.csv", [record(61)])
    load(segment.parent, lake)
    load(feed.parent, lake)
    assert (segment.exists(), feed.exists()) == (False, True)


def test_a_run_that_publishes_nothing_leaves_the_segment_and_its_key(lake: Path) -> None:
    service = service_on(lake)
    answers(service, [record(70)])
    service.close()
    (segment,) = (lake / layout.JOURNALLED).iterdir()
    (control := segment.with_name(segment.name + ".control.json")).write_text('{"records": 9, "amount_minor": {}}')
    (file,) = load(segment.parent, lake)["files"]
    assert (file["status"], file["error"]["code"]) == ("rejected", "control_total_mismatch")
    assert segment.exists()
    control.unlink()
    assert load(segment.parent, lake)["totals"]["accepted"] == 1
    assert not segment.exists()


def test_a_run_that_dies_before_it_has_destroyed_the_key_is_finished_by_the_next(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = service_on(lake)
    answers(service, [record(70)])
    service.close()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(segments, "destroy", killed)
        with pytest.raises(KeyboardInterrupt):
            load(lake / layout.JOURNALLED, lake)
    assert waiting_keys(lake) != []
    assert load(lake.parent / "landing", lake)["recovered_runs"] != []
    assert waiting_keys(lake) == []
    assert len(rows(lake, SILVER)) == 21


def test_when_nothing_waits_in_the_journal_the_command_says_so_and_loads_the_other_places(lake: Path) -> None:
    (lake / layout.JOURNALLED).mkdir(parents=True)
    (lake / layout.JOURNALLED / "_open-1.ndjson.sealed").write_bytes(b"")
    said = CliRunner().invoke(app, ["run", str(lake / layout.JOURNALLED), "--lake", str(lake)])
    assert (said.exit_code, said.output) == (0, "Nothing waits in the service's journal.\n")
    storage, feed = Storage(str(lake)), str(lake.parent / "landing")
    assert places_with_files(storage, [str(lake / layout.JOURNALLED), feed]) == [feed]
    (lake / layout.JOURNALLED / "payments-1.ndjson.sealed").write_bytes(b"")
    assert places_with_files(storage, [str(lake / layout.JOURNALLED)]) == [str(lake / layout.JOURNALLED)]


def test_another_lake_cannot_load_a_sealed_segment_and_says_why(lake: Path, tmp_path: Path) -> None:
    service = service_on(lake)
    answers(service, [record(70)])
    service.close()
    plain = tmp_path / "plain"
    plain.mkdir()
    for other in (plain, sealed.make(tmp_path / "another").storage.root):
        (file,) = load(lake / layout.JOURNALLED, other)["files"]
        assert (file["status"], file["error"]["code"]) == ("rejected", "segment_sealed")
        assert named_in(Path(other), b"10000020") == []
    assert waiting_keys(lake) != []


def test_people_who_come_with_a_run_are_known_to_a_service_that_goes_on(lake: Path) -> None:
    service = service_on(lake)
    before = service._engine.histories.parties
    write_csv(lake.parent / "more/b.csv", [record(80, **PERSON, **OTHER)])
    load(lake.parent / "more", lake)
    asyncio.run(following(service, lambda: len(service._engine.histories) == 21))
    assert service._engine.histories.parties == before + 2
    (again,) = answers(service, [record(80, **PERSON, **OTHER)])
    assert again["decision"] == "scored"
    assert len(service._engine.histories) == 21
    service.close()


def test_a_segment_that_a_run_takes_away_while_the_service_starts_is_found_in_the_lake(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = service_on(lake)
    answers(service, [record(70)])
    service.close()
    from serve import warm

    def late(journal: Any, loaded: Any) -> Iterator[pa.Table]:
        load(lake / layout.JOURNALLED, lake)
        return replayed_before(journal, loaded)

    replayed_before = warm.replayed
    monkeypatch.setattr(warm, "replayed", late)
    service = service_on(lake)
    assert len(service._engine.histories) == 21
    service.close()


def test_who_is_erased_leaves_the_key_store_in_memory_soon_and_a_decision_over_http_does_not_bring_them_back(lake: Path) -> None:
    service = service_on(lake)

    def known(of: Lake) -> bool:
        store = of.subjects
        return store is not None and store.token("990001-10000005") is not None

    async def day() -> None:
        await service.reviews.listed({})
        assert known(service._lake)
        assert known(service.reviews._lake)
        held = opened(lake)
        with lock.hold(held.storage, "an erasure"):
            assert held.subjects is not None
            key_store.destroyed(held.subjects, ["990001-10000005"])
        await following(service, lambda: not known(service._lake) and not known(service.reviews._lake))

    asyncio.run(day())
    service.close()
    assert not known(opened(lake))


def test_reviewers_over_http_see_a_record_opened_and_what_they_propose_is_sealed_and_replayed(lake: Path) -> None:
    write_csv(lake.parent / "late/b.csv", [record(901, **PERSON, transaction_id="57240183\t"), record(902, country="Britain")])
    texts = {
        name: keys.create(opened(lake), name, scopes, "tests", NOW)
        for name, scopes in {"ada": [Scope.REVIEW], "grace": [Scope.REVIEW, Scope.APPROVE]}.items()
    }
    with served(lake) as api:
        load(lake.parent / "late", lake)  # people whom the key store did not know when the service began

        def send(who: str, path: str, document: object | None = None) -> Any:
            headers, body = {**JSON, "authorization": f"Bearer {texts[who]}"}, b"" if document is None else json.dumps(document).encode()
            answer = ask(api, f"/v1/quarantine{path}", body, headers, "GET" if document is None else "POST")
            assert answer.status == 200, answer.body
            return answer.document()

        listed = {one["transaction_id"] for one in send("ada", "")["items"]}
        assert listed == {"57240183\t", "T000902"}
        item = str(items_of(lake)[1])
        shown = send("ada", f"/records/{item}")
        assert (shown["transaction_id"], shown["texts"]["account_number"]) == ("57240183\t", "83619274")
        assert "83619274" in shown["raw"]
        values = {"transaction_id": "mended", "account_number": "73190468"}
        send("ada", "/proposals", {"items": [item], "values": values, "why": "the branch says so"})
        assert send("grace", f"/records/{item}")["correction"] == values
        send("grace", "/approvals", {"items": [item], "why": "seen on paper"})
    assert named_in(lake, *NAMES, b"73190468") == []
    assert replayed(lake)["totals"]["accepted"] == 1
    held = opened(lake)
    mended = [row for row in held.opened(held.table(SILVER).to_pyarrow_table()).to_pylist() if row["transaction_id"] == "mended"]
    assert [row["account_number"] for row in mended] == ["73190468"]
    assert named_in(lake, *NAMES, b"73190468") == []


def test_without_the_key_a_service_does_not_start_and_says_which_setting_is_missing(lake: Path) -> None:
    with opening():
        with pytest.raises(UsageError, match="LEOFRIC_SUBJECT_KEY_FILE, LEOFRIC_SUBJECT_KEY or LEOFRIC_SUBJECT_VAULT must name the key"):
            service_on(lake)
        assert not (lake / "journal").exists()
    command = typer.Typer()
    command.command()(serve)
    with opening():
        said = CliRunner().invoke(command, ["--lake", str(lake), "--insecure-local"])
    assert (said.exit_code, "the lake is sealed: LEOFRIC_SUBJECT_KEY_FILE" in said.output) == (2, True)
    (lake.parent / "keys").rename(lake.parent / "moved")
    said = CliRunner().invoke(command, ["--lake", str(lake), "--insecure-local"])
    assert (said.exit_code, "LEOFRIC_SUBJECT_KEYS says where it is" in said.output) == (1, True)
