"""The rule pack on the sample bank: what was planted is found, and little else."""

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.contracts.lake import SILVER
from app.detection import dormant
from app.detection.alert import Alert
from app.detection.book import book
from app.detection.pack import SCENARIOS, find_all
from app.detection.thresholds import in_force
from pipelines import sample
from pipelines.cli import app
from tests.support.lake import NOW, load, opened


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    sample.write(folder / "landing", rows=40_000, seed=7)
    load(folder / "landing", folder / "lake", zones=("branch-*=Europe/London",))
    return folder


@pytest.fixture(scope="module")
def found(bank: Path) -> dict[str, list[Alert]]:
    bank_book = book(opened(bank / "lake").table(SILVER).to_pyarrow_table())
    # The sample is a week long: half a year of silence is not in it.
    woken = dormant.find(bank_book, in_force(dormant.NAME, NOW.date(), {"silence": 4 * 86_400}))
    return find_all(bank_book, NOW.date()) | {dormant.NAME: woken}


@pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS])
def test_every_planted_instance_is_found(bank: Path, found: dict[str, list[Alert]], name: str) -> None:
    instances: defaultdict[str, set[str]] = defaultdict(set)
    with (bank / "landing/ground_truth/typologies.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["typology"] == name:
                instances[row["instance"]].add(row["transaction_id"])
    assert instances
    for members in instances.values():
        assert any(members & set(alert.evidence) for alert in found[name])


def test_the_rest_of_the_bank_hardly_fires(found: dict[str, list[Alert]]) -> None:
    # A house is bought in one payment of more than £50,000 to somebody never paid before: the bank's rule on sums fires, as it says, and so
    # does the one on new payees. And in some accounts what comes and what goes is about the same by chance.
    by_chance = {"velocity_sum", "pass_through_share", "new_payee_large"}
    assert len(found["new_payee"]) < 0.002 * 40_000
    fired = [alert for alerts in found.values() for alert in alerts if alert.reason not in by_chance]
    assert len(found["pass_through"]) < 0.001 * 40_000
    planted = [alert for alert in fired if any(identifier.startswith("P0") for identifier in alert.evidence)]
    assert len(planted) >= 0.9 * len(fired)


def backtest(bank: Path, *words: str) -> Any:
    return CliRunner().invoke(app, ["backtest", "--lake", str(bank / "lake"), *words])


def test_a_backtest_says_what_another_threshold_gains_and_loses(bank: Path) -> None:
    labels = str(bank / "landing/ground_truth/labels.csv")
    ran = backtest(bank, "--scenario", "velocity", "--set", "sum=999999999999", "--set", "payments=14", "--labels", labels, "--json")
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert found["before"]["thresholds"] == {"payments": 10, "sum": 5_000_000, "window": 300}
    assert found["after"]["alerts"] < found["before"]["alerts"]
    assert found["accounts_gained"] == 0
    assert found["accounts_lost"] == found["before"]["accounts"] - found["after"]["accounts"]
    assert found["by_typology"]["velocity"]["before"] == found["by_typology"]["velocity"]["after"] == 1.0
    # Fifteen were planted: a tenth stricter, none would be left.
    assert len(found["just_above"]) == min(3, found["after"]["accounts"])
    assert "15 payments" in found["just_above"][0]["sentence"]


def test_a_backtest_shows_what_lies_just_below_the_line(bank: Path) -> None:
    ran = backtest(bank, "--scenario", "fan_in", "--set", "parties=26", "--json")
    found = json.loads(ran.stdout)
    assert found["after"]["alerts"] == 0
    assert found["just_below"]
    assert "Of " in backtest(bank, "--scenario", "fan_in").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scenario", "nothing"], "there is no scenario 'nothing'; there are velocity"),
        (["--scenario", "velocity", "--set", "nothing=1"], "has no threshold 'nothing'"),
        (["--scenario", "velocity", "--set", "payments"], "NAME=NUMBER"),
        (["--scenario", "velocity", "--set", "payments=-1"], "NAME=NUMBER"),
        (["--scenario", "velocity", "--set", "window=9999999999999"], "at most 12 digits"),
    ],
)
def test_a_backtest_that_cannot_be_is_wrong_usage(bank: Path, words: list[str], message: str) -> None:
    ran = backtest(bank, *words)
    assert ran.exit_code == 2
    assert message in ran.stderr.replace("\n", " ")
