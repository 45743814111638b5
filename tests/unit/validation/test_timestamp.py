from datetime import UTC, datetime, timedelta

import pytest

from app.reference.zones import zone_of
from app.validation import timestamp
from tests.support.validation import names, text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(written: str | None, zone: str | None = None) -> tuple[datetime, int, str | None]:
    instants, codes = timestamp.check(text(written), zone_of(zone) if zone else None)
    return EPOCH + timedelta(microseconds=int(instants.booked_at[0])), int(instants.booking_date[0]), names(codes)[0]


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02t03:04:05z", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02 03:04:05Z", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04Z", "2026-01-02T03:04:00+00:00"),
        ("2026-01-02T03:04+01:00", "2026-01-02T02:04:00+00:00"),
        ("2026-01-02T03:04:05.1Z", "2026-01-02T03:04:05.100000+00:00"),
        ("2026-01-02T03:04:05,123456Z", "2026-01-02T03:04:05.123456+00:00"),
        ("2026-01-02T03:04:05.123456000Z", "2026-01-02T03:04:05.123456+00:00"),
        ("2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05+00:00"),
        ("2026-01-02T03:04:05-0530", "2026-01-02T08:34:05+00:00"),
        ("2026-01-02T03:04:05+01", "2026-01-02T02:04:05+00:00"),
        ("2026-01-02T03:04:05-00:00", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04:05+14:00", "2026-01-01T13:04:05+00:00"),
        ("2024-02-29T23:59:59.999999Z", "2024-02-29T23:59:59.999999+00:00"),
        ("2000-02-29T00:00:00Z", "2000-02-29T00:00:00+00:00"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00+00:00"),
        ("1970-01-01T00:30:00-01:00", "1970-01-01T01:30:00+00:00"),
        ("1969-12-31T23:30:00-01:00", "1970-01-01T00:30:00+00:00"),
        ("2099-12-31T23:59:59.999999Z", "2099-12-31T23:59:59.999999+00:00"),
    ],
)
def test_iso_8601_with_a_zone_is_an_instant(written: str, instant: str) -> None:
    expected = datetime.fromisoformat(instant)
    assert read(written) == (expected, (expected - EPOCH).days, None)


@pytest.mark.parametrize(
    "written",
    [
        "01/02/2026 10:00",
        "02-01-2026T10:00:00Z",
        "2026-01-02",
        "2026-01-02Z",
        "20260102T100000Z",
        "2026-1-2T10:00:00Z",
        "2026-01-02T1:00:00Z",
        "2026-01-02T10Z",
        "2026-01-02T10:00:Z",
        "2026-01-02T10:00:0Z",
        "2026-01-02T10:00:00.Z",
        "2026-01-02T10:00:00.1234567890Z",
        "2026-01-02T10:00.5Z",
        "2026-01-02  10:00:00Z",
        "2026-01-02_10:00:00Z",
        "2026-01-02T10:00:00 Z",
        "2026-01-02T10:00:00+1:00",
        "2026-01-02T10:00:00+01:0",
        "2026-01-02T10:00:00+01:00:00",
        "2026-01-02T10:00:00\u221201:00",
        "2026-01-02T10:00:00+0a:00",
        "2026-01-02T10:00:00GMT",
        "2026-01-02T10:00:00ZZ",
        " 2026-01-02T10:00:00Z",
        "2026-01-02T10:00:00Z ",
        "2026/01/02T10:00:00Z",
        "2026-W01-5T10:00:00Z",
        "2026-002T10:00:00Z",
        "1767348000",
        "now",
        "\uff12\uff10\uff12\uff16-01-02T10:00:00Z",
        "+2026-01-02T10:00:00Z",
        "2026-01-02T10-00-00Z",
        "2026-01-02T10:00:00+",
    ],
)
def test_anything_else_is_no_timestamp(written: str) -> None:
    assert read(written) == (EPOCH, 0, "timestamp_format")


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("", "missing"),
        ("2026-02-29T10:00:00Z", "impossible"),
        ("2100-02-29T10:00:00Z", "impossible"),
        ("2026-04-31T10:00:00Z", "impossible"),
        ("2026-13-01T10:00:00Z", "impossible"),
        ("2026-00-01T10:00:00Z", "impossible"),
        ("2026-01-00T10:00:00Z", "impossible"),
        ("2026-01-02T24:00:00Z", "impossible"),
        ("2026-01-02T10:60:00Z", "impossible"),
        ("2016-12-31T23:59:60Z", "impossible"),  # a leap second, and a real one
        ("2026-01-02T10:00:00+14:01", "impossible"),
        ("2026-01-02T10:00:00-15:00", "impossible"),
        ("2026-01-02T10:00:00+01:60", "impossible"),
        ("2026-02-30T10:00:00", "impossible"),
        ("2026-01-02T10:00:00.1234567Z", "precision"),
        ("2026-01-02T10:00:00.000000001Z", "precision"),
        ("2026-01-02T10:00:00", "no_zone"),
        ("2026-01-02 10:00", "no_zone"),
        ("1066-10-14T09:00:00Z", "range"),
        ("0000-01-01T00:00:00Z", "range"),
        ("9999-12-31T23:59:59Z", "range"),
        ("1969-12-31T23:59:59.999999Z", "range"),
        ("1970-01-01T00:30:00+01:00", "range"),
        ("2100-01-01T00:00:00Z", "range"),
        ("2099-12-31T23:30:00-01:00", "range"),
    ],
)
def test_each_fault_has_its_own_code(written: str, fault: str) -> None:
    assert read(written) == (EPOCH, 0, f"timestamp_{fault}")


@pytest.mark.parametrize(
    ("written", "instant", "fault"),
    [
        ("2026-01-02T10:00:00", "2026-01-02T10:00:00+00:00", None),
        ("2026-07-02T10:00:00", "2026-07-02T09:00:00+00:00", None),
        ("2026-03-29T00:59:59.999999", "2026-03-29T00:59:59.999999+00:00", None),
        ("2026-03-29T01:00:00", None, "nonexistent_local"),
        ("2026-03-29T01:59:59.999999", None, "nonexistent_local"),
        ("2026-03-29T02:00:00", "2026-03-29T01:00:00+00:00", None),
        ("2026-10-25T00:59:59", "2026-10-24T23:59:59+00:00", None),
        ("2026-10-25T01:00:00", None, "ambiguous_local"),
        ("2026-10-25T01:59:59", None, "ambiguous_local"),
        ("2026-10-25T02:00:00", "2026-10-25T02:00:00+00:00", None),
        ("2026-10-25T01:30:00Z", "2026-10-25T01:30:00+00:00", None),
        ("1970-07-01T10:00:00", "1970-07-01T09:00:00+00:00", None),  # British Standard Time, all the year
        ("1970-01-01T00:30:00", None, "range"),
        ("2026-02-29T10:00:00", None, "impossible"),
    ],
)
def test_a_naive_time_is_read_in_the_declared_zone_or_refused_where_its_clocks_changed(
    written: str, instant: str | None, fault: str | None
) -> None:
    expected = datetime.fromisoformat(instant) if instant else EPOCH
    assert read(written, "Europe/London") == (expected, (expected - EPOCH).days, f"timestamp_{fault}" if fault else None)
