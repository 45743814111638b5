"""A lake with payments of long ago: what is over, what is nearly over, and what is of today."""

from datetime import UTC, date, datetime
from pathlib import Path

from tests.support.lake import load
from tests.support.landing import Record, csv_bytes, record, write_csv

THEN = datetime(2013, 6, 4, 9, 0, tzinfo=UTC)
"""When the old files were loaded."""
TODAY = date(2026, 3, 4)
OLD, MIXED, NEW = "old.csv", "mixed.csv", "new.csv"


def booked(number: int, day: str, **changes: str) -> Record:
    """A valid record that was booked on a day."""
    return record(number, timestamp=f"{day}T10:00:00Z", **changes)


def account(number: int) -> str:
    """The booked account of a record of that number."""
    return f"990001-{10_000_000 + number % 50:08d}"


def make(folder: Path, now: datetime) -> Path:
    """A lake below ``folder``, and its landing files in ``landing``.

    ``old.csv``, loaded in 2013: records 1 to 10, booked in June 2013; number 11 repeats the first, number 12 cannot be accepted.
    ``mixed.csv``, loaded ``now``: records 21 to 24, booked on 1 June 2013, and 25 to 30, booked in 2018. ``new.csv``, loaded ``now``:
    records 41 to 50 of this year.
    """
    landing, lake = folder / "landing", folder / "lake"
    old = [booked(number, f"2013-06-{1 + number % 3:02d}") for number in range(1, 11)]
    write_csv(landing / OLD, [*old, old[0], booked(12, "2013-06-01", sort_code="12345")])
    load(landing / OLD, lake, now=THEN)
    days = ["2013-06-01"] * 4 + ["2018-06-01"] * 6
    write_csv(landing / MIXED, [booked(number, day) for number, day in zip(range(21, 31), days, strict=True)])
    load(landing / MIXED, lake, now=now)
    (landing / NEW).write_bytes(csv_bytes(booked(number, "2026-03-01") for number in range(41, 51)))
    load(landing / NEW, lake, now=now)
    return lake
