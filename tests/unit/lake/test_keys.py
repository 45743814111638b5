from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lake import keys
from app.lake.keys import Keys, Segment
from app.lake.storage import Storage

small = st.integers(0, 5).map(lambda n: n << 61)  # few values, far apart: equal halves are common


def words(values: list[int]) -> keys.Words:
    return np.array(values, dtype=np.uint64)


def keys_of(rows: list[tuple[int, int, int]]) -> Keys:
    return Keys(*(words([row[i] for row in rows]) for i in range(3)))


def look_up(held: Keys, sought: Keys) -> tuple[list[bool], list[int]]:
    found = np.zeros(len(sought), dtype=np.bool_)
    content = np.zeros(len(sought), dtype=np.uint64)
    keys.find(held.high, held.low, held.content, sought.high, sought.low, found, content)
    return found.tolist(), content.tolist()


@given(st.dictionaries(st.tuples(small, small), st.integers(0, 2**64 - 1)), st.lists(st.tuples(small, small, small)))
def test_find_agrees_with_a_dictionary(held: dict[tuple[int, int], int], sought: list[tuple[int, int, int]]) -> None:
    segment = keys_of([(high, low, content) for (high, low), content in held.items()]).sorted()
    queries = keys_of(sought).sorted()
    found, content = look_up(segment, queries)
    pairs = list(zip(queries.high.tolist(), queries.low.tolist(), strict=True))
    assert found == [pair in held for pair in pairs]
    assert [c for c, f in zip(content, found, strict=True) if f] == [held[pair] for pair in pairs if pair in held]


@given(st.lists(st.tuples(small, small, small)), st.integers(0, 256), st.integers(0, 256))
def test_slices_by_first_byte_tile_the_keys(rows: list[tuple[int, int, int]], a: int, b: int) -> None:
    first, second = sorted((a, b))
    ordered = keys_of(rows).sorted()
    parts = [keys.slice_of(ordered, begin, end) for begin, end in ((0, first), (first, second), (second, 256))]
    assert keys.join(parts).high.tolist() == ordered.high.tolist()
    assert all(first <= int(high) >> 56 < second for high in parts[1].high)


def test_a_stored_segment_is_found_again_from_disk(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    segment = Segment("one", 1, 0, 0, 256, 3)
    keys.write(storage, segment, keys_of([(1, 1, 10), (2, 2, 20), (2**63, 3, 30)]))
    assert look_up(keys.open_segment(storage, segment, tmp_path), keys_of([(2, 2, 0), (2, 3, 0), (2**63, 3, 0)])) == (
        [True, False, True],
        [20, 0, 30],
    )


def test_an_empty_segment_holds_nothing(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    segment = Segment("none", 1, 0, 0, 256, 0)
    keys.write(storage, segment, keys.join([]))
    assert look_up(keys.open_segment(storage, segment, tmp_path), keys_of([(1, 1, 1)])) == ([False], [0])


@pytest.mark.parametrize(
    ("levels", "merging", "level"), [([0] * 14, 0, 0), ([0] * 15, 15, 1), ([0] * 15 + [1] * 14, 15, 1), ([0] * 15 + [1] * 15, 30, 2)]
)
def test_segments_are_merged_when_a_level_is_full(levels: list[int], merging: int, level: int) -> None:
    segments = [Segment(str(i), i, lvl, 0, 256, 1) for i, lvl in enumerate(levels)]
    chosen, new_level = keys.to_merge(segments)
    assert (len(chosen), new_level) == (merging, level)
