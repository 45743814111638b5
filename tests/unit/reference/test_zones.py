import pickle

import pytest

from app.errors import UsageError
from app.reference.zones import zone_of


def test_a_zone_without_changes_is_one_period() -> None:
    zone = zone_of("Etc/UTC")
    assert zone.offsets.tolist() == [0]


def test_london_changed_to_summer_time_at_one_in_the_morning() -> None:
    zone = zone_of("Europe/London")
    spring_2026 = 1_774_746_000 * 1_000_000  # 2026-03-29T01:00:00Z
    period = zone.starts.tolist().index(spring_2026)
    assert zone.offsets[period - 1 : period + 2].tolist() == [0, 3_600_000_000, 0]


def test_a_zone_travels_between_processes() -> None:
    zone = zone_of("Europe/London")
    assert pickle.loads(pickle.dumps(zone)).starts.tolist() == zone.starts.tolist()


@pytest.mark.parametrize("name", ["", "Europe/Londn", "europe/london", "../zones", "/etc/localtime", "zone.tab", "Europe", "GMT0BST"])
def test_another_name_is_wrong_usage(name: str) -> None:
    with pytest.raises(UsageError, match="no time zone"):
        zone_of(name)
