"""``make bench``: prints ratios of Leofric to its peers, of memory at two sizes, and of a late day to an early one."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter

from tests.bench import peer_pandas
from tests.bench.data import Expected, expected_of_first, make
from tests.bench.kernels import steps
from tests.bench.measure import Measured, measure, python

# Peer, and the aim: how many times Leofric's rate of rows is its.
PEERS = {"leofric": 1.0, "pyspark": 8.0, "polars": 2.0, "duckdb": 1.3, "floor": 0.6, "pandas": 0.0}


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def _room(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=folder, prefix="run-") as room:
        yield Path(room)


def _one(name: str, landing: Path, folder: Path) -> Measured:
    with _room(folder) as room:
        return measure(python(f"tests.bench.peer_{name}", str(landing), str(room)), room)


def peers(folder: Path, rows: int, files: int, repeats: int, only: list[str]) -> None:
    """Every peer in turn, ``repeats`` times; medians and ratios."""
    landing = folder / f"landing-{rows}"
    expected = make(landing, rows, files)
    of_slice = expected_of_first(landing / "day-0.csv", peer_pandas.ROWS)
    say(f"{rows} rows in {files} CSV files, {sum(p.stat().st_size for p in landing.glob('*.csv')) / 1e6:.0f} MB; {repeats} rounds, in turn")
    found: dict[str, list[Measured]] = {name: [] for name in only or PEERS}
    for _ in range(repeats):
        for name, rounds in found.items():
            rounds.append(_one(name, landing, folder))
            _check(name, rounds[-1], expected if name != "pandas" else of_slice)
            say(f"  {name}: {rounds[-1].seconds:.1f} s")
    say(f"{'':>10}{'rows/s':>12}{'seconds':>9}{'wall':>8}{'cpu':>8}{'peak GB':>9}{'leofric is':>12}{'aim':>8}")
    ours = _rate(found["leofric"]) if "leofric" in found else None
    for name, rounds in found.items():
        middle = [median(getattr(m, field) for m in rounds) for field in ("seconds", "wall_seconds", "cpu_seconds", "peak_bytes")]
        ratio = f"{ours / _rate(rounds):.2f} x" if ours else ""
        aim = f"{PEERS[name]} x" if PEERS[name] else ""
        say(f"{name:>10}{_rate(rounds):12,.0f}{middle[0]:9.1f}{middle[1]:8.1f}{middle[2]:8.1f}{middle[3] / 1e9:9.2f}{ratio:>12}{aim:>8}")
    for measured in found.get("leofric", [])[-1:]:
        say(f"leofric's last round: {measured.said.splitlines()[-1]}")


def _rate(measured: list[Measured]) -> float:
    return median(m.counts["rows"] / m.seconds for m in measured)


def _check(name: str, measured: Measured, expected: Expected) -> None:
    if measured.counts != asdict(expected):
        raise SystemExit(f"{name} did other work: it counted {measured.counts}, {asdict(expected)} is right")


def memory(folder: Path, rows: int, files: int) -> None:
    """Leofric's peak memory at ``rows`` and at four times as many."""
    peaks = []
    for size in (rows, 4 * rows):
        landing = folder / f"landing-{size}"
        make(landing, size, files)
        measured = _one("leofric", landing, folder)
        peaks.append(measured.peak_bytes)
        say(f"{size} rows: peak {measured.peak_bytes / 1e9:.2f} GB, {measured.counts['rows'] / measured.seconds:,.0f} rows/s")
    say(f"four times the rows take {peaks[1] / peaks[0]:.2f} times the memory (aim: at most 1.2)")


def days(folder: Path, rows: int, count: int = 60) -> None:
    """Equal days loaded one after the other; in one process, so that Ray's start does not hide what grows."""
    from app.lake.storage import Storage
    from app.settings import Settings
    from pipelines import plan
    from pipelines.executor import InProcess
    from pipelines.progress import Silent
    from pipelines.run import run

    seconds = []
    with _room(folder) as room:
        for day in range(count):
            landing = room / f"day-{day}"
            _equal_day(landing, rows, day)
            sources = plan.source_files([str(landing)], [], {})
            begun = perf_counter()
            certificate = run(
                Storage(str(room / "lake")),
                sources,
                Settings(),
                InProcess(),
                Silent(),
                datetime(2026, 6, 1, tzinfo=UTC) + timedelta(days=day),
            )
            seconds.append(perf_counter() - begun)
            if certificate["totals"]["accepted"] != rows:
                raise SystemExit(f"day {day} accepted {certificate['totals']['accepted']} of {rows} records")
    early, late = median(seconds[1:6]), median(seconds[-5:])
    say(f"{rows} rows a day: days 2-6 take {early:.3f} s, days {count - 4}-{count} take {late:.3f} s (medians)")
    say(f"the ratio is {late / early:.2f} (aim: at most 1.3)")


def _equal_day(folder: Path, rows: int, day: int) -> None:
    import numpy as np

    from app.contracts.landing import VERSIONS

    folder.mkdir()
    booked = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(days=day)
    with (folder / "day.csv").open("w") as file:
        file.write(",".join(VERSIONS[1]) + "\n")
        accounts = np.random.default_rng(day).integers(10_000_000, 10_020_000, rows).tolist()
        for n, account in enumerate(accounts):
            at = (booked + timedelta(seconds=n % 86_400)).strftime("%Y-%m-%dT%H:%M:%SZ")
            file.write(
                f"D{day:03d}-{n:09d},{at},990101,{account},995001,{20_000_000 + n % 5_000},,-{n % 500}.{n % 100:02d},GBP,FPS,GB,rent\n"
            )


def _check_machine(folder: Path, words: argparse.Namespace) -> None:
    """End with a sentence if a peer's library or the room for the data is missing."""
    libraries = {"pyspark": "pyspark", "polars": "polars", "duckdb": "duckdb", "pandas": "schwifty"}
    wanted = [] if words.part in {"kernels", "memory", "days"} else words.only or PEERS
    missing = [libraries[name] for name in wanted if name in libraries and find_spec(libraries[name]) is None]
    if missing:
        raise SystemExit(
            f"{', '.join(missing)}: not installed; `make bench` installs requirements-bench.lock, or leave peers out with --only"
        )
    rows = {"days": 0, "peers": words.rows, "kernels": words.rows}.get(words.part, 4 * words.rows)
    needed, free = rows * _BYTES_A_ROW, shutil.disk_usage(folder).free
    if free < needed:
        raise SystemExit(
            f"{folder} has {free / 1e9:.0f} GB free, {rows} rows need about {needed / 1e9:.0f}; name another --folder or fewer --rows"
        )


_BYTES_A_ROW = 800  # landing file, kept file, staged rows, tables


def main() -> None:
    """Parse the words and go."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("part", nargs="?", default="peers", choices=["peers", "kernels", "memory", "days", "all"])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--day-rows", type=int, default=50_000)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[], choices=list(PEERS))
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    words = parser.parse_args()
    words.folder.mkdir(parents=True, exist_ok=True)
    _check_machine(words.folder, words)
    if words.part in {"peers", "all"}:
        peers(words.folder, words.rows, words.files, words.repeats, words.only)
    if words.part in {"kernels", "all"}:
        for name, nanoseconds in steps(words.folder, words.rows).items():
            say(f"{name:>30}: {nanoseconds:6.0f} ns a row")
    if words.part in {"memory", "all"}:
        memory(words.folder, words.rows, words.files)
    if words.part in {"days", "all"}:
        days(words.folder, words.day_rows)
    for landing in words.folder.glob("landing-[0-9]*"):
        shutil.rmtree(landing)


if __name__ == "__main__":
    main()
