"""ChaCha20 (RFC 8439, section 2.4) over many short texts at once, each under a key of its own.

Libraries encrypt one message a call, and a call costs more than a payment's text: a million texts of a million people took two seconds of
calls alone. Here a column is one call. The cipher is made of additions, rotations and exclusive ors, so it takes the same time whatever
the keys are; tests hold it against the RFC's examples and the ``cryptography`` package. It hides and does not sign: who changes a
ciphertext changes the text.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from app.columns import Bytes, read_only
from app.jit import inlined, kernel

U32 = npt.NDArray[np.uint32]
Int64s = npt.NDArray[np.int64]

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_BLOCK: Final = 64
_LANES: Final = 16
"""So many blocks are made at once: the machine's vector instructions work on lanes of numbers."""


def xor(data: Bytes, begins: Int64s, ends: Int64s, keys: U32, which: Int64s, also: Int64s, nonces: U32) -> None:
    """Encrypt or decrypt, in place, ``data[begins[i]:ends[i]]`` for each i.

    ``keys`` is k x 8 little-endian words, ``which[i]`` the row of keys for text i (below 0: it is left as it is), ``also[i]`` that of a
    second key, of which and the first the exclusive or is taken (below 0: none); ``nonces`` n x 3 words. The counter begins at 0. A pair
    of key and nonce must never be used for two texts.
    """
    given, state = np.zeros((16, _LANES), dtype=np.uint32), np.zeros((16, _LANES), dtype=np.uint32)
    given[:4] = np.frombuffer(b"expand 32-byte k", dtype="<u4")[:, None]
    _xor(data, begins, ends, read_only(keys), which, also, nonces, given, state, np.zeros((2, _LANES), dtype=np.int64))


@kernel
def _xor(
    data: Bytes, begins: Int64s, ends: Int64s, keys: U32, which: Int64s, also: Int64s, nonces: U32, given: U32, state: U32, places: Int64s
) -> None:
    lane = 0
    for row in range(begins.size):
        key = which[row]
        if key < 0:
            continue
        for start in range(begins[row], ends[row], _BLOCK):
            for i in range(8):
                given[4 + i, lane] = keys[key, i] ^ keys[also[row], i] if also[row] >= 0 else keys[key, i]
            given[12, lane] = (start - begins[row]) // _BLOCK
            for i in range(3):
                given[13 + i, lane] = nonces[row, i]
            places[0, lane] = start
            places[1, lane] = min(start + _BLOCK, ends[row])
            lane += 1
            if lane == _LANES:
                _blocks(data, given, state, places, lane)
                lane = 0
    _blocks(data, given, state, places, lane)


@kernel
def _blocks(data: Bytes, given: U32, state: U32, places: Int64s, lanes: int) -> None:
    """Make the keystream of each lane's block, and lay it over the lane's bytes."""
    for word in range(16):
        for lane in range(_LANES):
            state[word, lane] = given[word, lane]
    for _ in range(10):
        _quarter(state, 0, 4, 8, 12)
        _quarter(state, 1, 5, 9, 13)
        _quarter(state, 2, 6, 10, 14)
        _quarter(state, 3, 7, 11, 15)
        _quarter(state, 0, 5, 10, 15)
        _quarter(state, 1, 6, 11, 12)
        _quarter(state, 2, 7, 8, 13)
        _quarter(state, 3, 4, 9, 14)
    for word in range(16):
        for lane in range(_LANES):
            state[word, lane] += given[word, lane]
    for lane in range(lanes):
        start = places[0, lane]
        for i in range(places[1, lane] - start):
            data[start + i] ^= np.uint8((state[i >> 2, lane] >> np.uint32(8 * (i & 3))) & np.uint32(255))


@inlined
def _quarter(state: U32, a: int, b: int, c: int, d: int) -> None:
    _half(state, a, b, c, d, 16, 12)
    _half(state, a, b, c, d, 8, 7)


@inlined
def _half(state: U32, a: int, b: int, c: int, d: int, first: int, second: int) -> None:
    for lane in range(_LANES):
        state[a, lane] += state[b, lane]
        turned = state[d, lane] ^ state[a, lane]
        state[d, lane] = (turned << np.uint32(first)) | (turned >> np.uint32(32 - first))
        state[c, lane] += state[d, lane]
        turned = state[b, lane] ^ state[c, lane]
        state[b, lane] = (turned << np.uint32(second)) | (turned >> np.uint32(32 - second))
