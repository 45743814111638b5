from collections import Counter
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import columns
from app.compliance.control_totals import Coverage, Totals, marks, of_rows, of_text

EXPONENTS = {"GBP": 2, "JPY": 0, "KWD": 3}


def totals_of(amounts: list[str], currencies: list[str]) -> Totals:
    return of_text(
        len(amounts),
        columns.from_arrow(pa.array(amounts, pa.string())),
        columns.from_arrow(pa.array(currencies, pa.string())),
        EXPONENTS,
    )


def test_amounts_are_summed_in_minor_units_of_their_currency() -> None:
    assert totals_of(["-1.50", "+2", "0.005", "7"], ["GBP", "GBP", "KWD", "JPY"]) == Totals(4, {"GBP": 50, "JPY": 7, "KWD": 5})


@pytest.mark.parametrize(
    ("amount", "currency"),
    [
        ("", "GBP"), ("1.", "GBP"), (".5", "GBP"), ("1e5", "GBP"), ("1,000", "GBP"), ("1.234", "GBP"), ("1.0", "JPY"), (" 1", "GBP"),
        ("--1", "GBP"), ("+", "GBP"), ("1.2.3", "GBP"), ("NaN", "GBP"), ("\u0661", "GBP"), ("1", "XXX"), ("1", "gbp"), ("1", ""),
        ("1", "GBPX"), ("10000000000000.00", "GBP"), ("99999999999999999999", "JPY"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_counts_as_a_record_without_an_amount(amount: str, currency: str) -> None:
    assert totals_of([amount], [currency]) == Totals(1, {})


def test_sums_beyond_64_bits_stay_exact() -> None:
    assert totals_of(["9999999999999.99"] * 20_000, ["GBP"] * 20_000).amount_minor == {"GBP": 20_000 * 999_999_999_999_999}


@given(st.lists(st.tuples(st.integers(-(10**15) + 1, 10**15 - 1), st.sampled_from(sorted(EXPONENTS)))))
def test_the_texts_of_a_file_and_the_rows_of_a_table_give_the_same_totals(rows: list[tuple[int, str]]) -> None:
    texts = [f"{Decimal(amount).scaleb(-EXPONENTS[currency]):f}" for amount, currency in rows]
    table = pa.table(
        {
            "amount_minor": pa.array([amount for amount, _ in rows], pa.int64()),
            "currency": pa.array([currency for _, currency in rows], pa.string()),
            "source_sha256": pa.array(["f"] * len(rows), pa.string()),
        }
    )
    assert totals_of(texts, [currency for _, currency in rows]) == of_rows(table).get("f", Totals())


def test_rows_whose_amount_could_not_be_read_count_as_records_only() -> None:
    table = pa.table(
        {
            "amount_minor": pa.array([1, None, None], pa.int64()),
            "currency": pa.array(["GBP", None, None], pa.string()),
            "source_sha256": ["a", "a", "b"],
        }
    )
    assert of_rows(table) == {"a": Totals(2, {"GBP": 1}), "b": Totals(1)}


@pytest.mark.parametrize(
    ("numbers", "fault"),
    [
        ([1, 2, 3], None),
        ([3, 1, 2], None),
        ([1, 3], "record 2 is in no table"),
        ([1, 2, 2, 3], "record 2 is in the tables more than once"),
        ([1, 2, 3, 4], "record 4 is not in the file"),
        ([0, 1, 2, 3], "record 0 is not in the file"),
        ([2, 3, 3], "record 1 is in no table"),
    ],
)
def test_coverage_names_the_first_record_that_is_not_counted_once(numbers: list[int], fault: str | None) -> None:
    coverage = Coverage(3)
    for number in numbers:
        coverage.add(marks(np.array([number], dtype=np.int64), 3))
    assert coverage.fault() == fault


@given(st.integers(0, 60), st.lists(st.lists(st.integers(-2, 63)), max_size=6))
def test_coverage_agrees_with_counting_each_number(records: int, parts: list[list[int]]) -> None:
    coverage = Coverage(records)
    for part in parts:
        coverage.add(marks(np.array(part, dtype=np.int64), records))
    counts = Counter(number for part in parts for number in part)
    wrong = [number for number in range(1, records + 1) if counts[number] != 1]
    strays = [number for number in counts if not 1 <= number <= records]
    fault = coverage.fault()
    if strays:
        assert fault in [f"record {stray} is not in the file" for stray in strays]
    elif wrong:
        assert fault == f"record {wrong[0]} is {'in the tables more than once' if counts[wrong[0]] else 'in no table'}"
    else:
        assert fault is None


def test_coverage_of_an_empty_file_holds() -> None:
    assert Coverage(0).fault() is None


def test_a_record_counted_many_times_is_not_taken_for_one_that_was_counted_once() -> None:
    coverage = Coverage(1)
    coverage.add(marks(np.full(257, 1, dtype=np.int64), 1))
    assert coverage.fault() == "record 1 is in the tables more than once"


@given(st.sets(st.integers(1, 40), min_size=1), st.sets(st.integers(1, 40)))
def test_where_only_some_records_are_due_those_are_counted_once_and_others_not_at_all(due: set[int], there: set[int]) -> None:
    coverage = Coverage(40, np.array(sorted(due), dtype=np.int64))
    coverage.add(marks(np.array(sorted(there), dtype=np.int64), 40))
    fault = coverage.fault()
    assert (fault is None) == (due == there)
    if fault is not None:
        first = min(due ^ there)
        assert f"record {first} is" in fault
        assert ("more than once" in fault) == (first in there)
