"""The audit trail in its stores: one chain however many write it, nothing twice, nothing lost."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from app.compliance import anchors
from app.compliance.audit import Action, Head, Result
from app.compliance.audit_check import verify
from app.contracts.lake import AUDIT
from app.errors import AuditError, LakeNotFound, ModelError, UsageError
from app.lake import audit, layout
from app.lake.audit import AuditLog, acting, known_heads, open_log
from app.lake.lake import Lake, create
from app.lake.storage import Storage
from app.settings import AuditSettings, read_audit_settings
from tests.support import postgres, s3
from tests.support.audit import NOW, SECRET, WHO, event, head_of

_KEY = {"LEOFRIC_AUDIT_KEY": SECRET.secret.decode()}
Open = Callable[[], AuditLog]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return create(Storage(str(tmp_path)), bytes(16))


@pytest.fixture(scope="module")
def database_server() -> Iterator[str]:
    with postgres.server() as uri:
        yield uri


@pytest.fixture(params=["delta", "postgresql"])
def opened(request: pytest.FixtureRequest, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens the trail anew, as another process would."""
    monkeypatch.setenv(*next(iter(_KEY.items())))
    if request.param == "postgresql":
        monkeypatch.setenv("LEOFRIC_AUDIT_STORE", postgres.database(request.getfixturevalue("database_server")))
    with ExitStack() as logs:
        yield lambda: logs.enter_context(closing(open_log(lake, read_audit_settings())))


def holds(log: AuditLog, lake: Lake) -> int:
    """How many entries the trail has, all of them in order and vouched for."""
    entries = list(log.entries())
    found = verify(entries, anchors.by_id([SECRET]), known_heads(lake))
    assert found.fault is None
    assert found.head == log.head()
    return found.entries


def test_what_is_appended_is_read_by_others(opened: Open, lake: Lake) -> None:
    one, other = opened(), opened()
    first = one.append([event(1), event(2)])
    second = other.append([event(3)])
    third = one.append([event(4)])
    assert list(other.entries()) == [*first, *second, *third]
    assert [entry.sequence for entry in (*first, *second, *third)] == [1, 2, 3, 4]
    assert one.head() == other.head() == head_of(third)
    assert holds(opened(), lake) == 4


def test_an_empty_trail_has_no_head_and_nothing_is_appended_of_nothing(opened: Open) -> None:
    log = opened()
    assert (log.head(), list(log.entries()), log.append([])) == (Head(), [], [])


def test_the_entries_about_one_thing_are_found_among_all(opened: Open) -> None:
    log = opened()
    entries = log.append([event(1), event(2), event(3, object="object-1")])
    assert opened().about("object-1") == [entries[0], entries[2]]
    assert log.about("object-9") == []


def test_what_is_told_twice_is_written_once(opened: Open, lake: Lake) -> None:
    opened().append([event(1), event(2)], once=True)
    assert [entry.event_id for entry in opened().append([event(2), event(3)], once=True)] == ["event-3"]
    assert opened().append([event(1)], once=True) == []
    assert opened().known(["event-1", "event-3", "event-9"]) == {"event-1", "event-3"}
    assert holds(opened(), lake) == 3


def test_many_appends_and_other_processes_keep_one_chain(opened: Open, lake: Lake) -> None:
    command = [sys.executable, "-m", "tests.support.audit_writer", lake.storage.root]
    writers = [subprocess.Popen([*command, name, "25", "4"], stderr=subprocess.PIPE) for name in "abc"]
    log = opened()
    for number in range(25):
        log.append([event(number)])
    for writer in writers:
        _, errors = writer.communicate(timeout=300)
        assert writer.returncode == 0, errors.decode()
    assert holds(opened(), lake) == 3 * 25 * 4 + 25
    for name in "abc":
        mine = [entry.event_id for entry in log.entries() if entry.object == name]
        assert mine == [f"{name}-{number}-{place}" for number in range(25) for place in range(4)]


def test_an_act_is_written_down_with_how_it_ended(opened: Open) -> None:
    log = opened()
    with acting(log, WHO, lambda: NOW, Action.PROMOTE, "a-model", "better") as act:
        act.details["before"] = "another"
    with pytest.raises(ModelError), acting(log, WHO, lambda: NOW, Action.PROMOTE, "a-model", "better"):
        raise ModelError("the gate holds it back")
    good, bad = log.entries()
    assert (good.result, good.reason, good.details) == (Result.SUCCEEDED, "better", '{"before":"another"}')
    assert (bad.result, bad.details) == (Result.FAILED, '{"error":"the gate holds it back"}')


def test_an_act_is_refused_while_its_key_does_not_answer(opened: Open) -> None:
    class Away:
        key_id = "away"

        def sign(self, document: bytes) -> str:
            raise AuditError("the key does not answer")

    log = opened()
    log.signer = Away()
    with pytest.raises(AuditError, match="does not answer"), acting(log, WHO, lambda: NOW, Action.PROMOTE, "a-model"):
        pytest.fail("it was done")
    assert list(log.entries()) == []


def test_an_act_is_refused_while_the_folder_cannot_be_written(lake: Lake, tmp_path: Path) -> None:
    log = open_log(lake, AuditSettings())
    (tmp_path / AUDIT.path / "_probe").mkdir()  # root may write anywhere, but not a file where a folder is
    with pytest.raises(AuditError, match="cannot be written"), acting(log, WHO, lambda: NOW, Action.PROMOTE, "a-model"):
        pytest.fail("it was done")


def test_small_files_are_put_together_and_nothing_is_lost(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_SMALL_FILES", 5)
    log, again = open_log(lake, AuditSettings()), open_log(lake, AuditSettings())
    for number in range(12):
        (log if number % 2 else again).append([event(number)])
    assert len(lake.table(AUDIT).file_uris()) <= 5
    reopened = open_log(lake, AuditSettings())
    assert verify(reopened.entries(), {}, known_heads(lake)).entries == 12
    assert reopened.append([event(12)])[0].sequence == 13


def test_an_older_lake_is_told_how_to_get_a_trail(lake: Lake) -> None:
    lake.storage.delete_below(AUDIT.path)
    with pytest.raises(LakeNotFound, match="leofric run"):
        open_log(lake, AuditSettings())


def test_a_tail_that_is_cut_off_the_table_is_noted_beside_it(lake: Lake, tmp_path: Path) -> None:
    log = open_log(lake, AuditSettings(key=SecretStr(SECRET.secret.decode())))
    log.append([event(1)])
    log.append([event(2)])
    log.append([event(3)])
    assert [path.name for path in (tmp_path / layout.AUDIT_HEADS).iterdir()] == [f"{3:012d}.json"]
    (tmp_path / AUDIT.path / "_delta_log" / f"{3:020d}.json").unlink()
    reopened = open_log(lake, AuditSettings())
    fault = verify(reopened.entries(), anchors.by_id([SECRET]), known_heads(lake)).fault
    assert fault is not None
    assert (fault.sequence, fault.kind) == (3, "truncated")


def test_nothing_is_added_to_a_trail_that_has_lost_its_last_entry(lake: Lake, tmp_path: Path) -> None:
    log = open_log(lake, AuditSettings())
    log.append([event(1)])
    log.append([event(2)])
    last = next((tmp_path / AUDIT.path).glob(f"part-{2:012d}-*"))
    rows = pq.ParquetFile(last).read()
    pq.write_table(rows.slice(1), last)
    with pytest.raises(AuditError, match="lost its last entry, 2"):
        open_log(lake, AuditSettings()).append([event(3)])


def test_a_row_that_was_edited_in_a_file_is_found(lake: Lake, tmp_path: Path) -> None:
    log = open_log(lake, AuditSettings())
    log.append([event(number) for number in range(5)])
    (file,) = (tmp_path / AUDIT.path).glob("*.parquet")
    rows = pq.ParquetFile(file).read()
    actors = rows["actor"].to_pylist()
    edited = rows.set_column(rows.schema.get_field_index("actor"), "actor", pa.array([*actors[:2], "eve", *actors[3:]]))
    pq.write_table(edited, file)
    fault = verify(open_log(lake, AuditSettings()).entries(), {}).fault
    assert fault is not None
    assert (fault.sequence, fault.kind) == (3, "edited")


def test_several_ways_to_name_a_key_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEOFRIC_AUDIT_KEY", "x" * 40)
    monkeypatch.setenv("LEOFRIC_AUDIT_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(UsageError, match="three ways"):
        read_audit_settings()


def test_a_key_file_that_is_not_there_is_said(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        open_log(lake, AuditSettings(key_file=tmp_path / "none"))


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with s3.server(tmp_path_factory.mktemp("s3")) as options:
        yield options


def test_writers_of_several_processes_keep_one_chain_in_s3(bucket: dict[str, str]) -> None:
    Storage("s3://lakes", bucket).put("made", b"")  # so that there is the bucket
    lake = create(Storage("s3://lakes/audit", bucket), bytes(16))
    command = [sys.executable, "-m", "tests.support.audit_writer", lake.storage.root]
    options = [f"{name}={value}" for name, value in bucket.items()]
    writers = [
        subprocess.Popen([*command, name, "6", "3", *options], stderr=subprocess.PIPE, env=os.environ | _KEY) for name in ("one", "two")
    ]
    for writer in writers:
        _, errors = writer.communicate(timeout=300)
        assert writer.returncode == 0, errors.decode()
    log = open_log(lake, AuditSettings())
    assert holds(log, lake) == 36


@pytest.fixture
def in_postgres(database_server: str) -> str:
    return postgres.database(database_server)


def test_postgres_refuses_to_change_an_entry_and_what_a_superuser_changed_is_found(lake: Lake, in_postgres: str) -> None:
    with (
        closing(open_log(lake, AuditSettings(store=SecretStr(in_postgres)))) as log,
        psycopg.connect(in_postgres, autocommit=True) as superuser,
    ):
        log.append([event(number) for number in range(5)])
        for statement in ("update leofric_audit_log set actor = 'eve'", "delete from leofric_audit_log", "truncate leofric_audit_log"):
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                superuser.execute(statement.encode())
        superuser.execute("alter table leofric_audit_log disable trigger all")
        superuser.execute("update leofric_audit_log set actor = 'eve' where sequence = 3")
        fault = verify(log.entries(), {}).fault
        assert fault is not None
        assert (fault.sequence, fault.kind) == (3, "edited")
        superuser.execute("delete from leofric_audit_log where sequence >= 3")
        superuser.execute("update leofric_audit_head set sequence = 2")
        cut = verify(log.entries(), {}, known_heads(lake)).fault
        assert cut is not None
        assert (cut.sequence, cut.kind) == (3, "truncated")


def test_a_connection_that_was_lost_is_made_anew(lake: Lake, in_postgres: str) -> None:
    with closing(open_log(lake, AuditSettings(store=SecretStr(in_postgres)))) as log:
        log.append([event(1)])
        with psycopg.connect(in_postgres, autocommit=True) as superuser:
            superuser.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()"
            )
        with pytest.raises(AuditError, match="cannot be used"):
            log.append([event(2)])
        assert log.append([event(2)])[0].sequence == 2


def test_another_store_than_postgres_is_refused(lake: Lake) -> None:
    with pytest.raises(UsageError, match="LEOFRIC_AUDIT_STORE"):
        open_log(lake, AuditSettings(store=SecretStr("mysql://host/audit")))
