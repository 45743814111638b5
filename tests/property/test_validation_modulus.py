"""The modulus kernel against the specification told plainly, over several tables."""

import numpy as np
import pytest

from app.reference import modulus
from tests.support import modulus_tables
from tests.support.modulus_oracle import Oracle
from tests.support.validation import modulus_results

ACCOUNTS_A_TABLE = 200_000
TABLES = 6


def _accounts(rng: np.random.Generator, count: int) -> tuple[list[str], list[str]]:
    """Accounts in and around every range, with the digits that exceptions look at more often than by chance."""
    firsts = np.array([int(a) for a, _, _ in modulus_tables.CHECKS])
    lasts = np.array([int(b) for _, b, _ in modulus_tables.CHECKS])
    which = rng.integers(0, len(firsts), count)
    sort_codes = rng.integers(firsts[which] - 1, lasts[which] + 2)
    some = rng.random(count) < 0.1
    sort_codes[some] = rng.choice([int(code) for pair in modulus_tables.SUBSTITUTES.items() for code in pair], int(some.sum()))
    digits = rng.integers(0, 10, (count, 8))
    for place, values in ((0, [0, 4, 5, 8, 9]), (1, [9]), (2, [6, 9]), (6, [0, 9]), (7, [0, 1, 9])):
        chosen = rng.random(count) < 0.3
        digits[chosen, place] = rng.choice(values, int(chosen.sum()))
    alike = rng.random(count) < 0.1
    digits[alike, 7] = digits[alike, 6]
    accounts = (digits * 10 ** np.arange(7, -1, -1)).sum(axis=1)
    return [f"{code:06d}" for code in sort_codes.tolist()], [f"{account:08d}" for account in accounts.tolist()]


@pytest.mark.parametrize("seed", range(TABLES))
def test_the_kernel_agrees_with_the_specification_told_plainly_on_200000_accounts_a_table(seed: int) -> None:
    valacdos, scsubtab = modulus_tables.drawn(seed) if seed else modulus_tables.fitting(7)
    sort_codes, accounts = _accounts(np.random.default_rng(seed), ACCOUNTS_A_TABLE)
    oracle = Oracle(valacdos, scsubtab)
    expected = [oracle.check(code, account) for code, account in zip(sort_codes, accounts, strict=True)]
    found = modulus_results(sort_codes, accounts, modulus.parse(valacdos.encode(), scsubtab.encode(), "drawn"))
    differing = [row for row in zip(sort_codes, accounts, found, expected, strict=True) if row[2] != row[3]]
    assert differing[:5] == []
    assert set(expected) == {"valid", "invalid", "not_checked"}
