"""Landing data for benchmarks: the same bytes every time, and known counts."""

import json
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
    for number in range(count):
        table, bad, repeated = _file(np.random.default_rng(1_000 + number), society, rows // count, number)
        (folder / f"day-{number}.csv").write_bytes(files.csv_bytes(table, (), quoted=False))
        quarantined, duplicates, written = quarantined + bad, duplicates + repeated, written + table.num_rows
    expected = Expected(written, written - quarantined - duplicates, quarantined, duplicates)
    done.write_text(json.dumps(asdict(expected)))
    return expected


def _file(rng: np.random.Generator, society: Society, rows: int, number: int) -> tuple[pa.Table, int, int]:
    table = payments.ordinary(rng, society, rows, date(2026, 6, 1), 7)
    n = table.num_rows
    ids = pc.binary_join_element_wise(f"{number:02d}-4f1c-", pc.utf8_lpad(pa.array(np.arange(n)).cast(pa.string()), 12, "0"), "-9b", "")
    table = table.set_column(0, "transaction_id", ids)
    table = _set(table, "description", pa.array(np.array(["CARD 2041 COVENTRY", "rent and bills", "INVOICE 00190"])[rng.integers(0, 3, n)]))
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
    again = rng.choice(good, int(n * _REPEATED), replace=False)
    order = rng.permutation(np.concatenate([np.arange(n), again]))
    return texts.take(pa.array(order)), len(chosen), len(again)


def _set(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)
