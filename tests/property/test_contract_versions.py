"""A payment without a merchant category is one content, whichever version of the landing contract its file has, and in whatever format."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from app.contracts.lake import TYPED_SCHEMA
from app.contracts.landing import VERSIONS
from app.fingerprints import Fingerprints, fingerprints
from app.readers import csv, ndjson, parquet
from app.readers.parsed import Parsed
from app.validation.transaction import validate
from tests.support.landing import Record, csv_bytes, ndjson_bytes, record

KEY = bytes(range(16))
RECORDS = st.lists(
    st.builds(
        lambda number, description, channel: record(number, description=description, channel=channel),
        st.integers(1, 9_999),
        st.text(st.characters(exclude_categories=["C"]), max_size=30),
        st.sampled_from(["", "FPS", "CARD"]),
    ),
    min_size=1,
    max_size=6,
)
CODES = st.sampled_from(["5411", "5812", "7995"])


def of_csv(rows: list[Record]) -> Parsed:
    splitter = csv.Splitter(1 << 30)
    data = csv_bytes(rows)
    (span,) = [*splitter.feed(data), *splitter.finish()]
    return csv.parse(data[span.offset :], splitter.names, 1)


def of_parquet(rows: list[Record]) -> Parsed:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), sink)
    file = pa.BufferReader(sink.getvalue())
    (unit,) = parquet.plan(file, 1_000)
    (parsed,) = parquet.parse(file, unit, 1_000)
    return parsed


def prints(parsed: Parsed, version: int) -> Fingerprints:
    assert parsed.contract_version == version
    validated = validate(parsed.columns)
    assert validated.typed.schema == TYPED_SCHEMA
    return fingerprints(validated.typed, KEY)


@given(RECORDS, CODES)
def test_a_payment_without_a_code_is_the_same_in_every_version_and_a_code_makes_it_another(rows: list[Record], code: str) -> None:
    first = prints(of_csv(rows), 1)
    empty = [row | {"merchant_category": ""} for row in rows]
    coded = [row | {"merchant_category": code} for row in rows]
    others = [(of_parquet(rows), 1), (ndjson.parse(ndjson_bytes(rows), 1), 1)]
    others += [(of_csv(empty), 2), (of_parquet(empty), 2), (ndjson.parse(ndjson_bytes(empty), 1), 2)]
    for parsed, version in others:
        other = prints(parsed, version)
        assert other.content.tolist() == first.content.tolist()
        assert other.id_high.tolist() == first.id_high.tolist()
    for parsed in (of_csv(coded), of_parquet(coded), ndjson.parse(ndjson_bytes(coded), 1)):
        other = prints(parsed, 2)
        assert all(one != another for one, another in zip(other.content.tolist(), first.content.tolist(), strict=True))
        assert other.id_high.tolist() == first.id_high.tolist()


@given(RECORDS)
def test_rows_of_a_table_without_the_column_have_the_fingerprints_of_rows_that_have_it_empty(rows: list[Record]) -> None:
    typed = validate(of_csv(rows).columns).typed
    assert VERSIONS[2][-1] == "merchant_category"
    without = fingerprints(typed.drop_columns(["merchant_category"]), KEY)
    assert without.content.tolist() == fingerprints(typed, KEY).content.tolist()
