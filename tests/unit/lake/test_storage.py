import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import UsageError
from app.lake.storage import Entry, Storage


def test_an_object_that_is_put_can_be_read_whole_in_part_and_in_pieces(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    storage.put("a/b", b"hello")
    assert (bytes(storage.read("a/b")), bytes(storage.read_range("a/b", 1, 3)), b"".join(storage.stream("a/b"))) == (
        b"hello",
        b"ell",
        b"hello",
    )
    with storage.arrow_file("a/b") as file:
        assert file.read() == b"hello"


def test_objects_are_listed_below_a_prefix(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    storage.put("a/b", b"1")
    storage.put("a/c/d", b"22")
    storage.put("e", b"333")
    assert sorted(storage.entries("a"), key=lambda entry: entry.path) == [Entry("a/b", 1), Entry("a/c/d", 2)]


def test_put_new_leaves_what_is_there(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    assert storage.put_new("x", b"first")
    assert not storage.put_new("x", b"second")
    assert bytes(storage.read("x")) == b"first"


def test_a_stream_that_breaks_off_leaves_no_object(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))

    def pieces() -> Iterator[bytes]:
        yield b"x" * 20_000_000
        raise OSError

    with pytest.raises(OSError):
        storage.put_stream("x", pieces())
    assert not storage.exists("x")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_deleting_below_a_prefix_leaves_the_rest_and_no_empty_folders(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    for path in ("a/b/c", "a/b/d", "ab"):
        storage.put(path, b"1")
    storage.delete_below("a")
    assert [path.name for path in tmp_path.iterdir()] == ["ab"]


def test_deleting_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    storage.delete(["nothing"])
    storage.delete_below("nothing")
    assert list(storage.entries()) == []


def test_storage_travels_between_processes_with_its_options(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path), {"AWS_REGION": "eu-west-2"})
    assert storage.exists("x") is False
    copy = pickle.loads(pickle.dumps(storage))
    assert (copy, copy.options) == (storage, {"AWS_REGION": "eu-west-2"})


def test_secrets_are_not_shown() -> None:
    assert "hush" not in repr(Storage("s3://bucket", {"AWS_SECRET_ACCESS_KEY": "hush"}))


def test_a_location_that_is_neither_local_nor_s3_is_refused() -> None:
    with pytest.raises(UsageError, match="ftp://host"):
        Storage("ftp://host").exists("x")


def test_uris_name_the_object(tmp_path: Path) -> None:
    assert Storage(str(tmp_path)).uri("a b") == (tmp_path / "a b").as_uri()
    assert Storage("s3://bucket/prefix/").uri("a") == "s3://bucket/prefix/a"
