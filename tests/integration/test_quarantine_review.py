"""`leofric quarantine`: what reviewers see and do on the command line, and what is refused."""

import json
import shlex
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from app.compliance.corrections import State
from app.contracts.lake import CORRECTIONS, QUARANTINE_DAILY, SILVER
from app.review import bulk, corrections, desk, quarantine
from app.review.quarantine import Filter
from app.validation import transaction
from app.validation.fixes import RULES, Rule, rule_of
from pipelines import cli, verify
from pipelines.executor import InProcess
from tests.support.lake import NOW, asked, load, opened, rows
from tests.support.landing import csv_bytes, record, records, write_csv
from tests.support.review import ADA, correct, items_of, replayed

LOST_ZEROS = 40


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Of 60 records 40 lost the zero of their sort code, one of these a country too; another has two faults; one is cut off."""
    feed = [record(n, sort_code="70246" if n <= LOST_ZEROS else "070246") for n in range(1, 61)]
    feed[4]["country"] = "Britain"
    feed[50] |= {"currency": "gbp", "amount": "1,50"}
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing/branch.csv").write_bytes(csv_bytes(feed) + b"cut,off\n")
    load(tmp_path / "landing", tmp_path / "lake")
    return tmp_path / "lake"


@pytest.fixture(autouse=True)
def somebody(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Who sits at the keyboard: the only name in the list."""
    name = ["ada"]
    monkeypatch.setattr("pipelines.cli_quarantine.operator", lambda: name[0])
    monkeypatch.setattr("pipelines.session.start_ray", lambda _: lambda: None)
    monkeypatch.setattr("pipelines.executor.RayData", lambda _: InProcess())
    yield name


def leofric(lake: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.app, ["quarantine", *words, "--lake", str(lake)])


def listed(lake: Path, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(leofric(lake, "list", "--json", *words).stdout)
    return found


def test_four_thousand_lost_zeros_are_one_proposal_one_approval_and_one_replay(lake: Path, somebody: list[str]) -> None:
    proposed = leofric(
        lake, "propose", "--rule", "left-pad-sort-code", "--reason", "sort_code_format", "--why", "a spreadsheet ate the zero"
    )
    assert proposed.exit_code == 0, proposed.output
    assert "the rule makes 39 of them acceptable" in proposed.output
    assert "sort_code '70246' -> '070246'" in proposed.output
    assert "1 others in vain: 1 country_format" in proposed.output
    somebody[0] = "grace"
    assert "39 records approved" in leofric(lake, "approve", "--proposal", "1", "--why", "as the branch confirmed").output
    ran = leofric(lake, "replay")
    assert ran.exit_code == 0, ran.output
    assert "39 corrected records = 39 accepted + 0 duplicates + 0 still quarantined" in ran.output
    assert len(rows(lake, SILVER)) == 19 + 39
    assert {row["state"] for row in listed(lake)["items"]} == {"open", "corrected"}
    assert [verdict for verdict in verify.verify(opened(lake)) if verdict.faults] == []
    assert "sort_code_format" in CliRunner().invoke(cli.app, ["certificate", "--lake", str(lake)]).output


def test_the_worked_example_of_the_documentation_works(lake: Path, somebody: list[str]) -> None:
    page = (Path(__file__).parents[2] / "docs/quarantine.md").read_text()
    blocks = page.partition("## Worked example")[2].partition("## Rules")[0].split("```")[1::2]
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.strip().splitlines()]
    assert [line[2] for line in lines] == ["list", "show", "propose", "approve", "replay", "verify"]
    for _, *words in lines:
        somebody[0] = "grace" if "approve" in words else "ada"
        named = [str(lake) if word == "lake/" else str(items_of(lake)[3]) if word == "4f2a90c1d3e5:17" else word for word in words]
        ran = CliRunner().invoke(cli.app, named)
        assert ran.exit_code == 0, (named, ran.output)
    assert "4f2a90c1d3e5:17" in page
    assert len(rows(lake, SILVER)) == 19 + 39


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_is_on_the_page(rule: Rule) -> None:
    page = (Path(__file__).parents[2] / "docs/quarantine.md").read_text()
    assert f"| `{rule.name}` | {rule.sentence} |" in page


def test_a_dry_run_of_a_rule_changes_nothing(lake: Path) -> None:
    ran = leofric(lake, "propose", "--rule", "left-pad-sort-code", "--why", "to see", "--dry-run")
    assert (ran.exit_code, "39 of them acceptable" in ran.output) == (0, True)
    found = json.loads(leofric(lake, "propose", "--rule", "left-pad-sort-code", "--why", "to see", "--dry-run", "--json").stdout)
    assert (found["acceptable"], found["in_vain"], found["still"]) == (39, 1, {"country_format": 1})
    assert rows(lake, CORRECTIONS) == []


def test_who_proposed_cannot_approve_on_the_command_line(lake: Path) -> None:
    item = listed(lake, "--reason", "currency_format")["items"][0]["item"]
    values = ("--set", "currency=GBP", "--set", "amount=1.50")
    assert leofric(lake, "propose", item, *values, "--why", "the form says 1.50 GBP").exit_code == 0
    ran = leofric(lake, "approve", item, "--why", "I am sure")
    assert (ran.exit_code, "ada proposed this and cannot approve it" in ran.output) == (1, True)
    assert [row["act"] for row in rows(lake, CORRECTIONS)] == ["proposed"]
    assert leofric(lake, "reject", item, "--why", "a slip").exit_code == 0
    assert listed(lake, "--reason", "currency_format")["items"][0]["state"] == "open"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("show", "0000:1"), 1, "no record 0000:1 is in quarantine"),
        (("show", "what"), 1, "is no record's id"),
        (("propose", "{item}", "--why", "x"), 2, "give one of --set, --leave-out and --rule"),
        (("propose", "{item}", "--set", "amount", "--why", "x"), 2, "COLUMN=VALUE"),
        (("propose", "{item}", "--set", "amout=1", "--why", "x"), 1, "no column amout"),
        (("propose", "{item}", "--set", "amount=1", "--why", " "), 1, "say why"),
        (("propose", "{cut}", "--set", "amount=1", "--why", "x"), 1, "could not be read: give all twelve"),
        (("propose", "--set", "amount=1", "--why", "x"), 2, "name records"),
        (("propose", "--rule", "pad", "--why", "x"), 2, "there is no rule pad"),
        (("approve", "{item}", "--why", "x"), 1, "is open: nothing is proposed"),
        (("approve", "--proposal", "9", "--why", "x"), 1, "proposal 9 has no record that waits"),
        (("approve", "--why", "x"), 2, "name records or a proposal"),
        (("reject", "{item}", "--why", "x"), 1, "is open: nothing is proposed"),
        (("replay",), 1, "no correction is approved"),
        (("list", "--reason", "nonsense"), 2, "there is no reason nonsense"),
        (("list", "--state", "lost"), 2, "a record is open, proposed"),
        (("list", "--least-amount", "much"), 2, "is no number"),
    ],
)
def test_bad_input_is_a_sentence_and_changes_nothing(lake: Path, words: tuple[str, ...], code: int, said: str) -> None:
    items = {"{item}": str(items_of(lake)[3]), "{cut}": str(items_of(lake)[61])}
    ran = leofric(lake, *(items.get(word, word) for word in words))
    assert ran.exit_code == code, ran.output
    assert said in ran.output
    assert rows(lake, CORRECTIONS) == []


def test_the_list_is_filtered_and_its_totals_are_of_all_that_fit(lake: Path) -> None:
    found = listed(lake, "--reason", "sort_code_format", "--limit", "5")
    assert (found["records"], len(found["items"])) == (LOST_ZEROS, 5)
    of_reason = {one["reason"]: one for one in found["by_reason"]}
    assert of_reason["sort_code_format"]["records"] == LOST_ZEROS
    minor = sum(round(100 * float(record(n)["amount"])) for n in range(1, LOST_ZEROS + 1))
    assert of_reason["sort_code_format"]["amount_minor"] == {"GBP": minor}
    assert listed(lake, "--source", "elsewhere")["records"] == 0
    assert listed(lake, "--source", "branch.csv")["records"] == 42
    assert listed(lake, "--currency", "GBP", "--least-amount", "30")["records"] == 11
    assert listed(lake, "--reason", "field_count")["items"][0]["amount_minor"] is None


GROWN = [(0.5, "up to a day"), (3, "up to a week"), (20, "up to 30 days"), (60, "up to 90 days"), (91, "over 90 days")]


@pytest.mark.parametrize(("days", "age"), GROWN)
def test_records_grow_old(lake: Path, days: float, age: str) -> None:
    later = NOW + timedelta(days=days)
    found = desk.listing(opened(lake), Filter(older_than=timedelta(days=days)), later, 0, 1)
    assert (found["records"], found["by_age"]) == (42, {age: 42})
    assert desk.listing(opened(lake), Filter(younger_than=timedelta(days=days)), later, 0, 1)["records"] == 0


def test_a_page_begins_where_the_last_one_ended(lake: Path) -> None:
    pages = [desk.listing(opened(lake), Filter(state=State.OPEN), NOW, offset, 20)["items"] for offset in (0, 20, 40)]
    assert [len(page) for page in pages] == [20, 20, 2]
    assert len({one["item"] for page in pages for one in page}) == 42


def test_a_record_is_shown_as_it_came_with_its_reasons_the_rules_that_mend_it_and_its_decisions(lake: Path) -> None:
    item = str(items_of(lake)[3])
    leofric(lake, "propose", item, "--set", "sort_code=070246", "--why", "a zero was lost")
    found = json.loads(leofric(lake, "show", item, "--json").stdout)
    assert found["raw"].startswith("T000003,2026-03-01T03:03:00Z,70246,")
    assert found["texts"]["sort_code"] == "70246"
    assert [reason["code"] for reason in found["reasons"]] == ["sort_code_format"]
    assert found["rules"] == ["left-pad-sort-code"]
    assert found["correction"] == {"sort_code": "070246"}
    assert [(one["act"], one["who"], one["why"]) for one in found["decisions"]] == [("proposed", "ada", "a zero was lost")]
    words = leofric(lake, "show", item).output
    assert "proposed by ada: a zero was lost" in words
    cut = json.loads(leofric(lake, "show", str(items_of(lake)[61]), "--json").stdout)
    assert (cut["raw"], cut["texts"], cut["rules"]) == ("cut,off", None, [])


def test_the_day_s_figures_count_every_record_once_and_follow_a_replay(lake: Path) -> None:
    def figures(**wanted: Any) -> int:
        return sum(row["records"] for row in rows(lake, QUARANTINE_DAILY) if all(row[name] == value for name, value in wanted.items()))

    assert (figures(reason=None), figures(reason="sort_code_format"), figures(state="open", reason=None)) == (42, LOST_ZEROS, 42)
    items = items_of(lake)
    correct(lake, {items[number]: {"sort_code": "070246"} for number in (1, 2, 3)})
    replayed(lake)
    assert (figures(reason=None), figures(reason=None, state="corrected"), figures(reason=None, state="open")) == (42, 3, 39)
    amounts = [row for row in rows(lake, QUARANTINE_DAILY) if row["reason"] is None and row["state"] == "corrected"]
    assert [(row["currency"], row["amount_minor"]) for row in amounts] == [
        ("GBP", sum(round(100 * float(record(n)["amount"])) for n in (1, 2, 3)))
    ]


def test_sql_sees_decisions_that_came_after_the_last_run(lake: Path) -> None:
    correct(lake, {items_of(lake)[3]: {"sort_code": "070246"}})
    found = asked(opened(lake), "select act, who from control_corrections order by sequence").to_pylist()
    assert [(row["act"], row["who"]) for row in found] == [("proposed", "ada"), ("approved", "grace")]


def test_the_page_s_query_finds_what_is_still_open(lake: Path) -> None:
    items = items_of(lake)
    correct(lake, {items[1]: {"sort_code": "070246"}, items[2]: {"sort_code": "9"}, items[3]: None})
    replayed(lake)
    sql = (Path(__file__).parents[2] / "docs/quarantine.md").read_text().split("```")[-2]
    found = {row["record_number"] for row in asked(opened(lake), sql).to_pylist()}
    assert found == set(items) - {1, 3}
    assert listed(lake, "--state", "open")["records"] == len(found)


def test_a_rule_tries_thousands_of_records_in_one_call_of_the_validator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 4_000
    write_csv(tmp_path / "landing/a.csv", [one | {"sort_code": "70246"} for one in records(1, count)])
    load(tmp_path / "landing", tmp_path / "lake")
    calls = []
    validate = transaction.validate

    def counted(*given: Any) -> Any:
        calls.append(given)
        return validate(*given)

    monkeypatch.setattr("app.review.bulk.validate", counted)
    lake = opened(tmp_path / "lake")
    found = bulk.found_by(lake, rule_of("left-pad-sort-code"), quarantine.records(lake), NOW.date())
    assert (len(found.corrections), len(calls)) == (count, 1)
    made = corrections.propose(lake, dict(found.corrections), "left-pad-sort-code", ADA)
    assert {one.rule for one in made} == {"left-pad-sort-code"}
    assert len({one.proposal for one in made}) == 1
