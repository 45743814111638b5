"""The rule pack on the sample bank: what was planted is found, and little else."""

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from app.contracts.lake import SILVER
from app.detection.alert import Alert
from app.detection.book import book
from app.detection.pack import SCENARIOS, find_all
from pipelines import sample
from tests.support.lake import NOW, load, opened


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    sample.write(folder / "landing", rows=40_000, seed=7)
    load(folder / "landing", folder / "lake", zones=("branch-*=Europe/London",))
    return folder


@pytest.fixture(scope="module")
def found(bank: Path) -> dict[str, list[Alert]]:
    return find_all(book(opened(bank / "lake").table(SILVER).to_pyarrow_table()), NOW.date())


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
    # A house is bought in one payment of more than £50,000: the bank's rule on sums fires, as it says.
    fired = [alert for alerts in found.values() for alert in alerts if alert.reason != "velocity_sum"]
    planted = [alert for alert in fired if any(identifier.startswith("P0") for identifier in alert.evidence)]
    assert len(planted) >= 0.9 * len(fired)
