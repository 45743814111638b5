from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import ModelError
from app.lake import rollouts
from app.lake.rollouts import NONE, SHADOW, Rollout
from app.lake.storage import Storage

FIRST = Rollout(1, "isolation_forest", "new", SHADOW, 0.1, 0.01, 0.25, 500, "to try", "2026-03-04T09:00:00+00:00", "me")


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def test_the_last_rollout_counts(storage: Storage) -> None:
    assert rollouts.last(storage) is None
    assert not rollouts.goes_on(None)
    rollouts.write(storage, FIRST)
    assert rollouts.last(storage) == FIRST
    assert rollouts.goes_on(FIRST)
    ended = rollouts.end(storage, FIRST, "enough", "2026-03-05T09:00:00+00:00", "service")
    assert ended == replace(FIRST, number=2, mode=NONE, why="enough", at="2026-03-05T09:00:00+00:00", by="service")
    assert rollouts.last(storage) == ended
    assert not rollouts.goes_on(ended)
    for number in range(3, 12):
        rollouts.write(storage, replace(FIRST, number=number))
    assert [rollout.number for rollout in rollouts.past(storage)] == list(range(1, 12))
    assert rollouts.last(storage) == replace(FIRST, number=11)


def test_of_two_who_write_at_once_one_is_told_so(storage: Storage) -> None:
    rollouts.write(storage, FIRST)
    rollouts.end(storage, FIRST, "enough", "2026-03-05T09:00:00+00:00", "me")
    with pytest.raises(ModelError, match="somebody else"):
        rollouts.end(storage, FIRST, "too many errors", "2026-03-05T09:00:00+00:00", "service")
    assert [rollout.why for rollout in rollouts.past(storage)] == ["to try", "enough"]
