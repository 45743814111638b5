"""Files of both versions of the landing contract in one folder, and lakes that are older than the second version."""

import gzip
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from deltalake import DeltaTable

from app.contracts.lake import BRONZE, QUARANTINE, SILVER, TABLES
from app.contracts.landing import VERSIONS
from app.contracts.table import TableContract
from app.lake import delta, runs
from app.lake.lake import open_lake
from app.lake.storage import Storage
from app.settings import Settings
from pipelines import optimize, trace, verify
from pipelines.changes import feed
from pipelines.data_docs import sample
from pipelines.executor import InProcess
from pipelines.progress import Silent
from pipelines.restore import restore
from tests.support.champion import put_into_use
from tests.support.interface import SCORE, VALIDATE, ask, served
from tests.support.lake import NOW, asked, load, opened, rows
from tests.support.landing import Record, csv_bytes, ndjson_bytes, record, records, write_csv, write_parquet
from tests.support.review import correct, items_of, replayed
from tests.support.served import as_answered, as_scored, load_journal, small_lake

CODES = ("5411", "5812", "")
LATER = "merchant_category"


def with_codes(first: int, last: int) -> list[Record]:
    """Records of version 2: some with a code, some without."""
    return [record(number, merchant_category=CODES[number % len(CODES)]) for number in range(first, last + 1)]


def write_folder(folder: Path, first: int) -> dict[str, int]:
    """A landing folder with a file of four records of each version in each form, packed or not; by name, its version."""
    folder.mkdir(parents=True)
    versions = {}
    forms = (("csv", csv_bytes), ("ndjson", ndjson_bytes), ("parquet", _parquet_bytes))
    packs = (("", lambda data: data), (".gz", gzip.compress), (".zst", zstandard.ZstdCompressor().compress))
    for form, write in forms:
        for ending, pack in packs:
            for version, made in ((1, records), (2, with_codes)):
                name = f"v{version}.{form}{ending}"
                (folder / name).write_bytes(pack(write(made(first, first + 3))))
                versions[name], first = version, first + 4
    return versions


def _parquet_bytes(of: Sequence[Record]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([dict(one) for one in of]), sink)
    return bytes(sink.getvalue())


def holds(lake: Path) -> bool:
    return not any(verdict.faults for verdict in verify.verify(opened(lake)))


def said_versions(certificate: dict[str, Any]) -> dict[str, int]:
    return {file["uri"].rpartition("/")[2]: file["contract_version"] for file in certificate["files"]}


def codes_in(lake: Path, contract: TableContract) -> dict[str, str | None]:
    return {row["transaction_id"]: row[LATER] for row in rows(lake, contract)}


def test_one_run_loads_both_versions_in_every_format_and_says_which_file_had_which(tmp_path: Path) -> None:
    lake, when = tmp_path / "lake", NOW
    for number in (0, 1):
        versions = write_folder(tmp_path / f"{number}", 1 + 72 * number)
        certificate = load(tmp_path / f"{number}", lake, now=when + timedelta(hours=number))
        assert said_versions(certificate) == versions
        assert {file["status"] for file in certificate["files"]} == {"loaded"}
        assert (certificate["totals"]["records"], certificate["totals"]["accepted"]) == (72, 72)
    expected = {row["transaction_id"]: row["source_uri"].rpartition("/")[2].startswith("v2") for row in rows(lake, SILVER)}
    wanted = {name: (CODES[int(name[1:]) % 3] or None) if second else None for name, second in expected.items()}
    assert len(wanted) == 144
    assert len({code for code in wanted.values() if code}) == 2
    assert codes_in(lake, SILVER) == wanted
    assert {name: code or None for name, code in codes_in(lake, BRONZE).items()} == wanted
    assert holds(lake)


def test_files_of_both_versions_without_records_are_loaded_and_have_a_version(tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir()
    for version, names in VERSIONS.items():
        (tmp_path / f"landing/v{version}.csv").write_text(",".join(names) + "\n")
        pq.write_table(pa.schema([(name, pa.string()) for name in names]).empty_table(), tmp_path / f"landing/v{version}.parquet")
    certificate = load(tmp_path / "landing", tmp_path / "lake")
    assert said_versions(certificate) == {"v1.csv": 1, "v1.parquet": 1, "v2.csv": 2, "v2.parquet": 2}


@pytest.mark.parametrize("line", ['{"merchant_category":null,"amount":"1"}', '{"merchant_category":"5\\u0034\\u0031\\u0031"}'])
def test_an_ndjson_file_is_of_the_version_whose_keys_its_records_name(tmp_path: Path, line: str) -> None:
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing/a.ndjson").write_text(line + "\n")
    (tmp_path / "landing/b.ndjson").write_text(
        '{"description":"merchant_category","amount":"1"}\n{"description":"\\"merchant_category\\""}\n'
    )
    assert said_versions(load(tmp_path / "landing", tmp_path / "lake")) == {"a.ndjson": 2, "b.ndjson": 1}


def test_a_payment_without_a_code_is_the_same_in_both_versions_and_one_with_a_code_is_not(tmp_path: Path) -> None:
    write_csv(tmp_path / "landing/a.csv", records(1, 4))
    again = [record(1, merchant_category=""), record(2, merchant_category=""), record(3, merchant_category="5411")]
    write_csv(tmp_path / "landing/b.csv", again)
    (tmp_path / "landing/c.ndjson").write_bytes(ndjson_bytes([record(4, merchant_category="")]))
    certificate = load(tmp_path / "landing", tmp_path / "lake")
    assert certificate["totals"]["duplicates"] == 3
    assert certificate["totals"]["by_reason"] == {"transaction_id_conflict": 1}


def test_a_column_of_no_version_rejects_the_file_and_the_error_names_the_versions(tmp_path: Path) -> None:
    bad = csv_bytes([record(1, merchant_category="5411")]).replace(b"merchant_category", b"merchant_code")
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing/a.csv").write_bytes(bad)
    write_parquet(tmp_path / "landing/b.parquet", [record(2)])
    pq.write_table(
        pq.read_table(tmp_path / "landing/b.parquet").append_column("merchant", pa.array(["5411"])), tmp_path / "landing/b.parquet"
    )
    (tmp_path / "landing/c.ndjson").write_bytes(ndjson_bytes([record(3, merchant="5411")]))
    certificate = load(tmp_path / "landing", tmp_path / "lake")
    for file in certificate["files"][:2]:
        assert file["error"]["code"] == "header_column_unknown"
        assert "version 1 has transaction_id,timestamp" in file["error"]["message"]
        assert "version 2 has also merchant_category" in file["error"]["message"]
        assert "is it merchant_category?" in file["error"]["message"]
    assert certificate["totals"]["by_reason"] == {"json_key_unknown": 1}


def test_a_bad_code_is_quarantined_with_its_reason_and_a_correction_sets_another(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    write_csv(tmp_path / "landing/a.csv", [record(1, merchant_category="541"), record(2, merchant_category="0001"), record(3)])
    certificate = load(tmp_path / "landing", lake)
    assert certificate["totals"]["by_reason"] == {"mcc_format": 1, "mcc_unknown": 1}
    items = items_of(lake)
    correct(lake, {items[1]: {LATER: "5411"}, items[2]: {LATER: ""}})
    again = replayed(lake, Settings())
    assert [(file["status"], file["contract_version"]) for file in again["files"]] == [("replayed", 2)]
    assert codes_in(lake, SILVER) == {"T000001": "5411", "T000002": None, "T000003": None}
    assert holds(lake)


def test_a_record_of_version_1_gets_a_code_by_a_correction_and_its_raw_record_stays(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    write_parquet(tmp_path / "landing/a.parquet", [record(1, currency="gbp"), record(2)])
    load(tmp_path / "landing", lake)
    assert [json.loads(row["raw_record"]) for row in rows(lake, QUARANTINE)] == [record(1, currency="gbp")]
    correct(lake, {items_of(lake)[1]: {"currency": "GBP", LATER: "5812"}})
    assert replayed(lake, Settings())["files"][0]["contract_version"] == 1
    assert codes_in(lake, SILVER) == {"T000001": "5812", "T000002": None}


# ---- lakes that an older version of Leofric made


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A lake whose tables and files have no column of version 2: a run loaded 20 records, one of which was quarantined."""
    lake = tmp_path / "lake"
    write_csv(tmp_path / "old/a.csv", [*records(1, 19), record(20, currency="gbp")])
    load(tmp_path / "old", lake, now=NOW - timedelta(days=1))
    for contract in (BRONZE, SILVER):
        _made_old(lake, contract)
    return lake


def _made_old(lake: Path, contract: TableContract) -> None:
    """Take the column out of a table's files and its log, as if it had never been there."""
    for commit in (lake / contract.path / "_delta_log").glob("*.json"):
        lines = [json.loads(line) for line in commit.read_text().splitlines()]
        for action in lines:
            if "metaData" in action:
                schema = json.loads(action["metaData"]["schemaString"])
                schema["fields"] = [field for field in schema["fields"] if field["name"] != LATER]
                action["metaData"]["schemaString"] = json.dumps(schema)
            if "add" in action:
                path = lake / contract.path / action["add"]["path"]
                with pq.ParquetFile(path) as parquet:
                    held = parquet.read()
                pq.write_table(held.drop_columns([LATER]), path, store_schema=False)
                statistics = json.loads(action["add"]["stats"])
                del statistics["nullCount"][LATER]
                action["add"] |= {"stats": json.dumps(statistics), "size": path.stat().st_size}
        commit.write_text("".join(json.dumps(action) + "\n" for action in lines))


def names_of(table: DeltaTable) -> list[str]:
    return [field.name for field in table.schema().fields]


def load_new(tmp_path: Path, lake: Path, first: int = 15) -> dict[str, Any]:
    """Files of both versions: 15 to 19 are there already, the rest is new."""
    write_csv(tmp_path / f"new/{first}/a.csv", [record(number, merchant_category="") for number in range(15, 20)])
    write_csv(tmp_path / f"new/{first}/b.csv", with_codes(21, 29))
    return load(tmp_path / f"new/{first}", lake, now=NOW)


def test_an_old_lake_can_be_read_before_any_run_has_given_it_the_column(old: Path) -> None:
    lake = opened(old)
    assert LATER not in names_of(lake.table(SILVER))
    assert asked(lake, "select count(*) n from silver_transactions").to_pylist() == [{"n": 19}]
    assert trace.trace(lake, "T000003")["ways"][0]["row"][LATER] is None
    assert len(sample(lake.table(SILVER), SILVER, 3)) == 3
    assert holds(old)


def test_a_run_gives_an_old_lake_the_column_and_every_reader_goes_on(old: Path, tmp_path: Path) -> None:
    before = {contract.path: opened(old).table(contract).version() for contract in TABLES}
    certificate = load_new(tmp_path, old)
    assert (certificate["totals"]["duplicates"], certificate["totals"]["accepted"]) == (5, 9)
    lake = opened(old)
    for contract in (BRONZE, SILVER):
        assert names_of(lake.table(contract)) == list(contract.schema.names)
        assert certificate["tables"][contract.path]["version"] == lake.table(contract).version() == before[contract.path] + 2
    sql = "select transaction_id, merchant_category from silver_transactions where merchant_category is not null order by 1"
    assert [row["transaction_id"] for row in asked(lake, sql).to_pylist()] == [r["transaction_id"] for r in with_codes(21, 29) if r[LATER]]
    first = runs.runs(lake)[0]["run_id"]
    assert asked(lake, "select * from silver_transactions", as_of=[first]).column_names == [n for n in SILVER.schema.names if n != LATER]
    for name, code in (("T000003", None), ("T000022", CODES[22 % 3])):
        (way,) = trace.trace(lake, name)["ways"]
        assert (way["row"][LATER], way["bronze"][LATER]) == (code, code)
    assert holds(old)


def test_to_get_a_column_is_no_change_of_any_row(old: Path, tmp_path: Path) -> None:
    since = opened(old).table(SILVER).version()
    load_new(tmp_path, old)
    changed = pa.concat_tables(feed(opened(old), SILVER, str(since), None).tables())
    assert set(changed["_change_type"].to_pylist()) == {"insert"}
    assert sorted(changed["transaction_id"].to_pylist()) == [f"T{number:06d}" for number in range(21, 30)]
    load(tmp_path / "new/15", old, now=NOW + timedelta(hours=1))
    assert "ADD COLUMN" in [commit["operation"] for commit in opened(old).table(SILVER).history()]
    assert opened(old).table(SILVER).version() == since + 2


def test_an_old_state_is_restored_and_the_next_run_goes_on(old: Path, tmp_path: Path) -> None:
    first = runs.runs(opened(old))[0]["run_id"]
    load_new(tmp_path, old)
    whole = codes_in(old, SILVER)
    restore(Storage(str(old)), Settings(), first, "a wrong file", "tests", InProcess(), Silent(), NOW)
    lake = opened(old)
    assert names_of(lake.table(SILVER)) == list(SILVER.schema.names)
    assert codes_in(old, SILVER) == {f"T{number:06d}": None for number in range(1, 20)}
    assert asked(lake, "select count(merchant_category) n from silver_transactions").to_pylist() == [{"n": 0}]
    assert holds(old)
    assert load_new(tmp_path, old)["totals"]["accepted"] == 9
    assert codes_in(old, SILVER) == whole
    assert holds(old)


def test_a_record_that_an_old_lake_quarantined_is_corrected(old: Path) -> None:
    correct(old, {items_of(old)[20]: {"currency": "GBP", LATER: "5411"}})
    assert replayed(old, Settings())["totals"]["accepted"] == 1
    assert codes_in(old, SILVER)["T000020"] == "5411"
    assert holds(old)


def test_old_and_new_files_become_one_and_no_row_changes(old: Path, tmp_path: Path) -> None:
    load_new(tmp_path, old)
    before = codes_in(old, SILVER)
    certificate = optimize.optimize(Storage(str(old)), Settings(), SILVER, "monthly", "tests", InProcess(), Silent(), NOW)
    assert certificate is not None
    assert codes_in(old, SILVER) == before
    assert holds(old)


def test_figures_of_a_day_are_made_of_old_and_new_files_in_any_order(old: Path, tmp_path: Path) -> None:
    load_new(tmp_path, old)
    sql = "select sum(transactions) n from gold_channel_daily"
    assert asked(opened(old), sql).to_pylist() == [{"n": 19 + 9}]


def test_a_table_that_has_every_column_gets_no_commit(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    write_csv(tmp_path / "landing/a.csv", records(1, 3))
    load(tmp_path / "landing", lake)
    table = open_lake(Storage(str(lake))).table(SILVER)
    version = table.version()
    assert not delta.evolve(table, SILVER)
    assert table.version() == version


# ---- the service


def body_of(of: Record) -> bytes:
    return json.dumps({name: value for name, value in of.items() if value}).encode()


def test_a_payment_with_a_code_is_answered_over_http_as_the_batch_says_when_it_has_loaded_the_journal(tmp_path: Path) -> None:
    lake, paid = small_lake(tmp_path), record(30, merchant_category="5411")
    with served(lake, insecure_local=True) as api:
        told = ask(api, SCORE, body_of(paid)).document()
        assert told["decision"] == "scored"
        assert ask(api, SCORE, body_of(paid)).document() == told
        assert [one["code"] for one in ask(api, SCORE, body_of(record(30))).document()["reasons"]] == ["transaction_id_conflict"]
        refused = ask(api, SCORE, body_of(record(31, merchant_category="541"))).document()
        assert (refused["decision"], refused["reasons"][0]["code"]) == ("refused", "mcc_format")
        assert ask(api, VALIDATE, body_of(paid)).document()["valid"]
        assert LATER in ask(api, "/openapi.json", method="GET").document()["components"]["schemas"]["Payment"]["properties"]
    load_journal(lake)
    assert codes_in(lake, SILVER)["T000030"] == "5411"
    assert as_answered({"T000030": told}) == as_scored(lake, {"T000030"})
    with served(lake, insecure_local=True, journal=tmp_path / "another") as api:
        assert ask(api, SCORE, body_of(paid)).document()["decision"] == "scored"
        assert [one["code"] for one in ask(api, SCORE, body_of(record(30))).document()["reasons"]] == ["transaction_id_conflict"]


def test_a_service_knows_the_payments_of_an_old_lake(old: Path, tmp_path: Path) -> None:
    put_into_use(old)
    with served(old, insecure_local=True, journal=tmp_path / "journal") as api:
        asked_again = ask(api, SCORE, body_of(record(3, merchant_category=""))).document()
        assert asked_again["decision"] == "scored"
        other = ask(api, SCORE, body_of(record(4, merchant_category="5411"))).document()
        assert [one["code"] for one in other["reasons"]] == ["transaction_id_conflict"]
