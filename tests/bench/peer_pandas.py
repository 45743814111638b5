"""The work with pandas, pandera and schwifty, on a slice: the first rows of the first file."""

import sys
from pathlib import Path

from tests.bench import rules
from tests.bench.peer import Counts, report, timer

ROWS = 50_000


def _valid_iban(text: str) -> bool:
    from schwifty import IBAN

    return text == "" or bool(IBAN(text, allow_invalid=True).is_valid)


def main(landing: Path, out: Path) -> None:
    """Do the work."""
    import pandas as pd
    import pandera.pandas as pa

    exponent = rules.exponents()
    schema = pa.DataFrameSchema(
        {
            "transaction_id": pa.Column(str, pa.Check.str_length(1, 128)),
            "timestamp": pa.Column(str, pa.Check.str_matches(rules.TIMESTAMP)),
            "sort_code": pa.Column(str, pa.Check.str_matches(rules.SORT_CODE)),
            "account_number": pa.Column(str, pa.Check.str_matches(rules.ACCOUNT)),
            "counterparty_sort_code": pa.Column(str, pa.Check.str_matches(r"^(\d{6})?$")),
            "counterparty_account": pa.Column(str, pa.Check.str_matches(r"^(\d{8})?$")),
            "counterparty_iban": pa.Column(str, pa.Check(_valid_iban, element_wise=True)),
            "amount": pa.Column(str, pa.Check.str_matches(rules.AMOUNT)),
            "currency": pa.Column(str, pa.Check.isin(list(exponent))),
            "channel": pa.Column(str, pa.Check.isin(["", *rules.channels()])),
            "country": pa.Column(str, pa.Check.isin(rules.countries())),
        },
        checks=pa.Check(
            lambda df: df["amount"].str.partition(".")[2].str.len() <= df["currency"].map(exponent).fillna(9), name="precision"
        ),
    )
    elapsed = timer()
    frame = pd.read_csv(landing / "day-0.csv", dtype=str, keep_default_na=False, nrows=ROWS)
    try:
        schema.validate(frame, lazy=True)
        bad = frame.index[:0]
    except pa.errors.SchemaErrors as error:
        bad = pd.Index(error.failure_cases["index"].dropna().astype(int).unique())
    good = frame.drop(index=bad)
    accepted = good.drop_duplicates("transaction_id")
    # An amount is exact as a whole number of its last decimal, and never a float.
    decimals = accepted["amount"].str.partition(".")[2]
    missing = accepted["currency"].map(exponent) - decimals.str.len()
    minor = accepted["amount"].str.replace(".", "", regex=False).astype("int64") * 10**missing
    booked = pd.to_datetime(accepted["timestamp"], utc=True)
    accepted.assign(amount_minor=minor, booked_at=booked).to_parquet(out / "accepted.parquet", compression="zstd")
    frame.loc[bad].to_parquet(out / "quarantine.parquet", compression="zstd")
    report(Counts(len(frame), len(accepted), len(bad), len(good) - len(accepted)), elapsed())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
