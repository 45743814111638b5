import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from app.contracts.landing import NAMES
from app.errors import KeyStoreError, LakeBusy
from app.lake import segments
from app.lake import subjects as key_store
from app.lake.subjects import Subjects
from serve.journal import Journal
from serve.requests import line_of
from tests.support.sealed import opening, secret_file

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


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Subjects]:
    with opening(key_file=secret_file(tmp_path / "secret")):
        yield key_store.create(str(tmp_path / "keys"), {}, 30)


def _segments(folder: Path) -> list[Path]:
    return sorted((folder / "payments").iterdir())


def test_payments_for_a_sealed_lake_are_never_plain_on_the_disk_and_are_read_by_the_next_writer(tmp_path: Path, store: Subjects) -> None:
    folder = tmp_path / "journal"
    journal = Journal(folder, NOW, subjects=store)
    journal.write_payments([line("first"), line("second")], NOW)
    journal.write_payments([line("third")], NOW)
    assert all(b"transaction_id" not in path.read_bytes() for path in _segments(folder))
    journal.close_segment(NOW)
    journal.write_payments([line("fourth")], NOW)
    journal.close(NOW)
    assert [path.name.endswith(".ndjson.sealed") for path in _segments(folder)] == [True, True]
    assert all(b"transaction_id" not in path.read_bytes() for path in _segments(folder))
    again = Journal(folder, NOW, subjects=store)
    assert names(again) == [["first", "second", "third"], ["fourth"]]
    again.close(NOW)


def test_the_sealed_line_in_whose_middle_a_process_died_is_cut_off(tmp_path: Path, store: Subjects) -> None:
    folder = tmp_path / "journal"
    journal = Journal(folder, NOW, subjects=store)
    journal.write_payments([line("1")], NOW)
    journal.write_payments([line("2")], NOW)
    _killed(journal)
    (open_segment,) = _segments(folder)
    open_segment.write_bytes(open_segment.read_bytes()[:-5])
    again = Journal(folder, NOW, subjects=store)
    assert names(again) == [["1"]]
    assert [path.name.startswith("_") for path in _segments(folder)] == [False]
    again.close(NOW)


def test_replicas_read_what_others_have_open_and_sealed(tmp_path: Path, store: Subjects) -> None:
    one, other = (Journal(tmp_path / "journal", NOW, shared=True, subjects=store) for _ in range(2))
    one.write_payments([line("1")], NOW)
    other.write_payments([line("2")], NOW)
    assert (names(one), names(other)) == ([["2"]], [["1"]])
    one.close(NOW)
    other.close(NOW)


def test_keys_are_made_ahead_and_one_that_no_segment_needed_goes_with_its_writer(tmp_path: Path, store: Subjects) -> None:
    journal = Journal(tmp_path / "journal", NOW, subjects=store)
    before = journal.is_ready
    journal.prepare()
    journal.prepare()
    assert (before, journal.is_ready) == (False, True)
    assert len(list(store.storage.entries("segments"))) == 1
    journal.close(NOW)
    assert list(store.storage.entries("segments")) == []


def test_a_segment_whose_key_is_gone_and_that_the_lake_has_not_is_an_error_and_no_silence(tmp_path: Path, store: Subjects) -> None:
    folder = tmp_path / "journal"
    journal = Journal(folder, NOW, subjects=store)
    journal.write_payments([line("1")], NOW)
    journal.close_segment(NOW)
    segments.destroy(store, [entry.path for entry in store.storage.entries("segments")])
    (segment,) = _segments(folder)
    assert list(journal.payments({sha256(segment.read_bytes()).hexdigest()})) == []
    with pytest.raises(KeyStoreError, match="its key is gone from the key store"):
        list(journal.payments())
    journal.close(NOW)


def test_a_journal_of_a_lake_that_is_not_sealed_does_not_take_sealed_segments_for_payments(tmp_path: Path, store: Subjects) -> None:
    journal = Journal(tmp_path / "journal", NOW, subjects=store)
    journal.write_payments([line("1")], NOW)
    journal.close(NOW)
    plain = Journal(tmp_path / "journal", NOW)
    with pytest.raises(KeyStoreError, match="name another folder"):
        list(plain.payments())
    plain.close(NOW)


def test_segments_that_a_run_takes_away_while_they_are_read_are_passed_over(tmp_path: Path, store: Subjects) -> None:
    journal = Journal(tmp_path / "journal", NOW, subjects=store)
    for name in ("1", "2", "3"):
        journal.write_payments([line(name)], NOW)
        journal.close_segment(NOW)
    found = journal.payments()
    assert b'"1"' in next(found)
    for path in _segments(tmp_path / "journal")[1:]:
        path.unlink()
    assert list(found) == []
    journal.close(NOW)
