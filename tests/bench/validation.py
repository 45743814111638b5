"""``make bench-validation``: the rules on one core against the libraries that people use, on the same values in one run."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.csv

from app import columns
from app.contracts.landing import NAMES, SCHEMA
from app.reference import modulus as tables
from app.validation import iban, modulus
from app.validation.transaction import validate
from pipelines.sample.accounts import iban as make_iban
from tests.bench.data import make
from tests.bench.main import say
from tests.bench.timing import warm_rounds_of

VALUES = 1_000_000
SLICE = 20_000  # of the values, for libraries that take one at a time
ROUNDS = 5


def seconds(work: Callable[[], object]) -> float:
    """The median of some rounds."""
    return median(warm_rounds_of(work, ROUNDS))


def compare(what: str, ours: float, count: int, name: str, theirs: float, their_count: int, aim: str) -> None:
    """Print how many times our rate is theirs."""
    ratio = (count / ours) / (their_count / theirs)
    say(f"{what}: {count / ours:,.0f} a second; {name} {their_count / theirs:,.0f}; {ratio:,.0f} times (aim {aim})")


def ibans() -> None:
    """IBANs, one in a hundred with a wrong digit, against schwifty and python-stdnum."""
    import schwifty
    import stdnum.iban

    rng = np.random.default_rng(1)
    some = [make_iban(str(country), rng) for country in rng.choice(["DE", "FR", "ES", "NL", "IE", "PL"], SLICE)]
    values = np.array(some)[rng.integers(0, len(some), VALUES)].tolist()
    for at in range(0, VALUES, 100):
        values[at] = values[at][:-1] + str((int(values[at][-1]) + 1) % 10)
    text = columns.from_arrow(pa.array(values, pa.string()))
    part: Sequence[str] = values[:SLICE]
    good = int((iban.check(text)[1][:SLICE] == 0).sum())
    for name, valid, aim in (
        ("schwifty", lambda value: schwifty.IBAN(value, allow_invalid=True).is_valid, "100"),
        ("python-stdnum", stdnum.iban.is_valid, "300"),
    ):
        found = sum(map(valid, part))
        compare("IBAN", seconds(lambda: iban.check(text)), VALUES, name, seconds(lambda: sum(map(valid, part))), SLICE, aim)  # noqa: B023  # called at once
        say(f"  of {SLICE} values we take {good}, {name} {found}")


def modulus_checks() -> None:
    """Accounts in the ranges of the table that the package ukmodulus brings, by that table, against the package."""
    import ukmodulus

    folder = Path(ukmodulus.__file__).parent
    files = [(folder / name).read_bytes() for name in ("valacdos.txt", "scsubtab.txt")]
    table = tables.parse(files[0], files[1], "ukmodulus")
    rng = np.random.default_rng(2)
    listed = np.flatnonzero(table.rows[:, 0] >= 0)
    rules = table.rows[listed, 0]  # as many accounts of each rule, so that each exception counts
    chosen = np.array([rng.choice(listed[rules == rule]) for rule in np.unique(rules).tolist()])
    sort_codes = [f"{code:06d}" for code in chosen[rng.integers(0, len(chosen), VALUES)].tolist()]
    accounts = [f"{number:08d}" for number in rng.integers(0, 10**8, VALUES).tolist()]
    codes, numbers = (columns.from_arrow(pa.array(values, pa.string())) for values in (sort_codes, accounts))
    ours = modulus.check(codes, numbers, table)
    pairs = list(zip(sort_codes[:SLICE], accounts[:SLICE], strict=True))
    theirs = [ukmodulus.validate_number(code, number) for code, number in pairs]
    taken = seconds(lambda: [ukmodulus.validate_number(code, number) for code, number in pairs])
    compare("modulus", seconds(lambda: modulus.check(codes, numbers, table)), VALUES, "ukmodulus", taken, SLICE, "500")
    differ = sum((result != modulus.INVALID) != their for result, their in zip(ours[:SLICE].tolist(), theirs, strict=True))
    say(f"  of {SLICE} accounts {differ} are judged otherwise; ours agree with the specification told plainly (tests/property)")


def whole_rows(folder: Path) -> None:
    """All columns together, against pyarrow's reading of the same bytes on one thread; and one row."""
    landing = folder / f"landing-{VALUES}"
    make(landing, VALUES, 8)
    options = pa.csv.ConvertOptions(column_types=SCHEMA, include_columns=list(NAMES), include_missing_columns=True)
    reading = pa.csv.ReadOptions(use_threads=False)
    path = landing / "day-0.csv"
    rows = pa.csv.read_csv(path, reading, convert_options=options).combine_chunks()
    table = tables.synthetic()
    ours = seconds(lambda: validate(rows, None, table))
    theirs = seconds(lambda: pa.csv.read_csv(path, reading, convert_options=options))
    rate, ratio = rows.num_rows / ours, theirs / ours
    say(f"all columns with the modulus check: {rate:,.0f} rows a second (aim 1,000,000)")
    say(f"  that is {ratio:.2f} times the rate at which pyarrow reads the same bytes")
    one = rows.slice(0, 1).combine_chunks()
    say(f"one row by the same function: {seconds(lambda: validate(one, None, table)) * 1e3:.2f} ms (aim 1)")


def main() -> None:
    """Run all."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".bench")
    folder.mkdir(parents=True, exist_ok=True)
    ibans()
    modulus_checks()
    whole_rows(folder)


if __name__ == "__main__":
    main()
