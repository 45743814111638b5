"""``make bench-serve``: the scoring endpoint on Ray Serve beside the same work under plain FastAPI and uvicorn, and the bare function.

Closed loop, by wrk (apt install wrk), with 10,000 accounts of 30 days. Every request is a payment that was not seen before.
"""

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from statistics import median

import numpy as np

from app.contracts.landing import NAMES
from app.features.payments import Int64s
from app.readers.ndjson import Line
from serve import warm
from serve.engine import Engine
from serve.journal import Journal
from serve.requests import line_of, read
from serve.settings import settings_of
from tests.bench.main import say
from tests.support.ports import free_port

_LEOFRIC = Path(sys.executable).parent / "leofric"
_ACCOUNTS, _DAYS, _PAYMENTS = 10_000, 30, 300_000
_BEGIN = datetime(2026, 5, 1, tzinfo=UTC)
_CONCURRENCY = (1, 8, 32, 128)
_ROUNDS, _TURNS, _SECONDS = 2, 3, 2
"""So often both are started, and loaded at each concurrency, for so long."""
_LUA = """
local number, run
init = function(args)
  run = args[1]
  number = tonumber(run) * 100000
end
request = function()
  number = number + 1
  local payer, payee = (number * 7919) % 10000, (number * 104729 + 1) % 10000
  -- as close as those of the lake's month, a day later in each run
  local at = os.date("!%Y-%m-%dT%H:%M:%SZ", 1780272000 + 86400 * tonumber(run) + 9 * (number % 100000))
  local body = string.format('{"transaction_id":"%s-%d","timestamp":"%s","sort_code":"070246","account_number":"%08d",' ..
    '"counterparty_sort_code":"070246","counterparty_account":"%08d","amount":"-%d.%02d","currency":"GBP","channel":"FPS",' ..
    '"country":"GB","description":"RENT"}', run, number, at, payer + 10000000, payee + 10000000, number % 900 + 1, number % 100)
  return wrk.format("POST", "/v1/transactions/score", {["Content-Type"] = "application/json"}, body)
end
done = function(summary, latency, requests)
  for _, share in ipairs({50, 95, 99}) do
    io.write(string.format("p%d %.3f ms\\n", share, latency:percentile(share) / 1000))
  end
end
"""
_SHARES = ("p50", "p95", "p99")


def record(number: int, at: datetime, payer: int, payee: int, pence: int) -> Line:
    """A payment from one account of the bank to another."""
    given = {
        "transaction_id": f"B-{number}",
        "timestamp": at.isoformat(),
        "sort_code": "070246",
        "account_number": f"{payer + 10_000_000}",
        "counterparty_sort_code": "070246",
        "counterparty_account": f"{payee + 10_000_000}",
        "amount": f"-{pence // 100}.{pence % 100:02d}",
        "currency": "GBP",
        "channel": "FPS",
        "country": "GB",
        "description": "RENT",
    }
    return [given.get(name) for name in NAMES]


def make_lake(folder: Path) -> Path:
    """A lake with the accounts' month and a champion."""
    rng = np.random.default_rng(5)
    seconds = np.sort(rng.integers(0, _DAYS * 86_400, _PAYMENTS)).tolist()
    sides = rng.integers(0, _ACCOUNTS, (_PAYMENTS, 2)).tolist()
    pence = np.exp(rng.normal(8, 1.2, _PAYMENTS)).astype(int).tolist()
    with (folder / "month.ndjson").open("wb") as file:
        for number, (second, (payer, payee), amount) in enumerate(zip(seconds, sides, pence, strict=True)):
            file.write(line_of(record(number, _BEGIN + timedelta(seconds=second), payer, payee, amount + 1)) + b"\n")
    lake = folder / "lake"
    commands: tuple[list[str | Path], ...] = (
        ["run", folder / "month.ndjson", "--lake", lake],
        ["train", "--lake", lake],
        ["models", "promote", "isolation_forest", "--lake", lake, "--without-gate", "--why", "a bench"],
    )
    for words in commands:
        subprocess.run([_LEOFRIC, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return lake


@contextmanager
def _served(words: list[str | Path], port: int) -> Iterator[None]:
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    )
    try:
        until = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
                break
            except OSError:
                if time.monotonic() > until or process.poll() is not None:
                    sys.exit(f"{words[0]} does not come up")
                time.sleep(0.2)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _load(port: int, concurrency: int, script: Path, run: int) -> dict[str, float]:
    """Requests a second, and p50, p95 and p99 in milliseconds; each run's payments are a day later than those of the one before."""
    load = ["wrk", "-t1", f"-c{concurrency}", f"-d{_SECONDS}s", "--timeout", "60s", "-s", str(script)]
    text = subprocess.run([*load, f"http://127.0.0.1:{port}", "--", str(run)], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in text:
        sys.exit(f"requests failed:\n{text}")
    found = {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])}  # type: ignore[index]
    for share in _SHARES:
        found[share] = float(re.search(rf"^{share} ([\d.]+) ms$", text, re.MULTILINE)[1])  # type: ignore[index]
    return found


def compare(lake: Path, folder: Path, script: Path) -> dict[tuple[str, int], list[dict[str, float]]]:
    """Both run side by side, and are loaded in turns, so that what else the machine does meets both alike."""
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for round_ in range(_ROUNDS):
        with ExitStack() as running:
            ports = {}
            for who in ("uvicorn", "serve"):
                port, journal = free_port(), folder / f"{who}-{round_}"
                ports[who] = port
                words: list[str | Path] = (
                    [sys.executable, "-m", "tests.bench.plain", lake, journal, str(port)]
                    if who == "uvicorn"
                    else [_LEOFRIC, "serve", "--lake", lake, "--journal", journal, "--insecure-local", "--port", str(port)]
                )
                running.enter_context(_served(words, port))
                _load(port, 8, script, 0)
            for run, concurrency in enumerate(_CONCURRENCY * _TURNS, 1):
                for who in sorted(ports, reverse=run % 2 == 0):
                    found.setdefault((who, concurrency), []).append(_load(ports[who], concurrency, script, run))
    return found


def at_once(lake: Path, folder: Path) -> None:
    """Whole requests of a thousand payments beside whole requests of one, by one client, in turns."""
    port, journal = free_port(), folder / "at-once"
    with _served([_LEOFRIC, "serve", "--lake", lake, "--journal", journal, "--insecure-local", "--port", str(port)], port):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        lines = [line_of(line) for line in later(24_000)]
        singles, thousands = [], []
        for begin in range(0, len(lines), 2_000):
            singles += [_seconds(connection, line) for line in lines[begin : begin + 500]]
            thousands.append(_seconds(connection, b'{"transactions":[' + b",".join(lines[begin + 1_000 : begin + 2_000]) + b"]}"))
        connection.close()
    one, many = median(singles[500:]), median(thousands[1:])
    say(f"over HTTP: one payment {one * 1e3:.2f} ms; a thousand at once {many * 1e3:.1f} ms,")
    say(f"  {one * 1000 / many:.0f} times the payments a second of one at a time")


def _seconds(connection: http.client.HTTPConnection, body: bytes) -> float:
    begun = time.perf_counter()
    connection.request("POST", "/v1/transactions/score", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    if answer.status != HTTPStatus.OK:
        sys.exit(f"a request failed with {answer.status}")
    return time.perf_counter() - begun


def later(count: int) -> list[Line]:
    """Payments after those of the lake, as close to each other as they are."""
    rng, at, gap = np.random.default_rng(6), _BEGIN + timedelta(days=_DAYS), _DAYS * 86_400 / _PAYMENTS
    pence = np.exp(rng.normal(8, 1.2, count)).astype(int).tolist()
    payers, payees = rng.integers(0, _ACCOUNTS, (2, count)).tolist()
    return [record(10_000_000 + i, at + timedelta(seconds=gap * i), payers[i], payees[i], pence[i] + 1) for i in range(count)]


def nothing(_: Int64s) -> None:
    """No journal."""


def bare(lake: Path, folder: Path) -> None:
    """The function itself: one payment, and a thousand at once; no HTTP, no journal."""
    settings = settings_of({"lake": str(lake), "journal": folder / "bare", "insecure_local": True})
    now = datetime.now(UTC)
    journal = Journal(settings.journal_folder, now)
    engine: Engine = warm.engine_of(warm.open_for(settings), settings, journal, now)[0]
    lines = [line_of(line) for line in later(20_000)]
    one, thousands = [], []
    for begin in range(0, len(lines), 2_000):
        for line in lines[begin : begin + 1_000]:
            began = time.thread_time()
            engine.score(read(line).columns, nothing)
            one.append(time.thread_time() - began)
        body = b'{"transactions":[' + b",".join(lines[begin + 1_000 : begin + 2_000]) + b"]}"
        began = time.thread_time()
        engine.score(read(body).columns, nothing)
        thousands.append(time.thread_time() - began)
    say(f"the bare function (read, validate, look back, score, reasons), CPU: one payment {median(one) * 1e3:.2f} ms;")
    say(f"  a thousand at once {median(thousands) * 1e3:.1f} ms: {median(one) * 1000 / median(thousands):.0f} times the payments a second")
    journal.close(now)


def main() -> None:
    """Print rates, latencies and their ratios."""
    if shutil.which("wrk") is None:
        sys.exit("wrk makes the load: apt install wrk")
    with tempfile.TemporaryDirectory(prefix="leofric-") as name:
        folder = Path(name)
        lake = make_lake(folder)
        script = folder / "load.lua"
        script.write_text(_LUA)
        bare(lake, folder)
        at_once(lake, folder)
        found = compare(lake, folder, script)
        for concurrency in _CONCURRENCY:
            middle = {
                who: {name: median(one[name] for one in found[who, concurrency]) for name in ("rate", *_SHARES)}
                for who in ("uvicorn", "serve")
            }
            for who, of in middle.items():
                times = " ".join(f"{share} {of[share]:6.2f}" for share in _SHARES)
                say(f"{concurrency:4d} at a time, {who:8s}{of['rate']:7.0f}/s, {times} ms")
            rate, slow = (middle["serve"][name] / middle["uvicorn"][name] for name in ("rate", "p99"))
            say(f"     serve has {rate:.2f} times the rate, {slow:.2f} times the p99")


if __name__ == "__main__":
    main()
