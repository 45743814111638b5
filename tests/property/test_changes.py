"""The change feed of a table: applied to one version it gives another, whatever runs did between."""

from collections import Counter
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.contracts.lake import CHANNEL_DAILY
from app.contracts.row_keys import key_of
from app.lake import delta, lake
from app.lake.delta import Change
from app.lake.lake import Lake
from app.lake.storage import Storage
from pipelines.changes import AFTER, BEFORE, DELETE, INSERT, Feed
from tests.support.lake import everything

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = ["2026-03-01", "2026-03-02"]
_SEQUENCE = count(1)
rows = st.dictionaries(st.sampled_from(["FPS", "BACS", "CARD", None]), st.integers(1, 3), max_size=4)
commits = st.lists(st.dictionaries(st.sampled_from(DAYS), rows, min_size=1), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return lake.create(Storage(str(tmp_path_factory.mktemp("lake"))), bytes(16))


def replaced(opened: Lake, days: dict[str, dict[str | None, int]]) -> None:
    """A run that makes the figures of some days anew."""
    sequence = next(_SEQUENCE)
    table = opened.table(CHANNEL_DAILY)
    held = pa.table(table.get_add_actions()).to_pylist()
    old = tuple(one["path"] for one in held if str(one["partition"]["booking_date"]) in days)
    staged = []
    for day, of in days.items():
        if of:
            values = list(of.values())
            made = {
                "channel": pa.array(list(of), pa.string()), "currency": ["GBP"] * len(of), "transactions": values,
                "value_minor": values, "net_minor": values, "average_minor": [float(value) for value in values],
            }  # fmt: skip
            staged.append(delta.stage(opened.storage, CHANNEL_DAILY, f"part-{sequence}-{day}", pa.table(made), {"booking_date": day}, NOW))
    delta.commit(table, CHANNEL_DAILY, Change(tuple(staged), old), sequence, f"r{sequence}", NOW)


def content(table: pa.Table) -> "Counter[tuple[Any, ...]]":
    return Counter(tuple(row[name] for name in CHANNEL_DAILY.schema.names) for row in table.to_pylist())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=commits)
def test_a_feed_applied_to_one_version_gives_the_other(opened: Lake, made: list[dict[str, dict[str | None, int]]]) -> None:
    first = opened.table(CHANNEL_DAILY).version()
    for days in made:
        replaced(opened, days)
    last = opened.table(CHANNEL_DAILY).version()
    held = content(opened.table(CHANNEL_DAILY, first).to_pyarrow_table())
    for table in Feed(opened, CHANNEL_DAILY, first, last, everything(opened)).tables():
        assert first < table["_commit_version"][0].as_py() <= last
        (kind,) = set(table["_change_type"].to_pylist())
        if kind in (DELETE, BEFORE):
            assert content(table) <= held
            held -= content(table)
        else:
            held += content(table)
    assert held == content(opened.table(CHANNEL_DAILY, last).to_pyarrow_table())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=rows, after=rows)
def test_each_row_that_changed_is_told_once_and_by_its_key(
    opened: Lake, before: dict[str | None, int], after: dict[str | None, int]
) -> None:
    day = DAYS[0]
    replaced(opened, {day: before})
    replaced(opened, {day: after})
    version = opened.table(CHANNEL_DAILY).version()
    told: dict[str, set[str | None]] = {kind: set() for kind in (INSERT, DELETE, BEFORE, AFTER)}
    for table in Feed(opened, CHANNEL_DAILY, version - 1, version, everything(opened)).tables():
        told[table["_change_type"][0].as_py()] |= set(table["channel"].to_pylist())
    changed = {channel for channel in before.keys() & after.keys() if before[channel] != after[channel]}
    assert told == {INSERT: after.keys() - before.keys(), DELETE: before.keys() - after.keys(), BEFORE: changed, AFTER: changed}
    assert key_of(CHANNEL_DAILY) == ("booking_date", "channel", "currency")
