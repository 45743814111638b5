import json
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Any

import pytest

from app.errors import UsageError
from serve import logs

LOGGERS = (None, "leofric", "serve", "ray", "ray.serve")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging as it was."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    root = logging.getLogger()
    yield
    for handler in root.handlers:
        if handler not in before[0][1]:
            handler.close()
    for logger, handlers, level, propagate in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def read(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_our_loggers_have_the_level_that_was_asked_for_and_libraries_tell_warnings(tmp_path: Path) -> None:
    logs.set_up("info", tmp_path / "log")
    for name in ("leofric.serve", "serve.oidc", "redis", "ray.serve", "ray"):
        for level in (logging.DEBUG, logging.INFO, logging.WARNING):
            logging.getLogger(name).log(level, "sort code 12-34-56")
    found = [(line["logger"], line["level"]) for line in read(tmp_path / "log")]
    ours = [(name, level) for name in ("leofric.serve", "serve.oidc") for level in ("INFO", "WARNING")]
    assert found == [*ours, ("redis", "WARNING"), ("ray.serve", "WARNING"), ("ray", "WARNING")]
    assert {line["message"] for line in read(tmp_path / "log")} == {"sort code ****56"}


def test_rays_own_files_stay_and_are_masked(tmp_path: Path) -> None:
    with (tmp_path / "ray.log").open("w") as file:
        ray_serve = logging.getLogger("ray.serve")
        ray_serve.handlers = [MemoryHandler(1, target=logging.StreamHandler(file))]
        logs.set_up("warning", tmp_path / "log")
        ray_serve.error("account 12345678")
    assert (
        [line["message"] for line in read(tmp_path / "ray.log")]
        == ["account ****5678"]
        == [line["message"] for line in read(tmp_path / "log")]
    )


def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path) -> None:
    logs.set_up("warning", tmp_path / "log")
    log = logging.getLogger("leofric.serve")
    log.warning("one")
    (tmp_path / "log").rename(tmp_path / "log.1")
    log.warning("two")
    assert [line["message"] for name in ("log.1", "log") for line in read(tmp_path / name)] == ["one", "two"]


def test_a_log_that_cannot_be_written_is_wrong_usage(tmp_path: Path) -> None:
    logs.check(tmp_path / "log")
    with pytest.raises(UsageError, match="the log .*/nowhere/log cannot be written: No such file or directory"):
        logs.check(tmp_path / "nowhere" / "log")


def test_a_line_has_the_id_of_the_request_that_is_being_answered_unless_it_has_its_own(tmp_path: Path) -> None:
    logs.set_up("warning", tmp_path / "log")
    log = logging.getLogger("leofric.serve")
    log.warning("before")
    logs.begin(logs.Exchange("score", "first"))
    log.warning("within")
    log.warning("of many", extra={"request_id": None})
    logs.begin(logs.Exchange("score", "second"))
    log.warning("within")
    assert [line["request_id"] for line in read(tmp_path / "log")] == [None, "first", None, "second"]


def test_what_is_no_request_notes_nothing() -> None:
    logs.note(client="payments", records=3)
    exchange = logs.begin(logs.Exchange("score", "id"))
    logs.note(client="payments")
    logs.note(records=3)
    assert (exchange.client, exchange.records) == ("payments", 3)


@pytest.mark.parametrize(("status", "told"), [(200, False), (400, False), (401, True), (403, True), (422, False), (429, True), (503, True)])
def test_without_the_level_info_only_refusals_are_told(tmp_path: Path, status: int, told: bool) -> None:
    logs.set_up("warning", tmp_path / "log")
    logs.answered(logs.Exchange("score", "id", "127.0.0.1"), HTTPStatus(status), 0.25, "because")
    assert [(line["status"], line["message"], line["seconds"]) for line in read(tmp_path / "log")] == [(status, "because", 0.25)] * told


_SENDS = """
import logging, sys
from pathlib import Path
from serve import logs
logs.set_up("warning", None, Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    logging.getLogger("leofric.serve").warning("line %d %s", number, "x" * 5000)
"""
_PRINTS = """
import subprocess, sys, threading, time
from serve import logs
with logs.printed() as path:
    sends = [subprocess.Popen([sys.executable, "-c", sys.argv[1], str(path), "15"]) for _ in range(3)]
    assert [one.wait() for one in sends] == [0, 0, 0]
    while threading.active_count() > 2:  # each sender's lines are read by a thread until it has gone
        time.sleep(0.01)
"""


def test_lines_of_several_processes_are_printed_whole_on_stderr() -> None:
    ran = subprocess.run([sys.executable, "-c", _PRINTS, _SENDS], capture_output=True, text=True, timeout=100, check=True)
    found = [json.loads(line)["message"].split()[1] for line in ran.stderr.splitlines()]
    assert sorted(found, key=int) == [str(number) for number in range(15) for _ in range(3)]
    assert ran.stdout == ""


def test_who_logs_goes_on_while_nobody_reads_or_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path has at most 107 characters
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("s")
    listening.listen()
    logs.set_up("warning", None, Path("s"))
    for _ in range(2000):
        logging.getLogger("leofric.serve").warning("x" * 1000)
    listening.close()
    Path("s").unlink()
    for _ in range(100):
        logging.getLogger("leofric.serve").warning("x")


def test_without_a_file_and_a_socket_lines_go_to_the_processs_own_stderr() -> None:
    loads = "import io, sys, logging; from serve import logs"
    code = f"{loads}; sys.stderr = io.StringIO(); logs.set_up('info'); logging.getLogger('leofric').info('x')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    assert json.loads(ran.stderr)["message"] == "x"
