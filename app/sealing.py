"""Sealed texts: a column's values, each encrypted under the secret of the subject whose it is, or of both sides of a payment.

A sealed value names the tokens of its subjects, so that it can be opened wherever it is found: in a table, in an old version, in a backup.
Of a payment both sides' secrets are needed (the key is one exclusive or the other): when one of them is gone, so is the text. As bytes: a
mark, one token or two, a nonce of 12 bytes, the ciphertext; as text the same after the mark in base64 (RFC 4648, section 5, no padding).
"""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app import chacha20
from app.chacha20 import NONCE_BYTES, U32
from app.columns import Bytes, Offsets, read_only
from app.jit import kernel
from app.subjects import TOKEN_BYTES, Int64s, Register

ERASED: Final = "[erased]"
"""What is seen of a text whose key was destroyed."""
NONCE_PREFIX: Final = 8
_MARK: Final = 2
_ONE, _TWO = ord("."), ord(":")
_ALPHABET: Final = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", dtype=np.uint8)
_PLACE: Final = np.zeros(256, dtype=np.uint8)
_PLACE[_ALPHABET] = np.arange(64, dtype=np.uint8)
_PLACE.flags.writeable = False


def seal(values: pa.Array, own: Int64s, other: Int64s, tokens: Bytes, secrets: U32, nonce: bytes) -> pa.Array:
    """Texts or bytes, sealed; nulls stay nulls.

    ``own`` and ``other`` are places in ``tokens`` (m x TOKEN_BYTES) and ``secrets`` (m x 8); ``other`` may be -1. ``nonce``: 8 random bytes
    that were never used before; with a value's place in the column they make its nonce.
    """
    data, offsets = _binary(values)
    two = other >= 0
    heads = _MARK + TOKEN_BYTES * (1 + two.astype(np.int64)) + NONCE_BYTES
    valid = np.asarray(values.is_valid())
    sizes = np.where(valid, np.diff(offsets).astype(np.int64) + heads, 0)
    ends = np.cumsum(sizes)
    cells = np.zeros(max(int(ends[-1]) if len(ends) else 0, 1), dtype=np.uint8)
    begins = ends - sizes
    nonces = np.zeros((len(values), NONCE_BYTES), dtype=np.uint8)
    nonces[:, :NONCE_PREFIX] = np.frombuffer(nonce, dtype=np.uint8)
    nonces[:, NONCE_PREFIX:] = np.arange(len(values), dtype="<u4").view(np.uint8).reshape(-1, 4)
    _lay(read_only(data), read_only(offsets), valid, own, other, read_only(tokens), nonces, cells, begins)
    words = nonces.view("<u4")
    texts = begins + heads
    chacha20.xor(cells, texts, ends, secrets, np.where(valid, own, -1), other, words)
    if pa.types.is_string(values.type):
        cells, ends = _to_text(cells, begins, ends, valid)
    return _array(cells, ends, valid, values.type)


def opened(values: pa.Array, register: Register) -> pa.Array:
    """Sealed texts or bytes as they were; what has no key any more is ERASED. A value that is not sealed stays as it is."""
    sealed = is_sealed(values)
    if not sealed.any():
        return values
    places = pa.array(np.flatnonzero(sealed))
    plain = _opened(values.take(places), register)
    both = pa.concat_arrays([values, plain])
    at = np.arange(len(values))
    at[sealed] = len(values) + np.arange(len(plain))
    return both.take(pa.array(at))


def as_text(value: bytes) -> bytes:
    """A value of bytes as it can be shown: sealed ones are written as sealed texts are."""
    if not is_sealed(pa.array([value], pa.binary()))[0]:
        return value
    cells, ends = np.frombuffer(value, dtype=np.uint8), np.array([len(value)], dtype=np.int64)
    return _to_text(cells, np.zeros(1, dtype=np.int64), ends, np.ones(1, dtype=np.bool_))[0].tobytes()


def is_sealed(values: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of these texts or bytes are sealed."""
    data, offsets = _binary(values)
    found = np.zeros(len(values), dtype=np.bool_)
    _find(read_only(data), read_only(offsets), pa.types.is_string(values.type), found)
    return found


def _opened(values: pa.Array, register: Register) -> pa.Array:
    data, offsets = _binary(values)
    begins, ends = offsets[:-1].astype(np.int64), offsets[1:].astype(np.int64)
    if pa.types.is_string(values.type):
        data, ends = _from_text(data, begins, ends)
        begins = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    cells = np.array(data)
    tokens = np.zeros((2, len(values), TOKEN_BYTES), dtype=np.uint8)
    nonces = np.zeros((len(values), NONCE_BYTES), dtype=np.uint8)
    texts = np.zeros(len(values), dtype=np.int64)
    _parse(cells, begins, tokens[0], tokens[1], nonces, texts)
    own, other = register.of_tokens(tokens[0]), register.of_tokens(tokens[1])
    other[texts - begins == _MARK + TOKEN_BYTES + NONCE_BYTES] = -2  # one key seals it
    gone = (own == -1) | (other == -1)
    words = nonces.view("<u4")
    chacha20.xor(cells, texts, ends, register.secrets, np.where(gone, -1, own), other, words)
    plain = _sliced(cells, texts, np.where(gone, texts, ends), values.type)
    erased = pa.scalar(ERASED if pa.types.is_string(values.type) else ERASED.encode(), values.type)
    return pc.if_else(pa.array(gone), erased, plain)


def _sliced(data: Bytes, begins: Int64s, ends: Int64s, of: pa.DataType) -> pa.Array:
    """An Arrow column of pieces of ``data``; each is checked to be what the type says, since a wrong key makes noise."""
    sizes = np.cumsum(ends - begins)
    out = np.empty(max(int(sizes[-1]), 1), dtype=np.uint8)
    _gather(read_only(data), begins, ends, out)
    found = _array(out, sizes, np.ones(len(begins), dtype=np.bool_), pa.binary())
    return found if pa.types.is_binary(of) else found.cast(of)


def _binary(values: pa.Array) -> tuple[Bytes, Offsets]:
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32)[values.offset : values.offset + len(values) + 1]
    return (np.zeros(1, dtype=np.uint8) if data is None or not data.size else np.frombuffer(data, dtype=np.uint8)), bounds


def _array(data: Bytes, ends: Int64s, valid: np.ndarray[tuple[int], np.dtype[np.bool_]], of: pa.DataType) -> pa.Array:
    offsets = np.zeros(len(ends) + 1, dtype=np.int32)
    offsets[1:] = ends
    validity = None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    made = pa.Array.from_buffers(of, len(ends), [validity, pa.py_buffer(offsets), pa.py_buffer(data)])
    made.validate(full=pa.types.is_string(of))
    return made


@kernel
def _lay(
    data: Bytes,
    offsets: Offsets,
    valid: np.ndarray[tuple[int], np.dtype[np.bool_]],
    own: Int64s,
    other: Int64s,
    tokens: Bytes,
    nonces: Bytes,
    cells: Bytes,
    begins: Int64s,
) -> None:
    """Mark, tokens, nonce, and the value as it is."""
    for row in range(begins.size):
        if not valid[row]:
            continue
        at = begins[row]
        cells[at] = 126  # ~
        cells[at + 1] = _ONE if other[row] < 0 else _TWO
        at += _MARK
        for i in range(TOKEN_BYTES):
            cells[at + i] = tokens[own[row], i]
        at += TOKEN_BYTES
        if other[row] >= 0:
            for i in range(TOKEN_BYTES):
                cells[at + i] = tokens[other[row], i]
            at += TOKEN_BYTES
        for i in range(NONCE_BYTES):
            cells[at + i] = nonces[row, i]
        at += NONCE_BYTES
        for i in range(offsets[row + 1] - offsets[row]):
            cells[at + i] = data[offsets[row] + i]


@kernel
def _parse(cells: Bytes, begins: Int64s, own: Bytes, other: Bytes, nonces: Bytes, texts: Int64s) -> None:
    for row in range(begins.size):
        at = begins[row] + _MARK
        for i in range(TOKEN_BYTES):
            own[row, i] = cells[at + i]
        at += TOKEN_BYTES
        if cells[begins[row] + 1] == _TWO:
            for i in range(TOKEN_BYTES):
                other[row, i] = cells[at + i]
            at += TOKEN_BYTES
        for i in range(NONCE_BYTES):
            nonces[row, i] = cells[at + i]
        texts[row] = at + NONCE_BYTES


@kernel
def _find(data: Bytes, offsets: Offsets, is_text: bool, found: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
    for row in range(found.size):
        start, length = offsets[row], offsets[row + 1] - offsets[row]
        if length < _MARK or data[start] != 126:
            continue
        mark = data[start + 1]
        head = TOKEN_BYTES * (2 if mark == _TWO else 1) + NONCE_BYTES
        body = (length - _MARK) * 3 // 4 if is_text else length - _MARK
        found[row] = (mark == _ONE or mark == _TWO) and body >= head


@kernel
def _gather(data: Bytes, begins: Int64s, ends: Int64s, out: Bytes) -> None:
    at = 0
    for row in range(begins.size):
        for i in range(begins[row], ends[row]):
            out[at] = data[i]
            at += 1


def _to_text(cells: Bytes, begins: Int64s, ends: Int64s, valid: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> tuple[Bytes, Int64s]:
    lengths = ends - begins - _MARK
    sizes = np.where(valid, _MARK + (lengths * 4 + 2) // 3, 0)
    text_ends = np.cumsum(sizes)
    out = np.empty(max(int(text_ends[-1]) if len(text_ends) else 0, 1), dtype=np.uint8)
    _encode(cells, begins, ends, text_ends - sizes, _ALPHABET, valid, out)
    return out, text_ends


@kernel
def _encode(
    cells: Bytes,
    begins: Int64s,
    ends: Int64s,
    to: Int64s,
    alphabet: Bytes,
    valid: np.ndarray[tuple[int], np.dtype[np.bool_]],
    out: Bytes,
) -> None:
    for row in range(begins.size):
        if not valid[row]:
            continue
        at = to[row]
        out[at], out[at + 1] = cells[begins[row]], cells[begins[row] + 1]
        at += _MARK
        start, length = begins[row] + _MARK, ends[row] - begins[row] - _MARK
        whole = length // 3 * 3
        for i in range(0, whole, 3):
            bits = np.int64(cells[start + i]) << 16 | np.int64(cells[start + i + 1]) << 8 | np.int64(cells[start + i + 2])
            out[at], out[at + 1] = alphabet[bits >> 18], alphabet[bits >> 12 & 63]
            out[at + 2], out[at + 3] = alphabet[bits >> 6 & 63], alphabet[bits & 63]
            at += 4
        if length > whole:
            bits = np.int64(cells[start + whole]) << 16
            if length == whole + 2:
                bits |= np.int64(cells[start + whole + 1]) << 8
                out[at + 2] = alphabet[bits >> 6 & 63]
            out[at], out[at + 1] = alphabet[bits >> 18], alphabet[bits >> 12 & 63]


def _from_text(data: Bytes, begins: Int64s, ends: Int64s) -> tuple[Bytes, Int64s]:
    sizes = _MARK + (ends - begins - _MARK) * 3 // 4
    to_ends = np.cumsum(sizes)
    out = np.empty(max(int(to_ends[-1]), 1), dtype=np.uint8)
    _decode(read_only(data), begins, ends, to_ends - sizes, to_ends, _PLACE, out)
    return out, to_ends


@kernel
def _decode(data: Bytes, begins: Int64s, ends: Int64s, to: Int64s, to_ends: Int64s, place: Bytes, out: Bytes) -> None:
    for row in range(begins.size):
        at = to[row]
        out[at], out[at + 1] = data[begins[row]], data[begins[row] + 1]
        at += _MARK
        bits, held = 0, 0
        for i in range(begins[row] + _MARK, ends[row]):
            held = ((held << 6) | place[data[i]]) & 0x3FFF
            bits += 6
            if bits >= 8:
                bits -= 8
                if at < to_ends[row]:
                    out[at] = (held >> bits) & 255
                at += 1
