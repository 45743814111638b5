"""Data subjects: the accounts that payments name, each with a random token that stands for it in tables, and a secret that seals its texts.

An identifier is an account as parties are written (``SSSSSS-AAAAAAAA``), an IBAN, or ``file:`` and a landing file's hash for texts of
which nobody knows whose they are. A token says nothing of its identifier: it is made of random bytes. Only the register links the two,
so whoever loses the register's entry has lost the person, in every copy of every table.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from app.chacha20 import KEY_BYTES, U32
from app.columns import Bytes, read_only
from app.contracts.lake import TOKEN
from app.fingerprints import Words, wide
from app.jit import kernel

Int64s = npt.NDArray[np.int64]
Slots = npt.NDArray[np.int32]

TOKEN_BYTES: Final = 10
_FOUND: Final = re.compile(TOKEN)
TOKEN_LENGTH: Final = 17
"""Characters of a written token."""
_LETTERS: Final = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", dtype=np.uint8)
_ACCOUNT: Final = re.compile(r"\d{6}-\d{8}")


@dataclass(frozen=True)
class Register:
    """n subjects, each once; ``key`` (16 bytes) is that of the fingerprints of their identifiers."""

    key: bytes
    high: Words
    low: Words
    tokens: Bytes  # n x TOKEN_BYTES
    secrets: U32  # n x 8
    identifiers: pa.StringArray

    def __len__(self) -> int:
        return len(self.high)

    def find(self, identifiers: pa.StringArray) -> Int64s:
        """The place of each identifier, -1 if it has none."""
        return self.places(*wide(identifiers, self.key))

    def places(self, high: Words, low: Words) -> Int64s:
        """The same by fingerprints."""
        return _places(self.high, self.low, self._table, high, low)

    def of_tokens(self, tokens: Bytes) -> Int64s:
        """The place of each token (m x TOKEN_BYTES), -1 if it is nobody's."""
        high, low, table = self._by_token
        return _places(high, low, table, *_token_words(tokens))

    @cached_property
    def _table(self) -> Slots:
        return _table_of(self.high)

    @cached_property
    def _by_token(self) -> tuple[Words, Words, Slots]:
        high, low = _token_words(self.tokens)
        return high, low, _table_of(high)

    @cached_property
    def written(self) -> pa.StringArray:
        """Each token as tables have it."""
        return written(self.tokens)

    @cached_property
    def parties(self) -> pa.StringArray:
        """Each subject as a party is written in tables."""
        return parties(self.identifiers, self.written)

    @cached_property
    def marks(self) -> pa.StringArray:
        """Of each subject a text that only its secret makes: what stands for it in fingerprints cannot be guessed without it."""
        return written(np.ascontiguousarray(self.secrets).view(np.uint8)[:, :TOKEN_BYTES])

    def joined(self, other: "Register") -> "Register":
        """Both; what both have, as this one has it."""
        return self.followed(other.taken(np.flatnonzero(self.places(other.high, other.low) < 0)))

    def followed(self, other: "Register") -> "Register":
        """Both, of which none has what the other has; this one's places stay what they are."""
        return Register(
            self.key,
            np.concatenate([self.high, other.high]),
            np.concatenate([self.low, other.low]),
            np.concatenate([self.tokens, other.tokens]),
            np.concatenate([self.secrets, other.secrets]),
            pa.concat_arrays([self.identifiers, other.identifiers]),
        )

    def taken(self, places: Int64s) -> "Register":
        """These subjects alone."""
        tokens, secrets = self.tokens[places], self.secrets[places]
        return Register(self.key, self.high[places], self.low[places], tokens, secrets, self.identifiers.take(pa.array(places)))

    def without(self, identifiers: Sequence[str]) -> "Register":
        """All others."""
        gone = self.find(pa.array(identifiers, pa.string()))
        return self.taken(np.setdiff1d(np.arange(len(self)), gone))


def empty(key: bytes) -> Register:
    """A register of nobody."""
    none = np.zeros(0, dtype=np.uint64)
    tokens, secrets = np.zeros((0, TOKEN_BYTES), dtype=np.uint8), np.zeros((0, KEY_BYTES // 4), dtype=np.uint32)
    return Register(key, none, none, tokens, secrets, pa.array([], pa.string()))


def minted(identifiers: pa.StringArray, key: bytes, secret: bytes) -> Register:
    """New subjects for these identifiers, each of them once, in their order.

    Tokens and secrets are made of ``secret``, 32 random bytes that a run makes and forgets: so its tasks give one account one token without
    asking each other, and nobody can make them again afterwards.
    """
    made = [hashlib.blake2b(one.encode(), key=secret, digest_size=TOKEN_BYTES + KEY_BYTES).digest() for one in identifiers.to_pylist()]
    rows = np.frombuffer(b"".join(made), dtype=np.uint8).reshape(-1, TOKEN_BYTES + KEY_BYTES)
    secrets = np.ascontiguousarray(rows[:, TOKEN_BYTES:]).view("<u4")
    return Register(key, *wide(identifiers, key), np.ascontiguousarray(rows[:, :TOKEN_BYTES]), secrets, identifiers)


def _table_of(high: Words) -> Slots:
    """Where each first word is found: a table with open addressing, at most half full."""
    slots = np.full(2 << max(len(high), 1).bit_length(), -1, dtype=np.int32)
    _fill(read_only(high), slots)
    return slots


@kernel
def _fill(high: Words, slots: Slots) -> None:
    mask = np.uint64(slots.size - 1)
    for row in range(high.size):
        at = high[row] & mask
        while slots[at] >= 0:
            at = (at + np.uint64(1)) & mask
        slots[at] = row


def _places(high: Words, low: Words, slots: Slots, sought_high: Words, sought_low: Words) -> Int64s:
    """Where each pair of words stands among pairs, -1 if it does not."""
    found = np.empty(len(sought_high), dtype=np.int64)
    _look(read_only(high), read_only(low), read_only(slots), read_only(sought_high), read_only(sought_low), found)
    return found


@kernel
def _look(high: Words, low: Words, slots: Slots, sought_high: Words, sought_low: Words, found: Int64s) -> None:
    mask = np.uint64(slots.size - 1)
    for row in range(sought_high.size):
        at = sought_high[row] & mask
        place = slots[at]
        while place >= 0 and (high[place] != sought_high[row] or low[place] != sought_low[row]):
            at = (at + np.uint64(1)) & mask
            place = slots[at]
        found[row] = place


def _token_words(tokens: Bytes) -> tuple[Words, Words]:
    padded = np.zeros((len(tokens), 16), dtype=np.uint8)
    padded[:, :TOKEN_BYTES] = tokens
    words = padded.view(np.uint64)
    return np.ascontiguousarray(words[:, 0]), np.ascontiguousarray(words[:, 1])


def written(tokens: Bytes) -> pa.StringArray:
    """Tokens (m x TOKEN_BYTES) as tables have them: base32 (RFC 4648, section 6) in small letters."""
    padded = np.zeros((len(tokens), 2, 8), dtype=np.uint8)
    padded[:, :, 3:] = tokens.reshape(len(tokens), 2, 5)
    bits = padded.view(">u8")[:, :, 0]
    text = np.full((len(tokens), TOKEN_LENGTH), ord("~"), dtype=np.uint8)
    for half in range(2):
        for i in range(8):
            text[:, 1 + 8 * half + i] = _LETTERS[(bits[:, half] >> (35 - 5 * i)).astype(np.int64) & 31]
    offsets = np.arange(len(tokens) + 1, dtype=np.int32) * TOKEN_LENGTH
    return pa.StringArray.from_buffers(len(tokens), pa.py_buffer(offsets), pa.py_buffer(text))


def read(token: str) -> bytes:
    """The bytes of a written token."""
    return base64.b32decode(token[1:].upper())


def parties(identifiers: pa.StringArray, tokens: pa.StringArray) -> pa.StringArray:
    """Each subject as a party is written in tables: of an account its sort code, which is a branch's and not a person's, and the token."""
    accounts = pc.match_substring_regex(identifiers, f"^{_ACCOUNT.pattern}$")
    return pc.if_else(accounts, pc.binary_join_element_wise(pc.utf8_slice_codeunits(identifiers, 0, 7), tokens, ""), tokens)


def named(texts: pa.StringArray, register: Register) -> pa.StringArray:
    """Texts with each token replaced by what it stands for; one that is nobody's stays. The token of an account stands for its number."""
    if not pc.any(pc.match_substring(texts, "~")).as_py():
        return texts
    distinct = texts.dictionary_encode()
    values = distinct.dictionary.to_pylist()
    found = sorted({token for value in values for token in _FOUND.findall(value)})
    if not found:
        return texts
    known = _known(found, register)
    replaced = [_FOUND.sub(lambda match: known[match[0]], value) for value in values]
    return pa.array(replaced, pa.string()).take(distinct.indices)


def _known(tokens: Iterable[str], register: Register) -> dict[str, str]:
    written_so = list(tokens)
    places = register.of_tokens(np.frombuffer(b"".join(map(read, written_so)), dtype=np.uint8).reshape(-1, TOKEN_BYTES))
    identifiers = register.identifiers.take(pa.array(places, mask=places < 0)).to_pylist()
    pairs = zip(written_so, identifiers, strict=True)
    return {token: token if one is None else one.partition("-")[2] or one for token, one in pairs}


def embedding(account: str, identifiers: pa.StringArray) -> list[str]:
    """Those of the identifiers that are GB IBANs of this account (SWIFT IBAN registry: bank, sort code, account)."""
    digits = account.replace("-", "")
    fits = pc.and_(pc.starts_with(identifiers, "GB"), pc.ends_with(identifiers, digits))
    return list(identifiers.filter(fits).to_pylist())
