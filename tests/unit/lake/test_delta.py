import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from app.contracts.lake import BRONZE, CHANNEL_DAILY, DUPLICATES, SILVER
from app.contracts.table import TableContract
from app.lake import delta
from app.lake.delta import Change, StagedFile
from app.lake.storage import Storage

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(str(tmp_path))
    delta.create_if_missing(storage, CHANNEL_DAILY)
    return storage


def stage(storage: Storage, name: str, channels: Sequence[str | None], day: str = "2026-03-01") -> StagedFile:
    numbers = list(range(len(channels)))
    rows = pa.table(
        {
            "channel": pa.array(channels, pa.string()),
            "currency": ["GBP"] * len(channels),
            "transactions": numbers,
            "value_minor": numbers,
            "net_minor": numbers,
            "average_minor": [float(n) for n in numbers],
        }
    )
    return delta.stage(storage, CHANNEL_DAILY, name, rows, {"booking_date": day}, NOW)


def commit(storage: Storage, change: Change, sequence: int, run_id: str, now: datetime) -> DeltaTable:
    table = delta.open_table(storage, CHANNEL_DAILY)
    assert table is not None
    delta.commit(table, CHANNEL_DAILY, change, sequence, run_id, now)
    return table


def channels(storage: Storage, version: int | None = None) -> list[str]:
    table = delta.open_table(storage, CHANNEL_DAILY, version)
    assert table is not None
    return sorted(table.to_pyarrow_table()["channel"].to_pylist())


def test_staged_files_are_not_in_the_table_until_they_are_committed(storage: Storage) -> None:
    staged = stage(storage, "one", ["FPS"])
    assert channels(storage) == []
    assert commit(storage, Change((staged,)), 1, "r1", NOW).version() == 1
    assert channels(storage) == ["FPS"]


def test_a_commit_is_made_once_however_often_it_is_asked_for(storage: Storage) -> None:
    first, second = stage(storage, "one", ["FPS"]), stage(storage, "two", ["BACS"])
    commit(storage, Change((first,)), 1, "r1", NOW)
    commit(storage, Change((second,)), 2, "r2", NOW)
    assert commit(storage, Change((first,)), 1, "r1", NOW).version() == 2
    assert channels(storage) == ["BACS", "FPS"]


def test_files_come_and_go_in_one_version(storage: Storage) -> None:
    old, other = stage(storage, "old", ["FPS"]), stage(storage, "other", ["CARD"], "2026-03-02")
    commit(storage, Change((old, other)), 1, "r1", NOW)
    new = stage(storage, "new", ["BACS"])
    assert commit(storage, Change((new,), (old.path,)), 2, "r2", NOW).version() == 2
    assert (channels(storage), channels(storage, 1)) == (["BACS", "CARD"], ["CARD", "FPS"])


def test_statistics_have_counts_and_nulls(storage: Storage) -> None:
    statistics = json.loads(stage(storage, "one", ["FPS", None, "BACS"]).statistics)
    assert statistics["numRecords"] == 3
    assert statistics["nullCount"]["channel"] == 1


def test_a_filter_on_any_column_finds_its_rows(storage: Storage) -> None:
    commit(storage, Change((stage(storage, "one", ["FPS", "BACS"]), stage(storage, "nulls", [None, None]))), 1, "r1", NOW)
    dataset = DeltaTable(str(storage.local_path(CHANNEL_DAILY.path))).to_pyarrow_dataset()
    for row in dataset.to_table().to_pylist():
        for name, value in row.items():
            wanted = pc.field(name).is_null() if value is None else pc.field(name) == value
            assert row in dataset.to_table(filter=wanted).to_pylist()


def test_a_file_written_in_pieces_is_the_same_table_with_a_row_group_a_piece(storage: Storage) -> None:
    rows = pa.table(
        {
            "channel": pa.array(["FPS", None, "BACS"], pa.string()).dictionary_encode(),
            "currency": ["GBP"] * 3,
            "transactions": [1, 2, 3],
            "value_minor": [7, 8, 9],
            "net_minor": [-7, 8, -9],
            "average_minor": [0.5, 1.5, 2.5],
        }
    )
    writer = delta.FileWriter(storage, CHANNEL_DAILY, "pieces", {"booking_date": "2026-03-01"}, NOW)
    writer.write(rows.slice(0, 2))
    writer.write(rows.slice(2))
    staged = writer.close()
    assert staged is not None
    assert (staged.rows, json.loads(staged.statistics)["nullCount"]["channel"]) == (3, 1)
    file = pq.ParquetFile(storage.local_path(f"{CHANNEL_DAILY.path}/{staged.path}"))
    assert file.metadata.num_row_groups == 2
    assert file.read().column("channel").to_pylist() == ["FPS", None, "BACS"]
    assert file.schema_arrow.field("channel").type == pa.string()


def test_a_file_in_which_nothing_was_written_is_none(storage: Storage) -> None:
    assert delta.FileWriter(storage, CHANNEL_DAILY, "none", {"booking_date": "2026-03-01"}, NOW).close() is None
    assert not list(storage.entries("gold/channel_daily/booking_date=2026-03-01"))


def test_the_log_holds_no_values_of_personal_columns(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    row = {
        "transaction_id": "T1", "booked_at": NOW, "booking_date": NOW.date(), "sort_code": "990001", "account_number": "12345678",
        "amount_minor": -150, "currency": "GBP", "country": "GB", "description": "rent", "account_check": "valid",
        "counterparty_check": "not_checked", "source_uri": "file:///a", "source_sha256": "ab",
        "record_number": 1, "run_id": "r", "ingested_at": NOW,
    }  # fmt: skip
    staged = delta.stage(storage, SILVER, "one", pa.Table.from_pylist([row], SILVER.schema), {"booking_date": "2026-03-01"}, NOW)
    statistics = json.loads(staged.statistics)
    assert "12345678" not in staged.statistics
    assert "rent" not in staged.statistics
    assert statistics["nullCount"]["account_number"] == 0
    assert set(statistics) == {"numRecords", "nullCount"}


@pytest.mark.parametrize(("contract", "expected"), [(BRONZE, "true"), (DUPLICATES, "true"), (SILVER, None)])
def test_append_only_tables_say_so(tmp_path: Path, contract: TableContract, expected: str | None) -> None:
    storage = Storage(str(tmp_path))
    delta.create_if_missing(storage, contract)
    table = delta.open_table(storage, contract)
    assert table is not None
    assert table.metadata().configuration.get("delta.appendOnly") == expected


def test_rows_and_bytes_come_from_the_log(storage: Storage) -> None:
    staged = stage(storage, "one", ["FPS", "BACS"])
    commit(storage, Change((staged,)), 1, "r1", NOW)
    table = delta.open_table(storage, CHANNEL_DAILY)
    assert table is not None
    assert delta.rows_and_bytes(table) == (2, staged.size)


def test_a_table_that_was_never_made_is_none(tmp_path: Path) -> None:
    assert delta.open_table(Storage(str(tmp_path)), SILVER) is None


def scattered(storage: Storage, files: int) -> DeltaTable:
    for number in range(files):
        commit(storage, Change((stage(storage, f"part-{number}", [f"C{number}"]),)), number + 1, f"r{number}", NOW)
    commit(storage, Change((stage(storage, "part-other", ["other"], day="2026-03-02"),)), files + 1, "r-other", NOW)
    return opened(storage)


def opened(storage: Storage) -> DeltaTable:
    table = delta.open_table(storage, CHANNEL_DAILY)
    assert table is not None
    return table


def test_small_files_of_a_partition_become_one_and_no_row_changes(storage: Storage) -> None:
    table, before = scattered(storage, 5), channels(storage)
    delta.compact_if_scattered(storage, table, CHANNEL_DAILY, 6, NOW, {"booking_date": "2026-03-01"})
    assert len(opened(storage).file_uris()) == 6
    delta.compact_if_scattered(storage, table, CHANNEL_DAILY, 5, NOW, {"booking_date": "2026-03-01"})
    assert len(opened(storage).file_uris()) == 2
    assert channels(storage) == before


def test_of_two_that_tidy_at_once_one_does_and_of_an_append_meanwhile_nothing_is_lost(storage: Storage) -> None:
    scattered(storage, 5)
    one, other, late = opened(storage), opened(storage), opened(storage)
    for table in (one, other):
        delta.compact_if_scattered(storage, table, CHANNEL_DAILY, 2, NOW, {"booking_date": "2026-03-01"})
    assert sorted(channels(storage)) == ["C0", "C1", "C2", "C3", "C4", "other"]
    commit(storage, Change((stage(storage, "part-new", ["new"]),)), 20, "r-new", NOW)
    delta.compact_if_scattered(storage, late, CHANNEL_DAILY, 2, NOW, {"booking_date": "2026-03-01"})
    assert sorted(channels(storage)) == ["C0", "C1", "C2", "C3", "C4", "new", "other"]
    named = {Path(uri).name for uri in opened(storage).file_uris()}
    assert {path.name for path in storage.local_path(CHANNEL_DAILY.path).rglob("*.parquet")} >= named
