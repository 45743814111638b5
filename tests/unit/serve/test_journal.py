import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from app.contracts.landing import NAMES
from app.errors import LakeBusy
from serve.journal import Journal
from serve.requests import line_of

NOW = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)


def line(name: str) -> bytes:
    return line_of([name, *[None] * (len(NAMES) - 1)])


def _killed(journal: Journal) -> None:
    """What the system does when a process dies."""
    for file in journal._files.values():
        file.close()
    journal._mine.close()
    journal._lock.close()


def names(journal: Journal) -> list[list[str]]:
    return [[json.loads(one)["transaction_id"] for one in data.splitlines()] for data in journal.payments()]


def test_what_is_written_is_there_when_the_segment_is_closed_and_a_run_leaves_out_what_is_open(tmp_path: Path) -> None:
    journal = Journal(tmp_path, NOW)
    journal.write_payments([line("1"), line("2")], NOW)
    journal.write_decisions([b'{"transaction_id": "1"}'], NOW)
    assert names(journal) == []
    assert all(path.name.startswith("_") for path in (tmp_path / "payments").iterdir())
    assert journal.segment_age(NOW + timedelta(seconds=7)) == 7.0
    journal.close_segment(NOW)
    journal.write_payments([line("3")], NOW)
    journal.write_decisions([b'{"transaction_id": "3"}'], NOW)
    journal.close(NOW)
    journal = Journal(tmp_path, NOW)
    assert names(journal) == [["1", "2"], ["3"]]
    assert [one["transaction_id"] for one in journal.decisions(10)] == ["3", "1"]
    assert [one["transaction_id"] for one in journal.decisions(1)] == ["3"]
    journal.close(NOW)


def test_the_line_in_whose_middle_a_process_died_is_cut_off_and_the_others_are_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path, NOW)
    journal.write_payments([line("1"), line("2")], NOW)
    _killed(journal)
    (open_segment,) = (tmp_path / "payments").glob("_open-*.ndjson")
    open_segment.write_bytes(open_segment.read_bytes() + b'{"transaction_id": "3", "amo')
    again = Journal(tmp_path, NOW)
    assert names(again) == [["1", "2"]]
    again.close(NOW)


def test_a_second_service_on_the_same_journal_is_told_so(tmp_path: Path) -> None:
    journal = Journal(tmp_path, NOW)
    with pytest.raises(LakeBusy, match="another service writes the journal"):
        Journal(tmp_path, NOW)
    journal.close(NOW)
    Journal(tmp_path, NOW).close(NOW)


def test_a_segment_that_nothing_was_written_to_leaves_no_file(tmp_path: Path) -> None:
    Journal(tmp_path, NOW).close(NOW)
    assert list((tmp_path / "payments").iterdir()) == []


def test_several_writers_have_segments_of_their_own_and_each_reads_what_the_others_have_put_down(tmp_path: Path) -> None:
    one, other = (Journal(tmp_path, NOW, shared=True) for _ in range(2))
    one.write_payments([line("1")], NOW)
    other.write_payments([line("2")], NOW)
    assert names(one) == [["2"]]
    assert names(other) == [["1"]]
    with pytest.raises(LakeBusy, match="another service writes the journal"):
        Journal(tmp_path, NOW)
    one.close(NOW)
    assert names(other) == [["1"]]
    other.close(NOW)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", "", ""]


def test_what_a_dead_writer_left_open_is_closed_by_the_next_and_not_what_a_living_one_has_open(tmp_path: Path) -> None:
    dead, living = (Journal(tmp_path, NOW, shared=True) for _ in range(2))
    dead.write_payments([line("1")], NOW)
    living.write_payments([line("2")], NOW)
    _killed(dead)
    third = Journal(tmp_path, NOW, shared=True)
    assert sorted(path.name.startswith("_open") for path in (tmp_path / "payments").iterdir()) == [False, True]
    assert sorted(names(third)) == [["1"], ["2"]]
    living.close(NOW)
    third.close(NOW)


def test_a_segment_that_the_lake_has_loaded_is_not_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path, NOW)
    journal.write_payments([line("1")], NOW)
    journal.close_segment(NOW)
    journal.write_payments([line("2")], NOW)
    journal.close_segment(NOW)
    first, second = sorted((tmp_path / "payments").iterdir())
    loaded = {sha256(first.read_bytes()).hexdigest()}
    assert list(journal.payments(loaded)) == [second.read_bytes()]
    journal.close(NOW)


def test_what_other_writers_have_decided_is_known_though_their_segments_are_open(tmp_path: Path) -> None:
    first, second = (Journal(tmp_path, NOW, shared=True) for _ in range(2))
    first.write_decisions([b'{"transaction_id": "1"}'], NOW)
    first.close_segment(NOW)
    first.write_decisions([b'{"transaction_id": "2"}', b'{"transaction_id": "3"}'], NOW)
    assert [one["transaction_id"] for one in second.decisions(10)] == ["3", "2", "1"]
    assert [one["transaction_id"] for one in second.decisions(1)] == ["3"]
    first.close(NOW)
    second.close(NOW)
