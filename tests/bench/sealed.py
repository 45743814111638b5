"""``make bench-sealed``: what sealing costs. The same files are loaded into a plain lake and a sealed one, in turns; ratios of the medians.

The first load of a sealed lake makes all tokens; a later one, of the same accounts, finds them. Seconds are those of the certificate's
stages, without the start of Ray; and those of the whole command.
"""

import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from pipelines import sample
from tests.bench.main import say
from tests.support import sealed

_ROWS, _ROUNDS = 1_500_000, 3


def _load(folder: Path, lake: Path, landing: str) -> tuple[float, float]:
    begun = perf_counter()
    words = ["run", str(folder / landing), "--lake", str(lake), "--zone", "branch-*=Europe/London", "--json"]
    done = subprocess.run([sys.executable, "-m", "pipelines", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return sum(json.loads(done.stdout)["seconds"].values()), perf_counter() - begun


def _round(folder: Path, *, seal: bool) -> list[tuple[float, float]]:
    """A first load, and a second one of other days of the same accounts."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        if seal:
            sealed.make(Path(made))
        return [_load(folder, Path(made) / "lake", landing) for landing in ("first", "second")]


def main() -> None:
    """Measure, print."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        sample.write(folder / "first", rows=_ROWS, seed=7)
        shutil.rmtree(folder / "first/ground_truth")
        (folder / "second").mkdir()
        for path in sorted((folder / "first").iterdir())[1::2]:
            path.rename(folder / "second" / path.name)
        os.environ["LEOFRIC_SUBJECT_KEY_FILE"] = str(folder / "key")
        (folder / "key").write_text(secrets.token_hex(32))
        taken: dict[bool, list[list[tuple[float, float]]]] = {False: [], True: []}
        for number in range(_ROUNDS + 1):
            for seal in (False, True) if number % 2 else (True, False):
                found = _round(folder, seal=seal)
                if number:  # the first compiles kernels, and is not counted
                    taken[seal].append(found)
        for load, name in enumerate(("first load", "second load")):
            for part, what in enumerate(("stages", "whole command")):
                plain, with_seal = (statistics.median(one[load][part] for one in taken[seal]) for seal in (False, True))
                say(f"{name}, {what}: plain {plain:.1f} s, sealed {with_seal:.1f} s, {with_seal / plain:.2f} times")


if __name__ == "__main__":
    main()
