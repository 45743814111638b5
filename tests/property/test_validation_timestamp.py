from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from app.reference.zones import zone_of
from app.validation import timestamp
from tests.support.validation import names, text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(2100, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
NAIVE = st.datetimes(datetime(1970, 1, 2), datetime(2099, 12, 30))
# North and south, half hours, forty-five minutes, a skipped day (Samoa), clocks that go back in Ramadan, a negative summer time.
ZONES = st.sampled_from(
    [
        "Europe/London",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "Africa/Casablanca",
        "Europe/Dublin",
        "Etc/GMT+5",
    ]
)


def read(written: str, zone: str | None = None) -> tuple[int, int, str | None]:
    instants, codes = timestamp.check(text(written), zone_of(zone) if zone else None)
    return int(instants.booked_at[0]), int(instants.booking_date[0]), names(codes)[0]


@given(st.datetimes(datetime(1960, 1, 1), datetime(2110, 1, 1), timezones=OFFSETS), st.sampled_from("T "))
def test_what_python_writes_is_read_as_the_same_instant(moment: datetime, separator: str) -> None:
    booked_at, booking_date, code = read(moment.isoformat(separator))
    if EPOCH <= moment < END:
        assert (booked_at, code) == ((moment - EPOCH) // MICROSECOND, None)
        assert booking_date == (moment - EPOCH) // timedelta(days=1)
    else:
        assert (booked_at, code) == (0, "timestamp_range")


@given(st.integers(0, 9999), st.integers(0, 13), st.integers(0, 32))
@example(1900, 2, 29)
@example(2000, 2, 29)
def test_days_exist_when_the_calendar_has_them(year: int, month: int, day: int) -> None:
    code = read(f"{year:04d}-{month:02d}-{day:02d}T12:00:00Z")[2]
    try:
        date(year or 400, month, day)  # Python has no year 0; it is a leap year like 400
        assert code == (None if 1970 <= year <= 2099 else "timestamp_range")
    except ValueError:
        assert code == "timestamp_impossible"


@cache
def zone_info(name: str) -> ZoneInfo:
    """The zone of the package tzdata: the machine's may be of another year."""
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, name)


def instants_of(local: datetime, zone: ZoneInfo) -> set[datetime]:
    """The instants at which clocks of the zone show ``local``."""
    candidates = {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return {instant for instant in candidates if instant.astimezone(zone).replace(tzinfo=None) == local}


def assert_agrees_with_zoneinfo(local: datetime, zone: str) -> None:
    instants = instants_of(local, zone_info(zone))
    booked_at, _, code = read(local.isoformat(), zone)
    if len(instants) == 1:
        assert (booked_at, code) == ((instants.pop() - EPOCH) // MICROSECOND, None)
    else:
        assert (booked_at, code) == (0, "timestamp_ambiguous_local" if instants else "timestamp_nonexistent_local")


@given(NAIVE, ZONES)
@example(datetime(2011, 12, 30, 12), "Pacific/Apia")
@example(datetime(2026, 10, 25, 1, 30), "Europe/London")
@example(datetime(2026, 3, 29, 1, 30), "Europe/London")
@example(datetime(2026, 10, 25, 1, 30), "Europe/Dublin")
def test_naive_times_agree_with_zoneinfo(local: datetime, zone: str) -> None:
    assert_agrees_with_zoneinfo(local, zone)


@given(st.data(), st.integers(-180, 180), ZONES.filter(lambda zone: len(zone_of(zone).starts) > 1))
def test_the_hours_around_a_change_of_the_clocks_agree_with_zoneinfo(data: st.DataObject, minutes: int, zone: str) -> None:
    change = data.draw(st.sampled_from(zone_of(zone).starts[1:].tolist()))
    local = (EPOCH + timedelta(microseconds=change)).astimezone(zone_info(zone)).replace(tzinfo=None) + timedelta(minutes=minutes)
    assert_agrees_with_zoneinfo(local, zone)


@given(st.text(alphabet="0123456789-:TZ+. ,tz", max_size=30) | st.text(max_size=30))
def test_other_texts_are_never_read(written: str) -> None:
    booked_at, _, code = read(written)
    try:
        moment = datetime.fromisoformat(written.replace(",", ".").upper())
    except ValueError:
        moment = None
    if code is None:
        assert moment is not None
        assert (moment - EPOCH) // MICROSECOND == booked_at
