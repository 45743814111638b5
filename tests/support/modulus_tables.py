"""Weight tables of our own, in the form in which Pay.UK publishes its table; no weight is Pay.UK's.

``python -m tests.support.modulus_tables`` writes the one that ships with Leofric: its weights are drawn until the published cases
come out right.
"""

import random
import sys
from collections.abc import Sequence
from pathlib import Path

from app.reference.modulus import Case, published_cases
from tests.support.modulus_oracle import Oracle

SUBSTITUTES = {"938600": "938611", "938618": "938017"}
DATA = Path(__file__).parents[2] / "app/reference/data"

# Range, and the checks of it: algorithm and exception. The sort codes are those of the published cases, and the sample bank's.
CHECKS: tuple[tuple[str, str, tuple[tuple[str, int], ...]], ...] = (
    ("070116", "070116", (("MOD11", 12), ("MOD10", 13))),
    ("074456", "074456", (("MOD11", 12), ("MOD10", 13))),
    ("086090", "086090", (("MOD11", 8),)),
    ("089000", "089999", (("MOD10", 0),)),
    ("107000", "107999", (("MOD11", 0),)),
    ("118700", "118799", (("DBLAL", 1),)),
    ("134012", "134020", (("MOD11", 4),)),
    ("180002", "180002", (("MOD11", 14),)),
    ("200900", "200999", (("MOD11", 6), ("DBLAL", 6))),
    ("202900", "203099", (("MOD11", 0), ("DBLAL", 0))),
    ("309070", "309070", (("MOD11", 2), ("MOD11", 9))),
    ("772700", "772799", (("MOD11", 7),)),
    ("820000", "827999", (("MOD11", 0), ("DBLAL", 3))),
    ("871400", "872499", (("MOD11", 10), ("MOD11", 11))),
    ("938000", "938999", (("MOD11", 5), ("DBLAL", 5))),
    ("990100", "990199", (("MOD11", 0),)),
    ("990200", "990299", (("DBLAL", 0),)),
    ("995000", "995099", (("MOD10", 0),)),
)


def line(first: str, last: str, algorithm: str, weights: Sequence[int], exception: int) -> str:
    words = f"{first} {last} {algorithm} " + " ".join(f"{weight:4d}" for weight in weights)
    return words + (f"  {exception:2d}" if exception else "")


def _weights(rng: random.Random, algorithm: str, exception: int) -> list[int]:
    weights = [rng.randint(0, 10 if algorithm != "DBLAL" else 2) for _ in range(14)]
    if exception == 5:
        weights[12:] = [0, 0] if algorithm == "MOD11" else [rng.randint(1, 2), 0]
    if exception == 4:
        weights[12:] = [0, 0]
    if exception == 12:
        weights[13] = -1
    return weights


def drawn(seed: int) -> tuple[str, str]:
    """A table with every algorithm and exception and weights of that seed, which the published cases do not fit."""
    rng = random.Random(seed)
    lines = [line(a, b, algorithm, _weights(rng, algorithm, e), e) for a, b, checks in CHECKS for algorithm, e in checks]
    return "\n".join(lines) + "\n", "".join(f"{a} {b}\n" for a, b in SUBSTITUTES.items())


def fitting(seed: int) -> tuple[str, str]:
    """A table whose weights were drawn until each published case comes out right."""
    rng = random.Random(seed)
    scsubtab = "".join(f"{a} {b}\n" for a, b in SUBSTITUTES.items())
    lines: list[str] = []
    for first, last, checks in CHECKS:
        cases = [case for case in published_cases() if first <= case.sort_code <= last]
        passing = [case for case in cases if case.passes]
        while True:
            # Where each of two checks must pass, each can be drawn for itself: that is a thousand draws instead of a million.
            each = passing if checks[0][1] == 5 else []
            found = [_one(rng, (first, last), check, each, scsubtab) for check in checks]
            if _fits("\n".join(found), scsubtab, cases):
                lines += found
                break
    return "\n".join(lines) + "\n", scsubtab


def _one(rng: random.Random, span: tuple[str, str], check: tuple[str, int], cases: Sequence[Case], scsubtab: str) -> str:
    algorithm, exception = check
    while True:
        found = line(*span, algorithm, _weights(rng, algorithm, exception), exception)
        if _fits(found, scsubtab, cases):
            return found


def _fits(valacdos: str, scsubtab: str, cases: Sequence[Case]) -> bool:
    oracle = Oracle(valacdos, scsubtab)
    return all((oracle.check(case.sort_code, case.account_number) != "invalid") == case.passes for case in cases)


if __name__ == "__main__":
    for name, text in zip(("valacdos", "scsubtab"), fitting(7), strict=True):
        (DATA / f"synthetic_{name}.txt").write_text(text)
        sys.stdout.write(f"{DATA / f'synthetic_{name}.txt'}: {len(text.splitlines())} lines\n")
