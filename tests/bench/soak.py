"""``make bench-soak``: the scoring endpoint under a load that does not wait for its answers (k6, constant arrival rate).

``python -m tests.bench.soak`` finds the highest rate at 32 connections, holds 70 % of it for ten minutes, and prints errors,
latencies and the replica's memory minute by minute; ``--open`` steps through rates instead. Every request is a payment that was not seen
before.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.bench import serving
from tests.bench.main import say
from tests.support.ports import free_port
from tests.support.processes import listener, resident_bytes

_K6 = shutil.which("k6", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}") or ""
_CONCURRENCY, _SHARE = 32, 0.7
_STEP_SECONDS = 20
_APART = 1_000_000
_DAYS_APART = 5
"""So much later than the last rate's payments are the next one's: as in life, few come late. Each lies as close as in the lake's month."""
_SCRIPT = """
import http from 'k6/http';
import exec from 'k6/execution';
export const options = {
  discardResponseBodies: true,
  summaryTrendStats: ['avg', 'p(50)', 'p(95)', 'p(99)', 'max'],
  scenarios: { load: LOAD },
};
export default function () {
  const i = exec.scenario.iterationInTest, n = FIRST + i;
  const body = JSON.stringify({
    transaction_id: `RUN-${n}`, timestamp: new Date((BEGIN + 9 * i) * 1000).toISOString().slice(0, 19) + 'Z',
    sort_code: '070246', account_number: String(10000000 + (n * 7919) % 10000),
    counterparty_sort_code: '070246', counterparty_account: String(10000000 + (n * 104729 + 1) % 10000),
    amount: `-${n % 900 + 1}.${String(n % 100).padStart(2, '0')}`, currency: 'GBP', channel: 'FPS', country: 'GB', description: 'RENT' });
  http.post('ADDRESS/v1/transactions/score', body, { headers: { 'Content-Type': 'application/json' } });
}
"""


@dataclass
class Held:
    """What k6 saw of one rate."""

    seconds: float
    dropped: int
    statuses: Counter[str] = field(default_factory=Counter)
    minutes: list[list[float]] = field(default_factory=list)
    """Milliseconds of each request, by the minute in which it was answered."""

    @property
    def errors(self) -> int:
        """Requests that were not answered with 200."""
        return sum(count for status, count in self.statuses.items() if status != "200")

    @property
    def all(self) -> list[float]:
        """Milliseconds of each request."""
        return [one for minute in self.minutes for one in minute]


def hold(port: int, rate: int, seconds: int, folder: Path, run: int) -> Held:
    """Send so many requests a second, whether or not they are answered; ``run`` is another number each time, from 1."""
    load = {"executor": "constant-arrival-rate", "rate": rate, "timeUnit": "1s", "preAllocatedVUs": 64, "maxVUs": 512}
    return _loaded(port, load, seconds, folder, run)


def _loaded(port: int, load: Mapping[str, object], seconds: int, folder: Path, run: int) -> Held:
    script, points, summary = (folder / f"{run}.{kind}" for kind in ("js", "csv", "json"))
    text = _SCRIPT.replace("LOAD", json.dumps({**load, "duration": f"{seconds}s"})).replace("ADDRESS", f"http://127.0.0.1:{port}")
    begin = 1_780_272_000 + run * _DAYS_APART * 86_400
    script.write_text(text.replace("RUN", f"S{run}").replace("FIRST", str(run * _APART)).replace("BEGIN", str(begin)))
    outputs: list[str | Path] = ["--summary-export", summary, "--out", f"csv={points}"]
    words: list[str | Path] = [_K6, "run", "--quiet", "--no-usage-report", "--no-color", *outputs, script]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if not summary.exists():
        sys.exit(f"k6 failed:\n{done.stderr[-2_000:]}")
    metrics = json.loads(summary.read_text())["metrics"]
    held = Held(seconds, int(metrics.get("dropped_iterations", {}).get("count", 0)))
    begun = None
    for at, milliseconds, status in _points(points):
        begun = at if begun is None else begun
        minute = int((at - begun) // 60)
        held.minutes.extend([] for _ in range(len(held.minutes), minute + 1))
        held.minutes[max(minute, 0)].append(milliseconds)
        held.statuses[status] += 1
    points.unlink()
    return held


def _points(path: Path) -> Iterator[tuple[int, float, str]]:
    """When each request was answered, how long it took, and its status."""
    with path.open() as file:
        columns = file.readline().rstrip("\n").split(",")
        status = columns.index("status")
        for line in file:
            values = line.split(",")
            if values[0] == "http_req_duration":
                yield int(values[1]), float(values[2]), values[status]


def told(milliseconds: list[float]) -> str:
    """Percentiles in a line."""
    p50, p95, p99 = np.percentile(milliseconds, [50, 95, 99]) if milliseconds else (0.0, 0.0, 0.0)
    return f"p50 {p50:7.2f}  p95 {p95:7.2f}  p99 {p99:7.2f} ms"


@contextmanager
def memory_of(pid: int, every: float) -> Iterator[list[int]]:
    """A process's resident bytes, measured now and then; the list grows meanwhile."""
    seen, ended = [resident_bytes(pid)], threading.Event()

    def look() -> None:
        while not ended.wait(every):
            seen.append(resident_bytes(pid))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        ended.set()
        looking.join()


def soak(port: int, rate: int, minutes: float, folder: Path) -> None:
    """Hold a rate, and print what came of it."""
    replica = listener(port)
    with memory_of(replica, 60) as memory:
        held = hold(port, rate, int(minutes * 60), folder, 2)
    memory.append(resident_bytes(replica))
    count = held.statuses.total()
    say(f"held {rate}/s for {minutes:g} min: {count} requests, {held.errors} errors, {held.dropped} not sent in time")
    say(f"statuses: {dict(held.statuses)}; all: {told(held.all)}")
    for number, minute in enumerate(held.minutes, 1):
        say(f"  minute {number:2d}: {len(minute):6d} answered  {told(minute)}")
    say("replica's memory, minute by minute: " + ", ".join(f"{one / 2**20:.0f}" for one in memory) + " MiB")
    say(f"the last is {memory[-1] / memory[0]:.2f} times the first; {(memory[-1] - memory[0]) / max(1, count):.0f} bytes a payment")
    say("the same process answered all of it" if listener(port) == replica else "THE REPLICA WAS REPLACED")


def step(port: int, rate: int, folder: Path, run: int) -> None:
    """Hold a rate for a moment, and print a line."""
    held = hold(port, rate, _STEP_SECONDS, folder, run)
    answered = len(held.all) / held.seconds
    say(f"{rate:5d}/s asked, {answered:6.0f}/s answered, {held.errors} errors, {held.dropped} not sent in time  {told(held.all)}")


def main() -> None:
    """Serve the bench's lake, and load it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=int, help="hold this rate, rather than 70 %% of the highest")
    parser.add_argument("--open", type=int, nargs="*", metavar="RATE", help="step through rates (100 200 400 800), 20 s each")
    words = parser.parse_args()
    for program, how in ((shutil.which("wrk"), "apt install wrk"), (_K6, "make bench-soak installs k6")):
        if not program:
            sys.exit(f"a program that makes the load is missing: {how}")
    with tempfile.TemporaryDirectory(prefix="leofric-") as name:
        folder, port = Path(name), free_port()
        lake = serving.make_lake(folder)
        with serving._served([serving._LEOFRIC, "serve", "--lake", lake, "--insecure-local", "--port", str(port)], port):
            if words.open is not None:
                for run, rate in enumerate(words.open or (100, 200, 400, 800), 1):
                    step(port, rate, folder, run)
                return
            rate = words.rate or _most(port, folder)
            soak(port, rate, words.minutes, folder)


def _most(port: int, folder: Path) -> int:
    """70 % of the highest rate that k6 gets: on few processors it takes more of them from the service than wrk does."""
    script = folder / "load.lua"
    script.write_text(serving._LUA)
    for run in range(2):  # the first warms it up
        found = serving._load(port, _CONCURRENCY, script, run)["rate"]
    closed = _loaded(port, {"executor": "constant-vus", "vus": _CONCURRENCY}, _STEP_SECONDS, folder, 1)
    highest = len(closed.all) / closed.seconds
    say(f"highest rate at {_CONCURRENCY} connections: {found:.0f}/s by wrk, {highest:.0f}/s by k6")
    return int(_SHARE * min(found, highest))


if __name__ == "__main__":
    main()
