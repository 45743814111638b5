"""Objects below a root, on a local disk or in S3: the only door to storage beside Delta Lake itself.

Both kinds are reached through the object-store library that Delta Lake itself is built on, so one set of options serves both.
Every ``put`` is atomic: a reader sees all of an object or nothing of it.
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import obstore
import pyarrow as pa
from obstore.exceptions import AlreadyExistsError, GenericError, PreconditionError
from obstore.store import LocalStore, ObjectStore, S3Store

from app.errors import UsageError

if TYPE_CHECKING:
    from obstore.store import S3Config

STREAM_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Entry:
    """One object: its path below the root and its size in bytes."""

    path: str
    size: int


@dataclass(frozen=True)
class Storage:
    """A folder or an ``s3://bucket/prefix``; pickles, since only its address travels.

    ``options`` are Delta Lake's storage options (``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``, …); what is not given is taken
    from the environment, as every S3 client does.
    """

    root: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    @property
    def is_local(self) -> bool:
        return "://" not in self.root

    @cached_property
    def _store(self) -> ObjectStore:
        if self.is_local:
            if not Path(self.root).is_dir():
                raise FileNotFoundError(self.root)
            return LocalStore(Path(self.root).absolute())
        if not self.root.startswith("s3://"):
            raise UsageError(f"{self.root}: a location is a local folder or s3://bucket/prefix")
        options = {key.lower(): value for key, value in self.options.items()}
        allow_http = options.pop("aws_allow_http", options.pop("allow_http", "false"))
        return S3Store.from_url(self.root, config=cast("S3Config", options), client_options={"allow_http": allow_http == "true"})

    def __getstate__(self) -> dict[str, object]:
        return {"root": self.root, "options": dict(self.options)}

    def uri(self, path: str) -> str:
        """What people and certificates call the object."""
        if self.is_local:
            return (Path(self.root).absolute() / path).as_uri()
        return f"{self.root.rstrip('/')}/{path}"

    def local_path(self, path: str) -> Path:
        """Where the object lies on this machine's disk; for local storage only."""
        return Path(self.root).absolute() / path

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Every object below ``prefix``, in no order; a bucket that is not there yet has none."""
        try:
            for batch in obstore.list(self._store, prefix or None):
                for meta in batch:
                    yield Entry(meta["path"], meta["size"])
        except GenericError as error:
            if "NoSuchBucket" not in str(error):
                raise

    def children(self) -> Iterator[Entry]:
        """Every object right at the root, and none of those in folders below, in no order."""
        for meta in obstore.list_with_delimiter(self._store)["objects"]:
            yield Entry(meta["path"], meta["size"])

    def size(self, path: str) -> int:
        """How many bytes the object has; FileNotFoundError where there is none."""
        return obstore.head(self._store, path)["size"]

    def exists(self, path: str) -> bool:
        try:
            self.size(path)
        except FileNotFoundError:
            return False
        return True

    def stream(self, path: str) -> Iterator[memoryview]:
        """The object's bytes in pieces of a few MiB."""
        if self.is_local:
            with self.local_path(path).open("rb", buffering=0) as file:
                while piece := file.read(STREAM_BYTES):
                    yield memoryview(piece)
            return
        for piece in obstore.get(self._store, path).stream(min_chunk_size=STREAM_BYTES):
            yield memoryview(piece)

    def read(self, path: str) -> memoryview:
        """All of an object that is known to be small."""
        return memoryview(obstore.get(self._store, path).bytes())

    def read_range(self, path: str, offset: int, length: int) -> memoryview:
        """``length`` bytes from ``offset``."""
        if length == 0:
            return memoryview(b"")
        return memoryview(obstore.get_range(self._store, path, start=offset, length=length))

    def view(self, path: str, offset: int, length: int) -> pa.Buffer:
        """The same of an object that nobody changes; from a local disk it is mapped into memory, not copied."""
        if not self.is_local or length == 0:
            return pa.py_buffer(self.read_range(path, offset, length))
        with pa.memory_map(str(self.local_path(path))) as file:
            return file.read_at(length, offset)

    def arrow_file(self, path: str) -> pa.NativeFile:
        """The object as a readable, seekable Arrow file."""
        if self.is_local:
            return pa.OSFile(str(self.local_path(path)))
        ranges = _Ranges(self, path)
        if ranges.size > STREAM_BYTES:
            return pa.PythonFile(ranges, mode="r")
        # One request; and memory that is not Python's: Arrow's threads may let go of it while the interpreter ends, which aborts that.
        copied = pa.BufferOutputStream()
        copied.write(ranges.read())
        return pa.BufferReader(copied.getvalue())

    def on_disk(self, path: str, folder: Path) -> Path:
        """The object as a file on this machine's disk: where it lies, or else a copy in ``folder``, made once."""
        if self.is_local:
            return self.local_path(path)
        copy = folder / path.replace("/", "~")
        if not copy.exists():
            part = copy.with_name(copy.name + ".part")
            with part.open("wb") as file:
                for piece in self.stream(path):
                    file.write(piece)
            part.rename(copy)
        return copy

    def put(self, path: str, data: bytes | memoryview | pa.Buffer) -> None:
        """Write or replace an object, atomically."""
        obstore.put(self._store, path, obstore.Bytes(memoryview(data).cast("B")))

    def put_new(self, path: str, data: bytes) -> bool:
        """Write an object unless there is one; False if there is."""
        try:
            obstore.put(self._store, path, data, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def put_if(self, path: str, data: bytes, tag: str | None) -> str | None:
        """Write an object only if it still has ``tag`` (None: only if there is none); its new tag, or None if it was changed."""
        try:
            result = obstore.put(self._store, path, data, mode="create" if tag is None else {"e_tag": tag})
        except (AlreadyExistsError, PreconditionError):
            return None
        return result["e_tag"] or ""

    def read_tagged(self, path: str) -> tuple[memoryview, str]:
        """An object that is known to be small, and the tag of that state of it."""
        result = obstore.get(self._store, path)
        return memoryview(result.bytes()), result.meta["e_tag"] or ""

    def put_stream(self, path: str, pieces: Iterable[bytes | memoryview | pa.Buffer]) -> None:
        """Write an object of any size piece by piece; it appears when the last piece is there."""
        with obstore.open_writer(self._store, path) as writer:
            for piece in pieces:
                writer.write(memoryview(piece).cast("B"))

    def delete(self, paths: Iterable[str]) -> None:
        """Remove objects; one that is not there is no error."""
        for path in paths:
            try:
                obstore.delete(self._store, path)
            except FileNotFoundError:
                continue

    def delete_below(self, prefix: str) -> None:
        """Remove every object below ``prefix``, and on a local disk the folders that held them."""
        self.delete([entry.path for entry in self.entries(prefix)])
        if self.is_local:
            _remove_empty_folders(self.local_path(prefix))


class _Ranges(io.RawIOBase):
    """An object as a file, each read a range of it."""

    def __init__(self, storage: Storage, path: str) -> None:
        self._storage = storage
        self._path = path
        self.size = storage.size(path)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        left = max(self.size - self._at, 0)
        length = left if size is None or size < 0 else min(size, left)
        data = bytes(self._storage.read_range(self._path, self._at, length))
        self._at += length
        return data


def _remove_empty_folders(folder: Path) -> None:
    if not folder.is_dir():
        return
    for child in folder.iterdir():
        _remove_empty_folders(child)
    if not any(folder.iterdir()):
        folder.rmdir()
