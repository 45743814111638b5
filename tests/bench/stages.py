"""``python -m tests.bench.stages LAKE``: where the time of a request goes, stage by stage, for one payment and for a thousand.

LAKE is one that has a champion, such as that of ``make demo``; CPU of the one thread that does it all, medians.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import orjson

from app import fingerprints
from app.features.histories import Arrivals
from app.fingerprints import Fingerprints
from app.validation.transaction import Validated, validate
from models.verdicts import Known
from serve import warm
from serve.engine import Engine, _Reasons, told
from serve.journal import Journal
from serve.requests import line_of, read
from serve.settings import settings_of
from tests.bench.main import say
from tests.bench.serving import later

_TIMES = {1: 1_000, 1_000: 12}


def _prints(validated: Validated) -> Fingerprints:
    return fingerprints.of_columns(validated.canonical, validated.booked_at, validated.amount_minor, bytes(16))


def walk(engine: Engine, journal: Journal, body: bytes, now: datetime) -> dict[str, float]:
    """One request's way, as ``Service`` and ``Engine`` go it; seconds by stage."""
    spent: dict[str, float] = {}

    def stage(name: str, work: Callable[[], Any]) -> Any:
        begun = time.thread_time()
        found = work()
        spent[name] = time.thread_time() - begun
        return found

    if engine.in_use is None:
        raise SystemExit("the lake has no champion")
    models = engine.in_use
    asked = stage("read JSON", lambda: read(body))
    validated = stage("validate", lambda: validate(asked.columns, weights=engine.weights))
    typed = validated.typed
    prints = stage("fingerprints", lambda: _prints(validated))
    arrivals = Arrivals(typed, prints.id_high, prints.id_low, prints.content)
    stage("known already?", lambda: engine.histories.status(arrivals))
    stage("journal the payments (CPU, without waiting for the disk)", lambda: journal.write_payments(asked.lines, now))
    taken = stage("histories: take in, look back", lambda: engine.histories.take(arrivals))
    currency, amount = typed["currency"].to_pylist(), np.abs(typed["amount_minor"].to_numpy())
    known = Known(taken.booked_at, amount, currency, taken.facts, taken.judged)
    verdicts = stage("features, score, band, reasons", lambda: models.detectors.verdicts(known))
    said = told(models.champions, verdicts)
    rows = list(range(typed.num_rows))
    documents = stage("scenarios, answers", lambda: engine._documents(_Reasons(validated), rows, typed, taken.row, known, said))
    lines = stage("answers to JSON", lambda: [orjson.dumps(one) for one in documents])
    stage("journal the decisions (CPU)", lambda: journal.write_decisions(lines, now))
    return spent


def main(lake: str) -> None:
    """Print each stage's microseconds a payment."""
    with tempfile.TemporaryDirectory(prefix="leofric-") as folder:
        settings = settings_of({"lake": lake, "journal": Path(folder), "insecure_local": True})
        now = datetime.now(UTC)
        journal = Journal(settings.journal_folder, now)
        engine, _ = warm.engine_of(warm.open_for(settings), settings, journal, now)
        warm.rehearse(engine)
        lines = [line_of(line) for line in later(sum(size * times for size, times in _TIMES.items()))]
        for size, times in _TIMES.items():
            found = []
            for _ in range(times):
                part, lines = lines[:size], lines[size:]
                body = part[0] if size == 1 else b'{"transactions":[' + b",".join(part) + b"]}"
                found.append(walk(engine, journal, body, now))
            say(f"{size} at a time, µs a payment:")
            for name in found[0]:
                say(f"  {median(one[name] for one in found) * 1e6 / size:9.1f}  {name}")
            say(f"  {median(sum(one.values()) for one in found) * 1e6 / size:9.1f}  in all")
        journal.close(now)


if __name__ == "__main__":
    main(*sys.argv[1:])
