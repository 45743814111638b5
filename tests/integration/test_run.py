"""The main job, stage by stage in one process: what each table holds after a run."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.contracts.lake import ACCOUNT_DAILY, BRONZE, CHANNEL_DAILY, DATA_QUALITY_DAILY, DUPLICATES, QUARANTINE, RUNS, SILVER
from app.contracts.landing import VERSIONS
from app.lake import runs
from app.settings import Settings
from pipelines import verify
from tests.support.lake import NOW, content, files_in, load, numbers, opened, rows
from tests.support.landing import csv_bytes, ndjson_bytes, record, records, write_csv, write_parquet

NAMES = VERSIONS[1]

TINY = Settings(unit_bytes=600, block_bytes=200, unit_rows=3, block_rows=2, silver_file_rows=4, key_partition_rows=5)


def holds(lake: Path) -> bool:
    return not any(verdict.faults for verdict in verify.verify(opened(lake)))


def totals(certificate: dict[str, Any]) -> tuple[int, int, int, int]:
    t = certificate["totals"]
    return t["records"], t["accepted"], t["quarantined"], t["duplicates"]


def test_every_record_is_accepted_quarantined_or_a_duplicate(tmp_path: Path) -> None:
    bad = record(7, currency="XXX")
    rows_in = [record(1), record(2), record(1), bad, record(2, amount="1.00"), record(3)]
    write_csv(tmp_path / "landing/a.csv", rows_in)
    certificate = load(tmp_path / "landing", tmp_path / "lake")
    assert totals(certificate) == (6, 3, 2, 1)
    assert certificate["totals"]["by_reason"] == {"currency_not_money": 1, "transaction_id_conflict": 1}
    assert numbers(tmp_path / "lake") == {
        BRONZE.path: [1, 2, 3, 4, 5, 6],
        SILVER.path: [1, 2, 6],
        QUARANTINE.path: [4, 5],
        DUPLICATES.path: [3],
    }
    assert holds(tmp_path / "lake")


def test_amounts_of_a_declared_form_are_read_by_it_and_kept_as_they_came(tmp_path: Path) -> None:
    written = {"a.csv": ["1.234,56-", "2.000", "12.34"], "b.csv": ["1.23"]}
    for first, (name, amounts) in zip((1, 10), written.items(), strict=True):
        write_csv(tmp_path / "landing" / name, [record(first + i, amount=amount) for i, amount in enumerate(amounts)])
    certificate = load(tmp_path / "landing", tmp_path / "lake", TINY, amounts=("a*=1.234,56-",))
    assert certificate["reconciled"]
    assert certificate["totals"]["amount_minor"] == {"GBP": {"source": 76667, "accepted": 76667, "quarantined": 0, "duplicates": 0}}
    assert certificate["totals"]["by_reason"] == {"amount_format": 1}
    assert sorted(row["amount"] for row in rows(tmp_path / "lake", BRONZE)) == ["1.23", "1.234,56-", "12.34", "2.000"]
    assert holds(tmp_path / "lake")


def test_the_certificate_has_the_money_of_each_currency_and_place(tmp_path: Path) -> None:
    rows_in = [
        record(1, amount="-10.00"), record(2, amount="2.50"), record(1, amount="-10.00"), record(3, amount="4.00", country="??"),
        record(4, amount="7", currency="JPY"), record(5, amount="1.005"),
    ]  # fmt: skip
    write_csv(tmp_path / "landing/a.csv", rows_in)
    certificate = load(tmp_path / "landing", tmp_path / "lake")
    assert certificate["totals"]["amount_minor"] == {
        "GBP": {"source": -1350, "accepted": -750, "quarantined": 400, "duplicates": -1000},
        "JPY": {"source": 7, "accepted": 7, "quarantined": 0, "duplicates": 0},
    }
    assert certificate["reconciled"]
    assert certificate["status"] == "succeeded"


def test_money_of_a_withdrawn_currency_is_counted_in_its_time_and_after(tmp_path: Path) -> None:
    rows_in = [record(1, currency="HRK", amount="5.00"), record(2, currency="HRK", amount="-7.00", timestamp="2022-12-31T12:00:00Z")]
    write_csv(tmp_path / "landing/a.csv", rows_in)
    certificate = load(tmp_path / "landing", tmp_path / "lake")
    assert certificate["totals"]["by_reason"] == {"currency_withdrawn": 1}
    assert certificate["totals"]["amount_minor"] == {"HRK": {"source": -200, "accepted": -700, "quarantined": 500, "duplicates": 0}}
    assert holds(tmp_path / "lake")


def test_silver_is_typed_canonical_and_says_who_paid_whom(tmp_path: Path) -> None:
    write_csv(
        tmp_path / "landing/a.csv",
        [record(1, timestamp="2026-03-29T00:30:00+01:00", sort_code="99-00-01", amount="-1.50", description='a,\n"b" 1E5')],
    )
    load(tmp_path / "landing", tmp_path / "lake")
    (row,) = rows(tmp_path / "lake", SILVER)
    assert row["booked_at"].isoformat() == "2026-03-28T23:30:00+00:00"
    assert row["booking_date"].isoformat() == "2026-03-28"
    assert (row["sort_code"], row["amount_minor"], row["description"]) == ("990001", -150, 'a,\n"b" 1E5')
    assert (row["payer"], row["payee"]) == ("990001-10000001", "990002-20000001")
    assert row["counterparty_iban"] is None


def test_bronze_holds_the_texts_as_they_came_and_the_files_bytes_are_kept_once(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "landing/a.csv", [record(1, sort_code="99-00-01", amount="+1.5")])
    certificate = load(tmp_path / "landing", tmp_path / "lake")
    (row,) = rows(tmp_path / "lake", BRONZE)
    assert (row["sort_code"], row["amount"], row["record_number"], row["source_uri"]) == ("99-00-01", "+1.5", 1, path.as_uri())
    kept = tmp_path / "lake/bronze/files" / certificate["files"][0]["sha256"]
    assert kept.read_bytes() == path.read_bytes()
    assert files_in(tmp_path / "lake/bronze/files") == {kept.name}


def test_the_same_bytes_again_change_no_table(tmp_path: Path) -> None:
    write_csv(tmp_path / "landing/a.csv", records(1, 10))
    first = load(tmp_path / "landing", tmp_path / "lake")
    before = content(tmp_path / "lake")
    (tmp_path / "landing/a.csv").rename(tmp_path / "landing/renamed.csv")
    second = load(tmp_path / "landing", tmp_path / "lake")
    assert [file["status"] for file in second["files"]] == ["already_loaded"]
    assert totals(second) == (0, 0, 0, 0)
    assert second["tables"] == first["tables"]
    assert content(tmp_path / "lake") == before
    assert holds(tmp_path / "lake")


def test_the_same_bytes_under_two_names_are_loaded_once(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        write_csv(tmp_path / "landing" / name, records(1, 5))
    certificate = load(tmp_path / "landing", tmp_path / "lake")
    assert [file["status"] for file in certificate["files"]] == ["loaded", "already_loaded"]
    assert totals(certificate) == (5, 5, 0, 0)


def test_records_seen_in_an_earlier_run_are_duplicates_or_conflicts(tmp_path: Path) -> None:
    write_csv(tmp_path / "one/a.csv", records(1, 20))
    load(tmp_path / "one", tmp_path / "lake")
    write_csv(tmp_path / "two/b.csv", [*records(15, 25), record(3, amount="999.99")])
    certificate = load(tmp_path / "two", tmp_path / "lake", now=NOW + timedelta(days=1))
    assert totals(certificate) == (12, 5, 1, 6)
    assert len(rows(tmp_path / "lake", SILVER)) == 25
    assert [row["reasons"] for row in rows(tmp_path / "lake", QUARANTINE)] == [["transaction_id_conflict"]]
    assert holds(tmp_path / "lake")


def test_the_same_payments_in_another_format_are_duplicates(tmp_path: Path) -> None:
    write_csv(tmp_path / "landing/a.csv", records(1, 9))
    (tmp_path / "landing/b.ndjson").write_bytes(ndjson_bytes(records(1, 9)))
    write_parquet(tmp_path / "landing/c.parquet", records(1, 9))
    assert totals(load(tmp_path / "landing", tmp_path / "lake")) == (27, 9, 0, 18)


def test_a_rejected_file_publishes_nothing_and_the_others_go_on(tmp_path: Path) -> None:
    write_csv(tmp_path / "landing/a.csv", records(1, 3))
    (tmp_path / "landing/b.csv").write_bytes(csv_bytes(records(4, 6)).replace(b"amount", b"amuont", 1))
    certificate = load(tmp_path / "landing", tmp_path / "lake")
    assert [file["status"] for file in certificate["files"]] == ["loaded", "rejected"]
    assert certificate["files"][1]["error"]["code"].startswith("header_column")
    assert "amount" in certificate["files"][1]["error"]["message"]
    assert len(rows(tmp_path / "lake", BRONZE)) == 3
    assert files_in(tmp_path / "lake/bronze/files") == {certificate["files"][0]["sha256"]}


def test_a_parquet_file_whose_last_pages_are_damaged_is_rejected_whole(tmp_path: Path) -> None:
    write_csv(tmp_path / "landing/a.csv", records(1, 3))
    path = tmp_path / "landing/b.parquet"
    rows_in = [dict(row) for row in records(10, 400)]
    schema = pa.schema([(name, pa.string()) for name in NAMES])
    pq.write_table(pa.Table.from_pylist(rows_in, schema), path, row_group_size=100, compression="zstd", use_dictionary=False)
    column = pq.read_metadata(path).row_group(3).column(0)
    damaged = bytearray(path.read_bytes())
    middle = column.data_page_offset + column.total_compressed_size // 2
    damaged[middle : middle + 40] = bytes(40)
    path.write_bytes(damaged)
    certificate = load(tmp_path / "landing", tmp_path / "lake", TINY)
    assert [file["status"] for file in certificate["files"]] == ["loaded", "rejected"]
    assert certificate["files"][1]["error"]["code"] == "parquet_corrupt"
    assert totals(certificate) == (3, 3, 0, 0)
    assert len(rows(tmp_path / "lake", BRONZE)) == 3
    assert len(files_in(tmp_path / "lake/bronze/files")) == 1
    assert holds(tmp_path / "lake")


def test_a_declared_control_total_that_is_met_is_counted_as_accuracy(tmp_path: Path) -> None:
    write_csv(tmp_path / "landing/a.csv", [record(1, amount="-1.50"), record(2, amount="0.50")])
    (tmp_path / "landing/a.csv.control.json").write_text(json.dumps({"records": 2, "amount_minor": {"GBP": -100}}))
    assert load(tmp_path / "landing", tmp_path / "lake")["files"][0]["status"] == "loaded"
    quality = {row["dimension"]: (row["numerator"], row["denominator"]) for row in rows(tmp_path / "lake", DATA_QUALITY_DAILY)}
    assert quality["accuracy"] == (1, 1)


@pytest.mark.parametrize(
    "declared", [{"records": 3, "amount_minor": {"GBP": -100}}, {"records": 2, "amount_minor": {"GBP": -101}}, {"records": 2}]
)
def test_a_file_that_is_not_what_its_control_file_declares_is_rejected_whole(tmp_path: Path, declared: dict[str, Any]) -> None:
    write_csv(
        tmp_path / "landing/a.csv",
        [
            record(1, amount="-1.50"),
            record(2, amount="0.50"),
        ][:2],
    )
    (tmp_path / "landing/a.csv.control.json").write_text(json.dumps(declared))
    certificate = load(tmp_path / "landing", tmp_path / "lake")
    assert certificate["files"][0]["error"]["code"] == "control_total_mismatch"
    assert rows(tmp_path / "lake", BRONZE) == rows(tmp_path / "lake", QUARANTINE) == []
    assert files_in(tmp_path / "lake/bronze/files") == set()


def test_a_run_with_tiny_units_in_any_file_order_gives_the_same_tables(tmp_path: Path) -> None:
    for part in range(4):
        mixed = [*records(part * 30, part * 30 + 40), record(part, amount="5.55"), record(500 + part, sort_code="12345")]
        write_csv(tmp_path / f"landing/{part}.csv", mixed)
    load(tmp_path / "landing", tmp_path / "one")
    load(tmp_path / "landing", tmp_path / "two", TINY)

    class Backwards:
        def map(self, function: Any, items: Any) -> Any:
            return map(function, reversed(items))

    load(tmp_path / "landing", tmp_path / "three", TINY, Backwards())
    assert content(tmp_path / "one") == content(tmp_path / "two") == content(tmp_path / "three")


def test_gold_is_made_anew_only_for_the_days_that_a_run_touched(tmp_path: Path) -> None:
    write_csv(
        tmp_path / "one/a.csv", [record(1, timestamp="2026-03-01T10:00:00Z", amount="-1.00"), record(2, timestamp="2026-03-02T10:00:00Z")]
    )
    load(tmp_path / "one", tmp_path / "lake")
    untouched = opened(tmp_path / "lake").table(ACCOUNT_DAILY).file_uris()
    write_csv(tmp_path / "two/b.csv", [record(51, timestamp="2026-03-01T11:00:00Z", amount="4.00")])
    load(tmp_path / "two", tmp_path / "lake")
    day = [row for row in rows(tmp_path / "lake", ACCOUNT_DAILY) if row["booking_date"].day == 1]
    assert [(row["transactions"], row["debit_minor"], row["credit_minor"], row["net_minor"], row["counterparties"]) for row in day] == [
        (2, 100, 400, 300, 2)
    ]
    kept = set(untouched) & set(opened(tmp_path / "lake").table(ACCOUNT_DAILY).file_uris())
    assert [uri for uri in kept if "2026-03-02" in uri]
    assert not [uri for uri in kept if "2026-03-01" in uri]
    assert sum(row["transactions"] for row in rows(tmp_path / "lake", CHANNEL_DAILY)) == 3


def test_data_quality_has_numerator_and_denominator_of_every_dimension(tmp_path: Path) -> None:
    write_csv(
        tmp_path / "landing/a.csv",
        [record(1), record(1), record(2, amount=""), record(3, amount="1.234"), record(4, timestamp="2020-01-01T00:00:00Z")],
    )
    load(tmp_path / "landing", tmp_path / "lake", now=NOW - timedelta(days=1))
    quality = {row["dimension"]: (row["numerator"], row["denominator"]) for row in rows(tmp_path / "lake", DATA_QUALITY_DAILY)}
    assert quality == {"completeness": (34, 35), "validity": (3, 5), "consistency": (4, 5), "uniqueness": (2, 3), "timeliness": (2, 3)}


def test_two_runs_on_a_day_share_that_days_quality(tmp_path: Path) -> None:
    write_csv(tmp_path / "one/a.csv", records(1, 3))
    write_csv(tmp_path / "two/b.csv", [record(9, amount="x")])
    load(tmp_path / "one", tmp_path / "lake")
    load(tmp_path / "two", tmp_path / "lake", now=NOW + timedelta(hours=1))
    quality = [row for row in rows(tmp_path / "lake", DATA_QUALITY_DAILY) if row["dimension"] == "validity"]
    assert [(row["numerator"], row["denominator"], row["ratio"]) for row in quality] == [(3, 4, 0.75)]


def test_certificates_are_chained(tmp_path: Path) -> None:
    for day in range(3):
        write_csv(tmp_path / f"{day}/a.csv", records(day * 10, day * 10 + 9))
        load(tmp_path / str(day), tmp_path / "lake")
    chain = runs.runs(opened(tmp_path / "lake"))
    assert [row["sequence"] for row in chain] == [1, 2, 3]
    assert [row["previous_hash"] for row in chain[1:]] == [row["hash"] for row in chain[:-1]]
    assert holds(tmp_path / "lake")


def test_twenty_days_merge_the_index_and_still_find_every_duplicate(tmp_path: Path) -> None:
    for day in range(20):
        write_csv(tmp_path / f"{day}/a.csv", [*records(day * 10, day * 10 + 9), *records(max(0, day * 10 - 30), day * 10 - 1)])
        certificate = load(tmp_path / str(day), tmp_path / "lake", TINY)
        assert totals(certificate)[1] == 10
    runs_held = {segment["group"] for segment in certificate["keys"]}
    assert len(runs_held) < 16
    assert sum(segment["rows"] for segment in certificate["keys"]) == 200
    assert len(files_in(tmp_path / "lake/_leofric/keys")) == len(certificate["keys"])


def test_a_file_without_records_is_loaded(tmp_path: Path) -> None:
    write_csv(tmp_path / "landing/a.csv", [])
    certificate = load(tmp_path / "landing", tmp_path / "lake")
    assert (certificate["files"][0]["status"], totals(certificate)) == ("loaded", (0, 0, 0, 0))
    assert rows(tmp_path / "lake", RUNS)[0]["status"] == "succeeded"


def test_a_run_leaves_nothing_of_its_own_behind(tmp_path: Path) -> None:
    write_csv(tmp_path / "landing/a.csv", records(1, 5))
    load(tmp_path / "landing", tmp_path / "lake")
    own = files_in(tmp_path / "lake/_leofric")
    assert {name for name in own if not name.startswith(("keys/", "audit_heads/"))} == {"lake.json", "lock"}
