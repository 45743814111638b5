"""What every peer prints: its counts and its seconds, without interpreter start, imports and the start of a session."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter


@dataclass(frozen=True)
class Counts:
    """Records in all, and where they went."""

    rows: int
    accepted: int
    quarantined: int
    duplicates: int


def timer() -> Callable[[], float]:
    """Seconds since this call."""
    begun = perf_counter()
    return lambda: perf_counter() - begun


def report(counts: Counts, seconds: float) -> None:
    """Print one line."""
    sys.stdout.write(json.dumps(asdict(counts) | {"seconds": seconds}) + "\n")
