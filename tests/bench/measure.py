"""One program, measured from outside: seconds, CPU seconds and memory of all its processes."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_POLL_SECONDS = 0.2
_MARK = "LEOFRIC_BENCH_RUN"


@dataclass(frozen=True)
class Measured:
    """``seconds`` is what the program says of its work; the rest is of all its processes, seen from outside."""

    counts: dict[str, int]
    seconds: float
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int  # the largest sum of proportional set sizes (shared pages are counted once)
    said: str


def measure(command: list[str], folder: Path, **environment: str) -> Measured:
    """Run a peer and watch it; its processes are known by a mark in their environment, whoever their parent is."""
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    begun = time.monotonic()
    cpu: dict[int, float] = {}
    peak = 0
    with (folder / "stdout").open("w+") as out, (folder / "stderr").open("w+") as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors, env=os.environ | environment | {_MARK: mark})
        while process.poll() is None:
            peak = max(peak, _look(mark, cpu))
            time.sleep(_POLL_SECONDS)
        wall = time.monotonic() - begun
        out.seek(0)
        errors.seek(0)
        text, said = out.read(), errors.read()
    lines = [line for line in text.splitlines() if line.startswith('{"rows"')]
    if process.returncode or not lines:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {said[-3000:]}")
    answer: dict[str, Any] = json.loads(lines[-1])
    return Measured({k: v for k, v in answer.items() if k != "seconds"}, answer["seconds"], wall, sum(cpu.values()), peak, said)


def _look(mark: str, cpu: dict[int, float]) -> int:
    """Note the CPU seconds of every process with the mark; the sum of their memory."""
    total = 0
    ticks = os.sysconf("SC_CLK_TCK")
    wanted = f"{_MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            cpu[int(folder.name)] = (int(fields[11]) + int(fields[12])) / ticks
            rollup = (folder / "smaps_rollup").read_text()
            total += next(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
        except (OSError, IndexError, StopIteration):
            continue  # it ended while we looked
    return total


def python(module: str, *words: str) -> list[str]:
    """The command that runs a module of this project."""
    return [sys.executable, "-m", module, *words]
