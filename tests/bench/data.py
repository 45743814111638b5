"""Landing data for benchmarks: the same bytes every time, and known counts."""

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.contracts.landing import VERSIONS
from app.readers import csv
from app.validation.transaction import validate
from pipelines.sample import accounts, files, payments
from pipelines.sample.accounts import Society
from pipelines.sample.defects import FIELD_DEFECTS

_DEFECTIVE, _REPEATED, _WITH_IBAN = 0.005, 0.002, 0.25
# Defects that every peer's rules find as Leofric's do.
_KINDS = (
    "timestamp_format", "timestamp_no_zone", "sort_code_format", "account_number_length", "amount_precision", "amount_format",
    "currency_unknown", "country_unknown", "channel_unknown", "counterparty_iban_checksum", "counterparty_iban_length",
    "transaction_id_missing",
)  # fmt: skip


@dataclass(frozen=True)
class Expected:
    """What every peer must count."""

    rows: int
    accepted: int
    quarantined: int
    duplicates: int


def make(folder: Path, rows: int, count: int) -> Expected:
    """Write ``count`` CSV files with ``rows`` records in all, unless they are there already."""
    done = folder / "expected.json"
    if done.exists():
        return Expected(**json.loads(done.read_text()))
    folder.mkdir(parents=True, exist_ok=True)
    society = accounts.society(np.random.default_rng(1), 200_000)
    quarantined = duplicates = written = 0
    earlier: pa.Table | None = None  # of the file before: records that come once more
    for number in range(count):
        table, bad, repeated, earlier = _file(np.random.default_rng(1_000 + number), society, rows // count, number, earlier)
        (folder / f"day-{number}.csv").write_bytes(files.csv_bytes(table, (), quoted=False))
        quarantined, duplicates, written = quarantined + bad, duplicates + repeated, written + table.num_rows
    expected = Expected(written, written - quarantined - duplicates, quarantined, duplicates)
    done.write_text(json.dumps(asdict(expected)))
    return expected


def _file(
    rng: np.random.Generator, society: Society, rows: int, number: int, earlier: pa.Table | None
) -> tuple[pa.Table, int, int, pa.Table]:
    """A file's records, how many of them are defective and how many come again; and good ones for the next file to repeat."""
    table = payments.ordinary(rng, society, rows, date(2026, 6, 1), 7)
    n = table.num_rows
    ids = pc.binary_join_element_wise(f"{number:02d}-4f1c-", pc.utf8_lpad(pa.array(np.arange(n)).cast(pa.string()), 12, "0"), "-9b", "")
    table = table.set_column(0, "transaction_id", ids)
    subject = pa.array(np.array(["CARD 2041 COVENTRY", "rent and bills of", "INVOICE No", "STANDING ORDER TO"])[rng.integers(0, 4, n)])
    reference = pc.utf8_lpad(pa.array(rng.integers(0, 10**9, n)).cast(pa.string()), 9, "0")
    table = _set(table, "description", pc.binary_join_element_wise(subject, "REF", reference, " "))
    has_iban = pa.array(rng.random(n) < _WITH_IBAN)
    table = _set(table, "counterparty_iban", pc.if_else(has_iban, society.ibans[rng.integers(0, len(society.ibans), n)], ""))
    texts = files.landing(table, local_time=False, dashes=False)
    chosen = rng.choice(n, int(n * _DEFECTIVE), replace=False)
    for i, kind in enumerate(_KINDS):
        mask = np.zeros(n, dtype=np.bool_)
        mask[chosen[i :: len(_KINDS)]] = True
        for name, value in FIELD_DEFECTS[kind].items():
            # No field needs quotes, as in most feeds; five decimals are too many for every currency.
            unquoted = value.replace(",", "E").replace("1.234", "1.23456")
            texts = _set(texts, name, pc.if_else(pa.array(mask), unquoted, texts[name]))
    good = np.setdiff1d(np.arange(n), chosen)
    again, later = (rng.choice(good, int(n * _REPEATED / 2), replace=False) for _ in range(2))
    whole = pa.concat_tables([texts, texts.take(pa.array(again)), *([] if earlier is None else [earlier])])
    repeated = whole.num_rows - n
    return whole.take(pa.array(rng.permutation(whole.num_rows))), len(chosen), repeated, texts.take(pa.array(later))


def _set(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)


def expected_of_first(file: Path, rows: int) -> Expected:
    """What a peer must count that takes only the first records of a file."""
    lines = file.read_bytes().split(b"\n", rows + 1)[1 : rows + 1]
    parsed = csv.parse(b"\n".join(lines), VERSIONS[1], 1)
    rejected = validate(parsed.columns).rejected
    accepted = pc.count_distinct(parsed.columns["transaction_id"].filter(pa.array(~rejected))).as_py()
    return Expected(parsed.records, accepted, int(rejected.sum()), parsed.records - accepted - int(rejected.sum()))
