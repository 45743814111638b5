"""Valid UTF-8, as the Unicode Standard's table 3-7 draws it: no overlong form, no surrogate, nothing above U+10FFFF."""

from app.columns import Bytes
from app.jit import inlined


@inlined
def valid(data: Bytes, begin: int, end: int) -> bool:
    """Whether ``data[begin:end]`` is well-formed UTF-8."""
    i = begin
    while i < end:
        lead = data[i]
        i += 1
        if lead < 0x80:
            continue
        low, high = 0x80, 0xBF  # the bounds of the second byte
        if 0xC2 <= lead <= 0xDF:
            more = 1
        elif 0xE0 <= lead <= 0xEF:
            more = 2
            if lead == 0xE0:
                low = 0xA0
            elif lead == 0xED:
                high = 0x9F
        elif 0xF0 <= lead <= 0xF4:
            more = 3
            if lead == 0xF0:
                low = 0x90
            elif lead == 0xF4:
                high = 0x8F
        else:
            return False
        if i + more > end or data[i] < low or data[i] > high:
            return False
        for k in range(1, more):
            if data[i + k] < 0x80 or data[i + k] > 0xBF:
                return False
        i += more
    return True
