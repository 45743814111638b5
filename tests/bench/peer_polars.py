"""The work in Polars: one lazy plan, streamed to two Parquet files."""

import sys
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import rules
from tests.bench.peer import Counts, report, timer

if TYPE_CHECKING:
    import polars as pl


def _checked(source: "pl.LazyFrame") -> "pl.LazyFrame":
    import polars as pl

    col = pl.col
    iban = col("counterparty_iban")
    digits = (iban.str.slice(4) + iban.str.slice(0, 4)).str.replace_many(list(rules.LETTERS), list(rules.LETTERS.values()))
    first, *others = rules.PIECES
    remainder = reduce(
        lambda so_far, piece: (so_far.cast(pl.String) + col("d").str.slice(piece[0] - 1, piece[1])).cast(pl.Int64) % 97,
        others,
        col("d").str.slice(first[0] - 1, first[1]).cast(pl.Int64) % 97,
    )
    exponent = col("currency").replace_strict(rules.exponents(), default=None, return_dtype=pl.Int8)
    length = iban.str.slice(0, 2).replace_strict(rules.iban_lengths(), default=None, return_dtype=pl.UInt32)
    booked = col("timestamp").str.to_datetime("%Y-%m-%dT%H:%M:%S%#z", time_unit="us", strict=False)
    frame = source.with_columns(exponent=exponent, booked_at=booked, d=digits, length=length)
    decimals = col("amount").str.extract(r"\.(\d+)$").str.len_chars().fill_null(0)
    faults = {
        "transaction_id": col("transaction_id").is_null(),
        "timestamp": ~col("timestamp").str.contains(rules.TIMESTAMP).fill_null(False) | col("booked_at").is_null(),
        "sort_code": ~col("sort_code").str.contains(rules.SORT_CODE).fill_null(False),
        "account_number": ~col("account_number").str.contains(rules.ACCOUNT).fill_null(False),
        "counterparty_sort_code": ~col("counterparty_sort_code").str.contains(rules.SORT_CODE).fill_null(True),
        "counterparty_account": ~col("counterparty_account").str.contains(rules.ACCOUNT).fill_null(True),
        "currency": col("exponent").is_null(),
        "amount_format": ~col("amount").str.contains(rules.AMOUNT).fill_null(False),
        "amount_precision": decimals > col("exponent"),
        "channel": ~col("channel").is_in(rules.channels()).fill_null(True),
        "country": ~col("country").is_in(rules.countries()).fill_null(False),
        "iban_length": iban.is_not_null() & (~iban.str.contains(rules.IBAN) | (iban.str.len_chars() != col("length")).fill_null(True)),
        "iban_checksum": iban.is_not_null() & (remainder != 1),
    }
    reason = pl.coalesce([pl.when(fault).then(pl.lit(name)) for name, fault in faults.items()])
    return frame.with_columns(reason=reason).drop("d", "length")


def main(landing: Path, out: Path) -> None:
    """Do the work."""
    import polars as pl

    elapsed = timer()
    checked = _checked(pl.scan_csv(landing / "*.csv", infer_schema=False))
    minor = (pl.col("amount").cast(pl.Decimal(20, 4)) * 10_000).cast(pl.Int64) // (10 ** (4 - pl.col("exponent").cast(pl.Int64)))
    accepted = (
        checked.filter(pl.col("reason").is_null())
        .unique("transaction_id", keep="any")
        .with_columns(amount_minor=minor)
        .drop("timestamp", "amount", "reason", "exponent")
        .sink_parquet(out / "accepted.parquet", compression="zstd", lazy=True)
    )
    quarantine = checked.filter(pl.col("reason").is_not_null()).sink_parquet(out / "quarantine.parquet", compression="zstd", lazy=True)
    total = checked.select(pl.len(), pl.col("reason").count().alias("bad"))
    *_, counted = pl.collect_all([accepted, quarantine, total], engine="streaming")
    kept = pl.scan_parquet(out / "accepted.parquet").select(pl.len()).collect().item()
    rows, bad = counted.row(0)
    report(Counts(rows, kept, bad, rows - bad - kept), elapsed())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
