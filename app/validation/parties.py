"""Who paid whom, read off the sign of the amount."""

import numpy as np
import numpy.typing as npt

from app.columns import Bytes, Offsets, Text
from app.contracts.reasons import Codes
from app.jit import inlined, kernel
from app.validation.account_number import Account

_ACCOUNT = 15  # bytes of SSSSSS-AAAAAAAA


def derive(own: Account, counterparty: Account, iban: Text, amount_minor: npt.NDArray[np.int64]) -> tuple[Text, Text]:
    """Payer and payee of each row: ``SSSSSS-AAAAAAAA``, else an IBAN, else empty.

    A negative amount leaves the own account. The counterparty is its sort code and account number if both are there, else
    those inside its GB IBAN (SWIFT IBAN registry, release 99), else its IBAN. ``iban`` is canonical.
    """
    rows = len(iban)
    room = rows * _ACCOUNT + len(iban.data)
    payer, payee = (Text(np.empty(room, dtype=np.uint8), np.zeros(rows + 1, dtype=np.int32)) for _ in range(2))
    _derive(
        (own.sort_code.data, own.number.data, counterparty.sort_code.data, counterparty.number.data, iban.data),
        (own.sort_code.offsets, own.number.offsets, counterparty.sort_code.offsets, counterparty.number.offsets, iban.offsets),
        (own.number_codes, counterparty.number_codes),
        amount_minor,
        (payer.data, payee.data),
        (payer.offsets, payee.offsets),
    )
    return _cut(payer), _cut(payee)


def _cut(text: Text) -> Text:
    return Text(text.data[: max(int(text.offsets[-1]), 1)], text.offsets)


@kernel
def _derive(
    data: tuple[Bytes, Bytes, Bytes, Bytes, Bytes],
    offsets: tuple[Offsets, Offsets, Offsets, Offsets, Offsets],
    codes: tuple[Codes, Codes],
    amount_minor: npt.NDArray[np.int64],
    out: tuple[Bytes, Bytes],
    out_offsets: tuple[Offsets, Offsets],
) -> None:
    sort_code, number, other_sort_code, other_number, iban = data
    sort_code_at, number_at, other_sort_code_at, other_number_at, iban_at = offsets
    number_codes, other_number_codes = codes
    for row in range(amount_minor.size):
        side = 0 if amount_minor[row] < 0 else 1
        used = out_offsets[side][row]
        if _both(sort_code_at, number_at, number_codes, row):
            _write(sort_code, sort_code_at[row], number, number_at[row], out[side], used)
            used += _ACCOUNT
        out_offsets[side][row + 1] = used
        side = 1 - side
        used = out_offsets[side][row]
        start = iban_at[row]
        length = iban_at[row + 1] - start
        if _both(other_sort_code_at, other_number_at, other_number_codes, row):
            _write(other_sort_code, other_sort_code_at[row], other_number, other_number_at[row], out[side], used)
            used += _ACCOUNT
        elif length == 22 and iban[start] == 71 and iban[start + 1] == 66:  # GB
            _write(iban, start + 8, iban, start + 14, out[side], used)
            used += _ACCOUNT
        else:
            for i in range(length):
                out[side][used + i] = iban[start + i]
            used += length
        out_offsets[side][row + 1] = used


@inlined
def _both(sort_code_at: Offsets, number_at: Offsets, number_codes: Codes, row: int) -> bool:
    """Whether both parts of the account stand in that row."""
    both: bool = sort_code_at[row] < sort_code_at[row + 1] and number_at[row] < number_at[row + 1] and number_codes[row] == 0
    return both


@inlined
def _write(sort_code: Bytes, sort_code_start: int, number: Bytes, number_start: int, out: Bytes, at: int) -> None:
    """Write SSSSSS-AAAAAAAA."""
    for i in range(6):
        out[at + i] = sort_code[sort_code_start + i]
    out[at + 6] = 45
    for i in range(8):
        out[at + 7 + i] = number[number_start + i]
