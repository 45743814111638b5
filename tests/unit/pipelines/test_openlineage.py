"""Events against the specification's own schemas, against what the run did, and on their way to receivers that come and go."""

import json
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from threading import enumerate as enumerate_threads
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import SecretStr
from referencing import Registry, Resource
from typer.testing import CliRunner

from app.contracts.lake import SILVER
from app.errors import UsageError
from app.lake import layout, registry, runs
from app.settings import Settings, read_settings
from pipelines import receivers
from pipelines.cli import app
from pipelines.openlineage import Place, events_of, events_of_training, run_uuid
from tests.support.champion import forest
from tests.support.killed_run import killed
from tests.support.lake import load, opened
from tests.support.landing import record, records, write_csv

SCHEMAS = [json.loads(path.read_text()) for path in sorted((Path(__file__).parents[2] / "data/openlineage").rglob("*.json"))]
KNOWN: Registry[Any] = Registry().with_resources([(schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS])
PLACE = Place("file:///lake")


def check(schema: str, document: Any) -> None:
    """Raises ValidationError if a document is not what the schema at this address says."""
    Draft202012Validator({"$ref": schema}, registry=KNOWN, format_checker=FormatChecker()).validate(document)


def check_event(event: dict[str, Any]) -> int:
    """Hold an event, and each facet in it by the schema that it names, to the specification; how many facets there were."""
    check("https://openlineage.io/spec/2-0-2/OpenLineage.json", event)
    check(event["schemaURL"], event)
    datasets = [*event["inputs"], *event["outputs"]]
    holders = [event["run"], event["job"], *datasets]
    found = [facet for one in holders for kind in ("facets", "inputFacets", "outputFacets") for facet in one.get(kind, {}).values()]
    for facet in found:
        check(facet["_schemaURL"], facet)
    return len(found)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A run of a file with faulty records, and one of a file that is no landing file."""
    write_csv(tmp_path / "landing/a.csv", [*records(1, 20), record(21, amount="x"), record(20)])
    load(tmp_path / "landing", tmp_path / "lake")
    (tmp_path / "landing/b.csv").write_text("not a landing file\n")
    load(tmp_path / "landing", tmp_path / "lake")
    return tmp_path / "lake"


def certificates(lake: Path) -> list[dict[str, Any]]:
    return [json.loads(row["certificate"]) for row in runs.runs(opened(lake))]


def test_the_events_of_every_kind_of_run_are_what_the_specification_says(lake: Path) -> None:
    feedback = certificates(lake)[0] | {
        "kind": "feedback",
        "files": [],
        "feedback": {"file": "labels.csv", "sha256": "0" * 64, "records": 3},
    }
    for certificate in [*certificates(lake), feedback]:
        start, end = events_of(certificate, PLACE)
        assert check_event(start) >= 5
        assert check_event(end) > 10
        assert [start["eventType"], end["eventType"]] == ["START", "COMPLETE"]
        assert start["run"]["runId"] == end["run"]["runId"] == str(uuid.UUID(start["run"]["runId"]))
    for event in events_of_training(forest()[0], PLACE):
        check_event(event)


def test_an_event_that_is_not_what_the_specification_says_does_not_pass(lake: Path) -> None:
    event = events_of(certificates(lake)[0], PLACE)[1]
    del event["outputs"][0]["facets"]["columnLineage"]["fields"]
    with pytest.raises(Exception, match="'fields' is a required property"):
        check_event(event)


def test_an_event_says_what_the_run_did(lake: Path) -> None:
    certificate = certificates(lake)[0]
    _, end = events_of(certificate, PLACE)
    outputs = {one["name"]: one for one in end["outputs"]}
    assert set(outputs) == {f"/lake/{path}" for path in certificate["added"]}
    written = {name.removeprefix("/lake/"): one["outputFacets"]["outputStatistics"]["rowCount"] for name, one in outputs.items()}
    assert (written["silver/transactions"], written["quarantine/transactions"], written["control/duplicates"]) == (20, 1, 1)
    assert written["bronze/transactions"] == 22
    silver = outputs["/lake/silver/transactions"]["facets"]
    assert [field["name"] for field in silver["schema"]["fields"]] == SILVER.schema.names
    (folder, file) = end["inputs"][:2]
    assert folder["inputFacets"]["inputStatistics"]["rowCount"] == 22
    assert file["facets"]["version"]["datasetVersion"] == certificate["files"][0]["sha256"]
    assert all(one["success"] for one in file["inputFacets"]["dataQualityAssertions"]["assertions"])
    (amount, currency) = silver["columnLineage"]["fields"]["amount_minor"]["inputFields"]
    assert (amount["namespace"], amount["name"], amount["field"]) == ("file", folder["name"], "amount")
    assert currency["field"] == "currency"
    assert amount["transformations"] == [{"type": "DIRECT", "subtype": "TRANSFORMATION"}]


def test_a_rejected_file_is_told_as_one_and_a_run_that_failed_as_a_failure(lake: Path) -> None:
    _, second = certificates(lake)
    _, end = events_of(second, PLACE)
    rejected = next(one for one in end["inputs"] if one["name"].endswith("b.csv"))
    assert rejected["inputFacets"]["dataQualityAssertions"]["assertions"][0]["success"] is False
    failed = second | {"status": "failed", "error": "the totals differ"}
    _, end = events_of(failed, PLACE)
    check_event(end)
    assert (end["eventType"], end["run"]["facets"]["errorMessage"]["message"]) == ("FAIL", "the totals differ")


def test_a_run_has_the_same_uuid_always_and_another_in_another_lake() -> None:
    assert run_uuid(PLACE, "r") == run_uuid(Place("file:///lake/"), "r") != run_uuid(Place("file:///other"), "r")


# ---- receivers


SLOW = 0


class Collector(BaseHTTPRequestHandler):
    """Keeps what it gets, and answers what it is told to."""

    got: list[tuple[str, str | None, dict[str, Any]]]
    answers: list[int]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status = self.answers.pop(0) if self.answers else 201
        if status == SLOW:
            time.sleep(1.0)
            return
        if status < 300:
            self.got.append((self.path, self.headers["authorization"], body))
        self.send_response(status)
        self.send_header("location", "/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def collector(*answers: int) -> Iterator[tuple[str, type[Collector]]]:
    handler = type("One", (Collector,), {"got": [], "answers": list(answers)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["eventType"] for event in events]


def test_a_file_gets_each_event_once_in_order_and_later_ones_are_added(lake: Path, tmp_path: Path) -> None:
    settings = Settings(openlineage_file=tmp_path / "told/events.ndjson")
    assert receivers.tell_all(opened(lake), settings) == []
    first = (tmp_path / "told/events.ndjson").read_bytes()
    assert receivers.tell_all(opened(lake), settings) == []
    assert (tmp_path / "told/events.ndjson").read_bytes() == first
    registry.keep(opened(lake).storage, *forest())
    write_csv(tmp_path / "landing/c.csv", records(30, 40))
    load(tmp_path / "landing/c.csv", lake)
    assert receivers.tell_all(opened(lake), settings) == []
    lines = [json.loads(line) for line in (tmp_path / "told/events.ndjson").read_bytes().splitlines()]
    assert (tmp_path / "told/events.ndjson").read_bytes().startswith(first)
    assert kinds(lines) == ["START", "COMPLETE"] * 4
    assert [line["job"]["name"] for line in lines[::2]] == ["load", "load", "load", "train"]


def test_an_address_gets_them_with_its_key_and_one_that_stumbles_is_asked_again(lake: Path) -> None:
    with collector(503, 201, 429) as (url, got):
        settings = Settings(openlineage_url=url, openlineage_api_key=SecretStr("secret"))
        assert receivers.tell_all(opened(lake), settings) == []
    assert kinds([body for _, _, body in got.got]) == ["START", "COMPLETE"] * 2
    assert {(path, key) for path, key, _ in got.got} == {("/api/v1/lineage", "Bearer secret")}


def test_what_a_receiver_missed_while_it_was_away_it_gets_later_and_nobody_else_waits(lake: Path, tmp_path: Path) -> None:
    with collector() as (url, _):
        pass
    file = tmp_path / "events.ndjson"
    settings = Settings(openlineage_url=url, openlineage_file=file, openlineage_timeout_seconds=0.5)
    (sentence,) = receivers.tell_all(opened(lake), settings)
    assert "could not be told" in sentence
    assert "lineage of 2 runs waits in the lake" in sentence
    assert kinds([json.loads(line) for line in file.read_bytes().splitlines()]) == ["START", "COMPLETE"] * 2
    with collector() as (back, got):
        assert receivers.tell_all(opened(lake), Settings(openlineage_url=back)) == []
    assert len(got.got) == 4


def test_a_receiver_that_does_not_answer_in_time_is_asked_once(lake: Path) -> None:
    with collector(SLOW, 201) as (url, got):
        (sentence,) = receivers.tell_all(opened(lake), Settings(openlineage_url=url, openlineage_timeout_seconds=0.2))
        assert got.answers == [201]
    assert "timed out" in sentence


def test_a_receiver_that_dies_midway_goes_on_with_the_run_that_it_had_not_taken_whole(lake: Path) -> None:
    with collector(201, 201, 201, 400) as (url, got):
        settings = Settings(openlineage_url=url)
        (sentence,) = receivers.tell_all(opened(lake), settings)
        assert "it answered 400; lineage of 1 runs waits" in sentence
        assert receivers.tell_all(opened(lake), settings) == []
    assert kinds([body for _, _, body in got.got]) == ["START", "COMPLETE", "START", "START", "COMPLETE"]


def test_a_run_that_was_killed_while_it_was_published_is_told_when_the_next_has_finished_it(lake: Path, tmp_path: Path) -> None:
    """What is told hangs on certificates alone: whoever stores one, of its own run or of a dead one's."""
    write_csv(tmp_path / "more/d.csv", records(50, 60))
    assert killed(tmp_path / "more", lake, "write:44").code == -signal.SIGKILL
    settings = Settings(openlineage_file=tmp_path / "events.ndjson")
    receivers.tell_all(opened(lake), settings)
    before = len((tmp_path / "events.ndjson").read_bytes().splitlines())
    (dead,) = load(tmp_path / "landing/a.csv", lake)["recovered_runs"]
    assert receivers.tell_all(opened(lake), settings) == []
    told = [json.loads(line) for line in (tmp_path / "events.ndjson").read_bytes().splitlines()][before:]
    assert kinds(told) == ["START", "COMPLETE"] * 2
    assert [event["run"]["facets"]["leofric_run"]["run_id"] for event in told][:2] == [dead, dead]


# ---- while a run goes on


def told(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def run_of(event: dict[str, Any]) -> str:
    return str(event["run"]["facets"]["leofric_run"]["run_id"])


class Looks:
    """Calls a function when a stage begins."""

    def __init__(self, stage: str, look: Callable[[], None]) -> None:
        self._stage = stage
        self._look = look

    def begun(self, stage: str, tasks: int) -> None:
        if stage == self._stage:
            self._look()

    def advanced(self, stage: str) -> None:
        pass

    def ended(self, stage: str) -> None:
        pass


def until(holds: Callable[[], bool]) -> None:
    """Waits for what another thread is to do."""
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    raise TimeoutError


def notes(lake: Path) -> list[str]:
    return [entry.path for entry in opened(lake).storage.entries(f"{layout.LINEAGE}/begun")]


def load_told(lake: Path, landing: Path, file: Path, look: Callable[[], None] = lambda: None, stage: str = "reconcile") -> dict[str, Any]:
    return load(landing, lake, Settings(openlineage_file=file), observer=Looks(stage, look))


def test_a_start_is_told_while_the_run_goes_on_and_the_end_afterwards_with_the_same_uuid(lake: Path, tmp_path: Path) -> None:
    file, missed = tmp_path / "events.ndjson", ["START", "COMPLETE"] * 2
    write_csv(tmp_path / "more/d.csv", records(50, 60))

    def look() -> None:
        until(lambda: kinds(told(file)) == [*missed, "START"])
        assert receivers.tell_all(opened(lake), Settings(openlineage_file=file)) == []  # who tells meanwhile does not take it for dead
        assert kinds(told(file)) == [*missed, "START"]

    certificate = load_told(lake, tmp_path / "more", file, look)
    assert receivers.tell_all(opened(lake), Settings(openlineage_file=file)) == []
    start, end = told(file)[-2:]
    assert kinds([start, end]) == ["START", "COMPLETE"]
    assert start == events_of(certificate, receivers.place_of(opened(lake), Settings()))[0], "told again, it is the same"
    assert start["run"]["runId"] == end["run"]["runId"]
    assert len(told(file)) == 6
    assert check_event(start) >= 5
    assert notes(lake) == []


def test_a_run_that_fails_without_a_certificate_is_told_to_have_failed_and_why(lake: Path, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    receivers.tell_all(opened(lake), Settings(openlineage_file=file))

    def breaks() -> None:
        until(lambda: len(told(file)) == 5)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        load_told(lake, tmp_path / "landing", file, breaks)
    start, fail = told(file)[4:]
    assert kinds([start, fail]) == ["START", "FAIL"]
    assert (start["run"]["runId"], fail["outputs"]) == (fail["run"]["runId"], [])
    assert fail["run"]["facets"]["errorMessage"]["message"] == "OSError: the disk is full"
    assert check_event(fail) >= 6
    assert notes(lake) == []


@pytest.mark.parametrize("away", [False, True], ids=["START was told", "START could not be told"])
def test_a_run_that_was_killed_is_told_to_have_failed_when_the_next_has_undone_it(lake: Path, tmp_path: Path, away: bool) -> None:
    file = tmp_path / "folder/events.ndjson"
    receivers.tell_all(opened(lake), Settings(openlineage_file=file))
    if away:
        (tmp_path / "folder").rename(tmp_path / "elsewhere")
        (tmp_path / "folder").write_text("")
    write_csv(tmp_path / "more/d.csv", records(50, 60))
    ended = killed(tmp_path / "more", lake, "end:reconcile", Settings(openlineage_file=file))
    assert ended.code == -signal.SIGKILL, ended.error
    if away:
        (tmp_path / "folder").unlink()
        (tmp_path / "elsewhere").rename(tmp_path / "folder")
    before = len(told(file))
    assert before == (4 if away else 5)
    assert receivers.tell_all(opened(lake), Settings(openlineage_file=file)) == []
    assert len(told(file)) == before, "nobody has undone it yet"
    next_run = load_told(lake, tmp_path / "more", file, lambda: until(lambda: len(told(file)) == 7))
    receivers.tell_all(opened(lake), Settings(openlineage_file=file))
    start, fail, *after = told(file)[4:]
    assert kinds([start, fail, *after]) == ["START", "FAIL", "START", "COMPLETE"]
    assert (start["run"]["runId"], run_of(start)) == (fail["run"]["runId"], run_of(fail))
    assert {run_of(event) for event in after} == {next_run["run_id"]} != {run_of(fail)}
    assert "killed" in fail["run"]["facets"]["errorMessage"]["message"]
    for event in told(file)[4:]:
        check_event(event)
    assert notes(lake) == []


def test_a_run_neither_waits_for_a_receiver_that_hangs_nor_fails_of_it_and_its_start_is_told_with_its_end(
    lake: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_csv(tmp_path / "more/d.csv", records(50, 60))
    with collector(201, 201, 201, 201, SLOW) as (url, got):
        settings = Settings(openlineage_url=url, openlineage_timeout_seconds=0.5)
        receivers.tell_all(opened(lake), settings)
        begun: list[Thread] = []
        looks = Looks("ingest", lambda: begun.extend(thread for thread in enumerate_threads() if thread.name == "lineage"))
        load(tmp_path / "more", lake, settings, observer=looks)
        assert begun, "the run went on while START was told"
        assert "is told with its end" in caplog.text
        assert receivers.tell_all(opened(lake), settings) == []
    assert kinds([body for _, _, body in got.got]) == ["START", "COMPLETE"] * 3
    assert notes(lake) == []


def test_without_receivers_a_run_notes_nothing(lake: Path, tmp_path: Path) -> None:
    load(tmp_path / "landing", lake, Settings(), observer=Looks("reconcile", lambda: None))
    assert list(opened(lake).storage.entries(layout.LINEAGE)) == []


# ---- the commands


def leofric(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_command_that_ends_a_run_tells_and_one_whose_receiver_is_away_only_warns(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "labels.csv").write_text("transaction_id,is_suspicious\nT000001,1\n")
    monkeypatch.setenv("LEOFRIC_OPENLINEAGE_FILE", str(tmp_path / "events.ndjson"))
    monkeypatch.setenv("LEOFRIC_OPENLINEAGE_NAMESPACE", "bank")
    assert leofric("feedback", "import", tmp_path / "labels.csv", "--lake", lake).exit_code == 0
    events = [json.loads(line) for line in (tmp_path / "events.ndjson").read_bytes().splitlines()]
    assert [(event["job"]["namespace"], event["job"]["name"]) for event in events[::2]] == [
        ("bank", "load"),
        ("bank", "load"),
        ("bank", "feedback"),
    ]
    assert [one["name"] for one in events[-1]["outputs"]] == [str(lake / "control/feedback")]
    with collector() as (url, _):
        pass
    monkeypatch.setenv("LEOFRIC_OPENLINEAGE_URL", url)
    said = leofric("feedback", "import", tmp_path / "labels.csv", "--lake", lake)
    assert said.exit_code == 0
    assert "could not be told" in said.output
    assert leofric("lineage", "send", "--lake", lake).exit_code == 1
    monkeypatch.delenv("LEOFRIC_OPENLINEAGE_URL")
    assert leofric("lineage", "send", "--lake", lake).exit_code == 0
    monkeypatch.delenv("LEOFRIC_OPENLINEAGE_FILE")
    assert leofric("lineage", "send", "--lake", lake).exit_code == 2


def test_past_events_can_be_printed(lake: Path) -> None:
    run_id = certificates(lake)[0]["run_id"]
    assert kinds(json.loads(leofric("lineage", "events", run_id, "--lake", lake).stdout)) == ["START", "COMPLETE"]
    registry.keep(opened(lake).storage, *forest())
    assert kinds(json.loads(leofric("lineage", "events", forest()[0].model_id, "--lake", lake).stdout)) == ["START", "COMPLETE"]
    assert leofric("lineage", "events", "nothing", "--lake", lake).exit_code == 1


def test_an_address_that_is_none_is_wrong_usage_before_anything_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEOFRIC_OPENLINEAGE_URL", "ftp://x")
    with pytest.raises(UsageError, match="LEOFRIC_OPENLINEAGE_URL=ftp://x"):
        read_settings()


def test_a_key_is_not_taken_to_where_a_receiver_redirects(lake: Path) -> None:
    with collector(307) as (url, got):
        (sentence,) = receivers.tell_all(opened(lake), Settings(openlineage_url=url, openlineage_api_key=SecretStr("secret")))
    assert "it answered 307" in sentence
    assert got.got == []


def test_a_file_that_cannot_be_written_is_said_and_waits(lake: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (sentence,) = receivers.tell_all(opened(lake), Settings(openlineage_file=tmp_path / "file/events.ndjson"))
    assert "cannot be written" in sentence
    assert "lineage of 2 runs waits" in sentence
