"""The payment channel: one of the landing contract's, or none."""

from functools import cache

import numpy as np
import numpy.typing as npt

from app.columns import Bytes, Offsets, Text
from app.contracts.landing import CHANNELS
from app.contracts.reasons import Codes, fault_numbers
from app.jit import kernel

_Words = npt.NDArray[np.uint64]
_UNKNOWN = 1


def check(text: Text) -> Codes:
    """The reasons' numbers; the text itself is the canonical form. Landing contract v1, channel: exact, case-sensitive."""
    codes = np.zeros(len(text), dtype=np.uint8)
    _check(text.data, text.offsets, *_names(), fault_numbers("channel", "unknown"), codes)
    return codes


@cache
def _names() -> tuple[_Words, Bytes]:
    """Each name's bytes as one word, first byte highest, and its length; no name is longer than a word."""
    words = [int.from_bytes(name.encode("ascii"), "big") for name in CHANNELS]
    return np.array(words, dtype=np.uint64), np.array([len(name) for name in CHANNELS], dtype=np.uint8)


@kernel
def _check(data: Bytes, offsets: Offsets, words: _Words, lengths: Bytes, faults: Codes, codes: Codes) -> None:
    for row in range(codes.size):
        length = offsets[row + 1] - offsets[row]
        if length == 0:
            continue
        known = False
        if length <= 8:
            word = np.uint64(0)
            for at in range(offsets[row], offsets[row + 1]):
                word = word << np.uint64(8) | np.uint64(data[at])
            for i in range(words.size):
                known |= words[i] == word and lengths[i] == length
        if not known:
            codes[row] = faults[_UNKNOWN]
