"""One payment's way, in a lake that has each kind of way: held to what the tables say and to what the batch reckons."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from app.contracts.lake import ACCOUNT_DAILY, ALERTS, BRONZE, SCORES, SILVER
from app.errors import LakeDamaged, LakeNotFound
from app.lake.lake import open_lake
from app.lake.storage import Storage
from app.settings import Settings, operator
from pipelines import kept, plan
from pipelines.cli import app
from pipelines.executor import InProcess
from pipelines.feedback import import_labels
from pipelines.labels import read_labels
from pipelines.past import write_features
from pipelines.progress import Silent
from pipelines.run import run as run_load
from pipelines.score import score
from pipelines.trace import summary, trace
from tests.support import s3
from tests.support.champion import NOW, put_into_use
from tests.support.lake import load, load_modulus_table, opened, rows
from tests.support.landing import csv_bytes, ndjson_bytes, record, records, write_parquet

CARDS = [record(n, timestamp=f"2026-03-02T10:00:{n % 60:02d}Z", amount="-60.00", account_number="10000001") for n in range(100, 140)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trace")
    load_modulus_table(folder / "lake")
    landing = folder / "landing"
    landing.mkdir()
    (landing / "a.csv").write_bytes(csv_bytes([*records(1, 30), record(31, description='a "quoted"\nword'), record(32, amount="x")]))
    (landing / "b.ndjson.gz").write_bytes(gzip.compress(ndjson_bytes([*records(40, 60), record(5)]) + b'{"transaction_id": "broken\n'))
    write_parquet(landing / "c.parquet", [*records(70, 90), record(5, amount="9.99")])
    (landing / "d.csv").write_bytes(csv_bytes(CARDS))
    load(landing, folder / "lake")
    put_into_use(folder / "lake")
    score(opened(folder / "lake").storage, Settings(), InProcess(), Silent(), NOW)
    (folder / "labels.csv").write_text("transaction_id,is_suspicious,typology\nT000110,1,drain\n")
    import_labels(opened(folder / "lake").storage, Settings(), read_labels(folder / "labels.csv"), "0" * 64, "anna", Silent(), NOW)
    decisions = folder / "lake/journal/decisions"
    decisions.mkdir(parents=True)
    answers = [{"transaction_id": name, "client": "web", "answer": {"band": "low"}} for name in ("T000110", "T0001100")]
    (decisions / "decisions-1.ndjson").write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    return folder / "lake"


def test_every_way_of_an_id_is_shown_with_its_source_and_its_bytes(lake: Path) -> None:
    found = trace(opened(lake), "T000005")
    ways = {way["outcome"]: way for way in found["ways"]}
    assert list(ways) == ["accepted", "quarantined", "duplicate"]
    assert [Path(way["source"]["source_uri"]).name for way in ways.values()] == ["a.csv", "c.parquet", "b.ndjson.gz"]
    assert [way["source"]["record_number"] for way in ways.values()] == [5, 22, 22]
    assert ways["accepted"]["source"]["record"].encode() == csv_bytes([record(5)]).splitlines()[1]
    assert json.loads(ways["quarantined"]["source"]["record"]) == record(5, amount="9.99")
    assert json.loads(ways["duplicate"]["source"]["record"]) == record(5)
    assert [reason["code"] for reason in ways["quarantined"]["checks"]["reasons"]] == ["transaction_id_conflict"]
    assert ways["accepted"]["checks"] == {
        "reasons": [], "account_check": "not_checked", "counterparty_check": "not_checked", "modulus_table": "synthetic",
    }  # fmt: skip
    assert all(way["bronze"]["transaction_id"] == "T000005" for way in ways.values())


def test_the_bytes_of_every_record_are_those_of_its_file(lake: Path) -> None:
    storage = Storage(str(lake))
    for row in rows(lake, BRONZE):
        raw = kept.record(storage, row["source_sha256"], row["source_uri"], row["record_number"]).decode()
        assert row["transaction_id"] in raw
        if row["description"] is not None and '"' not in row["description"]:
            assert row["description"] in raw
    with pytest.raises(LakeDamaged, match="have no record 1000"):
        kept.record(storage, row["source_sha256"], row["source_uri"], 1_000)
    with pytest.raises(LakeDamaged, match="are gone"):
        kept.record(storage, "0" * 64, row["source_uri"], 1)


def test_the_features_are_those_of_the_batch_to_the_bit(lake: Path, tmp_path: Path) -> None:
    write_features(opened(lake), tmp_path / "features.parquet", Silent())
    batch = pq.read_table(tmp_path / "features.parquet").to_pylist()
    assert len(batch) > 100
    for row in batch[::3]:
        values = trace(opened(lake), row["transaction_id"])["features"]["values"]
        named = {name: value for name, value in row.items() if name not in ("transaction_id", "booked_at")}
        assert {name: values[name] for name in named} == named


def test_scores_alerts_figures_decisions_and_answers_are_those_of_the_tables(lake: Path) -> None:
    found = trace(opened(lake), "T000110", lake / "journal")
    assert found["scores"] == [row for row in rows(lake, SCORES) if row["transaction_id"] == "T000110"]
    alerts = [row for row in rows(lake, ALERTS) if "T000110" in row["evidence"]]
    assert (
        [one["alert_id"] for one in found["alerts"]] == [one["alert_id"] for one in sorted(alerts, key=lambda one: one["fired_at"])] != []
    )
    (silver,) = (row for row in rows(lake, SILVER) if row["transaction_id"] == "T000110")
    keys = ("booking_date", "sort_code", "account_number", "currency")
    assert found["gold"]["gold/account_daily"] == [row for row in rows(lake, ACCOUNT_DAILY) if all(row[k] == silver[k] for k in keys)]
    assert [row["channel"] for row in found["gold"]["gold/channel_daily"]] == ["FPS"]
    assert {row["dimension"] for row in found["gold"]["gold/data_quality_daily"]} >= {"validity", "uniqueness"}
    assert [(one["is_suspicious"], one["imported_by"]) for one in found["feedback"]] == [(True, "anna")]
    assert [one["client"] for one in found["answers"]] == ["web"]


def test_a_record_that_was_never_accepted_has_no_features_and_its_reasons(lake: Path) -> None:
    found = trace(opened(lake), "T000032")
    assert (found["features"], found["scores"]) == (None, [])
    assert [reason["code"] for reason in found["ways"][0]["checks"]["reasons"]] == ["amount_format"]


def test_an_id_that_is_nowhere_is_an_error_that_says_so(lake: Path) -> None:
    with pytest.raises(LakeNotFound, match="the lake has no transaction nobody: not in silver, quarantine or among duplicates"):
        trace(opened(lake), "nobody")


def run(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def test_the_command_prints_the_way_for_people_and_for_programs(lake: Path) -> None:
    said = run("trace", "T000110", "--lake", str(lake))
    assert said.exit_code == 0
    lines = list(summary(trace(opened(lake), "T000110", lake / "journal")))
    assert said.stdout == "\n".join(lines) + "\n"
    for part in ("record 11", "judged suspicious drain by anna", "the service answered", "score 0.", "alert "):
        assert part in said.stdout
    again = run("trace", "T000110", "--lake", str(lake))
    assert again.stdout.count("looked at by") == 1  # the first time
    document = json.loads(run("trace", "T000110", "--lake", str(lake), "--json").stdout)
    assert document["transaction_id"] == "T000110"
    assert [(one["who"], one["what"]) for one in document["looked_at"]] == 2 * [(operator(), "view")]
    assert run("trace", "nobody", "--lake", str(lake)).exit_code == 1


def test_a_lake_in_s3_is_traced_as_one_on_a_disk(tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing/a.csv").write_bytes(csv_bytes([*records(1, 30), record(32, amount="x")]))
    load(tmp_path / "landing", tmp_path / "lake")
    (tmp_path / "s3").mkdir()
    with s3.server(tmp_path / "s3") as options:
        storage = Storage("s3://lakes/one", options)
        run_load(storage, plan.source_files([str(tmp_path / "landing")], (), {}), Settings(), InProcess(), Silent(), NOW)
        for name in ("T000005", "T000032"):
            there, here = trace(open_lake(storage), name), trace(opened(tmp_path / "lake"), name)
            assert there["features"] == here["features"]
            assert there["gold"] == here["gold"]
            for one, other in zip(there["ways"], here["ways"], strict=True):
                assert {key: one[key] for key in ("outcome", "bronze", "checks")} == {
                    key: other[key] for key in ("outcome", "bronze", "checks")
                }
                assert one["source"]["record"] == other["source"]["record"]


def test_a_record_that_a_terminal_would_obey_is_spelt_out(lake: Path) -> None:
    found = trace(opened(lake), "T000001")
    found["ways"][0]["source"]["record"] = "a\x1b[2Jb\n\u202ec"
    assert "  record    a\\x1b[2Jb\\n\\u202ec" in list(summary(found))
