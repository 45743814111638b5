"""The work in PySpark, local[2]: the DataFrame API, no Python functions on rows."""

import sys
from functools import reduce
from itertools import chain
from pathlib import Path
from typing import Any

from tests.bench import rules
from tests.bench.peer import Counts, report, timer


def _checked(frame: Any) -> Any:
    from pyspark.sql import functions as f

    def table(values: dict[str, int]) -> Any:
        return f.create_map(*[f.lit(item) for item in chain.from_iterable(values.items())])

    iban = f.col("counterparty_iban")
    turned = f.concat(iban.substr(f.lit(5), f.lit(40)), iban.substr(1, 4))
    digits = reduce(lambda column, pair: f.replace(column, f.lit(pair[0]), f.lit(pair[1])), rules.LETTERS.items(), turned)
    frame = frame.withColumn("d", digits).withColumn("exponent", table(rules.exponents())[f.col("currency")])
    first, *others = rules.PIECES
    remainder = reduce(
        lambda so_far, piece: f.concat(so_far.cast("string"), f.col("d").substr(*piece)).cast("long") % 97,
        others,
        f.col("d").substr(*first).cast("long") % 97,
    )
    faults = {
        "transaction_id": f.col("transaction_id").isNull(),
        "timestamp": ~f.coalesce(f.col("timestamp").rlike(rules.TIMESTAMP), f.lit(False)) | f.try_to_timestamp("timestamp").isNull(),
        "sort_code": ~f.coalesce(f.col("sort_code").rlike(rules.SORT_CODE), f.lit(False)),
        "account_number": ~f.coalesce(f.col("account_number").rlike(rules.ACCOUNT), f.lit(False)),
        "counterparty_sort_code": ~f.coalesce(f.col("counterparty_sort_code").rlike(rules.SORT_CODE), f.lit(True)),
        "counterparty_account": ~f.coalesce(f.col("counterparty_account").rlike(rules.ACCOUNT), f.lit(True)),
        "currency": f.col("exponent").isNull(),
        "amount_format": ~f.coalesce(f.col("amount").rlike(rules.AMOUNT), f.lit(False)),
        "amount_precision": f.length(f.regexp_extract("amount", r"\.(\d+)$", 1)) > f.col("exponent"),
        "channel": ~f.coalesce(f.col("channel").isin(rules.channels()), f.lit(True)),
        "country": ~f.coalesce(f.col("country").isin(rules.countries()), f.lit(False)),
        "iban_length": iban.isNotNull()
        & (~iban.rlike(rules.IBAN) | f.coalesce(f.length(iban) != table(rules.iban_lengths())[iban.substr(1, 2)], f.lit(True))),
        "iban_checksum": iban.isNotNull() & (remainder != 1),
    }
    reason = f.coalesce(*[f.when(fault, f.lit(name)) for name, fault in faults.items()])
    return frame.withColumn("reason", reason).drop("d")


def main(landing: Path, out: Path) -> None:
    """Do the work."""
    from pyspark import StorageLevel
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as f

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "6g")
        .config("spark.sql.shuffle.partitions", "8")
        .config("spark.sql.parquet.compression.codec", "zstd")
        .config("spark.sql.ansi.enabled", "false")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.local.dir", str(out))
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    elapsed = timer()
    checked = _checked(spark.read.csv(str(landing / "*.csv"), header=True, inferSchema=False)).persist(StorageLevel.MEMORY_AND_DISK)
    scale = f.element_at(f.array(*[f.lit(10 ** (4 - exponent)) for exponent in range(5)]), f.col("exponent") + 1)
    minor = f.expr("cast(cast(amount as decimal(20,4)) * 10000 as long)") / scale
    (
        checked.filter("reason is null")
        .dropDuplicates(["transaction_id"])
        .select("*", f.to_timestamp("timestamp").alias("booked_at"), minor.cast("long").alias("amount_minor"))
        .drop("timestamp", "amount", "reason", "exponent")
        .write.parquet(str(out / "accepted"))
    )
    checked.filter("reason is not null").write.parquet(str(out / "quarantine"))
    rows, bad = checked.count(), checked.filter("reason is not null").count()
    accepted = spark.read.parquet(str(out / "accepted")).count()
    report(Counts(rows, accepted, bad, rows - bad - accepted), elapsed())
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
