"""Time zones: when the clocks of a place changed, from the IANA time zone database."""

import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from app.errors import UsageError

_FIRST_DAY = -2  # days since 1970: local times of 1970 to 2099 are instants between these two
_LAST_DAY = 47_484
_DAY = 86_400  # seconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Zone:
    """The periods of a zone, in order: from UTC instant ``starts[i]`` its clocks are ``offsets[i]`` ahead of UTC; both in µs.

    The first period has no beginning and the last no end. They are right for 1970 to 2099.
    """

    starts: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]


@cache
def zone_of(name: str) -> Zone:
    """The zone of that IANA name, such as ``Europe/London``. UsageError if there is none.

    It is read from the package tzdata and not from the machine, so that every machine has the same one. RFC 9636.
    """
    database = resources.files("tzdata")
    if name not in database.joinpath("zones").read_text(encoding="ascii").split():
        raise UsageError(f"no time zone is called {name!r}: use an IANA name such as Europe/London")
    with database.joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        zone = zoneinfo.ZoneInfo.from_file(file, name)
    starts = [-(2**62)]
    offsets = [_offset(zone, _FIRST_DAY * _DAY)]
    # zoneinfo keeps its transitions to itself: look once a day (no period is shorter), then halve.
    for day in range(_FIRST_DAY, _LAST_DAY):
        after = _offset(zone, (day + 1) * _DAY)
        if after != offsets[-1]:
            starts.append(_change(zone, day * _DAY, (day + 1) * _DAY) * 1_000_000)
            offsets.append(after)
    return Zone(np.array(starts, dtype=np.int64), np.array(offsets, dtype=np.int64))


def _offset(zone: zoneinfo.ZoneInfo, seconds: int) -> int:
    ahead = (_EPOCH + timedelta(seconds=seconds)).astimezone(zone).utcoffset()
    return int((ahead or timedelta()).total_seconds()) * 1_000_000


def _change(zone: zoneinfo.ZoneInfo, before: int, after: int) -> int:
    """The first second after ``before`` at which the offset is that of ``after``."""
    target = _offset(zone, after)
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(zone, middle) == target:
            after = middle
        else:
            before = middle
    return after
