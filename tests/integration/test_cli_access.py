"""Commands as somebody else: what each needs, what a denial leaves, who may give roles, and what whoever may look sees."""

import inspect
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from app.compliance.access import page
from app.compliance.masking import STARS, TOKEN_PREFIX, token, token_key
from app.compliance.roles import Action
from app.contracts.lake import AUDIT
from app.lake.on_command import ACTION
from app.settings import operated_by, operator
from pipelines.cli import app
from tests.support.lake import load, opened, rows
from tests.support.landing import record, records, write_csv

DOCS = Path(__file__).parents[2] / "docs/access.md"

# What each command that is given a lake needs, and how it is called with as little as it takes.
COMMANDS = {
    "run LANDING": "run",
    "score": "score",
    "train": "train",
    "evaluate --labels LABELS": "evaluate",
    "backtest --scenario velocity": "evaluate",
    "models promote supervised --why w": "promote",
    "models rollback supervised --why w": "promote",
    "models rollout start m --mode shadow --share 0.1 --why w": "roll_out",
    "models rollout stop --why w": "roll_out",
    "models rollout show": "inspect",
    "models list": "inspect",
    "models show m": "inspect",
    "tables": "inspect",
    "certificate": "inspect",
    "reference list": "inspect",
    "lineage events r": "inspect",
    "lineage send": "run",
    "trace T000001": "query",
    "query select": "query",
    "features --output OUT": "export",
    "alerts list": "alerts",
    "alerts show a": "alerts",
    "alerts compare --labels LABELS": "alerts",
    "catalog docs OUT": "catalogue",
    "validate LANDING/a.csv": "validate",
    "reference load modulus --valacdos LABELS --scsubtab LABELS": "reference_load",
    "feedback import LABELS": "feedback_import",
    "quarantine list": "review",
    "quarantine show a:1": "review",
    "quarantine propose a:1 --leave-out --why w": "propose",
    "quarantine approve a:1 --why w": "approve",
    "quarantine reject a:1 --why w": "reject",
    "quarantine replay": "replay",
    "history silver_transactions": "inspect",
    "optimize --why w": "run",
    "vacuum --why w": "run",
    "changes silver_transactions --since 0": "export",
    "restore r --why w": "restore",
    "retention plan": "inspect",
    "retention impact --rules LABELS": "inspect",
    "retention rules": "retention",
    "retention apply --why w --yes": "retention",
    "retention hold add --account 990001-10000001 --why w": "retention",
    "retention hold release 1 --why w": "retention",
    "retention hold list": "retention",
    "retention relationships load LABELS --why w": "retention",
    "subject show 990001-10000001": "subject",
    "subject erase 990001-10000001 --why w --yes": "erase",
    "subject list": "inspect",
    "compliance report OUT --from 2026-03-01 --to 2026-03-05": "audit_read",
    "audit list": "audit_read",
    "audit export OUT": "audit_read",
    "audit verify": "audit_verify",
    "keystore create --keys OUT": "manage_keys",
    "keystore show": "inspect",
    "keystore rewrap --new-key-file LABELS --why w": "manage_keys",
    "keys create --name n --scope score": "manage_keys",
    "keys list": "manage_keys",
    "keys revoke --name n": "manage_keys",
    "serve": "serve",
    "access grant mallory approver --why w": "manage_access",
    "access revoke boss approver --why w": "manage_access",
    "access trust-issuer --issuer i --audience a --jwks LABELS --why w": "manage_access",
    "access require-token --why w": "manage_access",
    "access forget-issuer --why w": "manage_access",
    "access list": "see_access",
    "access check run": None,
    "access whoami": None,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with landing files, a lake that is open, and labels."""
    folder = tmp_path_factory.mktemp("access")
    write_csv(folder / "landing/a.csv", [*records(1, 30), record(31, amount="x", description="pay-to-mallory")])
    (folder / "labels.csv").write_text("transaction_id,is_suspicious,typology\nT000001,1,cycle\n")
    load(folder / "landing", folder / "lake")
    return folder


@pytest.fixture(scope="module")
def closed(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake, which boss has closed, and where there is one of every role, called as it is."""
    lake = tmp_path_factory.mktemp("closed") / "lake"
    shutil.copytree(whole / "lake", lake)
    for person, role in (("boss", "approver"), *((one, one) for one in ("engineer", "analyst", "reviewer", "auditor", "service"))):
        assert as_("boss", "access", "grant", person, role, "--lake", lake, "--why", "to work").exit_code == 0
    return lake


@pytest.fixture
def lake(closed: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(closed, tmp_path / "lake"))


def leofric(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def as_(person: str, *words: object) -> Any:
    with operated_by(person):
        return leofric(*words)


def commands(of: typer.Typer, *path: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every command with the words that call it."""
    for command in of.registered_commands:
        assert command.callback is not None
        yield " ".join((*path, command.name or command.callback.__name__)), command.callback
    for group in of.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, *path, str(group.name))


def trail(lake: Path) -> list[dict[str, Any]]:
    return sorted(rows(lake, AUDIT), key=lambda row: int(row["sequence"]))


def denials(lake: Path) -> list[dict[str, Any]]:
    return [row for row in trail(lake) if row["action"] == "access.denied"]


def files(lake: Path) -> dict[str, bytes]:
    """All of a lake but its audit trail."""
    found = {str(path.relative_to(lake)): path.read_bytes() for path in lake.rglob("*") if path.is_file()}
    return {path: data for path, data in found.items() if not path.startswith(("audit/", "_leofric/audit"))}


def test_every_command_that_is_given_a_lake_states_its_action() -> None:
    stated = {}
    for words, callback in commands(app):
        if "lake" in inspect.signature(callback).parameters:
            assert ACTION in callback.__dict__, f"`leofric {words}` does not say what it needs"
            stated[words] = callback.__dict__[ACTION]
    expected = {}
    for line, action in COMMANDS.items():
        (words,) = [name for name in stated if line == name or line.startswith(f"{name} ")][-1:]
        expected[words] = action
    assert stated == expected


@pytest.mark.parametrize("line", [line for line, action in COMMANDS.items() if action is not None])
def test_without_a_role_a_command_does_nothing_and_the_denial_is_written_down(whole: Path, lake: Path, line: str) -> None:
    before, told = files(lake), len(denials(lake))
    places = {"LANDING": str(whole / "landing"), "LABELS": str(whole / "labels.csv"), "OUT": str(lake.parent / "out")}
    words = [places.get(word, word).replace("LANDING", places["LANDING"]) for word in line.split()]
    ran = as_("mallory", *words, "--lake", lake)
    assert ran.exit_code == 3, ran.output
    assert f"mallory (no role) may not {COMMANDS[line]}: that needs the role" in ran.stderr.replace("\n", " ")
    assert "boss can grant it" in ran.stderr.replace("\n", " ")
    assert files(lake) == before
    assert not (lake.parent / "out").exists()
    (entry,) = denials(lake)[told:]
    assert (entry["actor"], entry["result"]) == ("mallory", "denied")
    assert json.loads(entry["details"]) == {"action": COMMANDS[line], "roles": []}


def test_a_denial_names_the_roles_that_one_has(lake: Path) -> None:
    ran = as_("analyst", "tables", "--lake", lake)
    assert ran.exit_code == 0
    ran = as_("analyst", "models", "promote", "supervised", "--why", "w", "--lake", lake)
    assert (ran.exit_code, "analyst (analyst) may not promote: that needs the role approver" in ran.stderr) == (3, True)
    assert json.loads(denials(lake)[-1]["details"]) == {"action": "promote", "roles": ["analyst"]}


def test_an_open_lake_is_everybodys_and_says_so(whole: Path) -> None:
    said = as_("anybody", "access", "whoami", "--lake", whole / "lake")
    assert "everybody may do and see everything" in said.stdout
    found = json.loads(as_("anybody", "access", "whoami", "--json", "--lake", whole / "lake").stdout)
    assert (found["open"], found["may"], set(found["sees"].values())) == (True, [action.value for action in Action], {"clear"})
    assert "everybody may do and see everything" in as_("anybody", "access", "check", "erase", "--lake", whole / "lake").stdout
    assert "everybody may do and see everything" in as_("anybody", "access", "list", "--lake", whole / "lake").stdout
    assert "10000007" in as_("anybody", "query", "select * from silver_transactions", "--lake", whole / "lake", "--format", "csv").stdout


def test_the_first_grant_must_make_somebody_who_may_give_roles(whole: Path) -> None:
    before = files(whole / "lake")
    ran = as_("boss", "access", "grant", "boss", "engineer", "--why", "w", "--lake", whole / "lake")
    assert (ran.exit_code, "must be one that may give roles (approver)" in ran.stderr) == (1, True)
    assert files(whole / "lake") == before


def test_nobody_gives_himself_a_role_or_takes_the_last_approvers_away(lake: Path) -> None:
    before = files(lake)
    ran = as_("boss", "access", "grant", "boss", "reviewer", "--why", "w", "--lake", lake)
    assert (ran.exit_code, "nobody gives himself a role" in ran.stderr) == (3, True)
    ran = as_("boss", "access", "revoke", "boss", "approver", "--why", "w", "--lake", lake)
    assert (ran.exit_code, "the last who may give roles" in ran.stderr.replace("\n", " ")) == (1, True)
    assert files(lake) == before
    tried = [(row["action"], row["result"]) for row in trail(lake) if row["actor"] == "boss"][-2:]
    assert tried == [("access.grant", "denied"), ("access.revoke", "failed")]


def test_roles_are_given_taken_listed_and_written_down(lake: Path) -> None:
    assert as_("boss", "access", "grant", "ada", "auditor", "--why", "the yearly audit", "--lake", lake).stdout == "ada is auditor now\n"
    assert as_("ada", "access", "check", "audit_read", "--lake", lake).stdout == "ada (auditor) may audit_read\n"
    denied = as_("ada", "access", "check", "run", "--lake", lake)
    assert (denied.exit_code, denied.stdout) == (
        3,
        "ada (auditor) may not run: that needs the role engineer or service; boss can grant it\n",
    )
    found = json.loads(as_("ada", "access", "whoami", "--json", "--lake", lake).stdout)
    assert (found["person"], found["roles"], found["sees"]["personal"]) == ("ada", ["auditor"], "masked")
    listed = json.loads(as_("auditor", "access", "list", "--json", "--lake", lake).stdout)
    assert {"person": "ada", "roles": ["auditor"]} in listed["people"]
    assert (listed["open"], listed["decisions"][-1]["why"], listed["decisions"][-1]["by"]) == (False, "the yearly audit", "boss")
    assert "ada" in as_("auditor", "access", "list", "--lake", lake).stdout
    assert as_("boss", "access", "revoke", "ada", "auditor", "--why", "it is over", "--lake", lake).exit_code == 0
    assert as_("ada", "audit", "list", "--lake", lake).exit_code == 3
    written = [(row["action"], row["object"], row["result"], row["reason"]) for row in trail(lake) if row["object"] == "ada"]
    assert written == [("access.grant", "ada", "succeeded", "the yearly audit"), ("access.revoke", "ada", "succeeded", "it is over")]
    assert denials(lake)[-1]["actor"] == "ada"


def test_who_one_is_no_variable_says(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER", "LEOFRIC_ACTOR", "LEOFRIC_OPERATOR"):
        monkeypatch.setenv(name, "boss")
    assert leofric("access", "whoami", "--lake", lake).stdout.startswith(f"{operator()}: no role\n")
    assert leofric("quarantine", "list", "--lake", lake).exit_code == 3


def test_a_query_is_as_clear_as_who_asks(lake: Path) -> None:
    sql = "select account_number from silver_transactions where transaction_id = 'T000007'"

    def asked(person: str) -> str:
        ran = as_(person, "query", sql, "--lake", lake, "--format", "json")
        assert ran.exit_code == 0, ran.output
        return str(json.loads(ran.stdout)[0]["account_number"])

    key = token_key(opened(lake).key)
    assert {person: asked(person) for person in ("reviewer", "boss", "analyst", "engineer", "auditor")} == {
        "reviewer": "10000007",
        "boss": "10000007",
        "analyst": token(b"10000007", key),
        "engineer": token(b"10000007", key),
        "auditor": STARS,
    }
    assert as_("service", "query", sql, "--lake", lake).exit_code == 3


def test_a_payments_way_is_as_clear_as_who_asks(lake: Path) -> None:
    whole = as_("boss", "trace", "T000007", "--json", "--lake", lake).stdout
    for person, sign in (("analyst", TOKEN_PREFIX), ("auditor", STARS)):
        ran = as_(person, "trace", "T000007", "--json", "--lake", lake)
        assert ran.exit_code == 0, ran.output
        for secret in ("10000007", "20000007", "payment 7"):
            assert secret in whole
            assert secret not in ran.stdout
        found, all_of_it = json.loads(ran.stdout), json.loads(whole)
        assert found["ways"][0]["row"]["account_number"].startswith(sign)
        assert found["ways"][0]["row"]["amount_minor"] == all_of_it["ways"][0]["row"]["amount_minor"]
        assert found["features"] == all_of_it["features"]
        for text in (ran.stdout, as_(person, "trace", "T000007", "--lake", lake).stdout):
            assert "10000007" not in text


def test_a_record_in_quarantine_is_as_clear_as_who_asks(lake: Path) -> None:
    (item,) = [one["item"] for one in json.loads(as_("reviewer", "quarantine", "list", "--json", "--lake", lake).stdout)["items"]]
    words = ("quarantine", "propose", item, "--set", "amount=1.00", "--set", "description=pay-to-mallory", "--why", "w", "--lake", lake)
    proposed = as_("reviewer", *words)
    assert proposed.exit_code == 0, proposed.output
    whole = as_("reviewer", "quarantine", "show", item, "--json", "--lake", lake).stdout
    seen = as_("auditor", "quarantine", "show", item, "--json", "--lake", lake)
    assert seen.exit_code == 0, seen.output
    for secret in ("pay-to-mallory", json.loads(whole)["texts"]["account_number"]):
        assert secret in whole
        assert secret not in seen.stdout + as_("auditor", "quarantine", "show", item, "--lake", lake).stdout
    found = json.loads(seen.stdout)
    assert (found["raw"], found["texts"]["description"], found["texts"]["amount"]) == (STARS, STARS, "x")
    assert found["correction"] == {"amount": "1.00", "description": STARS}


def test_who_proposes_does_not_approve_though_both_roles_are_his(lake: Path) -> None:
    assert as_("boss", "access", "grant", "reviewer", "approver", "--why", "holidays", "--lake", lake).exit_code == 0
    (item,) = [one["item"] for one in json.loads(as_("reviewer", "quarantine", "list", "--json", "--lake", lake).stdout)["items"]]
    assert as_("reviewer", "quarantine", "propose", item, "--set", "amount=1.00", "--why", "w", "--lake", lake).exit_code == 0
    assert as_("reviewer", "quarantine", "approve", item, "--why", "w", "--lake", lake).exit_code != 0
    denied = [row for row in trail(lake) if row["result"] == "denied"]
    assert denied[-1]["actor"] == "reviewer"
    assert as_("boss", "quarantine", "approve", item, "--why", "w", "--lake", lake).exit_code == 0


def test_the_documented_policy_is_the_policy() -> None:
    assert leofric("access", "policy").stdout == page()
    assert page() in DOCS.read_text(), "run `leofric access policy` and put what it prints into docs/access.md"
