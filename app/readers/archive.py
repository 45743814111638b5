"""Packed files, unpacked piece by piece. A file that is cut short or damaged is rejected, never taken for a shorter one."""

import zlib
from collections.abc import Iterator
from typing import Protocol

import zstandard

from app.errors import FileRejected
from app.readers.formats import Compression

PIECE_BYTES = 1024 * 1024


class Decompressor(Protocol):
    """Takes a file's bytes in any pieces; gives its content in pieces of at most a few MiB, however well it was packed."""

    def feed(self, data: bytes) -> Iterator[bytes]: ...

    def finish(self) -> None:
        """Raise FileRejected if the file ended too early."""
        ...


def decompressor(compression: Compression) -> Decompressor:
    """The one for a kind of compression."""
    if compression is Compression.GZIP:
        return _Gzip()
    if compression is Compression.ZSTD:
        return _Zstd()
    return _Plain()


def _truncated(kind: str) -> FileRejected:
    return FileRejected("archive_truncated", f"the {kind} file ends in the middle; have it delivered again, complete")


def _corrupt(kind: str, why: object) -> FileRejected:
    return FileRejected("archive_corrupt", f"the {kind} file is damaged ({why}); have it delivered again")


class _Plain:
    def feed(self, data: bytes) -> Iterator[bytes]:
        yield data

    def finish(self) -> None:
        """A plain file has no end mark."""


class _Gzip:
    """RFC 1952: one or more members, one after the other."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            while data:
                if self._member.eof:
                    self._member = zlib.decompressobj(wbits=31)
                self._begun = True
                piece = self._member.decompress(data, PIECE_BYTES)
                data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
                if piece:
                    yield piece
        except zlib.error as error:
            raise _corrupt("gzip", error) from None

    def finish(self) -> None:
        if not self._begun or not self._member.eof:
            raise _truncated("gzip")


class _Zstd:
    """RFC 8878: one or more frames, one after the other."""

    _INPUT_BYTES = 1024  # a block of 128 KiB may be packed into four bytes, so little goes in at a time

    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        try:
            for at in range(0, len(data), self._INPUT_BYTES):
                yield from self._feed(data[at : at + self._INPUT_BYTES])
        except zstandard.ZstdError as error:
            raise _corrupt("zstd", error) from None

    def _feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._begun = True
            piece = self._frame.decompress(data)
            data = self._frame.unused_data if self._frame.eof else b""
            for at in range(0, len(piece), PIECE_BYTES):
                yield piece[at : at + PIECE_BYTES]

    def finish(self) -> None:
        if not self._begun or not self._frame.eof:
            raise _truncated("zstd")
