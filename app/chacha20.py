"""ChaCha20 (RFC 8439, section 2.4) over many short texts at once, each under a key of its own.

Libraries encrypt one message a call, and a call costs more than a payment's text: a million texts of a million people took two seconds of
calls alone. Here a column is one call. The cipher is made of additions, rotations and exclusive ors, so it takes the same time whatever
the keys are; tests hold it against the RFC's examples and the ``cryptography`` package. It hides and does not sign: who changes a
ciphertext changes the text.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from app.columns import Bytes
from app.jit import kernel

U32 = npt.NDArray[np.uint32]
Int64s = npt.NDArray[np.int64]
_State = tuple[np.uint32, np.uint32, np.uint32, np.uint32]

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_BLOCK: Final = 64


def xor(data: Bytes, begins: Int64s, ends: Int64s, keys: U32, which: Int64s, nonces: U32) -> None:
    """Encrypt or decrypt, in place, ``data[begins[i]:ends[i]]`` for each i.

    ``keys`` is k x 8 little-endian words, ``which[i]`` the row of keys for text i (below 0: it is left as it is), ``nonces`` n x 3 words;
    a pair of key and nonce must never be used for two texts. The counter begins at 0.
    """
    words = np.empty(_BLOCK // 4, dtype="<u4")
    _xor(data, begins, ends, keys, which, nonces, words, words.view(np.uint8))


@kernel
def _xor(data: Bytes, begins: Int64s, ends: Int64s, keys: U32, which: Int64s, nonces: U32, words: U32, stream: Bytes) -> None:
    for row in range(begins.size):
        if which[row] < 0:
            continue
        for start in range(begins[row], ends[row], _BLOCK):
            _block(keys, which[row], (start - begins[row]) // _BLOCK, nonces, row, words)
            for i in range(min(_BLOCK, ends[row] - start)):
                data[start + i] ^= stream[i]


@kernel
def _block(keys: U32, k: int, counter: int, nonces: U32, n: int, words: U32) -> None:
    """The 64 bytes of keystream of a block, as words."""
    c0, c1, c2, c3 = np.uint32(0x61707865), np.uint32(0x3320646E), np.uint32(0x79622D32), np.uint32(0x6B206574)
    c4, c5, c6, c7 = keys[k, 0], keys[k, 1], keys[k, 2], keys[k, 3]
    c8, c9, c10, c11 = keys[k, 4], keys[k, 5], keys[k, 6], keys[k, 7]
    c12, c13, c14, c15 = np.uint32(counter), nonces[n, 0], nonces[n, 1], nonces[n, 2]
    s0, s1, s2, s3, s4, s5, s6, s7 = c0, c1, c2, c3, c4, c5, c6, c7
    s8, s9, s10, s11, s12, s13, s14, s15 = c8, c9, c10, c11, c12, c13, c14, c15
    for _ in range(10):
        s0, s4, s8, s12 = _quarter(s0, s4, s8, s12)
        s1, s5, s9, s13 = _quarter(s1, s5, s9, s13)
        s2, s6, s10, s14 = _quarter(s2, s6, s10, s14)
        s3, s7, s11, s15 = _quarter(s3, s7, s11, s15)
        s0, s5, s10, s15 = _quarter(s0, s5, s10, s15)
        s1, s6, s11, s12 = _quarter(s1, s6, s11, s12)
        s2, s7, s8, s13 = _quarter(s2, s7, s8, s13)
        s3, s4, s9, s14 = _quarter(s3, s4, s9, s14)
    words[0], words[1], words[2], words[3] = _sum(s0, c0), _sum(s1, c1), _sum(s2, c2), _sum(s3, c3)
    words[4], words[5], words[6], words[7] = _sum(s4, c4), _sum(s5, c5), _sum(s6, c6), _sum(s7, c7)
    words[8], words[9], words[10], words[11] = _sum(s8, c8), _sum(s9, c9), _sum(s10, c10), _sum(s11, c11)
    words[12], words[13], words[14], words[15] = _sum(s12, c12), _sum(s13, c13), _sum(s14, c14), _sum(s15, c15)


@kernel
def _quarter(a: np.uint32, b: np.uint32, c: np.uint32, d: np.uint32) -> _State:
    a = _sum(a, b)
    d = _rotated(d ^ a, 16)
    c = _sum(c, d)
    b = _rotated(b ^ c, 12)
    a = _sum(a, b)
    d = _rotated(d ^ a, 8)
    c = _sum(c, d)
    b = _rotated(b ^ c, 7)
    return a, b, c, d


@kernel
def _sum(a: np.uint32, b: np.uint32) -> np.uint32:
    return np.uint32(a + b)  # numba adds in 64 bits


@kernel
def _rotated(word: np.uint32, bits: int) -> np.uint32:
    return np.uint32(np.uint32(word << np.uint32(bits)) | np.uint32(word >> np.uint32(32 - bits)))
