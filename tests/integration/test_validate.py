"""`leofric validate`: what a run would say of a file, without a lake."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.contracts.reasons import REASONS
from app.settings import Settings
from pipelines import cli, plan
from pipelines.sample import write
from pipelines.validate import validate
from tests.support.lake import load, load_modulus_table, opened
from tests.support.landing import csv_bytes, record, records, write_csv, write_parquet

PAGE = Path(__file__).parents[2] / "docs/reasons.md"


def judged(path: Path, settings: Settings | None = None, examples: int = 3) -> dict[str, Any]:
    (source,) = plan.source_files([str(path)], [], {})
    return validate(source, settings or Settings(), None, examples).document()


def test_a_sample_file_is_judged_as_a_run_judges_it(tmp_path: Path) -> None:
    written = write(tmp_path / "landing", rows=3_000)
    load_modulus_table(tmp_path / "lake")
    for path in written.paths:
        (source,) = plan.source_files([str(path)], ["Europe/London"], {})
        found = validate(source, Settings(block_bytes=20_000, block_rows=100), opened(tmp_path / "lake"), 2)
        load_modulus_table(tmp_path / path.name)
        certificate = load(path, tmp_path / path.name, zones=("Europe/London",))
        counts = {name: getattr(found, name) for name in ("records", "accepted", "quarantined", "duplicates")}
        assert counts == {name: certificate["totals"][name] for name in counts}, path.name
        rejecting = {reason.code for reason in REASONS if reason.severity == "reject"}
        assert {c: n for c, n in found.by_reason.items() if c in rejecting} == certificate["totals"]["by_reason"], path.name


def test_each_reason_comes_with_its_first_records_and_their_bytes(tmp_path: Path) -> None:
    rows = [record(1), *(record(n, currency="XXX") for n in range(2, 8)), record(1, amount="1.00"), record(1), record(9, country="??")]
    path = write_csv(tmp_path / "a.csv", rows)
    found = judged(path, Settings(block_bytes=300), examples=2)
    assert (found["records"], found["accepted"], found["quarantined"], found["duplicates"]) == (10, 1, 8, 1)
    assert found["by_reason"]["currency_not_money"]["records"] == 6
    assert [one["record_number"] for one in found["by_reason"]["currency_not_money"]["examples"]] == [2, 3]
    assert found["by_reason"]["country_format"]["examples"][0]["raw"] == csv_bytes([rows[9]]).decode().splitlines()[1]
    assert [one["record_number"] for one in found["by_reason"]["transaction_id_conflict"]["examples"]] == [8]


def test_the_exit_code_says_whether_anything_would_be_set_aside(tmp_path: Path) -> None:
    good, bad = write_csv(tmp_path / "good.csv", [*records(1, 9), record(1)]), write_csv(tmp_path / "bad.csv", [record(1, amount="")])
    parquet = tmp_path / "good.parquet"
    write_parquet(parquet, records(1, 9))
    empty = tmp_path / "empty.csv"
    empty.write_bytes(b"")
    for path, code, said in ((good, 0, "9 would be accepted"), (parquet, 0, "9 would be accepted"), (bad, 1, "amount_missing"),
                             (empty, 1, "would be rejected: file_empty"), (tmp_path / "none.csv", 2, "no such file")):  # fmt: skip
        ran = CliRunner().invoke(cli.app, ["validate", str(path)])
        assert (ran.exit_code, said in ran.output) == (code, True), ran.output


def test_json_is_one_document_and_a_warning_is_no_reason_to_fail(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [record(1, description="a\u202eb")])
    ran = CliRunner().invoke(cli.app, ["validate", str(path), "--json"])
    found = json.loads(ran.stdout)
    assert (ran.exit_code, found["accepted"], found["by_reason"]["description_control"]["severity"]) == (0, 1, "warn")


@pytest.mark.parametrize("name", ["", "b.csv"])
def test_more_than_one_file_is_wrong_usage(tmp_path: Path, name: str) -> None:
    for each in ("a.csv", "b.csv"):
        write_csv(tmp_path / "landing" / each, records(1, 2))
    ran = CliRunner().invoke(cli.app, ["validate", str(tmp_path / "landing" / name)])
    assert ran.exit_code == (0 if name else 2)


def test_reasons_are_listed_in_every_form_and_the_page_is_what_the_command_makes() -> None:
    run = CliRunner()
    assert [row["code"] for row in json.loads(run.invoke(cli.app, ["reasons", "--format", "json"]).stdout)] == [r.code for r in REASONS]
    assert run.invoke(cli.app, ["reasons"]).exit_code == 0
    assert run.invoke(cli.app, ["reasons", "--format", "markdown"]).stdout == PAGE.read_text()
