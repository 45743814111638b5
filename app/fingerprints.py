"""Keyed fingerprints of transactions: is this the same identifier, and does it come with the same content?

SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012): nobody without the key can make two
identifiers with one fingerprint.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from app.columns import Bytes, Offsets, Text, from_arrow, read_only
from app.jit import inlined, kernel

Words = npt.NDArray[np.uint64]
Int64s = npt.NDArray[np.int64]
_State = tuple[np.uint64, np.uint64, np.uint64, np.uint64]

KEY_BYTES = 16
_HEAD = 16
"""Bytes of booked_at and amount_minor."""
_TEXTS = (
    "sort_code",
    "account_number",
    "counterparty_sort_code",
    "counterparty_account",
    "counterparty_iban",
    "currency",
    "channel",
    "country",
    "description",
)
_LATER = "merchant_category"
"""A text that version 2 of the landing contract brought. Only where it is not empty it is hashed, after all else: so a payment without it
is the same in files of both versions, and in lakes that are older than it. The lengths before tell where it begins; a second such text
would have to say which it is."""
COLUMNS = ("transaction_id", "booked_at", "amount_minor", *_TEXTS, _LATER)
"""What is read of a row."""


@dataclass(frozen=True)
class Fingerprints:
    """Of n rows: 128 bits of each transaction_id in two words, and 64 bits of all the rest of the row."""

    id_high: Words
    id_low: Words
    content: Words


def fingerprints(typed: pa.Table, key: bytes) -> Fingerprints:
    """The fingerprints of rows that have the columns of ``contracts.lake.TYPED``; ``key`` is 16 bytes.

    id: SipHash-2-4-128 of transaction_id's bytes; high is the first word of the output, both little-endian. content:
    SipHash-2-4-64 of booked_at (µs) and amount_minor as 8 bytes each, the length of each text as 4 bytes, all little-endian, and
    then the texts; where there is a merchant_category, that follows. A null text is an empty one, and merchant_category may be no column
    at all. booking_date, payer and payee follow from the others and are left out.
    """
    texts = {name: from_arrow(typed[name]) for name in ("transaction_id", *_TEXTS)}
    texts[_LATER] = from_arrow(typed[_LATER] if _LATER in typed.column_names else pa.nulls(typed.num_rows, pa.string()))
    return of_columns(texts, _int64(typed["booked_at"]), _int64(typed["amount_minor"]), key)


def of_columns(columns: Mapping[str, Text], booked_at: Int64s, amount_minor: Int64s, key: bytes) -> Fingerprints:
    """The same of columns that are not in a table: validation has them so, and one payment is worth the shorter way."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"the key has {len(key)} bytes, not {KEY_BYTES}")
    key_words = np.frombuffer(key, dtype="<u8")
    result = Fingerprints(*(np.empty(len(booked_at), dtype=np.uint64) for _ in range(3)))
    identifier, texts = columns["transaction_id"], [columns[name] for name in _TEXTS]
    _hash_ids(read_only(identifier.data), read_only(identifier.offsets), key_words, result.id_high, result.id_low)
    later = columns[_LATER]
    longest = _HEAD + 4 * len(texts) + sum(int(np.diff(text.offsets).max(initial=0)) for text in (*texts, later))
    _hash_contents(
        read_only(booked_at),
        read_only(amount_minor),
        tuple(read_only(text.data) for text in texts),
        tuple(read_only(text.offsets) for text in texts),
        read_only(later.data),
        read_only(later.offsets),
        key_words,
        np.empty(longest, dtype=np.uint8),
        result.content,
    )
    return result


def of_texts(texts: pa.ChunkedArray, key: bytes) -> Words:
    """64 bits of each text: the first word of SipHash-2-4-128 of its bytes; a null is an empty text."""
    return wide(texts, key)[0]


def wide(texts: pa.StringArray | pa.ChunkedArray, key: bytes) -> tuple[Words, Words]:
    """128 bits of each text, SipHash-2-4-128 of its bytes, in two words; a null is an empty text."""
    column = from_arrow(texts)
    high, low = (np.empty(len(texts), dtype=np.uint64) for _ in range(2))
    _hash_ids(column.data, column.offsets, np.frombuffer(key, dtype="<u8"), high, low)
    return high, low


def _int64(column: pa.ChunkedArray) -> Int64s:
    """The numbers of a column of 64-bit integers or timestamps; 0 for null."""
    array = column.combine_chunks().view(pa.int64())
    if not len(array):
        return np.zeros(0, dtype=np.int64)
    array = array.fill_null(0) if array.null_count else array
    # The buffer itself: to_numpy would import pandas, a fifth of a second for a command that has little else to do.
    values: Int64s = np.frombuffer(array.buffers()[1], dtype=np.int64)[array.offset : array.offset + len(array)]
    return values


@kernel
def _hash_ids(data: Bytes, offsets: Offsets, key: Words, high: Words, low: Words) -> None:
    for row in range(high.size):
        high[row], low[row] = _siphash(data, offsets[row], offsets[row + 1], key, True)


@kernel
def _hash_contents(
    booked_at: Int64s,
    amount_minor: Int64s,
    data: tuple[Bytes, ...],
    offsets: tuple[Offsets, ...],
    later: Bytes,
    later_offsets: Offsets,
    key: Words,
    message: Bytes,
    content: Words,
) -> None:
    columns = len(data)
    head = _HEAD + 4 * columns
    for row in range(content.size):
        _put(message, 0, booked_at[row], 8)
        _put(message, 8, amount_minor[row], 8)
        at = head
        for column in range(columns):
            start = offsets[column][row]
            length = offsets[column][row + 1] - start
            _put(message, _HEAD + 4 * column, length, 4)
            texts = data[column]
            for i in range(length):
                message[at + i] = texts[start + i]
            at += length
        for i in range(later_offsets[row], later_offsets[row + 1]):
            message[at] = later[i]
            at += 1
        content[row] = _siphash(message, 0, at, key, False)[0]


@inlined
def _put(message: Bytes, at: int, number: np.int64, width: int) -> None:
    for i in range(width):
        message[at + i] = (number >> (8 * i)) & 0xFF


@inlined
def _siphash(data: Bytes, start: int, end: int, key: Words, wide: bool) -> tuple[np.uint64, np.uint64]:
    """SipHash-2-4 of ``data[start:end]``; the second word is the second half of the 128-bit variant, else 0."""
    length = end - start
    v0 = np.uint64(0x736F6D6570736575) ^ key[0]
    v1 = np.uint64(0x646F72616E646F6D) ^ key[1] ^ np.uint64(0xEE if wide else 0)
    v2 = np.uint64(0x6C7967656E657261) ^ key[0]
    v3 = np.uint64(0x7465646279746573) ^ key[1]
    tail = start + (length & ~7)
    for at in range(start, tail, 8):
        word = np.uint64(0)
        for i in range(8):
            word |= np.uint64(data[at + i]) << np.uint64(8 * i)
        v0, v1, v2, v3 = _absorb(v0, v1, v2, v3, word)
    word = np.uint64(length & 0xFF) << np.uint64(56)
    for i in range(length & 7):
        word |= np.uint64(data[tail + i]) << np.uint64(8 * i)
    v0, v1, v2, v3 = _absorb(v0, v1, v2, v3, word)
    v2 ^= np.uint64(0xEE if wide else 0xFF)
    for _ in range(4):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    first = v0 ^ v1 ^ v2 ^ v3
    if not wide:
        return first, np.uint64(0)
    v1 ^= np.uint64(0xDD)
    for _ in range(4):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return first, v0 ^ v1 ^ v2 ^ v3


@inlined
def _absorb(v0: np.uint64, v1: np.uint64, v2: np.uint64, v3: np.uint64, word: np.uint64) -> _State:
    v0, v1, v2, v3 = _round(v0, v1, v2, v3 ^ word)
    v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ word, v1, v2, v3


@inlined
def _round(v0: np.uint64, v1: np.uint64, v2: np.uint64, v3: np.uint64) -> _State:
    v0 += v1
    v2 += v3
    v1 = _rotated(v1, 13) ^ v0
    v3 = _rotated(v3, 16) ^ v2
    v0 = _rotated(v0, 32)
    v2 += v1
    v0 += v3
    v1 = _rotated(v1, 17) ^ v2
    v3 = _rotated(v3, 21) ^ v0
    v2 = _rotated(v2, 32)
    return v0, v1, v2, v3


@inlined
def _rotated(word: np.uint64, bits: int) -> np.uint64:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))
