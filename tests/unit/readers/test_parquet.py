import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.contracts.landing import VERSIONS
from app.errors import FileRejected
from app.readers import parquet
from tests.support.landing import record, records
from tests.support.units import Read, add

NAMES = VERSIONS[1]


def read(path: Path, unit_rows: int = 1_000_000) -> Read:
    found = Read([], [])
    for unit in parquet.plan(pa.OSFile(str(path)), unit_rows):
        for parsed in parquet.parse(pa.OSFile(str(path)), unit, 1000):
            add(found, parsed)
    return found


def write(path: Path, table: pa.Table, **options: object) -> Path:
    pq.write_table(table, path, **options)
    return path


def texts(rows: Sequence[Mapping[str, str | None]]) -> pa.Table:
    return pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in NAMES]))


def test_units_are_whole_row_groups_and_number_their_records(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", texts(records(1, 100)), row_group_size=7)
    assert [unit.records for unit in parquet.plan(pa.OSFile(str(path)), 20)] == [21, 21, 21, 21, 16]
    found = read(path, 20)
    assert [number for number, _, _ in found.rows] == list(range(1, 101))
    assert found.values == [tuple(row.values()) for row in records(1, 100)]


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_every_kind_of_text_is_text(tmp_path: Path, kind: pa.DataType) -> None:
    table = texts(records(1, 5)).set_column(0, "transaction_id", pa.array([f"T{n:06d}" for n in range(1, 6)]).cast(kind))
    assert read(write(tmp_path / "a.parquet", table)).values == [tuple(row.values()) for row in records(1, 5)]


def test_nulls_stay_and_columns_come_in_any_order(tmp_path: Path) -> None:
    table = texts([record(1) | {"counterparty_iban": None}]).select(list(reversed(NAMES)))
    (values,) = read(write(tmp_path / "a.parquet", table)).values
    assert values == tuple((record(1) | {"counterparty_iban": None}).values())


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.decimal128(10, 2), pa.binary()])
def test_a_column_that_is_not_text_rejects_the_file_and_is_named(tmp_path: Path, kind: pa.DataType) -> None:
    table = texts([record(1, amount="1")])
    amount = table["amount"].cast(pa.float64()).cast(kind) if kind != pa.binary() else table["amount"].cast(kind)
    with pytest.raises(FileRejected, match="column_type.*amount"):
        read(write(tmp_path / "a.parquet", table.set_column(NAMES.index("amount"), "amount", amount)))


def test_a_missing_and_an_unknown_column_reject_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileRejected, match="header_column_missing.*amount"):
        read(write(tmp_path / "a.parquet", texts(records(1, 2)).drop_columns("amount")))
    with pytest.raises(FileRejected, match="header_column_unknown.*branch"):
        read(write(tmp_path / "b.parquet", texts(records(1, 2)).append_column("branch", pa.array(["a", "b"]))))


def test_bytes_that_are_no_text_fault_their_record_alone(tmp_path: Path) -> None:
    bad = pa.array([b"fine", b"caf\xe9", b"a\0b", b"caf\xc3\xa9"], pa.binary())
    column = pa.StringArray.from_buffers(4, bad.buffers()[1], bad.buffers()[2])
    table = texts(records(1, 4)).set_column(NAMES.index("description"), "description", column)
    found = read(write(tmp_path / "a.parquet", table))
    assert found.codes == [(2, "encoding"), (3, "nul")]
    assert [(number, values[-1]) for number, values, _ in found.rows] == [(1, "fine"), (4, "café")]
    assert json.loads(found.faults[0][2])["description"] == "caf\\xe9"
    assert json.loads(found.rows[1][2]) == record(4, description="café")


def test_a_file_cut_anywhere_is_rejected(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.parquet", texts(records(1, 3))).read_bytes()
    for cut in range(0, len(whole), 97):
        path = tmp_path / "cut.parquet"
        path.write_bytes(whole[:cut])
        with pytest.raises(FileRejected, match="parquet_corrupt"):
            read(path)
