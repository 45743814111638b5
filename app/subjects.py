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
from app.columns import Bytes
from app.contracts.lake import TOKEN
from app.fingerprints import Words, wide

Int64s = npt.NDArray[np.int64]

TOKEN_BYTES: Final = 10
_FOUND: Final = re.compile(TOKEN)
TOKEN_LENGTH: Final = 17
"""Characters of a written token."""
_LETTERS: Final = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", dtype=np.uint8)
_ACCOUNT: Final = re.compile(r"\d{6}-\d{8}")


@dataclass(frozen=True)
class Register:
    """n subjects, ascending by the fingerprints of their identifiers; ``key`` (16 bytes) is that of the fingerprints."""

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
        high, low = wide(identifiers, self.key)
        return _places(self.high, self.low, high, low)

    def of_tokens(self, tokens: Bytes) -> Int64s:
        """The place of each token (m x TOKEN_BYTES), -1 if it is nobody's."""
        order, high, low = self._by_token
        sought = _token_words(tokens)
        places = _places(high, low, *sought)
        return np.where(places < 0, -1, order[places]) if len(order) else places

    @cached_property
    def _by_token(self) -> tuple[Int64s, Words, Words]:
        high, low = _token_words(self.tokens)
        order = np.argsort(high, kind="stable")
        return order, high[order], low[order]

    def joined(self, other: "Register") -> "Register":
        """Both; what both have, as this one has it."""
        new = np.flatnonzero(_places(self.high, self.low, other.high, other.low) < 0)
        high, low = np.concatenate([self.high, other.high[new]]), np.concatenate([self.low, other.low[new]])
        order = np.lexsort((low, high))
        return Register(
            self.key,
            high[order],
            low[order],
            np.concatenate([self.tokens, other.tokens[new]])[order],
            np.concatenate([self.secrets, other.secrets[new]])[order],
            pa.concat_arrays([self.identifiers, other.identifiers.take(pa.array(new))]).take(pa.array(order)),
        )

    def taken(self, places: Int64s) -> "Register":
        """These subjects alone; ``places`` ascend."""
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
    """New subjects for these identifiers, each of them once.

    Tokens and secrets are made of ``secret``, 32 random bytes that a run makes and forgets: so its tasks give one account one token without
    asking each other, and nobody can make them again afterwards.
    """
    made = [hashlib.blake2b(one.encode(), key=secret, digest_size=TOKEN_BYTES + KEY_BYTES).digest() for one in identifiers.to_pylist()]
    rows = np.frombuffer(b"".join(made), dtype=np.uint8).reshape(-1, TOKEN_BYTES + KEY_BYTES)
    high, low = wide(identifiers, key)
    order = np.lexsort((low, high))
    secrets = np.ascontiguousarray(rows[order, TOKEN_BYTES:]).view("<u4")
    return Register(key, high[order], low[order], rows[order, :TOKEN_BYTES], secrets, identifiers.take(pa.array(order)))


def _places(high: Words, low: Words, sought_high: Words, sought_low: Words) -> Int64s:
    """Where each pair of words stands among pairs that ascend by the first word, -1 if it does not."""
    found = np.full(len(sought_high), -1, dtype=np.int64)
    if not len(high):
        return found
    place = np.searchsorted(high, sought_high)
    waiting = np.arange(len(sought_high))
    while len(waiting):  # once, but for equal first words
        here = np.minimum(place[waiting], len(high) - 1)
        same = (high[here] == sought_high[waiting]) & (place[waiting] < len(high))
        hit = same & (low[here] == sought_low[waiting])
        found[waiting[hit]] = here[hit]
        waiting = waiting[same & ~hit]
        place[waiting] += 1
    return found


def _token_words(tokens: Bytes) -> tuple[Words, Words]:
    wide_tokens = np.zeros((len(tokens), 16), dtype=np.uint8)
    wide_tokens[:, :TOKEN_BYTES] = tokens
    words = wide_tokens.view(np.uint64)
    return np.ascontiguousarray(words[:, 0]), np.ascontiguousarray(words[:, 1])


def written(tokens: Bytes) -> pa.StringArray:
    """Tokens (m x TOKEN_BYTES) as tables have them."""
    bits = np.unpackbits(tokens, axis=1).reshape(len(tokens), 16, 5)
    text = np.full((len(tokens), TOKEN_LENGTH), ord("~"), dtype=np.uint8)
    text[:, 1:] = _LETTERS[np.packbits(bits, axis=2)[:, :, 0] >> 3]
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
